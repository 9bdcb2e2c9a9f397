// How a device of the configuration reaches memory: what both platforms build its DMA port with.
#pragma once

#include <virtio/platforms/config/config.hpp>
#include <virtio/tlm/dma_port.hpp>

#include <algorithm>

namespace virtio::platform {

/// A timed device's port lets the ring engine's limits be the limits, as far as a port goes.
inline tlm2::DmaPortParams port_params(const DeviceConfig& device) {
  tlm2::DmaPortParams params;
  params.protocol = device.protocol == Protocol::dmi  ? tlm2::DmaProtocol::dmi
                    : device.protocol == Protocol::lt ? tlm2::DmaProtocol::lt
                                                      : tlm2::DmaProtocol::at;
  if (takes_time(device)) {
    params.timed = true;
    params.outstanding =
        std::min(device.ring.outstanding_reads + device.ring.outstanding_writes, 1024u);
  }
  return params;
}

} // namespace virtio::platform
