// A target that answers by nb_transport in every way the base protocol allows, and checks that the
// initiator keeps the rules (IEEE 1666, 16.2). What it finds wrong is in `errors`.
#pragma once

#include <virtio/core/random.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace virtio::test {

/// How one request is answered.
struct AtAnswer {
  enum class Return : std::uint8_t { completed, begin_resp, end_req, accepted };
  Return first = Return::accepted;
  sc_core::sc_time returned_time{}; ///< annotated on the return
  /// After TLM_ACCEPTED: END_REQ this much later, with this annotation; or left out.
  bool end_req = true;
  sc_core::sc_time end_req_after{};
  sc_core::sc_time end_req_time{};
  /// BEGIN_RESP this much after the request's end (or after the request, if that is left out).
  bool answered = true;
  sc_core::sc_time response_after{};
  sc_core::sc_time response_time{};
  /// The calls that follow at once are made inside the initiator's own call.
  bool inside_call = false;
};

/// Any of the legal ways, with times of 0 to 60 ns in which no time at all is frequent.
inline AtAnswer any_answer(Random& random) {
  const auto time = [&] {
    return random.below(2) ? sc_core::SC_ZERO_TIME
                           : sc_core::sc_time::from_value(random.below(60) * 1000);
  };
  AtAnswer a;
  a.first = static_cast<AtAnswer::Return>(random.below(4));
  a.returned_time = time();
  a.end_req = random.below(2);
  a.end_req_after = time();
  a.end_req_time = time();
  a.response_after = time();
  a.response_time = time();
  a.inside_call = random.below(3) == 0;
  return a;
}

class AtTarget : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<AtTarget> socket{"socket"};
  std::function<AtAnswer(const tlm::tlm_generic_payload&)> choose = [](const auto&) {
    return AtAnswer{};
  };
  /// Does what a request asks for, when it is answered; by default to `memory`.
  std::function<void(tlm::tlm_generic_payload&)> perform = [this](auto& p) { access(p); };
  std::function<void(tlm::tlm_generic_payload&)> on_request = [](auto&) {};
  std::vector<unsigned char> memory = std::vector<unsigned char>(0x10'0000);
  tlm::tlm_response_status response = tlm::TLM_OK_RESPONSE;
  std::vector<std::string> errors;
  std::vector<sc_core::sc_time> request_times;
  std::vector<std::uint64_t> answered_addresses;
  int under_way = 0;
  int most_under_way = 0;

  explicit AtTarget(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_nb_transport_fw(this, &AtTarget::nb_transport_fw);
    socket.register_get_direct_mem_ptr(this, &AtTarget::get_direct_mem_ptr);
  }
  ~AtTarget() override {
    for (auto& [payload, state] : states_)
      payload->release();
  }

private:
  enum class Step : std::uint8_t { requested, ended, responding };
  struct State {
    Step step = Step::requested;
    AtAnswer answer;
    sc_core::sc_time end_response_not_before;
  };

  void check(bool good, const std::string& what) {
    if (!good) errors.push_back(what);
  }

  bool get_direct_mem_ptr(tlm::tlm_generic_payload&, tlm::tlm_dmi&) {
    errors.push_back("asks for DMI");
    return false;
  }

  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload& p, tlm::tlm_phase& phase,
                                     sc_core::sc_time& time) {
    if (phase == tlm::END_RESP) {
      end_response(p, time);
      return tlm::TLM_ACCEPTED;
    }
    check(phase == tlm::BEGIN_REQ, "sends a phase that is not of the forward path");
    check_request(p, time);
    request_times.push_back(sc_core::sc_time_stamp() + time);
    p.acquire();
    on_request(p);
    most_under_way = std::max(most_under_way, ++under_way);
    State& state = states_[&p] = {Step::requested, choose(p), {}};
    requesting_ = &p;
    return answer_request(p, state, phase, time);
  }

  void check_request(tlm::tlm_generic_payload& p, const sc_core::sc_time& time) {
    check(!requesting_, "BEGIN_REQ before the END_REQ of the request before");
    check(sc_core::sc_time_stamp() + time >= channel_free_at_, "BEGIN_REQ before END_REQ's time");
    check(!states_.contains(&p), "a payload in use is used again");
    check(p.has_mm() && p.get_ref_count() >= 1, "no memory management");
    check(p.get_response_status() == tlm::TLM_INCOMPLETE_RESPONSE, "response status is set");
    check(p.get_data_ptr() && p.get_data_length() > 0, "no data");
    check(p.get_streaming_width() >= p.get_data_length(), "streaming");
    check(!p.get_byte_enable_ptr() && !p.is_dmi_allowed(), "byte enables or DMI hint are set");
    check(p.is_read() || p.is_write(), "neither read nor write");
  }

  tlm::tlm_sync_enum answer_request(tlm::tlm_generic_payload& p, State& state,
                                    tlm::tlm_phase& phase, sc_core::sc_time& time) {
    using Return = AtAnswer::Return;
    AtAnswer& a = state.answer;
    if (a.first == Return::begin_resp && responding_) a.first = Return::accepted;
    if (a.first == Return::completed) {
      time += a.returned_time;
      requesting_ = nullptr;
      do_access(p);
      finish(p);
      return tlm::TLM_COMPLETED;
    }
    if (a.first == Return::begin_resp) {
      time += a.returned_time;
      phase = tlm::BEGIN_RESP;
      do_access(p);
      state.step = Step::responding;
      state.end_response_not_before = sc_core::sc_time_stamp() + time;
      responding_ = &p;
      return tlm::TLM_UPDATED;
    }
    if (a.first == Return::end_req) {
      time += a.returned_time;
      phase = tlm::END_REQ;
      channel_free_at_ = sc_core::sc_time_stamp() + time;
      requesting_ = nullptr;
      state.step = Step::ended;
      later(a.response_after, [this, &p] { begin_response(p); });
      return tlm::TLM_UPDATED;
    }
    if (a.end_req)
      later(
          a.end_req_after, [this, &p] { end_request(p); }, a.inside_call);
    else
      later(
          a.response_after, [this, &p] { begin_response(p); }, a.inside_call);
    return tlm::TLM_ACCEPTED;
  }

  /// With no time to wait, a new process runs in this same delta cycle.
  void later(const sc_core::sc_time& after, std::function<void()> what, bool inside_call = false) {
    if (inside_call && after == sc_core::SC_ZERO_TIME) {
      what();
      return;
    }
    sc_core::sc_spawn([after, what] {
      if (after != sc_core::SC_ZERO_TIME) sc_core::wait(after);
      what();
    });
  }

  void end_request(tlm::tlm_generic_payload& p) {
    State& state = states_.at(&p);
    state.step = Step::ended;
    requesting_ = nullptr;
    tlm::tlm_phase phase = tlm::END_REQ;
    sc_core::sc_time time = state.answer.end_req_time;
    channel_free_at_ = sc_core::sc_time_stamp() + time;
    const AtAnswer answer = state.answer;
    check(socket->nb_transport_bw(p, phase, time) == tlm::TLM_ACCEPTED, "END_REQ is not accepted");
    later(
        std::max(answer.response_after, answer.end_req_time), [this, &p] { begin_response(p); },
        answer.inside_call);
  }

  void begin_response(tlm::tlm_generic_payload& p) {
    if (!states_.at(&p).answer.answered) return;
    if (responding_) {
      waiting_responses_.push_back(&p);
      return;
    }
    if (requesting_ == &p) requesting_ = nullptr;
    do_access(p);
    tlm::tlm_phase phase = tlm::BEGIN_RESP;
    sc_core::sc_time time = states_.at(&p).answer.response_time;
    check(socket->nb_transport_bw(p, phase, time) == tlm::TLM_COMPLETED,
          "a response on the backward path is not completed");
    finish(p);
    next_response();
  }
  void next_response() {
    if (waiting_responses_.empty()) return;
    tlm::tlm_generic_payload& next = *waiting_responses_.front();
    waiting_responses_.pop_front();
    later({}, [this, &next] { begin_response(next); });
  }

  void end_response(tlm::tlm_generic_payload& p, const sc_core::sc_time& time) {
    const auto state = states_.find(&p);
    if (state == states_.end() || state->second.step != Step::responding) {
      errors.push_back("END_RESP for no response");
      return;
    }
    check(sc_core::sc_time_stamp() + time >= state->second.end_response_not_before,
          "END_RESP before BEGIN_RESP's time");
    responding_ = nullptr;
    if (requesting_ == &p) requesting_ = nullptr;
    finish(p);
    next_response();
  }

  void do_access(tlm::tlm_generic_payload& p) {
    answered_addresses.push_back(p.get_address());
    perform(p);
    if (response != tlm::TLM_OK_RESPONSE) p.set_response_status(response);
  }
  void access(tlm::tlm_generic_payload& p) {
    const std::uint64_t at = p.get_address();
    if (at > memory.size() || p.get_data_length() > memory.size() - at) {
      p.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    if (p.is_read())
      std::memcpy(p.get_data_ptr(), &memory[at], p.get_data_length());
    else
      std::memcpy(&memory[at], p.get_data_ptr(), p.get_data_length());
    p.set_response_status(tlm::TLM_OK_RESPONSE);
  }

  void finish(tlm::tlm_generic_payload& p) {
    --under_way;
    states_.erase(&p);
    p.release();
  }

  std::map<tlm::tlm_generic_payload*, State> states_; // looked up only
  tlm::tlm_generic_payload* requesting_ = nullptr;
  tlm::tlm_generic_payload* responding_ = nullptr;
  std::deque<tlm::tlm_generic_payload*> waiting_responses_;
  sc_core::sc_time channel_free_at_;
};

/// The same in front of a loosely timed target, which must not wait.
class AtAdaptor : public AtTarget {
public:
  tlm_utils::simple_initiator_socket<AtAdaptor> out{"out"};

  explicit AtAdaptor(sc_core::sc_module_name name) : AtTarget(name) {
    perform = [this](tlm::tlm_generic_payload& p) {
      sc_core::sc_time ignored;
      out->b_transport(p, ignored);
    };
  }
};

} // namespace virtio::test
