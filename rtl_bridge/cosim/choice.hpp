// Random choices that depend on nothing but (seed, channel, n): what is drawn for one item is the
// same whatever items there are besides it.
#pragma once

#include <virtio/core/random.hpp>

#include <cstdint>
#include <string_view>

namespace virtio::rtl::cosim {

class Choice {
public:
  /// A channel is a name for one kind of choice, such as "gaps".
  constexpr Choice(std::uint64_t seed, std::string_view channel) : state_(seed) {
    for (const char c : channel)
      state_ = mixed(state_ ^ static_cast<unsigned char>(c));
  }

  /// The n-th number of the channel; every 64-bit number is equally likely.
  constexpr std::uint64_t at(std::uint64_t n) const { return mixed(state_ ^ mixed(n)); }
  /// 0 .. count - 1; nearly equally likely for counts far below 2^32. `count` is not 0.
  constexpr std::uint64_t below(std::uint64_t n, std::uint64_t count) const {
    return (at(n) >> 32) * count >> 32;
  }
  constexpr bool chance(std::uint64_t n, unsigned percent) const { return below(n, 100) < percent; }

private:
  static constexpr std::uint64_t mixed(std::uint64_t value) { return splitmix64(value); }

  std::uint64_t state_;
};

} // namespace virtio::rtl::cosim
