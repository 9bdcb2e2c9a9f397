#include <virtio/rtl/cosim/coverage.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace virtio::rtl::cosim {

void CoverPlan::group(const std::string& name, const std::vector<std::string>& bins) {
  groups_[name] = bins;
  for (const std::string& bin : bins)
    counts_[name + '/' + bin];
}

void CoverPlan::cross(const std::string& one, const std::string& two) {
  if (!groups_.contains(one) || !groups_.contains(two))
    throw std::invalid_argument(
        fmt::format("CoverPlan: declare the groups {} and {} before their cross", one, two));
  for (const std::string& a : groups_[one])
    for (const std::string& b : groups_[two])
      counts_[fmt::format("{}*{}/{}*{}", one, two, a, b)];
}

void CoverPlan::waive(const std::string& bin, const std::string& reason) {
  at(bin);
  waivers_[bin] = reason;
}

std::uint64_t& CoverPlan::at(const std::string& bin) {
  const auto found = counts_.find(bin);
  if (found == counts_.end())
    throw std::invalid_argument(fmt::format("CoverPlan: no bin \"{}\"; declare it first", bin));
  return found->second;
}

void CoverPlan::hit(const std::string& group, const std::string& bin) {
  ++at(group + '/' + bin);
}

void CoverPlan::hit(const std::vector<std::pair<std::string, std::string>>& together) {
  for (const auto& [group, bin] : together)
    hit(group, bin);
  for (const auto& [one, a] : together)
    for (const auto& [two, b] : together)
      if (const auto cross = counts_.find(fmt::format("{}*{}/{}*{}", one, two, a, b));
          cross != counts_.end())
        ++cross->second;
}

std::size_t CoverPlan::covered() const {
  return static_cast<std::size_t>(std::ranges::count_if(counts_, [this](const auto& bin) {
    return bin.second != 0 || waivers_.contains(bin.first);
  }));
}

std::uint64_t CoverPlan::count(const std::string& bin) const {
  const auto found = counts_.find(bin);
  return found == counts_.end() ? 0 : found->second;
}

std::vector<std::string> CoverPlan::missing() const {
  std::vector<std::string> names;
  for (const auto& [bin, count] : counts_)
    if (count == 0 && !waivers_.contains(bin)) names.push_back(bin);
  return names;
}

std::string CoverPlan::to_json() const {
  return nlohmann::ordered_json{{"bins", counts_}, {"waivers", waivers_}}.dump(2);
}

tl::expected<void, std::string> CoverPlan::add(const std::string& json) {
  const auto read = nlohmann::json::parse(json, nullptr, false);
  if (!read.is_object() || !read.contains("bins") || !read["bins"].is_object())
    return tl::unexpected(std::string("no JSON of a cover plan"));
  for (const auto& [bin, count] : read["bins"].items())
    if (!counts_.contains(bin) || !count.is_number_unsigned())
      return tl::unexpected(fmt::format("\"{}\" is no bin of this plan", bin));
  for (const auto& [bin, count] : read["bins"].items())
    counts_[bin] += count.get<std::uint64_t>();
  return {};
}

tl::expected<void, std::string> CoverPlan::merge_into(const std::filesystem::path& file) const {
  CoverPlan sum = *this;
  if (std::ifstream in(file); in) {
    std::ostringstream text;
    text << in.rdbuf();
    if (const auto added = sum.add(text.str()); !added)
      return tl::unexpected(fmt::format("{}: {}", file.string(), added.error()));
  }
  std::ofstream out(file);
  if (!(out << sum.to_json() << '\n').flush())
    return tl::unexpected(fmt::format("{} cannot be written", file.string()));
  return {};
}

} // namespace virtio::rtl::cosim
