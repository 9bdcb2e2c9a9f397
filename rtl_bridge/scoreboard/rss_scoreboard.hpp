// Judges the results of an RSS block: packets and changes of configuration in, in the order in
// which the block took them, and results as they come; the first rule that is broken out. What is
// expected is what models/net says of the packet.
#pragma once

#include <virtio/net/hash.hpp>
#include <virtio/rtl/cosim/stimulus.hpp>

#include <deque>
#include <optional>

namespace virtio::rtl {

/// What the block is told (the RSS block boundary of the design).
struct RssSetup {
  net::HashRules rules;
  std::array<std::uint8_t, net::used_key_bytes> key{};
  std::vector<std::uint16_t> table; ///< a power of two
  std::uint16_t table_mask = 0;     ///< of what is used of the table
  std::uint16_t unclassified_queue = 0;
  std::vector<bool> queues_in_reset;
};

struct RssResult {
  std::uint32_t hash = 0;
  bool hashed = false;
  std::uint8_t report = 0; ///< net::HashReport
  std::uint8_t tunnel = 0; ///< net::TunnelReport
  std::uint16_t queue = 0;
  bool drop = false; ///< the queue is in reset

  bool operator==(const RssResult&) const = default;
};

std::string to_text(const RssResult& result);

/// What models/net says of packets.
class RssModel {
public:
  explicit RssModel(RssSetup setup) { configure(std::move(setup)); }

  void configure(RssSetup setup);
  const RssSetup& setup() const { return setup_; }
  RssResult result(net::Frame packet) const;

private:
  RssSetup setup_;
  net::Toeplitz toeplitz_;
};

/// RSS-REPORT   hash_report, or that there is a hash, is another
/// RSS-TUNNEL   hash_report_tunnel is another
/// RSS-HASH     the hash value is another; 0 without a hash
/// RSS-QUEUE    the queue is another
/// RSS-DROP     a packet for a queue in reset is kept, or another one dropped
/// RSS-ORDER    the result is right for a later packet
/// RSS-COUNT    a result without a packet, a packet's result once more, or a packet without result
class RssScoreboard {
public:
  void packet(const RssResult& expected) { expected_.push_back(expected); }
  std::optional<cosim::Finding> result(std::uint64_t cycle, const RssResult& result);
  /// When the block has come to rest.
  std::optional<cosim::Finding> settle(std::uint64_t cycle) const;

  std::size_t outstanding() const { return expected_.size(); }
  std::uint64_t packets() const { return packets_; } ///< that have their result

private:
  const char* broken_rule(const RssResult& result) const;

  std::deque<RssResult> expected_;
  std::optional<RssResult> previous_;
  std::uint64_t packets_ = 0;
};

} // namespace virtio::rtl
