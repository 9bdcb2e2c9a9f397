#include <virtio/rtl/cosim/stimulus.hpp>

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <sstream>

namespace virtio::rtl::cosim {

std::uint64_t Stimulus::number(const std::string& name, std::uint64_t fallback) const {
  const auto found = settings.find(name);
  if (found == settings.end()) return fallback;
  const std::string& text = found->second;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : fallback;
}

Stimulus reseeded(Stimulus stimulus, std::uint64_t n) {
  stimulus.settings["seed"] = std::to_string(n);
  return stimulus;
}

std::string to_text(const Stimulus& stimulus) {
  std::string text;
  for (const auto& [name, value] : stimulus.settings)
    text += fmt::format("set {} {}\n", name, value);
  for (const Item& item : stimulus.items)
    text += fmt::format("item {}\n", item);
  return text;
}

tl::expected<Stimulus, std::string> parse_stimulus(const std::string& text) {
  Stimulus stimulus;
  std::istringstream lines(text);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t name_end = line.find(' ', 4);
    if (line.starts_with("item "))
      stimulus.items.push_back(line.substr(5));
    else if (line.starts_with("set ") && name_end != line.npos && name_end > 4)
      stimulus.settings[line.substr(4, name_end - 4)] = line.substr(name_end + 1);
    else
      return tl::unexpected(
          fmt::format("line {}: neither \"set NAME VALUE\" nor \"item ..\"", number));
  }
  return stimulus;
}

tl::expected<Stimulus, std::string> read_stimulus(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    return tl::unexpected(fmt::format("{} cannot be read, or is empty", file.string()));
  auto stimulus = parse_stimulus(text.str());
  if (!stimulus) return tl::unexpected(fmt::format("{}: {}", file.string(), stimulus.error()));
  return stimulus;
}

} // namespace virtio::rtl::cosim
