// Descriptors as the device's reads showed them: 16-byte pieces of a descriptor table, put together
// from accesses of any width, each with the number of the access that completed it. Bounded.
#pragma once

#include <virtio/analyser/access.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>

namespace virtio::analyser {

/// The part of [base, base + length) that an access covers, as offsets from `base`; empty if none.
struct Overlap {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  explicit operator bool() const { return begin < end; }
};
/// Neither range wraps past the end of the address space, or the overlap may be cut short.
inline Overlap overlap(std::uint64_t base, std::uint64_t length, const MemoryAccess& access) {
  const std::uint64_t at = raw(access.addr);
  const std::uint64_t size = access.data.size();
  if (at >= base) {
    const std::uint64_t begin = at - base;
    if (begin >= length) return {};
    return {begin, begin + std::min(size, length - begin)};
  }
  const std::uint64_t skipped = base - at;
  if (skipped >= size) return {};
  return {0, std::min(length, size - skipped)};
}
/// `Value` at `address`, if the access covers all of it.
template <class Value>
bool extract(const MemoryAccess& access, std::uint64_t address, Value& value) {
  const std::uint64_t offset = address - raw(access.addr);
  if (offset > access.data.size() || sizeof value > access.data.size() - offset) return false;
  std::memcpy(static_cast<void*>(&value), access.data.data() + offset, sizeof value);
  return true;
}

class DescriptorCache {
public:
  static constexpr std::uint64_t descriptor_bytes = 16;

  struct Entry {
    std::array<std::byte, descriptor_bytes> bytes{};
    std::uint16_t known = 0; // a bit for each byte
    std::uint64_t number = 0;
    std::optional<SimTime> asked; // as the access has it
    bool complete() const { return known == 0xffff; }
  };

  explicit DescriptorCache(std::size_t max_entries) : max_entries_(max_entries) {}

  /// Takes what access `number` shows of the `count` descriptors from `table` on, and calls
  /// `completed(index, entry)` for each that is now known entirely.
  template <class Completed>
  void take(std::uint64_t table, std::uint64_t count, const MemoryAccess& access,
            std::uint64_t number, Completed&& completed) {
    const Overlap covered = overlap(table, count * descriptor_bytes, access);
    if (!covered) return;
    for (std::uint64_t i = covered.begin / descriptor_bytes; i * descriptor_bytes < covered.end;
         ++i) {
      const std::uint64_t address = table + i * descriptor_bytes;
      Entry* entry = find_or_make(address);
      if (!entry) return;
      if (entry->complete()) entry->known = 0; // read again: from the start
      const std::uint64_t begin = std::max(covered.begin, i * descriptor_bytes);
      const std::uint64_t end = std::min(covered.end, (i + 1) * descriptor_bytes);
      for (std::uint64_t at = begin; at < end; ++at) {
        entry->bytes[at % descriptor_bytes] = access.data[table + at - raw(access.addr)];
        entry->known |= static_cast<std::uint16_t>(1u << at % descriptor_bytes);
      }
      entry->number = number;
      entry->asked = access.asked;
      if (entry->complete()) completed(i, *entry);
    }
  }

  /// What no access later than `number` has shown.
  void erase_older(std::uint64_t number) {
    std::erase_if(entries_, [&](const auto& e) { return e.second.number <= number; });
  }

  const Entry* find(std::uint64_t address) const {
    const auto found = entries_.find(address);
    return found == entries_.end() ? nullptr : &found->second;
  }
  void erase(std::uint64_t address) { entries_.erase(address); }
  /// Every descriptor that starts in [base, base + length).
  void erase(std::uint64_t base, std::uint64_t length) {
    if (length / descriptor_bytes > entries_.size()) {
      std::erase_if(entries_, [&](const auto& e) { return e.first - base < length; });
      return;
    }
    for (std::uint64_t at = 0; at < length; at += descriptor_bytes)
      entries_.erase(base + at);
  }
  /// Something was left out for want of room.
  bool overflowed() const { return overflowed_; }

private:
  Entry* find_or_make(std::uint64_t address) {
    if (const auto found = entries_.find(address); found != entries_.end()) return &found->second;
    if (entries_.size() >= max_entries_) {
      overflowed_ = true;
      return nullptr;
    }
    return &entries_[address];
  }

  std::size_t max_entries_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  bool overflowed_ = false;
};

} // namespace virtio::analyser
