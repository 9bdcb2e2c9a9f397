// Terminal: a real terminal as the far end of the UART. It is in raw mode while this object lives,
// its input is typed into the UART, and simulated time is held back to real time, so that waiting
// at a prompt feels as it should.
#pragma once

#include <systemc>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace virtio::platform {

/// Raw mode of a file descriptor that is a terminal; for any other one it does nothing. The old
/// mode comes back on destruction, on std::exit and when SIGTERM or SIGHUP ends the process. One at
/// a time.
class RawMode {
public:
  explicit RawMode(int descriptor);
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
};

class Terminal : public sc_core::sc_module {
public:
  std::function<void(std::string_view bytes)> on_type;
  /// The person typed Ctrl-A x.
  std::function<void()> on_quit;

  /// Descriptors stay the caller's.
  Terminal(sc_core::sc_module_name name, int input, int output);

  /// What the UART transmits.
  void print(std::uint8_t byte);

private:
  void run();
  void poll_input(std::chrono::milliseconds patience);
  void type(std::string_view bytes);

  int input_;
  int output_;
  bool escape_ = false; // the last byte typed was Ctrl-A
  bool input_open_ = true;
};

} // namespace virtio::platform
