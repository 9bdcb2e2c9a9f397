// What it takes to have virtio devices on this platform: the only file that includes virtio-tlm.
#pragma once

#include "bus.hpp"
#include "interrupt_controller.hpp"
#include "pci_host.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/core/device.hpp>
#include <virtio/entropy/entropy.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/mmio/virtio_mmio.hpp>
#include <virtio/tlm/pci/virtio_pci.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace foreign {

// A device of any type on virtio-mmio: registers at `base`, DMA to a socket of the platform, which
// may be LT or, as `way` says, AT; an interrupt wire.
struct MmioDevice {
  virtio::tlm2::TlmDmaPort dma;  // initiator socket: rings and buffers
  virtio::Device device;         // negotiation, rings, reset
  virtio::tlm2::VirtioMmio mmio; // target socket: registers
  sc_core::sc_signal<bool> irq;  // to the interrupt controller

  template <class Socket>
  MmioDevice(const std::string& name, std::unique_ptr<virtio::DeviceFunction> function,
             virtio::tlm2::ExecutorModule& executor, Bus& bus, std::uint64_t base,
             sc_core::sc_in<bool>& wire, Socket& memory, virtio::tlm2::DmaPortParams way = {})
      : dma((name + "_dma").c_str(), way),
        device({.name = name}, executor.executor(), dma, std::move(function)),
        mmio(name.c_str(), device), irq((name + "_irq").c_str()) {
    dma.socket.bind(memory);
    bus.map(base, virtio::tlm2::VirtioMmio::span, mmio.socket);
    mmio.irq.bind(irq);
    wire.bind(irq);
  }
};

// The same on virtio-pci: a function behind the host, with MSI-X messages and INTA#.
struct PciDevice {
  virtio::tlm2::TlmDmaPort dma;
  virtio::Device device;
  virtio::tlm2::VirtioPci function; // target sockets: configuration space and BARs
  sc_core::sc_signal<bool> intx;

  PciDevice(const std::string& name, std::unique_ptr<virtio::DeviceFunction> device_function,
            virtio::tlm2::ExecutorModule& executor, Bus& bus, PciHost& host,
            sc_core::sc_in<bool>& wire)
      : dma((name + "_dma").c_str()),
        device({.name = name}, executor.executor(), dma, std::move(device_function)),
        function(name.c_str(), {.msix_vectors = 2}, device, dma), intx((name + "_intx").c_str()) {
    dma.socket.bind(bus.from_initiators); // data, and MSI-X messages, which are memory writes
    host.config.bind(function.config);
    host.memory.bind(function.memory);
    function.intx.bind(intx);
    wire.bind(intx);
  }
};

} // namespace foreign
