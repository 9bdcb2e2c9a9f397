// The initiator's side of the TLM-2.0 base protocol for a DMA port (IEEE 1666, 16.2): payloads with
// memory management, one request on the way to its END_REQ at a time, several waiting for their
// responses. Every legal way to answer is understood; an illegal one is reported and ignored.
#pragma once

#include <virtio/tlm/transaction_queue.hpp>

#include <systemc>
#include <tlm>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virtio::tlm2 {

/// A transaction that left its port and has no answer yet.
struct OutstandingRequest {
  const DmaTransaction* transaction;
  sc_core::sc_time since; ///< when it left
};

/// "read of 16 bytes at 0x80001000 (descriptor, queue 2)"
std::string to_string(const DmaTransaction& transaction);

/// Makes the payload the transaction's request, with the transaction's buffer as its data.
void fill(::tlm::tlm_generic_payload& payload, DmaTransaction& transaction);
/// What a payload's response says to a device.
DmaStatus status_of(::tlm::tlm_response_status response);
inline DmaStatus status_of(const ::tlm::tlm_generic_payload& payload) {
  return status_of(payload.get_response_status());
}

class AtInitiator {
public:
  /// The port that it works for.
  class Port {
  public:
    virtual ~Port() = default;
    virtual ::tlm::tlm_sync_enum nb_transport_fw(::tlm::tlm_generic_payload& payload,
                                                 ::tlm::tlm_phase& phase,
                                                 sc_core::sc_time& time) = 0;
    /// A transaction that need not be sent has its answer already.
    virtual std::optional<DmaStatus> withdrawn_answer(const DmaTransaction& transaction) const = 0;
    virtual void on_response(DmaTransaction& transaction, DmaStatus status) = 0;
  };

  /// `name` is used in reports.
  AtInitiator(std::string name, Port& port, unsigned outstanding)
      : name_(std::move(name)), port_(port), limit_(outstanding) {}
  AtInitiator(const AtInitiator&) = delete;
  AtInitiator& operator=(const AtInitiator&) = delete;
  /// Payloads that a target still holds live until it lets go of them.
  ~AtInitiator();

  /// Sends the transaction as soon as it may leave, in the order of the calls. An answer that comes
  /// inside the target's call, without annotated time, is given inside this call. `executor` calls
  /// back for every other one.
  void issue(DmaTransaction& transaction, Executor& executor);
  /// For the socket's backward path. It queues; nothing is resumed and nothing sent inside the
  /// call.
  ::tlm::tlm_sync_enum nb_transport_bw(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                       sc_core::sc_time& time);

  std::size_t waiting() const { return waiting_.size(); }
  void add_outstanding_to(std::vector<OutstandingRequest>& list) const;

private:
  class Request;
  struct RequestTag;
  struct Channel : Wake {
    AtInitiator* initiator = nullptr;
  };

  void send_waiting();
  bool request_channel_free();
  void send(DmaTransaction& transaction);
  Request& prepare(DmaTransaction& transaction);
  void on_return(Request& request, ::tlm::tlm_sync_enum sync, const ::tlm::tlm_phase& phase,
                 const sc_core::sc_time& time);
  void end_request(Request& request, const sc_core::sc_time& time);
  void complete_at(Request& request, const sc_core::sc_time& time);
  void on_due(Request& request);
  void complete(Request& request);
  void schedule(Wake& wake, const sc_core::sc_time& time);
  Request* find(const ::tlm::tlm_generic_payload& payload) const;
  void violation(std::string_view text, const Request* request = nullptr) const;

  std::string name_;
  Port& port_;
  unsigned limit_;
  Executor* executor_ = nullptr;
  TransactionQueue waiting_;
  std::vector<Request*> requests_; // all that exist
  std::vector<Request*> free_;
  unsigned in_flight_ = 0;
  Request* requesting_ = nullptr;       // neither END_REQ nor BEGIN_RESP yet
  SimTime request_channel_free_at_{};   // an END_REQ may lie in the future
  Channel request_channel_;             // resumes sending then
  const Request* responding_ = nullptr; // its END_RESP is still to be sent
  const Request* being_sent_ = nullptr; // inside nb_transport_fw(BEGIN_REQ)
  bool due_while_sent_ = false;         // it was answered meanwhile
  bool sending_ = false;
};

} // namespace virtio::tlm2
