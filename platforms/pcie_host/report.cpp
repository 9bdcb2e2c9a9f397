#include <virtio/platforms/pcie_host/report.hpp>

#include <fmt/format.h>

namespace virtio::platform::pcie_host {

namespace {

using Json = nlohmann::ordered_json;

/// amount * scale / length, without overflow.
std::uint64_t per_second(std::uint64_t amount, std::uint64_t scale, SimTime length) {
  if (length.ps == 0) return 0;
  return static_cast<std::uint64_t>(static_cast<Wide>(amount) * scale * 1'000'000'000'000 /
                                    length.ps);
}

Json latency(const Histogram& histogram) {
  return {{"min_ps", histogram.min()},
          {"mean_ps", histogram.mean()},
          {"p50_ps", histogram.percentile(500)},
          {"p90_ps", histogram.percentile(900)},
          {"p99_ps", histogram.percentile(990)},
          {"p999_ps", histogram.percentile(999)},
          {"max_ps", histogram.max()}};
}

Json describe(const Figures& figures, SimTime length) {
  Json stages_json = Json::object();
  for (std::size_t i = 0; i < stages; ++i)
    stages_json[to_string(static_cast<Stage>(i))] = {{"mean_ps", figures.stage[i].mean()},
                                                     {"p99_ps", figures.stage[i].percentile(990)}};
  return {{"requests", figures.requests},
          {"bytes", figures.bytes},
          {"requests_per_second", per_second(figures.requests, 1, length)},
          {"bytes_per_second", per_second(figures.bytes, 1, length)},
          {"latency", latency(figures.latency)},
          {"stages", std::move(stages_json)}};
}

Json describe(const Workload& workload) {
  const Measurement& measurement = workload.measurement();
  Json result{{"device", workload.config().device}};
  if (!measurement.end()) return result;
  const SimTime length = measurement.length();
  result["measured_ps"] = length.ps;
  result["total"] = describe(measurement.total(), length);
  result["mean_under_way_milli"] =
      static_cast<std::uint64_t>(measurement.area() * 1000 / std::max<std::uint64_t>(length.ps, 1));
  result["queues"] = Json::array();
  for (const auto& [key, figures] : measurement.figures()) {
    Json queue{{"queue", key.first}, {"kind", to_string(key.second)}};
    queue.update(describe(figures, length));
    result["queues"].push_back(std::move(queue));
  }
  result["started"] = workload.started();
  result["finished"] = measurement.all_finished();
  if (workload.disk()) result["verified_blocks"] = workload.disk()->verified_blocks();
  if (workload.far_end()) result["dropped"] = workload.dropped();
  return result;
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
  return result;
}

std::string summary_text(const Json& summary) {
  return summary.dump(2) + "\n";
}

} // namespace virtio::platform::pcie_host
