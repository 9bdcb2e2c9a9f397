#include <virtio/platforms/driver/interrupts.hpp>

#include <algorithm>
#include <cstring>

namespace virtio::driver {

// --- lines ---------------------------------------------------------------------------------------

namespace {
constexpr std::uint32_t used_buffer = 1; // of DeviceAccess::take_interrupt()
constexpr std::uint32_t configuration = 2;
} // namespace

InterruptLine::InterruptLine(sc_core::sc_module_name name, InterruptLineParams params)
    : sc_module(name), params_(params) {
  if (params_.recovery == sc_core::SC_ZERO_TIME || params_.retry == sc_core::SC_ZERO_TIME)
    SC_REPORT_ERROR("/virtio-tlm/driver/interrupt",
                    "recovery and retry of an interrupt line must be more than 0");
  SC_HAS_PROCESS(InterruptLine);
  SC_THREAD(handle);
}

InterruptLine::Connection::Connection(InterruptLine& line, DeviceAccess& device, Interrupt& used,
                                      Interrupt& config)
    : line_(line), device_(device), used_(used), config_(config) {
  line_.connections_.push_back(this);
  line_.connected_.notify(sc_core::SC_ZERO_TIME);
}

InterruptLine::Connection::~Connection() {
  line_.connections_.remove(this);
  const auto process = sc_core::sc_get_current_process_handle();
  const bool can_wait = process.proc_kind() == sc_core::SC_THREAD_PROC_ && !process.is_unwinding();
  while (can_wait && line_.in_service_ == this)
    sc_core::wait(line_.served_);
  if (line_.in_service_ == this) line_.in_service_ = nullptr;
}

/// Whether a device said that it had raised the line. Register accesses may take time, and
/// connections may come and go meanwhile.
bool InterruptLine::serve_devices() {
  bool claimed = false;
  const std::list<Connection*> all = connections_;
  for (Connection* connection : all) {
    if (std::ranges::find(connections_, connection) == connections_.end()) continue;
    in_service_ = connection;
    const std::uint32_t why = connection->device_.take_interrupt();
    claimed |= why != 0;
    served_.notify(sc_core::SC_ZERO_TIME);
    if (!in_service_) continue;
    in_service_ = nullptr;
    if (why & used_buffer) connection->used_.raise();
    if (why & configuration) connection->config_.raise();
  }
  return claimed;
}

void InterruptLine::handle() {
  for (;;) {
    while (!line.read() || connections_.empty())
      wait(line.value_changed_event() | connected_);
    if (params_.latency != sc_core::SC_ZERO_TIME) wait(params_.latency);
    ++handled_;
    if (serve_devices()) {
      wait(params_.recovery);
    } else {
      ++unclaimed_;
      wait(params_.retry, line.value_changed_event() | connected_);
    }
  }
}

// --- messages ------------------------------------------------------------------------------------

MsixReceiver::MsixReceiver(sc_core::sc_module_name name, MsixReceiverParams params)
    : sc_module(name), params_(params) {
  socket.register_b_transport(this, &MsixReceiver::b_transport);
  SC_HAS_PROCESS(MsixReceiver);
  SC_METHOD(deliver);
  sensitive << due_.get_event();
  dont_initialize();
}

MsixReceiver::Message& MsixReceiver::allocate() {
  const auto number = static_cast<std::uint32_t>(messages_.size());
  Message& message = messages_.emplace_back();
  message.address = params_.base + 4 * std::uint64_t{number} % size;
  message.data = number;
  return message;
}

MsixReceiver::Message* MsixReceiver::find(std::uint64_t offset, std::uint32_t data) {
  if (data >= messages_.size() || messages_[data].address != params_.base + offset) return nullptr;
  return &messages_[data];
}

void MsixReceiver::b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  transaction.set_dmi_allowed(false);
  const std::uint64_t offset = transaction.get_address();
  if (!transaction.is_write() || transaction.get_data_length() != 4 || offset % 4 != 0 ||
      transaction.get_byte_enable_ptr()) {
    ++unexpected_;
    transaction.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
    return;
  }
  le32 data;
  std::memcpy(static_cast<void*>(&data), transaction.get_data_ptr(), 4);
  if (Message* message = find(offset, data))
    due_.notify(*message, delay + params_.latency);
  else
    ++unexpected_;
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

void MsixReceiver::deliver() {
  while (Message* message = due_.get_next_transaction()) {
    ++received_;
    message->interrupt.raise();
  }
}

} // namespace virtio::driver
