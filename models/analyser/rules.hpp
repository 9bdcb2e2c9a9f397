// The rules of the protocol analyser: one table of them, by the ids of the specification's
// normative statements. Rules whose id has "-LAY-" are facts of the layout that no normative
// statement repeats (an index within the ring, for example).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace virtio::analyser {

enum class Rule : std::uint8_t {
#define RULE(name, id, keyword, section, text) name,
#include <virtio/analyser/rules.def>
#undef RULE
};

/// How strongly the specification asks for it.
enum class Keyword : std::uint8_t {
  must,
  must_not,
  should,
  should_not,
  layout, ///< follows from a structure's definition
};

struct RuleInfo {
  Rule rule{};
  std::string_view id;
  Keyword keyword{};
  std::string_view section; ///< of virtio 1.4
  std::string_view text;    ///< what is checked

  /// A recommendation: checked only where AnalyserParams asks for it.
  bool recommendation() const {
    return keyword == Keyword::should || keyword == Keyword::should_not;
  }
};

/// All rules, in the order of rules.def.
std::span<const RuleInfo> rules();
const RuleInfo& info(Rule rule);
/// The rule with an id such as "SPLIT-DRV-007", or null.
const RuleInfo* find_rule(std::string_view id);
const char* to_string(Keyword keyword);

} // namespace virtio::analyser
