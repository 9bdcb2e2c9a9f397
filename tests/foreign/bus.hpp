// The platform's bus: an address decoder with base-protocol sockets. A target sees addresses that
// begin where map() says. It counts what devices (everybody but the first initiator, the CPU) send
// to each target, so that the example can show which way their accesses took.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace foreign {

class Bus : public sc_core::sc_module {
public:
  tlm_utils::multi_passthrough_target_socket<Bus> from_initiators{"from_initiators"};

  explicit Bus(sc_core::sc_module_name name) : sc_module(name) {
    from_initiators.register_b_transport(this, &Bus::forward);
    from_initiators.register_get_direct_mem_ptr(this, &Bus::forward_dmi);
    to_targets_.register_invalidate_direct_mem_ptr(this, &Bus::invalidate);
  }

  /// Puts `target` at [base, base + size). It sees the address `first` for the first byte.
  template <class Socket>
  void map(std::uint64_t base, std::uint64_t size, Socket& target, std::uint64_t first = 0) {
    to_targets_.bind(target);
    slots_.push_back({base, size, first});
  }

  /// How many transactions devices sent to the target that is mapped at `base`.
  unsigned from_devices(std::uint64_t base) const {
    const auto slot =
        std::find_if(slots_.begin(), slots_.end(), [=](const Slot& s) { return s.base == base; });
    return slot == slots_.end() ? 0 : slot->from_devices;
  }

private:
  struct Slot {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::uint64_t first = 0;
    unsigned from_devices = 0;
  };
  static constexpr int nobody = -1;

  int decode(std::uint64_t address, unsigned length) const {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const std::uint64_t offset = address - slots_[i].base;
      if (offset < slots_[i].size && length <= slots_[i].size - offset) return static_cast<int>(i);
    }
    return nobody;
  }

  void forward(int initiator, tlm::tlm_generic_payload& request, sc_core::sc_time& delay) {
    const std::uint64_t address = request.get_address();
    const int target = decode(address, request.get_data_length());
    if (target == nobody) {
      request.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    Slot& slot = slots_[target];
    if (initiator != 0) ++slot.from_devices;
    delay += sc_core::sc_time(2, sc_core::SC_NS);
    request.set_address(address - slot.base + slot.first);
    to_targets_[target]->b_transport(request, delay);
    request.set_address(address);
  }

  /// A target speaks of its own addresses; the initiator wants those of the bus.
  bool forward_dmi(int, tlm::tlm_generic_payload& request, tlm::tlm_dmi& dmi) {
    const std::uint64_t address = request.get_address();
    const int target = decode(address, 1);
    if (target == nobody) return false;
    const Slot& slot = slots_[target];
    request.set_address(address - slot.base + slot.first);
    const bool granted = to_targets_[target]->get_direct_mem_ptr(request, dmi);
    request.set_address(address);
    // A grant, or a refusal, of more than the target has here ends at its limits.
    const std::uint64_t last = slot.first + slot.size - 1;
    const std::uint64_t start = std::max<std::uint64_t>(dmi.get_start_address(), slot.first);
    dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (start - dmi.get_start_address()));
    dmi.set_start_address(start - slot.first + slot.base);
    dmi.set_end_address(std::min<std::uint64_t>(dmi.get_end_address(), last) - slot.first +
                        slot.base);
    return granted;
  }

  void invalidate(int target, sc_dt::uint64 start, sc_dt::uint64 end) {
    const Slot& slot = slots_[target];
    for (unsigned i = 0; i < from_initiators.size(); ++i)
      from_initiators[static_cast<int>(i)]->invalidate_direct_mem_ptr(
          start - slot.first + slot.base, end - slot.first + slot.base);
  }

  tlm_utils::multi_passthrough_initiator_socket<Bus> to_targets_{"to_targets"};
  std::vector<Slot> slots_; // in the order of to_targets_
};

} // namespace foreign
