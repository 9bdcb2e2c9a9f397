#include <virtio/rtl/bus/axi4_lite.hpp>

#include <gtest/gtest.h>

#include <functional>

namespace virtio::rtl::bus {
namespace {

using Cycles = std::vector<Axi4Pins>;

const Axi4Checker::Limits limits{.bus_bytes = 8, .stalled_cycles = 5, .response_cycles = 10};

AxiAddress request(std::uint32_t id, std::uint64_t addr, unsigned beats, unsigned size = 3,
                   AxiBurst burst = AxiBurst::incr) {
  return {.valid = true,
          .ready = true,
          .id = id,
          .addr = addr,
          .len = static_cast<std::uint8_t>(beats - 1),
          .size = static_cast<std::uint8_t>(size),
          .burst = burst};
}

AxiWriteData data(std::uint64_t strb, bool last) {
  return {.valid = true, .ready = true, .data = {}, .strb = strb, .last = last};
}

AxiReadData answer(std::uint32_t id, bool last) {
  return {.valid = true, .ready = true, .id = id, .data = {}, .last = last};
}

/// The first rule that is broken by these cycles, or "".
std::string rule(const Cycles& cycles) {
  Axi4Checker checker("memory", limits);
  std::uint64_t cycle = 0;
  for (const Axi4Pins& pins : cycles)
    if (const auto broken = checker.cycle(cycle++, pins)) return broken->rule;
  const auto broken = checker.end(cycle);
  return broken ? broken->rule : "";
}

/// An unaligned narrow write whose data comes ahead of its request, with every channel stalled
/// once, two reads of one id and one of another that overtakes them.
Cycles legal() {
  Cycles c(16);
  c[0].w = data(0x02, false);
  c[1].aw = request(3, 0x1001, 2, 1);
  c[1].aw.ready = false;
  c[2].aw = request(3, 0x1001, 2, 1);
  c[3].w = data(0x0c, true);
  c[3].w.ready = false;
  c[4].w = data(0x0c, true);
  c[5].b = {.valid = true, .ready = false, .id = 3};
  c[6].b = {.valid = true, .ready = true, .id = 3};
  c[7].ar = request(1, 0x0ff0, 2);
  c[8].ar = request(1, 0x2018, 4, 3, AxiBurst::wrap);
  c[9].ar = request(2, 0x3000, 1);
  c[10].r = answer(1, false);
  c[11].r = answer(2, true);
  c[12].r = answer(1, true);
  c[12].r.ready = false;
  c[13].r = answer(1, true);
  c[14].r = answer(1, false);
  c[15].r = answer(1, false);
  c.resize(18);
  c[16].r = answer(1, false);
  c[17].r = answer(1, true);
  return c;
}

std::string rule_with(const std::function<void(Cycles&)>& change) {
  Cycles cycles = legal();
  change(cycles);
  return rule(cycles);
}

TEST(Axi4Checker, LegalTrafficBreaksNothing) {
  EXPECT_EQ(rule(legal()), "");
}

TEST(Axi4Checker, WhatIsOfferedStays) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[2].aw.valid = false; }), "AXI-STABLE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[2].aw.addr = 0x1005; }), "AXI-STABLE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[2].aw.qos = 1; }), "AXI-STABLE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[4].w.data[2] = std::byte{1}; }), "AXI-STABLE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[6].b.resp = AxiResp::slverr; }), "AXI-STABLE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[13].r.data[7] = std::byte{1}; }), "AXI-STABLE");
}

TEST(Axi4Checker, WhatIsOfferedIsTakenInTime) {
  Axi4Pins stalled;
  stalled.ar = request(1, 0, 1);
  stalled.ar.ready = false;
  Cycles cycles(7, stalled);
  EXPECT_EQ(rule(cycles), "AXI-TIMEOUT");
}

TEST(Axi4Checker, WhatIsAskedIsAnsweredInTime) {
  EXPECT_EQ(rule_with([](Cycles& c) { c.insert(c.begin() + 10, 11, Axi4Pins{}); }), "AXI-TIMEOUT");
  EXPECT_EQ(rule_with([](Cycles& c) { c.insert(c.begin() + 5, 11, Axi4Pins{}); }), "AXI-TIMEOUT");
}

TEST(Axi4Checker, BurstsAreOfAKnownKindAndFitTheBus) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[9].ar.size = 4; }), "AXI-BURST");
  EXPECT_EQ(rule_with([](Cycles& c) { c[9].ar.burst = AxiBurst{3}; }), "AXI-BURST");
  EXPECT_EQ(rule_with([](Cycles& c) { c[9].ar = request(2, 0, 17, 3, AxiBurst::fixed); }),
            "AXI-BURST");
}

TEST(Axi4Checker, WrapBurstsHaveAPowerOfTwoOfBeatsAndAreAligned) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[8].ar.len = 2; }), "AXI-WRAP");
  EXPECT_EQ(rule_with([](Cycles& c) { c[8].ar.len = 31; }), "AXI-WRAP");
  EXPECT_EQ(rule_with([](Cycles& c) { c[8].ar.addr = 0x201c; }), "AXI-WRAP");
}

TEST(Axi4Checker, BurstsStayWithin4KiB) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[7].ar.addr = 0xff8; }), "AXI-4KIB");
  EXPECT_EQ(rule_with([](Cycles& c) { c[7].ar.addr = 0xff7; }), "");
  EXPECT_EQ(rule_with([](Cycles& c) { c[1].aw.addr = c[2].aw.addr = 0x1fff; }), "AXI-4KIB");
}

TEST(Axi4Checker, ExclusiveAccessesAreRefused) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[9].ar.lock = 1; }), "AXI-LOCK");
}

TEST(Axi4Checker, LastIsInTheLastBeat) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[0].w.last = true; }), "AXI-LAST");
  EXPECT_EQ(rule_with([](Cycles& c) { c[3].w.last = c[4].w.last = false; }), "AXI-LAST");
  EXPECT_EQ(rule_with([](Cycles& c) { c[17].r.last = false; }), "AXI-LAST");
  EXPECT_EQ(rule_with([](Cycles& c) { c[15].r.last = true; }), "AXI-LAST");
}

TEST(Axi4Checker, StrobesAreWithinTheBeat) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[0].w.strb = 0x03; }), "AXI-STROBE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[3].w.strb = c[4].w.strb = 0x1c; }), "AXI-STROBE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[3].w.strb = c[4].w.strb = 0; }), "");
}

TEST(Axi4Checker, ResponsesHaveRequests) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[11].r.id = 7; }), "AXI-UNREQUESTED");
  EXPECT_EQ(rule_with([](Cycles& c) { c[5].b.id = 7; }), "AXI-UNREQUESTED");
  EXPECT_EQ(rule_with([](Cycles& c) { c[3].b = {.valid = true, .ready = true, .id = 3}; }),
            "AXI-UNREQUESTED");
}

TEST(Axi4Checker, ReadsOfOneIdAreAnsweredInOrder) {
  EXPECT_EQ(rule_with([](Cycles& c) { std::swap(c[7].ar, c[8].ar); }), "AXI-ID-ORDER");
}

TEST(Axi4Checker, ExokayIsForExclusiveAccesses) {
  EXPECT_EQ(rule_with([](Cycles& c) { c[11].r.resp = AxiResp::exokay; }), "AXI-RESPONSE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[5].b.resp = c[6].b.resp = AxiResp::exokay; }),
            "AXI-RESPONSE");
  EXPECT_EQ(rule_with([](Cycles& c) { c[11].r.resp = AxiResp::decerr; }), "");
}

TEST(Axi4Checker, AtTheEndNothingIsUnderWay) {
  EXPECT_EQ(rule_with([](Cycles& c) { c.pop_back(); }), "AXI-OWED");
  EXPECT_EQ(rule_with([](Cycles& c) { c.resize(6); }), "AXI-OWED");
  EXPECT_EQ(rule_with([](Cycles& c) { c.resize(1); }), "AXI-OWED");
}

/// One write and one read, the data ahead of the address.
std::vector<Axi4LitePins> legal_lite() {
  std::vector<Axi4LitePins> c(5);
  c[0].w = {.valid = true, .ready = true, .data = 5, .strb = 0x9};
  c[1].aw = {.valid = true, .ready = true, .addr = 0x13};
  c[2].b = {.valid = true, .ready = true};
  c[2].ar = {.valid = true, .ready = false, .addr = 0x10};
  c[3].ar = {.valid = true, .ready = true, .addr = 0x10};
  c[4].r = {.valid = true, .ready = true, .data = 5};
  return c;
}

std::string lite_rule_with(const std::function<void(std::vector<Axi4LitePins>&)>& change) {
  Axi4LiteChecker checker("registers", {.bus_bytes = 4, .stalled_cycles = 5, .response_cycles = 9});
  auto cycles = legal_lite();
  change(cycles);
  std::uint64_t cycle = 0;
  for (const Axi4LitePins& pins : cycles)
    if (const auto broken = checker.cycle(cycle++, pins)) return broken->rule;
  const auto broken = checker.end(cycle);
  return broken ? broken->rule : "";
}

TEST(Axi4LiteChecker, SaysWhichRuleIsBroken) {
  using C = std::vector<Axi4LitePins>;
  EXPECT_EQ(lite_rule_with([](C&) {}), "");
  EXPECT_EQ(lite_rule_with([](C& c) { c[3].ar.addr = 0x14; }), "AXI-STABLE");
  EXPECT_EQ(lite_rule_with([](C& c) { c.insert(c.begin() + 2, 10, {}); }), "AXI-TIMEOUT");
  EXPECT_EQ(
      lite_rule_with([](C& c) { c[1].b.valid = c[1].aw.valid = true, c[1].aw.ready = false; }),
      "AXI-UNREQUESTED");
  EXPECT_EQ(lite_rule_with([](C& c) { c[4].r.resp = AxiResp::exokay; }), "AXI-RESPONSE");
  EXPECT_EQ(lite_rule_with([](C& c) { c.pop_back(); }), "AXI-OWED");
}

} // namespace
} // namespace virtio::rtl::bus
