#include <virtio/platforms/riscv_virt/cpu.hpp>

#include <fmt/format.h>
#include <unicorn/unicorn.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace virtio::platform {

namespace {

constexpr std::uint64_t page = 0x1000;
/// RV64 without an MMU shows 56 bits of physical address; nothing of this platform lies above 40.
constexpr std::uint64_t address_end = std::uint64_t{1} << 40;
/// The interpreter wants an address at which to stop; this one is odd and never reached.
constexpr std::uint64_t nowhere = ~std::uint64_t{0};
constexpr std::size_t stack_size = std::size_t{8} << 20; // the interpreter's own needs
constexpr std::uint64_t max_reported_bus_errors = 10;

void check(uc_err error, const char* what) {
  if (error != UC_ERR_OK)
    throw std::runtime_error(fmt::format("Unicorn: {}: {}", what, uc_strerror(error)));
}

uc_engine* open_engine() {
  uc_engine* engine = nullptr;
  check(uc_open(UC_ARCH_RISCV, UC_MODE_RISCV64, &engine), "cannot create an RV64 hart");
  return engine;
}

void close_engine(uc_engine* engine) {
  uc_close(engine);
}

std::uint64_t all_ones(unsigned length) {
  return length >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * length)) - 1;
}

const CpuParams& checked(const CpuParams& params) {
  const auto& ram = params.ram;
  if (ram.size == 0 || ram.base % page || ram.size % page || ram.last() >= address_end)
    throw std::invalid_argument("the CPU's RAM must be whole pages of 4 KiB below 2^40");
  if (params.instructions_per_second == 0 || params.instructions_per_second > 1'000'000'000'000 ||
      params.quantum == 0)
    throw std::invalid_argument("the CPU needs a quantum and 1 to 10^12 instructions per second");
  return params;
}

} // namespace

/// What Unicorn calls, from C.
struct CpuCallbacks {
  static void code(uc_engine* engine, std::uint64_t address, std::uint32_t, void* self) {
    if (!static_cast<Cpu*>(self)->count_instruction(address)) uc_emu_stop(engine);
  }
  static std::uint64_t load(uc_engine*, std::uint64_t offset, unsigned length, void* data) {
    const auto& window = *static_cast<Cpu::Window*>(data);
    return window.cpu->load(window.base + offset, length);
  }
  static void store(uc_engine*, std::uint64_t offset, unsigned length, std::uint64_t value,
                    void* data) {
    const auto& window = *static_cast<Cpu::Window*>(data);
    window.cpu->store(window.base + offset, length, value);
  }
};

Cpu::Cpu(sc_core::sc_module_name name, const CpuParams& params)
    : sc_module(name), socket("socket"), params_(checked(params)),
      instruction_time_(
          sc_core::sc_time::from_value(1'000'000'000'000 / params.instructions_per_second)),
      engine_(open_engine(), &close_engine), pc_(params.entry) {
  socket.register_invalidate_direct_mem_ptr(this, &Cpu::invalidate_direct_mem_ptr);
  sc_core::sc_spawn_options options;
  options.set_stack_size(stack_size);
  sc_core::sc_spawn([this] { run(); }, "run", &options);
}

Cpu::~Cpu() = default;

void Cpu::run() {
  map_ram();
  map_window(below_, 0, params_.ram.base);
  map_window(above_, params_.ram.last() + 1, address_end);
  uc_hook counter = 0;
  check(uc_hook_add(engine_.get(), &counter, UC_HOOK_CODE,
                    reinterpret_cast<void*>(&CpuCallbacks::code), this, 1, 0),
        "cannot count instructions");
  check(uc_reg_write(engine_.get(), UC_RISCV_REG_A1, &params_.device_tree), "cannot set a1");

  while (!stop_requested_ && !failure_) {
    run_quantum();
    advance_local_time();
    wait(std::exchange(local_time_, sc_core::SC_ZERO_TIME));
  }
  running_ = false;
  if (on_stop) on_stop();
}

void Cpu::run_quantum() {
  quantum_end_ = instructions_ + params_.quantum;
  const auto error = uc_emu_start(engine_.get(), pc_, nowhere, 0, 0);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  if (error != UC_ERR_OK)
    failure_ = fmt::format("the CPU stopped at pc {:#x}: {}", pc_, uc_strerror(error));
}

/// Called before each instruction; false: stop in front of it.
bool Cpu::count_instruction(std::uint64_t address) {
  pc_ = address;
  if (instructions_ == quantum_end_ || error_) return false;
  ++instructions_;
  return true;
}

void Cpu::advance_local_time() {
  const auto count = instructions_ - std::exchange(accounted_, instructions_);
  local_time_ += sc_core::sc_time::from_value(instruction_time_.value() * count);
}

void Cpu::map_ram() {
  for (std::uint64_t base = params_.ram.base; params_.ram.contains(base);) {
    tlm::tlm_generic_payload transaction;
    tlm::tlm_dmi dmi;
    transaction.set_command(tlm::TLM_WRITE_COMMAND);
    transaction.set_address(base);
    if (!socket->get_direct_mem_ptr(transaction, dmi) || !dmi.is_read_write_allowed())
      throw std::runtime_error(
          fmt::format("{}: RAM at {:#x} must grant DMI for reads and writes", this->name(), base));
    const auto last = std::min<std::uint64_t>(dmi.get_end_address(), params_.ram.last());
    const auto size = last - base + 1;
    if (size % page)
      throw std::runtime_error(
          fmt::format("{}: RAM at {:#x} grants DMI for part of a page", this->name(), base));
    check(uc_mem_map_ptr(engine_.get(), base, size, UC_PROT_ALL,
                         dmi.get_dmi_ptr() + (base - dmi.get_start_address())),
          "cannot map RAM");
    base += size;
  }
}

void Cpu::map_window(Window& window, std::uint64_t base, std::uint64_t end) {
  if (base == end) return;
  window = {this, base};
  check(uc_mmio_map(engine_.get(), base, end - base, &CpuCallbacks::load, &window,
                    &CpuCallbacks::store, &window),
        "cannot map the registers");
}

std::uint64_t Cpu::load(std::uint64_t address, unsigned length) {
  std::uint64_t value = 0;
  return access(false, address, length, value) ? value : all_ones(length);
}

void Cpu::store(std::uint64_t address, unsigned length, std::uint64_t value) {
  access(true, address, length, value);
}

bool Cpu::access(bool write, std::uint64_t address, unsigned length, std::uint64_t& value) {
  advance_local_time();
  const auto time = sc_core::sc_time_stamp() + local_time_;
  tlm::tlm_generic_payload transaction;
  transaction.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  transaction.set_address(address);
  transaction.set_data_ptr(reinterpret_cast<unsigned char*>(&value)); // both are little-endian
  transaction.set_data_length(length);
  transaction.set_streaming_width(length);
  try {
    socket->b_transport(transaction, local_time_);
  } catch (...) {
    error_ = std::current_exception();
  }
  const bool ok = transaction.is_response_ok();
  if (accesses_.size() == params_.recorded_accesses && !accesses_.empty()) accesses_.pop_front();
  if (params_.recorded_accesses)
    accesses_.push_back(
        {time, pc_, address, ok || write ? value : all_ones(length), length, write, ok});
  if (!ok && bus_errors_++ < max_reported_bus_errors)
    SC_REPORT_WARNING(
        "cpu",
        fmt::format("bus error ({}): pc {:#x} {} {} bytes at {:#x}{}",
                    transaction.get_response_string(), pc_, write ? "writes" : "reads", length,
                    address,
                    bus_errors_ == max_reported_bus_errors ? "; no further ones are reported" : "")
            .c_str());
  return ok;
}

/// Code runs from RAM by pointer: there is no other way to fetch it.
void Cpu::invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end) {
  if (end < params_.ram.base || start > params_.ram.last()) return;
  failure_ = fmt::format("RAM at {:#x}..{:#x} withdrew the CPU's direct access", start, end);
}

} // namespace virtio::platform
