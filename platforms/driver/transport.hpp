// The driver's side of a virtio transport: what a driver does to a device, on MMIO and on PCI
// alike.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/features.hpp>
#include <virtio/platforms/driver/bus.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::driver {

/// Where the driver put one virtqueue.
struct QueueAddresses {
  std::uint64_t desc = 0;
  std::uint64_t driver = 0;
  std::uint64_t device = 0;
};

/// The control registers are behind selectors: set up queues and negotiate from one thread at a
/// time. notify(), status(), take_interrupt() and config() may be called from others meanwhile.
class DeviceAccess {
public:
  virtual ~DeviceAccess() = default;

  virtual DeviceType type() const = 0;
  /// Where the device is, for messages: "mmio@0x10001000", "pci 00:02.0".
  virtual const std::string& place() const = 0;

  virtual std::uint8_t status() = 0;
  virtual void write_status(std::uint8_t status) = 0;
  /// What FEATURES_OK settled, as far as the transport itself does something about it.
  virtual void use_features(const FeatureSet&) {}
  virtual std::uint32_t device_features(std::uint32_t select) = 0;
  virtual void write_driver_features(std::uint32_t select, std::uint32_t value) = 0;

  /// 0: there is no such queue.
  virtual std::uint16_t max_queue_size(std::uint16_t queue) = 0;
  virtual void enable_queue(std::uint16_t queue, std::uint16_t size, const QueueAddresses& at) = 0;
  /// Resets one queue and waits for its end; needs VIRTIO_F_RING_RESET. False when it took too
  /// long.
  virtual bool reset_queue(std::uint16_t queue) = 0;
  /// With VIRTIO_F_NOTIFICATION_DATA, `next` is next_off and next_wrap (bit 15), else nothing.
  virtual void notify(std::uint16_t queue, std::optional<std::uint16_t> next) = 0;
  /// Reads and acknowledges what the device interrupted for (bit 0 used buffer, bit 1
  /// configuration).
  virtual std::uint32_t take_interrupt() = 0;

  // MSI-X (virtio 1.4, 4.1.5.1.2).
  static constexpr std::uint16_t no_vector = 0xffff;
  /// Vectors of the table; 0: the transport or the function has no MSI-X.
  virtual unsigned msix_vectors() const { return 0; }
  /// Switches between MSI-X and the line; with it, the function's INTx is disabled.
  virtual void enable_msix(bool) {}
  /// Writes one entry of the table and unmasks it. `vector` is below msix_vectors().
  virtual void set_msix_entry(std::uint16_t, std::uint64_t /*address*/, std::uint32_t /*data*/) {}
  virtual void mask_msix_entry(std::uint16_t, bool /*masked*/) {}
  /// Maps a queue's used buffers, or configuration changes, to a vector or to none, and reads the
  /// mapping back: false when the device did not take it.
  virtual bool map_queue_vector(std::uint16_t /*queue*/, std::uint16_t vector) {
    return vector == no_vector;
  }
  virtual bool map_config_vector(std::uint16_t vector) { return vector == no_vector; }

  virtual std::uint32_t config_generation() = 0;
  /// One field of the configuration space; 64-bit fields as two halves, guarded by the generation
  /// (virtio 1.4, 2.5.1).
  template <std::unsigned_integral T> T config(std::uint32_t offset) {
    if constexpr (sizeof(T) <= 4)
      return static_cast<T>(read_config(offset, sizeof(T)));
    else
      return consistent([&] {
        const std::uint64_t low = read_config(offset, 4);
        const std::uint64_t high = read_config(offset + 4, 4);
        return static_cast<T>(high << 32 | low);
      });
  }
  /// Fields that belong together, as `read()` returns them: read again until no change came
  /// between (virtio 1.4, 2.5.1).
  template <class Read> auto consistent(Read&& read) {
    for (;;) {
      const std::uint32_t before = config_generation();
      const auto value = read();
      if (config_generation() == before) return value;
    }
  }

protected:
  virtual std::uint32_t read_config(std::uint32_t offset, unsigned width) = 0;
};

/// A device at a virtio-mmio address, or null where there is none (virtio 1.4, 4.2.2.2).
std::unique_ptr<DeviceAccess> probe_mmio(Bus& bus, std::uint64_t base);

/// The PCI side of the machine: ECAM and a window of memory addresses for BARs, CPU address = PCI
/// address.
struct PciHost {
  std::uint64_t ecam = 0;
  unsigned buses = 1;
  std::uint64_t window_base = 0;
  std::uint64_t window_size = 0;
};

/// Enumerates afresh: sizes and places the BARs of every function, enables it, and walks its
/// capabilities. Returns the virtio devices in the order of their addresses.
std::vector<std::unique_ptr<DeviceAccess>> probe_pci(Bus& bus, const PciHost& host);

} // namespace virtio::driver
