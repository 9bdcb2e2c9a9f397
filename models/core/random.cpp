#include <virtio/core/random.hpp>
#include <virtio/core/types.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace virtio {

namespace {
/// FNV-1a: spreads a name over 64 bits, the same on every host (unlike std::hash).
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x0000'0100'0000'01b3;
  }
  return hash;
}
} // namespace

Random::Random(std::uint64_t seed, std::string_view name) {
  std::uint64_t mixed = seed;
  if (!name.empty()) mixed = splitmix64(mixed) ^ hash_name(name);
  for (std::uint64_t& word : state_)
    word = splitmix64(mixed);
}

std::uint64_t Random::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::below(std::uint64_t n) {
  if (n == 0) throw std::invalid_argument("Random::below(0): there is no number below 0");
  const std::uint64_t mask = ~0ull >> std::countl_zero((n - 1) | 1);
  for (;;) {
    const std::uint64_t candidate = next() & mask;
    if (candidate < n) return candidate;
  }
}

void Random::fill(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const le64 word = next();
    const std::size_t n = std::min(bytes.size(), sizeof(word));
    std::memcpy(bytes.data(), &word, n);
    bytes = bytes.subspan(n);
  }
}

} // namespace virtio
