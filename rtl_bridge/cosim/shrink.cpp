#include <virtio/rtl/cosim/shrink.hpp>

#include <algorithm>

namespace virtio::rtl::cosim {

namespace {

class Shrinker {
public:
  Shrinker(const Stimulus& failing, const Finding& finding, const Shrinkable& bench,
           const ShrinkLimits& limits, const ShrinkProgress& progress)
      : bench_(bench), limits_(limits), progress_(progress),
        end_(std::chrono::steady_clock::now() + limits.time), best_{failing, finding} {}

  Shrunk run() {
    bool changed = true;
    while (changed && !exhausted()) {
      changed = leave_out();
      changed = simplify_settings() || changed;
      changed = simplify_items() || changed;
    }
    best_.complete = !exhausted();
    return std::move(best_);
  }

private:
  bool exhausted() const {
    return best_.runs >= limits_.runs || std::chrono::steady_clock::now() >= end_;
  }

  bool keeps(Stimulus smaller) {
    if (exhausted()) return false;
    ++best_.runs;
    const auto finding = bench_.run(smaller);
    const bool same = finding && finding->rule == best_.finding.rule;
    if (same) {
      best_.stimulus = std::move(smaller);
      best_.finding = *finding;
    }
    if (progress_) progress_(best_.runs, best_.stimulus.items.size());
    return same;
  }

  bool leave_out() {
    bool changed = false;
    for (std::size_t length = best_.stimulus.items.size(); length != 0; length /= 2)
      for (std::size_t at = 0; at < best_.stimulus.items.size() && !exhausted();)
        if (without(at, length))
          changed = true;
        else
          at += length;
    return changed;
  }

  bool without(std::size_t at, std::size_t length) {
    Stimulus smaller = best_.stimulus;
    const auto first = smaller.items.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(length, smaller.items.size() - at);
    smaller.items.erase(first, first + static_cast<std::ptrdiff_t>(count));
    return keeps(std::move(smaller));
  }

  bool simplify_settings() {
    bool changed = false;
    if (!bench_.simpler_settings) return changed;
    for (bool again = true; again && !exhausted();) {
      again = false;
      for (Stimulus& smaller : bench_.simpler_settings(best_.stimulus))
        if (keeps(std::move(smaller))) {
          changed = again = true;
          break;
        }
    }
    return changed;
  }

  bool simplify_items() {
    bool changed = false;
    for (std::size_t at = 0; at < best_.stimulus.items.size(); ++at)
      while (!exhausted() && simplify_item(at))
        changed = true;
    return changed;
  }

  bool simplify_item(std::size_t at) {
    for (Item& item : bench_.simpler(best_.stimulus.items[at])) {
      Stimulus smaller = best_.stimulus;
      smaller.items[at] = std::move(item);
      if (keeps(std::move(smaller))) return true;
    }
    return false;
  }

  const Shrinkable& bench_;
  const ShrinkLimits& limits_;
  const ShrinkProgress& progress_;
  std::chrono::steady_clock::time_point end_;
  Shrunk best_;
};

} // namespace

Shrunk shrink(const Stimulus& failing, const Finding& finding, const Shrinkable& bench,
              const ShrinkLimits& limits, const ShrinkProgress& progress) {
  return Shrinker(failing, finding, bench, limits, progress).run();
}

} // namespace virtio::rtl::cosim
