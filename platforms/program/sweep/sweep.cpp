#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/program/executable.hpp>
#include <virtio/platforms/program/sweep/runner.hpp>
#include <virtio/platforms/program/sweep/slurm.hpp>
#include <virtio/platforms/program/sweep/sweep.hpp>
#include <virtio/platforms/program/sweep/table.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <thread>

namespace virtio::platform::sweep {

namespace {

constexpr std::size_t most_jobs = 4096;
constexpr std::size_t most_listed = 10;

constexpr int done = static_cast<int>(ExitCode::done);
constexpr int failed = static_cast<int>(ExitCode::simulation_failed);
constexpr int bad_usage = static_cast<int>(ExitCode::bad_usage);

int refuse(const std::string& sentence) {
  fmt::print(stderr, "{}\n", sentence);
  return bad_usage;
}

tl::expected<Plan, std::string> plan_of(const Arguments& arguments) {
  RawRunOptions raw;
  raw.file = arguments.file;
  raw.sets = arguments.sets;
  raw.seed = arguments.seed;
  auto options = run_options(raw);
  if (!options) return tl::unexpected(options.error());
  if (arguments.varied.empty())
    return tl::unexpected(std::string(
        "nothing is varied: add --vary path=value,value, like --vary platform.seed=1,2"));
  std::vector<Axis> axes;
  for (const std::string& text : arguments.varied) {
    auto axis = parse_axis(text);
    if (!axis) return tl::unexpected(axis.error());
    axes.push_back(*std::move(axis));
  }
  return make_plan(options->file, std::move(options->overrides), std::move(axes));
}

// Of every kind of platform that occurs.
std::string missing_executable(const Plan& plan) {
  const auto check = [&](std::size_t run) -> std::string {
    const auto config = load(plan.file, plan.overrides(run));
    const auto executable = platform_executable(config->platform.kind);
    return executable ? "" : executable.error();
  };
  const bool varied = std::any_of(plan.axes.begin(), plan.axes.end(),
                                  [](const Axis& axis) { return axis.path == "platform.kind"; });
  for (std::size_t run = 1; run <= (varied ? plan.runs() : 1); ++run)
    if (std::string problem = check(run); !problem.empty()) return problem;
  return "";
}

int print_errors(const std::vector<std::string>& errors) {
  for (const std::string& error : errors)
    fmt::print(stderr, "{}\n", error);
  fmt::print(stderr, "{} error{}, nothing was run; `virtio-tlm params` lists all parameters\n",
             errors.size(), errors.size() == 1 ? "" : "s");
  return bad_usage;
}

// Writes the tables and tells what is in them.
int conclude(const Store& store) {
  const std::vector<std::size_t> bad = store.failed();
  const std::size_t total = store.plan().runs();
  const std::size_t missing = store.unfinished().size();
  write_tables(store);
  for (std::size_t i = 0; i < std::min(bad.size(), most_listed); ++i)
    fmt::print(stderr, "run {} FAILED: {}\n  {}; log: {}\n", bad[i], store.plan().label(bad[i]),
               store.result(bad[i])->value("error", ""), store.log(bad[i]).string());
  if (bad.size() > most_listed) fmt::print(stderr, "and {} more\n", bad.size() - most_listed);
  if (missing != 0)
    fmt::print(stderr, "{} of {} runs have not finished: run the same command again to go on\n",
               missing, total);
  if (!bad.empty())
    fmt::print(stderr, "run the same command with --retry-failed to try the failed ones again\n");
  fmt::print("{} of {} runs finished, {} failed: {} and results.json\n", total - missing, total,
             bad.size(), (store.folder() / "results.csv").string());
  return bad.empty() && missing == 0 ? done : failed;
}

int run_here(const Store& store, std::size_t jobs) {
  const std::size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const auto run_all = [&] {
    Progress progress(stderr, store);
    return execute(store, store.unfinished(), jobs == 0 ? processors : jobs, &progress);
  };
  const Ended ended = run_all();
  if (ended == Ended::interrupted) fmt::print(stderr, "interrupted\n");
  if (ended == Ended::changed)
    fmt::print(stderr,
               "{} has been changed, or this program rebuilt: stopped, as further runs "
               "would not be like the others\n",
               store.plan().file.string());
  return conclude(store);
}

int run_in_slurm(const Store& store, const Arguments& arguments) {
  const std::vector<std::size_t> runs = store.unfinished();
  if (runs.empty()) return conclude(store);
  const SlurmOptions options{arguments.slurm_options, arguments.jobs, arguments.slurm_wait};
  const std::vector<std::string> commands = prepare(store, runs, options);
  if (arguments.slurm_dry_run) {
    fmt::print("{}\n", fmt::join(commands, "\n"));
    return done;
  }
  const auto jobs = submit(store, runs, options);
  if (!jobs) {
    fmt::print(stderr, "{}\n", jobs.error());
    return failed;
  }
  if (arguments.slurm_wait) return conclude(store);
  fmt::print("{} runs submitted as Slurm job {}; the last one to end writes {} and results.json\n",
             runs.size(), *jobs, (store.folder() / "results.csv").string());
  return done;
}

int run_task(const Arguments& arguments) {
  const auto store = Store::open_existing(arguments.out);
  if (!store) return refuse(store.error());
  if (arguments.task > store->plan().runs())
    return refuse(fmt::format("this sweep has {} runs only", store->plan().runs()));
  if (!store->result(arguments.task) &&
      execute(*store, {arguments.task}, 1, nullptr) != Ended::finished) {
    fmt::print(stderr, "interrupted, or {} has been changed, or this program rebuilt\n",
               store->plan().file.string());
    return failed;
  }
  if (store->all_finished()) write_tables(*store);
  return succeeded(*store->result(arguments.task)) ? done : failed;
}

int run_sweep(const Arguments& arguments) {
  const auto plan = plan_of(arguments);
  if (!plan) return refuse(plan.error());
  if (const auto errors = configuration_errors(*plan); !errors.empty()) return print_errors(errors);
  if (const std::string problem = missing_executable(*plan); !problem.empty())
    return refuse(problem);
  const std::filesystem::path folder =
      arguments.out.empty() ? std::filesystem::path("out") / (plan->file.stem().string() + "-sweep")
                            : std::filesystem::path(arguments.out);
  const auto store = Store::open(folder, *plan);
  if (!store) return refuse(store.error());
  if (!store->lock())
    return refuse(fmt::format("another process works on the sweep in {}", folder.string()));
  if (const std::string job = active_jobs(*store); !job.empty())
    return refuse(fmt::format("Slurm job {} still works on the sweep in {}: wait for it, or end it "
                              "with `scancel {}`",
                              job, folder.string(), job));
  store->remove_leftovers();
  if (arguments.retry_failed)
    for (const std::size_t run : store->failed())
      store->prepare(run);
  return arguments.slurm || arguments.slurm_dry_run ? run_in_slurm(*store, arguments)
                                                    : run_here(*store, arguments.jobs);
}

} // namespace

void add_arguments(CLI::App& app, Arguments& arguments) {
  app.add_option("PLATFORM.toml", arguments.file, "The platform of every run");
  app.add_option("--vary", arguments.varied,
                 "Values of one parameter, as often as needed; the last\n"
                 "--vary varies fastest. A comma in a value is \\,")
      ->type_name("path=a,b,c")
      ->allow_extra_args(false);
  app.add_option("--set", arguments.sets, "Override a parameter in all runs")
      ->type_name("path=value")
      ->allow_extra_args(false);
  app.add_option("--seed", arguments.seed, "Short for --set platform.seed=N")->type_name("N");
  app.add_option("--out", arguments.out,
                 "Folder of the sweep (default: out/NAME-sweep for\n"
                 "NAME.toml): results.csv, results.json, and for run 7\n"
                 "run-0007/, run-0007.log and run-0007.json")
      ->type_name("DIR");
  app.add_option("--jobs", arguments.jobs, "Runs at a time (default: one for each processor)")
      ->check(CLI::Range(std::size_t{1}, most_jobs))
      ->type_name("N");
  app.add_flag("--retry-failed", arguments.retry_failed, "Run the failed ones again");
  CLI::Option* slurm = app.add_flag("--slurm", arguments.slurm, "Submit a Slurm job array instead");
  app.add_flag("--slurm-wait", arguments.slurm_wait, "Stay until every run has ended")
      ->needs(slurm);
  app.add_flag("--slurm-dry-run", arguments.slurm_dry_run,
               "Write the job's script, sweep.sbatch, and print how\n"
               "to submit it");
  app.add_option("--slurm-option", arguments.slurm_options,
                 "One option of sbatch, as often as needed:\n--slurm-option time=01:00:00")
      ->type_name("name=value")
      ->allow_extra_args(false);
  app.add_option("--task", arguments.task, "")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 32))
      ->group("");
  app.footer(
      "Example: 6 runs, 2 at a time, with results.csv and results.json in out/depth:\n"
      "  virtio-tlm sweep platforms/pcie_host/examples/block.toml \\\n"
      "    --vary \"workload.blk0.block_size=512 B,4 KiB\" --vary workload.blk0.depth=1,8,32 \\\n"
      "    --jobs 2 --out out/depth\n"
      "The values of all runs are checked before the first one starts. The same command goes on\n"
      "with a sweep that was interrupted; runs that have finished are not repeated.\n"
      "Exit: 0 all runs succeeded; 1 some failed or have not finished; 2 bad usage.");
}

int sweep(const Arguments& arguments) {
  try {
    if (arguments.task != 0) return run_task(arguments);
    if (arguments.file.empty()) return refuse("PLATFORM.toml is required; see sweep --help");
    return run_sweep(arguments);
  } catch (const std::exception& error) { // of the file system
    fmt::print(stderr, "the sweep cannot go on: {}\n", error.what());
    return failed;
  }
}

} // namespace virtio::platform::sweep
