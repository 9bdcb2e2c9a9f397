// Uart: an ns16550a as firmware and operating systems know it. Its transmitter is never busy; what
// the far end types waits on the line until the receive FIFO has room, so nothing typed is ever
// lost to an overrun.
#pragma once

#include <virtio/platforms/riscv_virt/register_target.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string_view>

namespace virtio::platform {

class Uart : public RegisterTarget {
public:
  static constexpr std::uint64_t size = 0x100;

  sc_core::sc_out<bool> irq;
  /// Called with every byte that software transmits and the time at which it does.
  std::function<void(std::uint8_t byte, sc_core::sc_time time)> on_transmit;

  explicit Uart(sc_core::sc_module_name name);

  /// Types `bytes` at the far end.
  void receive(std::string_view bytes);
  /// Bytes typed that software has not read yet.
  std::size_t unread() const { return line_.size() + fifo_.size(); }

private:
  std::uint64_t read(const RegisterAccess& access) override;
  void write(const RegisterAccess& access, std::uint64_t value) override;

  bool divisor_latch() const { return line_control_ & 0x80; }
  bool loopback() const { return modem_control_ & 0x10; }
  std::size_t fifo_depth() const { return fifo_enabled_ ? 16 : 1; }
  std::uint8_t read_receive_buffer();
  std::uint8_t read_interrupt_identification();
  std::uint8_t read_line_status();
  std::uint8_t read_modem_status();
  void transmit(std::uint8_t byte, sc_core::sc_time time);
  void write_fifo_control(std::uint8_t value);
  void write_modem_control(std::uint8_t value);
  std::uint8_t modem_lines() const;
  std::uint8_t pending_interrupt() const;
  void refill();
  void changed();
  void drive_irq();

  std::deque<std::uint8_t> line_; // typed, not yet in the FIFO
  std::deque<std::uint8_t> fifo_;
  bool fifo_enabled_ = false;
  std::size_t trigger_ = 1;
  bool overrun_ = false;
  bool transmitter_empty_interrupt_ = false;
  std::uint8_t interrupt_enable_ = 0;
  std::uint8_t line_control_ = 0;
  std::uint8_t modem_control_ = 0;
  std::uint8_t modem_delta_ = 0;
  std::uint8_t scratch_ = 0;
  std::uint16_t divisor_ = 0;
  sc_core::sc_event changed_;
};

} // namespace virtio::platform
