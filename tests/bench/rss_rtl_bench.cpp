// The Verilated RSS block with 64-byte packets at 512 bit: the pins of a run repeated, driven by
// its bench, and judged by scoreboard and protocol checkers. Reading the case is not measured.
#include "replay.hpp"

#include <virtio/rtl/cosim/rss/bench.hpp>
#include <virtio/rtl/cosim/rss/packets.hpp>
#include <virtio/rtl/cosim/rss/rtl.hpp>

#include <Vrss_hash_512.h>
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>

namespace {

using namespace virtio::rtl::cosim;

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

struct Pins {
  bool reset, valid, last, config_valid, config_last, result_ready;
  std::uint64_t keep;
  std::uint32_t config_address, config_data;
  std::array<std::byte, 64> data;

  void put(Vrss_hash_512& model) const {
    model.rst_n = !reset;
    model.s_axis_tvalid = valid;
    model.s_axis_tlast = last;
    model.s_axis_tkeep = keep;
    std::memcpy(model.s_axis_tdata.data(), data.data(), data.size());
    model.cfg_valid = config_valid;
    model.cfg_last = config_last;
    model.cfg_address = config_address;
    model.cfg_data = config_data;
    model.result_ready = result_ready;
  }
  static std::uint64_t answers(const Vrss_hash_512& model) {
    return model.result_valid ? model.result_hash + model.result_queue : 0;
  }
};

/// Keeps the pins of each cycle.
class Recorder final : public rss::Dut {
public:
  rss::DutParams params() const override { return dut_->params(); }
  rss::Outputs cycle(const rss::Inputs& in) override {
    Pins& pins = cycles.emplace_back(Pins{in.reset,
                                          in.packet_valid,
                                          in.packet_last,
                                          in.config_valid,
                                          in.config_last,
                                          in.result_ready,
                                          in.packet_keep,
                                          in.config_address,
                                          in.config_data,
                                          {}});
    if (in.packet_valid) std::memcpy(pins.data.data(), in.packet_data, pins.data.size());
    const rss::Outputs out = dut_->cycle(in);
    if (out.result_valid) answers += out.result.hash + out.result.queue;
    return out;
  }

  std::vector<Pins> cycles;
  std::uint64_t answers = 0;

private:
  std::unique_ptr<rss::Dut> dut_ = rss::make_rtl(64, 1);
};

void bare_loop(benchmark::State& state) {
  using Repeated = virtio::rtl::bench::Replay<Vrss_hash_512, Pins>;
  const Stimulus stimulus = short_packets();
  Recorder recorder;
  if (rss::Bench(recorder, stimulus).run().finding) state.SkipWithError("a rule is broken");
  if (Repeated::run(recorder.cycles, 1, true).answers != recorder.answers)
    state.SkipWithError("the pins do not make the same run");
  double cycles = 0;
  double packets = 0;
  for (auto _ : state) {
    state.SetIterationTime(Repeated::run(recorder.cycles, 1, false).time);
    cycles += static_cast<double>(recorder.cycles.size());
    packets += static_cast<double>(stimulus.items.size());
  }
  show(state, cycles, packets);
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
    state.SetIterationTime(virtio::rtl::bench::seconds(std::clock() - begin));
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
