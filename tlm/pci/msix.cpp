#include <virtio/tlm/pci/msix.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace virtio::tlm2 {

namespace {

// A table entry (PCI Express Base 5.0, 7.7.2).
constexpr std::uint32_t entry_size = 16;
constexpr std::uint32_t vector_control_mask = 1;
constexpr std::uint32_t smallest_bar = 0x1000;
constexpr std::uint32_t pending_alignment = 0x800;

} // namespace

Msix::Msix(unsigned vectors) {
  if (vectors > max_vectors)
    throw std::invalid_argument(
        fmt::format("{} MSI-X vectors: use at most {}", vectors, max_vectors));
  table_.resize(vectors);
}

std::uint32_t Msix::pending_offset() const {
  const std::uint32_t table = entry_size * vectors();
  return (table + pending_alignment - 1) / pending_alignment * pending_alignment;
}

std::uint32_t Msix::bar_size() const {
  const std::uint32_t pending_bytes = (vectors() + 63) / 64 * 8;
  return std::max(smallest_bar, std::bit_ceil(pending_offset() + pending_bytes));
}

std::uint32_t Msix::pending_bits(std::size_t first) const {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 32 && first + i < table_.size(); ++i)
    bits |= std::uint32_t{table_[first + i].pending} << i;
  return bits;
}

std::uint32_t Msix::read(std::uint64_t offset) const {
  if (offset >= pending_offset()) return pending_bits((offset - pending_offset()) * 8);
  if (offset / entry_size >= table_.size()) return 0;
  const Entry& entry = table_[offset / entry_size];
  switch (offset % entry_size) {
  case 0:
    return static_cast<std::uint32_t>(entry.address);
  case 4:
    return static_cast<std::uint32_t>(entry.address >> 32);
  case 8:
    return entry.data;
  default:
    return entry.masked ? vector_control_mask : 0;
  }
}

void Msix::write(std::uint64_t offset, std::uint32_t value) {
  if (offset >= pending_offset() || offset / entry_size >= table_.size()) return;
  Entry& entry = table_[offset / entry_size];
  switch (offset % entry_size) {
  case 0: // a message is four aligned bytes
    entry.address = (entry.address & ~0xffff'ffffull) | (value & ~3u);
    break;
  case 4:
    entry.address = (entry.address & 0xffff'ffffull) | std::uint64_t{value} << 32;
    break;
  case 8:
    entry.data = value;
    break;
  default:
    entry.masked = (value & vector_control_mask) != 0;
  }
}

void Msix::set_control(std::uint16_t control) {
  enabled_ = !table_.empty() && (control & control_enable) != 0;
  function_masked_ = (control & control_function_mask) != 0;
}

std::optional<Msix::Message> Msix::raise(std::uint16_t vector) {
  if (!enabled_ || vector >= table_.size()) return std::nullopt;
  Entry& entry = table_[vector];
  if (may_send(entry)) return Message{GuestAddr{entry.address}, entry.data};
  if (!entry.pending) ++pending_;
  entry.pending = true;
  return std::nullopt;
}

std::optional<Msix::Message> Msix::take_released() {
  if (pending_ == 0 || !enabled_ || function_masked_) return std::nullopt;
  const auto entry =
      std::ranges::find_if(table_, [this](const Entry& e) { return e.pending && may_send(e); });
  if (entry == table_.end()) return std::nullopt;
  entry->pending = false;
  --pending_;
  return Message{GuestAddr{entry->address}, entry->data};
}

void Msix::clear_pending(std::uint16_t vector) {
  if (vector >= table_.size() || !table_[vector].pending) return;
  table_[vector].pending = false;
  --pending_;
}

void Msix::clear_pending() {
  for (Entry& entry : table_)
    entry.pending = false;
  pending_ = 0;
}

void Msix::reset() {
  std::ranges::fill(table_, Entry{});
  pending_ = 0;
  set_control(0);
}

} // namespace virtio::tlm2
