// How a driver's thread learns that buffers of its queues were used: polling, interrupts, or
// interrupts that switch over to polling while there is work (as Linux's NAPI does). One object
// for each thread; a queue belongs to one of them.
#pragma once

#include <virtio/platforms/driver/virtqueue.hpp>

#include <systemc>

#include <cstdint>
#include <functional>
#include <vector>

namespace virtio::driver {

struct CompletionParams {
  enum class Kind : std::uint8_t {
    poll,      ///< notifications are off; the rings are looked at every `interval`
    interrupt, ///< notifications are on; each wakes the thread, which takes what there is
    /// A notification wakes the thread, which disables them and polls: at most `budget` buffers of
    /// a queue, then the next queue's turn. A queue with fewer has them enabled again, and is
    /// looked at once more.
    napi,
  };
  Kind kind = Kind::interrupt;
  sc_core::sc_time interval{1, sc_core::SC_US}; ///< of polling; more than 0 (assumed)
  unsigned budget = 64;                         ///< buffers; Linux's NAPI_POLL_WEIGHT
  /// How often a thread that waits in vain asks whether the device needs a reset (assumed).
  sc_core::sc_time status_interval{100, sc_core::SC_US};
};

class CompletionPolicy {
public:
  /// Gets each used buffer; it may add and kick, and let time pass.
  using Handler = std::function<void(Virtqueue&, const Virtqueue::Used&)>;

  /// Sets the queues' notifications as `params` asks, whatever their options said. The queues
  /// outlive it. Kinds that need interrupts throw DriverError for a queue without.
  CompletionPolicy(Bus& bus, std::vector<Virtqueue*> queues, const CompletionParams& params = {});

  /// Takes what is there now, without waiting, at most what is in flight; `napi`: at most `budget`
  /// of each queue. Returns how many.
  std::size_t poll(const Handler& handler);
  /// Waits until at least one buffer was taken; 0 when `timeout` has passed. Throws DriverError
  /// when a device needs a reset.
  std::size_t wait(sc_core::sc_time timeout, const Handler& handler);

  struct Counts {
    std::uint64_t used = 0;       ///< buffers taken
    std::uint64_t rounds = 0;     ///< looks at all queues
    std::uint64_t empty = 0;      ///< of these, with nothing to take
    std::uint64_t sleeps = 0;     ///< waits for an interrupt
    std::uint64_t switches = 0;   ///< napi: notifications enabled again
    std::uint64_t late_finds = 0; ///< napi: of these, with something that came just before
  };
  const Counts& counts() const { return counts_; }

private:
  struct Entry {
    Virtqueue* queue = nullptr;
    bool polled = false; // napi: its notifications are off
  };
  std::size_t take(Virtqueue& queue, unsigned most, const Handler& handler);
  std::size_t poll_napi(Entry& entry, const Handler& handler);
  std::uint64_t interrupts() const;

  Bus& bus_;
  CompletionParams params_;
  std::vector<Entry> queues_;
  sc_core::sc_event_or_list arrivals_;
  Counts counts_;
};

} // namespace virtio::driver
