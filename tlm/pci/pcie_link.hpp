// PcieLink: the wire between a PCI Express function and a root complex. Upstream it takes the
// function's DMA by nb_transport or b_transport; downstream the CPU's configuration and memory
// accesses. It keeps PCI Express' ordering rules on real memory and real registers, and takes the
// times from LinkTiming. Both neighbours see the TLM-2.0 base protocol only.
#pragma once

#include <virtio/core/executor.hpp>
#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/pci/link_timing.hpp>
#include <virtio/tlm/router.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <deque>
#include <vector>

namespace virtio::tlm2 {

class PcieLink : public sc_core::sc_module, DirectTarget {
  TlmDmaPort host_port_{"host"};

public:
  SC_HAS_PROCESS(PcieLink);

  /// The function's DMA comes in here; one initiator, which may mix nb_transport and b_transport. A
  /// write is answered when it is accepted in order (TLM_COMPLETED in the call, BEGIN_RESP later
  /// when the link had no room for it); memory is written when it arrives. A read is answered when
  /// its last completion is there; its END_REQ is late only when as many reads as fit wait already.
  /// No direct pointers: nothing would cross the link.
  tlm_utils::simple_target_socket<PcieLink> upstream{"upstream"};
  /// The host's side: system memory and the receiver of MSI-X messages. Direct pointers are used
  /// where the target grants them; other targets are called by b_transport, and their delay comes
  /// on top of the link's memory latency.
  tlm_utils::simple_initiator_socket<TlmDmaPort>& host = host_port_.socket;

  // Links that carry no accesses of a CPU leave these four unbound.
  /// From the host bridge ...
  tlm_utils::simple_target_socket_optional<PcieLink> config{"config"};
  tlm_utils::simple_target_socket_optional<PcieLink> memory{"memory"};
  /// ... to the function. Writes to memory return to the CPU at once and are delivered one after
  /// the other; what the function answers to them is lost, as on the wire. Everything else takes
  /// the round trip in b_transport. Debug accesses pass.
  tlm_utils::simple_initiator_socket_optional<PcieLink> function_config{"function_config"};
  tlm_utils::simple_initiator_socket_optional<PcieLink> function_memory{"function_memory"};

  /// The executor is that of the function, or one of its own. `host_ranges` says where something
  /// answers on the host's side: a write elsewhere is refused with an address error when it is
  /// accepted, a read after the round trip. Empty: not known; then a read of nothing still ends in
  /// its target's error, and a write is lost. Throws std::invalid_argument for an impossible link.
  PcieLink(sc_core::sc_module_name name, const PcieLinkParams& params, ExecutorModule& executor,
           std::vector<AddressRange> host_ranges = {});
  ~PcieLink() override;

  /// For a function of this program. The port's transactions come to the link as they are, not
  /// through the sockets, which stay bound; it is the only initiator, its protocol is `at`. Writes
  /// of the CPU reach the function from the executor: it must not wait in them. The times are the
  /// same.
  void connect(TlmDmaPort& port);

  const LinkTiming& timing() const { return timing_; }
  void reset_statistics() { timing_.reset_statistics(); }
  /// Writes of the device that no target took, after they had been accepted.
  std::uint64_t lost_writes() const { return lost_writes_; }
  /// Requests of the device that are on their way.
  std::size_t in_flight() const { return in_flight_; }

private:
  /// A request of the device, from its acceptance to its effect.
  struct Flight : Wake {
    PcieLink* link = nullptr;
    ::tlm::tlm_generic_payload* payload = nullptr; // a read's; null for a write
    sc_core::sc_event* waiter = nullptr;           // of a read by b_transport
    DmaTransaction* transaction = nullptr;         // a read's of a connected port
    ::tlm::tlm_response_status status = ::tlm::TLM_OK_RESPONSE;
    bool write = false;
    bool unmapped = false;
    std::size_t access = unknown_access;
    std::uint16_t queue = 0;
    std::uint64_t addr = 0;
    std::uint32_t len = 0;
    SimTime sampled{};
    SimTime since{};
    std::vector<std::byte> data;
    Flight* next = nullptr; // free ones
  };
  struct LinkWake : Wake {
    PcieLink* link = nullptr;
  };
  /// What a thread calls b_transport with. Its stack is not unwound when the simulation ends, so
  /// that what it owns lives here.
  struct Worker {
    ::tlm::tlm_generic_payload payload;
    DmaInfo info; // an extension of the payload when the access has a kind
    ~Worker() { payload.clear_extension(&info); }
  };
  using FunctionSocket = tlm_utils::simple_initiator_socket_optional<PcieLink>;
  /// A write of the CPU on its way to the function.
  struct Doorbell : Wake {
    PcieLink* link = nullptr;
    std::uint64_t addr = 0;
    std::vector<unsigned char> data;
  };

  // Upstream.
  ::tlm::tlm_sync_enum nb_transport_fw(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                       sc_core::sc_time& time);
  ::tlm::tlm_sync_enum begin_request(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                     sc_core::sc_time& time);
  void b_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  unsigned upstream_debug(::tlm::tlm_generic_payload& payload);
  bool upstream_dmi(::tlm::tlm_generic_payload& payload, ::tlm::tlm_dmi& dmi);
  bool mapped(std::uint64_t addr, std::uint64_t len) {
    return host_ranges_.empty() || host_ranges_.front().contains(addr, len) ||
           mapped_elsewhere(addr, len);
  }
  bool mapped_elsewhere(std::uint64_t addr, std::uint64_t len);
  SimTime send_write(const ::tlm::tlm_generic_payload& payload, SimTime at);
  SimTime send_read(::tlm::tlm_generic_payload& payload, SimTime at, sc_core::sc_event* waiter);
  Flight& new_flight();
  Flight& new_flight(const ::tlm::tlm_generic_payload& payload);
  SimTime send_write(Flight& flight, SimTime at);
  SimTime send_read(Flight& flight, SimTime at);
  void release(Flight& flight);
  void accept_later(::tlm::tlm_generic_payload& payload, SimTime accepted);
  void on_accepted();
  void on_due(Flight& flight);

  // A connected port's (pcie_link_direct.cpp).
  void issue(DmaTransaction& transaction) override;
  std::size_t waiting() const override { return direct_waiting_.size(); }
  void add_outstanding_to(std::vector<OutstandingRequest>& list) const override;
  bool may_send_direct() const;
  void send_direct();
  void send_direct(DmaTransaction& transaction);
  void answer_direct(DmaTransaction& transaction, DmaStatus status);
  void on_direct_accepted();

  // At the host: by pointer, or else by threads, in order.
  static std::byte* destination_of(const Flight& flight);
  bool access_by_pointer(Flight& flight);
  void work(Worker& worker);
  void access_by_transport(Flight& flight, Worker& worker);
  void on_performed(Flight& flight);
  void respond(::tlm::tlm_generic_payload& payload);
  void send_responses();
  void on_end_response(const sc_core::sc_time& time);

  // Downstream.
  void config_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  void memory_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  unsigned config_debug(::tlm::tlm_generic_payload& payload);
  unsigned memory_debug(::tlm::tlm_generic_payload& payload);
  void post_doorbell(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  void round_trip(FunctionSocket& function, ::tlm::tlm_generic_payload& payload,
                  sc_core::sc_time& delay);
  void on_arrival(Doorbell& doorbell);
  void deliver_doorbells();
  void deliver_first_doorbell(sc_core::sc_time& delay);
  void end_first_doorbell();

  LinkTiming timing_;
  Executor& executor_;
  std::vector<AddressRange> host_ranges_;

  WakeLane writes_lane_, reads_lane_;
  std::deque<Flight> flights_;
  Flight* free_flights_ = nullptr;
  std::size_t in_flight_ = 0;
  ::tlm::tlm_generic_payload* unaccepted_ = nullptr; // holds the request channel
  LinkWake acceptance_;
  std::deque<::tlm::tlm_generic_payload*> responses_;
  ::tlm::tlm_generic_payload* responding_ = nullptr; // holds the response channel
  bool sending_responses_ = false;
  LinkWake response_channel_;

  TlmDmaPort* direct_port_ = nullptr;
  TransactionQueue direct_waiting_;
  unsigned direct_in_flight_ = 0;
  DmaTransaction* direct_unaccepted_ = nullptr; // holds the request channel
  bool direct_sending_ = false;
  LinkWake direct_acceptance_;

  std::deque<Flight*> waiting_; // for a thread
  unsigned idle_workers_ = 0;
  std::deque<Worker> workers_;
  bool writing_ = false; // a thread is
  sc_core::sc_event work_;
  std::uint64_t lost_writes_ = 0;
  std::uint64_t writes_sent_ = 0;
  std::uint64_t writes_performed_ = 0;
  unsigned waiting_for_writes_ = 0;
  sc_core::sc_event write_performed_;

  WakeLane doorbells_lane_;
  std::deque<Doorbell> doorbells_;
  std::size_t doorbells_arrived_ = 0; // wait for the thread
  unsigned waiting_for_doorbells_ = 0;
  ::tlm::tlm_generic_payload doorbell_;
  std::uint64_t doorbells_posted_ = 0;
  std::uint64_t doorbells_delivered_ = 0;
  sc_core::sc_event doorbell_arrived_;
  sc_core::sc_event doorbell_delivered_;
};

} // namespace virtio::tlm2
