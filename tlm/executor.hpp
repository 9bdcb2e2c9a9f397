// The executor's place in a SystemC simulation: one SC_METHOD that runs it when something is ready
// or due. Everything that models do after a suspension happens in this process.
#pragma once

#include <virtio/core/executor.hpp>

#include <systemc>

namespace virtio::tlm2 {

/// Conversions between simulated time of the models (picoseconds) and of SystemC, without floating
/// point.
SimTime to_sim_time(const sc_core::sc_time& time);
sc_core::sc_time to_sc_time(SimTime time);

class ExecutorModule : public sc_core::sc_module, private Executor::Host {
public:
  /// SC_REPORT_FATAL when the time resolution is coarser than a picosecond.
  explicit ExecutorModule(sc_core::sc_module_name name);

  Executor& executor() { return executor_; }
  /// While no other process has anything to do, what the executor resumes need not wait for
  /// SystemC's time: it takes one activation of this module. Only for platforms in which
  /// everything that coroutines call takes its time from the executor, and what notifies a process
  /// is a Wake at host time; the end of sc_start() is to be an event.
  void run_ahead() { runs_ahead_ = true; }
  /// How often it was activated.
  std::uint64_t activations() const { return activations_; }

private:
  SimTime now() const override { return to_sim_time(sc_core::sc_time_stamp()); }
  void request_run(SimTime when) override;
  SimTime horizon() const override;
  void run();

  sc_core::sc_event wake_;
  bool runs_ahead_ = false;
  std::uint64_t activations_ = 0;
  Executor executor_{*this};
};

} // namespace virtio::tlm2
