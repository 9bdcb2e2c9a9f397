// What an operating system does with a virtio device from power-on: reset, negotiate, set up
// queues, go live (virtio 1.4, 3.1.1); and a small program that tries every device it finds.
#pragma once

#include <virtio/platforms/driver/virtqueue.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace virtio::driver {

/// One device under this driver's control.
class Session {
public:
  /// Resets the device, and negotiates VERSION_1 and those of `wanted` that it offers. Throws
  /// DriverError when the device refuses.
  Session(Bus& bus, DeviceAccess& device, const FeatureSet& wanted, Arena& arena);

  Virtqueue& add_queue(std::uint16_t index, const QueueOptions& options = {});
  /// Sets DRIVER_OK.
  void go_live();
  void reset();

  const FeatureSet& negotiated() const { return negotiated_; }
  DeviceAccess& device() { return device_; }
  Bus& bus() { return bus_; }
  Arena& arena() { return arena_; }

private:
  Bus& bus_;
  DeviceAccess& device_;
  Arena& arena_;
  FeatureSet negotiated_;
  std::vector<std::unique_ptr<Virtqueue>> queues_;
};

/// What the machine looks like to the driver.
struct Machine {
  std::vector<std::uint64_t> mmio; ///< where virtio-mmio devices may be
  PciHost pci;                     ///< ecam = 0: no PCI
  std::uint64_t memory_base = 0;   ///< RAM that nobody else uses
  std::uint64_t memory_size = 0;
};

/// What came of trying one device.
struct Trial {
  std::string place;
  DeviceType type{};
  bool ok = false;
  std::string text; ///< what was done, or what went wrong
};

/// Enumerates the machine afresh and tries every device: reads random bytes, console input and the
/// first sector of a disk, looks at the link of a network device. Never throws: what goes wrong is
/// in the trial's text.
std::vector<Trial> try_every_device(Bus& bus, const Machine& machine);

} // namespace virtio::driver
