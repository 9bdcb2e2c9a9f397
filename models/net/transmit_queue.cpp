#include <virtio/net/transmit_queue.hpp>

#include <utility>

namespace virtio::net {

TransmitQueue::TransmitQueue(QueueIndex index, std::uint16_t window, Owner& owner)
    : index_(index), owner_(owner), slots_(window) {}

void TransmitQueue::on_chain(Chain& chain) {
  Slot& slot = slots_.push();
  slot.chain = &chain;
  slot.state = Slot::State::moving;
  slot.frame = 0;
  host_->dma(index_).scope().start([&] { return read(slot); });
}

void TransmitQueue::on_abort() {
  slots_.clear();
  departed_ = 0;
  sending_ = false;
}

// Device-writable buffers are left alone.
Task<> TransmitQueue::read(Slot& slot) {
  const Dma dma = host_->dma(index_);
  const auto pieces = slot.chain->readable();
  const std::uint64_t len = slot.chain->readable_len;
  const bool wanted = len <= max_bytes_ && len > 0;
  slot.bytes.resize(wanted ? len : 0); // not cleared before: all of it is overwritten
  if (wanted) {
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
void TransmitQueue::finish(Scope& scope) {
  if (timed_) return depart(scope);
  if (std::exchange(sending_, true)) return;
  while (!slots_.empty() && slots_.front().state != Slot::State::moving)
    if (!finish_front(scope)) break;
  sending_ = false;
}

/// False when nothing further can be done before a reset.
bool TransmitQueue::finish_front(const Scope& scope) {
  Slot& slot = slots_.front();
  Chain* const chain = std::exchange(slot.chain, nullptr);
  if (slot.state == Slot::State::failed) {
    // The queue is over until it is reset: this frame stays in front of the later ones.
    if (chain) host_->fail(*chain, RingError::data_unreadable);
    return false;
  }
  slots_.pop(); // its slot is not used again before its chain is returned
  owner_.transmitted(index_, slot.bytes, slot.frame, false);
  if (scope.cancelled()) return false;
  host_->complete(*chain, 0, {.full = true}); // read as far as it will ever be
  return true;
}

/// Puts what was read on its way, in order.
void TransmitQueue::depart(Scope& scope) {
  for (; departed_ < slots_.size(); ++departed_) {
    Slot& slot = slots_[departed_];
    if (slot.state == Slot::State::moving) break;
    const bool failed = slot.state == Slot::State::failed;
    slot.departure = failed ? Departure{.ready = scope.executor().now()} //
                            : owner_.departure(slot.bytes);
    slot.leaves_at = slot.departure.next(slot.departure.frames);
  }
  if (departed_ > 0 && !std::exchange(sending_, true))
    scope.start([&] { return finish_in_time(scope); });
}

/// The front's next frame has left. False when it was the last, or a reset came.
bool TransmitQueue::send_front(const Scope& scope) {
  Slot& slot = slots_.front();
  if (slot.frame + 1 >= slot.departure.frames) return false;
  owner_.transmitted(index_, slot.bytes, slot.frame, true);
  if (scope.cancelled()) return false;
  ++slot.frame;
  slot.leaves_at = slot.departure.next(slot.departure.frames - slot.frame);
  return true;
}

Task<> TransmitQueue::finish_in_time(Scope& scope) {
  while (departed_ > 0) {
    const SimTime now = scope.executor().now();
    const SimTime leaves_at = slots_.front().leaves_at;
    if (leaves_at > now) {
      const bool elapsed = co_await delay(scope, leaves_at - now);
      if (!elapsed) co_return;
    }
    if (send_front(scope)) continue;
    if (scope.cancelled()) co_return;
    --departed_;
    if (!finish_front(scope)) co_return;
  }
  sending_ = false;
}

} // namespace virtio::net
