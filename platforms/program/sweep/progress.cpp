#include <virtio/platforms/program/sweep/progress.hpp>

#include <fmt/format.h>
#include <unistd.h>

namespace virtio::platform::sweep {

namespace {

constexpr std::size_t bar_width = 24;

} // namespace

std::string duration_text(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
}

Progress::Progress(std::FILE* stream, const Store& store)
    : stream_(stream), plan_(store.plan()), redraws_(isatty(fileno(stream)) == 1),
      before_(plan_.runs() - store.unfinished().size()), finished_(before_),
      failed_(store.failed().size()) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stream_, "\r\x1b[K");
}

void Progress::finished(std::size_t run, bool ok) {
  ++finished_;
  if (!ok) ++failed_;
  if (!redraws_)
    fmt::print(stream_, "[{}/{}] {:<6} run {}: {}{}\n", finished_, plan_.runs(),
               ok ? "ok" : "FAILED", run, plan_.label(run), remaining());
}

void Progress::draw(std::string_view state) {
  if (!redraws_) return;
  drawn_ = true;
  const std::size_t filled = finished_ * bar_width / plan_.runs();
  fmt::print(stream_, "\r\x1b[K[{:#>{}}{:.>{}}] {}/{}, {}{}{}", "", filled, "", bar_width - filled,
             finished_, plan_.runs(), state,
             failed_ == 0 ? "" : fmt::format(", {} failed", failed_), remaining());
  std::fflush(stream_);
}

std::string Progress::remaining() const {
  const std::size_t done = finished_ - before_;
  if (done == 0 || finished_ == plan_.runs()) return "";
  const auto taken = std::chrono::steady_clock::now() - start_;
  const auto left = taken / done * (plan_.runs() - finished_);
  return fmt::format("; about {} left",
                     duration_text(std::chrono::ceil<std::chrono::seconds>(left)));
}

} // namespace virtio::platform::sweep
