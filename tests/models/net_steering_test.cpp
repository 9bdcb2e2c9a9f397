#include "models/net_bench.hpp"

#include <virtio/net/steering.hpp>

#include <map>

namespace virtio::net {
namespace {

/// What a test's frame says about its flow.
struct Flow {
  std::uint32_t source = ipv4(10, 0, 0, 1);
  std::uint32_t destination = ipv4(10, 0, 0, 2);
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 80;
  std::uint8_t protocol = Ipv4Header::udp;
  std::uint16_t fragment = 0;
  unsigned vlan_tags = 0;
  unsigned option_words = 0; ///< of the IPv4 header
};
Flow reply(Flow f) {
  std::swap(f.source, f.destination);
  std::swap(f.source_port, f.destination_port);
  return f;
}

template <class Layout> void append(Bytes& bytes, const Layout& layout) {
  const auto more = std::as_bytes(std::span(&layout, 1));
  bytes.insert(bytes.end(), more.begin(), more.end());
}
Bytes ethernet(std::uint16_t type, unsigned vlan_tags) {
  Bytes bytes;
  EthernetHeader header;
  header.type = vlan_tags == 0 ? type : ethertype_vlan;
  append(bytes, header);
  for (unsigned i = 1; i <= vlan_tags; ++i)
    append(bytes, VlanTag{std::uint16_t{5}, i == vlan_tags ? type : ethertype_vlan});
  return bytes;
}
constexpr std::uint16_t transport_bytes = 38;
void append_transport(Bytes& bytes, const Flow& f) {
  const std::size_t end = bytes.size() + transport_bytes;
  if (f.protocol == Ipv4Header::tcp) {
    TcpHeader tcp;
    tcp.source_port = f.source_port;
    tcp.destination_port = f.destination_port;
    tcp.words_and_flags = std::uint16_t{5 << 12};
    append(bytes, tcp);
  } else {
    append(bytes, UdpHeader{f.source_port, f.destination_port, transport_bytes, {}});
  }
  bytes.resize(end);
}
Bytes ipv4_frame(const Flow& f) {
  Bytes bytes = ethernet(ethertype_ipv4, f.vlan_tags);
  Ipv4Header ip;
  ip.version_and_words = static_cast<std::uint8_t>(0x45 + f.option_words);
  ip.total_len = static_cast<std::uint16_t>(20 + 4 * f.option_words + transport_bytes);
  ip.protocol = f.protocol;
  ip.fragment = f.fragment;
  ip.source = f.source;
  ip.destination = f.destination;
  append(bytes, ip);
  bytes.resize(bytes.size() + 4u * f.option_words);
  append_transport(bytes, f);
  return bytes;
}
Bytes ipv6_frame(const Flow& f) {
  Bytes bytes = ethernet(ethertype_ipv6, f.vlan_tags);
  Ipv6Header ip;
  ip.next_header = f.protocol;
  ip.payload_len = transport_bytes;
  ip.source[1] = std::uint64_t{f.source};
  ip.destination[1] = std::uint64_t{f.destination};
  append(bytes, ip);
  append_transport(bytes, f);
  return bytes;
}

TEST(FlowKey, IsTheSameForBothDirections) {
  for (const std::uint8_t protocol : {std::uint8_t{6}, Ipv4Header::udp, Ipv4Header::icmp}) {
    Flow f;
    f.protocol = protocol;
    EXPECT_EQ(flow_of(ipv4_frame(f)), flow_of(ipv4_frame(reply(f))));
    EXPECT_EQ(flow_of(ipv6_frame(f)), flow_of(ipv6_frame(reply(f))));
    EXPECT_TRUE(flow_of(ipv4_frame(f)).has_value());
    EXPECT_NE(flow_of(ipv4_frame(f)), flow_of(ipv6_frame(f)));
  }
}

TEST(FlowKey, DiffersByAddressPortAndProtocol) {
  const auto base = flow_of(ipv4_frame({}));
  EXPECT_NE(flow_of(ipv4_frame({.source = ipv4(10, 0, 0, 3)})), base);
  EXPECT_NE(flow_of(ipv4_frame({.destination = ipv4(10, 0, 0, 3)})), base);
  EXPECT_NE(flow_of(ipv4_frame({.source_port = 1001})), base);
  EXPECT_NE(flow_of(ipv4_frame({.destination_port = 81})), base);
  EXPECT_NE(flow_of(ipv4_frame({.protocol = 6})), base);
  // The ports belong to their addresses.
  EXPECT_NE(flow_of(ipv4_frame({.source_port = 80, .destination_port = 1000})), base);
}

TEST(FlowKey, LooksBehindVlanTagsAndOptions) {
  const auto base = flow_of(ipv4_frame({}));
  EXPECT_EQ(flow_of(ipv4_frame({.vlan_tags = 1})), base);
  EXPECT_EQ(flow_of(ipv4_frame({.vlan_tags = 2})), base);
  EXPECT_EQ(flow_of(ipv4_frame({.option_words = 10})), base);
  EXPECT_EQ(flow_of(ipv4_frame({.vlan_tags = 3})), std::nullopt);
}

TEST(FlowKey, PortsCountOnlyWhereThereAreAny) {
  EXPECT_EQ(flow_of(ipv4_frame({.source_port = 1, .protocol = Ipv4Header::icmp})),
            flow_of(ipv4_frame({.source_port = 2, .protocol = Ipv4Header::icmp})));
  for (const std::uint16_t fragment : {std::uint16_t{0x2000}, std::uint16_t{1}})
    EXPECT_EQ(flow_of(ipv4_frame({.source_port = 1, .fragment = fragment})),
              flow_of(ipv4_frame({.source_port = 2, .fragment = fragment})));
}

TEST(FlowKey, FramesCutShortAnywhereAreLookedAtWithinTheirBytes) {
  for (const Bytes& whole : {ipv4_frame({.vlan_tags = 2, .option_words = 10}), ipv6_frame({})})
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      (void)flow_of(part); // AddressSanitizer sees what is read
    }
  EXPECT_EQ(flow_of(frame_of(14)), std::nullopt);
  Bytes lying = ipv4_frame({});
  lying[14] = std::byte{0x41}; // a header of one word
  EXPECT_EQ(flow_of(lying), std::nullopt);
  lying[14] = std::byte{0x65}; // version 6 behind IPv4's type
  EXPECT_EQ(flow_of(lying), std::nullopt);
}

TEST(FlowSteering, AFlowComesBackOnThePairItWasSentOn) {
  FlowSteering steering;
  steering.enable(8);
  for (std::uint16_t pair = 0; pair < 8; ++pair) {
    const Flow f{.source_port = static_cast<std::uint16_t>(1000 + pair)};
    steering.transmitted(ipv4_frame(f), pair);
    EXPECT_EQ(steering.select(ipv4_frame(reply(f))), pair);
    steering.transmitted(ipv6_frame(f), 7u - pair);
    EXPECT_EQ(steering.select(ipv6_frame(reply(f))), 7 - pair);
  }
}

TEST(FlowSteering, TheLatestPairOfAFlowCounts) {
  FlowSteering steering;
  steering.enable(4);
  for (const std::uint16_t pair : {std::uint16_t{3}, std::uint16_t{1}, std::uint16_t{2}}) {
    steering.transmitted(ipv4_frame({}), pair);
    EXPECT_EQ(steering.select(ipv4_frame(reply({}))), pair);
  }
}

TEST(FlowSteering, FlowsThatWereNotSentYetAreSpreadAndKeepTheirPair) {
  FlowSteering steering;
  steering.enable(4);
  std::map<std::uint16_t, int> hits;
  for (std::uint16_t port = 0; port < 400; ++port) {
    const Bytes frame = ipv4_frame({.source_port = port});
    const auto pair = steering.select(frame);
    ++hits[pair];
    EXPECT_EQ(steering.select(frame), pair);
  }
  ASSERT_EQ(hits.size(), 4u);
  for (const auto& [pair, count] : hits)
    EXPECT_GT(count, 50) << pair;
}

TEST(FlowSteering, OnePairTakesEverything) {
  FlowSteering steering;
  EXPECT_EQ(steering.pairs(), 1);
  steering.transmitted(ipv4_frame({}), 3);
  for (std::uint16_t port = 0; port < 100; ++port)
    EXPECT_EQ(steering.select(ipv4_frame({.source_port = port})), 0);
}

TEST(FlowSteering, FramesOfNoFlowGoToTheFirstPair) {
  FlowSteering steering;
  steering.enable(4);
  const Bytes arp = ethernet(ethertype_arp, 0);
  steering.transmitted(arp, 2);
  EXPECT_EQ(steering.select(arp), 0);
}

TEST(FlowSteering, FewerPairsForgetTheOthers) {
  FlowSteering steering;
  steering.enable(8);
  std::vector<Bytes> frames;
  for (std::uint16_t port = 0; port < 100; ++port) {
    frames.push_back(ipv4_frame({.source_port = port}));
    steering.transmitted(frames.back(), 7);
  }
  steering.enable(2);
  for (const Bytes& frame : frames) {
    EXPECT_LT(steering.select(frame), 2);
    steering.transmitted(frame, 7); // a queue that is not to be used any longer
    EXPECT_LT(steering.select(frame), 2);
  }
}

TEST(FlowSteering, MoreFlowsThanPlacesDisplaceEachOther) {
  FlowSteering steering;
  steering.enable(4);
  unsigned kept = 0;
  constexpr unsigned flows = 8 * FlowSteering::places;
  for (unsigned i = 0; i < flows; ++i)
    steering.transmitted(ipv4_frame({.source = i}), 3);
  for (unsigned i = 0; i < flows; ++i)
    kept += steering.select(ipv4_frame({.source = i})) == 3;
  EXPECT_GT(kept, flows / 4) << "places and chance";
  EXPECT_LT(kept, flows / 2);
}

// --- the device --------------------------------------------------------------------------------

class NetPairs : public NetBench {
protected:
  void SetUp() override { build({.queue_pairs = 4}); }

  static Bytes mq(std::uint16_t pairs) {
    return {std::byte{VIRTIO_NET_CTRL_MQ}, std::byte{VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET},
            static_cast<std::byte>(pairs), static_cast<std::byte>(pairs >> 8)};
  }
  FunctionBench::Request& command(const Bytes& bytes) {
    auto& r = bench_->submit(net().controlq(), bytes, {1});
    bench_->run_stepped();
    return r;
  }
  std::uint8_t ack(const Bytes& bytes) {
    const Bytes answer = bench_->answer(command(bytes));
    EXPECT_EQ(answer.size(), 1u);
    return answer.empty() ? 0xee : std::to_integer<std::uint8_t>(answer[0]);
  }
  FunctionBench::Request& post_to(unsigned pair, std::uint32_t size = 1526) {
    return bench_->submit(Net::receive_queue(pair), {}, {size});
  }
  void transmit_on(unsigned pair, const Bytes& frame) {
    bench_->submit(Net::transmit_queue(pair), with_header(frame), {});
    bench_->run_stepped();
  }
  /// The pair on which `frame` arrives; one buffer of each pair is posted afresh for it.
  int arrives_on(const Bytes& frame) {
    std::vector<FunctionBench::Request*> posted;
    for (unsigned pair = 0; pair < 4; ++pair)
      posted.push_back(&post_to(pair));
    wire_->deliver(frame);
    bench_->run_stepped();
    int found = -1;
    for (int pair = 0; pair < 4; ++pair)
      if (posted[static_cast<std::size_t>(pair)]->completed) found = pair;
    bench_->used.clear();
    for (unsigned pair = 0; pair < 4; ++pair)
      bench_->abort(Net::receive_queue(pair));
    bench_->run_stepped();
    return found;
  }
};

TEST_F(NetPairs, AreOfferedWithTheirControlQueue) {
  EXPECT_TRUE(net().features().has(VIRTIO_NET_F_MQ));
  EXPECT_TRUE(net().features().has(VIRTIO_NET_F_CTRL_VQ));
  EXPECT_EQ(config().max_virtqueue_pairs, 4);
  EXPECT_EQ(net().num_queues(), 9);
  build();
  EXPECT_FALSE(net().features().has(VIRTIO_NET_F_MQ));
  EXPECT_FALSE(net().features().has(VIRTIO_NET_F_CTRL_VQ));
  EXPECT_EQ(config().max_virtqueue_pairs, 0);
  EXPECT_EQ(net().num_queues(), 2);
}

TEST_F(NetPairs, ParametersThatCannotWorkAreRefused) {
  EXPECT_THROW(build({.queue_pairs = 0}), std::invalid_argument);
  EXPECT_THROW(build({.queue_pairs = Net::max_queue_pairs + 1}), std::invalid_argument);
  EXPECT_THROW(build({.queue_pairs = 2, .features = {VIRTIO_NET_F_MQ}}), std::invalid_argument);
  EXPECT_THROW(build({.queue_pairs = 2, .features = {VIRTIO_NET_F_CTRL_VQ}}),
               std::invalid_argument);
  EXPECT_THROW(build({.features = {4}}), std::invalid_argument);
  build({.receive_frames = 1, .queue_pairs = Net::max_queue_pairs});
  EXPECT_EQ(net().num_queues(), 2 * Net::max_queue_pairs + 1);
}

TEST_F(NetPairs, WhatIsNotToBeOfferedIsNot) {
  build({.features = {VIRTIO_NET_F_MAC}});
  EXPECT_EQ(net().features(), FeatureSet{VIRTIO_NET_F_MAC});
  // Nothing without what it requires, and no control queue without a command.
  build({.features = {VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ}});
  EXPECT_EQ(net().features(), FeatureSet{});
}

TEST_F(NetPairs, MultiqueueWithoutTheControlQueueIsNotAccepted) {
  EXPECT_FALSE(net().accepts({VIRTIO_NET_F_MQ}));
  EXPECT_TRUE(net().accepts({VIRTIO_NET_F_CTRL_VQ}));
  EXPECT_TRUE(net().accepts({VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ}));
}

TEST_F(NetPairs, TheControlQueueFollowsThePairsThatWereNegotiated) {
  EXPECT_EQ(raw(net().controlq()), 8);
  negotiate({VIRTIO_NET_F_CTRL_VQ});
  EXPECT_EQ(raw(net().controlq()), 2);
  EXPECT_EQ(ack(mq(1)), VIRTIO_NET_ERR) << "the command is VIRTIO_NET_F_MQ's";
  EXPECT_FALSE(post_to(2).completed);
}

TEST_F(NetPairs, QueuesThatWereNotNegotiatedTakeNothing) {
  for (const FeatureSet features : {FeatureSet{}, FeatureSet{VIRTIO_NET_F_CTRL_VQ}}) {
    negotiate(features);
    for (unsigned queue = features.has(VIRTIO_NET_F_CTRL_VQ) ? 3 : 2; queue < 9; ++queue)
      EXPECT_EQ(net().window(QueueIndex{static_cast<std::uint16_t>(queue)}), 0u) << queue;
    EXPECT_GT(net().window(Net::receiveq), 0u);
    EXPECT_GT(net().window(Net::transmitq), 0u);
  }
}

TEST_F(NetPairs, BeforeTheCommandOnlyTheFirstReceives) {
  EXPECT_EQ(net().enabled_pairs(), 1);
  for (std::uint16_t port = 0; port < 50; ++port)
    EXPECT_EQ(arrives_on(ipv4_frame({.source_port = port})), 0);
}

TEST_F(NetPairs, TheCommandSpreadsFlows) {
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  EXPECT_EQ(net().enabled_pairs(), 4);
  std::map<int, int> hits;
  for (std::uint16_t port = 0; port < 100; ++port)
    ++hits[arrives_on(ipv4_frame({.source_port = port}))];
  EXPECT_EQ(hits.size(), 4u);
  EXPECT_EQ(hits.count(-1), 0u);
  EXPECT_EQ(stats().rx_frames, 100u);
}

TEST_F(NetPairs, AFlowIsReceivedWhereItIsTransmitted) {
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  for (unsigned pair = 0; pair < 4; ++pair)
    transmit_on(pair, ipv4_frame({.source_port = static_cast<std::uint16_t>(pair)}));
  for (unsigned pair = 0; pair < 4; ++pair)
    EXPECT_EQ(arrives_on(ipv4_frame(reply({.source_port = static_cast<std::uint16_t>(pair)}))),
              static_cast<int>(pair));
  EXPECT_EQ(wire_->sent.size(), 4u);
}

TEST_F(NetPairs, TheReplyThatComesWithinTheTransmissionIsSteeredByIt) {
  build({.queue_pairs = 4}, true, std::make_unique<LoopbackWire>());
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  for (unsigned pair = 0; pair < 4; ++pair) {
    auto& buffer = post_to(pair);
    transmit_on(pair, ipv4_frame({}));
    EXPECT_TRUE(buffer.completed) << pair;
  }
}

TEST_F(NetPairs, IllegalNumbersOfPairsAreErrorsAndChangeNothing) {
  EXPECT_EQ(ack(mq(3)), VIRTIO_NET_OK);
  for (const std::uint16_t pairs : {0, 5, 9, 0x100, 0x8000, 0xffff})
    EXPECT_EQ(ack(mq(pairs)), VIRTIO_NET_ERR) << pairs;
  EXPECT_EQ(net().enabled_pairs(), 3);
  EXPECT_EQ(stats().commands, 7u);
  EXPECT_EQ(stats().command_errors, 6u);
}

TEST_F(NetPairs, CommandsThatAreNotKnownAreErrors) {
  const auto bytes = [](std::initializer_list<int> list) {
    Bytes b;
    for (const int value : list)
      b.push_back(static_cast<std::byte>(value));
    return b;
  };
  EXPECT_EQ(ack(bytes({})), VIRTIO_NET_ERR);
  EXPECT_EQ(ack(bytes({4})), VIRTIO_NET_ERR);
  EXPECT_EQ(ack(bytes({4, 0})), VIRTIO_NET_ERR);
  EXPECT_EQ(ack(bytes({4, 0, 2})), VIRTIO_NET_ERR);
  EXPECT_EQ(ack(bytes({4, 0, 2, 0, 0})), VIRTIO_NET_ERR);
  EXPECT_EQ(ack(bytes({4, 1, 2, 0})), VIRTIO_NET_ERR);
  for (int other = VIRTIO_NET_CTRL_MQ + 1; other < VIRTIO_NET_CTRL_MQ + 256; ++other)
    EXPECT_EQ(ack(bytes({other % 256, 0, 2, 0})), VIRTIO_NET_ERR) << other;
  EXPECT_EQ(ack(pattern(70'000)), VIRTIO_NET_ERR);
  EXPECT_EQ(net().enabled_pairs(), 1);
}

TEST_F(NetPairs, CommandsMayBeFramedInAnyWay) {
  for (const std::uint32_t piece : {1u, 2u, 3u, 4u}) {
    build({.queue_pairs = 4}, false);
    auto& r = bench_->submit(net().controlq(), mq(3), cut(4, piece), {0, 1, 3});
    bench_->run_stepped();
    EXPECT_EQ(r.written, 1u);
    EXPECT_EQ(bench_->writable(r)[0], std::byte{VIRTIO_NET_OK});
    EXPECT_EQ(bench_->writable(r)[1], FunctionBench::guard);
    EXPECT_EQ(net().enabled_pairs(), 3);
    EXPECT_TRUE(bench_->guards_intact());
  }
}

TEST_F(NetPairs, ACommandWithoutRoomForItsAnswerFailsTheQueueAndIsNotExecuted) {
  auto& r = bench_->submit(net().controlq(), mq(3), {});
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::malformed_request);
  EXPECT_EQ(net().enabled_pairs(), 1);
}

TEST_F(NetPairs, ACommandThatCannotBeReadIsAnError) {
  auto& r =
      bench_->submit_pieces(net().controlq(), {{FunctionBench::nowhere, 4}}, {bench_->allocate(1)});
  bench_->run();
  EXPECT_EQ(bench_->answer(r), Bytes{std::byte{VIRTIO_NET_ERR}});
}

TEST_F(NetPairs, AnAnswerThatCannotBeWrittenFailsTheQueue) {
  const Piece request = bench_->allocate(4);
  const Bytes bytes = mq(2);
  std::memcpy(bench_->memory(request.addr), bytes.data(), 4);
  auto& r = bench_->submit_pieces(net().controlq(), {request}, {{FunctionBench::nowhere, 1}});
  bench_->run();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::data_unwritable);
}

TEST_F(NetPairs, AResetOfTheDeviceGoesBackToOnePair) {
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  negotiate(net().features());
  EXPECT_EQ(net().enabled_pairs(), 1);
  EXPECT_EQ(arrives_on(ipv4_frame({.source_port = 7})), 0);
}

TEST_F(NetPairs, FramesThatWaitInQueuesNoLongerUsedAreReceivedByTheOthers) {
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  for (unsigned pair = 0; pair < 4; ++pair) {
    const Flow f{.source_port = static_cast<std::uint16_t>(pair)};
    transmit_on(pair, ipv4_frame(f));
    wire_->deliver(ipv4_frame(reply(f)));
  }
  EXPECT_EQ(ack(mq(1)), VIRTIO_NET_OK);
  for (unsigned pair = 1; pair < 4; ++pair)
    EXPECT_FALSE(post_to(pair).completed) << pair;
  for (unsigned pair = 0; pair < 4; ++pair)
    EXPECT_TRUE(post_to(0).completed);
  EXPECT_EQ(stats().rx_frames, 4u);
}

TEST_F(NetPairs, TheCommandIsUsedAfterTheLastFrameInQueuesNoLongerUsed) {
  build({.queue_pairs = 4}, false);
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  transmit_on(3, ipv4_frame({}));
  bench_->used.clear();
  bench_->port().hold = true;
  auto& buffer = post_to(3);
  wire_->deliver(ipv4_frame(reply({})));
  ASSERT_EQ(bench_->port().waiting(), 1u); // the frame on its way
  auto& set = bench_->submit(net().controlq(), mq(2), {1});
  bench_->port().answer_one(1); // the command is read
  bench_->run();
  EXPECT_EQ(bench_->port().waiting(), 1u) << "no answer yet";
  EXPECT_FALSE(set.completed);
  bench_->run_stepped();
  EXPECT_EQ(bench_->used, (std::vector<FunctionBench::Request*>{&buffer, &set}));
}

TEST_F(NetPairs, AResetOfAQueueLetsTheCommandThatWaitsForItBeUsed) {
  build({.queue_pairs = 4}, false);
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  transmit_on(3, ipv4_frame({}));
  bench_->port().hold = true;
  auto& buffer = post_to(3);
  wire_->deliver(ipv4_frame(reply({})));
  auto& set = bench_->submit(net().controlq(), mq(2), {1});
  bench_->port().answer_one(1);
  bench_->run();
  EXPECT_FALSE(set.completed);
  bench_->abort(Net::receive_queue(3));
  bench_->run_stepped();
  EXPECT_TRUE(set.completed);
  EXPECT_FALSE(buffer.completed);
}

TEST_F(NetPairs, AResetOfTheControlQueueAtEveryStageForgetsTheCommand) {
  for (unsigned stage = 0; stage < 3; ++stage) {
    build({.queue_pairs = 4}, false);
    EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
    transmit_on(3, ipv4_frame({}));
    bench_->port().hold = true;
    auto& buffer = post_to(3);
    if (stage > 0) wire_->deliver(ipv4_frame(reply({})));
    auto& set = bench_->submit(net().controlq(), mq(2), {1});
    if (stage > 0) { // the command is read, and waits for the frame
      bench_->port().answer_one(1);
      bench_->run();
    }
    if (stage == 2) { // the frame is there, the answer on its way
      bench_->port().answer_one();
      bench_->run();
      ASSERT_TRUE(buffer.completed);
    }
    bench_->abort(net().controlq());
    bench_->run_stepped();
    EXPECT_TRUE(bench_->settled(net().controlq()));
    EXPECT_FALSE(set.completed || set.failed) << stage;
    EXPECT_EQ(ack(mq(3)), VIRTIO_NET_OK);
    EXPECT_EQ(net().enabled_pairs(), 3);
  }
}

TEST_F(NetPairs, AFrameForAQueueInResetGoesToAnother) {
  build({.queue_pairs = 4}, false);
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  transmit_on(2, ipv4_frame({}));
  bench_->port().hold = true;
  post_to(2);
  wire_->deliver(ipv4_frame(reply({}))); // under way: the reset has something to wait for
  bench_->abort(Net::receive_queue(2));
  ASSERT_FALSE(bench_->settled(Net::receive_queue(2)));
  auto& third = post_to(3);
  wire_->deliver(ipv4_frame(reply({})));
  bench_->run_stepped();
  EXPECT_TRUE(third.completed);
  EXPECT_EQ(stats().rx_in_reset, 0u);
}

TEST_F(NetPairs, QueuesThatTheDriverDidNotEnableReceiveNothing) {
  for (const unsigned pair : {1u, 2u})
    bench_->set_enabled(Net::receive_queue(pair), false);
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  std::map<int, int> hits;
  for (std::uint16_t port = 0; port < 50; ++port)
    ++hits[arrives_on(ipv4_frame({.source_port = port}))];
  EXPECT_EQ(hits.size(), 2u);
  EXPECT_GT(hits[0], 0);
  EXPECT_GT(hits[3], 0);
}

TEST_F(NetPairs, WithEveryQueueInResetAFrameIsDroppedAndCounted) {
  EXPECT_EQ(ack(mq(2)), VIRTIO_NET_OK);
  bench_->set_enabled(Net::receive_queue(0), false);
  bench_->set_enabled(Net::receive_queue(1), false);
  wire_->deliver(ipv4_frame({}));
  EXPECT_EQ(stats().rx_in_reset, 1u);
  bench_->set_enabled(Net::receive_queue(0), true);
  EXPECT_FALSE(post_to(0).completed);
}

TEST_F(NetPairs, TransmissionAboveTheEnabledPairsIsSentAndNotLearned) {
  EXPECT_EQ(ack(mq(2)), VIRTIO_NET_OK);
  transmit_on(1, ipv4_frame({}));
  transmit_on(3, ipv4_frame({}));
  EXPECT_EQ(wire_->sent.size(), 2u);
  EXPECT_EQ(arrives_on(ipv4_frame(reply({}))), 1);
}

TEST_F(NetPairs, AResetOfTheDeviceAtEveryStageOfACommandThatWaits) {
  for (unsigned answered = 0; answered < 4; ++answered) {
    build({.queue_pairs = 4}, false);
    EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
    transmit_on(3, ipv4_frame({}));
    bench_->used.clear();
    bench_->port().hold = true;
    post_to(3);
    wire_->deliver(ipv4_frame(reply({})));
    bench_->submit(net().controlq(), mq(2), {1});
    for (unsigned i = 0; i < answered && bench_->port().waiting() > 0; ++i) {
      bench_->port().answer_one(bench_->port().waiting() - 1); // the command before the frame
      bench_->run();
    }
    const std::size_t used = bench_->used.size();
    bench_->reset();
    EXPECT_EQ(bench_->used.size(), used) << "nothing is answered any more";
    bench_->start(net().features());
    EXPECT_EQ(net().enabled_pairs(), 1);
    EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
    EXPECT_EQ(net().enabled_pairs(), 4);
  }
}

TEST_F(NetPairs, QueuesWorkSideBySide) {
  build({.queue_pairs = 4}, false);
  EXPECT_EQ(ack(mq(4)), VIRTIO_NET_OK);
  bench_->port().hold = true;
  for (unsigned pair = 0; pair < 4; ++pair)
    bench_->submit(Net::transmit_queue(pair),
                   with_header(ipv4_frame({.source_port = static_cast<std::uint16_t>(pair)})), {});
  EXPECT_EQ(bench_->port().waiting(), 4u);
  bench_->port().answer_one(3); // the last queue's frame does not wait for the others
  bench_->run();
  EXPECT_EQ(wire_->sent, (std::vector<Bytes>{ipv4_frame({.source_port = 3})}));
  bench_->abort(Net::transmit_queue(0));
  bench_->run_stepped();
  EXPECT_EQ(wire_->sent.size(), 3u) << "a reset of one queue leaves the others alone";
}

} // namespace
} // namespace virtio::net
