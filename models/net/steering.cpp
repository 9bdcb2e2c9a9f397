#include <virtio/net/parser.hpp>
#include <virtio/net/steering.hpp>

#include <utility>

namespace virtio::net {

namespace {

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

FlowKey ipv4_key(Frame frame, const IpHeaders& ip, Ports ports) {
  Ipv4Header header;
  read_layout(frame.subspan(ip.network), header);
  return key({{0, header.source}, ports.source}, {{0, header.destination}, ports.destination},
             ip.protocol, false);
}

FlowKey ipv6_key(Frame frame, const IpHeaders& ip, Ports ports) {
  Ipv6Header header;
  read_layout(frame.subspan(ip.network), header);
  return key({{header.source[0], header.source[1]}, ports.source},
             {{header.destination[0], header.destination[1]}, ports.destination}, ip.protocol,
             true);
}

} // namespace

std::uint64_t FlowKey::hash() const {
  std::uint64_t h = 0;
  for (const std::uint64_t word : words)
    h = mix(h + 0x9e3779b97f4a7c15ull + word);
  return h;
}

std::optional<FlowKey> flow_of(Frame frame) {
  const IpHeaders ip = parse(frame, {.tunnels = false}).outer;
  if (ip.version == 0) return std::nullopt;
  Ports ports;
  if (ip.payload != 0 && !ip.fragmented()) read_layout(frame.subspan(ip.transport), ports);
  return ip.version == 4 ? ipv4_key(frame, ip, ports) : ipv6_key(frame, ip, ports);
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
