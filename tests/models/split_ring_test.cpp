// The split virtqueue (virtio 1.4, 2.7) through the device, with the driver's half written by hand.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace virtio {
namespace {

using test::DirectDevice;
using test::ManualDevice;
using test::SplitRingDriver;

constexpr std::uint16_t next = split::VIRTQ_DESC_F_NEXT;
constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;

/// One writable descriptor of 64 bytes for each of `heads`, made available.
void offer(SplitRingDriver& driver, std::initializer_list<std::uint16_t> heads) {
  for (std::uint16_t head : heads) {
    driver.set_desc(head, 0x30'0000, 64, write);
    driver.make_available(head);
  }
}

TEST(SplitRing, AChainArrivesWithReadableThenWritablePieces) {
  DirectDevice t;
  t.bring_up();
  t.driver.set_desc(3, 0x30'0000, 16, next, 5);
  t.driver.set_desc(5, 0x30'1000, 100, next, 0);
  t.driver.set_desc(0, 0x30'2000, 200, next | write, 7);
  t.driver.set_desc(7, 0x30'3000, 1, write);
  t.driver.make_available(3);
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 1u);
  const Chain& c = *t.function->chains[0];
  EXPECT_EQ(c.head, 3);
  EXPECT_EQ(c.readable_len, 116u);
  EXPECT_EQ(c.writable_len, 201u);
  ASSERT_EQ(c.readable().size(), 2u);
  EXPECT_EQ(raw(c.readable()[1].addr), 0x30'1000u);
  ASSERT_EQ(c.writable().size(), 2u);
  EXPECT_EQ(raw(c.writable()[1].addr), 0x30'3000u);
}

TEST(SplitRing, UsedElementAndIndexAreWrittenAndTheDriverIsNotified) {
  DirectDevice t;
  t.bring_up();
  offer(t.driver, {2});
  t.kick();
  EXPECT_EQ(t.driver.used_idx(), 0);
  t.function->device().complete(*t.function->chains[0], 48);
  EXPECT_EQ(t.driver.used_idx(), 1);
  EXPECT_EQ(t.driver.used(0).id, 2u);
  EXPECT_EQ(t.driver.used(0).len, 48u);
  EXPECT_EQ(t.transport.used, 1);
}

TEST(SplitRing, NoInterruptFlagSuppressesTheNotification) {
  DirectDevice t;
  t.bring_up();
  t.driver.put16(SplitRingDriver::avail_at, split::VIRTQ_AVAIL_F_NO_INTERRUPT);
  offer(t.driver, {0});
  t.kick();
  t.function->device().complete(*t.function->chains[0], 1);
  EXPECT_EQ(t.driver.used_idx(), 1);
  EXPECT_EQ(t.transport.used, 0);
}

TEST(SplitRing, ChainsMayBeCompletedInAnyOrder) {
  DirectDevice t;
  t.bring_up();
  offer(t.driver, {0, 1, 2, 3});
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 4u);
  const std::uint32_t order[] = {2, 0, 3, 1};
  for (std::uint32_t i : order)
    t.function->device().complete(*t.function->chains[i], i + 10);
  for (std::uint16_t i = 0; i < 4; ++i) {
    EXPECT_EQ(t.driver.used(i).id, order[i]);
    EXPECT_EQ(t.driver.used(i).len, order[i] + 10);
  }
}

TEST(SplitRing, AGroupBecomesVisibleTogether) {
  DirectDevice t;
  t.bring_up();
  offer(t.driver, {0, 1, 2});
  t.kick();
  auto& host = t.function->device();
  host.complete(*t.function->chains[0], 64, {.more = true});
  host.complete(*t.function->chains[1], 64, {.more = true});
  EXPECT_EQ(t.driver.used_idx(), 0);
  EXPECT_EQ(t.transport.used, 0);
  host.complete(*t.function->chains[2], 10);
  EXPECT_EQ(t.driver.used_idx(), 3);
  EXPECT_EQ(t.transport.used, 1);
}

TEST(SplitRing, NoChainWithoutCredit) {
  DirectDevice t;
  t.function->credit = 2;
  t.bring_up();
  offer(t.driver, {0, 1, 2, 3, 4});
  t.kick();
  EXPECT_EQ(t.function->chains.size(), 2u);
  t.function->device().complete(*t.function->chains[0], 0);
  EXPECT_EQ(t.function->chains.size(), 3u);
}

// With event index the driver need not notify for the second chain: avail_event does not name it.
TEST(SplitRing, AChainThatCameWhileThereWasNoCreditNeedsNoNotification) {
  DirectDevice t;
  t.function->credit = 1;
  t.bring_up({VIRTIO_F_EVENT_IDX});
  offer(t.driver, {0});
  t.kick();
  offer(t.driver, {1});
  t.driver.publish();
  ASSERT_EQ(t.function->chains.size(), 1u);
  t.function->device().complete(*t.function->chains[0], 0);
  EXPECT_EQ(t.function->chains.size(), 2u);
}

TEST(SplitRing, IndicesWrapAt65536) {
  DirectDevice t(4);
  t.bring_up();
  for (std::uint32_t n = 0; n < 70'000; ++n) {
    const auto slot = static_cast<std::uint16_t>(n % 4);
    offer(t.driver, {slot});
    t.kick();
    ASSERT_EQ(t.function->chains.size(), 1u);
    t.function->device().complete(*t.function->chains[0], n & 7);
    t.function->chains.clear();
    ASSERT_EQ(t.driver.used_idx(), static_cast<std::uint16_t>(n + 1));
    ASSERT_EQ(t.driver.used(static_cast<std::uint16_t>(n)).id, slot);
  }
}

TEST(SplitRing, BuffersMadeAvailableBeforeDriverOkAreSeenWithoutANotification) {
  DirectDevice t;
  t.negotiate();
  t.set_up_queue();
  offer(t.driver, {0});
  t.kick(); // too early: MUST NOT consume buffers before DRIVER_OK (2.1.2)
  EXPECT_TRUE(t.function->chains.empty());
  t.drive();
  EXPECT_EQ(t.function->chains.size(), 1u);
}

TEST(SplitRing, SpuriousNotificationsAreHarmless) {
  DirectDevice t;
  t.bring_up();
  for (std::uint16_t queue : {0, 1, 77, 0xffff})
    for (int i = 0; i < 10; ++i)
      t.device->notify(QueueIndex{queue}, std::nullopt);
  EXPECT_TRUE(t.function->chains.empty());
  EXPECT_EQ(t.device->status(), 0x0f);
}

// --- order of accesses --------------------------------------------------------------------------

TEST(SplitRing, ReadsTheIndexThenTheEntryThenTheDescriptors) {
  ManualDevice t;
  t.bring_up();
  t.port.answer_front(); // DRIVER_OK looks at the ring once
  t.executor.run();
  t.port.seen.clear();
  t.driver.set_desc(1, 0x30'0000, 64, next, 2);
  t.driver.set_desc(2, 0x30'0000, 64, write);
  t.driver.make_available(1);
  t.kick();
  while (!t.port.waiting.empty()) {
    ASSERT_EQ(t.port.waiting.size(), 1u) << "nothing may be used before what proves it available";
    t.port.answer_front();
    t.executor.run();
  }
  std::vector<AccessKind> kinds;
  for (const auto& s : t.port.seen)
    kinds.push_back(s.kind);
  std::vector expected{AccessKind::available, AccessKind::available, AccessKind::descriptor,
                       AccessKind::descriptor};
  if (test::timed_ring) expected.pop_back(); // both descriptors in one read
  EXPECT_EQ(kinds, expected);
}

TEST(SplitRing, WritesTheElementThenTheIndexThenReadsTheFlags) {
  ManualDevice t;
  t.port.immediate = true;
  t.bring_up();
  offer(t.driver, {1});
  t.kick();
  t.port.immediate = false;
  t.port.seen.clear();
  const auto step = [&] {
    t.port.answer_front();
    t.executor.run();
  };
  t.function->device().complete(*t.function->chains.at(0), 3);
  ASSERT_EQ(t.port.waiting.size(), 1u);
  EXPECT_EQ(t.port.seen.back().addr, SplitRingDriver::used_at + 4);
  step();
  EXPECT_EQ(t.port.seen.back().addr, SplitRingDriver::used_at + 2);
  EXPECT_EQ(t.transport.used, 0);
  step();
  EXPECT_EQ(t.port.seen.back().kind, AccessKind::driver_event);
  EXPECT_EQ(t.transport.used, 0) << "the notification waits for the flags";
  step();
  EXPECT_EQ(t.transport.used, 1);
}

TEST(SplitRing, ANotificationDuringTheIndexReadIsNotLost) {
  ManualDevice t;
  t.bring_up();
  ASSERT_EQ(t.port.waiting.size(), 1u); // the index read of DRIVER_OK
  t.port.answer_front();                // sampled as 0
  offer(t.driver, {0});
  t.kick(); // after the sample, before the engine resumes
  t.port.immediate = true;
  t.executor.run();
  EXPECT_EQ(t.function->chains.size(), 1u);
}

TEST(SplitRing, AnIdleQueueOwnsNoFrame) {
  ManualDevice t;
  t.port.immediate = true;
  t.bring_up();
  offer(t.driver, {0});
  t.kick();
  EXPECT_TRUE(t.device->dma(QueueIndex{0}).scope().idle());
  t.function->device().complete(*t.function->chains[0], 0);
  EXPECT_TRUE(t.device->dma(QueueIndex{0}).scope().idle());
}

/// A device that writes the next available index into the ring it is fed from.
Task<> feed_itself(FunctionHost& host, Chain& chain, std::uint16_t& idx) {
  const Dma dma = host.dma(chain.queue);
  const le16 next_idx = ++idx;
  const DmaStatus status =
      co_await dma.write(chain.writable()[0].addr, &next_idx, 2, AccessKind::data);
  if (status == DmaStatus::ok) host.complete(chain, 2);
}

TEST(SplitRing, ARingThatTheDeviceItselfFeedsDoesNotKeepTheDoorbell) {
  DirectDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_EVENT_IDX});
  std::uint16_t idx = 1;
  t.function->handle = [&](Chain& chain) { return feed_itself(t.function->device(), chain, idx); };
  t.driver.set_desc(0, SplitRingDriver::avail_at + 2, 2, write);
  t.driver.make_available(0); // the other entries of the ring are 0 too
  t.kick();                   // returns
  EXPECT_FALSE(t.device->dma(QueueIndex{0}).scope().idle());
  t.device->write_status(0);
  t.executor.run_until_idle(10);
  EXPECT_EQ(t.device->status(), 0);
}

// --- malformed rings ----------------------------------------------------------------------------

struct Malformed {
  const char* name;
  RingError error;
  void (*build)(SplitRingDriver&);
};
void PrintTo(const Malformed& m, std::ostream* out) {
  *out << m.name;
}

class SplitRingErrors : public testing::TestWithParam<Malformed> {};

TEST_P(SplitRingErrors, SetNeedsResetAndNameTheReasonAndAResetMends) {
  DirectDevice t;
  t.bring_up();
  GetParam().build(t.driver);
  t.kick();
  EXPECT_TRUE(t.function->chains.empty());
  EXPECT_EQ(t.device->last_error(), GetParam().error) << to_string(t.device->last_error());
  EXPECT_EQ(t.device->status(), 0x4f);
  EXPECT_EQ(t.transport.config, 1) << "with DRIVER_OK the driver is told (2.1.2)";
  // Nothing more of this queue, however often it is rung.
  t.device->notify(QueueIndex{0}, std::nullopt);
  EXPECT_EQ(t.transport.config, 1);
  EXPECT_TRUE(t.function->chains.empty());
  t.device->write_status(0);
  EXPECT_EQ(t.device->status(), 0);
  std::fill(t.memory.begin(), t.memory.end(), std::byte{0});
  t.driver.avail_idx = 0;
  t.bring_up();
  offer(t.driver, {1});
  t.kick();
  EXPECT_EQ(t.function->chains.size(), 1u);
}

const Malformed malformed[] = {
    {"head_out_of_range", RingError::head_out_of_range,
     [](SplitRingDriver& d) { d.make_available(8); }},
    {"next_out_of_range", RingError::next_out_of_range,
     [](SplitRingDriver& d) {
       d.set_desc(0, 0x30'0000, 8, next, 8);
       d.make_available(0);
     }},
    {"loop_of_two", RingError::chain_too_long,
     [](SplitRingDriver& d) {
       d.set_desc(0, 0x30'0000, 8, next, 1);
       d.set_desc(1, 0x30'0000, 8, next, 0);
       d.make_available(0);
     }},
    {"loop_of_one", RingError::chain_too_long,
     [](SplitRingDriver& d) {
       d.set_desc(4, 0x30'0000, 8, next, 4);
       d.make_available(4);
     }},
    {"indirect_without_the_feature", RingError::indirect_not_negotiated,
     [](SplitRingDriver& d) {
       d.set_desc(0, 0x30'0000, 16, split::VIRTQ_DESC_F_INDIRECT);
       d.make_available(0);
     }},
    {"readable_after_writable", RingError::readable_after_writable,
     [](SplitRingDriver& d) {
       d.set_desc(0, 0x30'0000, 8, next | write, 1);
       d.set_desc(1, 0x30'0000, 8);
       d.make_available(0);
     }},
    {"address_wraps", RingError::address_wraps,
     [](SplitRingDriver& d) {
       d.set_desc(0, ~0ull - 3, 8, write);
       d.make_available(0);
     }},
    {"more_than_4_gib", RingError::chain_too_large,
     [](SplitRingDriver& d) {
       d.set_desc(0, 0, 0xffff'ffff, next | write, 1);
       d.set_desc(1, 0, 2, write);
       d.make_available(0);
     }},
    {"index_jumps_forward", RingError::avail_index_jump,
     [](SplitRingDriver& d) { d.avail_idx = 9; }},
    {"index_goes_back", RingError::avail_index_jump,
     [](SplitRingDriver& d) { d.avail_idx = 0xffff; }},
};
INSTANTIATE_TEST_SUITE_P(Split, SplitRingErrors, testing::ValuesIn(malformed),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(SplitRing, AChainAsLongAsTheQueueAndAsLargeAs4GiBIsLegal) {
  DirectDevice t;
  t.bring_up();
  for (std::uint16_t i = 0; i < 8; ++i)
    t.driver.set_desc(i, 0, 1u << 29, static_cast<std::uint16_t>(write | (i < 7 ? next : 0)),
                      static_cast<std::uint16_t>(i + 1));
  t.driver.make_available(0);
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 1u);
  EXPECT_EQ(t.function->chains[0]->writable_len, 1ull << 32);
}

TEST(SplitRing, EarlierChainsCompleteAfterAnError) {
  DirectDevice t;
  t.bring_up();
  offer(t.driver, {0});
  t.driver.make_available(99);
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 1u);
  EXPECT_EQ(t.device->last_error(), RingError::head_out_of_range);
  t.function->device().complete(*t.function->chains[0], 8);
  EXPECT_EQ(t.driver.used_idx(), 1);
}

TEST(SplitRing, EveryMemoryErrorHasItsReason) {
  // The n-th access of one request fails; which one it is decides the reason.
  const RingError reasons[] = {RingError::ring_unreadable,       RingError::ring_unreadable,
                               RingError::descriptor_unreadable, RingError::used_unwritable,
                               RingError::used_unwritable,       RingError::ring_unreadable};
  for (int failing = 0; failing < 6; ++failing) {
    ManualDevice t;
    t.port.immediate = true;
    t.bring_up();
    t.port.immediate = false;
    offer(t.driver, {0});
    t.kick();
    for (int n = 0; !t.port.waiting.empty(); ++n) {
      t.port.answer_front(n == failing ? DmaStatus::bus_error : DmaStatus::ok);
      t.executor.run();
      if (t.port.waiting.empty() && !t.function->chains.empty()) {
        Chain* chain = t.function->chains.back();
        t.function->chains.clear();
        t.function->device().complete(*chain, 8);
      }
    }
    EXPECT_EQ(t.device->last_error(), reasons[failing])
        << failing << ": " << to_string(t.device->last_error());
    EXPECT_TRUE(t.device->status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    t.device->write_status(0);
    EXPECT_EQ(t.device->status(), 0);
  }
}

// --- random traffic -----------------------------------------------------------------------------

TEST(SplitRing, RandomTrafficLosesAndDoublesNothing) {
  std::uint64_t x = 42;
  const auto random = [&](std::size_t n) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint16_t>((x >> 33) % n);
  };
  DirectDevice t(16);
  t.bring_up();
  std::set<std::uint16_t> free;
  for (std::uint16_t i = 0; i < 16; ++i)
    free.insert(i);
  std::map<std::uint32_t, std::vector<std::uint16_t>> offered; // head -> descriptors
  std::uint16_t seen_used = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t want = 1u + random(5);
    if (free.size() >= want && random(2)) {
      std::vector<std::uint16_t> slots;
      while (slots.size() < want) {
        const auto it = std::next(free.begin(), random(free.size()));
        slots.push_back(*it);
        free.erase(it);
      }
      const std::size_t readable = random(want + 1);
      for (std::size_t i = 0; i < want; ++i) {
        const bool last = i + 1 == want;
        const int flags = (i < readable ? 0 : write) | (last ? 0 : next);
        t.driver.set_desc(slots[i], 0x30'0000, 1, static_cast<std::uint16_t>(flags),
                          last ? std::uint16_t{0} : slots[i + 1]);
      }
      t.driver.make_available(slots[0]);
      offered[slots[0]] = slots;
      if (random(3) == 0) t.kick();
    } else if (!t.function->chains.empty()) {
      const auto i = random(t.function->chains.size());
      Chain* chain = t.function->chains[i];
      t.function->chains.erase(t.function->chains.begin() + i);
      ASSERT_EQ(chain->pieces.size(), offered.at(chain->head).size());
      t.function->device().complete(*chain, chain->head);
    } else {
      t.kick();
    }
    for (; seen_used != t.driver.used_idx(); ++seen_used) {
      const auto elem = t.driver.used(seen_used);
      ASSERT_EQ(elem.len, elem.id);
      ASSERT_EQ(offered.count(elem.id), 1u);
      for (std::uint16_t s : offered[elem.id])
        free.insert(s);
      offered.erase(elem.id);
    }
  }
  EXPECT_GT(seen_used, 1000);
  EXPECT_EQ(t.device->status(), 0x0f);
}

} // namespace
} // namespace virtio
