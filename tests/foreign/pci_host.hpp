// The least that a PCI Express host has to do: find a function's configuration space in ECAM, and
// offer each memory access to all functions until one claims it. Functions send their DMA and their
// MSI-X messages to the bus directly.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <cstring>

namespace foreign {

class PciHost : public sc_core::sc_module {
public:
  /// The n-th pair that is bound is device n of bus 0. A function's `config` gets offsets into its
  /// 4 KiB configuration space, its `memory` gets PCI addresses and answers what it does not claim
  /// with an address error.
  tlm_utils::multi_passthrough_initiator_socket<PciHost> config{"config"};
  tlm_utils::multi_passthrough_initiator_socket<PciHost> memory{"memory"};

  /// Offsets into ECAM.
  tlm_utils::simple_target_socket<PciHost> ecam{"ecam"};
  /// PCI addresses.
  tlm_utils::simple_target_socket<PciHost> window{"window"};

  static constexpr std::uint64_t ecam_size = 1 << 20; // one bus

  explicit PciHost(sc_core::sc_module_name name) : sc_module(name) {
    ecam.register_b_transport(this, &PciHost::on_ecam);
    window.register_b_transport(this, &PciHost::on_window);
  }

private:
  void on_ecam(tlm::tlm_generic_payload& request, sc_core::sc_time& delay) {
    const std::uint64_t address = request.get_address();
    const auto device = static_cast<unsigned>(address >> 15);
    const auto function = address >> 12 & 7;
    if (device >= config.size() || function != 0) {
      nobody_there(request);
      return;
    }
    request.set_address(address & 0xfff);
    config[static_cast<int>(device)]->b_transport(request, delay);
    request.set_address(address);
  }

  void on_window(tlm::tlm_generic_payload& request, sc_core::sc_time& delay) {
    for (unsigned i = 0; i < memory.size(); ++i) {
      request.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
      memory[static_cast<int>(i)]->b_transport(request, delay);
      if (request.get_response_status() != tlm::TLM_ADDRESS_ERROR_RESPONSE) return;
    }
    nobody_there(request);
  }

  /// Reads give ones, writes are lost: that is how drivers find out.
  static void nobody_there(tlm::tlm_generic_payload& request) {
    if (request.is_read()) std::memset(request.get_data_ptr(), 0xff, request.get_data_length());
    request.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

} // namespace foreign
