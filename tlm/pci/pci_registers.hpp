// Registers of the PCI configuration header that every function has (PCI Express Base 5.0, 7.5.1),
// and the bits of them that this folder looks at.
#pragma once

#include <cstdint>

namespace virtio::tlm2::pci {

inline constexpr std::uint32_t vendor_id = 0x00;
inline constexpr std::uint32_t command = 0x04;
inline constexpr std::uint32_t status = 0x06;
inline constexpr std::uint32_t revision_id = 0x08;
inline constexpr std::uint32_t cache_line_size = 0x0c;
inline constexpr std::uint32_t header_type = 0x0e;
inline constexpr std::uint32_t bar0 = 0x10;
inline constexpr std::uint32_t subsystem_vendor_id = 0x2c;
inline constexpr std::uint32_t capabilities_pointer = 0x34;
inline constexpr std::uint32_t interrupt_line = 0x3c;
inline constexpr std::uint32_t interrupt_pin = 0x3d;
inline constexpr std::uint32_t header_end = 0x40;
inline constexpr std::uint32_t capabilities_end = 0x100;

inline constexpr std::uint16_t command_memory = 1 << 1;
inline constexpr std::uint16_t command_bus_master = 1 << 2;
inline constexpr std::uint16_t command_parity_error_response = 1 << 6;
inline constexpr std::uint16_t command_serr = 1 << 8;
inline constexpr std::uint16_t command_intx_disable = 1 << 10;

inline constexpr std::uint8_t status_interrupt = 1 << 3;
inline constexpr std::uint8_t status_capabilities = 1 << 4;
inline constexpr std::uint16_t status_errors = 0xf900;

inline constexpr std::uint32_t bar_io = 1 << 0;
inline constexpr std::uint32_t bar_type = 3 << 1;
inline constexpr std::uint32_t bar_64bit = 1 << 2;
inline constexpr std::uint32_t bar_prefetchable = 1 << 3;
inline constexpr std::uint32_t bar_flags = 0xf;

} // namespace virtio::tlm2::pci
