#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/riscv_virt/report.hpp>
#include <virtio/tlm/executor.hpp>

#include <fmt/format.h>

namespace virtio::platform {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t reported_lines = 20;
__extension__ using Wide = unsigned __int128;

Json describe_steps(const Platform& platform) {
  Json steps = Json::array();
  const auto& times = platform.step_times();
  for (std::size_t i = 0; i < times.size(); ++i)
    steps.push_back({{"expect", platform.config().steps[i].expect},
                     {"send", platform.config().steps[i].send},
                     {"seconds", seconds_text(times[i])}});
  return steps;
}

Json describe_events(const EventCounter& events) {
  Json counts = Json::object();
  for (auto kind = 0; kind <= static_cast<int>(EventKind::error); ++kind)
    if (const auto count = events.count(static_cast<EventKind>(kind)))
      counts[to_string(static_cast<EventKind>(kind))] = count;
  return counts;
}

Json describe_violations(const analyser::Analyser& analyser) {
  Json list = Json::array();
  for (const auto& [first, count] : analyser.violations()) {
    Json entry{{"id", first.id},
               {"count", count},
               {"first_seconds", seconds_text(tlm2::to_sc_time(first.time))},
               {"evidence", first.evidence}};
    if (first.queue) entry["queue"] = *first.queue;
    list.push_back(std::move(entry));
  }
  return list;
}

Json describe_channel(const tlm2::BusTraffic& traffic) {
  return {{"requests", traffic.total.requests},
          {"bytes", traffic.total.bytes},
          {"busy_cycles", traffic.busy},
          {"latency_cycles", traffic.latency}};
}

/// What a timed device's way to memory carried.
void describe_way(const Attachment& attachment, Json& result) {
  if (const tlm2::OnChipBus* bus = attachment.bus())
    result["bus"] = {{"reads", describe_channel(bus->reads())},
                     {"writes", describe_channel(bus->writes())}};
  if (const tlm2::PcieLink* link = attachment.link()) {
    const auto& statistics = link->timing().statistics();
    result["link"] = {
        {"wire_bytes_upstream", statistics.wire_bytes(tlm2::LinkDirection::upstream)},
        {"wire_bytes_downstream", statistics.wire_bytes(tlm2::LinkDirection::downstream)}};
  }
}

/// How far the CPU may be ahead of everything else.
std::string quantum_seconds(const CpuConfig& cpu) {
  const auto ps = Wide{cpu.quantum} * 1'000'000'000'000 / cpu.instructions_per_second;
  return fmt::format("{}.{:012}", static_cast<std::uint64_t>(ps / 1'000'000'000'000),
                     static_cast<std::uint64_t>(ps % 1'000'000'000'000));
}

Json describe_device(const Attachment& attachment) {
  const auto& config = attachment.config();
  const auto& device = attachment.device();
  Json result{{"name", config.name},
              {"type", text(config.type)},
              {"transport", text(config.transport)},
              {"slot", config.slot},
              {"fidelity", text(config.fidelity)},
              {"status", device.status()},
              {"statistics", statistics(device.function())},
              {"events", describe_events(attachment.events())}};
  if (device.last_error() != RingError::none) result["error"] = to_string(device.last_error());
  describe_way(attachment, result);
  if (attachment.analyser()) result["violations"] = describe_violations(*attachment.analyser());
  return result;
}

Json describe_trials(const Platform& platform) {
  Json trials = Json::array();
  for (const auto& trial : platform.trials())
    trials.push_back({{"place", trial.place}, {"ok", trial.ok}, {"text", trial.text}});
  return trials;
}

std::string counts_text(const Json& counts) {
  std::string line;
  for (const auto& [name, count] : counts.items())
    if (count != 0) line += fmt::format("{}{} {}", line.empty() ? "" : ", ", name, count.dump());
  return line.empty() ? "not used" : line;
}

std::string way_text(const Json& device) {
  std::string line;
  if (device.contains("bus"))
    for (const char* channel : {"reads", "writes"}) {
      const Json& c = device["bus"][channel];
      line += fmt::format("{}{} {} of {} B", line.empty() ? "bus: " : ", ", c["requests"].dump(),
                          channel, c["bytes"].dump());
    }
  else if (device.contains("link"))
    line = fmt::format("link: {} B to the host, {} B to the device",
                       device["link"]["wire_bytes_upstream"].dump(),
                       device["link"]["wire_bytes_downstream"].dump());
  return line.empty()
             ? ""
             : fmt::format("{:<12} {}, {}\n", "", device["fidelity"].get<std::string>(), line);
}

} // namespace

Json summary(const Platform& platform) {
  Json result{{"ok", platform.outcome().ok},
              {"outcome", platform.outcome().text},
              {"seed", platform.config().platform.seed},
              {"simulated_seconds", seconds_text(sc_core::sc_time_stamp())},
              {"quantum_seconds", quantum_seconds(platform.config().platform.cpu)},
              {"instructions", platform.cpu().instructions()},
              {"bus_errors", platform.cpu().bus_errors()},
              {"steps_total", platform.config().steps.size()},
              {"steps_passed", describe_steps(platform)},
              {"devices", Json::array()}};
  for (const auto& attachment : platform.devices())
    result["devices"].push_back(describe_device(*attachment));
  if (!platform.trials().empty()) result["own_driver"] = describe_trials(platform);
  return result;
}

std::string json_text(const Json& summary) {
  return summary.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string summary_text(const Json& summary) {
  std::string result =
      fmt::format("{}: {}\n{} s of simulated time, {} instructions, {} bus errors\n"
                  "The CPU runs ahead by up to {} s, its quantum: times that software takes are "
                  "off by as much.\n",
                  summary["ok"] ? "done" : "FAILED", summary["outcome"].get<std::string>(),
                  summary["simulated_seconds"].get<std::string>(), summary["instructions"].dump(),
                  summary["bus_errors"].dump(), summary["quantum_seconds"].get<std::string>());
  for (const auto& device : summary["devices"]) {
    result += fmt::format("{:<12} {:<8} {:<4} slot {:>2}  {}\n", device["name"].get<std::string>(),
                          device["type"].get<std::string>(), device["transport"].get<std::string>(),
                          device["slot"].dump(), counts_text(device["statistics"]));
    result += way_text(device);
    if (device.contains("error"))
      result += fmt::format("{:<12} stopped: {}\n", "", device["error"].get<std::string>());
    for (const auto& violation : device.value("violations", Json::array()))
      result += fmt::format("{:<12} violated: {} {} times, first at {} s: {}\n", "",
                            violation["id"].get<std::string>(), violation["count"].dump(),
                            violation["first_seconds"].get<std::string>(),
                            violation["evidence"].get<std::string>());
  }
  if (summary.contains("own_driver")) result += "our own driver:\n";
  for (const auto& trial : summary.value("own_driver", Json::array()))
    result += fmt::format("  {:<18} {:<6} {}\n", trial["place"].get<std::string>(),
                          trial["ok"] ? "ok" : "FAILED", trial["text"].get<std::string>());
  return result;
}

std::string post_mortem(const Platform& platform) {
  std::string result = "the last lines of the UART:\n";
  for (const auto& line : platform.uart_log().last_lines(reported_lines))
    result += "  " + line + "\n";
  result += fmt::format("the CPU is at pc {:#x}; the registers that it touched last:\n",
                        platform.cpu().pc());
  for (const auto& access : platform.cpu().last_accesses())
    result += fmt::format("  [{:>12}] pc {:#x}  {:<5} {:#x} ({})  {} bytes  {:#x}{}\n",
                          seconds_text(access.time), access.pc, access.write ? "write" : "read",
                          access.address, platform.router().name_of(access.address), access.length,
                          access.value, access.ok ? "" : "  BUS ERROR");
  return result;
}

} // namespace virtio::platform
