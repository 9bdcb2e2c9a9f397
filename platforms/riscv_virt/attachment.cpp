#include <virtio/platforms/parts/device_params.hpp>
#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/parts/port_params.hpp>
#include <virtio/platforms/riscv_virt/attachment.hpp>
#include <virtio/platforms/riscv_virt/device_tree.hpp>

#include <algorithm>

namespace virtio::platform {

namespace {

/// A vector for each queue and one for configuration changes, and not fewer than usual.
tlm2::VirtioPciParams pci_params(const Device& device, bool timed) {
  tlm2::VirtioPciParams params;
  params.msix_vectors = std::clamp(device.num_queues() + 1u, params.msix_vectors, 2048u);
  params.timed = timed;
  return params;
}

tlm2::AddressRange ram_of(const Config& config) {
  return {memory_map::ram_base, config.platform.ram.bytes};
}

} // namespace

RamWindow::RamWindow(sc_core::sc_module_name name, tlm2::AddressRange ram)
    : sc_module(name), ram_(ram) {
  in.register_b_transport(this, &RamWindow::b_transport);
}

void RamWindow::b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  if (ram_.contains(payload.get_address(), payload.get_data_length()))
    out->b_transport(payload, delay);
  else
    payload.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

Attachment::Attachment(sc_core::sc_module_name name, const DeviceConfig& device,
                       const Config& config, const Workspace& workspace,
                       tlm2::ExecutorModule& executor)
    : sc_module(name), config_(device), port_("dma", port_params(device)),
      device_(device_params(device, config, workspace), executor.executor(), port_,
              make_function(device, config, workspace), &events_),
      check_(config.platform.check_driver, {.device = device.name}) {
  const bool timed = takes_time(device);
  if (device.transport == platform::Transport::mmio)
    mmio_ =
        std::make_unique<tlm2::VirtioMmio>("mmio", device_, tlm2::VirtioMmioParams{.timed = timed});
  else
    pci_ = std::make_unique<tlm2::VirtioPci>("pci", pci_params(device_, timed), device_, port_);
  if (timed) build_timed(config, executor);
  start_input(device, device_.function());
}

void Attachment::build_timed(const Config& config, tlm2::ExecutorModule& executor) {
  if (pci_) {
    link_ = std::make_unique<tlm2::PcieLink>("link", link_params(config, config_), executor,
                                             std::vector<tlm2::AddressRange>{ram_of(config)});
    return;
  }
  const tlm2::OnChipBusParams params = bus_params(config.platform.bus);
  register_bus_ = std::make_unique<tlm2::OnChipBus>("register_bus", executor.executor(), params);
  dma_bus_ = std::make_unique<tlm2::OnChipBus>("dma_bus", executor.executor(), params);
  ram_ = std::make_unique<RamWindow>("ram_window", ram_of(config));
  dma_bus_->target.bind(ram_->in);
}

void Attachment::attach_mmio(tlm2::Router& router, Plic::SourcePort& source) {
  const tlm2::AddressRange slot = memory_map::virtio_slot(config_.slot);
  if (dma_bus_) {
    ram_->out.bind(router.initiators);
    register_bus_->target.bind(check_.mmio(mmio_->socket, port_.socket, dma_bus_->initiators));
    router.map(slot, register_bus_->initiators, config_.name);
  } else {
    router.map(slot, check_.mmio(mmio_->socket, port_.socket, router.initiators), config_.name);
  }
  mmio_->irq.bind(irq_);
  source.bind(irq_);
}

void Attachment::attach_pci(tlm2::HostBridge& bridge) {
  if (link_) {
    const auto front = check_.pci(pci_->config, pci_->memory, port_.socket, link_->upstream);
    link_->host.bind(bridge.upstream);
    link_->function_config.bind(front.config);
    link_->function_memory.bind(front.memory);
    bridge.attach(config_.slot, link_->config, link_->memory);
  } else {
    const auto front = check_.pci(pci_->config, pci_->memory, port_.socket, bridge.upstream);
    bridge.attach(config_.slot, front.config, front.memory);
  }
  bridge.attach_intx(config_.slot, pci_->intx);
}

} // namespace virtio::platform
