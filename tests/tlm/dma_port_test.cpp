#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>

#include <gtest/gtest.h>

#include <numeric>

namespace virtio::tlm2 {
namespace {

/// A target that takes its time, fails on demand, and counts what is under way.
struct SlowTarget : sc_core::sc_module {
  tlm_utils::simple_target_socket<SlowTarget> socket;
  sc_core::sc_time latency{100, sc_core::SC_NS};
  bool annotate = false; // return the latency instead of waiting
  tlm::tlm_response_status response = tlm::TLM_OK_RESPONSE;
  int under_way = 0;
  int most_under_way = 0;
  int total = 0;

  explicit SlowTarget(sc_core::sc_module_name name) : sc_module(name), socket("socket") {
    socket.register_b_transport(this, &SlowTarget::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& p, sc_core::sc_time& delay) {
    ++total;
    most_under_way = std::max(most_under_way, ++under_way);
    if (annotate)
      delay += latency;
    else
      wait(latency);
    --under_way;
    if (p.is_read())
      std::iota(p.get_data_ptr(), p.get_data_ptr() + p.get_data_length(),
                static_cast<unsigned char>(p.get_address()));
    p.set_response_status(response);
  }
};

/// Reads `count` bytes at `addr`, and says when and with what result.
struct Reading {
  std::vector<std::byte> bytes;
  DmaStatus status = DmaStatus::bus_error;
  sc_core::sc_time at;
  int resumed = 0;
  Task<> run(Dma dma, std::uint64_t addr, std::uint32_t count) {
    bytes.resize(count);
    const DmaStatus s = co_await dma.read(GuestAddr{addr}, bytes.data(), count, AccessKind::data);
    status = s;
    at = sc_core::sc_time_stamp();
    ++resumed;
  }
};

const sc_core::sc_time ns(1, sc_core::SC_NS);

TEST(TlmDmaPort, UsesDmiWithoutATransaction) {
  ExecutorModule executor("executor");
  Memory memory("memory", {.size = 0x10000});
  TlmDmaPort port("port");
  port.socket.bind(memory.socket);
  memory.data()[0x100] = std::byte{0x42};
  Scope scope(executor.executor(), "s");
  Reading r;
  scope.start([&] { return r.run(Dma(port, scope, 0), 0x100, 4); });
  EXPECT_EQ(r.resumed, 1) << "inside the call, before the simulation even runs";
  EXPECT_EQ(r.bytes[0], std::byte{0x42});
}

TEST(TlmDmaPort, WorksWithMemoryThatHasNoDmi) {
  ExecutorModule executor("executor");
  Memory memory("memory", {.size = 0x10000, .dmi = false});
  TlmDmaPort port("port");
  port.socket.bind(memory.socket);
  memory.data()[0x1fff] = std::byte{0x42};
  Scope scope(executor.executor(), "s");
  Reading r;
  scope.start([&] { return r.run(Dma(port, scope, 0), 0x1000, 0x2000); });
  EXPECT_EQ(r.resumed, 0);
  sc_core::sc_start(1 * ns);
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.status, DmaStatus::ok);
  EXPECT_EQ(r.bytes[0xfff], std::byte{0x42});
}

TEST(TlmDmaPort, GoesOnWithoutDmiWhenItIsWithdrawnAndUsesItAgainWhenGranted) {
  ExecutorModule executor("executor");
  Memory memory("memory", {.size = 0x10000});
  TlmDmaPort port("port");
  port.socket.bind(memory.socket);
  sc_core::sc_start(1 * ns);
  Scope scope(executor.executor(), "s");
  Reading first, second;
  scope.start([&] { return first.run(Dma(port, scope, 0), 0, 4); });
  EXPECT_EQ(first.resumed, 1);
  memory.allow_dmi(false);
  scope.start([&] { return second.run(Dma(port, scope, 0), 0, 4); });
  EXPECT_EQ(second.resumed, 0);
  sc_core::sc_start(1 * ns);
  EXPECT_EQ(second.resumed, 1);
  EXPECT_EQ(second.status, DmaStatus::ok);
}

TEST(TlmDmaPort, KeepsAsManyOutstandingAsAllowedAndNoMore) {
  ExecutorModule executor("executor");
  SlowTarget target("target");
  TlmDmaPort port("port", {.outstanding = 4});
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "s");
  std::vector<Reading> readings(12);
  for (auto& r : readings)
    scope.start([&] { return r.run(Dma(port, scope, 0), 0x40, 4); });
  sc_core::sc_start(1000 * ns);
  EXPECT_EQ(target.most_under_way, 4);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(readings[i].resumed, 1);
    EXPECT_EQ(readings[i].at, (1 + i / 4) * 100 * ns) << i;
    EXPECT_EQ(readings[i].bytes[1], std::byte{0x41});
  }
}

TEST(TlmDmaPort, OneWorkerWithoutWorkDoesNotKeepABurstFromMore) {
  ExecutorModule executor("executor");
  SlowTarget target("target");
  TlmDmaPort port("port", {.outstanding = 4});
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "s");
  Reading first;
  scope.start([&] { return first.run(Dma(port, scope, 0), 0x40, 4); });
  sc_core::sc_start(1000 * ns);
  std::vector<Reading> burst(4);
  for (auto& r : burst)
    scope.start([&] { return r.run(Dma(port, scope, 0), 0x40, 4); });
  sc_core::sc_start(1000 * ns);
  EXPECT_EQ(target.most_under_way, 4);
  for (const Reading& r : burst)
    EXPECT_EQ(r.at, 1100 * ns);
}

TEST(TlmDmaPort, UntimedIgnoresTheAnnotatedDelayAndTimedWaitsIt) {
  ExecutorModule executor("executor");
  SlowTarget a("a"), b("b");
  a.annotate = b.annotate = true;
  TlmDmaPort untimed("untimed"), timed("timed", {.timed = true});
  untimed.socket.bind(a.socket);
  timed.socket.bind(b.socket);
  Scope scope(executor.executor(), "s");
  Reading u, t;
  scope.start([&] { return u.run(Dma(untimed, scope, 0), 0, 4); });
  scope.start([&] { return t.run(Dma(timed, scope, 0), 0, 4); });
  sc_core::sc_start(1000 * ns);
  EXPECT_EQ(u.at, sc_core::SC_ZERO_TIME);
  EXPECT_EQ(t.at, 100 * ns);
}

TEST(TlmDmaPort, TranslatesErrorResponses) {
  ExecutorModule executor("executor");
  SlowTarget target("target");
  TlmDmaPort port("port");
  port.socket.bind(target.socket);
  Scope scope(executor.executor(), "s");
  const std::pair<tlm::tlm_response_status, DmaStatus> cases[] = {
      {tlm::TLM_OK_RESPONSE, DmaStatus::ok},
      {tlm::TLM_ADDRESS_ERROR_RESPONSE, DmaStatus::address_error},
      {tlm::TLM_GENERIC_ERROR_RESPONSE, DmaStatus::bus_error},
      {tlm::TLM_INCOMPLETE_RESPONSE, DmaStatus::bus_error}};
  for (const auto& [response, expected] : cases) {
    target.response = response;
    Reading r;
    scope.start([&] { return r.run(Dma(port, scope, 0), 0, 4); });
    sc_core::sc_start(200 * ns);
    EXPECT_EQ(r.resumed, 1);
    EXPECT_EQ(r.status, expected);
  }
}

TEST(TlmDmaPort, SwitchedOffItAnswersWithAnAddressErrorAndTouchesNothing) {
  ExecutorModule executor("executor");
  Memory memory("memory", {.size = 0x1000});
  TlmDmaPort port("port");
  port.socket.bind(memory.socket);
  Scope scope(executor.executor(), "s");
  Reading warm, off, on;
  scope.start([&] { return warm.run(Dma(port, scope, 0), 0, 4); });
  port.set_enabled(false);
  scope.start([&] { return off.run(Dma(port, scope, 0), 0, 4); });
  EXPECT_EQ(off.status, DmaStatus::address_error);
  port.set_enabled(true);
  scope.start([&] { return on.run(Dma(port, scope, 0), 0, 4); });
  EXPECT_EQ(on.status, DmaStatus::ok);
}

TEST(TlmDmaPort, AScopeMayEndWithTransactionsInFlight) {
  ExecutorModule executor("executor");
  SlowTarget target("target");
  TlmDmaPort port("port");
  port.socket.bind(target.socket);
  Reading r;
  {
    Scope scope(executor.executor(), "s");
    scope.start([&] { return r.run(Dma(port, scope, 0), 0, 4); });
    sc_core::sc_start(50 * ns);
  }
  sc_core::sc_start(1000 * ns);
  EXPECT_EQ(r.resumed, 0);
  EXPECT_EQ(port.late_answers(), 1u);
}

TEST(ExecutorModule, TimersResumeAtTheirTime) {
  ExecutorModule executor("executor");
  Scope scope(executor.executor(), "s");
  struct Waiter {
    static Task<> go(Scope& s, SimTime t, std::vector<sc_core::sc_time>& out) {
      const bool ok = co_await delay(s, t);
      if (ok) out.push_back(sc_core::sc_time_stamp());
    }
  };
  std::vector<sc_core::sc_time> out;
  for (std::uint64_t t : {30, 10, 20})
    scope.start([&] { return Waiter::go(scope, nanoseconds(t), out); });
  sc_core::sc_start(15 * ns);
  scope.start([&] { return Waiter::go(scope, nanoseconds(1), out); });
  sc_core::sc_start();
  EXPECT_EQ(out, (std::vector{10 * ns, 16 * ns, 20 * ns, 30 * ns}));
}

TEST(ExecutorModule, AnExceptionBecomesAnErrorReportThatNamesTheScopeAndTheExecutorGoesOn) {
  static std::string seen;
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_DISPLAY);
  sc_core::sc_report_handler::set_handler(
      [](const sc_core::sc_report& r, const sc_core::sc_actions&) { seen = r.get_msg(); });
  ExecutorModule executor("executor");
  Scope scope(executor.executor(), "net0 queue 1");
  struct Thrower {
    static Task<> go(Scope& s, bool& after) {
      const bool ok = co_await delay(s, nanoseconds(1));
      if (ok && !after) throw std::runtime_error("broken");
    }
    static Task<> note(Scope& s, bool& after) {
      const bool ok = co_await delay(s, nanoseconds(2));
      after = ok;
    }
  };
  bool after = false;
  scope.start([&] { return Thrower::go(scope, after); });
  scope.start([&] { return Thrower::note(scope, after); });
  sc_core::sc_start();
  EXPECT_EQ(seen, "an exception left a task of net0 queue 1: broken");
  EXPECT_TRUE(after);
}

} // namespace
} // namespace virtio::tlm2
