#include <virtio/rtl/cosim/shrink.hpp>

#include <algorithm>

namespace virtio::rtl::cosim {

namespace {

std::uint64_t weight_of(const Shrinkable& bench, const Stimulus& stimulus) {
  return bench.weight ? bench.weight(stimulus) : stimulus.items.size();
}

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
      if (!changed) changed = reseed();
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

  bool without(std::size_t at, std::size_t length) { return keeps(left_out(at, length)); }

  Stimulus left_out(std::size_t at, std::size_t length) const {
    Stimulus smaller = best_.stimulus;
    const auto first = smaller.items.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(length, smaller.items.size() - at);
    smaller.items.erase(first, first + static_cast<std::ptrdiff_t>(count));
    return smaller;
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

  std::uint64_t weight(const Stimulus& stimulus) const { return weight_of(bench_, stimulus); }

  /// What is one step lighter.
  std::vector<Stimulus> lighter() const {
    std::vector<Stimulus> all;
    const Stimulus& best = best_.stimulus;
    for (std::size_t length = best.items.size(); length != 0; length /= 2)
      for (std::size_t at = 0; at < best.items.size(); at += length)
        all.push_back(left_out(at, length));
    if (bench_.simpler_settings)
      for (Stimulus& s : bench_.simpler_settings(best))
        all.push_back(std::move(s));
    for (std::size_t at = 0; at < best.items.size(); ++at)
      for (Item& item : bench_.simpler(best.items[at])) {
        all.push_back(best);
        all.back().items[at] = std::move(item);
      }
    const std::uint64_t now = weight(best);
    std::erase_if(all, [&](const Stimulus& s) { return weight(s) >= now; });
    return all;
  }

  bool reseed() {
    if (!bench_.reseeded || weight(best_.stimulus) <= limits_.few) return false;
    const auto end = std::min(end_, std::chrono::steady_clock::now() + limits_.reseeded_time);
    const std::vector<Stimulus> candidates = lighter();
    unsigned runs = 0;
    for (std::uint64_t n = 1; !candidates.empty(); ++n)
      for (const Stimulus& s : candidates) {
        if (runs++ >= limits_.reseeded_runs || std::chrono::steady_clock::now() >= end)
          return false;
        if (keeps(bench_.reseeded(s, n))) return true;
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

Shrunk smallest(const Stimulus& failing, const Finding& finding, const Shrinkable& bench,
                const ShrinkLimits& limits, const OtherCases& others,
                const ShrinkProgress& progress) {
  Shrunk small = shrink(failing, finding, bench, limits, progress);
  ShrinkLimits shorter = limits;
  shorter.runs /= 4;
  shorter.time = others.time / 2;
  const auto end = std::chrono::steady_clock::now() + others.time;
  for (std::uint64_t n = 1; n <= others.count; ++n) {
    const std::uint64_t weight = weight_of(bench, small.stimulus);
    if (weight <= limits.few || std::chrono::steady_clock::now() >= end) break;
    const Stimulus other = others.nth(n);
    const auto found = bench.run(other);
    if (!found || found->rule != finding.rule) continue;
    Shrunk smaller = shrink(other, *found, bench, shorter, progress);
    if (weight_of(bench, smaller.stimulus) < weight) small = std::move(smaller);
  }
  return small;
}

} // namespace virtio::rtl::cosim
