#include <virtio/net/packet.hpp>

#include <bit>

namespace virtio::net {

namespace {

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// Words of 4 bytes in the order of the host: a ones' complement sum does not depend on it, but for
/// the order of the bytes of its result (RFC 1071, 2).
std::uint64_t sum_of_words(const std::byte* from, std::size_t words) {
  std::array<std::uint64_t, 4> sums{};
  for (; words >= 8; words -= 8, from += 32)
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint64_t two = 0;
      std::memcpy(&two, from + 8 * i, sizeof two);
      sums[i] += (two & 0xffff'ffff) + (two >> 32);
    }
  for (; words > 0; --words, from += 4) {
    std::uint32_t one = 0;
    std::memcpy(&one, from, sizeof one);
    sums[0] += one;
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

} // namespace

Checksum& Checksum::add(std::span<const std::byte> bytes) {
  const std::size_t words = bytes.size() / 4;
  std::uint16_t sum = fold(sum_of_words(bytes.data(), words));
  if constexpr (std::endian::native == std::endian::little)
    sum = static_cast<std::uint16_t>(sum << 8 | sum >> 8);
  sum_ += sum;
  for (std::size_t i = 4 * words; i < bytes.size(); ++i)
    sum_ += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return *this;
}

std::uint16_t Checksum::value() const {
  return static_cast<std::uint16_t>(~fold(sum_));
}

std::size_t max_frame_bytes(Frame frame, std::size_t mtu) {
  EthernetHeader header;
  VlanTag tag;
  const auto is_tag = [](std::uint16_t type) {
    return type == ethertype_vlan || type == ethertype_service_vlan;
  };
  if (!read_layout(frame, header) || !is_tag(header.type)) return sizeof header + mtu;
  const bool second = read_layout(frame.subspan(sizeof header), tag) && is_tag(tag.type);
  return sizeof header + (second ? max_vlan_tags : 1u) * vlan_tag_bytes + mtu;
}

} // namespace virtio::net
