// A device's way to memory over a TLM-2.0 base-protocol socket. A cached DMI window is used where
// the platform grants one; otherwise a pool of threads, as many as may be outstanding, calls
// b_transport and posts the answer back to the executor. It works with memory that has no DMI, and
// with DMI that is withdrawn at any time.
#pragma once

#include <virtio/core/dma.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <deque>

namespace virtio::tlm2 {

struct DmaPortParams {
  bool dmi = true;           ///< use DMI where granted
  unsigned outstanding = 16; ///< transactions under way at once, 1..1024 (assumed)
  bool timed = false;        ///< let the delay that a target annotates pass before the answer
};

class TlmDmaPort : public sc_core::sc_module, public DmaPort {
public:
  tlm_utils::simple_initiator_socket<TlmDmaPort> socket;

  explicit TlmDmaPort(sc_core::sc_module_name name, DmaPortParams params = {});

private:
  bool map(GuestAddr addr, bool write, Window& window) override;
  void issue(DmaTransaction& transaction) override;
  void worker();
  void invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end);

  DmaPortParams params_;
  std::deque<DmaTransaction*> waiting_;
  std::deque<tlm::tlm_generic_payload> payloads_; // one for each worker
  sc_core::sc_event work_;
  unsigned workers_ = 0;
  unsigned idle_workers_ = 0;
};

} // namespace virtio::tlm2
