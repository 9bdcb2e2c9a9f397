#include <virtio/tlm/executor.hpp>

#include <string>

namespace virtio::tlm2 {
namespace {
sc_core::sc_time::value_type units_per_picosecond() {
  static const auto units = sc_core::sc_time(1, sc_core::SC_PS).value();
  return units;
}

void report(std::string_view who, std::exception_ptr error) {
  std::string text = "an exception left a task of " + std::string(who);
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& e) {
    text += std::string(": ") + e.what();
  } catch (...) {
    text += ": of unknown type";
  }
  SC_REPORT_ERROR("/virtio-tlm/executor", text.c_str());
}
} // namespace

SimTime to_sim_time(const sc_core::sc_time& time) {
  return {time.value() / units_per_picosecond()};
}
sc_core::sc_time to_sc_time(SimTime time) {
  return sc_core::sc_time::from_value(time.ps * units_per_picosecond());
}

ExecutorModule::ExecutorModule(sc_core::sc_module_name name) : sc_module(name) {
  if (sc_core::sc_time(1, sc_core::SC_PS) < sc_core::sc_get_time_resolution())
    SC_REPORT_FATAL("/virtio-tlm/executor",
                    "the time resolution is coarser than 1 ps; set it with sc_set_time_resolution");
  executor_.set_error_handler(report);
  SC_HAS_PROCESS(ExecutorModule);
  SC_METHOD(run);
  sensitive << wake_;
  dont_initialize();
}

void ExecutorModule::request_run(SimTime when) {
  // sc_event keeps the earlier of two pending notifications; run() asks again for what comes later.
  const SimTime current = now();
  if (when <= current)
    wake_.notify(sc_core::SC_ZERO_TIME);
  else
    wake_.notify(to_sc_time(when - current));
}

SimTime ExecutorModule::horizon() const {
  return now() + to_sim_time(sc_core::sc_time_to_pending_activity());
}

void ExecutorModule::run() {
  ++activations_;
  if (runs_ahead_)
    executor_.run_ahead();
  else
    executor_.run();
  if (executor_.reached() > now() && !executor_.failed() &&
      sc_core::sc_pending_activity_at_current_time())
    SC_REPORT_ERROR("/virtio-tlm/executor",
                    "a process was notified from ahead of SystemC's time: what does that must be "
                    "a Wake at host time, or the executor must not run ahead");
  executor_.flush_errors();
}

} // namespace virtio::tlm2
