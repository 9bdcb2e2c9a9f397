// What one buffer holds, put together from the device's accesses in any order; bounded.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace virtio::analyser {

class BufferContent {
public:
  /// Longer contents are not kept: the longest packet, the longest indirection table and thousands
  /// of addresses have room.
  static constexpr std::uint64_t max_bytes = 128 << 10;

  void set_lengths(std::uint64_t readable, std::uint64_t writable) {
    readable_len_ = readable;
    writable_len_ = writable;
  }
  /// Device-readable bytes, as the device read them. Returns how many are kept now that were not.
  std::size_t read(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::size_t before = kept_;
    if (offset < max_bytes && bytes.size() <= max_bytes - offset) put(offset, bytes);
    return kept_ - before;
  }
  void wrote(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (offset == 0 && !bytes.empty()) first_written_ = std::to_integer<std::uint8_t>(bytes[0]);
  }

  /// Bytes that were ever kept: an upper limit of what it occupies.
  std::size_t kept() const { return kept_; }
  /// The device-readable bytes from the front on, as far as they are known.
  std::span<const std::byte> front() const { return front_; }
  /// All elements and all device-readable bytes are known.
  bool whole() const { return readable_len_ && front_.size() == *readable_len_; }
  std::optional<std::uint64_t> readable_len() const { return readable_len_; }
  std::uint64_t writable_len() const { return writable_len_; }
  /// The first device-writable byte, as the device wrote it.
  std::optional<std::uint8_t> first_written() const { return first_written_; }

private:
  static constexpr std::size_t max_parts = 256;

  void put(std::uint64_t offset, std::span<const std::byte> bytes) {
    if (offset > front_.size()) {
      if (ahead_.size() >= max_parts) return;
      if (ahead_.emplace(offset, std::vector(bytes.begin(), bytes.end())).second)
        kept_ += bytes.size();
      return;
    }
    append(offset, bytes);
    while (!ahead_.empty() && ahead_.begin()->first <= front_.size()) {
      append(ahead_.begin()->first, ahead_.begin()->second);
      ahead_.erase(ahead_.begin());
    }
  }

  void append(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::uint64_t known = front_.size() - offset;
    if (known >= bytes.size()) return;
    const auto fresh = bytes.subspan(static_cast<std::size_t>(known));
    front_.insert(front_.end(), fresh.begin(), fresh.end());
    kept_ += fresh.size();
  }

  std::optional<std::uint64_t> readable_len_; // nothing: not all elements are known
  std::uint64_t writable_len_ = 0;
  std::size_t kept_ = 0;
  std::vector<std::byte> front_;
  std::map<std::uint64_t, std::vector<std::byte>> ahead_;
  std::optional<std::uint8_t> first_written_;
};

} // namespace virtio::analyser
