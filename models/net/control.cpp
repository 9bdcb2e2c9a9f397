// The control queue (virtio 1.4, 5.1.6.5). A command is read, executed, and answered when it is in
// force.
#include <virtio/core/chain_io.hpp>
#include <virtio/net/net.hpp>

#include <cstring>
#include <utility>

namespace virtio::net {

namespace {

/// Longer commands are wrong, unread: room for the longest indirection table and more than 20,000
/// addresses (assumed).
constexpr std::uint64_t max_command = 128 << 10;

/// The whole of `data` as one value; a command of another length than its own is wrong.
template <class Layout> bool read_exactly(std::span<const std::byte> data, Layout& layout) {
  return data.size() == sizeof layout && read_layout(data, layout);
}

/// One table of VIRTIO_NET_CTRL_MAC_TABLE_SET from the front of `data`, which then begins behind
/// it.
bool read_table(std::span<const std::byte>& data, std::vector<MacAddress>& table) {
  virtio_net_ctrl_mac front;
  if (!read_layout(data, front)) return false;
  data = data.subspan(sizeof front);
  if (front.entries > data.size() / sizeof(MacAddress)) return false;
  table.resize(front.entries);
  const std::size_t bytes = table.size() * sizeof(MacAddress);
  if (bytes > 0) std::memcpy(table.data(), data.data(), bytes);
  data = data.subspan(bytes);
  return true;
}

} // namespace

Task<> Net::read_command(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  if (chain.writable_len == 0) { // no room for ack
    host().fail(chain, RingError::malformed_request);
    co_return;
  }
  bool readable = chain.readable_len <= max_command;
  command_bytes_.resize(readable ? chain.readable_len : 0);
  if (!command_bytes_.empty()) {
    const auto pieces = chain.readable();
    const DmaStatus status = co_await dma.gather(pieces.front(), pieces.subspan(1),
                                                 command_bytes_.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    readable = status == DmaStatus::ok;
  }
  ++stats_.commands;
  ack_ = readable && execute(command_bytes_) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
  if (ack_ != VIRTIO_NET_OK) ++stats_.command_errors;
  command_ = &chain;
  try_answer();
}

/// True when the command was carried out; otherwise nothing has changed.
bool Net::execute(std::span<const std::byte> command) {
  virtio_net_ctrl header;
  if (!read_layout(command, header)) return false;
  const auto data = command.subspan(sizeof header);
  switch (header.class_) {
  case VIRTIO_NET_CTRL_RX:
    return control_rx(header.command, data);
  case VIRTIO_NET_CTRL_MAC:
    return control_mac(header.command, data);
  case VIRTIO_NET_CTRL_VLAN:
    return control_vlan(header.command, data);
  case VIRTIO_NET_CTRL_ANNOUNCE:
    return control_announce(header.command, data);
  case VIRTIO_NET_CTRL_MQ:
    return control_mq(header.command, data);
  case VIRTIO_NET_CTRL_HASH_TUNNEL:
    return header.command == VIRTIO_NET_CTRL_HASH_TUNNEL_SET && rss_.set_tunnels(data);
  case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
    return control_guest_offloads(header.command, data);
  case VIRTIO_NET_CTRL_NOTF_COAL:
    return control_notf_coal(header.command, data);
  default:
    return false;
  }
}

bool Net::control_rx(std::uint8_t command, std::span<const std::byte> data) {
  const unsigned feature =
      command <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
  std::uint8_t on = 0;
  return negotiated_.has(feature) && read_exactly(data, on) && on <= 1 &&
         filter_.set_mode(command, on == 1);
}

// 5.1.3 gives VIRTIO_NET_F_CTRL_MAC_ADDR its command, 5.1.6.5.2 allows it with
// VIRTIO_NET_F_CTRL_RX: either will do.
bool Net::control_mac(std::uint8_t command, std::span<const std::byte> data) {
  const bool filtering = negotiated_.has(VIRTIO_NET_F_CTRL_RX);
  if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET && filtering) {
    std::vector<MacAddress> unicast, multicast;
    return read_table(data, unicast) && read_table(data, multicast) && data.empty() &&
           filter_.set_tables(unicast, multicast);
  }
  if (command == VIRTIO_NET_CTRL_MAC_ADDR_SET &&
      (filtering || negotiated_.has(VIRTIO_NET_F_CTRL_MAC_ADDR))) {
    MacAddress mac;
    return read_exactly(data, mac) && set_mac(mac);
  }
  return false;
}

bool Net::set_mac(const MacAddress& mac) {
  if (!filter_.set_station(mac)) return false;
  if (negotiated_.has(VIRTIO_NET_F_MAC)) {
    show_mac(mac);
    tell_driver();
  }
  return true;
}

bool Net::control_vlan(std::uint8_t command, std::span<const std::byte> data) {
  le16 id;
  return negotiated_.has(VIRTIO_NET_F_CTRL_VLAN) && command <= VIRTIO_NET_CTRL_VLAN_DEL &&
         read_exactly(data, id) && filter_.set_vlan(id, command == VIRTIO_NET_CTRL_VLAN_ADD);
}

bool Net::control_announce(std::uint8_t command, std::span<const std::byte> data) {
  if (!negotiated_.has(VIRTIO_NET_F_GUEST_ANNOUNCE) || command != VIRTIO_NET_CTRL_ANNOUNCE_ACK ||
      !data.empty())
    return false;
  if (std::exchange(announcing_, false)) {
    show_status();
    tell_driver();
  }
  return true;
}

// 5.1.6.5.6: the last of these commands defines the mode.
bool Net::control_mq(std::uint8_t command, std::span<const std::byte> data) {
  virtio_net_ctrl_mq_pairs_set set;
  switch (command) {
  case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
    return negotiated_.has(VIRTIO_NET_F_MQ) && read_exactly(data, set) &&
           set_pairs(set.virtqueue_pairs);
  case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
    if (!rss_.set_rss(data)) return false;
    break;
  case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
    if (!rss_.set_hash(data)) return false;
    break;
  default:
    return false;
  }
  leave_unused();
  return true;
}

// 5.1.6.5.8.1: only what was negotiated may be enabled.
bool Net::control_guest_offloads(std::uint8_t command, std::span<const std::byte> data) {
  le64 bits;
  if (!negotiated_.has(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
      command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET || !read_exactly(data, bits))
    return false;
  FeatureSet offloads;
  offloads.set_word32(0, static_cast<std::uint32_t>(bits));
  offloads.set_word32(1, static_cast<std::uint32_t>(bits >> 32));
  if (!offloads.subset_of(negotiated_ & guest_offloads)) return false;
  use_offloads(offloads);
  return true;
}

bool Net::control_notf_coal(std::uint8_t command, std::span<const std::byte> data) {
  virtio_net_ctrl_coal set;
  if (!negotiated_.has(VIRTIO_NET_F_NOTF_COAL) || command > VIRTIO_NET_CTRL_NOTF_COAL_RX_SET ||
      !read_exactly(data, set))
    return false;
  coalesces_ = true;
  return coalesce(command == VIRTIO_NET_CTRL_NOTF_COAL_RX_SET,
                  {set.max_packets, microseconds(set.usecs)});
}

/// All queues of a direction. False when the ring engine cannot.
bool Net::coalesce(bool receive, const NotificationCoalescing& how) {
  bool done = true;
  for (unsigned pair = 0; pair < params_.queue_pairs; ++pair)
    done &= host().coalesce(receive ? receive_queue(pair) : transmit_queue(pair), how);
  return done;
}

/// 5.1.6.5.6.1: not 0, and not more than max_virtqueue_pairs.
bool Net::set_pairs(std::uint16_t pairs) {
  if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > config_.max_virtqueue_pairs) return false;
  steering_.enable(pairs);
  rss_.leave_steering();
  leave_unused();
  return true;
}

bool Net::in_use(std::size_t pair) const {
  return rss_.steers() ? rss_.steers_to(pair) : pair < steering_.pairs();
}

/// What waits in queues that are not used any longer goes to those that are.
void Net::leave_unused() {
  for (std::size_t pair = 0; pair < receives_.size(); ++pair)
    if (!in_use(pair))
      receives_[pair].give_up_waiting(
          [&](const virtio_net_hdr& header, Frame frame) { deliver(header, frame); });
}

void Net::receive_idle() {
  try_answer();
}

/// 5.1.6.5.6.2: once the command is used, nothing comes to queues that are not in use: frames under
/// way to them hold it back.
void Net::try_answer() {
  if (!command_ || !host().live()) return;
  for (std::size_t pair = 0; pair < receives_.size(); ++pair)
    if (!in_use(pair) && !receives_[pair].idle()) return;
  Chain& chain = *std::exchange(command_, nullptr);
  start_task(chain, [&] { return answer_command(chain); });
}

Task<> Net::answer_command(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  const std::uint8_t ack = ack_;
  const PieceRun room = PieceCursor(chain.writable()).take(1);
  const DmaStatus status = co_await dma.write(room.first.addr, &ack, 1, AccessKind::data);
  if (status == DmaStatus::cancelled) co_return;
  if (status != DmaStatus::ok)
    host().fail(chain, RingError::data_unwritable);
  else
    host().complete(chain, 1, {.full = chain.writable_len == 1});
}

} // namespace virtio::net
