#include <virtio/rtl/cosim/program/common.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

namespace virtio::rtl::cosim {

int complain(const std::string& message) {
  fmt::print(stderr, "{}\n", message);
  return bad_usage;
}

bool read_seeds(const std::string& text, std::uint64_t& first, std::uint64_t& last) {
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, first);
  last = first;
  if (read.ec == std::errc{} && end - read.ptr > 2 && read.ptr[0] == '.' && read.ptr[1] == '.')
    read = std::from_chars(read.ptr + 2, end, last);
  return read.ec == std::errc{} && read.ptr == end && first <= last;
}

int report_coverage(const CoverPlan& plan, const std::filesystem::path& file) {
  for (const std::string& bin : plan.missing())
    fmt::print("not covered: {}\n", bin);
  const auto merged = plan.merge_into(file);
  return merged ? done : complain(merged.error());
}

std::vector<std::string> tail(std::vector<std::string> trace) {
  constexpr std::size_t shown = 200;
  if (trace.size() > shown) trace.erase(trace.begin(), trace.end() - shown);
  return trace;
}

Silence::Silence() : kept_(dup(STDOUT_FILENO)) {
  std::fflush(stdout);
  const int none = open("/dev/null", O_WRONLY | O_CLOEXEC);
  dup2(none, STDOUT_FILENO);
  close(none);
}
Silence::~Silence() {
  std::fflush(stdout);
  dup2(kept_, STDOUT_FILENO);
  close(kept_);
}

void progress(unsigned runs, std::size_t items) {
  if (isatty(STDERR_FILENO) != 0 && runs % 20 == 0)
    fmt::print(stderr, "\rshrinking: {} runs, {} items left ", runs, items);
}

void clear_progress() {
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
}

} // namespace virtio::rtl::cosim
