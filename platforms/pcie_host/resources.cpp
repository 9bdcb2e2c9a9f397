#include <virtio/platforms/pcie_host/resources.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::platform::pcie_host {

namespace {

std::uint64_t share(SimTime from, SimTime to, SimTime length) {
  if (length.ps == 0 || to < from) return 0;
  return static_cast<std::uint64_t>(Wide{(to - from).ps} * 1000 / length.ps);
}

void add_cores(const Sample& begin, const Sample& end, SimTime length, Limits& limits) {
  for (std::size_t i = 0; i < end.cores.size(); ++i)
    limits.resources.push_back({fmt::format("core_{}", i), fmt::format("the driver's core {}", i),
                                share(begin.cores[i], end.cores[i], length)});
}

void add_link(const Sample& begin, const Sample& end, SimTime length, Limits& limits) {
  if (!end.link) return;
  const auto busy = [&](std::size_t direction) {
    return share(begin.link_busy[direction], end.link_busy[direction], length);
  };
  limits.resources.push_back({"link_upstream", "the link towards the host", busy(0)});
  limits.resources.push_back({"link_downstream", "the link towards the device", busy(1)});
  using Stalls = tlm2::LinkStatistics::Stalls;
  const auto stall = [&](const char* name, const char* description, SimTime Stalls::*what,
                         bool is_cause = true) {
    limits.stalls.push_back({name, description,
                             share(begin.link->stalls.*what, end.link->stalls.*what, length),
                             is_cause});
  };
  stall("tags", "reads waited for a tag", &Stalls::tags);
  stall("posted_credits", "writes waited for the host's credits", &Stalls::posted_credits);
  stall("nonposted_credits", "reads waited for the host's credits", &Stalls::nonposted_credits);
  stall("completion_space", "reads waited for room for their data", &Stalls::completion_space);
  stall("posted_buffer", "writes waited for the device's posted buffer", &Stalls::posted_buffer,
        false);
  stall("nonposted_queue", "reads waited for the device's read queue", &Stalls::nonposted_queue,
        false);
  stall("cpu_credits", "the CPU's accesses waited for the device's credits", &Stalls::cpu_credits);
}

void add_engine(const Sample& begin, const Sample& end, SimTime length, Limits& limits) {
  if (!end.engine) return;
  using Stats = TimedRingEngine::Stats;
  const auto stage = [&](const char* name, const char* description, SimTime Stats::*busy) {
    limits.resources.push_back(
        {name, description, share(*begin.engine.*busy, *end.engine.*busy, length)});
  };
  stage("ring_visit", "the ring engine's stage for available rings", &Stats::visit_busy);
  stage("ring_walk", "the ring engine's stage for descriptors", &Stats::walk_busy);
  stage("ring_write_back", "the ring engine's stage for used entries", &Stats::write_back_busy);
  const auto waiting = [&](const char* name, const char* description, bool write) {
    limits.stalls.push_back(
        {name, description, share(begin.waited[write], end.waited[write], length)});
  };
  waiting("outstanding_reads", "reads waited for one of the ring engine's outstanding_reads",
          false);
  waiting("outstanding_writes", "writes waited for one of the ring engine's outstanding_writes",
          true);
}

std::uint64_t per_mille(Wide part, Wide whole) {
  return whole == 0 ? 0 : static_cast<std::uint64_t>(part * 1000 / whole);
}

/// The medium's channels and bus, from what was moved and what that takes.
void add_medium(const Workload& workload, const BlockTimingConfig& timing, SimTime length,
                Limits& limits) {
  Wide channel_time = 0;
  Wide bytes = 0;
  for (const auto& [key, figures] : workload.measurement().figures()) {
    const bool read = key.second == RequestKind::read;
    channel_time += Wide{figures.requests} *
                    (read ? timing.read_latency.count() : timing.write_latency.count());
    bytes += figures.bytes;
  }
  const std::uint64_t bandwidth = timing.bandwidth.bytes_per_second;
  constexpr std::uint64_t second_ps = 1'000'000'000'000;
  if (bandwidth != 0) {
    channel_time += bytes * second_ps / bandwidth;
    limits.resources.push_back({"medium_bus", "the bus of the device's medium",
                                per_mille(bytes * second_ps, Wide{bandwidth} * length.ps)});
  }
  if (timing.channels != 0)
    limits.resources.push_back({"medium_channels", "the channels of the device's medium",
                                per_mille(channel_time, Wide{timing.channels} * length.ps)});
}

void add_wire(const Workload& workload, const NetConfig& device, SimTime length, Limits& limits) {
  const auto busy = [&](std::uint64_t bytes, std::uint64_t rate) {
    return per_mille(Wide{bytes} * 8 * 1'000'000'000'000, Wide{rate} * length.ps);
  };
  const Sample& begin = workload.begin_sample;
  const Sample& end = workload.end_sample;
  if (const std::uint64_t rate = device.timing.wire_rate.bits_per_second; rate != 0)
    limits.resources.push_back({"wire_transmit", "the wire, in the direction of transmission",
                                busy(end.wire_transmitted - begin.wire_transmitted, rate)});
  limits.resources.push_back(
      {"wire_receive", "the wire, in the direction of reception",
       busy(end.wire_received - begin.wire_received,
            std::get<NetWorkloadConfig>(workload.config().traffic).wire_rate.bits_per_second)});
}

void add_device(const Workload& workload, SimTime length, Limits& limits) {
  const auto& function = workload.device().config().function;
  if (const auto* block = std::get_if<BlockConfig>(&function))
    add_medium(workload, block->timing, length, limits);
  else if (const auto* net = std::get_if<NetConfig>(&function))
    add_wire(workload, *net, length, limits);
}

/// The stage that takes most of the latency.
std::pair<Stage, std::uint64_t> longest_stage(const Figures& total) {
  std::size_t longest = 0;
  for (std::size_t i = 1; i < stages; ++i)
    if (total.stage[i].mean() > total.stage[longest].mean()) longest = i;
  const std::uint64_t latency = std::max<std::uint64_t>(total.latency.mean(), 1);
  return {static_cast<Stage>(longest), total.stage[longest].mean() * 1000 / latency};
}

} // namespace

Limits limits_of(const Workload& workload) {
  Limits limits;
  const Sample& begin = workload.begin_sample;
  const Sample& end = workload.end_sample;
  if (end.time <= begin.time) return limits;
  const SimTime length = end.time - begin.time;
  add_cores(begin, end, length, limits);
  add_link(begin, end, length, limits);
  add_engine(begin, end, length, limits);
  add_device(workload, length, limits);
  return limits;
}

Bottleneck bottleneck_of(const Workload& workload, const Limits& limits) {
  const Figures total = workload.measurement().total();
  const auto [stage, of_latency] = longest_stage(total);
  const std::uint64_t length = std::max<std::uint64_t>(workload.measurement().length().ps, 1);
  Situation s;
  s.open_loop = workload.config().arrival != Arrival::closed;
  s.requests_per_second =
      static_cast<std::uint64_t>(Wide{total.requests} * 1'000'000'000'000 / length);
  s.depth = workload.config().depth;
  s.places = s.depth * workload.queues();
  s.under_way_milli = static_cast<std::uint64_t>(workload.measurement().area() * 1000 / length);
  s.dropped = workload.far_end() ? workload.dropped() : 0;
  s.latency_ps = total.latency.mean();
  s.unloaded_ps = workload.measurement().unloaded_mean();
  s.longest_stage = to_string(stage);
  s.longest_stage_per_mille = of_latency;
  if (s.dropped == 0) return judge(s, limits);
  // The wire brings more than is taken.
  Limits others = limits;
  std::erase_if(others.resources, [](const Resource& r) { return r.name == "wire_receive"; });
  return judge(s, others);
}

} // namespace virtio::platform::pcie_host
