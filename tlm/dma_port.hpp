// A device's way to memory over a TLM-2.0 base-protocol socket. What its targets are, the platform
// says (TLM cannot discover it): memory reached by DMI windows, by b_transport from as many threads
// as may be outstanding, or by nb_transport. It works with DMI that is withdrawn at any time.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/tlm/at_initiator.hpp>
#include <virtio/tlm/direct_target.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace virtio::tlm2 {

struct DmaInfo;

enum class DmaProtocol : std::uint8_t {
  dmi, ///< direct pointers where the target grants them, elsewhere as lt
  lt,  ///< b_transport, never a direct pointer
  at,  ///< nb_transport, never a direct pointer
};

struct DmaPortParams {
  DmaProtocol protocol = DmaProtocol::dmi;
  unsigned outstanding = 16; ///< transactions under way at once, 1..1024 (assumed)
  /// lt: let the delay that a target annotates pass before the answer. With at it always passes.
  bool timed = false;
  /// A transaction without an answer for this long is reported as an error, once, with all others
  /// that are under way; 0: never. The simulation ends up to this much later than it would.
  SimTime watchdog{};
};

class TlmDmaPort : public sc_core::sc_module, public DmaPort, private AtInitiator::Port {
public:
  tlm_utils::simple_initiator_socket<TlmDmaPort> socket;

  explicit TlmDmaPort(sc_core::sc_module_name name, DmaPortParams params = {});

  /// With protocol = at: transactions go to `target`, which outlives them, not through the socket.
  void bypass_socket(DirectTarget& target) { direct_ = &target; }
  unsigned limit_of_outstanding() const { return params_.outstanding; }

  /// What left the port and is not answered, oldest first.
  std::vector<OutstandingRequest> requests() const;

private:
  friend class PcieLink; // a DirectTarget
  struct Worker {
    DmaTransaction* transaction = nullptr;
    sc_core::sc_time since;
    ::tlm::tlm_generic_payload payload;
    DmaInfo* info = nullptr;
  };

  bool map(GuestAddr addr, bool write, Window& window) override;
  void issue(DmaTransaction& transaction) override;
  void issue_to_worker(DmaTransaction& transaction);
  void call_worker();
  void work(Worker& worker);
  DmaStatus transport(Worker& worker, DmaTransaction& transaction);
  void invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end);

  // AtInitiator::Port
  ::tlm::tlm_sync_enum nb_transport_fw(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                       sc_core::sc_time& time) override;
  std::optional<DmaStatus> withdrawn_answer(const DmaTransaction& transaction) const override;
  void on_response(DmaTransaction& transaction, DmaStatus status) override;
  ::tlm::tlm_sync_enum nb_transport_bw(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                       sc_core::sc_time& time);

  void arm_watchdog();
  void watch();
  std::string list_of_requests() const;
  void end_of_simulation() override;

  DmaPortParams params_;
  std::unique_ptr<AtInitiator> at_;
  DirectTarget* direct_ = nullptr;
  TransactionQueue waiting_; // for a worker
  std::deque<Worker> workers_;
  sc_core::sc_event work_;
  unsigned idle_workers_ = 0;
  struct WorkerCall : Wake {
    TlmDmaPort* port = nullptr;
  } worker_call_; // ahead of SystemC's time
  sc_core::sc_event watchdog_;
  bool watchdog_armed_ = false;
  sc_core::sc_time reported_until_; // what left up to then was reported
  bool reported_ = false;
};

} // namespace virtio::tlm2
