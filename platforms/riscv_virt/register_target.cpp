#include <virtio/platforms/riscv_virt/register_target.hpp>

#include <bit>
#include <cstring>

namespace virtio::platform {

RegisterTarget::RegisterTarget(sc_core::sc_module_name name, std::uint64_t size, unsigned lengths)
    : sc_module(name), socket("socket"), size_(size), lengths_(lengths) {
  socket.register_b_transport(this, &RegisterTarget::b_transport);
}

tlm::tlm_response_status RegisterTarget::check(const tlm::tlm_generic_payload& transaction) const {
  const auto address = transaction.get_address();
  const auto length = transaction.get_data_length();
  if (transaction.get_byte_enable_ptr()) return tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
  if (!std::has_single_bit(length) || !(lengths_ & length) ||
      transaction.get_streaming_width() < length)
    return tlm::TLM_BURST_ERROR_RESPONSE;
  if (address >= size_ || address % length != 0) return tlm::TLM_ADDRESS_ERROR_RESPONSE;
  return tlm::TLM_OK_RESPONSE;
}

void RegisterTarget::b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  const auto status = transaction.get_command() == tlm::TLM_IGNORE_COMMAND ? tlm::TLM_OK_RESPONSE
                                                                           : check(transaction);
  transaction.set_response_status(status);
  if (status != tlm::TLM_OK_RESPONSE) return;
  const RegisterAccess access{transaction.get_address(), transaction.get_data_length(),
                              sc_core::sc_time_stamp() + delay};
  std::uint64_t value = 0; // registers and host are little-endian
  if (transaction.is_write()) {
    std::memcpy(&value, transaction.get_data_ptr(), access.length);
    write(access, value);
  } else if (transaction.is_read()) {
    value = read(access);
    std::memcpy(transaction.get_data_ptr(), &value, access.length);
  }
}

} // namespace virtio::platform
