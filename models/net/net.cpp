#include <virtio/net/net.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace virtio::net {

namespace {
/// Without VIRTIO_NET_F_MTU both sides count on frames of at most 1514 bytes (5.1.6.3).
constexpr std::size_t default_mtu = 1500;
/// IPv6's header and the most that may follow it.
constexpr std::size_t max_ip_packet = sizeof(Ipv6Header) + 0xffff;
constexpr FeatureSet host_segmentation{VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
                                       VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_HOST_USO};

unsigned pair_of(QueueIndex queue) {
  return raw(queue) / 2;
}
bool receives(QueueIndex queue) {
  return raw(queue) % 2 == 0;
}
void check_speed(std::uint32_t speed, std::uint8_t duplex) {
  if (speed > max_speed && speed != unknown_speed)
    throw std::invalid_argument(
        fmt::format("net: speed {} is above {} and not unknown_speed", speed, max_speed));
  if (duplex != half_duplex && duplex != full_duplex && duplex != unknown_duplex)
    throw std::invalid_argument(fmt::format("net: duplex {} is none of half_duplex, full_duplex, "
                                            "unknown_duplex",
                                            duplex));
}
} // namespace

Net::Net(const NetParams& params, std::unique_ptr<Wire> wire)
    : params_(params), wire_(std::move(wire)), link_up_(params.link_up),
      coalescer_(params.lro_patience, *this), rss_(params.rss, params.queue_pairs),
      transmit_steps_(params.timing.packet_cost), receive_steps_(params.timing.packet_cost),
      transmit_line_(params.timing.wire_rate), receive_line_(params.timing.wire_rate),
      arriving_(params.timing.untimed() ? 0 : params.receive_frames) {
  // 5.1.4.1: mtu MUST be between 68 and 65535.
  if (params.mtu < 68)
    throw std::invalid_argument(fmt::format("net: mtu {} is below 68", params.mtu));
  if (params.transmit_window == 0 || params.receive_frames == 0)
    throw std::invalid_argument("net: transmit_window and receive_frames must be at least 1");
  if (params.queue_pairs == 0 || params.queue_pairs > max_queue_pairs)
    throw std::invalid_argument(
        fmt::format("net: queue_pairs {} is not 1 .. {}", params.queue_pairs, max_queue_pairs));
  if (!params.features.subset_of(all_net_features))
    throw std::invalid_argument("net: features has bits outside all_net_features");
  check_speed(params.speed, params.duplex);
  const FeatureSet offered = features();
  const bool steers = offered.has(VIRTIO_NET_F_MQ) || offered.has(VIRTIO_NET_F_RSS);
  if (params.queue_pairs > 1 && !steers)
    throw std::invalid_argument("net: more than one of queue_pairs needs VIRTIO_NET_F_MQ or "
                                "VIRTIO_NET_F_RSS, and VIRTIO_NET_F_CTRL_VQ, in features");
  show_mac(params.mac);
  if (offered.has(VIRTIO_NET_F_MTU)) config_.mtu = params.mtu;
  if (steers) config_.max_virtqueue_pairs = params.queue_pairs;
  if (offered.has(VIRTIO_NET_F_RSS) || offered.has(VIRTIO_NET_F_HASH_REPORT)) {
    config_.rss_max_key_size = params.rss.max_key_size;
    config_.supported_hash_types = rss_.supported_types();
  }
  if (offered.has(VIRTIO_NET_F_RSS))
    config_.rss_max_indirection_table_length = params.rss.max_table_length;
  if (offered.has(VIRTIO_NET_F_HASH_TUNNEL))
    config_.supported_tunnel_types = params.rss.tunnel_types;
  if (offered.has(VIRTIO_NET_F_SPEED_DUPLEX)) {
    config_.speed = params.speed;
    config_.duplex = params.duplex;
  }
  show_status();
  arrival_.net = this;
  arrival_.call = [](Wake& wake) { static_cast<NetWake&>(wake).net->frames_arrived(); };
  link_event_.net = this;
  link_event_.call = [](Wake& wake) { static_cast<NetWake&>(wake).net->link_events_due(); };
  std::ranges::stable_sort(params_.link_events, {}, [](const auto& e) { return e.first.ps; });
  ReceiveQueue::Owner& receive_owner = *this;
  TransmitQueue::Owner& transmit_owner = *this;
  receives_.reserve(params.queue_pairs);
  transmits_.reserve(params.queue_pairs);
  for (unsigned pair = 0; pair < params.queue_pairs; ++pair) {
    receives_.emplace_back(receive_queue(pair), params.receive_frames, params.queue_size, stats_,
                           receive_owner);
    transmits_.emplace_back(transmit_queue(pair), params.transmit_window, transmit_owner);
  }
}

void Net::attach(FunctionHost& host) {
  DeviceFunction::attach(host);
  for (ReceiveQueue& queue : receives_)
    queue.attach(host);
  for (TransmitQueue& queue : transmits_)
    queue.attach(host);
  coalescer_.attach(host.executor());
  wire_->connect(*this, host.executor());
}

FeatureSet Net::features() const {
  FeatureSet offered = params_.features;
  if (params_.rss.inner_hash_v7)
    offered.set(VIRTIO_NET_F_HASH_TUNNEL, false).set(proposed_VIRTIO_NET_F_HASH_TUNNEL);
  return worth_offering(
      offered.set(VIRTIO_NET_F_MQ, offered.has(VIRTIO_NET_F_MQ) && params_.queue_pairs > 1));
}

bool Net::accepts(const FeatureSet& accepted) const {
  return requirements_met(accepted);
}

std::uint16_t Net::num_queues() const {
  const bool control = features().has(VIRTIO_NET_F_CTRL_VQ);
  return static_cast<std::uint16_t>(2 * params_.queue_pairs + (control ? 1 : 0));
}

std::uint32_t Net::window(QueueIndex queue) const {
  // Commands are executed one after the other.
  if (queue == controlq()) return negotiated_.has(VIRTIO_NET_F_CTRL_VQ) ? 1 : 0;
  if (pair_of(queue) >= pairs_) return 0;
  return receives(queue) ? params_.queue_size : params_.transmit_window;
}

std::span<const std::byte> Net::config() const {
  const bool tunnels = features().has(VIRTIO_NET_F_HASH_TUNNEL);
  return std::as_bytes(std::span(&config_, 1))
      .first(tunnels ? sizeof config_ : offsetof(virtio_net_config, supported_tunnel_types));
}

void Net::set_link(bool up) {
  if (up == link_up_) return;
  link_up_ = up;
  show_status();
  if (features().has(VIRTIO_NET_F_STATUS)) tell_driver();
}

void Net::set_speed(std::uint32_t speed, std::uint8_t duplex) {
  check_speed(speed, duplex);
  if (!features().has(VIRTIO_NET_F_SPEED_DUPLEX)) return;
  const bool was_up = link_up_;
  if (negotiated_.has(VIRTIO_NET_F_STATUS)) set_link(false);
  config_.speed = speed;
  config_.duplex = duplex;
  tell_driver();
  set_link(was_up);
}

void Net::announce() {
  if (!negotiated_.has(VIRTIO_NET_F_GUEST_ANNOUNCE)) return;
  announcing_ = true;
  show_status();
  tell_driver();
}

void Net::tell_driver() {
  host().config_changed();
}

void Net::show_status() {
  std::uint16_t status = 0;
  if (link_up_) status |= VIRTIO_NET_S_LINK_UP;
  if (announcing_) status |= VIRTIO_NET_S_ANNOUNCE;
  config_.status = features().has(VIRTIO_NET_F_STATUS) ? status : std::uint16_t{0};
}

void Net::show_mac(const MacAddress& mac) {
  if (features().has(VIRTIO_NET_F_MAC)) std::ranges::copy(mac, config_.mac);
}

void Net::start(const FeatureSet& negotiated) {
  negotiated_ = negotiated;
  const bool several = negotiated.has(VIRTIO_NET_F_MQ) || negotiated.has(VIRTIO_NET_F_RSS);
  pairs_ = several ? params_.queue_pairs : std::uint16_t{1};
  rss_.start(negotiated);
  filter_.start(negotiated,
                negotiated.has(VIRTIO_NET_F_MAC) ? std::optional(params_.mac) : std::nullopt);
  use_offloads(negotiated & guest_offloads);
  const bool mtu = negotiated.has(VIRTIO_NET_F_MTU);
  receive_mtu_ = mtu ? params_.mtu : default_mtu;
  // A driver that does not know the MTU may send the usual; up to the MTU, frames MUST be forwarded
  // (5.1.4.1).
  transmit_mtu_ = mtu ? params_.mtu : std::max<std::size_t>(params_.mtu, default_mtu);
  const bool segments = (negotiated & host_segmentation) != FeatureSet{};
  for (ReceiveQueue& queue : receives_)
    queue.start(negotiated.has(VIRTIO_NET_F_MRG_RXBUF), header_bytes());
  for (TransmitQueue& queue : transmits_)
    queue.start(header_bytes() + sizeof(EthernetHeader) + max_vlan_tags * vlan_tag_bytes +
                    (segments ? max_ip_packet : transmit_mtu_),
                !params_.timing.untimed());
  schedule_link_events();
  wire_->driver_ready();
}

void Net::schedule_link_events() {
  if (params_.link_events.empty() || link_event_.queued()) return;
  Executor& executor = host().executor();
  executor.post_at(link_event_, std::max(executor.now(), params_.link_events.front().first));
}

void Net::link_events_due() {
  while (host().live() && !params_.link_events.empty() &&
         params_.link_events.front().first <= host().executor().now()) {
    const LinkEvent event = params_.link_events.front().second;
    params_.link_events.erase(params_.link_events.begin());
    if (event == LinkEvent::announce)
      announce();
    else
      set_link(event == LinkEvent::up);
  }
  if (host().live()) schedule_link_events();
}

void Net::reset() {
  negotiated_ = {};
  pairs_ = 1;
  steering_.enable(1);
  rss_.reset();
  announcing_ = false;
  coalescer_.reset();
  // 5.1.6.5.9.4: upon reset, all coalescing parameters are 0.
  if (std::exchange(coalesces_, false))
    for (const bool receive : {false, true})
      coalesce(receive, {});
  show_mac(params_.mac);
  show_status();
  for (ReceiveQueue& queue : receives_)
    queue.reset();
}

void Net::on_chain(Chain& chain) {
  const unsigned pair = pair_of(chain.queue);
  if (pair >= pairs_)
    start_task(chain, [&] { return read_command(chain); });
  else if (receives(chain.queue))
    receives_[pair].on_chain(chain);
  else
    transmits_[pair].on_chain(chain);
}

void Net::on_abort(QueueIndex queue) {
  if (queue == controlq() && negotiated_.has(VIRTIO_NET_F_CTRL_VQ))
    command_ = nullptr;
  else if (pair_of(queue) >= receives_.size())
    return;
  else if (receives(queue))
    receives_[pair_of(queue)].on_abort();
  else
    abort_transmission(queue);
}

void Net::abort_transmission(QueueIndex queue) {
  ++transmit_aborts_;
  transmits_[pair_of(queue)].on_abort();
}

std::size_t Net::header_bytes() const {
  return negotiated_.has(VIRTIO_NET_F_HASH_REPORT) ? sizeof(virtio_net_hdr_hash)
                                                   : sizeof(virtio_net_hdr);
}

Frame Net::without_header(std::span<const std::byte> bytes) const {
  return bytes.subspan(std::min(bytes.size(), header_bytes()));
}

/// What becomes of a transmitted packet on the wire; nothing when it cannot be sent.
std::optional<TransmitPlan> Net::plan_for(std::span<const std::byte> bytes) const {
  virtio_net_hdr header;
  const Frame packet = without_header(bytes);
  const bool whole = packet.size() >= sizeof(EthernetHeader) && read_layout(bytes, header);
  auto plan = whole ? TransmitPlan::make(header, packet, negotiated_, fragment_id_) : std::nullopt;
  if (plan && !fits(packet, plan->size(0), transmit_mtu_)) plan.reset();
  return plan;
}

void Net::transmitted(QueueIndex queue, std::span<const std::byte> bytes, std::size_t frame,
                      bool more) {
  const auto plan = plan_for(bytes);
  if (!plan) {
    ++stats_.tx_malformed;
  } else if (!link_up_) {
    if (!more) ++stats_.tx_no_link;
  } else {
    const Frame packet = without_header(bytes);
    if (enabled_pairs() > 1 && frame == 0)
      steering_.transmitted(packet, static_cast<std::uint16_t>(pair_of(queue)));
    if (plan->unchanged())
      send(packet);
    else
      send(*plan, frame, more);
  }
}

void Net::send(Frame frame) {
  ++stats_.tx_frames;
  stats_.tx_bytes += frame.size();
  wire_->transmit(frame);
}

/// Frame `frame` of a packet if `more` follow later, otherwise all from there on. A frame may set
/// off a reset, which ends the packet, and another transmission, which needs a buffer of its own.
void Net::send(const TransmitPlan& plan, std::size_t frame, bool more) {
  const std::uint32_t before = transmit_aborts_;
  std::vector<std::byte> buffer = std::move(segment_);
  if (plan.frames() > 1 && !more) ++stats_.tx_segmented;
  if (!more) ++fragment_id_;
  const std::size_t end = more ? frame + 1 : plan.frames();
  for (; frame < end && transmit_aborts_ == before; ++frame) {
    buffer.resize(plan.size(frame));
    plan.write(frame, buffer);
    send(buffer);
  }
  segment_ = std::move(buffer);
}

Departure Net::departure(std::span<const std::byte> bytes) {
  const SimTime ready = transmit_steps_.take(host().executor().now());
  const auto plan = plan_for(bytes);
  if (!plan || !link_up_) return {.ready = ready};
  const Departure departure{.ready = ready,
                            .line = transmit_line_,
                            .frames = plan->frames(),
                            .bits = bits_on_wire(plan->size(0)),
                            .last_bits = bits_on_wire(plan->size(plan->frames() - 1))};
  transmit_line_.transfer(ready, (departure.frames - 1) * departure.bits + departure.last_bits);
  return departure;
}

void Net::on_frame(Frame frame) {
  if (params_.timing.untimed())
    accept(frame);
  else
    arrive_later(frame);
}

// The far end begins to send now, or when what it sent before has passed.
void Net::arrive_later(Frame frame) {
  if (arriving_.full()) {
    ++stats_.rx_overrun;
    return;
  }
  Executor& executor = host().executor();
  Arrival& arrival = arriving_.push();
  arrival.bytes.assign(frame.begin(), frame.end());
  arrival.at =
      receive_steps_.take(receive_line_.transfer(executor.now(), bits_on_wire(frame.size())));
  if (arriving_.size() == 1) executor.post_at(arrival_, arrival.at);
}

void Net::frames_arrived() {
  Executor& executor = host().executor();
  while (!arriving_.empty() && arriving_.front().at <= executor.now()) {
    accept(arriving_.front().bytes);
    arriving_.pop();
  }
  if (!arriving_.empty()) executor.post_at(arrival_, arriving_.front().at);
}

void Net::accept(Frame frame) {
  if (!host().live() || !link_up_) {
    ++stats_.rx_no_driver;
  } else if (frame.size() < sizeof(EthernetHeader) || !fits(frame, frame.size(), receive_mtu_)) {
    ++stats_.rx_malformed; // 5.1.4.1: MUST NOT pass frames that exceed mtu
  } else if (!filter_.wants(frame)) {
    ++stats_.rx_filtered;
  } else {
    coalescer_.receive(frame);
  }
}

void Net::deliver(const virtio_net_hdr& header, Frame packet) {
  const RssUnit::Verdict verdict = rss_.judge(packet);
  const HashResult& hash = verdict.hash;
  if (rss_.failed()) [[unlikely]]
    return give_up(rss_.problem());
  virtio_net_hdr_hash with_hash;
  with_hash.hdr = header;
  with_hash.hash_value = hash.value;
  with_hash.hash_report = static_cast<std::uint16_t>(hash.report);
  with_hash.hash_report_tunnel = static_cast<std::uint8_t>(hash.tunnel);
  if (ReceiveQueue* queue = destination(packet, verdict.pair))
    queue->receive(with_hash, packet);
  else
    ++stats_.rx_in_reset;
}

// An error of the executor, as tasks have it.
void Net::give_up(const std::string& problem) {
  host().dma(receiveq).scope().start([&]() -> Task<> {
    throw std::runtime_error(problem);
    co_return;
  });
}

void Net::use_offloads(const FeatureSet& offloads) {
  const bool rsc = negotiated_.has(VIRTIO_NET_F_RSC_EXT);
  coalescer_.use(FeatureSet(offloads).set(VIRTIO_NET_F_RSC_EXT, rsc));
}

// 5.1.6.5.6.2: another queue while that of the flow is being reset, none while all
// are. 5.1.6.5.7.2: with receive-side scaling none while the one that was chosen is.
ReceiveQueue* Net::destination(Frame frame, std::uint16_t chosen) {
  if (rss_.steers()) {
    return host().queue_live(receive_queue(chosen)) ? &receives_[chosen] : nullptr;
  }
  if (!negotiated_.has(VIRTIO_NET_F_MQ)) return &receives_.front();
  const unsigned first = steering_.select(frame);
  for (unsigned i = 0; i < steering_.pairs(); ++i) {
    const unsigned pair = (first + i) % steering_.pairs();
    if (host().queue_live(receive_queue(pair))) return &receives_[pair];
  }
  return nullptr;
}

} // namespace virtio::net
