// An on-chip bus in the manner of AXI: several initiators, one target side (memory, or an address
// decoder in front of everything). Addresses and data are serialised on channels of their own in
// each direction, a limited number of bursts is under way, and each way takes its latency. Used
// between a device's DMA port and memory, and between a CPU and the registers of devices.
//
// All of a request's times follow from ledgers in closed form, in clock cycles: it costs one
// executor event, when it reaches the target.
#pragma once

#include <virtio/core/executor.hpp>
#include <virtio/tlm/at_initiator.hpp>
#include <virtio/tlm/bus_params.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <tlm_utils/simple_initiator_socket.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace virtio::tlm2 {

/// What went over one direction's channels, of requests whose response is on its way. Times are in
/// clock cycles.
struct BusTraffic {
  struct Share {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::uint64_t beats = 0;
  };
  static constexpr std::size_t kinds = static_cast<std::size_t>(AccessKind::message) + 2;
  static constexpr std::size_t other = kinds - 1; ///< requests without DmaInfo: a CPU's

  Share total;
  std::array<Share, kinds> by_kind; ///< by AccessKind
  std::uint64_t bursts = 0;
  std::uint64_t busy = 0;          ///< of the data channel
  std::uint64_t request_stall = 0; ///< waiting for a free burst or the address channel
  std::uint64_t data_stall = 0;    ///< waiting for the data channel
  std::uint64_t latency = 0;       ///< sum over requests, from arrival to the response
};

class OnChipBus : public sc_core::sc_module, private AtInitiator::Port {
public:
  tlm_utils::multi_passthrough_target_socket<OnChipBus> initiators;
  /// The data channel serves responses in the order in which the target gives them. A b_transport
  /// target must annotate its delay instead of waiting when initiators use
  /// nb_transport; reached on behalf of a b_transport initiator it may wait.
  tlm_utils::simple_initiator_socket<OnChipBus> target;

  /// SC_REPORT_FATAL with check()'s sentence.
  OnChipBus(sc_core::sc_module_name name, Executor& executor, const OnChipBusParams& params = {});
  ~OnChipBus() override;

  const BusTraffic& reads() const { return channels_[0].traffic; }
  const BusTraffic& writes() const { return channels_[1].traffic; }
  /// The first clock edge at or after a time, and the time of an edge.
  std::uint64_t cycle(SimTime time) const;
  SimTime time(std::uint64_t cycle) const;

private:
  using Payload = ::tlm::tlm_generic_payload;
  using Phase = ::tlm::tlm_phase;
  struct Request;
  /// Requests in some order.
  struct List {
    Request* head = nullptr;
    Request* tail = nullptr;
    void push(Request& request);
    Request& pop();
  };
  /// Requests of one initiator's queue: their responses come in order, reads see earlier writes.
  struct Id {
    std::array<List, 2> under_way; // by direction, in the order of arrival
    List held_reads;               // at the target, with writes before them that are not
    std::uint64_t writes = 0;      // that came
  };
  struct Initiator {
    std::deque<Id> ids; // by queue
    List responses;     // that wait for the END_RESP before
    Request* responding = nullptr;
    struct Next : Wake {
      OnChipBus* bus = nullptr;
      int index = 0;
    } next;
  };
  /// A direction. Slots that are free, or will be at a known cycle, are in `slots`, the earliest on
  /// top.
  struct Channels {
    std::vector<std::uint64_t> slots;
    unsigned limit = 0;
    List waiting; // for slots
    std::uint64_t address_free = 0;
    std::uint64_t data_free = 0;
    std::uint64_t response_free = 0;
    BusTraffic traffic;
  };

  ::tlm::tlm_sync_enum nb_transport_fw(int initiator, Payload& payload, Phase& phase,
                                       sc_core::sc_time& time);
  void b_transport(int initiator, Payload& payload, sc_core::sc_time& delay);
  unsigned transport_dbg(int initiator, Payload& payload);
  bool get_direct_mem_ptr(int initiator, Payload& payload, ::tlm::tlm_dmi& dmi);

  Request& submit(int initiator, Payload& payload, const sc_core::sc_time& delay, bool blocking);
  void issue_waiting(Channels& channels);
  void issue(Request& request, Channels& channels);
  void arrive(Request& request);
  bool must_follow_writes(const Request& request);
  void access(Request& request);
  void access_at_target(Request& request);
  void performed(Request& request, const sc_core::sc_time& delay);
  void finish(Request& request);
  void respond(Request& request);
  void wake_thread(Request& request);
  sc_core::sc_time until(std::uint64_t cycle) const;
  void send_responses(Initiator& initiator);
  void end(Request& request);
  Initiator& initiator(int index);
  static Id& id(Initiator& from, std::uint16_t queue);

  // AtInitiator::Port
  ::tlm::tlm_sync_enum nb_transport_fw(Payload& payload, Phase& phase,
                                       sc_core::sc_time& time) override;
  std::optional<DmaStatus> withdrawn_answer(const DmaTransaction& transaction) const override;
  void on_response(DmaTransaction& transaction, DmaStatus status) override;
  ::tlm::tlm_sync_enum nb_transport_bw(Payload& payload, Phase& phase, sc_core::sc_time& time);

  OnChipBusParams params_;
  std::uint64_t cycles_ = 1; // so many take
  std::uint64_t picoseconds_ = 1;
  Executor& executor_;
  std::array<Channels, 2> channels_; // [read, write]
  std::deque<Initiator> by_initiator_;
  std::deque<Request> requests_; // all that exist
  std::vector<Request*> free_;
  std::unique_ptr<AtInitiator> at_;
};

} // namespace virtio::tlm2
