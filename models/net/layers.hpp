// Where the headers of a TCP or UDP packet begin, for what cuts packets into segments and joins
// segments: everything is checked against the packet's own bytes once, here.
#pragma once

#include <virtio/net/packet.hpp>

#include <optional>

namespace virtio::net {

struct Layers {
  std::size_t network = 0;      ///< IPv4 or IPv6 header
  std::size_t fragmentable = 0; ///< IPv6: behind the headers that every fragment repeats
  std::size_t next_header = 0;  ///< IPv6: of the byte that says what begins at `fragmentable`
  std::size_t transport = 0;    ///< TCP or UDP header
  std::size_t payload = 0;      ///< behind it
  std::size_t end = 0;          ///< of the IP packet; the frame may be padded
  bool ipv6 = false;
  bool tcp = false;
};

/// The layers of a TCP segment or UDP datagram that is no fragment, behind at most two VLAN tags
/// and any extension headers, all of whose lengths agree with `packet`. Nothing otherwise.
std::optional<Layers> layers_of(Frame packet);

/// The sum, not complemented, of the pseudo header that its transport's checksum covers
/// (RFC 9293, 3.1; RFC 8200, 8.1): what the field holds where the rest is left open.
std::uint16_t pseudo_header_sum(Frame packet, const Layers& layers, std::size_t transport_bytes);

/// Whether the packet has a checksum of its transport, and all of its checksums are right.
bool checksums_right(Frame packet, const Layers& layers);

} // namespace virtio::net
