#include <virtio/core/split_ring.hpp>
#include <virtio/rtl/cosim/ring_coverage.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl::cosim {

namespace {

// A number by the bin that it lies in, of bins with their first numbers.
struct Range {
  std::uint64_t from;
  const char* name;
};
template <std::size_t N> std::vector<std::string> names(const Range (&ranges)[N]) {
  std::vector<std::string> all;
  for (const Range& range : ranges)
    all.emplace_back(range.name);
  return all;
}
template <std::size_t N> const char* bin_of(std::uint64_t value, const Range (&ranges)[N]) {
  const char* name = ranges[0].name;
  for (const Range& range : ranges)
    if (value >= range.from) name = range.name;
  return name;
}

constexpr Range sizes[] = {
    {1, "1"}, {2, "2 to 15"}, {16, "16 to 99"}, {100, "100 to 32767"}, {32768, "32768"}};
constexpr Range lengths[] = {{0, "0"}, {1, "1"}, {2, "2 to 4095"}, {4096, "4096 and more"}};
constexpr Range counts[] = {{1, "1"}, {2, "2"}, {3, "3 to 4"}, {5, "5 and more"}};
constexpr Range depths[] = {{1, "1"}, {2, "2 to 7"}, {8, "8 to 31"}, {32, "32 and more"}};
constexpr Range bytes_of_chain[] = {{0, "0"}, {1, "1 to 2^32 - 1"}, {1ull << 32, "2^32"}};
constexpr Range rows[] = {{0, "none"}, {1, "1"}, {2, "2 to 15"}, {16, "16 and more"}};

const std::vector<RingError> errors{
    RingError::ring_unreadable,     RingError::descriptor_unreadable,
    RingError::used_unwritable,     RingError::avail_index_jump,
    RingError::head_out_of_range,   RingError::next_out_of_range,
    RingError::chain_too_long,      RingError::indirect_not_negotiated,
    RingError::indirect_with_next,  RingError::nested_indirect,
    RingError::bad_indirect_table,  RingError::readable_after_writable,
    RingError::address_wraps,       RingError::chain_too_large,
    RingError::chain_not_available, RingError::event_unwritable};

constexpr std::uint64_t four_gib = 1ull << 32;

/// Where an end of 4 GiB lies in a ring.
std::string place_of_four_gib(const QueueSetup& setup) {
  const bool packed = setup.features.has(VIRTIO_F_RING_PACKED);
  const std::uint64_t driver = packed ? 4 : split::avail_bytes(setup.size);
  const std::uint64_t device = packed ? 4 : split::used_bytes(setup.size);
  const auto within = [](GuestAddr from, std::uint64_t bytes) {
    return raw(from) < four_gib && raw(from) + bytes > four_gib;
  };
  if (within(setup.desc, 16ull * setup.size)) return "in the descriptors";
  if (within(setup.driver, driver)) return "in the driver area";
  if (within(setup.device, device)) return "in the device area";
  const GuestAddr parts[] = {setup.desc, setup.driver, setup.device};
  const auto above = std::ranges::count_if(parts, [](GuestAddr a) { return raw(a) >= four_gib; });
  return above == 0 ? "above the ring" : above == 3 ? "below the ring" : "between the areas";
}

std::string bin(AccessStatus status) {
  return status == AccessStatus::ok              ? "ok"
         : status == AccessStatus::address_error ? "address error"
                                                 : "bus error";
}

std::string bin(RingError error) {
  std::string name = to_string(error);
  std::ranges::replace(name, '/', ' ');
  std::ranges::replace(name, '*', ' ');
  return name;
}

} // namespace

CoverPlan ring_cover_plan() {
  CoverPlan plan;
  plan.group("format", {"split", "packed"});
  plan.group("event index", {"off", "on"});
  plan.group("indirect", {"off", "on"});
  plan.group("in order", {"off", "on"});
  plan.group("size", names(sizes));
  plan.group("start", {"zero", "before the wrap", "elsewhere"});
  plan.group("command", {"enable", "reset", "quiesce", "read state"});
  plan.group("notification", {"while idle", "while reading", "with data"});
  plan.group("chain", {"readable", "writable", "both"});
  plan.group("segments", names(counts));
  plan.group("segment length", names(lengths));
  plan.group("credit", {"to spare", "the last one"});
  plan.group("completion", {"the oldest", "a later one"});
  plan.group("written", names(lengths));
  plan.group("group of completions", {"goes on", "ends", "none"});
  plan.group("read", {"available", "descriptor", "indirect", "driver event"});
  plan.group("write", {"used", "device event"});
  plan.group("answers", {"in order", "overtaking"});
  plan.group("answer", {"ok", "address error", "bus error"});
  plan.group("interrupt", {"sent", "not wanted"});
  for (const char* group : {"reset finds", "quiesce finds"})
    plan.group(group,
               {"nothing", "reads", "writes", "part of a chain", "chains with the function"});
  plan.group("state read finds", {"nothing", "chains with the function"});
  plan.group("credits", {"as many as the ring has", "fewer"});
  plan.group("completion finds", {"credit", "no credit", "none of few"});
  plan.group("late completion", {"before the answer", "after it", "once enabled again"});
  plan.group("chains of a doorbell", names(rows));
  plan.group("4 GiB", {"above the ring", "in the descriptors", "in the driver area",
                       "in the device area", "between the areas", "below the ring"});
  plan.group("vector", {"the only one", "of several"});
  plan.group("chain bytes", names(bytes_of_chain));
  plan.group("buffer", {"ends with the address space", "before its end"});
  plan.group("failure", {"address error", "bus error"});
  plan.group("failed read", {"available", "descriptor", "indirect", "driver event"});
  plan.group("failed write", {"used", "device event"});
  plan.group("chains with the function", names(depths));
  plan.group("restart", {"first", "again"});
  std::vector<std::string> all;
  for (const RingError error : errors)
    all.push_back(bin(error));
  plan.group("error", all);
  for (const char* group : {"event index",
                            "indirect",
                            "in order",
                            "size",
                            "start",
                            "command",
                            "notification",
                            "chain",
                            "segments",
                            "segment length",
                            "credit",
                            "completion",
                            "group of completions",
                            "read",
                            "write",
                            "answer",
                            "interrupt",
                            "reset finds",
                            "quiesce finds",
                            "credits",
                            "completion finds",
                            "late completion",
                            "chains of a doorbell",
                            "4 GiB",
                            "vector",
                            "chain bytes",
                            "buffer",
                            "failed read",
                            "failed write",
                            "chains with the function",
                            "restart",
                            "error"})
    plan.cross("format", group);
  plan.cross("event index", "interrupt");
  plan.cross("in order", "completion");
  plan.cross("error", "indirect");
  plan.cross("failed read", "failure");
  plan.cross("failed write", "failure");
  const auto waive = [&](const std::string& group, const std::string& name,
                         const std::string& reason) {
    plan.waive("format*" + group + "/" + name, reason);
  };
  const auto waive_error = [&](const std::string& format, RingError error, const char* reason) {
    waive("error", format + "*" + bin(error), reason);
  };
  for (const char* group : {"read", "failed read"})
    waive(group, "packed*available", "packed rings have no available ring");
  for (const char* area : {"driver", "device"})
    waive("4 GiB", fmt::format("packed*in the {} area", area), "has 4 bytes, 4-byte aligned");
  for (const RingError error : {RingError::avail_index_jump, RingError::head_out_of_range,
                                RingError::next_out_of_range, RingError::ring_unreadable})
    waive_error("packed", error, "packed rings have neither indices nor links");
  waive_error("packed", RingError::nested_indirect,
              "2.8.7: in a packed table, flags other than WRITE are ignored");
  for (const RingError error : {RingError::indirect_with_next, RingError::chain_not_available})
    waive_error("split", error, "split rings may have it");
  for (const RingError error :
       {RingError::nested_indirect, RingError::bad_indirect_table, RingError::indirect_with_next})
    plan.waive("error*indirect/" + bin(error) + "*off", "needs the feature");
  plan.waive("error*indirect/" + bin(RingError::indirect_not_negotiated) + "*on",
             "needs its absence");
  return plan;
}

std::string RingCoverage::Queue::format() const {
  return setup.features.has(VIRTIO_F_RING_PACKED) ? "packed" : "split";
}

void RingCoverage::Queue::begin(QueueSetup with) {
  auto late = std::move(aborted);
  *this = {};
  setup = with;
  aborted = std::move(late);
}

void RingCoverage::on_boundary(const BoundaryEvent& event) {
  Queue& q = queues_[raw(event.queue)];
  switch (event.group) {
  case Group::command:
    return on_command(q, event);
  case Group::response:
    return on_response(q, event);
  case Group::doorbell:
    return on_doorbell(q, event);
  case Group::read_request:
    reads_[event.tag] = {raw(event.queue), ++order_, event.kind};
    ++q.reads;
    if (event.kind <= AccessKind::driver_event) hit(q, {{"read", to_string(event.kind)}});
    return;
  case Group::read_response:
    return on_read_answer(event);
  case Group::write_request:
    writes_[event.tag] = {raw(event.queue), ++order_, event.kind};
    ++q.writes;
    q.published += event.kind == AccessKind::used;
    if (event.kind == AccessKind::used || event.kind == AccessKind::device_event)
      hit(q, {{"write", to_string(event.kind)}});
    return;
  case Group::write_response: {
    const auto found = writes_.find(event.tag);
    if (found == writes_.end()) return;
    Queue& owner = queues_[found->second.queue];
    if (owner.writes != 0) --owner.writes;
    hit(owner, {{"answer", bin(event.status)}});
    on_failure(owner, found->second.kind, event.status);
    writes_.erase(found);
    return;
  }
  case Group::credit:
    q.credits += event.count;
    return;
  case Group::segment:
    return on_segment(q, event);
  case Group::completion:
    return on_completion(q, event);
  case Group::abort:
    q.aborted.clear();
    q.aborted.insert(q.with_function.begin(), q.with_function.end());
    q.with_function.clear();
    return;
  case Group::interrupt:
    return on_interrupt(q, event);
  case Group::error:
    if (std::ranges::find(errors, event.code) == errors.end()) return;
    return hit(q, {{"error", bin(event.code)},
                   {"indirect", q.setup.features.has(VIRTIO_F_INDIRECT_DESC) ? "on" : "off"}});
  }
}

void RingCoverage::on_command(Queue& q, const BoundaryEvent& event) {
  if (event.command == Command::enable) {
    const bool again = q.after_reset;
    q.begin(event.setup);
    q.vector = event.vector;
    const auto has = [&](unsigned feature) {
      return event.setup.features.has(feature) ? "on" : "off";
    };
    const bool packed = event.setup.features.has(VIRTIO_F_RING_PACKED);
    const std::uint32_t start = event.setup.start_avail.index;
    const bool before_wrap =
        packed ? event.setup.start_avail.wrap && start != 0 && start + 16u > event.setup.size
               : start >= 0xff00;
    hit(q, {{"event index", has(VIRTIO_F_EVENT_IDX)},
            {"indirect", has(VIRTIO_F_INDIRECT_DESC)},
            {"in order", has(VIRTIO_F_IN_ORDER)},
            {"size", bin_of(event.setup.size, sizes)},
            {"start", start == 0 && event.setup.start_avail.wrap ? "zero"
                      : before_wrap                              ? "before the wrap"
                                                                 : "elsewhere"},
            {"restart", again ? "again" : "first"}});
  }
  if (event.command == Command::reset) found(q, "reset finds");
  if (event.command == Command::quiesce) found(q, "quiesce finds");
  q.reset = event.command == Command::reset;
  hit(q, {{"command", to_string(event.command)}});
}

void RingCoverage::found(const Queue& q, const std::string& group) {
  if (q.reads != 0) hit(q, {{group, "reads"}});
  if (q.writes != 0) hit(q, {{group, "writes"}});
  if (q.in_chain) hit(q, {{group, "part of a chain"}});
  if (!q.with_function.empty()) hit(q, {{group, "chains with the function"}});
  if (q.reads == 0 && q.writes == 0 && !q.in_chain && q.with_function.empty())
    hit(q, {{group, "nothing"}});
}

void RingCoverage::on_response(Queue& q, const BoundaryEvent& event) {
  switch (event.command) {
  case Command::reset:
    q.begin(q.setup);
    q.after_reset = true;
    return;
  case Command::enable:
    q.on = event.code == RingError::none;
    if (q.on) hit(q, {{"4 GiB", place_of_four_gib(q.setup)}});
    return;
  case Command::read_state:
    return hit(q, {{"state read finds",
                    q.with_function.empty() ? "nothing" : "chains with the function"}});
  default:
    return;
  }
}

void RingCoverage::on_doorbell(Queue& q, const BoundaryEvent& event) {
  hit(q, {{"notification", q.reads != 0 ? "while reading" : "while idle"},
          {"chains of a doorbell", bin_of(q.emitted - q.rung, rows)}});
  q.rung = q.emitted;
  if (event.has_notification) hit(q, {{"notification", "with data"}});
}

void RingCoverage::on_interrupt(Queue& q, const BoundaryEvent& event) {
  q.looked = false;
  const bool alone = std::ranges::none_of(queues_, [&](const auto& other) {
    return other.second.on && other.second.vector != event.vector;
  });
  hit(q, {{"interrupt", "sent"},
          {"event index", q.setup.features.has(VIRTIO_F_EVENT_IDX) ? "on" : "off"},
          {"vector", alone ? "the only one" : "of several"}});
}

void RingCoverage::on_failure(const Queue& q, AccessKind kind, AccessStatus status) {
  if (status == AccessStatus::ok) return;
  const bool read = kind <= AccessKind::driver_event;
  if (!read && kind != AccessKind::used && kind != AccessKind::device_event) return;
  hit(q, {{read ? "failed read" : "failed write", to_string(kind)}, {"failure", bin(status)}});
}

void RingCoverage::on_read_answer(const BoundaryEvent& event) {
  const auto found = reads_.find(event.tag);
  if (found == reads_.end() || !event.last) return;
  const Access access = found->second;
  reads_.erase(found);
  Queue& owner = queues_[access.queue];
  if (owner.reads != 0) --owner.reads;
  const bool overtakes = std::ranges::any_of(
      reads_, [&](const auto& other) { return other.second.order < access.order; });
  plan_.hit("answers", overtakes ? "overtaking" : "in order");
  hit(owner, {{"answer", bin(event.status)}});
  on_failure(owner, access.kind, event.status);
  // What it decides is seen when the next published elements find no interrupt between.
  if (access.kind == AccessKind::driver_event) {
    if (owner.looked)
      hit(owner, {{"interrupt", "not wanted"},
                  {"event index", owner.setup.features.has(VIRTIO_F_EVENT_IDX) ? "on" : "off"}});
    owner.looked = owner.published != 0;
    owner.published = 0;
  }
}

void RingCoverage::on_segment(Queue& q, const BoundaryEvent& event) {
  if (event.first) {
    q.segments = 0;
    q.bytes = 0;
    q.readable = q.writable = false;
    if (q.emitted == 0) {
      q.few = q.credits < q.setup.size;
      hit(q, {{"credits", q.few ? "fewer" : "as many as the ring has"}});
    }
    hit(q, {{"credit", q.credits == 1 ? "the last one" : "to spare"}});
    if (q.credits != 0) --q.credits;
  }
  q.in_chain = !event.last && !event.error;
  if (event.error) return;
  ++q.segments;
  q.bytes += event.length;
  (event.writable ? q.writable : q.readable) = true;
  const bool at_the_end = event.length != 0 && raw(event.address) + event.length == 0;
  hit(q, {{"segment length", bin_of(event.length, lengths)},
          {"buffer", at_the_end ? "ends with the address space" : "before its end"}});
  if (!event.last) return;
  ++q.emitted;
  q.with_function[event.chain] = event.generation;
  q.next_chain = event.chain;
  hit(q, {{"chain", q.readable && q.writable ? "both"
                    : q.readable             ? "readable"
                                             : "writable"},
          {"segments", bin_of(q.segments, counts)},
          {"chain bytes", bin_of(q.bytes, bytes_of_chain)},
          {"chains with the function", bin_of(q.with_function.size(), depths)}});
}

void RingCoverage::on_completion(Queue& q, const BoundaryEvent& event) {
  const auto out = q.with_function.find(event.chain);
  if (out == q.with_function.end() || out->second != event.generation)
    return on_late_completion(q, event);
  q.with_function.erase(out);
  // Numbers go round: the oldest is the furthest behind the one emitted last.
  const auto behind = [&](std::uint16_t chain) {
    return static_cast<std::uint16_t>(q.next_chain - chain);
  };
  const bool oldest = std::ranges::none_of(q.with_function, [&](const auto& other) {
    return behind(other.first) > behind(event.chain);
  });
  hit(q, {{"completion", oldest ? "the oldest" : "a later one"},
          {"in order", q.setup.features.has(VIRTIO_F_IN_ORDER) ? "on" : "off"},
          {"completion finds", q.credits != 0 ? "credit"
                               : q.few        ? "none of few"
                                              : "no credit"},
          {"written", bin_of(event.written, lengths)},
          {"group of completions", event.hints.more ? "goes on"
                                   : q.group        ? "ends"
                                                    : "none"}});
  q.group = event.hints.more;
}

void RingCoverage::on_late_completion(Queue& q, const BoundaryEvent& event) {
  if (q.aborted.erase({event.chain, event.generation}) == 0) return;
  hit(q, {{"late completion", q.reset ? "before the answer"
                              : q.on  ? "once enabled again"
                                      : "after it"}});
}

} // namespace virtio::rtl::cosim
