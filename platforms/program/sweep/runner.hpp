// Runs of a sweep as child processes of this one, several at a time.
#pragma once

#include <virtio/platforms/program/sweep/progress.hpp>

namespace virtio::platform::sweep {

enum class Ended {
  finished,    // every run has a result, a failed one too
  interrupted, // by a signal: what was running has been stopped and has no result
  changed,     // the platform file is not the one that the sweep began with, or the program is new
};

// Children do not outlive this process, however it ends. `progress` may be null.
Ended execute(const Store& store, const std::vector<std::size_t>& runs, std::size_t jobs,
              Progress* progress);

} // namespace virtio::platform::sweep
