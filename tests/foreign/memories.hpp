// Three memories as platforms have them: loosely timed without and with DMI, and approximately
// timed. Nothing in them knows of virtio.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/peq_with_cb_and_phase.h>
#include <tlm_utils/simple_target_socket.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <set>
#include <vector>

namespace foreign {

/// Bytes, and how a transaction acts on them.
class Storage {
public:
  explicit Storage(std::uint64_t size) : bytes_(size) {}

  void access(tlm::tlm_generic_payload& request) {
    const std::uint64_t address = request.get_address();
    const unsigned length = request.get_data_length();
    if (address > bytes_.size() || length > bytes_.size() - address)
      request.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    else if (request.get_byte_enable_ptr())
      request.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    else if (request.get_streaming_width() < length)
      request.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    else {
      if (request.is_read())
        std::memcpy(request.get_data_ptr(), bytes_.data() + address, length);
      else if (request.is_write())
        std::memcpy(bytes_.data() + address, request.get_data_ptr(), length);
      request.set_response_status(tlm::TLM_OK_RESPONSE);
    }
  }

  unsigned char* data() { return bytes_.data(); }
  std::uint64_t size() const { return bytes_.size(); }

private:
  std::vector<unsigned char> bytes_;
};

/// Loosely timed: b_transport annotates its latency; DMI if asked for.
class LtMemory : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<LtMemory> socket{"socket"};
  enum class Dmi { refused, granted };

  LtMemory(sc_core::sc_module_name name, std::uint64_t size, Dmi dmi)
      : sc_module(name), storage_(size) {
    socket.register_b_transport(this, &LtMemory::b_transport);
    if (dmi == Dmi::granted) socket.register_get_direct_mem_ptr(this, &LtMemory::grant);
  }

private:
  void b_transport(tlm::tlm_generic_payload& request, sc_core::sc_time& delay) {
    storage_.access(request);
    delay += sc_core::sc_time(20, sc_core::SC_NS);
  }

  bool grant(tlm::tlm_generic_payload&, tlm::tlm_dmi& dmi) {
    dmi.set_dmi_ptr(storage_.data());
    dmi.set_start_address(0);
    dmi.set_end_address(storage_.size() - 1);
    dmi.allow_read_write();
    return true;
  }

  Storage storage_;
};

// Two steps that an AtMemory takes between the phases of the base protocol.
DECLARE_EXTENDED_PHASE(accept_step);
DECLARE_EXTENDED_PHASE(respond_step);

/// Approximately timed: four phases over nb_transport and a payload event queue. It takes a request
/// every 5 ns and answers each 40 ns later, so several are under way at once. Callers of
/// b_transport get there through the socket's own adaptor, which plays the initiator's part of the
/// protocol for them; a device that speaks nb_transport has the `direct` socket to itself.
class AtMemory : public sc_core::sc_module {
public:
  tlm_utils::simple_target_socket<AtMemory> socket{"socket"};

  /// Its addresses are those of the whole platform.
  tlm_utils::simple_target_socket<AtMemory> direct{"direct"};

  /// `base` is where the platform has this memory.
  AtMemory(sc_core::sc_module_name name, std::uint64_t size, std::uint64_t base)
      : sc_module(name), storage_(size), base_(base) {
    socket.register_nb_transport_fw(this, &AtMemory::nb_transport_fw);
    direct.register_nb_transport_fw(this, &AtMemory::direct_nb_transport_fw);
  }

  unsigned direct_requests() const { return direct_requests_; }
  /// The most requests that were under way at once.
  unsigned most_outstanding() const { return most_outstanding_; }

private:
  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload& request, tlm::tlm_phase& phase,
                                     sc_core::sc_time& delay) {
    if (phase == tlm::BEGIN_REQ) request.acquire();
    events_.notify(request, phase, delay);
    return tlm::TLM_ACCEPTED;
  }

  tlm::tlm_sync_enum direct_nb_transport_fw(tlm::tlm_generic_payload& request,
                                            tlm::tlm_phase& phase, sc_core::sc_time& delay) {
    if (phase == tlm::BEGIN_REQ) {
      request.set_address(request.get_address() - base_);
      from_direct_.insert(&request);
      ++direct_requests_;
    }
    return nb_transport_fw(request, phase, delay);
  }

  tlm::tlm_sync_enum answer(tlm::tlm_generic_payload& request, tlm::tlm_phase& phase) {
    sc_core::sc_time now;
    auto& way_back = from_direct_.count(&request) ? direct : socket;
    return way_back->nb_transport_bw(request, phase, now);
  }

  void on_event(tlm::tlm_generic_payload& request, const tlm::tlm_phase& phase) {
    if (phase == tlm::BEGIN_REQ) {
      most_outstanding_ = std::max(most_outstanding_, ++outstanding_);
      events_.notify(request, accept_step, sc_core::sc_time(5, sc_core::SC_NS));
    } else if (phase == accept_step) {
      tlm::tlm_phase next = tlm::END_REQ;
      answer(request, next);
      events_.notify(request, respond_step, sc_core::sc_time(35, sc_core::SC_NS));
    } else if (phase == respond_step) {
      storage_.access(request);
      ready_.push_back(&request);
      if (ready_.size() == 1) begin_response();
    } else if (phase == tlm::END_RESP) {
      end_response();
    }
  }

  /// One response at a time (IEEE 1666, 16.2.6): the front of ready_ is the one under way.
  void begin_response() {
    tlm::tlm_phase phase = tlm::BEGIN_RESP;
    const auto sync = answer(*ready_.front(), phase);
    if (sync == tlm::TLM_COMPLETED || (sync == tlm::TLM_UPDATED && phase == tlm::END_RESP))
      end_response();
  }

  void end_response() {
    from_direct_.erase(ready_.front());
    ready_.front()->release();
    ready_.pop_front();
    --outstanding_;
    if (!ready_.empty()) begin_response();
  }

  Storage storage_;
  std::uint64_t base_;
  std::set<tlm::tlm_generic_payload*> from_direct_;
  unsigned direct_requests_ = 0;
  tlm_utils::peq_with_cb_and_phase<AtMemory> events_{this, &AtMemory::on_event};
  std::deque<tlm::tlm_generic_payload*> ready_;
  unsigned outstanding_ = 0;
  unsigned most_outstanding_ = 0;
};

} // namespace foreign
