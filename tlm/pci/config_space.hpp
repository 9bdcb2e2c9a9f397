// The 4 KiB configuration space of one PCI Express function with a type 0 header: registers with
// their access rules, BARs with sizing and address decoding, and the list of capabilities. It knows
// nothing of SystemC or virtio; whoever owns it acts on what the driver wrote.
#pragma once

#include <virtio/tlm/pci/pci_registers.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace virtio::tlm2 {

struct PciIdentity {
  std::uint16_t vendor_id = 0;
  std::uint16_t device_id = 0;
  std::uint16_t subsystem_vendor_id = 0;
  std::uint16_t subsystem_id = 0;
  std::uint32_t class_code = 0; ///< 24 bits: base class, sub-class, interface
  std::uint8_t revision = 0;
  std::uint8_t interrupt_pin = 0; ///< 1 for INTA#, 0 for none
};

/// A memory BAR.
struct PciBar {
  std::uint64_t size = 0; ///< bytes, a power of two of at least 16; 0: not implemented
  bool is_64bit = false;  ///< takes the next BAR's register too
  bool prefetchable = false;
};

class PciConfigSpace {
public:
  static constexpr std::uint32_t size = 4096;
  static constexpr unsigned bars = 6;

  explicit PciConfigSpace(const PciIdentity& identity);

  // Before the first access. What does not fit throws std::invalid_argument.
  void add_bar(unsigned index, const PciBar& bar);
  /// Appends a capability: its id and link, then `body`, which begins at byte 2. Where `writable`
  /// has ones, the driver can write. Returns the offset of the id.
  std::uint8_t add_capability(std::uint8_t id, std::span<const std::byte> body,
                              std::span<const std::byte> writable = {});
  /// PCI Express endpoint, version 2, 16 GT/s x16, with function-level reset.
  void add_express_capability();
  /// Power management, version 3: D0 and D3hot, which keeps the function's state.
  void add_power_management_capability();

  /// [offset, offset + bytes.size()) is cut at the end of the space: beyond it, reads give zeros.
  void read(std::uint32_t offset, std::span<std::byte> bytes) const;
  void write(std::uint32_t offset, std::span<const std::byte> bytes);
  /// A device's own change of a register, whatever the driver may write.
  void set(std::uint32_t offset, std::span<const std::byte> bytes);
  /// Back to the state after power-on.
  void reset();

  std::uint16_t word(std::uint32_t offset) const;
  std::uint32_t dword(std::uint32_t offset) const;

  /// Memory Space Enable, in D0.
  bool memory_enabled() const;
  /// Bus Master Enable, in D0.
  bool bus_master_enabled() const;
  /// Interrupt Disable, or not in D0.
  bool intx_disabled() const;
  void set_interrupt_status(bool pending);
  void set_transactions_pending(bool pending);
  /// Whether the driver wrote 1 to Initiate Function Level Reset since the last call.
  bool take_function_level_reset();

  struct Hit {
    unsigned bar = 0;
    std::uint64_t offset = 0;
  };
  /// The BAR that claims every byte of [address, address + length), if memory space is enabled.
  std::optional<Hit> decode(std::uint64_t address, std::uint64_t length) const;
  /// 0 for a BAR that does not exist.
  std::uint64_t bar_size(unsigned bar) const { return bar < bars ? bars_[bar].size : 0; }

private:
  using Bytes = std::array<std::byte, size>;
  bool in_d0() const;
  void put(Bytes& bytes, std::uint32_t offset, std::uint64_t value, unsigned width);
  void set_bit(std::uint32_t offset, std::uint8_t bit, bool on);
  std::uint64_t bar_base(unsigned bar) const;

  Bytes bytes_{};
  Bytes defaults_{};
  Bytes writable_{};
  Bytes write_one_to_clear_{};
  std::array<PciBar, bars> bars_{};
  std::uint32_t last_link_ = pci::capabilities_pointer; // where the next capability's offset goes
  std::uint32_t next_capability_ = pci::header_end;
  std::uint32_t express_ = 0; // offsets of capabilities, 0 for none
  std::uint32_t power_ = 0;
  bool function_level_reset_ = false;
};

} // namespace virtio::tlm2
