#include <virtio/rtl/scoreboard/queue.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl {

const char* id(RingRule rule) {
  switch (rule) {
#define RING_RULE(name, id, text)                                                                  \
  case RingRule::name:                                                                             \
    return id;
#include <virtio/rtl/scoreboard/rules.def>
#undef RING_RULE
  }
  return "?";
}

const char* text(RingRule rule) {
  switch (rule) {
#define RING_RULE(name, id, text)                                                                  \
  case RingRule::name:                                                                             \
    return text;
#include <virtio/rtl/scoreboard/rules.def>
#undef RING_RULE
  }
  return "?";
}

std::string Violation::evidence() const {
  return fmt::format("function {}, queue {}: {} ({})", function, raw(queue), what, text(rule));
}
std::string Violation::message() const {
  return fmt::format("{} at cycle {}: {}", id(rule), cycle, evidence());
}

RingScoreboard::RingScoreboard(ScoreboardLimits limits) : limits_(limits) {}
RingScoreboard::~RingScoreboard() = default;

RingScoreboard::Queue& RingScoreboard::at(const BoundaryEvent& event) {
  auto& queue = queues_[{event.function, raw(event.queue)}];
  if (!queue) queue = std::make_unique<Queue>(event.function, event.queue);
  return *queue;
}

void RingScoreboard::broken(const Queue& queue, RingRule rule, std::string what) {
  if (violations_.size() < limits_.violations)
    violations_.push_back({rule, cycle_, queue.function, queue.index, std::move(what)});
}

void RingScoreboard::on_boundary(const BoundaryEvent& event) {
  if (violations_.size() >= limits_.violations) return;
  ++now_;
  cycle_ = event.cycle;
  // Their queue is that of the request with their tag.
  if (event.group == Group::read_response) return on_read_answer(event);
  if (event.group == Group::write_response) return on_write_answer(event);
  Queue& queue = at(event);
  switch (event.group) {
  case Group::command:
    return on_command(queue, event);
  case Group::response:
    return on_response(queue, event);
  case Group::read_request:
    return on_read(queue, event);
  case Group::write_request:
    return on_write(queue, event);
  case Group::abort:
    queue.aborted = true;
    return;
  default:
    break;
  }
  if (queue.lost) return;
  switch (event.group) {
  case Group::doorbell:
    queue.doorbell = now_;
    return;
  case Group::credit:
    queue.credits += event.count;
    return;
  case Group::segment:
    return on_segment(queue, event);
  case Group::completion:
    return on_completion(queue, event);
  case Group::interrupt:
    return on_interrupt(queue, event);
  case Group::error:
    return on_error(queue, event);
  default:
    return;
  }
}

bool RingScoreboard::alive(const Queue& queue, const char* what) {
  if (queue.state != Queue::State::off) return true;
  broken(queue, RingRule::stray, fmt::format("{} of a queue that is not enabled", what));
  return false;
}

// --- commands -----------------------------------------------------------------------------------

void RingScoreboard::on_command(Queue& queue, const BoundaryEvent& event) {
  queue.commands.push_back(event.command);
  if (event.command == Command::enable && queue.state == Queue::State::off) {
    queue.restart(event.setup);
    queue.vector = event.vector;
    // Until it is refused.
    queue.state = Queue::State::on;
  }
  if (event.command == Command::reset) {
    queue.aborted = false;
    queue.state = Queue::State::resetting;
  }
}

void RingScoreboard::on_response(Queue& queue, const BoundaryEvent& event) {
  if (queue.commands.empty() || queue.commands.front() != event.command)
    return broken(
        queue, RingRule::response,
        fmt::format("a response to {}, which was not asked for", to_string(event.command)));
  queue.commands.pop_front();
  switch (event.command) {
  case Command::enable:
    return on_enabled(queue, event);
  case Command::reset:
    if (queue.outstanding != 0)
      broken(queue, RingRule::reset,
             fmt::format("acknowledged with {} accesses outstanding", queue.outstanding));
    else if (!queue.aborted)
      broken(queue, RingRule::abort, "the reset is acknowledged, and there was no abort");
    queue.restart({});
    return;
  case Command::quiesce:
    queue.quiesced = true;
    return;
  case Command::read_state:
    return on_state(queue, event);
  }
}

void RingScoreboard::on_enabled(Queue& queue, const BoundaryEvent& event) {
  const RingError expected = check_setup(queue.setup);
  if (event.code != expected)
    broken(queue, RingRule::enable,
           fmt::format("{}, not {}", to_string(event.code), to_string(expected)));
  if (event.code != RingError::none) queue.state = Queue::State::off;
}

void RingScoreboard::on_state(Queue& queue, const BoundaryEvent& event) {
  if (queue.quiesced && !queue.lost && !queue.partial.empty())
    broken(queue, RingRule::framing, "the state of a quiesced queue is told within a chain");
  // Of a queue of which something is under way, it may be that of before or after.
  if (!queue.quiesced || queue.lost || queue.outstanding != 0 || !queue.done.empty()) return;
  // Whether a chain counts as published whose used element did not arrive is left to the engine.
  if (queue.failures.contains(RingError::used_unwritable)) return;
  const QueueProgress& state = event.progress;
  const RingIndex used = queue.used_at(queue.advanced);
  const auto outstanding = queue.with_function.size();
  const auto same = [&](RingIndex a, RingIndex b) {
    return a.index == b.index && (!queue.packed || a.wrap == b.wrap);
  };
  if (!same(state.next_avail, queue.next_avail) || !same(state.next_used, used) ||
      state.outstanding != outstanding)
    broken(queue, RingRule::state,
           fmt::format("available {} used {} outstanding {}, not {}, {}, {}",
                       state.next_avail.index, state.next_used.index, state.outstanding,
                       queue.next_avail.index, used.index, outstanding));
}

// --- reads --------------------------------------------------------------------------------------

namespace {

// Interrupts that were decided about and not yet sent, of a queue; one may stand for several.
constexpr std::uint32_t most_on_their_way = 4;

bool within(GuestAddr addr, std::uint64_t len, GuestAddr base, std::uint64_t size) {
  const std::uint64_t offset = raw(addr) - raw(base);
  return offset < size && len <= size - offset;
}

bool read_in_place(const QueueSetup& s, bool packed, bool event_idx, AccessKind kind,
                   GuestAddr addr, std::uint64_t len) {
  switch (kind) {
  case AccessKind::available:
    return packed ? within(addr, len, s.desc, packed::desc_bytes(s.size))
                  : within(addr, len, s.driver, 4 + 2ull * s.size);
  case AccessKind::descriptor:
    return within(addr, len, s.desc, packed::desc_bytes(s.size));
  case AccessKind::driver_event:
    if (packed) return within(addr, len, s.driver, packed::event_bytes);
    return event_idx ? within(addr, len, split::used_event(s.driver, s.size), 2)
                     : within(addr, len, s.driver, 4);
  case AccessKind::indirect:
  case AccessKind::data:
    return true;
  default:
    return false;
  }
}

bool written_in_place(const QueueSetup& s, bool packed, bool event_idx, AccessKind kind,
                      GuestAddr addr, std::uint64_t len) {
  switch (kind) {
  case AccessKind::used:
    return packed ? within(addr, len, s.desc, packed::desc_bytes(s.size))
                  : within(addr, len, s.device + 2, 2 + 8ull * s.size);
  case AccessKind::device_event:
    if (packed) return within(addr, len, s.device, packed::event_bytes);
    return event_idx ? within(addr, len, split::avail_event(s.device, s.size), 2)
                     : within(addr, len, s.device, 2);
  case AccessKind::data:
  case AccessKind::message:
    return true;
  default:
    return false;
  }
}

} // namespace

void RingScoreboard::on_read(Queue& queue, const BoundaryEvent& event) {
  auto& reads = reads_[event.function];
  if (reads.contains(event.tag))
    return broken(queue, RingRule::tag, fmt::format("read tag {} is in use", event.tag));
  const bool known = alive(queue, "a read");
  reads[event.tag] = {.queue = &queue,
                      .kind = event.kind,
                      .address = event.address,
                      .length = event.length,
                      .issued = now_,
                      .published = queue.ordered(event.after),
                      .chains = queue.chains,
                      .position = queue.position,
                      .next = queue.next_avail.index};
  ++queue.outstanding;
  if (!known || queue.lost) return;
  const QueueSetup& s = queue.setup;
  if (event.kind == AccessKind::indirect && !queue.tables.hold(event.address, event.length))
    broken(queue, RingRule::address,
           fmt::format("{} bytes at {:#x} are in no table that a descriptor names", event.length,
                       raw(event.address)));
  if (!read_in_place(s, queue.packed, queue.event_idx, event.kind, event.address, event.length))
    broken(queue, RingRule::address,
           fmt::format("{} read at {:#x} of {} bytes", to_string(event.kind), raw(event.address),
                       event.length));
  if (queue.packed && within(event.address, event.length, s.desc, packed::desc_bytes(s.size)))
    for (std::uint64_t at = raw(event.address) - raw(s.desc), end = at + event.length; at < end;
         at += 16)
      queue.asked[at / 16] = now_;
  if (!queue.packed && event.kind == AccessKind::available &&
      within(split::avail_idx(s.driver), 2, event.address, event.length)) {
    queue.index_read = now_;
    if (event.after) queue.index_read_after = now_;
  }
}

void RingScoreboard::on_read_answer(const BoundaryEvent& event) {
  auto& reads = reads_[event.function];
  const auto found = reads.find(event.tag);
  if (found == reads.end()) {
    Queue nobody(event.function, event.queue);
    return broken(nobody, RingRule::tag,
                  fmt::format("an answer to read tag {}, which is free", event.tag));
  }
  const Access access = found->second;
  Queue& queue = *access.queue;
  if (event.last) {
    reads.erase(found);
    --queue.outstanding;
  }
  if (queue.state == Queue::State::off || queue.lost || access.kind == AccessKind::data) return;
  const QueueSetup& s = queue.setup;
  if (event.status != AccessStatus::ok) {
    const std::uint64_t begin = raw(event.address);
    queue.samples.add_failed(event.address, raw(access.address) + access.length - begin,
                             access.issued, now_);
    const bool index = !queue.packed && access.kind == AccessKind::available &&
                       within(split::avail_idx(s.driver), 2, access.address, access.length);
    if (index || access.kind == AccessKind::driver_event)
      queue.failures.insert(RingError::ring_unreadable);
    return;
  }
  if (access.kind == AccessKind::driver_event) return look_at_event(queue, access, event.data);
  if (access.kind != AccessKind::indirect) look_for_tables(queue, event);
  queue.samples.add(event.address, event.data, access.issued, now_);
  if (queue.packed) {
    if (access.kind != AccessKind::indirect) look_at_descriptors(queue, access, event);
  } else if (access.kind == AccessKind::available &&
             within(split::avail_idx(s.driver), 2, event.address, event.data.size())) {
    le16 idx;
    std::memcpy(static_cast<void*>(&idx),
                &event.data[raw(split::avail_idx(s.driver)) - raw(event.address)], 2);
    look_at_index(queue, access, idx);
  }
}

// A sample of the available index proves chains; one further ahead than the ring allows is an
// error, unless chains were emitted since it was asked for (then it may have been so all along).
void RingScoreboard::look_at_index(Queue& queue, const Access& access, std::uint16_t idx) {
  const std::uint64_t size = queue.setup.size;
  const auto ahead = static_cast<std::uint16_t>(idx - queue.avail_idx(access.chains));
  const std::uint64_t count = access.chains + ahead;
  if (count > queue.chains + size) {
    queue.jump_allowed = true;
    if (count > std::max(queue.proved, queue.chains) + size) {
      queue.jump_certain = true;
      return;
    }
  }
  if (count <= queue.proved) return;
  queue.proved = count;
  queue.proofs.push_back({count, now_});
}

// What may be read as a table: what any descriptor said that was read.
void RingScoreboard::look_for_tables(Queue& queue, const BoundaryEvent& event) {
  const std::uint64_t offset = raw(event.address) - raw(queue.setup.desc);
  if (offset >= packed::desc_bytes(queue.setup.size)) return;
  for (std::size_t at = (16 - offset % 16) % 16; at + 16 <= event.data.size(); at += 16) {
    split::Desc d; // a packed one has address, length and this flag where it has
    std::memcpy(static_cast<void*>(&d), event.data.data() + at, sizeof d);
    le16 packed_flags;
    std::memcpy(static_cast<void*>(&packed_flags), event.data.data() + at + 14, 2);
    const std::uint16_t flags = queue.packed ? packed_flags : d.flags;
    if ((flags & split::VIRTQ_DESC_F_INDIRECT) != 0)
      queue.tables.add(GuestAddr{std::uint64_t{d.addr}}, d.len);
  }
}

// Packed: what was prefetched behind a descriptor that is not available is read again.
void RingScoreboard::look_at_descriptors(Queue& queue, const Access& access,
                                         const BoundaryEvent& event) {
  const std::uint64_t from = raw(event.address) - raw(queue.setup.desc);
  for (std::uint64_t at = (16 - from % 16) % 16; at + 16 <= event.data.size(); at += 16) {
    packed::Desc d;
    d.load(event.data.data() + at);
    const auto slot = static_cast<std::uint16_t>((from + at) / 16);
    const std::uint64_t position = queue.position_of(slot, queue.position, queue.next_avail.index);
    if (position != queue.position_of(slot, access.position, access.next)) continue;
    // What is to be dropped anyway, was asked for before it was seen unavailable, or has been asked
    // for again meanwhile, shows nothing.
    const auto known = queue.unavailable.find(position);
    if (access.issued <= queue.usable_since(slot) || access.issued < queue.asked[slot] ||
        (known != queue.unavailable.end() && access.issued <= known->second))
      continue;
    const RingIndex place = advance(
        queue.next_avail, static_cast<std::uint32_t>(position - queue.position), queue.setup.size);
    if (!packed::available(d.flags, place.wrap)) queue.unavailable[position] = now_;
  }
}

void RingScoreboard::look_at_event(Queue& queue, const Access& access,
                                   std::span<const std::byte> bytes) {
  const QueueSetup& s = queue.setup;
  const auto wants = [&](std::uint64_t from, std::uint64_t to) {
    const RingIndex before = queue.used_at(from);
    const auto n = static_cast<std::uint32_t>(to - from);
    if (n == 0) return false;
    if (queue.packed) {
      le32 event;
      std::memcpy(static_cast<void*>(&event), bytes.data(), 4);
      return packed_wants_interrupt(event, before, n, s.size, queue.event_idx);
    }
    le16 value;
    std::memcpy(static_cast<void*>(&value), bytes.data(), 2);
    return split_wants_interrupt(value, before, n, queue.event_idx);
  };
  if (bytes.size() < (queue.packed ? 4u : 2u)) return;
  if (access.published > queue.signalled) {
    queue.signalled_before = std::exchange(queue.signalled, access.published);
    if (!wants(queue.signalled_before, queue.signalled)) return;
    queue.owed = true;
    queue.justified = std::min(queue.justified + 1, most_on_their_way);
  } else if (queue.justified == 0 && wants(queue.signalled_before, queue.signalled)) {
    queue.justified = 1; // allowed, as it was read again
  }
}

// --- chains -------------------------------------------------------------------------------------

void RingScoreboard::on_segment(Queue& queue, const BoundaryEvent& event) {
  if (!alive(queue, "a segment")) return;
  const auto id = static_cast<std::uint16_t>(queue.chains);
  if (queue.failed) return broken(queue, RingRule::after_error, "a segment after an error");
  if (event.first != queue.partial.empty()) {
    queue.lost = true;
    return broken(queue, RingRule::framing,
                  event.first ? "a first segment inside a chain" : "no first segment");
  }
  if (event.first) {
    if (queue.quiesced)
      broken(queue, RingRule::quiesce, fmt::format("chain {} begins", event.chain));
    if (queue.credits == 0)
      broken(queue, RingRule::credit, fmt::format("chain {} without credit", event.chain));
    else
      --queue.credits;
  }
  if (event.chain != id) {
    queue.lost = true;
    return broken(queue, RingRule::chain_id, fmt::format("chain {}, not {}", event.chain, id));
  }
  if (event.error) {
    queue.partial.clear();
    return;
  }
  queue.partial.push_back(event);
  if (event.last) on_chain(queue);
}

namespace {

bool same_segments(const Chain& chain, const std::vector<BoundaryEvent>& segments) {
  if (chain.pieces.size() != segments.size()) return false;
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (chain.pieces[i].addr != segments[i].address || chain.pieces[i].len != segments[i].length ||
        (i >= chain.readable_pieces) != segments[i].writable)
      return false;
  return true;
}

std::string describe(const Chain& chain) {
  std::string text;
  for (std::size_t i = 0; i < chain.pieces.size() && i < 8; ++i)
    text += fmt::format("{}{:#x} +{}{}", i == 0 ? "" : ", ", raw(chain.pieces[i].addr),
                        chain.pieces[i].len, i >= chain.readable_pieces ? " writable" : "");
  return text + (chain.pieces.size() > 8 ? ", .." : "");
}

std::string describe(const std::vector<BoundaryEvent>& segments) {
  std::string text;
  for (std::size_t i = 0; i < segments.size() && i < 8; ++i)
    text += fmt::format("{}{:#x} +{}{}", i == 0 ? "" : ", ", raw(segments[i].address),
                        segments[i].length, segments[i].writable ? " writable" : "");
  return text + (segments.size() > 8 ? ", .." : "");
}

} // namespace

void RingScoreboard::on_chain(Queue& queue) {
  const auto answers = queue.decode();
  const DecodedChain* match = nullptr;
  const DecodedChain* whole = nullptr;
  const DecodedChain* wrong = nullptr;
  for (const DecodedChain& answer : answers) {
    if (answer.kind == DecodedChain::Kind::wrong) wrong = &answer;
    if (answer.kind != DecodedChain::Kind::whole) continue;
    whole = &answer;
    if (same_segments(answer.chain, queue.partial)) {
      match = &answer;
      break;
    }
  }
  const auto id = static_cast<std::uint16_t>(queue.chains);
  if (match == nullptr) {
    queue.lost = true;
    if (whole != nullptr)
      broken(queue, RingRule::segment,
             fmt::format("chain {} is {}, not {}", id, describe(queue.partial),
                         describe(whole->chain)));
    else if (wrong != nullptr)
      broken(queue, RingRule::error_missed,
             fmt::format("chain {} was emitted, but: {}", id, to_string(wrong->error)));
    else
      broken(queue, RingRule::proof,
             fmt::format("chain {} ({}) does not follow from what was read", id,
                         describe(queue.partial)));
    return;
  }
  const Chain& chain = match->chain;
  queue.with_function[id] = {
      queue.chains, chain.head, chain.slots, 0, queue.partial.back().generation, {}};
  ++queue.chains;
  ++emitted_;
  queue.partial.clear();
  if (queue.packed) {
    queue.position += chain.slots;
    queue.next_avail = advance(queue.next_avail, chain.slots, queue.setup.size);
    while (!queue.unavailable.empty() && queue.unavailable.begin()->first < queue.position) {
      queue.unavailable_floor =
          std::max(queue.unavailable_floor, queue.unavailable.begin()->second);
      queue.unavailable.erase(queue.unavailable.begin());
    }
  } else {
    ++queue.next_avail.index;
    while (!queue.proofs.empty() && queue.proofs.front().count <= queue.chains)
      queue.proofs.pop_front();
    queue.samples.forget(queue.proofs.empty() ? 0 : queue.proofs.front().when);
  }
}

void RingScoreboard::on_error(Queue& queue, const BoundaryEvent& event) {
  if (!alive(queue, "an error")) return;
  if (queue.failed) return broken(queue, RingRule::error, "a second error");
  queue.failed = true;
  if (!queue.partial.empty()) broken(queue, RingRule::framing, "a chain stays open at an error");
  if (!justified(queue, event.code))
    broken(queue, RingRule::error,
           fmt::format("{}: nothing that was read says so", to_string(event.code)));
}

bool RingScoreboard::justified(const Queue& queue, RingError code) const {
  if (queue.failures.contains(code)) return true;
  if (code == RingError::avail_index_jump) return queue.jump_allowed;
  for (const DecodedChain& answer : queue.decode())
    if (answer.kind == DecodedChain::Kind::wrong && answer.error == code) return true;
  return false;
}

// --- completions --------------------------------------------------------------------------------

void RingScoreboard::on_completion(Queue& queue, const BoundaryEvent& event) {
  const auto found = queue.with_function.find(event.chain);
  if (found == queue.with_function.end() || queue.state != Queue::State::on ||
      found->second.generation != event.generation)
    return; // dropped
  Queue::Emitted chain = found->second;
  queue.with_function.erase(found);
  chain.written = event.written;
  chain.hints = event.hints;
  auto place = queue.done.end();
  if (queue.in_order)
    while (place != queue.done.begin() && std::prev(place)->order > chain.order)
      --place;
  queue.done.insert(place, chain);
}

void RingScoreboard::on_write(Queue& queue, const BoundaryEvent& event) {
  auto& writes = writes_[event.function];
  if (writes.contains(event.tag))
    return broken(queue, RingRule::tag, fmt::format("write tag {} is in use", event.tag));
  const bool known = alive(queue, "a write");
  writes[event.tag] = {.queue = &queue, .kind = event.kind, .issued = now_};
  ++queue.outstanding;
  if (!known || queue.lost) return;
  // Only what is strobed is written.
  std::size_t begin = 0, end = event.data.size();
  if (!event.strobes.empty()) {
    while (begin < end && !event.strobes[begin])
      ++begin;
    while (end > begin && !event.strobes[end - 1])
      --end;
  }
  if (!written_in_place(queue.setup, queue.packed, queue.event_idx, event.kind,
                        event.address + begin, end - begin))
    return broken(queue, RingRule::address,
                  fmt::format("{} write at {:#x} of {} bytes", to_string(event.kind),
                              raw(event.address) + begin, end - begin));
  if (event.kind == AccessKind::used) {
    write_used(queue, event);
    if (!queue.lost) queue.used_writes.push_back({event.tag, queue.advanced, false, now_});
  } else if (event.kind == AccessKind::device_event) {
    if (queue.packed && end - begin != packed::event_bytes)
      broken(queue, RingRule::notify,
             fmt::format("{} bytes of the event structure are written", end - begin));
    queue.armed = true;
    queue.armed_for = 0;
    for (std::size_t i = begin; i < end; ++i)
      queue.armed_for |= std::to_integer<std::uint32_t>(event.data[i]) << 8 * (i - begin);
    queue.armed_tag = event.tag;
    queue.armed_at = now_;
    queue.armed_ordered = 0;
  }
}

void RingScoreboard::on_write_answer(const BoundaryEvent& event) {
  auto& writes = writes_[event.function];
  const auto found = writes.find(event.tag);
  if (found == writes.end()) {
    Queue nobody(event.function, event.queue);
    return broken(nobody, RingRule::tag,
                  fmt::format("an answer to write tag {}, which is free", event.tag));
  }
  const Access access = found->second;
  writes.erase(found);
  Queue& queue = *access.queue;
  --queue.outstanding;
  if (queue.state == Queue::State::off) return;
  if (event.status != AccessStatus::ok) {
    if (access.kind == AccessKind::used) queue.failures.insert(RingError::used_unwritable);
    if (access.kind == AccessKind::device_event) queue.failures.insert(RingError::event_unwritable);
    return;
  }
  if (access.kind == AccessKind::device_event && access.issued == queue.armed_at)
    queue.armed_ordered = now_;
  if (access.kind != AccessKind::used) return;
  for (Queue::UsedWrite& write : queue.used_writes)
    if (write.tag == event.tag && !write.ordered) {
      write.ordered = true;
      break;
    }
  while (!queue.used_writes.empty() && queue.used_writes.front().ordered) {
    queue.ordered_before = std::max(queue.ordered_before, queue.used_writes.front().advanced);
    queue.used_writes.pop_front();
  }
}

void RingScoreboard::write_used(Queue& queue, const BoundaryEvent& event) {
  const QueueSetup& s = queue.setup;
  const std::uint64_t element = queue.packed ? 16 : 8;
  const std::uint64_t start = queue.packed ? 0 : 4;
  const GuestAddr area = queue.packed ? s.desc : s.device;
  std::uint16_t idx = 0;
  unsigned idx_bytes = 0;
  std::vector<std::uint16_t> flagged;
  for (std::size_t i = 0; i < event.data.size(); ++i) {
    if (!event.strobes.empty() && !event.strobes[i]) continue;
    const std::uint64_t offset = raw(event.address) + i - raw(area);
    if (offset < start) {
      idx = static_cast<std::uint16_t>(idx | std::to_integer<unsigned>(event.data[i])
                                                 << 8 * (offset - 2));
      ++idx_bytes;
      continue;
    }
    const auto slot = static_cast<std::uint16_t>((offset - start) / element);
    const std::uint64_t byte = (offset - start) % element;
    Queue::UsedSlot& used = queue.used_slots[slot];
    used.bytes[byte] = event.data[i];
    used.written = static_cast<std::uint16_t>(used.written | 1u << byte);
    used.when = used.write = now_;
    if (queue.packed && byte == 15) flagged.push_back(slot);
  }
  if (queue.packed) {
    for (const std::uint16_t slot : flagged) {
      if ((queue.used_slots[slot].written & 0xff00) != 0xff00) {
        queue.lost = true;
        return broken(
            queue, RingRule::used_order,
            fmt::format("descriptor {} is marked used before its id and length are there", slot));
      }
      queue.pending.insert(slot);
    }
    if (!flagged.empty()) publish_packed(queue, event.fence);
  } else if (idx_bytes == 2) {
    publish_split(queue, idx, event.fence);
  } else if (idx_bytes != 0) {
    queue.lost = true;
    broken(queue, RingRule::used_order, "half of the used index is written");
  }
}

std::size_t RingScoreboard::match_used(Queue& queue, std::size_t first, std::size_t limit,
                                       std::uint16_t head, std::uint32_t written,
                                       const std::function<bool(std::size_t)>& goes_on) {
  const std::size_t ready = std::min(queue.publishable(), limit);
  if (first >= ready) {
    queue.lost = true;
    broken(queue, RingRule::used_early,
           fmt::format("id {} is used, and {} completions are due", head, ready));
    return 0;
  }
  std::size_t stands_for = 0;
  for (std::size_t i = first; i < ready; ++i) {
    const Queue::Emitted& due = queue.done[i];
    if (due.head == head && due.written == written) {
      // A driver that breaks the rules may have used a head twice.
      if (stands_for == 0 || goes_on(i + 1)) stands_for = i - first + 1;
      if (goes_on(i + 1)) break;
    }
    // In order, those that were used completely may be skipped.
    if (!queue.in_order || !due.hints.full) break;
  }
  if (stands_for != 0) return stands_for;
  queue.lost = true;
  broken(queue, RingRule::used,
         fmt::format("id {} length {}, not id {} length {}", head, written, queue.done[first].head,
                     queue.done[first].written));
  return 0;
}

void RingScoreboard::retire(Queue& queue, std::size_t count) {
  if (count == 0) return;
  // What was being written back when the failure was told may be published still.
  if (queue.failures.contains(RingError::used_unwritable) && ++queue.published_after_failure > 1)
    broken(queue, RingRule::used_order,
           "used elements are published after one could not be written");
  if (queue.done[count - 1].hints.more)
    broken(queue, RingRule::group, "a group of completions is visible in part");
  published_ += count;
  queue.next_due += count;
  queue.done.erase(queue.done.begin(), queue.done.begin() + static_cast<std::ptrdiff_t>(count));
}

void RingScoreboard::publish_split(Queue& queue, std::uint16_t idx, bool fence) {
  const auto unordered = [](const Queue::UsedWrite& w) { return !w.ordered; };
  if (!fence && std::any_of(queue.used_writes.begin(), queue.used_writes.end(), unordered))
    broken(queue, RingRule::used_order, "the index may overtake the elements that it publishes");
  const auto n = static_cast<std::uint16_t>(idx - queue.used_at(queue.advanced).index);
  const std::uint16_t size = queue.setup.size;
  if (n > queue.publishable()) {
    queue.lost = true;
    return broken(queue, RingRule::used_early,
                  fmt::format("{} elements are published, and {} completions are due", n,
                              queue.publishable()));
  }
  for (std::size_t i = 0; i < n;) {
    const std::uint16_t slot = queue.used_at(queue.advanced + i).index & (size - 1u);
    Queue::UsedSlot& used = queue.used_slots[slot];
    if (used.written != 0xff || used.when == now_) {
      queue.lost = true;
      return broken(queue, RingRule::used_order,
                    fmt::format("element {} is visible and was not written before", slot));
    }
    used.written = 0;
    split::UsedElem element;
    std::memcpy(static_cast<void*>(&element), used.bytes.data(), sizeof element);
    if (element.id > 0xffff) {
      queue.lost = true;
      return broken(queue, RingRule::used, fmt::format("id {}", std::uint32_t{element.id}));
    }
    const auto goes_on = [&](std::size_t next) {
      const std::uint16_t place = queue.used_at(queue.advanced + next).index & (size - 1u);
      return next == n || queue.used_slots[place].written == 0xff;
    };
    const std::size_t stands_for = match_used(
        queue, i, n, static_cast<std::uint16_t>(std::uint32_t{element.id}), element.len, goes_on);
    if (stands_for == 0) return;
    i += stands_for;
  }
  retire(queue, n);
  queue.advanced += n;
}

void RingScoreboard::publish_packed(Queue& queue, bool fence) {
  const std::uint16_t size = queue.setup.size;
  std::size_t count = 0;
  std::uint64_t to = queue.advanced;
  for (;;) {
    const RingIndex next = queue.used_at(to);
    const auto found = queue.pending.find(next.index);
    if (found == queue.pending.end()) break;
    Queue::UsedSlot& slot = queue.used_slots[next.index];
    packed::Desc d;
    std::memcpy(static_cast<void*>(&d), slot.bytes.data(), sizeof d);
    const auto expected = static_cast<std::uint16_t>(packed::used_flags(next.wrap) |
                                                     (d.len != 0 ? VIRTQ_DESC_F_WRITE : 0));
    if (d.flags != expected) {
      queue.lost = true;
      return broken(queue, RingRule::used,
                    fmt::format("descriptor {} has flags {:#x}, not {:#x}", next.index,
                                std::uint16_t{d.flags}, expected));
    }
    const auto goes_on = [&](std::size_t next) {
      std::uint64_t place = to;
      for (std::size_t i = count; i < next; ++i)
        place += queue.done[i].slots;
      return queue.pending.contains(queue.used_at(place).index);
    };
    const std::size_t stands_for =
        match_used(queue, count, queue.done.size(), d.id, d.len, goes_on);
    if (stands_for == 0) return;
    if (!fence && slot.write != now_ && !queue.used_write_ordered(slot.write))
      broken(queue, RingRule::used_order,
             fmt::format("descriptor {} may overtake {}, which it makes visible",
                         queue.used_at(queue.advanced).index, next.index));
    queue.pending.erase(found);
    slot.written = 0;
    for (std::size_t i = count; i < count + stands_for; ++i)
      for (std::uint16_t k = 0; k < queue.done[i].slots; ++k, ++to) {
        auto& freed = queue.freed[queue.used_at(to).index];
        freed = {now_, freed[0]};
      }
    count += stands_for;
  }
  // What is written further on has to begin where a completion that is due does.
  std::uint64_t start = to;
  std::set<std::uint16_t> starts;
  for (std::size_t i = count; i < queue.publishable(); ++i) {
    starts.insert(queue.used_at(start).index);
    start += queue.done[i].slots;
  }
  for (const std::uint16_t slot : queue.pending)
    if (!starts.contains(slot)) {
      queue.lost = true;
      const bool early = queue.used_at(start).index == slot;
      return broken(queue, early ? RingRule::used_early : RingRule::used,
                    fmt::format("descriptor {} of {} is marked used, where no completion is due",
                                slot, size));
    }
  retire(queue, count);
  queue.advanced = to;
}

void RingScoreboard::on_interrupt(Queue& queue, const BoundaryEvent& event) {
  if (!alive(queue, "an interrupt")) return;
  if (event.vector != queue.vector)
    broken(queue, RingRule::vector, fmt::format("{}, not {}", event.vector, queue.vector));
  if (queue.justified == 0 && ++queue.spurious > limits_.spurious_interrupts)
    broken(queue, RingRule::interrupt_spurious,
           queue.advanced > queue.signalled ? "nothing that the driver asked for was read since"
                                            : "the driver did not ask for it");
  queue.owed = false;
  if (queue.justified > 0) --queue.justified;
}

// --- when nothing more happens ------------------------------------------------------------------

void RingScoreboard::settle(std::uint64_t cycle) {
  cycle_ = cycle;
  for (const auto& [key, queue] : queues_)
    if (!queue->lost) settle(*queue);
}

void RingScoreboard::settle(Queue& queue) {
  queue.justified = queue.owed ? 1 : 0;
  if (!queue.commands.empty())
    return broken(queue, RingRule::response,
                  fmt::format("no response to {}", to_string(queue.commands.front())));
  if (queue.state != Queue::State::on) return;
  if (queue.outstanding != 0)
    return broken(queue, RingRule::progress,
                  fmt::format("{} accesses have no answer", queue.outstanding));
  if (!queue.failed && (!queue.failures.empty() || queue.jump_certain))
    return broken(
        queue, RingRule::error_missed,
        to_string(queue.jump_certain ? RingError::avail_index_jump : *queue.failures.begin()));
  const bool used_works = !queue.failures.contains(RingError::used_unwritable) &&
                          !queue.failures.contains(RingError::ring_unreadable);
  if (used_works) {
    std::size_t due = queue.publishable();
    while (due > 0 && queue.done[due - 1].hints.more)
      --due;
    if (due > 0)
      return broken(queue, RingRule::progress,
                    fmt::format("{} completions are not published", due));
    if (queue.owed) return broken(queue, RingRule::interrupt_missed, "the driver waits for it");
    if (queue.signalled < queue.advanced)
      return broken(queue, RingRule::event,
                    fmt::format("not read since {} elements were published",
                                queue.advanced - queue.signalled));
  }
  if (queue.failed || queue.quiesced || queue.credits == 0) return;
  if (queue.with_function.size() + queue.done.size() >= limits_.chains_with_function) return;
  if (!queue.partial.empty())
    return broken(queue, RingRule::progress, "a chain has no last segment");
  for (const DecodedChain& answer : queue.decode()) {
    if (answer.kind == DecodedChain::Kind::wrong)
      return broken(queue, RingRule::error_missed, to_string(answer.error));
    if (answer.kind == DecodedChain::Kind::whole || !queue.packed)
      return broken(queue, RingRule::progress,
                    fmt::format("chain {} is available and was not emitted", queue.chains));
  }
  // The last look at the ring was behind the last doorbell, and behind the request for the next.
  const auto looked_since = [&](std::uint64_t when) {
    if (!queue.packed) return queue.index_read > when;
    return !queue.samples.find(packed::desc(queue.setup.desc, queue.next_avail.index), 16, when)
                .empty();
  };
  if (queue.doorbell != 0 && !looked_since(queue.doorbell))
    return broken(queue, RingRule::doorbell, "the ring was not read since the last one");
  if (queue.doorbell == 0 && queue.chains == 0) return;
  if (!queue.event_idx) {
    const bool off = queue.packed
                         ? packed::event_flags(queue.armed_for) == packed::RING_EVENT_FLAGS_DISABLE
                         : (queue.armed_for & split::VIRTQ_USED_F_NO_NOTIFY) != 0;
    if (queue.armed && off) broken(queue, RingRule::notify, "notifications are off");
    return;
  }
  const std::uint32_t wanted = queue.packed
                                   ? packed::event(queue.next_avail.index, queue.next_avail.wrap,
                                                   packed::RING_EVENT_FLAGS_DESC)
                                   : queue.next_avail.index;
  const bool always = queue.packed && queue.armed &&
                      packed::event_flags(queue.armed_for) == packed::RING_EVENT_FLAGS_ENABLE;
  if (!always && (!queue.armed || queue.armed_for != wanted))
    return broken(queue, RingRule::notify,
                  fmt::format("asked for {:#x}, not {:#x}", queue.armed_for, wanted));
  if (queue.armed_ordered == 0 || !(looked_since(queue.armed_ordered) ||
                                    (!queue.packed && queue.index_read_after > queue.armed_at)))
    broken(queue, RingRule::notify, "the ring was not read since this was asked for");
}

} // namespace virtio::rtl
