#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <array>

namespace virtio {
namespace {

using test::ManualPort;

struct DmaPortTest : testing::Test {
  DmaPortTest() {
    for (std::size_t i = 0; i < memory.size(); ++i)
      memory[i] = static_cast<std::byte>(i);
  }
  std::vector<std::byte> memory = std::vector<std::byte>(0x10000);
  Executor executor;
};

/// One read and what came of it.
struct Reader {
  explicit Reader(std::size_t len) : to(len) {}
  Task<> read(Dma dma, std::uint64_t addr) {
    const DmaStatus s = co_await dma.read(GuestAddr{addr}, to.data(),
                                          static_cast<std::uint32_t>(to.size()), AccessKind::data);
    status = s;
    ++resumed;
  }
  Task<> gather(Dma dma, Piece first, std::span<const Piece> rest) {
    const DmaStatus s = co_await dma.gather(first, rest, to.data(), AccessKind::data);
    status = s;
    ++resumed;
  }
  std::vector<std::byte> to;
  DmaStatus status = DmaStatus::bus_error;
  int resumed = 0;
};

TEST_F(DmaPortTest, AWindowNeedsNoSuspensionAndNoTransaction) {
  HostMemoryPort port(GuestAddr{0x1000}, memory);
  Scope scope(executor, "s");
  Reader r(4);
  scope.start([&] { return r.read(Dma(port, scope, 0), 0x1010); });
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.status, DmaStatus::ok);
  EXPECT_EQ(r.to[0], std::byte{0x10});
  EXPECT_TRUE(executor.idle());
}

TEST_F(DmaPortTest, OutsideTheWindowIsAnAddressErrorAtEveryEdge) {
  HostMemoryPort port(GuestAddr{0x1000}, memory);
  Scope scope(executor, "s");
  const auto status_at = [&](std::uint64_t addr, std::size_t len) {
    Reader r(len);
    scope.start([&] { return r.read(Dma(port, scope, 0), addr); });
    EXPECT_EQ(r.resumed, 1);
    return r.status;
  };
  EXPECT_EQ(status_at(0x1000, 0x10000), DmaStatus::ok);
  EXPECT_EQ(status_at(0xfff, 1), DmaStatus::address_error);
  EXPECT_EQ(status_at(0xfff, 2), DmaStatus::address_error);
  EXPECT_EQ(status_at(0x10fff, 1), DmaStatus::ok);
  EXPECT_EQ(status_at(0x10fff, 2), DmaStatus::address_error);
  EXPECT_EQ(status_at(~0ull, 2), DmaStatus::address_error);
  EXPECT_EQ(status_at(~0ull - 1, 1), DmaStatus::address_error);
  EXPECT_EQ(status_at(0, 0), DmaStatus::ok); // nothing is accessed
}

TEST_F(DmaPortTest, AnAnswerInsideTheCallDoesNotSuspend) {
  ManualPort port(memory);
  port.immediate = true;
  Scope scope(executor, "s");
  Reader r(4);
  scope.start([&] { return r.read(Dma(port, scope, 0), 0x20); });
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.to[3], std::byte{0x23});
  EXPECT_TRUE(executor.idle());
}

TEST_F(DmaPortTest, LongAccessesAreSplitAtBoundariesAndAnswersMayComeInAnyOrder) {
  ManualPort port(memory);
  Scope scope(executor, "s");
  Reader r(10'000);
  scope.start([&] { return r.read(Dma(port, scope, 0), 0x0f00); });
  ASSERT_EQ(port.waiting.size(), 4u); // 256 + 4096 + 4096 + 1552
  EXPECT_EQ(port.seen[0].len, 256u);
  EXPECT_EQ(port.seen[3].len, 1552u);
  port.answer_at(2);
  port.answer_at(0);
  port.answer_at(1);
  EXPECT_EQ(executor.run(), 0u);
  port.answer_front();
  EXPECT_EQ(executor.run(), 1u);
  EXPECT_EQ(r.status, DmaStatus::ok);
  EXPECT_TRUE(std::equal(r.to.begin(), r.to.end(), memory.begin() + 0x0f00));
  EXPECT_EQ(port.outstanding(), 0u);
}

TEST_F(DmaPortTest, OneAccessKeepsABoundedNumberUnderWay) {
  std::vector<std::byte> large(1 << 20);
  ManualPort port(large);
  Scope scope(executor, "s");
  Reader r(large.size());
  scope.start([&] { return r.read(Dma(port, scope, 0), 0); });
  std::size_t most = 0;
  while (!port.waiting.empty()) {
    most = std::max(most, port.waiting.size());
    port.answer_front();
  }
  executor.run();
  EXPECT_EQ(most, std::size_t{DmaPort::max_parallel});
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.status, DmaStatus::ok);
}

TEST_F(DmaPortTest, AfterAnErrorNothingMoreIsIssuedAndTheFirstErrorIsReported) {
  std::vector<std::byte> large(1 << 20);
  ManualPort port(large);
  Scope scope(executor, "s");
  Reader r(large.size());
  scope.start([&] { return r.read(Dma(port, scope, 0), 0); });
  port.answer_front(DmaStatus::bus_error);
  const std::size_t issued = port.seen.size();
  port.answer_front(DmaStatus::address_error);
  while (!port.waiting.empty())
    port.answer_front();
  executor.run();
  EXPECT_EQ(port.seen.size(), issued);
  EXPECT_EQ(r.status, DmaStatus::bus_error);
  EXPECT_EQ(r.resumed, 1);
}

TEST_F(DmaPortTest, PiecesAreGatheredInOrder) {
  HostMemoryPort host(GuestAddr{0}, memory);
  ManualPort manual(memory);
  manual.immediate = true;
  for (DmaPort* port : {static_cast<DmaPort*>(&host), static_cast<DmaPort*>(&manual)}) {
    Scope scope(executor, "s");
    const std::array<Piece, 3> rest{
        {{GuestAddr{0x200}, 0}, {GuestAddr{0x30}, 2}, {GuestAddr{0x80}, 1}}};
    Reader r(5);
    scope.start([&] { return r.gather(Dma(*port, scope, 0), {GuestAddr{0x10}, 2}, rest); });
    EXPECT_EQ(r.status, DmaStatus::ok);
    const std::vector<std::byte> expected{std::byte{0x10}, std::byte{0x11}, std::byte{0x30},
                                          std::byte{0x31}, std::byte{0x80}};
    EXPECT_EQ(r.to, expected);
  }
}

TEST_F(DmaPortTest, CancellationWaitsForTheAnswerAndDropsItsData) {
  ManualPort port(memory);
  Scope scope(executor, "s");
  Reader r(4);
  scope.start([&] { return r.read(Dma(port, scope, 0), 0x20); });
  scope.cancel();
  executor.run();
  EXPECT_EQ(r.resumed, 0); // the transaction is out there
  port.answer_front();
  executor.run();
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.status, DmaStatus::cancelled);
  EXPECT_EQ(r.to[0], std::byte{0});
  EXPECT_TRUE(scope.idle());
}

TEST_F(DmaPortTest, ACancelledScopeIssuesNothing) {
  ManualPort port(memory);
  Scope scope(executor, "s");
  struct Two {
    static Task<> go(Dma dma, std::vector<DmaStatus>& out) {
      std::byte b{};
      const DmaStatus first = co_await dma.read(GuestAddr{0}, &b, 1, AccessKind::data);
      out.push_back(first);
      const DmaStatus second = co_await dma.read(GuestAddr{0}, &b, 1, AccessKind::data);
      out.push_back(second);
    }
  };
  std::vector<DmaStatus> out;
  scope.start([&] { return Two::go(Dma(port, scope, 0), out); });
  scope.cancel();
  port.answer_front();
  executor.run();
  EXPECT_EQ(out, (std::vector{DmaStatus::cancelled, DmaStatus::cancelled}));
  EXPECT_EQ(port.seen.size(), 1u);
}

TEST_F(DmaPortTest, AfterOrphaningLateAnswersAreDroppedAndCounted) {
  ManualPort port(memory);
  Scope scope(executor, "s");
  Reader r(4);
  scope.start([&] { return r.read(Dma(port, scope, 0), 0x20); });
  scope.cancel();
  scope.orphan();
  executor.run();
  EXPECT_EQ(r.resumed, 1);
  EXPECT_EQ(r.status, DmaStatus::cancelled);
  EXPECT_TRUE(scope.idle());
  EXPECT_EQ(port.outstanding(), 1u);
  port.answer_front();
  EXPECT_EQ(port.late_answers(), 1u);
  EXPECT_EQ(port.outstanding(), 0u);
  EXPECT_EQ(r.to[0], std::byte{0});
}

TEST_F(DmaPortTest, FramesWithTransactionsInFlightMayBeDestroyedInAnyOrder) {
  for (int order = 0; order < 6; ++order) {
    auto ex = std::make_unique<Executor>();
    auto port = std::make_unique<ManualPort>(memory);
    auto scope = std::make_unique<Scope>(*ex, "s");
    Reader r(4);
    scope->start([&] { return r.read(Dma(*port, *scope, 0), 0x20); });
    const auto destroy = [&](int what) {
      if (what == 0) ex.reset();
      if (what == 1) port.reset();
      if (what == 2) scope.reset();
    };
    const int first = order / 2;
    const int second = (first + 1 + order % 2) % 3;
    destroy(first);
    destroy(second);
    if (port && !scope) {
      port->answer_front(); // the answer finds nobody
      EXPECT_EQ(port->late_answers(), 1u);
    }
    destroy(3 - first - second);
    EXPECT_EQ(r.resumed, 0);
  }
}

TEST_F(DmaPortTest, SwitchedOffNothingLeavesAndAnswersStillArrive) {
  HostMemoryPort direct(GuestAddr{0x1000}, memory);
  ManualPort manual(memory);
  Scope scope(executor, "s");
  Reader before(4), off(4), again(4), off_direct(4);
  scope.start([&] { return before.read(Dma(manual, scope, 0), 0); });
  scope.start([&] { return again.read(Dma(direct, scope, 0), 0x1000); });
  EXPECT_EQ(again.status, DmaStatus::ok);

  manual.set_enabled(false);
  direct.set_enabled(false);
  scope.start([&] { return off.read(Dma(manual, scope, 0), 0); });
  scope.start([&] { return off_direct.read(Dma(direct, scope, 0), 0x1000); });
  EXPECT_EQ(off.status, DmaStatus::address_error);
  EXPECT_EQ(off_direct.status, DmaStatus::address_error);
  EXPECT_EQ(off.resumed + off_direct.resumed, 2);
  EXPECT_EQ(manual.seen.size(), 1u);
  manual.answer_front();
  executor.run();
  EXPECT_EQ(before.status, DmaStatus::ok);

  direct.set_enabled(true);
  scope.start([&] { return again.read(Dma(direct, scope, 0), 0x1000); });
  EXPECT_EQ(again.status, DmaStatus::ok);
}

TEST_F(DmaPortTest, LoadsAndStoresAreLittleEndian) {
  HostMemoryPort host(GuestAddr{0}, memory);
  ManualPort manual(memory);
  manual.immediate = true;
  struct Cell {
    static Task<> load(Dma dma, DmaValue<OrderedInt<std::uint16_t>>& out) {
      const auto v =
          co_await dma.load<OrderedInt<std::uint16_t>>(GuestAddr{0x20}, AccessKind::available);
      out = v;
    }
    static Task<> store(Dma dma) {
      const OrderedInt<std::uint32_t> cell{0x01020304};
      co_await dma.store(GuestAddr{0x40}, cell, AccessKind::used);
    }
  };
  for (DmaPort* port : {static_cast<DmaPort*>(&host), static_cast<DmaPort*>(&manual)}) {
    Scope scope(executor, "s");
    DmaValue<OrderedInt<std::uint16_t>> out;
    scope.start([&] { return Cell::load(Dma(*port, scope, 0), out); });
    EXPECT_EQ(out.status, DmaStatus::ok);
    EXPECT_EQ(out.value.value, 0x2120);
    scope.start([&] { return Cell::store(Dma(*port, scope, 0)); });
    EXPECT_EQ(memory[0x40], std::byte{4});
    EXPECT_EQ(memory[0x43], std::byte{1});
    memory[0x40] = std::byte{0x40};
  }
}

} // namespace
} // namespace virtio
