#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/hash.hpp>

#include <bit>

namespace virtio::net {
namespace {

using test::Bytes;
using test::make_packet;
using test::overwrite;
using test::Packet;

/// The key of Microsoft's "Verifying the RSS Hash Calculation".
constexpr std::array<std::uint8_t, 40> verification_key{
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct Vector4 {
  std::uint32_t destination, source;
  std::uint16_t destination_port, source_port;
  std::uint32_t with_addresses, with_ports;
};
constexpr Vector4 vectors4[] = {
    {ipv4(161, 142, 100, 80), ipv4(66, 9, 149, 187), 1766, 2794, 0x323e8fc2, 0x51ccc178},
    {ipv4(65, 69, 140, 83), ipv4(199, 92, 111, 2), 4739, 14230, 0xd718262a, 0xc626b0ea},
    {ipv4(12, 22, 207, 184), ipv4(24, 19, 198, 95), 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
    {ipv4(209, 142, 163, 6), ipv4(38, 27, 205, 30), 2217, 48228, 0x82989176, 0xafc7327f},
    {ipv4(202, 188, 127, 2), ipv4(153, 39, 163, 191), 1303, 44251, 0x5d1809c5, 0x10e828a2},
};
struct Vector6 {
  std::array<std::uint64_t, 2> destination, source;
  std::uint16_t destination_port, source_port;
  std::uint32_t with_addresses, with_ports;
};
constexpr Vector6 vectors6[] = {
    {{0x3ffe'2501'0200'0003, 1}, {0x3ffe'2501'0200'1fff, 7}, 1766, 2794, 0x2cc18cd5, 0x40207d3d},
    {{0xff02'0000'0000'0000, 1},
     {0x3ffe'0501'0008'0000, 0x0260'97ff'fe40'efab},
     4739,
     14230,
     0x0f0c461c,
     0xdde51bbf},
    {{0xfe80'0000'0000'0000, 0x0200'f8ff'fe21'67cf},
     {0x3ffe'1900'4545'0003, 0x0200'f8ff'fe21'67cf},
     38024,
     44251,
     0x4b61e985,
     0x02d1feef},
};

void set_ports(Packet& p, std::uint16_t source, std::uint16_t destination) {
  overwrite(p.bytes, p.transport, be16(source));
  overwrite(p.bytes, p.transport + 2, be16(destination));
}
Packet packet_of(const Vector4& v, bool tcp) {
  Packet p = make_packet({.tcp = tcp, .payload = 10});
  overwrite(p.bytes, p.network + 12, be32(v.source));
  overwrite(p.bytes, p.network + 16, be32(v.destination));
  set_ports(p, v.source_port, v.destination_port);
  return p;
}
Packet packet_of(const Vector6& v, bool tcp) {
  Packet p = make_packet({.ipv6 = true, .tcp = tcp, .payload = 10});
  for (unsigned i = 0; i < 2; ++i) {
    overwrite(p.bytes, p.network + 8 + 8 * i, be64(v.source[i]));
    overwrite(p.bytes, p.network + 24 + 8 * i, be64(v.destination[i]));
  }
  set_ports(p, v.source_port, v.destination_port);
  return p;
}

/// Those that this processor has.
std::vector<Toeplitz::Way> ways() {
  std::vector<Toeplitz::Way> all{Toeplitz::Way::matrix, Toeplitz::Way::carryless,
                                 Toeplitz::Way::table};
  std::erase_if(all, [](Toeplitz::Way way) { return !Toeplitz::has(way); });
  return all;
}

class EveryWay : public testing::TestWithParam<Toeplitz::Way> {
protected:
  std::uint32_t hash(const Packet& p, std::uint32_t types) const {
    return hash_of(p.bytes, {.types = types}, Toeplitz(verification_key, GetParam())).value;
  }
};
INSTANTIATE_TEST_SUITE_P(Toeplitz, EveryWay, testing::ValuesIn(ways()), [](const auto& info) {
  return info.param == Toeplitz::Way::matrix      ? "Matrix"
         : info.param == Toeplitz::Way::carryless ? "Carryless"
                                                  : "Table";
});

TEST_P(EveryWay, GivesMicrosoftsVectors) {
  for (const bool tcp : {true, false}) {
    for (const Vector4& v : vectors4) {
      EXPECT_EQ(hash(packet_of(v, tcp), VIRTIO_NET_HASH_TYPE_IPv4), v.with_addresses);
      EXPECT_EQ(hash(packet_of(v, tcp), all_hash_types), v.with_ports);
    }
    for (const Vector6& v : vectors6) {
      EXPECT_EQ(hash(packet_of(v, tcp), VIRTIO_NET_HASH_TYPE_IPv6), v.with_addresses);
      EXPECT_EQ(hash(packet_of(v, tcp), all_hash_types), v.with_ports);
    }
  }
}

/// The definition: the key, shifted to each bit of the input that is set, added modulo 2.
std::uint32_t plain_toeplitz(std::span<const std::uint8_t> key, std::span<const std::byte> input) {
  const auto bit = [&](std::size_t i) {
    return i / 8 < key.size() ? key[i / 8] >> (7 - i % 8) & 1u : 0u;
  };
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < 8 * input.size(); ++i)
    if ((std::to_integer<unsigned>(input[i / 8]) >> (7 - i % 8) & 1) != 0)
      for (std::size_t j = 0; j < 32; ++j)
        hash ^= bit(i + j) << (31 - j);
  return hash;
}

TEST_P(EveryWay, IsTheDefinitionForAnyKeyAndInput) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint8_t> key(random.below(60));
    for (std::uint8_t& byte : key)
      byte = static_cast<std::uint8_t>(random.below(256));
    Bytes input(4 * (1 + random.below(9)));
    random.fill(input);
    EXPECT_EQ(Toeplitz(key, GetParam()).hash(input), plain_toeplitz(key, input));
  }
}

TEST(Toeplitz, RefusesInputsOfOtherLengths) {
  const Bytes input(40);
  for (const std::size_t size : {0, 3, 37, 40})
    EXPECT_THROW((void)Toeplitz(verification_key).hash(std::span(input).first(size)),
                 std::invalid_argument);
}

TEST(Toeplitz, OfTheOtherDirectionIsTheSameWithASymmetricKeyOnly) {
  std::array<std::uint8_t, 40> symmetric{};
  for (std::size_t i = 0; i < symmetric.size(); ++i)
    symmetric[i] = i % 2 == 0 ? 0x6d : 0x5a;
  const auto both = [](const auto& key, const auto& vector, bool tcp) {
    auto reverse = vector;
    std::swap(reverse.source, reverse.destination);
    std::swap(reverse.source_port, reverse.destination_port);
    const HashRules rules{.types = all_hash_types};
    return hash_of(packet_of(vector, tcp).bytes, rules, Toeplitz(key)).value ==
           hash_of(packet_of(reverse, tcp).bytes, rules, Toeplitz(key)).value;
  };
  for (const bool tcp : {true, false}) {
    for (const Vector4& v : vectors4) {
      EXPECT_TRUE(both(symmetric, v, tcp));
      EXPECT_FALSE(both(verification_key, v, tcp));
    }
    for (const Vector6& v : vectors6) {
      EXPECT_TRUE(both(symmetric, v, tcp));
      EXPECT_FALSE(both(verification_key, v, tcp));
    }
  }
}

HashReport report(const Bytes& packet, std::uint32_t types) {
  return hash_input(packet, {.types = types}).report;
}
Bytes extension(std::size_t size) {
  Bytes bytes(size);
  bytes[1] = static_cast<std::byte>(size / 8 - 1);
  return bytes;
}
constexpr std::uint32_t v4 = VIRTIO_NET_HASH_TYPE_IPv4, tcp4 = VIRTIO_NET_HASH_TYPE_TCPv4,
                        udp4 = VIRTIO_NET_HASH_TYPE_UDPv4, v6 = VIRTIO_NET_HASH_TYPE_IPv6,
                        tcp6 = VIRTIO_NET_HASH_TYPE_TCPv6, udp6 = VIRTIO_NET_HASH_TYPE_UDPv6,
                        ex = VIRTIO_NET_HASH_TYPE_IP_EX, tcp_ex = VIRTIO_NET_HASH_TYPE_TCP_EX,
                        udp_ex = VIRTIO_NET_HASH_TYPE_UDP_EX;

/// The text's order for every set of enabled types: the first one of `order` that is in it.
void expect_order(const Bytes& packet, std::initializer_list<std::uint32_t> order) {
  for (std::uint32_t types = 0; types <= all_hash_types; ++types) {
    HashReport expected = HashReport::NONE;
    for (const std::uint32_t type : order)
      if (expected == HashReport::NONE && (types & type) != 0)
        expected = static_cast<HashReport>(std::countr_zero(type) + 1);
    ASSERT_EQ(report(packet, types), expected) << types;
  }
}

TEST(HashTypes, OfIpv4FallBackFromPortsToAddresses) {
  expect_order(make_packet({}).bytes, {tcp4, v4});
  expect_order(make_packet({.tcp = false}).bytes, {udp4, v4});
  Packet icmp = make_packet({.tcp = false});
  icmp.bytes[icmp.network + 9] = std::byte{1};
  expect_order(icmp.bytes, {v4});
}

TEST(HashTypes, OfIpv6WithoutExtensionsAreNeverTheExtended) {
  expect_order(make_packet({.ipv6 = true}).bytes, {tcp6, v6});
  expect_order(make_packet({.ipv6 = true, .tcp = false}).bytes, {udp6, v6});
  Packet icmp = make_packet({.ipv6 = true, .tcp = false});
  icmp.bytes[icmp.network + 6] = std::byte{58};
  expect_order(icmp.bytes, {v6});
}

TEST(HashTypes, OfIpv6WithExtensionsTryAllExtendedTypesFirst) {
  expect_order(make_packet({.ipv6 = true, .extensions = {{0, extension(8)}}}).bytes,
               {tcp_ex, ex, tcp6, v6});
  expect_order(make_packet({.ipv6 = true, .tcp = false, .extensions = {{60, extension(8)}}}).bytes,
               {udp_ex, ex, udp6, v6});
  Packet other = make_packet({.ipv6 = true, .extensions = {{43, extension(8)}}});
  other.bytes[other.network + 40] = std::byte{59}; // no next header
  expect_order(other.bytes, {ex, v6});
}

TEST(HashTypes, OfWhatIsNotIpAreNone) {
  Packet arp = make_packet({});
  overwrite(arp.bytes, 12, be16(ethertype_arp));
  expect_order(arp.bytes, {});
  expect_order(Bytes(14), {});
  expect_order({}, {});
}

TEST(HashInput, TakesHomeAndRoutingAddressForTheExtendedTypesOnly) {
  Bytes options = extension(24), routing = extension(24);
  options[6] = std::byte{201};
  options[7] = std::byte{16};
  options[3] = std::byte{2};
  options[2] = std::byte{1};
  std::fill(options.begin() + 8, options.end(), std::byte{0xaa});
  routing[2] = std::byte{2};
  std::fill(routing.begin() + 8, routing.end(), std::byte{0xbb});
  const Packet p = make_packet({.ipv6 = true, .extensions = {{60, options}, {43, routing}}});
  const HashInput extended = hash_input(p.bytes, {.types = all_hash_types});
  EXPECT_EQ(extended.report, HashReport::TCPv6_EX);
  ASSERT_EQ(extended.size, 36);
  for (unsigned i = 0; i < 16; ++i) {
    EXPECT_EQ(extended.bytes[i], std::byte{0xaa});
    EXPECT_EQ(extended.bytes[16 + i], std::byte{0xbb});
  }
  const HashInput plain = hash_input(p.bytes, {.types = tcp6});
  const auto header = std::span(p.bytes).subspan(p.network + 8, 32);
  EXPECT_TRUE(std::ranges::equal(header, plain.used().first(32)));
  EXPECT_TRUE(std::ranges::equal(std::span(p.bytes).subspan(p.transport, 4), plain.used().last(4)));
  routing[2] = std::byte{4}; // of another type, whose bytes are no home's
  const Packet other = make_packet({.ipv6 = true, .extensions = {{43, routing}}});
  const HashInput unrouted = hash_input(other.bytes, {.types = all_hash_types});
  EXPECT_EQ(unrouted.report, HashReport::TCPv6_EX);
  EXPECT_TRUE(std::ranges::equal(header, unrouted.used().first(32)));
}

TEST(HashInput, OfFragmentsIsTheAddressesUnlessAskedOtherwise) {
  for (const std::uint16_t fragment : {0x2000, 0x2001, 1}) {
    const Packet p = make_packet({.ipv4_fragment = fragment});
    EXPECT_EQ(report(p.bytes, all_hash_types), HashReport::IPv4);
    EXPECT_EQ(report(p.bytes, tcp4), HashReport::NONE);
    const HashRules rules{.types = all_hash_types, .ports_of_first_fragment = true};
    EXPECT_EQ(hash_input(p.bytes, rules).report,
              fragment == 0x2000 ? HashReport::TCPv4 : HashReport::IPv4);
  }
  Bytes header = extension(8);
  header[1] = {};
  header[3] = std::byte{1};
  const Packet p = make_packet({.ipv6 = true, .extensions = {{44, header}}});
  EXPECT_EQ(report(p.bytes, all_hash_types), HashReport::IPv6_EX);
  EXPECT_EQ(report(p.bytes, all_hash_types - ex), HashReport::IPv6);
}

TEST(HashInput, NeedsTheWholeTransportHeader) {
  Packet p = make_packet({.payload = 0});
  overwrite(p.bytes, p.network + 2, be16(std::uint16_t{39}));
  EXPECT_EQ(report(p.bytes, all_hash_types), HashReport::IPv4);
  EXPECT_EQ(report(p.bytes, tcp4), HashReport::NONE);
}

Bytes encapsulated(const Bytes& front, const Bytes& inner, std::uint16_t port) {
  const std::size_t skipped = port == 0 ? 14 : 0;
  Packet outer = make_packet(
      {.tcp = false, .payload = front.size() + inner.size() - skipped - (port == 0 ? 8 : 0)});
  Bytes bytes = outer.bytes;
  std::size_t at = outer.payload;
  if (port == 0) { // GRE in place of UDP
    bytes[outer.network + 9] = std::byte{47};
    at = outer.transport;
  } else {
    overwrite(bytes, outer.transport + 2, be16(port));
  }
  std::ranges::copy(front, bytes.begin() + static_cast<std::ptrdiff_t>(at));
  std::copy(inner.begin() + static_cast<std::ptrdiff_t>(skipped), inner.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(at + front.size()));
  return bytes;
}
Bytes front(std::initializer_list<unsigned> values) {
  Bytes bytes;
  for (const unsigned value : values)
    bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}
Bytes in_gre(const Bytes& inner, std::uint16_t type = ethertype_ipv4) {
  return encapsulated(front({0, 0, unsigned{type} >> 8, type & 0xffu}), inner, 0);
}
Bytes in_vxlan(const Bytes& inner) {
  return encapsulated(front({8, 0, 0, 0, 0, 0, 1, 0}), inner, 4789);
}
Bytes in_geneve(const Bytes& inner) {
  return encapsulated(front({1, 0, 0x65, 0x58, 0, 0, 1, 0, 9, 9, 9, 0}), inner, 6081);
}

TEST(InnerHash, IsOfTheFirstPacketInsideAnEnabledTunnel) {
  const Packet inner = packet_of(vectors4[0], true);
  struct Case {
    Bytes packet;
    std::uint32_t type;
    TunnelReport report;
    HashReport outer;
  };
  const Case cases[] = {
      {in_gre(inner.bytes), VIRTIO_NET_HASH_TYPE_GRE_INNER, TunnelReport::GRE, HashReport::IPv4},
      {in_vxlan(inner.bytes), VIRTIO_NET_HASH_TYPE_VXLAN_INNER, TunnelReport::VXLAN,
       HashReport::UDPv4},
      {in_geneve(inner.bytes), VIRTIO_NET_HASH_TYPE_GENEVE_INNER, TunnelReport::GENEVE,
       HashReport::UDPv4},
  };
  const Toeplitz toeplitz(verification_key);
  for (const Case& c : cases) {
    const HashResult found = hash_of(c.packet, {.types = all_hash_types | c.type}, toeplitz);
    EXPECT_EQ(found.value, vectors4[0].with_ports);
    EXPECT_EQ(found.report, HashReport::TCPv4);
    EXPECT_EQ(found.tunnel, c.report);
    const HashRules others{.types = all_hash_types | (all_inner_hash_types & ~c.type)};
    const HashResult outer = hash_of(c.packet, others, toeplitz);
    EXPECT_EQ(outer.report, c.outer) << "a tunnel that is not enabled: the outer hash";
    EXPECT_EQ(outer.tunnel, TunnelReport::NONE);
    const HashResult none = hash_of(c.packet, {.types = v6 | udp4 | c.type}, toeplitz);
    EXPECT_FALSE(none.hashed()) << "never the outer one";
    EXPECT_EQ(none.tunnel, TunnelReport::NONE);
  }
  const HashRules all{.types = all_hash_types | all_inner_hash_types};
  EXPECT_EQ(hash_of(inner.bytes, all, toeplitz).tunnel, TunnelReport::NONE);
  EXPECT_EQ(hash_of(inner.bytes, all, toeplitz).report, HashReport::TCPv4);
}

TEST(InnerHash, FollowsTheOrderOfTheTypes) {
  const auto expect = [](const Bytes& inner, std::initializer_list<HashReport> order) {
    for (std::uint32_t types = 0; types <= all_hash_types; ++types) {
      HashReport expected = HashReport::NONE;
      for (const HashReport r : order)
        if (expected == HashReport::NONE && (types >> (static_cast<unsigned>(r) - 1) & 1) != 0)
          expected = r;
      const HashInput input =
          hash_input(in_vxlan(inner), {.types = types | VIRTIO_NET_HASH_TYPE_VXLAN_INNER});
      ASSERT_EQ(input.report, expected) << types;
      ASSERT_TRUE(std::ranges::equal(input.used(), hash_input(inner, {.types = types}).used()));
    }
  };
  using enum HashReport;
  expect(make_packet({.payload = 9}).bytes, {TCPv4, IPv4});
  expect(make_packet({.tcp = false, .payload = 9}).bytes, {UDPv4, IPv4});
  expect(make_packet({.ipv6 = true, .payload = 9}).bytes, {TCPv6, IPv6});
  expect(make_packet({.ipv6 = true, .tcp = false, .payload = 9}).bytes, {UDPv6, IPv6});
  expect(make_packet({.ipv6 = true, .extensions = {{0, extension(8)}}, .payload = 9}).bytes,
         {TCPv6_EX, IPv6_EX, TCPv6, IPv6});
  expect(make_packet({.ipv6 = true, .tcp = false, .extensions = {{60, extension(8)}}, .payload = 9})
             .bytes,
         {UDPv6_EX, IPv6_EX, UDPv6, IPv6});
}

TEST(InnerHash, OfANestedTunnelIsThatOfTheFirstPacketInside) {
  const Packet innermost = packet_of(vectors4[0], true);
  const HashRules rules{.types = all_hash_types | all_inner_hash_types};
  const HashInput input = hash_input(in_vxlan(in_geneve(innermost.bytes)), rules);
  EXPECT_EQ(input.report, HashReport::UDPv4);
  EXPECT_EQ(input.tunnel, TunnelReport::VXLAN);
}

TEST(InnerHash, OfWhatIsNotIpInsideIsNone) {
  Packet arp = make_packet({.payload = 9});
  overwrite(arp.bytes, 12, be16(ethertype_arp));
  const HashRules rules{.types = all_hash_types | all_inner_hash_types};
  for (const Bytes& packet :
       {in_vxlan(arp.bytes), in_gre(arp.bytes, ethertype_arp), in_vxlan(Bytes(5))}) {
    const HashInput input = hash_input(packet, rules);
    EXPECT_EQ(input.report, HashReport::NONE);
    EXPECT_EQ(input.tunnel, TunnelReport::NONE);
    EXPECT_TRUE(input.inner);
  }
}

TEST(InnerHash, KnowsTheStandardsTunnelTypes) {
  const Bytes v4_inside = make_packet({.payload = 9}).bytes;
  const Bytes v6_inside = make_packet({.ipv6 = true, .payload = 9}).bytes;
  const auto gre = [](std::initializer_list<unsigned> bytes, const Bytes& inner) {
    return encapsulated(front(bytes), inner, 0);
  };
  // With port 0 the inner Ethernet header is left out: a whole frame comes with one in front.
  const auto framed = [](const Bytes& frame) {
    Bytes bytes(14);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    return bytes;
  };
  EXPECT_EQ(tunnel_types(parse(gre({0, 0, 8, 0}, v4_inside))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2784);
  EXPECT_EQ(tunnel_types(parse(gre({0, 0, 0x86, 0xdd}, v6_inside))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_7676);
  EXPECT_EQ(tunnel_types(parse(gre({0x10, 0, 8, 0, 0, 0, 0, 1}, v4_inside))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890);
  EXPECT_EQ(tunnel_types(parse(gre({0x20, 0, 0x86, 0xdd, 0, 0, 0, 1}, v6_inside))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890 | VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_7676);
  EXPECT_EQ(tunnel_types(parse(gre({0x20, 0, 0x65, 0x58, 0, 0, 1, 1}, framed(v4_inside)))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_2890 | VIRTIO_NET_HASH_TUNNEL_TYPE_NVGRE);
  EXPECT_EQ(tunnel_types(parse(in_vxlan(v4_inside))), VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN);
  EXPECT_EQ(tunnel_types(parse(in_geneve(v4_inside))), VIRTIO_NET_HASH_TUNNEL_TYPE_GENEVE);
  EXPECT_EQ(tunnel_types(parse(encapsulated(front({12, 0, 0, 3, 0, 0, 1, 0}), v4_inside, 4790))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN_GPE);
  EXPECT_EQ(tunnel_types(parse(encapsulated(front({0, 0, 0x65, 0x58}), v4_inside, 4754))),
            VIRTIO_NET_HASH_TUNNEL_TYPE_GRE_UDP);
  Bytes ipip = encapsulated({}, v4_inside, 0);
  ipip[14 + 9] = std::byte{4};
  EXPECT_EQ(tunnel_types(parse(ipip)), VIRTIO_NET_HASH_TUNNEL_TYPE_IPIP);
  EXPECT_EQ(tunnel_types(parse(v4_inside)), 0u);
}

TEST(InnerHash, OfTheStandardIsInsideEnabledTunnelsOnly) {
  const Bytes packet = in_vxlan(packet_of(vectors4[0], true).bytes);
  const Toeplitz toeplitz(verification_key);
  const HashResult inner = hash_of(
      packet, {.types = all_hash_types, .tunnels = VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN}, toeplitz);
  EXPECT_EQ(inner.value, vectors4[0].with_ports);
  EXPECT_EQ(inner.tunnel, TunnelReport::NONE) << "the standard's header has no such field";
  const HashResult outer = hash_of(
      packet,
      {.types = all_hash_types, .tunnels = all_tunnel_types & ~VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN},
      toeplitz);
  EXPECT_EQ(outer.report, HashReport::UDPv4);
}

} // namespace
} // namespace virtio::net
