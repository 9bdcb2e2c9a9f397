// The ring engine of a device with fidelity = "rtl".
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>

namespace virtio::platform {

/// What builds it throws SetupError when the device has more queues than the RTL, and in builds
/// without Verilated code.
RingEngineFactory rtl_ring(const DeviceConfig& device, const Config& config,
                           const Workspace& workspace);

} // namespace virtio::platform
