#include <virtio/rtl/cosim/ring_bench.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace virtio::rtl::cosim {

namespace {

constexpr std::uint64_t halt_cycles = 256;
constexpr std::uint64_t straggler_cycles = 2'000;
constexpr std::uint64_t never = ~std::uint64_t{0};

} // namespace

struct RingBench::Queue {
  struct Emitted {
    std::uint64_t number = 0;
    std::vector<DriverSegment> segments;
  };
  QueueIndex index{};
  std::uint16_t vector = 0;
  RingDriver driver;
  QueueSetup setup;
  std::uint16_t slots = 0;
  std::uint64_t number = 0;           // of the next chain
  std::vector<DriverSegment> partial; // of a chain under way
  std::uint64_t completed = 0;
  bool group_open = false;        // the last completion waits for the next
  std::optional<bool> generation; // of what was emitted since it was enabled
  std::uint64_t credits = 0;      // that the engine has left
  bool quiesced = false;
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
  std::uint64_t due = 0;
  std::uint64_t next_sample = never;
  BoundaryEvent request;
  std::vector<std::byte> data;
  std::vector<std::uint64_t> sample_at; // of each 16-byte block
  std::uint32_t answered = 0;           // bytes
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
static_assert(RingBench::first_ring == data_base + data_bytes);

/// A setup that must be refused.
QueueSetup misplaced(QueueSetup s, unsigned what) {
  const bool packed = s.features.has(VIRTIO_F_RING_PACKED);
  const auto end = [](std::uint64_t bytes) { return GuestAddr{0 - bytes}; };
  GuestAddr* const parts[] = {&s.desc, &s.driver, &s.device};
  switch (what) {
  case 0:
    s.size = 0;
    break;
  case 1:
    s.size = 0x8001;
    break;
  case 2: // for packed rings another large one
    s.size = packed ? 0xffff : 12;
    break;
  case 9: // aligned, but not enough
    s.desc = s.desc + 8;
    break;
  case 10:
    (packed ? s.driver : s.device) = (packed ? s.driver : s.device) + 2;
    break;
  default: {
    GuestAddr& part = *parts[(what - 3) / 2];
    // The event areas of a packed ring have 4 bytes and the same alignment.
    const bool at_end = (what - 3) % 2 != 0 && (!packed || what == 4);
    part = !at_end ? part + 1 : what == 4 ? end(16) : end(4);
    if (at_end) s.size = 32;
  }
  }
  return s;
}

/// In what engines offer.
bool same(const BoundaryEvent& a, const BoundaryEvent& b) {
  const auto fields = [](const BoundaryEvent& e) {
    return std::tie(e.cycle, e.function, e.queue, e.command, e.progress.next_avail,
                    e.progress.next_used, e.progress.outstanding, e.tag, e.kind, e.after, e.fence,
                    e.address, e.length, e.chain, e.generation, e.writable, e.first, e.last,
                    e.error, e.vector, e.code, e.data, e.strobes);
  };
  return fields(a) == fields(b);
}

} // namespace

RingBench::RingBench(const Stimulus& stimulus, RingDut& dut, RingRunOptions options)
    : stimulus_(stimulus), dut_(dut), options_(options), seed_(stimulus.number("seed", 1)),
      origin_(stimulus.number("origin")),
      function_(static_cast<std::uint16_t>(stimulus.number("function"))), choices_(seed_),
      latency_(stimulus.number("latency", 20)), spread_(stimulus.number("spread", 20)),
      slow_(stimulus.number("slow", 40)), stall_(static_cast<unsigned>(stimulus.number("stall"))),
      groups_(static_cast<unsigned>(stimulus.number("groups"))),
      halt_(static_cast<unsigned>(stimulus.number("halt"))),
      stragglers_(static_cast<unsigned>(stimulus.number("stragglers"))),
      late_(static_cast<unsigned>(stimulus.number("late"))),
      hoard_(stimulus.number("hoard") != 0 && stimulus.number("credits") != 0) {
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
  if (origin_ % 16 != 0 || origin_ > ~std::uint64_t{0} - (1ull << 36))
    throw std::invalid_argument("origin: a multiple of 16, not in the last 2^36 bytes");
  const Choice vectors(seed_, "vector");
  if (size < 1 || size > 32768) throw std::invalid_argument("size: 1..32768");
  const bool packed = features.has(VIRTIO_F_RING_PACKED);
  if (!packed && (size & (size - 1)) != 0)
    throw std::invalid_argument("size: a power of two, or packed");
  const auto ring_bytes = RingDriver::bytes_of(static_cast<std::uint16_t>(size));
  memory_.resize(first_ring + queues * ring_bytes);
  const auto start = stimulus.number("start");
  const RingIndex from =
      packed ? RingIndex{static_cast<std::uint16_t>(start % size), (start / size) % 2 == 0}
             : RingIndex{static_cast<std::uint16_t>(start), true};
  for (std::uint64_t q = 0; q < queues; ++q)
    queues_.push_back(std::make_unique<Queue>(
        Queue{.index = QueueIndex{static_cast<std::uint16_t>(q)},
              .vector = static_cast<std::uint16_t>(vectors.below(q, 0x10000)),
              .driver = RingDriver(memory_, origin_, origin_ + first_ring + q * ring_bytes,
                                   static_cast<std::uint16_t>(size), features, from),
              .setup = {},
              .partial = {},
              .generation = {},
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
  e.function = static_cast<std::uint16_t>(function_ + (raw(queue.index) + 1) / 2);
  e.queue = queue.index;
  return e;
}

void RingBench::send(BoundaryEvent event, std::uint64_t after) {
  if (event.group == Group::completion)
    next_completion_ = std::min(next_completion_, cycle_ + after);
  to_dut_[static_cast<std::size_t>(event.group)].push_back({std::move(event), cycle_ + after});
}

// --- the driver's side --------------------------------------------------------------------------

void RingBench::command(Queue& queue, Command what) {
  BoundaryEvent e = of(Group::command, queue);
  e.command = what;
  if (what == Command::enable) {
    e.setup = queue.setup;
    e.vector = queue.vector;
  }
  queue.waiting = what;
  queue.quiesced |= what == Command::quiesce;
  send(std::move(e));
}

void RingBench::enable(Queue& queue) {
  queue.setup = queue.driver.set_up();
  queue.number = queue.completed = queue.doorbells = 0;
  queue.partial.clear();
  queue.credits = 0;
  queue.quiesced = queue.group_open = queue.erred = queue.interrupted = queue.ring_lost = false;
  queue.faults.clear();
  command(queue, Command::enable);
}

void RingBench::enable_wrongly(Queue& queue) {
  queue.setup = misplaced(
      queue.driver.set_up(),
      static_cast<unsigned>(step_.words.empty() ? 0 : std::stoul(step_.words[0])) % num_misplaced);
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

void RingBench::begin(const Item& item) {
  step_ = {};
  std::istringstream words(item);
  std::string what;
  words >> what >> step_.number;
  constexpr std::array names = {"chain", "burst", "kick",     "fault", "wish",   "deaf",
                                "sleep", "wait",  "misplace", "reset", "quiesce"};
  step_.what = static_cast<What>(std::find(names.begin(), names.end(), what) - names.begin());
  for (std::string word; words >> word;)
    step_.words.push_back(word);
  if (step_.what != What::wait && step_.number >= queues_.size())
    throw std::invalid_argument(fmt::format("\"{}\": there is no queue {}", item, step_.number));
  item_phase_ = 0;
  item_since_ = cycle_;
}

void RingBench::read_chain(const Item& item, const Queue& q) {
  const Choice places(seed_, "place");
  for (const std::string& word : step_.words) {
    if (word == "indirect") {
      step_.indirect = q.setup.features.has(VIRTIO_F_INDIRECT_DESC);
    } else if (const auto m = mistake_of(word)) {
      step_.mistake = *m;
    } else {
      const bool writable = word[0] == 'w';
      if (!writable && word[0] != 'r')
        throw std::invalid_argument(fmt::format("\"{}\": what is {}?", item, word));
      const auto length = static_cast<std::uint32_t>(std::stoul(word.substr(1)));
      // By its place in the queue, so that it stays where it is when other items go.
      const auto at = places.below(
          (step_.number << 40) + (q.driver.submitted() << 8) + step_.segments.size(), data_bytes);
      const bool at_the_end = word.ends_with("end") && length != 0;
      step_.segments.push_back(
          {GuestAddr{at_the_end ? 0 - std::uint64_t{length} : origin_ + data_base + at}, length,
           writable});
    }
  }
  if (step_.segments.empty()) step_.segments.push_back({GuestAddr{origin_ + data_base}, 0, false});
}

bool RingBench::add_chain(Queue& q) {
  if (q.given_up()) return true;
  drive(q);
  if (q.driver.room_for(step_.segments.size(), step_.indirect)) {
    q.driver.add(step_.segments, step_.indirect, step_.mistake);
    return true;
  }
  // Not before the device has used some: it must know what there is.
  if (q.driver.available() != q.driver.submitted() && q.driver.publish()) notify(q);
  return q.driver.outstanding() == 0; // then it never fits
}

bool RingBench::step(const Item& item) {
  const What what = step_.what;
  const std::uint64_t number = step_.number;
  if (what == What::wait) return cycle_ >= item_since_ + number;
  Queue& q = *queues_[number];
  if (q.waiting) return false;
  if (what == What::chain) {
    if (item_phase_++ == 0) read_chain(item, q);
    return add_chain(q);
  }
  if (what == What::burst) {
    // As many chains of one segment as fit now.
    const auto most = step_.words.empty() ? 1 : std::stoul(step_.words[0]);
    drive(q);
    for (std::uint64_t i = 0; i < most && !q.given_up() && q.driver.room_for(1, false); ++i)
      q.driver.add({{GuestAddr{origin_ + data_base + 16 * (i % 256)}, 16, i % 2 != 0}}, false,
                   Mistake::none);
    if (!q.given_up() && q.driver.publish()) notify(q);
    return true;
  }
  if (what == What::kick) {
    if (!q.erred && !q.ring_lost && q.driver.publish()) notify(q);
    return true;
  }
  if (what == What::fault) {
    // 0..5: which kind; from 6 on the same, answered by a bus error.
    constexpr AccessKind kinds[] = {AccessKind::available, AccessKind::descriptor,
                                    AccessKind::indirect,  AccessKind::driver_event,
                                    AccessKind::used,      AccessKind::device_event};
    const unsigned kind = step_.words.empty() ? 0 : std::stoul(step_.words[0]);
    q.faults[kinds[kind % 6]] = kind < 6 ? AccessStatus::address_error : AccessStatus::bus_error;
    return true;
  }
  if (what == What::wish) {
    q.driver.ask_for_interrupt(
        static_cast<std::uint16_t>(step_.words.empty() ? 0 : std::stoul(step_.words[0])));
    return true;
  }
  if (what == What::deaf) {
    q.driver.no_interrupts();
    return true;
  }
  if (what == What::sleep) {
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
  if (what == What::misplace) {
    switch (item_phase_++) {
    case 0:
      command(q, Command::reset);
      return false;
    case 1:
      enable_wrongly(q);
      return false;
    case 2:
      enable(q);
      return false;
    default:
      return true;
    }
  }
  if (what == What::reset || what == What::quiesce) {
    switch (item_phase_++) {
    case 0:
      if (what == What::quiesce) {
        command(q, Command::quiesce);
        return false;
      }
      item_phase_ = 3;
      command(q, Command::reset);
      return false;
    case 1:
      // What was emitted completes first, mostly.
      drive(q);
      if (step_.words.empty() && !q.given_up() && (q.driver.returned() < q.number || busy(q))) {
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
  q.generation = event.generation;
  if (event.first && q.credits != 0) --q.credits;
  q.partial.push_back({event.address, event.length, event.writable});
  if (!event.last) return;
  ++chains_;
  const std::uint64_t number = q.number++;
  const auto segments = std::exchange(q.partial, {});
  if (options_.checked && !q.driver.broken())
    if (const auto wrong = q.driver.check_segments(number, segments))
      broken("DRIVER-SEGMENT", fmt::format("queue {}: {}", raw(q.index), *wrong));
  const std::uint64_t key = (std::uint64_t{raw(q.index)} << 40) + number;
  std::uint64_t room = 0;
  for (const DriverSegment& s : segments)
    room += s.writable ? s.length : 0;
  BoundaryEvent e = of(Group::completion, q);
  e.chain = event.chain;
  e.generation = event.generation;
  e.hints.full = room < 1ull << 32 && choices_.full.chance(key, 50);
  e.written = static_cast<std::uint32_t>(
      e.hints.full ? room
                   : choices_.written.below(key, std::min<std::uint64_t>(room, 0xffff'fffe) + 1));
  // In order, a group could wait for a chain that never comes.
  e.hints.more = !q.setup.features.has(VIRTIO_F_IN_ORDER) && choices_.groups.chance(key, groups_);
  q.driver.completed(number, e.written);
  send(std::move(e), 1 + choices_.slow.below(key, slow_ + 1));
}

void RingBench::accept_response(Queue& q, const BoundaryEvent& event) {
  if (event.command != q.waiting) return; // the scoreboard says so
  q.waiting.reset();
  if (event.command == Command::enable && event.code == RingError::none) {
    const auto limit = stimulus_.number("credits");
    BoundaryEvent e = of(Group::credit, q);
    e.count = limit == 0 ? q.setup.size : 1;
    for (std::uint64_t i = 0; i < std::clamp<std::uint64_t>(limit, 1, q.setup.size); ++i)
      send(e);
  }
}

void RingBench::transfer(BoundaryEvent& e) {
  e.cycle = cycle_;
  moved_ = cycle_;
  ++sent_[static_cast<std::size_t>(e.group)];
  if (options_.checked) scoreboard_.on_boundary(e);
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
  case Group::credit:
    q.credits += e.count;
    return;
  case Group::error:
    q.erred = true;
    return;
  case Group::abort:
    aborted_.push_back(e.queue);
    q.group_open = false;
    q.generation.reset();
    return;
  case Group::completion: {
    if (e.generation != q.generation) return; // late: the engine drops it
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
  Read& read = reads_.emplace_back();
  read.request = event;
  const std::uint64_t at = raw(event.address) - origin_;
  read.status = queues_[raw(event.queue)]->fault(event.kind);
  if (at > memory_.size() || event.length > memory_.size() - at || event.length == 0)
    read.status = AccessStatus::address_error;
  read.due = cycle_ + 1 + latency_ + choices_.read_latency.below(n, spread_ + 1);
  if (choices_.straggler.chance(n, stragglers_)) read.due += straggler_cycles;
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
    for (std::uint64_t b = 0; b < blocks; ++b) {
      read.sample_at.push_back(from + choices_.sample.below((n << 12) + b, read.due - from));
      read.next_sample = std::min(read.next_sample, read.sample_at.back());
    }
    next_sample_ = std::min(next_sample_, read.next_sample);
  }
  next_answer_ = std::min(next_answer_, read.due);
}

void RingBench::accept_write(const BoundaryEvent& event) {
  const std::uint64_t n = num_writes_++;
  Write& write = writes_.emplace_back();
  write.request = event;
  const std::uint64_t at = raw(event.address) - origin_;
  write.status = queues_[raw(event.queue)]->fault(event.kind);
  if (at > memory_.size() || event.data.size() > memory_.size() - at)
    write.status = AccessStatus::address_error;
  write.perform_at = cycle_ + 1 + choices_.write_latency.below(n, spread_ + 1);
  if (choices_.straggler.chance(~n, stragglers_)) write.perform_at += straggler_cycles;
  // In any order, but behind all of the queue's where it asked for that, and bytes in order.
  for (const Write& w : writes_) {
    if (&w == &write) continue;
    const std::uint64_t distance = raw(event.address) - raw(w.request.address);
    const std::uint64_t back = raw(w.request.address) - raw(event.address);
    const bool same_bytes = distance < w.request.data.size() || back < event.data.size();
    if (same_bytes || (event.fence && w.request.queue == event.queue))
      write.perform_at = std::max(write.perform_at, w.perform_at + 1);
  }
  write.answer_at = write.perform_at + 1 + choices_.write_answer.below(n, spread_ + 1);
  next_write_ = std::min(next_write_, write.perform_at);
}

void RingBench::perform_writes() {
  if (cycle_ < next_write_) return;
  for (Write& w : writes_) {
    if (w.performed || w.perform_at > cycle_) continue;
    w.performed = true;
    if (w.status != AccessStatus::ok) continue;
    const std::uint64_t at = raw(w.request.address) - origin_;
    for (std::size_t i = 0; i < w.request.data.size(); ++i)
      if (w.request.strobes.empty() || w.request.strobes[i]) memory_[at + i] = w.request.data[i];
  }
  next_write_ = never;
  for (auto w = writes_.begin(); w != writes_.end();) {
    if (!w->performed || w->answer_at > cycle_) {
      next_write_ = std::min(next_write_, w->performed ? w->answer_at : w->perform_at);
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
  if (cycle_ < next_sample_) return;
  next_sample_ = never;
  for (Read& r : reads_) {
    if (r.next_sample > cycle_) {
      next_sample_ = std::min(next_sample_, r.next_sample);
      continue;
    }
    r.next_sample = never;
    const std::uint64_t at = raw(r.request.address) - origin_;
    for (std::size_t b = 0; b < r.sample_at.size(); ++b) {
      if (r.sample_at[b] > cycle_) r.next_sample = std::min(r.next_sample, r.sample_at[b]);
      if (r.sample_at[b] != cycle_) continue;
      const std::uint64_t begin = b == 0 ? at : (at / 16 + b) * 16;
      const std::uint64_t end = std::min(at + r.request.length, (at / 16 + b + 1) * 16);
      std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                  r.data.begin() + static_cast<std::ptrdiff_t>(begin - at));
    }
    next_sample_ = std::min(next_sample_, r.next_sample);
  }
}

/// The read whose turn it is among those that are due; when there is none, next_answer_ is set.
std::optional<std::size_t> RingBench::next_answer() {
  std::size_t due = 0;
  next_answer_ = never;
  for (const Read& r : reads_) {
    next_answer_ = std::min(next_answer_, r.due);
    if (r.due <= cycle_) ++due;
  }
  if (due == 0) return {};
  auto turn = choices_.turn.below(sent_[static_cast<std::size_t>(Group::read_response)], due);
  for (std::size_t i = 0;; ++i)
    if (reads_[i].due <= cycle_ && turn-- == 0) return i;
}

// One beat at a time; beats of different tags take turns.
void RingBench::answer_reads() {
  if (cycle_ < next_answer_) return;
  if (!to_dut_[static_cast<std::size_t>(Group::read_response)].empty()) return;
  const auto chosen = next_answer();
  if (!chosen) return;
  Read& r = reads_[*chosen];
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
  if (last) reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(*chosen));
}

// --- cycles -------------------------------------------------------------------------------------

/// The function waits until it has as many chains as it gave credits for.
bool RingBench::held(const Waiting& completion) const {
  if (!hoard_ || completion.late || completion.decided) return false;
  const Queue& q = *queues_[raw(completion.event.queue)];
  return q.credits != 0 && !q.quiesced && !q.waiting && !q.given_up() &&
         q.number < q.driver.available();
}

void RingBench::offer(Group group, RingSide& side) {
  auto& waiting = to_dut_[static_cast<std::size_t>(group)];
  if (group == Group::completion) {
    // In any order: the first that is due.
    if (cycle_ < next_completion_) return;
    const auto due = std::find_if(waiting.begin(), waiting.end(),
                                  [&](const Waiting& w) { return w.due <= cycle_ && !held(w); });
    if (due == waiting.end()) {
      if (hoard_) return;
      next_completion_ = never;
      for (const Waiting& w : waiting)
        next_completion_ = std::min(next_completion_, w.due);
      return;
    }
    std::rotate(waiting.begin(), due, std::next(due));
    // A group ends with the last chain that the function has.
    BoundaryEvent& e = waiting.front().event;
    if (!std::exchange(waiting.front().decided, true))
      e.hints.more =
          e.hints.more && std::any_of(std::next(waiting.begin()), waiting.end(),
                                      [&](const Waiting& w) { return w.event.queue == e.queue; });
  }
  if (!waiting.empty() && waiting.front().due <= cycle_ &&
      (group != Group::completion || !held(waiting.front())))
    side.offer(group) = &waiting.front().event;
}

/// What is offered and not taken stays.
void RingBench::check_stable(Group g, const BoundaryEvent* event, bool taken) {
  const auto i = static_cast<std::size_t>(g);
  if (is_stalled_[i] && (event == nullptr || !same(*event, stalled_[i])))
    broken("PORT-STABLE", fmt::format("{} was offered, then {}", to_string(stalled_[i]),
                                      event != nullptr ? to_string(*event) : "nothing"));
  is_stalled_[i] = event != nullptr && !taken;
  if (is_stalled_[i]) stalled_[i] = *event;
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
  // 9 bits of one number for each.
  std::uint64_t stalls = stall_ == 0 ? 0 : choices_.stalls.at(cycle_);
  for (const Group g : outputs) {
    side.set_ready(g, stall_ == 0 || (stalls & 0x1ff) * 100 >= stall_ * 0x200);
    stalls >>= 9;
  }
  if (halt_ != 0 && choices_.halts.chance(cycle_ / halt_cycles, halt_))
    side.set_ready(Group::segment, false);
  const RingSide& engine = dut_.settle(side);
  for (const Group g : outputs) {
    const BoundaryEvent* event = engine.offer(g);
    if (options_.checked) check_stable(g, event, side.is_ready(g));
    if (event == nullptr || !side.is_ready(g)) continue;
    crossing_ = *event;
    transfer(crossing_);
  }
  const auto ready = engine.ready;
  dut_.edge();
  for (const Group g : inputs) {
    if (side.offer(g) == nullptr || !ready[static_cast<std::size_t>(g)]) continue;
    auto& waiting = to_dut_[static_cast<std::size_t>(g)];
    transfer(waiting.front().event); // what it sends is behind
    waiting.pop_front();
  }
  // What a function had on its way when it heard of the abort may still come.
  for (const QueueIndex queue : aborted_)
    std::erase_if(to_dut_[static_cast<std::size_t>(Group::completion)], [&](Waiting& w) {
      if (w.event.queue != queue) return false;
      const bool again = std::exchange(w.late, true); // one bit says which generation it is of
      w.event.hints.more = false;
      w.decided = true;
      return again || !choices_.late.chance(cycle_ + w.event.chain, late_);
    });
  aborted_.clear();
  if (!options_.checked) return;
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
  if (!stimulus_.items.empty()) begin(stimulus_.items.front());
  while (!finding_) {
    tick();
    if (finding_) break;
    bool waits = false;
    while (next_item_ < stimulus_.items.size()) {
      if (!step(stimulus_.items[next_item_])) {
        waits = true;
        break;
      }
      if (++next_item_ < stimulus_.items.size()) begin(stimulus_.items[next_item_]);
      if (finding_) break;
    }
    const bool quiet = cycle_ - moved_ > options_.quiet;
    const bool patient = waits && step_.what == What::wait;
    if (patient || (!quiet && cycle_ < options_.max_cycles)) {
      // Nothing more will come: the rest is judged at once.
      const bool idle = !waits && !owed() && is_stalled_.none() && cycle_ - moved_ > 2'000;
      if (!idle) continue;
    }
    break;
  }
  if (finding_) return finding_;
  if (!options_.checked) return {};
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
