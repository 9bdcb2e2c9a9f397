// A sweep as Slurm job arrays: one task for each run, all writing into the sweep's folder, which
// every node must see under the same name.
#pragma once

#include <virtio/platforms/program/sweep/store.hpp>

namespace virtio::platform::sweep {

struct SlurmOptions {
  std::vector<std::string> options; // of sbatch, without the dashes: "time=01:00:00"
  std::size_t jobs = 0;             // most tasks of an array at a time; 0: no limit
  bool wait = false;                // until every task has ended
};

// Writes sweep.sbatch into the folder. The commands submit it, in as many arrays as Slurm's limit
// on their size asks for.
std::vector<std::string> prepare(const Store& store, const std::vector<std::size_t>& runs,
                                 const SlurmOptions& options);

// Runs these commands. The value is the numbers of the jobs; an error is a sentence.
tl::expected<std::string, std::string>
submit(const Store& store, const std::vector<std::size_t>& runs, const SlurmOptions& options);

// A job array of this sweep that is still queued or running; empty if none is.
std::string active_jobs(const Store& store);

} // namespace virtio::platform::sweep
