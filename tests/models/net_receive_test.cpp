// Reception with offloads, through the device: checksums vouched for, TCP segments joined.
#include "models/net_bench.hpp"
#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/segment.hpp>

namespace virtio::net {
namespace {

using test::completed;
using test::make_packet;
using test::Packet;
using test::PacketForm;
using test::request;

constexpr std::uint32_t whole = 65'562;

/// What a driver finds: header and frame.
struct Received {
  virtio_net_hdr header;
  Bytes frame;
};

/// Untimed and timed.
class NetReceive : public NetBench, public testing::WithParamInterface<bool> {
protected:
  void SetUp() override { use(everything()); }
  static FeatureSet everything() {
    return FeatureSet(plain_features)
        .set(VIRTIO_NET_F_CTRL_RX, false)
        .set(VIRTIO_NET_F_CTRL_VLAN, false);
  }
  void use(FeatureSet features, NetParams params = {}) {
    params.features = features;
    if (GetParam()) {
      params.timing.wire_rate = 8'000'000'000; // a byte in 1 ns
      params.lro_patience = microseconds(200);
    }
    build(params, !GetParam());
    buffers_.clear();
    given_ = 0;
  }
  /// The segments that a sender of `form` cuts.
  static std::vector<Bytes> segments(const PacketForm& form, std::uint16_t mss,
                                     std::uint8_t ecn = 0) {
    const Packet packet = make_packet(form);
    const std::uint8_t type = form.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    const FeatureSet all{VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                         VIRTIO_NET_F_HOST_ECN};
    const auto plan = TransmitPlan::make(
        request(form, packet, static_cast<std::uint8_t>(type | ecn), mss), packet.bytes, all);
    std::vector<Bytes> frames;
    for (std::size_t i = 0; plan && i < plan->frames(); ++i) {
      frames.emplace_back(plan->size(i));
      plan->write(i, frames.back());
    }
    EXPECT_FALSE(frames.empty());
    return frames;
  }
  /// Brings the frames at once and returns what the driver was given for them.
  std::vector<Received> receive(const std::vector<Bytes>& frames) {
    while (buffers_.size() < given_ + frames.size())
      buffers_.push_back(&post({room_}));
    for (const Bytes& frame : frames)
      wire_->deliver(frame);
    bench_->run();
    std::vector<Received> received;
    for (; given_ < buffers_.size() && buffers_[given_]->completed; ++given_) {
      const Bytes bytes = bench_->answer(*buffers_[given_]);
      Received& r = received.emplace_back();
      EXPECT_TRUE(read_layout(bytes, r.header));
      EXPECT_EQ(r.header.num_buffers, 1);
      r.frame.assign(bytes.begin() + sizeof r.header, bytes.end());
    }
    return received;
  }
  Received receive_one(const Bytes& frame) {
    const auto all = receive({frame});
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Received{} : all.front();
  }

  std::vector<FunctionBench::Request*> buffers_;
  std::size_t given_ = 0;
  std::uint32_t room_ = whole;
};
INSTANTIATE_TEST_SUITE_P(Timed, NetReceive, testing::Bool());

// --- checksums -----------------------------------------------------------------------------------

TEST_P(NetReceive, ARightChecksumIsVouchedForAndAWrongOneIsNot) {
  use({VIRTIO_NET_F_GUEST_CSUM});
  for (const bool ipv6 : {false, true})
    for (const bool tcp : {false, true}) {
      const PacketForm form{.ipv6 = ipv6, .tcp = tcp, .tags = 1, .payload = 333};
      Bytes frame = completed(form, make_packet(form));
      EXPECT_EQ(receive_one(frame).header.flags, VIRTIO_NET_HDR_F_DATA_VALID);
      EXPECT_EQ(receive_one(frame).frame, frame);
      frame.back() ^= std::byte{1};
      EXPECT_EQ(receive_one(frame).header.flags, 0);
      EXPECT_EQ(receive_one(frame).frame, frame) << "it is the driver's to drop";
    }
}

TEST_P(NetReceive, WhatHasNoChecksumOfItsOwnIsNotVouchedFor) {
  use({VIRTIO_NET_F_GUEST_CSUM});
  const PacketForm udp{.tcp = false, .payload = 100};
  Bytes frame = completed(udp, make_packet(udp));
  frame[40] = frame[41] = std::byte{0}; // UDP without
  EXPECT_EQ(receive_one(frame).header.flags, 0);
  EXPECT_EQ(receive_one(frame_of(60)).header.flags, 0);
  PacketForm fragment{.payload = 100};
  fragment.ipv4_fragment = 0x2000;
  EXPECT_EQ(receive_one(completed(fragment, make_packet(fragment))).header.flags, 0);
  const PacketForm form{.payload = 100};
  frame = completed(form, make_packet(form));
  frame[24] ^= std::byte{1}; // IPv4's own
  EXPECT_EQ(receive_one(frame).header.flags, 0);
}

TEST_P(NetReceive, PaddingOfShortFramesIsNotPartOfThePacket) {
  use({VIRTIO_NET_F_GUEST_CSUM});
  const PacketForm form{.payload = 0};
  Bytes frame = completed(form, make_packet(form));
  frame.resize(60, std::byte{0x77});
  EXPECT_EQ(receive_one(frame).header.flags, VIRTIO_NET_HDR_F_DATA_VALID);
  EXPECT_EQ(receive_one(frame).frame, frame);
}

TEST_P(NetReceive, WithoutTheFeatureFlagsAndTypeAreZero) {
  for (const FeatureSet features : {FeatureSet{}, FeatureSet{VIRTIO_NET_F_GUEST_CSUM}}) {
    negotiate(features);
    given_ = buffers_.size();
    const auto frames = segments({.payload = 6000}, 1460);
    const auto received = receive(frames);
    ASSERT_EQ(received.size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(received[i].frame, frames[i]);
      EXPECT_EQ(received[i].header.flags,
                features.has(VIRTIO_NET_F_GUEST_CSUM) ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
      EXPECT_EQ(received[i].header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
      EXPECT_EQ(received[i].header.gso_size, 0);
    }
  }
}

// --- joining -------------------------------------------------------------------------------------

TEST_P(NetReceive, SegmentsAreJoinedAndTheDriverIsToldHowToCutThemAgain) {
  for (const bool rsc : {false, true})
    for (const bool ipv6 : {false, true})
      for (const unsigned tags : {0u, 2u}) {
        use(everything().set(VIRTIO_NET_F_RSC_EXT, rsc));
        PacketForm form{.ipv6 = ipv6, .tags = tags, .payload = 30'000};
        form.tcp_options = Bytes(12, std::byte{1});
        form.flags = TcpHeader::ack | TcpHeader::psh;
        const auto frames = segments(form, 1400);
        const auto received = receive(frames);
        ASSERT_EQ(received.size(), 1u);
        const virtio_net_hdr& header = received[0].header;
        EXPECT_EQ(header.flags,
                  VIRTIO_NET_HDR_F_NEEDS_CSUM | (rsc ? VIRTIO_NET_HDR_F_RSC_INFO : 0));
        EXPECT_EQ(header.gso_type, ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
        EXPECT_EQ(header.gso_size, 1400);
        const Packet packet = make_packet(form);
        EXPECT_EQ(header.hdr_len, packet.payload);
        EXPECT_EQ(header.csum_start, rsc ? frames.size() : packet.transport);
        EXPECT_EQ(header.csum_offset, rsc ? 0 : 16);
        EXPECT_EQ(received[0].frame, packet.bytes)
            << "the sender's packet, with the pseudo header's sum in its checksum";
        EXPECT_EQ(stats().rx_joined, frames.size() - 1);
        EXPECT_EQ(stats().rx_frames, 1u);
      }
}

TEST_P(NetReceive, RandomTransfersArriveWholeAndInOrder) {
  Random random(3, "transfer");
  for (int round = 0; round < 40; ++round) {
    use(everything());
    room_ = 8192;
    std::vector<std::vector<Bytes>> flows;
    for (unsigned flow = 0; flow < 12; ++flow) {
      PacketForm form{.ipv6 = flow % 2 == 1, .payload = 1 + random.next() % 6000, .seed = flow};
      form.port = static_cast<std::uint16_t>(1000 + flow);
      auto frames = segments(form, static_cast<std::uint16_t>(200 + random.next() % 1200));
      for (Bytes& frame : frames)
        if (random.next() % 20 == 0) frame.back() ^= std::byte{1};
      flows.push_back(std::move(frames));
    }
    std::vector<Bytes> mixed;
    std::vector<std::size_t> next(flows.size());
    for (std::size_t left = flows.size(); left > 0;) {
      const std::size_t flow = random.next() % flows.size();
      for (std::uint64_t n = random.next() % 6; n > 0 && next[flow] < flows[flow].size(); --n) {
        mixed.push_back(flows[flow][next[flow]]);
        if (++next[flow] == flows[flow].size()) --left;
      }
    }
    const auto received = receive(mixed);
    std::map<unsigned, Bytes> sent, arrived;
    const auto add = [](std::map<unsigned, Bytes>& to, const Bytes& frame) {
      const auto layers = layers_of(frame);
      ASSERT_TRUE(layers);
      Bytes& stream = to[test::layout_at<be16>(frame, layers->transport)];
      stream.insert(stream.end(), frame.begin() + static_cast<std::ptrdiff_t>(layers->payload),
                    frame.end());
    };
    for (const Bytes& frame : mixed)
      add(sent, frame);
    for (const Received& r : received)
      add(arrived, r.frame);
    EXPECT_EQ(arrived, sent);
    EXPECT_LT(received.size(), mixed.size());
    EXPECT_EQ(stats().rx_joined + stats().rx_frames, mixed.size());
    if (HasFailure()) return;
  }
}

/// Three segments of which the second is changed: how many packets the driver gets.
TEST_P(NetReceive, WhatIsNotOnePacketOfItsSenderIsNotJoined) {
  struct Change {
    const char* what;
    std::size_t at;
    std::uint8_t to;
    bool resum;
  };
  const Change changes[] = {{"a hole in the sequence", 40, 9, true},
                            {"another acknowledgement", 45, 9, true},
                            {"urgent", 47, 0x30, true},
                            {"a reset", 47, 0x14, true},
                            {"a connection's begin", 47, 0x12, true},
                            {"a connection's end", 47, 0x11, true},
                            {"another hop limit", 22, 3, true},
                            {"another service", 15, 4, true},
                            {"another address of the link", 6, 4, false},
                            {"a wrong checksum", 60, 0x77, false},
                            {"another option", 55, 7, true}};
  for (const Change& change : changes) {
    use(everything());
    PacketForm form{.payload = 3000};
    form.tcp_options = Bytes(4, std::byte{1});
    auto frames = segments(form, 1000);
    Bytes& frame = frames[1];
    ASSERT_NE(std::to_integer<int>(frame[change.at]), change.to) << change.what;
    frame[change.at] = std::byte{change.to};
    if (change.resum) {
      test::overwrite(frame, 24, be16(0));
      test::overwrite(
          frame, 24,
          be16(static_cast<std::uint16_t>(~test::plain_sum(std::span(frame).subspan(14, 20)))));
      test::overwrite(frame, 50, be16(0));
      const auto sum = test::plain_sum(std::span(frame).subspan(34),
                                       test::pseudo_sum(frame, 14, false, true, frame.size() - 34));
      test::overwrite(frame, 50, be16(static_cast<std::uint16_t>(~sum)));
    }
    const auto received = receive(frames);
    ASSERT_EQ(received.size(), 3u) << change.what;
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(received[i].frame, frames[i]) << change.what;
      EXPECT_EQ(received[i].header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    }
  }
}

TEST_P(NetReceive, AShorterSegmentAndAPushedOneEndAPacket) {
  const PacketForm form{.payload = 2500};
  auto first = segments(form, 1000); // 1000, 1000, 500
  PacketForm more{.sequence = form.sequence + 2500, .payload = 2000};
  for (const Bytes& frame : segments(more, 1000))
    first.push_back(frame);
  const auto received = receive(first);
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].frame.size(), 54u + 2500);
  EXPECT_EQ(received[1].frame.size(), 54u + 2000);
  PacketForm pushed{.flags = TcpHeader::ack | TcpHeader::psh, .payload = 500};
  EXPECT_EQ(receive_one(segments(pushed, 1000)[0]).header.flags, VIRTIO_NET_HDR_F_DATA_VALID);
}

TEST_P(NetReceive, APacketIsNotLongerThanAnyIpPacket) {
  PacketForm form{.payload = 60'000};
  auto frames = segments(form, 1000);
  form.sequence += 60'000;
  for (const Bytes& frame : segments(form, 1000))
    frames.push_back(frame);
  const auto received = receive(frames);
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].frame.size(), 14u + 40 + 65'000);
  EXPECT_EQ(received[1].frame.size(), 14u + 40 + 55'000);
}

TEST_P(NetReceive, CongestionNotificationNeedsItsFeatureAndIsMarked) {
  PacketForm form{.payload = 3000};
  form.flags = TcpHeader::ack | TcpHeader::ece | TcpHeader::cwr;
  const auto frames = segments(form, 1000, VIRTIO_NET_HDR_GSO_ECN);
  auto received = receive(frames);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(received[0].header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
  use(everything().set(VIRTIO_NET_F_GUEST_ECN, false));
  received = receive(frames);
  ASSERT_EQ(received.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(received[i].frame, frames[i]);
}

TEST_P(NetReceive, OnlyFamiliesThatWereNegotiatedAreJoined) {
  for (const bool ipv6 : {false, true}) {
    const PacketForm form{.ipv6 = ipv6, .payload = 3000};
    use(everything().set(ipv6 ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4, false));
    EXPECT_EQ(receive(segments(form, 1000)).size(), 3u);
    use(everything().set(ipv6 ? VIRTIO_NET_F_GUEST_TSO4 : VIRTIO_NET_F_GUEST_TSO6, false));
    EXPECT_EQ(receive(segments(form, 1000)).size(), 1u);
  }
}

TEST_P(NetReceive, DuplicateAcknowledgementsAreCountedWithThePacket) {
  const PacketForm form{.payload = 3000};
  auto frames = segments(form, 1000);
  PacketForm empty{.sequence = form.sequence + 3000, .payload = 0};
  const Bytes again = completed(empty, make_packet(empty));
  for (int i = 0; i < 3; ++i)
    frames.push_back(again);
  const auto received = receive(frames);
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(received[0].header.csum_start, 3);
  EXPECT_EQ(received[0].header.csum_offset, 3);
  EXPECT_EQ(stats().rx_joined, 5u);
  use(everything().set(VIRTIO_NET_F_RSC_EXT, false));
  EXPECT_EQ(receive(frames).size(), 4u) << "where they cannot be reported they are passed on";
}

TEST_P(NetReceive, AnAcknowledgementBehindDataDoesNotOvertakeIt) {
  const PacketForm form{.payload = 2000};
  auto frames = segments(form, 1000);
  PacketForm ack{.sequence = form.sequence + 2000, .acknowledgement = 99, .payload = 0};
  frames.push_back(completed(ack, make_packet(ack)));
  const auto received = receive(frames);
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].frame.size(), 54u + 2000);
  EXPECT_EQ(received[1].frame, frames[2]);
}

TEST_P(NetReceive, MoreFlowsThanFitSendTheOldestOn) {
  std::vector<Bytes> frames;
  for (unsigned flow = 0; flow < Coalescer::flows + 3; ++flow) {
    PacketForm form{.payload = 2000};
    form.port = static_cast<std::uint16_t>(1000 + flow);
    for (const Bytes& frame : segments(form, 1000))
      frames.push_back(frame);
  }
  std::vector<Bytes> round_robin;
  for (const std::size_t half : {0u, 1u})
    for (std::size_t i = half; i < frames.size(); i += 2)
      round_robin.push_back(frames[i]);
  EXPECT_EQ(receive(round_robin).size(), frames.size()) << "each is displaced before its second";
  const auto received = receive(frames);
  EXPECT_EQ(received.size(), Coalescer::flows + 3);
}

TEST_P(NetReceive, ASegmentWaitsNoLongerThanItsPatience) {
  if (!GetParam()) {
    const auto frames = segments({.payload = 2000}, 1000);
    EXPECT_EQ(receive({frames[0]}).size(), 1u) << "nothing else came at the same time";
    EXPECT_EQ(receive({frames[1]}).size(), 1u);
    return;
  }
  auto& buffer = post({whole});
  wire_->deliver(segments({.payload = 2000}, 1000)[0]);
  bench_->run();
  // 1054 bytes, and 24 more that an Ethernet frame takes; then 200 us.
  EXPECT_EQ(buffer.completed_at, nanoseconds(1078 + 200'000));
}

TEST_P(NetReceive, AResetDropsWhatWaits) {
  build({.features = everything()});
  const auto frames = segments({.payload = 2000}, 1000);
  post({whole});
  wire_->deliver(frames[0]);
  bench_->reset();
  bench_->start(net().features());
  buffers_.clear();
  given_ = 0;
  const auto received = receive({frames[1]});
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(received[0].frame, frames[1]);
}

TEST_P(NetReceive, FramesAboveTheMtuAreNotJoinedEither) {
  use(everything(), {.mtu = 1000});
  EXPECT_TRUE(receive(segments({.payload = 4000}, 1000)).empty());
  EXPECT_EQ(stats().rx_malformed, 4u);
  EXPECT_EQ(receive(segments({.payload = 4000}, 960)).size(), 1u);
}

TEST_P(NetReceive, AJoinedPacketTakesAsManyBuffersAsItNeeds) {
  std::vector<FunctionBench::Request*> posted;
  for (int i = 0; i < 12; ++i)
    posted.push_back(&post({1000}));
  const PacketForm form{.payload = 10'000};
  for (const Bytes& frame : segments(form, 1000))
    wire_->deliver(frame);
  bench_->run();
  Bytes all;
  for (int i = 0; i < 11; ++i) {
    ASSERT_TRUE(posted[static_cast<std::size_t>(i)]->completed) << i;
    const Bytes part = bench_->answer(*posted[static_cast<std::size_t>(i)]);
    EXPECT_EQ(part.size(), i < 10 ? 1000u : 12u + 54 + 10'000 - 10'000);
    all.insert(all.end(), part.begin(), part.end());
  }
  virtio_net_hdr header;
  ASSERT_TRUE(read_layout(all, header));
  EXPECT_EQ(header.num_buffers, 11);
  EXPECT_EQ(Bytes(all.begin() + 12, all.end()), make_packet(form).bytes);
}

TEST_P(NetReceive, WhatALoopReturnsIsThePacketThatWasSent) {
  NetParams params;
  params.features = everything();
  build(params, true, std::make_unique<LoopbackWire>());
  auto& buffer = post({whole});
  PacketForm form{.payload = 50'000};
  form.flags = TcpHeader::ack | TcpHeader::psh;
  const Packet packet = make_packet(form);
  transmit(with_header(packet.bytes, request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1460)));
  bench_->run();
  const Bytes bytes = bench_->answer(buffer);
  ASSERT_GT(bytes.size(), 12u);
  EXPECT_EQ(Bytes(bytes.begin() + 12, bytes.end()), packet.bytes);
}

// --- switching -----------------------------------------------------------------------------------

TEST_P(NetReceive, TheDriverSwitchesOffloads) {
  const auto set = [&](std::uint64_t mask) {
    Bytes bytes{std::byte{VIRTIO_NET_CTRL_GUEST_OFFLOADS},
                std::byte{VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET}};
    for (int i = 0; i < 8; ++i)
      bytes.push_back(static_cast<std::byte>(mask >> (8 * i)));
    auto& r = bench_->submit(net().controlq(), bytes, {1});
    bench_->run();
    return std::to_integer<int>(bench_->answer(r).at(0));
  };
  const auto frames = segments({.payload = 3000}, 1000);
  EXPECT_EQ(receive(frames).size(), 1u) << "what was negotiated is on at first";
  EXPECT_EQ(set(0), VIRTIO_NET_OK);
  auto received = receive(frames);
  ASSERT_EQ(received.size(), 3u);
  EXPECT_EQ(received[0].header.flags, 0);
  EXPECT_EQ(set(1 << 1), VIRTIO_NET_OK);
  received = receive(frames);
  ASSERT_EQ(received.size(), 3u);
  EXPECT_EQ(received[0].header.flags, VIRTIO_NET_HDR_F_DATA_VALID);
  EXPECT_EQ(set(1 << 1 | 1 << 7), VIRTIO_NET_OK);
  EXPECT_EQ(receive(frames).size(), 1u);
  EXPECT_EQ(set(1 << 7), VIRTIO_NET_OK);
  EXPECT_EQ(receive(frames).size(), 3u) << "without GUEST_CSUM there is nothing to join with";
  for (unsigned bit = 0; bit < 64; ++bit)
    EXPECT_EQ(set(1ull << bit), guest_offloads.has(bit) ? VIRTIO_NET_OK : VIRTIO_NET_ERR) << bit;
  EXPECT_EQ(set(~0ull), VIRTIO_NET_ERR);
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_GUEST_CSUM});
  EXPECT_EQ(set(1 << 1), VIRTIO_NET_OK);
  EXPECT_EQ(set(1 << 7), VIRTIO_NET_ERR) << "not negotiated";
  negotiate({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_GUEST_CSUM});
  EXPECT_EQ(set(1 << 1), VIRTIO_NET_ERR);
}

TEST_P(NetReceive, AfterAResetOffloadsAreAsNegotiated) {
  Bytes off(10);
  off[0] = std::byte{VIRTIO_NET_CTRL_GUEST_OFFLOADS};
  bench_->submit(net().controlq(), off, {1});
  bench_->run();
  const auto frames = segments({.payload = 3000}, 1000);
  EXPECT_EQ(receive(frames).size(), 3u);
  negotiate(net().features());
  buffers_.clear();
  given_ = 0;
  EXPECT_EQ(receive(frames).size(), 1u);
}

} // namespace
} // namespace virtio::net
