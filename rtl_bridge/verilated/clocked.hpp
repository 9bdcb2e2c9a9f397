// A Verilated model with one clock: seeds for what is undefined, clock cycles, waves of a window of
// cycles, coverage. The model is what `verilator --cc` makes, with pins `clk` and `rst_n`; several
// of one kind or of many can be in one process.
#pragma once

#include <verilated.h>
#include <verilated_cov.h>
#include <verilated_fst_c.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>

namespace virtio::rtl::verilated {

/// Cycles from, up to and without.
struct Window {
  std::uint64_t from = 0;
  std::uint64_t to = std::numeric_limits<std::uint64_t>::max();
};

template <class Model> class Clocked {
public:
  /// Flip-flops and memories without a reset begin with values made from `seed`; 0: all zero.
  explicit Clocked(std::uint32_t seed) : context_(std::make_unique<VerilatedContext>()) {
    context_->randReset(seed == 0 ? 0 : 2);
    context_->randSeed(static_cast<int>(seed & 0x7fffffff));
    context_->traceEverOn(true);
    context_->assertOn(true);
    context_->errorLimit(std::numeric_limits<int>::max()); // counted, not fatal
    model_ = std::make_unique<Model>(context_.get(), "dut");
    model_->clk = 0;
    model_->eval();
  }
  ~Clocked() {
    Verilated::threadContextp(context_.get());
    if (waves_) waves_->close();
    model_->final();
    model_.reset();
    Verilated::threadContextp(Verilated::defaultContextp()); // that outlives this one
  }
  Clocked(const Clocked&) = delete;
  Clocked& operator=(const Clocked&) = delete;

  Model& pins() { return *model_; }
  std::uint64_t cycle() const { return cycle_; }

  /// Assertions that did not hold; each was told on standard output.
  int failed_assertions() const { return context_->errorCount(); }

  /// Lets what follows from inputs alone settle: outputs are then those of this cycle.
  void settle() {
    Verilated::threadContextp(context_.get()); // that counts failed assertions
    model_->eval();
  }
  /// The clock's edges of this cycle. Inputs are set, and outputs read, before.
  void tick() {
    if (waves_) show(0);
    model_->clk = 1;
    model_->eval();
    if (waves_) show(5);
    model_->clk = 0;
    ++cycle_;
  }

  /// The clock stands for so many cycles; waves show the time.
  void skip(std::uint64_t cycles) { cycle_ += cycles; }

  /// Before the first cycle. The file is readable by GTKWave; a cycle takes 10 ns in it.
  void write_waves(const std::filesystem::path& file, Window window = {}) {
    waves_ = std::make_unique<VerilatedFstC>();
    window_ = window;
    model_->trace(waves_.get(), 99);
    waves_->open(file.c_str());
  }
  /// Line and toggle coverage. Nothing without VM_COVERAGE, which says that the model counts them.
  void write_coverage(const std::filesystem::path& file) {
#if VM_COVERAGE
    context_->coveragep()->write(file.c_str());
#else
    static_cast<void>(file);
#endif
  }

private:
  void show(unsigned time) {
    if (cycle_ >= window_.from && cycle_ < window_.to) waves_->dump(10 * cycle_ + time);
  }

  std::unique_ptr<VerilatedContext> context_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<VerilatedFstC> waves_;
  Window window_;
  std::uint64_t cycle_ = 0;
};

} // namespace virtio::rtl::verilated
