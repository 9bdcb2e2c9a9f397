#include <virtio/net/transmit_queue.hpp>

#include <utility>

namespace virtio::net {

TransmitQueue::TransmitQueue(QueueIndex index, std::uint16_t window, Owner& owner)
    : index_(index), owner_(owner), slots_(window) {}

void TransmitQueue::on_chain(Chain& chain) {
  Slot& slot = slots_.push();
  slot.chain = &chain;
  slot.state = Slot::State::moving;
  host_->dma(index_).scope().start([&] { return read(slot); });
}

// Device-writable buffers are left alone.
Task<> TransmitQueue::read(Slot& slot) {
  const Dma dma = host_->dma(index_);
  const auto pieces = slot.chain->readable();
  const std::uint64_t len = slot.chain->readable_len;
  slot.bytes.clear();
  if (len <= max_bytes_ && len > 0) {
    slot.bytes.resize(len);
    const DmaStatus status =
        co_await dma.gather(pieces.front(), pieces.subspan(1), slot.bytes.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    slot.state = status == DmaStatus::ok ? Slot::State::moved : Slot::State::failed;
  } else {
    slot.state = Slot::State::moved;
  }
  finish(dma.scope());
}

/// Sends and returns what was read, in order; a frame that is still being read holds back the later
/// ones. What a frame sets off on the wire may come back here: the outer call then goes on.
void TransmitQueue::finish(const Scope& scope) {
  if (std::exchange(sending_, true)) return;
  while (!slots_.empty() && slots_.front().state != Slot::State::moving) {
    Slot& slot = slots_.front();
    Chain* const chain = std::exchange(slot.chain, nullptr);
    if (slot.state == Slot::State::failed) {
      // The queue is over until it is reset: this frame stays in front of the later ones.
      if (chain) host_->fail(*chain, RingError::data_unreadable);
      break;
    }
    slots_.pop(); // its slot is not used again before its chain is returned
    owner_.transmitted(index_, slot.bytes);
    if (scope.cancelled()) break;
    host_->complete(*chain, 0, {.full = true}); // read as far as it will ever be
  }
  sending_ = false;
}

} // namespace virtio::net
