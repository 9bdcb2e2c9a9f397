// Attachment: one virtio device of the configuration with everything between its function and the
// platform: its way to memory, its transport, its interrupt line, and a count of its events. A
// timed one has a PCI Express link, or on-chip buses for its registers and its DMA, of its own.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/riscv_virt/plic.hpp>
#include <virtio/tlm/analyser_tap.hpp>
#include <virtio/tlm/bus.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/mmio/virtio_mmio.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>
#include <virtio/tlm/pci/virtio_pci.hpp>

#include <systemc>

#include <array>
#include <cstdint>
#include <memory>

namespace virtio::platform {

/// How often each kind of event happened.
class EventCounter : public EventSink {
public:
  void on_event(const Event& event) override { ++counts_[static_cast<std::size_t>(event.kind)]; }
  std::uint64_t count(EventKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

private:
  std::array<std::uint64_t, static_cast<std::size_t>(EventKind::error) + 1> counts_{};
};

/// Lets an on-chip bus reach RAM and nothing else: what takes time cannot be called from there.
class RamWindow : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<RamWindow> in{"in"};
  tlm_utils::simple_initiator_socket<RamWindow> out{"out"};

  RamWindow(sc_core::sc_module_name name, tlm2::AddressRange ram);

private:
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

  tlm2::AddressRange ram_;
};

class Attachment : public sc_core::sc_module {
public:
  /// Throws SetupError when the function cannot be made.
  Attachment(sc_core::sc_module_name name, const DeviceConfig& device, const Config& config,
             const Workspace& workspace, tlm2::ExecutorModule& executor);

  /// Connects it, by the one that the configuration's `transport` says.
  void attach_mmio(tlm2::Router& router, Plic::SourcePort& source);
  void attach_pci(tlm2::HostBridge& bridge);

  const DeviceConfig& config() const { return config_; }
  const Device& device() const { return device_; }
  const EventCounter& events() const { return events_; }
  /// What watches its driver; null when the configuration does not ask for it.
  const analyser::Analyser* analyser() const { return check_.analyser(); }
  /// Of a timed device, else null: on PCI its link, on MMIO the bus of its DMA.
  const tlm2::PcieLink* link() const { return link_.get(); }
  const tlm2::OnChipBus* bus() const { return dma_bus_.get(); }

private:
  void build_timed(const Config& config, tlm2::ExecutorModule& executor);

  const DeviceConfig& config_;
  EventCounter events_;
  tlm2::TlmDmaPort port_;
  Device device_;
  std::unique_ptr<tlm2::VirtioMmio> mmio_;
  std::unique_ptr<tlm2::VirtioPci> pci_;
  std::unique_ptr<tlm2::PcieLink> link_;
  std::unique_ptr<tlm2::OnChipBus> register_bus_;
  std::unique_ptr<tlm2::OnChipBus> dma_bus_;
  std::unique_ptr<RamWindow> ram_;
  tlm2::DriverCheck check_;
  sc_core::sc_signal<bool> irq_{"irq"};
};

} // namespace virtio::platform
