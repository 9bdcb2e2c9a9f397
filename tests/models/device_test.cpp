// Status, feature negotiation, queue set-up, reset and configuration space, as any transport sees
// them.
#include "support/test_device.hpp"

#include <gtest/gtest.h>

#include <array>

namespace virtio {
namespace {

using split::VIRTQ_DESC_F_WRITE;
using test::DirectDevice;
using test::ManualDevice;

TEST(DeviceStatus, StartsAtZeroAndKeepsWhatTheDriverSets) {
  DirectDevice t;
  EXPECT_EQ(t.device->status(), 0);
  t.device->write_status(1);
  EXPECT_EQ(t.device->status(), 1);
  t.device->write_status(2); // a bit is never cleared by the driver (2.1.1)
  EXPECT_EQ(t.device->status(), 3);
  t.device->write_status(0x70); // not the driver's to set
  EXPECT_EQ(t.device->status(), 3);
}

TEST(DeviceStatus, DriverOkWithoutFeaturesOkDoesNotGoLive) {
  DirectDevice t;
  t.device->write_status(7);
  EXPECT_EQ(t.device->status(), 3);
  EXPECT_TRUE(t.function->started_with.empty());
}

TEST(FeatureNegotiation, OffersVersion1AndShowsZeroBeyondTheLastWord) {
  DirectDevice t;
  EXPECT_TRUE(t.device->device_features(1) & 1);
  for (std::uint32_t select : {4u, 5u, 0x8000'0000u, ~0u})
    EXPECT_EQ(t.device->device_features(select), 0u);
}

TEST(FeatureNegotiation, All128BitsCanBeNegotiated) {
  DirectDevice t;
  auto f = std::make_unique<test::TestFunction>();
  f->offered = FeatureSet{0, 31, 63, 64, 100, 127};
  Device device({.name = "wide"}, t.executor, t.port, std::move(f));
  EXPECT_EQ(device.device_features(3), 0x8000'0010u);
  device.write_status(3);
  for (std::uint32_t w = 0; w < 4; ++w)
    device.write_driver_features(w, device.device_features(w));
  device.write_status(0x0b);
  EXPECT_EQ(device.status(), 0x0b);
  EXPECT_TRUE(device.negotiated().has(127));
}

TEST(FeatureNegotiation, RefusesWhatWasNotOfferedAndAcceptsASubsetAfterwards) {
  DirectDevice t;
  t.negotiate(FeatureSet{5});
  EXPECT_EQ(t.device->status(), 3);
  t.device->write_driver_features(0, 0);
  t.device->write_status(0x0b);
  EXPECT_EQ(t.device->status(), 0x0b);
}

TEST(FeatureNegotiation, RefusesADriverWithoutVersion1) {
  DirectDevice t;
  t.device->write_status(3);
  t.device->write_status(0x0b);
  EXPECT_EQ(t.device->status(), 3);
}

TEST(FeatureNegotiation, AsksTheFunction) {
  DirectDevice t;
  t.function->refuse = true;
  t.negotiate();
  EXPECT_EQ(t.device->status(), 3);
}

TEST(FeatureNegotiation, IsOverOnceFeaturesOkIsSet) {
  DirectDevice t;
  t.negotiate();
  t.device->write_driver_features(1, 0xffff'ffff);
  EXPECT_EQ(t.device->driver_features(1), 1u);
  EXPECT_EQ(t.device->negotiated(), FeatureSet{VIRTIO_F_VERSION_1});
}

TEST(FeatureNegotiation, CanBeRepeatedAfterAReset) {
  DirectDevice t;
  for (int i = 0; i < 3; ++i) {
    t.bring_up();
    EXPECT_EQ(t.device->status(), 0x0f);
    t.device->write_status(0);
    EXPECT_EQ(t.device->status(), 0);
    EXPECT_EQ(t.device->driver_features(1), 0u);
  }
  EXPECT_EQ(t.function->started_with.size(), 3u);
}

TEST(QueueSetup, BadSizesReadBackAsZeroAndCannotGoLive) {
  DirectDevice t;
  t.negotiate();
  for (std::uint16_t bad : {0, 3, 257, 512, 0xffff}) {
    t.device->write_queue_size(QueueIndex{0}, bad);
    EXPECT_EQ(t.device->queue(QueueIndex{0})->size, 0) << bad;
  }
  t.device->enable_queue(QueueIndex{0});
  t.drive();
  EXPECT_EQ(t.device->last_error(), RingError::bad_queue_size);
  EXPECT_TRUE(t.device->status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
}

TEST(QueueSetup, MisalignedPartsAreRefused) {
  using Area = Device::Area;
  for (auto [area, bad] : {std::pair{Area::desc, 8u}, {Area::driver, 1u}, {Area::device, 2u}}) {
    DirectDevice t;
    t.negotiate();
    t.device->write_queue_address(QueueIndex{0}, area, false, bad);
    t.device->enable_queue(QueueIndex{0});
    t.drive();
    EXPECT_EQ(t.device->last_error(), RingError::misaligned);
  }
}

TEST(QueueSetup, PartsThatWrapAroundTheAddressSpaceAreRefused) {
  DirectDevice t;
  t.negotiate();
  t.device->write_queue_address(QueueIndex{0}, Device::Area::desc, false, 0xffff'fff0);
  t.device->write_queue_address(QueueIndex{0}, Device::Area::desc, true, 0xffff'ffff);
  t.device->enable_queue(QueueIndex{0});
  t.drive();
  EXPECT_EQ(t.device->last_error(), RingError::address_wraps);
}

TEST(QueueSetup, CannotBeChangedWhileEnabled) {
  DirectDevice t;
  t.bring_up();
  t.device->write_queue_size(QueueIndex{0}, 4);
  t.device->write_queue_address(QueueIndex{0}, Device::Area::desc, false, 0);
  EXPECT_EQ(t.device->queue(QueueIndex{0})->size, 8);
  EXPECT_EQ(t.device->queue(QueueIndex{0})->desc, test::SplitRingDriver::desc_at);
}

TEST(QueueSetup, QueuesThatDoNotExistAreIgnored) {
  DirectDevice t;
  t.negotiate();
  for (std::uint16_t q : {2, 100, 0xffff}) {
    EXPECT_EQ(t.device->queue(QueueIndex{q}), nullptr);
    t.device->write_queue_size(QueueIndex{q}, 4);
    t.device->write_queue_address(QueueIndex{q}, Device::Area::device, true, 4);
    t.device->enable_queue(QueueIndex{q});
    t.device->reset_queue(QueueIndex{q});
    t.device->disable_queue(QueueIndex{q});
    t.device->notify(QueueIndex{q}, std::nullopt);
  }
}

TEST(DeviceReset, TakesEffectAtOnceWhenNothingIsInFlight) {
  DirectDevice t;
  t.bring_up();
  t.driver.set_desc(0, 0x30'0000, 8, VIRTQ_DESC_F_WRITE);
  t.driver.make_available(0);
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 1u);
  t.device->write_status(0);
  EXPECT_EQ(t.device->status(), 0);
  EXPECT_TRUE(t.function->chains.empty()) << "the chains it held were aborted";
  EXPECT_EQ(t.function->resets, 1);
  EXPECT_EQ(t.transport.resets, 1);
  EXPECT_FALSE(t.device->queue(QueueIndex{0})->enabled);
  EXPECT_EQ(t.device->queue(QueueIndex{0})->size, 256);
  t.device->notify(QueueIndex{0}, std::nullopt);
  EXPECT_TRUE(t.function->chains.empty());
}

TEST(DeviceReset, StatusStaysNonZeroUntilDmaInFlightIsAnswered) {
  ManualDevice t;
  t.bring_up(); // the first index read is in flight
  ASSERT_EQ(t.port.waiting.size(), 1u);
  t.device->write_status(0);
  EXPECT_TRUE(t.device->resetting());
  EXPECT_EQ(t.device->status(), 0x0f);
  t.device->write_status(1); // too early: ignored
  bool settled = false;
  t.device->when_settled([&] { settled = true; });
  t.port.answer_front();
  EXPECT_FALSE(settled);
  t.executor.run();
  EXPECT_TRUE(settled);
  EXPECT_EQ(t.device->status(), 0);
  EXPECT_EQ(t.port.seen.size(), 1u) << "nothing was issued after the reset began";
  EXPECT_TRUE(t.executor.idle()) << "the reset's timer is gone";
}

/// Writes `data` to each chain and completes it.
Task<> fill(FunctionHost& host, Chain& chain, std::span<const std::byte> data) {
  const Dma dma = host.dma(chain.queue);
  const DmaStatus status = co_await dma.scatter(chain.writable()[0], chain.writable().subspan(1),
                                                data.data(), AccessKind::data);
  if (status != DmaStatus::ok) co_return;
  host.complete(chain, static_cast<std::uint32_t>(chain.writable_len));
}

TEST(DeviceReset, AtEveryStepOfARequestLeavesNothingBehind) {
  const std::vector<std::byte> data(5000, std::byte{0x55});
  for (int step = 0;; ++step) {
    ManualDevice t;
    t.function->handle = [&](Chain& chain) { return fill(t.function->device(), chain, data); };
    const auto request = [&] {
      t.driver.set_desc(0, 0x30'0000, 5000, VIRTQ_DESC_F_WRITE);
      t.driver.make_available(0);
      t.kick();
    };
    t.port.immediate = true;
    t.bring_up();
    t.port.immediate = false;
    request();
    for (int n = 0; n < step && !t.port.waiting.empty(); ++n) {
      t.port.answer_front();
      t.executor.run();
    }
    const bool finished = t.port.waiting.empty();
    const std::size_t issued = t.port.seen.size();
    const int notified = t.transport.used;
    t.device->write_status(0);
    while (!t.port.waiting.empty()) {
      EXPECT_EQ(t.device->status(), 0x0f);
      t.port.answer_front();
      t.executor.run();
    }
    EXPECT_EQ(t.device->status(), 0) << step;
    EXPECT_EQ(t.port.seen.size(), issued) << step;
    EXPECT_EQ(t.transport.used, notified) << step;
    EXPECT_EQ(t.port.outstanding(), 0u);
    std::fill(t.memory.begin(), t.memory.begin() + 0x30'0000, std::byte{0});
    t.driver.avail_idx = 0;
    t.port.immediate = true;
    t.bring_up();
    request();
    EXPECT_EQ(t.driver.used_idx(), 1) << step;
    if (finished) {
      EXPECT_GE(step, 7); // index, entry, descriptor, data, element, index, flags
      break;
    }
  }
}

// Of each step of a request, the answer is there and the task that waited for it has not gone on,
// or only its child has, when the queue is stopped.
TEST(QueueReset, BetweenAnAnswerAndWhatFollowsItStopsEverything) {
  for (const std::size_t resumed : {0u, 1u}) {
    for (int step = 0;; ++step) {
      ManualDevice t;
      t.port.immediate = true;
      t.bring_up({VIRTIO_F_INDIRECT_DESC});
      t.port.immediate = false;
      const split::Desc entry{le64(0x30'0000), le32(8), le16(split::VIRTQ_DESC_F_WRITE), le16(0)};
      std::memcpy(&t.memory[0x31'0000], static_cast<const void*>(&entry), sizeof entry);
      t.driver.set_desc(0, 0x31'0000, 16, split::VIRTQ_DESC_F_INDIRECT);
      t.driver.make_available(0);
      t.kick();
      for (int n = 0; n < step && !t.port.waiting.empty(); ++n) {
        t.port.answer_front();
        t.executor.run();
        if (!t.function->chains.empty()) {
          t.function->device().complete(*t.function->chains[0], 8);
          t.function->chains.clear();
        }
      }
      if (t.port.waiting.empty()) {
        EXPECT_EQ(step, 7); // index, entry, descriptor, table, element, index, flags
        break;
      }
      t.port.answer_front();
      t.executor.run(resumed);
      const std::size_t chains = t.function->chains.size(), issued = t.port.seen.size();
      const int notified = t.transport.used;
      t.device->disable_queue(QueueIndex{0});
      while (!t.port.waiting.empty())
        t.port.answer_front();
      t.executor.run();
      EXPECT_FALSE(t.device->queue(QueueIndex{0})->enabled) << step;
      EXPECT_LE(t.function->chains.size(), chains) << step << " " << resumed;
      EXPECT_EQ(t.port.seen.size(), issued) << step << " " << resumed;
      EXPECT_EQ(t.transport.used, notified) << step << " " << resumed;
      EXPECT_EQ(t.device->status(), 0x0f) << step << " " << resumed;
    }
  }
}

TEST(DeviceReset, ADeviceMayBeDestroyedAtEveryStepOfARequest) {
  const std::vector<std::byte> data(5000, std::byte{0x55});
  for (int step = 0; step < 9; ++step)
    for (const bool resetting : {false, true}) {
      ManualDevice t;
      t.function->handle = [&](Chain& chain) { return fill(t.function->device(), chain, data); };
      t.port.immediate = true;
      t.bring_up();
      t.port.immediate = false;
      t.driver.set_desc(0, 0x30'0000, 5000, VIRTQ_DESC_F_WRITE);
      t.driver.make_available(0);
      t.kick();
      for (int n = 0; n < step && !t.port.waiting.empty(); ++n) {
        t.port.answer_front();
        if (n + 1 < step) t.executor.run(); // the last answer finds its task still suspended
      }
      if (resetting) t.device->write_status(0);
      t.device.reset();
      const std::size_t missing = t.port.waiting.size();
      while (!t.port.waiting.empty())
        t.port.answer_front();
      t.executor.run();
      EXPECT_EQ(t.port.late_answers(), missing) << step;
      EXPECT_EQ(t.port.outstanding(), 0u) << step;
    }
}

TEST(DeviceReset, GivesUpOnMemoryThatNeverAnswers) {
  ManualDevice t;
  t.bring_up();
  t.device->write_status(0);
  t.executor.run_until_idle();
  EXPECT_EQ(t.device->status(), 0);
  EXPECT_EQ(t.executor.now(), DeviceParams{}.reset_timeout);
  EXPECT_EQ(t.sink.count(EventKind::reset_timeout), 1);
  EXPECT_EQ(t.port.outstanding(), 1u);
  const auto given_up = t.port.seen.back();
  EXPECT_EQ(t.sink.count(EventKind::late_answer), 0);
  t.port.answer_front();
  EXPECT_EQ(t.port.late_answers(), 1u);
  ASSERT_EQ(t.sink.count(EventKind::late_answer), 1);
  const Event& late = t.sink.events.back();
  EXPECT_EQ(late.kind, EventKind::late_answer);
  EXPECT_EQ(late.component, "dut");
  EXPECT_EQ(late.id, static_cast<std::uint32_t>(given_up.kind));
  EXPECT_EQ(late.bytes, given_up.len);
  EXPECT_EQ(late.queue, 0);
  EXPECT_EQ(late.time, t.executor.now());
  t.port.immediate = true;
  t.bring_up();
  EXPECT_EQ(t.device->status(), 0x0f);
}

TEST(QueueReset, StopsOneQueueReadsOneUntilDoneAndStartsAfresh) {
  ManualDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_RING_RESET});
  t.device->reset_queue(QueueIndex{0});
  EXPECT_TRUE(t.device->queue(QueueIndex{0})->resetting);
  t.port.answer_front();
  t.executor.run();
  EXPECT_FALSE(t.device->queue(QueueIndex{0})->resetting);
  EXPECT_FALSE(t.device->queue(QueueIndex{0})->enabled);
  EXPECT_EQ(t.device->queue(QueueIndex{0})->size, 256);
  EXPECT_EQ(t.device->status(), 0x0f);
  t.port.immediate = true;
  std::fill(t.memory.begin(), t.memory.end(), std::byte{0});
  t.driver.avail_idx = 0;
  t.set_up_queue();
  t.driver.set_desc(2, 0x30'0000, 8, VIRTQ_DESC_F_WRITE);
  t.driver.make_available(2);
  t.kick();
  ASSERT_EQ(t.function->chains.size(), 1u);
  t.function->device().complete(*t.function->chains[0], 1);
  EXPECT_EQ(t.driver.used_idx(), 1);
}

TEST(QueueReset, NeedsTheFeature) {
  DirectDevice t;
  t.bring_up();
  t.device->reset_queue(QueueIndex{0});
  EXPECT_TRUE(t.device->queue(QueueIndex{0})->enabled);
}

TEST(QueueReset, DuringADeviceResetBothEnd) {
  ManualDevice t;
  t.bring_up(FeatureSet{VIRTIO_F_RING_RESET});
  t.device->reset_queue(QueueIndex{0});
  t.device->write_status(0);
  t.device->write_status(0);
  EXPECT_EQ(t.device->status(), 0x0f);
  t.port.answer_front();
  t.executor.run();
  EXPECT_EQ(t.device->status(), 0);
}

TEST(ConfigurationSpace, GenerationChangesWhenTheDriverReadsSomethingChanged) {
  DirectDevice t;
  t.bring_up();
  std::array<std::byte, 4> half{};
  t.device->read_config(0, half);
  const auto before = t.device->config_generation();
  t.device->read_config(0, half);
  EXPECT_EQ(t.device->config_generation(), before);
  t.function->device().config_changed();
  t.device->read_config(4, half);
  EXPECT_NE(t.device->config_generation(), before);
  EXPECT_EQ(t.transport.config, 1);
}

TEST(ConfigurationSpace, GenerationDoesNotComeBackAfter256Changes) {
  DirectDevice t;
  t.bring_up();
  std::array<std::byte, 4> half{};
  t.device->read_config(0, half);
  const auto before = t.device->config_generation();
  for (int i = 0; i < 256; ++i)
    t.function->device().config_changed();
  t.device->read_config(0, half);
  EXPECT_NE(t.device->config_generation() & 0xff, before & 0xff);
}

TEST(ConfigurationSpace, IsReadableBeforeFeaturesOkAndBoundedAlways) {
  DirectDevice t;
  t.function->config_bytes[7] = std::byte{0x7f};
  std::array<std::byte, 16> bytes;
  bytes.fill(std::byte{0xee});
  t.device->read_config(7, bytes);
  EXPECT_EQ(bytes[0], std::byte{0x7f});
  EXPECT_EQ(bytes[1], std::byte{0});
  t.device->read_config(0xffff'ffff, bytes);
  EXPECT_EQ(bytes[0], std::byte{0});
  t.device->write_config(6, bytes);
  t.device->write_config(0xffff'fff0, bytes);
  EXPECT_EQ(t.function->config_bytes.size(), 8u);
}

TEST(ConfigurationSpace, NoNotificationBeforeDriverOk) {
  DirectDevice t;
  t.negotiate();
  t.function->device().config_changed();
  EXPECT_EQ(t.transport.config, 0);
}

} // namespace
} // namespace virtio
