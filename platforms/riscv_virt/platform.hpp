// Platform: a computer like QEMU's RISC-V `virt` machine, put together from a configuration, and
// the run of it: firmware boots, a script is typed at its UART, and then, if asked for, our own
// driver takes the devices over. It ends with an outcome, never with an exception of the guest's
// making.
#pragma once

#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/session.hpp>
#include <virtio/platforms/parts/workspace.hpp>
#include <virtio/platforms/riscv_virt/attachment.hpp>
#include <virtio/platforms/riscv_virt/clint.hpp>
#include <virtio/platforms/riscv_virt/console_script.hpp>
#include <virtio/platforms/riscv_virt/cpu.hpp>
#include <virtio/platforms/riscv_virt/finisher.hpp>
#include <virtio/platforms/riscv_virt/plic.hpp>
#include <virtio/platforms/riscv_virt/progress.hpp>
#include <virtio/platforms/riscv_virt/terminal.hpp>
#include <virtio/platforms/riscv_virt/uart.hpp>
#include <virtio/platforms/riscv_virt/uart_log.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/router.hpp>

#include <systemc>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::platform {

/// How a run ended.
struct Outcome {
  bool ok = false;
  std::string text; ///< one sentence
};

class Platform : public sc_core::sc_module {
public:
  /// `interactive`: the UART is the terminal on standard input and output, the script is not typed
  /// and no limit ends the run. Everything referred to must outlive the platform. Throws
  /// SetupError.
  Platform(sc_core::sc_module_name name, const Config& config, const Workspace& workspace,
           Progress& progress, bool interactive);

  /// Simulates until the run ends.
  const Outcome& run();

  const Config& config() const { return config_; }
  const Outcome& outcome() const { return *outcome_; }
  const ConsoleScript* script() const { return script_.get(); }
  /// When each step that passed was done.
  const std::vector<sc_core::sc_time>& step_times() const { return step_times_; }
  const UartLog& uart_log() const { return uart_log_; }
  const Cpu& cpu() const { return cpu_; }
  const Plic& plic() const { return plic_; }
  const tlm2::Router& router() const { return router_; }
  const std::vector<std::unique_ptr<Attachment>>& devices() const { return devices_; }
  /// What our own driver did; empty when it was not asked for.
  const std::vector<driver::Trial>& trials() const { return trials_; }

private:
  void build_bus();
  void build_devices(const Workspace& workspace);
  std::unique_ptr<ConsoleScript> make_script() const;
  void build_console(bool interactive);
  void load_firmware();
  std::vector<std::byte> device_tree() const;

  void transmitted(std::uint8_t byte, sc_core::sc_time time);
  void step_begins(std::size_t step);
  void script_ended();
  void finisher_asked(Finisher::Request request, std::uint16_t code);
  void watch();
  void end(Outcome outcome);
  void supervise();
  void run_own_driver();
  void show_progress();

  const Config& config_;
  Progress& progress_;
  std::ofstream uart_file_;
  UartLog uart_log_;

  tlm2::ExecutorModule executor_{"executor"};
  tlm2::Router router_{"bus"};
  tlm2::Memory ram_;
  Cpu cpu_;
  Uart uart_{"uart"};
  Clint clint_;
  Plic plic_{"plic"};
  Finisher finisher_{"finisher"};
  tlm2::HostBridge bridge_{"pcie"};
  driver::Bus driver_bus_{"driver"};
  std::vector<std::unique_ptr<Attachment>> devices_;
  std::unique_ptr<ConsoleScript> script_;
  std::unique_ptr<Terminal> terminal_;

  sc_core::sc_signal<bool> uart_irq_{"uart_irq"};
  sc_core::sc_signal<bool> software_irq_{"software_irq"};
  sc_core::sc_signal<bool> timer_irq_{"timer_irq"};
  sc_core::sc_vector<sc_core::sc_signal<bool>> hart_irq_{"hart_irq", Plic::contexts};
  sc_core::sc_vector<sc_core::sc_signal<bool>> intx_{"intx", 4};

  bool limited_;
  std::vector<sc_core::sc_time> step_times_;
  sc_core::sc_time last_output_;
  std::optional<Outcome> outcome_;
  std::vector<driver::Trial> trials_;
  sc_core::sc_event ended_;
  sc_core::sc_event cpu_stopped_;
};

} // namespace virtio::platform
