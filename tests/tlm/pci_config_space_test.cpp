#include "tlm/pci_bench.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>

namespace virtio::tlm2 {
namespace {

using test::PciBench;

struct PciConfigSpaceTest : testing::Test {
  std::array<std::byte, 0x1800> shared{};
  PciBench bench{{.pci = {.msix_vectors = 5, .shared_memory = {{7, shared}}}}};
  const test::PciAccess& driver = bench.driver;
};

TEST_F(PciConfigSpaceTest, IdentifiesAModernVirtioDevice) {
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x00), 0x1af4);
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x02), 0x1042);
  EXPECT_GE(driver.cfg<std::uint8_t>(0x08), 1);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x08) >> 8, 0x010000u);
  EXPECT_EQ(driver.cfg<std::uint8_t>(0x0e), 0);
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x2c), 0x1af4);
  EXPECT_GE(driver.cfg<std::uint16_t>(0x2e), 0x40);
  EXPECT_EQ(driver.cfg<std::uint8_t>(0x3d), 1);
}

TEST_F(PciConfigSpaceTest, TheDriverChangesOnlyWhatItMay) {
  for (std::uint32_t reg = 0; reg < 0x40; reg += 4)
    if (reg < 0x10 || reg > 0x24) driver.set_cfg<std::uint32_t>(reg, 0xffff'ffff);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x00), 0x1042'1af4u);
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x04), 0x0546); // memory, master, parity, SERR, INTx disable
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x06), 0x0010); // a capability list
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x0c), 0x0000'00ffu);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x30), 0u); // no expansion ROM
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x3c), 0x0000'01ffu);
}

TEST_F(PciConfigSpaceTest, RegistersTakeEveryWidth) {
  driver.set_cfg<std::uint8_t>(0x3c, 0x5a);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x3c), 0x0000'015au);
  driver.set_cfg<std::uint8_t>(0x05, 0x04);
  EXPECT_EQ(driver.cfg<std::uint16_t>(0x04), 0x0400);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x01), 0x0010'421au);
}

TEST_F(PciConfigSpaceTest, BarsAnswerSizing) {
  for (std::uint32_t reg = 0x10; reg < 0x28; reg += 4)
    driver.set_cfg<std::uint32_t>(reg, 0xffff'ffff);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x10), 0u);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x14), 0xffff'f000u); // MSI-X, 32 bits
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x18), 0xffff'e00cu); // shared memory, 64 bits, prefetchable
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x1c), 0xffff'ffffu);
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x20), 0xffff'c00cu); // the virtio structures, likewise
  EXPECT_EQ(driver.cfg<std::uint32_t>(0x24), 0xffff'ffffu);
}

TEST_F(PciConfigSpaceTest, BarsMove) {
  bench.assign();
  const auto num_queues = offsetof(virtio_pci_common_cfg, num_queues);
  EXPECT_EQ(bench.memory.read<std::uint16_t>(0x4000'0000 + num_queues), 3);
  driver.set_cfg<std::uint32_t>(0x20, 0x8000'0000);
  driver.set_cfg<std::uint32_t>(0x24, 0x12);
  std::uint16_t data = 0;
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, 0x4000'0000 + num_queues, &data, 2),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(bench.memory.read<std::uint16_t>(0x12'8000'0000 + num_queues), 3);
}

TEST_F(PciConfigSpaceTest, ClaimsNothingWhileMemorySpaceIsDisabled) {
  bench.assign(0x0004);
  std::uint16_t data = 0;
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, 0x4000'0000, &data, 2),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(bench.memory.debug(tlm::TLM_READ_COMMAND, 0x4000'0000, &data, 2), 0u);
}

TEST_F(PciConfigSpaceTest, AnAccessAcrossTheEndOfABarIsNotClaimed) {
  bench.assign();
  std::uint64_t data = 0;
  const auto read = [&](std::uint64_t address) {
    return bench.memory.access(tlm::TLM_READ_COMMAND, address, &data, 8);
  };
  EXPECT_EQ(read(0x4000'3ff8), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(read(0x4000'3ff9), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(0x3fff'fffc), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(~0ull - 3), tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(PciConfigSpaceTest, ListsTheCapabilitiesThatTheSpecificationsRequire) {
  std::multimap<int, std::uint8_t> found; // virtio ones by cfg_type, others by -id
  for (const auto& [id, offset] : driver.capabilities()) {
    EXPECT_GE(offset, 0x40);
    EXPECT_EQ(offset % 4, 0);
    found.emplace(id == PCI_CAP_ID_VNDR ? driver.cfg<std::uint8_t>(offset + 3u) : -id, offset);
  }
  for (const int wanted : {1, 2, 3, 4, 5, 8, -0x01, -0x10, -0x11})
    EXPECT_EQ(found.count(wanted), 1u) << wanted;
  EXPECT_EQ(found.size(), 9u);
}

TEST_F(PciConfigSpaceTest, StructuresLieInsideTheirBarsAndApart) {
  std::map<std::uint64_t, std::uint64_t> used; // begin to end, by bar << 32
  for (const auto& [id, offset] : driver.capabilities()) {
    if (id != PCI_CAP_ID_VNDR) continue;
    const auto type = driver.cfg<std::uint8_t>(offset + 3u);
    if (type == VIRTIO_PCI_CAP_PCI_CFG) continue;
    const auto bar = driver.cfg<std::uint8_t>(offset + 4u);
    const auto begin = driver.cfg<std::uint32_t>(offset + 8u);
    const auto length = driver.cfg<std::uint32_t>(offset + 12u);
    EXPECT_EQ(begin % 4, 0u);
    EXPECT_NE(length, 0u);
    driver.set_cfg<std::uint32_t>(0x10 + 4u * bar, 0xffff'ffff);
    EXPECT_LE(begin + length, ~(driver.cfg<std::uint32_t>(0x10 + 4u * bar) & ~0xfu) + 1);
    const auto key = std::uint64_t{bar} << 32 | begin;
    const auto after = used.upper_bound(key);
    EXPECT_TRUE(after == used.begin() || std::prev(after)->second <= key);
    EXPECT_TRUE(after == used.end() || key + length <= after->first);
    used.emplace(key, key + length);
  }
  EXPECT_EQ(used.size(), 5u);
}

TEST_F(PciConfigSpaceTest, NotifyHasADoorbellForEveryQueue) {
  const auto at = driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
  EXPECT_EQ(driver.cfg<std::uint8_t>(at + 2u), 20);
  EXPECT_EQ(driver.cfg<std::uint32_t>(at + 16u), 4u);
  EXPECT_GE(driver.cfg<std::uint32_t>(at + 12u), 3 * 4u);
}

TEST_F(PciConfigSpaceTest, SharedMemoryIsDescribedAndReached) {
  bench.assign();
  const auto at = driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG);
  EXPECT_EQ(driver.cfg<std::uint8_t>(at + 2u), 24);
  EXPECT_EQ(driver.cfg<std::uint8_t>(at + 5u), 7);
  EXPECT_EQ(driver.cfg<std::uint32_t>(at + 12u), 0x1800u);
  EXPECT_EQ(driver.cfg<std::uint32_t>(at + 20u), 0u);
  EXPECT_EQ(bench.memory.write<std::uint32_t>(PciBench::shared_memory_at + 0x17fc, 0x11223344),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(shared[0x17ff], std::byte{0x11});
  shared[1] = std::byte{0xab};
  EXPECT_EQ(bench.memory.read<std::uint16_t>(PciBench::shared_memory_at), 0xab00);
  EXPECT_EQ(bench.memory.read<std::uint32_t>(PciBench::shared_memory_at + 0x1800), 0u);
}

TEST_F(PciConfigSpaceTest, DescribesAPciExpressEndpointWithFunctionLevelReset) {
  const auto at = driver.find(0x10);
  EXPECT_EQ(driver.cfg<std::uint16_t>(at + 2u) & 0xff, 0x02);
  EXPECT_NE(driver.cfg<std::uint32_t>(at + 4u) & 1u << 28, 0u);
  EXPECT_EQ(driver.cfg<std::uint16_t>(at + 0x12u) & 0x3ff, 0x104); // 16 GT/s, x16
  driver.set_cfg<std::uint16_t>(at + 8u, 0x5020);
  EXPECT_EQ(driver.cfg<std::uint16_t>(at + 8u), 0x5020);
}

TEST_F(PciConfigSpaceTest, InD3hotTheFunctionOnlyAnswersConfigurationRequests) {
  bench.assign();
  const auto control = driver.find(0x01) + 4u;
  driver.set_cfg<std::uint16_t>(control, 1); // D1 is not supported: discarded
  EXPECT_EQ(driver.cfg<std::uint16_t>(control) & 3, 0);
  driver.set_cfg<std::uint16_t>(control, 3);
  std::uint16_t data = 0;
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, 0x4000'0000, &data, 2),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  driver.set_cfg<std::uint16_t>(control, 0);
  EXPECT_EQ(bench.memory.access(tlm::TLM_READ_COMMAND, 0x4000'0000, &data, 2),
            tlm::TLM_OK_RESPONSE);
}

TEST_F(PciConfigSpaceTest, HasNoExtendedCapabilities) {
  std::array<std::uint8_t, 0xf00> bytes;
  bytes.fill(0xee);
  EXPECT_EQ(bench.config.access(tlm::TLM_READ_COMMAND, 0x100, bytes.data(), bytes.size()),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 0), std::ptrdiff_t{bytes.size()});
  EXPECT_EQ(bench.config.access(tlm::TLM_READ_COMMAND, 0xffe, bytes.data(), 4),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(bench.config.access(tlm::TLM_READ_COMMAND, 0x1'0000'0000, bytes.data(), 4),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(PciConfigSpaceTest, RefusesTransactionsThatRegistersDoNotTake) {
  bench.assign();
  std::uint32_t data = 0;
  std::uint8_t enables = 0xff;
  for (auto* socket : {&bench.config, &bench.memory}) {
    const std::uint64_t address = socket == &bench.config ? 0 : PciBench::structures_at;
    tlm::tlm_generic_payload transaction;
    socket->fill(transaction, tlm::TLM_READ_COMMAND, address, &data, 4);
    transaction.set_byte_enable_ptr(&enables);
    transaction.set_byte_enable_length(1);
    EXPECT_EQ(socket->send(transaction), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    EXPECT_EQ(socket->socket->transport_dbg(transaction), 0u);
    socket->fill(transaction, tlm::TLM_READ_COMMAND, address, &data, 4);
    transaction.set_streaming_width(2);
    EXPECT_EQ(socket->send(transaction), tlm::TLM_BURST_ERROR_RESPONSE);
    socket->fill(transaction, tlm::TLM_READ_COMMAND, address, &data, 0);
    EXPECT_EQ(socket->send(transaction), tlm::TLM_GENERIC_ERROR_RESPONSE);
    socket->fill(transaction, tlm::TLM_IGNORE_COMMAND, address, nullptr, 4);
    EXPECT_EQ(socket->send(transaction), tlm::TLM_OK_RESPONSE);
    tlm::tlm_dmi dmi;
    EXPECT_FALSE(socket->dmi(address, dmi));
  }
}

TEST(PciConfigSpace, ErrorBitsOfTheStatusAreClearedByWritingOnes) {
  PciConfigSpace space({});
  const std::array<std::byte, 2> errors{std::byte{0}, std::byte{0xf9}};
  const std::array<std::byte, 2> one{std::byte{0xff}, std::byte{0x20}};
  space.set(0x06, errors);
  space.write(0x06, std::array<std::byte, 2>{});
  EXPECT_EQ(space.word(0x06), 0xf900);
  space.write(0x06, one);
  EXPECT_EQ(space.word(0x06), 0xd900);
}

TEST(PciConfigSpace, RefusesABarThatDoesNotFit) {
  PciConfigSpace space({});
  space.add_bar(4, {.size = 0x1000, .is_64bit = true});
  EXPECT_THROW(space.add_bar(5, {.size = 0x1000}), std::invalid_argument);
  EXPECT_THROW(space.add_bar(3, {.size = 0x1000, .is_64bit = true}), std::invalid_argument);
  EXPECT_THROW(space.add_bar(0, {.size = 0x1001}), std::invalid_argument);
  EXPECT_THROW(space.add_bar(6, {.size = 0x1000}), std::invalid_argument);
  EXPECT_THROW(space.add_bar(0, {.size = 1ull << 32}), std::invalid_argument);
}

TEST(PciConfigSpace, ALargeConfigurationMovesTheDoorbells) {
  auto* function = new test::EchoFunction;
  function->bytes.resize(0x1004);
  function->bytes[0x1003] = std::byte{0x77};
  function->queues = 2000;
  PciBench bench({.function = function});
  bench.assign();
  const auto config = bench.driver.structure(VIRTIO_PCI_CAP_DEVICE_CFG);
  EXPECT_EQ(bench.memory.read<std::uint8_t>(config + 0x1003), 0x77);
  EXPECT_GE(bench.driver.structure(VIRTIO_PCI_CAP_NOTIFY_CFG), config + 0x1004);
  const auto at = bench.driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
  EXPECT_GE(bench.driver.cfg<std::uint32_t>(at + 12u), 2000 * 4u);
}

TEST(PciConfigSpace, AFunctionWithoutConfigurationHasNoStructureForIt) {
  auto* function = new test::EchoFunction;
  function->bytes.clear();
  PciBench bench({.function = function});
  EXPECT_EQ(bench.driver.find(PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG), 0);
}

TEST(PciConfigSpace, RefusesParametersOutOfRange) {
  std::array<std::byte, 16> bytes;
  EXPECT_THROW(PciBench({.pci = {.revision = 0}}), std::invalid_argument);
  EXPECT_THROW(PciBench({.pci = {.msix_vectors = 2049}}), std::invalid_argument);
  EXPECT_THROW(PciBench({.pci = {.notify_off_multiplier = 2}}), std::invalid_argument);
  EXPECT_THROW(PciBench({.pci = {.shared_memory = {{1, bytes}, {1, bytes}}}}),
               std::invalid_argument);
  EXPECT_THROW(PciBench({.pci = {.shared_memory = {{1, bytes}, {2, bytes}}}}),
               std::invalid_argument); // the capability list has no room for two
}

} // namespace
} // namespace virtio::tlm2
