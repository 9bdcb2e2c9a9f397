// Attachment: one virtio device of the configuration with everything between its function and the
// platform: its way to memory, its transport, its interrupt line, and a count of its events.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/riscv_virt/plic.hpp>
#include <virtio/tlm/analyser_tap.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/mmio/virtio_mmio.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
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

class Attachment : public sc_core::sc_module {
public:
  /// Throws SetupError when the function cannot be made.
  Attachment(sc_core::sc_module_name name, const DeviceConfig& device, const Config& config,
             const Workspace& workspace, Executor& executor);

  /// Connects it, by the one that the configuration's `transport` says.
  void attach_mmio(tlm2::Router& router, Plic::SourcePort& source);
  void attach_pci(tlm2::HostBridge& bridge);

  const DeviceConfig& config() const { return config_; }
  const Device& device() const { return device_; }
  const EventCounter& events() const { return events_; }
  /// What watches its driver; null when the configuration does not ask for it.
  const analyser::Analyser* analyser() const { return check_.analyser(); }

private:
  const DeviceConfig& config_;
  EventCounter events_;
  tlm2::TlmDmaPort port_{"dma"};
  Device device_;
  std::unique_ptr<tlm2::VirtioMmio> mmio_;
  std::unique_ptr<tlm2::VirtioPci> pci_;
  tlm2::DriverCheck check_;
  sc_core::sc_signal<bool> irq_{"irq"};
};

} // namespace virtio::platform
