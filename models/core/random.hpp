// The project's own random numbers: xoshiro256** seeded by splitmix64, integers only, the same on
// every host. Every user has its own stream, made from the platform's seed and the user's name, so
// that adding a device changes no other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace virtio {

/// The next number of a splitmix64 sequence; advances `state`.
constexpr std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e37'79b9'7f4a'7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

class Random {
public:
  using State = std::array<std::uint64_t, 4>;

  /// The stream called `name` of a seed.
  explicit Random(std::uint64_t seed, std::string_view name = {});
  /// Goes on from a saved state, which must not be all zero.
  explicit Random(const State& state) : state_(state) {}

  /// Every 64-bit number is equally likely.
  std::uint64_t next();
  /// 0 .. n - 1, each equally likely. Throws std::invalid_argument when n is 0.
  std::uint64_t below(std::uint64_t n);
  void fill(std::span<std::byte> bytes);

  const State& state() const { return state_; }

private:
  State state_{};
};

} // namespace virtio
