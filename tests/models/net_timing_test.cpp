// Time lines of the network device, worked out by hand. Guest memory takes no time.
#include "models/net_bench.hpp"
#include "models/net_packets.hpp"

namespace virtio::net {
namespace {

/// Keeps what the device sends, and when.
class TimedWire final : public Wire {
public:
  void transmit(Frame frame) override {
    sent.emplace_back(frame.begin(), frame.end());
    times.push_back(executor().now().ps);
  }
  using Wire::deliver;
  std::vector<Bytes> sent;
  std::vector<std::uint64_t> times; // ps
};

using Times = std::vector<std::uint64_t>;

class NetTimingTest : public NetBench {
protected:
  void build_timed(NetTiming timing, NetParams params = {}) {
    params.timing = timing;
    auto made = std::make_unique<TimedWire>();
    timed_wire_ = made.get();
    build(params, true, std::move(made));
  }
  static Times ends(const std::vector<FunctionBench::Request*>& requests) {
    Times times;
    for (auto* r : requests) {
      EXPECT_TRUE(r->completed);
      times.push_back(r->completed_at.ps);
    }
    return times;
  }
  TimedWire* timed_wire_ = nullptr;
};

constexpr std::uint64_t gigabit = 1'000'000'000;

TEST_F(NetTimingTest, AFrameOccupiesTheWireWithPreambleGapAndCheckSequence) {
  EXPECT_EQ(bits_on_wire(60), 8u * 84);
  EXPECT_EQ(bits_on_wire(14), 8u * 84) << "padded";
  EXPECT_EQ(bits_on_wire(61), 8u * 85);
  EXPECT_EQ(bits_on_wire(1514), 8u * 1538);
}

TEST_F(NetTimingTest, WithoutTimingNothingSuspends) {
  build_timed({});
  EXPECT_TRUE(transmit(with_header(frame_of(60))).completed);
  auto& buffer = post();
  timed_wire_->deliver(frame_of(60));
  EXPECT_TRUE(buffer.completed) << "without a run of the executor";
}

TEST_F(NetTimingTest, TransmittedFramesLeaveOneAfterTheOtherAtTheRateOfTheWire) {
  build_timed({.wire_rate = 10 * gigabit});
  std::vector<FunctionBench::Request*> requests;
  for (const std::size_t size : {60u, 60u, 1514u, 20u})
    requests.push_back(&transmit(with_header(frame_of(size))));
  EXPECT_TRUE(timed_wire_->sent.empty());
  bench_->run();
  const Times expected{67'200, 134'400, 134'400 + 1'230'400, 134'400 + 1'230'400 + 67'200};
  EXPECT_EQ(timed_wire_->times, expected);
  EXPECT_EQ(ends(requests), expected) << "a chain comes back when its frame has left";
  EXPECT_EQ(timed_wire_->sent[2], frame_of(1514));
}

TEST_F(NetTimingTest, FractionsOfAPicosecondAreCarriedOn) {
  build_timed({.wire_rate = 9 * gigabit}); // 74,666 2/3 ps
  for (int i = 0; i < 6; ++i)
    transmit(with_header(frame_of(60)));
  bench_->run();
  EXPECT_EQ(timed_wire_->times, (Times{74'666, 149'333, 224'000, 298'666, 373'333, 448'000}));
}

TEST_F(NetTimingTest, TheDevicesWorkOnAPacketOverlapsTheWire) {
  build_timed({.wire_rate = 10 * gigabit, .packet_cost = nanoseconds(100)});
  for (int i = 0; i < 3; ++i)
    transmit(with_header(frame_of(60)));
  bench_->run();
  // The device is slower than the wire...
  EXPECT_EQ(timed_wire_->times, (Times{167'200, 267'200, 367'200}));
  build_timed({.wire_rate = 10 * gigabit, .packet_cost = nanoseconds(100)});
  for (int i = 0; i < 3; ++i)
    transmit(with_header(frame_of(1514)));
  bench_->run();
  // ...or the wire than the device.
  EXPECT_EQ(timed_wire_->times, (Times{1'330'400, 2'560'800, 3'791'200}));
}

TEST_F(NetTimingTest, WhatIsNotSentTakesNoWire) {
  build_timed({.wire_rate = 10 * gigabit, .packet_cost = nanoseconds(100)});
  auto& runt = transmit(pattern(20));
  auto& good = transmit(with_header(frame_of(60)));
  bench_->run();
  EXPECT_EQ(ends({&runt, &good}), (Times{100'000, 267'200}));
  EXPECT_EQ(stats().tx_malformed, 1u);
}

TEST_F(NetTimingTest, QueuesShareTheWire) {
  build_timed({.wire_rate = 10 * gigabit}, {.queue_pairs = 2});
  bench_->submit(Net::transmit_queue(1), with_header(frame_of(60, 1)), {});
  bench_->submit(Net::transmit_queue(0), with_header(frame_of(60, 0)), {});
  bench_->submit(Net::transmit_queue(1), with_header(frame_of(60, 2)), {});
  bench_->run();
  EXPECT_EQ(timed_wire_->times, (Times{67'200, 134'400, 201'600}));
  EXPECT_EQ(timed_wire_->sent,
            (std::vector<Bytes>{frame_of(60, 1), frame_of(60, 0), frame_of(60, 2)}));
}

TEST_F(NetTimingTest, ReceivedFramesArriveAtTheRateOfTheWireAndAreWorkedOn) {
  build_timed({.wire_rate = 10 * gigabit, .packet_cost = nanoseconds(100)});
  const std::vector<FunctionBench::Request*> buffers{&post(), &post(), &post()};
  for (unsigned i = 0; i < 3; ++i)
    timed_wire_->deliver(frame_of(60, i));
  EXPECT_TRUE(bench_->used.empty());
  bench_->run();
  EXPECT_EQ(ends(buffers), (Times{167'200, 267'200, 367'200}));
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_EQ(bench_->answer(*buffers[i]), as_received(frame_of(60, i)));
}

TEST_F(NetTimingTest, DirectionsDoNotDisturbEachOther) {
  build_timed({.wire_rate = 10 * gigabit, .packet_cost = nanoseconds(10)});
  auto& buffer = post();
  auto& out = transmit(with_header(frame_of(60)));
  timed_wire_->deliver(frame_of(60));
  bench_->run();
  EXPECT_EQ(ends({&buffer, &out}), (Times{77'200, 77'200}));
}

TEST_F(NetTimingTest, LoopbackPassesTheWireTwice) {
  build({.timing = {.wire_rate = 10 * gigabit}}, true, std::make_unique<LoopbackWire>());
  auto& buffer = post();
  transmit(with_header(frame_of(60)));
  bench_->run();
  EXPECT_EQ(buffer.completed_at.ps, 134'400u);
}

TEST_F(NetTimingTest, MoreThanTheWireHoldsIsCounted) {
  build_timed({.wire_rate = 10 * gigabit}, {.receive_frames = 2});
  const std::vector<FunctionBench::Request*> buffers{&post(), &post(), &post()};
  for (unsigned i = 0; i < 5; ++i)
    timed_wire_->deliver(frame_of(60, i));
  EXPECT_EQ(stats().rx_overrun, 3u);
  bench_->run();
  timed_wire_->deliver(frame_of(60, 9));
  bench_->run();
  EXPECT_EQ(ends(buffers), (Times{67'200, 134'400, 201'600}));
  EXPECT_EQ(stats().rx_frames, 3u);
}

TEST_F(NetTimingTest, FramesThatArriveAfterTheDriverLeftAreCounted) {
  build_timed({.wire_rate = 10 * gigabit});
  post();
  timed_wire_->deliver(frame_of(60));
  timed_wire_->deliver(frame_of(60));
  bench_->at(nanoseconds(100), [&] { net().set_link(false); });
  bench_->run();
  EXPECT_EQ(stats().rx_frames, 1u);
  EXPECT_EQ(stats().rx_no_driver, 1u);
}

TEST_F(NetTimingTest, AResetTakesBackWhatHasNotLeft) {
  build_timed({.wire_rate = 10 * gigabit});
  std::vector<FunctionBench::Request*> requests;
  for (unsigned i = 0; i < 3; ++i)
    requests.push_back(&transmit(with_header(frame_of(1514, i))));
  FunctionBench::Request* next = nullptr;
  bench_->at(microseconds(2), [&] { bench_->abort(Net::transmitq); });
  bench_->at(microseconds(3), [&] { next = &transmit(with_header(frame_of(60, 9))); });
  bench_->run();
  EXPECT_TRUE(bench_->settled(Net::transmitq));
  EXPECT_TRUE(requests[0]->completed);
  EXPECT_FALSE(requests[1]->completed || requests[2]->completed);
  EXPECT_EQ(timed_wire_->sent, (std::vector<Bytes>{frame_of(1514, 0), frame_of(60, 9)}));
  // The time that the others had on the wire is spent.
  EXPECT_EQ(timed_wire_->times, (Times{1'230'400, 3 * 1'230'400 + 67'200}));
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->completed);
}

TEST_F(NetTimingTest, AFrameThatCannotBeReadFailsTheQueueAfterTheEarlierOnesHaveLeft) {
  build_timed({.wire_rate = 10 * gigabit});
  auto& first = transmit(with_header(frame_of(60)));
  auto& bad = bench_->submit_pieces(Net::transmitq, {{FunctionBench::nowhere, 72}}, {});
  bench_->run();
  EXPECT_EQ(ends({&first}), Times{67'200});
  EXPECT_TRUE(bad.failed);
  bench_->abort(Net::transmitq);
  bench_->run();
  EXPECT_TRUE(bench_->settled(Net::transmitq));
}

/// A packet of `form`, and what asks for its segments.
Bytes segmented(const test::PacketForm& form, std::uint8_t type, std::uint16_t size) {
  const test::Packet packet = test::make_packet(form);
  return with_header(packet.bytes, test::request(form, packet, type, size));
}
const FeatureSet segments{VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_UFO,
                          VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ};
// 1054 and 554 bytes with 24 more of the wire's own, at 10 Gbit/s.
constexpr std::uint64_t full_segment = 862'400;
constexpr std::uint64_t last_segment = 462'400;

TEST_F(NetTimingTest, SegmentsLeaveOneAfterTheOtherAndTheChainComesBackWithTheLast) {
  build_timed({.wire_rate = 10 * gigabit}, {.features = segments});
  auto& packet = transmit(segmented({.payload = 2500}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  auto& frame = transmit(with_header(frame_of(60)));
  bench_->run();
  const Times expected{full_segment, 2 * full_segment, 2 * full_segment + last_segment,
                       2 * full_segment + last_segment + 67'200};
  EXPECT_EQ(timed_wire_->times, expected);
  EXPECT_EQ(ends({&packet, &frame}), (Times{expected[2], expected[3]}));
  ASSERT_EQ(timed_wire_->sent.size(), 4u);
  EXPECT_EQ(timed_wire_->sent[1].size(), 1054u);
  EXPECT_EQ(timed_wire_->sent[2].size(), 554u);
  EXPECT_EQ(stats().tx_segmented, 1u);
}

TEST_F(NetTimingTest, FractionsOfAPicosecondAreCarriedOnFromSegmentToSegment) {
  build_timed({.wire_rate = 9 * gigabit}, {.features = segments}); // 958,222 2/9 ps
  transmit(segmented({.payload = 4000}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  transmit(segmented({.payload = 1000}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  bench_->run();
  EXPECT_EQ(timed_wire_->times, (Times{958'222, 1'916'444, 2'874'666, 3'832'888, 4'791'111}));
}

TEST_F(NetTimingTest, TheWireIsAPacketsUntilItsLastSegmentHasLeft) {
  build_timed({.wire_rate = 10 * gigabit}, {.queue_pairs = 2, .features = segments});
  bench_->submit(Net::transmit_queue(1),
                 segmented({.payload = 1500}, VIRTIO_NET_HDR_GSO_TCPV4, 1000), {});
  bench_->submit(Net::transmit_queue(0), with_header(frame_of(60)), {});
  bench_->run();
  EXPECT_EQ(timed_wire_->times, (Times{full_segment, full_segment + last_segment,
                                       full_segment + last_segment + 67'200}));
}

TEST_F(NetTimingTest, FragmentsOfEachPacketHaveTheirOwnIdInTimeToo) {
  build_timed({.wire_rate = 10 * gigabit}, {.features = segments});
  const test::PacketForm form{.ipv6 = true, .tcp = false, .payload = 2000};
  for (int i = 0; i < 2; ++i)
    transmit(segmented(form, VIRTIO_NET_HDR_GSO_UDP, 1400));
  bench_->run();
  ASSERT_EQ(timed_wire_->sent.size(), 4u);
  constexpr std::size_t id_at = 14 + 40 + 4;
  std::vector<std::uint32_t> fragment_ids;
  for (const Bytes& frame : timed_wire_->sent)
    fragment_ids.push_back(test::layout_at<be32>(frame, id_at));
  EXPECT_EQ(fragment_ids[0], fragment_ids[1]);
  EXPECT_EQ(fragment_ids[2], fragment_ids[3]);
  EXPECT_NE(fragment_ids[1], fragment_ids[2]);
}

TEST_F(NetTimingTest, AResetTakesBackTheSegmentsThatHaveNotLeft) {
  build_timed({.wire_rate = 10 * gigabit}, {.features = segments});
  auto& packet = transmit(segmented({.payload = 2500}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  FunctionBench::Request* next = nullptr;
  bench_->at(microseconds(1), [&] { bench_->abort(Net::transmitq); });
  bench_->at(microseconds(2), [&] {
    next = &transmit(segmented({.payload = 1500}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  });
  bench_->run();
  EXPECT_FALSE(packet.completed);
  ASSERT_TRUE(next && next->completed);
  // The time that the others had on the wire is spent.
  const std::uint64_t begin = 2 * full_segment + last_segment;
  EXPECT_EQ(timed_wire_->times,
            (Times{full_segment, begin + full_segment, begin + full_segment + last_segment}));
  EXPECT_EQ(stats().tx_segmented, 1u);
}

TEST_F(NetTimingTest, ALinkThatGoesDownTakesTheSegmentsThatHaveNotLeft) {
  build_timed({.wire_rate = 10 * gigabit}, {.features = segments});
  auto& packet = transmit(segmented({.payload = 2500}, VIRTIO_NET_HDR_GSO_TCPV4, 1000));
  bench_->at(microseconds(1), [&] { net().set_link(false); });
  bench_->run();
  EXPECT_EQ(timed_wire_->times, Times{full_segment});
  EXPECT_EQ(ends({&packet}), Times{2 * full_segment + last_segment});
  EXPECT_EQ(stats().tx_no_link, 1u);
}

} // namespace
} // namespace virtio::net
