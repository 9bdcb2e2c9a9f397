// What every ring engine needs and none may do differently: which queue set-up can work, how a
// descriptor extends a chain, when the driver wants a notification, and in what order completions
// become visible. Only decisions; the memory accesses are the engines'.
#pragma once

#include <virtio/core/packed_ring.hpp>
#include <virtio/core/ring_engine.hpp>
#include <virtio/core/split_ring.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace virtio {

static_assert(split::VIRTQ_DESC_F_NEXT == packed::VIRTQ_DESC_F_NEXT &&
              split::VIRTQ_DESC_F_WRITE == packed::VIRTQ_DESC_F_WRITE &&
              split::VIRTQ_DESC_F_INDIRECT == packed::VIRTQ_DESC_F_INDIRECT);
using split::VIRTQ_DESC_F_INDIRECT;
using split::VIRTQ_DESC_F_NEXT;
using split::VIRTQ_DESC_F_WRITE;

/// `none` when a queue can be enabled with this set-up: size, alignment and place of its parts.
RingError check_setup(const QueueSetup& setup);

/// A descriptor of either format, each field fetched from guest memory once.
struct Fetched {
  GuestAddr addr{};
  std::uint32_t len = 0;
  std::uint16_t flags = 0;
  std::uint16_t next_or_id = 0; // split: next; packed: buffer id
};

inline Fetched fetched(const split::Desc& d) {
  return {GuestAddr{std::uint64_t{d.addr}}, d.len, d.flags, d.next};
}
inline Fetched fetched(const packed::Desc& d) {
  return {GuestAddr{std::uint64_t{d.addr}}, d.len, d.flags, d.id};
}

/// Adds a descriptor's buffer to a chain.
inline RingError append(Chain& chain, const Fetched& d) {
  if (!fits(d.addr, d.len)) return RingError::address_wraps;
  if (d.flags & VIRTQ_DESC_F_WRITE) {
    chain.writable_len += d.len;
  } else {
    // virtio 1.4, 2.7.4.2 and 2.8.17: device-writable elements come after device-readable ones.
    if (chain.pieces.size() != chain.readable_pieces) return RingError::readable_after_writable;
    ++chain.readable_pieces;
    chain.readable_len += d.len;
  }
  chain.pieces.push_back({d.addr, d.len});
  // virtio 1.4, 2.7.5.2: no chain of more than 2^32 bytes.
  if (chain.readable_len + chain.writable_len > 1ull << 32) return RingError::chain_too_large;
  return RingError::none;
}

/// `at` + `count` descriptors further on in a packed ring.
inline RingIndex advance(RingIndex at, std::uint32_t count, std::uint16_t size) {
  const std::uint32_t sum = at.index + count;
  return sum >= size ? RingIndex{static_cast<std::uint16_t>(sum - size), !at.wrap}
                     : RingIndex{static_cast<std::uint16_t>(sum), at.wrap};
}

/// Whether the driver's event suppression structure `event` asks to be told that `advanced`
/// descriptors from `before` on were used (virtio 1.4, 2.8.10).
inline bool packed_wants_interrupt(std::uint32_t event, RingIndex before, std::uint32_t advanced,
                                   std::uint16_t size, bool event_idx) {
  if (packed::event_flags(event) != packed::RING_EVENT_FLAGS_DESC || !event_idx)
    return packed::event_flags(event) != packed::RING_EVENT_FLAGS_DISABLE;
  // Wanted when the descriptor that the driver named is among those just used.
  const int distance = packed::event_offset(event) - before.index +
                       (packed::event_wrap(event) != before.wrap ? size : 0);
  return distance >= 0 && distance < static_cast<int>(advanced);
}
/// The same for a split ring: with event index `value` is used_event, else the available ring's
/// flags (virtio 1.4, 2.7.7.2).
inline bool split_wants_interrupt(std::uint16_t value, RingIndex before, std::uint32_t advanced,
                                  bool event_idx) {
  if (event_idx) return static_cast<std::uint16_t>(value - before.index) < advanced;
  return !(value & split::VIRTQ_AVAIL_F_NO_INTERRUPT);
}

/// The chains of one queue that the function is done with, in the order in which they become
/// visible.
class Completions {
public:
  struct Completion {
    Chain* chain = nullptr;
    std::uint32_t written = 0;
    CompletionHints hints;
  };

  /// With `in_order`, chains become visible in the order in which they were made available.
  void restart(bool in_order) {
    list_.clear();
    in_order_ = in_order;
    next_id_ = 0;
  }
  void add(Chain& chain, std::uint32_t written, CompletionHints hints) {
    auto place = list_.end();
    if (in_order_)
      while (place != list_.begin() && age(*std::prev(place)->chain) > age(chain))
        --place;
    list_.insert(place, {&chain, written, hints});
  }
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  const Completion& operator[](std::size_t i) const { return list_[i]; }

  /// How many, from the first on, may become visible now: no group in part, and in order where
  /// negotiated.
  std::size_t publishable() const {
    std::size_t whole = 0;
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (in_order_ && age(*list_[i].chain) != i) break;
      if (!list_[i].hints.more) whole = i + 1;
    }
    return whole;
  }
  /// How many, from `first` on, one used descriptor stands for: in order, those before the last
  /// were used completely and may be skipped (virtio 1.4, 2.7.9 and 2.8.8).
  std::size_t run_length(std::size_t first, std::size_t ready) const {
    std::size_t last = first;
    while (in_order_ && last + 1 < ready && list_[last].hints.full)
      ++last;
    return last - first + 1;
  }
  /// How many packets the first `count` are: a group is one.
  std::uint32_t packets(std::size_t count) const {
    return static_cast<std::uint32_t>(
        std::count_if(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count),
                      [](const Completion& c) { return !c.hints.more; }));
  }
  /// The first `count` have become visible.
  void retire(std::size_t count) {
    list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count));
    next_id_ = static_cast<std::uint16_t>(next_id_ + count);
  }

private:
  std::uint16_t age(const Chain& chain) const {
    return static_cast<std::uint16_t>(chain.id - next_id_);
  }
  std::vector<Completion> list_;
  bool in_order_ = false;
  std::uint16_t next_id_ = 0; // in order: the chain that is due
};

} // namespace virtio
