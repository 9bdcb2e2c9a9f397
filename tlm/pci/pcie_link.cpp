#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>
#include <virtio/tlm/register_access.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace virtio::tlm2 {

namespace {

constexpr unsigned max_workers = 64;

void prepare(::tlm::tlm_generic_payload& payload, bool write, std::uint64_t addr, void* data,
             std::uint32_t len) {
  payload.set_command(write ? ::tlm::TLM_WRITE_COMMAND : ::tlm::TLM_READ_COMMAND);
  payload.set_address(addr);
  payload.set_data_ptr(static_cast<unsigned char*>(data));
  payload.set_data_length(len);
  payload.set_streaming_width(len);
  payload.set_byte_enable_ptr(nullptr);
  payload.set_dmi_allowed(false);
  payload.set_response_status(::tlm::TLM_INCOMPLETE_RESPONSE);
}

} // namespace

PcieLink::PcieLink(sc_core::sc_module_name name, const PcieLinkParams& params,
                   ExecutorModule& executor, std::vector<AddressRange> host_ranges)
    : sc_module(name), timing_(params), executor_(executor.executor()),
      host_ranges_(std::move(host_ranges)) {
  upstream.register_nb_transport_fw(this, &PcieLink::nb_transport_fw);
  upstream.register_b_transport(this, &PcieLink::b_transport);
  upstream.register_transport_dbg(this, &PcieLink::upstream_debug);
  upstream.register_get_direct_mem_ptr(this, &PcieLink::upstream_dmi);
  config.register_b_transport(this, &PcieLink::config_transport);
  config.register_transport_dbg(this, &PcieLink::config_debug);
  memory.register_b_transport(this, &PcieLink::memory_transport);
  memory.register_transport_dbg(this, &PcieLink::memory_debug);
  acceptance_.link = response_channel_.link = direct_acceptance_.link = this;
  acceptance_.call = [](Wake& wake) { static_cast<LinkWake&>(wake).link->on_accepted(); };
  response_channel_.call = [](Wake& wake) { static_cast<LinkWake&>(wake).link->send_responses(); };
  direct_acceptance_.call = [](Wake& wake) {
    static_cast<LinkWake&>(wake).link->on_direct_accepted();
  };
  SC_THREAD(deliver_doorbells);
}

PcieLink::~PcieLink() {
  for (Flight& flight : flights_)
    if (flight.payload && !flight.waiter) flight.payload->release();
  for (::tlm::tlm_generic_payload* payload : responses_)
    payload->release();
  if (responding_) responding_->release();
  if (unaccepted_ && unaccepted_->is_write()) unaccepted_->release();
}

// --- the device's requests -----------------------------------------------------------------------

::tlm::tlm_sync_enum PcieLink::nb_transport_fw(::tlm::tlm_generic_payload& payload,
                                               ::tlm::tlm_phase& phase, sc_core::sc_time& time) {
  if (phase == ::tlm::BEGIN_REQ) return begin_request(payload, phase, time);
  if (phase == ::tlm::END_RESP && responding_ == &payload) {
    on_end_response(time);
    return ::tlm::TLM_COMPLETED;
  }
  if (phase <= ::tlm::END_RESP)
    SC_REPORT_ERROR("/virtio-tlm/pcie_link",
                    (std::string("the initiator at ") + upstream.name() +
                     " sends a phase that must not follow: only BEGIN_REQ, and END_RESP after "
                     "BEGIN_RESP")
                        .c_str());
  return ::tlm::TLM_ACCEPTED;
}

::tlm::tlm_sync_enum PcieLink::begin_request(::tlm::tlm_generic_payload& payload,
                                             ::tlm::tlm_phase& phase, sc_core::sc_time& time) {
  payload.set_dmi_allowed(false);
  if (const auto refused = refusal(payload)) {
    payload.set_response_status(*refused);
    return ::tlm::TLM_COMPLETED;
  }
  const SimTime at = executor_.now() + to_sim_time(time);
  if (payload.is_write()) {
    if (!mapped(payload.get_address(), payload.get_data_length())) {
      payload.set_response_status(::tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return ::tlm::TLM_COMPLETED;
    }
    const SimTime accepted = send_write(payload, at);
    payload.set_response_status(::tlm::TLM_OK_RESPONSE);
    if (accepted <= at) return ::tlm::TLM_COMPLETED;
    payload.acquire();
    accept_later(payload, accepted);
    return ::tlm::TLM_ACCEPTED;
  }
  payload.acquire();
  const SimTime accepted = send_read(payload, at, nullptr);
  if (accepted > at) {
    accept_later(payload, accepted);
    return ::tlm::TLM_ACCEPTED;
  }
  phase = ::tlm::END_REQ;
  return ::tlm::TLM_UPDATED;
}

void PcieLink::b_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  payload.set_dmi_allowed(false);
  if (const auto refused = refusal(payload)) {
    payload.set_response_status(*refused);
    return;
  }
  const SimTime at = executor_.now() + to_sim_time(delay);
  if (payload.is_write()) {
    if (!mapped(payload.get_address(), payload.get_data_length())) {
      payload.set_response_status(::tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    const SimTime accepted = send_write(payload, at);
    if (accepted > at) delay += to_sc_time(accepted - at);
    payload.set_response_status(::tlm::TLM_OK_RESPONSE);
    return;
  }
  delay = sc_core::SC_ZERO_TIME;
  sc_core::sc_event complete;
  send_read(payload, at, &complete);
  wait(complete);
}

unsigned PcieLink::upstream_debug(::tlm::tlm_generic_payload& payload) {
  return host->transport_dbg(payload);
}

bool PcieLink::upstream_dmi(::tlm::tlm_generic_payload&, ::tlm::tlm_dmi& dmi) {
  dmi.set_start_address(0);
  dmi.set_end_address(~0ull);
  dmi.allow_none();
  return false;
}

bool PcieLink::mapped_elsewhere(std::uint64_t addr, std::uint64_t len) {
  const auto range =
      std::find_if(host_ranges_.begin(), host_ranges_.end(),
                   [&](const AddressRange& each) { return each.contains(addr, len); });
  if (range == host_ranges_.end()) return false;
  std::swap(*range, host_ranges_.front()); // the next one is likely to be there, too
  return true;
}

PcieLink::Flight& PcieLink::new_flight() {
  if (!free_flights_) {
    Flight& flight = flights_.emplace_back();
    flight.link = this;
    flight.call = [](Wake& wake) {
      Flight& self = static_cast<Flight&>(wake);
      self.link->on_due(self);
    };
    free_flights_ = &flight;
  }
  Flight& flight = *free_flights_;
  free_flights_ = flight.next;
  ++in_flight_;
  flight.at_host_time = false;
  flight.unmapped = false;
  flight.status = ::tlm::TLM_OK_RESPONSE;
  return flight;
}

PcieLink::Flight& PcieLink::new_flight(const ::tlm::tlm_generic_payload& payload) {
  Flight& flight = new_flight();
  flight.write = payload.is_write();
  flight.addr = payload.get_address();
  flight.len = payload.get_data_length();
  const auto* info = payload.get_extension<DmaInfo>();
  flight.access = info ? static_cast<std::size_t>(info->kind) : unknown_access;
  flight.queue = info ? info->queue : 0;
  return flight;
}

void PcieLink::release(Flight& flight) {
  flight.payload = nullptr;
  flight.waiter = nullptr;
  flight.transaction = nullptr;
  flight.next = free_flights_;
  free_flights_ = &flight;
  --in_flight_;
}

SimTime PcieLink::send_write(const ::tlm::tlm_generic_payload& payload, SimTime at) {
  Flight& flight = new_flight(payload);
  const auto bytes = bytes_of(payload);
  flight.data.assign(bytes.begin(), bytes.end());
  return send_write(flight, at);
}

SimTime PcieLink::send_write(Flight& flight, SimTime at) {
  const LinkTiming::Write write = timing_.device_write(at, flight.addr, flight.len, flight.access);
  ++writes_sent_;
  flight.passive = true;
  executor_.post_in_order(writes_lane_, flight, write.arrived);
  return write.accepted;
}

SimTime PcieLink::send_read(::tlm::tlm_generic_payload& payload, SimTime at,
                            sc_core::sc_event* waiter) {
  Flight& flight = new_flight(payload);
  flight.payload = &payload;
  flight.waiter = waiter;
  return send_read(flight, at);
}

SimTime PcieLink::send_read(Flight& flight, SimTime at) {
  flight.unmapped = !mapped(flight.addr, flight.len);
  const LinkTiming::Read read =
      timing_.device_read(at, flight.addr, flight.len, flight.access, flight.unmapped);
  flight.sampled = read.sampled;
  flight.passive = false;
  executor_.post_in_order(reads_lane_, flight, read.complete);
  return read.accepted;
}

void PcieLink::accept_later(::tlm::tlm_generic_payload& payload, SimTime accepted) {
  if (unaccepted_)
    SC_REPORT_ERROR("/virtio-tlm/pcie_link",
                    (std::string("the initiator at ") + upstream.name() +
                     " sends BEGIN_REQ before the END_REQ or BEGIN_RESP of its request before")
                        .c_str());
  unaccepted_ = &payload;
  executor_.post_at(acceptance_, accepted);
}

void PcieLink::on_accepted() {
  ::tlm::tlm_generic_payload& payload = *std::exchange(unaccepted_, nullptr);
  if (payload.is_write()) {
    respond(payload);
    return;
  }
  ::tlm::tlm_phase phase = ::tlm::END_REQ;
  sc_core::sc_time time = sc_core::SC_ZERO_TIME;
  upstream->nb_transport_bw(payload, phase, time);
}

void PcieLink::on_due(Flight& flight) {
  if (!flight.write) {
    const SimTime now = executor_.now();
    const SimTime due = timing_.completion_not_before(now, flight.sampled);
    if (due > now) {
      executor_.post_at(flight, due);
      return;
    }
  }
  if (executor_.ahead() && (flight.waiter || waiting_for_writes_ != 0)) {
    executor_.defer(flight);
    return;
  }
  if (waiting_.empty() && !writing_ && access_by_pointer(flight)) {
    on_performed(flight);
    return;
  }
  if (executor_.ahead()) {
    executor_.defer(flight);
    return;
  }
  waiting_.push_back(&flight);
  if (waiting_.size() > idle_workers_ && workers_.size() < max_workers) {
    Worker& worker = workers_.emplace_back();
    sc_core::sc_spawn([this, &worker] { work(worker); },
                      sc_core::sc_gen_unique_name("host_worker"));
  }
  work_.notify(sc_core::SC_ZERO_TIME);
}

// --- at the host ---------------------------------------------------------------------------------

/// Where a read's bytes go.
std::byte* PcieLink::destination_of(const Flight& flight) {
  if (!flight.transaction) return bytes_of(*flight.payload).data();
  DmaTransaction& t = *flight.transaction;
  return t.owner ? t.destination : t.buffer.data();
}

bool PcieLink::access_by_pointer(Flight& flight) {
  if (flight.unmapped) {
    flight.status = ::tlm::TLM_ADDRESS_ERROR_RESPONSE;
    return true;
  }
  std::byte* const window = host_port_.window(GuestAddr{flight.addr}, flight.len, flight.write);
  if (!window) return false;
  if (flight.write)
    std::memcpy(window, flight.data.data(), flight.len);
  else
    std::memcpy(destination_of(flight), window, flight.len);
  return true;
}

/// Takes accesses in order; a read may be under way beside others, a write has no write beside it.
void PcieLink::work(Worker& worker) {
  for (;;) {
    while (waiting_.empty() || writing_) {
      ++idle_workers_;
      wait(work_);
      --idle_workers_;
    }
    Flight& flight = *waiting_.front();
    waiting_.pop_front();
    writing_ = flight.write;
    if (!access_by_pointer(flight)) access_by_transport(flight, worker);
    if (flight.write) {
      writing_ = false;
      work_.notify(sc_core::SC_ZERO_TIME);
    }
    on_performed(flight);
  }
}

void PcieLink::access_by_transport(Flight& flight, Worker& worker) {
  ::tlm::tlm_generic_payload& payload = worker.payload;
  const bool known = flight.access != unknown_access;
  payload.set_extension(known ? &worker.info : nullptr);
  worker.info.kind = known ? static_cast<AccessKind>(flight.access) : AccessKind::data;
  worker.info.queue = flight.queue;
  if (flight.transaction) flight.data.resize(flight.len); // its reader may leave meanwhile
  const bool own = flight.write || flight.transaction;
  prepare(payload, flight.write, flight.addr, own ? flight.data.data() : destination_of(flight),
          flight.len);
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  host->b_transport(payload, delay);
  if (delay != sc_core::SC_ZERO_TIME) wait(delay);
  if (flight.write)
    lost_writes_ += payload.is_response_error();
  else
    flight.status = payload.get_response_status();
  if (flight.transaction && flight.status == ::tlm::TLM_OK_RESPONSE)
    std::memcpy(destination_of(flight), flight.data.data(), flight.len);
}

void PcieLink::on_performed(Flight& flight) {
  if (flight.write) {
    ++writes_performed_;
    if (waiting_for_writes_ != 0) write_performed_.notify(sc_core::SC_ZERO_TIME);
    release(flight);
  } else if (flight.transaction) {
    DmaTransaction& transaction = *flight.transaction;
    const DmaStatus status = status_of(flight.status);
    release(flight);
    if (transaction.owner) transaction.destination = nullptr; // has its bytes
    --direct_in_flight_;
    answer_direct(transaction, status);
  } else {
    ::tlm::tlm_generic_payload& payload = *flight.payload;
    sc_core::sc_event* const waiter = flight.waiter;
    payload.set_response_status(flight.status);
    release(flight);
    if (waiter)
      waiter->notify(sc_core::SC_ZERO_TIME);
    else
      respond(payload);
  }
}

/// Takes the reference over.
void PcieLink::respond(::tlm::tlm_generic_payload& payload) {
  responses_.push_back(&payload);
  send_responses();
}

void PcieLink::send_responses() {
  if (sending_responses_) return;
  sending_responses_ = true;
  while (!responses_.empty() && !responding_ && !response_channel_.queued()) {
    ::tlm::tlm_generic_payload& payload = *responses_.front();
    responses_.pop_front();
    responding_ = &payload;
    ::tlm::tlm_phase phase = ::tlm::BEGIN_RESP;
    sc_core::sc_time time = sc_core::SC_ZERO_TIME;
    const ::tlm::tlm_sync_enum sync = upstream->nb_transport_bw(payload, phase, time);
    // END_RESP may have come inside the call.
    if (sync != ::tlm::TLM_ACCEPTED && responding_ == &payload) on_end_response(time);
  }
  sending_responses_ = false;
}

void PcieLink::on_end_response(const sc_core::sc_time& time) {
  std::exchange(responding_, nullptr)->release();
  if (time != sc_core::SC_ZERO_TIME)
    executor_.post_at(response_channel_, executor_.now() + to_sim_time(time));
  else
    send_responses();
}

// --- the CPU's accesses --------------------------------------------------------------------------

void PcieLink::config_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  round_trip(function_config, payload, delay);
}

void PcieLink::memory_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  if (payload.is_write())
    post_doorbell(payload, delay);
  else
    round_trip(function_memory, payload, delay);
}

unsigned PcieLink::config_debug(::tlm::tlm_generic_payload& payload) {
  return function_config->transport_dbg(payload);
}
unsigned PcieLink::memory_debug(::tlm::tlm_generic_payload& payload) {
  return function_memory->transport_dbg(payload);
}

void PcieLink::post_doorbell(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  payload.set_dmi_allowed(false);
  if (const auto refused = refusal(payload)) {
    payload.set_response_status(*refused);
    return;
  }
  const SimTime at = executor_.now() + to_sim_time(delay);
  const LinkTiming::Write write =
      timing_.cpu_write(at, payload.get_address(), payload.get_data_length());
  const unsigned char* const data = payload.get_data_ptr();
  Doorbell& doorbell = doorbells_.emplace_back();
  doorbell.link = this;
  doorbell.addr = payload.get_address();
  doorbell.data.assign(data, data + payload.get_data_length());
  doorbell.at_host_time = !direct_port_;
  doorbell.call = [](Wake& wake) {
    Doorbell& self = static_cast<Doorbell&>(wake);
    self.link->on_arrival(self);
  };
  executor_.post_in_order(doorbells_lane_, doorbell, write.arrived);
  ++doorbells_posted_;
  if (write.accepted > at) delay += to_sc_time(write.accepted - at);
  payload.set_response_status(::tlm::TLM_OK_RESPONSE);
}

void PcieLink::on_arrival(Doorbell& doorbell) {
  if (!direct_port_) {
    ++doorbells_arrived_;
    doorbell_arrived_.notify(sc_core::SC_ZERO_TIME);
  } else if (executor_.ahead() && waiting_for_doorbells_ != 0) {
    executor_.defer(doorbell);
  } else {
    sc_core::sc_time delay;
    deliver_first_doorbell(delay);
    end_first_doorbell();
  }
}

/// A thread: the function may take its time.
void PcieLink::deliver_doorbells() {
  for (;;) {
    while (doorbells_arrived_ == 0)
      wait(doorbell_arrived_);
    --doorbells_arrived_;
    sc_core::sc_time delay;
    deliver_first_doorbell(delay);
    if (delay != sc_core::SC_ZERO_TIME) wait(delay);
    end_first_doorbell();
  }
}

void PcieLink::deliver_first_doorbell(sc_core::sc_time& delay) {
  Doorbell& doorbell = doorbells_.front();
  timing_.advance(executor_.now());
  prepare(doorbell_, true, doorbell.addr, doorbell.data.data(),
          static_cast<std::uint32_t>(doorbell.data.size()));
  function_memory->b_transport(doorbell_, delay);
}

void PcieLink::end_first_doorbell() {
  doorbells_.pop_front();
  ++doorbells_delivered_;
  if (waiting_for_doorbells_ != 0) doorbell_delivered_.notify(sc_core::SC_ZERO_TIME);
}

/// A request that has a completion, which pushes the device's writes before it ahead of itself, as
/// the request pushes the CPU's.
void PcieLink::round_trip(FunctionSocket& function, ::tlm::tlm_generic_payload& payload,
                          sc_core::sc_time& delay) {
  payload.set_dmi_allowed(false);
  if (const auto refused = refusal(payload)) {
    payload.set_response_status(*refused);
    return;
  }
  if (delay != sc_core::SC_ZERO_TIME) wait(std::exchange(delay, sc_core::SC_ZERO_TIME));
  const std::uint32_t len = payload.get_data_length();
  const std::uint64_t doorbells = doorbells_posted_;
  const SimTime there = &function == &function_config
                            ? timing_.cpu_config(executor_.now(), len, payload.is_write())
                            : timing_.cpu_read(executor_.now(), payload.get_address(), len);
  wait(to_sc_time(there - executor_.now()));
  ++waiting_for_doorbells_;
  while (doorbells_delivered_ < doorbells)
    wait(doorbell_delivered_);
  --waiting_for_doorbells_;
  function->b_transport(payload, delay);
  if (delay != sc_core::SC_ZERO_TIME) wait(std::exchange(delay, sc_core::SC_ZERO_TIME));
  payload.set_dmi_allowed(false);
  const std::uint64_t writes = writes_sent_;
  const bool data = payload.is_read() && payload.is_response_ok();
  const SimTime back = timing_.complete_cpu(executor_.now(), data ? len : 0);
  wait(to_sc_time(back - executor_.now()));
  const PcieLinkParams& params = timing_.params();
  if (params.relaxed_ordering || params.id_based_ordering) return;
  ++waiting_for_writes_;
  while (writes_performed_ < writes)
    wait(write_performed_);
  --waiting_for_writes_;
}

} // namespace virtio::tlm2
