#include <virtio/tlm/at_initiator.hpp>
#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/executor.hpp>

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace virtio::tlm2 {

std::string to_string(const DmaTransaction& t) {
  return fmt::format("{} of {} bytes at {:#x} ({}, queue {})", t.write ? "write" : "read", t.len,
                     raw(t.addr), to_string(t.kind), t.queue);
}

void fill(::tlm::tlm_generic_payload& payload, DmaTransaction& t) {
  payload.set_command(t.write ? ::tlm::TLM_WRITE_COMMAND : ::tlm::TLM_READ_COMMAND);
  payload.set_address(raw(t.addr));
  payload.set_data_ptr(reinterpret_cast<unsigned char*>(t.buffer.data()));
  payload.set_data_length(t.len);
  payload.set_streaming_width(t.len);
  payload.set_byte_enable_ptr(nullptr);
  payload.set_dmi_allowed(false);
  payload.set_response_status(::tlm::TLM_INCOMPLETE_RESPONSE);
}

DmaStatus status_of(::tlm::tlm_response_status response) {
  switch (response) {
  case ::tlm::TLM_OK_RESPONSE:
    return DmaStatus::ok;
  case ::tlm::TLM_ADDRESS_ERROR_RESPONSE:
    return DmaStatus::address_error;
  default:
    return DmaStatus::bus_error;
  }
}

/// Tells this program's payloads from others, whatever a target sends. Copies of a payload have
/// none.
struct AtInitiator::RequestTag : ::tlm::tlm_extension<RequestTag> {
  explicit RequestTag(Request& r) : request(&r) {}
  ::tlm::tlm_extension_base* clone() const override { return nullptr; }
  void copy_from(const ::tlm::tlm_extension_base&) override {}
  Request* request;
};

/// A pooled payload, its data, and how far it is.
class AtInitiator::Request final : public ::tlm::tlm_generic_payload, ::tlm::tlm_mm_interface {
public:
  enum class Step : std::uint8_t {
    free,
    requested, ///< BEGIN_REQ sent
    accepted,  ///< END_REQ came
    answered,  ///< BEGIN_RESP or TLM_COMPLETED came; its time may lie in the future
  };
  struct Due : Wake {
    Request* request = nullptr;
  };

  explicit Request(AtInitiator& initiator) : owner(&initiator), info(new DmaInfo) {
    set_mm(this);
    set_extension(info); // the payload deletes its extensions
    set_extension(new RequestTag(*this));
    due.request = this;
    due.call = [](Wake& wake) {
      Request& self = *static_cast<Due&>(wake).request;
      self.owner->on_due(self);
    };
  }
  void free(::tlm::tlm_generic_payload*) override {
    if (!owner) {
      delete this;
      return;
    }
    reset(); // of what others attached to it
    owner->free_.push_back(this);
  }

  AtInitiator* owner;
  DmaInfo* info;
  Due due;
  Step step = Step::free;
  bool end_response = false; ///< END_RESP is ours to send
  DmaTransaction* transaction = nullptr;
  std::vector<std::byte> data; // the transaction's buffer, exchanged for this one's
  sc_core::sc_time since;
};

AtInitiator::~AtInitiator() {
  for (Request* request : requests_) {
    request->due.cancel();
    request->owner = nullptr;
    if (request->step != Request::Step::free)
      request->release();
    else if (request->get_ref_count() == 0)
      delete request;
  }
}

void AtInitiator::issue(DmaTransaction& transaction, Executor& executor) {
  if (executor_ != &executor) {
    executor_ = &executor;
    request_channel_.initiator = this;
    request_channel_.call = [](Wake& wake) {
      static_cast<Channel&>(wake).initiator->send_waiting();
    };
  }
  waiting_.push(transaction);
  send_waiting();
}

void AtInitiator::send_waiting() {
  if (sending_) return; // whoever is sending goes on
  struct Guard {
    bool& flag;
    explicit Guard(bool& f) : flag(f) { flag = true; }
    ~Guard() { flag = false; }
  } guard(sending_);
  while (!waiting_.empty()) {
    DmaTransaction& transaction = waiting_.front();
    if (const auto answer = port_.withdrawn_answer(transaction)) {
      waiting_.pop();
      port_.on_response(transaction, *answer);
      continue;
    }
    if (in_flight_ >= limit_ || !request_channel_free()) return;
    waiting_.pop();
    send(transaction);
  }
}

bool AtInitiator::request_channel_free() {
  if (requesting_) return false;
  if (request_channel_free_at_.ps == 0) return true;
  if (request_channel_free_at_ <= executor_->now()) {
    request_channel_free_at_ = {};
    return true;
  }
  if (!request_channel_.queued()) executor_->post_at(request_channel_, request_channel_free_at_);
  return false;
}

AtInitiator::Request& AtInitiator::prepare(DmaTransaction& t) {
  if (free_.empty()) {
    requests_.push_back(new Request(*this));
    free_.reserve(requests_.size());
    free_.push_back(requests_.back());
  }
  Request& request = *free_.back();
  free_.pop_back();
  request.acquire();
  fill(request, t);
  request.data.swap(t.buffer); // the payload's data lives as long as the payload
  request.transaction = &t;
  request.since = to_sc_time(executor_->now());
  request.step = Request::Step::requested;
  request.end_response = false;
  request.info->kind = t.kind;
  request.info->queue = t.queue;
  return request;
}

void AtInitiator::send(DmaTransaction& t) {
  Request& request = prepare(t);
  ++in_flight_;
  requesting_ = &request;
  ::tlm::tlm_phase phase = ::tlm::BEGIN_REQ;
  sc_core::sc_time time = sc_core::SC_ZERO_TIME;
  ::tlm::tlm_sync_enum sync;
  {
    // Until the call returns the request must not end, even if the executor runs inside it.
    struct Guard {
      const Request*& place;
      ~Guard() { place = nullptr; }
    } guard{being_sent_};
    being_sent_ = &request;
    due_while_sent_ = false;
    sync = port_.nb_transport_fw(request, phase, time);
  }
  if (due_while_sent_)
    complete(request);
  else
    on_return(request, sync, phase, time);
}

void AtInitiator::on_return(Request& request, ::tlm::tlm_sync_enum sync,
                            const ::tlm::tlm_phase& phase, const sc_core::sc_time& time) {
  using Step = Request::Step;
  if (sync == ::tlm::TLM_ACCEPTED) return;
  if (sync == ::tlm::TLM_COMPLETED) {
    if (request.step == Step::answered) return; // by a call inside the call
    // Nothing is said of when the request ended: it occupies the channel no longer.
    if (requesting_ == &request) requesting_ = nullptr;
    complete_at(request, time);
  } else if (phase == ::tlm::END_REQ && request.step == Step::requested) {
    end_request(request, time);
  } else if (phase == ::tlm::BEGIN_RESP && request.step != Step::answered && !responding_) {
    request.end_response = true;
    responding_ = &request;
    complete_at(request, time);
  } else if (phase <= ::tlm::END_RESP) { // later ones are extended phases, to be ignored
    violation("returns TLM_UPDATED with a phase that must not follow", &request);
  }
}

::tlm::tlm_sync_enum AtInitiator::nb_transport_bw(::tlm::tlm_generic_payload& payload,
                                                  ::tlm::tlm_phase& phase, sc_core::sc_time& time) {
  using Step = Request::Step;
  Request* request = find(payload);
  if (!request) {
    violation("calls nb_transport_bw with a payload that this port did not send");
  } else if (phase == ::tlm::END_REQ) {
    if (request->step == Step::requested)
      end_request(*request, time);
    else
      violation("sends END_REQ for a request that does not wait for it", request);
  } else if (phase == ::tlm::BEGIN_RESP) {
    if (request->step != Step::requested && request->step != Step::accepted) {
      violation("sends BEGIN_RESP for a request that does not wait for it", request);
    } else if (responding_) {
      violation("sends BEGIN_RESP before the END_RESP of its response before", request);
    } else {
      request->step = Step::answered;
      schedule(request->due, time);
      return ::tlm::TLM_COMPLETED;
    }
  } else if (phase <= ::tlm::END_RESP) {
    violation("calls nb_transport_bw with a phase of the forward path", request);
  }
  return ::tlm::TLM_ACCEPTED;
}

void AtInitiator::end_request(Request& request, const sc_core::sc_time& time) {
  request.step = Request::Step::accepted;
  requesting_ = nullptr;
  if (time != sc_core::SC_ZERO_TIME)
    request_channel_free_at_ = executor_->now() + to_sim_time(time);
  if (!waiting_.empty() && !sending_) schedule(request_channel_, time);
}

void AtInitiator::complete_at(Request& request, const sc_core::sc_time& time) {
  request.step = Request::Step::answered;
  if (time == sc_core::SC_ZERO_TIME)
    complete(request);
  else
    schedule(request.due, time);
}

void AtInitiator::schedule(Wake& wake, const sc_core::sc_time& time) {
  if (time == sc_core::SC_ZERO_TIME)
    executor_->post(wake);
  else
    executor_->post_at(wake, executor_->now() + to_sim_time(time));
}

void AtInitiator::on_due(Request& request) {
  if (&request == being_sent_)
    due_while_sent_ = true;
  else
    complete(request);
}

void AtInitiator::complete(Request& request) {
  if (requesting_ == &request) requesting_ = nullptr;
  request.step = Request::Step::free;
  --in_flight_;
  if (request.end_response) {
    responding_ = nullptr;
    ::tlm::tlm_phase phase = ::tlm::END_RESP;
    sc_core::sc_time time = sc_core::SC_ZERO_TIME;
    port_.nb_transport_fw(request, phase, time);
  }
  DmaTransaction& t = *request.transaction;
  if (request.get_ref_count() == 1)
    request.data.swap(t.buffer);
  else if (!t.write) // the target still holds the payload, and with it the data
    t.buffer.assign(request.data.begin(), request.data.begin() + t.len);
  const DmaStatus status = status_of(request);
  request.release();
  port_.on_response(t, status);
  send_waiting();
}

AtInitiator::Request* AtInitiator::find(const ::tlm::tlm_generic_payload& payload) const {
  const RequestTag* tag = payload.get_extension<RequestTag>();
  return tag && tag->request == &payload && tag->request->owner == this ? tag->request : nullptr;
}

void AtInitiator::add_outstanding_to(std::vector<OutstandingRequest>& list) const {
  for (const Request* request : requests_)
    if (request->step != Request::Step::free)
      list.push_back({request->transaction, request->since});
}

void AtInitiator::violation(std::string_view text, const Request* request) const {
  std::string message = fmt::format("the target of {} {}", name_, text);
  if (request && request->step != Request::Step::free)
    message += ": " + to_string(*request->transaction);
  else if (request)
    message += ": it is complete";
  SC_REPORT_ERROR("/virtio-tlm/dma_port", message.c_str());
}

} // namespace virtio::tlm2
