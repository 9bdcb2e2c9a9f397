// The split virtqueue's layout in guest memory (virtio 1.4, 2.7): structures, sizes, alignments and
// where each field lies. Only arithmetic; the walking is the ring engine's.
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::split {

inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1;
inline constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2;
inline constexpr std::uint16_t VIRTQ_DESC_F_INDIRECT = 4;
inline constexpr std::uint16_t VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
inline constexpr std::uint16_t VIRTQ_USED_F_NO_NOTIFY = 1;

inline constexpr std::uint32_t max_queue_size = 32768;

struct Desc {
  le64 addr;
  le32 len;
  le16 flags;
  le16 next;
};
static_assert(sizeof(Desc) == 16);

struct UsedElem {
  le32 id;
  le32 len;
};
static_assert(sizeof(UsedElem) == 8);

// Sizes and alignments of the three parts in bytes (virtio 1.4, 2.7).
constexpr std::uint64_t desc_bytes(std::uint32_t size) {
  return 16ull * size;
}
constexpr std::uint64_t avail_bytes(std::uint32_t size) {
  return 6 + 2ull * size;
}
constexpr std::uint64_t used_bytes(std::uint32_t size) {
  return 6 + 8ull * size;
}
inline constexpr std::uint64_t desc_align = 16;
inline constexpr std::uint64_t avail_align = 2;
inline constexpr std::uint64_t used_align = 4;

constexpr GuestAddr desc(GuestAddr table, std::uint16_t i) {
  return table + 16ull * i;
}
constexpr GuestAddr avail_flags(GuestAddr avail) {
  return avail;
}
constexpr GuestAddr avail_idx(GuestAddr avail) {
  return avail + 2;
}
constexpr GuestAddr avail_ring(GuestAddr avail, std::uint16_t i) {
  return avail + (4 + 2ull * i);
}
constexpr GuestAddr used_event(GuestAddr avail, std::uint16_t size) {
  return avail_ring(avail, size);
}
constexpr GuestAddr used_flags(GuestAddr used) {
  return used;
}
constexpr GuestAddr used_idx(GuestAddr used) {
  return used + 2;
}
constexpr GuestAddr used_ring(GuestAddr used, std::uint16_t i) {
  return used + (4 + 8ull * i);
}
constexpr GuestAddr avail_event(GuestAddr used, std::uint16_t size) {
  return used_ring(used, size);
}

} // namespace virtio::split
