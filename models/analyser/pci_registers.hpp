// Decodes the structures of a virtio-pci function for the analyser, and checks the rules of virtio
// 1.4, 4.1.4.3.2, 4.1.4.9.2 and 4.1.5 that belong to this transport alone.
#pragma once

#include <virtio/analyser/access.hpp>
#include <virtio/analyser/device_state.hpp>

#include <map>
#include <optional>

namespace virtio::analyser {

/// What of a function's capabilities the analyser is told; nothing: not known, not checked.
struct PciLayout {
  std::optional<std::uint32_t> notify_off_multiplier;
};

class PciRegisters {
public:
  PciRegisters(const PciLayout& layout, DeviceState& state, Report& report)
      : layout_(layout), state_(state), report_(report) {}

  void set_layout(const PciLayout& layout) { layout_ = layout; }
  void access(const RegisterAccess& access);
  /// False until the driver sets it, and while it has not been seen at all true.
  bool bus_master() const { return bus_master_.value_or(true); }
  /// The MSI-X vector whose message a memory write is, if it is one.
  std::optional<std::uint16_t> message(const MemoryAccess& access) const;
  void used_ring_updated() { ++unseen_updates_; }
  /// A message that only used buffers can be the reason for.
  void message_sent(std::uint16_t vector);

private:
  struct Message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
  };
  struct Window { // VIRTIO_PCI_CAP_PCI_CFG
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };

  void common(const RegisterAccess& access);
  void common_read(std::uint32_t offset, std::uint32_t value);
  void common_write(std::uint32_t offset, std::uint32_t value);
  void notify(const RegisterAccess& access);
  bool goes_to(const RegisterAccess& notification, const ObservedQueue& queue) const;
  void isr(const RegisterAccess& access);
  void device_config(const RegisterAccess& access);
  void msix_control(const RegisterAccess& access);
  void msix_table(const RegisterAccess& access);
  void configuration_access(const RegisterAccess& access);
  void check_vector(std::optional<std::uint16_t> queue, std::uint16_t vector);
  void interrupt_seen(const char* what);

  PciLayout layout_;
  DeviceState& state_;
  Report& report_;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint16_t queue_select_ = 0;
  std::optional<bool> bus_master_;
  bool msix_enabled_ = false;
  std::optional<std::uint32_t> table_size_;
  std::map<std::uint16_t, Message> messages_;
  Window window_;
  std::uint64_t unseen_updates_ = 0;
};

} // namespace virtio::analyser
