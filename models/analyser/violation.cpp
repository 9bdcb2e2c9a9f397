#include <virtio/analyser/violation.hpp>

#include <fmt/format.h>

namespace virtio::analyser {

std::string to_string(const Violation& violation) {
  const RuleInfo* rule = find_rule(violation.id);
  const auto queue = violation.queue ? fmt::format(" queue {}", *violation.queue) : std::string();
  return fmt::format("{} ps {}{}: {} ({}): {}", violation.time.ps, violation.device, queue,
                     violation.id, rule ? rule->text : "?", violation.evidence);
}

std::vector<Report::Tally> Report::tallies() const {
  std::vector<Tally> list;
  list.reserve(tallies_.size());
  for (const auto& [key, tally] : tallies_)
    list.push_back(tally);
  return list;
}

} // namespace virtio::analyser
