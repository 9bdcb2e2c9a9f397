// What tests of bus components need: an initiator socket with the calls spelled out, and a target
// that records.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace virtio::test {

/// Issues one transaction at a time and remembers the DMI ranges that were taken back.
class Initiator : public sc_core::sc_module {
public:
  tlm_utils::simple_initiator_socket<Initiator> socket{"socket"};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> invalidated;
  sc_core::sc_time delay;

  explicit Initiator(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_invalidate_direct_mem_ptr(this, &Initiator::invalidate);
  }

  static void fill(tlm::tlm_generic_payload& transaction, tlm::tlm_command command,
                   std::uint64_t address, void* data, unsigned length) {
    transaction.set_command(command);
    transaction.set_address(address);
    transaction.set_data_ptr(static_cast<unsigned char*>(data));
    transaction.set_data_length(length);
    transaction.set_streaming_width(length);
    transaction.set_byte_enable_ptr(nullptr);
    transaction.set_dmi_allowed(false);
    transaction.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  }

  tlm::tlm_response_status send(tlm::tlm_generic_payload& transaction) {
    socket->b_transport(transaction, delay);
    return transaction.get_response_status();
  }
  tlm::tlm_response_status access(tlm::tlm_command command, std::uint64_t address, void* data,
                                  unsigned length) {
    tlm::tlm_generic_payload transaction;
    fill(transaction, command, address, data, length);
    return send(transaction);
  }
  template <class Value> tlm::tlm_response_status write(std::uint64_t address, Value value) {
    return access(tlm::TLM_WRITE_COMMAND, address, &value, sizeof value);
  }
  template <class Value> Value read(std::uint64_t address) {
    Value value{};
    if (access(tlm::TLM_READ_COMMAND, address, &value, sizeof value) != tlm::TLM_OK_RESPONSE)
      std::memset(&value, 0xee, sizeof value);
    return value;
  }
  unsigned debug(tlm::tlm_command command, std::uint64_t address, void* data, unsigned length) {
    tlm::tlm_generic_payload transaction;
    fill(transaction, command, address, data, length);
    return socket->transport_dbg(transaction);
  }
  bool dmi(std::uint64_t address, tlm::tlm_dmi& granted) {
    tlm::tlm_generic_payload transaction;
    fill(transaction, tlm::TLM_READ_COMMAND, address, nullptr, 0);
    return socket->get_direct_mem_ptr(transaction, granted);
  }

private:
  void invalidate(sc_dt::uint64 start, sc_dt::uint64 end) { invalidated.emplace_back(start, end); }
};

} // namespace virtio::test
