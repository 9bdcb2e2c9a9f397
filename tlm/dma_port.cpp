#include <virtio/tlm/dma_port.hpp>

#include <algorithm>

namespace virtio::tlm2 {

TlmDmaPort::TlmDmaPort(sc_core::sc_module_name name, DmaPortParams params)
    : sc_module(name), socket("socket"), params_(params) {
  if (params_.outstanding < 1 || params_.outstanding > 1024)
    SC_REPORT_FATAL("/virtio-tlm/dma_port", "outstanding must be 1..1024");
  socket.register_invalidate_direct_mem_ptr(this, &TlmDmaPort::invalidate_direct_mem_ptr);
}

bool TlmDmaPort::map(GuestAddr addr, bool write, Window& window) {
  if (!params_.dmi) return false;
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
  waiting_.push_back(&transaction);
  if (waiting_.size() > idle_workers_ && workers_ < params_.outstanding) {
    ++workers_;
    sc_core::sc_spawn([this] { worker(); }, sc_core::sc_gen_unique_name("worker"));
  }
  work_.notify(sc_core::SC_ZERO_TIME);
}

void TlmDmaPort::worker() {
  // A thread's stack is not unwound when the simulation ends: what it owns lives in the port.
  tlm::tlm_generic_payload& payload = payloads_.emplace_back();
  for (;;) {
    while (waiting_.empty()) {
      ++idle_workers_;
      wait(work_);
      --idle_workers_;
    }
    DmaTransaction& t = *waiting_.front();
    waiting_.pop_front();
    if (!enabled()) { // switched off while it waited for its turn
      answer(t, DmaStatus::address_error);
      continue;
    }
    payload.set_command(t.write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
    payload.set_address(raw(t.addr));
    payload.set_data_ptr(reinterpret_cast<unsigned char*>(t.buffer.data()));
    payload.set_data_length(t.len);
    payload.set_streaming_width(t.len);
    payload.set_byte_enable_ptr(nullptr);
    payload.set_dmi_allowed(false);
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    socket->b_transport(payload, delay);
    if (params_.timed && delay != sc_core::SC_ZERO_TIME) wait(delay);
    switch (payload.get_response_status()) {
    case tlm::TLM_OK_RESPONSE:
      answer(t, DmaStatus::ok);
      break;
    case tlm::TLM_ADDRESS_ERROR_RESPONSE:
      answer(t, DmaStatus::address_error);
      break;
    default:
      answer(t, DmaStatus::bus_error);
      break;
    }
  }
}

} // namespace virtio::tlm2
