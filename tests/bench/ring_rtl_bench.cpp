// The Verilated ring engine: the pins of a run repeated, the same run with its bench, and with all
// that judges it. Reading the case is not measured.
#include "replay.hpp"

#include <virtio/rtl/cosim/ring_bench.hpp>
#include <virtio/rtl/vq/vq_dut.hpp>

#include <Vvq_engine.h>
#include <benchmark/benchmark.h>

#include <deque>

namespace {

using namespace virtio::rtl;

constexpr unsigned seed = 1;

#define INPUTS(X)                                                                                  \
  X(rst_n)                                                                                         \
  X(cmd_valid)                                                                                     \
  X(cmd_function)                                                                                  \
  X(cmd_command)                                                                                   \
  X(cmd_queue)                                                                                     \
  X(cmd_size)                                                                                      \
  X(cmd_desc)                                                                                      \
  X(cmd_driver)                                                                                    \
  X(cmd_device)                                                                                    \
  X(cmd_vector)                                                                                    \
  X(cmd_packed)                                                                                    \
  X(cmd_event_idx)                                                                                 \
  X(cmd_indirect)                                                                                  \
  X(cmd_in_order)                                                                                  \
  X(cmd_avail)                                                                                     \
  X(cmd_avail_wrap)                                                                                \
  X(cmd_used)                                                                                      \
  X(cmd_used_wrap)                                                                                 \
  X(rsp_ready)                                                                                     \
  X(db_valid)                                                                                      \
  X(db_queue)                                                                                      \
  X(db_next_off)                                                                                   \
  X(db_next_wrap)                                                                                  \
  X(rd_ready)                                                                                      \
  X(rd_rsp_valid)                                                                                  \
  X(rd_rsp_tag)                                                                                    \
  X(rd_rsp_data)                                                                                   \
  X(rd_rsp_status)                                                                                 \
  X(wr_ready)                                                                                      \
  X(wr_rsp_valid)                                                                                  \
  X(wr_rsp_tag)                                                                                    \
  X(wr_rsp_status)                                                                                 \
  X(credit_valid)                                                                                  \
  X(credit_queue)                                                                                  \
  X(credit_count)                                                                                  \
  X(seg_ready)                                                                                     \
  X(cpl_valid)                                                                                     \
  X(cpl_queue)                                                                                     \
  X(cpl_chain)                                                                                     \
  X(cpl_generation)                                                                                \
  X(cpl_written)                                                                                   \
  X(cpl_more)                                                                                      \
  X(cpl_full)                                                                                      \
  X(abort_ready)                                                                                   \
  X(int_ready)                                                                                     \
  X(err_ready)

struct Pins {
#define FIELD(pin) std::remove_reference_t<decltype(std::declval<Vvq_engine>().pin)> pin;
  INPUTS(FIELD)
#undef FIELD

  static Pins of(const Vvq_engine& model) {
    Pins pins;
#define READ(pin) pins.pin = model.pin;
    INPUTS(READ)
#undef READ
    return pins;
  }
  void put(Vvq_engine& model) const {
#define WRITE(pin) model.pin = pin;
    INPUTS(WRITE)
#undef WRITE
  }
  static std::uint64_t answers(const Vvq_engine& model) {
    if (!model.rst_n) return 0;
    std::uint64_t sum = 0;
    if (model.rd_valid) sum += model.rd_address + model.rd_tag;
    if (model.wr_valid) sum += model.wr_address + model.wr_data[0];
    if (model.seg_valid) sum += model.seg_address + model.seg_length;
    return sum;
  }
};

/// Keeps the pins of each cycle, those of its reset among them.
class Recorder final : public cosim::RingDut {
public:
  Recorder() {
    for (int i = 0; i < 4; ++i) {
      cycles.push_back(Pins::of(dut_.pins()));
      cycles.back().rst_n = 0;
    }
  }
  const cosim::RingSide& settle(const cosim::RingSide& bench) override {
    const cosim::RingSide& side = dut_.settle(bench);
    cycles.push_back(Pins::of(dut_.pins()));
    keep(bench);
    answers += Pins::answers(dut_.pins());
    return side;
  }
  void edge() override { dut_.edge(); }
  std::uint32_t beat_bytes() const override { return dut_.beat_bytes(); }
  bool aligned_beats() const override { return dut_.aligned_beats(); }
  std::uint16_t num_queues() const override { return dut_.num_queues(); }
  std::uint32_t chains_with_function() const override { return dut_.chains_with_function(); }

  std::vector<Pins> cycles;
  std::vector<cosim::RingSide> sides; // of the bench
  std::uint64_t answers = 0;

private:
  void keep(const cosim::RingSide& bench) {
    cosim::RingSide& side = sides.emplace_back(bench);
    for (const BoundaryEvent*& event : side.offered)
      if (event != nullptr) event = &events_.emplace_back(*event);
  }

  std::deque<BoundaryEvent> events_;
  VqDut dut_{seed};
};

/// Four queues of 64 that drivers keep full: chains of one to four buffers, no mistake, no rest.
cosim::Stimulus busy(bool packed) {
  cosim::Stimulus stimulus;
  stimulus.settings = {{"seed", "1"},      {"queues", "4"},   {"size", "64"},
                       {"event_idx", "1"}, {"latency", "40"}, {"spread", "20"},
                       {"slow", "40"},     {"stall", "10"},   {"packed", packed ? "1" : "0"}};
  const cosim::Choice lengths(seed, "length");
  constexpr std::uint64_t rounds = 200;
  constexpr std::uint64_t batch = 8;
  for (std::uint64_t n = 0; n < rounds * 4 * batch; ++n) {
    const std::uint64_t queue = n / batch % 4;
    std::string chain = "chain " + std::to_string(queue);
    const std::uint64_t buffers = 1 + lengths.below(8 * n, 4);
    for (std::uint64_t i = 0; i < buffers; ++i)
      chain +=
          (i < buffers / 2 ? " r" : " w") + std::to_string(1 + lengths.below(8 * n + i + 1, 4096));
    stimulus.items.push_back(chain);
    if (n % batch == batch - 1) stimulus.items.push_back("kick " + std::to_string(queue));
  }
  return stimulus;
}

void show(benchmark::State& state, double cycles, double chains) {
  state.counters["cycles/s"] = benchmark::Counter(cycles, benchmark::Counter::kIsRate);
  state.counters["chains/s"] = benchmark::Counter(chains, benchmark::Counter::kIsRate);
}

void bare_loop(benchmark::State& state) {
  using Repeated = bench::Replay<Vvq_engine, Pins>;
  Recorder recorder;
  cosim::RingBench recorded(busy(state.range(0) != 0), recorder);
  if (recorded.run()) state.SkipWithError("a rule is broken");
  if (Repeated::run(recorder.cycles, seed + 1, true).answers != recorder.answers)
    state.SkipWithError("the pins do not make the same run");
  double cycles = 0;
  double chains = 0;
  for (auto _ : state) {
    state.SetIterationTime(Repeated::run(recorder.cycles, seed + 1, false).time);
    cycles += static_cast<double>(recorder.cycles.size());
    chains += static_cast<double>(recorded.chains());
  }
  show(state, cycles, chains);
}

/// Events to pins and back; nobody makes the ones, or takes the others.
void wrapper(benchmark::State& state) {
  Recorder recorder;
  cosim::RingBench recorded(busy(state.range(0) != 0), recorder);
  if (recorded.run()) state.SkipWithError("a rule is broken");
  double cycles = 0;
  double chains = 0;
  for (auto _ : state) {
    VqDut dut(seed);
    const auto begin = std::clock();
    for (const cosim::RingSide& side : recorder.sides) {
      benchmark::DoNotOptimize(dut.settle(side));
      dut.edge();
    }
    state.SetIterationTime(bench::seconds(std::clock() - begin));
    cycles += static_cast<double>(recorder.sides.size());
    chains += static_cast<double>(recorded.chains());
  }
  show(state, cycles, chains);
}

void run(benchmark::State& state, bool checked) {
  const cosim::Stimulus stimulus = busy(state.range(0) != 0);
  double cycles = 0;
  double chains = 0;
  for (auto _ : state) {
    VqDut dut(seed);
    cosim::RingBench ring(stimulus, dut, {.checked = checked});
    const auto begin = std::clock();
    if (ring.run()) state.SkipWithError("a rule is broken");
    state.SetIterationTime(bench::seconds(std::clock() - begin));
    cycles += static_cast<double>(ring.cycles());
    chains += static_cast<double>(ring.chains());
  }
  show(state, cycles, chains);
}

BENCHMARK(bare_loop)->ArgName("packed")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK(wrapper)->ArgName("packed")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK_CAPTURE(run, bridge, false)->ArgName("packed")->Arg(0)->Arg(1)->UseManualTime();
BENCHMARK_CAPTURE(run, lockstep, true)->ArgName("packed")->Arg(0)->Arg(1)->UseManualTime();

} // namespace

BENCHMARK_MAIN();
