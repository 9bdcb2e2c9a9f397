#include <virtio/platforms/pcie_host/bottleneck.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::platform::pcie_host {

namespace {

std::string percent(std::uint64_t per_mille) {
  return fmt::format("{}.{} %", per_mille / 10, per_mille % 10);
}

std::string milli(std::uint64_t value) {
  return fmt::format("{}.{:03}", value / 1000, value % 1000);
}

std::string ns(std::uint64_t ps) {
  return fmt::format("{} ns", (ps + 500) / 1000);
}

std::string rate(std::uint64_t per_second) {
  return fmt::format("{} requests/s", per_second);
}

/// `part` of `whole` scaled to `value`: value * whole / part.
std::uint64_t scaled(std::uint64_t value, std::uint64_t whole, std::uint64_t part) {
  return static_cast<std::uint64_t>(Wide{value} * whole / std::max<std::uint64_t>(part, 1));
}

const Stall* worst(const std::vector<Stall>& stalls) {
  const Stall* found = nullptr;
  for (const Stall& stall : stalls)
    if (stall.is_cause && (!found || stall.waiting_milli > found->waiting_milli)) found = &stall;
  return found;
}

Bottleneck saturated(const Resource& r) {
  return {r.name, fmt::format("The bottleneck is {}: it was busy {} of the time.", r.description,
                              percent(r.busy_per_mille))};
}

Bottleneck offered(const Situation& s, const Resource& busiest) {
  return {"offered_load",
          fmt::format("Nothing is saturated, the offered load decides: all {} were served, with {} "
                      "under way on average; the busiest resource, {}, was busy {} of the time, "
                      "and the stage \"{}\" takes {} of the latency.",
                      rate(s.requests_per_second), milli(s.under_way_milli), busiest.description,
                      percent(busiest.busy_per_mille), s.longest_stage,
                      percent(s.longest_stage_per_mille))};
}

Bottleneck stalled(const Stall& stall, const Resource& busiest) {
  return {stall.name,
          fmt::format("The bottleneck is \"{}\": {}, {} of them at a time on average, while no "
                      "resource was busy more than {} of the time ({}).",
                      stall.name, stall.description, milli(stall.waiting_milli),
                      percent(busiest.busy_per_mille), busiest.description)};
}

Bottleneck nearest(const Situation& s, const Resource& r, std::uint64_t bound,
                   std::uint64_t latency_bound) {
  return {r.name,
          fmt::format("The bottleneck is {}: it was busy {} of the time, so it carries {} at most, "
                      "where the {} requests under way would make {} if none waited for another.",
                      r.description, percent(r.busy_per_mille), rate(bound),
                      milli(s.under_way_milli), rate(latency_bound))};
}

Bottleneck latency(const Situation& s, const Resource& busiest) {
  return {
      "latency",
      fmt::format("The bottleneck is latency, with {} requests under way in each queue: a "
                  "request takes {}, of which {} remain on an idle device; no resource was busy "
                  "more than {} of the time ({}), and the stage \"{}\" takes {} of the latency.",
                  s.depth, ns(s.latency_ps), ns(s.unloaded_ps), percent(busiest.busy_per_mille),
                  busiest.description, s.longest_stage, percent(s.longest_stage_per_mille))};
}

} // namespace

Bottleneck judge(const Situation& s, const Limits& limits) {
  if (limits.resources.empty()) return {"none", "Nothing was measured."};
  const Resource& busiest = *std::max_element(
      limits.resources.begin(), limits.resources.end(),
      [](const Resource& a, const Resource& b) { return a.busy_per_mille < b.busy_per_mille; });
  if (busiest.busy_per_mille >= full_per_mille) return saturated(busiest);
  const bool keeps_up = s.dropped == 0 && s.under_way_milli < 1000 * s.places;
  if (s.open_loop && keeps_up) return offered(s, busiest);
  // What a stall waits for is used up most of the time. The device's own queues are no cause: they
  // are full because something behind them is.
  const Stall* const stall = worst(limits.stalls);
  const bool waits = stall && stall->waiting_milli >= 500;
  if (waits && busiest.busy_per_mille < saturated_per_mille) return stalled(*stall, busiest);
  const std::uint64_t bound = scaled(s.requests_per_second, 1000, busiest.busy_per_mille);
  const std::uint64_t latency_bound = scaled(s.requests_per_second, s.latency_ps, s.unloaded_ps);
  if (waits || (busiest.busy_per_mille >= 500 && bound < latency_bound))
    return nearest(s, busiest, bound, latency_bound);
  return latency(s, busiest);
}

} // namespace virtio::platform::pcie_host
