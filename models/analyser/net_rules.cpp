#include <virtio/analyser/net_rules.hpp>
#include <virtio/net/features.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace virtio::analyser {

using namespace net;

namespace {

constexpr std::uint16_t net_device = 1; // virtio 1.4, 5
constexpr std::uint64_t room_for_segments = 65562;
constexpr std::uint64_t room_for_frames = 1526;
constexpr FeatureSet guest_segmentation{VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
                                        VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_USO4,
                                        VIRTIO_NET_F_GUEST_USO6};

/// Of all buffers together; what comes beyond it is not looked at.
constexpr std::size_t max_kept = 64 << 20;

bool covers(std::uint64_t offset, unsigned width, std::size_t field) {
  return offset <= field && field - offset < width;
}

} // namespace

std::unique_ptr<TypeRules> TypeRules::make(std::uint16_t device_type, Report& report) {
  if (device_type == net_device) return std::make_unique<NetRules>(report);
  return nullptr;
}

// --- features and configuration (5.1.3, 5.1.4) ---------------------------------------------------

void NetRules::features_settled(const FeatureSet& offered, const FeatureSet& accepted) {
  features_ = offered & accepted;
  constexpr std::pair<unsigned, Rule> recommended[] = {{VIRTIO_NET_F_MAC, Rule::NET_DRV_001},
                                                       {VIRTIO_NET_F_MTU, Rule::NET_DRV_005},
                                                       {VIRTIO_NET_F_STANDBY, Rule::NET_DRV_008}};
  for (const auto& [bit, rule] : recommended)
    if (offered.has(bit) && !accepted.has(bit))
      add(rule, {}, [bit = bit] { return fmt::format("feature {} was offered", bit); });
  if (!requirements_met(features_))
    add(Rule::NET_LAY_002, {}, [&] {
      return fmt::format("accepted {:#010x} of features 0 to 31, {:#010x} of 32 to 63",
                         accepted.word32(0), accepted.word32(1));
    });
}

void NetRules::config_read(std::uint64_t offset, unsigned width, std::uint64_t value) {
  for (unsigned i = 0; i < std::min(width, 8u); ++i)
    if (offset < config_.size() && offset + i < config_.size())
      config_[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
  if (covers(offset, width, offsetof(virtio_net_config, speed))) speed_due_ = false;
  if (covers(offset, width, offsetof(virtio_net_config, duplex))) duplex_due_ = false;
  const auto status = config_[offsetof(virtio_net_config, status)];
  if (covers(offset, width, offsetof(virtio_net_config, status)) &&
      has(VIRTIO_NET_F_GUEST_ANNOUNCE) && status && (*status & VIRTIO_NET_S_ANNOUNCE))
    announce_due_ = ack_due_ = true;
}

void NetRules::config_change_told() {
  speed_due_ = duplex_due_ = has(VIRTIO_NET_F_SPEED_DUPLEX);
}

/// A field, if the driver has read all of it.
template <class Value> std::optional<Value> NetRules::config(std::size_t offset) const {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Value); ++i) {
    const auto byte = config_.at(offset + i);
    if (!byte) return std::nullopt;
    value |= std::uint64_t{*byte} << (8 * i);
  }
  return static_cast<Value>(value);
}
template std::optional<std::uint16_t> NetRules::config(std::size_t) const;
template std::optional<std::uint32_t> NetRules::config(std::size_t) const;

// --- queues --------------------------------------------------------------------------------------

/// 5.1.2. Where a driver uses several pairs of queues, it has read how many there are.
NetRules::Role NetRules::role(std::uint16_t queue) const {
  if (!has(VIRTIO_F_VERSION_1)) return Role::unknown; // the legacy interface has other headers
  std::uint32_t pairs = 1;
  if (has(VIRTIO_NET_F_MQ) || has(VIRTIO_NET_F_RSS)) {
    const auto read = config<std::uint16_t>(offsetof(virtio_net_config, max_virtqueue_pairs));
    if (!read) return Role::unknown;
    pairs = *read;
  }
  if (queue == 2 * pairs) return has(VIRTIO_NET_F_CTRL_VQ) ? Role::control : Role::unknown;
  if (queue > 2 * pairs) return Role::unknown;
  return queue % 2 == 0 ? Role::receive : Role::transmit;
}

std::size_t NetRules::header_bytes() const {
  return has(VIRTIO_NET_F_HASH_REPORT) ? sizeof(virtio_net_hdr_hash) : sizeof(virtio_net_hdr);
}

void NetRules::queue_live(std::uint16_t queue) {
  queues_[queue].was_live = true;
}

void NetRules::queue_gone(std::uint16_t queue) {
  Queue& q = queues_[queue];
  for (const auto& [number, content] : q.buffers)
    kept_ -= content.kept();
  q.buffers.clear();
  q.unknown = q.room = 0;
}

void NetRules::available(std::uint16_t queue, std::uint64_t number) {
  Queue& q = queues_[queue];
  q.buffers.try_emplace(number);
  q.populated = true;
  ++q.unknown;
  if (role(queue) == Role::transmit) transmit_available(queue);
}

void NetRules::complete(std::uint16_t queue, std::uint64_t number, std::uint64_t readable_len,
                        std::uint64_t writable_len) {
  Queue& q = queues_[queue];
  const auto buffer = q.buffers.find(number);
  if (buffer == q.buffers.end()) return;
  buffer->second.set_lengths(readable_len, writable_len);
  --q.unknown;
  if (role(queue) == Role::receive) receive_buffer(queue, writable_len);
}

void NetRules::data(std::uint16_t queue, std::uint64_t number, bool written, std::uint64_t offset,
                    std::span<const std::byte> bytes) {
  const Role kind = role(queue);
  if (kind == Role::unknown || kind == Role::receive) return;
  Queue& q = queues_[queue];
  const auto buffer = q.buffers.find(number);
  if (buffer == q.buffers.end()) return;
  if (written)
    buffer->second.wrote(offset, bytes);
  else if (kept_ + bytes.size() <= max_kept)
    kept_ += buffer->second.read(offset, bytes);
}

void NetRules::used(std::uint16_t queue, std::uint64_t number) {
  Queue& q = queues_[queue];
  const auto buffer = q.buffers.extract(number);
  if (buffer.empty()) return;
  const BufferContent& content = buffer.mapped();
  kept_ -= content.kept();
  if (!content.readable_len()) --q.unknown;
  traffic_ = true;
  switch (role(queue)) {
  case Role::receive:
    q.room -= content.writable_len();
    break;
  case Role::transmit:
    transmitted(queue, content);
    break;
  case Role::control:
    commanded(queue, content);
    if (q.buffers.empty() && !q.notified) confirm_suspicions();
    break;
  case Role::unknown:
    break;
  }
}

void NetRules::caught_up(std::uint16_t queue) {
  Queue& q = queues_[queue];
  q.notified = false;
  q.looked_into = true;
  if (role(queue) == Role::control && q.buffers.empty()) confirm_suspicions();
}

// --- receive buffers (5.1.6.3) -------------------------------------------------------------------

void NetRules::receive_buffer(std::uint16_t queue, std::uint64_t room) {
  Queue& q = queues_[queue];
  q.room += room;
  const bool mergeable = has(VIRTIO_NET_F_MRG_RXBUF);
  q.best_room = std::max(q.best_room, mergeable ? q.room : room);
  const bool segments = (features_ & guest_segmentation) != FeatureSet{};
  const std::uint64_t asked = mergeable  ? header_bytes()
                              : segments ? room_for_segments
                                         : room_for_frames;
  if (room >= asked) return;
  add(mergeable  ? Rule::NET_DRV_029
      : segments ? Rule::NET_DRV_027
                 : Rule::NET_DRV_028,
      queue, [&] { return fmt::format("a receive buffer has {} bytes", room); });
}

std::uint64_t NetRules::room_for_mtu(std::uint16_t mtu) const {
  return header_bytes() + sizeof(EthernetHeader) + mtu;
}

void NetRules::judge_receive_room() {
  const auto mtu = config<std::uint16_t>(offsetof(virtio_net_config, mtu));
  if (!has(VIRTIO_NET_F_MTU) || !mtu) return;
  for (const auto& [index, q] : queues_)
    if (role(index) == Role::receive && q.populated && q.unknown == 0 &&
        q.best_room < room_for_mtu(*mtu))
      add(Rule::NET_DRV_006, index, [&, room = q.best_room] {
        return fmt::format("at most {} bytes for one packet, mtu {} takes {}", room, *mtu,
                           room_for_mtu(*mtu));
      });
}

// --- several queues (5.1.6.5.6) ------------------------------------------------------------------

void NetRules::transmit_available(std::uint16_t queue) {
  if (queue / 2 < transmit_pairs_) return;
  // What was there when the command came is legal: seen at the first look after it.
  if (pairs_set_ && !queues_[queue].looked_into) return;
  constexpr std::size_t enough = 64;
  if (suspicions_.size() >= enough) return;
  suspicions_.push_back(
      {pairs_set_ ? Rule::NET_DRV_047 : Rule::NET_DRV_046, queue,
       fmt::format("a packet on transmitq{}, {} enabled", queue / 2 + 1, transmit_pairs_)});
}

void NetRules::confirm_suspicions() {
  for (const Suspicion& s : suspicions_)
    add(s.rule, s.queue, [&] { return s.evidence; });
  suspicions_.clear();
}

void NetRules::transmit_queues_set(std::uint16_t pairs) {
  transmit_pairs_ = pairs;
  pairs_set_ = true;
  std::erase_if(suspicions_, [&](const Suspicion& s) { return s.queue / 2 < pairs; });
  for (auto& [index, q] : queues_)
    q.looked_into = false;
}

void NetRules::judge_multiqueue() {
  const auto waiting = [](const auto& q) { return q.second.notified || !q.second.buffers.empty(); };
  const bool commands_left = std::ranges::any_of(
      queues_, [&](const auto& q) { return role(q.first) == Role::control && waiting(q); });
  if (!commands_left) confirm_suspicions();
  if (!has(VIRTIO_NET_F_MQ)) return;
  for (const auto& [index, q] : queues_)
    if (role(index) == Role::receive && index / 2 < receive_pairs_ && q.was_live && !q.populated &&
        !q.notified)
      add(Rule::NET_DRV_030, index,
          [&] { return fmt::format("no buffer came, {} pairs were enabled", receive_pairs_); });
}

// --- sessions ------------------------------------------------------------------------------------

void NetRules::judge_addresses() {
  if (sent_ == 0) return;
  if (!has(VIRTIO_NET_F_MAC) && sent_local_ == 0)
    add(Rule::NET_DRV_003, {},
        [&] { return fmt::format("{} frames, none from a locally administered address", sent_); });
  if (has(VIRTIO_NET_F_MAC) && has(VIRTIO_NET_F_CTRL_RX) && sent_mac_ == 0 && !address_set_)
    add(Rule::NET_DRV_039, {}, [&] {
      return fmt::format("{} frames, none from mac, and no VIRTIO_NET_CTRL_MAC_ADDR_SET", sent_);
    });
}

/// What only the whole of a driver's work shows.
void NetRules::judge_session() {
  if (!traffic_) return;
  judge_receive_room();
  judge_addresses();
  judge_multiqueue();
}

void NetRules::reset() {
  judge_session();
  features_ = {};
  queues_.clear();
  suspicions_.clear();
  kept_ = 0;
  transmit_pairs_ = receive_pairs_ = 1;
  pairs_set_ = traffic_ = address_set_ = false;
  sent_ = sent_mac_ = sent_local_ = 0;
  speed_due_ = duplex_due_ = announce_due_ = ack_due_ = false;
}

void NetRules::finish() {
  judge_session();
  if (speed_due_ || duplex_due_)
    add(Rule::NET_DRV_010, {}, [&] {
      return fmt::format("{} was not read after the last notification",
                         speed_due_ ? "speed" : "duplex");
    });
  if (announce_due_)
    add(Rule::NET_DRV_042, {}, [] { return "no frame was sent after status was read"; });
  if (ack_due_)
    add(Rule::NET_DRV_043, {},
        [] { return "VIRTIO_NET_S_ANNOUNCE was read and not acknowledged"; });
}

} // namespace virtio::analyser
