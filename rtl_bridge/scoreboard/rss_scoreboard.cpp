#include <virtio/rtl/scoreboard/rss_scoreboard.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl {

std::string to_text(const RssResult& result) {
  return fmt::format("hash {:#010x} {} report {} tunnel {} queue {}{}", result.hash,
                     result.hashed ? "hashed" : "not hashed",
                     result.report < 10 ? net::name(net::HashReport{result.report}) : "unknown",
                     result.tunnel < 4 ? net::name(net::TunnelReport{result.tunnel}) : "unknown",
                     result.queue, result.drop ? " dropped" : "");
}

void RssModel::configure(RssSetup setup) {
  setup_ = std::move(setup);
  toeplitz_ = net::Toeplitz(setup_.key);
}

RssResult RssModel::result(net::Frame packet) const {
  const net::HashResult hash = net::hash_of(packet, setup_.rules, toeplitz_);
  RssResult result{.hash = hash.value,
                   .hashed = hash.hashed(),
                   .report = static_cast<std::uint8_t>(hash.report),
                   .tunnel = static_cast<std::uint8_t>(hash.tunnel)};
  result.queue = hash.hashed()
                     ? setup_.table[hash.value & setup_.table_mask & (setup_.table.size() - 1)]
                     : setup_.unclassified_queue;
  result.drop =
      result.queue < setup_.queues_in_reset.size() && setup_.queues_in_reset[result.queue];
  return result;
}

const char* RssScoreboard::broken_rule(const RssResult& result) const {
  if (expected_.empty()) return "RSS-COUNT";
  const RssResult& right = expected_.front();
  if (result == right) return nullptr;
  if (std::ranges::find(expected_, result) != expected_.end()) return "RSS-ORDER";
  if (result == previous_) return "RSS-COUNT";
  if (result.report != right.report || result.hashed != right.hashed) return "RSS-REPORT";
  if (result.tunnel != right.tunnel) return "RSS-TUNNEL";
  if (result.hash != right.hash) return "RSS-HASH";
  return result.queue != right.queue ? "RSS-QUEUE" : "RSS-DROP";
}

std::optional<cosim::Finding> RssScoreboard::result(std::uint64_t cycle, const RssResult& result) {
  const char* const rule = broken_rule(result);
  if (rule != nullptr)
    return cosim::Finding{
        rule, cycle,
        fmt::format("packet {}: {}, right is {}", packets_, to_text(result),
                    expected_.empty() ? "no result" : to_text(expected_.front()))};
  previous_ = result;
  expected_.pop_front();
  ++packets_;
  return std::nullopt;
}

std::optional<cosim::Finding> RssScoreboard::settle(std::uint64_t cycle) const {
  if (expected_.empty()) return std::nullopt;
  return cosim::Finding{"RSS-COUNT", cycle,
                        fmt::format("{} packets have no result, the first is packet {}: {}",
                                    expected_.size(), packets_, to_text(expected_.front()))};
}

} // namespace virtio::rtl
