// virtio-mmio (virtio 1.4, 4.2) through its TLM sockets: registers, interrupt line, resets with DMA
// in flight.
#include "tlm/mmio_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::tlm2 {
namespace {

using Bench = test::MmioBench;

const sc_core::sc_time ns(1, sc_core::SC_NS);

TEST(VirtioMmio, IdentifiesItself) {
  Bench b;
  b.run([&] {
    EXPECT_EQ(b.cpu.get(0x00), 0x74726976u);
    EXPECT_EQ(b.cpu.get(0x04), 2u);
    EXPECT_EQ(b.cpu.get(0x08), 4u);
    EXPECT_EQ(b.cpu.get(0x0c), VirtioMmioParams{}.vendor_id);
  });
}

TEST(VirtioMmio, RefusesWhatOnlyPciHas) {
  test::MmioBench b;
  DeviceParams params{.name = "dut"};
  params.transport_features.set(VIRTIO_F_NOTIF_CONFIG_DATA);
  Device device(params, b.executor.executor(), b.port, std::make_unique<test::TestFunction>());
  EXPECT_THROW(tlm2::VirtioMmio("other", device), std::invalid_argument);
}

TEST(VirtioMmio, FeaturesAreShownByWord) {
  Bench b;
  b.function->offered = {};
  b.run([&] {
    b.cpu.put(0x14, 1);
    EXPECT_EQ(b.cpu.get(0x10), b.device->offered().word32(1));
    b.cpu.put(0x14, 7);
    EXPECT_EQ(b.cpu.get(0x10), 0u);
  });
}

TEST(VirtioMmio, QueueRegistersApplyToTheSelectedQueue) {
  Bench b;
  b.run([&] {
    b.negotiate();
    b.cpu.put(0x30, 1);
    EXPECT_EQ(b.cpu.get(0x34), 256u);
    b.set_up_queue(1);
    EXPECT_EQ(b.cpu.get(0x44), 1u);
    b.cpu.put(0x30, 0);
    EXPECT_EQ(b.cpu.get(0x44), 0u);
    for (std::uint32_t absent : {2u, 0xffffu, 0x10000u, 0x10001u, ~0u}) {
      b.cpu.put(0x30, absent);
      EXPECT_EQ(b.cpu.get(0x34), 0u) << absent; // not available
      b.cpu.put(0x38, 8);
      b.cpu.put(0x80, 1);
      b.cpu.put(0x44, 1);
      b.cpu.put(0xc0, 1);
      EXPECT_EQ(b.cpu.get(0x44), 0u);
    }
    EXPECT_EQ(b.device->queue(QueueIndex{1})->device, test::SplitRingDriver::used_at);
  });
}

TEST(VirtioMmio, AddressesHave64Bits) {
  Bench b;
  b.run([&] {
    b.negotiate();
    b.cpu.put(0x30, 0);
    const std::uint32_t low[] = {0x80, 0x90, 0xa0};
    for (std::uint32_t r : low) {
      b.cpu.put(r, 0x1000 + r);
      b.cpu.put(r + 4, 0x55 + r);
    }
    EXPECT_EQ(b.device->queue(QueueIndex{0})->desc, 0x000000d5'00001080u);
    EXPECT_EQ(b.device->queue(QueueIndex{0})->driver, 0x000000e5'00001090u);
    EXPECT_EQ(b.device->queue(QueueIndex{0})->device, 0x000000f5'000010a0u);
  });
}

TEST(VirtioMmio, ARequestEndsWithTheInterruptUntilItIsAcknowledged) {
  Bench b;
  b.run([&] {
    b.bring_up();
    b.offer(3);
    ASSERT_EQ(b.function->chains.size(), 1u) << "handled before the doorbell's write returns";
    EXPECT_EQ(b.cpu.get(0x60), 0u);
    b.function->device().complete(*b.function->chains[0], 5);
    EXPECT_EQ(b.cpu.get(0x60), 1u);
    wait(1 * ns);
    EXPECT_TRUE(b.irq.read());
    b.cpu.put(0x64, 2); // the other bit
    wait(1 * ns);
    EXPECT_TRUE(b.irq.read());
    b.cpu.put(0x64, 1);
    wait(1 * ns);
    EXPECT_FALSE(b.irq.read());
    EXPECT_EQ(b.ring->used_idx(), 1);
  });
}

TEST(VirtioMmio, AConfigurationChangeSetsBit1) {
  Bench b;
  b.run([&] {
    b.bring_up();
    const std::uint32_t generation = b.cpu.get(0xfc);
    b.function->device().config_changed();
    EXPECT_EQ(b.cpu.get(0x60), 2u);
    b.cpu.get(0x100);
    EXPECT_NE(b.cpu.get(0xfc), generation);
  });
}

TEST(VirtioMmio, NotificationDataNamesTheQueueInItsLowHalf) {
  Bench b;
  b.run([&] {
    b.bring_up();
    b.ring->set_desc(0, 0x30'0000, 64, split::VIRTQ_DESC_F_WRITE);
    b.ring->make_available(0);
    b.ring->publish();
    b.cpu.put(0x50, 0x0001'0000); // without VIRTIO_F_NOTIFICATION_DATA: queue 65536
    EXPECT_TRUE(b.function->chains.empty());
    b.cpu.put(0x50, 0);
    EXPECT_EQ(b.function->chains.size(), 1u);
  });
}

TEST(VirtioMmio, MemoryWithoutDmiWorksToo) {
  Bench b(false, {}, 10 * ns);
  b.run([&] {
    b.bring_up();
    b.offer(3);
    EXPECT_TRUE(b.function->chains.empty());
    wait(1000 * ns);
    ASSERT_EQ(b.function->chains.size(), 1u);
    b.function->device().complete(*b.function->chains[0], 5);
    wait(1000 * ns);
    EXPECT_EQ(b.ring->used_idx(), 1);
    EXPECT_TRUE(b.irq.read());
  });
}

TEST(VirtioMmio, WritingZeroToStatusTakesUntilDmaInFlightIsDone) {
  Bench b(false, {}, 100 * ns);
  b.run([&] {
    b.bring_up(); // the first read of the available index takes 100 ns
    wait(1 * ns);
    const auto start = sc_core::sc_time_stamp();
    EXPECT_EQ(b.port.outstanding(), 1u);
    b.cpu.put(0x70, 0);
    EXPECT_EQ(sc_core::sc_time_stamp() - start, 99 * ns);
    EXPECT_EQ(b.cpu.get(0x70), 0u);
    EXPECT_EQ(b.port.outstanding(), 0u);
    EXPECT_EQ(b.cpu.get(0x44), 0u);
    b.bring_up();
    EXPECT_EQ(b.cpu.get(0x70), 0x0fu);
  });
}

TEST(VirtioMmio, AResetClearsInterruptStatusAndSelectors) {
  Bench b;
  b.run([&] {
    b.bring_up();
    b.offer(3);
    b.function->device().complete(*b.function->chains.at(0), 5);
    b.cpu.put(0x30, 1);
    b.cpu.put(0x70, 0);
    EXPECT_EQ(b.cpu.get(0x60), 0u);
    wait(1 * ns);
    EXPECT_FALSE(b.irq.read());
    EXPECT_EQ(b.cpu.get(0x34), 256u);
  });
}

TEST(VirtioMmio, QueueReadyZeroWaitsAndKeepsTheConfiguration) {
  Bench b(false, {}, 100 * ns);
  b.run([&] {
    b.bring_up();
    wait(1 * ns);
    const auto start = sc_core::sc_time_stamp();
    b.cpu.put(0x30, 0);
    b.cpu.put(0x44, 0);
    EXPECT_EQ(b.cpu.get(0x44), 0u);
    EXPECT_EQ(sc_core::sc_time_stamp() - start, 99 * ns);
    EXPECT_EQ(b.device->queue(QueueIndex{0})->desc, test::SplitRingDriver::desc_at);
  });
}

TEST(VirtioMmio, QueueResetReadsOneWhileItLasts) {
  Bench b(false, {}, 100 * ns);
  b.run([&] {
    b.bring_up(1 | 1u << (VIRTIO_F_RING_RESET - 32));
    b.cpu.put(0x30, 0);
    EXPECT_EQ(b.cpu.get(0xc0), 0u);
    b.cpu.put(0xc0, 1);
    EXPECT_EQ(b.cpu.get(0xc0), 1u);
    wait(200 * ns);
    EXPECT_EQ(b.cpu.get(0xc0), 0u);
    EXPECT_EQ(b.cpu.get(0x44), 0u);
    b.set_up_queue();
    EXPECT_EQ(b.cpu.get(0x44), 1u);
    EXPECT_EQ(b.cpu.get(0xc0), 0u);
  });
}

TEST(VirtioMmio, SharedMemoryRegionsAreFoundByTheirId) {
  Bench b(true, {.shared_memory = {{.id = 3, .base = 0x1'2345'6000, .length = 0x2'0000'1000}}});
  b.run([&] {
    b.cpu.put(0xac, 3);
    EXPECT_EQ(b.cpu.get(0xb0), 0x1000u);
    EXPECT_EQ(b.cpu.get(0xb4), 2u);
    EXPECT_EQ(b.cpu.get(0xb8), 0x2345'6000u);
    EXPECT_EQ(b.cpu.get(0xbc), 1u);
    b.cpu.put(0xac, 4);
    for (std::uint32_t r : {0xb0, 0xb4, 0xb8, 0xbc})
      EXPECT_EQ(b.cpu.get(r), ~0u);
  });
}

TEST(VirtioMmio, ConfigurationSpaceTakesEveryWidth) {
  Bench b;
  b.run([&] {
    for (unsigned i = 0; i < 8; ++i)
      b.function->config_bytes[i] = static_cast<std::byte>(i + 1);
    le64 wide;
    EXPECT_EQ(b.cpu.access(false, 0x100, &wide, 8), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(wide, 0x0807060504030201u);
    le16 half;
    EXPECT_EQ(b.cpu.access(false, 0x103, &half, 2), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(half, 0x0504);
    EXPECT_EQ(b.cpu.get(0x106), 0x0807u); // beyond the end reads as zero
    std::uint8_t byte = 0xaa;
    EXPECT_EQ(b.cpu.access(true, 0x107, &byte, 1), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(b.function->config_bytes[7], std::byte{0xaa});
    EXPECT_EQ(b.cpu.access(true, 0xfff, &byte, 1), tlm::TLM_OK_RESPONSE);
  });
}

TEST(VirtioMmio, WrongWidthsReadZeroAndWriteNothing) {
  Bench b;
  b.run([&] {
    std::uint64_t wide = ~0ull;
    EXPECT_EQ(b.cpu.access(false, 0x00, &wide, 8), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(wide, 0u);
    std::uint8_t status = 1;
    EXPECT_EQ(b.cpu.access(true, 0x70, &status, 1), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(b.cpu.get(0x70), 0u);
    std::uint32_t skew = 1;
    EXPECT_EQ(b.cpu.access(true, 0x6e, &skew, 4), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(b.cpu.get(0x70), 0u);
  });
}

TEST(VirtioMmio, EveryRegisterSurvivesAnyValue) {
  Bench b;
  b.run([&] {
    for (std::uint32_t at = 0; at < 0x100; at += 4)
      for (std::uint32_t value : {0u, 1u, 0xffu, 0xffffu, 0x10000u, 0x8000'0000u, ~0u}) {
        if (at == 0x70) continue;
        b.cpu.put(at, value);
        b.cpu.get(at);
      }
    b.cpu.put(0x70, ~0u);
    b.cpu.put(0x70, 0);
    b.bring_up();
    EXPECT_EQ(b.cpu.get(0x70), 0x0fu);
  });
}

TEST(VirtioMmio, WhatIsNoRegisterAccessGetsItsErrorResponse) {
  Bench b;
  b.run([&] {
    std::uint32_t v = 0;
    EXPECT_EQ(b.cpu.access(false, 0x1000, &v, 4), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.cpu.access(false, 0xffe, &v, 4), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.cpu.access(false, ~0ull, &v, 4), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.cpu.access(false, 0, &v, 0), tlm::TLM_BURST_ERROR_RESPONSE);
    tlm::tlm_generic_payload p;
    unsigned char enable[4] = {0xff, 0, 0, 0};
    p.set_read();
    p.set_address(0);
    p.set_data_ptr(reinterpret_cast<unsigned char*>(&v));
    p.set_data_length(4);
    p.set_streaming_width(4);
    p.set_byte_enable_ptr(enable);
    p.set_byte_enable_length(4);
    sc_core::sc_time delay;
    b.cpu.socket->b_transport(p, delay);
    EXPECT_EQ(p.get_response_status(), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  });
}

TEST(VirtioMmio, DebugReadsHaveNoSideEffects) {
  Bench b;
  b.run([&] {
    le32 v;
    tlm::tlm_generic_payload p;
    p.set_read();
    p.set_address(0);
    p.set_data_ptr(reinterpret_cast<unsigned char*>(&v));
    p.set_data_length(4);
    EXPECT_EQ(b.cpu.socket->transport_dbg(p), 4u);
    EXPECT_EQ(v, 0x74726976u);
    p.set_write();
    EXPECT_EQ(b.cpu.socket->transport_dbg(p), 0u);
  });
}

TEST(VirtioMmio, TheSimulationMayEndWithDmaInFlight) {
  Bench b(false, {}, 100 * ns);
  b.run([&] { b.bring_up(); }, 50 * ns);
  EXPECT_EQ(b.port.outstanding(), 1u);
}

// A decoupled CPU runs ahead. Timed, the device sees each of its accesses at the CPU's time.
TEST(VirtioMmio, TimedEveryAccessWaitsOutItsDelay) {
  Bench b(true, {.timed = true});
  b.run([&] {
    b.bring_up();
    struct {
      std::uint32_t at;
      bool write;
    } accesses[] = {{0x00, false}, {0x70, false}, {0x30, true}, {0x50, true}, {0x100, false}};
    for (const auto& [at, write] : accesses) {
      const auto start = sc_core::sc_time_stamp();
      b.cpu.delay = 50 * ns;
      le32 value = 0;
      EXPECT_EQ(b.cpu.access(write, at, &value, 4), tlm::TLM_OK_RESPONSE);
      EXPECT_EQ(sc_core::sc_time_stamp() - start, 50 * ns) << at;
      EXPECT_EQ(b.cpu.delay, sc_core::SC_ZERO_TIME);
    }
    const auto before = sc_core::sc_time_stamp();
    b.cpu.delay = 30 * ns;
    b.offer(3);
    EXPECT_EQ(b.sink.events.back().time, to_sim_time(before + 30 * ns));
  });
}

TEST(VirtioMmio, UntimedTheDelayStaysWithTheInitiator) {
  Bench b;
  b.run([&] {
    b.cpu.delay = 50 * ns;
    b.bring_up();
    b.offer(3);
    EXPECT_EQ(sc_core::sc_time_stamp(), sc_core::SC_ZERO_TIME);
    EXPECT_EQ(b.cpu.delay, 50 * ns);
    EXPECT_EQ(b.function->chains.size(), 1u);
  });
}

TEST(VirtioMmio, TimedAnAccessWithADelayThatCannotWaitIsReported) {
  static std::string seen;
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_DISPLAY);
  sc_core::sc_report_handler::set_handler(
      [](const sc_core::sc_report& r, const sc_core::sc_actions&) { seen = r.get_msg(); });
  Bench b(true, {.timed = true});
  sc_core::sc_spawn_options method;
  method.spawn_method();
  sc_core::sc_spawn(
      [&] {
        b.cpu.delay = 50 * ns;
        b.cpu.get(0);
        b.cpu.delay = sc_core::SC_ZERO_TIME;
        b.cpu.get(0);
      },
      "method", &method);
  b.run([] {});
  EXPECT_NE(seen.find("make it from an SC_THREAD"), std::string::npos) << seen;
}

} // namespace
} // namespace virtio::tlm2
