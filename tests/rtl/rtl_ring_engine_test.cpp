// A ring engine behind pins as the ring engine of a device: what the device sees of it, and what is
// said of one that is wrong. The pins are those of the models' engines, so this needs no Verilator.
#include "support/test_device.hpp"

#include <virtio/rtl/cosim/model_dut.hpp>
#include <virtio/rtl/mixed/rtl_ring_engine.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl {
namespace {

using cosim::ModelRingDut;
using test::DirectDevice;
using test::ManualDevice;

constexpr std::uint16_t write_flag = split::VIRTQ_DESC_F_WRITE;

/// Its last engine, for looking inside.
struct Factory {
  std::function<std::unique_ptr<cosim::RingDut>()> dut;
  RtlRingParams params;
  RtlRingEngine* engine = nullptr;

  RingEngineFactory get() {
    return [this](const std::string& name, Executor& executor, DmaPort& port,
                  std::uint16_t num_queues, RingEngineClient& client) {
      auto made =
          std::make_unique<RtlRingEngine>(name, executor, port, num_queues, client, dut(), params);
      engine = made.get();
      return made;
    };
  }
};

Factory model(const ModelRingDut::Fault& fault = {}) {
  return {[fault] { return std::make_unique<ModelRingDut>(2, std::nullopt, fault); }, {}};
}

template <class Device> struct Bench {
  explicit Bench(Factory f) : factory(std::move(f)), device(8, factory.get()) {
    device.executor.set_error_handler([this](std::string_view who, std::exception_ptr error) {
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        errors.push_back(std::string(who) + ": " + e.what());
      }
    });
  }
  void run() { device.executor.run_until_idle(); }
  void offer(std::uint16_t head, std::uint32_t length = 64) {
    device.driver.set_desc(head, 0x30'0000 + 0x1000 * head, length, write_flag);
    device.driver.make_available(head);
    device.kick();
  }

  Factory factory;
  std::vector<std::string> errors;
  Device device;
};

void complete(DirectDevice& device, std::uint32_t written) {
  Chain& chain = *device.function->chains.front();
  device.function->chains.erase(device.function->chains.begin());
  device.function->device().complete(chain, written);
}

TEST(RtlRingEngine, ServesADeviceAsTheModelsDo) {
  Bench<DirectDevice> b(model());
  b.device.bring_up();
  for (std::uint16_t head = 0; head < 8; ++head)
    b.offer(head);
  b.run();
  ASSERT_EQ(b.device.function->chains.size(), 8u);
  EXPECT_EQ(b.device.function->chains[3]->writable_len, 64u);
  EXPECT_EQ(raw(b.device.function->chains[3]->writable()[0].addr), 0x30'3000u);
  for (std::uint32_t i = 0; i < 8; ++i)
    complete(b.device, i);
  b.run();
  ASSERT_EQ(b.device.driver.used_idx(), 8);
  for (std::uint16_t i = 0; i < 8; ++i) {
    EXPECT_EQ(b.device.driver.used(i).id, i);
    EXPECT_EQ(b.device.driver.used(i).len, i);
  }
  EXPECT_GE(b.device.transport.used, 1);
  EXPECT_TRUE(b.errors.empty()) << b.errors.front();
}

TEST(RtlRingEngine, TakesTheTimeOfItsCycles) {
  Bench<DirectDevice> b(model());
  b.device.bring_up();
  b.offer(0);
  b.run();
  // At 250 MHz, each cycle is 4 ns; the model behind the pins takes a few for what crosses them.
  const SimTime since = b.device.executor.now();
  EXPECT_GT(since.ps, 10 * 4'000u);
  EXPECT_LT(since.ps, 200 * 4'000u);
  EXPECT_EQ(since.ps % 4'000, 0u);
}

TEST(RtlRingEngine, TheClockStandsWhileNobodyHasAnythingToSay) {
  Bench<DirectDevice> b(model());
  b.device.bring_up();
  b.run();
  const std::uint64_t before = b.factory.engine->cycles_run();
  Wake later;
  later.call = [](Wake&) {};
  b.device.executor.post_at(later, b.device.executor.now() + milliseconds(1));
  b.run();
  EXPECT_EQ(b.factory.engine->cycles_run(), before);
  b.offer(1);
  b.run();
  EXPECT_EQ(b.device.function->chains.size(), 1u);
  EXPECT_LT(b.factory.engine->cycles_run(), before + 200);
  EXPECT_GT(b.device.executor.now().ps, milliseconds(1).ps);
}

TEST(RtlRingEngine, AMalformedRingIsTheDevicesToReport) {
  Bench<DirectDevice> b(model());
  b.device.bring_up();
  b.device.driver.make_available(9);
  b.device.kick();
  b.run();
  EXPECT_EQ(b.device.device->last_error(), RingError::head_out_of_range);
  EXPECT_NE(b.device.device->status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
  EXPECT_TRUE(b.errors.empty()) << b.errors.front();
  b.device.device->write_status(0);
  b.run();
  EXPECT_EQ(b.device.device->status(), 0);
  b.device.driver = test::SplitRingDriver(b.device.memory, 8);
  b.device.bring_up();
  b.offer(1);
  b.run();
  EXPECT_EQ(b.device.function->chains.size(), 1u);
}

TEST(RtlRingEngine, AResetWaitsForMemoryAndIsGivenUpInTime) {
  Bench<ManualDevice> b(model());
  b.device.bring_up();
  b.run();
  b.device.port.immediate = false;
  b.offer(1);
  b.run();
  ASSERT_FALSE(b.device.port.waiting.empty());
  b.device.device->write_status(0);
  // The reset's time-out, 100 ms, is the last thing that is due.
  b.run();
  EXPECT_EQ(b.device.device->status(), 0);
  EXPECT_EQ(b.device.sink.count(EventKind::reset_timeout), 1);
  EXPECT_TRUE(b.errors.empty()) << b.errors.front();
}

TEST(RtlRingEngine, SaysWhereAQueueStands) {
  Bench<DirectDevice> b(model());
  b.device.bring_up();
  b.offer(0);
  b.offer(1);
  b.run();
  complete(b.device, 1);
  b.run();
  const QueueProgress progress = b.factory.engine->progress(QueueIndex{0});
  EXPECT_EQ(progress.next_avail.index, 2);
  EXPECT_EQ(progress.next_used.index, 1);
  EXPECT_EQ(progress.outstanding, 1u);
}

TEST(RtlRingEngine, ABrokenRuleEndsTheRun) {
  Bench<DirectDevice> b(model([](BoundaryEvent& e) {
    if (e.group == Group::write_request && e.kind == AccessKind::used && e.data.size() == 8)
      e.data[4] ^= std::byte{1};
    return true;
  }));
  b.device.bring_up();
  b.offer(0);
  b.run();
  complete(b.device, 16);
  b.run();
  ASSERT_EQ(b.errors.size(), 1u);
  EXPECT_NE(b.errors[0].find("dut (RTL): RING-USED at cycle "), std::string::npos) << b.errors[0];
}

TEST(RtlRingEngine, WhatIsOwedIsMissedWhenItRests) {
  Bench<DirectDevice> b(model([](BoundaryEvent& e) { return e.group != Group::interrupt; }));
  b.device.bring_up();
  b.offer(0);
  b.run();
  complete(b.device, 16);
  b.run();
  ASSERT_EQ(b.errors.size(), 1u);
  EXPECT_NE(b.errors[0].find("RING-INTERRUPT-MISSED"), std::string::npos) << b.errors[0];
}

TEST(RtlRingEngine, UncheckedItIsNotJudged) {
  Factory factory = model([](BoundaryEvent& e) { return e.group != Group::interrupt; });
  factory.params.check = false;
  Bench<DirectDevice> b(std::move(factory));
  b.device.bring_up();
  b.offer(0);
  b.run();
  complete(b.device, 16);
  b.run();
  EXPECT_TRUE(b.errors.empty());
  EXPECT_EQ(b.device.driver.used_idx(), 1);
}

/// Never takes anything.
struct DeadDut final : cosim::RingDut {
  const cosim::RingSide& settle(const cosim::RingSide&) override { return side; }
  void edge() override {}
  std::uint32_t beat_bytes() const override { return 16; }
  std::uint16_t num_queues() const override { return 2; }
  int failed_assertions() const override { return assertions; }
  cosim::RingSide side;
  int assertions = 0;
};

TEST(RtlRingEngine, OneThatHangsSaysWhatIsOutstanding) {
  Bench<DirectDevice> b({[] { return std::make_unique<DeadDut>(); }, {}});
  b.device.bring_up();
  b.run();
  ASSERT_EQ(b.errors.size(), 1u);
  EXPECT_NE(b.errors[0].find("the RTL hangs"), std::string::npos) << b.errors[0];
  EXPECT_NE(b.errors[0].find("not taken: 0 f0 q0 command enable"), std::string::npos)
      << b.errors[0];
}

TEST(RtlRingEngine, AnAssertionThatFailsEndsTheRun) {
  Bench<DirectDevice> b({[] {
                           auto dut = std::make_unique<DeadDut>();
                           dut->assertions = 1;
                           return dut;
                         },
                         {}});
  b.device.bring_up();
  b.run();
  ASSERT_EQ(b.errors.size(), 1u);
  EXPECT_NE(b.errors[0].find("an assertion of the RTL does not hold"), std::string::npos);
}

TEST(RtlRingEngine, ItHasToHaveTheQueuesOfTheDevice) {
  Factory factory{[] { return std::make_unique<ModelRingDut>(1); }, {}};
  EXPECT_THROW(DirectDevice(8, factory.get()), std::invalid_argument);
}

} // namespace
} // namespace virtio::rtl
