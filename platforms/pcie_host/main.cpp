// The executable of the performance platform: `virtio-tlm run` starts it with its own arguments. It
// reads the configuration, runs the workloads and writes what came of it.
#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/pcie_host/platform.hpp>
#include <virtio/platforms/pcie_host/report.hpp>

#include <systemc>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>

namespace {

using namespace virtio::platform;

int code(ExitCode exit_code) {
  return static_cast<int>(exit_code);
}

void message(std::string_view text) {
  fmt::print(stderr, "{}\n", text);
}

/// SystemC prints on standard output, which belongs to the summary. An error still throws.
void report(const sc_core::sc_report& report, const sc_core::sc_actions& actions) {
  if (actions & sc_core::SC_DISPLAY && report.get_severity() != sc_core::SC_INFO)
    message(fmt::format("{}: {}", report.get_msg_type(), report.get_msg()));
  sc_core::sc_report_handler::default_handler(report, actions & ~sc_core::SC_DISPLAY);
}

/// What this run cost on this machine. Not in the summary, which is the same everywhere.
void report_cost(const pcie_host::Platform& platform, std::chrono::duration<double> taken) {
  std::uint64_t requests = 0;
  for (const auto& workload : platform.workloads())
    requests += workload->measurement().all_finished();
  message(
      fmt::format("{} requests in {:.2f} s on this machine, {:.0f} a second, {:.1f} delta cycles "
                  "each",
                  requests, taken.count(), static_cast<double>(requests) / taken.count(),
                  static_cast<double>(sc_core::sc_delta_count()) /
                      static_cast<double>(std::max<std::uint64_t>(requests, 1))));
}

int write_results(const pcie_host::Platform& platform, const Workspace& workspace,
                  const RunOptions& options) {
  const auto results = pcie_host::summary(platform);
  const std::string json = results.dump(2) + "\n";
  const auto path = workspace.file("summary.json");
  if (!(std::ofstream(path) << json)) {
    message(fmt::format("{} cannot be written", path.string()));
    return code(ExitCode::simulation_failed);
  }
  fmt::print("{}", options.json ? json : pcie_host::summary_text(results));
  return code(platform.outcome().ok ? ExitCode::done : ExitCode::simulation_failed);
}

int run(const RunOptions& options) {
  const auto config = load(options.file, options.overrides);
  if (!config) {
    print(config.error());
    return code(ExitCode::bad_usage);
  }
  if (options.interactive)
    throw SetupError("pcie_host has no UART: --interactive is for riscv_virt");
  const Workspace workspace(*config, options.out);
  pcie_host::Platform platform("platform", *config, workspace);
  const auto start = std::chrono::steady_clock::now();
  platform.run();
  report_cost(platform, std::chrono::steady_clock::now() - start);
  return write_results(platform, workspace, options);
}

} // namespace

/// libsystemc wants it; its own main() is not used.
int sc_main(int, char**) {
  return code(ExitCode::bad_usage);
}

int main(int argc, char** argv) {
  const auto options = parse_run_options(argc, argv);
  if (!options) return options.error();
  sc_core::sc_report_handler::set_handler(report);
  try {
    return run(*options);
  } catch (const SetupError& error) {
    message(error.what());
    return code(ExitCode::bad_usage);
  } catch (const std::exception& error) { // of a model: no driver and no frame can cause one
    message(error.what());
    return code(ExitCode::simulation_failed);
  }
}
