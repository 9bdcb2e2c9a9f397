// The pins of a run, and the bare Verilator loop that repeats it: two evaluations a cycle, no
// wrapper and no bench. Constant pins would leave most of the RTL idle and make the loop too fast
// to compare with.
#pragma once

#include <verilated.h>

#include <chrono>
#include <ctime>
#include <limits>
#include <memory>
#include <vector>

namespace virtio::rtl::bench {

/// Of this processor's time.
inline double seconds(std::clock_t time) {
  return static_cast<double>(time) / CLOCKS_PER_SEC;
}

/// As verilated::Clocked makes a model.
template <class Model>
std::pair<std::unique_ptr<VerilatedContext>, std::unique_ptr<Model>> made(unsigned seed) {
  auto context = std::make_unique<VerilatedContext>();
  context->randReset(seed == 0 ? 0 : 2);
  context->randSeed(static_cast<int>(seed));
  context->traceEverOn(true);
  context->assertOn(true);
  context->errorLimit(std::numeric_limits<int>::max());
  auto model = std::make_unique<Model>(context.get(), "dut");
  model->clk = 0;
  model->eval();
  return {std::move(context), std::move(model)};
}

/// Pins: `put(model)` sets the inputs of a cycle, `answers(model)` is a number made of outputs, the
/// sum of which says whether the run was the same.
template <class Model, class Pins> struct Replay {
  double time = 0;
  std::uint64_t answers = 0;

  static Replay run(const std::vector<Pins>& cycles, unsigned seed, bool look) {
    const auto [context, owned] = made<Model>(seed);
    Model& model = *owned;
    Verilated::threadContextp(context.get());
    Replay replay;
    const auto begin = std::clock();
    for (const Pins& pins : cycles) {
      pins.put(model);
      model.eval();
      if (look) replay.answers += Pins::answers(model);
      model.clk = 1;
      model.eval();
      model.clk = 0;
    }
    replay.time = seconds(std::clock() - begin);
    model.final();
    owned->eval();
    return replay;
  }
};

} // namespace virtio::rtl::bench
