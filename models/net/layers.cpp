#include <virtio/net/layers.hpp>
#include <virtio/net/parser.hpp>

namespace virtio::net {

std::optional<Layers> layers_of(Frame packet) {
  constexpr std::uint8_t passable =
      extension_hop_by_hop | extension_routing | extension_destination;
  const IpHeaders ip = parse(packet, {.tunnels = false}).outer;
  if (ip.payload == 0 || ip.fragmented() || (ip.extensions & ~passable) != 0) return std::nullopt;
  UdpHeader udp;
  if (ip.udp() &&
      (!read_layout(packet.subspan(ip.transport), udp) || udp.len != ip.end - ip.transport))
    return std::nullopt;
  return Layers{.network = ip.network,
                .fragmentable = ip.fragmentable,
                .next_header = ip.next_header,
                .transport = ip.transport,
                .payload = ip.payload,
                .end = ip.end,
                .ipv6 = ip.version == 6,
                .tcp = ip.tcp()};
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
