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
#include <string>
#include <vector>

namespace virtio::tlm2 {

/// Forwards b_transport and transport_dbg, grants no DMI, and calls `before` and `after` around
/// each b_transport.
class PassThrough : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<PassThrough> in{"in"};
  tlm_utils::simple_initiator_socket<PassThrough> out{"out"};

  using Hook = std::function<void(const tlm::tlm_generic_payload&)>;
  PassThrough(sc_core::sc_module_name name, Hook before, Hook after);

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
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
  void show_memory(const tlm::tlm_generic_payload& transaction);
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

} // namespace virtio::tlm2
