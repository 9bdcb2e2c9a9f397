// From a [[device]] table to the parameters of its device, its way to memory and its link: the same
// for every platform.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/tlm/pci/link_params.hpp>

namespace virtio::platform {

/// Throws SetupError when the ring engine cannot be.
DeviceParams device_params(const DeviceConfig& device, const Config& config,
                           const Workspace& workspace);
tlm2::OnChipBusParams bus_params(const BusConfig& bus);
/// Throws SetupError when the link cannot be.
tlm2::PcieLinkParams link_params(const Config& config, const DeviceConfig& device);

} // namespace virtio::platform
