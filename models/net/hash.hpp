// Which bytes of a received packet are hashed, and what the driver hears about it (virtio 1.4,
// 5.1.6.4.3 and 5.1.6.4.4): the nine hash types in the order of the text, over the packet itself or
// over what it encapsulates.
#pragma once

#include <virtio/net/parser.hpp>
#include <virtio/net/toeplitz.hpp>

namespace virtio::net {

inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_IPv4 = 1u << 0;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_TCPv4 = 1u << 1;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_UDPv4 = 1u << 2;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_IPv6 = 1u << 3;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_TCPv6 = 1u << 4;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_UDPv6 = 1u << 5;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_IP_EX = 1u << 6;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_TCP_EX = 1u << 7;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_UDP_EX = 1u << 8;
inline constexpr std::uint32_t all_hash_types = 0x1ff;
/// Of the proposal for inner-header hash, version 7.
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_GRE_INNER = 1u << 9;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_VXLAN_INNER = 1u << 10;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TYPE_GENEVE_INNER = 1u << 11;
inline constexpr std::uint32_t all_inner_hash_types = 0xe00;

inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2784 = 1u << 0;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890 = 1u << 1;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_7676 = 1u << 2;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_UDP = 1u << 3;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN = 1u << 4;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN_GPE = 1u << 5;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_GENEVE = 1u << 6;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_IPIP = 1u << 7;
inline constexpr std::uint32_t VIRTIO_NET_HASH_TUNNEL_TYPE_NVGRE = 1u << 8;
inline constexpr std::uint32_t all_tunnel_types = 0x1ff;

/// hash_report: the number of the hash type's bit plus 1, or 0.
enum class HashReport : std::uint8_t {
  NONE,
  IPv4,
  TCPv4,
  UDPv4,
  IPv6,
  TCPv6,
  UDPv6,
  IPv6_EX,
  TCPv6_EX,
  UDPv6_EX,
};
/// hash_report_tunnel, of the proposal.
enum class TunnelReport : std::uint8_t { NONE, GRE, VXLAN, GENEVE };

const char* name(HashReport report);
const char* name(TunnelReport report);

struct HashRules {
  /// VIRTIO_NET_HASH_TYPE_.., those of the proposal included.
  std::uint32_t types = 0;
  /// VIRTIO_NET_HASH_TUNNEL_TYPE_..; not together with those of the proposal.
  std::uint32_t tunnels = 0;
  /// Packets that are fragments: their addresses only, so that all fragments of a packet have the
  /// same hash; or ports too where the fragment has them, the first one, as some hardware does.
  bool ports_of_first_fragment = false;
  ParseRules parse{};
};

/// What is hashed of a packet. Nothing: `report` is NONE and `size` 0.
struct HashInput {
  std::array<std::byte, max_hash_input> bytes{};
  std::uint8_t size = 0;
  HashReport report = HashReport::NONE;
  TunnelReport tunnel = TunnelReport::NONE; ///< valid with the proposal only
  bool inner = false;                       ///< of an encapsulated packet

  std::span<const std::byte> used() const { return std::span(bytes).first(size); }
};

/// VIRTIO_NET_HASH_TUNNEL_TYPE_.. that an encapsulation is, maybe several of GRE's: 2784 has
/// neither key nor sequence number and no IPv6 on either side, 2890 has one of them, 7676 has IPv6
/// on a side, NVGRE carries a frame with a key and without sequence number. IPIP: any IP in any IP.
std::uint32_t tunnel_types(const Headers& headers);

/// - A packet that is encapsulated in an enabled type is hashed over the first packet inside, or
/// not
///   at all when that is not IP or of no enabled type.
/// - A transport header counts only if all of it is there; else the packet's addresses are hashed.
HashInput hash_input(Frame frame, const HashRules& rules);
HashInput hash_input(Frame frame, const Headers& headers, const HashRules& rules);

struct HashResult {
  std::uint32_t value = 0;
  HashReport report = HashReport::NONE;
  TunnelReport tunnel = TunnelReport::NONE;

  bool hashed() const { return report != HashReport::NONE; }
};

HashResult hash_of(Frame frame, const HashRules& rules, const Toeplitz& toeplitz);

} // namespace virtio::net
