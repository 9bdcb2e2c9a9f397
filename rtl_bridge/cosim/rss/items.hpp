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
/// A setup that leaves nothing open, and the writes that make it: all words and all table entries,
/// without the ports of tunnels where they are those of a reset.
RssSetup first_setup(const DutParams& params);
ConfigItem writes_of(const RssSetup& setup, bool with_ports = true);

/// Simpler forms, for the shrinker, and how much there is to look at.
std::vector<Item> simpler(const Item& text);
std::vector<Stimulus> simpler_settings(const Stimulus& stimulus);
std::uint64_t packets_of(const Stimulus& stimulus);

} // namespace virtio::rtl::cosim::rss
