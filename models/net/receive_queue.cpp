#include <virtio/core/chain_io.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/receive_queue.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace virtio::net {

ReceiveQueue::ReceiveQueue(QueueIndex index, std::uint16_t frames, std::uint16_t queue_size,
                           NetStats& stats, Owner& owner)
    : index_(index), stats_(stats), owner_(owner), frames_(frames), buffers_(queue_size) {}

Frame ReceiveQueue::frame_of(const Slot& slot) const {
  return Frame(slot.bytes).subspan(header_bytes_);
}

virtio_net_hdr ReceiveQueue::header_of(const Slot& slot) {
  virtio_net_hdr header;
  read_layout(slot.bytes, header);
  return header;
}

void ReceiveQueue::receive(virtio_net_hdr_hash header, Frame frame) {
  if (frames_.full()) {
    ++stats_.rx_no_buffer;
    return;
  }
  header.hdr.num_buffers = std::uint16_t{1};
  Slot& slot = frames_.push();
  slot.state = Slot::State::waiting;
  slot.chains.clear();
  slot.bytes.resize(header_bytes_ + frame.size());
  std::memcpy(slot.bytes.data(), &header, header_bytes_);
  std::copy(frame.begin(), frame.end(),
            slot.bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes_));
  match();
}

void ReceiveQueue::on_chain(Chain& chain) {
  buffers_.push(&chain);
  room_ += chain.writable_len;
  match();
}

void ReceiveQueue::on_abort() {
  ++resets_;
  buffers_.clear();
  room_ = 0;
  for (std::size_t i = 0; i < matched_; ++i) {
    Slot& slot = frames_[i];
    slot.chains.clear();
    if (slot.state != Slot::State::dropped) slot.state = Slot::State::waiting;
  }
  matched_ = 0;
  moving_ = 0;
  failed_ = false;
  if (idle()) owner_.receive_idle();
}

void ReceiveQueue::reset() {
  frames_.clear();
  matched_ = 0;
}

/// How many of the posted buffers the frame takes; 0: there are not enough yet.
std::size_t ReceiveQueue::buffers_for(const Slot& slot) {
  if (!mergeable_) return buffers_.empty() ? 0 : 1;
  if (room_ < slot.bytes.size()) return 0;
  std::size_t count = 0;
  for (std::uint64_t room = 0; room < slot.bytes.size(); ++count)
    room += buffers_[count]->writable_len;
  return count;
}

// Without VIRTIO_NET_F_MRG_RXBUF a frame takes one buffer (5.1.6.3.2). One that the driver made too
// small for it - it SHOULD post 1526 bytes - costs the frame; the buffer stays for the next.
void ReceiveQueue::match() {
  while (matched_ < frames_.size() && !failed_) {
    Slot& slot = frames_[matched_];
    const std::size_t count = slot.state == Slot::State::dropped ? 0 : buffers_for(slot);
    const bool too_small = count == 1 && slot.bytes.size() > buffers_.front()->writable_len;
    if (too_small) {
      ++stats_.rx_small_buffer;
      slot.state = Slot::State::dropped;
    }
    if (slot.state == Slot::State::dropped) {
      ++matched_;
      finish();
      continue;
    }
    if (count == 0) return;
    for (std::size_t i = 0; i < count; ++i) {
      slot.chains.push_back(buffers_.front());
      room_ -= buffers_.front()->writable_len;
      buffers_.pop();
    }
    const le16 num_buffers = static_cast<std::uint16_t>(count);
    std::memcpy(&slot.bytes[offsetof(virtio_net_hdr, num_buffers)], &num_buffers,
                sizeof num_buffers);
    slot.state = Slot::State::moving;
    ++matched_;
    ++moving_;
    host_->dma(index_).scope().start([&] { return write(slot); });
  }
}

// All buffers but the last are filled completely (5.1.6.4.1).
Task<> ReceiveQueue::write(Slot& slot) {
  const Dma dma = host_->dma(index_);
  std::size_t done = 0;
  for (std::size_t i = 0; done < slot.bytes.size(); ++i) {
    PieceCursor room(slot.chains[i]->writable());
    while (const PieceRun run = room.take(slot.bytes.size() - done)) {
      const DmaStatus status =
          co_await dma.scatter(run.first, run.rest, slot.bytes.data() + done, AccessKind::data);
      if (status == DmaStatus::cancelled) co_return;
      if (status != DmaStatus::ok) {
        moved(slot, Slot::State::failed);
        co_return;
      }
      done += run.len;
    }
  }
  moved(slot, Slot::State::moved);
}

void ReceiveQueue::moved(Slot& slot, Slot::State state) {
  slot.state = state;
  --moving_;
  finish();
}

/// Returns buffers to the driver in the order in which the frames arrived. What a completion sets
/// off may come back here: the outer call then goes on, so that nothing comes between the buffers
/// of one frame.
void ReceiveQueue::finish() {
  if (std::exchange(finishing_, true)) return;
  while (matched_ > 0 && frames_.front().state != Slot::State::moving) {
    Slot& slot = frames_.front();
    if (slot.state == Slot::State::failed) {
      if (!std::exchange(failed_, true))
        host_->fail(*slot.chains.front(), RingError::data_unwritable);
      break;
    }
    if (slot.state == Slot::State::moved && !hand_over(slot)) continue;
    frames_.pop();
    --matched_;
  }
  finishing_ = false;
  if (idle()) owner_.receive_idle();
}

/// False when a reset of the queue came in between: the frame then waits for new buffers.
bool ReceiveQueue::hand_over(Slot& slot) {
  const std::uint32_t before = resets_;
  const std::size_t count = slot.chains.size();
  auto left = static_cast<std::uint32_t>(slot.bytes.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto written =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(left, slot.chains[i]->writable_len));
    left -= written;
    host_->complete(*slot.chains[i], written, {.more = i + 1 < count});
    if (resets_ != before) return false;
  }
  ++stats_.rx_frames;
  stats_.rx_bytes += slot.bytes.size() - header_bytes_;
  stats_.rx_buffers += count;
  return true;
}

} // namespace virtio::net
