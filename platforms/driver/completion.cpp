#include <virtio/platforms/driver/completion.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::driver {

using Kind = CompletionParams::Kind;

CompletionPolicy::CompletionPolicy(Bus& bus, std::vector<Virtqueue*> queues,
                                   const CompletionParams& params)
    : bus_(bus), params_(params) {
  params_.budget = std::max(params_.budget, 1u);
  for (Virtqueue* queue : queues) {
    queues_.push_back({queue, false});
    queue->set_interrupts(params_.kind != Kind::poll);
    if (params_.kind == Kind::poll) continue;
    if (!queue->interrupt())
      throw DriverError(fmt::format("{}: queue {} has no interrupt, so it must be polled",
                                    queue->device().place(), queue->index()));
    arrivals_ |= queue->interrupt()->arrived();
  }
}

std::size_t CompletionPolicy::take(Virtqueue& queue, unsigned most, const Handler& handler) {
  std::size_t taken = 0;
  while (taken < most) {
    const auto used = queue.take_used();
    if (!used) break;
    ++taken;
    handler(queue, *used);
  }
  counts_.used += taken;
  return taken;
}

std::size_t CompletionPolicy::poll_napi(Entry& entry, const Handler& handler) {
  Virtqueue& queue = *entry.queue;
  if (!entry.polled) {
    if (!queue.has_used()) return 0;
    queue.set_interrupts(false);
    entry.polled = true;
  }
  const std::size_t taken = take(queue, params_.budget, handler);
  if (taken == params_.budget) return taken;
  queue.set_interrupts(true);
  ++counts_.switches;
  // What was used before the device saw that has no interrupt of its own.
  entry.polled = queue.has_used();
  if (entry.polled) {
    queue.set_interrupts(false);
    ++counts_.late_finds;
  }
  return taken;
}

std::size_t CompletionPolicy::poll(const Handler& handler) {
  std::size_t taken = 0;
  for (Entry& entry : queues_)
    taken += params_.kind == Kind::napi ? poll_napi(entry, handler)
                                        : take(*entry.queue, entry.queue->in_flight(), handler);
  ++counts_.rounds;
  counts_.empty += taken == 0;
  return taken;
}

std::uint64_t CompletionPolicy::interrupts() const {
  std::uint64_t all = 0;
  for (const Entry& entry : queues_)
    if (const Interrupt* interrupt = entry.queue->interrupt()) all += interrupt->count();
  return all;
}

std::size_t CompletionPolicy::wait(sc_core::sc_time timeout, const Handler& handler) {
  const auto now = [] { return sc_core::sc_time_stamp(); };
  const sc_core::sc_time end = now() + timeout;
  sc_core::sc_time next_check = now() + params_.status_interval;
  for (;;) {
    const std::uint64_t seen = interrupts();
    if (const std::size_t taken = poll(handler)) return taken;
    const bool polled = std::ranges::any_of(queues_, &Entry::polled);
    const sc_core::sc_time wake = std::min(end, next_check);
    if (now() < wake) {
      if (params_.kind == Kind::poll) {
        bus_.pause(std::min(params_.interval, wake - now()));
      } else if (!polled && interrupts() == seen) {
        ++counts_.sleeps;
        sc_core::wait(wake - now(), arrivals_);
      }
      continue;
    }
    for (const Entry& entry : queues_)
      entry.queue->check_device();
    if (now() >= end) return 0;
    next_check = now() + params_.status_interval;
  }
}

} // namespace virtio::driver
