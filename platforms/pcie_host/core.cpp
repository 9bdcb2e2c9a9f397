#include <virtio/platforms/pcie_host/core.hpp>
#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/executor.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

class Core::Sleep : Wake {
public:
  Sleep(Core& core, std::optional<SimTime> until) : core_(core), until_(until) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    handle = self;
    core_.sleeping_ = this;
    if (until_) core_.executor_.post_at(*this, *until_);
  }
  void await_resume() { core_.sleeping_ = nullptr; }

private:
  Core& core_;
  std::optional<SimTime> until_;
};

Core::Core(const HostConfig& host, Executor& executor, driver::Bus& bus)
    : host_(host), bus_(bus), executor_(executor), scope_(executor, "core") {}

void Core::start() {
  sc_core::sc_spawn_options interrupts;
  interrupts.spawn_method();
  interrupts.dont_initialize();
  bool any = false;
  for (const QueueDriver* queue : queues_) {
    if (!queue->interrupt()) continue;
    interrupts.set_sensitivity(&queue->interrupt()->arrived());
    any = true;
  }
  if (any) sc_core::sc_spawn([this] { wake(); }, sc_core::sc_gen_unique_name("core"), &interrupts);
  scope_.start([this] { return run(); });
}

void Core::stop() {
  stopping_ = true;
  wake();
}

void Core::wake() {
  if (sleeping_) executor_.post(*sleeping_);
}

Delay Core::spend(std::uint64_t cycles) {
  constexpr std::uint64_t second_ps = 1'000'000'000'000;
  const Wide scaled = static_cast<Wide>(cycles) * second_ps + rest_;
  const SimTime time{static_cast<std::uint64_t>(scaled / host_.clock.hertz)};
  rest_ = scaled % host_.clock.hertz;
  busy_ = busy_ + time;
  return delay(scope_, time);
}

Delay Core::ring(driver::Virtqueue& queue) {
  driver::Bus::Annotated taken(bus_);
  queue.notify();
  return delay(scope_, tlm2::to_sim_time(taken.delay));
}

Task<> Core::run() {
  try {
    co_await drive();
  } catch (const std::runtime_error& error) { // DriverError, WrongData
    failure_ = error.what();
  }
  done_ = true;
  co_await at_host_time();
  ended_.notify(sc_core::SC_ZERO_TIME);
}

Task<> Core::drive() {
  while (!stopping_ || any_under_way()) {
    const bool did_something = co_await serve_all();
    if (did_something || (stopping_ && !any_under_way())) continue;
    co_await Sleep(*this, next_look());
  }
}

Task<bool> Core::serve_all() {
  bool did_something = false;
  for (QueueDriver* queue : queues_) {
    const bool did = co_await queue->serve();
    did_something |= did;
  }
  co_return did_something;
}

bool Core::any_under_way() const {
  return std::any_of(queues_.begin(), queues_.end(),
                     [](const QueueDriver* queue) { return queue->under_way(); });
}

/// The next look at what is polled, the next arrival; nothing: an interrupt is waited for.
std::optional<SimTime> Core::next_look() const {
  std::optional<SimTime> next;
  const auto at = [&](SimTime time) { next = next ? std::min(*next, time) : time; };
  // At the end another core may receive what this one waits for.
  if (stopping_) at(now() + microseconds(1));
  for (const QueueDriver* queue : queues_) {
    if (!queue->interrupt()) at(now() + SimTime{host_.poll_interval.count()});
    if (const auto arrival = queue->next_arrival(); arrival && !stopping_)
      at(std::max(*arrival, now() + SimTime{1}));
  }
  return next;
}

} // namespace virtio::platform::pcie_host
