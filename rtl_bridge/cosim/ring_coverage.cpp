#include <virtio/rtl/cosim/ring_coverage.hpp>

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

constexpr Range sizes[] = {{1, "1"}, {2, "2 to 15"}, {16, "16 to 99"}, {100, "100 and more"}};
constexpr Range lengths[] = {{0, "0"}, {1, "1"}, {2, "2 to 4095"}, {4096, "4096 and more"}};
constexpr Range counts[] = {{1, "1"}, {2, "2"}, {3, "3 to 4"}, {5, "5 and more"}};
constexpr Range depths[] = {{1, "1"}, {2, "2 to 7"}, {8, "8 and more"}};

const std::vector<RingError> errors{
    RingError::ring_unreadable,     RingError::descriptor_unreadable,
    RingError::used_unwritable,     RingError::avail_index_jump,
    RingError::head_out_of_range,   RingError::next_out_of_range,
    RingError::chain_too_long,      RingError::indirect_not_negotiated,
    RingError::indirect_with_next,  RingError::nested_indirect,
    RingError::bad_indirect_table,  RingError::readable_after_writable,
    RingError::address_wraps,       RingError::chain_too_large,
    RingError::chain_not_available, RingError::event_unwritable};

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
  plan.group("reset finds", {"nothing", "reads", "writes", "chains with the function"});
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
                            "chains with the function",
                            "restart",
                            "error"})
    plan.cross("format", group);
  plan.cross("event index", "interrupt");
  plan.cross("in order", "completion");
  plan.cross("error", "indirect");
  const auto waive = [&](const std::string& group, const std::string& name,
                         const std::string& reason) {
    plan.waive("format*" + group + "/" + name, reason);
  };
  const auto waive_error = [&](const std::string& format, RingError error, const char* reason) {
    waive("error", format + "*" + bin(error), reason);
  };
  waive("read", "packed*available", "packed rings have no available ring");
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

void RingCoverage::on_boundary(const BoundaryEvent& event) {
  Queue& q = queues_[raw(event.queue)];
  switch (event.group) {
  case Group::command:
    return on_command(q, event);
  case Group::response:
    if (event.command == Command::reset) {
      q = {};
      q.after_reset = true;
    }
    return;
  case Group::doorbell:
    hit(q, {{"notification", q.reads != 0 ? "while reading" : "while idle"}});
    if (event.has_notification) hit(q, {{"notification", "with data"}});
    return;
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
    hit(owner, {{"answer", event.status == AccessStatus::ok              ? "ok"
                           : event.status == AccessStatus::address_error ? "address error"
                                                                         : "bus error"}});
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
    return;
  case Group::interrupt:
    q.looked = false;
    return hit(q, {{"interrupt", "sent"},
                   {"event index", q.setup.features.has(VIRTIO_F_EVENT_IDX) ? "on" : "off"}});
  case Group::error:
    if (std::ranges::find(errors, event.code) == errors.end()) return;
    return hit(q, {{"error", bin(event.code)},
                   {"indirect", q.setup.features.has(VIRTIO_F_INDIRECT_DESC) ? "on" : "off"}});
  }
}

void RingCoverage::on_command(Queue& q, const BoundaryEvent& event) {
  if (event.command == Command::enable) {
    const bool again = q.after_reset;
    q = {};
    q.setup = event.setup;
    q.on = true;
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
  if (event.command == Command::reset) {
    if (q.reads != 0) hit(q, {{"reset finds", "reads"}});
    if (q.writes != 0) hit(q, {{"reset finds", "writes"}});
    if (!q.with_function.empty()) hit(q, {{"reset finds", "chains with the function"}});
    if (q.reads == 0 && q.writes == 0 && q.with_function.empty())
      hit(q, {{"reset finds", "nothing"}});
  }
  hit(q, {{"command", to_string(event.command)}});
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
  hit(owner, {{"answer", event.status == AccessStatus::ok              ? "ok"
                         : event.status == AccessStatus::address_error ? "address error"
                                                                       : "bus error"}});
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
    q.readable = q.writable = false;
    hit(q, {{"credit", q.credits == 1 ? "the last one" : "to spare"}});
    if (q.credits != 0) --q.credits;
  }
  if (event.error) return;
  ++q.segments;
  (event.writable ? q.writable : q.readable) = true;
  hit(q, {{"segment length", bin_of(event.length, lengths)}});
  if (!event.last) return;
  q.with_function.insert(event.chain);
  q.next_chain = event.chain;
  hit(q, {{"chain", q.readable && q.writable ? "both"
                    : q.readable             ? "readable"
                                             : "writable"},
          {"segments", bin_of(q.segments, counts)},
          {"chains with the function", bin_of(q.with_function.size(), depths)}});
}

void RingCoverage::on_completion(Queue& q, const BoundaryEvent& event) {
  if (q.with_function.erase(event.chain) == 0) return;
  // Numbers go round: the oldest is the furthest behind the one emitted last.
  const auto behind = [&](std::uint16_t chain) {
    return static_cast<std::uint16_t>(q.next_chain - chain);
  };
  const bool oldest = std::ranges::none_of(
      q.with_function, [&](std::uint16_t other) { return behind(other) > behind(event.chain); });
  hit(q, {{"completion", oldest ? "the oldest" : "a later one"},
          {"in order", q.setup.features.has(VIRTIO_F_IN_ORDER) ? "on" : "off"},
          {"written", bin_of(event.written, lengths)},
          {"group of completions", event.hints.more ? "goes on"
                                   : q.group        ? "ends"
                                                    : "none"}});
  q.group = event.hints.more;
}

} // namespace virtio::rtl::cosim
