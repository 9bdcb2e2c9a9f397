#include <virtio/platforms/riscv_virt/attachment.hpp>
#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/parts/functions.hpp>

#include <algorithm>

namespace virtio::platform {

namespace {

DeviceParams device_params(const DeviceConfig& device) {
  DeviceParams params;
  params.name = device.name;
  params.transport_features = transport_features(device.features);
  params.reset_timeout = virtio::picoseconds(device.reset_timeout.count());
  return params;
}

/// A vector for each queue and one for configuration changes, and not fewer than usual.
tlm2::VirtioPciParams pci_params(const Device& device) {
  tlm2::VirtioPciParams params;
  params.msix_vectors = std::clamp(device.num_queues() + 1u, params.msix_vectors, 2048u);
  return params;
}

} // namespace

Attachment::Attachment(sc_core::sc_module_name name, const DeviceConfig& device,
                       const Config& config, const Workspace& workspace, Executor& executor)
    : sc_module(name), config_(device),
      device_(device_params(device), executor, port_, make_function(device, config, workspace),
              &events_) {
  if (device.transport == platform::Transport::mmio)
    mmio_ = std::make_unique<tlm2::VirtioMmio>("mmio", device_);
  else
    pci_ = std::make_unique<tlm2::VirtioPci>("pci", pci_params(device_), device_, port_);
  if (config.platform.check_driver && mmio_)
    mmio_tap_ = std::make_unique<tlm2::MmioAnalyserTap>(
        "tap", tlm2::AnalyserTapParams{.device = device.name});
  else if (config.platform.check_driver)
    pci_tap_ = std::make_unique<tlm2::PciAnalyserTap>(
        "tap", tlm2::AnalyserTapParams{.device = device.name});
  start_input(device, device_.function());
}

const analyser::Analyser* Attachment::analyser() const {
  if (mmio_tap_) return &mmio_tap_->analyser();
  return pci_tap_ ? &pci_tap_->analyser() : nullptr;
}

void Attachment::attach_mmio(tlm2::Router& router, Plic::SourcePort& source) {
  const tlm2::AddressRange range = memory_map::virtio_slot(config_.slot);
  if (mmio_tap_) {
    mmio_tap_->registers.out.bind(mmio_->socket);
    router.map(range, mmio_tap_->registers.in, config_.name);
    port_.socket.bind(mmio_tap_->dma.in);
    mmio_tap_->dma.out.bind(router.initiators);
  } else {
    router.map(range, mmio_->socket, config_.name);
    port_.socket.bind(router.initiators);
  }
  mmio_->irq.bind(irq_);
  source.bind(irq_);
}

void Attachment::attach_pci(tlm2::HostBridge& bridge) {
  if (!pci_tap_) {
    port_.socket.bind(bridge.upstream);
    bridge.attach(config_.slot, *pci_);
    return;
  }
  pci_tap_->config.out.bind(pci_->config);
  pci_tap_->memory.out.bind(pci_->memory);
  bridge.attach(config_.slot, pci_tap_->config.in, pci_tap_->memory.in);
  bridge.attach_intx(config_.slot, pci_->intx);
  port_.socket.bind(pci_tap_->dma.in);
  pci_tap_->dma.out.bind(bridge.upstream);
}

} // namespace virtio::platform
