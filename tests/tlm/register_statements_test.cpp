// Statements about registers of both transports that no other test shows by itself.
#include "tlm/mmio_bench.hpp"
#include "tlm/pci_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::tlm2 {
namespace {

using test::MmioBench;
using test::PciBench;
using cfg = virtio_pci_common_cfg;

constexpr std::uint32_t ring_reset = 1u << (VIRTIO_F_RING_RESET - 32);

TEST(VirtioMmio, NothingIsAccessedWhileQueueReadyIsZero) {
  MmioBench b;
  b.run([&] {
    b.negotiate();
    b.cpu.put(0x70, 0x0f); // DRIVER_OK with no queue ready
    b.offer(0);
    EXPECT_TRUE(b.function->chains.empty());
    b.set_up_queue();
    ASSERT_EQ(b.function->chains.size(), 1u);
    Chain& chain = *b.function->chains[0];
    b.cpu.put(0x44, 0);
    b.function->device().complete(chain, 1); // too late
    b.offer(1);
    EXPECT_TRUE(b.function->chains.empty()) << "the one it held was aborted, no other came";
    EXPECT_EQ(b.ring->used_idx(), 0);
    EXPECT_EQ(b.cpu.get(0x60), 0u);
  });
}

TEST(VirtioMmio, AResetPutsEveryQueueBack) {
  MmioBench b;
  b.run([&] {
    b.negotiate(0, 1 | ring_reset);
    b.set_up_queue(0);
    b.set_up_queue(1);
    b.cpu.put(0x70, 0x0f);
    b.cpu.put(0x70, 0);
    for (std::uint16_t queue : {0, 1}) {
      b.cpu.put(0x30, queue);
      EXPECT_EQ(b.cpu.get(0x44), 0u);
      EXPECT_EQ(b.cpu.get(0xc0), 0u);
      EXPECT_EQ(b.device->queue(QueueIndex{queue})->desc, 0u);
      EXPECT_EQ(b.device->queue(QueueIndex{queue})->size, 256);
    }
  });
}

TEST(VirtioPci, AResetPutsEveryQueueBack) {
  PciBench bench;
  bench.assign();
  bench.go_live(ring_reset);
  bench.set_status(0);
  EXPECT_EQ(bench.status(), 0);
  for (const std::uint16_t queue : {0, 1}) {
    bench.select(queue);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_enable)), 0);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_reset)), 0);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_size)), 16);
    EXPECT_EQ(bench.common<std::uint64_t>(offsetof(cfg, queue_desc)), 0u);
  }
}

TEST(PciConfigSpace, CapLenCoversTheWholeCapability) {
  std::array<std::byte, 16> shared{};
  PciBench bench({.pci = {.shared_memory = {{1, shared}}}});
  unsigned found = 0;
  for (const auto& [id, offset] : bench.driver.capabilities()) {
    if (id != PCI_CAP_ID_VNDR) continue;
    ++found;
    const auto type = bench.driver.cfg<std::uint8_t>(offset + 3u);
    const unsigned more = type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG ? 4
                          : type == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG                          ? 8
                                                                                              : 0;
    EXPECT_EQ(bench.driver.cfg<std::uint8_t>(offset + 2u), 16 + more) << unsigned{type};
  }
  EXPECT_EQ(found, 6u);
}

TEST(PciConfigSpace, SharedMemoryIdsAreUnique) {
  std::array<std::byte, 16> first{}, second{};
  const auto build = [&](std::uint8_t id, std::uint8_t other) {
    auto* function = new test::EchoFunction;
    function->bytes.clear(); // leaves room in the capability list
    PciBench({.pci = {.msix_vectors = 0, .shared_memory = {{id, first}, {other, second}}},
              .function = function});
  };
  EXPECT_THROW(build(1, 1), std::invalid_argument);
  EXPECT_NO_THROW(build(1, 2));
}

TEST(Msix, AnyEventCanHaveAnyVector) {
  PciBench bench({.pci = {.msix_vectors = 5}});
  bench.assign();
  bench.go_live();
  for (unsigned vector = 0; vector < 5; ++vector)
    bench.set_vector(vector, 0x100 + vector);
  bench.enable_msix();
  for (std::uint16_t vector = 0; vector < 5; ++vector) {
    bench.msi.messages.clear();
    bench.set_common(offsetof(cfg, config_msix_vector), vector);
    EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, config_msix_vector)), vector);
    for (const std::uint16_t queue : {0, 1}) {
      bench.map_queue(queue, vector);
      EXPECT_EQ(bench.common<std::uint16_t>(offsetof(cfg, queue_msix_vector)), vector);
      bench.kick(queue);
    }
    bench.function->change_config(static_cast<std::uint8_t>(vector));
    bench.settle();
    ASSERT_EQ(bench.msi.messages.size(), 3u);
    for (const auto& message : bench.msi.messages)
      EXPECT_EQ(message.data, 0x100u + vector);
  }
}

TEST(Msix, AVectorMayChangeWhileItsMessageIsOnItsWay) {
  PciBench bench;
  bench.assign();
  bench.go_live();
  bench.set_vector(0, 0x100);
  bench.set_vector(1, 0x101);
  bench.enable_msix();
  bench.map_queue(0, 0);
  bench.msi.latency = sc_core::sc_time(100, sc_core::SC_NS);
  bench.kick(0);
  bench.map_queue(0, 1);
  bench.set_vector(0, 0x777);
  bench.settle(sc_core::sc_time(1, sc_core::SC_US));
  ASSERT_EQ(bench.msi.messages.size(), 1u);
  EXPECT_EQ(bench.msi.messages[0].data, 0x100u);
  bench.kick(0);
  bench.settle(sc_core::sc_time(1, sc_core::SC_US));
  ASSERT_EQ(bench.msi.messages.size(), 2u);
  EXPECT_EQ(bench.msi.messages[1].data, 0x101u);
}

} // namespace
} // namespace virtio::tlm2
