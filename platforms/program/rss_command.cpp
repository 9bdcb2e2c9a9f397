#include <virtio/net/hash.hpp>
#include <virtio/net/pcap.hpp>
#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/config/suggest.hpp>
#include <virtio/platforms/program/rss_command.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>

namespace virtio::platform {

namespace {

using namespace virtio::net;

struct RssOptions {
  std::filesystem::path capture;
  std::string key = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01"
                    "fa";
  std::string types = "all";
  std::string table;
  std::uint16_t queues = 4;
  std::uint16_t unclassified = 0;
  std::string tunnels;
  bool v7 = false;
  bool ports_of_first_fragment = false;
  std::uint32_t max_parse_bytes = 0;
  bool json = false;
};

struct Bit {
  std::string_view name;
  std::uint32_t bit;
};
constexpr Bit hash_types[] = {
    {"IPv4", VIRTIO_NET_HASH_TYPE_IPv4},    {"TCPv4", VIRTIO_NET_HASH_TYPE_TCPv4},
    {"UDPv4", VIRTIO_NET_HASH_TYPE_UDPv4},  {"IPv6", VIRTIO_NET_HASH_TYPE_IPv6},
    {"TCPv6", VIRTIO_NET_HASH_TYPE_TCPv6},  {"UDPv6", VIRTIO_NET_HASH_TYPE_UDPv6},
    {"IP_EX", VIRTIO_NET_HASH_TYPE_IP_EX},  {"TCP_EX", VIRTIO_NET_HASH_TYPE_TCP_EX},
    {"UDP_EX", VIRTIO_NET_HASH_TYPE_UDP_EX}};
constexpr Bit tunnels[] = {{"GRE_2784", VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2784},
                           {"GRE_2890", VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890},
                           {"GRE_7676", VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_7676},
                           {"GRE_UDP", VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_UDP},
                           {"VXLAN", VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN},
                           {"VXLAN_GPE", VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN_GPE},
                           {"GENEVE", VIRTIO_NET_HASH_TUNNEL_TYPE_GENEVE},
                           {"IPIP", VIRTIO_NET_HASH_TUNNEL_TYPE_IPIP},
                           {"NVGRE", VIRTIO_NET_HASH_TUNNEL_TYPE_NVGRE}};
constexpr Bit v7_tunnels[] = {{"GRE", VIRTIO_NET_HASH_TYPE_GRE_INNER},
                              {"VXLAN", VIRTIO_NET_HASH_TYPE_VXLAN_INNER},
                              {"GENEVE", VIRTIO_NET_HASH_TYPE_GENEVE_INNER}};

template <class T> using Result = tl::expected<T, std::string>;

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
  }
  return parts;
}

/// "all", or names with commas between them.
Result<std::uint32_t> bits_of(std::string_view option, std::string_view list,
                              std::span<const Bit> known) {
  std::vector<std::string> names;
  std::uint32_t all = 0;
  for (const Bit& bit : known) {
    names.emplace_back(bit.name);
    all |= bit.bit;
  }
  if (list == "all") return all;
  std::uint32_t bits = 0;
  for (const std::string& name : split(list)) {
    const auto found = std::ranges::find(known, std::string_view(name), &Bit::name);
    if (found == known.end())
      return tl::unexpected(fmt::format("{}: there is no \"{}\", only all and {}{}", option, name,
                                        quoted_list(names), did_you_mean(name, names)));
    bits |= found->bit;
  }
  return bits;
}

Result<std::vector<std::uint8_t>> key_of(std::string digits) {
  std::erase_if(digits, [](char c) { return c == ':' || c == ' '; });
  std::vector<std::uint8_t> key(digits.size() / 2);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char* const at = digits.data() + 2 * i;
    if (std::from_chars(at, at + 2, key[i], 16).ptr != at + 2)
      return tl::unexpected(std::string("--key: not all of it is hexadecimal"));
  }
  if (digits.size() % 2 != 0 || key.size() < used_key_bytes)
    return tl::unexpected(fmt::format("--key: {} hexadecimal digits; a key has at least {} bytes",
                                      digits.size(), used_key_bytes));
  return key;
}

Result<std::vector<std::uint16_t>> table_of(const RssOptions& options) {
  std::vector<std::uint16_t> table;
  for (const std::string& part : split(options.table)) {
    std::uint16_t queue = 0;
    if (std::from_chars(part.data(), part.data() + part.size(), queue).ptr !=
        part.data() + part.size())
      return tl::unexpected(fmt::format("--table: \"{}\" is not the number of a queue", part));
    table.push_back(queue);
  }
  if (options.table.empty())
    for (unsigned i = 0; i < 128; ++i)
      table.push_back(static_cast<std::uint16_t>(i % options.queues));
  if (!std::has_single_bit(table.size()) || table.size() > 0x8000)
    return tl::unexpected(fmt::format(
        "--table: {} entries; it has a power of two of them, at most 32768", table.size()));
  return table;
}

/// What the options ask for.
struct Setup {
  HashRules rules;
  std::vector<std::uint8_t> key;
  std::vector<std::uint16_t> table;
  std::uint16_t unclassified = 0;

  static Result<Setup> make(const RssOptions& options);
};

Result<Setup> Setup::make(const RssOptions& options) {
  auto key = key_of(options.key);
  if (!key) return tl::unexpected(key.error());
  auto table = table_of(options);
  if (!table) return tl::unexpected(table.error());
  const auto types = bits_of("--types", options.types, hash_types);
  if (!types) return tl::unexpected(types.error());
  const auto inner = options.v7 ? bits_of("--tunnel", options.tunnels, v7_tunnels)
                                : bits_of("--tunnel", options.tunnels, tunnels);
  if (!inner) return tl::unexpected(inner.error());
  Setup setup;
  setup.rules.types = *types | (options.v7 ? *inner : 0);
  setup.rules.tunnels = options.v7 ? 0 : *inner;
  setup.rules.ports_of_first_fragment = options.ports_of_first_fragment;
  if (options.max_parse_bytes != 0) setup.rules.parse.max_parse_bytes = options.max_parse_bytes;
  setup.key = std::move(*key);
  setup.table = std::move(*table);
  setup.unclassified = options.unclassified;
  return setup;
}

struct Packet {
  std::size_t bytes = 0;
  HashInput input;
  std::uint32_t hash = 0;
  std::string tunnel;
  std::uint16_t queue = 0;
};

/// The tunnel types that a packet is of, enabled or not.
std::string tunnel_name(const Headers& headers) {
  std::string names;
  for (const Bit& bit : tunnels)
    if ((tunnel_types(headers) & bit.bit) != 0)
      names += fmt::format("{}{}", names.empty() ? "" : "+", bit.name);
  return names.empty() ? "NONE" : names;
}

Packet examine(Frame frame, const Setup& setup, const Toeplitz& toeplitz) {
  const Headers headers = parse(frame, setup.rules.parse);
  Packet packet{.bytes = frame.size(),
                .input = hash_input(frame, headers, setup.rules),
                .tunnel = tunnel_name(headers)};
  packet.queue = setup.unclassified;
  if (packet.input.report != HashReport::NONE) {
    packet.hash = toeplitz.hash(packet.input.used());
    packet.queue = setup.table[packet.hash & (setup.table.size() - 1)];
  }
  return packet;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string digits;
  for (const std::byte byte : bytes)
    digits += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return digits;
}

/// Packets by queue.
using Spread = std::map<std::uint16_t, std::size_t>;

Spread spread_of(const std::vector<Packet>& packets, const Setup& setup) {
  Spread spread{{setup.unclassified, 0}};
  for (const std::uint16_t queue : setup.table)
    spread.emplace(queue, 0);
  for (const Packet& packet : packets)
    ++spread[packet.queue];
  return spread;
}

void print_text(const std::vector<Packet>& packets, const Setup& setup) {
  fmt::print("{:>6} {:>6} {:<8} {:<7} {:<5} {:<18} {:>10} {:>5}  {}\n", "packet", "bytes", "report",
             "tunnel", "input", "encapsulation", "hash", "queue", "input bytes");
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const Packet& packet = packets[i];
    const bool hashed = packet.input.report != HashReport::NONE;
    fmt::print("{:>6} {:>6} {:<8} {:<7} {:<5} {:<18} {:>10} {:>5}  {}\n", i + 1, packet.bytes,
               name(packet.input.report), name(packet.input.tunnel),
               !hashed              ? "-"
               : packet.input.inner ? "inner"
                                    : "outer",
               packet.tunnel, hashed ? fmt::format("{:#010x}", packet.hash) : "-", packet.queue,
               hashed ? hex(packet.input.used()) : "-");
  }
  const Spread spread = spread_of(packets, setup);
  std::size_t most = 1;
  for (const auto& [queue, count] : spread)
    most = std::max(most, count);
  fmt::print("\n{:>6} {:>8} {:>7}\n", "queue", "packets", "share");
  for (const auto& [queue, count] : spread)
    fmt::print("{:>6} {:>8} {:>6.1f}% {}\n", queue, count,
               100.0 * static_cast<double>(count) /
                   static_cast<double>(std::max<std::size_t>(packets.size(), 1)),
               std::string(50 * count / most, '#'));
}

void print_json(const std::vector<Packet>& packets, const Setup& setup) {
  nlohmann::ordered_json out{{"packets", nlohmann::json::array()},
                             {"queues", nlohmann::json::array()}};
  for (const Packet& packet : packets) {
    const bool hashed = packet.input.report != HashReport::NONE;
    out["packets"].push_back(
        {{"bytes", packet.bytes},
         {"hash_report", name(packet.input.report)},
         {"hash_report_tunnel", name(packet.input.tunnel)},
         {"encapsulation", packet.tunnel},
         {"inner", packet.input.inner},
         {"hash_value", hashed ? nlohmann::ordered_json(packet.hash) : nlohmann::ordered_json()},
         {"input", hex(packet.input.used())},
         {"queue", packet.queue}});
  }
  for (const auto& [queue, count] : spread_of(packets, setup))
    out["queues"].push_back({{"queue", queue}, {"packets", count}});
  fmt::print("{}\n", out.dump(2));
}

int rss(const RssOptions& options) {
  const auto bad = [](const std::string& message) {
    fmt::print(stderr, "{}\n", message);
    return static_cast<int>(ExitCode::bad_usage);
  };
  const auto setup = Setup::make(options);
  if (!setup) return bad(setup.error());
  const auto capture = ReplayWire::open(options.capture);
  if (!capture) return bad(capture.error());
  const Toeplitz toeplitz(setup->key);
  std::vector<Packet> packets;
  for (std::size_t i = 0; i < (*capture)->frames(); ++i)
    packets.push_back(examine((*capture)->frame(i), *setup, toeplitz));
  options.json ? print_json(packets, *setup) : print_text(packets, *setup);
  return static_cast<int>(ExitCode::done);
}

} // namespace

std::function<int()> add_rss_command(CLI::App& app) {
  auto options = std::make_shared<RssOptions>();
  CLI::App* command =
      app.add_subcommand("rss", "Hash, report and queue of each packet of a capture");
  command->add_option("CAPTURE", options->capture, "pcap file of Ethernet frames")->required();
  command->add_option("--key", options->key,
                      "At least 40 bytes in hexadecimal; default: that of Microsoft's vectors");
  command->add_option("--types", options->types,
                      "Enabled hash types: all, or of IPv4,TCPv4,UDPv4,IPv6,TCPv6,UDPv6,IP_EX,"
                      "TCP_EX,UDP_EX (default all)");
  auto* table = command->add_option("--table", options->table,
                                    "Indirection table: numbers of queues, a power of two of them");
  command
      ->add_option("--queues", options->queues,
                   "Instead of a table: 128 entries that name so many queues in turn (default 4)")
      ->check(CLI::Range(1, 32768))
      ->excludes(table);
  command->add_option("--unclassified", options->unclassified,
                      "The queue of packets without a hash (default 0)");
  command->add_option("--tunnel", options->tunnels,
                      "Hash what these carry: all, or of GRE_2784,GRE_2890,GRE_7676,GRE_UDP,VXLAN,"
                      "VXLAN_GPE,GENEVE,IPIP,NVGRE; with --v7 of GRE,VXLAN,GENEVE (default none)");
  command->add_flag("--v7", options->v7,
                    "Tunnels as version 7 of the proposal has them, with hash_report_tunnel");
  command->add_flag("--ports-of-first-fragment", options->ports_of_first_fragment,
                    "Hash the ports of a packet's first fragment; fragments have else addresses "
                    "only");
  command->add_option("--max-parse-bytes", options->max_parse_bytes,
                      "Headers that end later in a frame count as cut (default 0: look at all)");
  command->add_flag("--json", options->json, "The same for programs");
  command->footer(
      "For each packet: hash_report, hash_report_tunnel, whether the outer or the inner packet "
      "was\n"
      "hashed, what it is encapsulated in, the hash, the receive queue, and the bytes that were\n"
      "hashed. Then how many packets each queue gets. It is what the network device does with\n"
      "features.rss (virtio 1.4, 5.1.6.4.3 and 5.1.6.5.7).\n"
      "Exit: 0 done; 2 bad usage or a file that is no capture.\n"
      "Examples:\n"
      "  virtio-tlm rss traffic.pcap --queues 8\n"
      "  virtio-tlm rss traffic.pcap --types IPv4,TCPv4 --table 0,1,2,3 --unclassified 3\n"
      "  virtio-tlm rss overlay.pcap --tunnel VXLAN,GENEVE --json");
  return [options] { return rss(*options); };
}

} // namespace virtio::platform
