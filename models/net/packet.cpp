#include <virtio/net/packet.hpp>

namespace virtio::net {

Checksum& Checksum::add(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum_ += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return *this;
}

std::uint16_t Checksum::value() const {
  std::uint64_t sum = sum_;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::size_t max_frame_bytes(Frame frame, std::size_t mtu) {
  EthernetHeader header;
  const bool tagged = read_layout(frame, header) &&
                      (header.type == ethertype_vlan || header.type == ethertype_service_vlan);
  return sizeof header + (tagged ? vlan_tag_bytes : 0) + mtu;
}

} // namespace virtio::net
