#include <virtio/platforms/pcie_host/report.hpp>
#include <virtio/platforms/pcie_host/resources.hpp>

namespace virtio::platform::pcie_host {

namespace {

using Json = nlohmann::ordered_json;

std::uint64_t per_second(std::uint64_t amount, SimTime length) {
  if (length.ps == 0) return 0;
  return static_cast<std::uint64_t>(Wide{amount} * 1'000'000'000'000 / length.ps);
}

Json latency(const Histogram& histogram) {
  return {{"min", histogram.min()},
          {"mean", histogram.mean()},
          {"p50", histogram.percentile(500)},
          {"p90", histogram.percentile(900)},
          {"p99", histogram.percentile(990)},
          {"p99.9", histogram.percentile(999)},
          {"max", histogram.max()}};
}

Json describe(const Figures& figures, SimTime length) {
  Json stages_json = Json::object();
  for (std::size_t i = 0; i < stages; ++i)
    stages_json[to_string(static_cast<Stage>(i))] = {{"mean", figures.stage[i].mean()},
                                                     {"p99", figures.stage[i].percentile(990)}};
  return {{"requests", figures.requests},
          {"bytes", figures.bytes},
          {"requests_per_second", per_second(figures.requests, length)},
          {"bytes_per_second", per_second(figures.bytes, length)},
          {"latency_ps", latency(figures.latency)},
          {"stage_ps", std::move(stages_json)}};
}

Json describe_direction(const Sample& begin, const Sample& end, tlm2::LinkDirection direction) {
  Json kinds = Json::object();
  for (std::size_t i = 0; i < tlm2::tlp_kinds; ++i) {
    const auto kind = static_cast<tlm2::TlpKind>(i);
    const auto& before = begin.link->of(direction, kind);
    const auto& after = end.link->of(direction, kind);
    if (after.count == before.count) continue;
    kinds[tlm2::to_string(kind)] = {{"count", after.count - before.count},
                                    {"payload_bytes", after.payload_bytes - before.payload_bytes},
                                    {"wire_bytes", after.wire_bytes - before.wire_bytes}};
  }
  const auto d = static_cast<std::size_t>(direction);
  const SimTime busy = end.link_busy[d] - begin.link_busy[d];
  const SimTime length = end.time - begin.time;
  return {{"busy_per_mille", static_cast<std::uint64_t>(Wide{busy.ps} * 1000 / length.ps)},
          {"tlps", std::move(kinds)}};
}

Json describe_accesses(const Sample& begin, const Sample& end) {
  Json accesses = Json::object();
  for (std::size_t i = 0; i < tlm2::unknown_access; ++i) {
    const auto& before = begin.link->device[i];
    const auto& after = end.link->device[i];
    if (after.requests == before.requests) continue;
    accesses[virtio::to_string(static_cast<AccessKind>(i))] = {
        {"requests", after.requests - before.requests},
        {"bytes", after.bytes - before.bytes},
        {"wire_bytes_upstream", after.wire_bytes[0] - before.wire_bytes[0]},
        {"wire_bytes_downstream", after.wire_bytes[1] - before.wire_bytes[1]}};
  }
  return accesses;
}

Json describe_link(const Sample& begin, const Sample& end) {
  return {{"upstream", describe_direction(begin, end, tlm2::LinkDirection::upstream)},
          {"downstream", describe_direction(begin, end, tlm2::LinkDirection::downstream)},
          {"device_accesses", describe_accesses(begin, end)}};
}

void describe_limits(const Workload& workload, Json& result) {
  const Limits limits = limits_of(workload);
  result["busy_per_mille"] = Json::object();
  for (const Resource& resource : limits.resources)
    result["busy_per_mille"][resource.name] = resource.busy_per_mille;
  result["waiting_milli"] = Json::object();
  for (const Stall& stall : limits.stalls)
    result["waiting_milli"][stall.name] = stall.waiting_milli;
  const Bottleneck bottleneck = bottleneck_of(workload, limits);
  result["bottleneck"] = {{"name", bottleneck.name}, {"sentence", bottleneck.sentence}};
}

void describe_measurement(const Workload& workload, Json& result) {
  const Measurement& measurement = workload.measurement();
  const SimTime length = measurement.length();
  result["measured_ps"] = length.ps;
  result["total"] = describe(measurement.total(), length);
  result["under_way_milli"] =
      static_cast<std::uint64_t>(measurement.area() * 1000 / std::max<std::uint64_t>(length.ps, 1));
  result["queues"] = Json::array();
  for (const auto& [key, figures] : measurement.figures()) {
    Json queue{{"queue", key.first}, {"kind", to_string(key.second)}};
    queue.update(describe(figures, length));
    result["queues"].push_back(std::move(queue));
  }
  const Sample& begin = workload.begin_sample;
  const Sample& end = workload.end_sample;
  result["doorbells"] = end.doorbells - begin.doorbells;
  result["interrupts"] = end.interrupts - begin.interrupts;
  if (end.link && end.time > begin.time) result["link"] = describe_link(begin, end);
  describe_limits(workload, result);
}

Json describe(const Workload& workload) {
  Json result{{"device", workload.config().device}};
  result["fidelity"] = platform::text(workload.device().config().fidelity);
  result["started"] = workload.started();
  result["finished"] = workload.measurement().all_finished();
  if (workload.disk()) result["verified_blocks"] = workload.disk()->verified_blocks();
  if (workload.far_end()) result["dropped"] = workload.dropped();
  if (workload.device().late_answers()) result["late_answers"] = workload.device().late_answers();
  if (workload.measurement().end()) describe_measurement(workload, result);
  return result;
}

Json violations_of(const analyser::Analyser& analyser) {
  Json list = Json::array();
  for (const auto& [first, count] : analyser.violations()) {
    Json entry{{"id", first.id},
               {"count", count},
               {"first_ps", first.time.ps},
               {"evidence", first.evidence}};
    if (first.queue) entry["queue"] = *first.queue;
    list.push_back(std::move(entry));
  }
  return list;
}

} // namespace

namespace {

Json describe(const SimulationCost& cost) {
  const Wide events = Wide{cost.resumptions} + cost.delta_cycles;
  return {{"requests", cost.requests},
          {"resumptions", cost.resumptions},
          {"delta_cycles", cost.delta_cycles},
          {"events_per_request_milli",
           cost.requests ? static_cast<std::uint64_t>(events * 1000 / cost.requests) : 0}};
}

} // namespace

Json summary(const Platform& platform) {
  Json result{{"schema", 1},
              {"ok", platform.outcome().ok},
              {"outcome", platform.outcome().text},
              {"seed", platform.config().platform.seed},
              {"workloads", Json::array()}};
  for (const auto& workload : platform.workloads())
    result["workloads"].push_back(describe(*workload));
  result["simulation"] = describe(platform.cost());
  for (const auto& device : platform.devices())
    if (device->analyser())
      result["violations"][device->config().name] = violations_of(*device->analyser());
  return result;
}

} // namespace virtio::platform::pcie_host
