// Line and toggle counts of the Verilated RTL, added up over the cases of a run and over runs. Only
// the program virtio-tlm-cosim-coverage has RTL that counts.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <unordered_map>

namespace virtio::rtl::cosim {

class RtlCoverage {
public:
  /// `file`: of Verilator's format, as verilator_coverage reads it; empty: nothing is counted.
  explicit RtlCoverage(std::filesystem::path file) : file_(std::move(file)) {}

  bool wanted() const { return !file_.empty(); }
  /// Why it cannot be counted: this program's RTL was built without.
  static tl::expected<void, std::string> possible();

  /// What a DUT counted, which writes it into the file that it is given.
  tl::expected<void, std::string>
  add(const std::function<void(const std::filesystem::path&)>& write);
  /// Adds what the file has, if there is one, and writes the sum.
  tl::expected<void, std::string> merge_into_file();

private:
  tl::expected<void, std::string> read(const std::filesystem::path& file);

  std::filesystem::path file_;
  std::unordered_map<std::string, std::uint64_t> counts_; // of points, by Verilator's key
};

} // namespace virtio::rtl::cosim
