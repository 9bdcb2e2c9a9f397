#include <virtio/platforms/riscv_virt/attachment.hpp>
#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/riscv_virt/functions.hpp>

namespace virtio::platform {

namespace {

DeviceParams device_params(const DeviceConfig& device) {
  DeviceParams params;
  params.name = device.name;
  params.reset_timeout = virtio::picoseconds(device.reset_timeout.count());
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
    pci_ = std::make_unique<tlm2::VirtioPci>("pci", tlm2::VirtioPciParams{}, device_, port_);
  start_input(device, device_.function());
}

void Attachment::attach_mmio(tlm2::Router& router, Plic::SourcePort& source) {
  port_.socket.bind(router.initiators);
  router.map(memory_map::virtio_slot(config_.slot), mmio_->socket, config_.name);
  mmio_->irq.bind(irq_);
  source.bind(irq_);
}

void Attachment::attach_pci(tlm2::HostBridge& bridge) {
  port_.socket.bind(bridge.upstream);
  bridge.attach(config_.slot, *pci_);
}

} // namespace virtio::platform
