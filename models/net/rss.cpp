#include <virtio/net/rss.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace virtio::net {

namespace {

template <class Layout> bool take(std::span<const std::byte>& data, Layout& layout) {
  if (!read_layout(data, layout)) return false;
  data = data.subspan(sizeof layout);
  return true;
}

} // namespace

Rss::Rss(const RssParams& params, std::uint16_t pairs) : params_(params), pairs_(pairs) {
  if ((params.hash_types & ~all_hash_types) != 0)
    throw std::invalid_argument("net: hash_types has bits outside all_hash_types");
  if ((params.tunnel_types & ~all_tunnel_types) != 0)
    throw std::invalid_argument("net: tunnel_types has bits outside all_tunnel_types");
  if (params.max_key_size < used_key_bytes)
    throw std::invalid_argument(
        fmt::format("net: max_key_size {} is below {}", params.max_key_size, used_key_bytes));
  if (params.max_table_length < 128 || params.max_table_length > 0x8000)
    throw std::invalid_argument(
        fmt::format("net: max_table_length {} is not 128 .. 32768", params.max_table_length));
}

void Rss::start(const FeatureSet& negotiated) {
  reset();
  negotiated_ = negotiated;
}

void Rss::reset() {
  negotiated_ = {};
  rules_ = {};
  rules_.ports_of_first_fragment = params_.ports_of_first_fragment;
  if (params_.max_parse_bytes != 0) rules_.parse.max_parse_bytes = params_.max_parse_bytes;
  steers_ = false;
  unclassified_ = 0;
  transmit_queues_ = 0;
  table_.clear();
  used_.clear();
  key_ = {};
  tell_unit();
}

std::uint32_t Rss::supported_types() const {
  return params_.hash_types | (params_.inner_hash_v7 ? all_inner_hash_types : 0);
}

bool Rss::set_rss(std::span<const std::byte> data) {
  virtio_net_rss_config front;
  if (!negotiated_.has(VIRTIO_NET_F_RSS) || !take(data, front)) return false;
  const std::size_t entries = std::size_t{front.indirection_table_mask} + 1;
  if (!std::has_single_bit(entries) || entries > params_.max_table_length ||
      front.unclassified_queue >= pairs_ || data.size() < entries * sizeof(le16))
    return false;
  std::vector<std::uint16_t> table(entries);
  for (std::uint16_t& pair : table) {
    le16 entry;
    take(data, entry);
    if (entry >= pairs_) return false;
    pair = entry;
  }
  le16 max_tx_vq;
  if (!take(data, max_tx_vq) || max_tx_vq == 0 || max_tx_vq > pairs_ ||
      !set_key(data, front.hash_types))
    return false;
  table_ = std::move(table);
  unclassified_ = front.unclassified_queue;
  transmit_queues_ = max_tx_vq;
  used_.assign(pairs_, false);
  used_[unclassified_] = true;
  for (const std::uint16_t pair : table_)
    used_[pair] = true;
  steers_ = true;
  tell_unit();
  return true;
}

bool Rss::set_hash(std::span<const std::byte> data) {
  virtio_net_hash_config front;
  if (!negotiated_.has(VIRTIO_NET_F_HASH_REPORT) || !take(data, front) ||
      std::ranges::any_of(front.reserved, [](le16 word) { return word != 0; }) ||
      !set_key(data, front.hash_types))
    return false;
  steers_ = false;
  tell_unit();
  return true;
}

/// Both commands end with the key.
bool Rss::set_key(std::span<const std::byte> data, std::uint32_t types) {
  std::uint8_t length = 0;
  const std::uint32_t proposed =
      negotiated_.has(proposed_VIRTIO_NET_F_HASH_TUNNEL) ? all_inner_hash_types : 0;
  if ((types & ~(params_.hash_types | proposed)) != 0 || !take(data, length) ||
      length != data.size() || length > params_.max_key_size ||
      (types != 0 && length < used_key_bytes))
    return false;
  toeplitz_ = Toeplitz({reinterpret_cast<const std::uint8_t*>(data.data()), data.size()});
  std::ranges::copy(std::as_bytes(std::span(data)).first(std::min(data.size(), key_.size())),
                    std::as_writable_bytes(std::span(key_)).begin());
  rules_.types = types;
  return true;
}

bool Rss::set_tunnels(std::span<const std::byte> data) {
  le32 types;
  if (!negotiated_.has(VIRTIO_NET_F_HASH_TUNNEL) || data.size() != sizeof types ||
      !take(data, types) || (types & ~params_.tunnel_types) != 0)
    return false;
  rules_.tunnels = types;
  tell_unit();
  return true;
}

void Rss::tell_unit() const {
  if (!params_.unit) return;
  RssUnitSetup setup{.rules = rules_, .key = key_};
  if (!table_.empty()) setup.table = table_;
  setup.unclassified = unclassified_;
  params_.unit->configure(setup);
}

RssUnit::Verdict Rss::judge(Frame packet) const {
  if (params_.unit && (steers_ || rules_.types != 0)) return params_.unit->judge(packet);
  RssUnit::Verdict verdict;
  if (rules_.types != 0) verdict.hash = hash_of(packet, rules_, toeplitz_);
  if (steers_)
    verdict.pair =
        verdict.hash.hashed() ? table_[verdict.hash.value & (table_.size() - 1)] : unclassified_;
  return verdict;
}

} // namespace virtio::net
