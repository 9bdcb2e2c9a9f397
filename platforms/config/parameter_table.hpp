// One row for each parameter, one table for each struct. A row knows how to read, check and print
// its member; nothing else in the program repeats its name, default, range or meaning.
#pragma once

#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/config/raw_value.hpp>

#include <bit>
#include <functional>
#include <type_traits>

namespace virtio::platform {

// What a value must fulfil beyond having the right type. Numbers are in the smallest unit of the
// kind.
struct Rule {
  std::optional<std::uint64_t> min = {};
  std::optional<std::uint64_t> max = {};
  bool power_of_two = false;
  std::uint64_t multiple_of = 1;
  std::size_t max_length = 0; // of a string, in bytes; 0: any
  // Of a string: empty if it is right, else what is wrong with it. `form` is the same for `params`.
  std::string_view (*check)(std::string_view) = nullptr;
  std::string_view form = {};
  std::string_view unit = {}; // of a plain number
  bool required = false;
  std::string_view fallback = {}; // replaces the printed default where the member has none
};

struct Documentation {
  std::string_view source; // of the default
  std::string_view sentence;
};

// A parameter of one particular object.
struct BoundParameter {
  std::string key; // dotted from the object's own table: cpu.quantum
  bool required = false;
  std::function<std::optional<std::string>(const RawValue&)> set; // a sentence if it is refused
};

template <class Struct> struct Parameter {
  std::string_view key;
  Rule rule;
  ParameterInfo info; // component and path are filled in by the table
  std::function<std::optional<std::string>(Struct&, const RawValue&)> set;
};

template <class Struct> struct Table {
  std::string component;
  std::string path; // of an object: device.NAME
  std::vector<Parameter<Struct>> parameters;
};

// The printed form of a member's default, of its units and of what its kind allows.
template <class T> std::string default_text(const T& value, const Rule& rule) {
  if (rule.required) return "required";
  if (!rule.fallback.empty()) return std::string(rule.fallback);
  if constexpr (OptionalOf<T>::value)
    return value ? default_text(*value, rule) : "none";
  else if constexpr (ListOf<T>::value)
    return fmt::format("[{}]", fmt::join(value, ", "));
  else if constexpr (std::same_as<T, std::string>)
    return fmt::format("\"{}\"", value);
  else if constexpr (std::same_as<T, std::filesystem::path>)
    return fmt::format("\"{}\"", value.string());
  else if constexpr (Quantity<T> || Choice<T>)
    return fmt::format("\"{}\"", text(value));
  else
    return text(value);
}

template <class T> std::string unit_text(const Rule& rule) {
  if constexpr (OptionalOf<T>::value)
    return unit_text<typename T::value_type>(rule);
  else if constexpr (ListOf<T>::value)
    return "list of numbers";
  else if constexpr (Quantity<T>) {
    std::string names;
    for (const Unit& unit : Units<T>::all)
      names += fmt::format("{}{}", names.empty() ? "" : " ", unit.name);
    return names;
  } else if constexpr (std::same_as<T, bool>)
    return "true or false";
  else if constexpr (std::same_as<T, std::filesystem::path>)
    return "file";
  else if constexpr (std::same_as<T, MacAddress>)
    return "MAC address";
  else if constexpr (Choice<T>)
    return "word";
  else if constexpr (std::same_as<T, std::string>)
    return "text";
  else
    return std::string(rule.unit);
}

template <class T> std::string number_text(std::uint64_t value) {
  if constexpr (Quantity<T>)
    return text(T{value});
  else
    return text(value);
}

template <class T> std::string range_text(const Rule& rule) {
  if constexpr (OptionalOf<T>::value) {
    return range_text<typename T::value_type>(rule);
  } else if constexpr (ListOf<T>::value) {
    return "each " + range_text<typename T::value_type>(rule);
  } else if constexpr (Choice<T>) {
    std::string words;
    for (const auto& [word, choice] : Choices<T>::all)
      words += fmt::format("{}{}", words.empty() ? "" : " | ", word);
    return words;
  } else {
    std::string out(rule.form);
    if (rule.min && rule.max)
      out += fmt::format("{} .. {}", number_text<T>(*rule.min), number_text<T>(*rule.max));
    else if (rule.min)
      out += fmt::format("at least {}", number_text<T>(*rule.min));
    else if (rule.max)
      out += fmt::format("at most {}", number_text<T>(*rule.max));
    if (rule.power_of_two) out += ", a power of two";
    if (rule.multiple_of != 1) out += ", a multiple of " + number_text<T>(rule.multiple_of);
    if (rule.max_length) out += fmt::format("at most {} bytes", rule.max_length);
    return out;
  }
}

// A sentence if the value breaks the rule.
template <class T> std::optional<std::string> broken(const T& value, const Rule& rule) {
  if constexpr (OptionalOf<T>::value) {
    return broken(*value, rule);
  } else if constexpr (ListOf<T>::value) {
    for (const auto element : value)
      if (auto sentence = broken(element, rule)) return sentence;
    return std::nullopt;
  } else if constexpr (std::same_as<T, std::string>) {
    if (rule.max_length && value.size() > rule.max_length)
      return fmt::format("\"{}\" is longer than {} bytes", value, rule.max_length);
    if (const std::string_view problem = rule.check ? rule.check(value) : ""; !problem.empty())
      return fmt::format("\"{}\" {}", value, problem);
    return std::nullopt;
  } else if constexpr (Quantity<T> || (std::unsigned_integral<T> && !std::same_as<T, bool>)) {
    std::uint64_t number = 0;
    if constexpr (Quantity<T>)
      number = base_units(value);
    else
      number = value;
    const bool inside = number >= rule.min.value_or(0) && number <= rule.max.value_or(~0ull);
    if (inside && (!rule.power_of_two || std::has_single_bit(number)) &&
        number % rule.multiple_of == 0)
      return std::nullopt;
    return fmt::format("{} is not allowed: {}", number_text<T>(number), range_text<T>(rule));
  } else {
    return std::nullopt;
  }
}

template <class Struct, class Member>
Parameter<Struct> parameter(std::string_view key, Member Struct::*member, Rule rule,
                            Documentation documentation) {
  ParameterInfo info;
  info.unit = unit_text<Member>(rule);
  info.fallback = default_text(Struct{}.*member, rule);
  info.range = range_text<Member>(rule);
  info.source = documentation.source;
  info.description = documentation.sentence;
  auto set = [member, rule](Struct& object, const RawValue& raw) -> std::optional<std::string> {
    auto value = parse<Member>(raw);
    if (!value) return value.error();
    if (auto sentence = broken(*value, rule)) return sentence;
    object.*member = std::move(*value);
    return std::nullopt;
  };
  return {key, rule, std::move(info), std::move(set)};
}

// A member that `Struct` inherits.
template <class Struct, class Base, class Member>
Parameter<Struct> inherited(std::string_view key, Member Base::*member, Rule rule,
                            Documentation documentation) {
  return parameter(key, static_cast<Member Struct::*>(member), rule, documentation);
}

// Of the structs of config.hpp, in parameters.cpp.
const Table<PlatformConfig>& table(const PlatformConfig&);
const Table<RiscvVirtConfig>& table(const RiscvVirtConfig&);
const Table<CpuConfig>& table(const CpuConfig&);
const Table<BusConfig>& table(const BusConfig&);
const Table<HostConfig>& table(const HostConfig&);
const Table<LinkConfig>& table(const LinkConfig&);
const Table<LinkMemoryConfig>& table(const LinkMemoryConfig&);
const Table<tlm2::PcieCredits>& table(const tlm2::PcieCredits&);
const Table<tlm2::TranslationParams>& table(const tlm2::TranslationParams&);
const Table<MediaConfig>& table(const MediaConfig&);
const Table<DeviceConfig>& table(const DeviceConfig&);
const Table<FeaturesConfig>& table(const FeaturesConfig&);
const Table<BlockFeaturesConfig>& table(const BlockFeaturesConfig&);
const Table<NetFeaturesConfig>& table(const NetFeaturesConfig&);
const Table<ConsoleFeaturesConfig>& table(const ConsoleFeaturesConfig&);
const Table<EntropyTimingConfig>& table(const EntropyTimingConfig&);
const Table<BlockTimingConfig>& table(const BlockTimingConfig&);
const Table<NetTimingConfig>& table(const NetTimingConfig&);
const Table<NetRssConfig>& table(const NetRssConfig&);
const Table<NetProposalsConfig>& table(const NetProposalsConfig&);
const Table<ConsoleTimingConfig>& table(const ConsoleTimingConfig&);
const Table<RingConfig>& table(const RingConfig&);
const Table<RtlConfig>& table(const RtlConfig&);
const Table<EntropyConfig>& table(const EntropyConfig&);
const Table<BlockConfig>& table(const BlockConfig&);
const Table<NetConfig>& table(const NetConfig&);
const Table<ConsoleConfig>& table(const ConsoleConfig&);
const Table<StepConfig>& table(const StepConfig&);
const Table<WorkloadConfig>& table(const WorkloadConfig&);
const Table<BlockWorkloadConfig>& table(const BlockWorkloadConfig&);
const Table<NetWorkloadConfig>& table(const NetWorkloadConfig&);

// Adds the parameters of `object`, which must outlive the list, with their keys below `prefix`
// ("cpu.").
template <class Struct>
void bind_parameters(Struct& object, const std::string& prefix,
                     std::vector<BoundParameter>& bound) {
  for (const Parameter<Struct>& row : table(object).parameters)
    bound.push_back({prefix + std::string(row.key), row.rule.required,
                     [&object, &row](const RawValue& raw) { return row.set(object, raw); }});
}

// The same for what a device's type adds, its own tables included.
template <class Function>
void bind_function(Function& function, std::vector<BoundParameter>& bound) {
  bind_parameters(function, "", bound);
  if constexpr (requires { function.features; })
    bind_parameters(function.features, "features.", bound);
  if constexpr (requires { function.rss; }) bind_parameters(function.rss, "rss.", bound);
  if constexpr (requires { function.proposals; })
    bind_parameters(function.proposals, "proposals.", bound);
  bind_parameters(function.timing, "timing.", bound);
}

} // namespace virtio::platform
