// Statements about rings that no other test shows by itself: which bytes of guest memory the device
// writes, when, and what it does not look at.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <set>

namespace virtio {
namespace {

using test::DirectDevice;
using test::ManualDevice;
using test::SplitRingDriver;

constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;
constexpr std::uint16_t size = 8;

/// One writable buffer of 64 bytes, offered and notified.
template <class Device> void request(Device& t, std::uint16_t head) {
  t.driver.set_desc(head, 0x30'0000, 64, write);
  t.driver.make_available(head);
  t.kick();
}

/// Completes the oldest chain that the function holds.
template <class Device> void complete_oldest(Device& t, std::uint32_t written) {
  Chain* chain = t.function->chains.at(0);
  t.function->chains.erase(t.function->chains.begin());
  t.function->device().complete(*chain, written);
}

TEST(SplitRing, NothingIsConsumedBeforeDriverOk) {
  DirectDevice t(size);
  t.negotiate();
  request(t, 0); // too early, and before the queue is enabled
  t.set_up_queue();
  EXPECT_TRUE(t.function->chains.empty());
  t.device->notify(QueueIndex{0}, std::nullopt);
  EXPECT_TRUE(t.function->chains.empty());
  t.drive();
  EXPECT_EQ(t.function->chains.size(), 1u);
}

TEST(SplitRing, OnlyTheUsedRingIsWritten) {
  for (const bool event_idx : {false, true}) {
    ManualDevice t(size);
    t.port.immediate = true;
    t.bring_up(event_idx ? FeatureSet{VIRTIO_F_EVENT_IDX} : FeatureSet{});
    for (std::uint16_t n = 0; n < 20; ++n) {
      request(t, n % size);
      complete_oldest(t, 8);
    }
    std::set<std::uint64_t> written;
    for (const auto& s : t.port.seen)
      for (std::uint64_t at = s.addr; s.write && at < s.addr + s.len; ++at)
        written.insert(at - SplitRingDriver::used_at);
    std::set<std::uint64_t> expected; // from the index to the last element, not the flags
    for (std::uint64_t at = 2; at < 4 + 8 * size + (event_idx ? 2 : 0); ++at)
      expected.insert(at);
    EXPECT_EQ(written, expected);
  }
}

TEST(SplitRing, UsedEventIsIgnoredWithoutEventIdx) {
  DirectDevice t(size);
  t.bring_up();
  for (std::uint16_t n = 0; n < 10; ++n) {
    t.driver.put16(SplitRingDriver::avail_at + 4 + 2 * size, static_cast<std::uint16_t>(n + 5));
    request(t, n % size);
    complete_oldest(t, 8);
    EXPECT_EQ(t.transport.used, n + 1);
  }
}

TEST(SplitRingEventIdx, TheDriversFlagsAreIgnored) {
  DirectDevice t(size);
  t.bring_up({VIRTIO_F_EVENT_IDX});
  t.driver.put16(SplitRingDriver::avail_at, split::VIRTQ_AVAIL_F_NO_INTERRUPT);
  request(t, 0); // used_event is 0
  complete_oldest(t, 8);
  EXPECT_EQ(t.transport.used, 1);
}

TEST(SplitRing, DataComesBeforeTheUsedElement) {
  ManualDevice t(size);
  const std::vector<std::byte> data(64, std::byte{0x55});
  t.function->handle = [&](Chain& chain) -> Task<> {
    FunctionHost& host = t.function->device();
    const Piece piece = chain.writable()[0];
    if (co_await host.dma(chain.queue)
            .write(piece.addr, data.data(), piece.len, AccessKind::data) == DmaStatus::ok)
      host.complete(chain, piece.len);
  };
  t.port.immediate = true;
  t.bring_up();
  t.port.immediate = false;
  request(t, 0);
  while (!t.port.waiting.empty()) {
    if (t.port.waiting.front()->kind == AccessKind::used) {
      EXPECT_EQ(t.memory[0x30'0000 + 63], std::byte{0x55});
    }
    EXPECT_EQ(t.port.waiting.size(), 1u) << "the element waits for the data";
    t.port.answer_front();
    t.executor.run();
  }
  EXPECT_EQ(t.driver.used(0).len, 64u);
}

TEST(PackedRing, ADescriptorIsWrittenOnceWithItsFlags) {
  ManualDevice t(4);
  t.port.immediate = true;
  t.bring_up({VIRTIO_F_RING_PACKED});
  t.packed.add(1, {{}, {}, {0x30'0000, 64, write}});
  t.packed.add(2, {{0x30'0000, 64, write}});
  t.device->notify(QueueIndex{0}, std::nullopt);
  complete_oldest(t, 8);
  complete_oldest(t, 8);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> written; // descriptor and how many bytes
  for (const auto& s : t.port.seen)
    if (s.write && s.kind == AccessKind::used)
      written.emplace_back((s.addr - SplitRingDriver::desc_at) / 16, s.len);
  EXPECT_EQ(written, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{0, 8}, {3, 8}}));
}

TEST(QueueReset, IsFollowedByAnotherSizeAtOtherAddresses) {
  DirectDevice t(size);
  t.bring_up({VIRTIO_F_RING_RESET});
  request(t, 0);
  complete_oldest(t, 8);
  t.device->reset_queue(QueueIndex{0});
  // The same layout, further up, and of two entries.
  constexpr std::uint64_t up = 0x4'0000;
  using Area = Device::Area;
  t.device->write_queue_size(QueueIndex{0}, 2);
  t.device->write_queue_address(QueueIndex{0}, Area::desc, false, SplitRingDriver::desc_at + up);
  t.device->write_queue_address(QueueIndex{0}, Area::driver, false, SplitRingDriver::avail_at + up);
  t.device->write_queue_address(QueueIndex{0}, Area::device, false, SplitRingDriver::used_at + up);
  t.device->enable_queue(QueueIndex{0});
  SplitRingDriver driver(std::span(t.memory).subspan(up), 2);
  for (std::uint16_t n = 0; n < 5; ++n) {
    driver.set_desc(n % 2, 0x30'0000, 64, write);
    driver.make_available(n % 2);
    driver.publish();
    t.device->notify(QueueIndex{0}, std::nullopt);
    complete_oldest(t, n);
    EXPECT_EQ(driver.used_idx(), n + 1);
    EXPECT_EQ(driver.used(n).id, n % 2u);
    EXPECT_EQ(driver.used(n).len, n);
  }
  EXPECT_EQ(t.driver.used_idx(), 1) << "the old ring is left alone";
}

} // namespace
} // namespace virtio
