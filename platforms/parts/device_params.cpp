#include <virtio/core/random.hpp>
#include <virtio/platforms/parts/device_params.hpp>
#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/parts/in_rtl.hpp>

#include <fmt/format.h>

namespace virtio::platform {

DeviceParams device_params(const DeviceConfig& device, const Config& config,
                           const Workspace& workspace) {
  DeviceParams params;
  params.name = device.name;
  params.reset_timeout = virtio::picoseconds(device.reset_timeout.count());
  params.transport_features = transport_features(device.features);
  if (device.fidelity == Fidelity::timed) {
    params.timed_ring.emplace(device.ring);
    params.timed_ring->clock = device.ring.clock.hertz;
    if (const std::string problem = problem_with(*params.timed_ring); !problem.empty())
      throw SetupError(fmt::format("device.{}.ring: {}", device.name, problem));
  }
  if (device.fidelity == Fidelity::rtl) params.make_ring = rtl_ring(device, config, workspace);
  return params;
}

tlm2::OnChipBusParams bus_params(const BusConfig& bus) {
  tlm2::OnChipBusParams params = bus;
  params.clock = bus.clock.hertz;
  return params;
}

tlm2::PcieLinkParams link_params(const Config& config, const DeviceConfig& device) {
  const LinkConfig& link = config.platform.link;
  tlm2::PcieLinkParams params = link;
  params.memory = {link.memory.kind, link.memory.low, link.memory.high, {}};
  params.seed = Random(config.platform.seed, device.name + ".link").next();
  if (link.memory.samples) {
    const auto latencies = tlm2::load_latencies(*link.memory.samples);
    if (!latencies) throw SetupError(latencies.error());
    params.memory = *latencies;
  }
  if (const auto problem = error_in(params))
    throw SetupError(fmt::format("platform.link: {}", *problem));
  return params;
}

} // namespace virtio::platform
