// When one direction of a link is busy. Time on it is handed out to whoever asks, in the order of
// asking, from the first idle moment on; a transfer may be interrupted by one that was promised
// before, so that no idle time is lost. Times have a fraction, so that rates are exact.
#pragma once

#include <virtio/core/types.hpp>

#include <cstdint>
#include <vector>

namespace virtio::tlm2 {

/// Picoseconds and a fraction, 0 <= part < the schedule's denominator.
struct FineTime {
  std::uint64_t ps = 0;
  std::uint64_t part = 0;
  friend constexpr bool operator==(FineTime, FineTime) = default;
  friend constexpr bool operator<(FineTime a, FineTime b) {
    return a.ps < b.ps || (a.ps == b.ps && a.part < b.part);
  }
  friend constexpr bool operator>=(FineTime a, FineTime b) { return !(a < b); }
  friend constexpr bool operator<=(FineTime a, FineTime b) { return !(b < a); }
};
constexpr FineTime fine(SimTime time) {
  return {time.ps, 0};
}
/// The first whole picosecond that is not before.
constexpr SimTime rounded_up(FineTime time) {
  return {time.ps + (time.part != 0)};
}

class LinkSchedule {
public:
  /// A byte takes `numerator / denominator` picoseconds.
  LinkSchedule(std::uint64_t numerator, std::uint64_t denominator);

  /// Of so many bytes, a multiple of 4.
  FineTime duration(std::uint32_t bytes) const {
    const std::size_t words = bytes / 4;
    return words < durations_.size() ? durations_[words] : long_duration(words);
  }
  /// The time of `bytes` without the fraction, for sums of any size.
  SimTime total_duration(std::uint64_t bytes) const;

  /// Takes `bytes` of link time from `earliest` on; returns when the last one has left.
  FineTime reserve(FineTime earliest, std::uint32_t bytes) {
    const FineTime length = duration(bytes);
    if (head_ < busy_.size()) {
      Busy& last = busy_.back();
      if (earliest < last.begin) return fill_gaps(earliest, length);
      if (earliest <= last.end) return last.end = sum(last.end, length);
    }
    busy_.push_back({earliest, sum(earliest, length)});
    return busy_.back().end;
  }
  /// The same for traffic that arbitration prefers to what was promised before: it waits for
  /// `patience` bytes at most. What it takes is still missing to those who come later.
  FineTime reserve_soon(FineTime earliest, std::uint32_t bytes, std::uint32_t patience);

  /// Nothing will be reserved before `now` any more.
  void forget(SimTime now) {
    while (head_ < busy_.size() && busy_[head_].end.ps < now.ps)
      ++head_;
    if (head_ >= 64) drop_head();
  }

  FineTime sum(FineTime a, FineTime b) const {
    FineTime result{a.ps + b.ps, a.part + b.part};
    if (result.part >= denominator_) {
      result.part -= denominator_;
      ++result.ps;
    }
    return result;
  }

private:
  struct Busy {
    FineTime begin;
    FineTime end;
  };
  FineTime difference(FineTime a, FineTime b) const;
  FineTime long_duration(std::size_t words) const;
  FineTime fill_gaps(FineTime earliest, FineTime length);
  std::size_t first_not_over(FineTime time) const;
  void drop_head();

  std::uint64_t numerator_;
  std::uint64_t denominator_;
  std::vector<FineTime> durations_; // by double words
  std::vector<Busy> busy_;          // from head_ on: by time, apart from each other
  std::size_t head_ = 0;
};

} // namespace virtio::tlm2
