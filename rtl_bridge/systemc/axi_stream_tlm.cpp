#include <virtio/rtl/systemc/axi_stream_tlm.hpp>

#include <stdexcept>

namespace virtio::rtl::systemc {

namespace {

void report(const std::optional<cosim::Finding>& finding) {
  if (finding)
    SC_REPORT_ERROR("/virtio-tlm/rtl", (finding->rule + " " + finding->evidence).c_str());
}

} // namespace

AxiStreamToTlm::AxiStreamToTlm(sc_core::sc_module_name name, const Params& params,
                               AxiStreamWires& source)
    : TickedModule(name, params.period), socket("socket"), params_(params), source_(source),
      sink_(params.stream,
            [this](bus::AxiPacket packet) {
              packets_.push_back(std::move(packet));
              work_.notify(sc_core::SC_ZERO_TIME);
            }),
      checker_(this->name(), {.stalled_cycles = ~std::uint64_t{0}}) { // that is the target's doing
  if (params.packets == 0)
    throw std::invalid_argument("packets must not be 0: the stream would never be ready");
  sc_core::sc_spawn([this] { work(); }, sc_core::sc_gen_unique_name("work"));
}

bool AxiStreamToTlm::tick() {
  sink_.drive(pins_);
  pins_.ready = pins_.ready && packets_.size() < params_.packets;
  source_.settle(pins_);
  report(checker_.cycle(cycles(), pins_.beat(params_.stream.bus_bytes)));
  const bus::AxiStreamPins sampled = pins_;
  source_.edge(sampled);
  sink_.edge(sampled);
  return sampled.valid || !sink_.idle() || !source_.idle();
}

void AxiStreamToTlm::work() {
  for (;;) {
    while (packets_.empty())
      sc_core::wait(work_);
    bus::AxiPacket& packet = packets_.front();
    const auto length = static_cast<unsigned>(packet.size());
    payload_.set_write();
    payload_.set_address(params_.address);
    payload_.set_data_ptr(reinterpret_cast<unsigned char*>(packet.data()));
    payload_.set_data_length(length);
    payload_.set_streaming_width(length);
    payload_.set_byte_enable_ptr(nullptr);
    payload_.set_dmi_allowed(false);
    payload_.set_response_status(::tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay;
    socket->b_transport(payload_, delay);
    if (delay != sc_core::SC_ZERO_TIME) sc_core::wait(delay);
    if (payload_.is_response_error())
      SC_REPORT_ERROR(
          "/virtio-tlm/rtl",
          ("a packet of a stream was refused: " + payload_.get_response_string()).c_str());
    packets_.pop_front();
    wake();
  }
}

TlmToAxiStream::TlmToAxiStream(sc_core::sc_module_name name, const Params& params,
                               AxiStreamWires& sink)
    : TickedModule(name, params.period), socket("socket"), params_(params), sink_(sink),
      source_(params.stream), checker_(this->name()) {
  socket.register_b_transport(this, &TlmToAxiStream::b_transport);
}

bool TlmToAxiStream::tick() {
  source_.drive(pins_);
  sink_.settle(pins_);
  report(checker_.cycle(cycles(), pins_.beat(params_.stream.bus_bytes)));
  const bus::AxiStreamPins sampled = pins_;
  sink_.edge(sampled);
  source_.edge(sampled);
  if (sampled.valid && sampled.ready && sampled.last) {
    ++sent_;
    sent_one_.notify();
  }
  return !source_.idle() || !sink_.idle();
}

void TlmToAxiStream::b_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
  const auto length = payload.get_data_length();
  auto status = ::tlm::TLM_OK_RESPONSE;
  if (payload.is_read())
    status = ::tlm::TLM_COMMAND_ERROR_RESPONSE;
  else if (payload.is_write() && (length == 0 || payload.get_data_ptr() == nullptr))
    status = ::tlm::TLM_GENERIC_ERROR_RESPONSE;
  else if (payload.get_streaming_width() < length)
    status = ::tlm::TLM_BURST_ERROR_RESPONSE;
  else if (payload.get_byte_enable_ptr() != nullptr)
    status = ::tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE;
  payload.set_response_status(status);
  if (status != ::tlm::TLM_OK_RESPONSE || !payload.is_write()) return;
  if (delay != sc_core::SC_ZERO_TIME) sc_core::wait(delay);
  delay = sc_core::SC_ZERO_TIME;
  const auto* bytes = reinterpret_cast<const std::byte*>(payload.get_data_ptr());
  source_.send({bytes, bytes + length});
  const std::uint64_t own = ++asked_;
  wake();
  while (sent_ < own)
    sc_core::wait(sent_one_);
}

} // namespace virtio::rtl::systemc
