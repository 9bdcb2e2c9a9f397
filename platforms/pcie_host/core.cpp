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

SimTime Core::cost(std::uint64_t cycles) {
  constexpr std::uint64_t second_ps = 1'000'000'000'000;
  constexpr std::uint64_t fits_64_bits = 10'000'000;
  const std::uint64_t clock = host_.clock.hertz;
  SimTime time;
  if (cycles < fits_64_bits) {
    const std::uint64_t scaled = cycles * second_ps + rest_;
    time.ps = scaled / clock;
    rest_ = scaled % clock;
  } else {
    const Wide scaled = static_cast<Wide>(cycles) * second_ps + rest_;
    time.ps = static_cast<std::uint64_t>(scaled / clock);
    rest_ = static_cast<std::uint64_t>(scaled % clock);
  }
  busy_ = busy_ + time;
  return time;
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

// One coroutine with everything that takes time in it: each nested one would cost an event.
Task<> Core::drive() {
  while (!stopping_ || any_under_way()) {
    bool did_something = false;
    for (QueueDriver* const queue : queues_) {
      if (queue->interrupted()) {
        did_something = true;
        co_await spend(host_.interrupt_cycles);
        queue->interrupt_handled();
      }
      if (queue->looking()) {
        const SimTime noticed = now();
        std::uint32_t taken = 0;
        for (; taken < host_.napi_budget; ++taken) {
          const auto used = queue->take_used();
          if (!used) break;
          co_await spend(host_.complete_cycles);
          queue->finish(*used, noticed);
        }
        queue->look_done(taken < host_.napi_budget);
        did_something |= taken != 0;
      }
      unsigned started = 0;
      for (; started < queue->batch() && queue->may_start(); ++started) {
        const SimTime turned_to = now();
        co_await spend(host_.submit_cycles);
        queue->start_one(turned_to);
      }
      if (started != 0 && queue->publish()) co_await ring(*queue);
      did_something |= started != 0;
    }
    if (!did_something && (!stopping_ || any_under_way())) co_await Sleep(*this, next_look());
  }
}

/// Writes a doorbell.
Task<> Core::ring(QueueDriver& queue) {
  SimTime waits;
  {
    driver::Bus::Annotated taken(bus_);
    queue.notify();
    waits = tlm2::to_sim_time(taken.delay);
  }
  co_await delay(scope_, waits);
  co_await spend(host_.mmio_write_cycles);
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
