// One transmit queue (virtio 1.4, 5.1.6.2): reads several frames from guest memory at a time and
// hands them on in the order of the queue, each before its chain is returned: at once, or when the
// wire has taken it, frame by frame.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/fifo.hpp>
#include <virtio/core/serial_line.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace virtio::net {

/// When the frames of a packet leave, one after the other; the wire is taken for all of them.
struct Departure {
  SimTime ready{};                ///< for the wire
  SerialLine line = SerialLine(); ///< as it was before the next frame
  std::size_t frames = 1;
  std::uint64_t bits = 0;      ///< of each frame but the last
  std::uint64_t last_bits = 0; ///< of the last

  /// When the next frame will have left, of which `left` are there.
  SimTime next(std::size_t left) { return line.transfer(ready, left > 1 ? bits : last_bits); }
};

class TransmitQueue {
public:
  class Owner {
  public:
    virtual ~Owner() = default;
    /// What a chain held, virtio_net_hdr in front; too long for any frame: nothing of it. Its
    /// frames from `frame` on have left: one of them if `more` will, else all.
    virtual void transmitted(QueueIndex queue, std::span<const std::byte> bytes, std::size_t frame,
                             bool more) = 0;
    /// When they will. Asked for each chain in the order of the queue; only of a queue that is
    /// timed.
    virtual Departure departure(std::span<const std::byte> bytes) = 0;
  };

  /// Takes at most `window` chains at a time.
  TransmitQueue(QueueIndex index, std::uint16_t window, Owner& owner);

  void attach(FunctionHost& host) { host_ = &host; }
  /// Chains of more than `max_bytes` are not read.
  void start(std::size_t max_bytes, bool timed) {
    max_bytes_ = max_bytes;
    timed_ = timed;
  }
  void on_chain(Chain& chain);
  void on_abort();

private:
  struct Slot {
    enum class State : std::uint8_t { moving, moved, failed };

    std::vector<std::byte> bytes;
    Chain* chain = nullptr;
    State state = State::moving;
    Departure departure;
    std::size_t frame = 0; // the next one
    SimTime leaves_at{};   // when it will have left
  };

  Task<> read(Slot& slot);
  void finish(Scope& scope);
  bool finish_front(const Scope& scope);
  bool send_front(const Scope& scope);
  void depart(Scope& scope);
  Task<> finish_in_time(Scope& scope);

  QueueIndex index_;
  Owner& owner_;
  FunctionHost* host_ = nullptr;
  std::size_t max_bytes_ = 0;
  bool timed_ = false;
  Fifo<Slot> slots_;         // in the order of the queue
  std::size_t departed_ = 0; // timed: of slots_ know when they leave
  bool sending_ = false;
};

} // namespace virtio::net
