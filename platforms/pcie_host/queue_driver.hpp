// QueueDriver: the driver's work on one virtqueue. It starts requests (as many as may be under way
// in a closed loop, as they arrive in an open one), takes finished ones back, has their data
// checked and measures them, at the host's cost.
#pragma once

#include <virtio/platforms/pcie_host/core.hpp>
#include <virtio/platforms/pcie_host/distribution.hpp>
#include <virtio/platforms/pcie_host/traffic.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace virtio::platform::pcie_host {

struct QueueDriverParams {
  std::uint16_t depth = 1;
  std::uint16_t batch = 1;
  std::uint16_t descriptors = 1; ///< of the ring, that a request takes
};

class QueueDriver {
public:
  /// Without `arrivals` the loop is closed. Everything referred to outlives it.
  QueueDriver(Core& core, driver::Virtqueue& queue, QueueLog& log, Measurement& measurement,
              std::unique_ptr<Traffic> traffic, std::optional<Arrivals> arrivals,
              const QueueDriverParams& params);

  /// Traffic starts now: an open loop's first request arrives after its first distance.
  void begin(SimTime now);
  // What the core does at one look at the queue, in this order; what each costs is the core's.
  /// Whether interrupts came since the last call.
  bool interrupted();
  /// At the end of the handler.
  void interrupt_handled();
  /// Finished requests are taken back, not more than napi_budget.
  bool looking() const { return looking_; }
  std::optional<driver::Virtqueue::Used> take_used() { return queue_.take_used(); }
  /// `noticed`: when the look began.
  void finish(const driver::Virtqueue::Used& used, SimTime noticed);
  /// After a look; `all`: it left nothing.
  void look_done(bool all);
  /// Requests are started, not more than a batch, and then published.
  bool may_start() const;
  unsigned batch() const { return params_.batch; }
  /// `start`: when the core turned to it.
  void start_one(SimTime start);
  /// Returns whether the device is to be notified.
  bool publish() { return queue_.publish(); }
  void notify() { queue_.notify(); }

  /// Requests are with the device (posted buffers are none).
  bool under_way() const {
    return traffic_->posts_buffers() ? traffic_->awaits() : free_.size() != params_.depth;
  }
  std::optional<SimTime> next_arrival() const { return arrival_; }
  /// Null: the queue is polled.
  driver::Interrupt* interrupt() const { return queue_.interrupt(); }
  /// After all is over: what had arrived by the end of the measurement and was never started.
  void account_for_the_rest();

  std::uint64_t started() const { return started_; }
  Traffic& traffic() { return *traffic_; }

private:
  Core& core_;
  driver::Virtqueue& queue_;
  QueueLog& log_;
  Measurement& measurement_;
  std::unique_ptr<Traffic> traffic_;
  std::optional<Arrivals> arrivals_;
  QueueDriverParams params_;
  std::optional<SimTime> arrival_; // the next one; may have passed already
  std::vector<unsigned> free_;     // slots, the one freed last is taken first
  std::vector<unsigned> slot_of_;  // by token
  std::uint64_t started_ = 0;
  // Without interrupts the driver always looks; with them from one to the look that found all.
  bool looking_ = true;
  std::uint64_t interrupts_ = 0; // that were noticed
};

} // namespace virtio::platform::pcie_host
