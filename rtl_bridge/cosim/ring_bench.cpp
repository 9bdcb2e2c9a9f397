#include <virtio/rtl/cosim/ring_bench.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <stdexcept>

namespace virtio::rtl::cosim {

struct RingBench::Queue {
  struct Emitted {
    std::uint64_t number = 0;
    std::vector<DriverSegment> segments;
  };
  QueueIndex index{};
  RingDriver driver;
  QueueSetup setup;
  std::uint16_t slots = 0;
  std::uint64_t number = 0;           // of the next chain
  std::vector<DriverSegment> partial; // of a chain under way
  std::uint64_t completed = 0;
  bool group_open = false; // the last completion waits for the next
  bool erred = false;
  std::optional<Command> waiting; // for a response
  bool interrupted = false;
  std::uint64_t doorbells = 0;
  std::map<AccessKind, AccessStatus> faults; // of the next access of that kind
  bool ring_lost = false;                    // what it writes for the driver did not arrive
  /// Nothing can be said of what the driver finds in the ring.
  bool given_up() const { return erred || ring_lost || driver.broken(); }
  /// Whether this access fails, and how.
  AccessStatus fault(AccessKind kind) {
    const auto found = faults.find(kind);
    if (found == faults.end()) return AccessStatus::ok;
    const AccessStatus status = found->second;
    faults.erase(found);
    ring_lost |= kind == AccessKind::used || kind == AccessKind::device_event;
    return status;
  }
};

struct RingBench::Read {
  BoundaryEvent request;
  std::vector<std::byte> data;
  std::vector<std::uint64_t> sample_at; // of each 16-byte block; 0: done
  std::uint64_t due = 0;
  std::uint32_t answered = 0; // bytes
  AccessStatus status{};
};

struct RingBench::Write {
  AccessStatus status{};
  BoundaryEvent request;
  std::uint64_t perform_at = 0;
  std::uint64_t answer_at = 0;
  bool performed = false;
};

namespace {

constexpr std::uint64_t data_base = 0x1'0000;
constexpr std::uint64_t data_bytes = 0x10'0000;

} // namespace

RingBench::RingBench(const Stimulus& stimulus, RingDut& dut, RingRunOptions options)
    : stimulus_(stimulus), dut_(dut), options_(options), seed_(stimulus.number("seed", 1)),
      latency_(stimulus.number("latency", 20)), spread_(stimulus.number("spread", 20)),
      slow_(stimulus.number("slow", 40)), stall_(static_cast<unsigned>(stimulus.number("stall"))),
      groups_(static_cast<unsigned>(stimulus.number("groups"))) {
  const auto queues = stimulus.number("queues", 1);
  const auto size = stimulus.number("size", 16);
  FeatureSet features;
  features.set(VIRTIO_F_VERSION_1);
  if (stimulus.number("packed")) features.set(VIRTIO_F_RING_PACKED);
  if (stimulus.number("event_idx")) features.set(VIRTIO_F_EVENT_IDX);
  if (stimulus.number("indirect")) features.set(VIRTIO_F_INDIRECT_DESC);
  if (stimulus.number("in_order")) features.set(VIRTIO_F_IN_ORDER);
  if (stimulus.number("notification_data")) features.set(VIRTIO_F_NOTIFICATION_DATA);
  if (queues < 1 || queues > dut.num_queues())
    throw std::invalid_argument(fmt::format("queues: 1..{}", dut.num_queues()));
  if (size < 1 || size > 32768) throw std::invalid_argument("size: 1..32768");
  const bool packed = features.has(VIRTIO_F_RING_PACKED);
  if (!packed && (size & (size - 1)) != 0)
    throw std::invalid_argument("size: a power of two, or packed");
  const auto ring_bytes = RingDriver::bytes_of(static_cast<std::uint16_t>(size));
  memory_.resize(data_base + data_bytes + queues * ring_bytes);
  const auto start = stimulus.number("start");
  const RingIndex from =
      packed ? RingIndex{static_cast<std::uint16_t>(start % size), (start / size) % 2 == 0}
             : RingIndex{static_cast<std::uint16_t>(start), true};
  for (std::uint64_t q = 0; q < queues; ++q)
    queues_.push_back(std::make_unique<Queue>(
        Queue{.index = QueueIndex{static_cast<std::uint16_t>(q)},
              .driver = RingDriver(memory_, data_base + data_bytes + q * ring_bytes,
                                   static_cast<std::uint16_t>(size), features, from),
              .setup = {},
              .partial = {},
              .waiting = {},
              .faults = {}}));
}
RingBench::~RingBench() = default;

void RingBench::broken(const std::string& rule, const std::string& evidence) {
  if (!finding_) finding_ = Finding{rule, cycle_, evidence};
}

BoundaryEvent RingBench::of(Group group, const Queue& queue) const {
  BoundaryEvent e;
  e.group = group;
  e.queue = queue.index;
  return e;
}

void RingBench::send(BoundaryEvent event, std::uint64_t after) {
  to_dut_[static_cast<std::size_t>(event.group)].push_back({std::move(event), cycle_ + after});
}

// --- the driver's side --------------------------------------------------------------------------

void RingBench::command(Queue& queue, Command what) {
  BoundaryEvent e = of(Group::command, queue);
  e.command = what;
  if (what == Command::enable) e.setup = queue.setup;
  queue.waiting = what;
  send(std::move(e));
}

void RingBench::enable(Queue& queue) {
  queue.setup = queue.driver.set_up();
  queue.number = queue.completed = queue.doorbells = 0;
  queue.partial.clear();
  queue.group_open = queue.erred = queue.interrupted = queue.ring_lost = false;
  queue.faults.clear();
  command(queue, Command::enable);
}

void RingBench::notify(Queue& queue) {
  BoundaryEvent e = of(Group::doorbell, queue);
  if (queue.setup.features.has(VIRTIO_F_NOTIFICATION_DATA)) {
    e.has_notification = true;
    e.notification = queue.driver.notification();
  }
  ++queue.doorbells;
  send(std::move(e));
}

void RingBench::drive(Queue& queue) {
  if (queue.given_up()) return;
  if (const auto wrong = queue.driver.reclaim())
    broken("DRIVER-USED", fmt::format("queue {}: {}", raw(queue.index), *wrong));
}

bool RingBench::step(const Item& item) {
  std::istringstream words(item);
  std::string what;
  std::uint64_t number = 0;
  words >> what >> number;
  if (what == "wait") return cycle_ >= item_since_ + number;
  if (number >= queues_.size())
    throw std::invalid_argument(fmt::format("\"{}\": there is no queue {}", item, number));
  Queue& q = *queues_[number];
  if (q.waiting) return false;
  if (what == "chain") {
    bool indirect = false;
    Mistake mistake = Mistake::none;
    std::vector<DriverSegment> segments;
    const Choice places(seed_, "place");
    for (std::string word; words >> word;) {
      if (word == "indirect") {
        indirect = q.setup.features.has(VIRTIO_F_INDIRECT_DESC);
      } else if (const auto m = mistake_of(word)) {
        mistake = *m;
      } else {
        const bool writable = word[0] == 'w';
        if (!writable && word[0] != 'r')
          throw std::invalid_argument(fmt::format("\"{}\": what is {}?", item, word));
        const auto length = static_cast<std::uint32_t>(std::stoul(word.substr(1)));
        // By its place in the queue, so that it stays where it is when other items go.
        const auto at = places.below((number << 40) + (q.driver.submitted() << 8) + segments.size(),
                                     data_bytes);
        segments.push_back({GuestAddr{data_base + at}, length, writable});
      }
    }
    if (segments.empty()) segments.push_back({GuestAddr{data_base}, 0, false});
    if (q.given_up()) return true;
    drive(q);
    if (q.driver.room_for(segments.size(), indirect)) {
      q.driver.add(segments, indirect, mistake);
      return true;
    }
    // Not before the device has used some: it must know what there is.
    if (q.driver.available() != q.driver.submitted() && q.driver.publish()) notify(q);
    if (q.driver.outstanding() == 0) return true; // it never fits
    return false;
  }
  if (what == "kick") {
    if (!q.erred && !q.ring_lost && q.driver.publish()) notify(q);
    return true;
  }
  if (what == "fault") {
    // 0..5: which kind; from 6 on the same, answered by a bus error.
    constexpr AccessKind kinds[] = {AccessKind::available, AccessKind::descriptor,
                                    AccessKind::indirect,  AccessKind::driver_event,
                                    AccessKind::used,      AccessKind::device_event};
    unsigned kind = 0;
    words >> kind;
    q.faults[kinds[kind % 6]] = kind < 6 ? AccessStatus::address_error : AccessStatus::bus_error;
    return true;
  }
  if (what == "wish") {
    std::uint16_t ahead = 0;
    words >> ahead;
    q.driver.ask_for_interrupt(ahead);
    return true;
  }
  if (what == "deaf") {
    q.driver.no_interrupts();
    return true;
  }
  if (what == "sleep") {
    if (q.given_up()) return true;
    if (item_phase_ == 0) {
      if (q.driver.publish()) notify(q);
      item_phase_ = 1;
      q.interrupted = true;
    }
    if (q.interrupted) {
      q.interrupted = false;
      do
        drive(q);
      while (!finding_ && q.driver.outstanding() != 0 && !q.driver.ask_for_interrupt(0));
    }
    return q.driver.outstanding() == 0;
  }
  if (what == "reset" || what == "quiesce") {
    switch (item_phase_++) {
    case 0:
      if (what == "quiesce") {
        command(q, Command::quiesce);
        return false;
      }
      item_phase_ = 3;
      command(q, Command::reset);
      return false;
    case 1:
      // What was emitted completes first.
      drive(q);
      if (!q.given_up() && (q.driver.returned() < q.number || busy(q))) {
        item_phase_ = 1;
        return false;
      }
      command(q, Command::read_state);
      return false;
    case 2:
      command(q, Command::reset);
      return false;
    case 3:
      enable(q);
      return false;
    default:
      return true;
    }
  }
  throw std::invalid_argument(fmt::format("\"{}\": unknown item", item));
}

// --- what the engine does -----------------------------------------------------------------------

void RingBench::accept_segment(Queue& q, const BoundaryEvent& event) {
  if (event.error) {
    q.partial.clear();
    return;
  }
  q.partial.push_back({event.address, event.length, event.writable});
  if (!event.last) return;
  const std::uint64_t number = q.number++;
  const auto segments = std::exchange(q.partial, {});
  if (!q.driver.broken())
    if (const auto wrong = q.driver.check_segments(number, segments))
      broken("DRIVER-SEGMENT", fmt::format("queue {}: {}", raw(q.index), *wrong));
  const std::uint64_t key = (std::uint64_t{raw(q.index)} << 40) + number;
  std::uint64_t room = 0;
  for (const DriverSegment& s : segments)
    room += s.writable ? s.length : 0;
  BoundaryEvent e = of(Group::completion, q);
  e.chain = event.chain;
  e.hints.full = room < 1ull << 32 && Choice(seed_, "full").chance(key, 50);
  e.written = static_cast<std::uint32_t>(
      e.hints.full
          ? room
          : Choice(seed_, "written").below(key, std::min<std::uint64_t>(room, 0xffff'fffe) + 1));
  // In order, a group could wait for a chain that never comes.
  e.hints.more =
      !q.setup.features.has(VIRTIO_F_IN_ORDER) && Choice(seed_, "groups").chance(key, groups_);
  q.driver.completed(number, e.written);
  send(std::move(e), 1 + Choice(seed_, "slow").below(key, slow_ + 1));
}

void RingBench::accept_response(Queue& q, const BoundaryEvent& event) {
  if (event.command != q.waiting) return; // the scoreboard says so
  q.waiting.reset();
  if (event.command == Command::enable && event.code == RingError::none) {
    BoundaryEvent e = of(Group::credit, q);
    e.count = q.setup.size;
    send(std::move(e));
  }
}

void RingBench::transfer(const BoundaryEvent& event) {
  BoundaryEvent e = event;
  e.cycle = cycle_;
  moved_ = cycle_;
  ++sent_[static_cast<std::size_t>(e.group)];
  scoreboard_.on_boundary(e);
  if (options_.sink != nullptr) options_.sink->on_boundary(e);
  if (raw(e.queue) >= queues_.size()) return broken("RING-STRAY", to_string(e));
  Queue& q = *queues_[raw(e.queue)];
  switch (e.group) {
  case Group::read_request:
    return accept_read(e);
  case Group::write_request:
    return accept_write(e);
  case Group::segment:
    return accept_segment(q, e);
  case Group::response:
    return accept_response(q, e);
  case Group::interrupt:
    q.interrupted = true;
    return;
  case Group::error:
    q.erred = true;
    return;
  case Group::abort:
    aborted_.push_back(e.queue);
    q.group_open = false;
    return;
  case Group::completion: {
    ++q.completed;
    q.group_open = e.hints.more;
    BoundaryEvent credit = of(Group::credit, q);
    credit.count = 1;
    return send(std::move(credit));
  }
  default:
    return;
  }
}

// --- memory -------------------------------------------------------------------------------------

void RingBench::accept_read(const BoundaryEvent& event) {
  const std::uint64_t n = num_reads_++;
  Read read;
  read.request = event;
  const std::uint64_t at = raw(event.address);
  read.status = queues_[raw(event.queue)]->fault(event.kind);
  if (at > memory_.size() || event.length > memory_.size() - at || event.length == 0)
    read.status = AccessStatus::address_error;
  read.due = cycle_ + 1 + latency_ + Choice(seed_, "read latency").below(n, spread_ + 1);
  // After the queue's earlier writes, where it asked for that.
  std::uint64_t from = cycle_ + 1;
  if (event.after) {
    for (const Write& w : writes_)
      if (w.request.queue == event.queue) from = std::max(from, w.perform_at + 1);
    read.due = std::max(read.due, from + 1);
  }
  if (read.status == AccessStatus::ok) {
    read.data.resize(event.length);
    const std::uint64_t blocks = (at + event.length - 1) / 16 - at / 16 + 1;
    const Choice when(seed_, "sample");
    for (std::uint64_t b = 0; b < blocks; ++b)
      read.sample_at.push_back(from + when.below((n << 12) + b, read.due - from));
  }
  reads_.push_back(std::move(read));
}

void RingBench::accept_write(const BoundaryEvent& event) {
  const std::uint64_t n = num_writes_++;
  Write write;
  write.request = event;
  const std::uint64_t at = raw(event.address);
  write.status = queues_[raw(event.queue)]->fault(event.kind);
  if (at > memory_.size() || event.data.size() > memory_.size() - at)
    write.status = AccessStatus::address_error;
  write.perform_at =
      std::max(last_performed_, cycle_ + 1 + Choice(seed_, "write latency").below(n, spread_ + 1));
  last_performed_ = write.perform_at;
  write.answer_at = write.perform_at + 1 + Choice(seed_, "write answer").below(n, spread_ + 1);
  writes_.push_back(std::move(write));
}

void RingBench::perform_writes() {
  for (Write& w : writes_) {
    if (w.performed) continue;
    if (w.perform_at > cycle_) break;
    w.performed = true;
    if (w.status != AccessStatus::ok) continue;
    const std::uint64_t at = raw(w.request.address);
    for (std::size_t i = 0; i < w.request.data.size(); ++i)
      if (w.request.strobes.empty() || w.request.strobes[i]) memory_[at + i] = w.request.data[i];
  }
  for (auto w = writes_.begin(); w != writes_.end();) {
    if (!w->performed || w->answer_at > cycle_) {
      ++w;
      continue;
    }
    BoundaryEvent e;
    e.group = Group::write_response;
    e.queue = w->request.queue;
    e.function = w->request.function;
    e.tag = w->request.tag;
    e.status = w->status;
    send(std::move(e));
    w = writes_.erase(w);
  }
}

void RingBench::sample() {
  for (Read& r : reads_) {
    const std::uint64_t at = raw(r.request.address);
    for (std::size_t b = 0; b < r.sample_at.size(); ++b) {
      if (r.sample_at[b] != cycle_) continue;
      const std::uint64_t begin = b == 0 ? at : (at / 16 + b) * 16;
      const std::uint64_t end = std::min(at + r.request.length, (at / 16 + b + 1) * 16);
      std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                  r.data.begin() + static_cast<std::ptrdiff_t>(begin - at));
    }
  }
}

// One beat at a time; beats of different tags take turns.
void RingBench::answer_reads() {
  if (!to_dut_[static_cast<std::size_t>(Group::read_response)].empty()) return;
  std::vector<std::size_t> due;
  for (std::size_t i = 0; i < reads_.size(); ++i)
    if (reads_[i].due <= cycle_) due.push_back(i);
  if (due.empty()) return;
  const std::size_t chosen =
      due[Choice(seed_, "turn")
              .below(sent_[static_cast<std::size_t>(Group::read_response)], due.size())];
  Read& r = reads_[chosen];
  BoundaryEvent e;
  e.group = Group::read_response;
  e.queue = r.request.queue;
  e.function = r.request.function;
  e.tag = r.request.tag;
  e.address = r.request.address + r.answered;
  if (r.status != AccessStatus::ok) {
    e.status = r.status;
    e.last = true;
  } else {
    const std::uint32_t beat = dut_.beat_bytes();
    const auto skipped = dut_.aligned_beats() ? raw(e.address) & (beat - 1) : 0;
    const auto n = std::min<std::uint32_t>(r.request.length - r.answered,
                                           beat - static_cast<std::uint32_t>(skipped));
    e.data.assign(r.data.begin() + r.answered, r.data.begin() + r.answered + n);
    r.answered += n;
    e.last = r.answered == r.request.length;
  }
  const bool last = e.last;
  send(std::move(e));
  if (last) reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(chosen));
}

// --- cycles -------------------------------------------------------------------------------------

void RingBench::offer(Group group, RingSide& side) {
  auto& waiting = to_dut_[static_cast<std::size_t>(group)];
  if (group == Group::completion) {
    // In any order: the first that is due.
    const auto due = std::find_if(waiting.begin(), waiting.end(),
                                  [&](const Waiting& w) { return w.due <= cycle_; });
    if (due == waiting.end()) return;
    std::rotate(waiting.begin(), due, std::next(due));
    // A group ends with the last chain that the function has.
    BoundaryEvent& e = waiting.front().event;
    if (!std::exchange(waiting.front().decided, true))
      e.hints.more =
          e.hints.more && std::any_of(std::next(waiting.begin()), waiting.end(),
                                      [&](const Waiting& w) { return w.event.queue == e.queue; });
  }
  if (!waiting.empty() && waiting.front().due <= cycle_) side.offer(group) = &waiting.front().event;
}

void RingBench::tick() {
  ++cycle_;
  perform_writes();
  sample();
  answer_reads();
  constexpr Group inputs[] = {Group::read_response, Group::write_response, Group::command,
                              Group::doorbell,      Group::credit,         Group::completion};
  // In this order, so that what the engine did in a cycle follows from what came before it.
  constexpr Group outputs[] = {Group::read_request, Group::write_request, Group::segment,
                               Group::interrupt,    Group::error,         Group::abort,
                               Group::response};
  RingSide side;
  for (const Group g : inputs)
    offer(g, side);
  for (const Group g : outputs)
    side.set_ready(g, !Choice(seed_, to_string(g)).chance(cycle_, stall_));
  const RingSide& engine = dut_.settle(side);
  for (const Group g : outputs) {
    const BoundaryEvent* event = engine.offer(g);
    auto& stalled = stalled_[static_cast<std::size_t>(g)];
    if (stalled && (event == nullptr || to_string(*event) != to_string(*stalled)))
      broken("PORT-STABLE", fmt::format("{} was offered, then {}", to_string(*stalled),
                                        event != nullptr ? to_string(*event) : "nothing"));
    stalled.reset();
    if (event == nullptr) continue;
    if (side.is_ready(g))
      transfer(*event);
    else
      stalled = *event;
  }
  const auto ready = engine.ready;
  dut_.edge();
  for (const Group g : inputs) {
    auto& waiting = to_dut_[static_cast<std::size_t>(g)];
    const BoundaryEvent* event = side.offer(g);
    if (event == nullptr || !ready[static_cast<std::size_t>(g)]) continue;
    const BoundaryEvent taken = *event;
    waiting.pop_front();
    transfer(taken);
  }
  for (const QueueIndex queue : aborted_)
    std::erase_if(to_dut_[static_cast<std::size_t>(Group::completion)],
                  [&](const Waiting& w) { return w.event.queue == queue; });
  aborted_.clear();
  if (dut_.failed_assertions() != 0) broken("ASSERT", "an assertion of the engine does not hold");
  if (!finding_ && !scoreboard_.clean()) {
    const Violation& v = scoreboard_.violations().front();
    finding_ = Finding{id(v.rule), v.cycle, v.evidence()};
  }
}

bool RingBench::busy(const Queue& queue) const {
  const auto of_queue = [&](const auto& access) { return access.request.queue == queue.index; };
  const auto& reads = to_dut_[static_cast<std::size_t>(Group::read_response)];
  const auto& writes = to_dut_[static_cast<std::size_t>(Group::write_response)];
  return std::any_of(reads_.begin(), reads_.end(), of_queue) ||
         std::any_of(writes_.begin(), writes_.end(), of_queue) || !reads.empty() || !writes.empty();
}

bool RingBench::owed() const {
  if (!reads_.empty() || !writes_.empty()) return true;
  for (const auto& waiting : to_dut_)
    if (!waiting.empty()) return true;
  return std::any_of(queues_.begin(), queues_.end(),
                     [](const auto& q) { return q->waiting.has_value(); });
}

std::string RingBench::outstanding() const {
  std::string text;
  for (const Read& r : reads_)
    text += "; " + to_string(r.request);
  for (const auto& q : queues_) {
    if (q->waiting)
      text += fmt::format("; queue {} waits for {}", raw(q->index), to_string(*q->waiting));
    if (!q->erred && q->driver.outstanding() != 0)
      text += fmt::format("; queue {}: {} chains with the device", raw(q->index),
                          q->driver.outstanding());
  }
  for (std::size_t g = 0; g < num_groups; ++g)
    if (!to_dut_[g].empty())
      text += fmt::format("; not taken: {}", to_string(to_dut_[g].front().event));
  return text.empty() ? "nothing outstanding" : text.substr(2);
}

std::optional<Finding> RingBench::run() {
  for (auto& q : queues_)
    enable(*q);
  while (!finding_) {
    tick();
    if (finding_) break;
    bool waits = false;
    while (next_item_ < stimulus_.items.size()) {
      if (!step(stimulus_.items[next_item_])) {
        waits = true;
        break;
      }
      ++next_item_;
      item_phase_ = 0;
      item_since_ = cycle_;
      if (finding_) break;
    }
    const bool quiet = cycle_ - moved_ > options_.quiet;
    const bool patient = waits && stimulus_.items[next_item_].starts_with("wait ");
    if (patient || (!quiet && cycle_ < options_.max_cycles)) {
      // Nothing more will come: the rest is judged at once.
      const bool idle = !waits && !owed() && cycle_ - moved_ > 2'000;
      if (!idle) continue;
    }
    break;
  }
  if (finding_) return finding_;
  if (next_item_ == stimulus_.items.size() && !owed()) {
    scoreboard_.settle(cycle_);
    if (!scoreboard_.clean()) {
      const Violation& v = scoreboard_.violations().front();
      return Finding{id(v.rule), v.cycle, v.evidence()};
    }
    for (auto& q : queues_)
      drive(*q);
    return finding_;
  }
  scoreboard_.settle(cycle_);
  if (!scoreboard_.clean()) {
    const Violation& v = scoreboard_.violations().front();
    return Finding{id(v.rule), v.cycle, v.evidence()};
  }
  return Finding{"RING-HANG", cycle_, outstanding()};
}

} // namespace virtio::rtl::cosim
