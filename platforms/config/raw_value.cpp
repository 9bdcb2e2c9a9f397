#include <virtio/platforms/config/raw_value.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>

namespace virtio::platform {

namespace {

tl::unexpected<std::string> wrong(std::string_view wanted, const RawValue& raw) {
  if (raw.kind == RawValue::Kind::text)
    return tl::unexpected(fmt::format("must be {}, not \"{}\"", wanted, raw.string));
  return tl::unexpected(fmt::format("must be {}, not {}", wanted, raw.kind_name));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// "1.5" times the unit's factor, if that is a whole number of 64 bits.
std::optional<std::uint64_t> scaled(std::string_view number, std::uint64_t factor) {
  const std::size_t point = number.find('.');
  const std::string_view whole = number.substr(0, point);
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  if (error != std::errc{} || end != whole.data() + whole.size()) return std::nullopt;
  std::uint64_t result = 0;
  if (__builtin_mul_overflow(value, factor, &result)) return std::nullopt;
  if (point == std::string_view::npos) return result;
  // Each further digit is worth a tenth of the one before.
  const std::string_view fraction = number.substr(point + 1);
  if (fraction.empty()) return std::nullopt;
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;
  for (const char digit : fraction) {
    if (!is_digit(digit) || denominator > 100'000'000'000'000) return std::nullopt;
    numerator = numerator * 10 + static_cast<std::uint64_t>(digit - '0');
    denominator *= 10;
  }
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(numerator, factor, &product) || product % denominator != 0)
    return std::nullopt;
  if (__builtin_add_overflow(result, product / denominator, &result)) return std::nullopt;
  return result;
}

} // namespace

Parsed<bool> parse_boolean(const RawValue& raw) {
  if (raw.kind == RawValue::Kind::boolean) return raw.boolean;
  if (raw.kind == RawValue::Kind::text && (raw.string == "true" || raw.string == "false"))
    return raw.string == "true";
  return wrong("true or false", raw);
}

Parsed<std::uint64_t> parse_integer(const RawValue& raw) {
  if (raw.kind == RawValue::Kind::integer) {
    if (raw.integer < 0) return tl::unexpected(fmt::format("{} is negative", raw.integer));
    return static_cast<std::uint64_t>(raw.integer);
  }
  if (raw.kind == RawValue::Kind::text) {
    // As TOML writes them: underscores between digits, 0x for hexadecimal.
    std::string digits = raw.string;
    std::erase(digits, '_');
    const bool hexadecimal = digits.starts_with("0x");
    const std::string_view body = std::string_view(digits).substr(hexadecimal ? 2 : 0);
    std::uint64_t value = 0;
    auto [end, error] =
        std::from_chars(body.data(), body.data() + body.size(), value, hexadecimal ? 16 : 10);
    if (error == std::errc{} && end == body.data() + body.size()) return value;
  }
  return wrong("a whole number without a unit", raw);
}

Parsed<std::string> parse_string(const RawValue& raw) {
  if (raw.has_letters()) return raw.string;
  return wrong("a string in quotation marks", raw);
}

Parsed<MacAddress> parse_mac(const RawValue& raw) {
  constexpr std::string_view wanted =
      R"(a MAC address of six pairs of hexadecimal digits like "52:54:00:12:34:56")";
  if (!raw.has_letters()) return wrong(wanted, raw);
  const std::string& s = raw.string;
  MacAddress mac{};
  const auto bad = tl::unexpected(fmt::format("must be {}, not \"{}\"", wanted, s));
  if (s.size() != 3 * mac.size() - 1) return bad;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* pair = s.data() + 3 * i;
    auto [end, error] = std::from_chars(pair, pair + 2, mac[i], 16);
    if (error != std::errc{} || end != pair + 2) return bad;
    if (i + 1 < mac.size() && pair[2] != ':') return bad;
  }
  if (mac[0] & 1)
    return tl::unexpected(fmt::format(
        "\"{}\" is a multicast address; a device's own has an even first byte like 52", s));
  return mac;
}

Parsed<std::vector<std::uint64_t>> parse_numbers(const RawValue& raw) {
  constexpr std::size_t most = 65536;
  constexpr std::string_view wanted =
      R"(an array of whole numbers like [4, 1, 1] or a text like "4 2*1")";
  std::vector<std::uint64_t> numbers;
  if (raw.kind == RawValue::Kind::array) {
    for (const RawValue& element : raw.elements) {
      if (element.kind != RawValue::Kind::integer || element.integer < 0)
        return tl::unexpected(fmt::format("must be {}", wanted));
      numbers.push_back(static_cast<std::uint64_t>(element.integer));
    }
    return numbers;
  }
  if (!raw.has_letters()) return wrong(wanted, raw);
  std::string text = raw.string;
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  std::replace(text.begin(), text.end(), ',', ' ');
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t star = word.find('*');
    const auto times = star == std::string::npos ? 1 : number(word.substr(0, star));
    const auto value = number(star == std::string::npos ? word : word.substr(star + 1));
    if (!times || !value || *times > most - numbers.size())
      return tl::unexpected(fmt::format("must be {}, not \"{}\"", wanted, raw.string));
    numbers.insert(numbers.end(), *times, *value);
  }
  return numbers;
}

Parsed<std::uint64_t> parse_quantity(const RawValue& raw, std::span<const Unit> units,
                                     std::string_view example) {
  std::vector<std::string> names;
  for (const Unit& unit : units)
    names.emplace_back(unit.name);
  const std::string allowed = fmt::format("{}", fmt::join(names, ", "));
  const auto fail = [](std::string sentence) { return tl::unexpected(std::move(sentence)); };
  const bool plain = raw.kind == RawValue::Kind::integer || raw.kind == RawValue::Kind::real;
  if (!raw.has_letters() && !plain)
    return wrong(fmt::format("a number and a unit like \"{}\"", example), raw);

  const std::string_view s = raw.string;
  const auto number_end =
      std::find_if_not(s.begin(), s.end(), [](char c) { return is_digit(c) || c == '.'; });
  const std::string_view number(s.begin(), number_end);
  std::string_view unit_name(number_end, s.end());
  unit_name.remove_prefix(std::min(unit_name.find_first_not_of(' '), unit_name.size()));
  if (plain || (!number.empty() && unit_name.empty()))
    return fail(fmt::format("needs a unit ({}): write it like \"{}\"", allowed, example));
  if (number.empty())
    return fail(fmt::format("must be a number and a unit like \"{}\", not \"{}\"", example, s));
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit_name; });
  if (unit == units.end())
    return fail(fmt::format("\"{}\" is not a unit of this value, which takes {}{}", unit_name,
                            allowed, did_you_mean(unit_name, names)));
  const auto amount = scaled(number, unit->factor);
  if (!amount)
    return fail(fmt::format("\"{}\" is not a whole number of {} below 2^64", s, units[0].name));
  return *amount;
}

} // namespace virtio::platform
