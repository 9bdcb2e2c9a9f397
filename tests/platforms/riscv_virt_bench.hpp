// The CPU-side pieces of the RISC-V platform on a bus, enough to boot firmware: what tests of the
// CPU and of U-Boot use.
#pragma once

#include <virtio/platforms/riscv_virt/clint.hpp>
#include <virtio/platforms/riscv_virt/console_script.hpp>
#include <virtio/platforms/riscv_virt/cpu.hpp>
#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/riscv_virt/finisher.hpp>
#include <virtio/platforms/riscv_virt/plic.hpp>
#include <virtio/platforms/riscv_virt/uart.hpp>
#include <virtio/platforms/riscv_virt/uart_log.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/router.hpp>

#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace virtio::platform::test {

struct Bench {
  static constexpr std::uint64_t ram_size = 256ull << 20;
  static constexpr std::uint64_t device_tree_offset = 0x100'0000;

  tlm2::Router router{"router"};
  tlm2::Memory ram{"ram", {.size = ram_size}};
  Uart uart{"uart"};
  Clint clint{"clint", 10'000'000};
  Plic plic{"plic"};
  Finisher finisher{"finisher"};
  sc_core::sc_signal<bool> uart_irq{"uart_irq"};
  sc_core::sc_signal<bool> software_irq{"software_irq"};
  sc_core::sc_signal<bool> timer_irq{"timer_irq"};
  sc_core::sc_vector<sc_core::sc_signal<bool>> external_irq{"external_irq", Plic::contexts};
  Cpu cpu;
  UartLog log;
  std::string printed;

  explicit Bench(CpuParams params = {}) : cpu("cpu", on_ram(params)) {
    cpu.socket.bind(router.initiators);
    router.map({memory_map::ram_base, ram_size}, ram.socket, "ram");
    router.map(memory_map::uart, uart.socket, "uart");
    router.map(memory_map::clint, clint.socket, "clint");
    router.map(memory_map::plic, plic.socket, "plic");
    router.map(memory_map::finisher, finisher.socket, "finisher");
    uart.irq.bind(uart_irq);
    plic.source[interrupt::uart].bind(uart_irq);
    clint.software_irq.bind(software_irq);
    clint.timer_irq.bind(timer_irq);
    plic.irq.bind(external_irq);
    uart.on_transmit = [this](std::uint8_t byte, sc_core::sc_time time) {
      log.add(byte, time);
      printed.push_back(static_cast<char>(byte));
    };
    cpu.on_stop = [] { sc_core::sc_stop(); };
  }

  static CpuParams on_ram(CpuParams params) {
    params.ram = {memory_map::ram_base, ram_size};
    params.entry = memory_map::ram_base;
    params.device_tree = memory_map::ram_base + device_tree_offset;
    return params;
  }

  void load(std::uint64_t offset, std::span<const std::byte> bytes) {
    std::memcpy(ram.data() + offset, bytes.data(), bytes.size());
  }
  void load(const std::vector<std::uint32_t>& program) {
    load(0, std::as_bytes(std::span(program)));
  }
};

} // namespace virtio::platform::test
