// The executable of the RISC-V platform: `virtio-tlm run` starts it with its own arguments. It
// reads the configuration, runs the platform and writes what came of it.
#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/riscv_virt/platform.hpp>
#include <virtio/platforms/riscv_virt/report.hpp>

#include <systemc>

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <fstream>

namespace {

using namespace virtio::platform;

int code(ExitCode exit_code) {
  return static_cast<int>(exit_code);
}

Progress& progress() {
  static Progress instance(stderr);
  return instance;
}

/// SystemC prints on standard output, which belongs to the summary. An error still throws.
void report(const sc_core::sc_report& report, const sc_core::sc_actions& actions) {
  if (actions & sc_core::SC_DISPLAY && report.get_severity() != sc_core::SC_INFO)
    progress().message(fmt::format("{}: {}", report.get_msg_type(), report.get_msg()));
  sc_core::sc_report_handler::default_handler(report, actions & ~sc_core::SC_DISPLAY);
}

int write_results(const Platform& platform, const Workspace& workspace, const RunOptions& options,
                  std::chrono::steady_clock::duration taken) {
  const auto results = summary(platform);
  const auto path = workspace.file("summary.json");
  if (!(std::ofstream(path) << json_text(results))) {
    progress().message(fmt::format("{} cannot be written", path.string()));
    return code(ExitCode::simulation_failed);
  }
  if (!platform.outcome().ok) progress().message(post_mortem(platform));
  progress().message(fmt::format("{:.1f} s on this machine; results in {}",
                                 std::chrono::duration<double>(taken).count(),
                                 workspace.folder().string()));
  fmt::print("{}", options.json ? json_text(results) : summary_text(results));
  return code(platform.outcome().ok ? ExitCode::done : ExitCode::simulation_failed);
}

int run(const RunOptions& options) {
  const auto config = load(options.file, options.overrides);
  if (!config) {
    print(config.error());
    return code(ExitCode::bad_usage);
  }
  const Workspace workspace(*config, options.out);
  Platform platform("platform", *config, workspace, progress(), options.interactive);
  const auto start = std::chrono::steady_clock::now();
  try {
    platform.run();
  } catch (const std::exception& error) { // of a model: a guest cannot cause one
    progress().message(error.what());
    progress().message(post_mortem(platform));
    return code(ExitCode::simulation_failed);
  }
  return write_results(platform, workspace, options, std::chrono::steady_clock::now() - start);
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
    progress().message(error.what());
    return code(ExitCode::bad_usage);
  }
}
