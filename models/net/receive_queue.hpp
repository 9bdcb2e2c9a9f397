// One receive queue (virtio 1.4, 5.1.6.3, 5.1.6.4): frames that arrived wait here for the driver's
// buffers, are written to them several at a time, and come back in the order of arrival. With
// VIRTIO_NET_F_MRG_RXBUF a frame takes as many buffers as it needs, which are used together.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/fifo.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/packet.hpp>
#include <virtio/net/stats.hpp>

#include <cstdint>
#include <vector>

namespace virtio::net {

class ReceiveQueue {
public:
  /// Hears when no frame is under way to the driver's buffers any longer.
  class Owner {
  public:
    virtual ~Owner() = default;
    virtual void receive_idle() = 0;
  };

  /// At most `frames` wait or are under way; the queue has at most `queue_size` entries.
  ReceiveQueue(QueueIndex index, std::uint16_t frames, std::uint16_t queue_size, NetStats& stats,
               Owner& owner);

  void attach(FunctionHost& host) { host_ = &host; }
  /// Of each frame's header, the driver gets `header_bytes`.
  void start(bool mergeable, std::size_t header_bytes) {
    mergeable_ = mergeable;
    header_bytes_ = header_bytes;
  }

  /// A frame for this queue, and what its header says but for num_buffers; dropped and counted when
  /// too many wait.
  void receive(virtio_net_hdr_hash header, Frame frame);
  void on_chain(Chain& chain);
  /// Forgets the queue's buffers. Frames that were under way to them wait for new ones.
  void on_abort();
  /// Drops every frame.
  void reset();

  /// No frame is under way to the driver's buffers.
  bool idle() const { return moving_ == 0 && !finishing_; }
  /// Hands the frames that wait, with their headers, to `take` and forgets them.
  template <class Take> void give_up_waiting(Take&& take) {
    for (std::size_t i = matched_; i < frames_.size(); ++i)
      if (frames_[i].state == Slot::State::waiting)
        take(header_of(frames_[i]), frame_of(frames_[i]));
    frames_.truncate(matched_);
  }

private:
  /// A frame between the wire and guest memory, with its header in front.
  struct Slot {
    enum class State : std::uint8_t { waiting, moving, moved, dropped, failed };

    std::vector<std::byte> bytes;
    std::vector<Chain*> chains;
    State state = State::waiting;
  };

  static virtio_net_hdr header_of(const Slot& slot);
  Frame frame_of(const Slot& slot) const;
  std::size_t buffers_for(const Slot& slot);
  void match();
  Task<> write(Slot& slot);
  void moved(Slot& slot, Slot::State state);
  void finish();
  bool hand_over(Slot& slot);

  QueueIndex index_;
  NetStats& stats_;
  Owner& owner_;
  FunctionHost* host_ = nullptr;
  bool mergeable_ = false;
  std::size_t header_bytes_ = sizeof(virtio_net_hdr);
  Fifo<Slot> frames_;        // in the order of arrival: matched ones first, then waiting
  std::size_t matched_ = 0;  // of frames_ have buffers, or were dropped
  std::size_t moving_ = 0;   // of the matched ones
  Fifo<Chain*> buffers_;     // posted, in order
  std::uint64_t room_ = 0;   // bytes in buffers_
  bool failed_ = false;      // memory refused a frame: nothing moves until the queue is reset
  bool finishing_ = false;   // finish() is at work
  std::uint32_t resets_ = 0; // distinguishes before and after one
};

} // namespace virtio::net
