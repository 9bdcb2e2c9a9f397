// Core: one of the host's processor cores, a thread of the simulation that runs the driver for the
// queues dealt to it. What the driver does there costs cycles, during which the core does nothing
// else.
#pragma once

#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/pcie_host/measurement.hpp>
#include <virtio/platforms/pcie_host/wide.hpp>

#include <systemc>

#include <optional>
#include <string>
#include <vector>

namespace virtio::platform::pcie_host {

class QueueDriver;

class Core {
public:
  explicit Core(const HostConfig& host) : host_(host) {}
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void add(QueueDriver& queue) { queues_.push_back(&queue); }
  /// From now on the core serves its queues, until stop() was called and nothing is under way.
  /// What a request gets wrong, or the device, ends it: see failure().
  void start();
  void stop();
  bool done() const { return done_; }
  /// Notified when it is done.
  const sc_core::sc_event& ended() const { return ended_; }

  const std::optional<std::string>& failure() const { return failure_; }

  /// Spends this many cycles. From the core's own thread.
  void spend(std::uint64_t cycles);
  SimTime busy() const { return busy_; }
  const HostConfig& host() const { return host_; }
  bool stopping() const { return stopping_; }

private:
  void run();
  void drive();
  bool serve_all();
  bool any_under_way() const;
  void idle();

  const HostConfig& host_;
  std::vector<QueueDriver*> queues_;
  sc_core::sc_event wake_;
  sc_core::sc_event_or_list wakes_; // that, and every interrupt
  sc_core::sc_event ended_;
  bool stopping_ = false;
  bool done_ = false;
  std::optional<std::string> failure_;
  SimTime busy_;
  Wide rest_ = 0; // of a picosecond, from converting cycles
};

} // namespace virtio::platform::pcie_host
