// The contract of a device type: what it offers, its configuration space, and what it does with a
// descriptor chain. A function never sees a ring, a register or a transport; it reads and writes
// memory through its host's Dma.
#pragma once

#include <virtio/core/ring_engine.hpp>
#include <virtio/core/task.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace virtio {

/// Virtio device IDs (virtio 1.4, 5).
enum class DeviceType : std::uint16_t { net = 1, block = 2, console = 3, entropy = 4 };

/// What a device gives its function.
class FunctionHost {
public:
  virtual ~FunctionHost() = default;
  virtual Dma dma(QueueIndex queue) = 0;
  /// Returns a chain to the driver; `written` bytes were written to it from its first
  /// device-writable byte on.
  virtual void complete(Chain& chain, std::uint32_t written, CompletionHints hints = {}) = 0;
  /// A chain cannot be answered: the queue stops and DEVICE_NEEDS_RESET is set.
  virtual void fail(Chain& chain, RingError error) = 0;
  /// How the queue's used buffer notifications are coalesced from now on, until it is called again.
  /// Returns false when the ring engine cannot.
  virtual bool coalesce(QueueIndex queue, const NotificationCoalescing& how) {
    (void)queue, (void)how;
    return false;
  }
  /// The function changed its configuration space: the generation changes and the driver is told.
  virtual void config_changed() = 0;
  /// DRIVER_OK is set and no reset is under way.
  virtual bool live() const = 0;
  /// The queue is enabled and not being reset.
  virtual bool queue_live(QueueIndex queue) const = 0;
  virtual Executor& executor() = 0;
  virtual const std::string& name() const = 0;
};

class DeviceFunction {
public:
  virtual ~DeviceFunction() = default;
  /// Called once, before anything else.
  virtual void attach(FunctionHost& host) { host_ = &host; }

  virtual DeviceType type() const = 0;
  /// The device type's own feature bits that are offered. Must not change while a driver is
  /// attached.
  virtual FeatureSet features() const = 0;
  /// Whether the function can run with `accepted`, a subset of what was offered.
  virtual bool accepts(const FeatureSet& accepted) const {
    (void)accepted;
    return true;
  }
  virtual std::uint16_t num_queues() const = 0;
  /// Largest size of a queue; 0: the queue does not exist.
  virtual std::uint16_t max_queue_size(QueueIndex queue) const = 0;
  /// How many chains of a queue the function takes at a time. It must be ready for that many. Asked
  /// after start(); 0 for a queue that does not exist with what was negotiated.
  virtual std::uint32_t window(QueueIndex queue) const { return max_queue_size(queue); }

  /// The device-specific configuration space as it stands; empty when the type has none.
  virtual std::span<const std::byte> config() const { return {}; }
  /// The driver wrote `bytes` at `offset`, within config(). What the type does not let it write is
  /// ignored.
  virtual void write_config(std::uint32_t offset, std::span<const std::byte> bytes) {
    (void)offset;
    (void)bytes;
  }

  /// DRIVER_OK was set.
  virtual void start(const FeatureSet& negotiated) { (void)negotiated; }
  /// The device was reset: back to the state after power-on. Chains held were aborted before.
  virtual void reset() {}
  /// Chains of this queue that the function holds are gone; forget them. Tasks that use one end by
  /// themselves.
  virtual void on_abort(QueueIndex queue) { (void)queue; }

  virtual void on_chain(Chain& chain) = 0;

protected:
  FunctionHost& host() const { return *host_; }
  /// Runs `make()`, a Task<void>, as a task of the chain's queue: a reset of the queue cancels it.
  template <class F> void start_task(const Chain& chain, F&& make) {
    host_->dma(chain.queue).scope().start(std::forward<F>(make));
  }

private:
  FunctionHost* host_ = nullptr;
};

} // namespace virtio
