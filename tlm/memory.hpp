// Memory: RAM as a TLM-2.0 base-protocol target. Its storage is mapped lazily, so gigabytes that
// nobody touches cost nothing and read as zero. Transports reach it with b_transport, transport_dbg
// or, where allowed, through DMI.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include <cstddef>
#include <cstdint>

namespace virtio::tlm2 {

struct MemoryParams {
  std::uint64_t size = 0;              ///< bytes, not zero
  bool dmi = true;                     ///< grant direct pointers
  sc_core::sc_time read_latency = {};  ///< of one transaction, whatever its length
  sc_core::sc_time write_latency = {}; ///< of one transaction, whatever its length
};

class Memory : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<Memory> socket;

  /// Throws std::invalid_argument for size 0 and std::system_error when the host has no address
  /// space left.
  Memory(sc_core::sc_module_name name, const MemoryParams& params);
  ~Memory() override;

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::uint64_t size() const { return params_.size; }

  /// Grants or refuses DMI from now on; refusing withdraws the pointers handed out so far.
  void allow_dmi(bool allowed);

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  bool get_direct_mem_ptr(tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi);
  unsigned transport_dbg(tlm::tlm_generic_payload& transaction);

  tlm::tlm_response_status access(tlm::tlm_generic_payload& transaction);
  bool contains(std::uint64_t address, std::uint64_t length) const;

  MemoryParams params_;
  std::byte* data_ = nullptr;
};

} // namespace virtio::tlm2
