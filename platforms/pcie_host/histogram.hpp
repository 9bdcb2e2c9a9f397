// Histogram: counts of integers in buckets whose width grows with the value, after the idea of
// HdrHistogram: small values are exact, larger ones to 1 part in 256. Integers only.
#pragma once

#include <virtio/platforms/pcie_host/wide.hpp>

#include <bit>
#include <cstdint>
#include <vector>

namespace virtio::platform::pcie_host {

class Histogram {
public:
  void add(std::uint64_t value);
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  std::uint64_t min() const { return count_ ? min_ : 0; }
  /// Rounded down; 0 when empty.
  std::uint64_t mean() const;
  /// The smallest bucket that at least `per_mille` of 1000 values do not exceed: its largest value,
  /// never more than max(). 0 when empty.
  std::uint64_t percentile(unsigned per_mille) const;

private:
  static constexpr unsigned exact_bits = 9; // below 2^9 each value has its own bucket
  static constexpr std::uint64_t half = 1ull << (exact_bits - 1);

  static std::size_t bucket_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    if (width <= exact_bits) return value;
    const unsigned shift = width - exact_bits;
    return shift * half + (value >> shift);
  }
  static std::uint64_t largest_in(std::size_t bucket);

  std::vector<std::uint64_t> counts_; // as long as the largest bucket in use needs
  std::uint64_t count_ = 0;
  Wide sum_ = 0;
  std::uint64_t min_ = ~0ull;
  std::uint64_t max_ = 0;
};

} // namespace virtio::platform::pcie_host
