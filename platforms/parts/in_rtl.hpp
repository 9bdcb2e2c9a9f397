// What a device has in RTL: its ring engine with fidelity = "rtl", its RSS block with rss.fidelity.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/net/rss_unit.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>

namespace virtio::platform {

/// What builds it throws SetupError when the device has more queues than the RTL, and in builds
/// without Verilated code.
RingEngineFactory rtl_ring(const DeviceConfig& device, const Config& config,
                           const Workspace& workspace);

/// Throws SetupError when the device may have a longer table than the RTL, and in builds without
/// Verilated code.
std::shared_ptr<net::RssUnit> rtl_rss(const DeviceConfig& device, const NetRssConfig& rss,
                                      const Config& config);

} // namespace virtio::platform
