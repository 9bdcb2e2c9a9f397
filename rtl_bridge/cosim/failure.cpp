#include <virtio/rtl/cosim/failure.hpp>

#include <fmt/format.h>

#include <fstream>

namespace virtio::rtl::cosim {

namespace {

bool write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text;
  return static_cast<bool>(out.flush());
}

std::string with_case(std::string command, const std::string& file) {
  if (const std::size_t at = command.find("CASE"); at != command.npos) command.replace(at, 4, file);
  return command;
}

} // namespace

tl::expected<void, std::string> write_failure(const std::filesystem::path& folder,
                                              const Failure& failure) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const auto file = folder / "case.txt";
  const std::string command = with_case(failure.replay, file.string());
  const std::string heading =
      fmt::format("# {}: {}\n# {}\n", failure.finding.rule, failure.finding.evidence, command);
  std::string trace;
  for (const std::string& line : failure.trace)
    trace += line + '\n';
  const std::string finding =
      fmt::format("rule {}\ncycle {}\n{}\n\nreplay: {}\n", failure.finding.rule,
                  failure.finding.cycle, failure.finding.evidence, command);
  if (error || !write(file, heading + to_text(failure.stimulus)) ||
      !write(folder / "trace.txt", trace) || !write(folder / "finding.txt", finding))
    return tl::unexpected(fmt::format("{} cannot be written", folder.string()));
  return {};
}

} // namespace virtio::rtl::cosim
