#include <virtio/tlm/pci/link_schedule.hpp>

#include <algorithm>
#include <numeric>

namespace virtio::tlm2 {

namespace {
/// Of the completions of 4096 bytes at the smallest read completion boundary.
constexpr std::size_t largest_table = 1500;
} // namespace

LinkSchedule::LinkSchedule(std::uint64_t numerator, std::uint64_t denominator) {
  const std::uint64_t divisor = std::gcd(numerator, denominator);
  numerator_ = numerator / divisor;
  denominator_ = denominator / divisor;
  durations_.resize(largest_table);
  const FineTime word{4 * numerator_ / denominator_, 4 * numerator_ % denominator_};
  for (std::size_t words = 1; words < largest_table; ++words)
    durations_[words] = sum(durations_[words - 1], word);
  busy_.reserve(256);
}

FineTime LinkSchedule::long_duration(std::size_t words) const {
  FineTime result{};
  for (; words >= durations_.size(); words -= durations_.size() - 1)
    result = sum(result, durations_.back());
  return sum(result, durations_[words]);
}

SimTime LinkSchedule::total_duration(std::uint64_t bytes) const {
  // Split, so that no product passes 64 bits: numerator and denominator stay below 2^51.
  const std::uint64_t whole = numerator_ / denominator_;
  const std::uint64_t rest = numerator_ % denominator_;
  std::uint64_t ps = bytes * whole;
  std::uint64_t part = 0;
  for (int bit = 63; bit >= 0; --bit) { // bytes * rest / denominator by long multiplication
    part *= 2;
    std::uint64_t carry = part / denominator_;
    part %= denominator_;
    if (bytes >> bit & 1) {
      part += rest;
      carry += part / denominator_;
      part %= denominator_;
    }
    ps += carry << bit;
  }
  return {ps};
}

FineTime LinkSchedule::difference(FineTime a, FineTime b) const {
  if (a.part >= b.part) return {a.ps - b.ps, a.part - b.part};
  return {a.ps - b.ps - 1, a.part + denominator_ - b.part};
}

std::size_t LinkSchedule::first_not_over(FineTime time) const {
  const auto begin = busy_.begin() + static_cast<std::ptrdiff_t>(head_);
  const auto at =
      std::partition_point(begin, busy_.end(), [&](const Busy& busy) { return busy.end < time; });
  return static_cast<std::size_t>(at - busy_.begin());
}

FineTime LinkSchedule::fill_gaps(FineTime earliest, FineTime length) {
  const std::size_t first = first_not_over(earliest);
  std::size_t next = first;
  FineTime begin = earliest;
  FineTime at = earliest;
  if (busy_[first].begin <= earliest) {
    begin = busy_[first].begin;
    at = busy_[first].end;
    ++next;
  }
  while (next < busy_.size() && sum(at, length) >= busy_[next].begin) {
    length = difference(length, difference(busy_[next].begin, at));
    at = busy_[next].end;
    ++next;
    if (length == FineTime{}) {
      // It ended exactly where the next one began.
      const FineTime end = busy_[next - 1].begin;
      busy_[first] = {begin, at};
      busy_.erase(busy_.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                  busy_.begin() + static_cast<std::ptrdiff_t>(next));
      return end;
    }
  }
  const FineTime end = sum(at, length);
  if (next == first) {
    busy_.insert(busy_.begin() + static_cast<std::ptrdiff_t>(first), {begin, end});
  } else {
    busy_[first] = {begin, end};
    busy_.erase(busy_.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                busy_.begin() + static_cast<std::ptrdiff_t>(next));
  }
  return end;
}

FineTime LinkSchedule::reserve_soon(FineTime earliest, std::uint32_t bytes,
                                    std::uint32_t patience) {
  FineTime start = earliest;
  const std::size_t first = first_not_over(earliest);
  if (first < busy_.size() && busy_[first].begin <= earliest)
    start = std::min(busy_[first].end, sum(earliest, duration(patience)));
  reserve(start, bytes);
  return sum(start, duration(bytes));
}

void LinkSchedule::drop_head() {
  busy_.erase(busy_.begin(), busy_.begin() + static_cast<std::ptrdiff_t>(head_));
  head_ = 0;
}

} // namespace virtio::tlm2
