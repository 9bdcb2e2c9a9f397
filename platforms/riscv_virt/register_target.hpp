// RegisterTarget: the TLM-2.0 side that the platform's small devices share. It turns transactions
// into reads and writes of naturally aligned registers and refuses everything else with the
// response status that says why.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>

namespace virtio::platform {

struct RegisterAccess {
  std::uint64_t offset = 0;
  unsigned length = 0;        ///< bytes: 1, 2, 4 or 8
  sc_core::sc_time time = {}; ///< when the initiator performs it, at or after sc_time_stamp()
};

class RegisterTarget : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<RegisterTarget> socket;

protected:
  /// `lengths` is the sum of the access lengths in bytes that the registers take, out of 1, 2, 4
  /// and 8.
  RegisterTarget(sc_core::sc_module_name name, std::uint64_t size, unsigned lengths);

  /// Offsets are below the size, and multiples of the length. Unused bits read as zero.
  virtual std::uint64_t read(const RegisterAccess& access) = 0;
  virtual void write(const RegisterAccess& access, std::uint64_t value) = 0;

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  tlm::tlm_response_status check(const tlm::tlm_generic_payload& transaction) const;

  std::uint64_t size_;
  unsigned lengths_;
};

} // namespace virtio::platform
