// Platform: a host with virtio devices on PCI Express, and the run of its workloads: the reference
// driver sets the devices up, its cores drive the queues, every request's data is checked and its
// way is timed.
#pragma once

#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/session.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/pcie_host/workload.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/router.hpp>

#include <systemc>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::platform::pcie_host {

/// How a run ended.
struct Outcome {
  bool ok = false;
  std::string text; ///< one sentence
};

/// What the traffic cost the simulator; the same on every machine.
struct SimulationCost {
  std::uint64_t requests = 0;     ///< that ended
  std::uint64_t resumptions = 0;  ///< by the executor, of coroutines and models
  std::uint64_t delta_cycles = 0; ///< of SystemC
};

class Platform : public sc_core::sc_module {
public:
  /// Everything referred to must outlive the platform. Throws SetupError.
  Platform(sc_core::sc_module_name name, const Config& config, const Workspace& workspace);
  ~Platform() override;

  /// Simulates until every workload's measurement has ended, nothing is under way and what was
  /// written has been verified.
  const Outcome& run();

  const Config& config() const { return config_; }
  const Outcome& outcome() const { return *outcome_; }
  const std::vector<std::unique_ptr<PciDevice>>& devices() const { return devices_; }
  const std::vector<std::unique_ptr<Workload>>& workloads() const { return workloads_; }
  const std::vector<std::unique_ptr<Core>>& cores() const { return cores_; }
  /// Of all traffic, its beginning and end included.
  const SimulationCost& cost() const { return cost_; }

private:
  void build_bus();
  void build_devices(const Workspace& workspace);
  void supervise();
  void set_up();
  void check_devices() const;
  void measure();
  /// Tells the supervising thread that a measurement is over.
  struct EndWake : Wake {
    explicit EndWake(sc_core::sc_event& over) : event(over) {
      at_host_time = true;
      call = [](Wake& wake) { static_cast<EndWake&>(wake).event.notify(sc_core::SC_ZERO_TIME); };
    }
    sc_core::sc_event& event;
  };
  void watch(Workload& workload, EndWake& at_end);
  SimTime noticed(SimTime end) const;
  sc_core::sc_time pause() const;
  SimulationCost cost_so_far();
  void drain();
  void settle();
  Core& next_core();

  const Config& config_;
  tlm2::ExecutorModule executor_{"executor"};
  tlm2::Router router_{"bus"};
  tlm2::Memory ram_;
  tlm2::HostBridge bridge_{"pcie"};
  driver::Bus driver_bus_{"driver"};
  driver::MsixReceiver msix_;
  driver::Arena arena_;
  sc_core::sc_vector<sc_core::sc_signal<bool>> intx_{"intx", 4};
  std::vector<std::unique_ptr<PciDevice>> devices_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::unique_ptr<Workload>> workloads_;
  std::size_t dealt_ = 0; // queues, so far
  SimTime traffic_start_;
  sc_core::sc_event over_; // a measurement is
  std::vector<std::unique_ptr<EndWake>> ends_;
  SimulationCost cost_;
  std::optional<Outcome> outcome_;
};

} // namespace virtio::platform::pcie_host
