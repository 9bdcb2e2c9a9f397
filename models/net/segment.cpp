#include <virtio/net/segment.hpp>

#include <algorithm>
#include <cstring>

namespace virtio::net {

namespace {

constexpr std::size_t tcp_checksum = offsetof(TcpHeader, checksum);
constexpr std::size_t udp_checksum = offsetof(UdpHeader, checksum);
constexpr std::uint8_t fragment_header = 44;

/// IPv6's fragment header (RFC 8200, 4.5).
struct FragmentHeader {
  std::uint8_t next_header = 0;
  std::uint8_t reserved = 0;
  be16 offset_and_more;
  be32 id;
};
static_assert(sizeof(FragmentHeader) == 8);

template <class Layout> void put(std::span<std::byte> to, std::size_t at, const Layout& layout) {
  std::memcpy(to.data() + at, static_cast<const void*>(&layout), sizeof layout);
}
template <class Layout> Layout get(std::span<const std::byte> from, std::size_t at) {
  Layout layout;
  read_layout(from.subspan(at), layout);
  return layout;
}
void copy(std::span<std::byte> to, std::size_t at, Frame from) {
  if (!from.empty()) std::memcpy(to.data() + at, from.data(), from.size());
}

/// Ones' complement: what the pseudo header's length adds when it changes from `before` to `after`.
std::uint16_t length_change(std::size_t before, std::size_t after) {
  return static_cast<std::uint16_t>((after + 0xffff - before) % 0xffff);
}

unsigned feature_of(std::uint8_t gso_type, bool ipv6) {
  switch (gso_type) {
  case VIRTIO_NET_HDR_GSO_TCPV4:
    return ipv6 ? FeatureSet::bits : VIRTIO_NET_F_HOST_TSO4;
  case VIRTIO_NET_HDR_GSO_TCPV6:
    return ipv6 ? VIRTIO_NET_F_HOST_TSO6 : FeatureSet::bits;
  case VIRTIO_NET_HDR_GSO_UDP:
    return VIRTIO_NET_F_HOST_UFO;
  case VIRTIO_NET_HDR_GSO_UDP_L4:
    return VIRTIO_NET_F_HOST_USO;
  default:
    return FeatureSet::bits; // nobody negotiates that
  }
}

/// RFC 791, 3.1: options without the copied flag are in the first fragment alone; later ones have
/// no-operations in their place.
void blank_options(std::span<std::byte> options) {
  constexpr unsigned end = 0, no_operation = 1, copied = 0x80;
  for (std::size_t at = 0; at < options.size();) {
    const auto type = std::to_integer<unsigned>(options[at]);
    if (type == end) return;
    std::size_t length = 1;
    if (type != no_operation) {
      if (at + 1 == options.size()) return;
      length = std::to_integer<std::size_t>(options[at + 1]);
      if (length < 2 || length > options.size() - at) return;
    }
    if (!(type & copied)) std::ranges::fill(options.subspan(at, length), std::byte{no_operation});
    at += length;
  }
}

void finish_ipv4(std::span<std::byte> frame, std::size_t network, Ipv4Header ip) {
  ip.total_len = static_cast<std::uint16_t>(frame.size() - network);
  ip.checksum = {};
  put(frame, network, ip);
  const std::size_t bytes = 4u * (ip.version_and_words & 0xf);
  ip.checksum = Checksum().add(frame.subspan(network, bytes)).value();
  put(frame, network, ip);
}

void finish_ipv6(std::span<std::byte> frame, std::size_t network) {
  const std::size_t front = network + sizeof(Ipv6Header);
  const be16 length = static_cast<std::uint16_t>(frame.size() - front);
  put(frame, network + offsetof(Ipv6Header, payload_len), length);
}

} // namespace

// Without VIRTIO_NET_F_CSUM nothing of the header counts; with it, flags that are not known are
// ignored, and csum_start and csum_offset not used without NEEDS_CSUM (5.1.6.2.2).
std::optional<TransmitPlan> TransmitPlan::make(const virtio_net_hdr& header, Frame packet,
                                               const FeatureSet& negotiated,
                                               std::uint32_t fragment_id) {
  std::optional<TransmitPlan> made(std::in_place); // and never copied: each packet has one
  made->packet_ = packet;
  made->fragment_id_ = fragment_id;
  if (negotiated.has(VIRTIO_NET_F_CSUM) && !made->plan(header, negotiated)) made.reset();
  return made;
}

bool TransmitPlan::plan(const virtio_net_hdr& header, const FeatureSet& negotiated) {
  const bool segments = header.gso_type != VIRTIO_NET_HDR_GSO_NONE;
  if (!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return !segments;
  return plan_checksum(header) && (!segments || plan_segments(header, negotiated));
}

bool TransmitPlan::plan_checksum(const virtio_net_hdr& header) {
  kind_ = Kind::checksum;
  csum_start_ = header.csum_start;
  csum_at_ = csum_start_ + header.csum_offset;
  return csum_start_ >= sizeof(EthernetHeader) && csum_at_ + 2 <= packet_.size();
}

bool TransmitPlan::plan_segments(const virtio_net_hdr& header, const FeatureSet& negotiated) {
  const auto layers = layers_of(packet_);
  if (!layers || layers->end != packet_.size()) return false;
  layers_ = *layers;
  const bool ecn = header.gso_type & VIRTIO_NET_HDR_GSO_ECN;
  const std::uint8_t type = header.gso_type & static_cast<std::uint8_t>(~VIRTIO_NET_HDR_GSO_ECN);
  if (!negotiated.has(feature_of(type, layers_.ipv6))) return false;
  const bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
  if (tcp != layers_.tcp || (ecn && !(tcp && negotiated.has(VIRTIO_NET_F_HOST_ECN)))) return false;
  if (csum_start_ != layers_.transport ||
      csum_at_ != csum_start_ + (tcp ? tcp_checksum : udp_checksum))
    return false;
  if (negotiated.has(VIRTIO_NET_F_GUEST_HDRLEN) && header.hdr_len != layers_.payload) return false;
  const bool fragments = type == VIRTIO_NET_HDR_GSO_UDP;
  kind_ = tcp ? Kind::tcp : fragments ? Kind::fragments : Kind::udp;
  headers_ = fragments ? layers_.fragmentable : layers_.payload;
  mss_ = fragments ? header.gso_size & ~7u : std::size_t{header.gso_size}; // in units of 8 bytes
  if (mss_ == 0) return false;
  frames_ = std::max<std::size_t>(1, (packet_.size() - headers_ + mss_ - 1) / mss_);
  if (fragments && frames_ == 1) kind_ = Kind::checksum;
  return true;
}

/// Bytes behind the headers in frame `i`.
std::size_t TransmitPlan::chunk(std::size_t i) const {
  return std::min(mss_, packet_.size() - headers_ - i * mss_);
}

std::size_t TransmitPlan::size(std::size_t i) const {
  if (kind_ == Kind::unchanged || kind_ == Kind::checksum) return packet_.size();
  const bool inserted = kind_ == Kind::fragments && layers_.ipv6;
  return headers_ + (inserted ? sizeof(FragmentHeader) : 0) + chunk(i);
}

void TransmitPlan::write(std::size_t i, std::span<std::byte> to) const {
  to = to.first(size(i));
  switch (kind_) {
  case Kind::unchanged:
    return copy(to, 0, packet_);
  case Kind::checksum:
    copy(to, 0, packet_);
    return write_checksum(to, csum_start_, csum_at_, 0);
  case Kind::tcp:
  case Kind::udp:
    return write_segment(i, to);
  case Kind::fragments:
    return write_fragment(i, to);
  }
}

/// Completes the checksum at `at` over everything from `from` on. What the driver left there
/// counts, and `add`, ones' complement.
void TransmitPlan::write_checksum(std::span<std::byte> to, std::size_t from, std::size_t at,
                                  std::uint16_t add) const {
  std::uint16_t sum = Checksum().add_layout(be16(add)).add(to.subspan(from)).value();
  // UDP (RFC 768): 0 would mean that there is none.
  if (sum == 0 && at - from == udp_checksum) sum = 0xffff;
  put(to, at, be16(sum));
}

void TransmitPlan::write_segment(std::size_t i, std::span<std::byte> to) const {
  copy(to, 0, packet_.first(headers_));
  copy(to, headers_, packet_.subspan(headers_ + i * mss_, chunk(i)));
  const std::size_t transport = layers_.transport;
  if (layers_.ipv6) {
    finish_ipv6(to, layers_.network);
  } else {
    auto ip = get<Ipv4Header>(packet_, layers_.network);
    ip.id = static_cast<std::uint16_t>(ip.id + i);
    finish_ipv4(to, layers_.network, ip);
  }
  if (kind_ == Kind::tcp) {
    auto tcp = get<TcpHeader>(packet_, transport);
    std::uint16_t flags = tcp.words_and_flags;
    if (i > 0) flags &= static_cast<std::uint16_t>(~TcpHeader::cwr); // RFC 3168, 6.1.2
    if (i + 1 < frames_) flags &= static_cast<std::uint16_t>(~(TcpHeader::fin | TcpHeader::psh));
    tcp.words_and_flags = flags;
    tcp.sequence = static_cast<std::uint32_t>(tcp.sequence + i * mss_);
    put(to, transport, tcp);
  } else {
    put(to, transport + offsetof(UdpHeader, len),
        be16(static_cast<std::uint16_t>(to.size() - transport)));
  }
  write_checksum(to, csum_start_, csum_at_,
                 length_change(packet_.size() - transport, to.size() - transport));
}

/// The datagram's checksum, in its first fragment, is that of the whole.
void TransmitPlan::write_fragment(std::size_t i, std::span<std::byte> to) const {
  const std::size_t offset = i * mss_;
  const bool more = i + 1 < frames_;
  copy(to, 0, packet_.first(headers_));
  std::size_t at = headers_;
  if (layers_.ipv6) {
    FragmentHeader fragment;
    fragment.next_header = std::to_integer<std::uint8_t>(packet_[layers_.next_header]);
    fragment.offset_and_more = static_cast<std::uint16_t>(offset | (more ? 1 : 0));
    fragment.id = fragment_id_;
    to[layers_.next_header] = std::byte{fragment_header};
    put(to, at, fragment);
    at += sizeof fragment;
    finish_ipv6(to, layers_.network);
  } else {
    auto ip = get<Ipv4Header>(packet_, layers_.network);
    ip.fragment = static_cast<std::uint16_t>(offset / 8 | (more ? Ipv4Header::more_fragments : 0));
    if (i > 0)
      blank_options(
          to.subspan(layers_.network + sizeof ip, headers_ - layers_.network - sizeof ip));
    finish_ipv4(to, layers_.network, ip);
  }
  copy(to, at, packet_.subspan(headers_ + offset, chunk(i)));
  // Of IPv6's destination options, some may be in front of the UDP header.
  const std::size_t checksum = csum_at_ - headers_;
  if (checksum < offset || checksum >= offset + chunk(i)) return;
  std::uint16_t sum = Checksum().add(packet_.subspan(csum_start_)).value();
  if (sum == 0) sum = 0xffff;
  put(to, at + checksum - offset, be16(sum));
}

} // namespace virtio::net
