#include <virtio/net/steering.hpp>

#include <utility>

namespace virtio::net {

namespace {

constexpr std::uint8_t protocol_tcp = 6;

/// splitmix64's finaliser: every bit of the input reaches every bit of the result.
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

struct Endpoint {
  std::array<std::uint64_t, 2> address{};
  std::uint16_t port = 0;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

struct Ports {
  be16 source;
  be16 destination;
};

FlowKey key(Endpoint a, Endpoint b, std::uint8_t protocol, bool ipv6) {
  if (b < a) std::swap(a, b);
  const std::uint64_t rest = std::uint64_t{a.port} << 48 | std::uint64_t{b.port} << 32 |
                             std::uint64_t{ipv6} << 8 | protocol;
  return {{a.address[0], a.address[1], b.address[0], b.address[1], rest}};
}

/// `transport` begins after the network header.
FlowKey key_with_ports(Endpoint from, Endpoint to, std::uint8_t protocol, bool ipv6,
                       Frame transport) {
  Ports ports;
  if ((protocol == protocol_tcp || protocol == Ipv4Header::udp) && read_layout(transport, ports)) {
    from.port = ports.source;
    to.port = ports.destination;
  }
  return key(from, to, protocol, ipv6);
}

std::optional<FlowKey> ipv4_flow(Frame packet) {
  Ipv4Header ip;
  if (!read_layout(packet, ip) || ip.version_and_words >> 4 != 4) return std::nullopt;
  const std::size_t header = 4u * (ip.version_and_words & 0xf);
  const bool whole = (ip.fragment & Ipv4Header::fragment_mask) == 0;
  const bool ports = whole && header >= sizeof ip && header <= packet.size();
  return key_with_ports({{0, ip.source}}, {{0, ip.destination}}, ip.protocol, false,
                        ports ? packet.subspan(header) : Frame{});
}

std::optional<FlowKey> ipv6_flow(Frame packet) {
  Ipv6Header ip;
  if (!read_layout(packet, ip) || ip.version_and_class >> 4 != 6) return std::nullopt;
  return key_with_ports({{ip.source[0], ip.source[1]}}, {{ip.destination[0], ip.destination[1]}},
                        ip.next_header, true, packet.subspan(sizeof ip));
}

} // namespace

std::uint64_t FlowKey::hash() const {
  std::uint64_t h = 0;
  for (const std::uint64_t word : words)
    h = mix(h + 0x9e3779b97f4a7c15ull + word);
  return h;
}

std::optional<FlowKey> flow_of(Frame frame) {
  EthernetHeader ethernet;
  if (!read_layout(frame, ethernet)) return std::nullopt;
  frame = frame.subspan(sizeof ethernet);
  std::uint16_t type = ethernet.type;
  for (int tags = 0; tags < 2 && (type == ethertype_vlan || type == ethertype_service_vlan);
       ++tags) {
    VlanTag tag;
    if (!read_layout(frame, tag)) return std::nullopt;
    type = tag.type;
    frame = frame.subspan(sizeof tag);
  }
  if (type == ethertype_ipv4) return ipv4_flow(frame);
  if (type == ethertype_ipv6) return ipv6_flow(frame);
  return std::nullopt;
}

void FlowSteering::enable(std::uint16_t pairs) {
  pairs_ = pairs;
  table_.assign(pairs > 1 ? places : 0, {});
}

void FlowSteering::transmitted(Frame frame, std::uint16_t pair) {
  if (pairs_ == 1 || pair >= pairs_) return;
  if (const auto flow = flow_of(frame)) table_[flow->hash() % places] = {*flow, pair};
}

std::uint16_t FlowSteering::select(Frame frame) const {
  if (pairs_ == 1) return 0;
  const auto flow = flow_of(frame);
  if (!flow) return 0;
  const std::uint64_t hash = flow->hash();
  const Learned& learned = table_[hash % places];
  if (learned.flow == *flow) return learned.pair;
  return static_cast<std::uint16_t>((hash >> 32) % pairs_);
}

} // namespace virtio::net
