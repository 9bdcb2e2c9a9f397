// The protocol analyser on split virtqueues (virtio 1.4, 2.7): the real device serves a driver
// written by hand, and one of the two does something wrong.
#include "models/analyser_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::test {
namespace {

constexpr std::uint16_t next = split::VIRTQ_DESC_F_NEXT;
constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t indirect = split::VIRTQ_DESC_F_INDIRECT;
constexpr std::uint64_t desc_at = SplitRingDriver::desc_at;
constexpr std::uint64_t avail_at = SplitRingDriver::avail_at;
constexpr std::uint64_t used_at = SplitRingDriver::used_at;
constexpr std::uint64_t data_at = 0x30'0000;
constexpr std::uint64_t table_at = 0x38'0000;

template <unsigned... features> struct SplitBench : WatchedDevice {
  SplitBench() : WatchedDevice(FeatureSet{features...}) {}

  /// One device-writable descriptor.
  void offer(std::uint16_t head) {
    driver.set_desc(head, data_at + 0x1000u * head, 64, write);
    driver.make_available(head);
  }
  /// A chain of two: 0 device-readable, 1 device-writable, then the driver's kick.
  void kick_two(std::uint16_t first_flags, std::uint16_t second_flags, std::uint16_t second = 1) {
    driver.set_desc(0, data_at, 16, first_flags, second);
    driver.set_desc(second, data_at + 0x1000, 16, second_flags);
    driver.make_available(0);
    kick();
  }
  void set_table(unsigned i, std::uint16_t flags, std::uint16_t next_index) {
    split::Desc d;
    d.addr = data_at + 0x100u * i;
    d.len = 8;
    d.flags = flags;
    d.next = next_index;
    std::memcpy(&memory[table_at + 16u * i], &d, sizeof d);
  }
  void kick_table(std::uint32_t bytes, std::uint16_t flags = indirect) {
    driver.set_desc(3, table_at, bytes, flags, 4);
    driver.set_desc(4, data_at, 8);
    driver.make_available(3);
    kick();
  }
  /// An access that the model did not make.
  void device_writes(std::uint64_t addr, std::vector<std::uint8_t> bytes) {
    script.device_access(true, addr, std::move(bytes));
  }
  void device_uses(std::uint16_t slot, std::uint8_t id, std::uint8_t len = 0) {
    device_writes(used_at + 4 + 8u * slot, {id, 0, 0, 0, len, 0, 0, 0});
  }
  void device_sets_used_idx(std::uint8_t idx) { device_writes(used_at + 2, {idx, 0}); }
};
using Plain = SplitBench<>;
using Indirect = SplitBench<VIRTIO_F_INDIRECT_DESC>;
using InOrder = SplitBench<VIRTIO_F_IN_ORDER, VIRTIO_F_INDIRECT_DESC>;
using EventIdx = SplitBench<VIRTIO_F_EVENT_IDX>;

const bool driver_cases = add_cases<Plain>({
    {"GEN-DRV-031", "DescriptorChangedWhileExposed",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(2);
       t.kick();
       t.script.device_access(false, desc_at + 32,
                              broken ? std::vector<std::uint8_t>(16)
                                     : std::vector<std::uint8_t>{0, 0x20, 0x30, 0, 0, 0, 0, 0, 64,
                                                                 0, 0, 0, 2, 0, 0, 0});
     }},
    {"GEN-DRV-031", "HeadOfferedTwice",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(2);
       t.kick();
       t.offer(broken ? 2 : 3);
       t.kick();
     }},
    {"GEN-DRV-031", "DescriptorWrittenWhileExposed",
     [](Plain& t, bool broken) {
       t.hold = broken;
       t.offer(2);
       t.kick();
       t.script.driver_access(true, desc_at + 32, std::vector<std::uint8_t>(16));
     }},
    {"GEN-DRV-031", "AvailableEntryOverwritten",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(2);
       t.kick();
       t.script.device_access(false, avail_at + 4, {static_cast<std::uint8_t>(broken ? 5 : 2), 0});
     }},
    {"SPLIT-DRV-002", "ReadableAfterWritable",
     [](Plain& t, bool broken) {
       t.kick_two(static_cast<std::uint16_t>(next | (broken ? write : 0)), broken ? 0 : write);
     }},
    {"SPLIT-DRV-004", "Loop",
     [](Plain& t, bool broken) {
       t.driver.set_desc(1, data_at, 8, broken ? next : 0, 0);
       t.driver.set_desc(0, data_at, 8, next, 1);
       t.driver.make_available(0);
       t.kick();
     }},
    {"SPLIT-DRV-004", "MoreThan4GiB",
     [](Plain& t, bool broken) {
       t.driver.set_desc(0, data_at, broken ? 0xffff'ffff : 8, next, 1);
       t.driver.set_desc(1, data_at, 8);
       t.driver.make_available(0);
       t.kick();
     }},
    {"SPLIT-DRV-006", "IndirectNotNegotiated",
     [](Plain& t, bool broken) {
       t.set_table(0, write, 0);
       t.kick_table(16, broken ? indirect : 0);
     }},
    {"SPLIT-DRV-011", "IndexGoesBack",
     [](Plain& t, bool broken) {
       t.offer(0);
       t.offer(1);
       t.kick();
       if (broken) --t.driver.avail_idx;
       t.kick();
     }},
    {"SPLIT-DRV-011", "IndexWrittenBackwards",
     [](Plain& t, bool broken) {
       t.script.driver_access(true, avail_at + 2, {3, 0});
       t.script.driver_access(true, avail_at + 2, {static_cast<std::uint8_t>(broken ? 2 : 4), 0});
     }},
    {"SPLIT-DRV-012", "UndefinedFlags",
     [](Plain& t, bool broken) {
       t.driver.put16(avail_at, broken ? 2 : 1);
       t.offer(0);
       t.kick();
     }},
    {"SPLIT-DRV-020", "NotifiesThoughTold",
     [](Plain& t, bool broken) {
       t.script.driver_access(true, avail_at + 2, {1, 0});
       t.script.driver_access(false, used_at, {static_cast<std::uint8_t>(broken ? 1 : 0), 0});
       t.script.w(0x50, 0);
     }},
    {"SPLIT-DRV-021", "DoesNotNotify",
     [](Plain& t, bool broken) {
       t.script.driver_access(true, avail_at + 2, {1, 0});
       t.script.driver_access(false, used_at, {0, 0});
       if (!broken) t.script.w(0x50, 0);
       t.analyser.finish(t.script.now);
     }},
    {"SPLIT-LAY-001", "HeadOutOfRange",
     [](Plain& t, bool broken) {
       t.offer(7);
       if (broken) t.driver.put16(avail_at + 4, 8);
       t.kick();
     }},
    {"SPLIT-LAY-001", "NextOutOfRange",
     [](Plain& t, bool broken) {
       t.driver.set_desc(0, data_at, 8, next, broken ? 8 : 7);
       t.driver.set_desc(7, data_at, 8);
       t.driver.make_available(0);
       t.kick();
     }},
    {"SPLIT-LAY-005", "DriverWritesTheUsedRing",
     [](Plain& t, bool broken) {
       t.script.driver_access(true, broken ? used_at + 2 : avail_at + 4, {0, 0});
     }},
});

const bool indirect_cases = add_cases<Indirect>({
    {"SPLIT-DRV-007", "Nested",
     [](Indirect& t, bool broken) {
       t.set_table(0, next, 1);
       t.set_table(1, broken ? indirect : write, 0);
       t.kick_table(32);
     }},
    {"SPLIT-DRV-008", "LongerThanTheQueue",
     [](Indirect& t, bool broken) {
       for (std::uint16_t i = 0; i < 9; ++i)
         t.set_table(i, i + 1 < (broken ? 9 : 8) ? next : 0, static_cast<std::uint16_t>(i + 1));
       t.kick_table(9 * 16);
     }},
    {"SPLIT-DRV-004", "LoopInTheTable",
     [](Indirect& t, bool broken) {
       t.set_table(0, next, 1);
       t.set_table(1, broken ? next : 0, 0);
       t.kick_table(32);
     }},
    {"SPLIT-DRV-009", "IndirectWithNext",
     [](Indirect& t, bool broken) {
       t.set_table(0, 0, 0);
       t.kick_table(16, broken ? indirect | next : indirect);
     }},
    {"SPLIT-LAY-001", "NextOutOfTheTable",
     [](Indirect& t, bool broken) {
       t.set_table(0, next, broken ? 2 : 1);
       t.set_table(1, 0, 0);
       t.kick_table(32);
     }},
    {"SPLIT-LAY-002", "OddTable",
     [](Indirect& t, bool broken) {
       t.set_table(0, 0, 0);
       t.kick_table(broken ? 17 : 16);
     }},
    {"SPLIT-DEV-004", "IndirectTableWritten",
     [](Indirect& t, bool broken) {
       t.hold = true;
       t.set_table(0, write, 0);
       t.kick_table(16);
       t.device_writes(broken ? table_at : data_at, {0});
     }},
});

const bool in_order_cases = add_cases<InOrder>({
    {"SPLIT-DRV-005", "NextNotFollowing",
     [](InOrder& t, bool broken) {
       t.driver.set_desc(0, data_at, 8, next, broken ? 2 : 1);
       t.driver.set_desc(1, data_at, 8);
       t.driver.set_desc(2, data_at, 8);
       t.driver.make_available(0);
       t.kick();
     }},
    {"SPLIT-DRV-010", "TableNotInOrder",
     [](InOrder& t, bool broken) {
       t.set_table(0, next, broken ? 2 : 1);
       t.set_table(1, next, 2);
       t.set_table(2, 0, 0);
       t.kick_table(48);
     }},
    {"GEN-DEV-028", "SecondBufferUsedFirst",
     [](InOrder& t, bool broken) {
       t.hold = true;
       t.offer(0);
       t.offer(1);
       t.kick();
       t.device_uses(0, broken ? 1 : 0);
       t.device_sets_used_idx(1);
     }},
    {"GEN-DEV-028", "BufferUsedAfterItsBatch",
     [](InOrder& t, bool broken) {
       t.hold = true;
       for (std::uint16_t head : {0, 1, 2})
         t.offer(head);
       t.kick();
       t.device_uses(0, 1); // a batch of 0 and 1
       t.device_sets_used_idx(2);
       t.device_uses(2, broken ? 0 : 2);
       t.device_sets_used_idx(3);
     }},
});

const bool event_idx_cases = add_cases<EventIdx>({
    {"SPLIT-DRV-014", "FlagsWithEventIdx",
     [](EventIdx& t, bool broken) {
       t.script.device_access(false, avail_at, {static_cast<std::uint8_t>(broken ? 1 : 0), 0});
     }},
    {"SPLIT-DRV-023", "DoesNotNotify",
     [](EventIdx& t, bool broken) {
       t.script.driver_access(true, avail_at + 2, {1, 0});
       t.script.driver_access(false, used_at + 4 + 8 * 8, {0, 0});
       if (!broken) t.script.w(0x50, 0);
       t.analyser.finish(t.script.now);
     }},
    {"SPLIT-DRV-024", "NotifiesThoughTold",
     [](EventIdx& t, bool broken) {
       t.script.driver_access(true, avail_at + 2, {1, 0});
       t.script.driver_access(false, used_at + 4 + 8 * 8,
                              {static_cast<std::uint8_t>(broken ? 1 : 0), 0});
       t.script.w(0x50, 0);
     }},
    {"SPLIT-DEV-018", "UsedFlagsWithEventIdx",
     [](EventIdx& t, bool broken) {
       t.device_writes(used_at, {static_cast<std::uint8_t>(broken ? 1 : 0), 0});
     }},
});

using Data = SplitBench<VIRTIO_F_NOTIFICATION_DATA>;
const bool notification_cases = add_cases<Data>({
    {"SPLIT-LAY-004", "NotificationAheadOfTheIndex",
     [](Data& t, bool broken) {
       t.offer(0);
       t.driver.publish();
       t.script.w(0x50, (broken ? 2u : 1u) << 16);
       t.device->notify(QueueIndex{0}, NotificationData{1, false});
     }},
});

const bool device_cases = add_cases<Plain>({
    {"SPLIT-DEV-003", "ReadableBufferWritten",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.kick_two(next, write);
       t.device_writes(data_at + (broken ? 0 : 0x1000), {1, 2, 3, 4});
     }},
    {"SPLIT-DEV-004", "DescriptorTableWritten",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(0);
       t.kick();
       t.device_writes(broken ? desc_at + 16 : data_at, {1});
     }},
    {"SPLIT-LAY-011", "AvailableRingWritten",
     [](Plain& t, bool broken) {
       t.device_writes(broken ? avail_at + 2 : used_at + 4, {0, 0});
     }},
    {"SPLIT-DEV-013", "IndexBeforeElement",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(5);
       t.kick();
       if (!broken) t.device_uses(0, 5, 64);
       t.device_sets_used_idx(1);
     }},
    {"SPLIT-DEV-013", "IndexAfterHalfOfAnElement",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(5);
       t.kick();
       // Across a page a bus may write it in two parts.
       t.device_writes(used_at + 4, {5, 0, 0, 0});
       if (!broken) t.device_writes(used_at + 8, {64, 0, 0, 0});
       t.device_sets_used_idx(1);
     }},
    {"SPLIT-DEV-014", "LengthAboveTheBuffer",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(5);
       t.kick();
       t.device_uses(0, 5, broken ? 65 : 64);
       t.device_sets_used_idx(1);
     }},
    {"SPLIT-DEV-014", "LengthAboveWhatWasWritten",
     [](Plain& t, bool broken) {
       t.function->handle = nullptr; // the chain is only kept
       t.offer(5);
       t.kick();
       t.device_writes(data_at + 0x5000, std::vector<std::uint8_t>(20));
       t.device_uses(0, 5, broken ? 21 : 20);
       t.device_sets_used_idx(1);
     }},
    {"SPLIT-DEV-016", "UndefinedUsedFlags",
     [](Plain& t, bool broken) {
       t.device_writes(used_at, {static_cast<std::uint8_t>(broken ? 2 : 1), 0});
     }},
    {"SPLIT-LAY-012", "IdThatWasNotAvailable",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(5);
       t.kick();
       t.device_uses(0, broken ? 4 : 5);
       t.device_sets_used_idx(1);
     }},
    {"SPLIT-LAY-013", "UsedIndexTooFar",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.offer(5);
       t.kick();
       t.device_uses(0, 5);
       t.device_sets_used_idx(broken ? 2 : 1);
     }},
    {"GEN-LAY-002", "LateWrite",
     [](Plain& t, bool broken) {
       t.offer(5);
       t.kick(); // the buffer is used by now
       t.device_writes(broken ? data_at + 0x5000 : used_at, {1, 0});
     }},
});

// --- long legal runs
// ------------------------------------------------------------------------------------

/// Offers chains of 1 to 3 descriptors, all of which the device uses at once, for many rounds.
template <class Bench> void run_legally(Bench& t, bool indirect_too) {
  std::uint16_t at = 0;
  for (unsigned n = 0; n < 1000; ++n) {
    const unsigned chains = 1 + n % 2;
    for (unsigned c = 0; c < chains; ++c) {
      if (indirect_too && n % 3 == 0) {
        t.set_table(0, next, 1);
        t.set_table(1, next | write, 2);
        t.set_table(2, write, 0);
        t.driver.set_desc(at, table_at, 48, indirect);
        t.driver.make_available(at);
        at = static_cast<std::uint16_t>((at + 1) % t.size);
        break; // one table
      }
      const unsigned length = 1 + (n + c) % 3;
      const std::uint16_t head = at;
      for (unsigned i = 0; i < length; ++i) {
        const auto following = static_cast<std::uint16_t>((at + 1) % t.size);
        t.driver.set_desc(at, data_at + 0x800u * at, 16 + i,
                          static_cast<std::uint16_t>((i + 1 < length ? next : 0) | (i ? write : 0)),
                          following);
        at = following;
      }
      t.driver.make_available(head);
    }
    t.kick();
    ASSERT_EQ(ids(t.analyser), std::vector<std::string>{}) << n;
  }
  EXPECT_EQ(t.device->status(), 0x0f);
  EXPECT_EQ(t.driver.used_idx(), t.driver.avail_idx);
}

TEST(AnalyserSplit, LegalChainsAreSilent) {
  Plain t;
  run_legally(t, false);
}
TEST(AnalyserSplit, LegalIndirectChainsAreSilent) {
  Indirect t;
  run_legally(t, true);
}
TEST(AnalyserSplit, LegalChainsInOrderAreSilent) {
  InOrder t;
  run_legally(t, true);
}
TEST(AnalyserSplit, LegalChainsWithEventIndexAreSilent) {
  EventIdx t;
  run_legally(t, false);
}

TEST(AnalyserSplit, BuffersUsedInAnyOrderAreSilent) {
  Plain t;
  t.hold = true;
  for (unsigned round = 0; round < 200; ++round) {
    for (std::uint16_t head = 0; head < 8; ++head)
      if (round == 0) t.offer(head);
    if (round == 0) t.kick();
    // The youngest but `round` comes back and is offered again at once.
    Chain* chain = t.held[(round * 5) % t.held.size()];
    std::erase(t.held, chain);
    const std::uint16_t head = chain->head;
    t.function->device().complete(*chain, 64);
    t.offer(head);
    t.kick();
    ASSERT_EQ(ids(t.analyser), std::vector<std::string>{}) << round;
  }
}

TEST(AnalyserSplit, DescriptorsReadInNarrowBeatsCountAsRead) {
  MmioScript t;
  t.bring_up();
  const auto read = [&](std::uint64_t addr, std::vector<std::uint8_t> bytes) {
    t.device_access(false, addr, std::move(bytes));
  };
  read(avail_at + 2, {1, 0});
  read(avail_at + 4, {3, 0});
  read(desc_at + 48, {0, 0, 0x30, 0, 0, 0, 0, 0});
  read(desc_at + 56, {8, 0, 0, 0, 4, 0, 0, 0}); // INDIRECT, not negotiated
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{"SPLIT-DRV-006"});
}

TEST(AnalyserSplit, WhatWasReadBeforeTheIndexProvedItIsNotHeldAgainstTheDriver) {
  MmioScript t;
  t.bring_up();
  t.device_access(false, desc_at + 48, std::vector<std::uint8_t>(16, 0xff)); // prefetched garbage
  t.device_access(false, avail_at + 2, {1, 0});
  t.device_access(false, avail_at + 4, {3, 0});
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserSplit, AnEntryMayBeOverwrittenOnceSoManyBuffersWereUsed) {
  Plain t;
  t.hold = true;
  for (std::uint16_t head = 0; head < 8; ++head)
    t.offer(head);
  t.kick();
  t.function->device().complete(*t.held[7], 64);       // 0 is exposed still, its entry is free
  t.script.device_access(false, avail_at + 4, {7, 0}); // the driver wrote the next head there
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserSplit, AnInterruptMayBeLookedAtTwice) {
  Plain t;
  t.offer(0);
  t.kick();
  t.script.r(0x60, 1);
  t.script.r(0x60, 1);
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
  t.script.w(0x64, 1);
  t.script.r(0x60, 1); // once more, and nothing was used meanwhile
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{"MMIO-DEV-004"});
}

} // namespace
} // namespace virtio::test
