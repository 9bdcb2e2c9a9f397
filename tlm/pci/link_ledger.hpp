// What is limited on a link (credits, tags, buffers, page walkers): how much of it is taken and
// when it comes back. Those times are known when something is taken, so nobody has to be woken up.
#pragma once

#include <virtio/core/types.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace virtio::tlm2 {

class LinkLedger {
public:
  /// Two limits that count together, such as headers and data; 0: no limit.
  explicit LinkLedger(std::uint32_t first, std::uint32_t second = 0)
      : limited_(first || second), limit_{first ? first : ~0ull, second ? second : ~0ull},
        entries_(limited_ ? 64 : 0), mask_(63) {}

  bool limited() const { return limited_; }

  /// The first moment from `when` on at which that much is there; it is taken then. Calls are in
  /// order of time. More than the limit is there as soon as everything is.
  SimTime take(SimTime when, std::uint32_t first, std::uint32_t second = 0) {
    if (!limited()) return when;
    while (size_ != 0 && (front().when <= when || !enough(first, second))) {
      if (when < front().when) when = front().when;
      drop_front();
    }
    used_[0] += first;
    used_[1] += second;
    return when;
  }

  /// At `when` that much is there, and as much as everything taken until then again: it does not
  /// matter exactly when it comes back.
  bool plenty(SimTime when, std::uint32_t first, std::uint32_t second = 0) {
    if (!limited_) return true;
    while (size_ != 0 && front().when <= when)
      drop_front();
    return 2 * (used_[0] + first) <= limit_[0] && 2 * (used_[1] + second) <= limit_[1];
  }
  /// take() right after plenty() has said yes.
  void take_of_plenty(std::uint32_t first, std::uint32_t second = 0) {
    used_[0] += first;
    used_[1] += second;
  }

  /// What was taken comes back at `when`.
  void give_back(SimTime when, std::uint32_t first, std::uint32_t second = 0) {
    if (!limited_) return;
    if (size_ > mask_) grow();
    const std::size_t place = size_++;
    if (place != 0 && when < entry(place - 1).when)
      insert({when, first, second}, place);
    else
      entry(place) = {when, first, second};
  }

private:
  struct Entry {
    SimTime when;
    std::uint32_t first;
    std::uint32_t second;
  };
  Entry& entry(std::size_t place) { return entries_[(head_ + place) & mask_]; }
  const Entry& front() const { return entries_[head_]; }
  void drop_front() {
    used_[0] -= front().first;
    used_[1] -= front().second;
    head_ = (head_ + 1) & mask_;
    --size_;
  }
  bool enough(std::uint32_t first, std::uint32_t second) const {
    return used_[0] + first <= limit_[0] && used_[1] + second <= limit_[1];
  }
  __attribute__((noinline)) void insert(const Entry& late, std::size_t place) {
    for (; place != 0 && late.when < entry(place - 1).when; --place)
      entry(place) = entry(place - 1);
    entry(place) = late;
  }
  __attribute__((noinline)) void grow() {
    std::vector<Entry> larger(2 * entries_.size());
    for (std::size_t i = 0; i < size_; ++i)
      larger[i] = entry(i);
    entries_ = std::move(larger);
    mask_ = entries_.size() - 1;
    head_ = 0;
  }

  bool limited_;
  std::uint64_t limit_[2];
  std::uint64_t used_[2] = {0, 0};
  std::vector<Entry> entries_; // a ring, by time
  std::size_t mask_;           // its size, a power of two, less one
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

} // namespace virtio::tlm2
