// One transmit queue (virtio 1.4, 5.1.6.2): reads several frames from guest memory at a time and
// hands them on in the order of the queue, each before its chain is returned: at once, or when the
// wire has taken it.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/fifo.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace virtio::net {

class TransmitQueue {
public:
  class Owner {
  public:
    virtual ~Owner() = default;
    /// What a chain held, virtio_net_hdr in front. Too long for any frame: nothing of it.
    virtual void transmitted(QueueIndex queue, std::span<const std::byte> bytes) = 0;
    /// When that will have left. Asked for each chain in the order of the queue; only of a queue
    /// that is timed.
    virtual SimTime leaves_at(std::span<const std::byte> bytes) = 0;
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
    SimTime leaves_at{};
  };

  Task<> read(Slot& slot);
  void finish(Scope& scope);
  bool finish_front(const Scope& scope);
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
