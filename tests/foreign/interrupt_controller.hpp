// The platform's interrupt controller: level-sensitive wires, and an address to which MSI-X
// messages are written. Both are sources that the CPU can sleep on.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace foreign {

class InterruptController : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(InterruptController);

  static constexpr unsigned wires = 5;
  static constexpr unsigned messages = 4;

  sc_core::sc_vector<sc_core::sc_in<bool>> wire{"wire", wires};
  /// A write of four bytes with the value n to offset 0 is message n.
  tlm_utils::simple_target_socket<InterruptController> message_socket{"message_socket"};

  explicit InterruptController(sc_core::sc_module_name name) : sc_module(name) {
    message_socket.register_b_transport(this, &InterruptController::on_message);
    SC_METHOD(on_wire);
    for (auto& input : wire)
      sensitive << input;
    dont_initialize();
  }

  /// How often the wire went up, or the message came.
  unsigned wire_count(unsigned n) const { return wire_counts_[n]; }
  unsigned message_count(unsigned n) const { return message_counts_[n]; }
  /// Notified whenever a wire changes or a message comes.
  const sc_core::sc_event& changed() const { return changed_; }

private:
  void on_wire() {
    for (unsigned n = 0; n < wires; ++n)
      if (wire[n].posedge()) ++wire_counts_[n];
    changed_.notify();
  }

  void on_message(tlm::tlm_generic_payload& request, sc_core::sc_time&) {
    std::uint32_t n = 0;
    if (!request.is_write() || request.get_address() != 0 || request.get_data_length() != 4) {
      request.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
      return;
    }
    std::memcpy(&n, request.get_data_ptr(), sizeof n);
    if (n < messages) ++message_counts_[n];
    request.set_response_status(n < messages ? tlm::TLM_OK_RESPONSE
                                             : tlm::TLM_GENERIC_ERROR_RESPONSE);
    changed_.notify(sc_core::SC_ZERO_TIME);
  }

  std::array<unsigned, wires> wire_counts_{};
  std::array<unsigned, messages> message_counts_{};
  sc_core::sc_event changed_;
};

} // namespace foreign
