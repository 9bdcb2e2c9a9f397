#include <virtio/blk/config.hpp>
#include <virtio/console/config.hpp>
#include <virtio/net/config.hpp>
#include <virtio/platforms/migration/driver_view.hpp>
#include <virtio/platforms/migration/feature_names.hpp>
#include <virtio/platforms/migration/migration.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace virtio::platform {

namespace {

/// What a running driver needs of a field at B, when A showed another value.
enum class Rule : std::uint8_t {
  same,
  at_least,
  superset, // of the bits
  harmless, // a hint, or what a configuration change notification announces
};

/// A field of a configuration space: what it is for decides whether it may differ.
struct Field {
  std::string_view name;
  std::size_t offset;
  std::size_t size;
  FeatureSet features; // it exists with one of these; none: always
  Rule rule;
  std::string_view reason;
};

#define FIELD(type, field) #field, offsetof(type, field), sizeof(type::field)

using net::virtio_net_config;
constexpr Field net_fields[] = {
    {FIELD(virtio_net_config, mac),
     {net::VIRTIO_NET_F_MAC},
     Rule::same,
     "the driver took its address from the device"},
    {FIELD(virtio_net_config, max_virtqueue_pairs),
     {net::VIRTIO_NET_F_MQ, net::VIRTIO_NET_F_RSS},
     Rule::same,
     "the control queue is the one behind so many pairs (5.1.2)"},
    {FIELD(virtio_net_config, mtu),
     {net::VIRTIO_NET_F_MTU},
     Rule::same,
     "the driver's buffers and its own packets are made for it (5.1.4.2)"},
    {FIELD(virtio_net_config, speed),
     {net::VIRTIO_NET_F_SPEED_DUPLEX},
     Rule::harmless,
     "a configuration change announces it"},
    {FIELD(virtio_net_config, duplex),
     {net::VIRTIO_NET_F_SPEED_DUPLEX},
     Rule::harmless,
     "a configuration change announces it"},
    {FIELD(virtio_net_config, rss_max_key_size),
     {net::VIRTIO_NET_F_RSS, net::VIRTIO_NET_F_HASH_REPORT},
     Rule::at_least,
     "the driver may use a key of that length (5.1.4)"},
    {FIELD(virtio_net_config, rss_max_indirection_table_length),
     {net::VIRTIO_NET_F_RSS},
     Rule::at_least,
     "the driver may use an indirection table of that length (5.1.4)"},
    {FIELD(virtio_net_config, supported_hash_types),
     {net::VIRTIO_NET_F_RSS, net::VIRTIO_NET_F_HASH_REPORT},
     Rule::superset,
     "the driver may have enabled every one of these hash types (5.1.4)"},
    {FIELD(virtio_net_config, supported_tunnel_types),
     {net::VIRTIO_NET_F_HASH_TUNNEL},
     Rule::superset,
     "the driver may have enabled every one of these tunnel types (5.1.6.5.7)"},
};

using blk::virtio_blk_config;
constexpr std::string_view as_large = "the driver's requests may be as large as that (5.2.4)";
constexpr std::string_view as_many = "the driver's requests may have as many segments (5.2.4)";
constexpr Field block_fields[] = {
    {FIELD(virtio_blk_config, capacity), {}, Rule::same, "it is another medium"},
    {FIELD(virtio_blk_config, size_max), {blk::VIRTIO_BLK_F_SIZE_MAX}, Rule::at_least, as_large},
    {FIELD(virtio_blk_config, seg_max), {blk::VIRTIO_BLK_F_SEG_MAX}, Rule::at_least, as_many},
    {FIELD(virtio_blk_config, geometry),
     {blk::VIRTIO_BLK_F_GEOMETRY},
     Rule::same,
     "what is on the disk may be laid out by it"},
    {FIELD(virtio_blk_config, blk_size),
     {blk::VIRTIO_BLK_F_BLK_SIZE},
     Rule::same,
     "the driver's requests are multiples of it"},
    {FIELD(virtio_blk_config, topology),
     {blk::VIRTIO_BLK_F_TOPOLOGY},
     Rule::harmless,
     "it is a hint"},
    {FIELD(virtio_blk_config, num_queues),
     {blk::VIRTIO_BLK_F_MQ},
     Rule::at_least,
     "the driver may use so many"},
    {FIELD(virtio_blk_config, max_discard_sectors),
     {blk::VIRTIO_BLK_F_DISCARD},
     Rule::at_least,
     as_large},
    {FIELD(virtio_blk_config, max_discard_seg),
     {blk::VIRTIO_BLK_F_DISCARD},
     Rule::at_least,
     as_many},
    {FIELD(virtio_blk_config, discard_sector_alignment),
     {blk::VIRTIO_BLK_F_DISCARD},
     Rule::harmless,
     "it is a hint"},
    {FIELD(virtio_blk_config, max_write_zeroes_sectors),
     {blk::VIRTIO_BLK_F_WRITE_ZEROES},
     Rule::at_least,
     as_large},
    {FIELD(virtio_blk_config, max_write_zeroes_seg),
     {blk::VIRTIO_BLK_F_WRITE_ZEROES},
     Rule::at_least,
     as_many},
    {FIELD(virtio_blk_config, max_secure_erase_sectors),
     {blk::VIRTIO_BLK_F_SECURE_ERASE},
     Rule::at_least,
     as_large},
    {FIELD(virtio_blk_config, max_secure_erase_seg),
     {blk::VIRTIO_BLK_F_SECURE_ERASE},
     Rule::at_least,
     as_many},
    {FIELD(virtio_blk_config, zoned),
     {blk::VIRTIO_BLK_F_ZONED},
     Rule::same,
     "it is another medium"},
};

using console::virtio_console_config;
constexpr Field console_fields[] = {
    {FIELD(virtio_console_config, cols),
     {console::VIRTIO_CONSOLE_F_SIZE},
     Rule::harmless,
     "a configuration change announces it"},
    {FIELD(virtio_console_config, rows),
     {console::VIRTIO_CONSOLE_F_SIZE},
     Rule::harmless,
     "a configuration change announces it"},
    {FIELD(virtio_console_config, max_nr_ports),
     {console::VIRTIO_CONSOLE_F_MULTIPORT},
     Rule::at_least,
     "the driver may use so many ports"},
};

#undef FIELD

std::span<const Field> fields_of(virtio::DeviceType type) {
  switch (type) {
  case virtio::DeviceType::net:
    return net_fields;
  case virtio::DeviceType::block:
    return block_fields;
  case virtio::DeviceType::console:
    return console_fields;
  case virtio::DeviceType::entropy:
    break;
  }
  return {};
}

std::string_view type_name(virtio::DeviceType type) {
  switch (type) {
  case virtio::DeviceType::net:
    return "net";
  case virtio::DeviceType::block:
    return "block";
  case virtio::DeviceType::console:
    return "console";
  case virtio::DeviceType::entropy:
    break;
  }
  return "entropy";
}

/// The bytes of a field in the order of their weight, so that they compare and print as a number.
/// Where the space is shorter they are zero.
std::vector<std::uint8_t> value_of(const Field& field, const std::vector<std::byte>& config) {
  std::vector<std::uint8_t> value(field.size);
  for (std::size_t i = 0; i < field.size; ++i)
    if (field.offset + i < config.size())
      value[field.size - 1 - i] = std::to_integer<std::uint8_t>(config[field.offset + i]);
  return value;
}

std::string shown(const Field& field, const std::vector<std::uint8_t>& value) {
  if (field.size > 8 || field.name == "mac") {
    std::string text;
    for (auto byte = value.rbegin(); byte != value.rend(); ++byte)
      text += fmt::format("{}{:02x}", text.empty() ? "" : ":", *byte);
    return text;
  }
  std::uint64_t number = 0;
  for (const std::uint8_t byte : value)
    number = number << 8 | byte;
  return field.rule == Rule::superset ? fmt::format("{:#x}", number) : fmt::format("{}", number);
}

bool holds(Rule rule, const std::vector<std::uint8_t>& from, const std::vector<std::uint8_t>& to) {
  switch (rule) {
  case Rule::same:
    return from == to;
  case Rule::at_least:
    return from <= to;
  case Rule::superset:
    return std::ranges::equal(from, to, [](auto a, auto b) { return (a & ~b) == 0; });
  case Rule::harmless:
    break;
  }
  return true;
}

class Comparison {
public:
  Comparison(DriverView& a, DriverView& b) : a_(a), b_(b) {
    check_.from = a.name();
    check_.to = b.name();
  }

  MigrationCheck result() && {
    if (a_.type() != b_.type()) {
      obstacle("type", std::string{type_name(a_.type())}, std::string{type_name(b_.type())},
               "it is another device");
      return std::move(check_);
    }
    place();
    features();
    queues();
    for (const Field& field : fields_of(a_.type()))
      compare(field);
    if (a_.block_id() != b_.block_id())
      obstacle("serial", a_.block_id(), b_.block_id(), "the driver knows the medium by it");
    return std::move(check_);
  }

private:
  void obstacle(std::string what, std::string from, std::string to, std::string_view reason) {
    check_.obstacles.push_back(
        {std::move(what), std::move(from), std::move(to), std::string{reason}});
  }

  void place() {
    const auto at = [](const DriverView& view) {
      return fmt::format("{} {}", text(view.transport()), view.slot());
    };
    if (at(a_) != at(b_))
      obstacle("transport and slot", at(a_), at(b_), "the driver would look for it elsewhere");
  }

  void features() {
    for (unsigned bit = 0; bit < FeatureSet::bits; ++bit) {
      const bool before = a_.features().has(bit);
      const bool after = b_.features().has(bit);
      if (before == after) continue;
      const std::string name = feature_name(a_.type(), bit);
      if (before)
        obstacle(name, "offered", "not offered", "the driver may have accepted it (2.2)");
      else if (a_.type() == virtio::DeviceType::block && bit == blk::VIRTIO_BLK_F_RO)
        obstacle(name, "not offered", "offered", "the driver may write");
      else
        check_.notes.push_back(name + " is offered by B alone: the driver does not use it");
    }
    if (a_.features().subset_of(b_.features()) && !b_.accepts(a_.features()))
      obstacle("features", "as offered", "refused",
               "B does not set FEATURES_OK with all that A offers (3.1.1)");
  }

  void queues() {
    if (a_.num_queues() > b_.num_queues())
      obstacle("number of queues", fmt::format("{}", a_.num_queues()),
               fmt::format("{}", b_.num_queues()), "the driver may use every one of them");
    for (std::uint16_t q = 0; q < std::min(a_.num_queues(), b_.num_queues()); ++q)
      if (a_.queue_size(q) > b_.queue_size(q)) {
        obstacle(fmt::format("size of queue {}", q), fmt::format("{}", a_.queue_size(q)),
                 fmt::format("{}", b_.queue_size(q)), "the driver's ring may have that size (2.6)");
        return; // the others are of the same configuration value
      }
  }

  void compare(const Field& field) {
    const bool exists = field.features == FeatureSet{} ||
                        (field.features & a_.features() & b_.features()) != FeatureSet{};
    if (!exists) return; // a feature that is missing was reported
    const auto from = value_of(field, a_.config());
    const auto to = value_of(field, b_.config());
    if (!holds(field.rule, from, to))
      obstacle(std::string{field.name}, shown(field, from), shown(field, to), field.reason);
    else if (from != to)
      check_.notes.push_back(fmt::format(
          "{} is {} at A and {} at B{}", field.name, shown(field, from), shown(field, to),
          field.rule == Rule::harmless ? fmt::format(": {}", field.reason) : ""));
  }

  DriverView& a_;
  DriverView& b_;
  MigrationCheck check_;
};

} // namespace

MigrationCheck check_migration(const Config& a, const DeviceConfig& from, const Config& b,
                               const DeviceConfig& to) {
  DriverView view_a(from, a);
  DriverView view_b(to, b);
  return Comparison(view_a, view_b).result();
}

std::vector<MigrationCheck> check_migration(const Config& a, const Config& b) {
  std::vector<MigrationCheck> checks;
  for (const DeviceConfig& from : a.devices) {
    const auto to = std::ranges::find(b.devices, from.name, &DeviceConfig::name);
    if (to != b.devices.end())
      checks.push_back(check_migration(a, from, b, *to));
    else
      checks.push_back({.from = from.name,
                        .to = from.name,
                        .obstacles = {{.what = "device",
                                       .from = "exists",
                                       .to = "does not exist",
                                       .reason = "B has no device of that name"}},
                        .notes = {}});
  }
  return checks;
}

} // namespace virtio::platform
