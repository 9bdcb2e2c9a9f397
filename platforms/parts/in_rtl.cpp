#include <virtio/core/random.hpp>
#include <virtio/platforms/parts/in_rtl.hpp>
#include <virtio/rtl/mixed/rtl_ring_engine.hpp>
#include <virtio/rtl/mixed/rtl_rss_unit.hpp>
#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
#include <virtio/rtl/cosim/rss/rtl.hpp>
#include <virtio/rtl/vq/vq_dut.hpp>
#endif

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace virtio::platform {

namespace {

#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
std::unique_ptr<rtl::cosim::RingDut> make_dut(const DeviceConfig& device, std::uint64_t seed,
                                              const Workspace& workspace) {
  auto dut = std::make_unique<rtl::VqDut>(Random(seed, device.name + ".rtl").next());
  const RtlConfig& rtl = device.rtl;
  constexpr auto end = std::numeric_limits<std::uint64_t>::max();
  if (rtl.waves)
    dut->write_waves(workspace.file(*rtl.waves), rtl.waves_from,
                     rtl.waves_to == 0 ? end : rtl.waves_to);
  return dut;
}
std::unique_ptr<rtl::cosim::rss::Dut> make_rss_dut(const DeviceConfig& device, std::uint64_t seed) {
  return rtl::cosim::rss::make_rtl(
      64, static_cast<std::uint32_t>(Random(seed, device.name + ".rss").next() | 1));
}
#else
[[noreturn]] void refuse(const DeviceConfig& device) {
  throw SetupError(fmt::format("device.{}: this build is without Verilated code, which is not "
                               "built with sanitizers; fidelity = \"rtl\" is in ./quickstart build",
                               device.name));
}
std::unique_ptr<rtl::cosim::RingDut> make_dut(const DeviceConfig& device, std::uint64_t,
                                              const Workspace&) {
  refuse(device);
}
std::unique_ptr<rtl::cosim::rss::Dut> make_rss_dut(const DeviceConfig& device, std::uint64_t) {
  refuse(device);
}
#endif

} // namespace

RingEngineFactory rtl_ring(const DeviceConfig& device, const Config& config,
                           const Workspace& workspace) {
  // What is named here outlives the building of the device.
  return [&device, &config, &workspace](const std::string& name, Executor& executor, DmaPort& port,
                                        std::uint16_t num_queues,
                                        RingEngineClient& client) -> std::unique_ptr<RingEngine> {
    rtl::RtlRingParams params;
    params.clock = device.ring.clock.hertz;
    params.check = device.rtl.check;
    params.advice = [device = device.name](std::uint64_t cycle) {
      return fmt::format("The same run with --set device.{0}.rtl.waves={0}.fst --set "
                         "device.{0}.rtl.waves_from={1} writes the waves of the cycles before it",
                         device, cycle - std::min<std::uint64_t>(cycle, 500));
    };
    try {
      return std::make_unique<rtl::RtlRingEngine>(name, executor, port, num_queues, client,
                                                  make_dut(device, config.platform.seed, workspace),
                                                  params);
    } catch (const std::invalid_argument& error) {
      throw SetupError(fmt::format("device.{}: {}", device.name, error.what()));
    }
  };
}

std::shared_ptr<net::RssUnit> rtl_rss(const DeviceConfig& device, const NetRssConfig& rss,
                                      const Config& config) {
  try {
    return std::make_shared<rtl::RtlRssUnit>(make_rss_dut(device, config.platform.seed),
                                             rss.table_length);
  } catch (const std::invalid_argument& error) {
    throw SetupError(fmt::format("device.{}: {}", device.name, error.what()));
  }
}

} // namespace virtio::platform
