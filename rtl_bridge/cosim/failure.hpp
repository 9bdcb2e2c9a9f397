// The folder that a failing case leaves: case.txt (replayable), finding.txt (the rule, the
// evidence, the command that replays it), trace.txt (both sides around the difference), and
// waves.fst where the bench wrote one.
#pragma once

#include <virtio/rtl/cosim/stimulus.hpp>

namespace virtio::rtl::cosim {

struct Failure {
  Stimulus stimulus;
  Finding finding;
  std::vector<std::string> trace; ///< lines
  std::string replay;             ///< the command; "CASE" in it becomes the file's name
};

/// What cannot be written: a sentence.
tl::expected<void, std::string> write_failure(const std::filesystem::path& folder,
                                              const Failure& failure);

} // namespace virtio::rtl::cosim
