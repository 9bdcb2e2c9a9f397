// The program that users start. It checks the configuration and hands over to the executable of the
// platform's kind, so that it never links what a platform links (the CPU of riscv_virt is GPL).
#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/config/suggest.hpp>
#include <virtio/platforms/program/executable.hpp>
#include <virtio/platforms/program/migrate_command.hpp>
#include <virtio/platforms/program/pcie_command.hpp>
#include <virtio/platforms/program/rss_command.hpp>
#include <virtio/platforms/program/sweep/sweep.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace {

using namespace virtio::platform;

int code(ExitCode exit_code) {
  return static_cast<int>(exit_code);
}

// Becomes that program.
int start(const tl::expected<std::filesystem::path, std::string>& program,
          std::vector<char*> arguments) {
  if (!program) {
    fmt::print(stderr, "{}\n", program.error());
    return code(ExitCode::bad_usage);
  }
  std::string path = program->string();
  arguments.insert(arguments.begin(), path.data());
  arguments.push_back(nullptr);
  execv(path.c_str(), arguments.data());
  fmt::print(stderr, "{} cannot be started: {}\n", path, std::strerror(errno));
  return code(ExitCode::bad_usage);
}

int run(const RawRunOptions& raw, std::vector<char*> arguments) {
  const auto options = run_options(raw);
  if (!options) {
    fmt::print(stderr, "{}\n", options.error());
    return code(ExitCode::bad_usage);
  }
  const auto config = load(options->file, options->overrides);
  if (!config) {
    print(config.error());
    const std::size_t errors = config.error().size();
    fmt::print(stderr, "{} error{}, nothing was run; `virtio-tlm params` lists all parameters\n",
               errors, errors == 1 ? "" : "s");
    return code(ExitCode::bad_usage);
  }
  return start(platform_executable(config->platform.kind), std::move(arguments));
}

// How a component's table is written in the file.
std::string heading(const std::string& component) {
  if (component.starts_with("platform")) return fmt::format("[{}]", component);
  if (component == "riscv_virt") return "[platform] with kind = \"riscv_virt\"";
  if (component == "media" || component == "device" || component == "step" ||
      component == "workload")
    return fmt::format("[[{}]]", component);
  if (component.starts_with("workload."))
    return fmt::format("[[workload]] of a {} device", component.substr(component.find('.') + 1));
  if (component.starts_with("device.")) return fmt::format("[{}]", component);
  const std::size_t dot = component.find('.');
  const std::string type = component.substr(0, dot);
  if (dot != component.npos)
    return fmt::format("[device{}] with type = \"{}\"", component.substr(dot), type);
  return fmt::format("[[device]] with type = \"{}\"", type);
}

void print(const ParameterInfo& parameter) {
  const bool has_default = parameter.fallback != "required" && parameter.fallback != "none";
  fmt::print("  {}\n      {}\n      {}{}{}; {}{}\n", parameter.path, parameter.description,
             parameter.unit, parameter.range.empty() ? "" : ": ", parameter.range,
             has_default                    ? "default " + parameter.fallback
             : parameter.fallback == "none" ? "no default"
                                            : parameter.fallback,
             parameter.source == "-" ? "" : fmt::format(" ({})", parameter.source));
}

int params(const std::string& component) {
  const std::vector<ParameterInfo> all = parameters();
  std::vector<std::string> components;
  for (const ParameterInfo& parameter : all)
    if (components.empty() || components.back() != parameter.component)
      components.push_back(parameter.component);
  if (!component.empty() &&
      std::find(components.begin(), components.end(), component) == components.end()) {
    fmt::print(stderr, "no component \"{}\", only {}{}\n", component, quoted_list(components),
               did_you_mean(component, components));
    return code(ExitCode::bad_usage);
  }
  for (const std::string& shown : components) {
    if (!component.empty() && shown != component && !shown.starts_with(component + ".")) continue;
    fmt::print("{}\n", heading(shown));
    for (const ParameterInfo& parameter : all)
      if (parameter.component == shown) print(parameter);
  }
  return code(ExitCode::done);
}

// With coverage of the RTL, the program whose RTL counts, where it is built.
int cosim(std::vector<char*> arguments) {
  const bool counted = std::any_of(arguments.begin(), arguments.end(), [](std::string_view word) {
    return word.starts_with("--rtl-coverage");
  });
  if (counted)
    if (const auto program = executable("virtio-tlm-cosim-coverage"))
      return start(program, std::move(arguments));
  return start(executable("virtio-tlm-cosim"), std::move(arguments));
}

} // namespace

int main(int argc, char** argv) {
  // Its arguments are its own.
  if (argc > 1 && std::string_view(argv[1]) == "cosim")
    return cosim(std::vector<char*>(argv + 2, argv + argc));
  CLI::App app("SystemC platforms with virtio devices, described by a TOML file");
  app.set_version_flag("--version", "virtio-tlm " VIRTIO_TLM_VERSION, "Print the version");
  app.require_subcommand(1);
  app.footer("Examples:\n"
             "  virtio-tlm run platforms/riscv_virt/demo/demo.toml --out out/demo\n"
             "  virtio-tlm sweep my.toml --vary device.blk0.queue_size=16,64,256\n"
             "  virtio-tlm params block\n"
             "  virtio-tlm pcie --gen 4 --lanes 16 --op write\n"
             "Exit: 0 done; 1 the simulated system failed or an expectation was not met;\n"
             "2 bad usage or configuration.");

  CLI::App* run_command = app.add_subcommand("run", "Build a platform and run it");
  RawRunOptions raw;
  add_run_options(*run_command, raw);
  run_command->footer(
      "Example, with a RAM disk of another size and a terminal for the guest:\n"
      "  virtio-tlm run my.toml --set \"device.blk0.capacity=1 MiB\" --interactive");

  CLI::App* sweep_command = app.add_subcommand(
      "sweep", "Run a platform with all combinations of some parameters' values");
  sweep::Arguments sweep_arguments;
  sweep::add_arguments(*sweep_command, sweep_arguments);

  CLI::App* params_command =
      app.add_subcommand("params", "List the parameters that a TOML file or --set can give");
  std::string component;
  params_command->add_option("COMPONENT", component, "Only this one: platform, device, block, ...");
  params_command->footer("Each has its unit, range, default and the source of the default; "
                         "\"assumed\" means that nothing backs it.\nExample:\n"
                         "  virtio-tlm params net");

  const auto pcie = add_pcie_command(app);
  const auto migrate = add_migrate_command(app);
  const auto rss = add_rss_command(app);
  app.add_subcommand("cosim", "RTL beside the models, on random cases: virtio-tlm cosim --help");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return code(app.exit(error) == 0 ? ExitCode::done : ExitCode::bad_usage);
  }
  if (run_command->parsed()) return run(raw, std::vector<char*>(argv + 2, argv + argc));
  if (sweep_command->parsed()) return sweep::sweep(sweep_arguments);
  if (app.got_subcommand("pcie")) return pcie();
  if (app.got_subcommand("migrate-check")) return migrate();
  if (app.got_subcommand("rss")) return rss();
  return params(component);
}
