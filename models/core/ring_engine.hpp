// The ring engine boundary: what lies between a device function and its virtqueues. It is the same
// in C++ and in RTL, group for group; in C++ a group is one call over a whole descriptor chain.
// RingEngine is the side that walks rings, RingEngineClient the side that gets chains, errors and
// interrupts from it.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/core/features.hpp>
#include <virtio/core/types.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace virtio {

enum class RingError : std::uint8_t {
#define RING_ERROR(name, code, text) name = code,
#include <virtio/core/ring_errors.def>
#undef RING_ERROR
};
const char* to_string(RingError error);

/// A descriptor chain as the device function sees it: its device-readable pieces first, then its
/// device-writable ones, indirect tables flattened. Owned by the engine; valid until it is
/// completed or its queue's scope is idle after an abort.
struct Chain {
  QueueIndex queue{};
  std::uint16_t id = 0;    ///< number in availability order, modulo 2^16
  std::uint16_t head = 0;  ///< head descriptor (split), buffer id (packed)
  std::uint16_t slots = 1; ///< descriptors of the ring it takes (packed)
  std::vector<Piece> pieces;
  std::uint32_t readable_pieces = 0;
  std::uint64_t readable_len = 0;
  std::uint64_t writable_len = 0;
  std::uint64_t tag = 0; ///< for the device function's own use

  std::span<const Piece> readable() const { return std::span(pieces).first(readable_pieces); }
  std::span<const Piece> writable() const { return std::span(pieces).subspan(readable_pieces); }
};

/// An index into a ring with the wrap counter that packed rings need.
struct RingIndex {
  std::uint16_t index = 0;
  bool wrap = true;
  friend bool operator==(RingIndex, RingIndex) = default;
};

/// What the driver set up before it enabled the queue, and where both sides start.
struct QueueSetup {
  std::uint16_t size = 0; ///< entries; split: a power of two, 1..32768
  GuestAddr desc{};       ///< Descriptor Area
  GuestAddr driver{};     ///< Driver Area (split: available ring)
  GuestAddr device{};     ///< Device Area (split: used ring)
  FeatureSet features;
  RingIndex start_avail;
  RingIndex start_used;
};

/// What a device function says about a chain it is done with, beside the written length.
struct CompletionHints {
  bool more = false; ///< becomes visible together with the next completion of the queue
  bool full = false; ///< was read and written completely, so an in-order batch may skip it
};

/// Where a queue stands: for migration, for GET_VRING_BASE, and for people.
struct QueueProgress {
  RingIndex next_avail;
  RingIndex next_used;
  std::uint32_t outstanding = 0; ///< chains emitted and not yet written back
};

/// What an available buffer notification carries with VIRTIO_F_NOTIFICATION_DATA (virtio 1.4, 2.9).
struct NotificationData {
  std::uint16_t next_off = 0;
  bool next_wrap = false;
};

/// How the used buffer notifications of a queue are coalesced: one when `max_packets` packets were
/// returned, or `delay` after the first of them. With either zero, every packet is notified.
struct NotificationCoalescing {
  std::uint32_t max_packets = 0;
  SimTime delay{};
  bool off() const { return max_packets == 0 || delay.ps == 0; }
};

class RingEngineClient {
public:
  virtual ~RingEngineClient() = default;
  /// A chain, in availability order. Costs one credit of its queue.
  virtual void on_chain(Chain& chain) = 0;
  /// A used buffer notification is due. Called only after the used write is ordered.
  virtual void on_interrupt(QueueIndex queue) = 0;
  /// For people and reports: the available entry of a chain was read; its used entry is written.
  /// Engines without time do not tell.
  virtual void on_available(QueueIndex queue, std::uint16_t id) { (void)queue, (void)id; }
  virtual void on_published(QueueIndex queue, std::uint16_t id) { (void)queue, (void)id; }
  /// The ring is malformed, or memory failed. That queue stops; the others go on.
  virtual void on_ring_error(QueueIndex queue, RingError error) = 0;
};

class RingEngine {
public:
  virtual ~RingEngine() = default;

  // Commands.
  /// Hands the queue over and makes it live. Returns the reason when the set-up cannot work; the
  /// queue then stays off.
  virtual RingError enable(QueueIndex queue, const QueueSetup& setup) = 0;
  /// Stops issuing at once, drops what is in flight, calls `done` when nothing of the queue is
  /// outstanding.
  virtual void reset(QueueIndex queue, std::function<void()> done) = 0;
  /// Gives up on memory that does not answer; a reset under way then ends.
  virtual void orphan(QueueIndex queue) = 0;
  /// Emits no further chain until the queue is reset; what was emitted can still be completed.
  virtual void quiesce(QueueIndex queue) = 0;
  /// Holds for the queue until it is called again, across resets of the queue too. Returns false
  /// when the engine cannot.
  virtual bool coalesce(QueueIndex queue, const NotificationCoalescing& how) {
    (void)queue, (void)how;
    return false;
  }
  virtual QueueProgress progress(QueueIndex queue) const = 0;
  virtual bool enabled(QueueIndex queue) const = 0;

  /// Always accepted; spurious ones are harmless.
  virtual void doorbell(QueueIndex queue, std::optional<NotificationData> data) = 0;
  /// Lets `count` more chains of the queue be emitted.
  virtual void credit(QueueIndex queue, std::uint32_t count) = 0;
  /// The function is done with a chain and its writes are ordered. `written` bytes were written,
  /// from the first device-writable byte on.
  virtual void complete(Chain& chain, std::uint32_t written, CompletionHints hints = {}) = 0;

  /// The queue's way to memory, for the data of its chains.
  virtual Dma dma(QueueIndex queue) = 0;
};

} // namespace virtio
