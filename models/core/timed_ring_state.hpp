// What the parts of TimedRingEngine share: the state of a queue, and of what is under way for it.
// Nobody else includes this.
#pragma once

#include <virtio/core/timed_ring_engine.hpp>

#include <array>
#include <utility>

namespace virtio {

inline constexpr std::uint16_t max_descriptor_batch = 64; // in one read

/// A descriptor table that is being walked.
struct TimedRingEngine::Table {
  GuestAddr addr{};
  std::uint32_t entries = 0;
  std::uint16_t batch = 1; // entries in one read
  bool indirect = false;
};

/// A chain between its available entry and the function.
struct TimedRingEngine::Slot {
  Chain* chain = nullptr;
  bool done = false;
  RingError error = RingError::none;
  DmaStatus status = DmaStatus::ok;
  std::array<split::Desc, max_descriptor_batch> window; // of a table
};

/// A read of the ring: available entries (split), descriptors (packed).
struct TimedRingEngine::Batch {
  std::uint16_t first = 0;
  bool wrap = true;
  std::uint16_t count = 0;
  std::uint16_t taken = 0;
  std::uint64_t order = 0;
  bool done = false;
  bool stale = false; // came after what was not available
  DmaStatus status = DmaStatus::ok;
  std::vector<std::byte> bytes;
  std::vector<Slot*> slots; // split: one for each entry
};

struct TimedRingEngine::Timer : Wake {
  Queue* queue = nullptr;
};

struct TimedRingEngine::Queue {
  Queue(TimedRingEngine& e, QueueIndex i)
      : engine(e), index(i), scope(e.executor_, e.name_ + " queue " + std::to_string(raw(i))) {
    flush.queue = interrupt.queue = notify.queue = this;
    flush.call = [](Wake& wake) {
      Queue& q = *static_cast<Timer&>(wake).queue;
      q.flush_due = true;
      q.engine.start_write_back(q);
    };
    notify.call = [](Wake& wake) {
      Queue& q = *static_cast<Timer&>(wake).queue;
      q.engine.start_write_back(q);
    };
    interrupt.call = [](Wake& wake) {
      Queue& q = *static_cast<Timer&>(wake).queue;
      q.engine.fire_interrupt(q);
    };
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  TimedRingEngine& engine;
  QueueIndex index;
  Scope scope;
  QueueSetup setup;
  bool packed = false;
  bool event_idx = false;
  bool indirect = false;

  bool on = false;
  bool halted = false;      // emits no further chain until reset
  bool used_failed = false; // used entries cannot be written
  bool failed = false;      // an error was reported

  // Split: indices run freely and `wrap` is unused. Packed: offsets into the ring.
  RingIndex next_avail; // emitted up to here
  RingIndex next_fetch; // taken from the ring up to here
  RingIndex next_issue; // packed: reads are under way up to here
  RingIndex next_used;
  std::uint16_t seen_avail = 0; // split: the driver's index when last read
  std::uint16_t next_chain_id = 0;
  std::uint32_t credits = 0;
  std::uint32_t outstanding = 0;

  bool doorbell = false; // rung since the ring was last looked at
  bool rung = false;     // a doorbell has not been paid for
  bool armed = false;    // the driver was asked to notify for next_fetch
  bool visiting = false;
  bool more = false;    // packed: the ring may hold a descriptor at next_fetch
  bool ahead = false;   // packed: the last read was used in full, so it is worth reading ahead
  bool stalled = false; // packed: descriptors are there, credit is not
  bool taking = false;
  bool draining = false;
  bool writing_back = false;
  bool flush_due = false;

  // Packed: the chain whose descriptors are being taken.
  Slot* partial = nullptr;
  std::uint16_t partial_count = 0;
  const Batch* head_batch = nullptr;
  std::uint64_t head_order = 0;

  std::vector<Batch*> batches;       // packed: reads of the ring, in ring order
  std::vector<Slot*> walks;          // in availability order
  std::uint32_t reserved = 0;        // of chains_in_flight_
  std::uint16_t available_reads = 0; // split: entries under way

  Completions completions;
  RingIndex signalled; // the driver was asked about its wishes up to here
  std::uint32_t unsignalled = 0;
  std::uint32_t unsignalled_chains = 0;
  std::uint32_t held_chains = 0; // an interrupt waits with so many
  NotificationHold hold;
  Timer flush;
  Timer notify;
  Timer interrupt;
  le32 event_bytes;                  // being written
  std::vector<std::byte> used_bytes; // being written back
  std::vector<Piece> used_pieces;    // packed: where to

  std::vector<std::unique_ptr<Chain>> chains; // pool
  std::vector<Chain*> free_chains;
};

} // namespace virtio
