// From a TOML file to a Config: reads the tables, then checks what only the whole file can show.
#include <virtio/platforms/config/input_check.hpp>
#include <virtio/platforms/config/timing_check.hpp>

#include <regex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

namespace virtio::platform {

namespace {

// The path of the n-th object (from 0): by its name, or by its number if it has none.
std::string object_path(Reader& reader, const toml::table& table, std::string_view kind,
                        std::size_t n) {
  if (const auto name = reader.peek(table, "", "name"); name && name->has_letters())
    return fmt::format("{}.{}", kind, name->string);
  return fmt::format("{}.{}", kind, n + 1);
}

template <class Struct>
void add_foreign(const Struct& object, const std::string& reason,
                 std::map<std::string, std::string>& foreign) {
  for (const auto& row : table(object).parameters)
    foreign[std::string(row.key)] = reason;
}

void bind_link(LinkConfig& link, Reader::Object& object) {
  bind_parameters(link, "link.", object.parameters);
  bind_parameters(link.memory, "link.memory.", object.parameters);
  bind_parameters(link.host_credits, "link.host_credits.", object.parameters);
  bind_parameters(link.device_credits, "link.device_credits.", object.parameters);
  bind_parameters(link.translation, "link.translation.", object.parameters);
  for (const char* table :
       {"link", "link.memory", "link.host_credits", "link.device_credits", "link.translation"})
    object.subtables.emplace_back(table);
}

// What belongs to one kind of platform is refused in a file of another; while the kind itself is
// wrong it is passed over silently: one mistake, one error.
void read_platform(Reader& reader, const toml::table& root, PlatformConfig& platform) {
  const toml::table* table = reader.single_table(root, "platform");
  if (!table) return;
  std::optional<PlatformKind> kind;
  if (const auto raw = reader.peek(*table, "platform", "kind"))
    if (const auto parsed = parse<PlatformKind>(*raw)) kind = *parsed;
  Reader::Object object{"platform", table->source(), {}, {}, {}};
  bind_parameters(platform, "", object.parameters);
  const auto reason = [&](PlatformKind other) {
    return kind ? fmt::format("is a parameter of {}; the kind of this platform is {}", text(other),
                              text(*kind))
                : "";
  };
  if (kind == PlatformKind::riscv_virt) {
    bind_parameters(static_cast<RiscvVirtConfig&>(platform), "", object.parameters);
    bind_parameters(platform.cpu, "cpu.", object.parameters);
    bind_parameters(platform.bus, "bus.", object.parameters);
    object.subtables = {"cpu", "bus"};
  } else {
    add_foreign(RiscvVirtConfig{}, reason(PlatformKind::riscv_virt), object.foreign);
    for (const char* key : {"cpu", "bus"})
      object.foreign[key] = reason(PlatformKind::riscv_virt);
  }
  if (kind == PlatformKind::pcie_host) {
    bind_parameters(platform.host, "host.", object.parameters);
    object.subtables = {"host"};
  } else {
    object.foreign["host"] = reason(PlatformKind::pcie_host);
  }
  bind_link(platform.link, object);
  reader.read(*table, std::move(object));
}

void read_media(Reader& reader, const toml::table& root, std::vector<MediaConfig>& media) {
  for (const toml::table* table : reader.tables(root, "media")) {
    MediaConfig medium;
    const std::string path = object_path(reader, *table, "media", media.size());
    Reader::Object object{path, table->source(), {}, {}, {}};
    bind_parameters(medium, "", object.parameters);
    reader.read(*table, std::move(object));
    media.push_back(std::move(medium));
  }
}

// Why a POSIX extended regular expression is none; empty if it is one.
std::string regex_problem(const std::string& pattern) {
  regex_t compiled;
  const int code = regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB);
  if (code == 0) {
    regfree(&compiled);
    return {};
  }
  std::array<char, 256> reason{};
  regerror(code, &compiled, reason.data(), reason.size());
  return reason.data();
}

void read_steps(Reader& reader, const toml::table& root, std::vector<StepConfig>& steps) {
  for (const toml::table* table : reader.tables(root, "step")) {
    StepConfig step;
    const std::string path = fmt::format("step.{}", steps.size() + 1);
    Reader::Object object{path, table->source(), {}, {}, {}};
    bind_parameters(step, "", object.parameters);
    reader.read(*table, std::move(object));
    if (reader.absent(path + ".expect") && reader.absent(path + ".send"))
      reader.fail(path + ".expect", "a step needs expect, send or both");
    if (const std::string problem = step.regex ? regex_problem(step.expect) : ""; !problem.empty())
      reader.fail(path + ".expect",
                  fmt::format("\"{}\" is not a regular expression: {}", step.expect, problem));
    steps.push_back(std::move(step));
  }
}

using Function = decltype(DeviceConfig::function);

Function function_of(DeviceType type) {
  switch (type) {
  case DeviceType::entropy:
    return EntropyConfig{};
  case DeviceType::block:
    return BlockConfig{};
  case DeviceType::net:
    return NetConfig{};
  case DeviceType::console:
    return ConsoleConfig{};
  }
  throw std::logic_error("a device type without a parameter table: add it to function_of()");
}

// The keys of all device types but `type`, each with the sentence that refuses it. While the type
// itself is wrong, they are passed over silently: one mistake, one error.
std::map<std::string, std::string> foreign_keys(std::optional<DeviceType> type) {
  std::map<std::string, std::string> owners;
  for (const auto& [name, other] : Choices<DeviceType>::all) {
    if (other == type) continue;
    std::vector<BoundParameter> parameters;
    Function function = function_of(other);
    std::visit([&](auto& alternative) { bind_function(alternative, parameters); }, function);
    for (const BoundParameter& parameter : parameters) {
      std::string& types = owners[parameter.key];
      types += fmt::format("{}{}", types.empty() ? "" : " and ", name);
    }
  }
  std::map<std::string, std::string> foreign;
  for (const auto& [key, types] : owners)
    foreign[key] = type ? fmt::format("is a parameter of {} devices; the type of this one is {}",
                                      types, text(*type))
                        : "";
  return foreign;
}

void read_device(Reader& reader, const toml::table& table, std::string path, DeviceConfig& device) {
  std::optional<DeviceType> type;
  if (const auto raw = reader.peek(table, path, "type"))
    if (const auto parsed = parse<DeviceType>(*raw)) type = *parsed;
  Reader::Object object{std::move(path),
                        table.source(),
                        {},
                        {"features", "ring", "rtl", "timing", "rss", "proposals"},
                        foreign_keys(type)};
  bind_parameters(device, "", object.parameters);
  bind_parameters(device.features, "features.", object.parameters);
  bind_parameters(device.ring, "ring.", object.parameters);
  bind_parameters(device.rtl, "rtl.", object.parameters);
  if (type) {
    device.function = function_of(*type);
    std::visit([&](auto& function) { bind_function(function, object.parameters); },
               device.function);
  }
  reader.read(table, std::move(object));
}

// What the checks below go through: every device with its path.
struct ReadDevice {
  std::string path;
  DeviceConfig config;
};

std::vector<ReadDevice> read_devices(Reader& reader, const toml::table& root) {
  std::vector<ReadDevice> devices;
  for (const toml::table* table : reader.tables(root, "device")) {
    devices.push_back({object_path(reader, *table, "device", devices.size()), {}});
    read_device(reader, *table, devices.back().path, devices.back().config);
  }
  return devices;
}

using Traffic = decltype(WorkloadConfig::traffic);

// Reads [[workload]]: which keys it has follows from the type of its device.
void read_workload(Reader& reader, const toml::table& table, const std::string& path,
                   std::optional<DeviceType> type, WorkloadConfig& workload) {
  Reader::Object object{path, table.source(), {}, {}, {}};
  const auto reason = [&](std::string_view kind) {
    return type ? fmt::format("is for workloads of {} devices; this device is of type {}", kind,
                              text(*type))
                : "";
  };
  bind_parameters(workload, "", object.parameters);
  if (type == DeviceType::block)
    bind_parameters(workload.traffic.emplace<BlockWorkloadConfig>(), "", object.parameters);
  else
    add_foreign(BlockWorkloadConfig{}, reason("block"), object.foreign);
  if (type == DeviceType::net)
    bind_parameters(workload.traffic.emplace<NetWorkloadConfig>(), "", object.parameters);
  else
    add_foreign(NetWorkloadConfig{}, reason("net"), object.foreign);
  reader.read(table, std::move(object));
}

void read_workloads(Reader& reader, const toml::table& root, const std::vector<ReadDevice>& devices,
                    std::vector<WorkloadConfig>& workloads) {
  for (const toml::table* table : reader.tables(root, "workload")) {
    std::string name = std::to_string(workloads.size() + 1);
    if (const auto raw = reader.peek(*table, "", "device"); raw && raw->has_letters())
      name = raw->string;
    const auto device = std::find_if(devices.begin(), devices.end(), [&](const ReadDevice& d) {
      return d.config.name == name && reader.good(d.path + ".type");
    });
    const auto type = device == devices.end() ? std::nullopt : std::optional(device->config.type);
    read_workload(reader, *table, "workload." + name, type, workloads.emplace_back());
  }
}

template <class Named>
void check_names(Reader& reader, std::string_view kind, const std::vector<Named>& objects) {
  std::set<std::string> names;
  for (const Named& object : objects)
    if (!object.name.empty() && !names.insert(object.name).second)
      reader.fail(fmt::format("{}.{}.name", kind, object.name),
                  fmt::format("two are called \"{}\": give one another name", object.name));
}

void check_platform(Reader& reader, const PlatformConfig& platform) {
  if (platform.kind != PlatformKind::riscv_virt) return;
  check_input(reader, "platform.firmware", platform.firmware,
              "`apt-get install u-boot-qemu` installs U-Boot for this platform as " +
                  PlatformConfig{}.firmware.string());
  if (platform.reserved_memory.bytes > platform.ram.bytes / 2)
    reader.fail("platform.reserved_memory",
                fmt::format("{} is more than half of the RAM ({})", text(platform.reserved_memory),
                            text(platform.ram)));
}

void check_media(Reader& reader, const std::vector<MediaConfig>& media) {
  check_names(reader, "media", media);
  for (const MediaConfig& medium : media) {
    const std::string path = fmt::format("media.{}.file", medium.name);
    if (!reader.good(path)) continue;
    check_input(
        reader, path, medium.file,
        fmt::format("`truncate -s 64M {}` makes an empty one, and `./quickstart demo` makes "
                    "those of the demo",
                    medium.file.string()));
    if (medium.write_through && access(medium.file.c_str(), F_OK) == 0 &&
        access(medium.file.c_str(), W_OK) != 0)
      reader.fail(path, fmt::format("{} cannot be written, but write_through is set",
                                    medium.file.string()));
  }
}

struct SlotRange {
  std::uint8_t first, last;
};

SlotRange slots_of(Transport transport) {
  // QEMU's virt machine has eight virtio-mmio windows; PCI device 0 is the host bridge.
  return transport == Transport::mmio ? SlotRange{0, 7} : SlotRange{1, 31};
}

// Given slots first, then the free ones in the order of the file.
void assign_slots(Reader& reader, std::vector<ReadDevice>& devices) {
  std::map<std::pair<Transport, std::uint8_t>, std::string> taken;
  for (const auto& [path, device] : devices) {
    if (!reader.good(path + ".slot") || !reader.good(path + ".transport")) continue;
    const auto [first, last] = slots_of(device.transport);
    if (device.slot < first || device.slot > last) {
      reader.fail(path + ".slot", fmt::format("{} is not allowed: {} has slots {} .. {}",
                                              device.slot, text(device.transport), first, last));
      continue;
    }
    const auto [other, is_free] = taken.emplace(std::pair(device.transport, device.slot), path);
    if (!is_free)
      reader.fail(path + ".slot", fmt::format("{} slot {} is already that of {}",
                                              text(device.transport), device.slot, other->second));
  }
  for (auto& [path, device] : devices) {
    if (!reader.absent(path + ".slot") || !reader.good(path + ".transport")) continue;
    const auto [first, last] = slots_of(device.transport);
    unsigned slot = first;
    while (slot <= last && taken.contains({device.transport, static_cast<std::uint8_t>(slot)}))
      ++slot;
    if (slot > last) {
      reader.fail(path + ".slot", fmt::format("all {} {} slots are taken", last - first + 1,
                                              text(device.transport)));
      continue;
    }
    device.slot = static_cast<std::uint8_t>(slot);
    taken.emplace(std::pair(device.transport, device.slot), path);
  }
}

void check_features(Reader& reader, const std::string& path, const DeviceConfig& device) {
  const std::string notif = path + ".features.notif_config_data";
  if (reader.good(path + ".transport") && reader.good(notif) &&
      device.transport != Transport::pci && device.features.notif_config_data)
    reader.fail(notif, "is for transport = \"pci\" alone");
}

// Checks that need more than one parameter or more than one device.
class DeviceCheck {
public:
  DeviceCheck(Reader& reader, const std::vector<MediaConfig>& media)
      : reader_(reader), media_(media) {}

  void operator()(const std::string&, const EntropyConfig&) {}
  void operator()(const std::string&, const ConsoleConfig&) {}

  void operator()(const std::string& path, const BlockConfig& block) {
    const bool has_media = !reader_.absent(path + ".media");
    const bool has_capacity = !reader_.absent(path + ".capacity");
    if (has_media && has_capacity)
      reader_.fail(path + ".capacity",
                   "the medium's file decides the size: leave out one of the two");
    if (!has_media && !has_capacity)
      reader_.fail(path + ".media", "a block device needs media, or capacity for a RAM disk");
    if (block.media) check_medium(path, block);
    check_queues(path, block.queues, {{"mq", block.features.mq}});
  }

  void operator()(const std::string& path, const NetConfig& net) {
    check_queues(path, net.queues,
                 {{"mq", net.features.mq || net.features.rss}, {"ctrl_vq", net.features.ctrl_vq}});
    if (net.proposals.inner_hash_v7 && net.features.hash_tunnel)
      reader_.fail(path + ".proposals.inner_hash_v7",
                   "excludes features.hash_tunnel, the form that became the standard: switch one "
                   "of them off");
    if (net.rss.fidelity == Fidelity::timed)
      reader_.fail(path + ".rss.fidelity",
                   "is \"untimed\" or \"rtl\"; what a packet costs is timing.packet_cost");
    if (net.replay && net.wire != Wire::pcap)
      reader_.fail(path + ".replay", R"(is only played by wire = "pcap")");
    if (net.wire == Wire::pcap && reader_.absent(path + ".replay"))
      reader_.fail(path + ".wire", R"("pcap" needs a file to play: set replay)");
    if (net.replay)
      check_input(reader_, path + ".replay", *net.replay,
                  "`tcpdump -w` or a run with capture = ... writes such a file");
    if (net.capture) {
      const auto [other, is_new] = captures_.emplace(*net.capture, path);
      if (!is_new)
        reader_.fail(path + ".capture",
                     fmt::format("{} already writes \"{}\"", other->second, *net.capture));
    }
  }

private:
  void check_queues(const std::string& path, std::uint16_t queues,
                    const std::map<std::string_view, bool>& needed) {
    for (const auto& [feature, offered] : needed)
      if (queues > 1 && !offered)
        reader_.fail(fmt::format("{}.features.{}", path, feature),
                     fmt::format("queues = {} needs this feature: leave it on", queues));
  }

  void check_medium(const std::string& path, const BlockConfig& block) {
    std::vector<std::string> names;
    for (const MediaConfig& medium : media_)
      names.push_back(medium.name);
    if (std::find(names.begin(), names.end(), *block.media) == names.end()) {
      reader_.fail(
          path + ".media",
          names.empty()
              ? fmt::format("the file has no [[media]]: add one called \"{}\"", *block.media)
              : fmt::format("there is no [[media]] called \"{}\", only {}{}", *block.media,
                            quoted_list(names), did_you_mean(*block.media, names)));
      return;
    }
    const auto [user, is_first] = media_users_.emplace(*block.media, User{path, block.read_only});
    if (!is_first && !(block.read_only && user->second.read_only))
      reader_.fail(path + ".media",
                   fmt::format("{} uses \"{}\" too: only read-only devices may share a medium",
                               user->second.path, *block.media));
  }

  struct User {
    std::string path;
    bool read_only;
  };

  Reader& reader_;
  const std::vector<MediaConfig>& media_;
  std::map<std::string, User> media_users_;
  std::map<std::string, std::string> captures_;
};

class WorkloadCheck {
public:
  WorkloadCheck(Reader& reader, const Config& config) : reader_(reader), config_(config) {}

  void check() {
    for (const WorkloadConfig& workload : config_.workloads)
      if (!workload.device.empty()) check(workload, "workload." + workload.device);
    if (config_.workloads.empty())
      reader_.fail("platform.kind", "pcie_host needs at least one [[workload]]");
    for (const DeviceConfig& device : config_.devices)
      if (device.transport != Transport::pci)
        reader_.fail(fmt::format("device.{}.transport", device.name),
                     "devices of pcie_host are on pci");
  }

private:
  void check(const WorkloadConfig& workload, const std::string& path) {
    std::vector<std::string> names;
    const DeviceConfig* device = nullptr;
    for (const DeviceConfig& candidate : config_.devices) {
      names.push_back(candidate.name);
      if (candidate.name == workload.device) device = &candidate;
    }
    if (!device)
      return reader_.fail(path + ".device",
                          fmt::format("there is no [[device]] called \"{}\"{}", workload.device,
                                      did_you_mean(workload.device, names)));
    if (!used_.insert(workload.device).second)
      reader_.fail(path + ".device", "has a workload already: a device takes one");
    if (device->type != DeviceType::block && device->type != DeviceType::net)
      return reader_.fail(
          path + ".device",
          fmt::format("is of type {}: there are workloads for block and net", text(device->type)));
    check_depth(workload, *device, path);
    check_features(*device);
    check_extent(workload, path);
    const auto queues_of = [](const auto& function) -> unsigned {
      if constexpr (requires { function.queues; }) return function.queues;
      return 1;
    };
    if (const unsigned there = std::visit(queues_of, device->function); workload.queues > there)
      reader_.fail(path + ".queues",
                   fmt::format("{} is more than the device's queues, {}", workload.queues, there));
    if (const auto* block = std::get_if<BlockWorkloadConfig>(&workload.traffic))
      check_block(workload, *block, std::get<BlockConfig>(device->function), path);
    else
      check_net(workload, std::get<NetWorkloadConfig>(workload.traffic),
                std::get<NetConfig>(device->function), path);
  }

  // What the driver is to negotiate must be offered.
  void check_features(const DeviceConfig& device) {
    const HostConfig& host = config_.platform.host;
    const FeaturesConfig& offered = device.features;
    const auto check = [&](bool wanted, bool there, std::string_view key,
                           std::string_view feature) {
      if (wanted && !there)
        reader_.fail(fmt::format("platform.host.{}", key),
                     fmt::format("device.{}.features.{} is off: the device does not offer it",
                                 device.name, feature));
    };
    check(host.ring == RingFormat::packed, offered.packed, "ring", "packed");
    check(host.indirect, offered.indirect_desc, "indirect", "indirect_desc");
    check(host.in_order, offered.in_order, "in_order", "in_order");
    check(host.notification_data, offered.notification_data, "notification_data",
          "notification_data");
  }

  // A block request has three descriptors: header, data, status.
  void check_depth(const WorkloadConfig& workload, const DeviceConfig& device,
                   const std::string& path) {
    const bool tables = config_.platform.host.indirect;
    const unsigned each = device.type == DeviceType::block && !tables ? 3 : 1;
    if (workload.depth * each > device.queue_size)
      reader_.fail(path + ".depth",
                   fmt::format("{} requests of {} descriptor{} do not fit into a queue of {}: "
                               "give the device a larger queue_size",
                               workload.depth, each, each == 1 ? "" : "s", device.queue_size));
  }

  void check_extent(const WorkloadConfig& workload, const std::string& path) {
    if (workload.requests.has_value() == workload.duration.has_value())
      reader_.fail(path + ".requests", "give either requests or duration, which end the run");
    const auto* net = std::get_if<NetWorkloadConfig>(&workload.traffic);
    const bool paced = workload.arrival == Arrival::fixed || workload.arrival == Arrival::poisson;
    const int rates = (workload.rate ? 1 : 0) + (net && net->load_percent ? 1 : 0);
    if (paced && rates != 1)
      reader_.fail(path + ".arrival", fmt::format("\"{}\" needs rate{}", text(workload.arrival),
                                                  net ? " or load_percent, one of them" : ""));
    if (!paced && rates != 0)
      reader_.fail(path + ".rate", R"(is for arrival = "fixed" and "poisson")");
  }

  void check_block(const WorkloadConfig& workload, const BlockWorkloadConfig& block,
                   const BlockConfig& device, const std::string& path) {
    if (workload.arrival == Arrival::recorded)
      reader_.fail(path + ".arrival", R"("recorded" is for frames = "pcap")");
    if (device.read_only && block.read_percent != 100)
      reader_.fail(path + ".read_percent",
                   "the device is read_only: only 100 percent reads are possible");
    if (device.capacity &&
        device.capacity->bytes / block.block_size.bytes <
            std::uint64_t{workload.depth} * std::max<std::uint16_t>(workload.queues, 1))
      reader_.fail(path + ".depth", "the disk has fewer blocks than requests under way: give the "
                                    "device more capacity");
  }

  void check_net(const WorkloadConfig& workload, const NetWorkloadConfig& net,
                 const NetConfig& device, const std::string& path) {
    constexpr unsigned header = 14; // Ethernet's
    if (net.frames == FrameSource::fixed && net.frame_bytes > device.mtu + header)
      reader_.fail(path + ".frame_bytes", fmt::format("{} is more than the device's mtu allows: {}",
                                                      net.frame_bytes, device.mtu + header));
    if ((net.frames == FrameSource::pcap) != net.pcap.has_value())
      reader_.fail(path + ".frames", R"(frames = "pcap" and pcap = FILE belong together)");
    if (net.pcap)
      check_input(reader_, path + ".pcap", *net.pcap,
                  "`tcpdump -w` or a run with capture = ... writes such a file");
    if (workload.arrival == Arrival::recorded && net.frames != FrameSource::pcap)
      reader_.fail(path + ".arrival", R"("recorded" is for frames = "pcap")");
  }

  Reader& reader_;
  const Config& config_;
  std::set<std::string> used_;
};

} // namespace

namespace {

// [[step]] and [[workload]] each belong to one kind of platform.
void refuse_foreign_tables(Reader& reader, const toml::table& root, PlatformKind kind) {
  if (!reader.good("platform.kind")) return;
  if (kind == PlatformKind::pcie_host && root.get("step"))
    reader.fail("step.1.expect", "pcie_host has no UART: steps are for riscv_virt");
  if (kind == PlatformKind::riscv_virt && root.get("workload"))
    reader.fail("platform.kind", "riscv_virt takes no [[workload]]: they are for pcie_host");
}

} // namespace

tl::expected<Config, std::vector<ConfigError>> load(const std::filesystem::path& file,
                                                    const std::vector<Override>& overrides) {
  Reader reader(file, overrides);
  std::optional<toml::table> root = reader.open();
  if (!root) return tl::unexpected(reader.errors());
  reader.include_preset(*root);

  Config config;
  config.file = file;
  reader.refuse_other_keys(*root, {"platform", "media", "device", "step", "workload"});
  read_platform(reader, *root, config.platform);
  read_media(reader, *root, config.media);
  std::vector<ReadDevice> devices = read_devices(reader, *root);
  read_steps(reader, *root, config.steps);
  read_workloads(reader, *root, devices, config.workloads);

  check_platform(reader, config.platform);
  check_link(reader, config.platform.link);
  check_media(reader, config.media);
  assign_slots(reader, devices);
  for (auto& [path, device] : devices) {
    check_features(reader, path, device);
    check_ring(reader, path, device);
    check_rtl(reader, path, device);
    choose_protocol(reader, path, device);
  }
  DeviceCheck check(reader, config.media);
  for (const auto& [path, device] : devices)
    if (reader.good(path + ".type"))
      std::visit([&, &path = path](const auto& function) { check(path, function); },
                 device.function);
  for (ReadDevice& device : devices)
    config.devices.push_back(std::move(device.config));
  check_names(reader, "device", config.devices);
  if (config.platform.kind == PlatformKind::pcie_host) WorkloadCheck(reader, config).check();
  refuse_foreign_tables(reader, *root, config.platform.kind);

  std::vector<ConfigError> errors = reader.finish();
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  return config;
}

const MediaConfig& Config::find_media(std::string_view name) const {
  const auto found = std::find_if(media.begin(), media.end(),
                                  [&](const MediaConfig& medium) { return medium.name == name; });
  if (found == media.end())
    throw std::out_of_range(fmt::format(
        "no medium \"{}\": find_media() takes names that a loaded configuration uses", name));
  return *found;
}

std::string ConfigError::text() const {
  std::string place = source;
  if (line != 0) place += fmt::format(":{}:{}", line, column);
  const std::string separator = line == 0 && place == "--set" ? " " : ": ";
  return place + (key.empty() ? "" : separator + key) + ": " + sentence;
}

} // namespace virtio::platform
