// A small machine for tests and benchmarks: RAM, an address decoder, a PCIe host bridge, any number
// of virtio devices on MMIO and PCI, and the reference driver's bus, on which a test's program runs
// as an SC_THREAD. With `timed_ring` (support/timed_ring.hpp) the devices are timed throughout:
// ring engine, and a PCI Express link or on-chip bus of each one's own.
#pragma once

#include "support/at_target.hpp"
#include "support/rtl_ring.hpp"
#include "support/timed_ring.hpp"

#include <virtio/platforms/driver/session.hpp>
#include <virtio/tlm/analyser_tap.hpp>
#include <virtio/tlm/bus.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/mmio/virtio_mmio.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>
#include <virtio/tlm/pci/virtio_pci.hpp>
#include <virtio/tlm/router.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::test {

struct MachineParams {
  bool dmi = true;        ///< memory grants DMI
  bool timed_dma = false; ///< devices wait for memory's latency
  sc_core::sc_time memory_latency = sc_core::SC_ZERO_TIME;
  /// Devices use nb_transport, and are answered so.
  std::function<AtAnswer(const tlm::tlm_generic_payload&)> at = nullptr;
  /// Devices use nb_transport over a bus of their own.
  std::optional<tlm2::OnChipBusParams> bus = std::nullopt;
  bool check_driver = false;    ///< the protocol analyser sits in front of and behind every device
  bool recommendations = false; ///< and reports SHOULD, too
  tlm2::VirtioPciParams pci = {}; ///< of all PCI functions
  sc_core::sc_time interrupt_latency = sc_core::SC_ZERO_TIME;
};

class Machine : public sc_core::sc_module {
public:
  static constexpr std::uint64_t ram_base = 0x8000'0000;
  static constexpr std::uint64_t ram_size = 64 << 20;
  static constexpr std::uint64_t mmio_base = 0x1000'1000;
  static constexpr std::uint64_t msix_base = 0x2800'0000;
  static constexpr std::uint64_t ecam_base = 0x3000'0000;

  explicit Machine(MachineParams params = {})
      : sc_module("machine"), params_(params),
        msix("msix", {.base = msix_base, .latency = params.interrupt_latency}),
        memory("memory", {.size = ram_size,
                          .dmi = params.dmi,
                          .read_latency = params.memory_latency,
                          .write_latency = params.memory_latency}) {
    bus.socket.bind(router.initiators);
    bridge.dma.bind(router.initiators);
    router.map({ram_base, ram_size}, memory.socket, "RAM");
    router.map({msix_base, driver::MsixReceiver::size}, msix.socket, "MSI-X");
    router.map({ecam_base, tlm2::HostBridge::ecam_size}, bridge.ecam, "ECAM");
    router.map({0x4000'0000, 0x4000'0000}, bridge.window32, "PCI window", 0x4000'0000);
    router.map({0x4'0000'0000, 0x4'0000'0000}, bridge.window64, "PCI window 64", 0x4'0000'0000);
    for (std::size_t i = 0; i < 4; ++i) {
      bridge.intx[i].bind(intx[i]);
      intx_lines.push_back(make_line(("intx_line" + std::to_string(i)).c_str(), intx[i]));
    }
    SC_HAS_PROCESS(Machine);
    SC_THREAD(run_program);
    set_stack_size(1 << 20); // sanitizers make frames large
  }

  struct Slot {
    std::unique_ptr<tlm2::TlmDmaPort> port;
    std::unique_ptr<AtAdaptor> at;
    std::unique_ptr<tlm2::OnChipBus> bus;
    std::unique_ptr<tlm2::PcieLink> link;
    std::unique_ptr<Device> device;
    std::unique_ptr<tlm2::VirtioMmio> mmio;
    std::unique_ptr<tlm2::VirtioPci> pci;
    std::unique_ptr<sc_core::sc_signal<bool>> irq;
    std::unique_ptr<driver::InterruptLine> own_line;
    driver::InterruptLine* line = nullptr; // where its interrupts without MSI-X arrive
    std::unique_ptr<tlm2::DriverCheck> check;
  };

  Device& add(std::unique_ptr<DeviceFunction> function, bool on_pci,
              FeatureSet features = default_transport_features, EventSink* sink = nullptr) {
    const std::string name = "dev" + std::to_string(slots.size());
    Slot& slot = slots.emplace_back();
    add_port(slot, name);
    slot.check = std::make_unique<tlm2::DriverCheck>(params_.check_driver, tap_params(name));
    DeviceParams params{.name = name};
    params.transport_features = features;
    if (timed()) params.timed_ring.emplace();
    params.make_ring = rtl_ring();
    slot.device = std::make_unique<Device>(params, executor.executor(), *slot.port,
                                           std::move(function), sink);
    if (on_pci) {
      slot.pci = std::make_unique<tlm2::VirtioPci>((name + "_pci").c_str(), params_.pci,
                                                   *slot.device, *slot.port);
      ++pci_devices_;
      slot.line = intx_lines.at(pci_devices_ % 4).get();
      auto& way = timed() ? link_to_bridge(slot, name) : way_to(slot, name, bridge.upstream);
      const auto front =
          slot.check->pci(slot.pci->config, slot.pci->memory, slot.port->socket, way);
      if (slot.link) {
        slot.link->function_config.bind(front.config);
        slot.link->function_memory.bind(front.memory);
        bridge.attach(pci_devices_, slot.link->config, slot.link->memory);
      } else {
        bridge.attach(pci_devices_, front.config, front.memory);
      }
      bridge.attach_intx(pci_devices_, slot.pci->intx);
    } else {
      slot.mmio = std::make_unique<tlm2::VirtioMmio>((name + "_mmio").c_str(), *slot.device);
      slot.irq = std::make_unique<sc_core::sc_signal<bool>>((name + "_irq").c_str());
      slot.mmio->irq.bind(*slot.irq);
      slot.own_line = make_line((name + "_line").c_str(), *slot.irq);
      slot.line = slot.own_line.get();
      const tlm2::AddressRange range{mmio_base + 0x1000 * mmio_devices_++, 0x1000};
      auto& front = slot.check->mmio(slot.mmio->socket, slot.port->socket,
                                     way_to(slot, name, router.initiators));
      router.map(range, front, name);
    }
    return *slot.device;
  }

  driver::Machine description() const {
    driver::Machine m;
    for (unsigned i = 0; i < mmio_devices_; ++i)
      m.mmio.push_back(mmio_base + 0x1000 * i);
    m.pci = {.ecam = ecam_base, .window_base = 0x4000'0000, .window_size = 0x4000'0000};
    m.memory_base = ram_base + ram_size / 2;
    m.memory_size = ram_size / 2;
    return m;
  }
  /// Every device the driver finds, MMIO first.
  std::vector<std::unique_ptr<driver::DeviceAccess>> probe() {
    std::vector<std::unique_ptr<driver::DeviceAccess>> found;
    for (std::uint64_t base : description().mmio)
      found.push_back(driver::probe_mmio(bus, base));
    for (auto& device : driver::probe_pci(bus, description().pci))
      found.push_back(std::move(device));
    return found;
  }

  /// Runs `body` as the machine's program until it ends or `limit` has passed. Returns whether it
  /// ended; an exception that left it is in `error`.
  bool run(std::function<void()> body, sc_core::sc_time limit = {10, sc_core::SC_SEC}) {
    program_ = std::move(body);
    sc_core::sc_start(limit);
    return finished_;
  }
  std::string error;
  /// What the protocol analyser told, with check_driver.
  std::vector<std::string> violations;

private:
  void add_port(Slot& slot, const std::string& name) {
    tlm2::DmaPortParams params{.timed = params_.timed_dma};
    if (params_.at || params_.bus) params.protocol = tlm2::DmaProtocol::at;
    if (timed()) params = {.protocol = tlm2::DmaProtocol::lt, .outstanding = 32, .timed = true};
    slot.port = std::make_unique<tlm2::TlmDmaPort>((name + "_port").c_str(), params);
  }
  /// Elsewhere, a device's access is refused.
  static std::vector<tlm2::AddressRange> answering() {
    return {{ram_base, ram_size},
            {mmio_base, 0x8000},
            {msix_base, driver::MsixReceiver::size},
            {ecam_base, tlm2::HostBridge::ecam_size},
            {0x4000'0000, 0x4000'0000},
            {0x4'0000'0000, 0x4'0000'0000}};
  }
  /// A test that says how a device reaches memory means that way.
  bool timed() const { return timed_ring && !params_.at && !params_.bus; }
  tlm::tlm_base_target_socket_b<32>& link_to_bridge(Slot& slot, const std::string& name) {
    slot.link = std::make_unique<tlm2::PcieLink>((name + "_link").c_str(), tlm2::PcieLinkParams{},
                                                 executor, answering());
    slot.link->host.bind(bridge.upstream);
    return slot.link->upstream;
  }
  /// What a device's DMA is bound to, so that it ends at `target`.
  template <class Target>
  tlm::tlm_base_target_socket_b<32>& way_to(Slot& slot, const std::string& name, Target& target) {
    if (params_.bus || timed()) {
      slot.bus = std::make_unique<tlm2::OnChipBus>((name + "_bus").c_str(), executor.executor(),
                                                   params_.bus.value_or(tlm2::OnChipBusParams{}));
      slot.bus->target.bind(target);
      return slot.bus->initiators;
    }
    if (!params_.at) return target;
    slot.at = std::make_unique<AtAdaptor>((name + "_at").c_str());
    slot.at->choose = params_.at;
    slot.at->out.bind(target);
    return slot.at->socket;
  }
  std::unique_ptr<driver::InterruptLine> make_line(const char* name,
                                                   sc_core::sc_signal<bool>& signal) {
    auto line = std::make_unique<driver::InterruptLine>(
        name, driver::InterruptLineParams{.latency = params_.interrupt_latency});
    line->line.bind(signal);
    return line;
  }
  tlm2::AnalyserTapParams tap_params(const std::string& name) {
    return {.device = name,
            .recommendations = params_.recommendations,
            .sink = [this](const analyser::Violation& v) { violations.push_back(to_string(v)); }};
  }
  MachineParams params_;

public:
  driver::MsixReceiver msix;
  tlm2::ExecutorModule executor{"executor"};
  tlm2::Memory memory;
  tlm2::Router router{"router"};
  tlm2::HostBridge bridge{"bridge"};
  driver::Bus bus{"bus"};
  std::array<sc_core::sc_signal<bool>, 4> intx;
  std::vector<std::unique_ptr<driver::InterruptLine>> intx_lines;
  std::deque<Slot> slots;
  driver::Arena arena{ram_base + ram_size / 2, ram_size / 2};

private:
  void run_program() {
    try {
      program_();
    } catch (const std::exception& e) {
      error = e.what();
    }
    finished_ = true;
    sc_core::sc_stop();
  }
  std::function<void()> program_;
  bool finished_ = false;
  unsigned mmio_devices_ = 0;
  unsigned pci_devices_ = 0;
};

} // namespace virtio::test
