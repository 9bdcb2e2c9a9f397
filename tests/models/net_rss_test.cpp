#include "models/net_bench.hpp"
#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>

namespace virtio::net {
namespace {

using test::make_packet;
using test::Packet;
using test::PacketForm;

constexpr std::uint32_t all = all_hash_types;

template <class... Values> Bytes joined(const Values&... values) {
  Bytes bytes;
  (test::append(bytes, values), ...);
  return bytes;
}
Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
std::vector<std::uint8_t> some_key(std::size_t size = 40) {
  std::vector<std::uint8_t> key(size);
  for (std::size_t i = 0; i < size; ++i)
    key[i] = static_cast<std::uint8_t>(37 * i + 11);
  return key;
}
Bytes key_bytes(std::size_t size = 40) {
  const auto key = some_key(size);
  Bytes bytes{static_cast<std::byte>(size)};
  for (const std::uint8_t byte : key)
    bytes.push_back(static_cast<std::byte>(byte));
  return bytes;
}

struct RssCommand {
  std::uint32_t types = all;
  std::vector<std::uint16_t> table{0, 1, 2, 3};
  std::uint16_t unclassified = 0;
  std::uint16_t max_tx_vq = 4;
  std::size_t key = 40;
  std::optional<std::uint16_t> mask{};

  Bytes bytes() const {
    Bytes command =
        joined(std::uint8_t{VIRTIO_NET_CTRL_MQ}, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, le32(types),
               le16(mask.value_or(std::uint16_t(table.size() - 1))), le16(unclassified));
    for (const std::uint16_t entry : table)
      test::append(command, le16(entry));
    return command + joined(le16(max_tx_vq)) + key_bytes(key);
  }
};
Bytes hash_command(std::uint32_t types, std::size_t key = 40, std::uint16_t reserved = 0) {
  return joined(std::uint8_t{VIRTIO_NET_CTRL_MQ}, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, le32(types),
                le16(0), le16(reserved), le16(0), le16(0)) +
         key_bytes(key);
}
Bytes pairs_command(std::uint16_t pairs) {
  return joined(std::uint8_t{VIRTIO_NET_CTRL_MQ}, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le16(pairs));
}
Bytes tunnel_command(std::uint32_t types) {
  return joined(std::uint8_t{VIRTIO_NET_CTRL_HASH_TUNNEL}, VIRTIO_NET_CTRL_HASH_TUNNEL_SET,
                le32(types));
}

/// A packet of the n-th flow.
Bytes flow(unsigned n, PacketForm form = {.tcp = false, .payload = 30}) {
  Packet p = make_packet(form);
  test::overwrite(p.bytes, p.transport, be16(static_cast<std::uint16_t>(1000 + n)));
  return p.bytes;
}
Bytes arp() {
  Bytes frame(60);
  test::overwrite(frame, 12, be16(ethertype_arp));
  return frame;
}
Bytes in_vxlan(const Bytes& inner) {
  Packet outer = make_packet({.tcp = false, .payload = 8 + inner.size()});
  test::overwrite(outer.bytes, outer.transport + 2, be16(std::uint16_t{4789}));
  outer.bytes[outer.payload] = std::byte{8};
  std::ranges::copy(inner, outer.bytes.begin() + static_cast<std::ptrdiff_t>(outer.payload + 8));
  return outer.bytes;
}
std::uint32_t hash_with(const Bytes& packet, const HashRules& rules) {
  return hash_of(packet, rules, Toeplitz(some_key(), Toeplitz::Way::table)).value;
}

class NetRss : public NetBench {
protected:
  static constexpr FeatureSet features{VIRTIO_NET_F_CTRL_VQ,     VIRTIO_NET_F_MQ,
                                       VIRTIO_NET_F_RSS,         VIRTIO_NET_F_HASH_REPORT,
                                       VIRTIO_NET_F_HASH_TUNNEL, VIRTIO_NET_F_MRG_RXBUF};
  void SetUp() override { offer({}); }
  void offer(RssParams rss, FeatureSet offered = features) {
    build({.queue_pairs = 4, .features = offered, .rss = rss});
  }

  FunctionBench::Request& command(const Bytes& bytes) {
    auto& r = bench_->submit(net().controlq(), bytes, {1});
    bench_->run_stepped();
    return r;
  }
  bool accepted(const Bytes& bytes) {
    const Bytes answer = bench_->answer(command(bytes));
    EXPECT_EQ(answer.size(), 1u);
    return !answer.empty() && answer[0] == std::byte{VIRTIO_NET_OK};
  }
  struct Received {
    int pair = -1;
    virtio_net_hdr_hash header{};
    Bytes frame{};
  };
  /// Where `frame` arrives and how; one buffer of each pair is posted afresh for it.
  Received receive(const Bytes& frame) {
    std::vector<FunctionBench::Request*> posted;
    for (unsigned pair = 0; pair < 4; ++pair)
      posted.push_back(&bench_->submit(Net::receive_queue(pair), {}, {1600}));
    wire_->deliver(frame);
    bench_->run_stepped();
    Received received;
    for (int pair = 0; pair < 4; ++pair)
      if (auto& request = *posted[static_cast<std::size_t>(pair)]; request.completed) {
        const Bytes bytes = bench_->answer(request);
        received.pair = pair;
        EXPECT_TRUE(read_layout(bytes, received.header));
        received.frame.assign(bytes.begin() + sizeof received.header, bytes.end());
      }
    bench_->used.clear();
    for (unsigned pair = 0; pair < 4; ++pair)
      bench_->abort(Net::receive_queue(pair));
    bench_->run_stepped();
    return received;
  }
};

TEST_F(NetRss, ShowsItsLimitsInTheConfigurationSpace) {
  EXPECT_EQ(config().rss_max_key_size, 40);
  EXPECT_EQ(config().rss_max_indirection_table_length, 128);
  EXPECT_EQ(config().supported_hash_types, 0x1ffu);
  EXPECT_EQ(config().supported_tunnel_types, 0x1ffu);
  EXPECT_EQ(config().max_virtqueue_pairs, 4);
  EXPECT_EQ(net().config().size(), 28u);
  offer({.hash_types = 0x12, .max_key_size = 52, .max_table_length = 300, .tunnel_types = 0x10});
  EXPECT_EQ(config().rss_max_key_size, 52);
  EXPECT_EQ(config().rss_max_indirection_table_length, 300);
  EXPECT_EQ(config().supported_hash_types, 0x12u);
  EXPECT_EQ(config().supported_tunnel_types, 0x10u);
  build();
  EXPECT_EQ(config().rss_max_key_size, 0);
  EXPECT_EQ(config().supported_hash_types, 0u);
  EXPECT_EQ(net().config().size(), 24u);
  offer({}, {VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ, VIRTIO_NET_F_HASH_REPORT});
  EXPECT_EQ(config().rss_max_key_size, 40);
  EXPECT_EQ(config().supported_hash_types, 0x1ffu);
  EXPECT_EQ(config().rss_max_indirection_table_length, 0);
}

TEST_F(NetRss, ParametersBelowTheLeastAreRefused) {
  for (const RssParams& wrong :
       {RssParams{.hash_types = 0x200}, RssParams{.max_key_size = 39},
        RssParams{.max_table_length = 127}, RssParams{.max_table_length = 0x8001},
        RssParams{.tunnel_types = 0x200}})
    EXPECT_THROW(offer(wrong), std::invalid_argument);
}

TEST_F(NetRss, ComesWithoutMultiqueueToo) {
  offer({}, {VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_RSS});
  EXPECT_EQ(config().max_virtqueue_pairs, 4);
  EXPECT_EQ(raw(net().controlq()), 8);
  EXPECT_FALSE(accepted(pairs_command(2)));
  EXPECT_TRUE(accepted(RssCommand{}.bytes()));
}

TEST_F(NetRss, TheMaskedHashSelectsTheQueue) {
  const std::vector<std::uint16_t> table{3, 1, 0, 2, 2, 0, 1, 3};
  EXPECT_TRUE(accepted(RssCommand{.table = table}.bytes()));
  std::vector<int> hits(4);
  for (unsigned n = 0; n < 64; ++n) {
    const Bytes packet = flow(n);
    const std::uint32_t hash = hash_with(packet, {.types = all});
    const Received received = receive(packet);
    ASSERT_EQ(received.pair, table[hash & 7]);
    EXPECT_EQ(received.header.hash_value, hash);
    EXPECT_EQ(received.header.hash_report, static_cast<unsigned>(HashReport::UDPv4));
    EXPECT_EQ(received.frame, packet);
    ++hits[static_cast<std::size_t>(received.pair)];
  }
  EXPECT_GT(*std::ranges::min_element(hits), 0);
}

TEST_F(NetRss, WithoutAHashThePacketIsUnclassified) {
  EXPECT_TRUE(accepted(RssCommand{.types = VIRTIO_NET_HASH_TYPE_IPv6, .unclassified = 2}.bytes()));
  for (const Bytes& packet : {flow(1), arp()}) {
    const Received received = receive(packet);
    EXPECT_EQ(received.pair, 2);
    EXPECT_EQ(received.header.hash_report, 0);
    EXPECT_EQ(received.header.hash_value, 0u);
  }
  EXPECT_TRUE(accepted(RssCommand{.types = 0, .unclassified = 3, .key = 0}.bytes()));
  EXPECT_EQ(receive(flow(1, {.ipv6 = true, .tcp = false, .payload = 9})).pair, 3);
}

// Ethernet and IPv4 have 34 bytes, TCP 20 more.
TEST_F(NetRss, HeadersThatEndTooFarBehindCountAsCut) {
  const auto report_within = [&](std::uint32_t bytes, const Bytes& packet) {
    offer({.max_parse_bytes = bytes});
    EXPECT_TRUE(accepted(RssCommand{}.bytes()));
    const Received received = receive(packet);
    EXPECT_EQ(received.frame, packet) << "all of it arrives";
    return static_cast<HashReport>(std::uint16_t{received.header.hash_report});
  };
  const Bytes packet = make_packet({.payload = 100}).bytes;
  EXPECT_EQ(report_within(0, packet), HashReport::TCPv4);
  EXPECT_EQ(report_within(54, packet), HashReport::TCPv4);
  EXPECT_EQ(report_within(53, packet), HashReport::IPv4);
  EXPECT_EQ(report_within(34, packet), HashReport::IPv4);
  EXPECT_EQ(report_within(33, packet), HashReport::NONE);
}

TEST_F(NetRss, AQueueThatIsNotThereCostsThePacket) {
  EXPECT_TRUE(accepted(RssCommand{.table = {2}}.bytes()));
  bench_->set_enabled(Net::receive_queue(2), false);
  const auto dropped = stats().rx_in_reset;
  wire_->deliver(flow(1));
  EXPECT_EQ(stats().rx_in_reset, dropped + 1);
  bench_->set_enabled(Net::receive_queue(2), true);
  EXPECT_EQ(receive(flow(1)).pair, 2);
}

TEST_F(NetRss, WrongCommandsAreErrorsAndChangeNothing) {
  EXPECT_TRUE(accepted(RssCommand{.table = {3}}.bytes()));
  const RssCommand wrong[] = {
      {.types = 0x200},
      {.types = 1u << 31},
      {.table = {0, 1, 2}},
      {.table = std::vector<std::uint16_t>(256)},
      {.table = {0, 4}},
      {.table = {0xffff}},
      {.unclassified = 4},
      {.max_tx_vq = 0},
      {.max_tx_vq = 5},
      {.key = 0},
      {.key = 39},
      {.key = 41},
      {.mask = std::uint16_t{7}},
      {.mask = std::uint16_t{0xffff}},
      {.mask = std::uint16_t{1}},
  };
  for (const RssCommand& command : wrong)
    EXPECT_FALSE(accepted(command.bytes())) << &command - wrong;
  const Bytes right = RssCommand{}.bytes();
  for (std::size_t size = 2; size < right.size(); ++size)
    EXPECT_FALSE(accepted(Bytes(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(size))))
        << size;
  EXPECT_FALSE(accepted(right + Bytes(1)));
  EXPECT_EQ(receive(flow(1)).pair, 3);
}

TEST_F(NetRss, TakesTheLongestTableAndKeyThatItShows) {
  offer({.max_key_size = 255, .max_table_length = 0x8000});
  EXPECT_TRUE(
      accepted(RssCommand{.table = std::vector<std::uint16_t>(0x8000, 1), .key = 255}.bytes()));
  const Received received = receive(flow(1));
  EXPECT_EQ(received.pair, 1);
  EXPECT_EQ(received.header.hash_value,
            hash_of(flow(1), {.types = all}, Toeplitz(some_key(255))).value);
}

TEST_F(NetRss, CommandsOfFeaturesThatWereNotNegotiatedAreErrors) {
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ});
  EXPECT_FALSE(accepted(RssCommand{}.bytes()));
  EXPECT_FALSE(accepted(hash_command(all)));
  EXPECT_FALSE(accepted(tunnel_command(1)));
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT});
  EXPECT_FALSE(accepted(RssCommand{}.bytes()));
  EXPECT_TRUE(accepted(hash_command(all)));
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_RSS});
  EXPECT_FALSE(accepted(hash_command(all)));
  EXPECT_TRUE(accepted(RssCommand{}.bytes()));
}

TEST_F(NetRss, BeforeTheCommandOnlyTheFirstReceivesAndNothingIsHashed) {
  for (unsigned n = 0; n < 8; ++n) {
    const Received received = receive(flow(n));
    EXPECT_EQ(received.pair, 0);
    EXPECT_EQ(received.header.hash_report, 0);
  }
}

TEST_F(NetRss, TheLastCommandDecides) {
  EXPECT_TRUE(accepted(pairs_command(2)));
  EXPECT_TRUE(accepted(RssCommand{.table = {3}}.bytes()));
  EXPECT_EQ(receive(flow(1)).pair, 3);
  EXPECT_TRUE(accepted(pairs_command(1)));
  EXPECT_EQ(receive(flow(1)).pair, 0);
  EXPECT_EQ(receive(flow(1)).header.hash_report, 3) << "hashes go on";
  EXPECT_TRUE(accepted(RssCommand{.table = {2}}.bytes()));
  EXPECT_EQ(receive(flow(1)).pair, 2);
  EXPECT_TRUE(accepted(hash_command(VIRTIO_NET_HASH_TYPE_IPv4)));
  EXPECT_EQ(receive(flow(1)).pair, 0);
  EXPECT_EQ(receive(flow(1)).header.hash_report, 1);
}

TEST_F(NetRss, AResetEndsItAll) {
  EXPECT_TRUE(accepted(RssCommand{.table = {3}}.bytes()));
  EXPECT_TRUE(accepted(tunnel_command(0x10)));
  negotiate(features);
  const Received received = receive(flow(1));
  EXPECT_EQ(received.pair, 0);
  EXPECT_EQ(received.header.hash_report, 0);
  EXPECT_TRUE(accepted(hash_command(all)));
  EXPECT_EQ(receive(in_vxlan(flow(1, {.payload = 9}))).header.hash_report,
            static_cast<unsigned>(HashReport::UDPv4));
}

TEST_F(NetRss, FramesThatWaitInQueuesNoLongerUsedAreReceivedByTheOthers) {
  EXPECT_TRUE(accepted(RssCommand{.table = {3}}.bytes()));
  wire_->deliver(flow(1));
  auto& buffer = bench_->submit(Net::receive_queue(1), {}, {1600});
  EXPECT_FALSE(buffer.completed);
  EXPECT_TRUE(accepted(RssCommand{.table = {1}}.bytes()));
  EXPECT_TRUE(buffer.completed);
}

TEST_F(NetRss, TheCommandIsUsedAfterTheLastFrameInQueuesNoLongerUsed) {
  build({.queue_pairs = 4, .features = features}, false);
  EXPECT_TRUE(accepted(RssCommand{.table = {3}}.bytes()));
  bench_->port().hold = true;
  auto& buffer = bench_->submit(Net::receive_queue(3), {}, {1600});
  wire_->deliver(flow(1));
  auto& set = bench_->submit(net().controlq(), RssCommand{.table = {1}}.bytes(), {1});
  bench_->port().answer_one(1);
  bench_->run();
  EXPECT_FALSE(set.completed);
  bench_->port().hold = false;
  bench_->run_stepped();
  EXPECT_TRUE(buffer.completed);
  EXPECT_TRUE(set.completed);
}

class NetHashReport : public NetRss {
protected:
  void SetUp() override {
    offer({}, {VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT, VIRTIO_NET_F_HASH_TUNNEL,
               VIRTIO_NET_F_MQ});
    EXPECT_TRUE(accepted(hash_command(all)));
  }
};

TEST_F(NetHashReport, HasTheNumberOfEveryHashType) {
  Bytes options(8);
  const auto extended = [&](bool tcp) {
    return make_packet({.ipv6 = true, .tcp = tcp, .extensions = {{60, options}}, .payload = 9})
        .bytes;
  };
  const std::pair<Bytes, unsigned> cases[] = {
      {make_packet({.payload = 9}).bytes, 2},
      {make_packet({.tcp = false, .payload = 9}).bytes, 3},
      {make_packet({.ipv4_fragment = 0x2000, .payload = 9}).bytes, 1},
      {make_packet({.ipv6 = true, .payload = 9}).bytes, 5},
      {make_packet({.ipv6 = true, .tcp = false, .payload = 9}).bytes, 6},
      {extended(true), 8},
      {extended(false), 9},
      {arp(), 0},
  };
  for (const auto& [packet, report] : cases) {
    const Received received = receive(packet);
    EXPECT_EQ(received.header.hash_report, report);
    EXPECT_EQ(received.header.hash_value, hash_with(packet, {.types = all}));
    EXPECT_EQ(received.frame, packet);
    EXPECT_EQ(received.header.hash_report_tunnel, 0);
  }
  EXPECT_TRUE(accepted(hash_command(VIRTIO_NET_HASH_TYPE_IPv6 | VIRTIO_NET_HASH_TYPE_IP_EX)));
  EXPECT_EQ(receive(extended(true)).header.hash_report, 7);
  EXPECT_EQ(receive(make_packet({.ipv6 = true, .payload = 9}).bytes).header.hash_report, 4);
}

TEST_F(NetHashReport, WrongHashCommandsAreErrorsAndChangeNothing) {
  EXPECT_FALSE(accepted(hash_command(0x200)));
  EXPECT_FALSE(accepted(hash_command(all, 39)));
  EXPECT_FALSE(accepted(hash_command(all, 41)));
  EXPECT_FALSE(accepted(hash_command(all, 40, 1))) << "reserved";
  EXPECT_FALSE(accepted(hash_command(all) + Bytes(1)));
  const Bytes right = hash_command(0);
  for (std::size_t size = 2; size < right.size(); ++size)
    EXPECT_FALSE(accepted(Bytes(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(size))));
  EXPECT_EQ(receive(flow(1)).header.hash_report, 3);
  EXPECT_TRUE(accepted(hash_command(0, 0)));
  EXPECT_EQ(receive(flow(1)).header.hash_report, 0);
}

TEST_F(NetHashReport, HeadersAreTwentyBytesInBothDirections) {
  const Bytes packet = flow(1);
  bench_->submit(Net::transmitq, Bytes(sizeof(virtio_net_hdr_hash)) + packet, {});
  bench_->run_stepped();
  ASSERT_EQ(wire_->sent.size(), 1u);
  EXPECT_EQ(wire_->sent[0], packet);
}

TEST_F(NetHashReport, IsSpreadOverMergeableBuffersWithItsPacket) {
  offer({}, features);
  EXPECT_TRUE(accepted(hash_command(all)));
  const Bytes packet = flow(1);
  auto& first = bench_->submit(Net::receiveq, {}, {18});
  auto& second = bench_->submit(Net::receiveq, {}, {200});
  wire_->deliver(packet);
  bench_->run_stepped();
  const Bytes bytes = bench_->answer(first) + bench_->answer(second);
  virtio_net_hdr_hash header;
  ASSERT_TRUE(read_layout(bytes, header));
  EXPECT_EQ(header.hdr.num_buffers, 2);
  EXPECT_EQ(header.hash_report, 3);
  EXPECT_EQ(Bytes(bytes.begin() + sizeof header, bytes.end()), packet);
}

TEST_F(NetHashReport, TheStandardsTunnelsAreEnabledByTheirCommand) {
  const Bytes inner = flow(1, {.payload = 9});
  const Bytes packet = in_vxlan(inner);
  EXPECT_EQ(receive(packet).header.hash_value, hash_with(packet, {.types = all}));
  EXPECT_TRUE(accepted(tunnel_command(VIRTIO_NET_HASH_TUNNEL_TYPE_VXLAN)));
  const Received received = receive(packet);
  EXPECT_EQ(received.header.hash_value, hash_with(inner, {.types = all}));
  EXPECT_EQ(received.header.hash_report, static_cast<unsigned>(HashReport::TCPv4));
  EXPECT_EQ(received.header.hash_report_tunnel, 0);
  EXPECT_FALSE(accepted(tunnel_command(0x200)));
  EXPECT_FALSE(accepted(tunnel_command(1) + Bytes(1)));
  EXPECT_EQ(receive(packet).header.hash_report, 2);
  EXPECT_TRUE(accepted(tunnel_command(0)));
  EXPECT_EQ(receive(packet).header.hash_report, 3);
}

class NetInnerHashV7 : public NetRss {
protected:
  void SetUp() override { offer({.inner_hash_v7 = true}); }
};

TEST_F(NetInnerHashV7, ExcludesTheStandardsForm) {
  EXPECT_TRUE(net().features().has(52));
  EXPECT_FALSE(net().features().has(51));
  EXPECT_EQ(config().supported_hash_types, 0xfffu);
  EXPECT_EQ(net().config().size(), 24u);
  EXPECT_FALSE(accepted(tunnel_command(1)));
  EXPECT_FALSE(net().accepts({52}));
  EXPECT_TRUE(net().accepts({52, VIRTIO_NET_F_CTRL_VQ}));
  offer({});
  EXPECT_FALSE(net().features().has(52));
  EXPECT_FALSE(accepted(RssCommand{.types = all | VIRTIO_NET_HASH_TYPE_VXLAN_INNER}.bytes()));
}

TEST_F(NetInnerHashV7, ReportsTunnelAndInnerHash) {
  EXPECT_TRUE(accepted(RssCommand{.types = all | VIRTIO_NET_HASH_TYPE_VXLAN_INNER}.bytes()));
  for (unsigned n = 0; n < 16; ++n) {
    const Bytes inner = flow(n, {.payload = 9});
    const Received received = receive(in_vxlan(inner));
    const std::uint32_t hash = hash_with(inner, {.types = all});
    EXPECT_EQ(received.header.hash_value, hash);
    EXPECT_EQ(received.header.hash_report, static_cast<unsigned>(HashReport::TCPv4));
    EXPECT_EQ(received.header.hash_report_tunnel, static_cast<unsigned>(TunnelReport::VXLAN));
    EXPECT_EQ(received.header.padding_reserved, 0);
    EXPECT_EQ(received.pair, static_cast<int>(hash % 4));
  }
  EXPECT_EQ(receive(flow(1)).header.hash_report_tunnel, 0);
}

TEST_F(NetInnerHashV7, WithoutAnInnerHashThePacketIsUnclassified) {
  EXPECT_TRUE(accepted(
      RssCommand{.types = all | VIRTIO_NET_HASH_TYPE_VXLAN_INNER, .unclassified = 3}.bytes()));
  const Received received = receive(in_vxlan(arp()));
  EXPECT_EQ(received.pair, 3);
  EXPECT_EQ(received.header.hash_report, 0);
  EXPECT_EQ(received.header.hash_report_tunnel, 0);
}

TEST_F(NetInnerHashV7, WithoutItsFeatureTheOuterHeaderCounts) {
  negotiate(features);
  EXPECT_FALSE(accepted(RssCommand{.types = all | VIRTIO_NET_HASH_TYPE_VXLAN_INNER}.bytes()));
  EXPECT_TRUE(accepted(RssCommand{}.bytes()));
  const Received received = receive(in_vxlan(flow(1, {.payload = 9})));
  EXPECT_EQ(received.header.hash_report, static_cast<unsigned>(HashReport::UDPv4));
  EXPECT_EQ(received.header.hash_report_tunnel, 0);
}

} // namespace
} // namespace virtio::net
