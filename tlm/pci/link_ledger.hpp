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
      : limit_{first, second}, entries_(first || second ? 64 : 0) {}

  bool limited() const { return !entries_.empty(); }

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
    if (!limited()) return true;
    while (size_ != 0 && front().when <= when)
      drop_front();
    return (limit_[0] == 0 || 2 * (used_[0] + first) <= limit_[0]) &&
           (limit_[1] == 0 || 2 * (used_[1] + second) <= limit_[1]);
  }

  /// What was taken comes back at `when`.
  void give_back(SimTime when, std::uint32_t first, std::uint32_t second = 0) {
    if (!limited()) return;
    if (size_ == entries_.size()) grow();
    std::size_t place = size_++;
    for (; place != 0 && when < entry(place - 1).when; --place)
      entry(place) = entry(place - 1);
    entry(place) = {when, first, second};
  }

private:
  struct Entry {
    SimTime when;
    std::uint32_t first;
    std::uint32_t second;
  };
  std::size_t mask() const { return entries_.size() - 1; }
  Entry& entry(std::size_t place) { return entries_[(head_ + place) & mask()]; }
  const Entry& front() const { return entries_[head_]; }
  void drop_front() {
    used_[0] -= front().first;
    used_[1] -= front().second;
    head_ = (head_ + 1) & mask();
    --size_;
  }
  bool enough(std::uint32_t first, std::uint32_t second) const {
    return (limit_[0] == 0 || used_[0] + first <= limit_[0]) &&
           (limit_[1] == 0 || used_[1] + second <= limit_[1]);
  }
  void grow() {
    std::vector<Entry> larger(2 * entries_.size());
    for (std::size_t i = 0; i < size_; ++i)
      larger[i] = entry(i);
    entries_ = std::move(larger);
    head_ = 0;
  }

  std::uint64_t limit_[2];
  std::uint64_t used_[2] = {0, 0};
  std::vector<Entry> entries_; // a ring, by time
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

} // namespace virtio::tlm2
