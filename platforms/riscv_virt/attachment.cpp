#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/riscv_virt/attachment.hpp>
#include <virtio/platforms/riscv_virt/device_tree.hpp>

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
    : sc_module(name), config_(device), device_(device_params(device), executor, port_,
                                                make_function(device, config, workspace), &events_),
      check_(config.platform.check_driver, {.device = device.name}) {
  if (device.transport == platform::Transport::mmio)
    mmio_ = std::make_unique<tlm2::VirtioMmio>("mmio", device_);
  else
    pci_ = std::make_unique<tlm2::VirtioPci>("pci", pci_params(device_), device_, port_);
  start_input(device, device_.function());
}

void Attachment::attach_mmio(tlm2::Router& router, Plic::SourcePort& source) {
  router.map(memory_map::virtio_slot(config_.slot),
             check_.mmio(mmio_->socket, port_.socket, router.initiators), config_.name);
  mmio_->irq.bind(irq_);
  source.bind(irq_);
}

void Attachment::attach_pci(tlm2::HostBridge& bridge) {
  const auto front = check_.pci(pci_->config, pci_->memory, port_.socket, bridge.upstream);
  bridge.attach(config_.slot, front.config, front.memory);
  bridge.attach_intx(config_.slot, pci_->intx);
}

} // namespace virtio::platform
