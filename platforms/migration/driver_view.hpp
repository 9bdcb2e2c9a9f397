// What the driver of a device has seen of it, and goes on relying on: read from the very device
// that a run would build, so that it cannot differ from what a run shows. No file is opened or
// made.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/core/dma.hpp>
#include <virtio/core/executor.hpp>
#include <virtio/platforms/config/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace virtio::platform {

class DriverView {
public:
  /// `device` is one of `config`. Throws SetupError where a run would.
  DriverView(const DeviceConfig& device, const Config& config);

  const std::string& name() const { return device_.name(); }
  virtio::DeviceType type() const { return device_.type(); }
  Transport transport() const { return transport_; }
  std::uint8_t slot() const { return slot_; }
  const FeatureSet& features() const { return device_.offered(); }
  /// FEATURES_OK stays set with these.
  bool accepts(const FeatureSet& features);
  std::uint16_t num_queues() const { return device_.num_queues(); }
  /// The largest size of the queue, which exists.
  std::uint16_t queue_size(std::uint16_t queue) const;
  /// The configuration space after a reset.
  const std::vector<std::byte>& config() const { return config_; }
  /// What VIRTIO_BLK_T_GET_ID answers; empty for other types.
  const std::string& block_id() const { return block_id_; }

private:
  Transport transport_;
  std::uint8_t slot_;
  std::string block_id_;
  HostMemoryPort no_memory_{GuestAddr{0}, {}};
  Executor executor_;
  Device device_;
  std::vector<std::byte> config_;
};

} // namespace virtio::platform
