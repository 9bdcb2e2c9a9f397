#include <virtio/platforms/riscv_virt/clint.hpp>

#include <stdexcept>

namespace virtio::platform {

namespace {

constexpr std::uint64_t msip = 0x0000;
constexpr std::uint64_t mtimecmp = 0x4000;
constexpr std::uint64_t mtime_register = 0xbff8;

sc_core::sc_time tick_of(std::uint64_t frequency) {
  constexpr std::uint64_t picoseconds = 1'000'000'000'000;
  if (frequency == 0 || frequency > picoseconds)
    throw std::invalid_argument("the timebase of the CLINT must be 1 Hz to 1 THz");
  return sc_core::sc_time::from_value(picoseconds / frequency);
}

bool within(const RegisterAccess& access, std::uint64_t base) {
  return access.offset >= base && access.offset - base < 8;
}

/// The part of a 64-bit register that an access of 4 or 8 bytes reads.
std::uint64_t part(std::uint64_t value, const RegisterAccess& access) {
  return access.length == 8 ? value : value >> (8 * (access.offset % 8)) & 0xffff'ffff;
}

std::uint64_t merged(std::uint64_t old, const RegisterAccess& access, std::uint64_t value) {
  if (access.length == 8) return value;
  const auto shift = 8 * (access.offset % 8);
  return (old & ~(std::uint64_t{0xffff'ffff} << shift)) | value << shift;
}

} // namespace

Clint::Clint(sc_core::sc_module_name name, std::uint64_t timebase_frequency)
    : RegisterTarget(name, size, 4 | 8), software_irq("software_irq"), timer_irq("timer_irq"),
      tick_(tick_of(timebase_frequency)) {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.set_sensitivity(&changed_);
  sc_core::sc_spawn([this] { drive_irqs(); }, "drive_irqs", &options);
}

std::uint64_t Clint::mtime(sc_core::sc_time time) const {
  return time.value() / tick_.value() + mtime_offset_;
}

std::uint64_t Clint::read(const RegisterAccess& access) {
  if (access.offset == msip) return msip_;
  if (within(access, mtimecmp)) return part(mtimecmp_, access);
  if (within(access, mtime_register)) return part(mtime(access.time), access);
  return 0;
}

void Clint::write(const RegisterAccess& access, std::uint64_t value) {
  if (access.offset == msip) msip_ = value & 1;
  if (within(access, mtimecmp)) mtimecmp_ = merged(mtimecmp_, access, value);
  if (within(access, mtime_register)) {
    const auto now = mtime(access.time);
    mtime_offset_ += merged(now, access, value) - now;
  }
  changed_.notify(sc_core::SC_ZERO_TIME);
}

void Clint::drive_irqs() {
  software_irq.write(msip_);
  const auto now = mtime(sc_core::sc_time_stamp());
  timer_irq.write(now >= mtimecmp_);
  if (now >= mtimecmp_) return;
  const auto ticks = mtimecmp_ - now;
  const auto left = sc_core::sc_max_time().value() - sc_core::sc_time_stamp().value();
  if (ticks > left / tick_.value()) return; // beyond the end of simulated time
  const auto into_tick = sc_core::sc_time_stamp().value() % tick_.value();
  changed_.notify(sc_core::sc_time::from_value(ticks * tick_.value() - into_tick));
}

} // namespace virtio::platform
