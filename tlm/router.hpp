// Router: an address decoder between any number of TLM-2.0 initiators and targets. Loosely timed:
// it forwards b_transport, debug accesses, DMI requests and DMI invalidations with the address
// translated, and adds no time of its own.
#pragma once

#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace virtio::tlm2 {

/// Part of an address space; a range of size 0 is not valid.
struct AddressRange {
  std::uint64_t base = 0;
  std::uint64_t size = 0;

  std::uint64_t last() const { return base + (size - 1); }
  bool contains(std::uint64_t address) const { return address >= base && address - base < size; }
  bool contains(std::uint64_t address, std::uint64_t length) const {
    return contains(address) && length <= size - (address - base);
  }
};

class Router : public sc_core::sc_module {
public:
  /// Initiators bind here, as many as there are.
  tlm_utils::multi_passthrough_target_socket<Router> initiators;

  explicit Router(sc_core::sc_module_name name);

  /// Before the simulation starts: addresses in `range` go to `target`, as offsets into the range
  /// plus `target_base`. One target may be mapped several times. Throws std::invalid_argument,
  /// naming both, when a range overlaps an earlier one, is empty, or passes the end of the address
  /// space.
  void map(AddressRange range, tlm::tlm_base_target_socket_b<32>& target, std::string name,
           std::uint64_t target_base = 0);

  /// The name given to the mapping that holds an address, or an empty one.
  std::string name_of(std::uint64_t address) const;

private:
  struct Mapping {
    AddressRange range;
    std::uint64_t target_base;
    int target;
    std::string name;
  };

  const Mapping* find(std::uint64_t address) const;
  const Mapping* find(const tlm::tlm_generic_payload& transaction) const;
  AddressRange gap_around(std::uint64_t address) const;
  int index_of(tlm::tlm_base_target_socket_b<32>& target);

  void b_transport(int initiator, tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned transport_dbg(int initiator, tlm::tlm_generic_payload& transaction);
  bool get_direct_mem_ptr(int initiator, tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi);
  void invalidate_direct_mem_ptr(int target, sc_dt::uint64 start, sc_dt::uint64 end);

  tlm_utils::multi_passthrough_initiator_socket<Router> targets_;
  std::vector<tlm::tlm_base_target_socket_b<32>*> bound_; // by index of targets_
  std::vector<Mapping> mappings_;                         // by ascending base
};

} // namespace virtio::tlm2
