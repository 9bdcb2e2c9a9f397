// What the analyser hands out: violations, each kind once in full and counted afterwards.
#pragma once

#include <virtio/analyser/rules.hpp>
#include <virtio/core/types.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace virtio::analyser {

struct Violation {
  SimTime time;
  std::string_view id; ///< "SPLIT-DRV-007"
  std::string device;
  std::optional<std::uint16_t> queue; ///< nothing: of the whole device
  std::string evidence;
};
/// Everything in one line: time, device, queue, id, what the rule asks for, and the evidence.
std::string to_string(const Violation& violation);

/// Counts violations by rule and queue. The first of each is kept and goes to the sink; evidence is
/// put into words only then.
class Report {
public:
  using Sink = std::function<void(const Violation&)>;
  struct Tally {
    Violation first;
    std::uint64_t count = 0;
  };

  Report(std::string device, bool recommendations, Sink sink)
      : device_(std::move(device)), recommendations_(recommendations), sink_(std::move(sink)) {}

  void at(SimTime time) { now_ = time; }
  SimTime now() const { return now_; }
  /// `evidence()` gives the text.
  template <class Evidence>
  void add(Rule rule, std::optional<std::uint16_t> queue, Evidence&& evidence) {
    if (info(rule).recommendation() && !recommendations_) return;
    ++total_;
    const auto key = std::pair(rule, queue);
    if (const auto known = tallies_.find(key); known != tallies_.end()) {
      ++known->second.count;
    } else if (tallies_.size() < max_tallies) {
      Tally& tally =
          tallies_.emplace(key, Tally{{now_, info(rule).id, device_, queue, evidence()}, 1})
              .first->second;
      if (sink_) sink_(tally.first);
    }
  }

  /// By rule, then queue.
  std::vector<Tally> tallies() const;
  /// All of them, those of which no tally could be kept included.
  std::uint64_t total() const { return total_; }

  static constexpr std::size_t max_tallies = 4096;

private:
  std::string device_;
  bool recommendations_;
  Sink sink_;
  SimTime now_;
  std::uint64_t total_ = 0;
  std::map<std::pair<Rule, std::optional<std::uint16_t>>, Tally> tallies_;
};

} // namespace virtio::analyser
