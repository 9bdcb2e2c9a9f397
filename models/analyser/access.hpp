// What the protocol analyser is shown: accesses to a device's registers, and accesses to memory by
// the device and, where the platform sees them, by the driver. Plain values, one call each; the
// analyser keeps no reference to them.
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace virtio::analyser {

enum class RegisterSpace : std::uint8_t {
  mmio,         ///< a virtio-mmio window, the configuration space from 0x100 on included
  pci_common,   ///< the common configuration structure
  pci_notify,   ///< the notification structure
  pci_isr,      ///< the ISR status
  pci_device,   ///< the device-specific configuration
  pci_command,  ///< the Command register in configuration space
  msix_control, ///< Message Control of the MSI-X capability
  msix_table,   ///< the MSI-X table
  pci_cfg_cap,  ///< VIRTIO_PCI_CAP_PCI_CFG in configuration space, from its cap_vndr on
  pci_cap,      ///< any other virtio capability in configuration space, from its cap_vndr on
};

/// One access to a register. Writes are shown before the device acts on them, reads with the value
/// that the device answered.
struct RegisterAccess {
  SimTime time;
  RegisterSpace space{};
  std::uint64_t offset = 0; ///< bytes from the start of the space
  unsigned width = 0;       ///< bytes
  bool write = false;
  std::uint64_t value = 0; ///< the first 8 bytes, little-endian
};

/// One access to memory, when it was performed; a read with the bytes it returned, when they
/// arrived.
struct MemoryAccess {
  SimTime time;
  GuestAddr addr{};
  std::span<const std::byte> data;
  bool write = false;
  /// A read that took time: when it set out. Its bytes are of some time between the two.
  std::optional<SimTime> asked{};
};

} // namespace virtio::analyser
