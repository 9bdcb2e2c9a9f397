#include <virtio/platforms/riscv_virt/terminal.hpp>

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

namespace virtio::platform {

namespace {

constexpr char control_a = 1;
constexpr std::chrono::milliseconds period{5}; // of simulated time between two looks at the input

// Plain data: a signal handler reads it.
int raw_descriptor = -1;
termios saved_mode;

void restore_mode() {
  if (raw_descriptor >= 0) tcsetattr(raw_descriptor, TCSANOW, &saved_mode);
  raw_descriptor = -1;
}

void restore_and_die(int signal_number) {
  restore_mode();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

} // namespace

RawMode::RawMode(int descriptor) {
  if (!isatty(descriptor) || tcgetattr(descriptor, &saved_mode) != 0) return;
  raw_descriptor = descriptor;
  static const bool registered = std::atexit(restore_mode) == 0;
  static_cast<void>(registered);
  signal(SIGTERM, restore_and_die);
  signal(SIGHUP, restore_and_die);
  termios mode = saved_mode;
  cfmakeraw(&mode);
  tcsetattr(descriptor, TCSANOW, &mode);
}

RawMode::~RawMode() {
  restore_mode();
}

Terminal::Terminal(sc_core::sc_module_name name, int input, int output)
    : sc_module(name), input_(input), output_(output) {
  sc_core::sc_spawn([this] { run(); }, "run");
}

void Terminal::print(std::uint8_t byte) {
  [[maybe_unused]] const auto written = ::write(output_, &byte, 1);
}

void Terminal::run() {
  using std::chrono::steady_clock;
  const auto real_start = steady_clock::now();
  const auto simulated_start = sc_core::sc_time_stamp();
  while (true) {
    const auto simulated =
        std::chrono::nanoseconds((sc_core::sc_time_stamp() - simulated_start).value() / 1'000);
    const auto ahead = simulated - (steady_clock::now() - real_start);
    poll_input(std::max(std::chrono::duration_cast<std::chrono::milliseconds>(ahead),
                        std::chrono::milliseconds{0}));
    wait(sc_core::sc_time(period.count(), sc_core::SC_MS));
  }
}

/// Waits for as long as simulated time is ahead of real time; a key ends the wait.
void Terminal::poll_input(std::chrono::milliseconds patience) {
  if (!input_open_) return std::this_thread::sleep_for(patience);
  pollfd waiting{input_, POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return;
  std::array<char, 256> bytes;
  const auto count = ::read(input_, bytes.data(), bytes.size());
  if (count > 0)
    type({bytes.data(), static_cast<std::size_t>(count)});
  else
    input_open_ = false;
}

void Terminal::type(std::string_view bytes) {
  for (const char byte : bytes) {
    if (escape_ && (byte == 'x' || byte == 'X')) {
      if (on_quit) on_quit();
    } else if (byte == control_a && !escape_) {
      escape_ = true;
      continue;
    } else if (on_type) {
      on_type({&byte, 1});
    }
    escape_ = false;
  }
}

} // namespace virtio::platform
