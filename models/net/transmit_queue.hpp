// One transmit queue (virtio 1.4, 5.1.6.2): reads several frames from guest memory at a time and
// hands them on in the order of the queue, each before its chain is returned.
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
  };

  /// Takes at most `window` chains at a time.
  TransmitQueue(QueueIndex index, std::uint16_t window, Owner& owner);

  void attach(FunctionHost& host) { host_ = &host; }
  /// Chains of more than `max_bytes` are not read.
  void start(std::size_t max_bytes) { max_bytes_ = max_bytes; }
  void on_chain(Chain& chain);
  void on_abort() { slots_.clear(); }

private:
  struct Slot {
    enum class State : std::uint8_t { moving, moved, failed };

    std::vector<std::byte> bytes;
    Chain* chain = nullptr;
    State state = State::moving;
  };

  Task<> read(Slot& slot);
  void finish(const Scope& scope);

  QueueIndex index_;
  Owner& owner_;
  FunctionHost* host_ = nullptr;
  std::size_t max_bytes_ = 0;
  Fifo<Slot> slots_; // in the order of the queue
  bool sending_ = false;
};

} // namespace virtio::net
