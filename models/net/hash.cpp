#include <virtio/net/hash.hpp>

#include <algorithm>

namespace virtio::net {

namespace {

struct Reports {
  HashReport ip;
  HashReport tcp;
  HashReport udp;
};
constexpr Reports of_ipv4{HashReport::IPv4, HashReport::TCPv4, HashReport::UDPv4};
constexpr Reports of_ipv6{HashReport::IPv6, HashReport::TCPv6, HashReport::UDPv6};
constexpr Reports of_extended_ipv6{HashReport::IPv6_EX, HashReport::TCPv6_EX, HashReport::UDPv6_EX};

constexpr std::uint32_t type_of(HashReport report) {
  return 1u << (static_cast<unsigned>(report) - 1);
}

/// The first enabled type that the packet is of: with TCP, with UDP, any.
HashReport choose(const Reports& reports, const IpHeaders& ip, bool ports, std::uint32_t types) {
  if (ports && ip.tcp() && (types & type_of(reports.tcp)) != 0) return reports.tcp;
  if (ports && ip.udp() && (types & type_of(reports.udp)) != 0) return reports.udp;
  return (types & type_of(reports.ip)) != 0 ? reports.ip : HashReport::NONE;
}

HashReport choose(const IpHeaders& ip, const HashRules& rules) {
  const bool ports = !ip.fragmented() || rules.ports_of_first_fragment;
  if (ip.version == 4) return choose(of_ipv4, ip, ports, rules.types);
  if (ip.version != 6) return HashReport::NONE;
  if (ip.extensions != 0)
    if (const HashReport report = choose(of_extended_ipv6, ip, ports, rules.types);
        report != HashReport::NONE)
      return report;
  return choose(of_ipv6, ip, ports, rules.types);
}

bool has_ports(HashReport report) {
  return report != HashReport::IPv4 && report != HashReport::IPv6 && report != HashReport::IPv6_EX;
}

void append(HashInput& input, Frame frame, std::size_t at, std::size_t length) {
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(at), length,
              input.bytes.begin() + input.size);
  input.size = static_cast<std::uint8_t>(input.size + length);
}

void fill(HashInput& input, Frame frame, const IpHeaders& ip) {
  if (ip.version == 4) {
    append(input, frame, ip.network + offsetof(Ipv4Header, source), 8);
  } else {
    const bool extended = input.report >= HashReport::IPv6_EX;
    const bool home = extended && ip.home_address != 0;
    const bool routed = extended && ip.routing_address != 0;
    append(input, frame, home ? ip.home_address : ip.network + offsetof(Ipv6Header, source), 16);
    append(input, frame,
           routed ? ip.routing_address : ip.network + offsetof(Ipv6Header, destination), 16);
  }
  if (has_ports(input.report)) append(input, frame, ip.transport, 4);
}

std::uint32_t gre_types(const Headers& headers) {
  const Tunnel& tunnel = headers.tunnel;
  const bool ipv6 = headers.outer.version == 6 || tunnel.protocol == ethertype_ipv6;
  std::uint32_t types = 0;
  if (tunnel.key || tunnel.sequence)
    types |= VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890;
  else if (!ipv6)
    types |= VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2784;
  if (ipv6) types |= VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_7676;
  if (tunnel.key && !tunnel.sequence && tunnel.protocol == ethertype_bridged)
    types |= VIRTIO_NET_HASH_TUNNEL_TYPE_NVGRE;
  return types;
}

/// As the proposal has it: what the tunnel is reported as, if its hash type is enabled.
TunnelReport tunnel_report(Encapsulation kind, std::uint32_t types) {
  if (kind == Encapsulation::gre && (types & VIRTIO_NET_HASH_TYPE_GRE_INNER) != 0)
    return TunnelReport::GRE;
  if (kind == Encapsulation::vxlan && (types & VIRTIO_NET_HASH_TYPE_VXLAN_INNER) != 0)
    return TunnelReport::VXLAN;
  if (kind == Encapsulation::geneve && (types & VIRTIO_NET_HASH_TYPE_GENEVE_INNER) != 0)
    return TunnelReport::GENEVE;
  return TunnelReport::NONE;
}

} // namespace

const char* name(HashReport report) {
  constexpr const char* names[] = {"NONE",  "IPv4",  "TCPv4",   "UDPv4",    "IPv6",
                                   "TCPv6", "UDPv6", "IPv6_EX", "TCPv6_EX", "UDPv6_EX"};
  return names[static_cast<unsigned>(report)];
}

const char* name(TunnelReport report) {
  constexpr const char* names[] = {"NONE", "GRE", "VXLAN", "GENEVE"};
  return names[static_cast<unsigned>(report)];
}

std::uint32_t tunnel_types(const Headers& headers) {
  switch (headers.tunnel.kind) {
  case Encapsulation::none:
    return 0;
  case Encapsulation::gre:
    return gre_types(headers);
  case Encapsulation::gre_udp:
    return VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_UDP;
  case Encapsulation::vxlan:
    return VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN;
  case Encapsulation::vxlan_gpe:
    return VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN_GPE;
  case Encapsulation::geneve:
    return VIRTIO_NET_HASH_TUNNEL_TYPE_GENEVE;
  case Encapsulation::ip:
    return VIRTIO_NET_HASH_TUNNEL_TYPE_IPIP;
  }
  return 0;
}

HashInput hash_input(Frame frame, const Headers& headers, const HashRules& rules) {
  HashInput input;
  const TunnelReport tunnel = tunnel_report(headers.tunnel.kind, rules.types);
  input.inner = tunnel != TunnelReport::NONE || (tunnel_types(headers) & rules.tunnels) != 0;
  const IpHeaders& ip = input.inner ? headers.inner : headers.outer;
  input.report = choose(ip, rules);
  if (input.report == HashReport::NONE) return input;
  input.tunnel = tunnel;
  fill(input, frame, ip);
  return input;
}

HashInput hash_input(Frame frame, const HashRules& rules) {
  ParseRules parse_rules = rules.parse;
  parse_rules.tunnels = rules.tunnels != 0 || (rules.types & all_inner_hash_types) != 0;
  return hash_input(frame, parse(frame, parse_rules), rules);
}

HashResult hash_of(Frame frame, const HashRules& rules, const Toeplitz& toeplitz) {
  const HashInput input = hash_input(frame, rules);
  if (input.report == HashReport::NONE) return {};
  return {toeplitz.hash(input.used()), input.report, input.tunnel};
}

} // namespace virtio::net
