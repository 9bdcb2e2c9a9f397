// The driver's side of a split virtqueue (virtio 1.4, 2.7): rings and free descriptors in guest
// memory that an Arena gave out.
#pragma once

#include <virtio/platforms/driver/transport.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace virtio::driver {

/// A piece of guest memory offered to the device.
struct Buffer {
  std::uint64_t addr = 0;
  std::uint32_t len = 0;
  bool device_writable = false;
};

class Virtqueue {
public:
  /// Sets the queue up in `arena`'s memory and enables it. `size` is cut down to what the device
  /// takes.
  Virtqueue(Bus& bus, DeviceAccess& device, std::uint16_t index, std::uint16_t size, Arena& arena);

  std::uint16_t index() const { return index_; }
  std::uint16_t size() const { return size_; }
  std::uint16_t free_descriptors() const { return static_cast<std::uint16_t>(free_.size()); }

  /// Makes a chain available; readable buffers come first. Returns its token, or nothing when
  /// descriptors are short.
  std::optional<std::uint16_t> add(std::span<const Buffer> chain);
  /// Shows the device what was added and notifies it, unless it asked not to be.
  void kick();

  struct Used {
    std::uint16_t token = 0;
    std::uint32_t written = 0;
  };
  std::optional<Used> take_used();
  /// Waits until a buffer is used or `timeout` has passed. Throws DriverError, naming place and
  /// queue, on time-out and when the device needs a reset.
  Used wait_used(sc_core::sc_time timeout);

private:
  Bus& bus_;
  DeviceAccess& device_;
  std::uint16_t index_;
  std::uint16_t size_;
  QueueAddresses at_;
  std::vector<std::uint16_t> free_;
  std::vector<std::vector<std::uint16_t>> chains_; // by head: its descriptors
  std::uint16_t avail_idx_ = 0;
  std::uint16_t used_idx_ = 0;
};

} // namespace virtio::driver
