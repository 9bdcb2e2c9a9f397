// What a sweep runs: one platform file, the overrides that all runs share, and the cross product of
// the varied parameters.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <tl/expected.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace virtio::platform::sweep {

// One `--vary path=a,b,c`.
struct Axis {
  std::string path;
  std::vector<std::string> values; // at least one, all different
};

struct Plan {
  std::filesystem::path file; // absolute
  std::vector<Override> fixed;
  std::vector<Axis> axes; // the last one varies fastest

  // Runs are counted from 1 to runs().
  std::size_t runs() const;
  std::vector<Override> point(std::size_t run) const;     // what is varied, one for each axis
  std::vector<Override> overrides(std::size_t run) const; // `fixed`, then the point
  std::string label(std::size_t run) const;               // "a=1, b=2"
};

// In a value, `\,` is a comma.
tl::expected<Axis, std::string> parse_axis(const std::string& text);

// Refuses a parameter that is given twice, and more runs than a sweep may have.
tl::expected<Plan, std::string> make_plan(const std::filesystem::path& file,
                                          std::vector<Override> fixed, std::vector<Axis> axes);

// Loads the configuration of every run: all errors, each with the --vary it comes from.
std::vector<std::string> configuration_errors(const Plan& plan);

} // namespace virtio::platform::sweep
