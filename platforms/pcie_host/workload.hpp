// A device of the platform, and the workload that the driver runs on it.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/core/timed_ring_engine.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/session.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/pcie_host/block_traffic.hpp>
#include <virtio/platforms/pcie_host/net_traffic.hpp>
#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/analyser_tap.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>
#include <virtio/tlm/pci/virtio_pci.hpp>

#include <systemc>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace virtio::platform::pcie_host {

class PciDevice : public sc_core::sc_module {
public:
  /// `far_end` is what a network device is plugged into; null: what its configuration says.
  /// Timed, it has a link of its own, on which it reaches `host_ranges`. Throws SetupError.
  PciDevice(sc_core::sc_module_name name, const DeviceConfig& device, const Config& config,
            const Workspace& workspace, tlm2::ExecutorModule& executor,
            const std::vector<tlm2::AddressRange>& host_ranges, std::unique_ptr<net::Wire> far_end);

  void attach(tlm2::HostBridge& bridge);
  /// Null when the device is untimed.
  const tlm2::PcieLink* link() const { return link_.get(); }
  /// Null when it is not the timed one.
  const TimedRingEngine* engine() const {
    return dynamic_cast<const TimedRingEngine*>(&device_.engine());
  }

  const DeviceConfig& config() const { return config_; }
  Device& device() { return device_; }
  const Device& device() const { return device_; }
  /// Memory accesses under way.
  std::size_t outstanding() const { return port_.outstanding(); }
  /// For how long accesses waited for the ring engine's limits, added up over them.
  SimTime waited(bool write) const { return port_.waited(write); }
  std::uint64_t late_answers() const { return port_.late_answers(); }
  DeviceLog& log() { return log_; }
  const DeviceLog& log() const { return log_; }
  /// What watches its driver; null when the configuration does not ask for it.
  const analyser::Analyser* analyser() const { return check_.analyser(); }

private:
  const DeviceConfig& config_;
  DeviceLog log_;
  tlm2::TlmDmaPort port_;
  Device device_;
  tlm2::VirtioPci pci_;
  std::unique_ptr<tlm2::PcieLink> link_;
  tlm2::DriverCheck check_;
};

/// The counters of everything that may limit a workload, at one time.
struct Sample {
  SimTime time;
  std::vector<SimTime> cores; ///< busy; of the cores that serve the workload's queues
  std::optional<tlm2::LinkStatistics> link;
  std::array<SimTime, 2> link_busy{}; ///< by LinkDirection
  std::optional<TimedRingEngine::Stats> engine;
  std::array<SimTime, 2> waited{};    ///< reads and writes, for the ring engine's limits
  std::uint64_t wire_transmitted = 0; ///< bytes, with what frames take beside their own
  std::uint64_t wire_received = 0;
  std::uint64_t doorbells = 0;
  std::uint64_t interrupts = 0;
};

/// One [[workload]]: the queues of a device, what runs on them, what is measured and verified.
class Workload {
public:
  /// Makes what the device's far end needs, before the device is built. Throws SetupError.
  Workload(const WorkloadConfig& config, const Config& platform);

  /// For the device's construction; null for a block device.
  std::unique_ptr<net::Wire> take_far_end();

  /// Negotiates and sets up the queues; `next_core` deals cores out. From an SC_THREAD.
  void set_up(PciDevice& device, std::unique_ptr<driver::DeviceAccess> access, driver::Bus& bus,
              driver::Arena& arena, HostMemory memory, driver::MsixReceiver& msix,
              const std::function<Core&()>& next_core);
  void begin(SimTime now);
  /// No more traffic from outside.
  void stop();
  /// After all is over. Throws WrongData.
  void verify();
  Sample sample() const;
  /// At the start and at the end of the measurement.
  Sample begin_sample, end_sample;

  const WorkloadConfig& config() const { return config_; }
  Measurement& measurement() { return measurement_; }
  const Measurement& measurement() const { return measurement_; }
  const PciDevice& device() const { return *device_; }
  std::size_t queues() const { return queues_.size(); }
  std::uint64_t started() const;
  const DiskContent* disk() const { return disk_ ? &*disk_ : nullptr; }
  const FarEnd* far_end() const { return far_end_; }
  /// Frames that the device dropped.
  std::uint64_t dropped() const;

private:
  std::unique_ptr<driver::Session> negotiate(std::unique_ptr<driver::DeviceAccess> access,
                                             driver::Bus& bus, driver::Arena& arena,
                                             driver::MsixReceiver& msix);
  void add_queue(std::uint16_t index, std::unique_ptr<Traffic> traffic, std::uint16_t pieces,
                 bool open_loop, std::uint32_t sharers, Core& core);
  void set_up_block(driver::Arena& arena, HostMemory memory,
                    const std::function<Core&()>& next_core);
  void set_up_net(driver::Arena& arena, HostMemory memory, const std::function<Core&()>& next_core);
  std::uint16_t pairs() const;
  void enable_pairs(driver::Arena& arena, HostMemory memory);
  std::vector<std::byte> pairs_command() const;
  std::vector<std::byte> rss_command(const NetConfig& net);
  Random stream(std::string_view purpose, std::uint16_t queue) const;
  std::optional<std::uint64_t> rate() const;

  const WorkloadConfig& config_;
  const Config& platform_;
  Measurement measurement_;
  PciDevice* device_ = nullptr;
  std::unique_ptr<driver::DeviceAccess> access_;
  std::unique_ptr<driver::Session> session_;
  std::optional<DiskContent> disk_;
  std::vector<RecordedFrame> recorded_;
  std::unique_ptr<FarEnd> new_far_end_;
  FarEnd* far_end_ = nullptr; // belongs to the device's function
  std::vector<std::unique_ptr<QueueDriver>> queues_;
  std::vector<const Core*> cores_; // that serve them, each once
};

} // namespace virtio::platform::pcie_host
