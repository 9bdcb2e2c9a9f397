// From a [[device]] table to the device function of the models, and from a function to what it says
// it did. A new device type is one case in each of the two functions below.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/net/wire.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>

#include <nlohmann/json.hpp>

#include <memory>

namespace virtio::platform {

/// Throws SetupError when a file cannot be opened or the numbers cannot work. `far_end` is what a
/// network device is plugged into instead of what its configuration says.
std::unique_ptr<DeviceFunction> make_function(const DeviceConfig& device, const Config& config,
                                              const Workspace& workspace,
                                              std::unique_ptr<net::Wire> far_end = nullptr);

/// The device-independent features that the device is to offer.
FeatureSet transport_features(const FeaturesConfig& features);

/// What arrives at the device as soon as the simulation runs: call it once the function is
/// attached.
void start_input(const DeviceConfig& device, DeviceFunction& function);

/// Counts by name, in a fixed order.
nlohmann::ordered_json statistics(const DeviceFunction& function);

} // namespace virtio::platform
