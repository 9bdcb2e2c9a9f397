// Taps of the protocol analyser (models/analyser): passive modules between a bus and a virtio
// device, anybody's, that pass every transaction on as it is and show it to the analyser. One
// stands in front of the device's register sockets, its other half behind the device's DMA socket,
// where it refuses DMI so that no access goes unseen.
#pragma once

#include <virtio/analyser/analyser.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace virtio::tlm2 {

/// Forwards b_transport, nb_transport and transport_dbg, grants no DMI, and calls `before` when a
/// request sets out and `after` when its response comes back.
class PassThrough : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<PassThrough> in{"in"};
  tlm_utils::simple_initiator_socket<PassThrough> out{"out"};

  using Hook = std::function<void(const tlm::tlm_generic_payload&)>;
  PassThrough(sc_core::sc_module_name name, Hook before, Hook after);

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload& transaction, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay);
  tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload& transaction, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay);
  void answered(tlm::tlm_generic_payload& transaction);
  unsigned transport_dbg(tlm::tlm_generic_payload& transaction);

  Hook before_;
  Hook after_;
};

struct AnalyserTapParams {
  std::string device;           ///< its name, in violations
  bool recommendations = false; ///< report SHOULD and SHOULD NOT too
  /// Gets the first violation of each rule on each queue. Empty: SC_REPORT_WARNING.
  analyser::Analyser::Sink sink = {};
};

/// What both transports' taps have: the analyser, and the device's DMA socket bound to dma.in,
/// dma.out to where it was bound before.
class AnalyserTap : public sc_core::sc_module {
public:
  PassThrough dma;

  const analyser::Analyser& analyser() const { return analyser_; }

protected:
  AnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params, bool pci);
  void end_of_simulation() override;

  void show(analyser::RegisterSpace space, std::uint64_t offset,
            const tlm::tlm_generic_payload& transaction);
  void show(analyser::RegisterSpace space, std::uint64_t offset, unsigned width, bool write,
            std::uint64_t value);
  analyser::Analyser analyser_;

private:
  void show_memory(const tlm::tlm_generic_payload& transaction,
                   std::optional<SimTime> asked = std::nullopt);
  std::unordered_map<const tlm::tlm_generic_payload*, SimTime> asked_; // reads under way
};

/// In front of a virtio-mmio window, whose addresses begin at 0.
class MmioAnalyserTap : public AnalyserTap {
public:
  PassThrough registers;

  MmioAnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params);
};

/// In front of a virtio-pci function's configuration space and memory sockets. It learns where the
/// structures lie by debug reads of the configuration space.
class PciAnalyserTap : public AnalyserTap {
public:
  PassThrough config;
  PassThrough memory;

  PciAnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params);

private:
  /// A structure within a BAR.
  struct Region {
    analyser::RegisterSpace space{};
    unsigned bar = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  /// A capability that the driver may write to.
  struct Capability {
    analyser::RegisterSpace space{};
    std::uint32_t at = 0;
    std::uint32_t length = 0;
  };
  using ConfigSpace = std::array<std::byte, 256>;

  void config_access(const tlm::tlm_generic_payload& transaction);
  void memory_access(const tlm::tlm_generic_payload& transaction);
  void window_access(std::uint32_t capability, const tlm::tlm_generic_payload& transaction);
  ConfigSpace read_config();
  void learn();
  void learn_capability(const ConfigSpace& space, std::uint32_t at);

  bool learned_ = false;
  bool bars_known_ = false;
  std::vector<Region> regions_;
  std::vector<Capability> capabilities_;
  std::array<std::uint64_t, 6> bars_{};
};

/// The check of one device's driver, switched on or off: on, it puts the tap of the transport
/// between the device and the platform; off, it binds them directly. The platform then uses the
/// sockets that it returns in place of the device's own. Before the simulation starts.
class DriverCheck {
public:
  using Target = tlm::tlm_base_target_socket_b<32>;

  DriverCheck(bool on, AnalyserTapParams params) : on_(on), params_(std::move(params)) {}

  /// `registers` is the device's register window, `dma` its initiator socket, and `memory` what
  /// that is to be bound to. Returns what to map.
  template <class Dma, class Memory> Target& mmio(Target& registers, Dma& dma, Memory& memory) {
    if (!on_) {
      dma.bind(memory);
      return registers;
    }
    auto tap = std::make_unique<MmioAnalyserTap>(name().c_str(), params_);
    tap->registers.out.bind(registers);
    Target& front = tap->registers.in;
    connect(std::move(tap), dma, memory);
    return front;
  }

  struct PciSockets {
    Target& config;
    Target& memory;
  };
  /// So with a function's two sockets, configuration space and memory.
  template <class Dma, class Memory>
  PciSockets pci(Target& config, Target& bars, Dma& dma, Memory& memory) {
    if (!on_) {
      dma.bind(memory);
      return {config, bars};
    }
    auto tap = std::make_unique<PciAnalyserTap>(name().c_str(), params_);
    tap->config.out.bind(config);
    tap->memory.out.bind(bars);
    const PciSockets front{tap->config.in, tap->memory.in};
    connect(std::move(tap), dma, memory);
    return front;
  }

  /// Null when switched off.
  AnalyserTap* tap() const { return tap_.get(); }
  const analyser::Analyser* analyser() const { return tap_ ? &tap_->analyser() : nullptr; }

private:
  std::string name() const { return params_.device + "_driver_check"; }
  template <class Dma, class Memory>
  void connect(std::unique_ptr<AnalyserTap> tap, Dma& dma, Memory& memory) {
    dma.bind(tap->dma.in);
    tap->dma.out.bind(memory);
    tap_ = std::move(tap);
  }

  bool on_;
  AnalyserTapParams params_;
  std::unique_ptr<AnalyserTap> tap_;
};

} // namespace virtio::tlm2
