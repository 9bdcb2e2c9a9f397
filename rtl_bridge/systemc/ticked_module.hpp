// A clock for ticked parts in a SystemC simulation, without a clock signal: a method that calls
// tick() each period while there is something to do, and sleeps otherwise. Edges are at multiples
// of the period.
#pragma once

#include <systemc>

namespace virtio::rtl::systemc {

class TickedModule : public sc_core::sc_module {
public:
  std::uint64_t cycles() const { return cycles_; } ///< ticked so far

protected:
  TickedModule(sc_core::sc_module_name name, const sc_core::sc_time& period);

  /// One rising edge. False: nothing to do before the next wake().
  virtual bool tick() = 0;
  void wake();

private:
  void run();

  sc_core::sc_time period_;
  sc_core::sc_event edge_;
  bool awake_ = false;
  bool ticked_ = false;
  sc_core::sc_time last_;
  std::uint64_t cycles_ = 0;
};

} // namespace virtio::rtl::systemc
