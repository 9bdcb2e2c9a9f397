// Transmission with offloads, through the device: what reaches the wire and what comes back.
#include "models/net_bench.hpp"
#include "models/net_packets.hpp"

namespace virtio::net {
namespace {

using test::completed;
using test::make_packet;
using test::Packet;
using test::PacketForm;
using test::request;

/// Untimed and timed.
class NetTransmit : public NetBench, public testing::WithParamInterface<bool> {
protected:
  void SetUp() override { build_all(); }
  void build_all(NetParams params = {}) {
    params.features = plain_features;
    if (GetParam()) params.timing.wire_rate = 8'000'000'000; // a byte in 1 ns
    build(params, !GetParam());
  }
  FunctionBench::Request& send(const PacketForm& form, std::uint8_t gso_type, std::uint16_t mss) {
    const Packet packet = make_packet(form);
    auto& r = transmit(with_header(packet.bytes, request(form, packet, gso_type, mss)));
    bench_->run();
    return r;
  }
};
INSTANTIATE_TEST_SUITE_P(Timed, NetTransmit, testing::Bool());

TEST_P(NetTransmit, AChecksumIsCompleted) {
  const PacketForm form{.payload = 500};
  auto& r = send(form, VIRTIO_NET_HDR_GSO_NONE, 0);
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(r.written, 0u);
  EXPECT_EQ(wire_->sent, std::vector<Bytes>{completed(form, make_packet(form))});
}

TEST_P(NetTransmit, APacketOf64KiBLeavesInSegments) {
  const PacketForm form{.payload = 65'000};
  auto& r = send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1460);
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(wire_->sent.size(), 45u);
  EXPECT_EQ(stats().tx_frames, 45u);
  EXPECT_EQ(stats().tx_segmented, 1u);
  EXPECT_EQ(stats().tx_bytes, 45u * 54 + 65'000);
  Bytes payload;
  for (const Bytes& frame : wire_->sent)
    payload.insert(payload.end(), frame.begin() + 54, frame.end());
  EXPECT_EQ(payload, test::pattern(65'000));
  // 44 full frames and the rest, each with preamble, check sequence and gap.
  const SimTime taken = nanoseconds(44 * (1514 + 24) + (760 + 54 + 24));
  EXPECT_EQ(r.completed_at, GetParam() ? taken : SimTime{});
}

TEST_P(NetTransmit, TheLargestPacketsOfIp) {
  PacketForm form{.payload = 65'535 - 40};
  EXPECT_TRUE(send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1460).completed);
  EXPECT_EQ(stats().tx_segmented, 1u);
  form = {.ipv6 = true, .tags = 2, .payload = 65'535 - 20};
  EXPECT_TRUE(send(form, VIRTIO_NET_HDR_GSO_TCPV6, 1440).completed);
  EXPECT_EQ(stats().tx_segmented, 2u);
  EXPECT_EQ(stats().tx_malformed, 0u);
}

TEST_P(NetTransmit, SegmentsAsLongAsTheMtuAndNoLonger) {
  const PacketForm form{.tags = 2, .payload = 4000};
  send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1460);
  ASSERT_EQ(wire_->sent.size(), 3u);
  EXPECT_EQ(wire_->sent[0].size(), 14u + 8 + 1500);
  auto& r = send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1461);
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(wire_->sent.size(), 3u);
  EXPECT_EQ(stats().tx_malformed, 1u);
}

TEST_P(NetTransmit, FragmentsOfIPv6HaveAnIdForEachDatagram) {
  const PacketForm form{.ipv6 = true, .tcp = false, .payload = 2000};
  for (int i = 0; i < 2; ++i)
    send(form, VIRTIO_NET_HDR_GSO_UDP, 1400);
  ASSERT_EQ(wire_->sent.size(), 4u);
  const auto id = [&](std::size_t i) { return test::layout_at<be32>(wire_->sent[i], 58); };
  EXPECT_EQ(id(0), id(1));
  EXPECT_EQ(id(2), id(3));
  EXPECT_NE(id(0), id(2));
}

TEST_P(NetTransmit, MalformedRequestsAreCountedAndReturned) {
  const PacketForm form;
  const Packet packet = make_packet(form);
  const virtio_net_hdr good = request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  std::vector<virtio_net_hdr> bad(5, good);
  bad[0].flags = 0;
  bad[1].gso_type = 99;
  bad[2].gso_size = std::uint16_t{0};
  bad[3].csum_start = std::uint16_t{9000};
  bad[4].gso_type = VIRTIO_NET_HDR_GSO_UDP;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    auto& r = transmit(with_header(packet.bytes, bad[i]));
    bench_->run_stepped();
    EXPECT_TRUE(r.completed);
    EXPECT_EQ(stats().tx_malformed, i + 1);
  }
  EXPECT_TRUE(wire_->sent.empty());
  send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  EXPECT_EQ(wire_->sent.size(), 4u);
}

TEST_P(NetTransmit, WithoutSegmentationALongPacketIsNotRead) {
  negotiate({VIRTIO_NET_F_CSUM});
  const PacketForm form;
  auto& r = send(form, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(stats().tx_malformed, 1u);
}

/// Resets the device when it has seen `after` frames.
class ResettingWire final : public Wire {
public:
  void transmit(Frame) override {
    if (++seen == after && bench) bench->abort(Net::transmitq);
  }
  FunctionBench* bench = nullptr;
  int seen = 0;
  int after = 3;
};

TEST_P(NetTransmit, AResetEndsAPacketBetweenItsSegments) {
  auto made = std::make_unique<ResettingWire>();
  ResettingWire& wire = *made;
  build({.features = plain_features}, true, std::move(made));
  wire.bench = bench_.get();
  auto& r = send({.payload = 10'000}, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  EXPECT_FALSE(r.completed);
  EXPECT_EQ(wire.seen, 3);
  bench_->run();
  send({.payload = 10'000}, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  EXPECT_EQ(wire.seen, 13);
}

/// Transmits on the other pair from within the first frame of a packet.
class NestingWire final : public Wire {
public:
  void transmit(Frame frame) override {
    const Bytes before(frame.begin(), frame.end());
    if (const auto call = std::exchange(then, nullptr)) call();
    EXPECT_TRUE(std::ranges::equal(frame, before)) << "the frame is valid during the call";
    sent.push_back(before);
  }
  std::function<void()> then;
  std::vector<Bytes> sent;
};

TEST_P(NetTransmit, APacketWithinAPacketHasABufferOfItsOwn) {
  auto made = std::make_unique<NestingWire>();
  NestingWire& wire = *made;
  build({.queue_pairs = 2, .features = plain_features}, true, std::move(made));
  const PacketForm inner{.payload = 9000, .seed = 2};
  wire.then = [&] {
    const Packet packet = make_packet(inner);
    bench_->submit(
        Net::transmit_queue(1),
        with_header(packet.bytes, request(inner, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1460)), {});
  };
  send({.payload = 3000}, VIRTIO_NET_HDR_GSO_TCPV4, 500);
  EXPECT_EQ(wire.sent.size(), 6u + 7u);
}

} // namespace
} // namespace virtio::net
