#include <virtio/platforms/pcie_host/distribution.hpp>

#include <bit>

namespace virtio::platform::pcie_host {

namespace {

constexpr std::uint64_t second_ps = 1'000'000'000'000;
constexpr std::uint64_t ln2 = 0xb172'17f7; // ln(2) * 2^32

} // namespace

std::uint64_t negative_log(std::uint64_t x) {
  // log2(x) digit by digit: squaring doubles the logarithm.
  const auto width = static_cast<unsigned>(std::bit_width(x));
  std::uint64_t log2 = std::uint64_t{width - 1} << 32;
  std::uint64_t mantissa = x << (64 - width); // in [1, 2), 63 digits behind the point
  for (std::uint64_t digit = 1ull << 31; digit != 0; digit >>= 1) {
    const auto square = static_cast<Wide>(mantissa) * mantissa;
    if (square >> 127) {
      log2 |= digit;
      mantissa = static_cast<std::uint64_t>(square >> 64);
    } else {
      mantissa = static_cast<std::uint64_t>(square >> 63);
    }
  }
  const std::uint64_t below = (64ull << 32) - log2;
  return static_cast<std::uint64_t>((static_cast<Wide>(below) * ln2) >> 32);
}

std::uint64_t Arrivals::next() {
  Wide gap = static_cast<Wide>(second_ps) << 32;
  if (poisson_) gap = static_cast<Wide>(second_ps) * negative_log(random_.next() | 1);
  gap = gap * sharers_ + rest_;
  const Wide unit = static_cast<Wide>(per_second_) << 32;
  rest_ = gap % unit;
  return static_cast<std::uint64_t>(gap / unit);
}

} // namespace virtio::platform::pcie_host
