// What the ring scoreboard knows of one queue.
#pragma once

#include <virtio/rtl/scoreboard/chain_decoder.hpp>
#include <virtio/rtl/scoreboard/ring_scoreboard.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

namespace virtio::rtl {

struct RingScoreboard::Queue {
  enum class State : std::uint8_t { off, on, resetting };
  /// A chain with the function, or one that it is done with.
  struct Emitted {
    std::uint64_t order = 0; // in which it became available
    std::uint16_t head = 0;
    std::uint16_t slots = 1;
    std::uint32_t written = 0;
    bool generation = false;
    CompletionHints hints;
  };
  /// `count` chains were proved available at `when`.
  struct Proof {
    std::uint64_t count = 0;
    std::uint64_t when = 0;
  };
  /// A used element, or a used descriptor, as far as it is written and not yet visible.
  struct UsedSlot {
    std::array<std::byte, 16> bytes{};
    std::uint16_t written = 0; // a bit for each byte
    std::uint64_t when = 0;
    std::uint64_t write = 0; // the write that marked it
  };
  struct UsedWrite {
    std::uint16_t tag = 0;
    std::uint64_t advanced = 0; // behind it
    bool ordered = false;
    std::uint64_t issued = 0;
  };
  /// Indirect tables that descriptors named, by address; old ones are forgotten.
  class Tables {
  public:
    void add(GuestAddr at, std::uint64_t bytes) {
      if (recent_.size() == most) before_ = std::exchange(recent_, {});
      auto& known = recent_[raw(at)];
      known = std::max(known, bytes);
    }
    bool hold(GuestAddr at, std::uint64_t bytes) const {
      return hold(recent_, at, bytes) || hold(before_, at, bytes);
    }

  private:
    using Lengths = std::map<std::uint64_t, std::uint64_t>;
    static constexpr std::size_t most = 4096;
    static bool hold(const Lengths& tables, GuestAddr at, std::uint64_t bytes) {
      // The nearest that begins before it, or one that reaches over that.
      auto found = tables.upper_bound(raw(at));
      for (int i = 0; i < 8 && found != tables.begin(); ++i) {
        --found;
        const std::uint64_t offset = raw(at) - found->first;
        if (offset < found->second && bytes <= found->second - offset) return true;
      }
      return false;
    }
    Lengths recent_, before_;
  };

  Queue(std::uint16_t f, QueueIndex i) : function(f), index(i) {}
  /// Forgets everything but who it is and which commands wait.
  void restart(const QueueSetup& s) {
    const auto waiting = std::move(commands);
    *this = Queue(function, index);
    commands = waiting;
    setup = s;
    packed = s.features.has(VIRTIO_F_RING_PACKED);
    event_idx = s.features.has(VIRTIO_F_EVENT_IDX);
    in_order = s.features.has(VIRTIO_F_IN_ORDER);
    next_avail = s.start_avail;
    used_slots.resize(s.size);
    if (packed) freed.resize(s.size);
    if (packed) asked.resize(s.size);
  }

  /// The ring's index `advanced` entries or descriptors behind where the used side began.
  RingIndex used_at(std::uint64_t count) const {
    if (!packed) return {static_cast<std::uint16_t>(setup.start_used.index + count), true};
    const std::uint64_t sum = setup.start_used.index + count;
    return {static_cast<std::uint16_t>(sum % setup.size),
            setup.start_used.wrap != ((sum / setup.size) % 2 != 0)};
  }
  std::uint16_t avail_idx(std::uint64_t count) const {
    return static_cast<std::uint16_t>(setup.start_avail.index + count);
  }
  /// Packed: which of the ring's descriptors from now on, counted since the queue was enabled, the
  /// next one at `slot` is.
  std::uint64_t position_of(std::uint16_t slot, std::uint64_t from, std::uint16_t next) const {
    return from + (slot + setup.size - next) % setup.size;
  }
  /// Packed: what is read of `slot` and used was issued later.
  std::uint64_t usable_since(std::uint16_t slot) const {
    std::uint64_t since = std::max(unavailable_floor, freed[slot][1]);
    const std::uint64_t own = position_of(slot, position, next_avail.index);
    for (const auto& [at, when] : unavailable)
      if (at < own) since = std::max(since, when);
    return since;
  }
  std::vector<DecodedChain> decode() const {
    if (!packed && proofs.empty()) return {};
    return decode_chain(
        samples, {.setup = setup,
                  .next_avail = next_avail,
                  .proved = packed ? 0 : proofs.front().when,
                  .usable_since = [this](std::uint16_t slot) { return usable_since(slot); }});
  }
  bool used_write_ordered(std::uint64_t issued) const {
    return std::none_of(used_writes.begin(), used_writes.end(),
                        [&](const UsedWrite& w) { return w.issued == issued && !w.ordered; });
  }
  /// How many of `done`, from the first on, may be published.
  std::size_t publishable() const {
    std::size_t n = 0;
    while (n < done.size() && (!in_order || done[n].order == next_due + n))
      ++n;
    return n;
  }
  /// What was published and is ordered; with `all`, or is on its way.
  std::uint64_t ordered(bool all) const {
    std::uint64_t most = ordered_before;
    for (const UsedWrite& w : used_writes)
      if (all || w.ordered) most = std::max(most, w.advanced);
    return most;
  }

  std::uint16_t function;
  QueueIndex index;
  std::deque<Command> commands; // without response
  State state = State::off;
  bool lost = false; // a violation after which nothing can be said of it until its reset
  bool aborted = false;
  bool quiesced = false;
  bool failed = false; // reported an error
  std::uint16_t vector = 0;
  std::uint32_t published_after_failure = 0; // times
  Tables tables;
  QueueSetup setup;
  bool packed = false;
  bool event_idx = false;
  bool in_order = false;
  std::uint32_t outstanding = 0; // accesses

  // Chains that become available.
  RingIndex next_avail;
  std::uint64_t chains = 0;   // emitted
  std::uint64_t position = 0; // packed: their descriptors
  std::uint64_t credits = 0;
  std::uint64_t proved = 0; // split: chains
  std::deque<Proof> proofs; // split: of those not yet emitted
  bool jump_allowed = false;
  bool jump_certain = false;
  std::set<RingError> failures; // of memory
  std::vector<BoundaryEvent> partial;
  Samples samples;
  std::vector<std::array<std::uint64_t, 2>> freed;    // packed: when a slot was last published
  std::vector<std::uint64_t> asked;                   // packed: when a slot was last asked for
  std::map<std::uint64_t, std::uint64_t> unavailable; // packed: position, when it was seen so
  std::uint64_t unavailable_floor = 0;                // of positions that were emitted

  // Chains that become used.
  std::map<std::uint16_t, Emitted> with_function; // by chain id
  std::deque<Emitted> done;                       // in the order in which they are to be published
  std::uint64_t next_due = 0;                     // in order
  std::uint64_t advanced = 0;                     // used entries or descriptors that are visible
  std::vector<UsedSlot> used_slots;
  std::set<std::uint16_t> pending; // packed: slots whose flags are written
  std::deque<UsedWrite> used_writes;
  std::uint64_t ordered_before = 0;

  // Notifications.
  std::uint64_t signalled = 0; // the driver's wishes were read for so many of `advanced`
  std::uint64_t signalled_before = 0;
  bool owed = false;
  std::uint32_t justified = 0; // interrupts that may still be on their way
  std::uint32_t spurious = 0;
  std::uint64_t doorbell = 0;         // when it last rang
  std::uint64_t index_read = 0;       // split: when the index was last asked for
  std::uint64_t index_read_after = 0; // the same, of a read that waits for earlier writes
  bool armed = false;
  std::uint32_t armed_for = 0; // avail_event or flags, or packed's structure
  std::uint16_t armed_tag = 0;
  std::uint64_t armed_at = 0;
  std::uint64_t armed_ordered = 0; // 0: not yet
};

} // namespace virtio::rtl
