// Ethernet, ARP, IPv4, IPv6, UDP, ICMP and DHCP as they are on the wire, for what looks into
// frames: the device (frame lengths, flows) and the scripted peers.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace virtio::net {

/// One Ethernet frame from its destination address on, without the frame check sequence.
using Frame = std::span<const std::byte>;

using MacAddress = std::array<std::uint8_t, 6>;
inline constexpr MacAddress broadcast_mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/// An unsigned integer stored in network byte order at any alignment.
template <std::unsigned_integral T> class BigEndian {
public:
  constexpr BigEndian() = default;
  constexpr BigEndian(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_[sizeof(T) - 1 - i] =
          static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
  constexpr operator T() const {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes_)
      value = value << 8 | byte;
    return static_cast<T>(value);
  }

private:
  std::array<std::uint8_t, sizeof(T)> bytes_{};
};
using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;
using be64 = BigEndian<std::uint64_t>;

/// 10.0.2.15 is ipv4(10, 0, 2, 15).
constexpr std::uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24 | b << 16 | c << 8 | d;
}

inline constexpr std::uint16_t ethertype_ipv4 = 0x0800;
inline constexpr std::uint16_t ethertype_arp = 0x0806;
inline constexpr std::uint16_t ethertype_vlan = 0x8100;
inline constexpr std::uint16_t ethertype_service_vlan = 0x88a8;
inline constexpr std::uint16_t ethertype_ipv6 = 0x86dd;

struct EthernetHeader {
  MacAddress destination{};
  MacAddress source{};
  be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);
inline constexpr std::size_t vlan_tag_bytes = 4;
inline constexpr std::size_t max_vlan_tags = 2;

/// What follows a type of ethertype_vlan or ethertype_service_vlan.
struct VlanTag {
  be16 priority_and_id;
  be16 type;
};
static_assert(sizeof(VlanTag) == vlan_tag_bytes);
/// The shortest frame on a wire, without the frame check sequence.
inline constexpr std::size_t min_frame_bytes = 60;

struct ArpPacket {
  static constexpr std::uint16_t request = 1;
  static constexpr std::uint16_t reply = 2;

  be16 hardware_type = std::uint16_t{1};
  be16 protocol_type = ethertype_ipv4;
  std::uint8_t hardware_len = 6;
  std::uint8_t protocol_len = 4;
  be16 operation;
  MacAddress sender_mac{};
  be32 sender_ip;
  MacAddress target_mac{};
  be32 target_ip;
};
static_assert(sizeof(ArpPacket) == 28);

struct Ipv4Header {
  static constexpr std::uint8_t icmp = 1;
  static constexpr std::uint8_t tcp = 6;
  static constexpr std::uint8_t udp = 17;
  static constexpr std::uint16_t fragment_mask = 0x3fff; // more fragments, or an offset
  static constexpr std::uint16_t more_fragments = 0x2000;

  std::uint8_t version_and_words = 0x45;
  std::uint8_t service = 0;
  be16 total_len;
  be16 id;
  be16 fragment;
  std::uint8_t time_to_live = 64;
  std::uint8_t protocol = 0;
  be16 checksum;
  be32 source;
  be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);

struct Ipv6Header {
  std::uint8_t version_and_class = 0x60;
  std::array<std::uint8_t, 3> class_and_flow{};
  be16 payload_len;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 64;
  std::array<be64, 2> source{};
  std::array<be64, 2> destination{};
};
static_assert(sizeof(Ipv6Header) == 40);

/// RFC 9293, up to the options.
struct TcpHeader {
  static constexpr std::uint16_t fin = 0x01;
  static constexpr std::uint16_t psh = 0x08;
  static constexpr std::uint16_t ack = 0x10;
  static constexpr std::uint16_t ece = 0x40;
  static constexpr std::uint16_t cwr = 0x80;
  static constexpr std::uint16_t all_flags = 0x1ff;

  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgement;
  be16 words_and_flags; ///< header length in words of 4 bytes, from bit 12 on
  be16 window;
  be16 checksum;
  be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20 && offsetof(TcpHeader, checksum) == 16);

struct UdpHeader {
  be16 source_port;
  be16 destination_port;
  be16 len;
  be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

struct IcmpEcho {
  static constexpr std::uint8_t reply = 0;
  static constexpr std::uint8_t request = 8;

  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be16 id;
  be16 sequence;
};
static_assert(sizeof(IcmpEcho) == 8);

/// RFC 2131, up to the options.
struct DhcpMessage {
  static constexpr std::uint8_t boot_request = 1;
  static constexpr std::uint8_t boot_reply = 2;
  static constexpr std::uint32_t magic_cookie = 0x63825363;
  static constexpr std::uint16_t broadcast_flag = 0x8000;

  std::uint8_t op = 0;
  std::uint8_t hardware_type = 1;
  std::uint8_t hardware_len = 6;
  std::uint8_t hops = 0;
  be32 transaction;
  be16 seconds;
  be16 flags;
  be32 client_ip;
  be32 your_ip;
  be32 server_ip;
  be32 relay_ip;
  std::array<std::uint8_t, 16> client_mac{};
  std::array<std::uint8_t, 64> server_name{};
  std::array<std::uint8_t, 128> file{};
  be32 magic = magic_cookie;
};
static_assert(sizeof(DhcpMessage) == 240 && offsetof(DhcpMessage, client_mac) == 28);

/// Copies a layout out of the front of `bytes`. Returns false, without touching it, when they are
/// too few.
template <class Layout> bool read_layout(std::span<const std::byte> bytes, Layout& layout) {
  if (bytes.size() < sizeof layout) return false;
  std::memcpy(&layout, bytes.data(), sizeof layout);
  return true;
}

/// The Internet checksum (RFC 1071) over several parts, each but the last of even length.
class Checksum {
public:
  Checksum& add(std::span<const std::byte> bytes);
  template <class Layout> Checksum& add_layout(const Layout& layout) {
    return add(std::as_bytes(std::span(&layout, 1)));
  }
  /// What a checksum field holds; 0 over a part that already contains a right one.
  std::uint16_t value() const;

private:
  std::uint64_t sum_ = 0;
};

/// What UDP's checksum covers besides the datagram (RFC 768).
struct UdpPseudoHeader {
  be32 source;
  be32 destination;
  be16 protocol = std::uint16_t{Ipv4Header::udp};
  be16 len;
};
static_assert(sizeof(UdpPseudoHeader) == 12);

/// How long a frame of this MTU may be: the link-layer header, with the VLAN tags that this frame
/// has, at most two, and `mtu` bytes.
std::size_t max_frame_bytes(Frame frame, std::size_t mtu);
/// Whether `bytes` of it are at most that; for most without a look at its tags.
inline bool fits(Frame frame, std::size_t bytes, std::size_t mtu) {
  return bytes <= sizeof(EthernetHeader) + mtu || bytes <= max_frame_bytes(frame, mtu);
}

} // namespace virtio::net
