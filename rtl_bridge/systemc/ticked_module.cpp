#include <virtio/rtl/systemc/ticked_module.hpp>

namespace virtio::rtl::systemc {

TickedModule::TickedModule(sc_core::sc_module_name name, const sc_core::sc_time& period)
    : sc_module(name), period_(period) {
  if (period == sc_core::SC_ZERO_TIME)
    SC_REPORT_FATAL("/virtio-tlm/rtl", "the period of a clock must not be 0");
  SC_HAS_PROCESS(TickedModule);
  SC_METHOD(run);
  sensitive << edge_;
  dont_initialize();
}

void TickedModule::wake() {
  if (awake_) return;
  awake_ = true;
  const sc_core::sc_time now = sc_core::sc_time_stamp();
  const std::uint64_t into = now.value() % period_.value();
  sc_core::sc_time wait =
      into == 0 ? sc_core::SC_ZERO_TIME : sc_core::sc_time::from_value(period_.value() - into);
  if (ticked_ && last_ == now + wait) wait += period_;
  edge_.notify(wait);
}

void TickedModule::run() {
  ticked_ = true;
  last_ = sc_core::sc_time_stamp();
  ++cycles_;
  awake_ = false; // a wake() within tick() is for the next edge
  const bool more = tick();
  if (more) wake();
}

} // namespace virtio::rtl::systemc
