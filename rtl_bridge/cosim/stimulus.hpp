// A case as a file: settings, then items in order, each one line of text whose meaning is the
// bench's. Whatever a bench does follows from the file, so that replay is the case again.
//
//   # comment
//   set profile default
//   item packet 0011..
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace virtio::rtl::cosim {

/// One line without line ends.
using Item = std::string;

struct Stimulus {
  std::map<std::string, std::string> settings; ///< names without blanks
  std::vector<Item> items;

  /// Of settings; a setting that is not there or is no number is `fallback`.
  std::uint64_t number(const std::string& name, std::uint64_t fallback = 0) const;

  bool operator==(const Stimulus&) const = default;
};

/// With the setting "seed" n: the same items and other random numbers.
Stimulus reseeded(Stimulus stimulus, std::uint64_t n);

/// The text of a file, and back. An error names the line.
std::string to_text(const Stimulus& stimulus);
tl::expected<Stimulus, std::string> parse_stimulus(const std::string& text);
tl::expected<Stimulus, std::string> read_stimulus(const std::filesystem::path& file);

/// A rule that a DUT broke.
struct Finding {
  std::string rule; ///< such as RSS-HASH
  std::uint64_t cycle = 0;
  std::string evidence; ///< what was expected and what came, one line

  bool operator==(const Finding&) const = default;
};

} // namespace virtio::rtl::cosim
