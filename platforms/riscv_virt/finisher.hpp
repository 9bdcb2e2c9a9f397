// Finisher: the "sifive,test" device with which software ends a simulation, as QEMU's `virt` has
// it.
#pragma once

#include <virtio/platforms/riscv_virt/register_target.hpp>

#include <cstdint>
#include <functional>

namespace virtio::platform {

class Finisher : public RegisterTarget {
public:
  static constexpr std::uint64_t size = 0x1000;
  static constexpr std::uint16_t pass = 0x5555;
  static constexpr std::uint16_t fail = 0x3333;
  static constexpr std::uint16_t reset = 0x7777;

  enum class Request : std::uint8_t { poweroff, reboot, failure };
  /// Called with every request; `code` is what a failure carries, else 0.
  std::function<void(Request request, std::uint16_t code)> on_request;

  explicit Finisher(sc_core::sc_module_name name);

private:
  std::uint64_t read(const RegisterAccess& access) override;
  void write(const RegisterAccess& access, std::uint64_t value) override;
};

} // namespace virtio::platform
