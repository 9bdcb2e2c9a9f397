#include <virtio/net/toeplitz.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#ifdef __x86_64__
#ifndef __clang__ // g++ 12 warns of its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace virtio::net {

namespace {

/// The hash's bit j, from the highest on, is the sum modulo 2 of all input bits i times key bits
/// i + j.
class KeyBits {
public:
  explicit KeyBits(std::span<const std::uint8_t> key) {
    std::copy_n(key.begin(), std::min(key.size(), used_key_bytes), bytes_.begin());
  }
  bool bit(std::size_t i) const {
    return i / 8 < bytes_.size() && (bytes_[i / 8] >> (7 - i % 8) & 1) != 0;
  }
  /// The 32 bits from `i` on, the first one highest.
  std::uint32_t window(std::size_t i) const {
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 32; ++j)
      bits = bits << 1 | std::uint32_t{bit(i + j)};
    return bits;
  }

private:
  std::array<std::uint8_t, used_key_bytes> bytes_{};
};

} // namespace

Toeplitz::Toeplitz(std::span<const std::uint8_t> key, Way way) : way_(way) {
  if (!has(way))
    throw std::invalid_argument("Toeplitz: this processor does not have the instructions; use "
                                "Toeplitz::Way::table");
  const KeyBits bits(key);
  for (std::size_t i = 0; way == Way::matrix && i < 8 * used_key_bytes; ++i)
    matrices_[i / 8] |= std::uint64_t{bits.window(i) >> 24} << (8 * (i % 8));
  for (std::size_t word = 0; word < words; ++word)
    for (std::size_t i = 0; i < 63; ++i)
      windows_[word] |= std::uint64_t{bits.bit(32 * word + i)} << i;
  if (way != Way::table) return;
  auto table = std::make_shared<Table>();
  for (std::size_t byte = 0; byte < max_hash_input; ++byte)
    for (unsigned value = 0; value < 256; ++value)
      for (unsigned i = 0; i < 8; ++i)
        if ((value >> (7 - i) & 1) != 0) (*table)[byte][value] ^= bits.window(8 * byte + i);
  table_ = std::move(table);
}

std::uint32_t Toeplitz::look_up(const std::byte* input, std::size_t bytes) const {
  const Table& table = *table_;
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    hash ^= table[i][std::to_integer<std::size_t>(input[i])];
  return hash;
}

#ifdef __x86_64__

bool Toeplitz::has(Way way) {
  static const bool carryless =
      __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  static const bool matrix = __builtin_cpu_supports("gfni") && __builtin_cpu_supports("avx512f") &&
                             __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512vbmi");
  return way == Way::table || (way == Way::matrix ? matrix : carryless);
}

#define VIRTIO_NET_MATRIX_TARGET __attribute__((target("gfni,avx512f,avx512bw,avx512vbmi")))

namespace {

/// An input with zeroes behind it. What was just put together from addresses and ports is loaded in
/// these pieces, which the processor has at once, unlike the whole.
VIRTIO_NET_MATRIX_TARGET inline __m512i load_input(const std::byte* input, std::size_t bytes) {
  const auto* pieces = reinterpret_cast<const __m128i*>(input);
  switch (bytes) {
  case 8:
    return _mm512_zextsi128_si512(_mm_loadl_epi64(pieces));
  case 12:
    return _mm512_zextsi128_si512(
        _mm_unpacklo_epi64(_mm_loadl_epi64(pieces), _mm_loadu_si32(input + 8)));
  case 32:
  case 36: {
    const __m512i addresses = _mm512_zextsi256_si512(_mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(pieces)), _mm_loadu_si128(pieces + 1), 1));
    if (bytes == 32) return addresses;
    return _mm512_inserti32x4(addresses, _mm_loadu_si32(input + 32), 2);
  }
  default:
    return _mm512_maskz_loadu_epi8((1ull << bytes) - 1, input);
  }
}

} // namespace

// Byte k of the hash is the sum over the input's bytes i of byte i times the matrix of the key's
// byte i + k. So the matrix of byte i meets bytes i, i - 1, i - 2 and i - 3 of the input, in the
// lower half of its word; what lies outside of the input is zero.
VIRTIO_NET_MATRIX_TARGET std::uint32_t Toeplitz::multiply_matrices(const std::byte* input,
                                                                   std::size_t bytes) const {
  constexpr std::size_t words_at_once = 8;
  const __m512i all = load_input(input, bytes);
  __m512i places = _mm512_set_epi64(0x04050607, 0x03040506, 0x02030405, 0x01020304, 0x00010203,
                                    0xff000102, 0xfeff0001, 0xfdfeff00); // modulo 64
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < bytes + 3; i += words_at_once) {
    const __m512i met = _mm512_permutexvar_epi8(places, all);
    const __m512i key = _mm512_load_si512(&matrices_[i]);
    sum = _mm512_xor_si512(sum, _mm512_gf2p8affine_epi64_epi8(met, key, 0));
    places = _mm512_add_epi8(places, _mm512_set1_epi8(words_at_once));
  }
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
  const __m128i quarter =
      _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  const __m128i word = _mm_xor_si128(quarter, _mm_unpackhi_epi64(quarter, quarter));
  return __builtin_bswap32(static_cast<std::uint32_t>(_mm_cvtsi128_si32(word)));
}

// Word by word, the product of input and window as polynomials has the hash in its coefficients 31
// to 62, its highest bit first: it is turned round at the end.
__attribute__((target("pclmul,sse4.1"))) std::uint32_t
Toeplitz::carryless(const std::byte* input, std::size_t count) const {
  // Each word's bytes in descending order, in the lower half of 64 bits.
  const __m128i order = _mm_set_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 0, 1, 2, 3);
  const auto* keys = reinterpret_cast<const __m128i*>(windows_.data());
  __m128i even = _mm_setzero_si128();
  __m128i odd = _mm_setzero_si128();
  for (; count >= 2; count -= 2, input += 8, ++keys) {
    const __m128i two =
        _mm_shuffle_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(input)), order);
    const __m128i key = _mm_load_si128(keys);
    even = _mm_xor_si128(even, _mm_clmulepi64_si128(two, key, 0x00));
    odd = _mm_xor_si128(odd, _mm_clmulepi64_si128(two, key, 0x11));
  }
  if (count != 0) {
    const __m128i one = _mm_shuffle_epi8(_mm_loadu_si32(input), order);
    even = _mm_xor_si128(even, _mm_clmulepi64_si128(one, _mm_load_si128(keys), 0x00));
  }
  const __m128i turned = _mm_srli_epi64(_mm_xor_si128(even, odd), 31);
  const __m128i nibble = _mm_set1_epi8(0xf);
  const __m128i mirror = _mm_set_epi8(15, 7, 11, 3, 13, 5, 9, 1, 14, 6, 10, 2, 12, 4, 8, 0);
  const __m128i low = _mm_shuffle_epi8(mirror, _mm_and_si128(turned, nibble));
  const __m128i high = _mm_shuffle_epi8(mirror, _mm_and_si128(_mm_srli_epi64(turned, 4), nibble));
  const __m128i bytes = _mm_or_si128(_mm_slli_epi64(low, 4), high);
  return __builtin_bswap32(static_cast<std::uint32_t>(_mm_cvtsi128_si32(bytes)));
}

#else

bool Toeplitz::has(Way way) {
  return way == Way::table;
}

std::uint32_t Toeplitz::multiply_matrices(const std::byte* input, std::size_t bytes) const {
  return look_up(input, bytes);
}

std::uint32_t Toeplitz::carryless(const std::byte* input, std::size_t count) const {
  return look_up(input, 4 * count);
}

#endif

Toeplitz::Way Toeplitz::fastest() {
  for (const Way way : {Way::matrix, Way::carryless})
    if (has(way)) return way;
  return Way::table;
}

std::uint32_t Toeplitz::hash(std::span<const std::byte> input) const {
  if (input.empty() || input.size() % 4 != 0 || input.size() > max_hash_input)
    throw std::invalid_argument(fmt::format("Toeplitz: an input of {} bytes is not 4, 8, .. {}",
                                            input.size(), max_hash_input));
  switch (way_) {
  case Way::matrix:
    return multiply_matrices(input.data(), input.size());
  case Way::carryless:
    return carryless(input.data(), input.size() / 4);
  case Way::table:
    break;
  }
  return look_up(input.data(), input.size());
}

} // namespace virtio::net
