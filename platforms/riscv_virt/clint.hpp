// Clint: the core-local interruptor of one hart. Its mtime is the simulated time of the access, in
// ticks of the timebase; it raises the machine software and machine timer interrupts.
#pragma once

#include <virtio/platforms/riscv_virt/register_target.hpp>

#include <cstdint>

namespace virtio::platform {

class Clint : public RegisterTarget {
public:
  static constexpr std::uint64_t size = 0x10000;
  sc_core::sc_out<bool> software_irq;
  sc_core::sc_out<bool> timer_irq;

  /// `timebase_frequency`: ticks of mtime in a second, 1 to 10^12; a tick is a whole number of
  /// picoseconds. Throws std::invalid_argument.
  Clint(sc_core::sc_module_name name, std::uint64_t timebase_frequency);

private:
  std::uint64_t read(const RegisterAccess& access) override;
  void write(const RegisterAccess& access, std::uint64_t value) override;
  std::uint64_t mtime(sc_core::sc_time time) const;
  void drive_irqs();

  sc_core::sc_time tick_;
  bool msip_ = false;
  std::uint64_t mtimecmp_ = ~std::uint64_t{0};
  std::uint64_t mtime_offset_ = 0; // what software's writes to mtime added
  sc_core::sc_event changed_;
};

} // namespace virtio::platform
