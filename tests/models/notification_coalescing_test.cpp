// Used buffer notifications held back by count and time, over split and packed rings: timelines
// worked out by hand from the examples of virtio 1.4, 5.1.6.5.9.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

namespace virtio {
namespace {

constexpr std::uint16_t ring = 128;

class CoalescedNotifications : public testing::TestWithParam<bool> {
protected:
  void SetUp() override { bring_up({}); }
  void bring_up(FeatureSet wanted) {
    wanted.set(VIRTIO_F_RING_PACKED, GetParam());
    d.bring_up(wanted);
    offer(ring);
  }
  /// `count` buffers of a packet each.
  void offer(std::uint16_t count) {
    for (std::uint16_t i = 0; i < count; ++i) {
      if (GetParam()) {
        d.packed.add(i, {{0x30'0000, 64, packed::VIRTQ_DESC_F_WRITE}});
      } else {
        d.driver.set_desc(i, 0x30'0000, 64, split::VIRTQ_DESC_F_WRITE);
        d.driver.make_available(i);
      }
    }
    d.kick();
    d.executor.run_until_idle();
    ASSERT_EQ(d.function->chains.size(), count);
  }
  void coalesce(std::uint32_t max_packets, std::uint64_t usecs) {
    EXPECT_TRUE(d.function->device().coalesce(QueueIndex{0}, {max_packets, microseconds(usecs)}));
  }
  void at(std::uint64_t ns, std::function<void()> what) {
    Call& call = calls.emplace_back();
    call.what = std::move(what);
    call.call = [](Wake& wake) { static_cast<Call&>(wake).what(); };
    d.executor.post_at(call, nanoseconds(ns));
  }
  /// A packet at each of these times.
  void packets(const std::vector<std::uint64_t>& ns) {
    for (const std::uint64_t time : ns)
      at(time, [this] { packet(); });
  }
  void packet(bool more = false) {
    d.function->device().complete(*d.function->chains.at(next++), 64, {.more = more});
  }
  /// 0: every notification is wanted; 1: none.
  void suppress(bool all) {
    if (GetParam())
      d.packed.set_driver_event(
          0, false, all ? packed::RING_EVENT_FLAGS_DISABLE : packed::RING_EVENT_FLAGS_ENABLE);
    else
      d.driver.put16(test::SplitRingDriver::avail_at,
                     all ? split::VIRTQ_AVAIL_F_NO_INTERRUPT : std::uint16_t{0});
  }
  /// When notifications were sent, in ns.
  std::vector<std::uint64_t> notified() {
    d.executor.run_until_idle();
    std::vector<std::uint64_t> times;
    for (const Event& e : d.sink.events)
      if (e.kind == EventKind::interrupt) times.push_back(e.time.ps / 1000);
    return times;
  }
  using Times = std::vector<std::uint64_t>;

  struct Call : Wake {
    std::function<void()> what;
  };
  test::DirectDevice d{ring};
  std::deque<Call> calls;
  std::size_t next = 0;
};
INSTANTIATE_TEST_SUITE_P(Packed, CoalescedNotifications, testing::Bool());

TEST_P(CoalescedNotifications, AreNotUnlessAskedFor) {
  packets({100, 200, 300});
  EXPECT_EQ(notified(), (Times{100, 200, 300}));
}

TEST_P(CoalescedNotifications, ComeWithTheFifteenthPacket) {
  coalesce(15, 10);
  Times times;
  for (std::uint64_t i = 0; i < 30; ++i)
    times.push_back(1000 + 500 * i); // the 15th at 8 us, the 30th at 15.5 us
  packets(times);
  EXPECT_EQ(notified(), (Times{8000, 15'500}));
}

TEST_P(CoalescedNotifications, ComeTenMicrosecondsAfterTheFirstPacket) {
  coalesce(15, 10);
  Times times;
  for (std::uint64_t i = 0; i < 15; ++i)
    times.push_back(1000 + 900 * i);
  // The first at 1 us: told at 11 us, of twelve packets, the last at 10.9. The 13th comes at 11.8:
  // told at 21.8 us, of three.
  packets(times);
  EXPECT_EQ(notified(), (Times{11'000, 21'800}));
}

TEST_P(CoalescedNotifications, WaitForTheNextPacketAfterEach) {
  coalesce(3, 10);
  packets({0, 2000, 4000, 20'000, 100'000, 101'000});
  EXPECT_EQ(notified(), (Times{4000, 30'000, 110'000}));
}

TEST_P(CoalescedNotifications, BuffersThatBelongTogetherAreOnePacket) {
  coalesce(3, 1000);
  for (const std::uint64_t time : {1000, 2000, 3000})
    at(time, [this] {
      packet(true);
      packet(true);
      packet();
    });
  EXPECT_EQ(notified(), (Times{3000}));
}

TEST_P(CoalescedNotifications, EitherBeingZeroMeansEveryPacket) {
  coalesce(0, 10);
  packets({100, 200});
  EXPECT_EQ(notified(), (Times{100, 200}));
  coalesce(15, 0);
  packets({300, 400});
  EXPECT_EQ(notified(), (Times{100, 200, 300, 400}));
}

TEST_P(CoalescedNotifications, OneAtATimeIsEveryPacket) {
  coalesce(1, 10);
  packets({100, 200});
  EXPECT_EQ(notified(), (Times{100, 200}));
}

TEST_P(CoalescedNotifications, AreNotSentWhileSuppressed) {
  coalesce(3, 10);
  suppress(true);
  packets({0, 1000, 2000, 5000});
  at(20'000, [this] { suppress(false); });
  packets({30'000});
  // What became due at 2 and at 15 us was not wanted; only what comes later is told.
  EXPECT_EQ(notified(), (Times{40'000}));
}

TEST_P(CoalescedNotifications, SuppressionIsThatOfTheMomentTheyAreDue) {
  coalesce(3, 10);
  packets({0, 1000});
  at(5000, [this] { suppress(true); });
  EXPECT_EQ(notified(), Times{}) << "due at 10 us";
  suppress(true);
  packets({20'000});
  at(25'000, [this] { suppress(false); });
  EXPECT_EQ(notified(), Times{30'000});
}

TEST_P(CoalescedNotifications, OfAnEventIndexCoverAllThatWasHeldBack) {
  d.device->write_status(0);
  d.executor.run_until_idle();
  d.driver.avail_idx = 0;
  std::fill(d.memory.begin(), d.memory.end(), std::byte{0});
  d.packed = test::PackedRingDriver(d.memory, ring);
  d.function->chains.clear();
  d.sink.events.clear();
  bring_up({VIRTIO_F_EVENT_IDX});
  const auto want = [&](std::uint16_t index) {
    if (GetParam())
      d.packed.set_driver_event(index, true, packed::RING_EVENT_FLAGS_DESC);
    else
      d.driver.put16(test::SplitRingDriver::avail_at + 4 + 2 * ring, index);
  };
  coalesce(4, 10);
  want(1); // the second of the four
  packets({0, 1000, 2000, 3000});
  EXPECT_EQ(notified(), (Times{3000}));
  packets({10'000, 11'000, 12'000, 13'000}); // nobody asked
  EXPECT_EQ(notified(), (Times{3000}));
  want(9);
  packets({20'000, 21'000});
  EXPECT_EQ(notified(), (Times{3000, 30'000}));
}

TEST_P(CoalescedNotifications, NewParametersHoldForWhatWasCounted) {
  coalesce(15, 100);
  Times times;
  for (std::uint64_t i = 1; i <= 10; ++i)
    times.push_back(1000 * i);
  packets(times);
  at(20'000, [this] { coalesce(8, 100); });
  packets({30'000});
  at(50'000, [this] { coalesce(8, 5); }); // 5 us after the first are over
  packets({60'000});
  at(61'000, [this] { coalesce(0, 0); });
  EXPECT_EQ(notified(), (Times{20'000, 50'000, 61'000}));
}

TEST_P(CoalescedNotifications, ALaterTimeIsWaitedFor) {
  coalesce(15, 10);
  packets({1000});
  at(5000, [this] { coalesce(15, 50); });
  EXPECT_EQ(notified(), (Times{51'000}));
}

TEST_P(CoalescedNotifications, AResetOfTheQueueDropsWhatIsHeldBackAndKeepsTheParameters) {
  coalesce(3, 10);
  packets({0, 1000});
  at(2000, [this] { d.device->disable_queue(QueueIndex{0}); });
  EXPECT_EQ(notified(), Times{});
  d.driver.avail_idx = 0;
  std::fill(d.memory.begin(), d.memory.end(), std::byte{0});
  d.packed = test::PackedRingDriver(d.memory, ring);
  d.function->chains.clear();
  next = 0;
  d.set_up_queue();
  offer(ring);
  packets({20'000, 21'000, 22'000, 23'000});
  EXPECT_EQ(notified(), (Times{22'000, 33'000}));
}

} // namespace
} // namespace virtio
