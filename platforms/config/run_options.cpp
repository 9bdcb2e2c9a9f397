#include <virtio/platforms/config/run_options.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace virtio::platform {

void add_run_options(CLI::App& app, RawRunOptions& raw) {
  app.add_option("PLATFORM.toml", raw.file, "The platform to build and run")->required();
  app.add_option("--set", raw.sets,
                 "Override one parameter, as often as needed:\n"
                 "--set platform.seed=3 --set \"device.blk0.capacity=1 MiB\".\n"
                 "`virtio-tlm params` lists the paths; a relative file name\n"
                 "is relative to the current folder")
      ->type_name("path=value")
      ->allow_extra_args(false);
  app.add_option("--seed", raw.seed, "Short for --set platform.seed=N")->type_name("N");
  app.add_option("--out", raw.out,
                 "Folder for summary.json, logs, captures and images\n"
                 "(default: out/NAME for NAME.toml)")
      ->type_name("DIR");
  app.add_flag("--json", raw.json, "Print the summary as JSON on standard output");
  app.add_flag("--interactive", raw.interactive, "Make this terminal the guest's UART");
}

tl::expected<RunOptions, std::string> run_options(const RawRunOptions& raw) {
  RunOptions options;
  options.file = raw.file;
  for (const std::string& text : raw.sets) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return tl::unexpected(
          fmt::format("--set {}: write it as path=value, like --set platform.seed=3", text));
    options.overrides.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  if (!raw.seed.empty()) options.overrides.push_back({"platform.seed", raw.seed});
  options.out = raw.out.empty() ? std::filesystem::path("out") / options.file.stem()
                                : std::filesystem::path(raw.out);
  options.json = raw.json;
  options.interactive = raw.interactive;
  return options;
}

tl::expected<RunOptions, int> parse_run_options(int argc, const char* const* argv) {
  constexpr int bad_usage = static_cast<int>(ExitCode::bad_usage);
  CLI::App app("Runs one platform; usually started by `virtio-tlm run`");
  RawRunOptions raw;
  add_run_options(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(app.exit(error) == 0 ? 0 : bad_usage);
  }
  auto options = run_options(raw);
  if (!options) {
    fmt::print(stderr, "{}\n", options.error());
    return tl::unexpected(bad_usage);
  }
  return *std::move(options);
}

void print(const std::vector<ConfigError>& errors) {
  for (const ConfigError& error : errors)
    fmt::print(stderr, "{}\n", error.text());
}

} // namespace virtio::platform
