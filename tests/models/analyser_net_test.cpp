// The protocol analyser on a network device's driver (virtio 1.4, 5.1): what it reads of the
// configuration, headers and packets that it sends, room that it posts, commands.
#include "models/analyser_bench.hpp"
#include "models/net_packets.hpp"

#include <virtio/core/random.hpp>
#include <virtio/net/features.hpp>
#include <virtio/net/hash.hpp>

#include <gtest/gtest.h>

namespace virtio::test {
namespace {

using namespace net;
using net::test::append;
using net::test::completed;
using net::test::make_packet;
using net::test::Packet;
using net::test::PacketForm;

/// A driver of a network device with split rings, and what the device reads and writes.
struct NetScript : MmioScript {
  static constexpr std::uint16_t size = 16;
  static constexpr std::uint64_t config = 0x100;
  std::uint16_t pairs = 1; // max_virtqueue_pairs
  std::uint16_t mtu = 1500;
  std::uint16_t table_length = 128;
  std::uint32_t hash_types = 0x3f;
  std::uint16_t link = VIRTIO_NET_S_LINK_UP;
  FeatureSet accepted;

  struct Ring {
    std::uint16_t avail = 0;
    std::uint16_t used = 0;
  };
  std::map<std::uint16_t, Ring> rings;

  static std::uint64_t base(std::uint16_t q) { return 0x10'0000ull * (q + 1u); }
  static std::vector<std::uint8_t> le(std::uint64_t value, unsigned bytes) {
    std::vector<std::uint8_t> all;
    for (unsigned i = 0; i < bytes; ++i)
      all.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    return all;
  }
  static std::vector<std::uint8_t> octets(const Bytes& bytes) {
    std::vector<std::uint8_t> all;
    for (const std::byte b : bytes)
      all.push_back(std::to_integer<std::uint8_t>(b));
    return all;
  }

  void settle(FeatureSet offer, FeatureSet accept) {
    r(0x00, 0x7472'6976);
    r(0x04, 2);
    r(0x08, 1);
    reset();
    w(0x70, 1);
    w(0x70, 3);
    offer.set(VIRTIO_F_VERSION_1);
    accepted = accept.set(VIRTIO_F_VERSION_1);
    MmioScript::offer(offer);
    MmioScript::accept(accepted);
    features_ok();
  }
  void read_mac() {
    for (unsigned i = 0; i < 6; ++i)
      r(config + i, i == 0 ? 2 : i == 5 ? 1 : 0, 1);
  }
  void read_status() { r(config + 6, link, 2); }
  void read_speed() { r(config + 12, 1000, 4); }
  void read_rest() {
    r(config + 8, pairs, 2);
    r(config + 10, mtu, 2);
    read_speed();
    r(config + 16, 1, 1);
    r(config + 18, table_length, 2);
    r(config + 20, hash_types, 4);
  }
  void set_up(std::uint16_t q) {
    w(0x30, q);
    r(0x44, 0);
    r(0x34, 256);
    w(0x38, size);
    addresses(base(q), base(q) + 0x4000, base(q) + 0x8000);
    w(0x44, 1);
  }
  /// All queues that the features have.
  void live(std::uint16_t queues) {
    for (std::uint16_t q = 0; q < queues; ++q)
      set_up(q);
    w(0x70, 0x0f);
  }
  void live() {
    const bool several = accepted.has(VIRTIO_NET_F_MQ) || accepted.has(VIRTIO_NET_F_RSS);
    live(
        static_cast<std::uint16_t>(2 * (several ? pairs : 1) + accepted.has(VIRTIO_NET_F_CTRL_VQ)));
  }
  void begin(FeatureSet features) {
    settle(features, features);
    read_mac();
    read_status();
    read_rest();
    live();
  }
  std::uint16_t controlq() const {
    const bool several = accepted.has(VIRTIO_NET_F_MQ) || accepted.has(VIRTIO_NET_F_RSS);
    return static_cast<std::uint16_t>(2 * (several ? pairs : 1));
  }

  /// The device reads `available` further heads of the ring.
  void look(std::uint16_t q, std::uint16_t available) {
    Ring& ring = rings[q];
    device_access(false, base(q) + 0x4002, le(ring.avail + available, 2));
    for (std::uint16_t i = 0; i < available; ++i, ++ring.avail)
      device_access(false, base(q) + 0x4004 + 2 * (ring.avail % size),
                    le(2 * (ring.avail % (size / 2)), 2));
  }
  std::uint64_t data_at(std::uint16_t q, std::uint16_t position) const {
    return base(q) + 0x1'0000 + 0x1'4000 * (position % (size / 2));
  }
  /// Its descriptors of the buffer at a position of the ring: one readable, one writable.
  void read_descriptors(std::uint16_t q, std::uint16_t position, std::size_t readable,
                        std::size_t writable) {
    const std::uint64_t at = data_at(q, position);
    const std::uint64_t entry = base(q) + 32u * (position % (size / 2));
    if (readable) {
      auto desc = le(at, 8);
      for (auto more : {le(readable, 4), le(writable ? 1 : 0, 2), le(0, 2)})
        desc.insert(desc.end(), more.begin(), more.end());
      const auto next = 2u * (position % (size / 2)) + 1;
      desc[14] = static_cast<std::uint8_t>(next);
      device_access(false, entry, desc);
    }
    if (writable) {
      auto desc = le(at + 0x1'2000, 8);
      for (auto more : {le(writable, 4), le(2, 2), le(0, 2)})
        desc.insert(desc.end(), more.begin(), more.end());
      device_access(false, entry + (readable ? 16 : 0), desc);
    }
  }
  /// It reads the second half first, then hands the buffer back.
  void work(std::uint16_t q, std::uint16_t position, const Bytes& bytes, std::size_t written = 0) {
    const std::uint64_t at = data_at(q, position);
    const auto data = octets(bytes);
    const auto half = data.begin() + static_cast<std::ptrdiff_t>(data.size() / 2);
    if (!data.empty()) {
      device_access(false, at + data.size() / 2, {half, data.end()});
      device_access(false, at, {data.begin(), half});
    }
    if (written) device_access(true, at + 0x1'2000, std::vector<std::uint8_t>(written));
    Ring& ring = rings[q];
    auto elem = le(2u * (position % (size / 2)), 4);
    const auto length = le(written, 4);
    elem.insert(elem.end(), length.begin(), length.end());
    device_access(true, base(q) + 0x8004 + 8u * (ring.used % size), elem);
    device_access(true, base(q) + 0x8002, le(++ring.used, 2));
  }
  void buffer(std::uint16_t q, const Bytes& bytes, std::size_t writable, std::size_t written) {
    const std::uint16_t position = rings[q].avail;
    look(q, 1);
    read_descriptors(q, position, bytes.size(), writable);
    work(q, position, bytes, written);
    look(q, 0);
  }
  /// A receive buffer, left to the device.
  void post(std::uint16_t q, std::size_t bytes) {
    const std::uint16_t position = rings[q].avail;
    look(q, 1);
    read_descriptors(q, position, 0, bytes);
  }
  void send(const virtio_net_hdr& header, const Bytes& packet, std::uint16_t q = 1) {
    Bytes bytes;
    append(bytes, header);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    buffer(q, bytes, 0, 0);
  }
  template <class... Layouts>
  void command(std::uint8_t class_, std::uint8_t command, const Layouts&... data) {
    Bytes bytes;
    append(bytes, virtio_net_ctrl{class_, command});
    (append(bytes, data), ...);
    buffer(controlq(), bytes, 1, 1); // acknowledged with 0, VIRTIO_NET_OK
  }
  void set_pairs(std::uint16_t pairs_now) {
    command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le16(pairs_now));
  }
  void finish() { analyser.finish(now); }
};

using Net = NetScript;
using Key = std::array<std::uint8_t, 40>;

/// A packet that is right, whose headers have 54, 74 or 42 bytes.
struct Sent {
  PacketForm form{.payload = 600};
  std::uint8_t gso_type = VIRTIO_NET_HDR_GSO_NONE;

  virtio_net_hdr header() const {
    const Packet packet = make_packet(form);
    return net::test::request(form, packet, gso_type, gso_type ? 100 : 0);
  }
  Bytes partial() const { return make_packet(form).bytes; }
  Bytes whole() const { return completed(form, make_packet(form)); }
};

/// Where no checksum is left open.
virtio_net_hdr plain_header(std::uint16_t hdr_len = 54) {
  virtio_net_hdr header;
  header.hdr_len = hdr_len;
  return header;
}
void send_plain(Net& t, std::uint16_t q = 1) {
  t.send(plain_header(), Sent{}.whole(), q);
}

const FeatureSet offloads{VIRTIO_NET_F_CSUM,     VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                          VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_UFO,  VIRTIO_NET_F_HOST_USO};
FeatureSet without(FeatureSet features, unsigned feature) {
  return features.set(feature, false);
}

/// A feature that is offered, and accepted or not.
template <unsigned feature> void offered(Net& t, bool broken) {
  t.settle({feature}, broken ? FeatureSet{} : FeatureSet{feature});
}

const bool configuration_cases = add_cases<Net>({
    {"NET-DRV-001", "NotAccepted", offered<VIRTIO_NET_F_MAC>},
    {"NET-DRV-005", "NotAccepted", offered<VIRTIO_NET_F_MTU>},
    {"NET-DRV-008", "NotAccepted", offered<VIRTIO_NET_F_STANDBY>},
    {"NET-DRV-002", "MacNotRead",
     [](Net& t, bool broken) {
       t.settle({VIRTIO_NET_F_MAC}, {VIRTIO_NET_F_MAC});
       if (!broken) t.read_mac();
       t.live();
       send_plain(t);
     }},
    {"NET-DRV-002", "HalfOfMacRead",
     [](Net& t, bool broken) {
       t.settle({VIRTIO_NET_F_MAC}, {VIRTIO_NET_F_MAC});
       t.r(Net::config, 2, 4);
       if (!broken) t.r(Net::config + 4, 0x100, 2);
       t.live();
       send_plain(t);
     }},
    {"NET-DRV-003", "AForeignAddress",
     [](Net& t, bool broken) {
       t.settle({}, {});
       t.live();
       Bytes frame = Sent{}.whole();
       if (broken) frame[6] = std::byte{0};
       t.send(plain_header(), frame);
       t.finish();
     }},
    {"NET-DRV-004", "StatusNotRead",
     [](Net& t, bool broken) {
       t.settle({VIRTIO_NET_F_STATUS}, {VIRTIO_NET_F_STATUS});
       if (!broken) t.read_status();
       t.live();
       send_plain(t);
     }},
    {"NET-DRV-006", "NoRoomForTheMtu",
     [](Net& t, bool broken) {
       t.mtu = 4000;
       t.begin({VIRTIO_NET_F_MTU});
       t.post(0, 2000);
       t.post(0, broken ? 4025 : 4026);
       send_plain(t);
       t.finish();
     }},
    {"NET-DRV-006", "NoRoomForTheMtuInSeveralBuffers",
     [](Net& t, bool broken) {
       t.mtu = 4000;
       t.begin({VIRTIO_NET_F_MTU, VIRTIO_NET_F_MRG_RXBUF});
       t.post(0, 2000);
       t.post(0, broken ? 2025 : 2026);
       send_plain(t);
       t.reset();
     }},
    {"NET-DRV-007", "LongerThanTheMtu",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_MTU});
       t.send(plain_header(), Sent{.form = {.payload = broken ? 1461u : 1460u}}.whole());
     }},
    {"NET-DRV-010", "SpeedNotReadAgain",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_SPEED_DUPLEX});
       t.r(0x60, 2);
       t.w(0x64, 2);
       if (!broken) t.read_speed();
       t.r(Net::config + 16, 1, 1);
       t.finish();
     }},
    {"NET-DRV-039", "AddressNotSet",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_MAC, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX});
       const MacAddress other{2, 0, 0, 0, 0, 9};
       if (!broken) t.command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other);
       Bytes frame = Sent{}.whole();
       frame[11] = std::byte{9};
       t.send(plain_header(), frame);
       t.finish();
     }},
    {"NET-DRV-042", "NotAnnounced",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_GUEST_ANNOUNCE});
       t.link |= VIRTIO_NET_S_ANNOUNCE;
       t.read_status();
       if (!broken) send_plain(t);
       t.command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK);
       t.finish();
     }},
    {"NET-DRV-043", "AnnouncementNotAcknowledged",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_GUEST_ANNOUNCE});
       t.link |= VIRTIO_NET_S_ANNOUNCE;
       t.read_status();
       send_plain(t);
       if (!broken) t.command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK);
       t.finish();
     }},
    {"NET-LAY-002", "SegmentationWithoutChecksum",
     [](Net& t, bool broken) {
       const FeatureSet all{VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4};
       t.settle(all, broken ? FeatureSet{VIRTIO_NET_F_HOST_TSO4} : all);
     }},
});

/// A segmentation that comes with its feature, or with the others alone.
template <std::uint8_t type, unsigned feature> void segmentation(Net& t, bool broken) {
  t.begin(broken ? without(offloads, feature).set(VIRTIO_NET_F_HOST_ECN, false) : offloads);
  const bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
  const Sent sent{{.ipv6 = type == VIRTIO_NET_HDR_GSO_TCPV6, .tcp = tcp, .payload = 3000}, type};
  t.send(sent.header(), sent.partial());
}
/// A TCP packet to be segmented with CWR set.
void send_reduced(Net& t, bool marked) {
  Sent sent{{.flags = TcpHeader::ack | TcpHeader::cwr, .payload = 3000}, VIRTIO_NET_HDR_GSO_TCPV4};
  if (marked) sent.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
  t.send(sent.header(), sent.partial());
}
void send_segmented(Net& t, const std::function<void(virtio_net_hdr&)>& change) {
  const Sent sent{{.payload = 3000}, VIRTIO_NET_HDR_GSO_TCPV4};
  virtio_net_hdr header = sent.header();
  if (change) change(header);
  t.send(header, sent.partial());
}

const bool header_cases = add_cases<Net>({
    {"NET-DRV-011", "NumBuffers",
     [](Net& t, bool broken) {
       t.begin({});
       virtio_net_hdr header = plain_header();
       header.num_buffers = std::uint16_t{broken};
       t.send(header, Sent{}.whole());
     }},
    {"NET-DRV-012", "Flags",
     [](Net& t, bool broken) {
       t.begin({});
       virtio_net_hdr header = plain_header();
       header.flags = broken ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
       t.send(header, Sent{}.whole());
     }},
    {"NET-DRV-012s", "WrongChecksum",
     [](Net& t, bool broken) {
       t.begin({});
       t.send(plain_header(), broken ? Sent{}.partial() : Sent{}.whole());
     }},
    {"NET-DRV-012s", "WrongUdpChecksum",
     [](Net& t, bool broken) {
       t.begin({});
       const Sent sent{.form = {.tcp = false, .payload = 30}};
       Bytes frame = sent.partial();
       if (!broken) frame[40] = frame[41] = std::byte{0}; // none at all is no wrong one
       t.send(plain_header(42), frame);
     }},
    {"NET-DRV-013", "NotNegotiated",
     segmentation<VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4>},
    {"NET-DRV-014", "NotNegotiated",
     segmentation<VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6>},
    {"NET-DRV-015", "NotNegotiated", segmentation<VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_F_HOST_UFO>},
    {"NET-DRV-016", "NotNegotiated",
     segmentation<VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO>},
    {"NET-DRV-017", "NotMarked",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_reduced(t, !broken);
     }},
    {"NET-DRV-017s", "CongestionWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(without(offloads, VIRTIO_NET_F_HOST_ECN));
       if (broken)
         send_reduced(t, false);
       else
         send_segmented(t, {});
     }},
    {"NET-DRV-019", "AnotherSum",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CSUM});
       const Sent sent{.form = {.ipv6 = true}};
       t.send(sent.header(), broken ? sent.whole() : sent.partial());
     }},
    {"NET-DRV-019", "ZeroInsteadOfTheSum",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CSUM});
       const Sent sent{.form = {.tcp = false, .payload = 30}};
       Bytes packet = sent.partial();
       if (broken) packet[40] = packet[41] = std::byte{0};
       t.send(sent.header(), packet);
     }},
    {"NET-DRV-020", "BehindThePacket",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CSUM});
       Bytes frame(60);
       virtio_net_hdr header = plain_header();
       header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
       header.csum_start = std::uint16_t{20};
       header.csum_offset = static_cast<std::uint16_t>(broken ? 39 : 38);
       t.send(header, frame);
     }},
    {"NET-DRV-020", "AnotherPlaceThanTcpHas",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CSUM});
       const Sent sent;
       virtio_net_hdr header = sent.header();
       if (broken) header.csum_offset = std::uint16_t{6};
       t.send(header, sent.partial());
     }},
    {"NET-DRV-021", "SegmentationWithoutAnyFeature",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CSUM});
       send_segmented(t, [&](auto& h) {
         if (!broken) h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
       });
     }},
    {"NET-DRV-022", "WithoutSize",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t, [&](auto& h) { h.gso_size = static_cast<std::uint16_t>(broken ? 0 : 1); });
     }},
    {"NET-DRV-022", "WithoutNeedsCsum",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t, [&](auto& h) { h.flags = broken ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM; });
     }},
    {"NET-DRV-023", "InexactHdrLen",
     [](Net& t, bool broken) {
       t.begin(FeatureSet(offloads).set(VIRTIO_NET_F_GUEST_HDRLEN));
       send_segmented(t,
                      [&](auto& h) { h.hdr_len = static_cast<std::uint16_t>(broken ? 55 : 54); });
     }},
    {"NET-DRV-024", "HdrLenBelowTheHeaders",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t,
                      [&](auto& h) { h.hdr_len = static_cast<std::uint16_t>(broken ? 53 : 55); });
     }},
    {"NET-DRV-026", "DataValid",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t, [&](auto& h) { h.flags |= broken ? VIRTIO_NET_HDR_F_DATA_VALID : 0; });
     }},
    {"NET-DRV-026", "RscInfo",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t, [&](auto& h) { h.flags |= broken ? VIRTIO_NET_HDR_F_RSC_INFO : 0; });
     }},
    {"NET-LAY-001", "UnknownGsoType",
     [](Net& t, bool broken) {
       t.begin(offloads);
       send_segmented(t, [&](auto& h) { h.gso_type = broken ? 2 : VIRTIO_NET_HDR_GSO_TCPV4; });
     }},
    {"NET-LAY-003", "NoEthernetHeader",
     [](Net& t, bool broken) {
       t.begin({});
       t.send(plain_header(), Bytes(broken ? 13 : 14));
     }},
    {"NET-LAY-003", "HeaderWithoutTheHash",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT});
       t.buffer(1, Bytes(broken ? 33 : 34), 0, 0);
     }},
});

const bool receive_cases = add_cases<Net>({
    {"NET-DRV-027", "NoRoomForSegments",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4});
       t.post(0, broken ? 65561 : 65562);
     }},
    {"NET-DRV-028", "NoRoomForAFrame",
     [](Net& t, bool broken) {
       t.begin({});
       t.post(0, broken ? 1525 : 1526);
     }},
    {"NET-DRV-029", "NoRoomForTheHeader",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_MRG_RXBUF});
       t.post(0, broken ? 11 : 12);
     }},
    {"NET-DRV-029", "NoRoomForTheHeaderWithHash",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT});
       t.post(0, broken ? 19 : 20);
     }},
});

const FeatureSet filters{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA};
const std::uint8_t on = 1;
/// Unicast and multicast addresses as MAC_TABLE_SET has them.
void set_table(Net& t, std::uint32_t first, MacAddress unicast) {
  t.command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, le32(first), unicast, le32(1u),
            MacAddress{0x33, 0x33, 0, 0, 0, 1});
}

const bool command_cases = add_cases<Net>({
    {"NET-DRV-036", "PromiscWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(broken ? without(filters, VIRTIO_NET_F_CTRL_RX) : filters);
       t.command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, on);
     }},
    {"NET-DRV-037", "NoMulticastWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(broken ? without(filters, VIRTIO_NET_F_CTRL_RX_EXTRA) : filters);
       t.command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, on);
     }},
    {"NET-DRV-038", "TablesWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(broken ? without(filters, VIRTIO_NET_F_CTRL_RX) : filters);
       set_table(t, 1, {2, 0, 0, 0, 0, 7});
     }},
    {"NET-DRV-038", "AddressWithoutEitherFeature",
     [](Net& t, bool broken) {
       t.begin(
           {VIRTIO_NET_F_CTRL_VQ, broken ? VIRTIO_NET_F_CTRL_VLAN : VIRTIO_NET_F_CTRL_MAC_ADDR});
       t.command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, MacAddress{2, 0, 0, 0, 0, 7});
     }},
    {"NET-DRV-040", "MoreEntriesThanThereAre",
     [](Net& t, bool broken) {
       t.begin(filters);
       set_table(t, broken ? 3 : 1, {2, 0, 0, 0, 0, 7});
     }},
    {"NET-DRV-040", "MulticastAmongUnicast",
     [](Net& t, bool broken) {
       t.begin(filters);
       set_table(t, 1, {static_cast<std::uint8_t>(broken ? 1 : 2), 0, 0, 0, 0, 7});
     }},
    {"NET-DRV-053", "OffloadThatWasNotNegotiated",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_GUEST_CSUM});
       t.command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
                 le64(1ull << (broken ? VIRTIO_NET_F_GUEST_TSO4 : VIRTIO_NET_F_GUEST_CSUM)));
     }},
    {"NET-DRV-054", "CoalescingWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, broken ? VIRTIO_NET_F_CTRL_VLAN : VIRTIO_NET_F_NOTF_COAL});
       t.command(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_TX_SET,
                 virtio_net_ctrl_coal{});
     }},
    {"NET-LAY-004", "UnknownClass",
     [](Net& t, bool broken) {
       t.begin(filters);
       t.command(broken ? 99 : VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, on);
     }},
    {"NET-LAY-004", "DataMissing",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_VLAN});
       if (broken)
         t.command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, on);
       else
         t.command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, le16(std::uint16_t{7}));
     }},
    {"NET-LAY-005", "VlanWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(broken ? filters : FeatureSet(filters).set(VIRTIO_NET_F_CTRL_VLAN));
       t.command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, le16(std::uint16_t{7}));
     }},
});

const FeatureSet several{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ};
const FeatureSet scaling{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_RSS};
struct SeveralPairs : Net {
  SeveralPairs() { pairs = 4; }
};
/// Every receive queue has a buffer.
void stock(Net& t) {
  for (std::uint16_t pair = 0; pair < t.pairs; ++pair)
    t.post(static_cast<std::uint16_t>(2 * pair), 1526);
}
using Table = std::vector<std::uint16_t>;
void set_rss(Net& t, const Table& table, std::uint32_t types = 1, std::uint16_t max_tx_vq = 4) {
  Bytes bytes;
  append(bytes, virtio_net_ctrl{VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG});
  append(bytes, virtio_net_rss_config{types, static_cast<std::uint16_t>(table.size() - 1), {}});
  for (const std::uint16_t entry : table)
    append(bytes, le16(entry));
  append(bytes, le16(max_tx_vq));
  append(bytes, std::uint8_t{40});
  append(bytes, Key{});
  t.buffer(t.controlq(), bytes, 1, 1);
}
void set_hash(Net& t, std::uint32_t types, std::uint16_t reserved = 0) {
  virtio_net_hash_config front;
  front.hash_types = types;
  front.reserved[2] = reserved;
  t.command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, front, std::uint8_t{40}, Key{});
}

const bool multiqueue_cases = add_cases<SeveralPairs>({
    {"NET-DRV-030", "AReceiveQueueWithoutBuffers",
     [](Net& t, bool broken) {
       t.begin(several);
       t.set_pairs(2);
       t.post(0, 1526);
       if (!broken) t.post(2, 1526);
       send_plain(t);
       t.finish();
     }},
    {"NET-DRV-044", "AQueueThatIsNotEnabled",
     [](Net& t, bool broken) {
       t.settle(several, several);
       t.read_rest();
       for (const std::uint16_t q : {0, 1, 2, 8})
         t.set_up(q);
       if (!broken) t.set_up(3);
       t.w(0x70, 0x0f);
       t.set_pairs(2);
     }},
    {"NET-DRV-045", "NoPairs",
     [](Net& t, bool broken) {
       t.begin(several);
       t.set_pairs(broken ? 0 : 1);
     }},
    {"NET-DRV-045", "TooManyPairs",
     [](Net& t, bool broken) {
       t.begin(several);
       t.set_pairs(broken ? 5 : 4);
     }},
    {"NET-DRV-046", "AnotherTransmitQueueBeforeTheCommand",
     [](Net& t, bool broken) {
       t.begin(several);
       stock(t);
       if (!broken) t.set_pairs(2);
       send_plain(t, 3);
       t.reset();
     }},
    {"NET-DRV-046", "AnotherTransmitQueueAndTheControlQueueIsEmpty",
     [](Net& t, bool broken) {
       t.begin(several);
       send_plain(t, broken ? 3 : 1);
       t.look(t.controlq(), 0);
     }},
    {"NET-DRV-047", "AQueueThatWasGivenUp",
     [](Net& t, bool broken) {
       t.begin(several);
       stock(t);
       t.set_pairs(3);
       send_plain(t, 5);
       t.set_pairs(2);
       send_plain(t, 5); // may have been there before the command
       if (broken) send_plain(t, 5);
       t.finish();
     }},
    {"NET-TXT-023", "ReservedIsNotZero",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT});
       set_hash(t, 1, broken);
     }},
    {"NET-DRV-048", "RssWithoutTheFeature",
     [](Net& t, bool broken) {
       t.begin(broken ? several : scaling);
       set_rss(t, {0, 1, 2, 3});
     }},
    {"NET-DRV-049", "AnEntryBeyondTheQueues",
     [](Net& t, bool broken) {
       t.begin(scaling);
       set_rss(t, {0, 1, 2, static_cast<std::uint16_t>(broken ? 4 : 3)});
     }},
    {"NET-DRV-049", "AnEntryThatIsNotEnabled",
     [](Net& t, bool broken) {
       t.settle(scaling, scaling);
       t.read_rest();
       for (const std::uint16_t q : {0, 1, 3, 8})
         t.set_up(q);
       if (!broken) t.set_up(2);
       t.w(0x70, 0x0f);
       set_rss(t, {0, 1}, 1, 2);
     }},
    {"NET-DRV-050", "ATableOfThree",
     [](Net& t, bool broken) {
       t.begin(scaling);
       set_rss(t, broken ? Table{0, 1, 2} : Table{0, 1, 2, 3});
     }},
    {"NET-DRV-051", "ATableTooLong",
     [](Net& t, bool broken) {
       t.begin(scaling);
       set_rss(t, Table(broken ? 256 : 128));
     }},
    {"NET-DRV-052", "ATypeThatIsNotSupported",
     [](Net& t, bool broken) {
       t.begin(scaling);
       set_rss(t, {0}, broken ? 0x40 : 0x20);
     }},
    {"NET-DRV-052", "ATypeThatIsNotSupportedForReports",
     [](Net& t, bool broken) {
       t.begin({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT});
       set_hash(t, broken ? 0x40 : 0x20);
     }},
    {"NET-LAY-004", "RssIsCut",
     [](Net& t, bool broken) {
       t.begin(scaling);
       if (!broken) return set_rss(t, {0, 1});
       t.command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
                 virtio_net_rss_config{1u, std::uint16_t{1}, {}}, le16(std::uint16_t{1}));
     }},
});

// --- what is legal
// ---------------------------------------------------------------------------------------

TEST(AnalyserNet, APacketOnAnotherQueueIsLegalWhenTheCommandIsReadLater) {
  SeveralPairs t;
  t.begin(several);
  stock(t);
  t.w(0x50, t.controlq()); // the command is in the ring
  send_plain(t, 3);
  t.set_pairs(2);
  t.finish();
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserNet, WhatTheDeviceHasNotReadIsNotJudged) {
  NetScript t;
  t.begin(offloads);
  virtio_net_hdr wrong = plain_header();
  wrong.num_buffers = std::uint16_t{3};
  const std::uint16_t position = t.rings[1].avail;
  t.look(1, 1);
  t.read_descriptors(1, position, 2000, 0);
  t.work(1, position, {}); // returned unread
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserNet, AChecksumWithinATunnelIsNotTheOuterOnes) {
  NetScript t;
  t.begin(offloads);
  Sent sent{.form = {.tcp = false, .payload = 200}};
  virtio_net_hdr header = sent.header();
  header.csum_start = std::uint16_t{100};
  header.csum_offset = std::uint16_t{16};
  t.send(header, sent.whole());
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

// Run with sanitizers this says the most.
TEST(AnalyserNet, CommandsAndPacketsMayHoldAnything) {
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    SeveralPairs t;
    FeatureSet features = all_net_features;
    for (int i = 0; i < 5; ++i)
      features.set(static_cast<unsigned>(random.below(64)), false);
    t.begin(features);
    for (int i = 0; i < 100; ++i) {
      Bytes bytes(1 + random.below(200));
      random.fill(bytes);
      for (std::byte& b : bytes)
        if (random.below(3)) b = static_cast<std::byte>(random.below(6));
      const bool command = random.below(2) != 0;
      t.buffer(command ? t.controlq() : static_cast<std::uint16_t>(1 + 2 * random.below(4)), bytes,
               command ? 1 : 0, command ? 1 : 0);
    }
    t.finish();
    EXPECT_GT(t.analyser.total(), 0u);
  }
}

TEST(AnalyserNet, ADeviceOfAnotherTypeHasNoSuchRules) {
  MmioScript t; // an entropy device, whose feature 3 is not VIRTIO_NET_F_MTU
  t.meet();
  t.offer({VIRTIO_F_VERSION_1, VIRTIO_NET_F_MTU});
  t.accept({VIRTIO_F_VERSION_1});
  t.features_ok();
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

} // namespace
} // namespace virtio::test
