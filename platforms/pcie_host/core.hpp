// Core: one of the host's processor cores, which runs the driver for the queues dealt to it. What
// the driver does there costs cycles, during which the core does nothing else. It is a coroutine of
// the platform's executor: a thread of SystemC would cost more than what it does.
#pragma once

#include <virtio/core/task.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/virtqueue.hpp>
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
  Core(const HostConfig& host, Executor& executor, driver::Bus& bus);
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

  SimTime now() const { return executor_.now(); }
  SimTime busy() const { return busy_; }
  const HostConfig& host() const { return host_; }
  bool stopping() const { return stopping_; }

private:
  /// How the core sleeps: until a time, or until it is woken.
  class Sleep;

  Task<> run();
  Task<> drive();
  Task<> ring(QueueDriver& queue);
  bool any_under_way() const;
  std::optional<SimTime> next_look() const;
  void wake();
  /// The time of so many cycles, during which the core is busy.
  SimTime cost(std::uint64_t cycles);
  Delay spend(std::uint64_t cycles) { return delay(scope_, cost(cycles)); }
  /// Lets SystemC's time catch up: before anything that other processes see.
  auto at_host_time() {
    struct Awaiter : Wake {
      Executor& executor;
      explicit Awaiter(Executor& e) : executor(e) {}
      bool await_ready() const { return !executor.ahead(); }
      void await_suspend(std::coroutine_handle<> self) {
        handle = self;
        at_host_time = true;
        executor.post(*this);
      }
      void await_resume() const {}
    };
    return Awaiter(executor_);
  }

  const HostConfig& host_;
  driver::Bus& bus_;
  Executor& executor_;
  Scope scope_;
  std::vector<QueueDriver*> queues_;
  Wake* sleeping_ = nullptr;
  sc_core::sc_event ended_;
  bool stopping_ = false;
  bool done_ = false;
  std::optional<std::string> failure_;
  SimTime busy_;
  std::uint64_t rest_ = 0; // of a picosecond, from converting cycles
};

} // namespace virtio::platform::pcie_host
