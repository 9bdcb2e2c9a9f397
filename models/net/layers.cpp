#include <virtio/net/layers.hpp>

namespace virtio::net {

namespace {

constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t routing = 43;
constexpr std::uint8_t destination_options = 60;

bool find_ipv4(Frame packet, Layers& layers, std::uint8_t& protocol) {
  Ipv4Header ip;
  if (!read_layout(packet.subspan(layers.network), ip) || ip.version_and_words >> 4 != 4)
    return false;
  const std::size_t header = 4u * (ip.version_and_words & 0xf);
  if (header < sizeof ip || ip.total_len < header ||
      ip.total_len > packet.size() - layers.network ||
      (ip.fragment & Ipv4Header::fragment_mask) != 0)
    return false;
  layers.end = layers.network + ip.total_len;
  layers.transport = layers.fragmentable = layers.network + header;
  protocol = ip.protocol;
  return true;
}

bool find_ipv6(Frame packet, Layers& layers, std::uint8_t& protocol) {
  Ipv6Header ip;
  if (!read_layout(packet.subspan(layers.network), ip) || ip.version_and_class >> 4 != 6 ||
      ip.payload_len > packet.size() - layers.network - sizeof ip)
    return false;
  layers.end = layers.network + sizeof ip + ip.payload_len;
  packet = packet.first(layers.end);
  layers.ipv6 = true;
  protocol = ip.next_header;
  std::size_t at = layers.network + sizeof ip;
  std::size_t next = layers.network + offsetof(Ipv6Header, next_header);
  layers.fragmentable = at;
  layers.next_header = next;
  while (protocol == hop_by_hop || protocol == routing || protocol == destination_options) {
    if (packet.size() - at < 8) return false;
    const bool repeated = protocol != destination_options;
    const std::size_t length = 8 + 8 * std::to_integer<std::size_t>(packet[at + 1]);
    if (packet.size() - at < length) return false;
    protocol = std::to_integer<std::uint8_t>(packet[at]);
    next = at;
    at += length;
    if (repeated) {
      layers.fragmentable = at;
      layers.next_header = next;
    }
  }
  layers.transport = at;
  return true;
}

bool find_payload(Frame packet, Layers& layers, std::uint8_t protocol) {
  const Frame rest = packet.first(layers.end).subspan(layers.transport);
  if (protocol == Ipv4Header::tcp) {
    TcpHeader tcp;
    if (!read_layout(rest, tcp)) return false;
    const std::size_t header = 4u * (tcp.words_and_flags >> 12);
    layers.tcp = true;
    layers.payload = layers.transport + header;
    return header >= sizeof tcp && header <= rest.size();
  }
  UdpHeader udp;
  layers.payload = layers.transport + sizeof udp;
  return protocol == Ipv4Header::udp && read_layout(rest, udp) && udp.len == rest.size();
}

} // namespace

std::optional<Layers> layers_of(Frame packet) {
  Layers layers;
  EthernetHeader ethernet;
  if (!read_layout(packet, ethernet)) return std::nullopt;
  std::uint16_t type = ethernet.type;
  layers.network = sizeof ethernet;
  for (int tags = 0; tags < 2 && (type == ethertype_vlan || type == ethertype_service_vlan);
       ++tags) {
    VlanTag tag;
    if (!read_layout(packet.subspan(layers.network), tag)) return std::nullopt;
    type = tag.type;
    layers.network += sizeof tag;
  }
  std::uint8_t protocol = 0;
  const bool found = (type == ethertype_ipv4 && find_ipv4(packet, layers, protocol)) ||
                     (type == ethertype_ipv6 && find_ipv6(packet, layers, protocol));
  if (!found || !find_payload(packet, layers, protocol)) return std::nullopt;
  return layers;
}

std::uint16_t pseudo_header_sum(Frame packet, const Layers& layers, std::size_t transport_bytes) {
  const Frame addresses = layers.ipv6
                              ? packet.subspan(layers.network + offsetof(Ipv6Header, source), 32)
                              : packet.subspan(layers.network + offsetof(Ipv4Header, source), 8);
  const be16 rest[] = {layers.tcp ? Ipv4Header::tcp : Ipv4Header::udp,
                       static_cast<std::uint16_t>(transport_bytes)};
  return static_cast<std::uint16_t>(~Checksum().add(addresses).add_layout(rest).value());
}

bool checksums_right(Frame packet, const Layers& layers) {
  if (!layers.ipv6) {
    const Frame header = packet.subspan(layers.network, layers.transport - layers.network);
    if (Checksum().add(header).value() != 0) return false;
  }
  const Frame transport = packet.first(layers.end).subspan(layers.transport);
  UdpHeader udp;
  if (!layers.tcp && read_layout(transport, udp) && udp.checksum == 0) return false;
  const be16 pseudo = pseudo_header_sum(packet, layers, transport.size());
  return Checksum().add_layout(pseudo).add(transport).value() == 0;
}

} // namespace virtio::net
