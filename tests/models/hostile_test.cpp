// Hostile guests, on both ring formats alike (tests/conformance/hostile-guests.md has the whole
// table): what a malformed ring, a foolish address or a register write at the wrong moment leads
// to, and that the device is usable after a reset.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <array>

namespace virtio {
namespace {

using test::ManualDevice;
using test::SplitRingDriver;

constexpr std::uint16_t next = split::VIRTQ_DESC_F_NEXT;
constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t indirect = split::VIRTQ_DESC_F_INDIRECT;
constexpr std::uint64_t data_at = 0x30'0000;
constexpr std::uint64_t table_at = 0x31'0000;
constexpr std::uint64_t memory_end = 0x40'0000;
constexpr QueueIndex q0{0};

using Element = test::PackedRingDriver::Element;

/// A device with a guest that says what it likes in either format.
template <class Port> struct Guest : test::TestDevice<Port> {
  explicit Guest(bool is_packed, FeatureSet more = {}, std::uint16_t ring_size = 8)
      : test::TestDevice<Port>(ring_size), format_packed(is_packed), features(more) {
    if (is_packed) features.set(VIRTIO_F_RING_PACKED);
    if constexpr (std::is_same_v<Port, test::ManualPort>) this->port.immediate = true;
    this->bring_up(features);
  }

  /// The elements as one chain at consecutive descriptors (a loop, where a split ring has too few),
  /// then the notification.
  void offer(const std::vector<Element>& chain, std::uint16_t id = 7) {
    if (format_packed) {
      this->packed.add(id, chain);
    } else {
      const std::uint16_t head = slot;
      for (std::size_t i = 0; i < std::min<std::size_t>(chain.size(), this->size); ++i, ++slot)
        this->driver.set_desc(
            slot % this->size, chain[i].addr, chain[i].len,
            static_cast<std::uint16_t>(chain[i].flags | (i + 1 < chain.size() ? next : 0)),
            static_cast<std::uint16_t>((slot + 1) % this->size));
      this->driver.make_available(head % this->size);
      this->driver.publish();
    }
    this->device->notify(q0, std::nullopt);
  }
  void set_entry(unsigned i, const Element& e, std::uint16_t next_entry = 0) {
    split::Desc d; // in both formats address, length; packed: flags last
    d.addr = e.addr;
    d.len = e.len;
    d.flags = format_packed ? std::uint16_t{0} : e.flags;
    d.next = format_packed ? e.flags : next_entry;
    std::memcpy(&this->memory[table_at + 16u * i], static_cast<void*>(&d), sizeof d);
  }
  void complete_oldest(std::uint32_t written) {
    Chain* chain = this->function->chains.at(0);
    this->function->chains.erase(this->function->chains.begin());
    this->function->device().complete(*chain, written);
  }
  RingError error() const { return this->device->last_error(); }

  /// Whatever happened: after a reset, a well-behaved guest is served.
  void expect_usable_after_a_reset() {
    this->device->write_status(0);
    this->executor.run_until_idle();
    ASSERT_EQ(this->device->status(), 0);
    std::fill(this->memory.begin(), this->memory.end(), std::byte{0});
    this->driver = SplitRingDriver(this->memory, this->size);
    this->packed = test::PackedRingDriver(this->memory, this->size);
    slot = 0;
    this->function->handle = nullptr;
    this->function->chains.clear();
    this->bring_up(features);
    offer({{data_at, 64, write}}, 3);
    ASSERT_EQ(this->function->chains.size(), 1u);
    complete_oldest(5);
    if (format_packed) {
      EXPECT_TRUE(this->packed.used(0, true));
    } else {
      EXPECT_EQ(this->driver.used_idx(), 1);
    }
    EXPECT_EQ(this->device->status(), 0x0f);
  }

  bool format_packed;
  FeatureSet features;
  std::uint16_t slot = 0;
};
using DirectGuest = Guest<HostMemoryPort>;
using ManualGuest = Guest<test::ManualPort>;

// --- chains --------------------------------------------------------------------------------------

struct BadChain {
  const char* name;
  RingError error; // none: legal
  std::vector<Element> chain;
  std::vector<Element> table = {};
};
void PrintTo(const BadChain& c, std::ostream* out) {
  *out << c.name;
}
const Element w{data_at, 8, write};
const Element r{data_at, 8, 0};
constexpr std::uint32_t most = 0xffff'ffff;

const BadChain bad_chains[] = {
    {"as_long_as_the_ring", RingError::none, {r, r, r, r, w, w, w, w}},
    {"longer_than_the_ring", RingError::chain_too_long, {r, r, r, r, w, w, w, w, w}},
    {"zero_length", RingError::none, {{data_at, 0, 0}, {data_at, 0, write}}},
    {"zero_length_at_the_last_address", RingError::none, {{~0ull, 0, write}}},
    {"length_of_2_to_32_less_1", RingError::none, {{0, most, write}}},
    {"sum_of_2_to_32", RingError::none, {{0, 1, 0}, {0, most, write}}},
    {"sum_above_2_to_32", RingError::chain_too_large, {{0, 2, 0}, {0, most, write}}},
    {"up_to_the_last_address", RingError::none, {{~0ull - 7, 8, write}}},
    {"beyond_the_last_address", RingError::address_wraps, {{~0ull - 7, 9, write}}},
    {"readable_after_writable", RingError::readable_after_writable, {r, w, r}},
    {"indirect", RingError::none, {{table_at, 32, indirect}}, {r, w}},
    {"indirect_writable", RingError::none, {{table_at, 16, indirect | write}}, {w}},
    {"indirect_of_zero_length", RingError::bad_indirect_table, {{table_at, 0, indirect}}},
    {"indirect_of_15_bytes", RingError::bad_indirect_table, {{table_at, 15, indirect}}},
    {"indirect_of_17_bytes", RingError::bad_indirect_table, {{table_at, 17, indirect}}, {w, w}},
    {"indirect_of_4_gib", RingError::address_wraps, {{~0ull - 15, 0xffff'fff0, indirect}}},
    {"indirect_outside_memory", RingError::descriptor_unreadable, {{memory_end, 16, indirect}}},
    {"indirect_twice",
     RingError::indirect_with_next,
     {{table_at, 16, indirect}, {table_at, 16, indirect}},
     {r}},
    {"indirect_as_long_as_the_ring",
     RingError::none,
     {{table_at, 128, indirect}},
     {r, r, r, r, w, w, w, w}},
    {"indirect_longer_than_the_ring",
     RingError::chain_too_long,
     {{table_at, 144, indirect}},
     {r, r, r, r, w, w, w, w, w}},
    {"indirect_readable_after_writable",
     RingError::readable_after_writable,
     {{table_at, 32, indirect}},
     {w, r}},
    {"indirect_beyond_the_last_address",
     RingError::address_wraps,
     {{table_at, 16, indirect}},
     {{~0ull, 2, write}}},
};

class HostileChain : public testing::TestWithParam<std::tuple<bool, BadChain>> {};
INSTANTIATE_TEST_SUITE_P(All, HostileChain,
                         testing::Combine(testing::Bool(), testing::ValuesIn(bad_chains)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "packed_" : "split_") +
                                  std::get<1>(info.param).name;
                         });

TEST_P(HostileChain, IsTakenOrRefusedWithItsReason) {
  const auto& [is_packed, c] = GetParam();
  DirectGuest t(is_packed, {VIRTIO_F_INDIRECT_DESC});
  for (unsigned i = 0; i < c.table.size(); ++i) {
    Element e = c.table[i];
    if (!is_packed && i + 1 < c.table.size()) e.flags |= next;
    t.set_entry(i, e, static_cast<std::uint16_t>(i + 1));
  }
  t.offer(c.chain);
  EXPECT_EQ(t.error(), c.error) << to_string(t.error());
  EXPECT_EQ(t.function->chains.size(), c.error == RingError::none ? 1u : 0u);
  EXPECT_EQ(t.device->status(), c.error == RingError::none ? 0x0f : 0x4f);
  EXPECT_EQ(t.transport.config, c.error == RingError::none ? 0 : 1);
  t.expect_usable_after_a_reset();
}

class Hostile : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Packed, Hostile, testing::Bool());

TEST_P(Hostile, IndirectWithoutTheFeatureIsRefused) {
  DirectGuest t(GetParam());
  t.set_entry(0, w);
  t.offer({{table_at, 16, indirect}});
  EXPECT_EQ(t.error(), RingError::indirect_not_negotiated);
  t.expect_usable_after_a_reset();
}

TEST_P(Hostile, ATableInsideATableIsRefusedInSplitAndItsFlagIgnoredInPacked) {
  DirectGuest t(GetParam(), {VIRTIO_F_INDIRECT_DESC});
  t.set_entry(0, {table_at, 16, indirect});
  t.offer({{table_at, 16, indirect}});
  EXPECT_EQ(t.error(), GetParam() ? RingError::none : RingError::nested_indirect);
  t.expect_usable_after_a_reset();
}

TEST_P(Hostile, HeadsAndBufferIdsThatComeTwiceAreServedTwice) {
  DirectGuest t(GetParam());
  if (GetParam()) {
    t.offer({{data_at, 8, write}}, 0xffff); // any id is the driver's own affair
    t.offer({{data_at, 8, write}}, 0xffff);
  } else {
    t.driver.set_desc(5, data_at, 8, write);
    t.driver.make_available(5);
    t.driver.make_available(5);
    t.driver.publish();
    t.device->notify(q0, std::nullopt);
  }
  ASSERT_EQ(t.function->chains.size(), 2u);
  t.complete_oldest(1);
  t.complete_oldest(2);
  for (std::uint16_t i : {0, 1}) {
    EXPECT_EQ(GetParam() ? t.packed.get(i).id : t.driver.used(i).id, GetParam() ? 0xffffu : 5u);
    EXPECT_EQ(GetParam() ? t.packed.get(i).len : t.driver.used(i).len, i + 1u);
  }
}

TEST_P(Hostile, ABrokenQueueLeavesTheOthersAlone) {
  DirectGuest t(GetParam());
  t.device->write_status(0);
  t.negotiate(t.features);
  t.set_up_queue(0);
  t.device->write_queue_address(QueueIndex{1}, Device::Area::desc, false, 0x8000);
  t.device->write_queue_address(QueueIndex{1}, Device::Area::driver, false, 0x11'0000);
  t.device->write_queue_address(QueueIndex{1}, Device::Area::device, false, 0x21'0000);
  t.device->enable_queue(QueueIndex{1});
  t.drive();
  t.offer({{~0ull, 8, write}});
  ASSERT_EQ(t.device->status(), 0x4f);
  t.device->notify(QueueIndex{1}, std::nullopt); // its ring is empty
  if (GetParam()) {
    packed::Desc d{le64(data_at), le32(8), le16(1), le16(packed::VIRTQ_DESC_F_AVAIL | write)};
    std::memcpy(&t.memory[0x8000], static_cast<void*>(&d), sizeof d);
  } else {
    split::Desc d{le64(data_at), le32(8), le16(write), le16(0)};
    std::memcpy(&t.memory[0x8000], static_cast<void*>(&d), sizeof d);
    t.driver.put16(0x11'0002, 1);
  }
  t.device->notify(QueueIndex{1}, std::nullopt);
  ASSERT_EQ(t.function->chains.size(), 1u);
  t.complete_oldest(8);
  EXPECT_EQ(t.transport.used, 1);
  t.expect_usable_after_a_reset();
}

// --- addresses -----------------------------------------------------------------------------------

/// Writes the buffer, then completes it; a failure is reported as a device does.
Task<> fill(FunctionHost& host, Chain& chain, std::span<const std::byte> data) {
  const Dma dma = host.dma(chain.queue);
  const DmaStatus status = co_await dma.scatter(chain.writable()[0], chain.writable().subspan(1),
                                                data.data(), AccessKind::data);
  if (status == DmaStatus::cancelled) co_return;
  if (status == DmaStatus::ok)
    host.complete(chain, static_cast<std::uint32_t>(chain.writable_len));
  else
    host.fail(chain, RingError::data_unwritable);
}

TEST_P(Hostile, BuffersOutsideMemoryFailTheQueue) {
  const std::vector<std::byte> data(64, std::byte{0x55});
  for (const std::uint64_t addr :
       {memory_end, memory_end - 63, std::uint64_t{1} << 40, ~std::uint64_t{63}}) {
    DirectGuest t(GetParam());
    t.function->handle = [&](Chain& chain) { return fill(t.function->device(), chain, data); };
    t.offer({{addr, 64, write}});
    EXPECT_EQ(t.error(), RingError::data_unwritable) << addr;
    EXPECT_EQ(t.device->status(), 0x4f);
    EXPECT_EQ(t.transport.used, 0);
    t.expect_usable_after_a_reset();
  }
}

TEST_P(Hostile, RingsOutsideMemoryFailTheQueue) {
  using Area = Device::Area;
  for (const Area area : {Area::desc, Area::driver, Area::device}) {
    DirectGuest t(GetParam(), {VIRTIO_F_EVENT_IDX});
    t.device->write_status(0);
    t.negotiate(t.features);
    t.device->write_queue_size(q0, t.size);
    const std::pair<Area, std::uint64_t> parts[] = {{Area::desc, SplitRingDriver::desc_at},
                                                    {Area::driver, SplitRingDriver::avail_at},
                                                    {Area::device, SplitRingDriver::used_at}};
    for (const auto& [part, at] : parts)
      t.device->write_queue_address(q0, part, part == area,
                                    part == area ? 1 : static_cast<std::uint32_t>(at));
    t.device->enable_queue(q0);
    t.drive();
    t.offer({{data_at, 8, write}});
    if (!t.function->chains.empty()) t.complete_oldest(1);
    EXPECT_NE(t.error(), RingError::none) << static_cast<int>(area);
    EXPECT_EQ(t.device->status(), 0x4f);
    t.expect_usable_after_a_reset();
  }
}

// What the device writes into the ring itself is what the guest asked for: it takes the bytes as it
// finds them.
TEST_P(Hostile, BuffersInTheRingItselfAreBoundedAndAResetMends) {
  for (const std::uint64_t at :
       {SplitRingDriver::desc_at, SplitRingDriver::avail_at, SplitRingDriver::used_at})
    for (const int value : {0x00, 0x01, 0x55, 0x80, 0xff}) {
      const std::vector<std::byte> data(0x400, static_cast<std::byte>(value));
      DirectGuest t(GetParam(), {VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC});
      t.function->handle = [&](Chain& chain) {
        return fill(
            t.function->device(), chain,
            std::span(data).first(std::min<std::uint64_t>(data.size(), chain.writable_len)));
      };
      t.offer({{at, 0x100, write}});
      for (int i = 0; i < 3; ++i)
        t.device->notify(q0, std::nullopt);
      t.expect_usable_after_a_reset();
    }
}

TEST_P(Hostile, PartsOfTheRingMayOverlapOrStandAtZero) {
  for (const std::uint32_t at : {0u, 0x1000u}) {
    DirectGuest t(GetParam());
    t.device->write_status(0);
    t.negotiate(t.features);
    t.device->write_queue_size(q0, t.size);
    for (const auto area : {Device::Area::desc, Device::Area::driver, Device::Area::device})
      t.device->write_queue_address(q0, area, false, at);
    t.device->enable_queue(q0);
    t.drive();
    for (int i = 0; i < 3; ++i)
      t.offer({{data_at, 8, write}});
    while (!t.function->chains.empty())
      t.complete_oldest(1);
    t.expect_usable_after_a_reset();
  }
}

// --- event suppression ---------------------------------------------------------------------------

TEST(HostileSplit, OnlyTheLowestBitOfTheFlagsCounts) {
  DirectGuest t(false);
  int notified = 0;
  for (const std::uint16_t flags : {0xfffe, 0xffff, 2, 3, 0x8000}) {
    t.driver.put16(SplitRingDriver::avail_at, flags);
    t.offer({{data_at, 8, write}});
    t.complete_oldest(1);
    notified += (flags & 1) == 0;
    EXPECT_EQ(t.transport.used, notified) << flags;
  }
}

TEST(HostilePacked, AnEventBeyondTheRingNeverFires) {
  DirectGuest t(true, {VIRTIO_F_EVENT_IDX});
  for (const bool wrap : {true, false}) {
    t.packed.set_driver_event(0x7fff, wrap, packed::RING_EVENT_FLAGS_DESC);
    for (int i = 0; i < 20; ++i) {
      t.offer({{data_at, 8, write}});
      t.complete_oldest(1);
    }
  }
  EXPECT_EQ(t.transport.used, 0);
  EXPECT_EQ(t.device->status(), 0x0f);
}

TEST(HostilePacked, AQueueOfSizeZeroCannotGoLive) {
  test::DirectDevice t;
  t.negotiate({VIRTIO_F_RING_PACKED});
  for (const std::uint16_t bad : {0, 257, 0xffff}) {
    t.device->write_queue_size(q0, bad);
    EXPECT_EQ(t.device->queue(q0)->size, 0);
  }
  t.device->enable_queue(q0);
  t.drive();
  EXPECT_EQ(t.device->last_error(), RingError::bad_queue_size);
}

// --- status and notifications --------------------------------------------------------------------

TEST_P(Hostile, NoStatusWriteClearsABitOrSkipsAStep) {
  for (int first = 0; first < 256; ++first)
    for (const int second : {0, 1, 2, 3, 4, 7, 8, 0x0b, 0x0f, 0x10, 0x40, 0x80, 0x8f, 0xff}) {
      DirectGuest t(GetParam());
      t.device->write_status(0);
      t.device->write_driver_features(1, t.features.set(VIRTIO_F_VERSION_1).word32(1));
      std::uint8_t before = 0;
      for (const int value : {first, second}) {
        t.device->write_status(static_cast<std::uint8_t>(value));
        const std::uint8_t after = t.device->status();
        const int settable = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                             VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK |
                             VIRTIO_STATUS_FAILED;
        int expected = value == 0 ? 0 : before | (value & settable);
        // Accepted features are gone after a reset.
        if (before == 0 && first == 0) expected &= ~VIRTIO_STATUS_FEATURES_OK;
        if (!(expected & VIRTIO_STATUS_FEATURES_OK)) expected &= ~VIRTIO_STATUS_DRIVER_OK;
        ASSERT_EQ(after, expected) << first << " then " << second;
        before = after;
      }
      if (second == 0xff) t.expect_usable_after_a_reset();
    }
}

TEST_P(Hostile, NotificationsAtTheWrongMomentDoNothing) {
  DirectGuest t(GetParam(), {VIRTIO_F_RING_RESET});
  const auto ring_everything = [&] {
    for (const std::uint16_t queue : {0, 1, 2, 0xffff})
      for (const auto& data : {std::optional<NotificationData>{}, {{0x7fff, true}}, {{0, false}}})
        t.device->notify(QueueIndex{queue}, data);
  };
  ring_everything(); // live, but nothing is available
  EXPECT_TRUE(t.function->chains.empty());
  t.device->reset_queue(q0);
  t.offer({{data_at, 8, write}});
  ring_everything(); // the queue was reset
  EXPECT_TRUE(t.function->chains.empty());
  t.device->write_status(0);
  ring_everything(); // the device was reset
  t.negotiate(t.features);
  ring_everything(); // the queue is not enabled
  t.set_up_queue();
  ring_everything(); // DRIVER_OK is not set
  EXPECT_TRUE(t.function->chains.empty());
  t.drive();
  EXPECT_EQ(t.function->chains.size(), 1u);
  EXPECT_EQ(t.device->status(), 0x0f);
}

// --- every step ----------------------------------------------------------------------------------

/// One request through an indirect table, with event index, its data written; stopped at `step` by
/// `stop`. Returns false when the request ended before that step.
bool stopped_at(ManualGuest& t, int step, const std::vector<std::byte>& data) {
  t.function->handle = [&t, &data](Chain& chain) {
    return fill(t.function->device(), chain, data);
  };
  t.port.immediate = false;
  t.set_entry(0, {data_at, 64, write});
  t.offer({{table_at, 16, indirect}});
  for (int n = 0; n < step && !t.port.waiting.empty(); ++n) {
    t.port.answer_front();
    t.executor.run();
  }
  return !t.port.waiting.empty();
}

const FeatureSet everything{VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_RESET};

TEST_P(Hostile, AResetAtEveryStepOfARequestEndsIt) {
  const std::vector<std::byte> data(64, std::byte{0x55});
  for (const bool of_the_queue : {false, true})
    for (int step = 0;; ++step) {
      ManualGuest t(GetParam(), everything);
      if (!stopped_at(t, step, data)) {
        EXPECT_GE(step, 6);
        break;
      }
      const std::size_t issued = t.port.seen.size();
      const int notified = t.transport.used;
      if (of_the_queue)
        t.device->reset_queue(q0);
      else
        t.device->write_status(0);
      EXPECT_TRUE(of_the_queue ? t.device->queue(q0)->resetting : t.device->resetting());
      while (!t.port.waiting.empty()) {
        t.port.answer_front();
        t.executor.run();
      }
      EXPECT_EQ(t.port.seen.size(), issued) << step;
      EXPECT_EQ(t.device->status(), of_the_queue ? 0x0f : 0) << step;
      EXPECT_FALSE(t.device->queue(q0)->enabled);
      EXPECT_EQ(t.transport.used, notified) << step;
      t.port.immediate = true;
      t.expect_usable_after_a_reset();
    }
}

TEST_P(Hostile, AMemoryErrorAtEveryAccessFailsTheQueueAndAResetMends) {
  const std::vector<std::byte> data(64, std::byte{0x55});
  for (const DmaStatus status : {DmaStatus::address_error, DmaStatus::bus_error})
    for (int step = 0;; ++step) {
      ManualGuest t(GetParam(), everything);
      if (!stopped_at(t, step, data)) break;
      t.port.answer_front(status);
      t.executor.run();
      while (!t.port.waiting.empty()) {
        t.port.answer_front();
        t.executor.run();
      }
      EXPECT_NE(t.error(), RingError::none) << step;
      EXPECT_EQ(t.device->status(), 0x4f) << step;
      EXPECT_EQ(t.transport.config, 1) << step;
      t.port.immediate = true;
      t.expect_usable_after_a_reset();
    }
}

} // namespace
} // namespace virtio
