// What a network driver's commands keep (virtio 1.4, 5.1.6.5).
#include <virtio/analyser/net_rules.hpp>
#include <virtio/net/features.hpp>
#include <virtio/net/hash.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace virtio::analyser {

using namespace net;

namespace {

constexpr std::uint16_t most_pairs = 0x8000;
constexpr std::uint8_t multicast_bit = 1;

template <class Layout> bool take(std::span<const std::byte>& data, Layout& layout) {
  if (!read_layout(data, layout)) return false;
  data = data.subspan(sizeof layout);
  return true;
}

/// One table of VIRTIO_NET_CTRL_MAC_TABLE_SET from the front. False if it is cut, or has an address
/// of the other kind.
bool take_table(std::span<const std::byte>& data, bool multicast) {
  virtio_net_ctrl_mac front;
  if (!take(data, front) || front.entries > data.size() / sizeof(MacAddress)) return false;
  for (std::uint32_t i = 0; i < front.entries; ++i) {
    MacAddress address;
    take(data, address);
    if (((address[0] & multicast_bit) != 0) != multicast) return false;
  }
  return true;
}

} // namespace

void NetRules::commanded(std::uint16_t queue, const BufferContent& content) {
  if (!content.whole()) return;
  auto data = content.front();
  virtio_net_ctrl header;
  if (!take(data, header) || content.writable_len() == 0) {
    add(Rule::NET_LAY_004, queue, [&] {
      return fmt::format("a command of {} bytes, {} for ack", content.front().size(),
                         content.writable_len());
    });
    return;
  }
  command(queue, header, data, content.first_written() == VIRTIO_NET_OK);
}

void NetRules::command(std::uint16_t queue, const virtio_net_ctrl& header, Bytes data, bool done) {
  switch (header.class_) {
  case VIRTIO_NET_CTRL_RX:
    return command_rx(queue, header.command, data);
  case VIRTIO_NET_CTRL_MAC:
    return command_mac(queue, header.command, data);
  case VIRTIO_NET_CTRL_VLAN:
    require(queue, VIRTIO_NET_F_CTRL_VLAN, "VIRTIO_NET_CTRL_VLAN");
    return require_length(queue, data, sizeof(le16), "VIRTIO_NET_CTRL_VLAN");
  case VIRTIO_NET_CTRL_ANNOUNCE:
    ack_due_ = false;
    return require(queue, VIRTIO_NET_F_GUEST_ANNOUNCE, "VIRTIO_NET_CTRL_ANNOUNCE");
  case VIRTIO_NET_CTRL_MQ:
    return command_mq(queue, header.command, data, done);
  case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
    return command_offloads(queue, data);
  case VIRTIO_NET_CTRL_NOTF_COAL:
    if (!has(VIRTIO_NET_F_NOTF_COAL))
      add(Rule::NET_DRV_054, queue,
          [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_NOTF_COAL", header.command); });
    return require_length(queue, data, sizeof(virtio_net_ctrl_coal), "VIRTIO_NET_CTRL_NOTF_COAL");
  case VIRTIO_NET_CTRL_HASH_TUNNEL:
    require(queue, VIRTIO_NET_F_HASH_TUNNEL, "VIRTIO_NET_CTRL_HASH_TUNNEL");
    return require_length(queue, data, sizeof(le32), "VIRTIO_NET_CTRL_HASH_TUNNEL");
  default:
    add(Rule::NET_LAY_004, queue, [&] { return fmt::format("class {}", header.class_); });
  }
}

void NetRules::require(std::uint16_t queue, unsigned feature, const char* what) {
  if (!has(feature))
    add(Rule::NET_LAY_005, queue,
        [&] { return fmt::format("{}, and feature {} was not negotiated", what, feature); });
}

void NetRules::require_length(std::uint16_t queue, Bytes data, std::size_t length,
                              const char* what) {
  if (data.size() != length)
    add(Rule::NET_LAY_004, queue, [&] {
      return fmt::format("{} with {} bytes of data instead of {}", what, data.size(), length);
    });
}

// --- filters (5.1.6.5.1, 5.1.6.5.2) --------------------------------------------------------------

void NetRules::command_rx(std::uint16_t queue, std::uint8_t command, Bytes data) {
  const bool basic = command <= VIRTIO_NET_CTRL_RX_ALLMULTI;
  if (command > VIRTIO_NET_CTRL_RX_NOBCAST)
    add(Rule::NET_LAY_004, queue,
        [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_RX", command); });
  else if (!has(basic ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA))
    add(basic ? Rule::NET_DRV_036 : Rule::NET_DRV_037, queue,
        [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_RX", command); });
  require_length(queue, data, 1, "VIRTIO_NET_CTRL_RX");
}

// VIRTIO_NET_F_CTRL_MAC_ADDR is the address command's own feature (5.1.3).
void NetRules::command_mac(std::uint16_t queue, std::uint8_t command, Bytes data) {
  const bool address = command == VIRTIO_NET_CTRL_MAC_ADDR_SET;
  if (!has(VIRTIO_NET_F_CTRL_RX) && !(address && has(VIRTIO_NET_F_CTRL_MAC_ADDR)))
    add(Rule::NET_DRV_038, queue,
        [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_MAC", command); });
  if (address) {
    address_set_ = true;
    return require_length(queue, data, sizeof(MacAddress), "VIRTIO_NET_CTRL_MAC_ADDR_SET");
  }
  if (command != VIRTIO_NET_CTRL_MAC_TABLE_SET) {
    add(Rule::NET_LAY_004, queue,
        [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_MAC", command); });
    return;
  }
  const std::size_t bytes = data.size();
  if (!take_table(data, false) || !take_table(data, true) || !data.empty())
    add(Rule::NET_DRV_040, queue,
        [&] { return fmt::format("{} bytes, {} of them not understood", bytes, data.size()); });
}

// --- several queues, hashes (5.1.6.5.6, 5.1.6.5.7) -----------------------------------------------

void NetRules::command_mq(std::uint16_t queue, std::uint8_t command, Bytes data, bool done) {
  switch (command) {
  case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
    return command_pairs(queue, data, done);
  case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
    return command_rss(queue, data, done);
  case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
    return command_hash(queue, data);
  default:
    add(Rule::NET_LAY_004, queue,
        [&] { return fmt::format("command {} of VIRTIO_NET_CTRL_MQ", command); });
  }
}

void NetRules::command_pairs(std::uint16_t queue, Bytes data, bool done) {
  require(queue, VIRTIO_NET_F_MQ, "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET");
  virtio_net_ctrl_mq_pairs_set set;
  require_length(queue, data, sizeof set, "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET");
  if (!read_layout(data, set)) return;
  const std::uint16_t pairs = set.virtqueue_pairs;
  const std::uint16_t most =
      config<std::uint16_t>(offsetof(virtio_net_config, max_virtqueue_pairs)).value_or(most_pairs);
  if (pairs == 0 || pairs > most) {
    add(Rule::NET_DRV_045, queue,
        [&] { return fmt::format("virtqueue_pairs is {} of {}", pairs, most); });
    return;
  }
  for (std::uint32_t q = 0; q < 2u * pairs; ++q) {
    const auto known = queues_.find(static_cast<std::uint16_t>(q));
    if (known != queues_.end() && known->second.was_live) continue;
    add(Rule::NET_DRV_044, queue,
        [&] { return fmt::format("{} pairs, and queue {} was never enabled", pairs, q); });
    break;
  }
  if (!done) return;
  receive_pairs_ = pairs;
  transmit_queues_set(pairs);
}

void NetRules::judge_hash_types(std::uint16_t queue, std::uint32_t types) {
  const auto supported = config<std::uint32_t>(offsetof(virtio_net_config, supported_hash_types));
  if (supported && (types & ~*supported))
    add(Rule::NET_DRV_052, queue, [&] {
      return fmt::format("hash types {:#010x}, supported are {:#010x}", types, *supported);
    });
}

void NetRules::judge_key(std::uint16_t queue, Bytes data) {
  std::uint8_t length = 0;
  if (!take(data, length) || length != data.size())
    add(Rule::NET_LAY_004, queue,
        [&] { return fmt::format("a hash key of {} bytes, {} are there", length, data.size()); });
}

void NetRules::command_rss(std::uint16_t queue, Bytes data, bool done) {
  if (!has(VIRTIO_NET_F_RSS)) {
    add(Rule::NET_DRV_048, queue, [] { return "the feature was not negotiated"; });
    return;
  }
  virtio_net_rss_config front;
  const std::size_t bytes = data.size();
  const auto cut = [&] { return fmt::format("RSS_CONFIG ends after {} bytes of data", bytes); };
  if (!take(data, front)) return add(Rule::NET_LAY_004, queue, cut);
  judge_hash_types(queue, front.hash_types);
  const std::uint32_t entries = front.indirection_table_mask + 1u;
  if (!std::has_single_bit(entries))
    add(Rule::NET_DRV_050, queue, [&] { return fmt::format("{} entries", entries); });
  const auto most =
      config<std::uint16_t>(offsetof(virtio_net_config, rss_max_indirection_table_length));
  if (most && front.indirection_table_mask >= *most)
    add(Rule::NET_DRV_051, queue,
        [&] { return fmt::format("{} entries, at most {}", entries, *most); });
  const auto enabled = [&](std::uint16_t pair) {
    const auto receive = static_cast<std::uint16_t>(2 * pair);
    const auto known = queues_.find(receive);
    return pair < most_pairs && role(receive) == Role::receive && known != queues_.end() &&
           known->second.was_live;
  };
  for (std::uint32_t i = 0; i < entries; ++i) {
    le16 entry;
    if (!take(data, entry)) return add(Rule::NET_LAY_004, queue, cut);
    if (!enabled(entry))
      add(Rule::NET_DRV_049, queue, [&] {
        return fmt::format("entry {} is {}, a queue that was never enabled", i,
                           std::uint16_t{entry});
      });
  }
  le16 max_tx_vq;
  if (!take(data, max_tx_vq)) return add(Rule::NET_LAY_004, queue, cut);
  judge_key(queue, data);
  if (done) transmit_queues_set(max_tx_vq);
}

void NetRules::command_hash(std::uint16_t queue, Bytes data) {
  require(queue, VIRTIO_NET_F_HASH_REPORT, "VIRTIO_NET_CTRL_MQ_HASH_CONFIG");
  virtio_net_hash_config front;
  const std::size_t bytes = data.size();
  if (!take(data, front)) {
    add(Rule::NET_LAY_004, queue,
        [&] { return fmt::format("HASH_CONFIG ends after {} bytes of data", bytes); });
    return;
  }
  judge_hash_types(queue, front.hash_types);
  if (std::ranges::any_of(front.reserved, [](le16 word) { return word != 0; }))
    add(Rule::NET_TXT_023, queue, [] { return "reserved of HASH_CONFIG is not zero"; });
  judge_key(queue, data);
}

// --- offloads (5.1.6.5.8) ------------------------------------------------------------------------

void NetRules::command_offloads(std::uint16_t queue, Bytes data) {
  require(queue, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "VIRTIO_NET_CTRL_GUEST_OFFLOADS");
  le64 bits;
  require_length(queue, data, sizeof bits, "VIRTIO_NET_CTRL_GUEST_OFFLOADS");
  if (!read_layout(data, bits)) return;
  FeatureSet offloads;
  offloads.set_word32(0, static_cast<std::uint32_t>(bits));
  offloads.set_word32(1, static_cast<std::uint32_t>(bits >> 32));
  if (!offloads.subset_of(features_ & guest_offloads))
    add(Rule::NET_DRV_053, queue,
        [&] { return fmt::format("offloads are {:#018x}", std::uint64_t{bits}); });
}

} // namespace virtio::analyser
