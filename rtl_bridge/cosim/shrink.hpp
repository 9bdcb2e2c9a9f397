// Makes a failing case small: halves, quarters, .. of the items are left out, then single ones,
// then each item is made simpler; whatever breaks the same rule still is kept.
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
};

struct ShrinkLimits {
  unsigned runs = 2000;
  std::chrono::seconds time{60};
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

} // namespace virtio::rtl::cosim
