// The device tree that the firmware gets in a1, and the addresses it tells of: those of QEMU's
// `virt` machine, so that firmware built for that machine finds everything where it expects it.
#pragma once

#include <virtio/tlm/router.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace virtio::platform {

/// QEMU's hw/riscv/virt.c.
namespace memory_map {
inline constexpr tlm2::AddressRange finisher{0x0010'0000, 0x1000};
inline constexpr tlm2::AddressRange clint{0x0200'0000, 0x1'0000};
inline constexpr tlm2::AddressRange pcie_io{0x0300'0000, 0x1'0000};
inline constexpr tlm2::AddressRange plic{0x0c00'0000, 0x60'0000};
inline constexpr tlm2::AddressRange uart{0x1000'0000, 0x100};
inline constexpr tlm2::AddressRange pcie_ecam{0x3000'0000, 0x1000'0000};
inline constexpr tlm2::AddressRange pcie_mmio32{0x4000'0000, 0x4000'0000};
inline constexpr tlm2::AddressRange pcie_mmio64{0x4'0000'0000, 0x4'0000'0000};
inline constexpr std::uint64_t ram_base = 0x8000'0000;

inline constexpr unsigned virtio_slots = 8;
constexpr tlm2::AddressRange virtio_slot(unsigned slot) {
  return {0x1000'1000 + slot * 0x1000ull, 0x1000};
}
} // namespace memory_map

/// Sources of the PLIC.
namespace interrupt {
constexpr unsigned virtio_slot(unsigned slot) {
  return 1 + slot;
}
inline constexpr unsigned uart = 10;
inline constexpr unsigned pcie_intx = 32; ///< INTA of device 0; three more follow
inline constexpr unsigned pcie_pins = 4;

/// PCI-to-PCI bridge architecture 1.2, 9.1: pin 0 is INTA.
constexpr unsigned pcie_pin(unsigned device, unsigned pin) {
  return pcie_intx + (device + pin) % pcie_pins;
}
} // namespace interrupt

struct DeviceTreeParams {
  std::uint64_t ram_size = 0;
  std::uint64_t reserved_size = 0; ///< at the top of RAM, kept from the firmware; 0: none
  std::uint32_t timebase_frequency = 10'000'000;
  std::vector<unsigned> virtio_slots; ///< slots that a device or an empty register window sits on
  bool pcie = true;
  std::string bootargs;

  tlm2::AddressRange reserved() const {
    return {memory_map::ram_base + ram_size - reserved_size, reserved_size};
  }
};

/// A flattened device tree. Throws std::runtime_error when libfdt refuses.
std::vector<std::byte> make_device_tree(const DeviceTreeParams& params);

} // namespace virtio::platform
