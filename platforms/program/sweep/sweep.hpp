// `virtio-tlm sweep`: the cross product of some parameters, in parallel processes or as a Slurm job
// array.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace virtio::platform::sweep {

struct Arguments {
  std::string file;
  std::vector<std::string> varied;
  std::vector<std::string> sets;
  std::string seed;
  std::string out;
  std::size_t jobs = 0; // 0: as many as there are processors; for Slurm, no limit
  bool retry_failed = false;
  bool slurm = false;
  bool slurm_dry_run = false;
  bool slurm_wait = false;
  std::vector<std::string> slurm_options;
  std::size_t task = 0; // run this one of an existing sweep: what a task of the job array does
};
void add_arguments(CLI::App& app, Arguments& arguments);

// The exit code: 0 all runs succeeded or were submitted, 1 some failed or are missing, 2 bad usage.
int sweep(const Arguments& arguments);

} // namespace virtio::platform::sweep
