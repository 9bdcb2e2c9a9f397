// Cpu: one RV64 hart in machine mode, interpreted by Unicorn inside an SC_THREAD. It runs ahead of
// simulated time by at most a quantum of instructions; RAM is shared by pointer (DMI), every other
// load and store is a b_transport whose annotated delay is the exact number of instructions
// executed so far in the quantum.
#pragma once

#include <virtio/tlm/router.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

struct uc_struct;

namespace virtio::platform {

struct CpuParams {
  tlm2::AddressRange ram = {};   ///< must be granted through DMI, whole pages
  std::uint64_t entry = 0;       ///< where the hart starts
  std::uint64_t device_tree = 0; ///< address in a1; a0 is the hart id, 0
  /// About what the interpreter manages on one core of a server of 2023, so that simulated time
  /// passes about as fast as real time while the CPU is busy.
  std::uint64_t instructions_per_second = 100'000'000;
  std::uint64_t quantum = 100'000; ///< instructions
  std::size_t recorded_accesses = 16;
};

class Cpu : public sc_core::sc_module {
public:
  /// One access to something that is not RAM.
  struct Access {
    sc_core::sc_time time;
    std::uint64_t pc = 0;
    std::uint64_t address = 0;
    std::uint64_t value = 0;
    unsigned length = 0;
    bool write = false;
    bool ok = false; ///< false: the bus answered with an error, and a read gave all ones
  };

  tlm_utils::simple_initiator_socket<Cpu> socket;

  /// Throws std::invalid_argument for parameters that cannot work, std::runtime_error when Unicorn
  /// cannot start.
  Cpu(sc_core::sc_module_name name, const CpuParams& params);
  ~Cpu() override;

  /// Lets the CPU run no further than the end of its quantum.
  void stop() { stop_requested_ = true; }
  bool running() const { return running_; }
  /// Called once, in the CPU's process, when it runs no more.
  std::function<void()> on_stop;

  std::uint64_t instructions() const { return instructions_; }
  std::uint64_t pc() const { return pc_; }
  /// The last accesses outside RAM, the oldest first.
  const std::deque<Access>& last_accesses() const { return accesses_; }
  std::uint64_t bus_errors() const { return bus_errors_; }
  /// Why the CPU stopped by itself: an exception that nobody handles, for example.
  const std::optional<std::string>& failure() const { return failure_; }

private:
  struct Window { // a part of the address space that is not RAM
    Cpu* cpu = nullptr;
    std::uint64_t base = 0;
  };
  friend struct CpuCallbacks;

  void run();
  void run_quantum();
  void advance_local_time();
  void map_ram();
  void map_window(Window& window, std::uint64_t base, std::uint64_t end);
  bool count_instruction(std::uint64_t address);
  std::uint64_t load(std::uint64_t address, unsigned length);
  void store(std::uint64_t address, unsigned length, std::uint64_t value);
  bool access(bool write, std::uint64_t address, unsigned length, std::uint64_t& value);
  void invalidate_direct_mem_ptr(sc_dt::uint64 start, sc_dt::uint64 end);

  CpuParams params_;
  sc_core::sc_time instruction_time_;
  std::unique_ptr<uc_struct, void (*)(uc_struct*)> engine_;
  Window below_;
  Window above_;

  std::uint64_t pc_;
  std::uint64_t instructions_ = 0;
  std::uint64_t accounted_ = 0;   // instructions whose time is in local_time_ or has passed
  std::uint64_t quantum_end_ = 0; // in instructions
  sc_core::sc_time local_time_;   // how far the CPU is ahead of sc_time_stamp()
  bool running_ = true;
  bool stop_requested_ = false;
  std::uint64_t bus_errors_ = 0;
  std::deque<Access> accesses_;
  std::optional<std::string> failure_;
  std::exception_ptr error_; // thrown by a target; it must not cross the interpreter
};

} // namespace virtio::platform
