// The structures of the PCI transport as they lie in configuration space and in BARs (virtio 1.4,
// 4.1.4), with the specification's names.
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>
#include <cstdint>

namespace virtio::tlm2 {

inline constexpr std::uint16_t virtio_pci_vendor_id = 0x1af4;
/// The PCI Device ID is this plus the virtio device ID (4.1.2.1).
inline constexpr std::uint16_t virtio_pci_device_id_base = 0x1040;
inline constexpr std::uint8_t PCI_CAP_ID_VNDR = 0x09;

inline constexpr std::uint8_t VIRTIO_PCI_CAP_COMMON_CFG = 1;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_ISR_CFG = 3;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_DEVICE_CFG = 4;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_PCI_CFG = 5;
inline constexpr std::uint8_t VIRTIO_PCI_CAP_SHARED_MEMORY_CFG = 8;

inline constexpr std::uint16_t VIRTIO_MSI_NO_VECTOR = 0xffff;

/// Bits of the ISR status (4.1.4.5).
inline constexpr std::uint8_t isr_queue_interrupt = 1;
inline constexpr std::uint8_t isr_device_configuration_interrupt = 2;

struct virtio_pci_cap {
  std::uint8_t cap_vndr = PCI_CAP_ID_VNDR;
  std::uint8_t cap_next = 0;
  std::uint8_t cap_len = 0;
  std::uint8_t cfg_type = 0;
  std::uint8_t bar = 0;
  std::uint8_t id = 0;
  std::uint8_t padding[2] = {};
  le32 offset;
  le32 length;
};
static_assert(sizeof(virtio_pci_cap) == 16 && offsetof(virtio_pci_cap, offset) == 8);

struct virtio_pci_cap64 {
  virtio_pci_cap cap;
  le32 offset_hi;
  le32 length_hi;
};
static_assert(sizeof(virtio_pci_cap64) == 24);

struct virtio_pci_notify_cap {
  virtio_pci_cap cap;
  le32 notify_off_multiplier;
};
static_assert(sizeof(virtio_pci_notify_cap) == 20);

struct virtio_pci_cfg_cap {
  virtio_pci_cap cap;
  std::uint8_t pci_cfg_data[4] = {};
};
static_assert(sizeof(virtio_pci_cfg_cap) == 20);

struct virtio_pci_common_cfg {
  le32 device_feature_select;
  le32 device_feature;
  le32 driver_feature_select;
  le32 driver_feature;
  le16 config_msix_vector;
  le16 num_queues;
  std::uint8_t device_status;
  std::uint8_t config_generation;

  le16 queue_select;
  le16 queue_size;
  le16 queue_msix_vector;
  le16 queue_enable;
  le16 queue_notify_off;
  le64 queue_desc;
  le64 queue_driver;
  le64 queue_device;
  le16 queue_notif_config_data;
  le16 queue_reset;

  le16 admin_queue_index;
  le16 admin_queue_num;
};
static_assert(sizeof(virtio_pci_common_cfg) == 0x40);
static_assert(offsetof(virtio_pci_common_cfg, queue_select) == 0x16);
static_assert(offsetof(virtio_pci_common_cfg, queue_desc) == 0x20);
static_assert(offsetof(virtio_pci_common_cfg, admin_queue_num) == 0x3e);

} // namespace virtio::tlm2
