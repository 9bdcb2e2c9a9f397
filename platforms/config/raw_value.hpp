// A value as it was written, before it has a type: in the TOML file, or as the text of a `--set`.
// parse() turns it into one of the kinds of values.hpp, or says in one sentence why it cannot.
#pragma once

#include <virtio/platforms/config/suggest.hpp>
#include <virtio/platforms/config/units.hpp>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include <concepts>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace virtio::platform {

struct RawValue {
  enum class Kind { boolean, integer, real, string, text, array, other };
  Kind kind = Kind::other;
  bool boolean = false;
  std::int64_t integer = 0;
  std::string string;             // of a string, or the whole text of a --set
  std::vector<RawValue> elements; // of an array
  std::string_view kind_name;     // "an array", for messages
  std::filesystem::path base;     // what a relative path is relative to

  bool has_letters() const { return kind == Kind::string || kind == Kind::text; }
};

template <class T> using Parsed = tl::expected<T, std::string>;

Parsed<bool> parse_boolean(const RawValue& raw);
Parsed<std::uint64_t> parse_integer(const RawValue& raw);
Parsed<std::string> parse_string(const RawValue& raw);
Parsed<MacAddress> parse_mac(const RawValue& raw);
// An array of numbers, or a text of them with spaces or commas between, in which N*V stands for N
// times V.
Parsed<std::vector<std::uint64_t>> parse_numbers(const RawValue& raw);
// The amount in the smallest unit. `example` is what a correct value looks like.
Parsed<std::uint64_t> parse_quantity(const RawValue& raw, std::span<const Unit> units,
                                     std::string_view example);

template <class T> struct OptionalOf { static constexpr bool value = false; };
template <class T> struct OptionalOf<std::optional<T>> { static constexpr bool value = true; };

template <class T> struct ListOf { static constexpr bool value = false; };
template <std::unsigned_integral T> struct ListOf<std::vector<T>> {
  static constexpr bool value = true;
};

template <class T> Parsed<T> parse(const RawValue& raw) {
  if constexpr (OptionalOf<T>::value) {
    return parse<typename T::value_type>(raw).map([](auto value) { return T(std::move(value)); });
  } else if constexpr (std::same_as<T, bool>) {
    return parse_boolean(raw);
  } else if constexpr (std::unsigned_integral<T>) {
    return parse_integer(raw).and_then([](std::uint64_t value) -> Parsed<T> {
      if (value > std::numeric_limits<T>::max())
        return tl::unexpected(fmt::format("{} is too large", value));
      return static_cast<T>(value);
    });
  } else if constexpr (ListOf<T>::value) {
    return parse_numbers(raw).and_then([](const std::vector<std::uint64_t>& numbers) -> Parsed<T> {
      T list;
      for (const std::uint64_t number : numbers) {
        if (number > std::numeric_limits<typename T::value_type>::max())
          return tl::unexpected(fmt::format("{} is too large", number));
        list.push_back(static_cast<typename T::value_type>(number));
      }
      return list;
    });
  } else if constexpr (std::same_as<T, std::string>) {
    return parse_string(raw);
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    return parse_string(raw).and_then([&](const std::string& name) -> Parsed<T> {
      if (name.empty()) return tl::unexpected(std::string("an empty file name"));
      return (raw.base / name).lexically_normal();
    });
  } else if constexpr (std::same_as<T, MacAddress>) {
    return parse_mac(raw);
  } else if constexpr (Quantity<T>) {
    return parse_quantity(raw, Units<T>::all, Units<T>::example).map([](std::uint64_t value) {
      return T{value};
    });
  } else {
    static_assert(Choice<T>);
    return parse_string(raw).and_then([](const std::string& name) -> Parsed<T> {
      std::vector<std::string> words;
      for (const auto& [word, choice] : Choices<T>::all) {
        if (word == name) return choice;
        words.emplace_back(word);
      }
      return tl::unexpected(fmt::format("\"{}\" is none of those this build has: {}{}", name,
                                        quoted_list(words), did_you_mean(name, words)));
    });
  }
}

} // namespace virtio::platform
