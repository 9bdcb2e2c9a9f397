// What the commands of virtio-tlm-cosim share.
#pragma once

#include <virtio/rtl/cosim/coverage.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace virtio::rtl::cosim {

constexpr int done = 0;
constexpr int failed = 1;
constexpr int bad_usage = 2;

/// Says it on standard error.
int complain(const std::string& message);

/// "A" or "A..B".
bool read_seeds(const std::string& text, std::uint64_t& first, std::uint64_t& last);

/// Lists what is not covered and adds the counts to the file.
int report_coverage(const CoverPlan& plan, const std::filesystem::path& file);

/// The end of what crossed the boundary.
std::vector<std::string> tail(std::vector<std::string> trace);

/// How far shrinking is, on a terminal.
void progress(unsigned runs, std::size_t items);
void clear_progress();

/// Keeps standard output for what a user should read.
class Silence {
public:
  Silence();
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

private:
  int kept_;
};

} // namespace virtio::rtl::cosim
