#include <virtio/analyser/rules.hpp>

#include <algorithm>
#include <array>

namespace virtio::analyser {
namespace {

constexpr std::array table{
#define RULE(name, id, keyword, section, text)                                                     \
  RuleInfo{Rule::name, id, Keyword::keyword, section, text},
#include <virtio/analyser/rules.def>
#undef RULE
};

} // namespace

std::span<const RuleInfo> rules() {
  return table;
}

const RuleInfo& info(Rule rule) {
  return table[static_cast<std::size_t>(rule)];
}

const RuleInfo* find_rule(std::string_view id) {
  const auto found = std::ranges::find(table, id, &RuleInfo::id);
  return found == table.end() ? nullptr : &*found;
}

const char* to_string(Keyword keyword) {
  switch (keyword) {
  case Keyword::must:
    return "MUST";
  case Keyword::must_not:
    return "MUST NOT";
  case Keyword::should:
    return "SHOULD";
  case Keyword::should_not:
    return "SHOULD NOT";
  case Keyword::layout:
    return "layout";
  }
  return "?";
}

} // namespace virtio::analyser
