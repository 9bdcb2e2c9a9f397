// Commands, the choice among queues, and what leaves for the function.
#include <virtio/core/timed_ring_state.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace virtio {

namespace {
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
        range("descriptor_batch", p.descriptor_batch, 1, max_descriptor_batch),
        range("descriptor_prefetch", p.descriptor_prefetch, p.descriptor_batch, 32768),
        range("indirect_batch", p.indirect_batch, 1, max_descriptor_batch),
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

} // namespace virtio
