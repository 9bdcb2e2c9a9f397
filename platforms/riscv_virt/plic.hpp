// Plic: the platform-level interrupt controller of one hart, with its machine and supervisor
// contexts (RISC-V PLIC specification 1.0.0). Sources are level lines; several signals bound to one
// source are wired together.
#pragma once

#include <virtio/platforms/riscv_virt/register_target.hpp>

#include <array>
#include <bitset>
#include <cstdint>

namespace virtio::platform {

class Plic : public RegisterTarget {
public:
  static constexpr std::uint64_t size = 0x0060'0000;
  static constexpr unsigned sources = 96; ///< source 0 does not exist
  static constexpr unsigned max_priority = 7;
  enum Context : unsigned { machine, supervisor, contexts };

  using SourcePort =
      sc_core::sc_port<sc_core::sc_signal_in_if<bool>, 0, sc_core::SC_ZERO_OR_MORE_BOUND>;
  sc_core::sc_vector<SourcePort> source;
  sc_core::sc_vector<sc_core::sc_out<bool>> irq; ///< by Context

  explicit Plic(sc_core::sc_module_name name);

private:
  struct ContextState {
    std::bitset<sources> enabled;
    unsigned threshold = 0;
  };

  void end_of_elaboration() override;
  std::uint64_t read(const RegisterAccess& access) override;
  void write(const RegisterAccess& access, std::uint64_t value) override;

  unsigned best(const ContextState& context) const;
  std::uint32_t claim(const ContextState& context);
  void complete(const ContextState& context, std::uint64_t id);
  bool level(unsigned id);
  void sample();
  void drive_irqs();

  std::array<unsigned, sources> priority_{};
  std::bitset<sources> pending_;
  std::bitset<sources> in_service_; // claimed, not completed: the gateway is closed
  std::array<ContextState, contexts> contexts_;
  sc_core::sc_event changed_;
};

} // namespace virtio::platform
