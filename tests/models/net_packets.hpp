// Packets for the tests of the network device's offloads, and a second, plain reading of what is on
// the wire: checksums summed byte by byte, segments and fragments put together again.
#pragma once

#include "models/function_bench.hpp"

#include <virtio/net/config.hpp>
#include <virtio/net/packet.hpp>

#include <map>
#include <vector>

namespace virtio::net::test {

using virtio::test::Bytes;
using virtio::test::pattern;

template <class Layout> void append(Bytes& bytes, const Layout& layout) {
  const auto more = std::as_bytes(std::span(&layout, 1));
  bytes.insert(bytes.end(), more.begin(), more.end());
}
template <class Layout> Layout layout_at(const Bytes& bytes, std::size_t at) {
  Layout layout;
  EXPECT_TRUE(read_layout(std::span(bytes).subspan(std::min(at, bytes.size())), layout));
  return layout;
}
template <class Layout> void overwrite(Bytes& bytes, std::size_t at, const Layout& layout) {
  ASSERT_LE(at + sizeof layout, bytes.size());
  std::memcpy(bytes.data() + at, static_cast<const void*>(&layout), sizeof layout);
}

/// What a packet is made of. Extension headers are given as bytes with their type.
struct PacketForm {
  bool ipv6 = false;
  bool tcp = true;
  unsigned tags = 0;
  Bytes ipv4_options = {};
  std::vector<std::pair<std::uint8_t, Bytes>> extensions = {};
  Bytes tcp_options = {};
  std::uint16_t flags = TcpHeader::ack;
  std::uint16_t ipv4_id = 0x1234;
  std::uint16_t ipv4_fragment = 0x4000; // do not fragment
  std::uint8_t service = 0;
  std::uint32_t sequence = 0xffff'f000; // wraps soon
  std::uint32_t acknowledgement = 77;
  std::uint16_t window = 4000;
  std::size_t payload = 4000;
  unsigned seed = 1;
  std::uint16_t port = 5000; // of the source
};

struct Packet {
  Bytes bytes;
  std::size_t network = 0;
  std::size_t fragmentable = 0;
  std::size_t transport = 0;
  std::size_t payload = 0;
};

/// RFC 1071, by the letter.
inline std::uint32_t plain_sum(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/// The pseudo header's sum for the IP header at `network`.
inline std::uint32_t pseudo_sum(const Bytes& bytes, std::size_t network, bool ipv6, bool tcp,
                                std::size_t length) {
  const std::size_t addresses = network + (ipv6 ? 8 : 12);
  std::uint32_t sum = plain_sum(std::span(bytes).subspan(addresses, ipv6 ? 32 : 8));
  sum += (tcp ? 6u : 17u) + static_cast<std::uint32_t>(length);
  return plain_sum({}, sum);
}

inline Packet make_packet(const PacketForm& form) {
  Packet p;
  EthernetHeader ethernet;
  ethernet.destination = {0x02, 0, 0, 0, 0, 2};
  ethernet.source = {0x02, 0, 0, 0, 0, 1};
  const std::uint16_t type = form.ipv6 ? ethertype_ipv6 : ethertype_ipv4;
  ethernet.type = form.tags == 0 ? type : form.tags == 1 ? ethertype_vlan : ethertype_service_vlan;
  append(p.bytes, ethernet);
  for (unsigned i = 1; i <= form.tags; ++i)
    append(p.bytes,
           VlanTag{static_cast<std::uint16_t>(10 + i), i == form.tags ? type : ethertype_vlan});
  p.network = p.bytes.size();
  const std::size_t header = form.tcp ? 20 + form.tcp_options.size() : 8;
  const std::size_t length = header + form.payload;
  const std::uint8_t protocol = form.tcp ? Ipv4Header::tcp : Ipv4Header::udp;
  if (form.ipv6) {
    std::size_t more = 0;
    for (const auto& [kind, bytes] : form.extensions)
      more += bytes.size();
    Ipv6Header ip;
    ip.class_and_flow[0] = static_cast<std::uint8_t>(form.service << 4);
    ip.payload_len = static_cast<std::uint16_t>(more + length);
    ip.next_header = form.extensions.empty() ? protocol : form.extensions.front().first;
    ip.source = {be64(0xfd00'0000'0000'0000), be64(1)};
    ip.destination = {be64(0xfd00'0000'0000'0000), be64(2)};
    append(p.bytes, ip);
    p.fragmentable = p.bytes.size();
    for (std::size_t i = 0; i < form.extensions.size(); ++i) {
      const auto& [kind, bytes] = form.extensions[i];
      const std::size_t at = p.bytes.size();
      p.bytes.insert(p.bytes.end(), bytes.begin(), bytes.end());
      p.bytes[at] =
          std::byte{i + 1 < form.extensions.size() ? form.extensions[i + 1].first : protocol};
      if (kind != 60) p.fragmentable = p.bytes.size();
    }
  } else {
    Ipv4Header ip;
    ip.version_and_words = static_cast<std::uint8_t>(0x45 + form.ipv4_options.size() / 4);
    ip.service = form.service;
    ip.total_len = static_cast<std::uint16_t>(20 + form.ipv4_options.size() + length);
    ip.id = form.ipv4_id;
    ip.fragment = form.ipv4_fragment;
    ip.protocol = protocol;
    ip.source = ipv4(10, 0, 0, 1);
    ip.destination = ipv4(10, 0, 0, 2);
    append(p.bytes, ip);
    p.bytes.insert(p.bytes.end(), form.ipv4_options.begin(), form.ipv4_options.end());
    const auto sum = plain_sum(std::span(p.bytes).subspan(p.network));
    overwrite(p.bytes, p.network + 10, be16(static_cast<std::uint16_t>(~sum)));
    p.fragmentable = p.bytes.size();
  }
  p.transport = p.bytes.size();
  const auto partial =
      static_cast<std::uint16_t>(pseudo_sum(p.bytes, p.network, form.ipv6, form.tcp, length));
  if (form.tcp) {
    TcpHeader tcp;
    tcp.source_port = form.port;
    tcp.destination_port = std::uint16_t{80};
    tcp.sequence = form.sequence;
    tcp.acknowledgement = form.acknowledgement;
    tcp.words_and_flags =
        static_cast<std::uint16_t>((5 + form.tcp_options.size() / 4) << 12 | form.flags);
    tcp.window = form.window;
    tcp.checksum = partial;
    append(p.bytes, tcp);
    p.bytes.insert(p.bytes.end(), form.tcp_options.begin(), form.tcp_options.end());
  } else {
    append(p.bytes,
           UdpHeader{form.port, std::uint16_t{53}, static_cast<std::uint16_t>(length), partial});
  }
  p.payload = p.bytes.size();
  const Bytes data = pattern(form.payload, form.seed);
  p.bytes.insert(p.bytes.end(), data.begin(), data.end());
  return p;
}

/// What the driver puts in front of it.
inline virtio_net_hdr request(const PacketForm& form, const Packet& packet, std::uint8_t gso_type,
                              std::uint16_t gso_size) {
  virtio_net_hdr header;
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  header.gso_type = gso_type;
  header.gso_size = gso_size;
  header.hdr_len = static_cast<std::uint16_t>(packet.payload);
  header.csum_start = static_cast<std::uint16_t>(packet.transport);
  header.csum_offset = static_cast<std::uint16_t>(form.tcp ? 16 : 6);
  return header;
}

/// The packet with its checksum complete.
inline Bytes completed(const PacketForm& form, const Packet& packet) {
  Bytes bytes = packet.bytes;
  const std::size_t at = packet.transport + (form.tcp ? 16 : 6);
  std::uint16_t sum =
      static_cast<std::uint16_t>(~plain_sum(std::span(bytes).subspan(packet.transport)));
  if (sum == 0 && !form.tcp) sum = 0xffff;
  overwrite(bytes, at, be16(sum));
  return bytes;
}

/// Whether lengths and checksums of a whole packet of `form` are right.
inline void expect_right(const PacketForm& form, const Packet& original, const Bytes& frame) {
  ASSERT_GT(frame.size(), original.transport);
  if (form.ipv6) {
    EXPECT_EQ(layout_at<Ipv6Header>(frame, original.network).payload_len,
              frame.size() - original.network - 40);
  } else {
    EXPECT_EQ(layout_at<Ipv4Header>(frame, original.network).total_len,
              frame.size() - original.network);
    const auto header =
        std::span(frame).subspan(original.network, original.fragmentable - original.network);
    EXPECT_EQ(plain_sum(header), 0xffffu);
  }
  const std::size_t length = frame.size() - original.transport;
  const std::uint32_t pseudo = pseudo_sum(frame, original.network, form.ipv6, form.tcp, length);
  EXPECT_EQ(plain_sum(std::span(frame).subspan(original.transport), pseudo), 0xffffu);
  if (form.tcp) return;
  EXPECT_EQ(layout_at<UdpHeader>(frame, original.transport).len, length);
}

} // namespace virtio::net::test
