// Hash calculation and receive-side scaling as the driver sets them up (virtio 1.4, 5.1.6.5.6.4 and
// 5.1.6.5.7): the commands are checked here, and what they ask for is done to each received packet.
#pragma once

#include <virtio/core/features.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/hash.hpp>
#include <virtio/net/rss_unit.hpp>

#include <memory>
#include <vector>

namespace virtio::net {

struct RssParams {
  /// Of all_hash_types: those that supported_hash_types shows.
  std::uint32_t hash_types = all_hash_types;
  /// rss_max_key_size, used_key_bytes .. 255 (5.1.4.1).
  std::uint8_t max_key_size = used_key_bytes;
  /// rss_max_indirection_table_length, 128 .. 32768 (5.1.4.1).
  std::uint16_t max_table_length = 128;
  /// Of all_tunnel_types: those that supported_tunnel_types shows.
  std::uint32_t tunnel_types = all_tunnel_types;
  /// As HashRules has it.
  bool ports_of_first_fragment = false;
  /// Headers that do not end within so many bytes of a frame count as cut; 0: any may be looked at.
  std::uint32_t max_parse_bytes = 0;
  /// Offer the proposal's form of VIRTIO_NET_F_HASH_TUNNEL, not the standard's.
  bool inner_hash_v7 = false;
  /// Set, it makes the hashes and chooses pairs. Its limits are for whoever sets it.
  std::shared_ptr<RssUnit> unit = nullptr;
};

class Rss {
public:
  /// Throws std::invalid_argument when a parameter is out of its range. `pairs` exist at most.
  Rss(const RssParams& params, std::uint16_t pairs);

  void start(const FeatureSet& negotiated);
  void reset();
  /// What supported_hash_types shows: those of the proposal are among them where it is offered.
  std::uint32_t supported_types() const;

  /// The commands' data. False: not negotiated or wrong, and nothing has changed. A key has at
  /// least used_key_bytes, unless no hash type is enabled.
  bool set_rss(std::span<const std::byte> data);
  bool set_hash(std::span<const std::byte> data);
  bool set_tunnels(std::span<const std::byte> data);
  /// Another command has chosen automatic steering: hashes go on.
  void leave_steering() { steers_ = false; }

  /// The table decides.
  bool steers() const { return steers_; }
  bool steers_to(std::size_t pair) const { return pair < used_.size() && used_[pair]; }
  /// The hash of a received packet, none while no hash type is enabled; and while the table
  /// decides, the pair that it is for.
  RssUnit::Verdict judge(Frame packet) const;
  /// A unit is there, and why it cannot be relied on, as RssUnit has it.
  bool failed() const { return params_.unit && !params_.unit->problem().empty(); }
  const std::string& problem() const { return params_.unit->problem(); }
  /// max_tx_vq of the last command.
  std::uint16_t transmit_queues() const { return transmit_queues_; }

private:
  bool set_key(std::span<const std::byte> data, std::uint32_t types);
  void tell_unit() const;

  RssParams params_;
  std::uint16_t pairs_;
  FeatureSet negotiated_;
  HashRules rules_;
  Toeplitz toeplitz_;
  std::array<std::uint8_t, used_key_bytes> key_{};
  bool steers_ = false;
  std::uint16_t unclassified_ = 0;
  std::uint16_t transmit_queues_ = 0;
  std::vector<std::uint16_t> table_; // a power of two
  std::vector<bool> used_;           // by pair
};

} // namespace virtio::net
