// What a driver's queue is used for: the requests that it carries, and the check of what came back.
#pragma once

#include <virtio/platforms/driver/virtqueue.hpp>
#include <virtio/platforms/pcie_host/measurement.hpp>
#include <virtio/platforms/pcie_host/wide.hpp>

#include <optional>
#include <span>

namespace virtio::platform::pcie_host {

/// The device gave wrong data back, or a wrong status. The text says which request and where.
class WrongData : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Memory that the driver reaches by pointer, and the device by address.
struct HostMemory {
  std::uint64_t base = 0;
  std::byte* data = nullptr;
  std::byte* at(std::uint64_t address) const { return data + (address - base); }
};

class Traffic {
public:
  virtual ~Traffic() = default;

  /// Writes the next request into the buffers of a free slot, 0 .. depth - 1, and says what the
  /// device is to be given.
  virtual std::span<const driver::Buffer> prepare(unsigned slot) = 0;

  struct Finished {
    RequestKind kind{};
    std::uint64_t bytes = 0;
    std::optional<SimTime> start; ///< when the request came into being, if not at its submission
  };
  /// The device is done with the slot. Throws WrongData.
  virtual Finished finish(unsigned slot, std::uint32_t written) = 0;

  /// Buffers for what arrives: they are always posted, and are no requests before it does.
  virtual bool posts_buffers() const { return false; }
  /// With posts_buffers(): something that has arrived has not come to the driver yet.
  virtual bool awaits() const { return false; }
};

} // namespace virtio::platform::pcie_host
