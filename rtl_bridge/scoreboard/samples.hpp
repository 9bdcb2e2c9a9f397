// What the reads of one queue returned, kept as long as something may still follow from it. Points
// in time are numbers of events, so that a read issued after another's answer has a greater one.
#pragma once

#include <virtio/core/types.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace virtio::rtl {

class Samples {
public:
  static constexpr std::uint32_t block = 16;
  /// A value that reads had: in `issued` the last of them was issued, in `done` the first answered.
  struct Value {
    std::array<std::byte, block> bytes{};
    bool failed = false; ///< the memory answered with an error
    std::uint64_t issued = 0;
    std::uint64_t done = 0;

    template <class T> T as() const {
      T value{};
      std::memcpy(static_cast<void*>(&value), bytes.data(), sizeof value);
      return value;
    }
  };

  /// `bytes` as a read that was `issued` returned them at `done`.
  void add(GuestAddr addr, std::span<const std::byte> bytes, std::uint64_t issued,
           std::uint64_t done);
  /// The same for `len` bytes that could not be read.
  void add_failed(GuestAddr addr, std::uint64_t len, std::uint64_t issued, std::uint64_t done);

  /// The different values of `len` bytes (at most `block`) in reads issued after `since`.
  std::vector<Value> find(GuestAddr addr, std::uint32_t len, std::uint64_t since) const;

  /// Reads issued up to `since` will not be asked for again.
  void forget(std::uint64_t since);
  void clear() { blocks_.clear(); }

private:
  // Part of a block in one read.
  struct Slice {
    std::array<std::byte, block> bytes{};
    std::uint8_t begin = 0;
    std::uint8_t end = 0;
    bool failed = false;
    std::uint64_t issued = 0;
    std::uint64_t done = 0;
  };
  static constexpr std::ptrdiff_t slices_kept = 8; // of one place in a block
  void add_slice(std::uint64_t number, const Slice& slice);
  std::vector<Value> find_in(std::uint64_t number, std::uint32_t begin, std::uint32_t end,
                             std::uint64_t since) const;

  std::unordered_map<std::uint64_t, std::vector<Slice>> blocks_;
  std::size_t forget_at_ = 4096;
};

} // namespace virtio::rtl
