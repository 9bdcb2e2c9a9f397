#include "tlm/pci_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::tlm2 {
namespace {

using test::MessageSink;
using test::PciBench;
using cfg = virtio_pci_common_cfg;
using Messages = std::vector<MessageSink::Message>;

constexpr std::uint64_t target = PciBench::msi_base + 0x40;
constexpr auto queue_msix_vector = offsetof(cfg, queue_msix_vector);
constexpr auto config_msix_vector = offsetof(cfg, config_msix_vector);

/// Queue 0 uses vector 1, queue 1 vector 2, configuration changes vector 0.
struct MsixTest : testing::Test {
  PciBench bench{{.pci = {.msix_vectors = 3}}};

  void SetUp() override {
    bench.assign();
    bench.negotiate(1u << (VIRTIO_F_RING_RESET - 32));
    for (unsigned vector = 0; vector < 3; ++vector)
      bench.set_vector(vector, 0x100 + vector);
    bench.enable_msix();
    bench.set_common<std::uint16_t>(config_msix_vector, 0);
    bench.map_queue(0, 1);
    bench.map_queue(1, 2);
    bench.enable(0);
    bench.enable(1);
    bench.set_status(15);
  }
  void kick(std::uint16_t queue) {
    bench.kick(queue);
    bench.settle();
  }
};

TEST_F(MsixTest, AUsedBufferSendsTheMessageOfItsQueuesVector) {
  kick(1);
  EXPECT_EQ(bench.used_idx(1), 1);
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x102}}));
  kick(0);
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x102}, {target, 0x101}}));
}

TEST_F(MsixTest, AConfigurationChangeSendsItsMessageAndSetsItsIsrBit) {
  bench.function->change_config(1);
  bench.settle();
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x100}}));
  EXPECT_EQ(bench.isr(), isr_device_configuration_interrupt);
}

TEST_F(MsixTest, TheLineAndTheQueueInterruptBitAreUnusedWhileMsixIsEnabled) {
  kick(0);
  bench.function->change_config(1);
  bench.settle();
  EXPECT_FALSE(bench.intx.read());
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(0x06) & 8, 0);
  EXPECT_EQ(bench.isr() & isr_queue_interrupt, 0);
}

TEST_F(MsixTest, AMaskedVectorWaitsInItsPendingBitUntilItIsUnmasked) {
  bench.mask_vector(1, true);
  kick(0);
  kick(0);
  EXPECT_TRUE(bench.msi.messages.empty());
  EXPECT_EQ(bench.pending_bits(), 0b010u);
  bench.mask_vector(1, false);
  bench.settle();
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x101}}));
  EXPECT_EQ(bench.pending_bits(), 0u);
}

TEST_F(MsixTest, TheFunctionMaskHoldsEveryVectorBack) {
  bench.enable_msix(true);
  kick(0);
  kick(1);
  EXPECT_EQ(bench.pending_bits(), 0b110u);
  bench.mask_vector(2, true);
  bench.enable_msix(false);
  bench.settle();
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x101}}));
  EXPECT_EQ(bench.pending_bits(), 0b100u);
}

TEST_F(MsixTest, ADriverChangesTheMessageOfAVectorWhileItIsMasked) {
  bench.mask_vector(1, true);
  kick(0);
  bench.set_vector(1, 0x777); // leaves it unmasked
  bench.settle();
  EXPECT_EQ(bench.msi.messages, (Messages{{target, 0x777}}));
}

TEST_F(MsixTest, NoVectorMeansNoMessage) {
  bench.map_queue(0, VIRTIO_MSI_NO_VECTOR);
  bench.set_common<std::uint16_t>(config_msix_vector, VIRTIO_MSI_NO_VECTOR);
  kick(0);
  bench.function->change_config(1);
  bench.settle();
  EXPECT_EQ(bench.used_idx(0), 1);
  EXPECT_TRUE(bench.msi.messages.empty());
  EXPECT_EQ(bench.pending_bits(), 0u);
}

TEST_F(MsixTest, AVectorThatDoesNotExistReadsBackAsNoVector) {
  bench.map_queue(0, 2);
  EXPECT_EQ(bench.common<std::uint16_t>(queue_msix_vector), 2);
  bench.map_queue(0, 3);
  EXPECT_EQ(bench.common<std::uint16_t>(queue_msix_vector), VIRTIO_MSI_NO_VECTOR);
  bench.set_common<std::uint16_t>(config_msix_vector, 0x7ff);
  EXPECT_EQ(bench.common<std::uint16_t>(config_msix_vector), VIRTIO_MSI_NO_VECTOR);
}

TEST_F(MsixTest, AResetUnmapsEveryEventAndDropsWhatIsPending) {
  bench.mask_vector(1, true);
  kick(0);
  bench.set_status(0);
  EXPECT_EQ(bench.status(), 0);
  EXPECT_EQ(bench.pending_bits(), 0u);
  EXPECT_EQ(bench.common<std::uint16_t>(config_msix_vector), VIRTIO_MSI_NO_VECTOR);
  bench.select(0);
  EXPECT_EQ(bench.common<std::uint16_t>(queue_msix_vector), VIRTIO_MSI_NO_VECTOR);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::msix_at + 16 + 8), 0x101u); // PCI's own
}

TEST_F(MsixTest, AQueueResetDropsItsPendingMessageUnlessItIsSomebodyElsesToo) {
  const auto reset_queue_0 = [&] {
    bench.select(0);
    bench.set_common<std::uint16_t>(offsetof(cfg, queue_reset), 1);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_reset)), 0);
  };
  bench.mask_vector(1, true);
  kick(0);
  reset_queue_0();
  EXPECT_EQ(bench.pending_bits(), 0u);

  bench.map_queue(0, 2);
  bench.mask_vector(2, true);
  kick(1);
  reset_queue_0();
  EXPECT_EQ(bench.pending_bits(), 0b100u);
}

TEST_F(MsixTest, NothingLeavesWithoutBusMastering) {
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0002);
  kick(0);
  EXPECT_EQ(bench.used_idx(0), 0);
  EXPECT_TRUE(bench.msi.messages.empty());
  EXPECT_NE(bench.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET, 0);
  // After a reset with bus mastering on, everything works again.
  bench.driver.set_cfg<std::uint16_t>(0x04, 0x0006);
  bench.set_status(0);
  EXPECT_EQ(bench.status(), 0);
}

TEST_F(MsixTest, TheTableTakesAccessesOfEveryWidth) {
  const auto entry = PciBench::msix_at + 16;
  bench.memory.write<std::uint64_t>(entry, 0x1122'3344'5566'7788);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(entry), 0x5566'7788u);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(entry + 4), 0x1122'3344u);
  bench.memory.write<std::uint32_t>(entry, 0xffff'ffff);
  EXPECT_EQ(bench.memory.read<std::uint64_t>(entry), 0x1122'3344'ffff'fffcu);
  bench.memory.write<std::uint64_t>(entry + 8, 0xffff'fffe'1234'5678);
  EXPECT_EQ(bench.memory.read<std::uint64_t>(entry + 8), 0x0000'0000'1234'5678u);
  bench.memory.write<std::uint8_t>(entry + 9, 0xab);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(entry + 8), 0x1234'ab78u);
  EXPECT_EQ(bench.memory.read<std::uint16_t>(entry + 9), 0x34ab);
}

TEST_F(MsixTest, PendingBitsAndTheRestOfTheBarAreReadOnly) {
  std::array<std::uint8_t, 0x1000> bytes;
  bytes.fill(0xff);
  EXPECT_EQ(bench.memory.access(tlm::TLM_WRITE_COMMAND, PciBench::msix_at + 48, bytes.data(), 4048),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, PciBench::msix_at + 48, bytes.data(), 4048),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(std::count(bytes.begin(), bytes.begin() + 4048, 0), 4048);
}

TEST_F(MsixTest, AMessageToNowhereIsLostAndHarmless) {
  bench.memory.write<std::uint64_t>(PciBench::msix_at + 16, 0xffff'ffff'ffff'fffc);
  kick(0);
  EXPECT_EQ(bench.used_idx(0), 1);
  kick(1);
  EXPECT_EQ(bench.msi.messages.size(), 1u);
  EXPECT_EQ(bench.status(), 15);
}

TEST_F(MsixTest, AResetIsNotOverWhileAMessageIsOnItsWay) {
  bench.msi.latency = sc_core::sc_time(100, sc_core::SC_NS);
  kick(0);
  bench.set_status(0);
  EXPECT_EQ(bench.status(), 15);
  bench.settle(sc_core::sc_time(200, sc_core::SC_NS));
  EXPECT_EQ(bench.status(), 0);
  EXPECT_EQ(bench.msi.messages.size(), 1u);
}

TEST_F(MsixTest, AQueueResetIsNotOverWhileItsMessageIsOnItsWay) {
  bench.msi.latency = sc_core::sc_time(100, sc_core::SC_NS);
  kick(0);
  bench.select(0);
  bench.set_common<std::uint16_t>(offsetof(cfg, queue_reset), 1);
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_reset)), 1);
  bench.settle(sc_core::sc_time(200, sc_core::SC_NS));
  EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_reset)), 0);
}

TEST_F(MsixTest, AResetGivesUpOnAMessageThatIsNeverAnswered) {
  bench.msi.latency = sc_core::sc_time(10, sc_core::SC_SEC);
  kick(0);
  bench.set_status(0);
  bench.settle(sc_core::sc_time(99, sc_core::SC_MS));
  EXPECT_NE(bench.status(), 0);
  bench.settle(sc_core::sc_time(2, sc_core::SC_MS));
  EXPECT_EQ(bench.status(), 0);
}

TEST(Msix, TheTableSizeIsTheNumberOfVectors) {
  PciBench bench({.pci = {.msix_vectors = 2048}});
  bench.assign();
  EXPECT_EQ(bench.driver.cfg<std::uint16_t>(bench.msix_control()), 2047);
  bench.set_vector(2047, 42);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::msix_at + 16 * 2047 + 8), 42u);
  const auto at = bench.driver.find(0x11);
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(at + 4u), 1u);          // table: BAR1, 0
  EXPECT_EQ(bench.driver.cfg<std::uint32_t>(at + 8u), 0x8000u | 1); // pending bits
}

TEST(Msix, AFunctionMayHaveNone) {
  PciBench bench({.pci = {.msix_vectors = 0}});
  bench.assign();
  EXPECT_EQ(bench.driver.find(0x11), 0);
  bench.go_live();
  bench.map_queue(0, 0);
  EXPECT_EQ(bench.common<std::uint16_t>(queue_msix_vector), VIRTIO_MSI_NO_VECTOR);
  bench.kick(0);
  bench.settle();
  EXPECT_TRUE(bench.intx.read());
}

TEST(Msix, VectorsAreMaskedAfterPowerOn) {
  PciBench bench;
  bench.assign();
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::msix_at + 12), 1u);
}

} // namespace
} // namespace virtio::tlm2
