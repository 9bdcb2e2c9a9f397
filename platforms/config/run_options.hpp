// The command line of `virtio-tlm run`. The program validates it and starts the platform's
// executable with the same arguments, so both read it with this one parser.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace virtio::platform {

// What the program and every platform executable return.
enum class ExitCode { done = 0, simulation_failed = 1, bad_usage = 2 };

struct RunOptions {
  std::filesystem::path file;
  std::vector<Override> overrides; // --set in order, then --seed as platform.seed
  std::filesystem::path out;       // never empty: --out, or out/STEM of the TOML file
  bool json = false;               // the summary goes to standard output as JSON
  bool interactive = false;        // the UART is this terminal
};

// For an executable that is started as `PROGRAM PLATFORM.toml [--set path=value]... [--seed N]
// [--out DIR] [--json]
// [--interactive]`. On a usage error or --help it has already printed; the value is the exit code
// to return.
tl::expected<RunOptions, int> parse_run_options(int argc, const char* const* argv);

// Adds those options to a (sub)command; run_options() gives the result once it has been parsed.
struct RawRunOptions {
  std::string file;
  std::vector<std::string> sets;
  std::string seed;
  std::string out;
  bool json = false;
  bool interactive = false;
};
void add_run_options(CLI::App& app, RawRunOptions& raw);
tl::expected<RunOptions, std::string> run_options(const RawRunOptions& raw);

// Prints every error, one a line, on standard error.
void print(const std::vector<ConfigError>& errors);

} // namespace virtio::platform
