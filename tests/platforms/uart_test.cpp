#include "tlm/bus_helpers.hpp"

#include <virtio/platforms/riscv_virt/uart.hpp>

#include <gtest/gtest.h>

#include <string>

namespace virtio::platform {
namespace {

// Registers of an ns16550a.
enum : std::uint64_t {
  RBR = 0,
  THR = 0,
  IER = 1,
  IIR = 2,
  FCR = 2,
  LCR = 3,
  MCR = 4,
  LSR = 5,
  MSR = 6,
  SCR = 7
};

struct UartTest : testing::Test {
  test::Initiator cpu{"cpu"};
  Uart uart{"uart"};
  sc_core::sc_signal<bool> irq{"irq"};
  std::string printed;

  UartTest() {
    cpu.socket.bind(uart.socket);
    uart.irq.bind(irq);
    uart.on_transmit = [this](std::uint8_t byte, sc_core::sc_time) {
      printed.push_back(static_cast<char>(byte));
    };
    settle();
  }
  static void settle() { sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_NS)); }
  unsigned read(std::uint64_t reg) { return cpu.read<std::uint8_t>(reg); }
  void write(std::uint64_t reg, unsigned value) {
    EXPECT_EQ(cpu.write(reg, static_cast<std::uint8_t>(value)), tlm::TLM_OK_RESPONSE);
  }
  bool line() {
    settle();
    return irq.read();
  }
  std::string drain() {
    std::string bytes;
    while (read(LSR) & 1)
      bytes.push_back(static_cast<char>(read(RBR)));
    return bytes;
  }
};

TEST_F(UartTest, TransmitsAtOnceAndIsAlwaysReadyForMore) {
  write(THR, 'h');
  EXPECT_EQ(read(LSR), 0x60u);
  write(THR, 'i');
  EXPECT_EQ(printed, "hi");
}

TEST_F(UartTest, DataReadyFollowsWhatWasTyped) {
  EXPECT_EQ(read(LSR) & 1, 0u);
  EXPECT_EQ(read(RBR), 0u);
  uart.receive("ab");
  EXPECT_EQ(read(LSR) & 1, 1u);
  EXPECT_EQ(read(RBR), 'a');
  EXPECT_EQ(read(RBR), 'b');
  EXPECT_EQ(read(LSR) & 1, 0u);
}

TEST_F(UartTest, NothingTypedIsLostHoweverSlowlySoftwareReads) {
  const std::string text(1000, 'x');
  write(FCR, 1);
  uart.receive(text);
  EXPECT_EQ(uart.unread(), 1000u);
  EXPECT_EQ(drain(), text);
  EXPECT_EQ(uart.unread(), 0u);
}

TEST_F(UartTest, TheDivisorLatchHidesDataAndInterruptEnable) {
  uart.receive("a");
  write(IER, 5);
  write(LCR, 0x83);
  write(THR, 0x34);
  write(IER, 0x12);
  EXPECT_EQ(read(RBR), 0x34u);
  EXPECT_EQ(read(IER), 0x12u);
  write(LCR, 0x03);
  EXPECT_EQ(read(LCR), 0x03u);
  EXPECT_EQ(read(IER), 5u);
  EXPECT_EQ(read(RBR), 'a');
  EXPECT_EQ(printed, "");
}

TEST_F(UartTest, InterruptEnableAndScratchKeepTheirBits) {
  write(IER, 0xff);
  EXPECT_EQ(read(IER), 0x0fu);
  write(SCR, 0x5a);
  EXPECT_EQ(read(SCR), 0x5au);
}

TEST_F(UartTest, RaisesItsLineWhileReceivedDataWaits) {
  EXPECT_FALSE(line());
  uart.receive("a");
  EXPECT_FALSE(line()) << "not enabled";
  write(IER, 1);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(IIR), 0x04u);
  EXPECT_TRUE(line()) << "reading IIR does not take the data";
  read(RBR);
  EXPECT_FALSE(line());
  EXPECT_EQ(read(IIR), 0x01u);
}

TEST_F(UartTest, BelowTheTriggerLevelTheInterruptIsATimeout) {
  write(IER, 1);
  write(FCR, 0x81); // FIFO on, trigger at 8
  uart.receive("1234567");
  EXPECT_EQ(read(IIR), 0xccu);
  uart.receive("8");
  EXPECT_EQ(read(IIR), 0xc4u);
}

TEST_F(UartTest, TransmitterEmptyInterruptsOnceUntilIirIsRead) {
  write(IER, 2);
  EXPECT_TRUE(line()) << "enabling it with an empty transmitter interrupts";
  EXPECT_EQ(read(IIR), 0x02u);
  EXPECT_FALSE(line());
  EXPECT_EQ(read(IIR), 0x01u);
  write(THR, 'x');
  EXPECT_TRUE(line());
}

TEST_F(UartTest, ClearingTheReceiveFifoDropsWhatIsInIt) {
  write(FCR, 1);
  uart.receive(std::string(16, 'a') + "b");
  write(FCR, 3);
  EXPECT_EQ(drain(), "b");
}

TEST_F(UartTest, LoopbackReturnsWhatIsSentAndOverrunsWhenFull) {
  write(MCR, 0x10);
  write(THR, 'l');
  write(THR, 'm');
  EXPECT_EQ(printed, "");
  EXPECT_EQ(read(LSR) & 3, 3u);
  EXPECT_EQ(read(LSR) & 3, 1u) << "reading LSR clears the overrun";
  EXPECT_EQ(read(RBR), 'l');
}

TEST_F(UartTest, LoopbackTurnsModemOutputsIntoInputs) {
  EXPECT_EQ(read(MSR), 0xb0u);
  write(MCR, 0x10 | 0x02); // RTS becomes CTS
  EXPECT_EQ(read(MSR), 0x1au) << "CTS stays, DSR and DCD change";
  EXPECT_EQ(read(MSR), 0x10u) << "reading MSR clears the deltas";
}

TEST_F(UartTest, RefusesAccessesItCannotDo) {
  EXPECT_EQ(cpu.write<std::uint8_t>(Uart::size, 0), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(cpu.write<std::uint32_t>(1, 0), tlm::TLM_ADDRESS_ERROR_RESPONSE) << "misaligned";
  std::array<unsigned char, 16> bytes{};
  EXPECT_EQ(cpu.access(tlm::TLM_READ_COMMAND, 0, bytes.data(), 16), tlm::TLM_BURST_ERROR_RESPONSE);
  EXPECT_EQ(cpu.access(tlm::TLM_READ_COMMAND, 0, bytes.data(), 3), tlm::TLM_BURST_ERROR_RESPONSE);
  EXPECT_EQ(cpu.access(tlm::TLM_READ_COMMAND, 0, bytes.data(), 0), tlm::TLM_BURST_ERROR_RESPONSE);
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_READ_COMMAND, 0, bytes.data(), 4);
  transaction.set_byte_enable_ptr(bytes.data());
  transaction.set_byte_enable_length(4);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
}

} // namespace
} // namespace virtio::platform
