#include <virtio/platforms/riscv_virt/progress.hpp>
#include <virtio/platforms/riscv_virt/uart_log.hpp>

#include <fmt/format.h>
#include <unistd.h>

namespace virtio::platform {

namespace {

constexpr std::chrono::milliseconds redraw_period{100};
constexpr std::size_t longest_step = 48; // so that the line fits into 80 columns with its figures

} // namespace

Progress::Progress(std::FILE* stream) : stream_(stream), redraws_(isatty(fileno(stream)) == 1) {}

void Progress::step(std::string text) {
  if (!redraws_) fmt::print(stream_, "{}\n", text);
  if (text.size() > longest_step) text = text.substr(0, longest_step - 3) + "...";
  step_ = std::move(text);
  last_draw_ = {};
}

void Progress::update(sc_core::sc_time time, std::uint64_t instructions) {
  const auto now = std::chrono::steady_clock::now();
  if (!redraws_ || now - last_draw_ < redraw_period) return;
  last_draw_ = now;
  drawn_ = true;
  fmt::print(stream_, "\r\x1b[K{}  {} s  {} M instructions", step_,
             seconds_text(time).substr(0, seconds_text(time).size() - 3), instructions / 1'000'000);
  std::fflush(stream_);
}

void Progress::message(std::string_view text) {
  clear();
  fmt::print(stream_, "{}\n", text);
}

void Progress::clear() {
  if (drawn_) fmt::print(stream_, "\r\x1b[K");
  drawn_ = false;
}

} // namespace virtio::platform
