// The summary for people: the same figures as in JSON, with units that fit.
#include <virtio/platforms/pcie_host/report.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::platform::pcie_host {

namespace {

using Json = nlohmann::ordered_json;

/// Four digits or so, of `value` in the largest unit that is not above it.
struct Scale {
  double factor;
  const char* unit;
};

std::string scaled(double value, std::initializer_list<Scale> scales) {
  const Scale* best = scales.begin();
  for (const Scale& scale : scales)
    if (value >= scale.factor) best = &scale;
  const double number = value / best->factor;
  const int digits = number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}", number, digits, best->unit);
}

std::string time(const Json& ps) {
  return scaled(ps.get<double>(), {{1e3, "ns"}, {1e6, "us"}, {1e9, "ms"}, {1e12, "s"}});
}

std::string rate(const Json& requests) {
  return scaled(requests.get<double>(), {{1, "/s"}, {1e3, "k/s"}, {1e6, "M/s"}});
}

std::string byte_rate(const Json& bytes) {
  return scaled(bytes.get<double>(), {{1, "B/s"}, {1e3, "kB/s"}, {1e6, "MB/s"}, {1e9, "GB/s"}});
}

std::string percent(const Json& per_mille) {
  return fmt::format("{:.1f} %", per_mille.get<double>() / 10);
}

std::string line_of(const std::string& name, const Json& figures) {
  const Json& latency = figures["latency_ps"];
  std::string line =
      fmt::format("  {:<14} {:>9} {:>11} {:>11}", name, figures["requests"].get<std::uint64_t>(),
                  rate(figures["requests_per_second"]), byte_rate(figures["bytes_per_second"]));
  for (const char* key : {"mean", "p50", "p90", "p99", "p99.9", "max"})
    line += fmt::format(" {:>9}", time(latency[key]));
  return line + "\n";
}

std::string stage_lines(const Json& figures) {
  std::string lines = fmt::format("  {:<14} {:>9} {:>9} {:>9}\n", "stage", "mean", "p99", "share");
  const double whole = std::max(figures["latency_ps"]["mean"].get<double>(), 1.0);
  for (const auto& [name, times] : figures["stage_ps"].items())
    lines +=
        fmt::format("  {:<14} {:>9} {:>9} {:>9}\n", name, time(times["mean"]), time(times["p99"]),
                    percent(Json(1000 * times["mean"].get<double>() / whole)));
  return lines;
}

std::string link_lines(const Json& link) {
  std::string lines;
  for (const char* direction : {"upstream", "downstream"}) {
    lines += fmt::format("  link {:<11} {:>7} busy:", direction,
                         percent(link[direction]["busy_per_mille"]));
    for (const auto& [kind, tlps] : link[direction]["tlps"].items()) {
      std::string name = kind;
      std::replace(name.begin(), name.end(), '_', ' ');
      lines += fmt::format(" {} {} ({} B);", tlps["count"].get<std::uint64_t>(), name,
                           tlps["wire_bytes"].get<std::uint64_t>());
    }
    lines.back() = '\n';
  }
  return lines;
}

std::string pairs(const char* title, const Json& values, const auto& text) {
  std::string line;
  for (const auto& [name, value] : values.items())
    if (value != 0) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", name, text(value));
  return line.empty() ? "" : fmt::format("  {}: {}\n", title, line);
}

std::string workload_text(const Json& workload) {
  std::string text =
      fmt::format("\n{} ({}): {} requests started, {} ended", workload["device"].get<std::string>(),
                  workload["fidelity"].get<std::string>(), workload["started"].get<std::uint64_t>(),
                  workload["finished"].get<std::uint64_t>());
  if (workload.contains("verified_blocks"))
    text += fmt::format(", {} blocks verified", workload["verified_blocks"].get<std::uint64_t>());
  if (workload.contains("dropped"))
    text += fmt::format(", {} frames dropped", workload["dropped"].get<std::uint64_t>());
  if (workload.contains("late_answers"))
    text += fmt::format(", {} late answers", workload["late_answers"].get<std::uint64_t>());
  if (!workload.contains("total")) return text + "; the measurement did not end\n";
  text += fmt::format(
      "\nmeasured for {}, {:.2f} under way on average, {} doorbells, {} interrupts\n",
      time(workload["measured_ps"]), workload["under_way_milli"].get<double>() / 1000,
      workload["doorbells"].get<std::uint64_t>(), workload["interrupts"].get<std::uint64_t>());
  text += fmt::format("  {:<14} {:>9} {:>11} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "queue",
                      "requests", "rate", "data", "mean", "p50", "p90", "p99", "p99.9", "max");
  for (const Json& queue : workload["queues"])
    text += line_of(
        fmt::format("{} {}", queue["queue"].get<unsigned>(), queue["kind"].get<std::string>()),
        queue);
  if (workload["queues"].size() > 1) text += line_of("all", workload["total"]);
  text += stage_lines(workload["total"]);
  if (workload.contains("link")) text += link_lines(workload["link"]);
  text += pairs("busy", workload["busy_per_mille"], percent);
  text += pairs("waiting on average", workload["waiting_milli"], [](const Json& milli) {
    return fmt::format("{:.2f}", milli.get<double>() / 1000);
  });
  return text + "  " + workload["bottleneck"]["sentence"].get<std::string>() + "\n";
}

} // namespace

std::string summary_text(const Json& summary) {
  std::string text = fmt::format("{}: {}\n", summary["ok"].get<bool>() ? "done" : "FAILED",
                                 summary["outcome"].get<std::string>());
  for (const Json& workload : summary["workloads"])
    text += workload_text(workload);
  const Json& simulation = summary["simulation"];
  return text +
         fmt::format(
             "\nsimulated with {:.1f} events a request: {} resumptions of coroutines, {} delta "
             "cycles\n",
             simulation["events_per_request_milli"].get<double>() / 1000,
             simulation["resumptions"].get<std::uint64_t>(),
             simulation["delta_cycles"].get<std::uint64_t>());
}

} // namespace virtio::platform::pcie_host
