#include "tlm/pci_bench.hpp"

#include <gtest/gtest.h>

#include <array>

namespace virtio::tlm2 {
namespace {

using test::EchoFunction;
using test::PciBench;
using cfg = virtio_pci_common_cfg;

constexpr std::uint32_t ring_reset = 1u << (VIRTIO_F_RING_RESET - 32);

struct VirtioPciTest : testing::Test {
  PciBench bench;

  void SetUp() override { bench.assign(); }
  /// A write to the vendor capability with `cfg_type`, and the two accesses of its data.
  std::uint32_t window(std::uint32_t field) const {
    return bench.driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG) + field;
  }
  void aim_window(std::uint8_t bar, std::uint32_t offset, std::uint32_t length) {
    bench.driver.set_cfg<std::uint8_t>(window(4), bar);
    bench.driver.set_cfg<std::uint32_t>(window(8), offset);
    bench.driver.set_cfg<std::uint32_t>(window(12), length);
  }
};

// --- common configuration ------------------------------------------------------------------------

TEST_F(VirtioPciTest, FeaturesShowInWordsOf32BitsAndAreZeroBeyondTheLast) {
  const auto offered = [&](std::uint32_t select) {
    bench.set_common(offsetof(cfg, device_feature_select), select);
    EXPECT_EQ(bench.common<std::uint32_t>(offsetof(cfg, device_feature_select)), select);
    return bench.common<std::uint32_t>(offsetof(cfg, device_feature));
  };
  EXPECT_EQ(offered(0) & 0x00ff'ffffu, 0x21u); // bits 0 to 23 are the device type's
  EXPECT_EQ(offered(1) & 1u, 1u);
  for (const std::uint32_t select : {4u, 5u, 0x8000'0000u, 0xffff'ffffu})
    EXPECT_EQ(offered(select), 0u);
}

TEST_F(VirtioPciTest, DriverFeaturesReadBackByWord) {
  bench.set_status(3);
  const auto accept = [&](std::uint32_t select, std::uint32_t value) {
    bench.set_common(offsetof(cfg, driver_feature_select), select);
    bench.set_common(offsetof(cfg, driver_feature), value);
  };
  accept(0, 0x20);
  accept(1, 1);
  accept(77, 0xffff'ffff);
  EXPECT_EQ(bench.common<std::uint32_t>(offsetof(cfg, driver_feature)), 0u);
  bench.set_common<std::uint32_t>(offsetof(cfg, driver_feature_select), 0);
  EXPECT_EQ(bench.common<std::uint32_t>(offsetof(cfg, driver_feature)), 0x20u);
  bench.set_status(11);
  EXPECT_EQ(bench.status(), 11);
}

TEST_F(VirtioPciTest, AQueueThatDoesNotExistReadsAsZero) {
  for (const std::uint16_t queue : {2, 3, 0xffff}) {
    bench.select(queue);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_select)), queue);
    std::array<std::uint8_t, 0x40 - 0x18> bytes;
    bench.memory.access(tlm::TLM_WRITE_COMMAND, PciBench::structures_at + 0x18, bytes.data(), 40);
    bytes.fill(0xee);
    bench.memory.access(tlm::TLM_READ_COMMAND, PciBench::structures_at + 0x18, bytes.data(), 40);
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 0), 40) << queue;
  }
}

TEST_F(VirtioPciTest, AQueueIsSetUpEnabledAndStaysEnabled) {
  bench.negotiate();
  bench.select(1);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_size)), 16);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_notify_off)), 1);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_size), 8);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_size)), 8);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_enable), 2);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_enable)), 0);
  bench.enable(1);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_enable)), 1);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_enable), 0); // ignored
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_enable)), 1);
}

TEST_F(VirtioPciTest, AddressesAreTakenInHalvesAndInOnePiece) {
  for (const auto field :
       {offsetof(cfg, queue_desc), offsetof(cfg, queue_driver), offsetof(cfg, queue_device)}) {
    bench.set_common<std::uint32_t>(field, 0x5566'7788);
    bench.set_common<std::uint32_t>(field + 4, 0x1122'3344);
    EXPECT_EQ(bench.common<std::uint64_t>(field), 0x1122'3344'5566'7788u);
    bench.set_common<std::uint64_t>(field, 0xa1a2'a3a4'a5a6'a7a8);
    EXPECT_EQ(bench.common<std::uint32_t>(field), 0xa5a6'a7a8u);
    EXPECT_EQ(bench.common<std::uint32_t>(field + 4), 0xa1a2'a3a4u);
  }
}

TEST_F(VirtioPciTest, AccessesOfTheWrongWidthReachTheBytesTheyCover) {
  bench.set_common<std::uint32_t>(offsetof(cfg, queue_desc), 0x1111'1111);
  bench.set_common<std::uint8_t>(offsetof(cfg, queue_desc) + 1, 0xab);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_desc) + 2, 0xcdef);
  EXPECT_EQ(bench.common<std::uint32_t>(offsetof(cfg, queue_desc)), 0xcdef'ab11u);
  EXPECT_EQ(bench.common<std::uint8_t>(offsetof(cfg, queue_desc) + 3), 0xcd);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_desc) + 1), 0xefab); // not aligned
  // config_msix_vector and num_queues at once: the second is read-only.
  bench.set_common<std::uint32_t>(offsetof(cfg, config_msix_vector), 0x0009'0002);
  EXPECT_EQ(bench.common<std::uint32_t>(offsetof(cfg, config_msix_vector)), 0x0003'0002u);
  // The whole structure, and what lies behind it.
  std::array<std::uint8_t, 0x60> bytes;
  bytes.fill(0xee);
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, PciBench::structures_at, bytes.data(), 0x60),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(bytes[0x21], 0xab);
  EXPECT_EQ(std::count(bytes.begin() + 0x40, bytes.end(), 0), 0x20);
}

TEST_F(VirtioPciTest, WritingEveryByteOfEveryWidthIsHarmless) {
  for (const unsigned width : {1u, 2u, 4u, 8u, 3u, 64u})
    for (std::uint32_t offset = 0; offset < 0x4000 - width; offset += width == 1 ? 1 : 5) {
      std::array<std::uint8_t, 64> bytes;
      bytes.fill(static_cast<std::uint8_t>(offset * 37 + width));
      const auto address = PciBench::structures_at + offset;
      EXPECT_EQ(bench.memory.access(tlm::TLM_WRITE_COMMAND, address, bytes.data(), width),
                tlm::TLM_OK_RESPONSE);
      EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, address, bytes.data(), width),
                tlm::TLM_OK_RESPONSE);
    }
  bench.set_status(0);
  bench.go_live();
  bench.kick(0);
  EXPECT_EQ(bench.used_idx(0), 1);
}

TEST_F(VirtioPciTest, ADebugReadOfTheIsrDoesNotClearIt) {
  bench.go_live();
  bench.kick(0);
  std::uint8_t value = 0;
  EXPECT_EQ(bench.memory.debug(tlm::TLM_READ_COMMAND, bench.isr_address(), &value, 1), 1u);
  EXPECT_EQ(value, 1);
  EXPECT_EQ(bench.isr(), 1);
}

// --- device-specific configuration ---------------------------------------------------------------

TEST_F(VirtioPciTest, TheGenerationChangesWhenAChangedConfigurationIsRead) {
  const auto config = bench.driver.structure(VIRTIO_PCI_CAP_DEVICE_CFG);
  const auto generation = [&] {
    return bench.common<std::uint8_t>(offsetof(cfg, config_generation));
  };
  const auto before = generation();
  for (int i = 0; i < 256; ++i) // as often as the register has values
    bench.function->change_config(5);
  EXPECT_EQ(bench.memory.read<std::uint8_t>(config), 5);
  EXPECT_NE(generation(), before);
}

TEST_F(VirtioPciTest, DeviceConfigurationTakesEveryWidthAndEndsWhereItEnds) {
  const auto config = bench.driver.structure(VIRTIO_PCI_CAP_DEVICE_CFG);
  bench.memory.write<std::uint64_t>(config, 0x8877'6655'4433'2211);
  EXPECT_EQ(bench.memory.read<std::uint16_t>(config + 1), 0x3322);
  EXPECT_EQ(bench.function->bytes[7], std::byte{0x88});
  bench.memory.write<std::uint64_t>(config + 8, ~0ull);
  EXPECT_EQ(bench.memory.read<std::uint64_t>(config + 8), 0x0000'0000'ffff'ffffu);
}

// --- notifications -------------------------------------------------------------------------------

TEST_F(VirtioPciTest, ADoorbellCompletesABufferBeforeTheWriteReturns) {
  bench.go_live();
  bench.kick(1);
  EXPECT_EQ(bench.used_idx(1), 1);
  EXPECT_EQ(bench.used_idx(0), 0);
}

TEST_F(VirtioPciTest, TheAddressOfADoorbellDecidesAndNotItsValue) {
  bench.go_live();
  bench.offer(1);
  const auto notify = bench.driver.structure(VIRTIO_PCI_CAP_NOTIFY_CFG);
  bench.memory.write<std::uint16_t>(notify + 4, 0);
  EXPECT_EQ(bench.used_idx(1), 1);
  bench.memory.write<std::uint16_t>(notify + 8, 2); // does not exist
  EXPECT_EQ(bench.memory.read<std::uint32_t>(notify), 0u);
}

TEST(VirtioPci, WithoutAMultiplierTheValueOfADoorbellDecides) {
  PciBench bench({.pci = {.notify_off_multiplier = 0}});
  bench.assign();
  bench.go_live();
  bench.offer(1);
  const auto notify = bench.driver.structure(VIRTIO_PCI_CAP_NOTIFY_CFG);
  bench.memory.write<std::uint16_t>(notify, 1);
  EXPECT_EQ(bench.used_idx(1), 1);
}

TEST(VirtioPci, ADoorbellWithNotificationDataSaysWhereTheRingStands) {
  PciBench bench({.device = {.name = "dut", .transport_features = {VIRTIO_F_NOTIFICATION_DATA}}});
  bench.assign();
  bench.go_live(1u << (VIRTIO_F_NOTIFICATION_DATA - 32));
  const auto notify = bench.driver.structure(VIRTIO_PCI_CAP_NOTIFY_CFG);
  bench.memory.write<std::uint32_t>(notify + 4, 0x9234'0001);
  bench.memory.write<std::uint16_t>(notify + 4, 1); // a driver's mistake: taken without data
  std::vector<std::pair<std::uint16_t, std::uint32_t>> doorbells;
  for (const Event& event : bench.events.events)
    if (event.kind == EventKind::doorbell) doorbells.emplace_back(event.queue, event.id);
  EXPECT_EQ(doorbells, (std::vector<std::pair<std::uint16_t, std::uint32_t>>{{1, 0x1234}, {1, 0}}));
}

class VirtioPciNotifConfigData : public testing::TestWithParam<std::uint32_t> {
protected:
  /// The value that names queue 1 in notifications, on a bench where it is 0x4201.
  static constexpr std::uint16_t data = 0x4201;
  PciBench bench{
      {.pci = {.notify_off_multiplier = GetParam(), .notif_config_data_base = 0x4200},
       .device = {.name = "dut",
                  .transport_features = {VIRTIO_F_NOTIF_CONFIG_DATA, VIRTIO_F_NOTIFICATION_DATA}}}};
  std::uint16_t read_data(std::uint16_t queue) {
    bench.select(queue);
    return bench.common<std::uint16_t>(offsetof(PciBench::cfg, queue_notif_config_data));
  }
  std::uint64_t doorbell() {
    return bench.driver.structure(VIRTIO_PCI_CAP_NOTIFY_CFG) + GetParam();
  }
};
INSTANTIATE_TEST_SUITE_P(OneAddressOrOneEach, VirtioPciNotifConfigData, testing::Values(0, 4));

TEST_P(VirtioPciNotifConfigData, NamesTheQueueOnceNegotiated) {
  bench.assign();
  EXPECT_EQ(read_data(1), 0u) << "the field does not exist yet";
  bench.go_live(1u << (VIRTIO_F_NOTIF_CONFIG_DATA - 32));
  EXPECT_EQ(read_data(0), 0x4200);
  EXPECT_EQ(read_data(1), data);
  EXPECT_EQ(read_data(2), 0u) << "there is no such queue";
  bench.select(1);
  bench.set_common<std::uint16_t>(offsetof(PciBench::cfg, queue_notif_config_data), 7);
  EXPECT_EQ(read_data(1), data) << "read-only";
  bench.offer(1);
  bench.memory.write<std::uint16_t>(doorbell(), data);
  EXPECT_EQ(bench.used_idx(1), 1);
  EXPECT_EQ(bench.used_idx(0), 0);
}

TEST_P(VirtioPciNotifConfigData, ComesWithNotificationData) {
  bench.assign();
  bench.go_live(1u << (VIRTIO_F_NOTIF_CONFIG_DATA - 32) | 1u << (VIRTIO_F_NOTIFICATION_DATA - 32));
  bench.offer(1);
  bench.memory.write<std::uint32_t>(doorbell(), 0x8001'0000u | data);
  EXPECT_EQ(bench.used_idx(1), 1);
  const auto& events = bench.events.events;
  const auto rung = std::ranges::find(events, EventKind::doorbell, &Event::kind);
  ASSERT_NE(rung, events.end());
  EXPECT_EQ(rung->queue, 1);
  EXPECT_EQ(rung->id, 1u);
}

TEST_P(VirtioPciNotifConfigData, IsTheIndexAgainWithoutTheFeature) {
  bench.assign();
  bench.go_live();
  EXPECT_EQ(read_data(1), 0u);
  bench.offer(1);
  bench.memory.write<std::uint16_t>(doorbell(), 1);
  EXPECT_EQ(bench.used_idx(1), 1);
}

TEST(VirtioPci, NotifConfigDataIsNotOfferedUnlessAskedFor) {
  PciBench bench;
  EXPECT_FALSE(bench.device.offered().has(VIRTIO_F_NOTIF_CONFIG_DATA));
}

// --- INTx ----------------------------------------------------------------------------------------

TEST_F(VirtioPciTest, AUsedBufferAssertsTheLineUntilTheIsrIsRead) {
  bench.go_live();
  bench.kick(0);
  bench.settle();
  EXPECT_TRUE(bench.intx.read());
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x06) & 8, 8);
  EXPECT_EQ(bench.isr(), isr_queue_interrupt);
  bench.settle();
  EXPECT_FALSE(bench.intx.read());
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x06) & 8, 0);
  EXPECT_EQ(bench.isr(), 0);
}

TEST_F(VirtioPciTest, OneInterruptCanHaveBothReasons) {
  bench.go_live();
  bench.kick(0);
  bench.function->change_config(1);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(bench.isr_address()), 3u);
}

TEST_F(VirtioPciTest, InterruptDisableHoldsTheLineButNotTheStatus) {
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0406);
  bench.go_live();
  bench.kick(0);
  bench.settle();
  EXPECT_FALSE(bench.intx.read());
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x06) & 8, 8);
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0006);
  bench.settle();
  EXPECT_TRUE(bench.intx.read());
}

TEST_F(VirtioPciTest, EnablingMsixTakesTheLineDown) {
  bench.go_live();
  bench.kick(0);
  bench.settle();
  EXPECT_TRUE(bench.intx.read());
  bench.enable_msix();
  bench.settle();
  EXPECT_FALSE(bench.intx.read());
}

TEST_F(VirtioPciTest, AResetTakesTheLineDown) {
  bench.go_live();
  bench.kick(0);
  bench.set_status(0);
  bench.settle();
  EXPECT_FALSE(bench.intx.read());
  EXPECT_EQ(bench.isr(), 0);
}

// --- the window in configuration space -----------------------------------------------------------

TEST_F(VirtioPciTest, TheWindowReachesTheStructuresWithoutAnyBarMapped) {
  bench.driver.set_cfg<std::uint16_t>(0x04, 0);
  aim_window(4, offsetof(cfg, num_queues), 2);
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(window(16)), 3u);
  aim_window(4, offsetof(cfg, device_status), 1);
  bench.driver.set_cfg<std::uint32_t>(window(16), 0xffff'ff01); // the first byte counts
  EXPECT_EQ(bench.driver.cfg<std::uint8_t>(window(16)), 1);
  aim_window(4, offsetof(cfg, queue_desc), 4);
  bench.driver.set_cfg<std::uint32_t>(window(16), 0x1234'5678);
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(window(16)), 0x1234'5678u);
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(window(18)), 0x1234);
}

TEST_F(VirtioPciTest, TheWindowHasTheSideEffectsOfTheRegister) {
  bench.go_live();
  bench.kick(0);
  const auto isr = static_cast<std::uint32_t>(bench.isr_address() - PciBench::structures_at);
  aim_window(4, isr, 1);
  std::uint32_t data = 0;
  EXPECT_EQ(bench.config.debug(tlm::TLM_READ_COMMAND, window(16), &data, 4), 4u);
  EXPECT_EQ(data, 1u);
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(window(16)), 1u);
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(window(16)), 0u);
  bench.offer(0);
  const auto at = bench.driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
  aim_window(4, bench.driver.cfg<std::uint32_t>(at + 8u), 2);
  bench.driver.set_cfg<std::uint16_t>(window(16), 0);
  EXPECT_EQ(bench.used_idx(0), 2);
}

TEST_F(VirtioPciTest, AWindowThatIsNotOneAlignedAccessWithinAStructureReadsZeroAndWritesNothing) {
  struct Case {
    std::uint8_t bar;
    std::uint32_t offset;
    std::uint32_t length;
  };
  bench.set_status(1);
  for (const auto& [bar, offset, length] :
       {Case{4, 0x14, 0}, Case{4, 0x14, 3}, Case{4, 0x14, 8}, Case{4, 0x14, 0xffff'ffff},
        Case{4, 0x13, 2}, Case{4, 0x12, 4}, Case{5, 0x14, 1}, Case{6, 0x14, 1}, Case{0xff, 0x14, 1},
        Case{1, 8, 4}, Case{0, 0, 4}, Case{4, 0x40, 4}, Case{4, 0xfff, 1}, Case{4, 0x4000, 4},
        Case{4, 0xffff'fffc, 4}}) {
    aim_window(bar, offset, length);
    bench.driver.set_cfg<std::uint32_t>(window(16), 0xffff'ffff);
    EXPECT_EQ(bench.driver.cfg<std::uint32_t>(window(16)), 0u)
        << int{bar} << " " << offset << " " << length;
  }
  EXPECT_EQ(bench.status(), 1);
}

TEST(VirtioPci, TheWindowReachesSharedMemoryUpToItsEnd) {
  std::array<std::byte, 6> shared{std::byte{1}, std::byte{2}, std::byte{3},
                                  std::byte{4}, std::byte{5}, std::byte{6}};
  PciBench bench({.pci = {.shared_memory = {{0, shared}}}});
  const auto window = bench.driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);
  const auto read = [&](std::uint32_t offset, std::uint32_t length) {
    bench.driver.set_cfg<std::uint8_t>(window + 4u, 2);
    bench.driver.set_cfg<std::uint32_t>(window + 8u, offset);
    bench.driver.set_cfg<std::uint32_t>(window + 12u, length);
    return bench.driver.cfg<std::uint32_t>(window + 16u);
  };
  EXPECT_EQ(read(0, 4), 0x0403'0201u);
  EXPECT_EQ(read(4, 2), 0x0605u);
  EXPECT_EQ(read(4, 4), 0u);
  EXPECT_EQ(read(6, 1), 0u);
}

// --- resets --------------------------------------------------------------------------------------

struct VirtioPciResetTest : testing::Test {
  PciBench bench{{.dma = {.protocol = DmaProtocol::lt, .timed = true},
                  .ram_latency = sc_core::sc_time(100, sc_core::SC_NS)}};
  sc_core::sc_time long_enough{10, sc_core::SC_US};

  void SetUp() override {
    bench.assign();
    bench.go_live(ring_reset);
    bench.settle(long_enough);
  }
  void initiate_function_level_reset() {
    bench.driver.set_cfg<std::uint16_t>(bench.driver.find(0x10) + 8u, 0x8000);
  }
  std::uint16_t queue_reset() { return bench.common<std::uint16_t>(offsetof(cfg, queue_reset)); }
  std::uint16_t queue_enable() { return bench.common<std::uint16_t>(offsetof(cfg, queue_enable)); }
};

TEST_F(VirtioPciResetTest, AQueueResetWaitsForItsMemoryAccessesAndStopsTheQueue) {
  bench.kick(0);
  EXPECT_GT(bench.port.outstanding(), 0u);
  bench.select(0);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_reset), 1);
  EXPECT_EQ(queue_reset(), 1);
  bench.settle(long_enough);
  EXPECT_EQ(queue_reset(), 0);
  EXPECT_EQ(queue_enable(), 0);
  EXPECT_EQ(bench.common<std::uint64_t>(offsetof(cfg, queue_desc)), 0u);
  EXPECT_EQ(bench.used_idx(0), 0);
  bench.kick(0);
  bench.kick(1); // the others go on
  bench.settle(long_enough);
  EXPECT_EQ(bench.used_idx(0), 0);
  EXPECT_EQ(bench.used_idx(1), 1);
}

TEST_F(VirtioPciResetTest, AQueueThatWasResetCanBeEnabledAgain) {
  bench.select(0);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_reset), 1);
  bench.settle(long_enough);
  bench.enable(0);
  EXPECT_EQ(queue_enable(), 1);
  EXPECT_EQ(queue_reset(), 0);
  bench.kick(0);
  bench.settle(long_enough);
  EXPECT_EQ(bench.used_idx(0), 1);
}

TEST_F(VirtioPciResetTest, WithoutTheFeatureThereIsNoQueueReset) {
  bench.set_status(0);
  bench.go_live();
  bench.select(0);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_reset), 1);
  EXPECT_EQ(queue_reset(), 0);
  EXPECT_EQ(queue_enable(), 1);
}

TEST_F(VirtioPciResetTest, TheStatusReadsNonZeroUntilNothingIsInFlight) {
  bench.kick(0);
  bench.set_status(0);
  EXPECT_EQ(bench.status(), 15);
  bench.settle(long_enough);
  EXPECT_EQ(bench.status(), 0);
  EXPECT_EQ(bench.used_idx(0), 0);
}

TEST_F(VirtioPciResetTest, AFunctionLevelResetBringsEverythingBackToPowerOn) {
  bench.enable_msix();
  bench.set_vector(0, 42);
  initiate_function_level_reset();
  bench.settle();
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x04), 0);
  EXPECT_EQ(bench.driver.bar_address(4), 0u);
  EXPECT_EQ(bench.driver.bar_address(1), 0u);
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(bench.msix_control()) & 0xc000, 0);
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(bench.driver.find(0x10) + 8u) & 0x8000, 0);
  EXPECT_EQ(bench.device.status(), 0);
  bench.assign();
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::msix_at + 8), 0u);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::msix_at + 12), 1u);
  EXPECT_EQ(bench.status(), 0);
  bench.select(0);
  EXPECT_EQ(queue_enable(), 0);
}

TEST_F(VirtioPciResetTest, AFunctionLevelResetEndsWhenNothingIsInFlight) {
  bench.kick(0);
  initiate_function_level_reset();
  const auto express = bench.driver.find(0x10);
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(express + 10u) & 0x20, 0x20); // transactions pending
  bench.driver.set_cfg<std::uint8_t>(0x3c, 7);                            // discarded meanwhile
  EXPECT_EQ(bench.driver.cfg<std::uint8_t>(0x3c), 0);
  bench.settle(long_enough);
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(express + 10u) & 0x20, 0);
  bench.driver.set_cfg<std::uint8_t>(0x3c, 7);
  EXPECT_EQ(bench.driver.cfg<std::uint8_t>(0x3c), 7);
  EXPECT_EQ(bench.used_idx(0), 0);
  // And the driver can begin afresh: the ring still holds its buffer.
  bench.assign();
  bench.go_live();
  bench.settle(long_enough);
  EXPECT_EQ(bench.used_idx(0), 1);
}

TEST_F(VirtioPciResetTest, AFunctionLevelResetEndsTheDeviceResetThatWasUnderWay) {
  bench.kick(0);
  bench.set_status(0);
  initiate_function_level_reset();
  bench.settle(long_enough);
  bench.assign();
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x04), 6);
  bench.go_live();
  EXPECT_EQ(bench.status(), 15);
}

TEST_F(VirtioPciResetTest, BusMasteringSwitchedOffStopsWhatHasNotLeftYet) {
  bench.kick(0);
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0002);
  bench.settle(long_enough);
  EXPECT_EQ(bench.used_idx(0), 0);
  EXPECT_NE(bench.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
}

TEST(VirtioPci, BusMasteringSwitchedOffHoldsBackWhatWaitsForItsTurn) {
  PciBench bench({.dma = {.protocol = DmaProtocol::lt}});
  bench.assign();
  bench.negotiate();
  bench.select(1);
  bench.set_common<std::uint64_t>(offsetof(cfg, queue_desc), PciBench::ram_base);
  bench.set_common<std::uint64_t>(offsetof(cfg, queue_driver), PciBench::msi_base);
  bench.set_common<std::uint64_t>(offsetof(cfg, queue_device), PciBench::ram_base + 0x1000);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_enable), 1);
  bench.set_status(15); // reads the available indices
  EXPECT_GT(bench.port.outstanding(), 0u);
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0002);
  bench.settle();
  EXPECT_EQ(bench.port.outstanding(), 0u);
  EXPECT_EQ(bench.msi.transactions, 0u);
}

TEST(VirtioPci, TimedEveryAccessWaitsOutItsDelay) {
  PciBench bench({.pci = {.timed = true}});
  bench.assign();
  const sc_core::sc_time ahead(50, sc_core::SC_NS);
  struct {
    bool config;
    tlm::tlm_command command;
    std::uint64_t address;
  } accesses[] = {{true, tlm::TLM_READ_COMMAND, 0x10},
                  {true, tlm::TLM_WRITE_COMMAND, 0x3c},
                  {false, tlm::TLM_READ_COMMAND, PciBench::structures_at + 0x14},
                  {false, tlm::TLM_WRITE_COMMAND, PciBench::structures_at + 0x14}};
  sc_core::sc_spawn([&] {
    for (const auto& [config, command, address] : accesses) {
      tlm::tlm_generic_payload transaction;
      std::uint8_t value = 1;
      bench.memory.fill(transaction, command, address, &value, 1);
      const auto start = sc_core::sc_time_stamp();
      sc_core::sc_time left = ahead;
      (config ? bench.config : bench.memory).socket->b_transport(transaction, left);
      EXPECT_EQ(sc_core::sc_time_stamp() - start, ahead);
      EXPECT_EQ(left, sc_core::SC_ZERO_TIME);
    }
  });
  bench.settle(sc_core::sc_time(1, sc_core::SC_US));
  EXPECT_EQ(bench.status(), 1);
}

} // namespace
} // namespace virtio::tlm2
