// A device of the platform, and the workload that the driver runs on it.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/session.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/pcie_host/block_traffic.hpp>
#include <virtio/platforms/pcie_host/net_traffic.hpp>
#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
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
  PciDevice(sc_core::sc_module_name name, const DeviceConfig& device, const Config& config,
            const Workspace& workspace, Executor& executor, std::unique_ptr<net::Wire> far_end);

  void attach(tlm2::HostBridge& bridge);

  const DeviceConfig& config() const { return config_; }
  Device& device() { return device_; }
  const Device& device() const { return device_; }
  DeviceLog& log() { return log_; }
  const DeviceLog& log() const { return log_; }

private:
  const DeviceConfig& config_;
  DeviceLog log_;
  tlm2::TlmDmaPort port_{"dma"};
  Device device_;
  tlm2::VirtioPci pci_;
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
              driver::Arena& arena, HostMemory memory, const std::function<Core&()>& next_core);
  void begin(SimTime now);
  /// No more traffic from outside.
  void stop();
  /// After all is over. Throws WrongData.
  void verify();
  /// What the workload could not do; also after verify() for what is not found.
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
                                             driver::Bus& bus, driver::Arena& arena);
  void add_queue(std::uint16_t index, std::unique_ptr<Traffic> traffic, std::uint16_t pieces,
                 bool open_loop, std::uint32_t sharers, Core& core);
  void set_up_block(driver::Arena& arena, HostMemory memory,
                    const std::function<Core&()>& next_core);
  void set_up_net(driver::Arena& arena, HostMemory memory, const std::function<Core&()>& next_core);
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
};

} // namespace virtio::platform::pcie_host
