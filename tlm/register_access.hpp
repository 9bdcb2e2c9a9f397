// What every register target over TLM-2.0 has in common: which transactions it refuses, and how an
// access of any length and alignment becomes naturally aligned accesses of 1, 2 or 4 bytes, so that
// the registers behind it see no others.
#pragma once

#include <systemc>
#include <tlm>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace virtio::tlm2 {

/// The response of a transaction that registers do not take, whatever its address: byte enables, a
/// stream of repeated addresses, no data. Nothing for one that they do.
inline std::optional<tlm::tlm_response_status>
refusal(const tlm::tlm_generic_payload& transaction) {
  if (transaction.get_command() == tlm::TLM_IGNORE_COMMAND) return tlm::TLM_OK_RESPONSE;
  if (transaction.get_data_length() == 0 || !transaction.get_data_ptr())
    return tlm::TLM_GENERIC_ERROR_RESPONSE;
  if (transaction.get_byte_enable_ptr()) return tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
  if (transaction.get_streaming_width() < transaction.get_data_length())
    return tlm::TLM_BURST_ERROR_RESPONSE;
  return std::nullopt;
}

inline std::span<std::byte> bytes_of(const tlm::tlm_generic_payload& transaction) {
  return {reinterpret_cast<std::byte*>(transaction.get_data_ptr()), transaction.get_data_length()};
}

/// Lets the delay that an initiator annotated pass, so that the registers never see the future.
inline void wait_out(sc_core::sc_time& delay) {
  if (delay == sc_core::SC_ZERO_TIME) return;
  if (sc_core::sc_get_current_process_handle().proc_kind() != sc_core::SC_THREAD_PROC_) {
    SC_REPORT_ERROR("/virtio-tlm/registers",
                    "a timed device lets the delay of a register access pass, but the access comes "
                    "from a process that cannot wait; make it from an SC_THREAD, or without delay");
    return;
  }
  sc_core::wait(delay);
  delay = sc_core::SC_ZERO_TIME;
}

/// Calls `access(offset, piece)` for consecutive pieces of `bytes`, each 1, 2 or 4 bytes long and
/// aligned to its length, in ascending order.
template <class Byte, class Access>
void for_each_register(std::uint64_t offset, std::span<Byte> bytes, Access&& access) {
  while (!bytes.empty()) {
    std::size_t width = 4;
    while (width > bytes.size() || offset % width != 0)
      width /= 2;
    access(offset, bytes.first(width));
    offset += width;
    bytes = bytes.subspan(width);
  }
}

/// The little-endian value of at most 4 bytes.
inline std::uint32_t value_of(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    value |= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
  return value;
}

inline void put_value(std::span<std::byte> bytes, std::uint64_t value) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(value >> (8 * i));
}

} // namespace virtio::tlm2
