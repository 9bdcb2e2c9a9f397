// What the next descriptor chain of a queue can be, by the bytes that the queue's reads returned.
// Reads may have returned different values of one place, so there may be several answers; an engine
// is right with any of them.
#pragma once

#include <virtio/core/ring_walk.hpp>
#include <virtio/rtl/scoreboard/samples.hpp>

#include <functional>
#include <vector>

namespace virtio::rtl {

struct DecodedChain {
  enum class Kind : std::uint8_t {
    unread, ///< bytes are missing
    whole,
    wrong, ///< malformed, or the memory failed: `error`
  };
  Kind kind = Kind::unread;
  RingError error = RingError::none;
  Chain chain; ///< `slots`, `head` and its pieces; of a wrong one, those before the error
};

struct ChainPlace {
  const QueueSetup& setup;
  RingIndex next_avail;
  /// Split: when the chain was proved available; what is read of it was issued later.
  std::uint64_t proved = 0;
  /// Packed: of the ring's descriptor at an index, the same.
  std::function<std::uint64_t(std::uint16_t)> usable_since;
};

/// All answers, `limit` at most. Empty: packed, and the first descriptor is not available.
std::vector<DecodedChain> decode_chain(const Samples& samples, const ChainPlace& place,
                                       std::size_t limit = 64);

} // namespace virtio::rtl
