#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/parser.hpp>

#include <memory>

namespace virtio::net {
namespace {

using test::append;
using test::Bytes;
using test::layout_at;
using test::make_packet;
using test::overwrite;
using test::Packet;
using test::PacketForm;

Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes result;
  for (const unsigned value : values)
    result.push_back(static_cast<std::byte>(value));
  return result;
}
Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Bytes without_ethernet(const Bytes& frame) {
  return Bytes(frame.begin() + 14, frame.end());
}
constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, authentication = 51,
                       destination = 60;

/// Next header is filled in by make_packet.
Bytes padded_options() {
  return bytes({0, 0, 1, 4, 0, 0, 0, 0});
}
Bytes home_address_options() {
  return bytes({0, 2, 1, 2, 0, 0, 201, 16}) + Bytes(16, std::byte{0xaa});
}
Bytes routing_type_2() {
  return bytes({0, 2, 2, 1, 0, 0, 0, 0}) + Bytes(16, std::byte{0xbb});
}
Bytes fragment_header(unsigned offset_and_more) {
  return bytes({0, 0, offset_and_more >> 8, offset_and_more & 0xff, 0, 0, 0, 7});
}

/// A UDP datagram to `port` that carries `payload`.
Bytes in_udp(std::uint16_t port, const Bytes& payload, bool ipv6 = false) {
  Packet p = make_packet({.ipv6 = ipv6, .tcp = false, .payload = payload.size()});
  overwrite(p.bytes, p.transport + 2, be16(port));
  std::ranges::copy(payload, p.bytes.begin() + static_cast<std::ptrdiff_t>(p.payload));
  return p.bytes;
}
/// An IP packet of `protocol` that carries `payload`.
Bytes in_ip(std::uint8_t protocol, const Bytes& payload, bool ipv6 = false) {
  Packet p = make_packet({.ipv6 = ipv6, .tcp = false, .payload = 0});
  p.bytes.resize(p.transport);
  p.bytes[p.network + (ipv6 ? 6 : 9)] = std::byte{protocol};
  const std::size_t length = payload.size() + (ipv6 ? 0 : 20);
  overwrite(p.bytes, p.network + (ipv6 ? 4 : 2), be16(static_cast<std::uint16_t>(length)));
  return p.bytes + payload;
}
Bytes vxlan(const Bytes& frame) {
  return in_udp(4789, bytes({8, 0, 0, 0, 0, 0, 5, 0}) + frame);
}
Bytes geneve(const Bytes& frame, unsigned words) {
  return in_udp(6081, bytes({words, 0, 0x65, 0x58, 0, 0, 5, 0}) + Bytes(4 * words) + frame);
}

std::vector<Bytes> all_forms() {
  const Bytes inner = make_packet({.payload = 20}).bytes;
  const Bytes inner6 = make_packet({.ipv6 = true,
                                    .tcp = false,
                                    .tags = 1,
                                    .extensions = {{hop_by_hop, padded_options()}},
                                    .payload = 20})
                           .bytes;
  return {
      inner,
      inner6,
      make_packet({.tags = 2, .ipv4_options = Bytes(40, std::byte{1}), .payload = 9}).bytes,
      make_packet({.tcp = false, .ipv4_fragment = 0x2000, .payload = 9}).bytes,
      make_packet({.ipv6 = true,
                   .extensions = {{hop_by_hop, padded_options()},
                                  {destination, home_address_options()},
                                  {routing, routing_type_2()},
                                  {fragment, fragment_header(0)},
                                  {authentication, Bytes(12)}},
                   .tcp_options = Bytes(12, std::byte{1}),
                   .payload = 9})
          .bytes,
      vxlan(inner),
      vxlan(inner6),
      geneve(inner6, 5),
      in_udp(4790, bytes({0x0c, 0, 0, 2, 0, 0, 1, 0}) + without_ethernet(inner)),
      in_udp(4754, bytes({0, 0, 8, 0}) + without_ethernet(inner), true),
      in_ip(47, bytes({0xb0, 0, 0x65, 0x58}) + Bytes(12) + inner6, true),
      in_ip(4, without_ethernet(inner), true),
      in_ip(41, without_ethernet(make_packet({.ipv6 = true, .payload = 4}).bytes)),
  };
}

TEST(Parser, FindsTheHeadersOfEveryForm) {
  for (const bool ipv6 : {false, true})
    for (const bool tcp : {false, true})
      for (unsigned tags = 0; tags <= 2; ++tags) {
        const Packet p = make_packet({.ipv6 = ipv6, .tcp = tcp, .tags = tags, .payload = 33});
        const Headers h = parse(p.bytes);
        EXPECT_EQ(h.tags, tags);
        EXPECT_EQ(h.payload, p.network);
        EXPECT_EQ(h.outer.version, ipv6 ? 6 : 4);
        EXPECT_EQ(h.outer.network, p.network);
        EXPECT_EQ(h.outer.transport, p.transport);
        EXPECT_EQ(h.outer.payload, p.payload);
        EXPECT_EQ(h.outer.end, p.bytes.size());
        EXPECT_EQ(h.outer.tcp(), tcp);
        EXPECT_EQ(h.outer.udp(), !tcp);
        EXPECT_EQ(h.outer.flaw, Flaw::none);
        EXPECT_EQ(h.tunnel.kind, Encapsulation::none);
      }
}

TEST(Parser, StepsOverOptionsOfBothProtocols) {
  const Packet p = make_packet({.ipv4_options = Bytes(40), .tcp_options = Bytes(40), .payload = 3});
  EXPECT_EQ(parse(p.bytes).outer.transport, p.network + 60);
  EXPECT_EQ(parse(p.bytes).outer.payload, p.network + 120);
}

TEST(Parser, IgnoresThePaddingOfAFrame) {
  Packet p = make_packet({.payload = 1});
  const std::size_t end = p.bytes.size();
  p.bytes.resize(end + 5);
  EXPECT_EQ(parse(p.bytes).outer.end, end);
}

TEST(Parser, WalksTheChainOfExtensionHeaders) {
  const Packet p = make_packet({.ipv6 = true,
                                .extensions = {{hop_by_hop, padded_options()},
                                               {destination, home_address_options()},
                                               {routing, routing_type_2()},
                                               {fragment, fragment_header(0)},
                                               {authentication, Bytes(8) + Bytes(8)},
                                               {destination, padded_options()}}});
  Bytes packet = p.bytes;
  const std::size_t authentication_at = p.network + 40 + 8 + 24 + 24 + 8;
  packet[authentication_at + 1] = std::byte{2}; // 16 bytes
  const IpHeaders ip = parse(packet).outer;
  EXPECT_EQ(ip.extensions, extension_hop_by_hop | extension_destination | extension_routing |
                               extension_fragment | extension_other);
  EXPECT_EQ(ip.home_address, p.network + 40 + 8 + 8);
  EXPECT_EQ(ip.routing_address, p.network + 40 + 8 + 24 + 8);
  EXPECT_EQ(ip.fragment, p.network + 40 + 8 + 24 + 24);
  EXPECT_EQ(ip.fragmentable, ip.fragment);
  EXPECT_EQ(ip.next_header, p.network + 40 + 8 + 24);
  EXPECT_FALSE(ip.fragmented()); // RFC 6946
  EXPECT_EQ(ip.transport, p.transport);
  EXPECT_EQ(ip.payload, p.payload);
  EXPECT_EQ(ip.flaw, Flaw::none);
}

TEST(Parser, AFragmentHasAHeaderOnlyAtItsBeginning) {
  const Packet first = make_packet({.tcp = false, .ipv4_fragment = 0x2000, .payload = 16});
  Bytes packet = first.bytes;
  overwrite(packet, first.transport + 4, be16(std::uint16_t{5000})); // of the whole datagram
  EXPECT_TRUE(parse(packet).outer.fragmented());
  EXPECT_EQ(parse(packet).outer.payload, first.payload);
  overwrite(packet, first.network + 6, be16(std::uint16_t{2}));
  EXPECT_EQ(parse(packet).outer.fragment_offset, 16);
  EXPECT_EQ(parse(packet).outer.payload, 0u);
  for (const unsigned offset : {1u, 0x10u, 0x11u}) {
    const Packet p = make_packet({.ipv6 = true,
                                  .extensions = {{fragment, fragment_header(offset)},
                                                 {destination, home_address_options()}}});
    const IpHeaders ip = parse(p.bytes).outer;
    EXPECT_TRUE(ip.fragmented());
    EXPECT_EQ(ip.more_fragments, offset % 2 == 1);
    EXPECT_EQ(ip.fragment_offset, offset & ~7u);
    EXPECT_EQ(ip.home_address, 0u);
    EXPECT_EQ(ip.payload, offset == 1 ? p.payload : 0u);
  }
}

TEST(Parser, FindsWhatIsEncapsulated) {
  const Packet inner = make_packet({.tags = 1, .payload = 20});
  const Packet inner6 = make_packet({.ipv6 = true, .tcp = false, .payload = 20});
  struct Case {
    Bytes packet;
    Encapsulation kind;
    const Packet& inner;
    bool bridged;
  };
  const Case cases[] = {
      {vxlan(inner.bytes), Encapsulation::vxlan, inner, true},
      {vxlan(inner6.bytes), Encapsulation::vxlan, inner6, true},
      {geneve(inner.bytes, 0), Encapsulation::geneve, inner, true},
      {geneve(inner6.bytes, 63), Encapsulation::geneve, inner6, true},
      {in_udp(6081, bytes({0, 0, 0x86, 0xdd, 0, 0, 5, 0}) + without_ethernet(inner6.bytes)),
       Encapsulation::geneve, inner6, false},
      {in_udp(4790, bytes({0x0c, 0, 0, 2, 0, 0, 5, 0}) + without_ethernet(inner6.bytes)),
       Encapsulation::vxlan_gpe, inner6, false},
      {in_udp(4790, bytes({0x0c, 0, 0, 3, 0, 0, 5, 0}) + inner.bytes), Encapsulation::vxlan_gpe,
       inner, true},
      {in_udp(4754, bytes({0, 0, 0x65, 0x58}) + inner.bytes, true), Encapsulation::gre_udp, inner,
       true},
      {in_ip(47, bytes({0, 0, 0x86, 0xdd}) + without_ethernet(inner6.bytes)), Encapsulation::gre,
       inner6, false},
      {in_ip(47, bytes({0xb0, 0, 0x65, 0x58}) + Bytes(12) + inner.bytes, true), Encapsulation::gre,
       inner, true},
      {in_ip(41, without_ethernet(inner6.bytes)), Encapsulation::ip, inner6, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(&c - cases);
    const Headers h = parse(c.packet);
    ASSERT_EQ(h.tunnel.kind, c.kind);
    // The end of both is the same.
    const auto moved = static_cast<std::uint32_t>(c.packet.size() - c.inner.bytes.size());
    EXPECT_EQ(h.tunnel.payload, moved + (c.bridged ? 0 : c.inner.network));
    EXPECT_EQ(h.inner_tags, &c.inner == &inner ? 1 : 0);
    EXPECT_EQ(h.inner.network, moved + c.inner.network);
    EXPECT_EQ(h.inner.transport, moved + c.inner.transport);
    EXPECT_EQ(h.inner.payload, moved + c.inner.payload);
    EXPECT_EQ(h.inner.flaw, Flaw::none);
    EXPECT_NE(h.outer.version, 0);
    EXPECT_EQ(parse(c.packet, {.tunnels = false}).inner.version, 0);
  }
}

TEST(Parser, TakesNoNoiseForAnEncapsulation) {
  const Bytes inner = make_packet({.payload = 20}).bytes;
  const Bytes cases[] = {
      in_udp(4789, bytes({0, 0, 0, 0, 0, 0, 5, 0}) + inner),             // no I flag
      in_udp(4788, bytes({8, 0, 0, 0, 0, 0, 5, 0}) + inner),             // another port
      in_udp(4789, bytes({8, 0, 0, 0, 0, 0, 5})),                        // cut
      in_udp(6081, bytes({0x40, 0, 0x65, 0x58, 0, 0, 5, 0}) + inner),    // version
      in_udp(6081, bytes({0x3f, 0, 0x65, 0x58, 0, 0, 5, 0}) + Bytes(9)), // options beyond the end
      in_udp(4790, bytes({0x1c, 0, 0, 3, 0, 0, 5, 0}) + inner),          // version
      in_ip(47, bytes({0, 1, 8, 0}) + without_ethernet(inner)),          // version
      in_ip(47, bytes({0x40, 0, 8, 0}) + without_ethernet(inner)),       // routing
      in_ip(47, bytes({0xb0, 0, 8, 0}) + Bytes(11)),                     // cut
  };
  for (const Bytes& packet : cases) {
    SCOPED_TRACE(&packet - cases);
    const Headers h = parse(packet);
    EXPECT_EQ(h.tunnel.kind, Encapsulation::none);
    EXPECT_EQ(h.inner.version, 0);
    EXPECT_EQ(h.outer.flaw, Flaw::none);
  }
}

TEST(Parser, LooksIntoOneEncapsulationOnly) {
  const Headers h = parse(vxlan(vxlan(make_packet({.payload = 20}).bytes)));
  EXPECT_EQ(h.tunnel.kind, Encapsulation::vxlan);
  EXPECT_EQ(h.inner.network, 14u + 20 + 8 + 8 + 14);
  EXPECT_TRUE(h.inner.udp());
}

TEST(Parser, SaysWhichLengthLies) {
  const Packet v4 = make_packet({.payload = 20});
  const Packet udp = make_packet({.tcp = false, .payload = 20});
  const Packet v6 = make_packet({.ipv6 = true, .extensions = {{destination, padded_options()}}});
  const auto with = [](const Packet& p, std::size_t at, auto value) {
    Bytes packet = p.bytes;
    overwrite(packet, at, value);
    return parse(packet).outer;
  };
  EXPECT_EQ(with(v4, v4.network, std::uint8_t{0x44}).flaw, Flaw::ip_header);
  EXPECT_EQ(with(v4, v4.network, std::uint8_t{0x65}).flaw, Flaw::ip_header);
  EXPECT_EQ(with(v4, v4.network, std::uint8_t{0x65}).version, 0);
  const auto size = static_cast<std::uint16_t>(v4.bytes.size() - v4.network);
  for (const std::uint16_t length : {0, 19, size + 1}) {
    const IpHeaders ip = with(v4, v4.network + 2, be16(length));
    EXPECT_EQ(ip.flaw, Flaw::ip_length);
    EXPECT_EQ(ip.version, 4);
    EXPECT_EQ(ip.transport, 0u);
  }
  EXPECT_EQ(with(v4, v4.network + 2, be16(std::uint16_t{39})).flaw, Flaw::transport);
  EXPECT_EQ(with(v4, v4.transport + 12, std::uint8_t{0x40}).flaw, Flaw::transport_length);
  EXPECT_EQ(with(v4, v4.transport + 12, std::uint8_t{0xf0}).flaw, Flaw::transport_length);
  EXPECT_EQ(with(udp, udp.transport + 4, be16(std::uint16_t{29})).flaw, Flaw::transport_length);
  EXPECT_EQ(with(udp, udp.transport + 4, be16(std::uint16_t{7})).flaw, Flaw::transport_length);
  EXPECT_EQ(with(v6, v6.network + 4, be16(std::uint16_t{9000})).flaw, Flaw::ip_length);
  EXPECT_EQ(with(v6, v6.network + 4, be16(std::uint16_t{7})).flaw, Flaw::extension);
  Bytes chain = v6.bytes;
  chain.resize(v6.network + 40 + 8 * 200);
  overwrite(chain, v6.network + 4, be16(std::uint16_t{8 * 200}));
  std::fill(chain.begin() + 54, chain.end(), std::byte{0}); // hop-by-hop after hop-by-hop
  EXPECT_EQ(parse(chain).outer.flaw, Flaw::extension);
}

TEST(Parser, ReadsOptionsOnlyInsideTheirHeader) {
  const auto flaw = [](std::initializer_list<unsigned> options) {
    const Packet p =
        make_packet({.ipv6 = true, .extensions = {{destination, bytes({0, 0}) + bytes(options)}}});
    EXPECT_NE(parse(p.bytes).outer.payload, 0u);
    EXPECT_EQ(parse(p.bytes).outer.home_address, 0u);
    return parse(p.bytes).outer.flaw;
  };
  EXPECT_EQ(flaw({0, 0, 0, 0, 0, 0}), Flaw::none);
  EXPECT_EQ(flaw({0, 0, 0, 0, 0, 1}), Flaw::option);
  EXPECT_EQ(flaw({201, 16, 0, 0, 0, 0}), Flaw::option);
  EXPECT_EQ(flaw({201, 4, 0, 0, 0, 0}), Flaw::option);
  EXPECT_EQ(flaw({1, 5, 0, 0, 0, 0}), Flaw::option);
}

TEST(Parser, SeesNoFurtherThanItIsTold) {
  const Packet p = make_packet({.payload = 100});
  EXPECT_EQ(parse(p.bytes, {.max_parse_bytes = 54}).outer.payload, p.payload);
  const Headers cut = parse(p.bytes, {.max_parse_bytes = 53});
  EXPECT_EQ(cut.outer.flaw, Flaw::transport);
  EXPECT_EQ(cut.outer.end, p.bytes.size());
}

/// Whatever the bytes are, offsets are inside the packet and in order.
void check_bounds(const Headers& h, std::size_t size) {
  EXPECT_LE(h.payload, size);
  for (const IpHeaders* ip : {&h.outer, &h.inner}) {
    if (ip->version == 0) continue;
    EXPECT_LE(ip->network + (ip->version == 4 ? 20u : 40u), size);
    EXPECT_LE(ip->end, size);
    EXPECT_LE(ip->transport, ip->end);
    EXPECT_LE(ip->payload, ip->end);
    for (const std::uint32_t address : {ip->home_address, ip->routing_address})
      EXPECT_LE(address == 0 ? 0 : address + 16, ip->end);
  }
  EXPECT_LE(h.tunnel.payload, h.outer.end);
}

/// A copy that ends where its memory ends, so that a sanitizer sees every byte too many.
Headers parse_exactly(const Bytes& packet, std::size_t size) {
  const auto copy = std::make_unique<std::byte[]>(size);
  std::copy_n(packet.begin(), size, copy.get());
  return parse({copy.get(), size});
}

TEST(Parser, StaysInsidePacketsThatAreCutAnywhere) {
  for (const Bytes& packet : all_forms())
    for (std::size_t size = 0; size < packet.size(); ++size) {
      const Headers h = parse_exactly(packet, size);
      check_bounds(h, size);
      const bool whole = h.outer.payload != 0 && h.outer.flaw == Flaw::none;
      EXPECT_FALSE(whole) << size; // some length does not hold any more
    }
}

TEST(Parser, StaysInsidePacketsWithWrongBytes) {
  Random random(7);
  for (const Bytes& form : all_forms())
    for (int round = 0; round < 3000; ++round) {
      Bytes packet = form;
      for (std::uint64_t n = 1 + random.below(6); n > 0; --n)
        packet[random.below(packet.size())] = static_cast<std::byte>(random.below(256));
      const std::size_t size = random.below(4) == 0 ? random.below(packet.size()) : packet.size();
      check_bounds(parse_exactly(packet, size), size);
    }
}

} // namespace
} // namespace virtio::net
