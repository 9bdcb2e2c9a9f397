#include <virtio/net/coalescer.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace virtio::net {

namespace {

constexpr std::uint16_t congestion_flags = TcpHeader::cwr | TcpHeader::ece;

template <class Layout> Layout get(Frame from, std::size_t at) {
  Layout layout;
  read_layout(from.subspan(at), layout);
  return layout;
}
template <class Layout> void put(std::vector<std::byte>& to, std::size_t at, const Layout& layout) {
  std::memcpy(to.data() + at, static_cast<const void*>(&layout), sizeof layout);
}
bool same(Frame a, Frame b, std::size_t at, std::size_t bytes) {
  return std::ranges::equal(a.subspan(at, bytes), b.subspan(at, bytes));
}
std::uint16_t flags_of(const TcpHeader& tcp) {
  return tcp.words_and_flags & TcpHeader::all_flags;
}

std::size_t addresses_at(const Layers& layers) {
  return layers.network +
         (layers.ipv6 ? offsetof(Ipv6Header, source) : offsetof(Ipv4Header, source));
}

/// Addresses and ports.
bool same_flow(Frame a, const Layers& in_a, Frame b, const Layers& in_b) {
  const std::size_t addresses = in_a.ipv6 ? 32 : 8;
  return in_a.ipv6 == in_b.ipv6 &&
         std::ranges::equal(a.subspan(addresses_at(in_a), addresses),
                            b.subspan(addresses_at(in_b), addresses)) &&
         std::ranges::equal(a.subspan(in_a.transport, 4), b.subspan(in_b.transport, 4));
}

/// Everything of the IP header that a sender repeats in every segment.
bool same_network_header(Frame a, Frame b, const Layers& layers) {
  const std::size_t at = layers.network;
  if (layers.ipv6) // version, class, flow label; hop limit
    return same(a, b, at, 4) && same(a, b, at + offsetof(Ipv6Header, hop_limit), 1);
  return same(a, b, at, 2) && same(a, b, at + offsetof(Ipv4Header, fragment), 3);
}

} // namespace

Coalescer::Coalescer(SimTime patience, Owner& owner) : patience_(patience), owner_(owner) {
  timer_.coalescer = this;
  timer_.call = [](Wake& wake) { static_cast<Timer&>(wake).coalescer->expire(); };
}

void Coalescer::use(const FeatureSet& offloads) {
  while (Flow* flow = oldest())
    flush(*flow);
  checksum_ = offloads.has(VIRTIO_NET_F_GUEST_CSUM);
  tso4_ = checksum_ && offloads.has(VIRTIO_NET_F_GUEST_TSO4);
  tso6_ = checksum_ && offloads.has(VIRTIO_NET_F_GUEST_TSO6);
  ecn_ = offloads.has(VIRTIO_NET_F_GUEST_ECN);
  rsc_ = offloads.has(VIRTIO_NET_F_RSC_EXT);
}

void Coalescer::reset() {
  for (Flow& flow : flows_)
    flow.bytes.clear();
  timer_.cancel();
  checksum_ = tso4_ = tso6_ = ecn_ = rsc_ = false;
}

void Coalescer::receive(Frame frame) {
  if (!checksum_) return deliver_alone(frame, false);
  const auto layers = layers_of(frame);
  const bool valid = layers && checksums_right(frame, *layers);
  if (!layers || !layers->tcp || !(layers->ipv6 ? tso6_ : tso4_))
    return deliver_alone(frame, valid);
  const std::uint16_t flags = flags_of(get<TcpHeader>(frame, layers->transport));
  Flow* const flow = find(frame, *layers);
  if (valid && joinable(*layers, flags)) return take(flow, frame, *layers);
  if (flow && valid && repeats_ack(*flow, frame, *layers)) {
    ++flow->duplicate_acks;
    return owner_.joined();
  }
  if (flow) flush(*flow);
  deliver_alone(frame, valid);
}

/// A data segment like any other of a transfer: no options of IP, no urgent data, nothing of a
/// connection's begin or end.
bool Coalescer::joinable(const Layers& layers, std::uint16_t flags) const {
  const std::size_t plain = layers.ipv6 ? sizeof(Ipv6Header) : sizeof(Ipv4Header);
  std::uint16_t allowed = TcpHeader::ack | TcpHeader::psh;
  if (ecn_) allowed |= congestion_flags;
  return layers.transport - layers.network == plain && layers.end > layers.payload &&
         (flags & TcpHeader::ack) && !(flags & ~allowed) &&
         layers.end - layers.network <= max_packet;
}

Coalescer::Flow* Coalescer::find(Frame frame, const Layers& layers) {
  for (Flow& flow : flows_)
    if (!flow.bytes.empty() && same_flow(flow.bytes, flow.layers, frame, layers)) return &flow;
  return nullptr;
}

bool Coalescer::follows(const Flow& flow, Frame frame, const Layers& layers) const {
  const auto tcp = get<TcpHeader>(frame, layers.transport);
  const auto first = get<TcpHeader>(flow.bytes, layers.transport);
  const std::uint16_t may_differ = TcpHeader::psh | TcpHeader::cwr;
  const std::size_t options = layers.transport + sizeof tcp;
  const std::size_t payload = layers.end - layers.payload;
  return tcp.sequence == flow.next_sequence && tcp.acknowledgement == first.acknowledgement &&
         !((flags_of(tcp) ^ flags_of(first)) & ~may_differ) &&
         !(flags_of(tcp) & TcpHeader::cwr) && // of a packet's first segment alone
         flow.layers.network == layers.network && flow.layers.transport == layers.transport &&
         flow.layers.payload == layers.payload &&
         same(flow.bytes, frame, options, layers.payload - options) &&
         same(flow.bytes, frame, 0, layers.network) &&
         same_network_header(flow.bytes, frame, layers) && payload <= flow.segment_bytes &&
         flow.bytes.size() - layers.network + payload <= max_packet;
}

/// Counted only where there is a packet to count it with.
bool Coalescer::repeats_ack(const Flow& flow, Frame frame, const Layers& layers) const {
  const auto tcp = get<TcpHeader>(frame, layers.transport);
  const auto first = get<TcpHeader>(flow.bytes, layers.transport);
  return rsc_ && flow.segments > 1 && flow.duplicate_acks < 0xffff &&
         layers.end == layers.payload && flags_of(tcp) == TcpHeader::ack &&
         tcp.acknowledgement == first.acknowledgement && tcp.sequence == flow.next_sequence &&
         tcp.window == first.window && flow.layers.transport == layers.transport &&
         flow.layers.payload == layers.payload && same(flow.bytes, frame, 0, layers.network);
}

void Coalescer::take(Flow* flow, Frame frame, const Layers& layers) {
  if (flow && !follows(*flow, frame, layers)) {
    flush(*flow);
    flow = nullptr;
  }
  if (flow)
    join(*flow, frame, layers);
  else
    open(frame, layers);
}

void Coalescer::join(Flow& flow, Frame frame, const Layers& layers) {
  const Frame payload = frame.first(layers.end).subspan(layers.payload);
  const auto tcp = get<TcpHeader>(frame, layers.transport);
  auto first = get<TcpHeader>(flow.bytes, layers.transport);
  first.words_and_flags = first.words_and_flags | (tcp.words_and_flags & TcpHeader::psh);
  first.window = tcp.window;
  put(flow.bytes, layers.transport, first);
  flow.bytes.insert(flow.bytes.end(), payload.begin(), payload.end());
  flow.next_sequence += static_cast<std::uint32_t>(payload.size());
  ++flow.segments;
  owner_.joined();
  // What the sender pushes, and what is shorter than the others, ends a packet.
  if ((tcp.words_and_flags & TcpHeader::psh) || payload.size() < flow.segment_bytes) flush(flow);
}

void Coalescer::open(Frame frame, const Layers& layers) {
  const auto tcp = get<TcpHeader>(frame, layers.transport);
  if (tcp.words_and_flags & TcpHeader::psh) return deliver_alone(frame, true);
  const auto free = [](const Flow& f) { return f.bytes.empty(); };
  auto place = std::ranges::find_if(flows_, free);
  for (; place == flows_.end(); place = std::ranges::find_if(flows_, free))
    flush(*oldest());
  Flow& flow = *place;
  flow.bytes.assign(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(layers.end));
  flow.layers = layers;
  flow.segment_bytes = layers.end - layers.payload;
  flow.next_sequence = static_cast<std::uint32_t>(tcp.sequence + flow.segment_bytes);
  flow.segments = 1;
  flow.duplicate_acks = 0;
  flow.congestion = (tcp.words_and_flags & congestion_flags) != 0;
  flow.until = executor_->now() + patience_;
  flow.order = ++opened_;
  if (!timer_.queued()) executor_->post_at(timer_, flow.until);
}

/// 5.1.6.4.1: a packet to be cut again comes with NEEDS_CSUM, gso_size, and, with
/// VIRTIO_NET_F_RSC_EXT, with the count of what was joined in the place of csum_start and
/// csum_offset.
void Coalescer::flush(Flow& flow) {
  std::vector<std::byte> bytes = std::exchange(flow.bytes, {}); // delivery may open a new packet
  if (flow.segments == 1) {
    deliver_alone(bytes, true);
  } else {
    const Layers layers = flow.layers;
    virtio_net_hdr header;
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.gso_type = layers.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    if (flow.congestion) header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    header.hdr_len = static_cast<std::uint16_t>(layers.payload);
    header.gso_size = static_cast<std::uint16_t>(flow.segment_bytes);
    header.csum_start = static_cast<std::uint16_t>(layers.transport);
    header.csum_offset = std::uint16_t{offsetof(TcpHeader, checksum)};
    if (rsc_) {
      header.flags |= VIRTIO_NET_HDR_F_RSC_INFO;
      header.csum_start = flow.segments;
      header.csum_offset = flow.duplicate_acks;
    }
    finish_headers(bytes, layers);
    owner_.deliver(header, bytes);
  }
  bytes.clear();
  if (flow.bytes.empty()) flow.bytes.swap(bytes); // keeps its capacity
}

/// Lengths and checksums of the whole; of the transport's, the pseudo header's sum.
void Coalescer::finish_headers(std::vector<std::byte>& bytes, const Layers& layers) {
  const auto length = static_cast<std::uint16_t>(bytes.size() - layers.network);
  if (layers.ipv6) {
    auto ip = get<Ipv6Header>(bytes, layers.network);
    ip.payload_len = static_cast<std::uint16_t>(length - sizeof ip);
    put(bytes, layers.network, ip);
  } else {
    auto ip = get<Ipv4Header>(bytes, layers.network);
    ip.total_len = length;
    ip.checksum = {};
    ip.checksum = Checksum().add_layout(ip).value();
    put(bytes, layers.network, ip);
  }
  const be16 sum = pseudo_header_sum(bytes, layers, bytes.size() - layers.transport);
  put(bytes, layers.transport + offsetof(TcpHeader, checksum), sum);
}

Coalescer::Flow* Coalescer::oldest() {
  Flow* first = nullptr;
  for (Flow& flow : flows_)
    if (!flow.bytes.empty() && (!first || flow.order < first->order)) first = &flow;
  return first;
}

/// The oldest of them is the first whose time is over.
void Coalescer::expire() {
  Flow* flow = oldest();
  for (; flow && flow->until <= executor_->now(); flow = oldest())
    flush(*flow);
  if (flow && !timer_.queued()) executor_->post_at(timer_, flow->until);
}

void Coalescer::deliver_alone(Frame frame, bool valid) {
  virtio_net_hdr header;
  if (valid) header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
  owner_.deliver(header, frame);
}

} // namespace virtio::net
