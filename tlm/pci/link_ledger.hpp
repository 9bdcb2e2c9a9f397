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
    if (limited_ && (size_ > most_kept || !enough(first, second)))
      when = wait_for(when, first, second);
    take_of_plenty(first, second);
    return when;
  }

  /// At `when` that much is there, and as much as everything taken until then again: it does not
  /// matter exactly when it comes back.
  bool plenty(SimTime when, std::uint32_t first, std::uint32_t second = 0) {
    if (!limited_ || (size_ <= most_kept && twice_enough(first, second))) return true;
    drop_until(when);
    return twice_enough(first, second);
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
    given_[0] += first;
    given_[1] += second;
    const std::size_t place = size_++;
    entry(place) = {when, given_[0], given_[1]};
    if (place != 0 && when < entry(place - 1).when) sort_in(place, first, second);
  }

private:
  static constexpr std::size_t most_kept = 32;
  /// The sums of all that has come back by `when`: what is over is dropped in one go, now and then.
  struct Entry {
    SimTime when;
    std::uint64_t first;
    std::uint64_t second;
  };
  Entry& entry(std::size_t place) { return entries_[(head_ + place) & mask_]; }
  bool enough(std::uint32_t first, std::uint32_t second) const {
    return used_[0] + first <= limit_[0] && used_[1] + second <= limit_[1];
  }
  bool twice_enough(std::uint32_t first, std::uint32_t second) const {
    return 2 * (used_[0] + first) <= limit_[0] && 2 * (used_[1] + second) <= limit_[1];
  }
  /// The oldest `count` > 0 entries.
  void drop(std::size_t count) {
    const Entry& last = entry(count - 1);
    used_[0] -= last.first - dropped_[0];
    used_[1] -= last.second - dropped_[1];
    dropped_[0] = last.first;
    dropped_[1] = last.second;
    head_ = (head_ + count) & mask_;
    size_ -= count;
  }
  void drop_until(SimTime when) {
    std::size_t count = 0;
    while (count != size_ && entry(count).when <= when)
      ++count;
    if (count != 0) drop(count);
  }
  __attribute__((noinline)) SimTime wait_for(SimTime when, std::uint32_t first,
                                             std::uint32_t second) {
    drop_until(when);
    while (size_ != 0 && !enough(first, second)) {
      when = entry(0).when;
      drop(1);
    }
    return when;
  }
  /// The newest entry is not the latest.
  __attribute__((noinline)) void sort_in(std::size_t place, std::uint32_t first,
                                         std::uint32_t second) {
    const SimTime when = entry(place).when;
    for (; place != 0 && when < entry(place - 1).when; --place) {
      const Entry& earlier = entry(place - 1);
      entry(place) = {earlier.when, earlier.first + first, earlier.second + second};
    }
    const Entry* before = place != 0 ? &entry(place - 1) : nullptr;
    entry(place) = {when, (before ? before->first : dropped_[0]) + first,
                    (before ? before->second : dropped_[1]) + second};
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
  std::uint64_t used_[2] = {0, 0};    // what is dropped not among it
  std::uint64_t given_[2] = {0, 0};   // back, by the latest entry
  std::uint64_t dropped_[2] = {0, 0}; // back, by the last one that was dropped
  std::vector<Entry> entries_;        // a ring, by time
  std::size_t mask_;                  // its size, a power of two, less one
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

} // namespace virtio::tlm2
