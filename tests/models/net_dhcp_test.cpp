#include "models/function_bench.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/dhcp_peer.hpp>

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace virtio::net {
namespace {

using test::Bytes;
using test::pattern;

constexpr MacAddress client{0x52, 0x54, 0, 0x12, 0x34, 0x56};
constexpr MacAddress server{0x52, 0x55, 0x0a, 0, 2, 2};
constexpr std::uint32_t server_ip = ipv4(10, 0, 2, 2);
constexpr std::uint32_t lease_ip = ipv4(10, 0, 2, 15);
constexpr std::uint32_t anyone = ipv4(255, 255, 255, 255);

template <class Layout> void append(Bytes& bytes, const Layout& layout) {
  const auto raw = std::as_bytes(std::span(&layout, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}
template <class Layout> Layout at(const Bytes& bytes, std::size_t offset) {
  Layout layout;
  EXPECT_TRUE(read_layout(std::span(bytes).subspan(std::min(offset, bytes.size())), layout));
  return layout;
}
template <class Layout> void replace(Bytes& bytes, std::size_t offset, const Layout& layout) {
  std::memcpy(bytes.data() + offset, &layout, sizeof layout);
}

constexpr std::size_t ip_at = sizeof(EthernetHeader);
constexpr std::size_t l4_at = ip_at + sizeof(Ipv4Header);
constexpr std::size_t dhcp_at = l4_at + sizeof(UdpHeader);
constexpr std::size_t options_at = dhcp_at + sizeof(DhcpMessage);

/// The one's complement sum of 16-bit words, written apart from the code under test.
std::uint16_t sum16(std::span<const std::byte> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::to_integer<std::uint32_t>(bytes[i]) * 256;
    if (i + 1 < bytes.size()) sum += std::to_integer<std::uint32_t>(bytes[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

Bytes ip_frame(const MacAddress& to, std::uint32_t from_ip, std::uint32_t to_ip,
               std::uint8_t protocol, const Bytes& payload) {
  Bytes frame;
  append(frame, EthernetHeader{to, client, ethertype_ipv4});
  Ipv4Header ip;
  ip.total_len = static_cast<std::uint16_t>(sizeof ip + payload.size());
  ip.protocol = protocol;
  ip.source = from_ip;
  ip.destination = to_ip;
  ip.checksum = static_cast<std::uint16_t>(~sum16(std::as_bytes(std::span(&ip, 1))));
  append(frame, ip);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

struct DhcpWish {
  std::uint8_t type = 1;
  std::vector<std::uint8_t> options{}; // after the message type, without the end
  std::uint16_t flags = 0;
  std::uint32_t client_ip = 0;
};

Bytes dhcp_frame(const DhcpWish& wish) {
  DhcpMessage message;
  message.op = DhcpMessage::boot_request;
  message.transaction = 0x1234'5678u;
  message.flags = wish.flags;
  message.client_ip = wish.client_ip;
  std::copy(client.begin(), client.end(), message.client_mac.begin());
  Bytes body;
  append(body, message);
  std::vector<std::uint8_t> options{53, 1, wish.type};
  options.insert(options.end(), wish.options.begin(), wish.options.end());
  options.push_back(255);
  for (const std::uint8_t byte : options)
    body.push_back(static_cast<std::byte>(byte));
  Bytes datagram;
  append(datagram, UdpHeader{std::uint16_t{68},
                             std::uint16_t{67},
                             static_cast<std::uint16_t>(8 + body.size()),
                             {}});
  datagram.insert(datagram.end(), body.begin(), body.end());
  return ip_frame(broadcast_mac, wish.client_ip, anyone, Ipv4Header::udp, datagram);
}
Bytes discover_frame() {
  return dhcp_frame({});
}
Bytes request_frame() {
  return dhcp_frame({3, {50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2}});
}

Bytes arp_frame(std::uint32_t target) {
  Bytes frame;
  append(frame, EthernetHeader{broadcast_mac, client, ethertype_arp});
  ArpPacket arp;
  arp.operation = ArpPacket::request;
  arp.sender_mac = client;
  arp.sender_ip = lease_ip;
  arp.target_ip = target;
  append(frame, arp);
  return frame;
}

Bytes echo_frame(const Bytes& data, std::uint32_t to_ip = server_ip) {
  Bytes icmp;
  append(icmp, IcmpEcho{IcmpEcho::request, 0, {}, std::uint16_t{77}, std::uint16_t{3}});
  icmp.insert(icmp.end(), data.begin(), data.end());
  replace(icmp, 2, be16(static_cast<std::uint16_t>(~sum16(icmp))));
  return ip_frame(server, lease_ip, to_ip, Ipv4Header::icmp, icmp);
}

std::map<unsigned, Bytes> options_of(const Bytes& frame) {
  std::map<unsigned, Bytes> options;
  std::size_t i = options_at;
  while (i < frame.size() && frame[i] != std::byte{255}) {
    const auto len = std::to_integer<std::size_t>(frame.at(i + 1));
    EXPECT_LE(i + 2 + len, frame.size());
    const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(i + 2);
    options[std::to_integer<unsigned>(frame[i])] =
        Bytes(begin, begin + static_cast<std::ptrdiff_t>(len));
    i += 2 + len;
  }
  EXPECT_LT(i, frame.size()) << "the end option is missing";
  return options;
}
Bytes quad(unsigned a, unsigned b, unsigned c, unsigned d) {
  return {std::byte(a), std::byte(b), std::byte(c), std::byte(d)};
}

/// Checks what every IPv4 frame of the peer must keep, and returns its header.
Ipv4Header check_ip(const Bytes& frame) {
  EXPECT_GE(frame.size(), 60u);
  const auto ip = at<Ipv4Header>(frame, ip_at);
  EXPECT_EQ(ip.version_and_words, 0x45);
  EXPECT_LE(ip_at + ip.total_len, frame.size());
  EXPECT_EQ(sum16(std::span(frame).subspan(ip_at, sizeof ip)), 0xffff);
  EXPECT_EQ(ip.source, server_ip);
  return ip;
}

class DhcpPeerTest : public testing::Test, private FrameSink {
protected:
  void SetUp() override { build({}); }
  void build(const DhcpPeerParams& params) {
    peer_ = std::make_unique<DhcpPeer>(params);
    peer_->connect(*this, executor_);
  }
  /// Sends a frame, lets time pass, returns what came back.
  std::vector<Bytes> exchange(const Bytes& frame) {
    answers_.clear();
    peer_->transmit(frame);
    executor_.run_until_idle();
    return answers_;
  }
  Bytes answer(const Bytes& frame) {
    const auto answers = exchange(frame);
    EXPECT_EQ(answers.size(), 1u);
    return answers.empty() ? Bytes(options_at) : answers.front();
  }
  bool ignored(const Bytes& frame) { return exchange(frame).empty(); }

  Executor executor_;
  std::vector<Bytes> answers_;
  std::vector<SimTime> times_;
  std::unique_ptr<DhcpPeer> peer_;

private:
  void on_frame(Frame frame) override {
    answers_.emplace_back(frame.begin(), frame.end());
    times_.push_back(executor_.now());
  }
};

TEST_F(DhcpPeerTest, OffersTheLeaseToADiscover) {
  const Bytes frame = answer(discover_frame());
  const auto ethernet = at<EthernetHeader>(frame, 0);
  EXPECT_EQ(ethernet.destination, client);
  EXPECT_EQ(ethernet.source, server);
  const Ipv4Header ip = check_ip(frame);
  EXPECT_EQ(ip.destination, lease_ip);
  const auto udp = at<UdpHeader>(frame, l4_at);
  EXPECT_EQ(udp.source_port, 67);
  EXPECT_EQ(udp.destination_port, 68);
  const auto message = at<DhcpMessage>(frame, dhcp_at);
  EXPECT_EQ(message.op, DhcpMessage::boot_reply);
  EXPECT_EQ(message.transaction, 0x1234'5678u);
  EXPECT_EQ(message.your_ip, lease_ip);
  EXPECT_EQ(message.server_ip, server_ip);
  EXPECT_TRUE(std::equal(client.begin(), client.end(), message.client_mac.begin()));
  EXPECT_EQ(message.magic, 0x6382'5363u);
  auto options = options_of(frame);
  EXPECT_EQ(options[53], Bytes{std::byte{2}});
  EXPECT_EQ(options[54], quad(10, 0, 2, 2));
  EXPECT_EQ(options[1], quad(255, 255, 255, 0));
  EXPECT_EQ(options[3], quad(10, 0, 2, 2));
  EXPECT_EQ(options[51], quad(0, 1, 0x51, 0x80));
}

TEST_F(DhcpPeerTest, UdpChecksumsAreRight) {
  const Bytes frame = answer(discover_frame());
  const auto udp = at<UdpHeader>(frame, l4_at);
  EXPECT_NE(udp.checksum, 0);
  // Pseudo header: addresses, protocol, length.
  std::uint32_t sum = sum16(std::span(frame).subspan(ip_at + 12, 8));
  sum += Ipv4Header::udp + udp.len;
  EXPECT_EQ(sum16(std::span(frame).subspan(l4_at, udp.len), sum), 0xffff);
}

TEST_F(DhcpPeerTest, AcknowledgesTheRequestForItsLease) {
  const Bytes frame = answer(request_frame());
  EXPECT_EQ(options_of(frame)[53], Bytes{std::byte{5}});
  EXPECT_EQ(at<DhcpMessage>(frame, dhcp_at).your_ip, lease_ip);
  EXPECT_EQ(peer_->stats().acks, 1u);
}

TEST_F(DhcpPeerTest, RefusesAnotherAddress) {
  const Bytes frame = answer(dhcp_frame({3, {50, 4, 10, 0, 2, 99}}));
  EXPECT_EQ(options_of(frame)[53], Bytes{std::byte{6}});
  EXPECT_EQ(at<DhcpMessage>(frame, dhcp_at).your_ip, 0u);
  EXPECT_EQ(at<EthernetHeader>(frame, 0).destination, broadcast_mac);
}

TEST_F(DhcpPeerTest, RenewalsAreAcknowledgedToTheClientsAddress) {
  const Bytes frame = answer(dhcp_frame({3, {}, 0, lease_ip}));
  EXPECT_EQ(options_of(frame)[53], Bytes{std::byte{5}});
  EXPECT_EQ(check_ip(frame).destination, lease_ip);
}

TEST_F(DhcpPeerTest, BroadcastsWhenTheClientAsksForIt) {
  const Bytes frame = answer(dhcp_frame({.flags = DhcpMessage::broadcast_flag}));
  EXPECT_EQ(at<EthernetHeader>(frame, 0).destination, broadcast_mac);
  EXPECT_EQ(check_ip(frame).destination, anyone);
}

TEST_F(DhcpPeerTest, LeavesRequestsForOtherServersAlone) {
  EXPECT_TRUE(ignored(dhcp_frame({3, {50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 3}})));
  EXPECT_TRUE(ignored(dhcp_frame({7, {}}))) << "a release needs no answer";
}

TEST_F(DhcpPeerTest, AnswersArpForItsOwnAddressOnly) {
  const Bytes frame = answer(arp_frame(server_ip));
  EXPECT_EQ(at<EthernetHeader>(frame, 0).destination, client);
  const auto arp = at<ArpPacket>(frame, sizeof(EthernetHeader));
  EXPECT_EQ(arp.operation, ArpPacket::reply);
  EXPECT_EQ(arp.sender_mac, server);
  EXPECT_EQ(arp.sender_ip, server_ip);
  EXPECT_EQ(arp.target_mac, client);
  EXPECT_EQ(arp.target_ip, lease_ip);
  EXPECT_EQ(frame.size(), 60u);
  EXPECT_TRUE(ignored(arp_frame(ipv4(10, 0, 2, 3))));
}

TEST_F(DhcpPeerTest, EchoesWhatItIsSent) {
  for (const std::size_t size : {0u, 1u, 56u, 1472u}) {
    const Bytes request = echo_frame(pattern(size));
    const Bytes frame = answer(request);
    const Ipv4Header ip = check_ip(frame);
    EXPECT_EQ(ip.destination, lease_ip);
    EXPECT_EQ(ip.total_len, sizeof ip + sizeof(IcmpEcho) + size);
    const auto icmp = std::span(frame).subspan(l4_at, sizeof(IcmpEcho) + size);
    EXPECT_EQ(sum16(icmp), 0xffff) << size;
    EXPECT_EQ(at<IcmpEcho>(frame, l4_at).type, IcmpEcho::reply);
    EXPECT_EQ(at<IcmpEcho>(frame, l4_at).id, 77);
    EXPECT_TRUE(std::equal(icmp.begin() + 8, icmp.end(), request.begin() + l4_at + 8));
  }
  EXPECT_TRUE(ignored(echo_frame(pattern(56), ipv4(10, 0, 2, 3))));
}

TEST_F(DhcpPeerTest, AcceptsIpOptionsAndEthernetPadding) {
  // A header of six words, and bytes after the end of the packet.
  Bytes frame = echo_frame(pattern(4));
  const std::array<std::byte, 4> nops{std::byte{1}, std::byte{1}, std::byte{1}, std::byte{0}};
  frame.insert(frame.begin() + l4_at, nops.begin(), nops.end());
  auto ip = at<Ipv4Header>(frame, ip_at);
  ip.version_and_words = 0x46;
  ip.total_len = static_cast<std::uint16_t>(ip.total_len + 4);
  ip.checksum = std::uint16_t{0};
  replace(frame, ip_at, ip);
  ip.checksum = static_cast<std::uint16_t>(~sum16(std::span(frame).subspan(ip_at, 24)));
  replace(frame, ip_at, ip);
  frame.resize(60, std::byte{0xcc});
  const Bytes reply = answer(frame);
  EXPECT_EQ(check_ip(reply).total_len, 20u + 8u + 4u);
}

TEST_F(DhcpPeerTest, AnswersAfterItsDelay) {
  build({.delay = microseconds(250)});
  exchange(arp_frame(server_ip));
  EXPECT_EQ(times_, (std::vector<SimTime>{microseconds(250)}));
}

TEST_F(DhcpPeerTest, AnswersWithinTheCallWithoutDelay) {
  build({.delay = {}});
  peer_->transmit(arp_frame(server_ip));
  EXPECT_EQ(answers_.size(), 1u);
}

TEST_F(DhcpPeerTest, AFloodIsAnsweredOnlyAsFarAsItIsBounded) {
  for (int i = 0; i < 100; ++i)
    peer_->transmit(arp_frame(server_ip));
  executor_.run_until_idle();
  EXPECT_EQ(answers_.size(), DhcpPeer::max_answers);
  EXPECT_EQ(peer_->stats().ignored, 100 - DhcpPeer::max_answers);
  EXPECT_FALSE(ignored(arp_frame(server_ip))) << "and it recovers";
}

TEST_F(DhcpPeerTest, WrongChecksumsAreIgnored) {
  Bytes frame = echo_frame(pattern(56));
  frame[l4_at + 20] ^= std::byte{1};
  EXPECT_TRUE(ignored(frame)) << "ICMP";
  frame = echo_frame(pattern(56));
  frame[ip_at + 8] ^= std::byte{1};
  EXPECT_TRUE(ignored(frame)) << "IP";
  frame = discover_frame();
  replace(frame, l4_at + 6, be16(std::uint16_t{1}));
  EXPECT_TRUE(ignored(frame)) << "UDP";
}

TEST_F(DhcpPeerTest, ARightUdpChecksumIsAccepted) {
  Bytes frame = discover_frame();
  const auto udp = at<UdpHeader>(frame, l4_at);
  std::uint32_t sum = sum16(std::span(frame).subspan(ip_at + 12, 8));
  sum += Ipv4Header::udp + udp.len;
  const std::uint16_t total = sum16(std::span(frame).subspan(l4_at), sum);
  replace(frame, l4_at + 6, be16(static_cast<std::uint16_t>(~total)));
  EXPECT_FALSE(ignored(frame));
}

TEST_F(DhcpPeerTest, EveryTruncationIsIgnoredWithoutReadingBeyond) {
  // As a heap block of exactly that size, so that AddressSanitizer sees any byte too many.
  for (const Bytes& whole : {discover_frame(), request_frame(), echo_frame(pattern(20))})
    for (std::size_t size = 14; size < whole.size(); ++size) {
      const auto block = std::make_unique<std::byte[]>(size);
      std::copy_n(whole.begin(), size, block.get());
      answers_.clear();
      peer_->transmit({block.get(), size});
      executor_.run_until_idle();
      ASSERT_TRUE(answers_.empty()) << size << " of " << whole.size();
    }
}

TEST_F(DhcpPeerTest, LengthFieldsThatLieAreIgnored) {
  const auto lie = [&](std::size_t offset, std::uint16_t value) {
    Bytes frame = discover_frame();
    replace(frame, offset, be16(value));
    replace(frame, ip_at + 10, be16(std::uint16_t{0}));
    replace(frame, ip_at + 10,
            be16(static_cast<std::uint16_t>(~sum16(std::span(frame).subspan(ip_at, 20)))));
    return ignored(frame);
  };
  for (const std::uint16_t value : {0, 19, 20, 27, 28, 0xffff})
    EXPECT_TRUE(lie(ip_at + 2, value)) << "total length " << value;
  for (const std::uint16_t value : {0, 7, 8, 100, 0xffff})
    EXPECT_TRUE(lie(l4_at + 4, value)) << "UDP length " << value;
}

TEST_F(DhcpPeerTest, OptionsThatRunPastTheEndAreIgnored) {
  Bytes frame = dhcp_frame({1, {50, 200}});
  EXPECT_EQ(options_of(answer(frame))[53], Bytes{std::byte{2}}) << "what came before them counts";
  frame = discover_frame();
  frame[options_at + 1] = std::byte{255}; // the message type itself
  EXPECT_TRUE(ignored(frame));
}

TEST_F(DhcpPeerTest, FragmentsAndOtherProtocolsAreIgnored) {
  Bytes frame = echo_frame(pattern(8));
  auto ip = at<Ipv4Header>(frame, ip_at);
  ip.fragment = std::uint16_t{0x2000};
  ip.checksum = std::uint16_t{0};
  ip.checksum = static_cast<std::uint16_t>(~sum16(std::as_bytes(std::span(&ip, 1))));
  replace(frame, ip_at, ip);
  EXPECT_TRUE(ignored(frame));
  EXPECT_TRUE(ignored(ip_frame(server, lease_ip, server_ip, 6, pattern(20)))) << "TCP";
  frame = echo_frame(pattern(8));
  frame[0] = std::byte{0x02};
  EXPECT_TRUE(ignored(frame)) << "for another machine";
  EXPECT_EQ(peer_->stats().ignored, 3u);
}

TEST_F(DhcpPeerTest, RandomDamageNeverHurts) {
  Random random(1);
  std::uint64_t sent = 0;
  for (const Bytes& whole :
       {discover_frame(), request_frame(), arp_frame(server_ip), echo_frame(pattern(20))})
    for (int i = 0; i < 2000; ++i, ++sent) {
      Bytes frame = whole;
      for (int flips = 0; flips < 3; ++flips)
        frame[12 + random.below(frame.size() - 12)] = static_cast<std::byte>(random.next());
      exchange(frame);
    }
  const DhcpPeerStats& s = peer_->stats();
  EXPECT_EQ(s.offers + s.acks + s.naks + s.arp_replies + s.echo_replies + s.ignored, sent);
}

TEST(InternetChecksum, CarriesOfCarriesCount) {
  const Bytes bytes{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                    std::byte{0xff}, std::byte{0x00}, std::byte{0x01}};
  EXPECT_EQ(Checksum().add(bytes).value(), 0xfffe);
}

TEST(InternetChecksum, GivesTheValueOfRfc1071) {
  const Bytes bytes{std::byte{0x00}, std::byte{0x01}, std::byte{0xf2}, std::byte{0x03},
                    std::byte{0xf4}, std::byte{0xf5}, std::byte{0xf6}, std::byte{0xf7}};
  EXPECT_EQ(Checksum().add(bytes).value(), static_cast<std::uint16_t>(~0xddf2));
  EXPECT_EQ(Checksum().add(std::span(bytes).first(2)).add(std::span(bytes).subspan(2)).value(),
            static_cast<std::uint16_t>(~0xddf2));
}

} // namespace
} // namespace virtio::net
