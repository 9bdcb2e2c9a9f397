// The Verilated RSS block with 64-byte packets at 512 bit: pins alone, driven by its bench, and
// judged by scoreboard and protocol checkers. Reading the case is not measured.
#include <virtio/rtl/cosim/rss/bench.hpp>
#include <virtio/rtl/cosim/rss/packets.hpp>
#include <virtio/rtl/cosim/rss/rtl.hpp>

#include <benchmark/benchmark.h>

#include <ctime>

namespace {

using namespace virtio::rtl::cosim;

/// Of this processor's time.
double seconds(std::clock_t time) {
  return static_cast<double>(time) / CLOCKS_PER_SEC;
}

Stimulus short_packets() {
  rss::Profile profile;
  for (const rss::Profile& each : rss::profiles())
    if (each.name == "short") profile = each;
  profile.items = 100'000;
  return rss::random_case(1, profile, {});
}

void show(benchmark::State& state, double cycles, double packets) {
  state.counters["cycles/s"] = benchmark::Counter(cycles, benchmark::Counter::kIsRate);
  state.counters["packets/s"] = benchmark::Counter(packets, benchmark::Counter::kIsRate);
}

void bare_loop(benchmark::State& state) {
  const Stimulus stimulus = short_packets();
  const auto item = rss::parse_item(stimulus.items.front());
  const rss::Inputs inputs{.packet_valid = true,
                           .packet_last = true,
                           .packet_keep = ~std::uint64_t{0},
                           .packet_data = std::get<rss::PacketItem>(*item).bytes.data(),
                           .result_ready = true};
  constexpr unsigned cycles = 100'000;
  double packets = 0;
  for (auto _ : state) {
    const auto dut = rss::make_rtl(64, 1);
    dut->cycle({.reset = true});
    const auto begin = std::clock();
    for (unsigned i = 0; i < cycles; ++i)
      packets += dut->cycle(inputs).result_valid ? 1 : 0;
    state.SetIterationTime(seconds(std::clock() - begin));
  }
  show(state, cycles * static_cast<double>(state.iterations()), packets);
}

void bench(benchmark::State& state, bool checked) {
  const Stimulus stimulus = short_packets();
  double cycles = 0;
  double packets = 0;
  for (auto _ : state) {
    const auto dut = rss::make_rtl(64, 1);
    rss::Bench bench(*dut, stimulus, {.checked = checked});
    const auto begin = std::clock();
    const rss::Outcome outcome = bench.run();
    state.SetIterationTime(seconds(std::clock() - begin));
    if (outcome.finding && checked) state.SkipWithError("a rule is broken");
    cycles += static_cast<double>(outcome.cycles);
    packets += static_cast<double>(stimulus.items.size());
  }
  show(state, cycles, packets);
}

BENCHMARK(bare_loop)->UseManualTime();
BENCHMARK_CAPTURE(bench, bridge, false)->UseManualTime();
BENCHMARK_CAPTURE(bench, lockstep, true)->UseManualTime();

} // namespace

BENCHMARK_MAIN();
