#include <virtio/core/task.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace virtio {
namespace {

using Log = std::vector<int>;

Task<> note(Log& log, int value) {
  log.push_back(value);
  co_return;
}

Task<> wait_then_note(Scope& scope, SimTime time, Log& log, int value) {
  const bool elapsed = co_await delay(scope, time);
  log.push_back(elapsed ? value : -value);
}

Task<int> later(Scope& scope, SimTime time, int value) {
  const bool elapsed = co_await delay(scope, time);
  co_return elapsed ? value : -1;
}

Task<> parent(Scope& scope, Log& log) {
  const int a = co_await later(scope, nanoseconds(5), 1);
  log.push_back(a);
  const int b = co_await later(scope, SimTime{}, 2); // ends at once: no suspension
  log.push_back(b);
}

TEST(Task, StartsAtOnce) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  scope.start([&] { return note(log, 1); });
  EXPECT_EQ(log, Log{1});
  EXPECT_TRUE(scope.idle());
  EXPECT_TRUE(executor.idle());
}

TEST(Task, ASuspendedChildPutsItsParentOnTheReadyListAndAFinishedOneDoesNotSuspend) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  scope.start([&] { return parent(scope, log); });
  EXPECT_TRUE(log.empty());
  // The first child's delay, then the parent; the second child needs no resumption.
  EXPECT_EQ(executor.run_until_idle(), 2u);
  EXPECT_EQ(log, (Log{1, 2}));
  EXPECT_EQ(executor.now(), nanoseconds(5));
}

TEST(Task, DeepNestingNeedsNoStack) {
  // Each level ends by posting its parent: symmetric transfer would overflow at -O0.
  struct Deep {
    static Task<int> go(Scope& scope, int n) {
      if (n == 0) {
        const bool ok = co_await delay(scope, nanoseconds(1));
        co_return ok ? 0 : -1;
      }
      const int below = co_await go(scope, n - 1);
      co_return below + 1;
    }
    static Task<> root(Scope& scope, int& out) {
      for (int i = 0; i < 200; ++i) {
        const int depth = co_await go(scope, 100);
        out += depth;
      }
    }
  };
  Executor executor;
  Scope scope(executor, "s");
  int sum = 0;
  scope.start([&] { return Deep::root(scope, sum); });
  executor.run_until_idle();
  EXPECT_EQ(sum, 200 * 100);
}

TEST(Executor, ResumesDueTasksInOrderOfTimeAndThenOfPosting) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  const unsigned times[] = {30, 10, 20, 10, 30, 10};
  for (int i = 0; i < 6; ++i)
    scope.start([&] { return wait_then_note(scope, nanoseconds(times[i]), log, i + 1); });
  executor.run_until_idle();
  EXPECT_EQ(log, (Log{2, 4, 6, 3, 1, 5}));
}

TEST(Executor, ManyTimersComeInOrderAlsoWhenSomeAreTakenOut) {
  Executor executor;
  auto doomed = std::make_unique<Scope>(executor, "doomed");
  Scope scope(executor, "s");
  struct Check {
    static Task<> wait(Scope& s, std::uint64_t t, std::vector<std::uint64_t>& out) {
      const bool ok = co_await delay(s, picoseconds(t));
      if (ok) out.push_back(s.executor().now().ps);
    }
  };
  std::vector<std::uint64_t> out;
  std::uint64_t x = 1;
  for (int i = 0; i < 3000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    Scope& owner = i % 3 == 0 ? *doomed : scope;
    owner.start([&] { return Check::wait(owner, 1 + (x >> 40), out); });
  }
  doomed.reset();
  executor.run_until_idle();
  EXPECT_EQ(out.size(), 2000u);
  EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
}

TEST(Executor, AWakeWithACallIsCalledAtItsTimeAndMayPostItselfAgain) {
  struct Clock {
    Wake wake; // first member: found again from the wake
    Executor* executor = nullptr;
    std::vector<SimTime> ticks;
  } clock;
  Executor executor;
  clock.executor = &executor;
  clock.wake.call = [](Wake& wake) {
    auto& self = reinterpret_cast<Clock&>(wake);
    self.ticks.push_back(self.executor->now());
    if (self.ticks.size() < 3) self.executor->post_at(wake, self.executor->now() + nanoseconds(4));
  };
  executor.post_at(clock.wake, nanoseconds(4));
  executor.run_until_idle();
  EXPECT_EQ(clock.ticks, (std::vector{nanoseconds(4), nanoseconds(8), nanoseconds(12)}));
}

TEST(Executor, RunIsBoundedAndTheRestComesLater) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  for (int i = 1; i <= 5; ++i)
    scope.start([&] { return wait_then_note(scope, nanoseconds(1), log, i); });
  executor.run_until_idle(3);
  EXPECT_EQ(log, (Log{1, 2, 3}));
  executor.run_until_idle();
  EXPECT_EQ(log, (Log{1, 2, 3, 4, 5}));
}

TEST(Executor, RunFromInsideRunDoesNothing) {
  Executor executor;
  Scope scope(executor, "s");
  std::size_t inner = 99;
  struct Nested {
    static Task<> go(Scope& s, std::size_t& inner) {
      const bool ok = co_await delay(s, nanoseconds(1));
      if (ok) inner = s.executor().run();
    }
  };
  scope.start([&] { return Nested::go(scope, inner); });
  executor.run_until_idle();
  EXPECT_EQ(inner, 0u);
}

TEST(Executor, AnExceptionReachesTheHandlerWithTheScopesNameAndTheRestGoesOn) {
  struct Thrower {
    static Task<int> child(Scope& s) {
      const bool ok = co_await delay(s, nanoseconds(1));
      if (ok) throw std::runtime_error("broken");
      co_return 0;
    }
    static Task<> root(Scope& s) { co_await child(s); }
  };
  Executor executor;
  std::vector<std::string> reports;
  executor.set_error_handler([&](std::string_view who, std::exception_ptr error) {
    EXPECT_FALSE(executor.running());
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      reports.push_back(std::string(who) + ": " + e.what());
    }
  });
  Scope scope(executor, "blk0 queue 3");
  Log log;
  scope.start([&] { return Thrower::root(scope); });
  scope.start([&] { return wait_then_note(scope, nanoseconds(2), log, 1); });
  executor.run_until_idle();
  EXPECT_EQ(reports, std::vector<std::string>{"blk0 queue 3: broken"});
  EXPECT_EQ(log, Log{1});
  EXPECT_TRUE(scope.idle());
}

TEST(Executor, AnExceptionBeforeTheFirstSuspensionIsReportedToo) {
  Executor executor;
  int reports = 0;
  executor.set_error_handler([&](std::string_view, std::exception_ptr) { ++reports; });
  Scope scope(executor, "s");
  scope.start([]() -> Task<> {
    throw std::runtime_error("at once");
    co_return;
  });
  EXPECT_EQ(reports, 0);
  executor.flush_errors();
  EXPECT_EQ(reports, 1);
  EXPECT_TRUE(scope.idle());
}

TEST(Scope, CancelEndsDelaysAtOnceAndIdleIsReported) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  scope.start([&] { return wait_then_note(scope, milliseconds(1), log, 5); });
  bool idle = false;
  scope.cancel();
  scope.when_idle([&] { idle = true; });
  EXPECT_FALSE(idle);
  executor.run();
  EXPECT_EQ(log, Log{-5});
  EXPECT_TRUE(idle);
  EXPECT_EQ(executor.now(), SimTime{});
  EXPECT_EQ(scope.epoch(), 1u);
  EXPECT_TRUE(executor.idle());
}

TEST(Scope, ACancelledScopeStartsNothingUntilReopened) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  scope.cancel();
  scope.start([&] { return note(log, 1); });
  EXPECT_TRUE(log.empty());
  scope.reopen();
  scope.start([&] { return note(log, 2); });
  EXPECT_EQ(log, Log{2});
}

TEST(Scope, ReopeningABusyScopeIsMisuse) {
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  scope.start([&] { return wait_then_note(scope, nanoseconds(1), log, 1); });
  scope.cancel();
  EXPECT_THROW(scope.reopen(), std::logic_error);
}

TEST(Scope, DestroysSuspendedFramesBeforeOrAfterTheExecutor) {
  Log log;
  for (const bool executor_first : {false, true}) {
    auto executor = std::make_unique<Executor>();
    auto scope = std::make_unique<Scope>(*executor, "s");
    scope->start([&] { return parent(*scope, log); });
    scope->start([&] { return wait_then_note(*scope, nanoseconds(3), log, 1); });
    if (executor_first) executor.reset();
    scope.reset();
  }
  EXPECT_TRUE(log.empty()); // and AddressSanitizer finds no frame lost
}

} // namespace
} // namespace virtio
