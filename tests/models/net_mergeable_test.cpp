// VIRTIO_NET_F_MRG_RXBUF: frames spread over several chains.
#include "models/net_bench.hpp"
#include "support/test_device.hpp"

namespace virtio::net {
namespace {

class NetMergeable : public NetBench {
protected:
  std::vector<FunctionBench::Request*> post_all(const std::vector<std::uint32_t>& sizes) {
    std::vector<FunctionBench::Request*> posted;
    for (const std::uint32_t size : sizes)
      posted.push_back(&post({size}));
    return posted;
  }
  /// What the driver puts together from the buffers used, each as far as its used length says.
  Bytes together(const std::vector<FunctionBench::Request*>& buffers) {
    Bytes all;
    for (auto* r : buffers) {
      const Bytes part = bench_->answer(*r);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }
  static std::vector<std::uint32_t> lengths(const std::vector<FunctionBench::Request*>& buffers) {
    std::vector<std::uint32_t> written;
    for (auto* r : buffers)
      written.push_back(r->written);
    return written;
  }
};

TEST_F(NetMergeable, AFrameFillsEveryBufferButTheLast) {
  const auto buffers = post_all({100, 100, 100, 100});
  wire_->deliver(frame_of(238)); // 250 bytes with its header
  EXPECT_EQ(lengths({buffers[0], buffers[1], buffers[2]}),
            (std::vector<std::uint32_t>{100, 100, 50}));
  EXPECT_EQ(together({buffers[0], buffers[1], buffers[2]}), as_received(frame_of(238), 3));
  EXPECT_FALSE(buffers[3]->completed);
  EXPECT_EQ(stats().rx_frames, 1u);
  EXPECT_EQ(stats().rx_bytes, 238u);
  EXPECT_EQ(stats().rx_buffers, 3u);
  EXPECT_TRUE(bench_->guards_intact());
}

TEST_F(NetMergeable, AFrameThatFitsExactlyTakesNoFurtherBuffer) {
  for (const std::uint16_t count : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{5}}) {
    build();
    auto buffers = post_all(std::vector<std::uint32_t>(count, 100));
    auto& next = post({100});
    wire_->deliver(frame_of(100u * count - 12));
    EXPECT_EQ(together(buffers), as_received(frame_of(100u * count - 12), count));
    EXPECT_FALSE(next.completed);
  }
}

TEST_F(NetMergeable, OneByteMoreTakesOneMoreBuffer) {
  const auto buffers = post_all({100, 100});
  wire_->deliver(frame_of(89));
  EXPECT_EQ(lengths(buffers), (std::vector<std::uint32_t>{100, 1}));
  EXPECT_EQ(together(buffers), as_received(frame_of(89), 2));
}

TEST_F(NetMergeable, BuffersOfAFrameAreUsedTogether) {
  const auto buffers = post_all({64, 64, 64, 64});
  wire_->deliver(frame_of(150));
  wire_->deliver(frame_of(20));
  EXPECT_TRUE(buffers[0]->hints.more);
  EXPECT_TRUE(buffers[1]->hints.more);
  EXPECT_FALSE(buffers[2]->hints.more);
  EXPECT_FALSE(buffers[3]->hints.more) << "a frame in one buffer is no group";
  EXPECT_EQ(bench_->used, buffers);
}

TEST_F(NetMergeable, BuffersMayBeCutIntoDescriptorsInAnyWay) {
  for (const std::uint32_t piece : {1u, 7u, 12u, 13u, 100u}) {
    build();
    std::vector<FunctionBench::Request*> buffers;
    for (int i = 0; i < 3; ++i)
      buffers.push_back(&post(cut(100, piece)));
    wire_->deliver(frame_of(270));
    EXPECT_EQ(together(buffers), as_received(frame_of(270), 3)) << "descriptors of " << piece;
    EXPECT_TRUE(bench_->guards_intact());
  }
}

TEST_F(NetMergeable, AHeaderMayEndInALaterBuffer) {
  // The driver MUST NOT post buffers smaller than the header (5.1.6.3.1); the bytes still come in
  // order.
  const auto buffers = post_all({5, 0, 6, 100});
  wire_->deliver(frame_of(60));
  EXPECT_EQ(lengths(buffers), (std::vector<std::uint32_t>{5, 0, 6, 61}));
  EXPECT_EQ(together(buffers), as_received(frame_of(60), 4));
}

TEST_F(NetMergeable, AFrameWaitsUntilThereAreBuffersForAllOfIt) {
  auto& first = post({100});
  wire_->deliver(frame_of(150, 1));
  wire_->deliver(frame_of(20, 2));
  EXPECT_TRUE(bench_->used.empty()) << "neither in part nor overtaken by a smaller one";
  auto& second = post({100});
  EXPECT_EQ(together({&first, &second}), as_received(frame_of(150, 1), 2));
  auto& third = post({100});
  EXPECT_EQ(bench_->answer(third), as_received(frame_of(20, 2)));
  EXPECT_EQ(stats().rx_small_buffer + stats().rx_no_buffer, 0u);
}

TEST_F(NetMergeable, FramesBeyondTheLimitAreCounted) {
  build({.receive_frames = 2});
  auto& buffer = post({60});
  for (unsigned i = 0; i < 5; ++i)
    wire_->deliver(frame_of(100, i));
  EXPECT_EQ(stats().rx_no_buffer, 3u);
  EXPECT_FALSE(buffer.completed);
}

TEST_F(NetMergeable, WithoutTheFeatureAFrameTakesOneBuffer) {
  negotiate({VIRTIO_NET_F_MAC});
  const auto buffers = post_all({100, 100, 200});
  wire_->deliver(frame_of(150));
  EXPECT_TRUE(bench_->used.empty());
  EXPECT_EQ(stats().rx_small_buffer, 1u);
}

TEST_F(NetMergeable, GroupsComeInOrderOfArrivalWhateverTheMemory) {
  for (const bool reverse : {false, true}) {
    build({}, false);
    bench_->port().hold = true;
    const auto buffers = post_all({100, 100, 100, 100, 100});
    wire_->deliver(frame_of(150, 1));
    wire_->deliver(frame_of(20, 2));
    wire_->deliver(frame_of(180, 3));
    EXPECT_EQ(bench_->port().waiting(), 3u) << "one access of each frame";
    bench_->run_stepped(reverse);
    EXPECT_EQ(bench_->used, buffers);
    EXPECT_EQ(together({buffers[0], buffers[1]}), as_received(frame_of(150, 1), 2));
    EXPECT_EQ(bench_->answer(*buffers[2]), as_received(frame_of(20, 2)));
    EXPECT_EQ(together({buffers[3], buffers[4]}), as_received(frame_of(180, 3), 2));
  }
}

TEST_F(NetMergeable, ABufferInAHoleFailsTheQueueAndNothingOfTheGroupIsUsed) {
  auto& first = post({100});
  auto& bad = bench_->submit_pieces(Net::receiveq, {}, {{FunctionBench::nowhere, 100}});
  auto& later = post({100});
  wire_->deliver(frame_of(250, 1));
  wire_->deliver(frame_of(20, 2));
  bench_->run();
  EXPECT_TRUE(first.failed != bad.failed) << "one chain of the frame reports the error";
  EXPECT_TRUE(bench_->used.empty());
  EXPECT_FALSE(later.completed || later.failed);
}

TEST_F(NetMergeable, AResetAtEveryStageKeepsTheFrameForNewBuffers) {
  for (unsigned answered = 0; answered < 3; ++answered) {
    build({}, false);
    bench_->port().hold = true;
    const auto aborted = post_all({100, 100, 100});
    wire_->deliver(frame_of(280, 1));
    wire_->deliver(frame_of(30, 2));
    for (unsigned i = 0; i < answered; ++i) {
      bench_->port().answer_one();
      bench_->run();
    }
    ASSERT_EQ(bench_->port().waiting(), 1u);
    bench_->abort(Net::receiveq);
    bench_->run_stepped();
    EXPECT_TRUE(bench_->settled(Net::receiveq));
    EXPECT_TRUE(bench_->used.empty());
    EXPECT_EQ(stats().rx_frames, 0u);
    auto& large = post({1526});
    auto& small = post({1526});
    bench_->run_stepped();
    EXPECT_EQ(bench_->answer(large), as_received(frame_of(280, 1), 1)) << "counted afresh";
    EXPECT_EQ(bench_->answer(small), as_received(frame_of(30, 2)));
  }
}

// A ring engine may hand out the next buffer as soon as one is handed back.
TEST_F(NetMergeable, NothingComesBetweenTheBuffersOfAFrame) {
  auto& first = post({100});
  auto& second = post({100});
  auto& third = post({100});
  FunctionBench::Request* fresh = nullptr;
  bench_->on_complete = [&] {
    if (!fresh) {
      wire_->deliver(frame_of(40, 2));
      fresh = &post({100});
    }
  };
  wire_->deliver(frame_of(280, 1));
  EXPECT_EQ(bench_->used, (std::vector<FunctionBench::Request*>{&first, &second, &third, fresh}));
  EXPECT_EQ(together({&first, &second, &third}), as_received(frame_of(280, 1), 3));
  EXPECT_EQ(bench_->answer(*fresh), as_received(frame_of(40, 2)));
}

TEST_F(NetMergeable, AResetBetweenTheBuffersOfAFrameKeepsIt) {
  const auto buffers = post_all({100, 100, 100});
  bench_->on_complete = [&] {
    bench_->on_complete = nullptr;
    bench_->abort(Net::receiveq);
  };
  wire_->deliver(frame_of(280, 1));
  bench_->run();
  EXPECT_TRUE(bench_->settled(Net::receiveq));
  EXPECT_FALSE(buffers[1]->completed || buffers[2]->completed);
  EXPECT_EQ(stats().rx_frames, 0u);
  EXPECT_EQ(bench_->answer(post({1526})), as_received(frame_of(280, 1)));
  EXPECT_EQ(stats().rx_frames, 1u);
}

TEST_F(NetMergeable, AFrameDroppedForItsBufferStaysDroppedAfterAReset) {
  build({}, false);
  negotiate({VIRTIO_NET_F_MAC});
  bench_->port().hold = true;
  post({200});
  post({40});
  wire_->deliver(frame_of(100, 1)); // under way
  wire_->deliver(frame_of(100, 2)); // does not fit into the next
  EXPECT_EQ(stats().rx_small_buffer, 1u);
  bench_->abort(Net::receiveq);
  bench_->run_stepped();
  auto& first = post({200});
  auto& second = post({200});
  bench_->run_stepped();
  EXPECT_EQ(bench_->answer(first), as_received(frame_of(100, 1)));
  EXPECT_FALSE(second.completed);
}

// --- through a ring ------------------------------------------------------------------------------

struct NetMergeableRing : testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Packed, NetMergeableRing, testing::Bool());

/// A network device with receiveq1 on a ring of 8 in memory that answers access by access.
struct NetOnARing {
  explicit NetOnARing(bool packed_ring) : is_packed(packed_ring) {
    device.attach(transport);
    const FeatureSet wanted =
        FeatureSet{VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF}.set(VIRTIO_F_RING_PACKED, is_packed);
    device.write_status(3);
    for (std::uint32_t w = 0; w < 4; ++w)
      device.write_driver_features(w, wanted.word32(w));
    device.write_status(0x0b);
    using Area = Device::Area;
    device.write_queue_size(Net::receiveq, 8);
    device.write_queue_address(Net::receiveq, Area::desc, false, test::SplitRingDriver::desc_at);
    device.write_queue_address(Net::receiveq, Area::driver, false, test::SplitRingDriver::avail_at);
    device.write_queue_address(Net::receiveq, Area::device, false, test::SplitRingDriver::used_at);
    device.enable_queue(Net::receiveq);
    device.write_status(0x0f);
    settle();
  }
  /// Posts buffers of 64 bytes, number i at 0x30'0000 + 64 * i.
  void post(std::uint16_t count) {
    for (std::uint16_t i = 0; i < count; ++i, ++posted) {
      const auto slot = static_cast<std::uint16_t>(posted % 8);
      if (is_packed) {
        packed.add(slot, {{0x30'0000 + 64u * slot, 64, packed::VIRTQ_DESC_F_WRITE}});
      } else {
        split.set_desc(slot, 0x30'0000 + 64u * slot, 64, split::VIRTQ_DESC_F_WRITE);
        split.make_available(slot);
      }
    }
    split.publish();
    device.notify(Net::receiveq, std::nullopt);
  }
  void settle() {
    executor.run_until_idle();
    while (!port.waiting.empty()) {
      port.answer_front();
      executor.run_until_idle();
    }
  }
  /// How many buffers the driver sees as used.
  unsigned used() const {
    if (!is_packed) return split.used_idx();
    unsigned n = 0;
    while (n < posted && packed.used(static_cast<std::uint16_t>(n), true))
      ++n;
    return n;
  }

  bool is_packed;
  std::vector<std::byte> memory = std::vector<std::byte>(4 << 20);
  test::ManualPort port{memory};
  test::SplitRingDriver split{memory, 8};
  test::PackedRingDriver packed{memory, 8};
  Executor executor;
  test::CountingTransport transport;
  TestWire* wire = nullptr;
  Device device{params(), executor, port, make()};
  unsigned posted = 0;

private:
  static DeviceParams params() {
    DeviceParams p{.name = "dut"};
    if (test::timed_ring) p.timed_ring.emplace(test::instant_ring());
    return p;
  }
  std::unique_ptr<DeviceFunction> make() {
    auto made = std::make_unique<TestWire>();
    wire = made.get();
    return std::make_unique<Net>(NetParams{}, std::move(made));
  }
};

TEST_P(NetMergeableRing, TheDriverNeverSeesAPartOfAFrame) {
  NetOnARing n(GetParam());
  n.post(6);
  n.settle();
  n.wire->deliver(frame_of(140)); // 152 bytes: three buffers
  n.wire->deliver(frame_of(52));  // one
  std::vector<unsigned> seen{0};
  n.executor.run_until_idle();
  while (!n.port.waiting.empty()) {
    n.port.answer_front();
    if (n.used() != seen.back()) seen.push_back(n.used());
    n.executor.run_until_idle();
  }
  EXPECT_TRUE(seen == (std::vector<unsigned>{0, 3, 4}) || seen == (std::vector<unsigned>{0, 4}))
      << testing::PrintToString(seen);
  EXPECT_GE(n.transport.used, 1);
  const Bytes all(n.memory.begin() + 0x30'0000, n.memory.begin() + 0x30'0000 + 152);
  EXPECT_EQ(all, as_received(frame_of(140), 3));
}

TEST_P(NetMergeableRing, ManyFramesOverAFullRingLoseNothing) {
  NetOnARing n(GetParam());
  n.post(8);
  n.settle();
  for (unsigned round = 0; round < 4; ++round) {
    n.wire->deliver(frame_of(140, round)); // three buffers each: 9 for 3 frames, one more than 8
    n.settle();
  }
  EXPECT_EQ(n.device.last_error(), RingError::none);
  const auto& stats = dynamic_cast<Net&>(n.device.function()).stats();
  EXPECT_EQ(stats.rx_frames, 2u);
  EXPECT_EQ(stats.rx_buffers, 6u);
  EXPECT_EQ(n.used(), 6u);
}

TEST_P(NetMergeableRing, AResetOfTheQueueInTheMiddleOfAGroupLeavesTheRingAlone) {
  for (unsigned answered = 0; answered < 12; ++answered) {
    NetOnARing n(GetParam());
    n.post(8);
    n.settle();
    n.wire->deliver(frame_of(140));
    n.executor.run_until_idle();
    for (unsigned i = 0; i < answered && !n.port.waiting.empty(); ++i) {
      n.port.answer_front();
      n.executor.run_until_idle();
    }
    const unsigned before = n.used();
    EXPECT_TRUE(before == 0 || before == 3) << before;
    n.device.disable_queue(Net::receiveq);
    n.settle();
    EXPECT_FALSE(n.device.queue(Net::receiveq)->resetting);
    EXPECT_TRUE(n.used() == before || n.used() == 3) << "what was issued may still arrive";
    EXPECT_EQ(n.device.last_error(), RingError::none);
  }
}

} // namespace
} // namespace virtio::net
