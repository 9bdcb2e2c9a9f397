// A translation look-aside buffer as timing sees it: which pages it holds and from when on. It
// replaces the page used least recently of its set.
#pragma once

#include <virtio/core/types.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace virtio::tlm2 {

class Tlb {
public:
  /// `ways` divides `entries`, `page` is a power of two.
  Tlb(std::uint32_t entries, std::uint32_t ways, std::uint64_t page)
      : ways_(ways), sets_(entries / ways), shift_(static_cast<unsigned>(std::countr_zero(page))),
        entries_(entries) {}

  struct Entry {
    std::uint64_t page = ~0ull;
    SimTime ready{}; ///< when its walk ends
  };
  /// The page's entry, or null. A page that is found or inserted is the one used last.
  Entry* find(std::uint64_t address) {
    const std::uint64_t page = address >> shift_;
    Entry* const set = set_of(page);
    Entry* const end = set + ways_;
    Entry* const hit = std::find_if(set, end, [&](const Entry& e) { return e.page == page; });
    if (hit == end) return nullptr;
    std::rotate(set, hit, hit + 1);
    return set;
  }
  void insert(std::uint64_t address, SimTime ready) {
    const std::uint64_t page = address >> shift_;
    Entry* const set = set_of(page);
    std::rotate(set, set + ways_ - 1, set + ways_);
    *set = {page, ready};
  }

private:
  Entry* set_of(std::uint64_t page) { return &entries_[page % sets_ * ways_]; }

  std::uint32_t ways_;
  std::uint32_t sets_;
  unsigned shift_;
  std::vector<Entry> entries_; // sets one after the other, each by last use
};

} // namespace virtio::tlm2
