// Progress: what a run is doing, on standard error. A terminal shows one line that is redrawn;
// anything else gets a line for each step.
#pragma once

#include <systemc>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace virtio::platform {

class Progress {
public:
  explicit Progress(std::FILE* stream);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// What is being done from now on.
  void step(std::string text);
  /// Redraws the line, a few times a second however often it is called.
  void update(sc_core::sc_time time, std::uint64_t instructions);
  /// A line of its own, above the progress line.
  void message(std::string_view text);

private:
  void clear();

  std::FILE* stream_;
  bool redraws_;
  bool drawn_ = false;
  std::string step_;
  std::chrono::steady_clock::time_point last_draw_;
};

} // namespace virtio::platform
