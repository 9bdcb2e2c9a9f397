#include <virtio/analyser/pci_registers.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::analyser {
namespace {

constexpr std::uint16_t VIRTIO_MSI_NO_VECTOR = 0xffff;
constexpr std::uint8_t queue_interrupt = 1; // ISR status, 4.1.4.5
constexpr std::uint8_t config_interrupt = 2;
constexpr std::uint32_t command_bus_master = 1 << 2; // PCI Local Bus 3.0, 6.2.2
constexpr std::uint32_t msix_enable = 1 << 15;       // PCI Local Bus 3.0, 6.8.2.3
constexpr std::uint32_t msix_table_size = 0x7ff;
constexpr std::uint64_t msix_entry_bytes = 16;
constexpr std::uint32_t max_vectors = 0x800;

// virtio 1.4, 4.1.4.3: the common configuration structure. 64-bit fields are two of 32 bits.
enum Field : std::uint32_t {
  device_feature_select = 0x00,
  device_feature = 0x04,
  driver_feature_select = 0x08,
  driver_feature = 0x0c,
  config_msix_vector = 0x10,
  num_queues = 0x12,
  device_status = 0x14,
  config_generation = 0x15,
  queue_select = 0x16,
  queue_size = 0x18,
  queue_msix_vector = 0x1a,
  queue_enable = 0x1c,
  queue_notify_off = 0x1e,
  queue_desc_low = 0x20,
  queue_desc_high = 0x24,
  queue_driver_low = 0x28,
  queue_driver_high = 0x2c,
  queue_device_low = 0x30,
  queue_device_high = 0x34,
  queue_notif_config_data = 0x38,
  queue_reset = 0x3a,
  admin_queue_index = 0x3c,
  admin_queue_num = 0x3e,
};
struct FieldInfo {
  std::uint32_t offset;
  unsigned width;
  bool must_not_be_written = false; // 4.1.4.3.2 names these
};
constexpr FieldInfo fields[] = {{device_feature_select, 4},
                                {device_feature, 4, true},
                                {driver_feature_select, 4},
                                {driver_feature, 4},
                                {config_msix_vector, 2},
                                {num_queues, 2, true},
                                {device_status, 1},
                                {config_generation, 1, true},
                                {queue_select, 2},
                                {queue_size, 2},
                                {queue_msix_vector, 2},
                                {queue_enable, 2},
                                {queue_notify_off, 2, true},
                                {queue_desc_low, 4},
                                {queue_desc_high, 4},
                                {queue_driver_low, 4},
                                {queue_driver_high, 4},
                                {queue_device_low, 4},
                                {queue_device_high, 4},
                                {queue_notif_config_data, 2, true},
                                {queue_reset, 2},
                                {admin_queue_index, 2},
                                {admin_queue_num, 2}};

std::string describe(const RegisterAccess& a, const char* structure) {
  return fmt::format("{} of {} bytes at offset {:#x} of {}", a.write ? "write" : "read", a.width,
                     a.offset, structure);
}

bool naturally_aligned(const RegisterAccess& a) {
  return (a.width == 1 || a.width == 2 || a.width == 4) && a.offset % a.width == 0;
}

} // namespace

void PciRegisters::access(const RegisterAccess& a) {
  switch (a.space) {
  case RegisterSpace::pci_common:
    common(a);
    break;
  case RegisterSpace::pci_notify:
    notify(a);
    break;
  case RegisterSpace::pci_isr:
    isr(a);
    break;
  case RegisterSpace::pci_device:
    device_config(a);
    break;
  case RegisterSpace::pci_command:
    if (a.offset == 0 && a.width >= 2) bus_master_ = (a.value & command_bus_master) != 0;
    break;
  case RegisterSpace::msix_control:
    msix_control(a);
    break;
  case RegisterSpace::msix_table:
    msix_table(a);
    break;
  case RegisterSpace::pci_cfg_cap:
    configuration_access(a);
    break;
  case RegisterSpace::pci_cap:
    if (a.write)
      report_.add(Rule::PCI_DRV_013, {}, [&] { return describe(a, "a virtio capability"); });
    break;
  case RegisterSpace::mmio:
    break;
  }
}

// --- common configuration (4.1.4.3)
// ------------------------------------------------------------------

void PciRegisters::common(const RegisterAccess& a) {
  const auto exact = std::ranges::find_if(
      fields, [&](const FieldInfo& f) { return f.offset == a.offset && f.width == a.width; });
  if (exact == std::end(fields))
    report_.add(Rule::PCI_DRV_005, {}, [&] { return describe(a, "the common configuration"); });
  // A device may take such an access all the same: so do the fields that lie in it.
  for (const FieldInfo& f : fields) {
    if (f.offset < a.offset || f.offset - a.offset + f.width > std::min(a.width, 8u)) continue;
    const auto value = static_cast<std::uint32_t>(a.value >> (8 * (f.offset - a.offset)) &
                                                  (0xffff'ffffull >> (32 - 8 * f.width)));
    if (a.write && f.must_not_be_written)
      report_.add(Rule::PCI_DRV_014, {}, [&] { return describe(a, "the common configuration"); });
    else if (a.write)
      common_write(f.offset, value);
    else
      common_read(f.offset, value);
  }
}

void PciRegisters::common_read(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
  case device_feature:
    state_.device_features_read(device_feature_select_, value);
    break;
  case device_status:
    state_.status_read(static_cast<std::uint8_t>(value));
    break;
  case config_msix_vector:
    state_.config_vector_read();
    break;
  case queue_size:
    state_.queue_size_read(queue_select_, value);
    break;
  case queue_msix_vector:
    state_.queue_vector_read(queue_select_);
    break;
  case queue_notify_off:
    if (ObservedQueue* q = state_.queue(queue_select_))
      q->notify_off = static_cast<std::uint16_t>(value);
    break;
  case queue_notif_config_data:
    if (ObservedQueue* q = state_.queue(queue_select_))
      q->notif_config_data = static_cast<std::uint16_t>(value);
    break;
  case queue_reset:
    state_.queue_stop_read(queue_select_, ObservedQueue::Stop::reset, value);
    break;
  default:
    break;
  }
}

void PciRegisters::check_vector(std::optional<std::uint16_t> queue, std::uint16_t vector) {
  if (vector != VIRTIO_MSI_NO_VECTOR && table_size_ && vector >= *table_size_)
    report_.add(Rule::PCI_DRV_033, queue, [&] {
      return fmt::format("vector {}, the MSI-X table has {}", vector, *table_size_);
    });
}

void PciRegisters::common_write(std::uint32_t offset, std::uint32_t value) {
  using Area = DeviceState::Area;
  const auto low16 = static_cast<std::uint16_t>(value);
  switch (offset) {
  case device_feature_select:
    device_feature_select_ = value;
    break;
  case driver_feature_select:
    driver_feature_select_ = value;
    break;
  case driver_feature:
    state_.driver_features_written(driver_feature_select_, value);
    break;
  case config_msix_vector:
    check_vector({}, low16);
    state_.config_vector_written(low16);
    break;
  case device_status:
    if (value == 0) device_feature_select_ = driver_feature_select_ = 0;
    state_.status_written(static_cast<std::uint8_t>(value));
    break;
  case queue_select:
    queue_select_ = low16;
    break;
  case queue_size:
    state_.queue_size_written(queue_select_, value);
    break;
  case queue_msix_vector:
    check_vector(queue_select_, low16);
    state_.queue_vector_written(queue_select_, low16);
    break;
  case queue_enable:
    if (value == 0)
      report_.add(Rule::PCI_DRV_019, queue_select_,
                  [] { return "queue_enable was written with 0"; });
    else
      state_.queue_enabled(queue_select_);
    break;
  case queue_desc_low:
  case queue_desc_high:
    state_.queue_address_written(queue_select_, Area::desc, offset == queue_desc_high, value);
    break;
  case queue_driver_low:
  case queue_driver_high:
    state_.queue_address_written(queue_select_, Area::driver, offset == queue_driver_high, value);
    break;
  case queue_device_low:
  case queue_device_high:
    state_.queue_address_written(queue_select_, Area::device, offset == queue_device_high, value);
    break;
  case queue_reset:
    if (value != 0) state_.queue_stop_written(queue_select_, ObservedQueue::Stop::reset);
    break;
  default:
    break;
  }
}

// --- notifications (4.1.5.2)
// ----------------------------------------------------------------------------

/// Whether a notification was written to the queue's address, as far as that is known.
bool PciRegisters::goes_to(const RegisterAccess& a, const ObservedQueue& q) const {
  return !q.notify_off || !layout_.notify_off_multiplier ||
         a.offset == std::uint64_t{*q.notify_off} * *layout_.notify_off_multiplier;
}

void PciRegisters::notify(const RegisterAccess& a) {
  if (!a.write) return;
  const FeatureSet& features = state_.negotiated();
  const bool with_data = features.has(VIRTIO_F_NOTIFICATION_DATA);
  if (a.width != (with_data ? 4 : 2)) {
    report_.add(with_data ? Rule::PCI_DRV_037 : Rule::PCI_DRV_036, {},
                [&] { return describe(a, "the notification structure"); });
    if (a.width < 2) return;
  }
  const auto named = static_cast<std::uint16_t>(a.value);
  std::uint32_t index = named;
  if (features.has(VIRTIO_F_NOTIF_CONFIG_DATA)) {
    // A device may give several queues the same data, if their addresses differ.
    const auto found = std::ranges::find_if(state_.queues(), [&](const auto& q) {
      return q.second.notif_config_data == named && goes_to(a, q.second);
    });
    if (found == state_.queues().end()) {
      report_.add(with_data ? Rule::PCI_DRV_041 : Rule::PCI_DRV_040, {}, [&] {
        return fmt::format("{} was written at offset {:#x}; no queue with this address had its "
                           "queue_notif_config_data read as this",
                           named, a.offset);
      });
      return;
    }
    index = found->first;
  } else if (const ObservedQueue* q = state_.queue(index); q && !goes_to(a, *q)) {
    report_.add(with_data ? Rule::PCI_DRV_039 : Rule::PCI_DRV_038, named, [&] {
      return fmt::format("{} was written at offset {:#x}; this queue's is {:#x}", named, a.offset,
                         std::uint64_t{*q->notify_off} * *layout_.notify_off_multiplier);
    });
  }
  if (with_data && a.width >= 4)
    state_.notified(index, NotificationData{static_cast<std::uint16_t>(a.value >> 16 & 0x7fff),
                                            (a.value >> 31 & 1) != 0});
  else
    state_.notified(index, std::nullopt);
}

// --- interrupts (4.1.4.5, 4.1.5.1.2, 4.1.5.3)
// ------------------------------------------------------------

void PciRegisters::interrupt_seen(const char* what) {
  if (unseen_updates_ != 0)
    --unseen_updates_;
  else
    report_.add(Rule::GEN_LAY_003, {}, [&] {
      return fmt::format("{}, and no used ring was updated that had not been notified before",
                         what);
    });
}

void PciRegisters::isr(const RegisterAccess& a) {
  if (a.write || a.offset != 0) return;
  if (msix_enabled_)
    report_.add(Rule::PCI_DRV_025, {}, [] { return "ISR status was read, MSI-X is enabled"; });
  else if (a.value & queue_interrupt)
    interrupt_seen("bit 0 of ISR status is set");
  if (a.value & config_interrupt) state_.config_change_told();
}

void PciRegisters::msix_control(const RegisterAccess& a) {
  if (a.width < 2) return;
  if (a.write)
    msix_enabled_ = (a.value & msix_enable) != 0;
  else
    table_size_ = static_cast<std::uint32_t>(a.value & msix_table_size) + 1;
}

void PciRegisters::msix_table(const RegisterAccess& a) {
  if (!a.write || a.offset / msix_entry_bytes >= max_vectors || a.offset % 4 != 0) return;
  Message& message = messages_[static_cast<std::uint16_t>(a.offset / msix_entry_bytes)];
  const auto low = static_cast<std::uint32_t>(a.value);
  for (unsigned i = 0; i < std::min(a.width, 8u) / 4; ++i) {
    const auto value = static_cast<std::uint32_t>(a.value >> (32 * i));
    switch (a.offset % msix_entry_bytes + 4 * i) {
    case 0:
      message.address = (message.address & ~0xffff'ffffull) | low;
      break;
    case 4:
      message.address = (message.address & 0xffff'ffff) | std::uint64_t{value} << 32;
      break;
    case 8:
      message.data = value;
      break;
    default:
      break; // vector control
    }
  }
}

std::optional<std::uint16_t> PciRegisters::message(const MemoryAccess& access) const {
  if (!msix_enabled_ || !access.write || access.data.size() != 4) return std::nullopt;
  le32 data;
  std::memcpy(static_cast<void*>(&data), access.data.data(), 4);
  const auto found = std::ranges::find_if(messages_, [&](const auto& m) {
    return m.second.address == raw(access.addr) && m.second.data == data;
  });
  return found == messages_.end() ? std::nullopt : std::optional(found->first);
}

void PciRegisters::message_sent(std::uint16_t vector) {
  if (vector == state_.config_vector()) { // may tell of the configuration
    const bool shared = std::ranges::any_of(
        state_.queues(), [&](const auto& q) { return q.second.vector == vector; });
    if (!shared) state_.config_change_told();
    return;
  }
  interrupt_seen("a message was sent");
}

// --- configuration (4.1.3.1, 4.1.4.9)
// -----------------------------------------------------------------------

void PciRegisters::device_config(const RegisterAccess& a) {
  if (!naturally_aligned(a))
    report_.add(Rule::PCI_DRV_005, {}, [&] { return describe(a, "the device configuration"); });
  if (a.write)
    state_.config_written();
  else
    state_.config_read(a.offset, a.width, a.value);
}

void PciRegisters::configuration_access(const RegisterAccess& a) {
  // struct virtio_pci_cfg_cap: offset at 8, length at 12, pci_cfg_data at 16.
  if (a.offset == 8 && a.write) window_.offset = static_cast<std::uint32_t>(a.value);
  if (a.offset == 12 && a.write) window_.length = static_cast<std::uint32_t>(a.value);
  if (a.offset < 16) return;
  const bool good_length = window_.length == 1 || window_.length == 2 || window_.length == 4;
  if (!good_length)
    report_.add(Rule::PCI_DRV_029, {}, [&] {
      return fmt::format("pci_cfg_data was accessed with cap.length {}", window_.length);
    });
  else if (window_.offset % window_.length != 0)
    report_.add(Rule::PCI_DRV_028, {}, [&] {
      return fmt::format("pci_cfg_data was accessed with cap.offset {:#x}, cap.length {}",
                         window_.offset, window_.length);
    });
}

} // namespace virtio::analyser
