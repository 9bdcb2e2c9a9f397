#include <virtio/rtl/systemc/axi4_tlm.hpp>

#include <algorithm>
#include <stdexcept>

namespace virtio::rtl::systemc {

using ::tlm::tlm_generic_payload;

namespace {

void report(const std::optional<cosim::Finding>& finding) {
  if (finding)
    SC_REPORT_ERROR("/virtio-tlm/rtl", (finding->rule + " " + finding->evidence).c_str());
}

} // namespace

::tlm::tlm_response_status to_tlm(bus::AxiResp resp) {
  if (resp == bus::AxiResp::decerr) return ::tlm::TLM_ADDRESS_ERROR_RESPONSE;
  return resp == bus::AxiResp::slverr ? ::tlm::TLM_GENERIC_ERROR_RESPONSE : ::tlm::TLM_OK_RESPONSE;
}

bus::AxiResp to_axi(::tlm::tlm_response_status status) {
  if (status == ::tlm::TLM_OK_RESPONSE) return bus::AxiResp::okay;
  return status == ::tlm::TLM_ADDRESS_ERROR_RESPONSE ? bus::AxiResp::decerr : bus::AxiResp::slverr;
}

AxiToTlm::AxiToTlm(sc_core::sc_module_name name, const Params& params, Axi4Wires& manager)
    : TickedModule(name, params.period), socket("socket"), manager_(manager),
      target_(*this, params.axi), checker_(this->name(), {.bus_bytes = params.axi.bus_bytes}) {
  if (params.under_way == 0 || params.under_way > 1024)
    throw std::invalid_argument("under_way is to be 1 to 1024");
  for (std::size_t i = 0; i < params.under_way; ++i) {
    Transaction& t = transactions_.emplace_back();
    sc_core::sc_spawn([this, &t] { work(t); }, sc_core::sc_gen_unique_name("work"));
  }
}

bool AxiToTlm::tick() {
  target_.drive(pins_);
  manager_.settle(pins_);
  report(checker_.cycle(cycles(), pins_));
  const bus::Axi4Pins sampled = pins_;
  manager_.edge(sampled);
  target_.edge(sampled);
  return !target_.idle() || !manager_.idle();
}

void AxiToTlm::begin(const bus::AxiAccess& access) {
  accesses_.push_back(access);
  start();
}

bool AxiToTlm::must_wait(std::deque<bus::AxiAccess>::const_iterator access) const {
  const auto behind = [&](const bus::AxiAccess& earlier) {
    return bus::goes_behind(*access, earlier);
  };
  return std::any_of(accesses_.begin(), access, behind) ||
         std::ranges::any_of(transactions_,
                             [&](const Transaction& t) { return t.busy && behind(t.access); });
}

/// Gives idle threads what may begin, the oldest first.
void AxiToTlm::start() {
  auto idle = transactions_.begin();
  for (auto access = accesses_.begin(); access != accesses_.end();) {
    idle = std::find_if(idle, transactions_.end(), [](const Transaction& t) { return !t.busy; });
    if (idle == transactions_.end()) return;
    if (must_wait(access)) {
      ++access;
      continue;
    }
    idle->access = std::move(*access);
    idle->busy = true;
    idle->work.notify(sc_core::SC_ZERO_TIME);
    access = accesses_.erase(access);
  }
}

void AxiToTlm::work(Transaction& t) {
  for (;;) {
    while (!t.busy)
      sc_core::wait(t.work);
    bus::AxiAccess& access = t.access;
    tlm_generic_payload& payload = t.payload;
    access.data.resize(access.length);
    const bool partial = std::ranges::find(access.enables, 0) != access.enables.end();
    payload.set_command(access.write ? ::tlm::TLM_WRITE_COMMAND : ::tlm::TLM_READ_COMMAND);
    payload.set_address(access.address);
    payload.set_data_ptr(reinterpret_cast<unsigned char*>(access.data.data()));
    payload.set_data_length(static_cast<unsigned>(access.length));
    payload.set_streaming_width(static_cast<unsigned>(access.length));
    payload.set_byte_enable_ptr(partial ? access.enables.data() : nullptr);
    payload.set_byte_enable_length(partial ? static_cast<unsigned>(access.length) : 0);
    payload.set_dmi_allowed(false);
    payload.set_response_status(::tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay;
    socket->b_transport(payload, delay);
    if (delay != sc_core::SC_ZERO_TIME) sc_core::wait(delay);
    target_.complete(access.tag, access.data, to_axi(payload.get_response_status()));
    t.busy = false;
    start();
    wake();
  }
}

TlmToAxi::TlmToAxi(sc_core::sc_module_name name, const Params& params, Axi4Wires& subordinate)
    : TickedModule(name, params.period), socket("socket"), subordinate_(subordinate),
      size_(params.size), initiator_(params.axi),
      checker_(this->name(), {.bus_bytes = params.axi.bus_bytes}), requests_("requests") {
  socket.register_b_transport(this, &TlmToAxi::b_transport);
  socket.register_nb_transport_fw(this, &TlmToAxi::nb_transport_fw);
  SC_HAS_PROCESS(TlmToAxi);
  SC_METHOD(on_requests);
  sensitive << requests_.get_event();
  dont_initialize();
  SC_METHOD(respond);
  sensitive << respond_;
  dont_initialize();
}

bool TlmToAxi::tick() {
  initiator_.drive(pins_);
  subordinate_.settle(pins_);
  report(checker_.cycle(cycles(), pins_));
  const bus::Axi4Pins sampled = pins_;
  subordinate_.edge(sampled);
  initiator_.edge(sampled);
  return !initiator_.idle() || !subordinate_.idle();
}

bool TlmToAxi::refused(tlm_generic_payload& payload) const {
  auto status = ::tlm::TLM_INCOMPLETE_RESPONSE;
  if (payload.get_command() == ::tlm::TLM_IGNORE_COMMAND)
    status = ::tlm::TLM_OK_RESPONSE;
  else if (payload.get_data_length() == 0 || payload.get_data_ptr() == nullptr)
    status = ::tlm::TLM_GENERIC_ERROR_RESPONSE;
  else if (payload.get_address() > ~std::uint64_t{payload.get_data_length() - 1})
    status = ::tlm::TLM_ADDRESS_ERROR_RESPONSE;
  else if (payload.get_streaming_width() < payload.get_data_length())
    status = ::tlm::TLM_BURST_ERROR_RESPONSE;
  else if (payload.get_byte_enable_ptr() && payload.get_byte_enable_length() == 0)
    status = ::tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
  payload.set_response_status(status);
  return status != ::tlm::TLM_INCOMPLETE_RESPONSE;
}

/// Reads with byte enables read all, and leave the bytes that are not enabled as they are.
void TlmToAxi::issue(tlm_generic_payload& payload, bus::Axi4Initiator::Done done) {
  bus::AxiCall call{.write = payload.is_write(), .address = payload.get_address(), .size = size_};
  const auto* bytes = reinterpret_cast<const std::byte*>(payload.get_data_ptr());
  call.data.assign(bytes, bytes + payload.get_data_length());
  const auto enabled = [&payload](std::size_t i) {
    const std::uint8_t* enables = payload.get_byte_enable_ptr();
    return !enables || enables[i % payload.get_byte_enable_length()] == TLM_BYTE_ENABLED;
  };
  if (call.write)
    for (std::size_t i = 0; i < call.data.size(); ++i)
      call.enables.push_back(enabled(i) ? 0xff : 0);
  initiator_.issue(std::move(call), [&payload, enabled, done](bus::AxiCall& answer) {
    if (payload.is_read() && answer.resp == bus::AxiResp::okay)
      for (std::size_t i = 0; i < answer.data.size(); ++i)
        if (enabled(i)) payload.get_data_ptr()[i] = std::to_integer<unsigned char>(answer.data[i]);
    payload.set_response_status(to_tlm(answer.resp));
    done(answer);
  });
  wake();
}

void TlmToAxi::b_transport(tlm_generic_payload& payload, sc_core::sc_time& delay) {
  if (refused(payload)) return;
  if (delay != sc_core::SC_ZERO_TIME) sc_core::wait(delay);
  delay = sc_core::SC_ZERO_TIME;
  sc_core::sc_event answered;
  bool done = false;
  issue(payload, [&](bus::AxiCall&) {
    done = true;
    answered.notify();
  });
  while (!done)
    sc_core::wait(answered);
}

::tlm::tlm_sync_enum TlmToAxi::nb_transport_fw(tlm_generic_payload& payload,
                                               ::tlm::tlm_phase& phase, sc_core::sc_time& time) {
  if (phase == ::tlm::BEGIN_REQ) {
    payload.acquire();
    requests_.notify(payload, time);
    phase = ::tlm::END_REQ;
    return ::tlm::TLM_UPDATED;
  }
  if (phase == ::tlm::END_RESP && responding_ == &payload) {
    responding_ = nullptr;
    payload.release();
    respond_.notify(time);
    return ::tlm::TLM_COMPLETED;
  }
  SC_REPORT_ERROR("/virtio-tlm/rtl", "a phase that is not the initiator's turn");
  return ::tlm::TLM_ACCEPTED;
}

void TlmToAxi::on_requests() {
  while (tlm_generic_payload* payload = requests_.get_next_transaction()) {
    const auto answer = [this, payload] {
      responses_.push_back(payload);
      respond_.notify(sc_core::SC_ZERO_TIME);
    };
    if (refused(*payload))
      answer();
    else
      issue(*payload, [answer](bus::AxiCall&) { answer(); });
  }
}

void TlmToAxi::respond() {
  if (responding_ || responses_.empty()) return;
  responding_ = responses_.front();
  responses_.pop_front();
  tlm_generic_payload& payload = *responding_;
  ::tlm::tlm_phase phase = ::tlm::BEGIN_RESP;
  sc_core::sc_time time;
  const auto sync = socket->nb_transport_bw(payload, phase, time);
  const bool ended =
      sync == ::tlm::TLM_COMPLETED || (sync == ::tlm::TLM_UPDATED && phase == ::tlm::END_RESP);
  if (!ended || responding_ != &payload) return;
  responding_ = nullptr;
  payload.release();
  if (!responses_.empty()) respond_.notify(time);
}

} // namespace virtio::rtl::systemc
