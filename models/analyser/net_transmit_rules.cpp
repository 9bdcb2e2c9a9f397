// What a network driver's transmitted packets and their headers keep (virtio 1.4, 5.1.6.2.1).
#include <virtio/analyser/net_rules.hpp>
#include <virtio/net/layers.hpp>

#include <fmt/format.h>

namespace virtio::analyser {

using namespace net;

namespace {

constexpr FeatureSet host_segmentation{VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                                       VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO};

std::uint8_t protocol_of(std::uint8_t gso_type) {
  return gso_type & static_cast<std::uint8_t>(~VIRTIO_NET_HDR_GSO_ECN);
}
bool segments_tcp(std::uint8_t gso_type) {
  return protocol_of(gso_type) == VIRTIO_NET_HDR_GSO_TCPV4 ||
         protocol_of(gso_type) == VIRTIO_NET_HDR_GSO_TCPV6;
}
/// Options and extension headers may change what the pseudo header holds.
bool plain(const Layers& layers) {
  return layers.transport - layers.network ==
         (layers.ipv6 ? sizeof(Ipv6Header) : sizeof(Ipv4Header));
}
std::uint16_t checksum_offset(const Layers& layers) {
  return layers.tcp ? offsetof(TcpHeader, checksum) : offsetof(UdpHeader, checksum);
}
std::uint16_t word_at(Frame packet, std::size_t at) {
  be16 word;
  read_layout(packet.subspan(at), word);
  return word;
}

} // namespace

void NetRules::transmitted(std::uint16_t queue, const BufferContent& content) {
  const bool mac_known = config<std::uint32_t>(0) && config<std::uint16_t>(sizeof(le32));
  if (has(VIRTIO_NET_F_MAC) && !mac_known)
    add(Rule::NET_DRV_002, {}, [] { return "a packet was sent, and mac was never read"; });
  if (has(VIRTIO_NET_F_STATUS) && !config<std::uint16_t>(offsetof(virtio_net_config, status)))
    add(Rule::NET_DRV_004, {}, [] { return "a packet was sent, and status was never read"; });
  const std::size_t front = header_bytes();
  if (content.readable_len() && *content.readable_len() < front + sizeof(EthernetHeader)) {
    add(Rule::NET_LAY_003, queue, [&] {
      return fmt::format("{} bytes, {} of them the header", *content.readable_len(), front);
    });
    return;
  }
  virtio_net_hdr header;
  if (!read_layout(content.front(), header)) return;
  judge_header(queue, header);
  announce_due_ = false;
  if (content.whole()) judge_packet(queue, header, content.front().subspan(front));
}

void NetRules::judge_header(std::uint16_t queue, const virtio_net_hdr& header) {
  if (header.num_buffers != 0)
    add(Rule::NET_DRV_011, queue,
        [&] { return fmt::format("num_buffers is {}", std::uint16_t{header.num_buffers}); });
  if (!has(VIRTIO_NET_F_CSUM) && header.flags != 0)
    add(Rule::NET_DRV_012, queue, [&] { return fmt::format("flags are {:#04x}", header.flags); });
  if (header.flags & (VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_RSC_INFO))
    add(Rule::NET_DRV_026, queue, [&] { return fmt::format("flags are {:#04x}", header.flags); });
  if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) judge_segmentation(queue, header);
}

void NetRules::judge_segmentation(std::uint16_t queue, const virtio_net_hdr& header) {
  const auto type = [&] { return fmt::format("gso_type is {:#04x}", header.gso_type); };
  if ((features_ & host_segmentation) == FeatureSet{}) {
    add(Rule::NET_DRV_021, queue, type);
    return;
  }
  struct Kind {
    std::uint8_t type;
    unsigned feature;
    Rule rule;
  };
  constexpr Kind kinds[] = {{VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_HOST_TSO4, Rule::NET_DRV_013},
                            {VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_HOST_TSO6, Rule::NET_DRV_014},
                            {VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_F_HOST_UFO, Rule::NET_DRV_015},
                            {VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_F_HOST_USO, Rule::NET_DRV_016}};
  bool known = false;
  for (const Kind& kind : kinds) {
    if (kind.type != protocol_of(header.gso_type)) continue;
    known = true;
    if (!has(kind.feature)) add(kind.rule, queue, type);
  }
  const bool ecn = header.gso_type & VIRTIO_NET_HDR_GSO_ECN;
  if (!known || (ecn && !(segments_tcp(header.gso_type) && has(VIRTIO_NET_F_HOST_ECN))))
    add(Rule::NET_LAY_001, queue, type);
  if (!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || header.gso_size == 0)
    add(Rule::NET_DRV_022, queue, [&] {
      return fmt::format("gso_type {:#04x}, flags {:#04x}, gso_size {}", header.gso_type,
                         header.flags, std::uint16_t{header.gso_size});
    });
}

void NetRules::judge_packet(std::uint16_t queue, const virtio_net_hdr& header, Frame packet) {
  remember_source(packet);
  const bool segments = header.gso_type != VIRTIO_NET_HDR_GSO_NONE;
  const auto mtu = config<std::uint16_t>(offsetof(virtio_net_config, mtu));
  if (has(VIRTIO_NET_F_MTU) && mtu && protocol_of(header.gso_type) == VIRTIO_NET_HDR_GSO_NONE &&
      packet.size() > max_frame_bytes(packet, *mtu))
    add(Rule::NET_DRV_007, queue,
        [&] { return fmt::format("a frame of {} bytes, mtu is {}", packet.size(), *mtu); });
  judge_checksum(queue, header, packet);
  const auto layers = layers_of(packet);
  if (!layers) return;
  const auto lengths = [&] {
    return fmt::format("hdr_len is {}, the headers have {} bytes", std::uint16_t{header.hdr_len},
                       layers->payload);
  };
  if (segments && has(VIRTIO_NET_F_GUEST_HDRLEN)) {
    if (header.hdr_len != layers->payload) add(Rule::NET_DRV_023, queue, lengths);
  } else if (header.hdr_len < layers->payload) {
    add(Rule::NET_DRV_024, queue, lengths);
  }
  if (!segments_tcp(header.gso_type) || !layers->tcp) return;
  constexpr std::size_t flags_at = offsetof(TcpHeader, words_and_flags);
  const bool reduced = word_at(packet, layers->transport + flags_at) & TcpHeader::cwr;
  if (!reduced || (header.gso_type & VIRTIO_NET_HDR_GSO_ECN)) return;
  add(has(VIRTIO_NET_F_HOST_ECN) ? Rule::NET_DRV_017 : Rule::NET_DRV_017s, queue,
      [&] { return fmt::format("TCP with CWR, gso_type {:#04x}", header.gso_type); });
}

void NetRules::judge_checksum(std::uint16_t queue, const virtio_net_hdr& header, Frame packet) {
  const auto layers = layers_of(packet);
  if (!has(VIRTIO_NET_F_CSUM)) {
    const bool none = layers && !layers->tcp && !layers->ipv6 &&
                      word_at(packet, layers->transport + checksum_offset(*layers)) == 0;
    if (layers && !none && !checksums_right(packet, *layers))
      add(Rule::NET_DRV_012s, queue, [] { return "a checksum is wrong"; });
    return;
  }
  if (!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return;
  const std::size_t start = header.csum_start;
  const std::size_t at = start + header.csum_offset;
  const bool inside = start >= sizeof(EthernetHeader) && at + 2 <= packet.size();
  const bool segments = header.gso_type != VIRTIO_NET_HDR_GSO_NONE;
  // What begins behind the transport header may be a packet within.
  const bool fits =
      !layers || (start == layers->transport ? header.csum_offset == checksum_offset(*layers)
                                             : start > layers->transport && !segments);
  if (!inside || !fits) {
    add(Rule::NET_DRV_020, queue, [&] {
      return fmt::format("csum_start {}, csum_offset {} in {} bytes{}", start,
                         std::uint16_t{header.csum_offset}, packet.size(),
                         layers ? fmt::format(", transport header at {}", layers->transport) : "");
    });
    return;
  }
  if (!layers || start != layers->transport || !plain(*layers)) return;
  const std::uint16_t sum = pseudo_header_sum(packet, *layers, layers->end - layers->transport);
  if (word_at(packet, at) % 0xffff == sum % 0xffff) return;
  add(Rule::NET_DRV_019, queue, [&] {
    return fmt::format("the field holds {:#06x}, the pseudo header's sum is {:#06x}",
                       word_at(packet, at), sum);
  });
}

void NetRules::remember_source(Frame packet) {
  EthernetHeader ethernet;
  if (!read_layout(packet, ethernet)) return;
  ++sent_;
  if (ethernet.source[0] & 2) ++sent_local_;
  bool own = true;
  for (std::size_t i = 0; i < ethernet.source.size(); ++i)
    own &= config_.at(i) == ethernet.source.at(i);
  if (own) ++sent_mac_;
}

} // namespace virtio::analyser
