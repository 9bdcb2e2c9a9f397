#include <virtio/rtl/cosim/rss/items.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <sstream>

namespace virtio::rtl::cosim::rss {

namespace {

constexpr std::uint32_t key_address = 16;
constexpr std::uint32_t reset_address = 0x8000;
constexpr std::uint32_t table_address = 0x10000;
/// In the order of their addresses.
constexpr std::string_view words[] = {"types", "tunnels", "fragments", "mask", "unclassified",
                                      "vxlan", "gpe",     "geneve",    "gre"};

template <class Number> bool read_number(std::string_view text, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_bytes(std::string_view digits, std::vector<std::byte>& bytes) {
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    std::uint8_t byte = 0;
    if (!read_number(digits.substr(i, 2), byte, 16)) return false;
    bytes.push_back(std::byte{byte});
  }
  return digits.size() % 2 == 0;
}

bool read_key(std::string_view digits, ConfigItem& change) {
  if (digits.size() != 2 * net::used_key_bytes) return false;
  for (std::uint32_t word = 0; word < net::used_key_bytes / 4; ++word) {
    std::uint32_t data = 0;
    if (!read_number(digits.substr(8 * word, 8), data, 16)) return false;
    change.push_back({key_address + word, data});
  }
  return true;
}

bool read_list(std::string_view text, std::uint32_t address, ConfigItem& change) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view pair = text.substr(0, end);
    const std::size_t colon = pair.find(':');
    std::uint32_t index = 0;
    std::uint32_t value = 0;
    if (colon == pair.npos || !read_number(pair.substr(0, colon), index) || index >= 0x8000 ||
        !read_number(pair.substr(colon + 1), value))
      return false;
    change.push_back({address + index, value});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool read_field(std::string_view field, ConfigItem& change) {
  const std::size_t equals = field.find('=');
  if (equals == field.npos) return false;
  const std::string_view name = field.substr(0, equals);
  const std::string_view value = field.substr(equals + 1);
  if (name == "key") return read_key(value, change);
  if (name == "table") return read_list(value, table_address, change);
  if (name == "reset") return read_list(value, reset_address, change);
  const auto* const word = std::ranges::find(words, name);
  std::uint32_t data = 0;
  if (word == std::end(words) || !read_number(value, data)) return false;
  change.push_back({static_cast<std::uint32_t>(word - std::begin(words)), data});
  return true;
}

void apply_word(const ConfigWrite& write, RssSetup& setup) {
  const auto port = static_cast<std::uint16_t>(write.data);
  switch (write.address) {
  case 0:
    setup.rules.types = write.data & 0xfff;
    break;
  case 1:
    setup.rules.tunnels = write.data & 0x1ff;
    break;
  case 2:
    setup.rules.ports_of_first_fragment = (write.data & 1) != 0;
    break;
  case 3:
    setup.table_mask = port & 0x7fff;
    break;
  case 4:
    setup.unclassified_queue = port;
    break;
  case 5:
    setup.rules.parse.vxlan_port = port;
    break;
  case 6:
    setup.rules.parse.vxlan_gpe_port = port;
    break;
  case 7:
    setup.rules.parse.geneve_port = port;
    break;
  case 8:
    setup.rules.parse.gre_udp_port = port;
    break;
  default:
    for (unsigned i = 0; i < 4 && write.address - key_address < 10; ++i)
      setup.key.at(4 * (write.address - key_address) + i) =
          static_cast<std::uint8_t>(write.data >> (24 - 8 * i));
  }
}

std::vector<Item> simpler_packet(const PacketItem& packet) {
  std::vector<Item> items;
  const auto add = [&](auto change) {
    PacketItem smaller = packet;
    change(smaller);
    items.push_back(to_text(smaller));
  };
  if (packet.gaps != 0) add([](PacketItem& p) { p.gaps = 0; });
  const std::size_t size = packet.bytes.size();
  for (std::size_t cut = size / 2; cut != 0; cut /= 2)
    add([&](PacketItem& p) { p.bytes.resize(size - cut); });
  for (std::size_t length = size; length != 0; length /= 2)
    for (std::size_t at = 0; at < size; at += length) {
      const std::size_t count = std::min(length, size - at);
      const auto part = std::span(packet.bytes).subspan(at, count);
      if (std::ranges::any_of(part, [](std::byte b) { return b != std::byte{}; }))
        add([&](PacketItem& p) { std::fill_n(p.bytes.data() + at, count, std::byte{}); });
    }
  return items;
}

/// Fields, and elements of lists, are left out.
std::vector<Item> simpler_config(const Item& text) {
  std::vector<Item> items;
  for (std::size_t at = text.find(' '); at != text.npos; at = text.find(' ', at + 1)) {
    const std::size_t end = std::min(text.find(' ', at + 1), text.size());
    items.push_back(text.substr(0, at) + text.substr(end));
  }
  for (std::size_t at = text.find(','); at != text.npos; at = text.find(',', at + 1)) {
    const std::size_t end = std::min(text.find_first_of(", ", at + 1), text.size());
    items.push_back(text.substr(0, at) + text.substr(end));
    const std::size_t begin = text.find_last_of("=,", at - 1);
    items.push_back(text.substr(0, begin + 1) + text.substr(at + 1));
  }
  return items;
}

} // namespace

tl::expected<RssItem, std::string> parse_item(const Item& text) {
  std::istringstream fields(text);
  std::string kind;
  std::string field;
  fields >> kind;
  if (kind == "packet") {
    PacketItem packet;
    std::string digits;
    if (!(fields >> packet.gaps >> digits) || !read_bytes(digits, packet.bytes) || fields >> field)
      return tl::unexpected(fmt::format("\"{}\" is not: packet GAPS HEX", text.substr(0, 40)));
    return packet;
  }
  if (kind != "config") return tl::unexpected(fmt::format("\"{}\": no kind of item", kind));
  ConfigItem change;
  while (fields >> field)
    if (!read_field(field, change))
      return tl::unexpected(fmt::format("config: \"{}\" is no field", field.substr(0, 40)));
  return change;
}

Item to_text(const PacketItem& packet) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = fmt::format("packet {} ", packet.gaps);
  text.reserve(text.size() + 2 * packet.bytes.size());
  for (const std::byte byte : packet.bytes) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 0xf];
  }
  return text;
}

void apply(const ConfigItem& change, RssSetup& setup) {
  for (const ConfigWrite& write : change)
    if (write.address >= table_address)
      setup.table.at((write.address - table_address) & (setup.table.size() - 1)) =
          static_cast<std::uint16_t>(write.data);
    else if (write.address < reset_address)
      apply_word(write, setup);
    else if (write.address - reset_address < setup.queues_in_reset.size())
      setup.queues_in_reset[write.address - reset_address] = (write.data & 1) != 0;
}

RssSetup first_setup(const DutParams& params) {
  RssSetup setup;
  setup.rules.types = net::all_hash_types;
  setup.rules.parse.max_parse_bytes = params.max_parse_bytes;
  for (std::size_t i = 0; i < setup.key.size(); ++i)
    setup.key[i] = static_cast<std::uint8_t>(0x6d + 37 * i);
  for (unsigned i = 0; i < params.table_entries; ++i)
    setup.table.push_back(static_cast<std::uint16_t>(i));
  setup.table_mask = static_cast<std::uint16_t>(params.table_entries - 1);
  setup.queues_in_reset.resize(params.queues);
  return setup;
}

ConfigItem writes_of(const RssSetup& setup, bool with_ports) {
  const net::ParseRules& parse = setup.rules.parse;
  const std::uint32_t values[] = {
      setup.rules.types,    setup.rules.tunnels,      setup.rules.ports_of_first_fragment,
      setup.table_mask,     setup.unclassified_queue, parse.vxlan_port,
      parse.vxlan_gpe_port, parse.geneve_port,        parse.gre_udp_port};
  ConfigItem writes;
  for (const std::uint32_t value : std::span(values).first(with_ports ? 9 : 5))
    writes.push_back({static_cast<std::uint32_t>(writes.size()), value});
  for (std::uint32_t word = 0; word < setup.key.size() / 4; ++word) {
    std::uint32_t data = 0;
    for (unsigned i = 0; i < 4; ++i)
      data = data << 8 | setup.key[4 * word + i];
    writes.push_back({key_address + word, data});
  }
  for (std::uint32_t i = 0; i < setup.table.size(); ++i)
    writes.push_back({table_address + i, setup.table[i]});
  return writes;
}

std::vector<Item> simpler(const Item& text) {
  const auto item = parse_item(text);
  if (!item) return {};
  if (const auto* const packet = std::get_if<PacketItem>(&*item)) return simpler_packet(*packet);
  return simpler_config(text);
}

std::vector<Stimulus> simpler_settings(const Stimulus& stimulus) {
  std::vector<Stimulus> simpler;
  for (const char* name : {"stall", "gap", "config_gap", "default_ports"})
    if (stimulus.number(name) != 0) simpler.emplace_back(stimulus).settings[name] = "0";
  return simpler;
}

std::uint64_t packets_of(const Stimulus& stimulus) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      stimulus.items, [](const Item& item) { return item.starts_with("packet"); }));
}

} // namespace virtio::rtl::cosim::rss
