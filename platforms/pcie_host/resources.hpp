// What may limit a workload: how busy each resource was during the measurement, and how long
// requests waited for link credits, tags and the device's own limits.
#pragma once

#include <virtio/platforms/pcie_host/bottleneck.hpp>
#include <virtio/platforms/pcie_host/workload.hpp>

namespace virtio::platform::pcie_host {

Limits limits_of(const Workload& workload);

Bottleneck bottleneck_of(const Workload& workload, const Limits& limits);

} // namespace virtio::platform::pcie_host
