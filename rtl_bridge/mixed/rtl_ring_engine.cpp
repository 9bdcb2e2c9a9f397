#include <virtio/core/ring_walk.hpp>
#include <virtio/rtl/mixed/rtl_ring_engine.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace virtio::rtl {

using cosim::RingSide;

namespace {
constexpr std::uint64_t ps_per_second = 1'000'000'000'000;
} // namespace

/// A read or write of the RTL, from its request to the last beat of its answer.
struct RtlRingEngine::Access {
  BoundaryEvent request;
  Queue* queue = nullptr;
  std::vector<std::byte> bytes; // of a read
};

struct RtlRingEngine::Queue {
  Queue(RtlRingEngine& engine, QueueIndex i)
      : index(i), scope(engine.executor_, engine.name_ + " queue " + std::to_string(raw(i))) {}

  QueueIndex index;
  Scope scope;
  bool on = false;
  bool live = false;    // the RTL has answered the enabling
  bool stopped = false; // emits no further chain until it is reset
  bool rung = false;    // waits until the queue is live
  std::optional<NotificationData> notification;
  std::uint32_t credits = 0; // wait until the queue is live
  std::function<void()> reset_done;

  std::size_t open_writes = 0;
  std::deque<Access*> ordered; // wait for earlier writes

  Chain* building = nullptr;                               // its last segment has not come
  std::unordered_map<std::uint16_t, Chain*> with_function; // by number
  std::deque<Chain> chains;                                // pool
  std::vector<Chain*> free_chains;
  bool generation = false; // of its chains
};

RtlRingEngine::RtlRingEngine(std::string name, Executor& executor, DmaPort& port,
                             std::uint16_t num_queues, RingEngineClient& client,
                             std::unique_ptr<cosim::RingDut> dut, const RtlRingParams& params)
    : name_(std::move(name)), executor_(executor), port_(port), client_(client),
      dut_(std::move(dut)), params_(params), scope_(executor, name_ + " (RTL)") {
  if (num_queues > dut_->num_queues())
    throw std::invalid_argument(fmt::format("{} has {} queues, but the ring engine was built with "
                                            "{}: cmake -D VIRTIO_TLM_RTL_QUEUES=N gives it more",
                                            name_, num_queues, dut_->num_queues()));
  if (params_.clock < 1'000'000 || params_.clock > 10'000'000'000)
    throw std::invalid_argument("clock is 1 MHz to 10 GHz");
  period_ = {(ps_per_second + params_.clock - 1) / params_.clock};
  if (params_.check) {
    ScoreboardLimits limits;
    if (const auto most = dut_->chains_with_function()) limits.chains_with_function = most;
    scoreboard_ = std::make_unique<RingScoreboard>(limits);
  }
  for (std::uint16_t i = 0; i < num_queues; ++i)
    queues_.push_back(std::make_unique<Queue>(*this, QueueIndex{i}));
  clock_.engine = this;
  clock_.call = [](Wake& wake) { static_cast<Clock&>(wake).engine->edge(); };
}

RtlRingEngine::~RtlRingEngine() = default;

Dma RtlRingEngine::dma(QueueIndex queue) {
  return Dma(port_, at(queue).scope, raw(queue));
}
bool RtlRingEngine::enabled(QueueIndex queue) const {
  return at(queue).on;
}

BoundaryEvent RtlRingEngine::of(Group group, const Queue& queue) const {
  BoundaryEvent event;
  event.group = group;
  event.queue = queue.index;
  return event;
}

void RtlRingEngine::offer(BoundaryEvent event) {
  waiting(event.group).push_back(std::move(event));
  wake();
}

// --- commands -----------------------------------------------------------------------------------

RingError RtlRingEngine::enable(QueueIndex queue, const QueueSetup& setup) {
  if (const RingError error = check_setup(setup); error != RingError::none) return error;
  Queue& q = at(queue);
  q.on = true;
  q.live = q.stopped = q.rung = false;
  q.credits = 0;
  BoundaryEvent event = of(Group::command, q);
  event.command = Command::enable;
  event.setup = setup;
  event.vector = raw(queue);
  offer(std::move(event));
  return RingError::none;
}

void RtlRingEngine::reset(QueueIndex queue, std::function<void()> done) {
  Queue& q = at(queue);
  q.on = q.live = false;
  q.stopped = true;
  q.scope.cancel();
  q.reset_done = std::move(done);
  // What is offered stays until it is taken.
  for (const Group group : {Group::doorbell, Group::credit, Group::completion}) {
    auto& events = waiting(group);
    if (events.empty()) continue;
    const bool keep = group == Group::completion && completion_offered_;
    events.erase(std::remove_if(events.begin() + keep, events.end(),
                                [&](const BoundaryEvent& e) { return e.queue == queue; }),
                 events.end());
  }
  BoundaryEvent event = of(Group::command, q);
  event.command = Command::reset;
  offer(std::move(event));
}

void RtlRingEngine::reset_ended(Queue& q) {
  q.scope.when_idle([&q] {
    q.with_function.clear();
    q.building = nullptr;
    q.free_chains.clear();
    for (Chain& chain : q.chains)
      q.free_chains.push_back(&chain);
    q.scope.reopen();
    std::exchange(q.reset_done, nullptr)();
  });
}

void RtlRingEngine::orphan(QueueIndex queue) {
  at(queue).scope.orphan();
}

void RtlRingEngine::quiesce(QueueIndex queue) {
  Queue& q = at(queue);
  if (!q.on || std::exchange(q.stopped, true)) return;
  BoundaryEvent event = of(Group::command, q);
  event.command = Command::quiesce;
  offer(std::move(event));
}

QueueProgress RtlRingEngine::progress(QueueIndex queue) const {
  const Queue& q = at(queue);
  QueueProgress known;
  known.outstanding = static_cast<std::uint32_t>(q.with_function.size());
  if (!q.live || ticking_ || commanded()) return known;
  auto& self = const_cast<RtlRingEngine&>(*this);
  self.progress_.reset();
  BoundaryEvent event = of(Group::command, q);
  event.command = Command::read_state;
  self.offer(std::move(event));
  while (!progress_ && !failed_)
    self.tick();
  return progress_.value_or(known);
}

void RtlRingEngine::doorbell(QueueIndex queue, std::optional<NotificationData> data) {
  Queue& q = at(queue);
  q.rung = q.on;
  q.notification = data;
  offer_held(q);
}

void RtlRingEngine::credit(QueueIndex queue, std::uint32_t count) {
  Queue& q = at(queue);
  if (!q.on) return;
  q.credits += count;
  offer_held(q);
}

// The RTL knows the queue: it is told what came since it was enabled.
void RtlRingEngine::offer_held(Queue& q) {
  if (!q.live) return;
  while (q.credits != 0) {
    BoundaryEvent event = of(Group::credit, q);
    event.count = std::min<std::uint32_t>(q.credits, 0x8000);
    q.credits -= event.count;
    offer(std::move(event));
  }
  if (!std::exchange(q.rung, false)) return;
  BoundaryEvent event = of(Group::doorbell, q);
  event.has_notification = q.notification.has_value();
  event.notification = q.notification.value_or(NotificationData{});
  offer(std::move(event));
}

void RtlRingEngine::complete(Chain& chain, std::uint32_t written, CompletionHints hints) {
  Queue& q = at(chain.queue);
  q.with_function.erase(chain.id);
  BoundaryEvent event = of(Group::completion, q);
  event.chain = chain.id;
  event.generation = q.generation;
  event.written = written;
  event.hints = hints;
  q.free_chains.push_back(&chain);
  offer(std::move(event));
}

// --- the clock ----------------------------------------------------------------------------------

void RtlRingEngine::wake() {
  quiet_ = 0;
  if (ticking_ || clock_.queued() || failed_) return;
  const std::uint64_t now = (executor_.now().ps + period_.ps - 1) / period_.ps;
  if (now > cycle_ + 1) {
    dut_->skip(now - cycle_ - 1);
    cycle_ = moved_ = now - 1;
  }
  executor_.post_at(clock_, {(cycle_ + 1) * period_.ps});
}

void RtlRingEngine::edge() {
  tick();
  if (failed_) return;
  if (quiet_ >= params_.idle_cycles && !owed()) return rest();
  executor_.post_at(clock_, {(cycle_ + 1) * period_.ps});
}

// Something has to come from the RTL, and not from memory.
bool RtlRingEngine::owed() const {
  return open_accesses_ == 0 &&
         (commanded() || std::any_of(waiting_.begin(), waiting_.end(),
                                     [](const auto& events) { return !events.empty(); }));
}

std::string RtlRingEngine::outstanding() const {
  std::string text = commanded() ? fmt::format("; {} is not answered", to_string(*command_)) : "";
  for (const auto& events : waiting_)
    if (!events.empty()) text += "; not taken: " + to_string(events.front());
  for (const auto& q : queues_)
    if (!q->with_function.empty())
      text += fmt::format("; queue {}: {} chains with the device", raw(q->index),
                          q->with_function.size());
  return text.empty() ? "nothing" : text.substr(2);
}

// The engine waits for its inputs.
void RtlRingEngine::rest() {
  if (!scoreboard_ || open_accesses_ != 0) return;
  scoreboard_->settle(cycle_);
  if (!scoreboard_->clean()) fail(scoreboard_->violations().front().message());
}

void RtlRingEngine::watch(const BoundaryEvent& event) {
  if (!scoreboard_) return;
  BoundaryEvent seen = event;
  seen.cycle = cycle_;
  scoreboard_->on_boundary(seen);
}

void RtlRingEngine::tick() {
  constexpr Group inputs[] = {Group::read_response, Group::write_response, Group::command,
                              Group::doorbell,      Group::credit,         Group::completion};
  // What the engine does in a cycle follows from what came before it, in this order.
  constexpr Group outputs[] = {Group::read_request, Group::write_request, Group::segment,
                               Group::interrupt,    Group::error,         Group::abort,
                               Group::response};
  ticking_ = true;
  ++cycle_;
  ++cycles_run_;
  ++quiet_;
  RingSide side;
  side.ready.set();
  for (const Group group : inputs) {
    auto& events = waiting(group);
    if (events.empty() || (group == Group::command && commanded())) continue;
    side.offer(group) = &events.front();
    quiet_ = 0;
  }
  completion_offered_ = side.offer(Group::completion) != nullptr;
  const RingSide& engine = dut_->settle(side);
  const auto ready = engine.ready;
  said_.clear();
  for (const Group group : outputs)
    if (const BoundaryEvent* event = engine.offer(group)) {
      watch(*event);
      said_.push_back(*event);
    }
  dut_->edge();
  for (const Group group : inputs)
    if (side.offer(group) && ready[static_cast<std::size_t>(group)]) taken(group);
  if (!said_.empty()) {
    quiet_ = 0;
    moved_ = cycle_;
  }
  for (const BoundaryEvent& event : said_)
    on_output(event);
  ticking_ = false;
  if (dut_->failed_assertions() != 0)
    fail(fmt::format("an assertion of the RTL does not hold in cycle {}", cycle_));
  else if (scoreboard_ && !scoreboard_->clean())
    fail(scoreboard_->violations().front().message());
  else if (owed() && cycle_ - moved_ > params_.hang_cycles)
    fail(fmt::format("the RTL hangs: nothing crossed its pins for {} cycles, and nothing is "
                     "outstanding in memory. Outstanding: {}",
                     cycle_ - moved_, outstanding()));
}

// The first event of the group that waits was taken.
void RtlRingEngine::taken(Group group) {
  auto& events = waiting(group);
  watch(events.front());
  moved_ = cycle_;
  if (group == Group::command) command_ = events.front().command;
  if (group == Group::completion) completion_offered_ = false;
  events.pop_front();
}

void RtlRingEngine::fail(const std::string& sentence) {
  if (std::exchange(failed_, true)) return;
  clock_.cancel();
  scope_.start([&]() -> Task<> {
    throw std::runtime_error(params_.advice ? sentence + ". " + params_.advice(cycle_) : sentence);
    co_return;
  });
}

// --- what the RTL says --------------------------------------------------------------------------

void RtlRingEngine::on_output(const BoundaryEvent& event) {
  if (raw(event.queue) >= queues_.size())
    return fail(fmt::format("{}: the device has {} queues", to_string(event), queues_.size()));
  Queue& q = at(event.queue);
  switch (event.group) {
  case Group::read_request:
  case Group::write_request:
    return on_access(event);
  case Group::segment:
    return on_segment(event);
  case Group::interrupt:
    if (q.on) client_.on_interrupt(event.queue);
    return;
  case Group::error:
    if (!q.on) return;
    q.stopped = true;
    return client_.on_ring_error(event.queue, event.code);
  case Group::response:
    return on_response(event);
  default:
    return; // abort: the function was told by whoever resets
  }
}

void RtlRingEngine::on_response(const BoundaryEvent& event) {
  Queue& q = at(event.queue);
  command_.reset();
  switch (event.command) {
  case Command::enable:
    if (!q.on) return;
    q.live = true;
    if (event.code != RingError::none) return client_.on_ring_error(event.queue, event.code);
    return offer_held(q);
  case Command::reset:
    return reset_ended(q);
  case Command::quiesce:
    return;
  case Command::read_state:
    progress_ = event.progress;
    return;
  }
}

void RtlRingEngine::on_segment(const BoundaryEvent& event) {
  Queue& q = at(event.queue);
  q.generation = event.generation;
  if (event.first) {
    if (q.free_chains.empty()) q.free_chains.push_back(&q.chains.emplace_back());
    q.building = q.free_chains.back();
    q.free_chains.pop_back();
    *q.building = {.queue = q.index, .id = event.chain, .pieces = std::move(q.building->pieces)};
    q.building->pieces.clear();
  }
  if (!q.building) return;
  Chain& chain = *q.building;
  if (event.error || q.stopped) {
    if (event.last || event.error) q.free_chains.push_back(std::exchange(q.building, nullptr));
    return;
  }
  chain.pieces.push_back({event.address, event.length});
  if (!event.writable) {
    ++chain.readable_pieces;
    chain.readable_len += event.length;
  } else {
    chain.writable_len += event.length;
  }
  if (!event.last) return;
  q.building = nullptr;
  q.with_function[chain.id] = &chain;
  client_.on_chain(chain);
}

// --- memory -------------------------------------------------------------------------------------

void RtlRingEngine::on_access(const BoundaryEvent& event) {
  if (free_accesses_.empty()) free_accesses_.push_back(&accesses_.emplace_back());
  Access& access = *free_accesses_.back();
  free_accesses_.pop_back();
  Queue& q = at(event.queue);
  access.request = event;
  access.queue = &q;
  ++open_accesses_;
  const bool write = event.group == Group::write_request;
  const bool waits = write ? event.fence : event.after;
  // Writes stay in order.
  if ((write && !q.ordered.empty()) || (waits && (q.open_writes != 0 || !q.ordered.empty())))
    q.ordered.push_back(&access);
  else
    start(access);
}

void RtlRingEngine::start(Access& access) {
  Queue& q = *access.queue;
  const bool write = access.request.group == Group::write_request;
  q.open_writes += write;
  if (q.scope.cancelled()) return finished(access, DmaStatus::cancelled);
  q.scope.start([&] { return write ? this->write(access) : read(access); });
}

void RtlRingEngine::start_ordered(Queue& q) {
  while (!q.ordered.empty()) {
    const BoundaryEvent& next = q.ordered.front()->request;
    if ((next.fence || next.after) && q.open_writes != 0) return;
    Access& access = *q.ordered.front();
    q.ordered.pop_front();
    start(access);
  }
}

Task<> RtlRingEngine::read(Access& access) {
  access.bytes.resize(access.request.length);
  const Dma memory = dma(access.queue->index);
  const DmaStatus status = co_await memory.read(access.request.address, access.bytes.data(),
                                                access.request.length, access.request.kind);
  finished(access, status);
}

// Each run of bytes that has its strobes is a write.
Task<> RtlRingEngine::write(Access& access) {
  const BoundaryEvent& request = access.request;
  const Dma memory = dma(access.queue->index);
  const auto strobe = [&](std::size_t i) { return request.strobes.empty() || request.strobes[i]; };
  DmaStatus status = DmaStatus::ok;
  std::size_t begin = 0;
  while (status == DmaStatus::ok && begin < request.data.size()) {
    std::size_t end = begin;
    while (end < request.data.size() && strobe(end))
      ++end;
    if (end != begin)
      status = co_await memory.write(request.address + begin, &request.data[begin],
                                     static_cast<std::uint32_t>(end - begin), request.kind);
    begin = end + 1;
  }
  finished(access, status);
}

void RtlRingEngine::finished(Access& access, DmaStatus status) {
  Queue& q = *access.queue;
  BoundaryEvent event = of(Group::write_response, q);
  event.function = access.request.function;
  event.tag = access.request.tag;
  event.status = status == DmaStatus::ok          ? AccessStatus::ok
                 : status == DmaStatus::bus_error ? AccessStatus::bus_error
                                                  : AccessStatus::address_error;
  if (access.request.group == Group::write_request) {
    --q.open_writes;
    offer(std::move(event));
  } else {
    event.group = Group::read_response;
    event.address = access.request.address;
    const std::uint64_t beat = dut_->beat_bytes();
    std::uint32_t answered = 0;
    do {
      BoundaryEvent one = event;
      if (event.status == AccessStatus::ok) {
        one.address = event.address + answered;
        const auto skipped = dut_->aligned_beats() ? raw(one.address) & (beat - 1) : 0;
        const auto n = std::min<std::uint64_t>(access.request.length - answered, beat - skipped);
        const auto from = access.bytes.begin() + answered;
        one.data.assign(from, from + static_cast<std::ptrdiff_t>(n));
        answered += static_cast<std::uint32_t>(n);
      }
      one.last = event.status != AccessStatus::ok || answered == access.request.length;
      offer(std::move(one));
    } while (event.status == AccessStatus::ok && answered != access.request.length);
  }
  --open_accesses_;
  free_accesses_.push_back(&access);
  start_ordered(q);
}

} // namespace virtio::rtl
