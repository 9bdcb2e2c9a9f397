#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/config/suggest.hpp>
#include <virtio/platforms/migration/migration.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/program/migrate_command.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::platform {

namespace {

struct MigrateOptions {
  std::filesystem::path a, b;
  std::string device; // "NAME" or "NAME=NAME_AT_B"; empty: all
  bool json = false;
};

const DeviceConfig* find_device(const Config& config, const std::string& name) {
  const auto found = std::ranges::find(config.devices, name, &DeviceConfig::name);
  if (found != config.devices.end()) return &*found;
  std::vector<std::string> names;
  for (const DeviceConfig& device : config.devices)
    names.push_back(device.name);
  fmt::print(stderr, "{}: no device \"{}\", only {}{}\n", config.file.string(), name,
             quoted_list(names), did_you_mean(name, names));
  return nullptr;
}

void print_text(const std::vector<MigrationCheck>& checks) {
  std::size_t movable = 0;
  for (const MigrationCheck& check : checks) {
    const std::string name = check.from == check.to ? check.from : check.from + " -> " + check.to;
    fmt::print("{}: {}\n", name, check.obstacles.empty() ? "can move" : "cannot move");
    movable += check.obstacles.empty() ? 1 : 0;
    for (const Obstacle& obstacle : check.obstacles)
      fmt::print("  {}: {} at A, {} at B: {}\n", obstacle.what, obstacle.from, obstacle.to,
                 obstacle.reason);
    for (const std::string& note : check.notes)
      fmt::print("  (no obstacle) {}\n", note);
  }
  fmt::print("{} of {} device{} can move from A to B\n", movable, checks.size(),
             checks.size() == 1 ? "" : "s");
}

void print_json(const std::vector<MigrationCheck>& checks, bool compatible) {
  nlohmann::ordered_json out{{"compatible", compatible}, {"devices", nlohmann::json::array()}};
  for (const MigrationCheck& check : checks) {
    nlohmann::ordered_json device{{"from", check.from},
                                  {"to", check.to},
                                  {"compatible", check.obstacles.empty()},
                                  {"obstacles", nlohmann::json::array()},
                                  {"notes", check.notes}};
    for (const Obstacle& obstacle : check.obstacles)
      device["obstacles"].push_back({{"what", obstacle.what},
                                     {"from", obstacle.from},
                                     {"to", obstacle.to},
                                     {"reason", obstacle.reason}});
    out["devices"].push_back(std::move(device));
  }
  fmt::print("{}\n", out.dump(2));
}

std::optional<Config> loaded(const std::filesystem::path& file) {
  auto config = load(file);
  if (config) return std::move(*config);
  print(config.error());
  return std::nullopt;
}

int migrate(const MigrateOptions& options) {
  const auto bad = static_cast<int>(ExitCode::bad_usage);
  const auto a = loaded(options.a);
  const auto b = loaded(options.b);
  if (!a || !b) return bad;
  std::vector<MigrationCheck> checks;
  try {
    if (options.device.empty()) {
      checks = check_migration(*a, *b);
    } else {
      const std::size_t equals = options.device.find('=');
      const std::string from = options.device.substr(0, equals);
      const std::string to = equals == from.npos ? from : options.device.substr(equals + 1);
      const DeviceConfig* device_a = find_device(*a, from);
      const DeviceConfig* device_b = find_device(*b, to);
      if (!device_a || !device_b) return bad;
      checks.push_back(check_migration(*a, *device_a, *b, *device_b));
    }
  } catch (const SetupError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return bad;
  }
  if (checks.empty()) {
    fmt::print(stderr, "{}: there is no device in it that could move\n", options.a.string());
    return bad;
  }
  const bool compatible =
      std::ranges::all_of(checks, &std::vector<Obstacle>::empty, &MigrationCheck::obstacles);
  if (options.json)
    print_json(checks, compatible);
  else
    print_text(checks);
  return static_cast<int>(compatible ? ExitCode::done : ExitCode::simulation_failed);
}

} // namespace

std::function<int()> add_migrate_command(CLI::App& app) {
  auto options = std::make_shared<MigrateOptions>();
  CLI::App* command = app.add_subcommand(
      "migrate-check", "Whether devices can move from one configuration to another");
  command->add_option("A", options->a, "TOML file that the devices come from")->required();
  command->add_option("B", options->b, "TOML file that they go to")->required();
  command->add_option("--device", options->device,
                      "Only this one: NAME, or NAME=NAME_AT_B where they differ");
  command->add_flag("--json", options->json, "The same for programs");
  command->footer(
      "A driver that runs must not notice the move, whatever it accepted and read at A: feature\n"
      "bits, queue sizes, and the fields of the configuration space it relies on (of net: hash\n"
      "types, key and table sizes too). Every obstacle is listed with its reason; what differs\n"
      "without harm is listed as such.\n"
      "Exit: 0 all of them can move; 1 one cannot; 2 bad usage or configuration.\n"
      "Example:\n"
      "  virtio-tlm migrate-check old-host.toml new-host.toml --device net0");
  return [options] { return migrate(*options); };
}

} // namespace virtio::platform
