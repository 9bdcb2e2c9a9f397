// The packed virtqueue (virtio 1.4, 2.8) through the device, with the driver's half written by
// hand.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <map>

namespace virtio {
namespace {

using packed::RING_EVENT_FLAGS_DESC;
using packed::RING_EVENT_FLAGS_DISABLE;
using test::PackedRingDriver;
using test::SplitRingDriver;

constexpr std::uint16_t write = packed::VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t indirect = packed::VIRTQ_DESC_F_INDIRECT;
const PackedRingDriver::Element writable{0x30'0000, 64, write};
const PackedRingDriver::Element readable{0x30'1000, 16, 0};

struct PackedDevice : test::DirectDevice {
  explicit PackedDevice(std::uint16_t ring_size = 8, FeatureSet more = {}) : TestDevice(ring_size) {
    bring_up(more.set(VIRTIO_F_RING_PACKED));
  }
  void ring() { device->notify(QueueIndex{0}, std::nullopt); }
  /// Completes and forgets the oldest chain the function holds.
  void complete_oldest(std::uint32_t written, CompletionHints hints = {}) {
    Chain* chain = function->chains.at(0);
    function->chains.erase(function->chains.begin());
    function->device().complete(*chain, written, hints);
  }
};

TEST(PackedRing, AListArrivesWithReadableThenWritablePiecesAndTheLastDescriptorsId) {
  PackedDevice t;
  t.packed.add(0x1234, {readable, {0x30'2000, 100, 0}, writable});
  t.ring();
  ASSERT_EQ(t.function->chains.size(), 1u);
  const Chain& c = *t.function->chains[0];
  EXPECT_EQ(c.head, 0x1234);
  EXPECT_EQ(c.slots, 3);
  EXPECT_EQ(c.readable_len, 116u);
  EXPECT_EQ(c.writable_len, 64u);
  EXPECT_EQ(raw(c.readable()[1].addr), 0x30'2000u);
}

TEST(PackedRing, OneUsedDescriptorStandsForTheListAndTheDeviceSkipsTheRest) {
  PackedDevice t;
  t.packed.add(7, {readable, readable, writable});
  t.packed.add(9, {writable});
  t.ring();
  t.complete_oldest(48);
  EXPECT_TRUE(t.packed.used(0, true));
  EXPECT_EQ(t.packed.get(0).id, 7);
  EXPECT_EQ(t.packed.get(0).len, 48u);
  EXPECT_TRUE(t.packed.get(0).flags & write);
  EXPECT_FALSE(t.packed.used(1, true));
  t.complete_oldest(0);
  EXPECT_TRUE(t.packed.used(3, true));
  EXPECT_EQ(t.packed.get(3).id, 9);
  EXPECT_FALSE(t.packed.get(3).flags & write) << "nothing was written";
  EXPECT_EQ(t.transport.used, 2);
}

TEST(PackedRing, UsedDescriptorsAreWrittenInOrderOfCompletion) {
  PackedDevice t;
  for (std::uint16_t id : {10, 11, 12})
    t.packed.add(id, {writable});
  t.ring();
  auto chains = t.function->chains;
  t.function->device().complete(*chains[2], 1);
  t.function->device().complete(*chains[0], 2);
  t.function->device().complete(*chains[1], 3);
  EXPECT_EQ(t.packed.get(0).id, 12);
  EXPECT_EQ(t.packed.get(1).id, 10);
  EXPECT_EQ(t.packed.get(2).id, 11);
}

TEST(PackedRing, WrapCounterTogglesWhenAListFillsTheRing) {
  PackedDevice t(4);
  for (int round = 0; round < 5; ++round) {
    t.packed.add(static_cast<std::uint16_t>(round), {readable, readable, readable, writable});
    t.ring();
    ASSERT_EQ(t.function->chains.size(), 1u) << round;
    t.complete_oldest(1);
    EXPECT_TRUE(t.packed.used(0, round % 2 == 0)) << round;
  }
}

TEST(PackedRing, AnyQueueSizeWorksAcrossManyWraps) {
  for (std::uint16_t size : {1, 2, 3, 5, 7, 100, 255, 256}) {
    PackedDevice t(size);
    std::uint16_t at = 0;
    bool wrap = true;
    for (int n = 0; n < 2000; ++n) {
      const auto len = static_cast<std::uint16_t>(1 + n % std::min<int>(size, 4));
      t.packed.add(static_cast<std::uint16_t>(n), std::vector(len, writable));
      t.ring();
      ASSERT_EQ(t.function->chains.size(), 1u) << size << " " << n;
      t.complete_oldest(static_cast<std::uint32_t>(n));
      ASSERT_TRUE(t.packed.used(at, wrap)) << size << " " << n;
      ASSERT_EQ(t.packed.get(at).id, static_cast<std::uint16_t>(n));
      at = static_cast<std::uint16_t>(at + len);
      if (at >= size) {
        at = static_cast<std::uint16_t>(at - size);
        wrap = !wrap;
      }
    }
    EXPECT_EQ(t.device->status(), 0x0f);
  }
}

TEST(PackedRing, ADescriptorOfTheOtherRoundIsNotAvailable) {
  PackedDevice t;
  t.packed.put(0, 0x30'0000, 8, 1, packed::VIRTQ_DESC_F_USED | write); // available with wrap 0
  t.ring();
  EXPECT_TRUE(t.function->chains.empty());
  t.packed.put(0, 0x30'0000, 8, 1, packed::VIRTQ_DESC_F_USED | packed::VIRTQ_DESC_F_AVAIL | write);
  t.ring();
  EXPECT_TRUE(t.function->chains.empty());
  EXPECT_EQ(t.device->status(), 0x0f);
}

TEST(PackedRing, TheFirstOfAGroupIsMarkedUsedLast) {
  test::ManualDevice t;
  t.port.immediate = true;
  t.bring_up(FeatureSet{VIRTIO_F_RING_PACKED});
  for (std::uint16_t id : {1, 2, 3})
    t.packed.add(id, {writable});
  t.device->notify(QueueIndex{0}, std::nullopt);
  t.port.seen.clear();
  auto& host = t.function->device();
  host.complete(*t.function->chains[0], 64, {.more = true});
  host.complete(*t.function->chains[1], 64, {.more = true});
  EXPECT_TRUE(t.port.seen.empty());
  host.complete(*t.function->chains[2], 5);
  std::vector<std::uint64_t> written;
  for (const auto& s : t.port.seen)
    if (s.kind == AccessKind::used) written.push_back((s.addr - SplitRingDriver::desc_at) / 16);
  EXPECT_EQ(written, (std::vector<std::uint64_t>{1, 2, 0}));
}

// --- notifications to the driver (2.8.10) -------------------------------------------------------

TEST(PackedRing, DisableSuppressesTheNotification) {
  PackedDevice t;
  t.packed.set_driver_event(0, false, RING_EVENT_FLAGS_DISABLE);
  t.packed.add(1, {writable});
  t.ring();
  t.complete_oldest(1);
  EXPECT_EQ(t.transport.used, 0);
}

TEST(PackedRing, ReservedAndUnnegotiatedEventFlagsMeanEnabled) {
  PackedDevice t;
  for (std::uint16_t flags : {RING_EVENT_FLAGS_DESC, std::uint16_t{3}}) {
    t.packed.set_driver_event(7, false, flags);
    t.packed.add(1, {writable});
    t.ring();
    t.complete_oldest(1);
  }
  EXPECT_EQ(t.transport.used, 2);
}

TEST(PackedRing, DescEventFiresExactlyWhenItsDescriptorIsUsed) {
  // Every event position against every use, over two rounds of a ring of five.
  for (std::uint16_t offset = 0; offset < 5; ++offset)
    for (const bool event_wrap : {true, false}) {
      PackedDevice t(5, FeatureSet{VIRTIO_F_EVENT_IDX});
      t.packed.set_driver_event(offset, event_wrap, RING_EVENT_FLAGS_DESC);
      std::uint16_t at = 0;
      bool wrap = true;
      for (int n = 0; n < 10; ++n) {
        t.packed.add(1, {writable});
        t.ring();
        const int before = t.transport.used;
        t.complete_oldest(1);
        EXPECT_EQ(t.transport.used - before, at == offset && wrap == event_wrap)
            << "event " << offset << event_wrap << " used " << at << wrap;
        if (++at == 5) {
          at = 0;
          wrap = !wrap;
        }
      }
    }
}

TEST(PackedRing, DescEventInsideASkippedListFires) {
  PackedDevice t(8, FeatureSet{VIRTIO_F_EVENT_IDX});
  t.packed.set_driver_event(2, true, RING_EVENT_FLAGS_DESC);
  t.packed.add(1, {readable, readable, readable, writable});
  t.ring();
  t.complete_oldest(1);
  EXPECT_EQ(t.transport.used, 1);
}

// --- notifications from the driver --------------------------------------------------------------

TEST(PackedRing, WithEventIdxTheDeviceAsksForTheNextDescriptor) {
  PackedDevice t(4, FeatureSet{VIRTIO_F_EVENT_IDX});
  EXPECT_EQ(t.packed.device_event(), packed::event(0, true, RING_EVENT_FLAGS_DESC));
  t.packed.add(1, {readable, readable, writable});
  t.ring();
  EXPECT_EQ(t.packed.device_event(), packed::event(3, true, RING_EVENT_FLAGS_DESC));
  t.complete_oldest(1);
  t.packed.add(2, {writable});
  t.ring();
  EXPECT_EQ(t.packed.device_event(), packed::event(0, false, RING_EVENT_FLAGS_DESC));
}

TEST(PackedRing, AChainThatCameWhileThereWasNoCreditNeedsNoNotification) {
  test::DirectDevice t;
  t.function->credit = 1;
  t.bring_up({VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX});
  t.packed.add(1, {writable});
  t.kick();
  t.packed.add(2, {writable});
  ASSERT_EQ(t.function->chains.size(), 1u);
  t.function->device().complete(*t.function->chains[0], 0);
  EXPECT_EQ(t.function->chains.size(), 2u);
}

TEST(PackedRing, WithoutEventIdxTheDeviceEventStaysEnabled) {
  PackedDevice t;
  t.packed.add(1, {writable});
  t.ring();
  EXPECT_EQ(t.packed.device_event(), 0u);
}

// --- order of accesses and lost wake-ups --------------------------------------------------------

TEST(PackedRing, AListAddedWhileTheDeviceArmsItsEventIsNotLost) {
  test::ManualDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX});
  t.port.answer_front(); // the first look finds nothing
  t.executor.run();
  ASSERT_EQ(t.port.seen.back().kind, AccessKind::device_event);
  t.packed.add(1, {writable}); // the driver saw the old event and does not notify
  t.port.immediate = true;
  t.port.answer_front();
  t.executor.run();
  EXPECT_EQ(t.function->chains.size(), 1u) << "the ring is looked at once more after the event";
}

// --- malformed rings ----------------------------------------------------------------------------

TEST(PackedRing, AListThatGoesOnIntoAnUnavailableDescriptorIsAnError) {
  PackedDevice t;
  t.packed.put(0, 0x30'0000, 8, 0, packed::VIRTQ_DESC_F_AVAIL | packed::VIRTQ_DESC_F_NEXT);
  t.ring();
  EXPECT_EQ(t.device->last_error(), RingError::chain_not_available);
  EXPECT_EQ(t.device->status(), 0x4f);
}

TEST(PackedRing, AListLongerThanTheRingIsAnError) {
  PackedDevice t(4);
  for (std::uint16_t i = 0; i < 4; ++i)
    t.packed.put(i, 0x30'0000, 8, 0, packed::VIRTQ_DESC_F_AVAIL | packed::VIRTQ_DESC_F_NEXT);
  t.ring();
  EXPECT_EQ(t.device->last_error(), RingError::chain_too_long);
}

TEST(PackedRing, IndirectInAListIsAnErrorAndAloneIsNot) {
  PackedDevice t(8, FeatureSet{VIRTIO_F_INDIRECT_DESC});
  packed::Desc entry;
  entry.addr = 0x30'4000;
  entry.len = 32;
  entry.flags = 0xffff & ~write; // all but WRITE are reserved and ignored
  std::memcpy(&t.memory[0x30'8000], static_cast<void*>(&entry), 16);
  entry.flags = write;
  std::memcpy(&t.memory[0x30'8010], static_cast<void*>(&entry), 16);
  t.packed.add(5, {{0x30'8000, 32, static_cast<std::uint16_t>(indirect | write)}});
  t.ring();
  ASSERT_EQ(t.function->chains.size(), 1u);
  EXPECT_EQ(t.function->chains[0]->readable_len, 32u);
  EXPECT_EQ(t.function->chains[0]->writable_len, 32u);
  EXPECT_EQ(t.function->chains[0]->slots, 1);
  EXPECT_EQ(t.function->chains[0]->head, 5);
  t.packed.add(6, {readable, {0x30'8000, 32, indirect}});
  t.ring();
  EXPECT_EQ(t.device->last_error(), RingError::indirect_with_next);
}

TEST(PackedRing, EventAreasMustBeAlignedToFour) {
  test::DirectDevice t;
  t.negotiate(FeatureSet{VIRTIO_F_RING_PACKED});
  t.set_up_queue();
  t.device->reset_queue(QueueIndex{0});
  test::DirectDevice u;
  u.negotiate(FeatureSet{VIRTIO_F_RING_PACKED});
  u.device->write_queue_size(QueueIndex{0}, 8);
  u.device->write_queue_address(QueueIndex{0}, Device::Area::driver, false, 2);
  u.device->enable_queue(QueueIndex{0});
  u.drive();
  EXPECT_EQ(u.device->last_error(), RingError::misaligned);
}

// --- in order (2.8.8) ---------------------------------------------------------------------------

TEST(PackedRing, InOrderHoldsBackWhatIsNotDueAndSkipsWhatWasUsedInFull) {
  PackedDevice t(16, FeatureSet{VIRTIO_F_IN_ORDER});
  for (std::uint16_t id : {20, 21, 22, 23})
    t.packed.add(id, {readable, writable});
  t.ring();
  auto c = t.function->chains;
  auto& host = t.function->device();
  host.complete(*c[2], 64, {.full = true});
  host.complete(*c[1], 64, {.full = true});
  EXPECT_FALSE(t.packed.used(0, true)) << "the first is not done";
  host.complete(*c[0], 64, {.full = true});
  EXPECT_TRUE(t.packed.used(0, true))
      << "one used descriptor for the batch, where the first one was";
  EXPECT_EQ(t.packed.get(0).id, 22);
  EXPECT_FALSE(t.packed.used(2, true));
  EXPECT_FALSE(t.packed.used(4, true));
  host.complete(*c[3], 3);
  EXPECT_TRUE(t.packed.used(6, true));
  EXPECT_EQ(t.packed.get(6).id, 23);
}

TEST(SplitRingInOrder, BatchesWriteOneElementAndMoveTheIndexByTheBatch) {
  test::DirectDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_IN_ORDER});
  for (std::uint16_t i = 0; i < 4; ++i) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  auto c = t.function->chains;
  auto& host = t.function->device();
  host.complete(*c[2], 9);
  host.complete(*c[1], 64, {.full = true});
  EXPECT_EQ(t.driver.used_idx(), 0) << "the first is not done";
  host.complete(*c[0], 64, {.full = true});
  EXPECT_EQ(t.driver.used_idx(), 3);
  EXPECT_EQ(t.driver.used(0).id, 2u);
  EXPECT_EQ(t.driver.used(0).len, 9u);
  host.complete(*c[3], 1);
  EXPECT_EQ(t.driver.used_idx(), 4);
  EXPECT_EQ(t.driver.used(3).id, 3u);
}

TEST(SplitRingInOrder, WhatWasNotUsedInFullIsNeverSkipped) {
  test::DirectDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_IN_ORDER});
  for (std::uint16_t i = 0; i < 3; ++i) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  auto c = t.function->chains;
  auto& host = t.function->device();
  host.complete(*c[2], 64, {.full = true});
  host.complete(*c[1], 10);
  host.complete(*c[0], 20);
  EXPECT_EQ(t.driver.used_idx(), 3);
  for (std::uint16_t i = 0; i < 3; ++i)
    EXPECT_EQ(t.driver.used(i).id, i);
  EXPECT_EQ(t.driver.used(1).len, 10u);
}

// --- split: event index and indirect tables -----------------------------------------------------

TEST(SplitRingEventIdx, NotifiesExactlyWhenUsedEventIsPassed) {
  test::DirectDevice t(4);
  t.bring_up(FeatureSet{VIRTIO_F_EVENT_IDX});
  for (std::uint32_t n = 0; n < 70'000; ++n) {
    // The driver asks for every third one, by the index before it.
    const auto event = static_cast<std::uint16_t>(n - n % 3 + 2);
    t.driver.put16(SplitRingDriver::avail_at + 4 + 2 * 4, event);
    t.driver.set_desc(n % 4, 0x30'0000, 8, write);
    t.driver.make_available(n % 4);
    t.kick();
    const int before = t.transport.used;
    t.function->device().complete(*t.function->chains.at(0), 1);
    t.function->chains.clear();
    ASSERT_EQ(t.transport.used - before, static_cast<std::uint16_t>(n) == event) << n;
  }
}

TEST(SplitRingEventIdx, AvailEventFollowsTheNextChainAndUsedFlagsStayZero) {
  test::DirectDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_EVENT_IDX});
  const std::uint64_t avail_event = SplitRingDriver::used_at + 4 + 8 * 8;
  EXPECT_EQ(t.driver.get16(avail_event), 0);
  for (std::uint16_t i = 0; i < 3; ++i) {
    t.driver.set_desc(i, 0x30'0000, 8, write);
    t.driver.make_available(i);
  }
  t.kick();
  EXPECT_EQ(t.driver.get16(avail_event), 3);
  EXPECT_EQ(t.driver.get16(SplitRingDriver::used_at), 0);
}

TEST(SplitRingEventIdx, AChainAddedWhileTheDeviceArmsItsEventIsNotLost) {
  test::ManualDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_EVENT_IDX});
  t.port.answer_front(); // the first look at the index finds nothing
  t.executor.run();
  ASSERT_EQ(t.port.seen.back().kind, AccessKind::device_event);
  t.driver.set_desc(0, 0x30'0000, 8, write);
  t.driver.make_available(0);
  t.driver.publish(); // no notification: the driver saw the old event
  t.port.immediate = true;
  t.port.answer_front();
  t.executor.run();
  EXPECT_EQ(t.function->chains.size(), 1u);
}

struct IndirectCase {
  const char* name;
  RingError error;
  std::uint32_t table_len;
  std::vector<split::Desc> table;
  std::uint16_t extra_flags = 0;
};
void PrintTo(const IndirectCase& c, std::ostream* out) {
  *out << c.name;
}

split::Desc entry(std::uint16_t flags, std::uint16_t next = 0) {
  split::Desc d;
  d.addr = 0x30'0000;
  d.len = 10;
  d.flags = flags;
  d.next = next;
  return d;
}

class SplitRingIndirect : public testing::TestWithParam<IndirectCase> {};

TEST_P(SplitRingIndirect, TablesAreFlattenedOrRefusedWithTheirReason) {
  const IndirectCase& c = GetParam();
  test::DirectDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_INDIRECT_DESC});
  if (!c.table.empty()) std::memcpy(&t.memory[0x31'0000], c.table.data(), 16 * c.table.size());
  t.driver.set_desc(0, 0x30'0000, 5, split::VIRTQ_DESC_F_NEXT,
                    1); // a direct one before it (2.7.5.3.2)
  t.driver.set_desc(1, 0x31'0000, c.table_len,
                    static_cast<std::uint16_t>(indirect | write | c.extra_flags), 2);
  t.driver.make_available(0);
  t.kick();
  EXPECT_EQ(t.device->last_error(), c.error) << to_string(t.device->last_error());
  ASSERT_EQ(t.function->chains.size(), c.error == RingError::none ? 1u : 0u);
  if (c.error == RingError::none) {
    EXPECT_EQ(t.function->chains[0]->pieces.size(), 1 + c.table.size());
    EXPECT_EQ(t.function->chains[0]->head, 0);
  }
}

constexpr std::uint16_t next = split::VIRTQ_DESC_F_NEXT;
const IndirectCase indirect_cases[] = {
    {"one", RingError::none, 16, {entry(write)}},
    {"linked_backwards", RingError::none, 48, {entry(next, 2), entry(write), entry(next, 1)}},
    {"as_long_as_the_queue",
     RingError::none,
     112,
     {entry(next, 1), entry(next, 2), entry(next, 3), entry(next, 4), entry(next, 5),
      entry(next, 6), entry(write)}},
    {"longer_than_the_queue",
     RingError::chain_too_long,
     128,
     {entry(next, 1), entry(next, 2), entry(next, 3), entry(next, 4), entry(next, 5),
      entry(next, 6), entry(next, 7), entry(write)}},
    {"loop", RingError::chain_too_long, 32, {entry(next, 1), entry(next, 0)}},
    {"empty", RingError::bad_indirect_table, 0, {}},
    {"odd_length", RingError::bad_indirect_table, 24, {entry(write)}},
    {"nested", RingError::nested_indirect, 16, {entry(indirect)}},
    {"next_out_of_table", RingError::next_out_of_range, 16, {entry(next, 1)}},
    {"readable_after_writable",
     RingError::readable_after_writable,
     32,
     {entry(next | write, 1), entry(0)}},
    {"with_next", RingError::indirect_with_next, 16, {entry(write)}, next},
    {"table_outside_memory", RingError::descriptor_unreadable, 0x1000'0000, {entry(next, 0xffff)}},
};
INSTANTIATE_TEST_SUITE_P(Split, SplitRingIndirect, testing::ValuesIn(indirect_cases),
                         [](const auto& info) { return std::string(info.param.name); });

} // namespace
} // namespace virtio
