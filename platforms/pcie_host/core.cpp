#include <virtio/platforms/pcie_host/core.hpp>
#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/executor.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

void Core::start() {
  wakes_ |= wake_;
  for (const QueueDriver* queue : queues_)
    if (queue->interrupt()) wakes_ |= queue->interrupt()->arrived();
  sc_core::sc_spawn([this] { run(); }, sc_core::sc_gen_unique_name("core"));
}

void Core::stop() {
  stopping_ = true;
  wake_.notify(sc_core::SC_ZERO_TIME);
}

void Core::spend(std::uint64_t cycles) {
  constexpr std::uint64_t second_ps = 1'000'000'000'000;
  const Wide scaled = static_cast<Wide>(cycles) * second_ps + rest_;
  const SimTime time{static_cast<std::uint64_t>(scaled / host_.clock.hertz)};
  rest_ = scaled % host_.clock.hertz;
  busy_ = busy_ + time;
  if (time.ps != 0) sc_core::wait(tlm2::to_sc_time(time));
}

void Core::run() {
  try {
    drive();
  } catch (const std::runtime_error& error) { // DriverError, WrongData
    failure_ = error.what();
  }
  done_ = true;
  ended_.notify(sc_core::SC_ZERO_TIME);
}

void Core::drive() {
  while (!stopping_ || any_under_way())
    if (!serve_all() && (!stopping_ || any_under_way())) idle();
}

bool Core::serve_all() {
  bool did_something = false;
  for (QueueDriver* queue : queues_)
    did_something |= queue->serve();
  return did_something;
}

bool Core::any_under_way() const {
  return std::any_of(queues_.begin(), queues_.end(),
                     [](const QueueDriver* queue) { return queue->under_way(); });
}

/// Until the next look at what is polled, the next arrival, or an interrupt.
void Core::idle() {
  const SimTime now = tlm2::to_sim_time(sc_core::sc_time_stamp());
  std::optional<SimTime> next;
  const auto at = [&](SimTime time) { next = next ? std::min(*next, time) : time; };
  // At the end another core may receive what this one waits for.
  if (stopping_) at(now + microseconds(1));
  for (const QueueDriver* queue : queues_) {
    if (!queue->interrupt()) at(now + SimTime{host_.poll_interval.count()});
    if (const auto arrival = queue->next_arrival(); arrival && !stopping_)
      at(std::max(*arrival, now + SimTime{1}));
  }
  if (next)
    sc_core::wait(tlm2::to_sc_time(*next - now), wakes_);
  else
    sc_core::wait(wakes_);
}

} // namespace virtio::platform::pcie_host
