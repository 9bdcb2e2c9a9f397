#include <virtio/core/task.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
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

/// A host whose time stands still until the test moves it.
struct StandingHost : Executor::Host {
  SimTime time{}, until{};
  std::vector<SimTime> requests;
  SimTime now() const override { return time; }
  SimTime horizon() const override { return until; }
  void request_run(SimTime when) override { requests.push_back(when); }
};

/// Notes its number and the time when it is called.
struct NotingWake : Wake {
  Executor* executor = nullptr;
  std::vector<std::pair<int, std::uint64_t>>* log = nullptr;
  int number = 0;
  NotingWake() {
    call = [](Wake& wake) {
      auto& self = static_cast<NotingWake&>(wake);
      self.log->emplace_back(self.number, self.executor->now().ps);
    };
  }
};

TEST(Executor, RunsAheadOfItsHostUpToTheHorizonAndNotPastWhatTheHostSees) {
  StandingHost host;
  Executor executor(host);
  std::vector<std::pair<int, std::uint64_t>> log;
  std::array<NotingWake, 5> wakes;
  for (int i = 0; i < 5; ++i) {
    wakes[i].executor = &executor;
    wakes[i].log = &log;
    wakes[i].number = i;
    executor.post_at(wakes[i], picoseconds(10 * (i + 1)));
  }
  wakes[2].at_host_time = true; // at 30
  EXPECT_EQ(executor.run(), 0u);
  host.until = picoseconds(20);
  EXPECT_EQ(executor.run_ahead(), 1u); // the horizon itself is the host's
  host.until = picoseconds(45);
  EXPECT_EQ(executor.run_ahead(), 1u);
  EXPECT_EQ(log.back(), (std::pair<int, std::uint64_t>{1, 20}));
  EXPECT_EQ(executor.now(), SimTime{}); // the host's, between runs
  EXPECT_EQ(host.requests.back(), picoseconds(30));
  host.time = picoseconds(30);
  EXPECT_EQ(executor.run_ahead(), 2u);
  EXPECT_EQ(log, (std::vector<std::pair<int, std::uint64_t>>{{0, 10}, {1, 20}, {2, 30}, {3, 40}}));
  EXPECT_EQ(host.requests.back(), picoseconds(50));
  EXPECT_EQ(executor.resumed(), 4u);
}

TEST(Executor, WhatIsDeferredComesWhenTheHostIsThereBeforeEverythingElse) {
  struct Deferring : NotingWake {
    Deferring() {
      call = [](Wake& wake) {
        auto& self = static_cast<Deferring&>(wake);
        if (self.executor->ahead())
          self.executor->defer(self);
        else
          self.log->emplace_back(self.number, self.executor->now().ps);
      };
    }
  } first;
  NotingWake second;
  StandingHost host;
  Executor executor(host);
  std::vector<std::pair<int, std::uint64_t>> log;
  first.executor = second.executor = &executor;
  first.log = second.log = &log;
  first.number = 1;
  second.number = 2;
  executor.post_at(first, picoseconds(10));
  executor.post_at(second, picoseconds(10));
  host.until = picoseconds(100);
  executor.run_ahead();
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(host.requests.back(), picoseconds(10));
  host.time = picoseconds(10);
  executor.run_ahead();
  EXPECT_EQ(log, (std::vector<std::pair<int, std::uint64_t>>{{1, 10}, {2, 10}}));
}

TEST(Executor, LanesChangeNothingOfTheOrder) {
  Executor executor;
  std::vector<std::pair<int, std::uint64_t>> log;
  std::vector<std::pair<int, std::uint64_t>> expected;
  std::array<WakeLane, 12> lanes; // more than are looked at
  std::deque<NotingWake> wakes;
  std::uint64_t x = 7;
  for (int i = 0; i < 2000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t time = static_cast<std::uint64_t>(i) / 8 + (x >> 60);
    NotingWake& wake = wakes.emplace_back();
    wake.executor = &executor;
    wake.log = &log;
    wake.number = i;
    const std::size_t lane = x >> 33 & 15;
    if (lane < lanes.size())
      executor.post_in_order(lanes[lane], wake, picoseconds(time));
    else
      executor.post_at(wake, picoseconds(time));
    expected.emplace_back(i, time);
  }
  for (std::size_t i = 0; i < wakes.size(); i += 7)
    wakes[i].cancel();
  std::erase_if(expected, [](const auto& each) { return each.first % 7 == 0; });
  std::stable_sort(expected.begin(), expected.end(),
                   [](const auto& a, const auto& b) { return a.second < b.second; });
  executor.run_until_idle();
  EXPECT_EQ(log, expected);
  EXPECT_TRUE(executor.idle());
}

TEST(Executor, WhatSleepsForLongComesInOrderWithWhatDoesNot) {
  struct Posting : Wake {
    Executor* executor = nullptr;
    std::vector<std::pair<SimTime, int>>* log = nullptr;
    SimTime due{};
    int number = 0;
  };
  Executor executor;
  std::vector<std::pair<SimTime, int>> log;
  std::deque<Posting> all;
  const auto post = [&](SimTime when) {
    Posting& wake = all.emplace_back();
    wake.executor = &executor;
    wake.log = &log;
    wake.due = when;
    wake.number = static_cast<int>(all.size());
    executor.post_at(wake, when);
    return &wake;
  };
  std::uint64_t x = 7;
  // Steps of 5 us up to four times what is far away: equal times come from near and from far.
  for (int step = 0; step < 400; ++step) {
    for (int i = 0; i < 4; ++i) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      Posting* const wake = post(executor.now() + microseconds(5 * (1 + (x >> 61))));
      wake->call = [](Wake& self) {
        auto& own = static_cast<Posting&>(self);
        own.log->emplace_back(own.executor->now(), own.number);
        EXPECT_EQ(own.executor->now(), own.due);
      };
      if (x >> 32 & 1 && all.size() > 9) all[all.size() - 9].cancel();
    }
    executor.run_until_idle(2);
  }
  executor.run_until_idle();
  EXPECT_GT(log.size(), 800u);
  EXPECT_TRUE(std::is_sorted(log.begin(), log.end())); // by time, then in the order of posting
  EXPECT_TRUE(executor.idle());
}

TEST(Executor, AnAnswerResumesRightAfterTheCallAsPartOfIt) {
  struct Answering : Wake {
    Executor* executor = nullptr;
    Wake* waiting = nullptr;
    Log* log = nullptr;
  } answer;
  struct Wait {
    struct Awaiter : Wake {
      Answering* answer = nullptr;
      bool await_ready() const { return false; }
      void await_suspend(std::coroutine_handle<> self) {
        handle = self;
        answer->waiting = this;
      }
      void await_resume() const {}
    };
    static Task<> go(Answering& answer, Log& log) {
      Awaiter awaiter;
      awaiter.answer = &answer;
      co_await awaiter;
      log.push_back(2);
    }
  };
  Executor executor;
  Scope scope(executor, "s");
  Log log;
  answer.executor = &executor;
  answer.log = &log;
  answer.call = [](Wake& wake) {
    auto& self = static_cast<Answering&>(wake);
    self.executor->post_after_call(*self.waiting);
    self.log->push_back(1);
  };
  scope.start([&] { return Wait::go(answer, log); });
  executor.post_at(answer, nanoseconds(1));
  executor.run_until_idle();
  EXPECT_EQ(log, (Log{1, 2}));
  EXPECT_EQ(executor.resumed(), 1u);
}

TEST(Executor, WhatIsPassiveIsNotCounted) {
  Executor executor;
  std::vector<std::pair<int, std::uint64_t>> log;
  NotingWake wake;
  wake.executor = &executor;
  wake.log = &log;
  wake.passive = true;
  executor.post_at(wake, picoseconds(5));
  executor.run_until_idle();
  EXPECT_EQ(log.size(), 1u);
  EXPECT_EQ(executor.resumed(), 0u);
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
