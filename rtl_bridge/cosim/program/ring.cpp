#include <virtio/rtl/cosim/failure.hpp>
#include <virtio/rtl/cosim/model_dut.hpp>
#include <virtio/rtl/cosim/program/common.hpp>
#include <virtio/rtl/cosim/program/ring.hpp>
#include <virtio/rtl/cosim/program/rtl_coverage.hpp>
#include <virtio/rtl/cosim/ring_case.hpp>
#include <virtio/rtl/cosim/ring_coverage.hpp>
#include <virtio/rtl/vq/vq_dut.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace virtio::rtl::cosim {

namespace {

struct Options {
  std::string seeds = "1..200";
  std::string profile = "default";
  std::string dut = "rtl";
  bool waves = false;
  std::filesystem::path replay;
  std::filesystem::path coverage;
  std::filesystem::path rtl_coverage;
  std::filesystem::path out = "out/cosim-ring";
};

struct Trace final : BoundarySink {
  std::vector<std::string> lines;
  void on_boundary(const BoundaryEvent& event) override { lines.push_back(to_string(event)); }
};

struct Extras {
  BoundarySink* sink = nullptr;
  std::filesystem::path waves{};
  std::uint64_t waves_from = 0;
  std::uint64_t waves_to = ~std::uint64_t{0};
  RtlCoverage* rtl_coverage = nullptr;
};

struct Outcome {
  std::optional<Finding> finding;
  std::uint64_t cycles = 0;
  std::uint64_t chains = 0;
  tl::expected<void, std::string> coverage;
};

/// Runs cases on an engine of their own each.
class Runner {
public:
  explicit Runner(std::string dut) : dut_(std::move(dut)) {}

  Outcome run(const Stimulus& stimulus, const Extras& extras = {}) const {
    std::unique_ptr<RingDut> dut;
    VqDut* engine = nullptr;
    if (dut_ == "rtl") {
      // Counted from zero: what a reset clears has not toggled.
      auto rtl =
          std::make_unique<VqDut>(extras.rtl_coverage != nullptr ? 0 : stimulus.number("seed", 1));
      engine = rtl.get();
      if (!extras.waves.empty()) rtl->write_waves(extras.waves, extras.waves_from, extras.waves_to);
      dut = std::move(rtl);
    } else {
      dut = std::make_unique<ModelRingDut>(
          static_cast<std::uint16_t>(std::min<std::uint64_t>(stimulus.number("queues", 1), 1024)),
          dut_ == "timed" ? std::optional(RingEngineParams{}) : std::nullopt);
    }
    RingBench bench(stimulus, *dut, {.sink = extras.sink});
    Outcome outcome;
    outcome.finding = bench.run();
    outcome.cycles = bench.cycles();
    outcome.chains = bench.chains();
    if (extras.rtl_coverage != nullptr)
      outcome.coverage =
          extras.rtl_coverage->add([&](const auto& file) { engine->write_coverage(file); });
    return outcome;
  }

private:
  std::string dut_;
};

Shrunk smallest_case(const Runner& runner, const RingProfile& profile, std::uint64_t seed,
                     const Stimulus& stimulus, const Finding& finding) {
  const Shrinkable bench{.run = [&](const Stimulus& s) { return runner.run(s).finding; },
                         .simpler = simpler_ring_items,
                         .simpler_settings = simpler_ring_settings,
                         .weight = ring_weight,
                         .reseeded = reseeded};
  const Silence assertions;
  Shrunk small =
      smallest(stimulus, finding, bench, {.runs = 20'000},
               {.nth = [&](std::uint64_t n) { return ring_case(profile, seed + n); }}, progress);
  clear_progress();
  return small;
}

int fail(const Options& options, const Runner& runner, const RingProfile& profile,
         std::uint64_t seed, const Stimulus& stimulus, const Finding& finding) {
  fmt::print("seed {}: {} at cycle {}: {}\n", seed, finding.rule, finding.cycle, finding.evidence);
  const Shrunk small = smallest_case(runner, profile, seed, stimulus, finding);
  const auto folder = options.out / fmt::format("seed-{}", seed);
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  constexpr std::uint64_t around = 500;
  const std::uint64_t cycle = small.finding.cycle;
  Trace trace;
  {
    const Silence assertions;
    runner.run(small.stimulus, {.sink = &trace,
                                .waves = folder / "waves.fst",
                                .waves_from = cycle > around ? cycle - around : 0,
                                .waves_to = cycle + around});
  }
  const Failure failure{small.stimulus, small.finding, tail(std::move(trace.lines)),
                        fmt::format("virtio-tlm cosim ring{} --replay CASE --waves",
                                    options.dut == "rtl" ? "" : " --dut " + options.dut)};
  if (const auto written = write_failure(folder, failure); !written)
    return complain(written.error());
  fmt::print("shrunk to {} items in {} runs{}: {}\nsee {}\n", small.stimulus.items.size(),
             small.runs, small.complete ? "" : " (a limit was reached)", small.finding.evidence,
             folder.string());
  return failed;
}

int replay(const Options& options, const Runner& runner) {
  const auto stimulus = read_stimulus(options.replay);
  if (!stimulus) return complain(stimulus.error());
  Trace trace;
  Extras extras{.sink = &trace};
  if (options.waves) {
    std::error_code ignored;
    std::filesystem::create_directories(options.out, ignored);
    extras.waves = options.out / "waves.fst";
  }
  const Outcome outcome = runner.run(*stimulus, extras);
  for (const std::string& line : tail(std::move(trace.lines)))
    fmt::print("{}\n", line);
  if (options.waves) fmt::print("waves: {}\n", extras.waves.string());
  if (!outcome.finding) {
    fmt::print("{} chains in {} cycles: no rule is broken\n", outcome.chains, outcome.cycles);
    return done;
  }
  const Finding& finding = *outcome.finding;
  fmt::print("{} at cycle {}: {}\n", finding.rule, finding.cycle, finding.evidence);
  return failed;
}

int run(const Options& options) {
  if (!options.rtl_coverage.empty()) {
    if (options.dut != "rtl") return complain("--rtl-coverage: only the RTL counts its lines");
    if (const auto possible = RtlCoverage::possible(); !possible) return complain(possible.error());
  }
  const Runner runner(options.dut);
  if (!options.replay.empty()) {
    try {
      return replay(options, runner);
    } catch (const std::invalid_argument& error) {
      return complain(fmt::format("{}: {}", options.replay.string(), error.what()));
    }
  }
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (!read_seeds(options.seeds, first, last))
    return complain(fmt::format("--seeds: \"{}\" is neither A nor A..B", options.seeds));
  std::uint64_t cases = 0;
  std::uint64_t chains = 0;
  std::uint64_t cycles = 0;
  CoverPlan plan = ring_cover_plan();
  const bool cover = !options.coverage.empty();
  RtlCoverage rtl_coverage(options.rtl_coverage);
  for (const RingProfile& profile : ring_profiles()) {
    if (options.profile != "all" && options.profile != profile.name) continue;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      const Stimulus stimulus = ring_case(profile, seed);
      RingCoverage coverage(plan);
      const Outcome outcome =
          runner.run(stimulus, {.sink = cover ? &coverage : nullptr,
                                .rtl_coverage = rtl_coverage.wanted() ? &rtl_coverage : nullptr});
      if (outcome.finding) return fail(options, runner, profile, seed, stimulus, *outcome.finding);
      if (!outcome.coverage) return complain(outcome.coverage.error());
      ++cases;
      chains += outcome.chains;
      cycles += outcome.cycles;
    }
  }
  if (rtl_coverage.wanted())
    if (const auto written = rtl_coverage.merge_into_file(); !written)
      return complain(written.error());
  fmt::print("{} cases, {} chains, {} cycles: no rule is broken", cases, chains, cycles);
  if (!cover) {
    fmt::print("\n");
    return done;
  }
  fmt::print("; {} of {} bins covered\n", plan.covered(), plan.bins());
  return report_coverage(plan, options.coverage);
}

std::string rules() {
  std::string text;
#define RING_RULE(name, id, meaning) text += fmt::format("  {}: {}\n", id, meaning);
#include <virtio/rtl/scoreboard/rules.def>
#undef RING_RULE
  return text;
}

} // namespace

std::function<int()> add_ring(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "ring", "rtl/vq_engine.sv judged by the ring scoreboard and by drivers' own records");
  command->add_option("--seeds", options->seeds, "A or A..B: a case for each (default 1..200)");
  std::string what = "Kind of cases, or all (default \"default\"):";
  std::vector<std::string> names{"all"};
  for (const RingProfile& profile : ring_profiles()) {
    what += fmt::format("\n  {}: {}", profile.name, profile.text);
    names.push_back(profile.name);
  }
  command->add_option("--profile", options->profile, what)->check(CLI::IsMember(names));
  command
      ->add_option("--dut", options->dut,
                   "What is judged: rtl, or one of the models' engines, model or timed")
      ->check(CLI::IsMember({"rtl", "model", "timed"}));
  command->add_flag("--waves", options->waves, "With --replay: all of it, as OUT/waves.fst");
  command->add_option("--replay", options->replay, "Run this case.txt and show what crosses")
      ->check(CLI::ExistingFile);
  command->add_option("--coverage", options->coverage,
                      "Add the covered bins to this JSON file; list those that are missing");
  command
      ->add_option("--rtl-coverage", options->rtl_coverage,
                   "Add the RTL's counts of lines and toggles to this file, for "
                   "verilator_coverage")
      ->excludes("--replay");
  command->add_option("--out", options->out, "Folder of failures (default out/cosim-ring)");
  command->footer(
      "A case is a list of what drivers do: chains, notifications, sleep, mistakes, resets; "
      "memory\n"
      "and device function follow from its seed. The first rule that is broken is told in one "
      "line;\n"
      "then the case is made as small as can be with the same rule broken (where it stays large, "
      "with\n"
      "other random numbers, and the next seeds are tried for a smaller one), and OUT/seed-N gets\n"
      "case.txt, finding.txt, trace.txt, waves.fst. Rules:\n" +
      rules() +
      "  DRIVER-SEGMENT, DRIVER-USED: not what the driver submitted, or the function completed\n"
      "  PORT-STABLE: what is offered stays until it is taken; ASSERT: an assertion of the RTL\n"
      "  RING-HANG: nothing moves, and something is outstanding\n"
      "Exit: 0 no rule is broken; 1 one is; 2 bad usage.\n"
      "Examples:\n"
      "  virtio-tlm cosim ring\n"
      "  virtio-tlm cosim ring --seeds 1..2000 --profile all\n"
      "  virtio-tlm cosim ring --replay out/cosim-ring/seed-7/case.txt --waves");
  return [options] { return run(*options); };
}

} // namespace virtio::rtl::cosim
