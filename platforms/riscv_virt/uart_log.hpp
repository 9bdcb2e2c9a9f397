// UartLog: what software printed, line by line, each with the simulated time of its first byte. It
// keeps the last lines for reports and, when it has a stream, writes all of them to it.
#pragma once

#include <systemc>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iosfwd>
#include <string>
#include <vector>

namespace virtio::platform {

class UartLog {
public:
  /// `stream` may be null; it must outlive the log.
  explicit UartLog(std::ostream* stream = nullptr);
  /// Writes the line that software has not ended.
  ~UartLog();
  UartLog(const UartLog&) = delete;
  UartLog& operator=(const UartLog&) = delete;

  void add(std::uint8_t byte, sc_core::sc_time time);
  /// The last `count` lines as they stand in the log, the unfinished one included.
  std::vector<std::string> last_lines(std::size_t count) const;

  static constexpr std::size_t kept_lines = 64;
  static constexpr std::size_t longest_line = 4096; ///< longer ones are broken

private:
  void end_line();

  std::ostream* stream_;
  std::deque<std::string> lines_;
  std::string line_; // empty, or a time stamp and what came since
};

/// "12.345678", seconds.
std::string seconds_text(sc_core::sc_time time);

} // namespace virtio::platform
