#include "models/net_bench.hpp"

namespace virtio::net {
namespace {

class NetTest : public NetBench {};

// --- what the driver sees of the device ----------------------------------------------------------

TEST_F(NetTest, OffersMacStatusMtuAndMergeableBuffers) {
  EXPECT_EQ(net().type(), DeviceType::net);
  EXPECT_EQ(net().features(), (FeatureSet{VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_MTU,
                                          VIRTIO_NET_F_MRG_RXBUF}));
  EXPECT_EQ(net().num_queues(), 2);
}

TEST_F(NetTest, ConfigurationHoldsMacStatusAndMtuAndTheRestIsZero) {
  build({.mac = {2, 3, 4, 5, 6, 7}, .mtu = 9000});
  const virtio_net_config c = config();
  EXPECT_TRUE(std::equal(std::begin(c.mac), std::end(c.mac), MacAddress{2, 3, 4, 5, 6, 7}.begin()));
  EXPECT_EQ(c.status, VIRTIO_NET_S_LINK_UP);
  EXPECT_EQ(c.mtu, 9000);
  EXPECT_EQ(c.max_virtqueue_pairs, 0);
  const Bytes rest(net().config().begin() + 12, net().config().end());
  EXPECT_EQ(rest, Bytes(12, std::byte{0}));
}

TEST_F(NetTest, ConfigurationCannotBeWritten) {
  const Bytes before(net().config().begin(), net().config().end());
  net().write_config(0, Bytes(before.size(), std::byte{0x77}));
  EXPECT_EQ(Bytes(net().config().begin(), net().config().end()), before);
}

TEST_F(NetTest, AnMtuBelow68IsRefused) {
  EXPECT_THROW(build({.mtu = 67}), std::invalid_argument);
  EXPECT_NO_THROW(build({.mtu = 68}));
  EXPECT_THROW(build({.transmit_window = 0}), std::invalid_argument);
  EXPECT_THROW(build({.receive_frames = 0}), std::invalid_argument);
}

TEST_F(NetTest, LinkChangesTellTheDriver) {
  net().set_link(false);
  EXPECT_EQ(config().status, 0);
  EXPECT_EQ(bench_->config_changes, 1);
  net().set_link(false);
  EXPECT_EQ(bench_->config_changes, 1);
  net().set_link(true);
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP);
  EXPECT_EQ(bench_->config_changes, 2);
}

TEST_F(NetTest, TheWireHearsThatADriverIsReady) {
  EXPECT_EQ(wire_->ready, 1);
  bench_->reset();
  bench_->start({});
  EXPECT_EQ(wire_->ready, 2);
}

// --- transmission -------------------------------------------------------------------------------

TEST_F(NetTest, TransmitsTheFrameAfterTheHeaderWhateverTheFraming) {
  const Bytes frame = frame_of(300);
  for (const std::uint32_t piece : {1u, 11u, 12u, 13u, 26u, 312u}) {
    build();
    const Bytes bytes = with_header(frame);
    auto& r = bench_->submit(Net::transmitq, bytes, cut(bytes.size(), piece), {});
    EXPECT_TRUE(r.completed);
    EXPECT_EQ(r.written, 0u);
    EXPECT_EQ(wire_->sent, (std::vector<Bytes>{frame})) << "descriptors of " << piece;
  }
}

TEST_F(NetTest, ForwardsFramesOfUpToTheMtuUnchanged) {
  build({.mtu = 9000});
  for (const std::size_t size : {14u, 60u, 1514u, 1515u, 9014u}) {
    wire_->sent.clear();
    EXPECT_TRUE(transmit(with_header(frame_of(size))).completed);
    EXPECT_EQ(wire_->sent, (std::vector<Bytes>{frame_of(size)})) << size;
  }
  EXPECT_TRUE(transmit(with_header(tagged(frame_of(9018)))).completed);
  EXPECT_EQ(wire_->sent.back(), tagged(frame_of(9018)));
}

TEST_F(NetTest, FramesLongerThanTheMtuAreDropped) {
  EXPECT_TRUE(transmit(with_header(frame_of(1515))).completed);
  EXPECT_TRUE(transmit(with_header(tagged(frame_of(1519)))).completed);
  EXPECT_TRUE(transmit(with_header(frame_of(60'000))).completed);
  EXPECT_TRUE(wire_->sent.empty());
  EXPECT_EQ(stats().tx_malformed, 3u);
}

TEST_F(NetTest, ADriverWithoutMtuMaySendTheUsualAndWhatTheMtuAllows) {
  const auto sends = [&](std::uint16_t mtu, std::size_t size) {
    build({.mtu = mtu});
    bench_->reset();
    bench_->start({VIRTIO_NET_F_MAC});
    transmit(with_header(frame_of(size)));
    return wire_->sent.size() == 1;
  };
  EXPECT_TRUE(sends(600, 1514));
  EXPECT_FALSE(sends(600, 1515));
  EXPECT_TRUE(sends(9000, 9014));
  EXPECT_FALSE(sends(9000, 9015));
}

TEST_F(NetTest, FramesTooShortToBeFramesAreDroppedAndReturned) {
  for (const std::size_t size : {0u, 1u, 11u, 12u, 25u})
    EXPECT_TRUE(transmit(pattern(size)).completed) << size;
  EXPECT_TRUE(wire_->sent.empty());
  EXPECT_EQ(stats().tx_malformed, 5u);
}

TEST_F(NetTest, NothingInTheHeaderChangesTheFrame) {
  const Bytes frame = frame_of(100);
  virtio_net_hdr header;
  header.flags = 0xff;
  header.gso_type = 0xff;
  header.hdr_len = header.gso_size = header.csum_start = header.csum_offset = header.num_buffers =
      std::uint16_t{0xffff};
  EXPECT_TRUE(transmit(with_header(frame, header)).completed);
  header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM; // VIRTIO_NET_F_CSUM is not offered
  header.csum_start = header.csum_offset = std::uint16_t{20};
  EXPECT_TRUE(transmit(with_header(frame, header)).completed);
  EXPECT_EQ(wire_->sent, (std::vector<Bytes>{frame, frame}));
}

TEST_F(NetTest, WritableBuffersInTransmitqAreLeftAlone) {
  auto& r = bench_->submit(Net::transmitq, with_header(frame_of(60)), {16});
  EXPECT_EQ(r.written, 0u);
  EXPECT_EQ(bench_->writable(r), Bytes(16, FunctionBench::guard));
  EXPECT_EQ(wire_->sent.size(), 1u);
}

TEST_F(NetTest, ReadsManyFramesAtOnceAndSendsThemInOrder) {
  build({.transmit_window = 4}, false);
  bench_->port().hold = true;
  std::vector<FunctionBench::Request*> requests;
  std::vector<Bytes> frames;
  for (unsigned i = 0; i < 7; ++i) {
    frames.push_back(frame_of(60, i));
    requests.push_back(&transmit(with_header(frames.back())));
  }
  EXPECT_EQ(bench_->port().waiting(), 4u);
  bench_->port().answer_one(3);
  bench_->run();
  EXPECT_TRUE(wire_->sent.empty()) << "the first ones are not read yet";
  bench_->run_stepped(true);
  EXPECT_EQ(wire_->sent, frames);
  EXPECT_EQ(bench_->used, requests);
}

TEST_F(NetTest, AFrameThatCannotBeReadFailsTheQueueAfterTheEarlierOnes) {
  build({}, false);
  bench_->port().hold = true;
  auto& first = transmit(with_header(frame_of(60, 1)));
  auto& bad = bench_->submit_pieces(Net::transmitq, {{FunctionBench::nowhere, 72}}, {});
  auto& later = transmit(with_header(frame_of(60, 3)));
  bench_->run_stepped(true);
  EXPECT_TRUE(first.completed);
  EXPECT_TRUE(bad.failed);
  EXPECT_EQ(bad.error, RingError::data_unreadable);
  EXPECT_FALSE(later.completed || later.failed);
  EXPECT_EQ(wire_->sent, (std::vector<Bytes>{frame_of(60, 1)}));
}

TEST_F(NetTest, NothingLeavesWhileTheLinkIsDown) {
  net().set_link(false);
  EXPECT_TRUE(transmit(with_header(frame_of(60))).completed);
  EXPECT_TRUE(wire_->sent.empty());
  EXPECT_EQ(stats().tx_no_link, 1u);
}

TEST_F(NetTest, ResetWhileFramesAreReadSendsNone) {
  build({}, false);
  bench_->port().hold = true;
  for (unsigned i = 0; i < 3; ++i)
    transmit(with_header(frame_of(60, i)));
  bench_->port().answer_one(1);
  bench_->abort(Net::transmitq);
  bench_->run_stepped();
  EXPECT_TRUE(bench_->settled(Net::transmitq));
  EXPECT_TRUE(wire_->sent.empty());
  EXPECT_TRUE(bench_->used.empty());
  auto& next = transmit(with_header(frame_of(60, 9)));
  bench_->run_stepped();
  EXPECT_TRUE(next.completed);
  EXPECT_EQ(wire_->sent, (std::vector<Bytes>{frame_of(60, 9)}));
}

TEST_F(NetTest, AResetSetOffByAFrameOnTheWireEndsTransmission) {
  class ResettingWire final : public Wire {
  public:
    void transmit(Frame) override {
      ++sent;
      if (on_transmit) on_transmit();
    }
    std::function<void()> on_transmit;
    int sent = 0;
  };
  auto made = std::make_unique<ResettingWire>();
  ResettingWire& wire = *made;
  build({}, false, std::move(made));
  bench_->port().hold = true;
  for (unsigned i = 0; i < 3; ++i)
    transmit(with_header(frame_of(60, i)));
  wire.on_transmit = [&] {
    wire.on_transmit = nullptr;
    bench_->abort(Net::transmitq);
  };
  bench_->run_stepped();
  EXPECT_EQ(wire.sent, 1);
  EXPECT_TRUE(bench_->used.empty());
  EXPECT_TRUE(bench_->settled(Net::transmitq));
  auto& next = transmit(with_header(frame_of(60, 9)));
  bench_->run_stepped();
  EXPECT_TRUE(next.completed);
  EXPECT_EQ(wire.sent, 2);
}

// --- reception ----------------------------------------------------------------------------------

TEST_F(NetTest, AFrameGoesIntoOneBufferWithItsHeader) {
  auto& r = post();
  wire_->deliver(frame_of(200));
  EXPECT_EQ(r.written, 212u);
  EXPECT_EQ(bench_->answer(r), as_received(frame_of(200)));
  EXPECT_TRUE(bench_->guards_intact());
}

TEST_F(NetTest, ReceivesThroughAnyFraming) {
  for (const std::uint32_t piece : {1u, 11u, 12u, 13u, 100u, 212u, 213u}) {
    build();
    auto& r = post(cut(1526, piece));
    wire_->deliver(frame_of(200));
    EXPECT_EQ(bench_->answer(r), as_received(frame_of(200))) << "descriptors of " << piece;
    EXPECT_EQ(bench_->writable(r)[212], FunctionBench::guard);
    EXPECT_TRUE(bench_->guards_intact());
  }
}

TEST_F(NetTest, FramesWaitForBuffers) {
  wire_->deliver(frame_of(60, 1));
  wire_->deliver(frame_of(70, 2));
  auto& first = post();
  auto& second = post();
  EXPECT_EQ(bench_->answer(first), as_received(frame_of(60, 1)));
  EXPECT_EQ(bench_->answer(second), as_received(frame_of(70, 2)));
}

TEST_F(NetTest, FramesBeyondTheLimitAreDroppedAndCounted) {
  build({.receive_frames = 2});
  for (unsigned i = 0; i < 5; ++i)
    wire_->deliver(frame_of(60, i));
  EXPECT_EQ(stats().rx_no_buffer, 3u);
  EXPECT_EQ(bench_->answer(post()), as_received(frame_of(60, 0)));
  EXPECT_EQ(bench_->answer(post()), as_received(frame_of(60, 1)));
  EXPECT_FALSE(post().completed);
}

TEST_F(NetTest, FramesThatExceedTheMtuAreNotPassed) {
  auto& r = post({2000});
  wire_->deliver(frame_of(1515));
  wire_->deliver(tagged(frame_of(1519)));
  EXPECT_FALSE(r.completed);
  EXPECT_EQ(stats().rx_malformed, 2u);
  wire_->deliver(tagged(frame_of(1518)));
  EXPECT_EQ(bench_->answer(r), as_received(tagged(frame_of(1518))));
  auto& next = post();
  wire_->deliver(frame_of(1514));
  EXPECT_EQ(next.written, 1526u);
}

TEST_F(NetTest, FramesOfAnyVlanAreAccepted) {
  for (const unsigned vlan : {0u, 1u, 2u, 100u, 4095u}) {
    Bytes frame = tagged(frame_of(64));
    frame[14] = static_cast<std::byte>(vlan >> 8);
    frame[15] = static_cast<std::byte>(vlan);
    auto& r = post();
    wire_->deliver(frame);
    EXPECT_EQ(bench_->answer(r), as_received(frame)) << vlan;
  }
}

TEST_F(NetTest, ADriverWithoutMtuGetsNoMoreThanTheUsual) {
  build({.mtu = 9000});
  bench_->reset();
  bench_->start({VIRTIO_NET_F_MAC});
  auto& r = post({10'000});
  wire_->deliver(frame_of(1515));
  EXPECT_FALSE(r.completed);
  wire_->deliver(frame_of(1514));
  EXPECT_TRUE(r.completed);
}

TEST_F(NetTest, FramesTooShortToBeFramesAreNotPassed) {
  auto& r = post();
  wire_->deliver(pattern(13));
  EXPECT_FALSE(r.completed);
  EXPECT_EQ(stats().rx_malformed, 1u);
}

TEST_F(NetTest, ABufferTooSmallCostsTheFrameAndStaysForTheNext) {
  negotiate({VIRTIO_NET_F_MAC});
  auto& small = post({80});
  auto& large = post();
  wire_->deliver(frame_of(69, 1));
  EXPECT_FALSE(small.completed || large.completed);
  EXPECT_EQ(stats().rx_small_buffer, 1u);
  wire_->deliver(frame_of(68, 2));
  EXPECT_EQ(bench_->answer(small), as_received(frame_of(68, 2)));
  EXPECT_FALSE(large.completed);
}

TEST_F(NetTest, ReadableBuffersInReceiveqAreNotWritten) {
  auto& r = bench_->submit(Net::receiveq, pattern(32), {1526});
  wire_->deliver(frame_of(60));
  EXPECT_EQ(bench_->answer(r), as_received(frame_of(60)));
  const std::byte* readable = bench_->memory(r.chain.pieces[0].addr);
  EXPECT_EQ(Bytes(readable, readable + 32), pattern(32));
}

TEST_F(NetTest, NothingArrivesWithoutDriverOrLink) {
  auto& r = post();
  net().set_link(false);
  wire_->deliver(frame_of(60));
  EXPECT_EQ(stats().rx_no_driver, 1u);
  net().set_link(true);
  bench_->reset();
  wire_->deliver(frame_of(60));
  EXPECT_EQ(stats().rx_no_driver, 2u);
  bench_->start({});
  EXPECT_FALSE(post().completed);
  EXPECT_FALSE(r.completed);
}

TEST_F(NetTest, WritesManyFramesAtOnceAndReturnsThemInOrder) {
  build({}, false);
  bench_->port().hold = true;
  std::vector<FunctionBench::Request*> buffers{&post(), &post(), &post(), &post()};
  for (unsigned i = 0; i < 4; ++i)
    wire_->deliver(frame_of(60, i));
  EXPECT_EQ(bench_->port().waiting(), 4u);
  bench_->port().answer_one(2);
  bench_->run();
  EXPECT_TRUE(bench_->used.empty());
  bench_->run_stepped(true);
  EXPECT_EQ(bench_->used, buffers);
  for (unsigned i = 0; i < 4; ++i)
    EXPECT_EQ(bench_->answer(*buffers[i]), as_received(frame_of(60, i)));
}

TEST_F(NetTest, ADroppedFrameBehindASlowOneDoesNotHoldUpTheNext) {
  build({}, false);
  negotiate({VIRTIO_NET_F_MAC});
  bench_->port().hold = true;
  auto& first = post();
  auto& second = post({72});
  wire_->deliver(frame_of(60, 1));
  wire_->deliver(frame_of(61, 2)); // does not fit
  wire_->deliver(frame_of(60, 3));
  bench_->run_stepped(true);
  EXPECT_EQ(bench_->answer(first), as_received(frame_of(60, 1)));
  EXPECT_EQ(bench_->answer(second), as_received(frame_of(60, 3)));
  EXPECT_EQ(bench_->used.front(), &first);
}

TEST_F(NetTest, ABufferThatCannotBeWrittenFailsTheQueue) {
  auto& bad = bench_->submit_pieces(Net::receiveq, {}, {{FunctionBench::nowhere, 1526}});
  auto& later = post();
  wire_->deliver(frame_of(60, 1));
  bench_->run();
  EXPECT_TRUE(bad.failed);
  EXPECT_EQ(bad.error, RingError::data_unwritable);
  wire_->deliver(frame_of(60, 2));
  EXPECT_FALSE(later.completed);
  EXPECT_EQ(bench_->writable(later), Bytes(1526, FunctionBench::guard));
}

TEST_F(NetTest, ResetOfReceiveqKeepsFramesForTheNextBuffers) {
  build({}, false);
  bench_->port().hold = true;
  auto& aborted = post();
  wire_->deliver(frame_of(60, 1));
  wire_->deliver(frame_of(60, 2));
  bench_->abort(Net::receiveq);
  wire_->deliver(frame_of(60, 3));
  bench_->run_stepped();
  EXPECT_TRUE(bench_->settled(Net::receiveq));
  EXPECT_FALSE(aborted.completed);
  for (unsigned i = 1; i <= 3; ++i) {
    auto& r = post();
    bench_->run_stepped();
    EXPECT_EQ(bench_->answer(r), as_received(frame_of(60, i)));
  }
}

TEST_F(NetTest, ADeviceResetDropsWaitingFrames) {
  wire_->deliver(frame_of(60));
  bench_->reset();
  bench_->start({});
  EXPECT_FALSE(post().completed);
}

TEST_F(NetTest, OrphanedAnswersAreDroppedAfterAResetThatGaveUp) {
  build({}, false);
  bench_->port().hold = true;
  transmit(with_header(frame_of(60)));
  bench_->abort(Net::transmitq);
  bench_->orphan(Net::transmitq);
  bench_->run();
  EXPECT_TRUE(bench_->settled(Net::transmitq));
  bench_->port().answer_waiting();
  EXPECT_EQ(bench_->port().late_answers(), 1u);
  EXPECT_TRUE(wire_->sent.empty());
}

TEST_F(NetTest, LoopbackBringsEveryFrameBack) {
  build({}, true, std::make_unique<LoopbackWire>());
  auto& buffer = post();
  transmit(with_header(frame_of(100)));
  EXPECT_EQ(bench_->answer(buffer), as_received(frame_of(100)));
  EXPECT_EQ(stats().tx_frames, 1u);
  EXPECT_EQ(stats().tx_bytes, 100u);
  EXPECT_EQ(stats().rx_frames, 1u);
  EXPECT_EQ(stats().rx_bytes, 100u);
}

TEST_F(NetTest, ADeadEndTakesFramesAndBringsNone) {
  build({}, true, std::make_unique<DeadEndWire>());
  auto& buffer = post();
  EXPECT_TRUE(transmit(with_header(frame_of(100))).completed);
  EXPECT_FALSE(buffer.completed);
}

} // namespace
} // namespace virtio::net
