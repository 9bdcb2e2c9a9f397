#include <virtio/platforms/riscv_virt/uart.hpp>

#include <array>

namespace virtio::platform {

namespace {

// Registers; the first two show the divisor while LCR's divisor latch bit is set.
enum Register : std::uint64_t { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

enum InterruptEnable : std::uint8_t { received = 1, transmitter_empty = 2, line = 4, modem = 8 };

enum InterruptId : std::uint8_t {
  id_modem = 0x0,
  id_none = 0x1,
  id_transmitter_empty = 0x2,
  id_received = 0x4,
  id_line = 0x6,
  id_timeout = 0xc,
};

enum LineStatus : std::uint8_t { data_ready = 0x01, overrun = 0x02, thre = 0x20, temt = 0x40 };

} // namespace

Uart::Uart(sc_core::sc_module_name name) : RegisterTarget(name, size, 1 | 2 | 4 | 8), irq("irq") {
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.set_sensitivity(&changed_);
  sc_core::sc_spawn([this] { drive_irq(); }, "drive_irq", &options);
}

void Uart::receive(std::string_view bytes) {
  line_.insert(line_.end(), bytes.begin(), bytes.end());
  refill();
  changed();
}

std::uint64_t Uart::read(const RegisterAccess& access) {
  switch (access.offset) {
  case RBR_THR:
    return divisor_latch() ? divisor_ & 0xff : read_receive_buffer();
  case IER:
    return divisor_latch() ? divisor_ >> 8 : interrupt_enable_;
  case IIR_FCR:
    return read_interrupt_identification();
  case LCR:
    return line_control_;
  case MCR:
    return modem_control_;
  case LSR:
    return read_line_status();
  case MSR:
    return read_modem_status();
  case SCR:
    return scratch_;
  default:
    return 0;
  }
}

void Uart::write(const RegisterAccess& access, std::uint64_t value) {
  const auto byte = static_cast<std::uint8_t>(value);
  switch (access.offset) {
  case RBR_THR:
    if (divisor_latch())
      divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff00) | byte);
    else
      transmit(byte, access.time);
    break;
  case IER:
    if (divisor_latch()) {
      divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff) | byte << 8);
    } else {
      if (byte & ~interrupt_enable_ & transmitter_empty) transmitter_empty_interrupt_ = true;
      interrupt_enable_ = byte & 0x0f;
    }
    break;
  case IIR_FCR:
    write_fifo_control(byte);
    break;
  case LCR:
    line_control_ = byte;
    break;
  case MCR:
    write_modem_control(byte);
    break;
  case SCR:
    scratch_ = byte;
    break;
  default:
    break;
  }
  changed();
}

std::uint8_t Uart::read_receive_buffer() {
  if (fifo_.empty()) return 0;
  const auto byte = fifo_.front();
  fifo_.pop_front();
  refill();
  changed();
  return byte;
}

/// Reading it ends the transmitter-empty interrupt, if that is the one it shows.
std::uint8_t Uart::read_interrupt_identification() {
  const auto id = pending_interrupt();
  if (id == id_transmitter_empty) {
    transmitter_empty_interrupt_ = false;
    changed();
  }
  return static_cast<std::uint8_t>(id | (fifo_enabled_ ? 0xc0 : 0));
}

std::uint8_t Uart::read_line_status() {
  const auto status = static_cast<std::uint8_t>(thre | temt | (fifo_.empty() ? 0 : data_ready) |
                                                (overrun_ ? overrun : 0));
  if (overrun_) {
    overrun_ = false;
    changed();
  }
  return status;
}

std::uint8_t Uart::read_modem_status() {
  const auto status = static_cast<std::uint8_t>(modem_lines() | modem_delta_);
  if (modem_delta_) {
    modem_delta_ = 0;
    changed();
  }
  return status;
}

void Uart::transmit(std::uint8_t byte, sc_core::sc_time time) {
  transmitter_empty_interrupt_ = true;
  if (!loopback()) {
    if (on_transmit) on_transmit(byte, time);
  } else if (fifo_.size() < fifo_depth()) {
    fifo_.push_back(byte);
  } else {
    overrun_ = true;
  }
}

void Uart::write_fifo_control(std::uint8_t value) {
  constexpr std::array<std::size_t, 4> triggers{1, 4, 8, 14};
  const bool enable = value & 1;
  if (enable != fifo_enabled_ || (enable && (value & 2))) fifo_.clear();
  fifo_enabled_ = enable;
  trigger_ = enable ? triggers[value >> 6] : 1;
  refill();
}

void Uart::write_modem_control(std::uint8_t value) {
  const auto before = modem_lines();
  modem_control_ = value & 0x1f;
  modem_delta_ |= static_cast<std::uint8_t>((before ^ modem_lines()) >> 4);
  refill();
}

/// CTS, DSR, RI and DCD: a cable that is plugged in, or in loopback what MCR drives.
std::uint8_t Uart::modem_lines() const {
  if (!loopback()) return 0xb0;
  const unsigned dtr = modem_control_ & 1;
  const unsigned rts = modem_control_ >> 1 & 1;
  const unsigned outputs = modem_control_ >> 2 & 3;
  return static_cast<std::uint8_t>(rts << 4 | dtr << 5 | outputs << 6);
}

std::uint8_t Uart::pending_interrupt() const {
  if ((interrupt_enable_ & line) && overrun_) return id_line;
  if ((interrupt_enable_ & received) && !fifo_.empty())
    return fifo_.size() >= trigger_ ? id_received : id_timeout;
  if ((interrupt_enable_ & transmitter_empty) && transmitter_empty_interrupt_)
    return id_transmitter_empty;
  if ((interrupt_enable_ & modem) && modem_delta_) return id_modem;
  return id_none;
}

void Uart::refill() {
  if (loopback()) return;
  while (!line_.empty() && fifo_.size() < fifo_depth()) {
    fifo_.push_back(line_.front());
    line_.pop_front();
  }
}

/// Registers are written by many processes, the line is driven by one.
void Uart::changed() {
  changed_.notify(sc_core::SC_ZERO_TIME);
}

void Uart::drive_irq() {
  irq.write(pending_interrupt() != id_none);
}

} // namespace virtio::platform
