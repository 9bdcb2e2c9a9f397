// Makes a failing case small: halves, quarters, .. of the items are left out, then single ones,
// then each item is made simpler; whatever breaks the same rule still is kept. What stays large
// is tried with other random numbers, and other cases are tried besides it.
#pragma once

#include <virtio/rtl/cosim/stimulus.hpp>

#include <chrono>
#include <functional>
#include <optional>

namespace virtio::rtl::cosim {

/// What a bench brings along.
struct Shrinkable {
  /// Runs a case from reset; the first rule that is broken.
  std::function<std::optional<Finding>(const Stimulus&)> run;
  /// Simpler forms of an item, the simplest first; each must be simpler than the item by some
  /// measure, so that this ends.
  std::function<std::vector<Item>(const Item&)> simpler;
  /// Simpler forms of the settings, such as no back-pressure. May be empty.
  std::function<std::vector<Stimulus>(const Stimulus&)> simpler_settings{};
  /// How much there is to look at. May be empty: as many as there are items.
  std::function<std::uint64_t(const Stimulus&)> weight{};
  /// The case with the n-th other random numbers: what hangs on the moment comes with some of them
  /// in a smaller case too. May be empty.
  std::function<Stimulus(const Stimulus&, std::uint64_t n)> reseeded{};
};

struct ShrinkLimits {
  unsigned runs = 2000;
  std::chrono::seconds time{60};
  std::uint64_t few = 4;        ///< weight of a case that is small enough
  unsigned reseeded_runs = 300; ///< without a smaller case, of what is heavier
  std::chrono::seconds reseeded_time{5};
};

struct Shrunk {
  Stimulus stimulus;
  Finding finding; ///< of the small case; its rule is that of the first
  unsigned runs = 0;
  bool complete = false; ///< nothing can be taken away; else a limit was reached
};

/// What a caller may show: runs so far, items left.
using ShrinkProgress = std::function<void(unsigned runs, std::size_t items)>;

Shrunk shrink(const Stimulus& failing, const Finding& finding, const Shrinkable& bench,
              const ShrinkLimits& limits = {}, const ShrinkProgress& progress = {});

/// Cases besides the failing one.
struct OtherCases {
  std::function<Stimulus(std::uint64_t n)> nth; ///< from 1 on
  std::uint64_t count = 100;
  std::chrono::seconds time{10};
};

/// As shrink; where that is not small enough, the smallest of the other cases that break the same
/// rule, if it is smaller.
Shrunk smallest(const Stimulus& failing, const Finding& finding, const Shrinkable& bench,
                const ShrinkLimits& limits, const OtherCases& others,
                const ShrinkProgress& progress = {});

} // namespace virtio::rtl::cosim
