// Feature bits: the set of 128 that this specification can number, and the device-independent ones
// (virtio 1.4, 6).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

namespace virtio {

/// A set of feature bits 0..127. Registers show it in words of 32 bits; words beyond the fourth
/// read as zero.
class FeatureSet {
public:
  static constexpr unsigned bits = 128;

  constexpr FeatureSet() = default;
  constexpr FeatureSet(std::initializer_list<unsigned> list) {
    for (unsigned bit : list)
      set(bit);
  }
  constexpr bool has(unsigned bit) const {
    return bit < bits && (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }
  constexpr FeatureSet& set(unsigned bit, bool on = true) {
    const std::uint64_t mask = 1ull << (bit % 64);
    if (on)
      words_.at(bit / 64) |= mask;
    else
      words_.at(bit / 64) &= ~mask;
    return *this;
  }
  /// Bits 32 * select .. 32 * select + 31.
  constexpr std::uint32_t word32(std::uint32_t select) const {
    return select < 4 ? static_cast<std::uint32_t>(words_[select / 2] >> (32 * (select % 2))) : 0;
  }
  constexpr void set_word32(std::uint32_t select, std::uint32_t value) {
    if (select >= 4) return;
    const unsigned shift = 32 * (select % 2);
    auto& word = words_[select / 2];
    word = (word & ~(0xffff'ffffull << shift)) | (static_cast<std::uint64_t>(value) << shift);
  }
  constexpr bool subset_of(const FeatureSet& other) const {
    return (words_[0] & ~other.words_[0]) == 0 && (words_[1] & ~other.words_[1]) == 0;
  }
  friend constexpr FeatureSet operator|(FeatureSet a, const FeatureSet& b) {
    a.words_[0] |= b.words_[0];
    a.words_[1] |= b.words_[1];
    return a;
  }
  friend constexpr FeatureSet operator&(FeatureSet a, const FeatureSet& b) {
    a.words_[0] &= b.words_[0];
    a.words_[1] &= b.words_[1];
    return a;
  }
  friend constexpr bool operator==(const FeatureSet&, const FeatureSet&) = default;

private:
  std::array<std::uint64_t, 2> words_{};
};

inline constexpr unsigned VIRTIO_F_INDIRECT_DESC = 28;
inline constexpr unsigned VIRTIO_F_EVENT_IDX = 29;
inline constexpr unsigned VIRTIO_F_VERSION_1 = 32;
inline constexpr unsigned VIRTIO_F_ACCESS_PLATFORM = 33;
inline constexpr unsigned VIRTIO_F_RING_PACKED = 34;
inline constexpr unsigned VIRTIO_F_IN_ORDER = 35;
inline constexpr unsigned VIRTIO_F_ORDER_PLATFORM = 36;
inline constexpr unsigned VIRTIO_F_SR_IOV = 37;
inline constexpr unsigned VIRTIO_F_NOTIFICATION_DATA = 38;
inline constexpr unsigned VIRTIO_F_NOTIF_CONFIG_DATA = 39;
inline constexpr unsigned VIRTIO_F_RING_RESET = 40;
inline constexpr unsigned VIRTIO_F_ADMIN_VQ = 41;
inline constexpr unsigned VIRTIO_F_SUSPEND = 43;

} // namespace virtio
