#include <virtio/platforms/riscv_virt/uart_log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace virtio::platform {

std::string seconds_text(sc_core::sc_time time) {
  const auto microseconds = time.value() / 1'000'000;
  return fmt::format("{}.{:06}", microseconds / 1'000'000, microseconds % 1'000'000);
}

UartLog::UartLog(std::ostream* stream) : stream_(stream) {}

UartLog::~UartLog() {
  if (!line_.empty()) end_line();
}

void UartLog::add(std::uint8_t byte, sc_core::sc_time time) {
  if (byte == '\r') return;
  if (line_.empty()) line_ = fmt::format("[{:>12}] ", seconds_text(time));
  if (byte == '\n') return end_line();
  if (byte == '\t' || (byte >= 0x20 && byte < 0x7f))
    line_.push_back(static_cast<char>(byte));
  else
    line_ += fmt::format("\\x{:02x}", byte);
  if (line_.size() >= longest_line) end_line();
}

void UartLog::end_line() {
  if (stream_) *stream_ << line_ << '\n' << std::flush;
  lines_.push_back(std::move(line_));
  line_.clear();
  if (lines_.size() > kept_lines) lines_.pop_front();
}

std::vector<std::string> UartLog::last_lines(std::size_t count) const {
  std::vector<std::string> lines(lines_.begin(), lines_.end());
  if (!line_.empty()) lines.push_back(line_);
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

} // namespace virtio::platform
