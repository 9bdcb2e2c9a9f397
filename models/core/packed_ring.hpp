// The packed virtqueue's layout in guest memory (virtio 1.4, 2.8): structures, alignments, flags
// and the arithmetic of wrap counters. The walking is the ring engine's.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::packed {

inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1;
inline constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2;
inline constexpr std::uint16_t VIRTQ_DESC_F_INDIRECT = 4;
inline constexpr std::uint16_t VIRTQ_DESC_F_AVAIL = 1 << 7;
inline constexpr std::uint16_t VIRTQ_DESC_F_USED = 1 << 15;

inline constexpr std::uint16_t RING_EVENT_FLAGS_ENABLE = 0;
inline constexpr std::uint16_t RING_EVENT_FLAGS_DISABLE = 1;
inline constexpr std::uint16_t RING_EVENT_FLAGS_DESC = 2;

inline constexpr std::uint32_t max_queue_size = 32768;
inline constexpr std::uint64_t desc_align = 16;
inline constexpr std::uint64_t event_align = 4;
constexpr std::uint64_t desc_bytes(std::uint32_t size) {
  return 16ull * size;
}
inline constexpr std::uint64_t event_bytes = 4;

/// A descriptor as the driver made it available. Its flags prove the rest, so they are read first.
struct Desc {
  static constexpr std::size_t alignment = 2;
  le64 addr;
  le32 len;
  le16 id;
  le16 flags;

  void load(const std::byte* memory) {
    const std::uint16_t f = load_acquire<std::uint16_t>(memory + 14);
    std::memcpy(static_cast<void*>(this), memory, 14);
    flags = f;
  }
  void store(std::byte* memory) const {
    std::memcpy(memory, static_cast<const void*>(this), 14);
    store_release<std::uint16_t>(memory + 14, flags);
  }
};
static_assert(sizeof(Desc) == 16 && offsetof(Desc, id) == 12);

/// The part of a descriptor that the device writes to mark it used; the flags last.
struct Used {
  static constexpr std::size_t alignment = 2;
  le32 len;
  le16 id;
  le16 flags;

  void load(const std::byte* memory) {
    const std::uint16_t f = load_acquire<std::uint16_t>(memory + 6);
    std::memcpy(static_cast<void*>(this), memory, 6);
    flags = f;
  }
  void store(std::byte* memory) const {
    std::memcpy(memory, static_cast<const void*>(this), 6);
    store_release<std::uint16_t>(memory + 6, flags);
  }
};
static_assert(sizeof(Used) == 8);

constexpr GuestAddr desc(GuestAddr ring, std::uint16_t i) {
  return ring + 16ull * i;
}
constexpr GuestAddr used(GuestAddr ring, std::uint16_t i) {
  return desc(ring, i) + 8;
}

/// virtio 1.4, 2.8.1: AVAIL equals the wrap counter and USED does not.
constexpr bool available(std::uint16_t flags, bool wrap) {
  return ((flags & VIRTQ_DESC_F_AVAIL) != 0) == wrap && ((flags & VIRTQ_DESC_F_USED) != 0) != wrap;
}
/// Both equal the device's wrap counter in a used descriptor.
constexpr std::uint16_t used_flags(bool wrap) {
  return wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : std::uint16_t{0};
}

/// An event suppression structure (2.8.15) as one 32-bit integer: offset and wrap counter low,
/// flags high.
constexpr std::uint32_t event(std::uint16_t offset, bool wrap, std::uint16_t flags) {
  return static_cast<std::uint32_t>(flags) << 16 | static_cast<std::uint32_t>(wrap) << 15 | offset;
}
constexpr std::uint16_t event_flags(std::uint32_t e) {
  return e >> 16 & 3;
}
constexpr std::uint16_t event_offset(std::uint32_t e) {
  return e & 0x7fff;
}
constexpr bool event_wrap(std::uint32_t e) {
  return (e & 0x8000) != 0;
}

} // namespace virtio::packed
