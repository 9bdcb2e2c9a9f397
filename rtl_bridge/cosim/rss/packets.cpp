#include <virtio/core/random.hpp>
#include <virtio/rtl/cosim/choice.hpp>
#include <virtio/rtl/cosim/rss/packets.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl::cosim::rss {

namespace {

using Bytes = std::vector<std::byte>;

/// Ports that the tunnels of a case are looked for at, and one that none is.
constexpr std::uint16_t ports[] = {4789, 4790, 6081, 4754, 5555};

class PacketMaker {
public:
  explicit PacketMaker(std::uint64_t seed) : random_(seed) {}

  PacketForm make() {
    PacketForm form{ethernet(0), "none"};
    spoil(form);
    return form;
  }

private:
  bool chance(unsigned percent) { return random_.below(100) < percent; }
  std::uint64_t below(std::uint64_t count) { return random_.below(count); }

  static void put(Bytes& bytes, std::uint64_t value, unsigned count) {
    for (unsigned i = count; i-- > 0;)
      bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  static void append(Bytes& bytes, const Bytes& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  Bytes noise(std::size_t count) {
    Bytes bytes(count);
    random_.fill(bytes);
    return bytes;
  }

  Bytes ethernet(unsigned depth) {
    Bytes bytes = noise(12);
    const unsigned tags = chance(60) ? 0 : chance(90) ? 1 + static_cast<unsigned>(below(2)) : 3;
    for (unsigned i = 0; i < tags; ++i) {
      put(bytes, chance(50) ? net::ethertype_vlan : net::ethertype_service_vlan, 2);
      put(bytes, below(0x10000), 2);
    }
    if (chance(4)) {
      put(bytes, net::ethertype_arp, 2);
      append(bytes, noise(28));
      return bytes;
    }
    const bool ipv6 = chance(55);
    put(bytes, ipv6 ? net::ethertype_ipv6 : net::ethertype_ipv4, 2);
    append(bytes, ip(ipv6, depth));
    return bytes;
  }

  Bytes ip(bool ipv6, unsigned depth) { return ipv6 ? ipv6_packet(depth) : ipv4_packet(depth); }

  struct Transport {
    std::uint8_t protocol;
    Bytes bytes;
  };
  Transport transport(unsigned depth) {
    const std::uint64_t kind = below(depth < 2 ? 12 : 6);
    if (kind < 4 && chance(1)) return {17, udp(9, noise(4000 + below(5000)))};
    if (kind < 2) return {6, tcp()};
    if (kind < 4) return {17, udp(static_cast<std::uint16_t>(below(0x10000)), noise(below(60)))};
    if (kind < 5) return {static_cast<std::uint8_t>(chance(50) ? 1 : below(256)), noise(below(50))};
    if (kind < 6) return {17, udp(ports[below(5)], noise(below(60)))};
    if (kind < 7) return {47, gre(depth)};
    if (kind < 8) {
      const bool ipv6 = chance(50);
      return {static_cast<std::uint8_t>(ipv6 ? 41 : 4), ip(ipv6, depth + 1)};
    }
    return {17, udp_tunnel(depth)};
  }

  Bytes tcp() {
    const std::uint64_t words = chance(80) ? 5 + below(6) : 4 + below(12);
    Bytes bytes = noise(12);
    put(bytes, words << 12 | below(0x1000), 2);
    append(bytes, noise(6));
    append(bytes, noise(words < 5 ? 0 : 4 * (words - 5)));
    append(bytes, noise(below(30)));
    return bytes;
  }

  Bytes udp(std::uint16_t port, const Bytes& payload) {
    Bytes bytes = noise(2);
    put(bytes, port, 2);
    put(bytes, chance(90) ? payload.size() + 8 : payload.size() + 6 + below(4), 2);
    append(bytes, noise(2));
    append(bytes, payload);
    return bytes;
  }

  Bytes payload(std::uint16_t type, unsigned depth) {
    if (type == net::ethertype_bridged) return ethernet(depth + 1);
    if (type == net::ethertype_ipv4) return ipv4_packet(depth + 1);
    if (type == net::ethertype_ipv6) return ipv6_packet(depth + 1);
    return noise(below(50));
  }
  std::uint16_t type() {
    constexpr std::uint16_t types[] = {net::ethertype_bridged, net::ethertype_ipv4,
                                       net::ethertype_ipv6, net::ethertype_arp};
    return types[chance(95) ? below(3) : 3];
  }

  Bytes gre(unsigned depth) {
    const std::uint64_t flags = (chance(30) ? 0x8000u : 0) | (chance(40) ? 0x2000u : 0) |
                                (chance(40) ? 0x1000u : 0) | (chance(4) ? 0x4000u : 0) |
                                (chance(4) ? below(8) : 0) | (chance(20) ? below(64) << 3 : 0);
    Bytes bytes;
    put(bytes, flags, 2);
    const std::uint16_t protocol = type();
    put(bytes, protocol, 2);
    for (const unsigned field : {0x8000u, 0x2000u, 0x1000u})
      if ((flags & field) != 0) append(bytes, noise(4));
    append(bytes, payload(protocol, depth));
    return bytes;
  }

  Bytes udp_tunnel(unsigned depth) {
    const std::uint64_t kind = below(4);
    Bytes bytes;
    if (kind == 0) { // VXLAN
      put(bytes, chance(95) ? 0x08 : below(256), 1);
      append(bytes, noise(7));
      append(bytes, ethernet(depth + 1));
    } else if (kind == 1) { // VXLAN-GPE
      const std::uint64_t next = chance(95) ? 1 + below(3) : below(256);
      put(bytes, chance(90) ? (chance(80) ? 0x0c : 0x08) : below(256), 1);
      append(bytes, noise(2));
      put(bytes, next, 1);
      append(bytes, noise(4));
      append(bytes, payload(next == 1   ? net::ethertype_ipv4
                            : next == 2 ? net::ethertype_ipv6
                                        : net::ethertype_bridged,
                            depth));
    } else if (kind == 2) { // GENEVE
      const std::uint64_t words = chance(90) ? below(6) : below(64);
      const std::uint16_t protocol = type();
      put(bytes, words | (chance(4) ? 0x40u : 0), 1);
      append(bytes, noise(1));
      put(bytes, protocol, 2);
      append(bytes, noise(4 + 4 * words));
      append(bytes, payload(protocol, depth));
    } else {
      bytes = gre(depth);
    }
    return udp(chance(95) ? ports[kind] : ports[below(5)], bytes);
  }

  Bytes ipv4_packet(unsigned depth) {
    const std::uint64_t words = chance(80) ? 5 : chance(95) ? 5 + below(11) : below(16);
    const Transport carried = transport(depth);
    const std::uint64_t options = words < 5 ? 0 : 4 * (words - 5);
    Bytes bytes;
    put(bytes, (chance(98) ? 0x40u : below(16) << 4) | words, 1);
    append(bytes, noise(1));
    put(bytes, 20 + options + carried.bytes.size(), 2);
    append(bytes, noise(2));
    put(bytes, fragment_field() >> 3 | (fragment_more_ ? 0x2000u : 0) | (chance(30) ? 0x4000u : 0),
        2);
    append(bytes, noise(1));
    put(bytes, carried.protocol, 1);
    append(bytes, noise(10 + options));
    append(bytes, carried.bytes);
    return bytes;
  }

  /// The offset in bytes; whether more fragments follow is in fragment_more_.
  std::uint64_t fragment_field() {
    fragment_more_ = chance(8);
    return chance(8) ? 8 * (chance(30) ? 1 : below(0x2000)) : 0;
  }

  Bytes options(std::size_t size) {
    Bytes bytes;
    while (bytes.size() < size) {
      const std::size_t left = size - bytes.size();
      const std::uint64_t kind = below(10);
      if (kind < 3 || left < 2) {
        put(bytes, 0, 1);
      } else if (kind < 7 && left >= 18) {
        put(bytes, 201, 1);
        put(bytes, chance(90) ? 16 : below(30), 1);
        append(bytes, noise(16));
      } else {
        const std::uint64_t length = chance(92) ? below(left - 1) : below(256);
        put(bytes, chance(80) ? 1 : 201, 1);
        put(bytes, length, 1);
        append(bytes, noise(std::min<std::size_t>(length, left - 2)));
      }
    }
    bytes.resize(size);
    return bytes;
  }

  /// One extension header of a kind, with the number of what follows.
  Bytes extension(std::uint8_t kind, std::uint8_t next) {
    Bytes bytes;
    put(bytes, next, 1);
    if (kind == 44) {
      append(bytes, noise(1));
      const std::uint64_t offset = fragment_field();
      put(bytes, offset | (fragment_more_ ? 1u : 0) | (chance(10) ? below(4) << 1 : 0), 2);
      append(bytes, noise(4));
    } else if (kind == 51) {
      const std::uint64_t words = below(6);
      put(bytes, words, 1);
      append(bytes, noise(4 * words + 6));
    } else if (kind == 43 && chance(75)) {
      put(bytes, 2, 1);
      put(bytes, 0x0201, 2);
      append(bytes, noise(20));
    } else {
      const std::uint64_t words = chance(90) ? below(6) : below(40);
      put(bytes, words, 1);
      append(bytes, kind == 60 ? options(8 * words + 6) : noise(8 * words + 6));
      // Type 2 of another length than it has.
      if (kind == 43 && chance(60)) bytes[2] = std::byte{2};
    }
    return bytes;
  }

  Bytes ipv6_packet(unsigned depth) {
    constexpr std::uint8_t kinds[] = {0, 43, 44, 51, 60, 60, 135, 139, 140, 50, 59};
    const Transport carried = transport(depth);
    std::uint8_t next = carried.protocol;
    Bytes behind = carried.bytes;
    const std::uint64_t count = chance(50) ? 0 : chance(90) ? 1 + below(3) : below(9);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint8_t kind = kinds[below(chance(97) ? 9 : 11)];
      Bytes header = extension(kind, next);
      append(header, behind);
      behind = std::move(header);
      next = kind;
    }
    Bytes bytes;
    put(bytes, (chance(98) ? 0x60u : below(16) << 4) | below(16), 1);
    append(bytes, noise(3));
    put(bytes, behind.size(), 2);
    put(bytes, next, 1);
    append(bytes, noise(33));
    append(bytes, behind);
    return bytes;
  }

  void spoil(PacketForm& form) {
    Bytes& bytes = form.bytes;
    const std::uint64_t kind = below(100);
    if (kind < 15) {
      form.spoiled = "cut";
      bytes.resize(1 + below(bytes.size()));
    } else if (kind < 25) {
      form.spoiled = "byte";
      bytes[below(bytes.size())] = static_cast<std::byte>(below(256));
    } else if (kind < 32) {
      form.spoiled = "length";
      std::byte& byte = bytes[std::min<std::size_t>(14 + below(60), bytes.size() - 1)];
      byte = static_cast<std::byte>(std::to_integer<unsigned>(byte) + (chance(50) ? 1 : 255));
    } else if (kind < 50) {
      form.spoiled = "padded";
      append(bytes, noise(chance(90) ? below(70) : below(3000)));
    }
  }

  Random random_;
  bool fragment_more_ = false;
};

std::string list(Random& random, std::uint64_t count, std::uint64_t indices, std::uint64_t values) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t index = random.below(indices);
    text += fmt::format("{}{}:{}", i == 0 ? "" : ",", index, random.below(values));
  }
  return text;
}

Bytes plain_packet(std::uint64_t seed, std::uint64_t number) {
  Random random(Choice(seed, "plain").at(number));
  Bytes bytes(64);
  random.fill(bytes);
  constexpr std::uint8_t front[] = {0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6};
  for (std::size_t i = 0; i < sizeof front; ++i)
    bytes[12 + i] = std::byte{front[i]};
  bytes[46] = std::byte{0x50};
  return bytes;
}

} // namespace

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all = {
      {.name = "default",
       .gap_percent = 30,
       .max_gap = 3,
       .stall_percent = 20,
       .what = "all packet forms, some changes, gaps and back-pressure"},
      {.name = "calm", .what = "all packet forms, beat after beat, results taken at once"},
      {.name = "stalls",
       .gap_percent = 60,
       .max_gap = 20,
       .stall_percent = 85,
       .what = "results are seldom taken, packets come haltingly"},
      {.name = "changes",
       .config_percent = 50,
       .gap_percent = 10,
       .max_gap = 3,
       .stall_percent = 10,
       .what = "a change of configuration for every packet"},
      {.name = "short",
       .items = 1000,
       .config_percent = 0,
       .plain = true,
       .what = "64-byte packets of TCP over IPv4, beat after beat"}};
  return all;
}

PacketForm random_packet(std::uint64_t seed, std::uint64_t number) {
  return PacketMaker(Choice(seed, "packet").at(number)).make();
}

Item random_config(std::uint64_t seed, std::uint64_t number, const DutParams& params) {
  Random random(Choice(seed, "config").at(number));
  const auto chance = [&](unsigned percent) { return random.below(100) < percent; };
  std::string text = "config";
  const std::uint64_t tunnels = random.below(4); // none, v7's, the standard's, both
  if (chance(70)) {
    const std::uint64_t types = chance(40) ? 0x1ff : random.below(0x200);
    text += fmt::format(" types={}", types | ((tunnels & 1) != 0 ? random.below(8) << 9 : 0));
    const std::uint64_t standard = chance(50) ? 0x1ff : random.below(0x200);
    text += fmt::format(" tunnels={}", (tunnels & 2) != 0 ? standard : 0);
  }
  if (chance(30)) text += fmt::format(" fragments={}", random.below(2));
  if (chance(30))
    text += fmt::format(" mask={}", params.table_entries / (1u << random.below(8)) - 1);
  // Few queue numbers beyond the last.
  const std::uint64_t values = chance(80) ? params.queues : 0x10000;
  if (chance(30)) text += fmt::format(" unclassified={}", random.below(values));
  for (const char* name : {"vxlan", "gpe", "geneve", "gre"})
    if (chance(8)) text += fmt::format(" {}={}", name, ports[random.below(5)]);
  if (chance(20)) {
    std::array<std::byte, net::used_key_bytes> key{};
    random.fill(key);
    text += " key=";
    for (const std::byte byte : key)
      text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  if (chance(40))
    text += " table=" + list(random, 1 + random.below(8), params.table_entries, values);
  if (chance(10)) // all packets to the last queue
    return text + fmt::format(" mask=0 table=0:{} reset={}:{}", params.queues - 1,
                              params.queues - 1, random.below(2));
  if (chance(40)) text += " reset=" + list(random, 1 + random.below(8), params.queues, 2);
  return text == "config" ? "config fragments=0" : text;
}

Stimulus random_case(std::uint64_t seed, const Profile& profile, const DutParams& params) {
  Stimulus stimulus;
  stimulus.settings = {{"bench", "rss"},
                       {"profile", profile.name},
                       {"seed", std::to_string(seed)},
                       {"stall", std::to_string(profile.stall_percent)},
                       {"gap", std::to_string(profile.max_gap)},
                       {"beat_bytes", std::to_string(params.beat_bytes)}};
  if (Choice(seed, "settings").chance(0, 30)) stimulus.settings["default_ports"] = "1";
  if (profile.config_percent != 0 && profile.max_gap != 0)
    stimulus.settings["config_gap"] = std::to_string(Choice(seed, "settings").below(1, 30));
  const Choice kinds(seed, "kind");
  const Choice gaps(seed, "gaps");
  for (std::uint64_t n = 0; n < profile.items; ++n) {
    if (kinds.chance(n, profile.config_percent)) {
      stimulus.items.push_back(random_config(seed, n, params));
      continue;
    }
    const bool halting = gaps.chance(n, profile.gap_percent);
    PacketItem packet{halting ? 1 + (gaps.at(n) >> 40) : 0, {}};
    packet.bytes = profile.plain ? plain_packet(seed, n) : random_packet(seed, n).bytes;
    stimulus.items.push_back(to_text(packet));
  }
  return stimulus;
}

namespace {

const std::vector<std::string> flaw_names = {"none",      "ethernet",        "ip_header",
                                             "ip_length", "extension",       "option",
                                             "transport", "transport_length"};
const std::vector<std::string> kind_names = {"none",      "gre",    "gre_udp", "vxlan",
                                             "vxlan_gpe", "geneve", "ip"};

std::string version(const net::IpHeaders& ip) {
  return ip.version == 4 ? "IPv4" : ip.version == 6 ? "IPv6" : "none";
}

std::vector<std::string> report_names() {
  std::vector<std::string> names;
  for (std::uint8_t i = 0; i < 10; ++i)
    names.emplace_back(net::name(net::HashReport{i}));
  return names;
}

void cover(const PacketItem& packet, const RssModel& model, CoverPlan& plan) {
  const net::Headers headers = net::parse(packet.bytes, model.setup().rules.parse);
  const net::HashInput input = net::hash_input(packet.bytes, model.setup().rules);
  const std::string tags = headers.flaw != net::Flaw::none ? "cut" : std::to_string(headers.tags);
  plan.hit({{"report", net::name(input.report)},
            {"tags", tags},
            {"hashed", input.inner ? "inner" : "outer"}});
  plan.hit({{"kind", kind_names[static_cast<unsigned>(headers.tunnel.kind)]},
            {"inside", version(headers.inner)}});
  plan.hit("flaw", flaw_names[static_cast<unsigned>(
                       headers.flaw != net::Flaw::none ? headers.flaw : headers.outer.flaw)]);
  plan.hit("tunnel_report", net::name(input.tunnel));
  const net::IpHeaders& ip = headers.outer;
  if (ip.home_address != 0 || ip.routing_address != 0)
    plan.hit("address", ip.home_address == 0      ? "routing"
                        : ip.routing_address == 0 ? "home"
                                                  : "both");
  plan.hit("fragment", ip.fragment_offset != 0 ? "later" : ip.more_fragments ? "first" : "whole");
  plan.hit("queue", model.result(packet.bytes).drop ? "in_reset" : "running");
  plan.hit("length",
           packet.bytes.size() > model.setup().rules.parse.max_parse_bytes ? "beyond" : "within");
}

} // namespace

CoverPlan cover_plan() {
  CoverPlan plan;
  plan.group("report", report_names());
  plan.group("tags", {"0", "1", "2", "cut"});
  plan.group("hashed", {"outer", "inner"});
  plan.cross("report", "tags");
  plan.cross("report", "hashed");
  plan.group("kind", kind_names);
  plan.group("inside", {"none", "IPv4", "IPv6"});
  plan.cross("kind", "inside");
  plan.group("flaw", flaw_names);
  plan.group("tunnel_report", {"NONE", "GRE", "VXLAN", "GENEVE"});
  plan.group("address", {"home", "routing", "both"});
  plan.group("fragment", {"whole", "first", "later"});
  plan.group("queue", {"running", "in_reset"});
  plan.group("length", {"within", "beyond"});
  for (const std::string& report : report_names())
    if (report != "NONE")
      plan.waive("report*tags/" + report + "*cut",
                 "a packet without a whole Ethernet header has no hash");
  plan.waive("kind*inside/none*IPv4", "nothing is inside without a tunnel");
  plan.waive("kind*inside/none*IPv6", "nothing is inside without a tunnel");
  return plan;
}

void cover(const Stimulus& stimulus, const DutParams& params, CoverPlan& plan) {
  RssModel model(first_setup(params));
  for (const Item& text : stimulus.items) {
    const auto item = parse_item(text);
    if (!item) continue;
    if (const auto* const packet = std::get_if<PacketItem>(&*item)) {
      cover(*packet, model, plan);
    } else {
      RssSetup setup = model.setup();
      apply(std::get<ConfigItem>(*item), setup);
      model.configure(std::move(setup));
    }
  }
}

} // namespace virtio::rtl::cosim::rss
