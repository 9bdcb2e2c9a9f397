#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/riscv_virt/platform.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace virtio::platform {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

sc_core::sc_time to_sc_time(SimTime time) {
  return sc_core::sc_time::from_value(time.count());
}

std::uint64_t firmware_ram(const PlatformConfig& platform) {
  return platform.ram.bytes - platform.reserved_memory.bytes;
}

/// In the middle of what the firmware may use: it grows up from the start and moves itself to the
/// end.
std::uint64_t device_tree_offset(const PlatformConfig& platform) {
  return firmware_ram(platform) / 2 / mib * mib;
}

CpuParams cpu_params(const PlatformConfig& platform) {
  CpuParams params;
  params.ram = {memory_map::ram_base, platform.ram.bytes};
  params.entry = memory_map::ram_base;
  params.device_tree = memory_map::ram_base + device_tree_offset(platform);
  params.instructions_per_second = platform.cpu.instructions_per_second;
  params.quantum = platform.cpu.quantum;
  return params;
}

std::vector<ScriptStep> script_steps(const Config& config) {
  std::vector<ScriptStep> steps;
  for (const auto& step : config.steps)
    steps.push_back({step.expect, step.regex, step.send, to_sc_time(step.timeout)});
  return steps;
}

} // namespace

Platform::Platform(sc_core::sc_module_name name, const Config& config, const Workspace& workspace,
                   Progress& progress, bool interactive)
    : sc_module(name), config_(config), progress_(progress),
      uart_file_(workspace.file("uart.log"), std::ios::binary), uart_log_(&uart_file_),
      ram_("ram", {.size = config.platform.ram.bytes}), cpu_("cpu", cpu_params(config.platform)),
      clint_("clint", config.platform.cpu.timebase.hertz), limited_(!interactive) {
  if (!uart_file_)
    throw SetupError(fmt::format("{} cannot be written", workspace.file("uart.log").string()));
  build_bus();
  build_devices(workspace);
  build_console(interactive);
  load_firmware();
  finisher_.on_request = [this](Finisher::Request request, std::uint16_t code) {
    finisher_asked(request, code);
  };
  cpu_.on_stop = [this] {
    if (cpu_.failure()) end({false, *cpu_.failure()});
    cpu_stopped_.notify();
  };
  sc_core::sc_spawn([this] { supervise(); }, "supervise");
  sc_core::sc_spawn([this] { show_progress(); }, "show_progress");
  if (script_ && config.platform.watchdog.count()) sc_core::sc_spawn([this] { watch(); }, "watch");
}

void Platform::build_bus() {
  cpu_.socket.bind(router_.initiators);
  driver_bus_.socket.bind(router_.initiators);
  router_.map({memory_map::ram_base, ram_.size()}, ram_.socket, "ram");
  router_.map(memory_map::uart, uart_.socket, "uart");
  router_.map(memory_map::clint, clint_.socket, "clint");
  router_.map(memory_map::plic, plic_.socket, "plic");
  router_.map(memory_map::finisher, finisher_.socket, "finisher");
  clint_.software_irq.bind(software_irq_);
  clint_.timer_irq.bind(timer_irq_);
  uart_.irq.bind(uart_irq_);
  plic_.source[interrupt::uart].bind(uart_irq_);
  plic_.irq.bind(hart_irq_);

  bridge_.dma.bind(router_.initiators);
  router_.map(memory_map::pcie_ecam, bridge_.ecam, "PCIe ECAM");
  router_.map(memory_map::pcie_mmio32, bridge_.window32, "PCIe 32-bit window",
              memory_map::pcie_mmio32.base);
  router_.map(memory_map::pcie_mmio64, bridge_.window64, "PCIe 64-bit window",
              memory_map::pcie_mmio64.base);
  for (unsigned pin = 0; pin < interrupt::pcie_pins; ++pin) {
    bridge_.intx[pin].bind(intx_[pin]);
    plic_.source[interrupt::pcie_intx + pin].bind(intx_[pin]);
  }
}

void Platform::build_devices(const Workspace& workspace) {
  for (const auto& device : config_.devices) {
    auto& attachment = *devices_.emplace_back(
        std::make_unique<Attachment>(device.name.c_str(), device, config_, workspace, executor_));
    if (device.transport == Transport::mmio)
      attachment.attach_mmio(router_, plic_.source[interrupt::virtio_slot(device.slot)]);
    else
      attachment.attach_pci(bridge_);
  }
}

std::unique_ptr<ConsoleScript> Platform::make_script() const {
  try {
    return std::make_unique<ConsoleScript>("script", script_steps(config_));
  } catch (const std::invalid_argument& error) {
    throw SetupError(fmt::format("{}: {}", config_.file.string(), error.what()));
  }
}

void Platform::build_console(bool interactive) {
  uart_.on_transmit = [this](std::uint8_t byte, sc_core::sc_time time) { transmitted(byte, time); };
  if (interactive) {
    if (!isatty(STDIN_FILENO))
      throw SetupError("--interactive needs a terminal as standard input; what is typed at the "
                       "UART without a person "
                       "is a [[step]] of the configuration");
    progress_.message("The UART is this terminal; Ctrl-A x ends the simulation.");
    terminal_ = std::make_unique<Terminal>("terminal", STDIN_FILENO, STDOUT_FILENO);
    terminal_->on_type = [this](std::string_view bytes) { uart_.receive(bytes); };
    terminal_->on_quit = [this] { end({true, "ended at the terminal"}); };
  } else if (!config_.steps.empty()) {
    script_ = make_script();
    script_->on_send = [this](std::string_view bytes) { uart_.receive(bytes); };
    script_->on_step = [this](std::size_t step) { step_begins(step); };
    script_->on_end = [this] { script_ended(); };
  }
}

void Platform::load_firmware() {
  const auto& path = config_.platform.firmware;
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> image{std::istreambuf_iterator<char>(file), {}};
  if (!file || image.empty())
    throw SetupError(fmt::format("the firmware {} cannot be read, or is empty", path.string()));
  const auto tree_at = device_tree_offset(config_.platform);
  if (image.size() > tree_at)
    throw SetupError(
        fmt::format("the firmware {} has {} bytes, but the device tree is placed {} MiB into RAM: "
                    "give the platform more RAM",
                    path.string(), image.size(), tree_at / mib));
  const auto tree = device_tree();
  std::memcpy(ram_.data(), image.data(), image.size());
  std::memcpy(ram_.data() + tree_at, tree.data(), tree.size());
}

std::vector<std::byte> Platform::device_tree() const {
  DeviceTreeParams params;
  params.ram_size = config_.platform.ram.bytes;
  params.reserved_size = config_.platform.reserved_memory.bytes;
  params.timebase_frequency = static_cast<std::uint32_t>(config_.platform.cpu.timebase.hertz);
  for (const auto& device : config_.devices)
    if (device.transport == Transport::mmio) params.virtio_slots.push_back(device.slot);
  std::sort(params.virtio_slots.begin(), params.virtio_slots.end());
  return make_device_tree(params);
}

const Outcome& Platform::run() {
  progress_.step("the firmware starts");
  std::optional<RawMode> raw_mode;
  if (terminal_) raw_mode.emplace(STDIN_FILENO);
  if (limited_) {
    sc_core::sc_start(to_sc_time(config_.platform.time_limit));
    if (!outcome_)
      outcome_ = {false, fmt::format("the time limit of {} of simulated time was reached",
                                     text(config_.platform.time_limit))};
    if (script_ && !script_->done() && !script_->failure() && !outcome_->ok)
      outcome_->text += fmt::format(", in step {} of {}", script_->current() + 1, script_->size());
  } else {
    sc_core::sc_start();
  }
  return *outcome_;
}

void Platform::transmitted(std::uint8_t byte, sc_core::sc_time time) {
  last_output_ = time;
  uart_log_.add(byte, time);
  if (terminal_) terminal_->print(byte);
  if (script_) script_->print(byte);
}

void Platform::step_begins(std::size_t step) {
  if (step > 0) step_times_.push_back(sc_core::sc_time_stamp());
  if (step == config_.steps.size()) return;
  const auto& [expect, regex, send, timeout] = config_.steps[step];
  progress_.step(fmt::format(
      "step {} of {}: {}{}{}", step + 1, config_.steps.size(),
      expect.empty() ? "" : (regex ? "wait for a match of " : "wait for ") + in_quotes(expect),
      expect.empty() || send.empty() ? "" : ", ", send.empty() ? "" : "type " + in_quotes(send)));
}

void Platform::script_ended() {
  if (script_->failure())
    end({false, *script_->failure()});
  else
    end({true, fmt::format("all {} steps of the script passed", script_->size())});
}

void Platform::finisher_asked(Finisher::Request request, std::uint16_t code) {
  const bool early = script_ && !script_->done();
  switch (request) {
  case Finisher::Request::poweroff:
    return end({!early, early ? "the software powered off before the script was done"
                              : "the software powered off"});
  case Finisher::Request::reboot:
    return end({false, "the software asked for a reboot"});
  case Finisher::Request::failure:
    return end({false, fmt::format("the software reported failure {}", code)});
  }
}

/// A thread: ends the run when the UART has been silent for too long while the script waits.
void Platform::watch() {
  const auto limit = to_sc_time(config_.platform.watchdog);
  while (!outcome_) {
    const auto now = sc_core::sc_time_stamp();
    const auto silence = now > last_output_ ? now - last_output_ : sc_core::SC_ZERO_TIME;
    if (silence >= limit)
      return end({false, fmt::format("the UART was silent for {} of simulated time",
                                     text(config_.platform.watchdog))});
    wait(limit - silence);
  }
}

/// The first one counts.
void Platform::end(Outcome outcome) {
  if (outcome_) return;
  outcome_ = std::move(outcome);
  cpu_.stop();
  ended_.notify(sc_core::SC_ZERO_TIME);
}

void Platform::supervise() {
  wait(ended_);
  while (cpu_.running())
    wait(cpu_stopped_);
  if (outcome_->ok && config_.platform.own_driver) run_own_driver();
  sc_core::sc_stop();
}

void Platform::run_own_driver() {
  progress_.step("our own driver tries every device");
  driver::Machine machine;
  for (const auto& device : config_.devices)
    if (device.transport == Transport::mmio)
      machine.mmio.push_back(memory_map::virtio_slot(device.slot).base);
  machine.pci.ecam = memory_map::pcie_ecam.base;
  machine.pci.window_base = memory_map::pcie_mmio32.base;
  machine.pci.window_size = memory_map::pcie_mmio32.size;
  machine.memory_base = memory_map::ram_base + firmware_ram(config_.platform);
  machine.memory_size = config_.platform.reserved_memory.bytes;
  trials_ = driver::try_every_device(driver_bus_, machine);
  const auto failed = std::count_if(trials_.begin(), trials_.end(),
                                    [](const driver::Trial& trial) { return !trial.ok; });
  if (failed)
    outcome_ = {false,
                fmt::format("our own driver failed on {} of {} devices", failed, trials_.size())};
  else if (trials_.size() != config_.devices.size())
    outcome_ = {false, fmt::format("our own driver found {} of {} devices", trials_.size(),
                                   config_.devices.size())};
  else
    outcome_->text += fmt::format("; our own driver used {} devices", trials_.size());
}

void Platform::show_progress() {
  const sc_core::sc_time period(10, sc_core::SC_MS);
  while (true) {
    wait(period);
    if (!terminal_) progress_.update(sc_core::sc_time_stamp(), cpu_.instructions());
  }
}

} // namespace virtio::platform
