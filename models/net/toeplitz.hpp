// The Toeplitz hash of receive-side scaling (virtio 1.4, 5.1.6.4.3), by the faster of two ways that
// this processor has: a carry-less multiplication for every four bytes of input, or a look-up for
// each byte. The results are the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace virtio::net {

/// Bytes hashed of one packet: at most two IPv6 addresses and two ports.
inline constexpr std::size_t max_hash_input = 36;
/// Bytes of a key that take part: hash inputs are shorter than the key by the hash's 4 bytes.
inline constexpr std::size_t used_key_bytes = max_hash_input + 4;

/// One key, prepared.
class Toeplitz {
public:
  /// By bit matrices (GFNI, AVX-512), carry-less multiplication, or tables.
  enum class Way : std::uint8_t { matrix, carryless, table };

  /// The bytes of `key` behind used_key_bytes take no part; where there are fewer, zeroes follow.
  explicit Toeplitz(std::span<const std::uint8_t> key = {}) : Toeplitz(key, fastest()) {}
  /// Throws std::invalid_argument when this processor does not have the way.
  Toeplitz(std::span<const std::uint8_t> key, Way way);

  static bool has(Way way);
  static Way fastest();
  Way way() const { return way_; }

  /// Of 4, 8, .. max_hash_input bytes, in the order of the network. Throws std::invalid_argument
  /// for any other length.
  std::uint32_t hash(std::span<const std::byte> input) const;

private:
  static constexpr std::size_t words = max_hash_input / 4;
  using Table = std::array<std::array<std::uint32_t, 256>, max_hash_input>;

  std::uint32_t multiply_matrices(const std::byte* input, std::size_t bytes) const;
  std::uint32_t carryless(const std::byte* input, std::size_t words) const;
  std::uint32_t look_up(const std::byte* input, std::size_t bytes) const;

  Way way_;
  /// For each byte of the key, the key bits from each of its eight on, eight of them each.
  alignas(64) std::array<std::uint64_t, used_key_bytes> matrices_{};
  /// For each input word, the 63 key bits that it meets: the first one is the lowest.
  alignas(16) std::array<std::uint64_t, words + 1> windows_{};
  std::shared_ptr<const Table> table_; // table only
};

} // namespace virtio::net
