// Checksum completion, segmentation and fragmentation as pure functions over bytes.
#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/segment.hpp>

namespace virtio::net {
namespace {

using test::Bytes;
using test::completed;
using test::expect_right;
using test::layout_at;
using test::make_packet;
using test::overwrite;
using test::Packet;
using test::PacketForm;
using test::pattern;
using test::request;

const FeatureSet all{VIRTIO_NET_F_CSUM,     VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                     VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_UFO,  VIRTIO_NET_F_HOST_USO};

std::vector<Bytes> frames_of(const virtio_net_hdr& header, const Bytes& packet,
                             FeatureSet negotiated = all, std::uint32_t id = 9) {
  const auto plan = TransmitPlan::make(header, packet, negotiated, id);
  std::vector<Bytes> frames;
  if (!plan) return frames;
  for (std::size_t i = 0; i < plan->frames(); ++i) {
    Bytes& frame = frames.emplace_back(plan->size(i) + 1, std::byte{0xa5});
    plan->write(i, frame);
    EXPECT_EQ(frame.back(), std::byte{0xa5}) << "written behind the frame";
    frame.pop_back();
    EXPECT_LE(frame.size(), plan->size(0));
  }
  return frames;
}

std::uint8_t tcp_type(const PacketForm& form) {
  return form.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
}
std::uint8_t segments_type(const PacketForm& form) {
  return form.tcp ? tcp_type(form) : VIRTIO_NET_HDR_GSO_UDP_L4;
}

/// IPv6 extension headers of 8 and 24 bytes.
Bytes extension(std::size_t size) {
  Bytes bytes(size);
  bytes[1] = static_cast<std::byte>(size / 8 - 1);
  bytes[2] = std::byte{1}; // a PadN option over the rest
  bytes[3] = static_cast<std::byte>(size - 4);
  return bytes;
}
std::vector<PacketForm> forms() {
  std::vector<PacketForm> list;
  for (const bool ipv6 : {false, true})
    for (const bool tcp : {false, true})
      for (unsigned tags = 0; tags <= 2; ++tags) {
        PacketForm form{.ipv6 = ipv6, .tcp = tcp, .tags = tags};
        list.push_back(form);
        form.payload = 1;
        list.push_back(form);
        form.payload = 3001;
        if (ipv6)
          form.extensions = {{0, extension(8)}, {43, extension(24)}, {60, extension(8)}};
        else
          form.ipv4_options = Bytes(12, std::byte{1});
        form.tcp_options = Bytes(12, std::byte{1});
        list.push_back(form);
      }
  return list;
}

// --- checksum ------------------------------------------------------------------------------------

TEST(TransmitChecksum, IsCompletedFromStartToEnd) {
  for (const PacketForm& form : forms()) {
    const Packet packet = make_packet(form);
    const auto frames = frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_NONE, 0), packet.bytes);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0], completed(form, packet));
    expect_right(form, packet, frames[0]);
  }
}

TEST(TransmitChecksum, OfUdpIsNeverZero) {
  PacketForm form{.tcp = false, .payload = 2};
  Packet packet = make_packet(form);
  // Payload that makes the sum 0xffff.
  overwrite(packet.bytes, packet.payload, be16(0));
  const std::uint32_t sum = test::plain_sum(std::span(packet.bytes).subspan(packet.transport));
  overwrite(packet.bytes, packet.payload, be16(static_cast<std::uint16_t>(0xffff - sum)));
  const auto frames = frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_NONE, 0), packet.bytes);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(layout_at<UdpHeader>(frames[0], packet.transport).checksum, 0xffff);
}

TEST(TransmitChecksum, OfAnyProtocolAtAnyPlace) {
  const Bytes packet = pattern(101);
  for (std::uint16_t start = 14; start + 2 <= 101; start += 3) {
    virtio_net_hdr header;
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = start;
    header.csum_offset = static_cast<std::uint16_t>(101 - 2 - start);
    const auto frames = frames_of(header, packet, {VIRTIO_NET_F_CSUM});
    ASSERT_EQ(frames.size(), 1u);
    const auto expected =
        static_cast<std::uint16_t>(~test::plain_sum(std::span(packet).subspan(start)));
    const std::uint16_t found = layout_at<be16>(frames[0], 99);
    if (header.csum_offset == 6 && expected == 0) continue;
    EXPECT_EQ(found, expected) << start;
  }
}

TEST(TransmitChecksum, PlacesOutsideThePacketAreRefused) {
  const Bytes packet = pattern(100);
  const std::pair<std::uint16_t, std::uint16_t> wrong[] = {
      {0, 0}, {13, 10}, {100, 0}, {99, 0}, {20, 79}, {20, 0xffff}, {0xffff, 0xffff}, {14, 85}};
  for (const auto& [start, offset] : wrong) {
    virtio_net_hdr header;
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = start;
    header.csum_offset = offset;
    EXPECT_TRUE(frames_of(header, packet).empty()) << start << " " << offset;
    // Without the flag nobody looks.
    header.flags = 0xfe;
    EXPECT_EQ(frames_of(header, packet), std::vector<Bytes>{packet});
  }
}

TEST(TransmitChecksum, WithoutTheFeatureNothingOfTheHeaderCounts) {
  virtio_net_hdr header;
  std::memset(static_cast<void*>(&header), 0xff, sizeof header);
  EXPECT_EQ(frames_of(header, pattern(60), {}), std::vector<Bytes>{pattern(60)});
}

// --- segments ------------------------------------------------------------------------------------

/// Puts what segments carry together again, checking what each says about itself.
void expect_segments(const PacketForm& form, const Packet& packet, const std::vector<Bytes>& frames,
                     std::size_t mss) {
  Bytes payload;
  ASSERT_EQ(frames.size(), std::max<std::size_t>(1, (form.payload + mss - 1) / mss));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Bytes& frame = frames[i];
    expect_right(form, packet, frame);
    ASSERT_GE(frame.size(), packet.payload);
    EXPECT_EQ(frame.size() - packet.payload, std::min(mss, form.payload - i * mss));
    if (!form.ipv6) {
      const auto ip = layout_at<Ipv4Header>(frame, packet.network);
      EXPECT_EQ(ip.id, static_cast<std::uint16_t>(form.ipv4_id + i));
      EXPECT_EQ(ip.fragment, form.ipv4_fragment);
    }
    if (form.tcp) {
      const auto tcp = layout_at<TcpHeader>(frame, packet.transport);
      EXPECT_EQ(tcp.sequence, static_cast<std::uint32_t>(form.sequence + payload.size()));
      EXPECT_EQ(tcp.acknowledgement, form.acknowledgement);
      const bool first = i == 0, last = i + 1 == frames.size();
      std::uint16_t flags = form.flags;
      if (!first) flags &= static_cast<std::uint16_t>(~0x80);
      if (!last) flags &= static_cast<std::uint16_t>(~0x09);
      EXPECT_EQ(tcp.words_and_flags & 0xfff, flags) << "segment " << i;
    }
    payload.insert(payload.end(), frame.begin() + static_cast<std::ptrdiff_t>(packet.payload),
                   frame.end());
    // Whatever is not about length, order or checksum is the packet's.
    Bytes front(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(packet.network));
    EXPECT_TRUE(std::equal(front.begin(), front.end(), packet.bytes.begin()));
  }
  EXPECT_EQ(payload, pattern(form.payload, form.seed));
}

TEST(TransmitSegments, ReassembleToThePacket) {
  for (const PacketForm& form : forms()) {
    const Packet packet = make_packet(form);
    for (const std::uint16_t mss : {1, 7, 536, 1000, 1460, 4000, 9000})
      expect_segments(form, packet,
                      frames_of(request(form, packet, segments_type(form), mss), packet.bytes),
                      mss);
  }
}

TEST(TransmitSegments, OfRandomPacketsReassemble) {
  Random random(5, "segments");
  const auto kinds = forms();
  for (int i = 0; i < 500; ++i) {
    PacketForm form = kinds[random.next() % kinds.size()];
    form.payload = 1 + random.next() % 60'000;
    form.seed = static_cast<unsigned>(random.next());
    form.flags = static_cast<std::uint16_t>(random.next() & 0x1ff);
    form.ipv4_id = static_cast<std::uint16_t>(random.next());
    form.sequence = static_cast<std::uint32_t>(random.next());
    const auto mss = static_cast<std::uint16_t>(500 + random.next() % 9000);
    const Packet packet = make_packet(form);
    expect_segments(form, packet,
                    frames_of(request(form, packet, segments_type(form), mss), packet.bytes), mss);
    if (HasFailure()) return;
  }
}

TEST(TransmitSegments, FinAndPushAreOfTheLastCongestionWindowReducedOfTheFirst) {
  PacketForm form;
  form.flags = TcpHeader::ack | TcpHeader::psh | TcpHeader::fin | TcpHeader::cwr | 0x40;
  const Packet packet = make_packet(form);
  for (const std::uint8_t ecn : {std::uint8_t{0}, VIRTIO_NET_HDR_GSO_ECN}) {
    const auto frames = frames_of(
        request(form, packet, static_cast<std::uint8_t>(VIRTIO_NET_HDR_GSO_TCPV4 | ecn), 1500),
        packet.bytes);
    ASSERT_EQ(frames.size(), 3u);
    const auto flags = [&](std::size_t i) {
      return layout_at<TcpHeader>(frames[i], packet.transport).words_and_flags & 0xfff;
    };
    EXPECT_EQ(flags(0), 0xd0);
    EXPECT_EQ(flags(1), 0x50);
    EXPECT_EQ(flags(2), 0x59);
  }
}

TEST(TransmitSegments, WhatWasNotNegotiatedIsRefused) {
  const std::pair<PacketForm, unsigned> cases[] = {
      {{}, VIRTIO_NET_F_HOST_TSO4},
      {{.ipv6 = true}, VIRTIO_NET_F_HOST_TSO6},
      {{.tcp = false}, VIRTIO_NET_F_HOST_USO},
      {{.ipv6 = true, .tcp = false}, VIRTIO_NET_F_HOST_USO}};
  for (const auto& [form, feature] : cases) {
    const Packet packet = make_packet(form);
    const auto header = request(form, packet, segments_type(form), 1000);
    EXPECT_TRUE(frames_of(header, packet.bytes, FeatureSet(all).set(feature, false)).empty());
    EXPECT_EQ(frames_of(header, packet.bytes, {VIRTIO_NET_F_CSUM, feature}).size(), 4u);
  }
  const PacketForm udp{.tcp = false};
  const Packet packet = make_packet(udp);
  EXPECT_TRUE(frames_of(request(udp, packet, VIRTIO_NET_HDR_GSO_UDP, 1000), packet.bytes,
                        FeatureSet(all).set(VIRTIO_NET_F_HOST_UFO, false))
                  .empty());
  const PacketForm tcp;
  const Packet segment = make_packet(tcp);
  const std::uint8_t ecn = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
  EXPECT_EQ(frames_of(request(tcp, segment, ecn, 1000), segment.bytes).size(), 4u);
  EXPECT_TRUE(frames_of(request(tcp, segment, ecn, 1000), segment.bytes,
                        FeatureSet(all).set(VIRTIO_NET_F_HOST_ECN, false))
                  .empty());
}

TEST(TransmitSegments, ATypeThatDoesNotFitThePacketIsRefused) {
  for (const PacketForm& form : forms()) {
    const Packet packet = make_packet(form);
    for (unsigned type = 1; type < 256; ++type) {
      const bool fits = type == segments_type(form) ||
                        (!form.tcp && type == VIRTIO_NET_HDR_GSO_UDP) ||
                        (form.tcp && type == (tcp_type(form) | VIRTIO_NET_HDR_GSO_ECN));
      EXPECT_EQ(frames_of(request(form, packet, static_cast<std::uint8_t>(type), 800), packet.bytes)
                    .empty(),
                !fits)
          << type;
    }
  }
}

TEST(TransmitSegments, LyingRequestsAreRefused) {
  for (const bool tcp : {true, false}) {
    const PacketForm form{.tcp = tcp};
    const Packet packet = make_packet(form);
    const virtio_net_hdr good = request(form, packet, segments_type(form), 1000);
    EXPECT_EQ(frames_of(good, packet.bytes).size(), 4u);
    virtio_net_hdr bad = good;
    bad.flags = 0; // 5.1.6.2.1: with a gso_type NEEDS_CSUM is set
    EXPECT_TRUE(frames_of(bad, packet.bytes).empty());
    bad = good;
    bad.gso_size = std::uint16_t{0};
    EXPECT_TRUE(frames_of(bad, packet.bytes).empty());
    for (const int by : {-2, 2, 100}) {
      bad = good;
      bad.csum_start = static_cast<std::uint16_t>(good.csum_start + by);
      EXPECT_TRUE(frames_of(bad, packet.bytes).empty());
      bad = good;
      bad.csum_offset = static_cast<std::uint16_t>(good.csum_offset + by);
      EXPECT_TRUE(frames_of(bad, packet.bytes).empty());
    }
  }
}

TEST(TransmitSegments, HdrLenIsAHintUnlessItIsNegotiatedToBeExact) {
  const PacketForm form;
  const Packet packet = make_packet(form);
  virtio_net_hdr header = request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1000);
  const FeatureSet exact = FeatureSet(all).set(VIRTIO_NET_F_GUEST_HDRLEN);
  const auto frames = frames_of(header, packet.bytes);
  EXPECT_EQ(frames_of(header, packet.bytes, exact), frames);
  for (const std::uint16_t hdr_len : {0, 1, 53, 55, 100, 4054, 0xffff}) {
    header.hdr_len = hdr_len;
    EXPECT_EQ(frames_of(header, packet.bytes), frames) << hdr_len;
    EXPECT_TRUE(frames_of(header, packet.bytes, exact).empty()) << hdr_len;
  }
  header.gso_type = VIRTIO_NET_HDR_GSO_NONE; // then it is a hint in any case
  EXPECT_EQ(frames_of(header, packet.bytes, exact).size(), 1u);
}

TEST(TransmitSegments, LyingPacketsAreRefused) {
  for (const PacketForm& form : forms()) {
    if (form.payload < 100) continue;
    const Packet packet = make_packet(form);
    const auto header = request(form, packet, segments_type(form), 1000);
    const auto refused = [&](std::size_t at, std::uint8_t value) {
      Bytes bytes = packet.bytes;
      bytes[at] = std::byte{value};
      return frames_of(header, bytes).empty();
    };
    EXPECT_TRUE(refused(packet.network, 0x55)) << "version";
    EXPECT_TRUE(refused(packet.network - 1, 0x55)) << "type";
    EXPECT_TRUE(refused(packet.network + (form.ipv6 ? 5 : 3), 3)) << "length";
    if (form.ipv6) {
      EXPECT_TRUE(refused(packet.network + 6, 44)) << "a fragment";
      EXPECT_TRUE(refused(packet.network + 6, 58)) << "another protocol";
      if (!form.extensions.empty()) {
        EXPECT_TRUE(refused(packet.network + 41, 255)) << "an extension header past the end";
        EXPECT_TRUE(refused(packet.network + 40, 59)) << "no next header";
      }
    } else {
      EXPECT_TRUE(refused(packet.network, 0x44)) << "too short a header";
      EXPECT_TRUE(refused(packet.network + 6, 0x20)) << "a fragment";
      EXPECT_TRUE(refused(packet.network + 7, 0x01)) << "a later fragment";
      EXPECT_TRUE(refused(packet.network + 9, 1)) << "another protocol";
    }
    const bool lies = form.tcp ? refused(packet.transport + 12, 0x40) // a header of 16 bytes
                               : refused(packet.transport + 5, 1);    // UDP's length
    EXPECT_TRUE(lies);
    Bytes longer = packet.bytes;
    longer.push_back({});
    EXPECT_TRUE(frames_of(header, longer).empty()) << "bytes behind the packet";
  }
}

TEST(TransmitSegments, EveryPartOfAPacketAndEveryByteOfRubbishIsSafe) {
  Random random(11, "rubbish");
  const auto kinds = forms();
  for (const PacketForm& form : kinds) {
    const Packet packet = make_packet(form);
    const auto header = request(form, packet, segments_type(form), 1000);
    for (std::size_t size = 14; size < packet.payload; ++size) {
      const Bytes part(packet.bytes.begin(),
                       packet.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_TRUE(frames_of(header, part).empty());
    }
    for (int i = 0; i < 200; ++i) {
      Bytes bytes = packet.bytes;
      for (int k = 0; k < 3; ++k)
        bytes[random.next() % (packet.payload + 4) % bytes.size()] =
            static_cast<std::byte>(random.next());
      frames_of(header, bytes); // AddressSanitizer sees what is touched
    }
  }
}

// --- fragments -----------------------------------------------------------------------------------

/// Puts fragments together as RFC 791 and RFC 8200 say.
Bytes reassembled(const PacketForm& form, const Packet& packet, const std::vector<Bytes>& frames,
                  std::size_t mss) {
  Bytes data;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Bytes& frame = frames[i];
    const bool last = i + 1 == frames.size();
    std::size_t at = packet.fragmentable;
    if (form.ipv6) {
      const auto ip = layout_at<Ipv6Header>(frame, packet.network);
      EXPECT_EQ(ip.payload_len, frame.size() - packet.network - 40);
      const be16 place = layout_at<be16>(frame, at + 2);
      EXPECT_EQ(place & 0xfff8, data.size());
      EXPECT_EQ(place & 7, last ? 0 : 1);
      EXPECT_EQ(layout_at<be32>(frame, at + 4), 9u);
      at += 8;
    } else {
      const auto ip = layout_at<Ipv4Header>(frame, packet.network);
      EXPECT_EQ(ip.total_len, frame.size() - packet.network);
      EXPECT_EQ(ip.id, form.ipv4_id) << "all fragments of a datagram have one id";
      EXPECT_EQ((ip.fragment & 0x1fff) * 8u, data.size());
      EXPECT_EQ(ip.fragment & 0xe000, last ? 0 : 0x2000);
      EXPECT_EQ(test::plain_sum(std::span(frame).subspan(packet.network, at - packet.network)),
                0xffffu);
    }
    EXPECT_LE(frame.size() - at, mss);
    EXPECT_TRUE(last || (frame.size() - at) % 8 == 0);
    data.insert(data.end(), frame.begin() + static_cast<std::ptrdiff_t>(at), frame.end());
  }
  return data;
}

TEST(TransmitFragments, ReassembleToTheDatagram) {
  for (const PacketForm& form : forms()) {
    if (form.tcp) continue;
    const Packet packet = make_packet(form);
    for (const std::uint16_t mss : {8, 15, 536, 1001, 1480}) {
      const auto frames =
          frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_UDP, mss), packet.bytes);
      const Bytes whole = completed(form, packet);
      const Bytes data(whole.begin() + static_cast<std::ptrdiff_t>(packet.fragmentable),
                       whole.end());
      ASSERT_EQ(frames.size(), (data.size() + (mss & ~7u) - 1) / (mss & ~7u));
      if (frames.size() == 1) {
        EXPECT_EQ(frames[0], whole) << "no fragment when it fits";
        continue;
      }
      EXPECT_EQ(reassembled(form, packet, frames, mss), data);
      if (form.ipv6) {
        const std::byte was = whole[packet.fragmentable > packet.network + 40
                                        ? packet.network + 40 + 8 // behind hop-by-hop: routing
                                        : packet.network + 6];
        EXPECT_EQ(frames[1][packet.fragmentable], was) << "what follows the fragment header";
      }
    }
  }
}

TEST(TransmitFragments, UnitsAreEightBytes) {
  const PacketForm form{.tcp = false};
  const Packet packet = make_packet(form);
  EXPECT_TRUE(frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_UDP, 7), packet.bytes).empty());
  EXPECT_FALSE(frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_UDP, 8), packet.bytes).empty());
}

TEST(TransmitFragments, OptionsWithoutTheCopiedFlagAreInTheFirstAlone) {
  PacketForm form{.tcp = false};
  // Record route (7, not copied) of 7 bytes, router alert (0x94, copied) of 4 bytes, end.
  for (const unsigned byte : {7u, 7u, 4u, 1u, 2u, 3u, 4u, 0x94u, 4u, 5u, 6u, 0u})
    form.ipv4_options.push_back(static_cast<std::byte>(byte));
  const Packet packet = make_packet(form);
  const auto frames = frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_UDP, 1480), packet.bytes);
  ASSERT_EQ(frames.size(), 3u);
  const auto options = [&](std::size_t i) {
    return Bytes(frames[i].begin() + 34, frames[i].begin() + 46);
  };
  EXPECT_EQ(options(0), form.ipv4_options);
  Bytes later = form.ipv4_options;
  std::fill_n(later.begin(), 7, std::byte{1});
  EXPECT_EQ(options(1), later);
  EXPECT_EQ(options(2), later);
}

TEST(TransmitFragments, OptionsThatLieAboutTheirLengthAreSafe) {
  Random random(3, "options");
  for (int i = 0; i < 300; ++i) {
    PacketForm form{.tcp = false, .payload = 100};
    for (unsigned k = 0; k < 4 * (1 + random.next() % 10); ++k)
      form.ipv4_options.push_back(static_cast<std::byte>(random.next() % 12));
    const Packet packet = make_packet(form);
    const auto frames = frames_of(request(form, packet, VIRTIO_NET_HDR_GSO_UDP, 32), packet.bytes);
    reassembled(form, packet, frames, 32);
  }
}

} // namespace
} // namespace virtio::net
