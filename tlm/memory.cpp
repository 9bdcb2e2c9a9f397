#include <virtio/tlm/memory.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace virtio::tlm2 {

namespace {

std::byte* map_storage(std::uint64_t size) {
  if (size == 0) throw std::invalid_argument("a Memory needs a size: set MemoryParams::size");
  void* storage = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (storage == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "cannot map the storage of a Memory");
  return static_cast<std::byte*>(storage);
}

} // namespace

Memory::Memory(sc_core::sc_module_name name, const MemoryParams& params)
    : sc_module(name), socket("socket"), params_(params), data_(map_storage(params.size)) {
  socket.register_b_transport(this, &Memory::b_transport);
  socket.register_get_direct_mem_ptr(this, &Memory::get_direct_mem_ptr);
  socket.register_transport_dbg(this, &Memory::transport_dbg);
}

Memory::~Memory() {
  munmap(data_, params_.size);
}

void Memory::allow_dmi(bool allowed) {
  const bool withdraw = params_.dmi && !allowed;
  params_.dmi = allowed;
  if (withdraw) socket->invalidate_direct_mem_ptr(0, params_.size - 1);
}

bool Memory::contains(std::uint64_t address, std::uint64_t length) const {
  return length <= params_.size && address <= params_.size - length;
}

void Memory::b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  const auto status = access(transaction);
  transaction.set_response_status(status);
  if (status != tlm::TLM_OK_RESPONSE) return;
  delay += transaction.is_write() ? params_.write_latency : params_.read_latency;
  transaction.set_dmi_allowed(params_.dmi);
}

tlm::tlm_response_status Memory::access(tlm::tlm_generic_payload& transaction) {
  if (transaction.get_command() == tlm::TLM_IGNORE_COMMAND) return tlm::TLM_OK_RESPONSE;
  const std::uint64_t length = transaction.get_data_length();
  const std::uint64_t width = transaction.get_streaming_width();
  const std::uint8_t* enables = transaction.get_byte_enable_ptr();
  auto* data = transaction.get_data_ptr();
  if (length == 0 || data == nullptr) return tlm::TLM_GENERIC_ERROR_RESPONSE;
  if (width == 0) return tlm::TLM_BURST_ERROR_RESPONSE;
  if (enables && transaction.get_byte_enable_length() == 0)
    return tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
  if (!contains(transaction.get_address(), std::min(length, width)))
    return tlm::TLM_ADDRESS_ERROR_RESPONSE;

  auto* storage = data_ + transaction.get_address();
  const bool write = transaction.is_write();
  if (!enables && width >= length) {
    if (write)
      std::memcpy(storage, data, length);
    else
      std::memcpy(data, storage, length);
    return tlm::TLM_OK_RESPONSE;
  }
  // IEEE 1666, 14.12 and 14.13: the address wraps every `width` bytes, the enables repeat.
  for (std::uint64_t i = 0; i < length; ++i) {
    if (enables && enables[i % transaction.get_byte_enable_length()] != TLM_BYTE_ENABLED) continue;
    if (write)
      storage[i % width] = std::byte{data[i]};
    else
      data[i] = std::to_integer<unsigned char>(storage[i % width]);
  }
  return tlm::TLM_OK_RESPONSE;
}

bool Memory::get_direct_mem_ptr(tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi) {
  const std::uint64_t last = params_.size - 1;
  if (transaction.get_address() > last) {
    dmi.set_start_address(params_.size);
    dmi.set_end_address(std::numeric_limits<std::uint64_t>::max());
    return false;
  }
  dmi.set_start_address(0);
  dmi.set_end_address(last);
  if (!params_.dmi) return false;
  dmi.set_dmi_ptr(reinterpret_cast<unsigned char*>(data_));
  dmi.set_read_latency(params_.read_latency);
  dmi.set_write_latency(params_.write_latency);
  dmi.allow_read_write();
  return true;
}

unsigned Memory::transport_dbg(tlm::tlm_generic_payload& transaction) {
  const auto address = transaction.get_address();
  if (address >= params_.size || transaction.get_data_ptr() == nullptr) return 0;
  const auto length =
      std::min<std::uint64_t>(transaction.get_data_length(), params_.size - address);
  if (transaction.is_write())
    std::memcpy(data_ + address, transaction.get_data_ptr(), length);
  else if (transaction.is_read())
    std::memcpy(transaction.get_data_ptr(), data_ + address, length);
  else
    return 0;
  return static_cast<unsigned>(length);
}

} // namespace virtio::tlm2
