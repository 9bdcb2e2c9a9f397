#include "tlm/bus_helpers.hpp"

#include <virtio/tlm/memory.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>

namespace virtio::tlm2 {
namespace {

constexpr std::uint64_t size = 0x1000;

struct MemoryTest : testing::Test {
  test::Initiator cpu{"cpu"};
  Memory memory{"memory",
                {.size = size,
                 .read_latency = sc_core::sc_time(30, sc_core::SC_NS),
                 .write_latency = sc_core::sc_time(20, sc_core::SC_NS)}};

  MemoryTest() {
    cpu.socket.bind(memory.socket);
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
  }
};

TEST_F(MemoryTest, ReadsBackWhatWasWrittenAndZeroElsewhere) {
  EXPECT_EQ(cpu.write<std::uint32_t>(0x10, 0x12345678), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(cpu.read<std::uint64_t>(0x10), 0x12345678u);
  EXPECT_EQ(std::to_integer<int>(memory.data()[0x11]), 0x56);
  EXPECT_EQ(cpu.read<std::uint64_t>(size - 8), 0u);
}

TEST_F(MemoryTest, AddsTheLatencyOfTheCommandToTheDelay) {
  cpu.write<std::uint32_t>(0, 1);
  EXPECT_EQ(cpu.delay, sc_core::sc_time(20, sc_core::SC_NS));
  cpu.read<std::uint32_t>(0);
  EXPECT_EQ(cpu.delay, sc_core::sc_time(50, sc_core::SC_NS));
}

TEST_F(MemoryTest, RefusesAddressesBeyondTheEndHoweverLargeTheyAre) {
  std::array<char, 16> buffer{};
  const auto read = [&](std::uint64_t address, unsigned length) {
    return cpu.access(tlm::TLM_READ_COMMAND, address, buffer.data(), length);
  };
  EXPECT_EQ(read(size - 16, 16), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(read(size - 15, 16), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(size, 1), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(std::numeric_limits<std::uint64_t>::max(), 16), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(std::numeric_limits<std::uint64_t>::max() - 7, 16),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(MemoryTest, WritesOnlyTheBytesThatAreEnabled) {
  cpu.write<std::uint64_t>(0, 0x1111111111111111);
  std::uint64_t data = 0x2222222222222222;
  std::array<unsigned char, 2> enables{0x00, 0xff};
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_WRITE_COMMAND, 0, &data, 8);
  transaction.set_byte_enable_ptr(enables.data());
  transaction.set_byte_enable_length(2);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(cpu.read<std::uint64_t>(0), 0x2211221122112211u);

  transaction.set_byte_enable_length(0);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
}

TEST_F(MemoryTest, ReadsOnlyTheBytesThatAreEnabled) {
  cpu.write<std::uint32_t>(4, 0xaabbccdd);
  std::uint32_t data = 0;
  std::array<unsigned char, 4> enables{0xff, 0x00, 0x00, 0xff};
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_READ_COMMAND, 4, &data, 4);
  transaction.set_byte_enable_ptr(enables.data());
  transaction.set_byte_enable_length(4);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(data, 0xaa0000ddu);
}

TEST_F(MemoryTest, AStreamRepeatsItsAddressesAndNeedsRoomForOneWidthOnly) {
  std::array<std::uint16_t, 4> data{1, 2, 3, 4};
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_WRITE_COMMAND, size - 2, data.data(), 8);
  transaction.set_streaming_width(2);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(cpu.read<std::uint16_t>(size - 2), 4u);

  transaction.set_streaming_width(0);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_BURST_ERROR_RESPONSE);
}

TEST_F(MemoryTest, AnIgnoreCommandSucceedsAndAnEmptyTransferDoesNot) {
  EXPECT_EQ(cpu.access(tlm::TLM_IGNORE_COMMAND, 0, nullptr, 4), tlm::TLM_OK_RESPONSE);
  char byte = 0;
  EXPECT_EQ(cpu.access(tlm::TLM_READ_COMMAND, 0, &byte, 0), tlm::TLM_GENERIC_ERROR_RESPONSE);
}

TEST_F(MemoryTest, GrantsItsWholeStorageThroughDmi) {
  tlm::tlm_dmi dmi;
  ASSERT_TRUE(cpu.dmi(0x800, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0u);
  EXPECT_EQ(dmi.get_end_address(), size - 1);
  EXPECT_TRUE(dmi.is_read_write_allowed());
  EXPECT_EQ(dmi.get_read_latency(), sc_core::sc_time(30, sc_core::SC_NS));
  dmi.get_dmi_ptr()[3] = 7;
  EXPECT_EQ(cpu.read<std::uint8_t>(3), 7u);
  EXPECT_FALSE(cpu.dmi(size, dmi));
}

TEST_F(MemoryTest, SaysInTheTransactionWhetherDmiIsWorthAsking) {
  std::uint32_t data = 0;
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_READ_COMMAND, 0, &data, 4);
  cpu.send(transaction);
  EXPECT_TRUE(transaction.is_dmi_allowed());
}

TEST_F(MemoryTest, WithdrawsDmiAndRefusesItAfterwards) {
  memory.allow_dmi(false);
  ASSERT_EQ(cpu.invalidated.size(), 1u);
  EXPECT_EQ(cpu.invalidated[0].first, 0u);
  EXPECT_EQ(cpu.invalidated[0].second, size - 1);
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(cpu.dmi(0, dmi));
  EXPECT_EQ(dmi.get_end_address(), size - 1);
}

TEST_F(MemoryTest, DebugAccessTakesNoTimeAndStopsAtTheEnd) {
  std::array<unsigned char, 16> bytes{1, 2, 3, 4};
  EXPECT_EQ(cpu.debug(tlm::TLM_WRITE_COMMAND, size - 4, bytes.data(), 16), 4u);
  EXPECT_EQ(cpu.read<std::uint32_t>(size - 4), 0x04030201u);
  EXPECT_EQ(cpu.debug(tlm::TLM_READ_COMMAND, size, bytes.data(), 16), 0u);
}

TEST(Memory, NeedsASize) {
  EXPECT_THROW(Memory("memory", {}), std::invalid_argument);
}

} // namespace
} // namespace virtio::tlm2
