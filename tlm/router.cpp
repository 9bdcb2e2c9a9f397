#include <virtio/tlm/router.hpp>
#include <virtio/tlm/translated_address.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace virtio::tlm2 {

namespace {

constexpr std::uint64_t address_max = std::numeric_limits<std::uint64_t>::max();

/// The part of [start, end], in the target's addresses, that `range` shows, in the router's
/// addresses.
std::optional<std::pair<std::uint64_t, std::uint64_t>> seen_through(AddressRange range,
                                                                    std::uint64_t target_base,
                                                                    std::uint64_t start,
                                                                    std::uint64_t end) {
  start = std::max(start, target_base);
  end = std::min(end, target_base + (range.size - 1));
  if (start > end) return std::nullopt;
  return std::pair{start - target_base + range.base, end - target_base + range.base};
}

std::string describe(AddressRange range, const std::string& name) {
  return fmt::format("{} at {:#x}..{:#x}", name, range.base, range.last());
}

} // namespace

Router::Router(sc_core::sc_module_name name)
    : sc_module(name), initiators("initiators"), targets_("targets") {
  initiators.register_b_transport(this, &Router::b_transport);
  initiators.register_transport_dbg(this, &Router::transport_dbg);
  initiators.register_get_direct_mem_ptr(this, &Router::get_direct_mem_ptr);
  targets_.register_invalidate_direct_mem_ptr(this, &Router::invalidate_direct_mem_ptr);
}

void Router::map(AddressRange range, tlm::tlm_base_target_socket_b<32>& target, std::string name,
                 std::uint64_t target_base) {
  if (range.size == 0)
    throw std::invalid_argument(
        fmt::format("{} at {:#x} has size 0: give it at least one byte", name, range.base));
  if (range.size - 1 > address_max - range.base || range.size - 1 > address_max - target_base)
    throw std::invalid_argument(
        fmt::format("{} at {:#x} with size {:#x} passes the end of the 64-bit address space", name,
                    range.base, range.size));
  const auto next = std::find_if(mappings_.begin(), mappings_.end(), [&](const Mapping& mapping) {
    return mapping.range.last() >= range.base;
  });
  if (next != mappings_.end() && next->range.base <= range.last())
    throw std::invalid_argument(fmt::format("{} overlaps {}: move or shrink one of them",
                                            describe(range, name),
                                            describe(next->range, next->name)));
  mappings_.insert(next, Mapping{range, target_base, index_of(target), std::move(name)});
}

int Router::index_of(tlm::tlm_base_target_socket_b<32>& target) {
  const auto known = std::find(bound_.begin(), bound_.end(), &target);
  if (known != bound_.end()) return static_cast<int>(known - bound_.begin());
  targets_.bind(target);
  bound_.push_back(&target);
  return static_cast<int>(bound_.size() - 1);
}

std::string Router::name_of(std::uint64_t address) const {
  const auto* mapping = find(address);
  return mapping ? mapping->name : std::string();
}

const Router::Mapping* Router::find(std::uint64_t address) const {
  auto after = std::upper_bound(
      mappings_.begin(), mappings_.end(), address,
      [](std::uint64_t value, const Mapping& mapping) { return value < mapping.range.base; });
  if (after == mappings_.begin()) return nullptr;
  const Mapping& mapping = *std::prev(after);
  return mapping.range.contains(address) ? &mapping : nullptr;
}

/// The mapping that holds every byte of a transaction; with a streaming width the bytes repeat.
const Router::Mapping* Router::find(const tlm::tlm_generic_payload& transaction) const {
  const auto* mapping = find(transaction.get_address());
  const auto span = std::min(transaction.get_data_length(), transaction.get_streaming_width());
  return mapping && mapping->range.contains(transaction.get_address(), span) ? mapping : nullptr;
}

void Router::b_transport(int, tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  const auto* mapping = find(transaction);
  if (!mapping) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  TranslatedAddress translated(transaction, transaction.get_address() - mapping->range.base +
                                                mapping->target_base);
  targets_[mapping->target]->b_transport(transaction, delay);
}

unsigned Router::transport_dbg(int, tlm::tlm_generic_payload& transaction) {
  const auto* mapping = find(transaction.get_address());
  if (!mapping) return 0;
  const auto offset = transaction.get_address() - mapping->range.base;
  const auto length = transaction.get_data_length();
  TranslatedAddress translated(transaction, offset + mapping->target_base);
  transaction.set_data_length(
      static_cast<unsigned>(std::min<std::uint64_t>(length, mapping->range.size - offset)));
  const auto done = targets_[mapping->target]->transport_dbg(transaction);
  transaction.set_data_length(length);
  return done;
}

/// The unmapped range that holds an unmapped address.
AddressRange Router::gap_around(std::uint64_t address) const {
  std::uint64_t first = 0;
  std::uint64_t last = address_max;
  for (const Mapping& mapping : mappings_) {
    if (mapping.range.last() < address)
      first = mapping.range.last() + 1;
    else
      last = std::min(last, mapping.range.base - 1);
  }
  return {first, last - first + 1};
}

bool Router::get_direct_mem_ptr(int, tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi) {
  const auto address = transaction.get_address();
  const auto* mapping = find(address);
  if (!mapping) {
    const auto gap = gap_around(address);
    dmi.set_start_address(gap.base);
    dmi.set_end_address(gap.last());
    return false;
  }
  bool granted = false;
  {
    TranslatedAddress translated(transaction, address - mapping->range.base + mapping->target_base);
    granted = targets_[mapping->target]->get_direct_mem_ptr(transaction, dmi);
  }
  const auto seen = seen_through(mapping->range, mapping->target_base, dmi.get_start_address(),
                                 dmi.get_end_address());
  if (!seen) { // the target answered for addresses that are not the mapping's: nothing to hand on
    dmi.set_start_address(address);
    dmi.set_end_address(address);
    return false;
  }
  if (granted && dmi.get_start_address() < mapping->target_base)
    dmi.set_dmi_ptr(dmi.get_dmi_ptr() + (mapping->target_base - dmi.get_start_address()));
  dmi.set_start_address(seen->first);
  dmi.set_end_address(seen->second);
  return granted;
}

void Router::invalidate_direct_mem_ptr(int target, sc_dt::uint64 start, sc_dt::uint64 end) {
  for (const Mapping& mapping : mappings_) {
    if (mapping.target != target) continue;
    const auto seen = seen_through(mapping.range, mapping.target_base, start, end);
    if (!seen) continue;
    for (unsigned i = 0; i < initiators.size(); ++i)
      initiators[static_cast<int>(i)]->invalidate_direct_mem_ptr(seen->first, seen->second);
  }
}

} // namespace virtio::tlm2
