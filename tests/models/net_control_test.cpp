// The control queue and what it controls: receive filtering, address, announcement.
#include "models/net_bench.hpp"

#include <virtio/core/random.hpp>

namespace virtio::net {
namespace {

constexpr MacAddress own{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
constexpr MacAddress other{0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc};
constexpr MacAddress third{0x02, 0, 0, 0, 0, 1};
constexpr MacAddress group{0x01, 0x00, 0x5e, 0, 0, 1};
constexpr MacAddress group6{0x33, 0x33, 0, 0, 0, 1};

/// By pointer and access by access.
class NetControl : public NetBench, public testing::WithParamInterface<bool> {
protected:
  void SetUp() override { build_all(); }
  void build_all(NetParams params = {}) {
    params.features = plain_features;
    build(params, GetParam());
    bench_->port().hold = true;
  }
  static Bytes command(std::uint8_t class_, std::uint8_t number, const Bytes& data = {}) {
    Bytes bytes{std::byte{class_}, std::byte{number}};
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
  }
  std::uint8_t run(const Bytes& bytes, const std::vector<std::uint32_t>& cuts,
                   const std::vector<std::uint32_t>& room = {1}) {
    auto& r = bench_->submit(net().controlq(), bytes, cuts, room);
    bench_->run_stepped();
    const Bytes answer = bench_->answer(r);
    EXPECT_EQ(answer.size(), 1u);
    return answer.empty() ? 0xee : std::to_integer<std::uint8_t>(answer[0]);
  }
  bool ok(const Bytes& bytes) {
    const std::uint8_t ack = run(bytes, {static_cast<std::uint32_t>(bytes.size())});
    EXPECT_LE(ack, VIRTIO_NET_ERR);
    return ack == VIRTIO_NET_OK;
  }
  bool mode(std::uint8_t number, std::uint8_t on) {
    return ok(command(VIRTIO_NET_CTRL_RX, number, {std::byte{on}}));
  }
  static void append_table(Bytes& data, const std::vector<MacAddress>& macs,
                           std::uint32_t entries) {
    const le32 count = entries;
    const auto front = std::as_bytes(std::span(&count, 1));
    data.insert(data.end(), front.begin(), front.end());
    const auto rest = std::as_bytes(std::span(macs));
    data.insert(data.end(), rest.begin(), rest.end());
  }
  static Bytes tables(const std::vector<MacAddress>& unicast,
                      const std::vector<MacAddress>& multicast) {
    Bytes data;
    append_table(data, unicast, static_cast<std::uint32_t>(unicast.size()));
    append_table(data, multicast, static_cast<std::uint32_t>(multicast.size()));
    return command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data);
  }
  static Bytes address(const MacAddress& mac) {
    const auto bytes = std::as_bytes(std::span(mac));
    return command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, {bytes.begin(), bytes.end()});
  }
  static Bytes vlan(std::uint8_t number, std::uint16_t id) {
    return command(VIRTIO_NET_CTRL_VLAN, number,
                   {static_cast<std::byte>(id), static_cast<std::byte>(id >> 8)});
  }
  static Bytes acknowledge() {
    return command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK);
  }

  static Bytes frame_to(const MacAddress& mac) {
    Bytes frame = frame_of(64);
    std::memcpy(frame.data(), mac.data(), mac.size());
    return frame;
  }
  static Bytes tagged_to(const MacAddress& mac, std::uint16_t tci,
                         std::uint16_t type = ethertype_vlan) {
    Bytes frame = frame_to(mac);
    const BigEndian<std::uint16_t> tag[] = {type, tci};
    std::memcpy(&frame[12], static_cast<const void*>(tag), 4);
    return frame;
  }
  bool received(const Bytes& frame) {
    const auto before = stats();
    auto& buffer = post();
    wire_->deliver(frame);
    bench_->run_stepped();
    EXPECT_EQ(stats().rx_frames + stats().rx_filtered, before.rx_frames + before.rx_filtered + 1);
    const bool there = buffer.completed;
    if (there) {
      EXPECT_EQ(bench_->answer(buffer), as_received(frame));
    } else {
      bench_->abort(Net::receiveq);
      bench_->run_stepped();
    }
    return there;
  }
  bool receives(const MacAddress& mac) { return received(frame_to(mac)); }
};
INSTANTIATE_TEST_SUITE_P(Stepped, NetControl, testing::Bool());

// --- commands in general -------------------------------------------------------------------------

TEST_P(NetControl, IsQueue2WithoutMultiqueueAndBehindThePairsWithIt) {
  EXPECT_EQ(raw(net().controlq()), 2);
  EXPECT_EQ(net().num_queues(), 3);
  build_all({.queue_pairs = 3});
  EXPECT_EQ(raw(net().controlq()), 6);
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_PROMISC, 1));
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX});
  EXPECT_EQ(raw(net().controlq()), 2);
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_PROMISC, 1));
}

TEST_P(NetControl, CommandsMayBeCutInAnyWay) {
  const Bytes bytes = tables({other, third}, {group});
  for (const std::uint32_t piece : {1u, 2u, 3u, 5u, 7u, 100u}) {
    EXPECT_EQ(run(bytes, cut(bytes.size(), piece)), VIRTIO_NET_OK) << piece;
    EXPECT_TRUE(receives(other));
    EXPECT_TRUE(ok(tables({}, {})));
    EXPECT_FALSE(receives(other));
  }
  // Empty descriptors, and a longer room for ack, of which the first byte is used.
  EXPECT_EQ(run(bytes, {0, 2, 0, static_cast<std::uint32_t>(bytes.size() - 2), 0}, {0, 3, 4}),
            VIRTIO_NET_OK);
  EXPECT_TRUE(receives(other));
  EXPECT_TRUE(bench_->guards_intact());
}

TEST_P(NetControl, ACommandWithoutRoomForItsAnswerFailsTheQueue) {
  auto& r = bench_->submit(net().controlq(), tables({}, {}), {});
  bench_->run_stepped();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::malformed_request);
}

TEST_P(NetControl, UnknownAndTruncatedCommandsAreErrors) {
  EXPECT_EQ(run({}, {}), VIRTIO_NET_ERR);
  EXPECT_FALSE(ok({std::byte{0}}));
  for (unsigned class_ = 0; class_ < 256; ++class_)
    for (const unsigned number : {2u, 6u, 255u}) {
      if (class_ == VIRTIO_NET_CTRL_RX && number == 2) continue;
      EXPECT_FALSE(ok(
          command(static_cast<std::uint8_t>(class_), static_cast<std::uint8_t>(number), Bytes(1))))
          << class_ << " " << number;
    }
  EXPECT_EQ(stats().command_errors, stats().commands);
}

TEST_P(NetControl, ShortAndExcessDataAreErrorsAndChangeNothing) {
  const Bytes good[] = {command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, {std::byte{1}}),
                        tables({other}, {group}), address(other), vlan(VIRTIO_NET_CTRL_VLAN_ADD, 5),
                        acknowledge()};
  net().announce();
  for (const Bytes& bytes : good) {
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(ok({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)})) << size;
    Bytes longer = bytes;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(ok(longer));
  }
  EXPECT_FALSE(receives(other));
  EXPECT_FALSE(receives(group));
  EXPECT_FALSE(received(tagged_to(own, 5)));
  EXPECT_TRUE(receives(own));
  EXPECT_EQ(config().status & VIRTIO_NET_S_ANNOUNCE, VIRTIO_NET_S_ANNOUNCE);
  for (const Bytes& bytes : good)
    EXPECT_TRUE(ok(bytes));
}

TEST_P(NetControl, CommandsOfFeaturesThatWereNotNegotiatedAreErrors) {
  const std::pair<unsigned, Bytes> cases[] = {
      {VIRTIO_NET_F_CTRL_RX, command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX, command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX_EXTRA,
       command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX_EXTRA,
       command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX_EXTRA, command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX_EXTRA,
       command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, Bytes(1))},
      {VIRTIO_NET_F_CTRL_RX, tables({}, {})},
      {VIRTIO_NET_F_CTRL_VLAN, vlan(VIRTIO_NET_CTRL_VLAN_ADD, 1)},
      {VIRTIO_NET_F_CTRL_VLAN, vlan(VIRTIO_NET_CTRL_VLAN_DEL, 1)},
      {VIRTIO_NET_F_GUEST_ANNOUNCE, acknowledge()},
      {VIRTIO_NET_F_CTRL_MAC_ADDR, address(other)}};
  for (const auto& [feature, bytes] : cases) {
    negotiate({VIRTIO_NET_F_CTRL_VQ});
    EXPECT_FALSE(ok(bytes)) << feature;
    negotiate({VIRTIO_NET_F_CTRL_VQ, feature});
    EXPECT_TRUE(ok(bytes)) << feature;
  }
}

TEST_P(NetControl, ACommandThatCannotBeReadIsAnError) {
  const Piece room = bench_->allocate(1);
  auto& r = bench_->submit_pieces(net().controlq(), {{FunctionBench::nowhere, 3}}, {room});
  bench_->run_stepped();
  ASSERT_TRUE(r.completed);
  EXPECT_EQ(std::to_integer<int>(*bench_->memory(room.addr)), VIRTIO_NET_ERR);
}

TEST_P(NetControl, AnAnswerThatCannotBeWrittenFailsTheQueue) {
  const Piece bytes = bench_->allocate(3);
  auto& r = bench_->submit_pieces(net().controlq(), {bytes}, {{FunctionBench::nowhere, 1}});
  bench_->run_stepped();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::data_unwritable);
}

TEST_P(NetControl, AResetWhileACommandIsReadDropsIt) {
  build({.features = plain_features}, false); // by pointer nothing is under way
  bench_->port().hold = true;
  auto& r = bench_->submit(net().controlq(), address(other), {1});
  bench_->run();
  bench_->reset();
  bench_->start(net().features());
  EXPECT_FALSE(r.completed);
  EXPECT_TRUE(receives(own));
  EXPECT_FALSE(receives(other));
  EXPECT_TRUE(ok(address(other)));
}

TEST_P(NetControl, CommandsOfAnyBytesAreAnswered) {
  Random random(7, "commands");
  for (int i = 0; i < 2000; ++i) {
    Bytes bytes(random.next() % 8);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random.next() % (random.next() % 3 == 0 ? 256 : 7));
    run(bytes, cut(bytes.size(), 1 + static_cast<std::uint32_t>(random.next() % 9)));
  }
  EXPECT_EQ(stats().commands, 2000u);
  EXPECT_GT(stats().command_errors, 0u);
  EXPECT_LT(stats().command_errors, 2000u);
}

// --- filtering by address ------------------------------------------------------------------------

TEST_P(NetControl, AtFirstOwnAddressAndBroadcastsAreReceived) {
  EXPECT_TRUE(receives(own));
  EXPECT_TRUE(receives(broadcast_mac));
  EXPECT_FALSE(receives(other));
  EXPECT_FALSE(receives(group));
  EXPECT_EQ(stats().rx_filtered, 2u);
}

TEST_P(NetControl, WithoutTheFeatureEverythingIsReceived) {
  negotiate({VIRTIO_NET_F_MAC, VIRTIO_NET_F_CTRL_VQ});
  for (const MacAddress& mac : {own, other, group, broadcast_mac})
    EXPECT_TRUE(receives(mac));
}

TEST_P(NetControl, TheTablesDecideWhatElseIsReceived) {
  EXPECT_TRUE(ok(tables({other}, {group, group6})));
  EXPECT_TRUE(receives(own));
  EXPECT_TRUE(receives(other));
  EXPECT_TRUE(receives(group));
  EXPECT_TRUE(receives(group6));
  EXPECT_FALSE(receives(third));
  EXPECT_TRUE(ok(tables({third}, {}))) << "a table replaces the one before";
  EXPECT_TRUE(receives(third));
  EXPECT_FALSE(receives(other));
  EXPECT_FALSE(receives(group));
}

TEST_P(NetControl, ATableOfManyAddressesIsExact) {
  std::vector<MacAddress> many;
  for (unsigned i = 0; i < 5000; ++i)
    many.push_back(
        {0x02, 1, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 9});
  EXPECT_TRUE(ok(tables(many, {})));
  for (const std::size_t i : {std::size_t{0}, std::size_t{4999}, std::size_t{2500}})
    EXPECT_TRUE(receives(many[i]));
  EXPECT_FALSE(receives({0x02, 1, 0, 0, 0, 8}));
}

TEST_P(NetControl, LyingAndHugeTablesAreErrorsAndChangeNothing) {
  EXPECT_TRUE(ok(tables({other}, {})));
  for (const std::uint32_t entries : {2u, 0x2aaa'aaabu, 0xffff'ffffu, 0x8000'0000u}) {
    Bytes data;
    append_table(data, {third}, entries);
    append_table(data, {}, 0);
    EXPECT_FALSE(ok(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data))) << entries;
    data.clear();
    append_table(data, {third}, 1);
    append_table(data, {group}, entries);
    EXPECT_FALSE(ok(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data))) << entries;
  }
  EXPECT_FALSE(ok(tables(std::vector<MacAddress>(30'000, third), {}))) << "longer than any command";
  Bytes longer = tables({third}, {});
  longer.push_back({});
  EXPECT_FALSE(ok(longer)) << "something behind the tables";
  EXPECT_FALSE(ok(tables({group}, {}))) << "a group address among the unicast ones";
  EXPECT_FALSE(ok(tables({}, {third}))) << "a unicast address among the groups";
  EXPECT_TRUE(receives(other));
  EXPECT_FALSE(receives(third));
}

TEST_P(NetControl, PromiscuousModeWinsOverEverything) {
  for (const std::uint8_t number : {VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_CTRL_RX_NOUNI,
                                    VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_CTRL_RX_PROMISC})
    EXPECT_TRUE(mode(number, 1));
  for (const MacAddress& mac : {own, other, group, broadcast_mac})
    EXPECT_TRUE(receives(mac));
  EXPECT_TRUE(received(tagged_to(other, 77)));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_PROMISC, 0));
  for (const MacAddress& mac : {own, other, group, broadcast_mac})
    EXPECT_FALSE(receives(mac));
}

TEST_P(NetControl, AllMulticast) {
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1));
  EXPECT_TRUE(receives(group));
  EXPECT_TRUE(receives(group6));
  EXPECT_FALSE(receives(other));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 0));
  EXPECT_FALSE(receives(group));
}

TEST_P(NetControl, AllUnicast) {
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1));
  EXPECT_TRUE(receives(other));
  EXPECT_FALSE(receives(group));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLUNI, 0));
  EXPECT_FALSE(receives(other));
}

TEST_P(NetControl, NoMulticastWinsOverAllMulticastAndSparesBroadcasts) {
  EXPECT_TRUE(ok(tables({}, {group6})));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1));
  EXPECT_FALSE(receives(group));
  EXPECT_FALSE(receives(group6));
  EXPECT_TRUE(receives(broadcast_mac));
  EXPECT_TRUE(receives(own));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOMULTI, 0));
  EXPECT_TRUE(receives(group));
}

TEST_P(NetControl, NoUnicastWinsOverAllUnicast) {
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOUNI, 1));
  EXPECT_FALSE(receives(own));
  EXPECT_FALSE(receives(other));
  EXPECT_TRUE(receives(broadcast_mac));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOUNI, 0));
  EXPECT_TRUE(receives(own));
}

TEST_P(NetControl, NoBroadcastWinsOverAllMulticast) {
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1));
  EXPECT_FALSE(receives(broadcast_mac));
  EXPECT_TRUE(receives(group));
  EXPECT_TRUE(mode(VIRTIO_NET_CTRL_RX_NOBCAST, 0));
  EXPECT_TRUE(receives(broadcast_mac));
}

TEST_P(NetControl, AModeIsOnOrOff) {
  for (std::uint8_t number = 0; number <= VIRTIO_NET_CTRL_RX_NOBCAST; ++number) {
    EXPECT_TRUE(mode(number, 0));
    for (const std::uint8_t on : {2, 128, 255})
      EXPECT_FALSE(mode(number, on));
  }
  EXPECT_TRUE(receives(own));
  EXPECT_FALSE(receives(other));
}

TEST_P(NetControl, ADefaultAddressIsReceivedAndShown) {
  const int before = bench_->config_changes;
  EXPECT_TRUE(ok(address(other)));
  EXPECT_TRUE(receives(other));
  EXPECT_FALSE(receives(own));
  EXPECT_TRUE(std::ranges::equal(config().mac, other));
  EXPECT_EQ(bench_->config_changes, before + 1);
  EXPECT_FALSE(ok(address(group))) << "no station has a group's address";
  EXPECT_TRUE(receives(other));
}

TEST_P(NetControl, TheAddressIsInForceBeforeTheCommandIsUsed) {
  MacAddress shown{};
  bench_->on_complete = [&] { std::ranges::copy(config().mac, shown.begin()); };
  EXPECT_TRUE(ok(address(other)));
  EXPECT_EQ(shown, other);
}

TEST_P(NetControl, TheTablesAreInForceBeforeTheCommandIsUsed) {
  bench_->on_complete = [&] {
    bench_->on_complete = nullptr;
    wire_->deliver(frame_to(other));
  };
  EXPECT_TRUE(ok(tables({other}, {})));
  EXPECT_EQ(stats().rx_filtered, 0u);
}

TEST_P(NetControl, WithoutAnAddressOfTheDevicesTheDriversOneCounts) {
  FeatureSet features = net().features();
  negotiate(features.set(VIRTIO_NET_F_MAC, false));
  EXPECT_TRUE(receives(other)) << "the driver's address is not known yet";
  EXPECT_TRUE(ok(address(third)));
  EXPECT_TRUE(receives(third));
  EXPECT_FALSE(receives(other));
  EXPECT_TRUE(std::ranges::equal(config().mac, own)) << "not negotiated, not changed";
}

// --- VLANs ---------------------------------------------------------------------------------------

TEST_P(NetControl, WithVlanFilteringTheTableDecides) {
  EXPECT_FALSE(received(tagged_to(own, 5))) << "the table is empty at first";
  EXPECT_TRUE(receives(own)) << "frames without a tag are not concerned";
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 5)));
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 4095)));
  EXPECT_TRUE(received(tagged_to(own, 5)));
  EXPECT_TRUE(received(tagged_to(own, 0xe005))) << "the priority is not part of the id";
  EXPECT_TRUE(received(tagged_to(own, 4095)));
  EXPECT_TRUE(received(tagged_to(own, 5, ethertype_service_vlan)));
  EXPECT_FALSE(received(tagged_to(own, 6)));
  EXPECT_FALSE(received(tagged_to(own, 0)));
  EXPECT_FALSE(received(tagged_to(other, 5))) << "both filters count";
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_DEL, 5)));
  EXPECT_FALSE(received(tagged_to(own, 5)));
  EXPECT_TRUE(received(tagged_to(own, 4095)));
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_DEL, 5))) << "it was not there";
}

TEST_P(NetControl, WithoutVlanFilteringEveryVlanIsAccepted) {
  FeatureSet features = net().features();
  negotiate(features.set(VIRTIO_NET_F_CTRL_VLAN, false));
  EXPECT_TRUE(received(tagged_to(own, 5)));
}

TEST_P(NetControl, VlansThatDoNotExistAreErrors) {
  for (const std::uint16_t id : {std::uint16_t{4096}, std::uint16_t{0xffff}}) {
    EXPECT_FALSE(ok(vlan(VIRTIO_NET_CTRL_VLAN_ADD, id)));
    EXPECT_FALSE(ok(vlan(VIRTIO_NET_CTRL_VLAN_DEL, id)));
  }
}

TEST_P(NetControl, ATagCutShortIsOfNoVlan) {
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 0)));
  Bytes frame = tagged_to(own, 0);
  frame.resize(16);
  EXPECT_FALSE(received(frame));
}

// --- coalescing of notifications -----------------------------------------------------------------

TEST_P(NetControl, CoalescingIsSetForAllQueuesOfADirection) {
  build_all({.queue_pairs = 2});
  const Bytes three_packets_in_ten_us{std::byte{3}, {}, {}, {}, std::byte{10}, {}, {}, {}};
  const auto set = [&](std::uint8_t number) {
    return ok(command(VIRTIO_NET_CTRL_NOTF_COAL, number, three_packets_in_ten_us));
  };
  EXPECT_TRUE(set(VIRTIO_NET_CTRL_NOTF_COAL_RX_SET));
  EXPECT_EQ(bench_->coalescing.size(), 2u);
  for (const std::uint16_t queue : {std::uint16_t{0}, std::uint16_t{2}}) {
    EXPECT_EQ(bench_->coalescing[queue].max_packets, 3u);
    EXPECT_EQ(bench_->coalescing[queue].delay, microseconds(10));
  }
  bench_->coalescing.clear();
  EXPECT_TRUE(set(VIRTIO_NET_CTRL_NOTF_COAL_TX_SET));
  EXPECT_EQ(bench_->coalescing.size(), 2u);
  EXPECT_TRUE(bench_->coalescing.contains(1) && bench_->coalescing.contains(3));
  EXPECT_FALSE(set(2));
}

TEST_P(NetControl, CoalescingThatCannotBeIsAnError) {
  const auto set = [&](std::size_t size) {
    return ok(command(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, Bytes(size)));
  };
  bench_->can_coalesce = false;
  EXPECT_FALSE(set(8));
  bench_->can_coalesce = true;
  for (const std::size_t size : {0u, 4u, 7u, 9u, 16u})
    EXPECT_FALSE(set(size));
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX});
  EXPECT_FALSE(set(8));
}

TEST_P(NetControl, AResetEndsCoalescing) {
  EXPECT_TRUE(ok(command(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET,
                         Bytes(8, std::byte{1}))));
  EXPECT_FALSE(bench_->coalescing[0].off());
  bench_->reset();
  EXPECT_TRUE(bench_->coalescing[0].off());
}

// --- announcement --------------------------------------------------------------------------------

TEST_P(NetControl, AnAnnouncementIsAskedForUntilItIsAcknowledged) {
  const int before = bench_->config_changes;
  net().announce();
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
  EXPECT_EQ(bench_->config_changes, before + 1);
  std::uint16_t status_when_used = 0xffff;
  bench_->on_complete = [&] { status_when_used = config().status; };
  EXPECT_TRUE(ok(acknowledge()));
  EXPECT_EQ(status_when_used, VIRTIO_NET_S_LINK_UP);
  EXPECT_TRUE(ok(acknowledge())) << "once more does no harm";
}

TEST_P(NetControl, NobodyIsAskedWhoDidNotNegotiateIt) {
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_STATUS});
  const int before = bench_->config_changes;
  net().announce();
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP);
  EXPECT_EQ(bench_->config_changes, before);
}

// --- reset ---------------------------------------------------------------------------------------

TEST_P(NetControl, AResetForgetsWhatWasCommanded) {
  for (std::uint8_t number = 1; number <= VIRTIO_NET_CTRL_RX_NOBCAST; ++number)
    EXPECT_TRUE(mode(number, 1));
  EXPECT_TRUE(ok(tables({third}, {group})));
  EXPECT_TRUE(ok(address(other)));
  EXPECT_TRUE(ok(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 5)));
  net().announce();
  bench_->reset();
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP);
  EXPECT_TRUE(std::ranges::equal(config().mac, own));
  bench_->start(net().features());
  EXPECT_TRUE(receives(own));
  EXPECT_TRUE(receives(broadcast_mac));
  for (const MacAddress& mac : {other, third, group})
    EXPECT_FALSE(receives(mac));
  EXPECT_FALSE(received(tagged_to(own, 5)));
}

TEST_P(NetControl, AResetOfItsQueueChangesNothing) {
  EXPECT_TRUE(ok(address(other)));
  bench_->abort(net().controlq());
  bench_->run_stepped();
  EXPECT_TRUE(receives(other));
  EXPECT_TRUE(ok(address(third)));
}

} // namespace
} // namespace virtio::net
