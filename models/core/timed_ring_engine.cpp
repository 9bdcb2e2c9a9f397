#include <virtio/core/timed_ring_engine.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <utility>

namespace virtio {

namespace {
constexpr std::uint16_t max_batch = 64; // descriptors in one read
constexpr std::uint32_t max_visits_at_once = 4096;
constexpr std::uint64_t ps_per_second = 1'000'000'000'000;
} // namespace

std::string problem_with(const RingEngineParams& p) {
  const auto range = [](const char* name, std::uint64_t value, std::uint64_t low,
                        std::uint64_t high) {
    return value >= low && value <= high
               ? std::string()
               : fmt::format("{} = {} is not in {}..{}", name, value, low, high);
  };
  for (std::string text :
       {range("clock", p.clock, 1'000'000, 10'000'000'000),
        range("available_batch", p.available_batch, 1, 256),
        range("available_prefetch", p.available_prefetch, p.available_batch, 32768),
        range("descriptor_batch", p.descriptor_batch, 1, max_batch),
        range("descriptor_prefetch", p.descriptor_prefetch, p.descriptor_batch, 32768),
        range("indirect_batch", p.indirect_batch, 1, max_batch),
        range("chains_in_flight", p.chains_in_flight, 1, 65536),
        range("queues_in_flight", p.queues_in_flight, 1, 65536),
        range("outstanding_reads", p.outstanding_reads, 1, 65535),
        range("outstanding_writes", p.outstanding_writes, 1, 65535),
        range("used_batch", p.used_batch, 1, 32768),
        range("interrupt_chains", p.interrupt_chains, 1, 65535),
        range("visit_cycles", p.visit_cycles, 0, 1'000'000)})
    if (!text.empty()) return text;
  if (std::count(p.weights.begin(), p.weights.end(), 0) != 0)
    return "weights = 0 would never be visited: use 1 or more";
  if (std::any_of(p.priorities.begin(), p.priorities.end(), [](auto v) { return v > 7; }))
    return "priorities = 0 (first) to 7 are possible";
  return {};
}

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
  std::array<split::Desc, max_batch> window; // of a table
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

TimedRingEngine::TimedRingEngine(std::string name, Executor& executor, DmaPort& port,
                                 std::uint16_t num_queues, RingEngineClient& client,
                                 const RingEngineParams& params)
    : name_(std::move(name)), executor_(executor), port_(port), client_(client), params_(params),
      arbiter_(params, num_queues) {
  static_assert(sizeof(Queue) < 900, "an idle queue takes less than 1 KiB");
  if (const std::string text = problem_with(params_); !text.empty())
    throw std::invalid_argument("ring engine of " + name_ + ": " + text);
  port_.limit(params_.outstanding_reads, params_.outstanding_writes);
  queues_.reserve(num_queues);
  for (std::uint16_t i = 0; i < num_queues; ++i)
    queues_.push_back(std::make_unique<Queue>(*this, QueueIndex{i}));
}
TimedRingEngine::~TimedRingEngine() = default;

Dma TimedRingEngine::dma(Queue& q) const {
  return Dma(port_, q.scope, raw(q.index));
}
Dma TimedRingEngine::dma(QueueIndex queue) {
  return dma(at(queue));
}
bool TimedRingEngine::enabled(QueueIndex queue) const {
  return at(queue).on;
}
QueueProgress TimedRingEngine::progress(QueueIndex queue) const {
  const Queue& q = at(queue);
  return {q.next_avail, q.next_used, q.outstanding};
}
TimedRingEngine::Stats TimedRingEngine::stats() const {
  Stats all = stats_;
  all.visit_busy = visit_stage_.busy;
  all.walk_busy = walk_stage_.busy;
  all.write_back_busy = write_back_stage_.busy;
  return all;
}

/// Rounded up: a clock edge does not come early.
SimTime TimedRingEngine::cycles(std::uint64_t n) const {
  return {(n * ps_per_second + params_.clock - 1) / params_.clock};
}
Delay TimedRingEngine::work(Queue& q, PipelineStage& stage, std::uint64_t n) {
  return delay(q.scope, n == 0 ? SimTime{} : stage.take(executor_.now(), cycles(n)));
}

// --- commands -----------------------------------------------------------------------------------

RingError TimedRingEngine::enable(QueueIndex queue, const QueueSetup& setup) {
  if (const RingError error = check_setup(setup); error != RingError::none) return error;
  Queue& q = at(queue);
  q.setup = setup;
  q.packed = setup.features.has(VIRTIO_F_RING_PACKED);
  q.event_idx = setup.features.has(VIRTIO_F_EVENT_IDX);
  q.indirect = setup.features.has(VIRTIO_F_INDIRECT_DESC);
  q.completions.restart(setup.features.has(VIRTIO_F_IN_ORDER));
  q.next_avail = q.next_fetch = q.next_issue = setup.start_avail;
  q.next_used = q.signalled = setup.start_used;
  q.seen_avail = setup.start_avail.index;
  q.next_chain_id = 0;
  q.credits = 0;
  q.unsignalled = q.unsignalled_chains = q.held_chains = 0;
  q.doorbell = q.rung = q.armed = q.more = q.ahead = q.stalled = false;
  q.halted = q.used_failed = q.failed = q.flush_due = false;
  q.on = true;
  return RingError::none;
}

void TimedRingEngine::reset(QueueIndex queue, std::function<void()> done) {
  Queue& q = at(queue);
  q.on = false;
  q.flush.cancel();
  q.hold.told();
  q.notify.cancel();
  q.interrupt.cancel();
  arbiter_.withdraw(queue);
  q.scope.cancel();
  q.scope.when_idle([this, &q, done = std::move(done)] {
    drop_batches(q); // every read has ended
    q.partial = nullptr;
    free_slots_.insert(free_slots_.end(), q.walks.begin(), q.walks.end());
    q.walks.clear();
    release_chains(q, q.reserved);
    q.completions.restart(false);
    q.free_chains.clear();
    for (const auto& chain : q.chains)
      q.free_chains.push_back(chain.get());
    q.outstanding = 0;
    q.available_reads = 0;
    q.visiting = q.taking = q.draining = q.writing_back = false;
    q.scope.reopen();
    done();
    dispatch();
  });
}

void TimedRingEngine::orphan(QueueIndex queue) {
  at(queue).scope.orphan();
}

void TimedRingEngine::quiesce(QueueIndex queue) {
  halt(at(queue));
}

bool TimedRingEngine::coalesce(QueueIndex queue, const NotificationCoalescing& how) {
  Queue& q = at(queue);
  q.hold.set(how);
  q.notify.cancel();
  const SimTime now = executor_.now();
  if (q.hold.hold(now)) executor_.post_at(q.notify, q.hold.until());
  start_write_back(q);
  return true;
}

// The notification data (virtio 1.4, 2.9) is a hint: the ring itself is read in any case.
void TimedRingEngine::doorbell(QueueIndex queue, std::optional<NotificationData>) {
  Queue& q = at(queue);
  q.doorbell = q.rung = true;
  visits_now_ = 0;
  wake(q);
}

void TimedRingEngine::credit(QueueIndex queue, std::uint32_t count) {
  Queue& q = at(queue);
  q.credits += count;
  wake(q);
}

void TimedRingEngine::halt(Queue& q) {
  q.halted = true;
  release_chains(q, q.reserved);
}

void TimedRingEngine::fail(Queue& q, DmaStatus status, RingError error) {
  if (status == DmaStatus::cancelled || q.scope.cancelled()) return;
  halt(q);
  if (!std::exchange(q.failed, true)) client_.on_ring_error(q.index, error);
}

void TimedRingEngine::release_chains(Queue& q, std::uint32_t count) {
  count = std::min(count, q.reserved);
  q.reserved -= count;
  chains_in_flight_ -= count;
}

// --- choosing queues ----------------------------------------------------------------------------

bool TimedRingEngine::wants_visit(const Queue& q) const {
  if (!q.on || q.halted || q.visiting || q.credits <= q.walks.size()) return false;
  const bool look = q.doorbell || (q.event_idx && !q.armed);
  if (!q.packed)
    return q.available_reads < params_.available_prefetch &&
           (q.seen_avail != q.next_fetch.index || look);
  if (q.stalled) return true;
  return q.more ? q.batches.size() < batches_ahead(q) && room_ahead(q) > 0
                : q.batches.empty() && look;
}

/// Packed: how many more descriptors may be read ahead. A round further than what was taken, an
/// entry may still hold what it held two rounds ago, which looks as if it were available.
std::uint32_t TimedRingEngine::room_ahead(const Queue& q) const {
  std::uint32_t ahead = 0;
  for (const Batch* batch : q.batches)
    ahead += batch->count - batch->taken;
  return q.setup.size - std::min<std::uint32_t>(ahead, q.setup.size);
}

std::size_t TimedRingEngine::batches_ahead(const Queue& q) const {
  return q.ahead ? params_.descriptor_prefetch / params_.descriptor_batch : 1u;
}

void TimedRingEngine::wake(Queue& q) {
  if (wants_visit(q)) arbiter_.request(q.index);
  dispatch();
}

void TimedRingEngine::dispatch() {
  if (std::exchange(dispatching_, true)) return;
  while (visits_ < params_.queues_in_flight && chains_in_flight_ < params_.chains_in_flight) {
    const auto next = arbiter_.take();
    if (!next) break;
    Queue& q = at(*next);
    if (!wants_visit(q)) continue;
    q.visiting = true;
    ++visits_;
    q.scope.start([&] { return visit(q); });
  }
  dispatching_ = false;
}

Task<> TimedRingEngine::visit(Queue& q) {
  ++stats_.visits;
  const SimTime door = std::exchange(q.rung, false) ? cycles(params_.doorbell_cycles) : SimTime{};
  const SimTime now = executor_.now();
  SimTime turn = door + visit_stage_.take(now + door, cycles(params_.visit_cycles));
  // A device that feeds its own ring, in an engine whose stages cost nothing, must not keep the
  // register write that rang.
  if (std::exchange(last_visit_, now) != now) visits_now_ = 0;
  if (++visits_now_ > max_visits_at_once) turn = turn + microseconds(1);
  const bool elapsed = co_await delay(q.scope, turn);
  const bool known = q.packed ? q.stalled || q.more : q.seen_avail != q.next_fetch.index;
  // What it was chosen for may have been dealt with since.
  const bool look = known || q.doorbell || q.event_idx;
  if (elapsed && !q.halted && look) {
    RingError error = RingError::none;
    DmaStatus status = DmaStatus::ok;
    if (!known && !q.doorbell) {
      // Asks to be notified for the next chain, then looks once more: it may have come meanwhile.
      q.armed = true;
      status = co_await arm(q);
      if (status != DmaStatus::ok) error = RingError::event_unwritable;
      fence();
    }
    if (!known && error == RingError::none) {
      q.doorbell = false;
      if (q.packed) {
        q.more = true;
      } else {
        const auto idx = co_await dma(q).load<OrderedInt<std::uint16_t>>(
            split::avail_idx(q.setup.driver), AccessKind::available);
        status = idx.status;
        if (status != DmaStatus::ok)
          error = RingError::ring_unreadable;
        else if (static_cast<std::uint16_t>(idx.value.value - q.next_avail.index) > q.setup.size)
          error = RingError::avail_index_jump;
        else
          q.seen_avail = idx.value.value;
      }
    }
    if (error != RingError::none)
      fail(q, status, error);
    else if (!q.halted && !q.scope.cancelled())
      fetch(q);
  }
  q.visiting = false;
  --visits_;
  wake(q);
}

DmaAccess TimedRingEngine::arm(Queue& q) {
  const QueueSetup& s = q.setup;
  if (q.packed) {
    q.event_bytes =
        packed::event(q.next_fetch.index, q.next_fetch.wrap, packed::RING_EVENT_FLAGS_DESC);
    return dma(q).write(s.device, &q.event_bytes, 4, AccessKind::device_event);
  }
  q.event_bytes = q.next_fetch.index;
  return dma(q).write(split::avail_event(s.device, s.size), &q.event_bytes, 2,
                      AccessKind::device_event);
}

void TimedRingEngine::fetch(Queue& q) {
  if (q.packed) {
    if (std::exchange(q.stalled, false))
      take_descriptors(q);
    else if (q.batches.size() < batches_ahead(q) && room_ahead(q) > 0)
      read_descriptors(q);
    return;
  }
  const std::uint32_t ready = static_cast<std::uint16_t>(q.seen_avail - q.next_fetch.index);
  const std::uint32_t credit =
      q.credits - std::min<std::uint32_t>(q.credits, static_cast<std::uint32_t>(q.walks.size()));
  const std::uint32_t room = params_.chains_in_flight - chains_in_flight_;
  const std::uint32_t window = params_.available_prefetch - q.available_reads;
  // Where visits are what queues have shares of, they are equally long.
  const std::uint32_t most =
      params_.arbitration == Arbitration::round_robin ? window : params_.available_batch;
  if (ready > 0) read_available(q, std::min({ready, credit, room, window, most}));
}

// --- split: available entries, then descriptors -------------------------------------------------

TimedRingEngine::Slot& TimedRingEngine::new_slot(Queue& q) {
  if (free_slots_.empty()) free_slots_.push_back(&slots_.emplace_back());
  Slot& slot = *free_slots_.back();
  free_slots_.pop_back();
  if (q.free_chains.empty())
    q.free_chains.push_back(q.chains.emplace_back(std::make_unique<Chain>()).get());
  Chain& chain = *q.free_chains.back();
  q.free_chains.pop_back();
  chain.queue = q.index;
  chain.id = q.next_chain_id++;
  chain.pieces.clear();
  chain.readable_pieces = 0;
  chain.readable_len = chain.writable_len = 0;
  chain.slots = 1;
  chain.tag = 0;
  slot.chain = &chain;
  slot.done = false;
  slot.error = RingError::none;
  slot.status = DmaStatus::ok;
  q.walks.push_back(&slot);
  q.armed = false;
  ++q.reserved;
  ++chains_in_flight_;
  return slot;
}

TimedRingEngine::Batch& TimedRingEngine::take_batch(std::size_t bytes) {
  if (free_batches_.empty()) free_batches_.push_back(&batches_.emplace_back());
  Batch& batch = *free_batches_.back();
  free_batches_.pop_back();
  batch.taken = 0;
  batch.order = ++order_;
  batch.done = batch.stale = false;
  batch.bytes.resize(bytes);
  return batch;
}

// Reads `count` available entries, known to be there, in as many reads as the ring's end and the
// batch size ask for.
void TimedRingEngine::read_available(Queue& q, std::uint32_t count) {
  while (count > 0 && q.on && !q.halted) {
    const auto at = static_cast<std::uint16_t>(q.next_fetch.index & (q.setup.size - 1));
    const std::uint32_t n =
        std::min({count, std::uint32_t{params_.available_batch}, std::uint32_t{q.setup.size} - at});
    Batch& batch = take_batch(2 * n);
    batch.first = at;
    batch.count = static_cast<std::uint16_t>(n);
    for (std::uint32_t i = 0; i < n; ++i)
      batch.slots.push_back(&new_slot(q));
    q.next_fetch.index = static_cast<std::uint16_t>(q.next_fetch.index + n);
    q.available_reads = static_cast<std::uint16_t>(q.available_reads + n);
    count -= n;
    q.scope.start([&] { return available_batch(q, batch); });
  }
}

Task<> TimedRingEngine::available_batch(Queue& q, Batch& batch) {
  const DmaStatus status =
      co_await dma(q).read(split::avail_ring(q.setup.driver, batch.first), batch.bytes.data(),
                           2u * batch.count, AccessKind::available);
  bool live = status != DmaStatus::cancelled;
  if (live)
    live = co_await work(q, visit_stage_, std::uint64_t{params_.available_cycles} * batch.count);
  q.available_reads = static_cast<std::uint16_t>(q.available_reads - batch.count);
  const Table table{q.setup.desc, q.setup.size, params_.descriptor_batch, false};
  for (std::uint16_t i = 0; i < batch.count && live; ++i) {
    Slot& slot = *batch.slots[i];
    std::uint16_t head = 0;
    std::memcpy(&head, &batch.bytes[2u * i], 2);
    slot.status = status;
    if (status != DmaStatus::ok)
      slot.error = RingError::ring_unreadable;
    else if (head >= q.setup.size)
      slot.error = RingError::head_out_of_range;
    slot.done = slot.error != RingError::none;
    slot.chain->head = head;
    if (slot.done || q.halted) continue;
    client_.on_available(q.index, slot.chain->id);
    q.scope.start([&] { return walk(q, slot, table, head); });
    live = !q.scope.cancelled();
  }
  batch.slots.clear();
  free_batches_.push_back(&batch);
  if (live) drain(q);
}

// Walks one chain's descriptors from `at` on, over at most two tables: the ring's own (split) and
// an indirect one (virtio 1.4, 2.7.5.3 and 2.8.7). Descriptors are read several at a time; those
// that the chain does not go through are dropped.
Task<> TimedRingEngine::walk(Queue& q, Slot& slot, Table table, std::uint32_t at) {
  const Dma memory = dma(q);
  Chain& chain = *slot.chain;
  std::uint32_t first = 0;
  std::uint32_t have = 0; // entries of the table in slot.window, from `first` on
  std::uint32_t count = 0;
  for (;;) {
    // 2.7.5.3.1, 2.8.17: not longer than the queue, its indirect part included; so a loop ends.
    if (count == q.setup.size) {
      slot.error = RingError::chain_too_long;
      break;
    }
    if (at < first || at - first >= have) {
      first = at;
      have = std::min<std::uint32_t>(table.batch, table.entries - at);
      slot.status =
          co_await memory.read(table.addr + 16ull * at, slot.window.data(), 16 * have,
                               table.indirect ? AccessKind::indirect : AccessKind::descriptor);
      if (slot.status == DmaStatus::cancelled) co_return;
      if (slot.status != DmaStatus::ok) {
        slot.error = RingError::descriptor_unreadable;
        break;
      }
    }
    const split::Desc& desc = slot.window[at - first];
    Fetched d = q.packed ? fetched(std::bit_cast<packed::Desc>(desc)) : fetched(desc);
    if (q.packed) d.flags &= VIRTQ_DESC_F_WRITE; // 2.8.7: the others are reserved and ignored
    if (d.flags & VIRTQ_DESC_F_INDIRECT) {
      slot.error = table.indirect ? RingError::nested_indirect : indirect_error(q, d);
      if (slot.error == RingError::none) slot.error = enter(table, d);
      if (slot.error != RingError::none) break;
      at = have = 0;
      continue;
    }
    slot.error = append(chain, d);
    if (slot.error != RingError::none) break;
    ++count;
    if (q.packed) {
      if (++at == table.entries) break;
      continue;
    }
    if (!(d.flags & VIRTQ_DESC_F_NEXT)) break;
    if (d.next_or_id >= table.entries) {
      slot.error = RingError::next_out_of_range;
      break;
    }
    at = d.next_or_id;
  }
  const std::uint64_t cost = std::uint64_t{params_.descriptor_cycles} * count + params_.emit_cycles;
  const bool elapsed = co_await work(q, walk_stage_, cost);
  if (!elapsed) co_return;
  slot.done = true;
  drain(q);
}

// Split: direct descriptors, then one indirect (2.7.5.3.2); packed: never mixed in a list (2.8.7).
RingError TimedRingEngine::indirect_error(const Queue& q, const Fetched& d) {
  if (!q.indirect) return RingError::indirect_not_negotiated;
  const bool mixed = q.packed && q.partial_count > 1;
  return (d.flags & VIRTQ_DESC_F_NEXT) || mixed ? RingError::indirect_with_next : RingError::none;
}

RingError TimedRingEngine::enter(Table& table, const Fetched& d) const {
  if (d.len == 0 || d.len % 16 != 0) return RingError::bad_indirect_table;
  if (!fits(d.addr, d.len)) return RingError::address_wraps;
  table = {d.addr, d.len / 16, params_.indirect_batch, true};
  return RingError::none;
}

// --- packed: descriptors that prove themselves --------------------------------------------------

void TimedRingEngine::read_descriptors(Queue& q) {
  const std::uint32_t n = std::min({std::uint32_t{params_.descriptor_batch}, room_ahead(q),
                                    std::uint32_t{q.setup.size} - q.next_issue.index});
  Batch& batch = take_batch(16 * n);
  batch.first = q.next_issue.index;
  batch.count = static_cast<std::uint16_t>(n);
  q.next_issue = advance(q.next_issue, n, q.setup.size);
  q.batches.push_back(&batch);
  q.scope.start([&] { return descriptor_batch(q, batch); });
}

Task<> TimedRingEngine::descriptor_batch(Queue& q, Batch& batch) {
  batch.status = co_await dma(q).read(packed::desc(q.setup.desc, batch.first), batch.bytes.data(),
                                      16u * batch.count, AccessKind::descriptor);
  batch.done = true;
  if (batch.stale)
    free_batches_.push_back(&batch);
  else if (batch.status != DmaStatus::cancelled)
    take_descriptors(q);
}

/// Forgets what was read beyond next_fetch: it will be read again.
void TimedRingEngine::drop_batches(Queue& q) {
  for (Batch* batch : q.batches) {
    if (batch->done)
      free_batches_.push_back(batch);
    else
      batch->stale = true;
  }
  q.batches.clear();
  q.head_batch = nullptr;
  q.next_issue = q.next_fetch;
  q.ahead = false;
}

// Takes descriptors in ring order out of the reads that have ended. After the first one that is
// not available everything read beyond it is dropped.
void TimedRingEngine::take_descriptors(Queue& q) {
  if (std::exchange(q.taking, true)) return;
  bool go_on = true;
  while (go_on && q.on && !q.halted && !q.batches.empty() && q.batches.front()->done) {
    Batch& batch = *q.batches.front();
    if (batch.status != DmaStatus::ok) {
      end_partial(q, RingError::descriptor_unreadable, batch.status);
      break;
    }
    while (go_on && batch.taken < batch.count)
      go_on = take_descriptor(q, batch);
    if (!go_on) break;
    q.ahead = true;
    q.batches.erase(q.batches.begin());
    free_batches_.push_back(&batch);
  }
  q.taking = false;
  if (q.partial && q.batches.empty() && q.on && !q.halted) read_descriptors(q);
  drain(q);
}

/// The next descriptor of the ring. False when the rest of what was read cannot be used now.
bool TimedRingEngine::take_descriptor(Queue& q, Batch& batch) {
  packed::Desc desc;
  std::memcpy(static_cast<void*>(&desc), &batch.bytes[16u * batch.taken], sizeof desc);
  const bool available = packed::available(desc.flags, q.next_fetch.wrap);
  if (!q.partial) {
    if (!available) {
      drop_batches(q);
      q.more = false;
      return false;
    }
    q.stalled = q.credits <= q.walks.size() || chains_in_flight_ >= params_.chains_in_flight;
    if (q.stalled) return false;
    q.partial = &new_slot(q);
    q.partial_count = 0;
    q.head_batch = &batch;
    q.head_order = ++order_;
    client_.on_available(q.index, q.partial->chain->id);
  } else if (&batch != q.head_batch && batch.order < q.head_order) {
    // Read before the head was known to be available: the driver may have been writing it.
    drop_batches(q);
    return false;
  } else if (!available) {
    end_partial(q, RingError::chain_not_available, DmaStatus::ok);
    return false;
  }
  ++batch.taken;
  ++q.partial_count;
  q.next_fetch = advance(q.next_fetch, 1, q.setup.size);
  Slot& slot = *q.partial;
  const Fetched d = fetched(desc);
  const bool indirect = (d.flags & VIRTQ_DESC_F_INDIRECT) != 0;
  Table table;
  RingError error = indirect ? indirect_error(q, d) : append(*slot.chain, d);
  if (indirect && error == RingError::none) error = enter(table, d);
  const bool goes_on = (d.flags & VIRTQ_DESC_F_NEXT) != 0;
  // 2.8.17: a chain is not longer than the queue.
  if (error == RingError::none && goes_on && q.partial_count == q.setup.size)
    error = RingError::chain_too_long;
  if (error != RingError::none) {
    end_partial(q, error, DmaStatus::ok);
    return false;
  }
  if (goes_on) return true;
  slot.chain->head = d.next_or_id; // the list's last descriptor names the buffer (2.8.6)
  slot.chain->slots = q.partial_count;
  q.partial = nullptr;
  if (indirect)
    q.scope.start([&] { return walk(q, slot, table, 0); });
  else
    q.scope.start([&] { return settle(q, slot, slot.chain->slots); });
  return !q.scope.cancelled();
}

void TimedRingEngine::end_partial(Queue& q, RingError error, DmaStatus status) {
  Slot& slot = q.partial ? *q.partial : new_slot(q);
  q.partial = nullptr;
  slot.error = error;
  slot.status = status;
  slot.done = true;
  q.more = false;
  drop_batches(q);
}

Task<> TimedRingEngine::settle(Queue& q, Slot& slot, std::uint32_t descriptors) {
  const bool elapsed = co_await work(
      q, walk_stage_, std::uint64_t{params_.descriptor_cycles} * descriptors + params_.emit_cycles);
  if (!elapsed) co_return;
  slot.done = true;
  drain(q);
}

// --- emitting, in availability order ------------------------------------------------------------

void TimedRingEngine::drain(Queue& q) {
  if (std::exchange(q.draining, true)) return;
  while (q.on && !q.halted && !q.walks.empty() && q.walks.front()->done) {
    Slot& slot = *q.walks.front();
    if (slot.error != RingError::none) {
      fail(q, slot.status, slot.error);
      break;
    }
    q.walks.erase(q.walks.begin());
    free_slots_.push_back(&slot);
    release_chains(q, 1);
    Chain& chain = *slot.chain;
    if (q.packed)
      q.next_avail = advance(q.next_avail, chain.slots, q.setup.size);
    else
      ++q.next_avail.index;
    --q.credits;
    ++q.outstanding;
    ++stats_.chains;
    client_.on_chain(chain);
  }
  q.draining = false;
  wake(q);
}

// --- completions --------------------------------------------------------------------------------

void TimedRingEngine::complete(Chain& chain, std::uint32_t written, CompletionHints hints) {
  Queue& q = at(chain.queue);
  if (q.scope.cancelled() || !q.on) return; // the reset takes the chain back
  q.completions.add(chain, written, hints);
  start_write_back(q);
}

void TimedRingEngine::start_write_back(Queue& q) {
  if (q.writing_back || q.used_failed || !q.on) return;
  const std::size_t ready = q.completions.publishable();
  const bool tells = q.hold.overdue(executor_.now());
  if (ready == 0 && !tells) return;
  if (!tells && params_.used_timeout != 0 && ready < params_.used_batch && !q.flush_due) {
    if (!q.flush.queued())
      executor_.post_at(q.flush, executor_.now() + cycles(params_.used_timeout));
    return;
  }
  q.flush.cancel();
  q.flush_due = false;
  q.writing_back = true;
  q.scope.start([&] { return write_back(q); });
}

Task<> TimedRingEngine::write_back(Queue& q) {
  do {
    const std::size_t ready = q.completions.publishable();
    DmaStatus status = DmaStatus::ok;
    RingError error = RingError::used_unwritable;
    std::uint32_t advanced = 0;
    if (ready > 0) {
      const std::uint64_t cost =
          ready * (std::uint64_t{params_.completion_cycles} + params_.used_cycles);
      const bool elapsed = co_await work(q, write_back_stage_, cost);
      if (!elapsed) break;
      ++stats_.write_backs;
      advanced = q.packed ? compose_packed(q, ready) : compose_split(q, ready);
    }
    if (ready == 0) {
      // Only the notification of what was written before is due.
    } else if (q.packed) {
      // 2.8.9: the first of a group is marked used after the rest.
      const std::span<const Piece> rest(q.used_pieces);
      if (rest.size() > 1)
        status = co_await dma(q).scatter(rest[1], rest.subspan(2), q.used_bytes.data() + 8,
                                         AccessKind::used);
      if (status == DmaStatus::ok)
        status = co_await dma(q).write(rest[0].addr, q.used_bytes.data(), 8, AccessKind::used);
    } else {
      const std::span<const Piece> all(q.used_pieces);
      status =
          co_await dma(q).scatter(all[0], all.subspan(1), q.used_bytes.data(), AccessKind::used);
      if (status == DmaStatus::ok) {
        // virtio 1.4, 2.7.8.2: the elements MUST be written before the index.
        const OrderedInt<std::uint16_t> idx{q.next_used.index};
        status = co_await dma(q).store(split::used_idx(q.setup.device), idx, AccessKind::used);
      }
    }
    if (status == DmaStatus::ok) {
      if (ready > 0) retire(q, ready, advanced);
      if (params_.event_policy == EventPolicy::when_idle && q.completions.publishable() != 0)
        continue;
      if (!q.hold.due(executor_.now())) continue;
      q.hold.told();
      q.notify.cancel();
      fence();
      // virtio 1.4, 2.7.7.2 and 2.8.10: what the driver asked for is read after what it waits for
      // was written.
      error = RingError::ring_unreadable;
      const GuestAddr event = !q.packed && q.event_idx
                                  ? split::used_event(q.setup.driver, q.setup.size)
                                  : q.setup.driver;
      const RingIndex before = std::exchange(q.signalled, q.next_used);
      const std::uint32_t passed = std::exchange(q.unsignalled, 0);
      const std::uint32_t chains = std::exchange(q.unsignalled_chains, 0);
      std::uint32_t value = 0;
      status = co_await dma(q).read(event, &value, q.packed ? 4 : 2, AccessKind::driver_event);
      if (status == DmaStatus::ok) {
        const bool wanted =
            q.packed ? packed_wants_interrupt(value, before, passed, q.setup.size, q.event_idx)
                     : split_wants_interrupt(static_cast<std::uint16_t>(value), before, passed,
                                             q.event_idx);
        const bool decided = co_await work(q, write_back_stage_, params_.event_cycles);
        if (!decided) break;
        if (wanted) interrupt(q, chains);
      }
    }
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, error);
      break;
    }
  } while (q.on && q.completions.publishable() != 0 &&
           (params_.used_timeout == 0 || q.completions.publishable() >= params_.used_batch));
  q.writing_back = false;
  start_write_back(q);
}

/// Used elements for the first `ready` completions, contiguous ones in one piece; returns how many
/// ring entries they take.
std::uint32_t TimedRingEngine::compose_split(Queue& q, std::size_t ready) {
  q.used_bytes.clear();
  q.used_pieces.clear();
  std::uint32_t advanced = 0;
  for (std::size_t i = 0; i < ready;) {
    const std::size_t run = q.completions.run_length(i, ready);
    const auto& last = q.completions[i + run - 1];
    const split::UsedElem elem{last.chain->head, last.written};
    const auto* bytes = reinterpret_cast<const std::byte*>(&elem);
    q.used_bytes.insert(q.used_bytes.end(), bytes, bytes + sizeof elem);
    const GuestAddr to = split::used_ring(
        q.setup.device, static_cast<std::uint16_t>(q.next_used.index & (q.setup.size - 1)));
    if (!q.used_pieces.empty() &&
        raw(q.used_pieces.back().addr) + q.used_pieces.back().len == raw(to))
      q.used_pieces.back().len += sizeof elem;
    else
      q.used_pieces.push_back({to, sizeof elem});
    q.next_used.index = static_cast<std::uint16_t>(q.next_used.index + run);
    advanced += static_cast<std::uint32_t>(run);
    i += run;
  }
  return advanced;
}

/// Used descriptors for the first `ready` completions; returns how many descriptors they take.
std::uint32_t TimedRingEngine::compose_packed(Queue& q, std::size_t ready) {
  q.used_bytes.clear();
  q.used_pieces.clear();
  std::uint32_t advanced = 0;
  for (std::size_t i = 0; i < ready;) {
    const std::size_t run = q.completions.run_length(i, ready);
    const auto& last = q.completions[i + run - 1];
    packed::Used used;
    used.len = last.written;
    used.id = last.chain->head;
    used.flags = static_cast<std::uint16_t>(packed::used_flags(q.next_used.wrap) |
                                            (last.written ? VIRTQ_DESC_F_WRITE : 0));
    std::array<std::byte, sizeof used> bytes;
    used.store(bytes.data());
    q.used_bytes.insert(q.used_bytes.end(), bytes.begin(), bytes.end());
    q.used_pieces.push_back({packed::used(q.setup.desc, q.next_used.index), sizeof used});
    std::uint32_t slots = 0;
    for (std::size_t k = i; k < i + run; ++k)
      slots += q.completions[k].chain->slots;
    q.next_used = advance(q.next_used, slots, q.setup.size);
    advanced += slots;
    i += run;
  }
  return advanced;
}

/// `ready` completions are with the driver.
void TimedRingEngine::retire(Queue& q, std::size_t ready, std::uint32_t advanced) {
  for (std::size_t i = 0; i < ready; ++i) {
    client_.on_published(q.index, q.completions[i].chain->id);
    q.free_chains.push_back(q.completions[i].chain);
  }
  const SimTime now = executor_.now();
  q.hold.add(q.completions.packets(ready), now);
  if (q.hold.hold(now) && !q.notify.queued()) executor_.post_at(q.notify, q.hold.until());
  q.completions.retire(ready);
  q.outstanding -= static_cast<std::uint32_t>(ready);
  q.unsignalled += advanced;
  q.unsignalled_chains += static_cast<std::uint32_t>(ready);
}

// --- interrupts ---------------------------------------------------------------------------------

void TimedRingEngine::interrupt(Queue& q, std::uint32_t chains) {
  q.held_chains += chains;
  if (params_.interrupt_timeout == 0 || q.held_chains >= params_.interrupt_chains)
    fire_interrupt(q);
  else if (!q.interrupt.queued())
    executor_.post_at(q.interrupt, executor_.now() + cycles(params_.interrupt_timeout));
}

void TimedRingEngine::fire_interrupt(Queue& q) {
  q.interrupt.cancel();
  q.held_chains = 0;
  ++stats_.interrupts;
  client_.on_interrupt(q.index);
}

} // namespace virtio
