// TlmDmaPort with protocol = at: every way to answer that the base protocol has, in isolation and
// mixed, and what it must survive: resets, ends, targets that break the rules.
#include "support/at_target.hpp"
#include "support/dma_access.hpp"

#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <set>

namespace virtio::tlm2 {
namespace {

using test::Access;
using test::AtAnswer;
using test::AtTarget;
using Return = AtAnswer::Return;
using Strings = std::vector<std::string>;

const sc_core::sc_time ns(1, sc_core::SC_NS);

struct Bench {
  explicit Bench(DmaPortParams params = {}) : Bench(params, std::make_unique<AtTarget>("target")) {}
  Bench(DmaPortParams params, std::unique_ptr<AtTarget> t) : target(std::move(t)) {
    params.protocol = DmaProtocol::at;
    port = std::make_unique<TlmDmaPort>("port", params);
    port->socket.bind(target->socket);
    for (std::size_t i = 0; i < target->memory.size(); ++i)
      target->memory[i] = static_cast<unsigned char>(i * 7 + i / 253);
    sc_core::sc_start(ns);
  }
  void always(AtAnswer answer) {
    target->choose = [=](const auto&) { return answer; };
  }
  Access& read(std::uint64_t addr, std::uint32_t count = 64, std::uint16_t queue = 0,
               AccessKind kind = AccessKind::data) {
    Access& a = accesses.emplace_back();
    scope->start([&] { return a.read(Dma(*port, *scope, queue), addr, count, kind); });
    return a;
  }
  Access& write(std::uint64_t addr, std::uint32_t count = 64, std::uint16_t queue = 0,
                AccessKind kind = AccessKind::data) {
    Access& a = accesses.emplace_back();
    for (std::uint32_t i = 0; i < count; ++i)
      a.bytes.push_back(static_cast<std::byte>(addr * 3 + i));
    scope->start([&] { return a.write(Dma(*port, *scope, queue), addr, kind); });
    return a;
  }
  bool same(const Access& a, std::uint64_t addr) const {
    return std::memcmp(a.bytes.data(), &target->memory[addr], a.bytes.size()) == 0;
  }
  void run(sc_core::sc_time time = 1000 * ns) { sc_core::sc_start(time); }
  void expect_quiet() const {
    EXPECT_EQ(target->errors, Strings{});
    EXPECT_EQ(port->outstanding(), 0u);
    EXPECT_TRUE(port->requests().empty());
  }

  ExecutorModule executor{"executor"};
  std::unique_ptr<AtTarget> target;
  std::unique_ptr<TlmDmaPort> port;
  std::deque<Access> accesses;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(executor.executor(), "s");
};

struct Style {
  std::string name;
  AtAnswer answer;
  int after; ///< ns, when the answer is there; -1: before the access even suspends
};
void PrintTo(const Style& s, std::ostream* out) {
  *out << s.name;
}

std::vector<Style> styles() {
  const auto t = [](int n) { return n * ns; };
  return {
      {"completed", {.first = Return::completed}, -1},
      {"completed_with_time", {.first = Return::completed, .returned_time = t(30)}, 30},
      {"begin_resp", {.first = Return::begin_resp}, -1},
      {"begin_resp_with_time", {.first = Return::begin_resp, .returned_time = t(30)}, 30},
      {"end_req", {.first = Return::end_req, .response_after = t(20)}, 20},
      {"end_req_same_delta", {.first = Return::end_req}, 0},
      {"end_req_with_time",
       {.first = Return::end_req, .returned_time = t(10), .response_after = t(20)},
       20},
      {"end_req_late_response_with_time",
       {.first = Return::end_req, .response_after = t(20), .response_time = t(5)},
       25},
      {"end_req_same_delta_response_with_time",
       {.first = Return::end_req, .response_time = t(5)},
       5},
      {"accepted_end_req_begin_resp", {.end_req_after = t(10), .response_after = t(20)}, 30},
      {"accepted_end_req_with_time_begin_resp",
       {.end_req_after = t(10), .end_req_time = t(5), .response_after = t(20)},
       30},
      {"accepted_end_req_begin_resp_with_time",
       {.end_req_after = t(10), .response_after = t(20), .response_time = t(7)},
       37},
      {"accepted_end_req_begin_resp_same_delta", {}, 0},
      {"accepted_end_req_begin_resp_inside", {.inside_call = true}, 0},
      {"accepted_begin_resp", {.end_req = false, .response_after = t(20)}, 20},
      {"accepted_begin_resp_with_time",
       {.end_req = false, .response_after = t(20), .response_time = t(7)},
       27},
      {"accepted_begin_resp_same_delta", {.end_req = false}, 0},
      {"accepted_begin_resp_same_delta_with_time", {.end_req = false, .response_time = t(7)}, 7},
      {"accepted_begin_resp_inside", {.end_req = false, .inside_call = true}, 0},
      {"accepted_begin_resp_inside_with_time",
       {.end_req = false, .response_time = t(7), .inside_call = true},
       7},
  };
}

class DmaPortAt : public testing::TestWithParam<Style> {};

TEST_P(DmaPortAt, AnswersReadsAndWritesAtTheirTime) {
  Bench b;
  b.always(GetParam().answer);
  for (const bool write : {false, true}) {
    const auto begin = sc_core::sc_time_stamp();
    const std::uint64_t addr = write ? 0x2000 : 0x1001;
    const Access& a = write ? b.write(addr, 100) : b.read(addr, 100);
    EXPECT_EQ(a.resumed, GetParam().after < 0 ? 1 : 0);
    b.run();
    EXPECT_EQ(a.resumed, 1);
    EXPECT_EQ(a.status, DmaStatus::ok);
    EXPECT_EQ(a.at - begin, std::max(GetParam().after, 0) * ns);
    EXPECT_TRUE(b.same(a, addr));
    b.expect_quiet();
  }
}

// A burst in one style: the request channel lets the next go when the request before has ended.
TEST_P(DmaPortAt, BurstsKeepTheRules) {
  Bench b({.outstanding = 4});
  b.always(GetParam().answer);
  for (int i = 0; i < 12; ++i) {
    b.read(0x1000u + 0x100u * static_cast<unsigned>(i), 200);
    b.write(0x8000u + 0x100u * static_cast<unsigned>(i), 200);
  }
  b.run();
  for (const Access& a : b.accesses)
    EXPECT_TRUE(a.resumed == 1 && a.status == DmaStatus::ok);
  for (unsigned i = 0; i < 12; ++i)
    EXPECT_TRUE(b.same(b.accesses[2 * i], 0x1000u + 0x100u * i));
  EXPECT_LE(b.target->most_under_way, 4);
  b.expect_quiet();
}

INSTANTIATE_TEST_SUITE_P(Styles, DmaPortAt, testing::ValuesIn(styles()),
                         [](const auto& info) { return info.param.name; });

class DmaPortAtRandom : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, DmaPortAtRandom, testing::Range(1, 9));

/// Devices that access memory all the time, each its own page, and know what is there.
struct Worker {
  std::vector<std::byte> mirror = std::vector<std::byte>(4096);
  int wrong = 0;
  int done = 0;
  Task<> run(Dma dma, std::uint64_t page, Random& random, int count) {
    std::vector<std::byte> bytes;
    for (int i = 0; i < count; ++i) {
      const auto at = random.below(4000);
      bytes.resize(1 + random.below(4096 - at));
      const auto n = static_cast<std::uint32_t>(bytes.size());
      DmaStatus status{};
      if (random.below(2)) {
        random.fill(bytes);
        std::copy(bytes.begin(), bytes.end(), mirror.begin() + static_cast<std::ptrdiff_t>(at));
        status = co_await dma.write(GuestAddr{page + at}, bytes.data(), n, AccessKind::data);
      } else {
        status = co_await dma.read(GuestAddr{page + at}, bytes.data(), n, AccessKind::data);
        wrong += std::memcmp(bytes.data(), &mirror[at], n) != 0;
      }
      wrong += status != DmaStatus::ok;
      ++done;
    }
  }
};

TEST_P(DmaPortAtRandom, AnyMixtureOfAnswersGivesEveryByteAndKeepsTheRules) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  Bench b({.outstanding = static_cast<unsigned>(1 + 3 * seed)});
  std::fill(b.target->memory.begin(), b.target->memory.end(), static_cast<unsigned char>(0));
  Random random(seed), answers(seed, "answers");
  b.target->choose = [&](const auto&) { return test::any_answer(answers); };
  std::deque<Worker> workers(24);
  for (std::size_t i = 0; i < workers.size(); ++i)
    b.scope->start(
        [&] { return workers[i].run(Dma(*b.port, *b.scope, 0), 4096 * i, random, 100); });
  b.run(1'000'000 * ns);
  for (const Worker& w : workers) {
    EXPECT_EQ(w.done, 100);
    EXPECT_EQ(w.wrong, 0);
  }
  EXPECT_LE(b.target->most_under_way, static_cast<int>(1 + 3 * seed));
  EXPECT_EQ(b.target->request_times.size(), 2400u);
  b.expect_quiet();
}

TEST(DmaPortAtRules, OneRequestAtATimeInTheOrderOfIssueUntilItsEnd) {
  Bench b;
  b.always({.end_req_after = 3 * ns, .end_req_time = 2 * ns, .response_after = 100 * ns});
  for (unsigned i = 0; i < 4; ++i)
    b.read(0x1000 * i);
  b.run();
  const auto& t = b.target->request_times;
  ASSERT_EQ(t.size(), 4u);
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(t[i] - t[0], 5 * i * ns) << "END_REQ comes after 3 ns, for 2 ns later";
    EXPECT_EQ(b.target->answered_addresses[i], 0x1000 * i);
  }
  EXPECT_EQ(b.target->most_under_way, 4);
}

TEST(DmaPortAtRules, AResponseEndsTheRequestAtItsTime) {
  Bench b;
  b.always({.first = Return::begin_resp, .returned_time = 7 * ns});
  for (unsigned i = 0; i < 3; ++i)
    b.read(0x1000 * i);
  b.run();
  for (unsigned i = 0; i < 3; ++i)
    EXPECT_EQ(b.target->request_times[i] - b.target->request_times[0], 7 * i * ns);
  b.expect_quiet();
}

TEST(DmaPortAtRules, ACompletedRequestLetsTheNextGoAtOnce) {
  Bench b({.outstanding = 2});
  b.always({.first = Return::completed, .returned_time = 7 * ns});
  for (unsigned i = 0; i < 4; ++i)
    b.read(0x1000 * i);
  b.run();
  const auto& t = b.target->request_times;
  ASSERT_EQ(t.size(), 4u);
  EXPECT_EQ(t[1], t[0]);
  EXPECT_EQ(t[2] - t[0], 7 * ns) << "two may be outstanding";
  EXPECT_EQ(t[3] - t[0], 7 * ns);
}

TEST(DmaPortAtRules, AnswersMayOvertakeEachOther) {
  Bench b;
  int n = 0;
  b.target->choose = [&](const auto&) {
    return AtAnswer{.first = Return::end_req, .response_after = (100 - 10 * n++) * ns};
  };
  for (unsigned i = 0; i < 8; ++i)
    b.read(0x1000 * i);
  b.run();
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(b.accesses[i].at, (101 - 10 * static_cast<int>(i)) * ns);
    EXPECT_TRUE(b.same(b.accesses[i], 0x1000 * i));
    EXPECT_EQ(b.target->answered_addresses[i], 0x1000 * (7 - i));
  }
}

TEST(DmaPortAtRules, LongAccessesAreSeveralTransactionsUnderWayAtOnce) {
  Bench b({.outstanding = 8});
  b.always({.first = Return::end_req, .response_after = 50 * ns});
  const Access& a = b.read(0x1800, 0x10000);
  b.run();
  EXPECT_EQ(a.resumed, 1);
  EXPECT_TRUE(b.same(a, 0x1800));
  EXPECT_EQ(b.target->most_under_way, 8);
  EXPECT_EQ(b.target->request_times.size(), 17u);
  EXPECT_EQ(a.at, 151 * ns) << "17 transactions, 8 at once";
}

TEST(DmaPortAtRules, AWholeLongAccessMayBeAnsweredInsideTheCall) {
  Bench b({.outstanding = 1});
  b.always({.first = Return::completed});
  const Access& a = b.write(0x1800, 0x10000);
  EXPECT_EQ(a.resumed, 1);
  EXPECT_TRUE(b.same(a, 0x1800));
}

TEST(DmaPortAtRules, ResponsesAreTranslated) {
  const std::pair<tlm::tlm_response_status, DmaStatus> cases[] = {
      {tlm::TLM_OK_RESPONSE, DmaStatus::ok},
      {tlm::TLM_ADDRESS_ERROR_RESPONSE, DmaStatus::address_error},
      {tlm::TLM_GENERIC_ERROR_RESPONSE, DmaStatus::bus_error},
      {tlm::TLM_INCOMPLETE_RESPONSE, DmaStatus::bus_error}};
  Bench b;
  for (const auto first : {Return::completed, Return::begin_resp, Return::accepted}) {
    b.always({.first = first});
    for (const auto& [response, expected] : cases) {
      b.target->perform = [r = response](auto& p) { p.set_response_status(r); };
      const Access& a = b.read(0);
      b.run();
      EXPECT_EQ(a.status, expected);
    }
  }
}

TEST(DmaPortAtRules, NeverAsksForDirectPointers) {
  Bench b;
  b.read(0x1000);
  b.write(0x1000);
  b.run();
  b.expect_quiet(); // the target reports a question for DMI
}

TEST(DmaPortAtRules, PayloadsSayWhatTheyAreForAndAreUsedAgain) {
  Bench b({.outstanding = 4});
  std::set<const void*> payloads;
  std::vector<std::pair<AccessKind, int>> seen;
  b.target->on_request = [&](tlm::tlm_generic_payload& p) {
    payloads.insert(&p);
    const auto* info = p.get_extension<DmaInfo>();
    ASSERT_TRUE(info);
    seen.emplace_back(info->kind, info->queue);
  };
  b.always({.first = Return::end_req, .response_after = 5 * ns});
  for (unsigned i = 0; i < 20; ++i) {
    b.read(0x1000, 16, 3, AccessKind::descriptor);
    b.write(0x1000, 16, 5, AccessKind::used);
  }
  b.run();
  ASSERT_EQ(seen.size(), 40u);
  for (unsigned i = 0; i < 40; i += 2) {
    EXPECT_EQ(seen[i], std::pair(AccessKind::descriptor, 3));
    EXPECT_EQ(seen[i + 1], std::pair(AccessKind::used, 5));
  }
  EXPECT_EQ(payloads.size(), 4u);
}

TEST(DmaPortAtRules, ExtensionsThatOthersAttachGoWithTheTransaction) {
  struct Mark : tlm::tlm_extension<Mark> {
    ~Mark() override { ++deleted(); }
    static int& deleted() {
      static int n = 0;
      return n;
    }
    tlm_extension_base* clone() const override { return new Mark; }
    void copy_from(const tlm_extension_base&) override {}
  };
  Bench b;
  b.always({.first = Return::completed});
  b.target->on_request = [](tlm::tlm_generic_payload& p) {
    EXPECT_EQ(p.get_extension<Mark>(), nullptr);
    p.set_auto_extension(new Mark);
  };
  for (int i = 0; i < 3; ++i)
    b.read(0);
  EXPECT_EQ(Mark::deleted(), 3);
}

TEST(DmaPortAtRules, ATargetMayHoldAPayloadAndItsDataAfterTheEnd) {
  Bench b;
  b.always({.first = Return::completed});
  std::vector<std::pair<tlm::tlm_generic_payload*, std::vector<unsigned char>>> held;
  b.target->perform = [&](tlm::tlm_generic_payload& p) {
    if (p.is_read())
      for (unsigned i = 0; i < p.get_data_length(); ++i)
        p.get_data_ptr()[i] = static_cast<unsigned char>(held.size() + i);
    p.set_response_status(tlm::TLM_OK_RESPONSE);
    p.acquire();
    held.emplace_back(&p, std::vector(p.get_data_ptr(), p.get_data_ptr() + p.get_data_length()));
  };
  for (unsigned i = 0; i < 6; ++i) {
    const Access& r = b.read(0x100 * i, 100);
    EXPECT_EQ(r.bytes[1], static_cast<std::byte>(2 * i + 1));
    b.write(0x100 * i, 100);
  }
  for (const auto& [p, bytes] : held)
    EXPECT_EQ(std::vector(p->get_data_ptr(), p->get_data_ptr() + p->get_data_length()), bytes);
  for (const auto& [p, bytes] : held)
    p->release();
  b.read(0);
  EXPECT_EQ(b.accesses.back().resumed, 1);
  held.back().first->release();
}

TEST(DmaPortAtReset, WhatWaitsInThePortIsNotSentAndWhatWasSentIsAwaited) {
  Bench b({.outstanding = 2});
  b.always({.first = Return::end_req, .response_after = 50 * ns});
  for (unsigned i = 0; i < 5; ++i)
    b.write(0x1000 * i);
  b.run(10 * ns);
  b.scope->cancel();
  EXPECT_FALSE(b.scope->idle());
  b.run();
  EXPECT_TRUE(b.scope->idle());
  EXPECT_EQ(b.target->request_times.size(), 2u);
  for (const Access& a : b.accesses)
    EXPECT_EQ(a.status, DmaStatus::cancelled);
  EXPECT_EQ(b.port->late_answers(), 0u);
  b.expect_quiet();
}

class DmaPortAtLate : public testing::TestWithParam<Style> {};
INSTANTIATE_TEST_SUITE_P(Styles, DmaPortAtLate, testing::ValuesIn(styles()),
                         [](const auto& info) { return info.param.name; });

// The frames are gone, or gave up, before the answers come.
TEST_P(DmaPortAtLate, AnswersAfterOrphaningAreDroppedAndCounted) {
  Bench b({.outstanding = 3});
  b.always(GetParam().answer);
  for (unsigned i = 0; i < 5; ++i)
    b.read(0x1000 * i, 64 << i);
  const auto sent = b.target->request_times.size();
  const auto answered = static_cast<std::size_t>(
      std::count_if(b.accesses.begin(), b.accesses.end(), [](auto& a) { return a.resumed != 0; }));
  b.scope->cancel();
  b.scope->orphan();
  b.run();
  EXPECT_TRUE(b.scope->idle());
  EXPECT_EQ(b.port->late_answers(), sent - answered);
  EXPECT_EQ(b.target->request_times.size(), sent) << "nothing is sent for nobody";
  b.expect_quiet();
}

TEST(DmaPortAtReset, AFrameDestroyedInFlightLeavesItsTransactions) {
  Bench b({.outstanding = 3});
  b.always({.end_req_after = 2 * ns, .response_after = 30 * ns, .response_time = 3 * ns});
  for (unsigned i = 0; i < 5; ++i)
    b.read(0x1000 * i, 64 << i);
  b.run(20 * ns);
  b.scope.reset();
  b.run();
  EXPECT_EQ(b.port->late_answers(), 3u);
  EXPECT_EQ(b.target->request_times.size(), 3u);
  b.expect_quiet();
}

TEST(DmaPortAtReset, SwitchedOffWhatWaitsEndsInAnErrorAndAnswersStillArrive) {
  Bench b({.outstanding = 2});
  b.always({.first = Return::end_req, .response_after = 50 * ns});
  for (unsigned i = 0; i < 4; ++i)
    b.read(0x1000 * i);
  b.run(10 * ns);
  b.port->set_enabled(false);
  b.read(0);
  EXPECT_EQ(b.accesses.back().status, DmaStatus::address_error);
  b.run();
  EXPECT_EQ(b.target->request_times.size(), 2u);
  for (unsigned i = 0; i < 4; ++i)
    EXPECT_EQ(b.accesses[i].status, i < 2 ? DmaStatus::ok : DmaStatus::address_error);
  b.port->set_enabled(true);
  const Access& on = b.read(0);
  b.run();
  EXPECT_EQ(on.status, DmaStatus::ok);
}

// Whoever goes first at the end of a simulation, with requests in every step.
class DmaPortAtEnd : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Orders, DmaPortAtEnd, testing::Range(0, 18));

TEST_P(DmaPortAtEnd, PortTargetAndFramesGoInAnyOrder) {
  Bench b({.outstanding = 6});
  int n = 0;
  b.target->choose = [&](const auto&) {
    switch (n++) {
    case 0:
      return AtAnswer{.first = Return::completed, .returned_time = 50 * ns};
    case 1:
      return AtAnswer{.first = Return::end_req, .answered = false};
    case 2:
      return AtAnswer{.first = Return::end_req, .response_after = 3 * ns, .response_time = 50 * ns};
    case 3:
      return AtAnswer{.first = Return::end_req, .response_after = 100 * ns};
    case 4:
      return GetParam() < 9 ? AtAnswer{.end_req = false, .answered = false}
                            : AtAnswer{.first = Return::begin_resp, .returned_time = 50 * ns};
    default:
      return AtAnswer{};
    }
  };
  for (unsigned i = 0; i < 8; ++i)
    b.read(0x1000 * i, 4096);
  b.run((1 + GetParam() % 3 * 10) * ns);
  EXPECT_EQ(b.port->outstanding(), 8u);
  const int first = GetParam() / 3 % 3;
  if (first == 0) b.port.reset();
  if (first == 1) b.target.reset();
  if (first == 2) b.scope.reset();
  if (GetParam() % 2)
    b.target.reset();
  else
    b.port.reset();
}

// Breaking the rules is reported, and harms nobody.

std::vector<std::string>& reports() {
  static std::vector<std::string> all;
  return all;
}
void keep_reports() {
  for (const auto severity : {sc_core::SC_ERROR, sc_core::SC_WARNING})
    sc_core::sc_report_handler::set_actions(severity, sc_core::SC_DISPLAY);
  sc_core::sc_report_handler::set_handler(
      [](const sc_core::sc_report& r, const sc_core::sc_actions&) {
        reports().push_back(r.get_msg());
      });
}

struct Breach {
  std::string name;
  std::string report;
  std::function<void(tlm::tlm_bw_transport_if<>&, tlm::tlm_generic_payload&)> act;
};
void PrintTo(const Breach& b, std::ostream* out) {
  *out << b.name;
}

void call(tlm::tlm_bw_transport_if<>& bw, tlm::tlm_generic_payload& p, tlm::tlm_phase phase) {
  sc_core::sc_time time;
  bw.nb_transport_bw(p, phase, time);
}

std::vector<Breach> breaches() {
  const std::string request = ": read of 64 bytes at 0x1000 (data, queue 0)";
  return {
      {"end_req_twice", "sends END_REQ for a request that does not wait for it" + request,
       [](auto& bw, auto& p) {
         call(bw, p, tlm::END_REQ);
         call(bw, p, tlm::END_REQ);
       }},
      {"end_req_after_response", "sends END_REQ for a request that does not wait for it" + request,
       [](auto& bw, auto& p) {
         call(bw, p, tlm::BEGIN_RESP);
         call(bw, p, tlm::END_REQ);
       }},
      {"begin_resp_twice", "sends BEGIN_RESP for a request that does not wait for it" + request,
       [](auto& bw, auto& p) {
         call(bw, p, tlm::BEGIN_RESP);
         call(bw, p, tlm::BEGIN_RESP);
       }},
      {"begin_resp_after_the_end",
       "sends BEGIN_RESP for a request that does not wait for it: it is complete",
       [](auto& bw, auto& p) {
         call(bw, p, tlm::BEGIN_RESP);
         sc_core::wait(ns);
         call(bw, p, tlm::BEGIN_RESP);
       }},
      {"begin_req", "calls nb_transport_bw with a phase of the forward path" + request,
       [](auto& bw, auto& p) { call(bw, p, tlm::BEGIN_REQ); }},
      {"end_resp", "calls nb_transport_bw with a phase of the forward path" + request,
       [](auto& bw, auto& p) { call(bw, p, tlm::END_RESP); }},
      {"no_phase", "calls nb_transport_bw with a phase of the forward path" + request,
       [](auto& bw, auto& p) { call(bw, p, tlm::UNINITIALIZED_PHASE); }},
      {"another_payload", "calls nb_transport_bw with a payload that this port did not send",
       [](auto& bw, auto&) {
         tlm::tlm_generic_payload mine;
         call(bw, mine, tlm::BEGIN_RESP);
       }},
      {"a_copy", "calls nb_transport_bw with a payload that this port did not send",
       [](auto& bw, auto& p) {
         tlm::tlm_generic_payload copy;
         std::vector<unsigned char> data(p.get_data_length());
         copy.set_data_ptr(data.data());
         copy.deep_copy_from(p);
         call(bw, copy, tlm::BEGIN_RESP);
         copy.set_data_ptr(nullptr);
       }},
      {"a_payload_with_our_extensions",
       "calls nb_transport_bw with a payload that this port did not send",
       [](auto& bw, auto& p) {
         tlm::tlm_generic_payload copy;
         for (unsigned i = 0; i < tlm::max_num_extensions(); ++i)
           copy.set_extension(i, p.get_extension(i));
         call(bw, copy, tlm::BEGIN_RESP);
         for (unsigned i = 0; i < tlm::max_num_extensions(); ++i)
           copy.set_extension(i, nullptr);
       }},
  };
}

class DmaPortAtBreach : public testing::TestWithParam<Breach> {};
INSTANTIATE_TEST_SUITE_P(Kinds, DmaPortAtBreach, testing::ValuesIn(breaches()),
                         [](const auto& info) { return info.param.name; });

TEST_P(DmaPortAtBreach, OnTheBackwardPathIsReportedAndTheRestGoesOn) {
  keep_reports();
  Bench b;
  b.always({.answered = false});
  tlm::tlm_generic_payload* payload = nullptr;
  b.target->on_request = [&](auto& p) { payload = &p; };
  b.target->choose = [](const auto&) {
    return AtAnswer{.end_req = false, .response_after = 10'000 * ns};
  };
  b.read(0x1000);
  sc_core::sc_spawn([&] { GetParam().act(*b.target->socket.operator->(), *payload); });
  b.run(10 * ns);
  EXPECT_EQ(reports(), Strings{"the target of port " + GetParam().report});
}

/// Returns TLM_UPDATED with a phase of the test's choice.
struct BadTarget : sc_core::sc_module {
  tlm_utils::simple_target_socket<BadTarget> socket{"socket"};
  tlm::tlm_phase phase;
  explicit BadTarget(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_nb_transport_fw(this, &BadTarget::nb_transport_fw);
  }
  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload&, tlm::tlm_phase& p,
                                     sc_core::sc_time&) {
    p = phase;
    return tlm::TLM_UPDATED;
  }
};

DECLARE_EXTENDED_PHASE(some_phase);

TEST(DmaPortAtBreaches, OnReturnAreReportedAndExtendedPhasesIgnored) {
  keep_reports();
  ExecutorModule executor("executor");
  BadTarget target("target");
  TlmDmaPort port("port", {.protocol = DmaProtocol::at});
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "s");
  Access ignored;
  target.phase = some_phase;
  scope.start([&] { return ignored.read(Dma(port, scope, 0), 0, 4, AccessKind::data); });
  EXPECT_EQ(reports(), Strings{});
  TlmDmaPort other("other", {.protocol = DmaProtocol::at});
  BadTarget bad("bad");
  other.socket.bind(bad.socket);
  Access access;
  bad.phase = tlm::BEGIN_REQ;
  scope.start([&] { return access.read(Dma(other, scope, 0), 0x40, 4, AccessKind::used); });
  EXPECT_EQ(reports(), Strings{"the target of other returns TLM_UPDATED with a phase that must not "
                               "follow: read of 4 bytes at 0x40 (used, queue 0)"});
  EXPECT_EQ(access.resumed, 0);
}

TEST(DmaPortAtBreaches, EndTheSimulationWithASentenceWhenNobodyHandlesReports) {
  ExecutorModule executor("executor");
  BadTarget target("target");
  TlmDmaPort port("port", {.protocol = DmaProtocol::at});
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "net0 queue 1");
  Access access;
  target.phase = tlm::END_RESP;
  sc_core::sc_start(ns);
  scope.start([&] { return access.read(Dma(port, scope, 0), 0, 4, AccessKind::data); });
  std::string text;
  try {
    sc_core::sc_start(ns);
  } catch (const sc_core::sc_report& report) {
    text = report.what();
  }
  EXPECT_NE(text.find("net0 queue 1"), std::string::npos) << text;
  EXPECT_NE(text.find("TLM_UPDATED with a phase that must not follow"), std::string::npos) << text;
}

TEST(DmaPortAtBreaches, AResponseBeforeTheEndOfTheOneBeforeIsReported) {
  keep_reports();
  Bench b;
  std::vector<tlm::tlm_generic_payload*> payloads;
  b.target->on_request = [&](auto& p) { payloads.push_back(&p); };
  b.target->choose = [&](const auto&) {
    return payloads.size() == 1 ? AtAnswer{.first = Return::end_req, .answered = false}
                                : AtAnswer{.first = Return::begin_resp, .returned_time = 10 * ns};
  };
  b.read(0x1000);
  b.read(0x2000);
  call(*b.target->socket.operator->(), *payloads[0], tlm::BEGIN_RESP);
  EXPECT_EQ(reports(), Strings{"the target of port sends BEGIN_RESP before the END_RESP of its "
                               "response before: read of 64 bytes at 0x1000 (data, queue 0)"});
  b.run();
  EXPECT_EQ(b.accesses[1].resumed, 1);
  EXPECT_EQ(b.accesses[0].resumed, 0);
}

TEST(DmaPortAtBreaches, ABackwardCallToAPortThatIsNotAtIsReported) {
  keep_reports();
  ExecutorModule executor("executor");
  AtTarget target("target");
  TlmDmaPort port("port", {.protocol = DmaProtocol::lt});
  port.socket.bind(target.socket);
  tlm::tlm_generic_payload payload;
  sc_core::sc_start(ns);
  static_cast<void>(executor);
  call(*target.socket.operator->(), payload, tlm::BEGIN_RESP);
  ASSERT_EQ(reports().size(), 1u);
  EXPECT_NE(reports()[0].find("protocol = at"), std::string::npos) << reports()[0];
}

TEST(DmaPortWatchdog, ReportsOnceWhatIsOutstandingAndLetsTheSimulationEnd) {
  keep_reports();
  Bench b({.outstanding = 2, .watchdog = nanoseconds(100)});
  b.target->choose = [](const auto& p) {
    return AtAnswer{
        .first = Return::end_req, .answered = p.get_address() != 0x2000, .response_after = 30 * ns};
  };
  b.read(0x1000);
  sc_core::sc_start();
  EXPECT_EQ(reports(), Strings{});
  EXPECT_EQ(sc_core::sc_time_stamp(), 101 * ns) << "armed once, not again with nothing under way";
  b.write(0x2000, 16, 3, AccessKind::used);
  b.run(40 * ns);
  b.read(0x2000, 4096);
  b.read(0x3000);
  sc_core::sc_start();
  EXPECT_EQ(reports(), (Strings{"port: no answer from the target for 100 ns. Outstanding:\n"
                                "  write of 16 bytes at 0x2000 (used, queue 3) for 100 ns\n"
                                "  read of 4096 bytes at 0x2000 (data, queue 0) for 60 ns\n"
                                "  and 1 that wait for their turn",
                                "port: no answer from the target for 100 ns. Outstanding:\n"
                                "  write of 16 bytes at 0x2000 (used, queue 3) for 140 ns\n"
                                "  read of 4096 bytes at 0x2000 (data, queue 0) for 100 ns\n"
                                "  and 1 that wait for their turn"}));
  EXPECT_EQ(sc_core::sc_time_stamp(), 241 * ns) << "nothing keeps the simulation alive";
}

TEST(DmaPortWatchdog, ReportsARequestOnceWhateverFollows) {
  keep_reports();
  Bench b({.watchdog = nanoseconds(100)});
  b.target->choose = [](const auto& p) {
    return AtAnswer{
        .first = Return::end_req, .answered = p.get_address() != 0x2000, .response_after = 30 * ns};
  };
  b.read(0x2000);
  b.run(150 * ns);
  EXPECT_EQ(reports().size(), 1u);
  for (int i = 0; i < 5; ++i) {
    b.read(0x1000);
    b.run(70 * ns);
  }
  sc_core::sc_start();
  EXPECT_EQ(reports().size(), 1u);
}

TEST(DmaPortWatchdog, TheEndOfTheSimulationListsWhatIsOutstanding) {
  keep_reports();
  Bench b;
  b.always({.answered = false});
  b.read(0x1000, 16, 2, AccessKind::indirect);
  b.run(10 * ns);
  sc_core::sc_stop();
  EXPECT_EQ(reports().back(), "port: the simulation ends before the target's answers to:\n"
                              "  read of 16 bytes at 0x1000 (indirect, queue 2) for 10 ns");
}

TEST(DmaPortWatchdog, WatchesBlockingTargetsToo) {
  keep_reports();
  struct Deaf : sc_core::sc_module {
    tlm_utils::simple_target_socket<Deaf> socket{"socket"};
    explicit Deaf(sc_core::sc_module_name n) : sc_module(n) {
      socket.register_b_transport(this, &Deaf::b_transport);
    }
    void b_transport(tlm::tlm_generic_payload& p, sc_core::sc_time&) {
      const auto* info = p.get_extension<DmaInfo>();
      EXPECT_TRUE(info && info->kind == AccessKind::driver_event && info->queue == 1);
      sc_core::wait(never);
    }
    sc_core::sc_event never;
  } target("target");
  ExecutorModule executor("executor");
  TlmDmaPort port("port", {.protocol = DmaProtocol::lt, .watchdog = nanoseconds(50)});
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "s");
  Access a;
  scope.start([&] { return a.read(Dma(port, scope, 1), 0x10, 4, AccessKind::driver_event); });
  sc_core::sc_start();
  EXPECT_EQ(reports(), Strings{"port: no answer from the target for 50 ns. Outstanding:\n"
                               "  read of 4 bytes at 0x10 (driver event, queue 1) for 50 ns"});
}

} // namespace
} // namespace virtio::tlm2
