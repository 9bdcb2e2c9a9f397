// The protocol analyser on packed virtqueues (virtio 1.4, 2.8): the real device serves a driver
// written by hand, and one of the two does something wrong.
#include "models/analyser_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::test {
namespace {

constexpr std::uint16_t write = packed::VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t indirect = packed::VIRTQ_DESC_F_INDIRECT;
constexpr std::uint16_t available = packed::VIRTQ_DESC_F_AVAIL; // with a wrap counter of 1
constexpr std::uint64_t desc_at = SplitRingDriver::desc_at;
constexpr std::uint64_t driver_event_at = SplitRingDriver::avail_at;
constexpr std::uint64_t device_event_at = SplitRingDriver::used_at;
constexpr std::uint64_t data_at = 0x30'0000;
constexpr std::uint64_t table_at = 0x38'0000;
const PackedRingDriver::Element readable{data_at, 16, 0};
const PackedRingDriver::Element writable{data_at + 0x1000, 64, write};

template <unsigned... features> struct PackedBench : WatchedDevice {
  PackedBench() : WatchedDevice(FeatureSet{VIRTIO_F_RING_PACKED, features...}) {}

  void add(std::uint16_t id, std::vector<PackedRingDriver::Element> list = {writable}) {
    packed.add(id, list);
  }
  void add_and_ring(std::uint16_t id, std::vector<PackedRingDriver::Element> list = {writable}) {
    add(id, std::move(list));
    ring();
  }
  void set_table(unsigned i, std::uint16_t flags) {
    packed::Desc d;
    d.addr = data_at + 0x100u * i;
    d.len = 8;
    d.flags = flags;
    std::memcpy(&memory[table_at + 16u * i], static_cast<void*>(&d), sizeof d);
  }
  void device_writes(std::uint64_t addr, std::vector<std::uint8_t> bytes) {
    script.device_access(true, addr, std::move(bytes));
  }
  /// A used descriptor: its length, id and flags. In the first round both marks are 1.
  void device_uses(std::uint16_t slot, std::uint8_t id, std::uint8_t len = 0, bool wrap = true) {
    const auto marks = static_cast<std::uint8_t>(wrap ? 0x80 : 0);
    device_writes(
        desc_at + 16u * slot + 8,
        {len, 0, 0, 0, id, 0, static_cast<std::uint8_t>(marks | (len ? write : 0)), marks});
  }
  /// The device reads a descriptor that the driver has at `slot`.
  void device_reads(std::uint16_t slot) {
    const packed::Desc d = packed.get(slot);
    std::vector<std::uint8_t> bytes(16);
    std::memcpy(bytes.data(), static_cast<const void*>(&d), 16);
    script.device_access(false, desc_at + 16u * slot, bytes);
  }
};
using Plain = PackedBench<>;
using Indirect = PackedBench<VIRTIO_F_INDIRECT_DESC>;
using InOrder = PackedBench<VIRTIO_F_IN_ORDER>;
using EventIdx = PackedBench<VIRTIO_F_EVENT_IDX>;
using Data = PackedBench<VIRTIO_F_NOTIFICATION_DATA>;

const bool driver_cases = add_cases<Plain>({
    {"PACKED-DRV-002", "MadeAvailableBeforeItWasUsed",
     [](Plain& t, bool broken) {
       t.hold = true;
       for (std::uint16_t id = 0; id < 8; ++id)
         t.add(id);
       t.ring();
       if (broken) t.packed.put(0, data_at, 8, 9, packed::VIRTQ_DESC_F_USED | write);
       t.device_reads(0);
     }},
    {"PACKED-DRV-003", "ChangedWhileAvailable",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(4);
       if (broken) t.packed.put(0, data_at, 8, 4, available | write);
       t.device_reads(0);
     }},
    {"PACKED-DRV-003", "WrittenWhileAvailable",
     [](Plain& t, bool broken) {
       t.hold = broken;
       t.add_and_ring(4);
       t.script.driver_access(true, desc_at, std::vector<std::uint8_t>(8));
     }},
    {"PACKED-DRV-007", "LongerThanTheRing",
     [](Plain& t, bool broken) {
       for (std::uint16_t i = 0; i < 8; ++i)
         t.packed.put(i, data_at, 8, 0,
                      static_cast<std::uint16_t>(
                          available | (i < 7 || broken ? packed::VIRTQ_DESC_F_NEXT : 0)));
       for (std::uint16_t i = 0; i < 8; ++i)
         t.device_reads(i);
     }},
    {"PACKED-DRV-008", "ReadableAfterWritable",
     [](Plain& t, bool broken) {
       t.add_and_ring(1,
                      broken ? std::vector{writable, readable} : std::vector{readable, writable});
     }},
    {"PACKED-DRV-010", "ListLargerThanWhatIsFree",
     [](Plain& t, bool broken) {
       t.hold = true;
       for (std::uint16_t id = 0; id < 7; ++id)
         t.add(id);
       t.ring();
       t.add_and_ring(9, broken ? std::vector{readable, writable} : std::vector{writable});
     }},
    {"PACKED-DRV-011", "RestOfTheListLater",
     [](Plain& t, bool broken) {
       t.packed.put(0, data_at, 8, 0, available | packed::VIRTQ_DESC_F_NEXT);
       if (!broken) t.packed.put(1, data_at, 8, 3, available);
       t.ring();
     }},
    {"PACKED-DRV-012", "IndirectNotNegotiated",
     [](Plain& t, bool broken) {
       t.set_table(0, write);
       t.add_and_ring(1, {{table_at, 16, broken ? indirect : std::uint16_t{0}}});
     }},
    {"PACKED-LAY-001", "IdInUse",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1);
       t.add_and_ring(broken ? 1 : 2);
     }},
    {"PACKED-LAY-002", "ReservedEventFlags",
     [](Plain& t, bool broken) {
       t.packed.set_driver_event(0, false, broken ? 3 : 1);
       t.add_and_ring(1);
     }},
    {"PACKED-LAY-002", "DescriptorEventNotNegotiated",
     [](Plain& t, bool broken) {
       t.packed.set_driver_event(0, true, broken ? packed::RING_EVENT_FLAGS_DESC : 0);
       t.add_and_ring(1);
     }},
});

const bool indirect_cases = add_cases<Indirect>({
    {"PACKED-DRV-013", "FlagsInTheTable",
     [](Indirect& t, bool broken) {
       t.set_table(0, broken ? packed::VIRTQ_DESC_F_NEXT : 0);
       t.set_table(1, write);
       t.add_and_ring(1, {{table_at, 32, indirect}});
     }},
    {"PACKED-DRV-014", "TableLargerThanTheRing",
     [](Indirect& t, bool broken) {
       t.add_and_ring(1, {{table_at, broken ? 9 * 16u : 8 * 16u, indirect}});
     }},
    {"PACKED-DRV-015", "IndirectInAList",
     [](Indirect& t, bool broken) {
       t.set_table(0, write);
       if (broken)
         t.add_and_ring(1, {readable, {table_at, 16, indirect}});
       else
         t.add_and_ring(1, {{table_at, 16, indirect}});
     }},
    {"PACKED-LAY-003", "OddTable",
     [](Indirect& t, bool broken) {
       t.add_and_ring(1, {{table_at, broken ? 24u : 16u, indirect}});
     }},
    {"PACKED-LAY-013", "IndirectTableWritten",
     [](Indirect& t, bool broken) {
       t.hold = true;
       t.set_table(0, write);
       t.add_and_ring(1, {{table_at, 16, indirect}});
       t.device_writes(broken ? table_at : data_at, {0});
     }},
});

const bool notification_cases = add_cases<Data>({
    {"PACKED-DRV-004", "NotificationAheadOfTheRing",
     [](Data& t, bool broken) {
       t.add(1);
       t.script.w(0x50, (0x8000u | (broken ? 2 : 1)) << 16);
       t.device->notify(QueueIndex{0}, NotificationData{1, true});
     }},
    {"PACKED-DRV-004", "NotificationOutsideTheRing",
     [](Data& t, bool broken) { t.script.w(0x50, (0x8000u | (broken ? 8 : 0)) << 16); }},
});

const bool device_cases = add_cases<Plain>({
    {"PACKED-DEV-002", "UsedInTheMiddleOfAList",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1, {readable, writable});
       t.add_and_ring(2);
       t.device_uses(broken ? 1 : 2, 2);
       t.device_uses(0, 1);
     }},
    {"PACKED-DEV-004", "ReadableBufferWritten",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1, {readable, writable});
       t.device_writes(broken ? data_at : data_at + 0x1000, {1, 2, 3});
     }},
    {"PACKED-DEV-005", "UsedWhatWasNotAvailable",
     [](Plain& t, bool broken) {
       t.hold = true;
       if (!broken) t.add_and_ring(1);
       t.device_uses(0, 1);
     }},
    {"PACKED-DEV-005", "UnknownId",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1);
       t.device_uses(0, broken ? 2 : 1);
     }},
    {"PACKED-DEV-006", "ChangedAfterItWasUsed",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add(1);
       t.add(2);
       t.ring();
       t.device_uses(0, 1);
       t.device_uses(broken ? 0 : 1, 2);
     }},
    {"PACKED-LAY-011", "WrongWrapCounter",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1);
       t.device_uses(0, 1, 0, !broken);
     }},
    {"PACKED-LAY-012", "LengthAboveTheBuffer",
     [](Plain& t, bool broken) {
       t.hold = true;
       t.add_and_ring(1);
       t.device_uses(0, 1, broken ? 65 : 64);
     }},
    {"PACKED-LAY-013", "DriverEventWritten",
     [](Plain& t, bool broken) {
       t.device_writes(broken ? driver_event_at : device_event_at, {0, 0, 0, 0});
     }},
    {"PACKED-LAY-014", "ReservedDeviceEventFlags",
     [](Plain& t, bool broken) {
       t.device_writes(device_event_at, {0, 0, static_cast<std::uint8_t>(broken ? 3 : 1), 0});
     }},
});

const bool in_order_cases = add_cases<InOrder>({
    {"GEN-DEV-028", "BufferUsedAfterItsBatchPacked",
     [](InOrder& t, bool broken) {
       t.hold = true;
       for (std::uint16_t id : {0, 1, 2})
         t.add(id);
       t.ring();
       t.device_uses(0, 1); // a batch of 0 and 1
       t.device_uses(2, broken ? 0 : 2);
     }},
});

// --- long legal runs
// ------------------------------------------------------------------------------------

/// Lists of 1 to 3 descriptors, which the device uses at once, for many rounds.
template <class Bench> void run_legally(Bench& t, bool indirect_too) {
  for (std::uint16_t n = 0; n < 1000; ++n) {
    if (indirect_too && n % 3 == 0) {
      t.set_table(0, 0);
      t.set_table(1, write);
      t.add(n, {{table_at, 32, indirect}});
    } else {
      t.add(n, n % 2 ? std::vector{readable, readable, writable} : std::vector{writable});
      t.add(static_cast<std::uint16_t>(n + 5000), {writable});
    }
    t.ring();
    ASSERT_EQ(ids(t.analyser), std::vector<std::string>{}) << n;
  }
  EXPECT_EQ(t.device->status(), 0x0f);
}

TEST(AnalyserPacked, LegalListsAreSilent) {
  Plain t;
  run_legally(t, false);
}
TEST(AnalyserPacked, LegalIndirectListsAreSilent) {
  Indirect t;
  run_legally(t, true);
}
TEST(AnalyserPacked, LegalListsInOrderAreSilent) {
  InOrder t;
  run_legally(t, false);
}
TEST(AnalyserPacked, LegalListsWithEventIndexAreSilent) {
  EventIdx t;
  t.packed.set_driver_event(3, true, packed::RING_EVENT_FLAGS_DESC);
  run_legally(t, false);
}

TEST(AnalyserPacked, ListsUsedInAnyOrderAreSilent) {
  Plain t;
  t.hold = true;
  for (std::uint16_t id = 0; id < 4; ++id)
    t.add(id, {readable, writable});
  t.ring();
  for (unsigned round = 0; round < 300; ++round) {
    Chain* chain = t.held[(round * 3) % t.held.size()];
    std::erase(t.held, chain);
    const std::uint16_t id = chain->head;
    t.function->device().complete(*chain, 64);
    t.add_and_ring(id, {readable, writable});
    ASSERT_EQ(ids(t.analyser), std::vector<std::string>{}) << round;
  }
}

TEST(AnalyserPacked, AGroupWhoseFirstDescriptorIsMarkedLastIsSilent) {
  Plain t;
  t.hold = true;
  for (std::uint16_t id = 0; id < 3; ++id)
    t.add(id);
  t.ring();
  for (unsigned i = 0; i < 3; ++i)
    t.function->device().complete(*t.held[i], 10, {.more = i < 2});
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserPacked, ABeatSampledBeforeTheFirstDescriptorProvesNothing) {
  Plain t;
  t.packed.put(0, data_at, 8, 0, available | packed::VIRTQ_DESC_F_NEXT);
  std::vector<std::uint8_t> block(32); // the second half was sampled early
  std::memcpy(block.data(), &t.memory[desc_at], 16);
  t.script.device_access(false, desc_at, block);
  t.packed.put(1, data_at, 8, 7, available);
  t.device_reads(1);
  t.device_uses(0, 7);
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
  EXPECT_EQ(t.analyser.total(), 0u);
}

TEST(AnalyserPacked, WhatWasReadBeyondTheFirstUnavailableDescriptorIsDropped) {
  Plain t;
  t.packed.put(1, data_at, 8, 7, available | indirect); // the driver is at work on it
  std::vector<std::uint8_t> block(32);
  std::memcpy(block.data(), &t.memory[desc_at], 32);
  t.script.device_access(false, desc_at, block);
  t.packed.put(1, data_at, 8, 7, available);
  t.packed.put(0, data_at, 8, 3, available | packed::VIRTQ_DESC_F_NEXT);
  t.device_reads(0);
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
  t.device_reads(1);
  t.device_uses(0, 7);
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

// A device that is always behind its driver sees nothing unavailable for more than a round.
TEST(AnalyserPacked, ANotificationThatTheRingHasPassedIsNotTakenForOneOfTheNextRound) {
  Data t;
  t.script.w(0x50, 0x8001u << 16);
  for (std::uint16_t i = 0; i < 10; ++i) {
    t.add(1);
    t.device_reads(i % 8);
    t.device_uses(i % 8, 1, 0, i < 8);
  }
  t.device_reads(2);
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

} // namespace
} // namespace virtio::test
