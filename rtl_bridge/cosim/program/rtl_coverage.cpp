#include <virtio/rtl/cosim/program/rtl_coverage.hpp>

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <map>

namespace virtio::rtl::cosim {

namespace {

constexpr std::string_view head = "# SystemC::Coverage-3";

} // namespace

tl::expected<void, std::string> RtlCoverage::possible() {
#if VM_COVERAGE
  return {};
#else
  return tl::unexpected(std::string(
      "--rtl-coverage: the RTL of this program does not count its lines; build the program that "
      "does with `ninja -C build/release virtio-tlm-cosim-coverage`, which virtio-tlm then "
      "starts"));
#endif
}

// A point is a line "C 'key' count".
tl::expected<void, std::string> RtlCoverage::read(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) || line != head)
    return tl::unexpected(fmt::format("{} has no coverage of Verilator", file.string()));
  while (std::getline(in, line)) {
    const auto end = line.rfind("' ");
    std::uint64_t count = 0;
    if (end == std::string::npos || !line.starts_with("C '") ||
        std::from_chars(line.data() + end + 2, line.data() + line.size(), count).ec != std::errc{})
      return tl::unexpected(fmt::format("{}: \"{}\" is no point", file.string(), line));
    line.resize(end);
    counts_[line] += count;
  }
  return {};
}

tl::expected<void, std::string>
RtlCoverage::add(const std::function<void(const std::filesystem::path&)>& write) {
  auto part = file_;
  part += ".case";
  write(part);
  auto result = read(part);
  std::error_code ignored;
  std::filesystem::remove(part, ignored);
  return result;
}

tl::expected<void, std::string> RtlCoverage::merge_into_file() {
  std::error_code ignored;
  if (std::filesystem::exists(file_, ignored))
    if (auto added = read(file_); !added) return added;
  std::ofstream out(file_);
  out << head << '\n';
  for (const auto& [key, count] : std::map(counts_.begin(), counts_.end()))
    out << key << "' " << count << '\n';
  if (!out.flush()) return tl::unexpected(fmt::format("{} cannot be written", file_.string()));
  return {};
}

} // namespace virtio::rtl::cosim
