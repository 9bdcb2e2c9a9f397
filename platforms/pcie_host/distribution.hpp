// Distances between arrivals, in picoseconds, without floating point: equal ones, or those of a
// Poisson process.
#pragma once

#include <virtio/core/random.hpp>
#include <virtio/platforms/pcie_host/wide.hpp>

#include <cstdint>

namespace virtio::platform::pcie_host {

/// -ln(x / 2^64) in units of 2^-32; x is not 0.
std::uint64_t negative_log(std::uint64_t x);

class Arrivals {
public:
  /// `per_second` over `sharers` equal streams, of which this is one; neither is 0.
  Arrivals(std::uint64_t per_second, std::uint32_t sharers, bool poisson, Random random)
      : per_second_(per_second), sharers_(sharers), poisson_(poisson), random_(random) {}

  /// Picoseconds to the next arrival. What division leaves over is carried on, so that the rate is
  /// exact in the long run.
  std::uint64_t next();

private:
  std::uint64_t per_second_;
  std::uint32_t sharers_;
  bool poisson_;
  Random random_;
  Wide rest_ = 0;
};

} // namespace virtio::platform::pcie_host
