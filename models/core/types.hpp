// The small value types that every layer shares: guest addresses, queue numbers, simulated time,
// and the little-endian integers of which all structures on the wire are made (virtio 1.4, 1.4).
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace virtio {

/// An address as the driver wrote it: guest-physical, or a bus address behind an IOMMU.
enum class GuestAddr : std::uint64_t {};

constexpr std::uint64_t raw(GuestAddr a) {
  return static_cast<std::uint64_t>(a);
}
/// Wraps modulo 2^64, as the bus does; whoever needs a range checks it with `fits`.
constexpr GuestAddr operator+(GuestAddr a, std::uint64_t n) {
  return GuestAddr{raw(a) + n};
}
/// True when [a, a + len) does not wrap past the end of the 64-bit address space.
constexpr bool fits(GuestAddr a, std::uint64_t len) {
  return len == 0 || raw(a) <= ~0ull - (len - 1);
}

/// The number of a virtqueue of one device, 0..65535.
enum class QueueIndex : std::uint16_t {};
constexpr std::uint16_t raw(QueueIndex q) {
  return static_cast<std::uint16_t>(q);
}

/// A point or a span of simulated time in picoseconds (213 days fit).
struct SimTime {
  std::uint64_t ps = 0;
  friend constexpr auto operator<=>(SimTime, SimTime) = default;
  friend constexpr SimTime operator+(SimTime a, SimTime b) { return {a.ps + b.ps}; }
  friend constexpr SimTime operator-(SimTime a, SimTime b) { return {a.ps - b.ps}; }
};
constexpr SimTime picoseconds(std::uint64_t n) {
  return {n};
}
constexpr SimTime nanoseconds(std::uint64_t n) {
  return {n * 1'000};
}
constexpr SimTime microseconds(std::uint64_t n) {
  return {n * 1'000'000};
}
constexpr SimTime milliseconds(std::uint64_t n) {
  return {n * 1'000'000'000};
}

/// An unsigned integer stored little-endian at any alignment.
template <std::unsigned_integral T> class LittleEndian {
public:
  constexpr LittleEndian() = default;
  constexpr LittleEndian(T value) { *this = value; }
  constexpr LittleEndian& operator=(T value) {
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
      std::memcpy(bytes_.data(), &value, sizeof(T));
      return *this;
    }
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i));
    return *this;
  }
  constexpr operator T() const {
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
      T value;
      std::memcpy(&value, bytes_.data(), sizeof(T));
      return value;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value |= static_cast<std::uint64_t>(bytes_[i]) << (8 * i);
    return static_cast<T>(value);
  }

private:
  std::array<std::byte, sizeof(T)> bytes_{};
};
using le16 = LittleEndian<std::uint16_t>;
using le32 = LittleEndian<std::uint32_t>;
using le64 = LittleEndian<std::uint64_t>;
static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8);

} // namespace virtio
