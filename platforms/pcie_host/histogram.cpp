#include <virtio/platforms/pcie_host/histogram.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

void Histogram::add(std::uint64_t value) {
  const std::size_t bucket = bucket_of(value);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Histogram::add(const Histogram& other) {
  if (other.counts_.size() > counts_.size()) counts_.resize(other.counts_.size());
  for (std::size_t i = 0; i < other.counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::mean() const {
  return count_ ? static_cast<std::uint64_t>(sum_ / count_) : 0;
}

std::uint64_t Histogram::percentile(unsigned per_mille) const {
  if (count_ == 0) return 0;
  const auto wanted = (static_cast<Wide>(count_) * per_mille + 999) / 1000;
  Wide seen = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted && seen != 0) return std::min(largest_in(bucket), max_);
  }
  return max_;
}

std::uint64_t Histogram::largest_in(std::size_t bucket) {
  if (bucket < 2 * half) return bucket;
  const unsigned shift = static_cast<unsigned>(bucket / half) - 1;
  const std::uint64_t first = (bucket - shift * half) << shift;
  return first + ((1ull << shift) - 1);
}

} // namespace virtio::platform::pcie_host
