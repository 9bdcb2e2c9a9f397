// The items of an RSS case as text.
//
//   packet GAPS HEX        GAPS 0: beat after beat; else the seed of idle cycles before each beat
//   config NAME=VALUE ..   one change: types, tunnels, fragments, mask, unclassified, vxlan, gpe,
//                          geneve, gre: numbers; key: 80 digits; table, reset: lists of INDEX:VALUE
#pragma once

#include <virtio/rtl/cosim/rss/dut.hpp>

#include <variant>

namespace virtio::rtl::cosim::rss {

struct PacketItem {
  std::uint64_t gaps = 0;
  std::vector<std::byte> bytes;
};

struct ConfigWrite {
  std::uint32_t address = 0;
  std::uint32_t data = 0;
};
using ConfigItem = std::vector<ConfigWrite>;

using RssItem = std::variant<PacketItem, ConfigItem>;

/// An error says what is wrong with the line.
tl::expected<RssItem, std::string> parse_item(const Item& text);
Item to_text(const PacketItem& packet);

/// What the writes make of a setup.
void apply(const ConfigItem& change, RssSetup& setup);
/// A setup that leaves nothing open, and the writes that make it: all words and all table entries.
RssSetup first_setup(const DutParams& params);
ConfigItem writes_of(const RssSetup& setup);

/// Simpler forms, for the shrinker.
std::vector<Item> simpler(const Item& text);

} // namespace virtio::rtl::cosim::rss
