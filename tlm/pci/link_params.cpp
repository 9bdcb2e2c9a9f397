#include <virtio/tlm/pci/link_params.hpp>

#include <fmt/format.h>

#include <bit>
#include <fstream>
#include <string_view>

namespace virtio::tlm2 {

namespace {

bool is_tlp_size(std::uint32_t bytes) {
  return bytes >= 128 && bytes <= 4096 && std::has_single_bit(bytes);
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::optional<std::string> error_in(const LatencyDistribution& memory) {
  using Kind = LatencyDistribution::Kind;
  if (memory.kind == Kind::uniform && memory.high < memory.low)
    return fmt::format("memory.high: {} ps is less than low, {} ps", memory.high.ps, memory.low.ps);
  if (memory.kind == Kind::samples && memory.samples.empty())
    return "memory.samples: there are none to draw from";
  return std::nullopt;
}

std::optional<std::string> error_in(const TranslationParams& t) {
  if (t.where == Translation::none) return std::nullopt;
  if (t.entries == 0 || t.ways == 0 || t.entries % t.ways != 0)
    return fmt::format(
        "translation.entries: {} entries cannot be arranged in sets of as many as ways, {}",
        t.entries, t.ways);
  if (t.page < 4096 || !std::has_single_bit(t.page))
    return fmt::format("translation.page: {} is not a power of two of at least 4096", t.page);
  return std::nullopt;
}

std::optional<std::string> error_in(std::string_view whose, const PcieCredits& credits,
                                    std::uint32_t max_payload) {
  if (credits.posted_data != 0 && credits.posted_data < max_payload / 16)
    return fmt::format("{}.posted_data: {} units of 16 bytes cannot take a TLP of max_payload {}",
                       whose, credits.posted_data, max_payload);
  return std::nullopt;
}

} // namespace

std::uint32_t dllp_limit(const PcieLinkParams& p) {
  const bool small = p.max_payload <= 256;
  const std::uint32_t tenths = p.lanes <= 4   ? (small ? 14 : 10)
                               : p.lanes == 8 ? (small ? 25 : 10)
                                              : (small ? 30 : 20);
  const std::uint32_t internal_delay = p.generation == 1 ? 19 : p.generation == 2 ? 70 : 115;
  constexpr std::uint32_t tlp_overhead = 28;
  return (p.max_payload + tlp_overhead) * tenths / (10 * p.lanes) + internal_delay;
}

std::optional<std::string> error_in(const PcieLinkParams& p) {
  if (p.generation < 1 || p.generation > 5)
    return fmt::format("generation: {} is not 1..5 (6 has FLITs, which are not modelled)",
                       p.generation);
  if (p.lanes > 32 || !std::has_single_bit(p.lanes))
    return fmt::format("lanes: {} is not 1, 2, 4, 8, 16 or 32", p.lanes);
  if (!is_tlp_size(p.max_payload))
    return fmt::format("max_payload: {} is not 128, 256, 512, 1024, 2048 or 4096", p.max_payload);
  if (!is_tlp_size(p.max_read_request))
    return fmt::format("max_read_request: {} is not 128, 256, 512, 1024, 2048 or 4096",
                       p.max_read_request);
  if (p.read_completion_boundary != 64 && p.read_completion_boundary != 128)
    return fmt::format("read_completion_boundary: {} is not 64 or 128", p.read_completion_boundary);
  if (p.completion_size > p.max_payload || p.completion_size % p.read_completion_boundary != 0)
    return fmt::format("completion_size: {} is not a multiple of read_completion_boundary {} up to "
                       "max_payload {}",
                       p.completion_size, p.read_completion_boundary, p.max_payload);
  if (p.tags < 1 || p.tags > 768) return fmt::format("tags: {} is not 1..768", p.tags);
  if (p.posted_buffer == 0) return "posted_buffer: 0 bytes let no write leave";
  if (p.nonposted_queue == 0) return "nonposted_queue: 0 lets no read leave";
  if (p.completion_data != 0 && p.completion_data < p.max_read_request / 16 + 1)
    return fmt::format("completion_data: {} units of 16 bytes cannot take the answer to "
                       "max_read_request {}",
                       p.completion_data, p.max_read_request);
  const std::uint32_t completion = p.completion_size ? p.completion_size : p.max_payload;
  if (p.completion_headers != 0 && p.completion_headers < p.max_read_request / completion + 1)
    return fmt::format("completion_headers: {} cannot take the answer to max_read_request {}",
                       p.completion_headers, p.max_read_request);
  if (auto error = error_in("host_credits", p.host_credits, p.max_payload)) return error;
  if (auto error = error_in("device_credits", p.device_credits, p.max_payload)) return error;
  if (auto error = error_in(p.memory)) return error;
  return error_in(p.translation);
}

std::optional<SimTime> parse_nanoseconds(std::string_view text) {
  std::uint64_t ps = 0;
  int places = -1;
  for (const char c : text) {
    if (c == '.' && places < 0) {
      places = 0;
    } else if (c >= '0' && c <= '9' && places < 3 && ps < 1'000'000'000'000) {
      ps = ps * 10 + static_cast<std::uint64_t>(c - '0');
      if (places >= 0) ++places;
    } else {
      return std::nullopt;
    }
  }
  if (text.empty() || text == ".") return std::nullopt;
  for (int place = places < 0 ? 0 : places; place < 3; ++place)
    ps *= 10;
  return SimTime{ps};
}

tl::expected<LatencyDistribution, std::string> load_latencies(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream) return tl::unexpected(fmt::format("{} cannot be read", file.string()));
  LatencyDistribution distribution{.kind = LatencyDistribution::Kind::samples};
  std::string line;
  for (unsigned number = 1; std::getline(stream, line); ++number) {
    const std::string_view text = trimmed(line);
    if (text.empty() || text.front() == '#') continue;
    const auto latency = parse_nanoseconds(text);
    if (!latency)
      return tl::unexpected(
          fmt::format("{}:{}: \"{}\" is not a latency in ns with up to three decimals",
                      file.string(), number, text));
    distribution.samples.push_back(*latency);
  }
  if (distribution.samples.empty())
    return tl::unexpected(fmt::format("{} has no latency in it", file.string()));
  return distribution;
}

} // namespace virtio::tlm2
