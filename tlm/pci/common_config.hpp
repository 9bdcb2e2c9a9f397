// The common configuration structure of the PCI transport (virtio 1.4, 4.1.4.3): the registers
// through which the driver negotiates and sets virtqueues up, and the MSI-X vectors it maps events
// to. Fields are the device's own, except for the selectors and the vectors.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/tlm/pci/msix.hpp>
#include <virtio/tlm/pci/virtio_pci_layout.hpp>

#include <cstdint>
#include <vector>

namespace virtio::tlm2 {

/// An event the driver is told about: used buffers of one queue, or a configuration change.
struct InterruptSource {
  std::uint16_t vector = VIRTIO_MSI_NO_VECTOR;
  std::uint32_t messages = 0; ///< on their way to memory
  bool draining = false;      ///< its queue's reset waits for them

  void message_ended() {
    if (--messages == 0) draining = false;
  }
};

class CommonConfig {
public:
  /// `notif_config_data_base`: of queue 0.
  CommonConfig(Device& device, Msix& msix, std::uint16_t notif_config_data_base);

  /// `offset` is a multiple of `width`, which is 1, 2 or 4. A field that is wider or narrower than
  /// the access gives or takes the bytes that lie in it: a write merges them with the field's
  /// value, and reaches every field that it touches in ascending order. Reads have no effect.
  std::uint32_t read(std::uint32_t offset, unsigned width) const;
  void write(std::uint32_t offset, unsigned width, std::uint32_t value);

  InterruptSource& config_source() { return config_source_; }
  InterruptSource& queue_source(QueueIndex queue) { return queue_sources_[raw(queue)]; }

  /// The device was reset: every event is unmapped (4.1.5.1.2.1). While `draining`, messages are
  /// still on their way and the device status goes on reading as before.
  void reset();
  void set_draining(bool draining) { draining_ = draining; }

private:
  std::uint32_t read_field(std::uint32_t offset) const;
  std::uint32_t read_queue_field(std::uint32_t offset) const;
  void write_field(std::uint32_t offset, std::uint32_t value);
  bool resetting(const QueueConfig& queue) const;
  void write_device_status(std::uint8_t value);
  void reset_queue();
  bool shares_vector(const InterruptSource& source) const;
  std::uint16_t valid_vector(std::uint32_t vector) const;

  Device& device_;
  Msix& msix_;
  std::uint16_t notif_config_data_base_;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  std::uint16_t queue_select_ = 0;
  std::uint8_t status_before_reset_ = 0;
  bool draining_ = false;
  InterruptSource config_source_;
  std::vector<InterruptSource> queue_sources_;
};

} // namespace virtio::tlm2
