#include <virtio/rtl/bus/axi4_checker.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::rtl::bus {

namespace {

namespace rules {
#define AXI_RULE(name, id, text) constexpr AxiRule name{id, text};
#include <virtio/rtl/bus/axi4_rules.def>
#undef AXI_RULE
} // namespace rules

constexpr AxiRule all_rules[] = {
#define AXI_RULE(name, id, text) {id, text},
#include <virtio/rtl/bus/axi4_rules.def>
#undef AXI_RULE
};

std::string text(const AxiAddress& a) {
  return fmt::format("id {}, address {:#x}, {} beats of {} bytes, burst {}", a.id, a.addr, beats(a),
                     1u << a.size, static_cast<unsigned>(a.burst));
}

bool wrap_right(const AxiAddress& a) {
  const bool length = a.len == 1 || a.len == 3 || a.len == 7 || a.len == 15;
  return length && (a.addr & ((1ull << a.size) - 1)) == 0;
}

template <class Channel> bool same(Channel before, Channel now) {
  before.ready = now.ready = false;
  return before == now;
}

} // namespace

std::span<const AxiRule> axi_rules() {
  return all_rules;
}

const AxiRule* broken_by_request(const AxiAddress& a, std::uint32_t bus_bytes) {
  if (a.size > 7 || (1u << a.size) > bus_bytes || a.burst > AxiBurst::wrap) return &rules::burst;
  if (a.burst == AxiBurst::fixed && beats(a) > 16) return &rules::burst;
  if (a.burst == AxiBurst::wrap && !wrap_right(a)) return &rules::wrap;
  const std::uint64_t size = 1ull << a.size;
  const std::uint64_t last = (a.addr & ~(size - 1)) + beats(a) * size - 1;
  if (a.burst == AxiBurst::incr && a.addr >> 12 != last >> 12) return &rules::four_kib;
  return a.lock ? &rules::lock : nullptr;
}

void Axi4Checker::broken(const AxiRule& rule, std::string evidence) {
  if (!finding_) finding_ = {rule.id, now_, fmt::format("{}: {}", name_, evidence)};
}

template <class Channel>
void Axi4Checker::watch(const char* channel, Stall<Channel>& stall, const Channel& now) {
  if (stall.offered && !now.valid)
    return broken(rules::stable, fmt::format("{}VALID fell before it was taken", channel));
  if (stall.offered && !same(*stall.offered, now))
    return broken(rules::stable, fmt::format("{} has changed while stalled", channel));
  stall.cycles = stall.offered ? stall.cycles + 1 : 0;
  if (stall.cycles > limits_.stalled_cycles)
    return broken(rules::timeout, fmt::format("{} waits for {} cycles", channel, stall.cycles));
  stall.offered.reset();
  if (now.valid && !now.ready) stall.offered = now;
}

void Axi4Checker::on_request(const char* channel, const AxiAddress& request) {
  if (const AxiRule* rule = broken_by_request(request, limits_.bus_bytes))
    broken(*rule, fmt::format("{}: {}", channel, text(request)));
}

void Axi4Checker::on_write_beats() {
  while (!writes_.empty() && !write_beats_.empty()) {
    Asked& asked = writes_.front();
    const WriteBeat beat = write_beats_.front();
    write_beats_.pop_front();
    const std::uint64_t lanes = beat_lanes(asked.request, asked.beats, limits_.bus_bytes);
    if (beat.strb & ~lanes)
      broken(rules::strobe, fmt::format("strobes {:#x} in beat {} of {}", beat.strb, asked.beats,
                                        text(asked.request)));
    const bool last = ++asked.beats == beats(asked.request);
    if (beat.last != last)
      broken(rules::last, fmt::format("WLAST is {} in beat {} of {}", beat.last, asked.beats - 1,
                                      text(asked.request)));
    if (!last) continue;
    asked.since = now_;
    written_[asked.request.id].push_back(asked);
    writes_.pop_front();
  }
}

void Axi4Checker::on_write_response(const AxiWriteResponse& response) {
  auto& waiting = written_[response.id];
  if (waiting.empty())
    return broken(rules::unrequested, fmt::format("a write response of id {}", response.id));
  if (response.resp == AxiResp::exokay) broken(rules::response, "EXOKAY on B");
  if (response.ready) waiting.pop_front();
}

void Axi4Checker::on_read_beat(const AxiReadData& beat) {
  auto& waiting = reads_[beat.id];
  if (waiting.empty())
    return broken(rules::unrequested, fmt::format("read data of id {}", beat.id));
  if (beat.resp == AxiResp::exokay) broken(rules::response, "EXOKAY on R");
  if (!beat.ready) return;
  Asked& asked = waiting.front();
  const bool last = ++asked.beats == beats(asked.request);
  if (beat.last != last) {
    const auto of_another = [&](const Asked& a) { return beats(a.request) == asked.beats; };
    const bool swapped = beat.last && std::any_of(waiting.begin() + 1, waiting.end(), of_another);
    broken(swapped ? rules::id_order : rules::last,
           fmt::format("RLAST is {} in beat {} of {}", beat.last, asked.beats - 1,
                       text(asked.request)));
  }
  if (last) waiting.pop_front();
}

void Axi4Checker::watch_answers() {
  for (const auto* queues : {&written_, &reads_})
    for (const auto& [id, waiting] : *queues)
      if (!waiting.empty() && now_ - waiting.front().since > limits_.response_cycles)
        broken(rules::timeout, fmt::format("no answer to {}", text(waiting.front().request)));
}

std::optional<cosim::Finding> Axi4Checker::cycle(std::uint64_t cycle, const Axi4Pins& pins) {
  now_ = cycle;
  finding_.reset();
  const bool new_aw = pins.aw.valid && !aw_.offered;
  const bool new_ar = pins.ar.valid && !ar_.offered;
  watch("AW", aw_, pins.aw);
  watch("W", w_, pins.w);
  watch("B", b_, pins.b);
  watch("AR", ar_, pins.ar);
  watch("R", r_, pins.r);
  if (finding_) return finding_;
  if (new_aw) on_request("AW", pins.aw);
  if (new_ar) on_request("AR", pins.ar);
  if (finding_) return finding_;
  if (pins.aw.valid && pins.aw.ready) writes_.push_back({pins.aw, cycle});
  if (pins.w.valid && pins.w.ready) write_beats_.push_back({pins.w.strb, pins.w.last});
  if (pins.ar.valid && pins.ar.ready) reads_[pins.ar.id].push_back({pins.ar, cycle});
  on_write_beats();
  if (pins.b.valid) on_write_response(pins.b);
  if (pins.r.valid) on_read_beat(pins.r);
  watch_answers();
  return finding_;
}

std::optional<cosim::Finding> Axi4Checker::end(std::uint64_t cycle) {
  now_ = cycle;
  finding_.reset();
  if (aw_.offered || w_.offered || b_.offered || ar_.offered || r_.offered)
    broken(rules::owed, "something is offered and was not taken");
  if (!writes_.empty() || !write_beats_.empty()) broken(rules::owed, "a write is not complete");
  for (const auto* queues : {&written_, &reads_})
    for (const auto& [id, waiting] : *queues)
      if (!waiting.empty())
        broken(rules::owed, fmt::format("no answer to {}", text(waiting.front().request)));
  return finding_;
}

} // namespace virtio::rtl::bus
