// Finds the headers of a frame, for what hashes, steers, filters or changes frames: Ethernet with
// at most two VLAN tags, IPv4 with options, IPv6 with extension headers, TCP, UDP, and the first
// encapsulated packet. Every length is checked against the bytes that are there. A header counts
// only when all of it is in the packet and its own lengths are right; the first one that does not
// ends what is found, and `flaw` says why. Nothing is allocated.
#pragma once

#include <virtio/net/packet.hpp>

#include <cstdint>
#include <limits>

namespace virtio::net {

/// What a packet says of itself that is not so.
enum class Flaw : std::uint8_t {
  none,
  ethernet,         ///< cut within the Ethernet header or a VLAN tag, or more than two tags
  ip_header,        ///< cut, of another version than announced, or with an IHL that cannot be
  ip_length,        ///< total or payload length below the header's, or beyond the packet
  extension,        ///< an IPv6 extension header reaches beyond the packet
  option,           ///< an IPv6 option reaches beyond its header, or an address has another length
  transport,        ///< cut within TCP or UDP header
  transport_length, ///< TCP's data offset or UDP's length cannot be
};

/// Kinds of IPv6 extension headers, as bits.
inline constexpr std::uint8_t extension_hop_by_hop = 1;
inline constexpr std::uint8_t extension_routing = 2;
inline constexpr std::uint8_t extension_destination = 4;
inline constexpr std::uint8_t extension_fragment = 8;
inline constexpr std::uint8_t extension_other = 16;

/// One IP packet. Offsets are from the beginning of the frame; 0: there is none.
struct IpHeaders {
  std::uint8_t version = 0;          ///< 4 or 6; 0: there is no IP header
  std::uint8_t protocol = 0;         ///< of what begins at `transport`
  std::uint8_t extensions = 0;       ///< IPv6: kinds of the extension headers that are there
  bool more_fragments = false;       ///< as the fragment header has it
  std::uint16_t fragment_offset = 0; ///< in bytes
  Flaw flaw = Flaw::none;
  std::uint32_t network = 0;         ///< IPv4 or IPv6 header
  std::uint32_t fragment = 0;        ///< IPv6: fragment header
  std::uint32_t fragmentable = 0;    ///< behind the headers that every fragment repeats
  std::uint32_t next_header = 0;     ///< IPv6: the byte that says what begins at `fragmentable`
  std::uint32_t home_address = 0;    ///< IPv6: address of the home address option (RFC 6275, 6.3)
  std::uint32_t routing_address = 0; ///< IPv6: address of a routing header type 2 (RFC 6275, 6.4)
  std::uint32_t transport = 0;       ///< behind options and extension headers
  std::uint32_t payload = 0;         ///< behind a whole TCP or UDP header
  std::uint32_t end = 0;             ///< of the IP packet; the frame may be padded

  /// Not the whole of an IP packet. An IPv6 packet with a fragment header may be one (RFC 6946).
  bool fragmented() const { return more_fragments || fragment_offset != 0; }
  bool tcp() const { return payload != 0 && protocol == Ipv4Header::tcp; }
  bool udp() const { return payload != 0 && protocol == Ipv4Header::udp; }
};

/// What a packet is encapsulated in.
enum class Encapsulation : std::uint8_t { none, gre, gre_udp, vxlan, vxlan_gpe, geneve, ip };

struct Tunnel {
  Encapsulation kind = Encapsulation::none;
  bool key = false;           ///< GRE
  bool sequence = false;      ///< GRE
  std::uint16_t protocol = 0; ///< Ethernet type of the payload; ethertype_bridged: a whole frame
  std::uint32_t header = 0;   ///< GRE, VXLAN or GENEVE header
  std::uint32_t payload = 0;  ///< behind it
};

/// GRE's and GENEVE's protocol type for Ethernet frames (transparent Ethernet bridging).
inline constexpr std::uint16_t ethertype_bridged = 0x6558;

struct Headers {
  std::uint8_t tags = 0;     ///< VLAN tags, from offset 14 on
  Flaw flaw = Flaw::none;    ///< of the Ethernet header
  std::uint16_t type = 0;    ///< Ethernet type behind the tags
  std::uint32_t payload = 0; ///< behind Ethernet header and tags; 0: cut
  IpHeaders outer;           ///< the packet, or what encapsulates
  Tunnel tunnel;
  std::uint8_t inner_tags = 0;
  IpHeaders inner; ///< what is encapsulated; its own encapsulation is not looked into
};

struct ParseRules {
  bool tunnels = true; ///< look for encapsulated packets
  std::uint16_t vxlan_port = 4789;
  std::uint16_t vxlan_gpe_port = 4790;
  std::uint16_t geneve_port = 6081;
  std::uint16_t gre_udp_port = 4754;
  /// Headers that do not end within so many bytes of the frame count as cut.
  std::size_t max_parse_bytes = std::numeric_limits<std::size_t>::max();
};

/// - A fragment with a fragment offset has no transport header. The first one has, as far as it is
///   in it; its UDP length is not checked, and nothing behind its IPv6 fragment header is a home or
///   routing address.
/// - Extension headers are hop-by-hop options, routing, fragment, authentication, destination
///   options, mobility, HIP and shim6; ESP is a transport.
/// - A fragment is never looked into for an encapsulated packet. GRE with another version than 0 or
///   with routing, VXLAN without its I flag, GENEVE and GPE of another version, and headers that
///   are cut are no encapsulation: the packet is an ordinary IP or UDP packet.
Headers parse(Frame frame, const ParseRules& rules = {});

} // namespace virtio::net
