#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::tlm2 {

TlmDmaPort::TlmDmaPort(sc_core::sc_module_name name, DmaPortParams params)
    : sc_module(name), socket("socket"), params_(params) {
  if (params_.outstanding < 1 || params_.outstanding > 1024)
    SC_REPORT_FATAL("/virtio-tlm/dma_port", "outstanding must be 1..1024");
  socket.register_invalidate_direct_mem_ptr(this, &TlmDmaPort::invalidate_direct_mem_ptr);
  socket.register_nb_transport_bw(this, &TlmDmaPort::nb_transport_bw);
  worker_call_.port = this;
  worker_call_.at_host_time = true;
  worker_call_.call = [](Wake& wake) { static_cast<WorkerCall&>(wake).port->call_worker(); };
  if (params_.protocol != DmaProtocol::dmi) never_maps();
  if (params_.protocol == DmaProtocol::at)
    at_ = std::make_unique<AtInitiator>(this->name(), static_cast<AtInitiator::Port&>(*this),
                                        params_.outstanding);
  if (params_.watchdog.ps == 0) return;
  SC_HAS_PROCESS(TlmDmaPort);
  SC_METHOD(watch);
  sensitive << watchdog_;
  dont_initialize();
}

bool TlmDmaPort::map(GuestAddr addr, bool write, Window& window) {
  tlm::tlm_generic_payload request;
  tlm::tlm_dmi dmi;
  request.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  request.set_address(raw(addr));
  const bool granted = socket->get_direct_mem_ptr(request, dmi);
  const std::uint64_t start = dmi.get_start_address();
  const std::uint64_t last = dmi.get_end_address();
  if (raw(addr) < start || raw(addr) > last) return false;
  window.base = start;
  window.size = last - start == ~0ull ? ~0ull : last - start + 1;
  if (granted && (write ? dmi.is_write_allowed() : dmi.is_read_allowed())) {
    window.host = reinterpret_cast<std::byte*>(dmi.get_dmi_ptr());
    return true;
  }
  // A refusal covers the range that comes with it, except when the target filled none in.
  window.host = nullptr;
  if (start == 0 && last == ~0ull) {
    window.base = raw(addr) & ~0xfffull;
    window.size = 0x1000;
  }
  return true;
}

void TlmDmaPort::invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end) {
  invalidate(start, end - start == ~0ull ? ~0ull : end - start + 1);
}

void TlmDmaPort::issue(DmaTransaction& transaction) {
  if (direct_) {
    arm_watchdog();
    direct_->issue(transaction);
  } else if (at_)
    at_->issue(transaction, executor_of(transaction));
  else
    issue_to_worker(transaction);
}

void TlmDmaPort::issue_to_worker(DmaTransaction& transaction) {
  waiting_.push(transaction);
  Executor& executor = executor_of(transaction);
  if (!executor.ahead()) {
    call_worker();
  } else if (!worker_call_.queued()) {
    executor.post(worker_call_);
  }
}

void TlmDmaPort::call_worker() {
  if (waiting_.size() > idle_workers_ && workers_.size() < params_.outstanding) {
    // A thread's stack is not unwound when the simulation ends: what it owns lives in the port.
    Worker& worker = workers_.emplace_back();
    worker.info = new DmaInfo;
    worker.payload.set_extension(worker.info); // the payload deletes it
    worker.payload.set_byte_enable_ptr(nullptr);
    sc_core::sc_spawn([this, &worker] { work(worker); }, sc_core::sc_gen_unique_name("worker"));
  }
  work_.notify(sc_core::SC_ZERO_TIME);
}

void TlmDmaPort::work(Worker& worker) {
  for (;;) {
    while (waiting_.empty()) {
      ++idle_workers_;
      wait(work_);
      --idle_workers_;
    }
    DmaTransaction& transaction = waiting_.front();
    waiting_.pop();
    if (const auto status = withdrawn(transaction))
      answer(transaction, *status);
    else
      answer(transaction, transport(worker, transaction));
  }
}

DmaStatus TlmDmaPort::transport(Worker& worker, DmaTransaction& t) {
  tlm::tlm_generic_payload& payload = worker.payload;
  fill(payload, t);
  worker.info->kind = t.kind;
  worker.info->queue = t.queue;
  worker.since = sc_core::sc_time_stamp();
  worker.transaction = &t;
  arm_watchdog();
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  socket->b_transport(payload, delay);
  if (params_.timed && delay != sc_core::SC_ZERO_TIME) wait(delay);
  worker.transaction = nullptr;
  return status_of(payload);
}

tlm::tlm_sync_enum TlmDmaPort::nb_transport_fw(tlm::tlm_generic_payload& payload,
                                               tlm::tlm_phase& phase, sc_core::sc_time& time) {
  arm_watchdog();
  return socket->nb_transport_fw(payload, phase, time);
}

tlm::tlm_sync_enum TlmDmaPort::nb_transport_bw(tlm::tlm_generic_payload& payload,
                                               tlm::tlm_phase& phase, sc_core::sc_time& time) {
  if (at_) return at_->nb_transport_bw(payload, phase, time);
  SC_REPORT_ERROR("/virtio-tlm/dma_port",
                  (std::string("the target of ") + name() +
                   " calls nb_transport_bw, but the port was not given protocol = at")
                      .c_str());
  return tlm::TLM_ACCEPTED;
}

std::optional<DmaStatus> TlmDmaPort::withdrawn_answer(const DmaTransaction& t) const {
  return withdrawn(t);
}

void TlmDmaPort::on_response(DmaTransaction& t, DmaStatus status) {
  answer(t, status);
}

std::vector<OutstandingRequest> TlmDmaPort::requests() const {
  std::vector<OutstandingRequest> list;
  if (at_) at_->add_outstanding_to(list);
  if (direct_) direct_->add_outstanding_to(list);
  for (const Worker& worker : workers_)
    if (worker.transaction) list.push_back({worker.transaction, worker.since});
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.since < b.since; });
  return list;
}

std::string TlmDmaPort::list_of_requests() const {
  std::string text;
  for (const auto& [transaction, since] : requests())
    text += fmt::format("\n  {} for {}", to_string(*transaction),
                        (sc_core::sc_time_stamp() - since).to_string());
  if (const auto waiting =
          waiting_.size() + (at_ ? at_->waiting() : 0) + (direct_ ? direct_->waiting() : 0))
    text += fmt::format("\n  and {} that wait for their turn", waiting);
  return text;
}

void TlmDmaPort::arm_watchdog() {
  if (params_.watchdog.ps == 0 || watchdog_armed_) return;
  watchdog_armed_ = true;
  watchdog_.notify(to_sc_time(params_.watchdog));
}

/// One timer for the oldest request that was not reported; none when there is no such request.
void TlmDmaPort::watch() {
  watchdog_armed_ = false;
  const sc_core::sc_time now = sc_core::sc_time_stamp();
  const sc_core::sc_time patience = to_sc_time(params_.watchdog);
  bool late = false;
  for (const OutstandingRequest& request : requests()) {
    if (reported_ && request.since <= reported_until_) continue;
    if (now - request.since < patience) { // the requests after it are younger
      watchdog_armed_ = true;
      watchdog_.notify(request.since + patience - now);
      break;
    }
    late = true;
  }
  if (!late) return;
  reported_ = true;
  reported_until_ = now - patience;
  SC_REPORT_ERROR("/virtio-tlm/dma_port",
                  fmt::format("{}: no answer from the target for {}. Outstanding:{}", name(),
                              patience.to_string(), list_of_requests())
                      .c_str());
}

void TlmDmaPort::end_of_simulation() {
  if (requests().empty()) return;
  SC_REPORT_WARNING("/virtio-tlm/dma_port",
                    fmt::format("{}: the simulation ends before the target's answers to:{}", name(),
                                list_of_requests())
                        .c_str());
}

} // namespace virtio::tlm2
