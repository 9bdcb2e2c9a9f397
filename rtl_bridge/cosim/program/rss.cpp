#include <virtio/rtl/cosim/failure.hpp>
#include <virtio/rtl/cosim/program/common.hpp>
#include <virtio/rtl/cosim/program/rss.hpp>
#include <virtio/rtl/cosim/program/rtl_coverage.hpp>
#include <virtio/rtl/cosim/rss/bench.hpp>
#include <virtio/rtl/cosim/rss/packets.hpp>
#include <virtio/rtl/cosim/rss/rtl.hpp>
#include <virtio/rtl/cosim/shrink.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl::cosim {

namespace {

struct Options {
  std::string seeds = "1..20";
  std::string profile = "default";
  unsigned width = 512;
  bool waves = false;
  bool json = false;
  std::filesystem::path replay;
  std::filesystem::path out = "out/cosim-rss";
  std::filesystem::path coverage;
  std::filesystem::path rtl_coverage;
};

/// Runs cases on a block of their own each, as the case says.
class Runner {
public:
  struct Extras {
    std::vector<std::string>* trace = nullptr;
    std::filesystem::path waves{};
    std::uint64_t waves_from = 0;
    std::uint64_t waves_to = ~std::uint64_t{0};
    std::function<void(rss::Dut&)> after{};
    bool from_zero = false; ///< what the block's registers begin with; else by the seed
  };

  static rss::Outcome run(const Stimulus& stimulus) { return run(stimulus, {}); }
  static rss::Outcome run(const Stimulus& stimulus, const Extras& extras) {
    const auto dut =
        rss::make_rtl(static_cast<unsigned>(stimulus.number("beat_bytes", 64)),
                      extras.from_zero ? 0 : static_cast<std::uint32_t>(stimulus.number("seed")));
    if (!extras.waves.empty()) dut->write_waves(extras.waves, extras.waves_from, extras.waves_to);
    const rss::Outcome outcome = rss::Bench(*dut, stimulus, {.trace = extras.trace}).run();
    if (extras.after) extras.after(*dut);
    return outcome;
  }
};

Shrunk smallest_case(const rss::Profile& profile, std::uint64_t seed, const Stimulus& stimulus,
                     const Finding& finding, const rss::DutParams& params) {
  const Shrinkable bench{.run = [](const Stimulus& s) { return Runner::run(s).finding; },
                         .simpler = rss::simpler,
                         .simpler_settings = rss::simpler_settings,
                         .weight = rss::packets_of,
                         .reseeded = reseeded};
  const Silence assertions;
  Shrunk small = smallest(
      stimulus, finding, bench, {.runs = 20'000},
      {.nth = [&](std::uint64_t n) { return rss::random_case(seed + n, profile, params); }},
      progress);
  clear_progress();
  return small;
}

int fail(const Options& options, const rss::Profile& profile, std::uint64_t seed,
         const Stimulus& stimulus, const Finding& finding, const rss::DutParams& params) {
  fmt::print("seed {}: {} at cycle {}: {}\n", seed, finding.rule, finding.cycle, finding.evidence);
  const Shrunk small = smallest_case(profile, seed, stimulus, finding, params);
  const auto folder = options.out / fmt::format("seed-{}", seed);
  Failure failure{small.stimulus, small.finding, {}, "virtio-tlm cosim rss --replay CASE --waves"};
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  constexpr std::uint64_t around = 500;
  const std::uint64_t cycle = small.finding.cycle;
  Runner::run(small.stimulus, {.trace = &failure.trace,
                               .waves = folder / "waves.fst",
                               .waves_from = cycle > around ? cycle - around : 0,
                               .waves_to = cycle + around});
  failure.trace = tail(std::move(failure.trace));
  if (const auto written = write_failure(folder, failure); !written)
    return complain(written.error());
  fmt::print("shrunk to {} items in {} runs{}: {}\nsee {}\n", small.stimulus.items.size(),
             small.runs, small.complete ? "" : " (a limit was reached)", small.finding.evidence,
             folder.string());
  return failed;
}

int replay(const Options& options) {
  const auto stimulus = read_stimulus(options.replay);
  if (!stimulus) return complain(stimulus.error());
  const auto width = stimulus->number("beat_bytes", 64);
  if (!std::ranges::count(rss::built_widths, width))
    return complain(fmt::format("{}: beat_bytes {} is not built, only 16 and 64",
                                options.replay.string(), width));
  for (const Item& item : stimulus->items)
    if (const auto read = rss::parse_item(item); !read)
      return complain(fmt::format("{}: {}", options.replay.string(), read.error()));
  std::vector<std::string> trace;
  Runner::Extras extras{.trace = &trace};
  if (options.waves) {
    std::error_code ignored;
    std::filesystem::create_directories(options.out, ignored);
    extras.waves = options.out / "waves.fst";
  }
  const rss::Outcome outcome = Runner::run(*stimulus, extras);
  for (const std::string& line : tail(trace))
    fmt::print("{}\n", line);
  if (options.waves) fmt::print("waves: {}\n", extras.waves.string());
  if (!outcome.finding) {
    fmt::print("{} packets in {} cycles: no rule is broken\n", outcome.packets, outcome.cycles);
    return done;
  }
  const Finding& finding = *outcome.finding;
  fmt::print("{} at cycle {}: {}\n", finding.rule, finding.cycle, finding.evidence);
  return failed;
}

std::vector<rss::Profile> chosen(const std::string& name) {
  std::vector<rss::Profile> profiles;
  for (const rss::Profile& profile : rss::profiles())
    if (name == "all" || name == profile.name) profiles.push_back(profile);
  return profiles;
}

int report(const Options& options, std::uint64_t cases, std::uint64_t packets, std::uint64_t cycles,
           const CoverPlan& plan) {
  fmt::print("{} cases, {} packets, {} cycles: no rule is broken; {} of {} bins covered\n", cases,
             packets, cycles, plan.covered(), plan.bins());
  if (options.coverage.empty()) return done;
  return report_coverage(plan, options.coverage);
}

int run(const Options& options) {
  if (!options.replay.empty()) return replay(options);
  RtlCoverage rtl_coverage(options.rtl_coverage);
  if (rtl_coverage.wanted())
    if (const auto possible = RtlCoverage::possible(); !possible) return complain(possible.error());
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (!read_seeds(options.seeds, first, last))
    return complain(fmt::format("--seeds: \"{}\" is neither A nor A..B", options.seeds));
  const rss::DutParams params{.beat_bytes = options.width / 8};
  CoverPlan plan = rss::cover_plan();
  std::uint64_t cases = 0;
  std::uint64_t packets = 0;
  std::uint64_t cycles = 0;
  for (const rss::Profile& profile : chosen(options.profile))
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      const Stimulus stimulus = rss::random_case(seed, profile, params);
      tl::expected<void, std::string> counted;
      Runner::Extras extras;
      // Counted from zero: what a reset clears has not toggled.
      extras.from_zero = rtl_coverage.wanted();
      if (rtl_coverage.wanted())
        extras.after = [&](rss::Dut& dut) {
          counted = rtl_coverage.add([&](const auto& file) { dut.write_coverage(file); });
        };
      const rss::Outcome outcome = Runner::run(stimulus, extras);
      if (outcome.finding) return fail(options, profile, seed, stimulus, *outcome.finding, params);
      if (!counted) return complain(counted.error());
      rss::cover(stimulus, params, plan);
      ++cases;
      packets += outcome.packets;
      cycles += outcome.cycles;
    }
  if (rtl_coverage.wanted())
    if (const auto written = rtl_coverage.merge_into_file(); !written)
      return complain(written.error());
  return report(options, cases, packets, cycles, plan);
}

} // namespace

std::function<int()> add_rss(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "rss", "rtl/rss_hash.sv beside the network model: every result is compared");
  command->add_option("--seeds", options->seeds, "A or A..B: a case for each (default 1..20)");
  std::string what = "Kind of cases, or all (default \"default\"):";
  std::vector<std::string> names{"all"};
  for (const rss::Profile& profile : rss::profiles()) {
    what += fmt::format("\n  {}: {}", profile.name, profile.what);
    names.push_back(profile.name);
  }
  command->add_option("--profile", options->profile, what)->check(CLI::IsMember(names));
  command->add_option("--width", options->width, "Data width: 128 or 512 (default 512)")
      ->check(CLI::IsMember({128, 512}));
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
  command->add_option("--out", options->out, "Folder of failures (default out/cosim-rss)");
  command->footer(
      "A case is 300 or more items: packets of every form and changes of the configuration. The\n"
      "first rule that is broken is told in one line; then the case is made as small as can be\n"
      "with the same rule broken (where it stays large, with other random numbers, and the next "
      "seeds\n"
      "are tried for a smaller one), and OUT/seed-N gets case.txt, finding.txt, trace.txt, "
      "waves.fst.\n"
      "Rules: RSS-REPORT, RSS-TUNNEL, RSS-HASH, RSS-QUEUE, RSS-DROP, RSS-ORDER, RSS-COUNT,\n"
      "RSS-HANG, AXIS-STABLE, AXIS-KEEP, AXIS-TIMEOUT, AXIS-LAST, ASSERT.\n"
      "Exit: 0 no rule is broken; 1 one is; 2 bad usage.\n"
      "Examples:\n"
      "  virtio-tlm cosim rss\n"
      "  virtio-tlm cosim rss --seeds 1..1000 --profile all --coverage out/rss.json\n"
      "  virtio-tlm cosim rss --replay out/cosim-rss/seed-7/case.txt --waves");
  return [options] { return run(*options); };
}

} // namespace virtio::rtl::cosim
