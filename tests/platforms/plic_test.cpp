#include "tlm/bus_helpers.hpp"

#include <virtio/platforms/riscv_virt/plic.hpp>

#include <gtest/gtest.h>

namespace virtio::platform {
namespace {

constexpr std::uint64_t pending = 0x1000;
constexpr std::uint64_t priority(unsigned source) {
  return 4 * source;
}
constexpr std::uint64_t enable(unsigned context, unsigned word = 0) {
  return 0x2000 + 0x80 * context + 4 * word;
}
constexpr std::uint64_t threshold(unsigned context) {
  return 0x20'0000 + 0x1000 * context;
}
constexpr std::uint64_t claim(unsigned context) {
  return threshold(context) + 4;
}

struct PlicTest : testing::Test {
  test::Initiator cpu{"cpu"};
  Plic plic{"plic"};
  sc_core::sc_vector<sc_core::sc_signal<bool>> line{"line", 4};
  sc_core::sc_vector<sc_core::sc_signal<bool>> irq{"irq", Plic::contexts};

  PlicTest() {
    cpu.socket.bind(plic.socket);
    plic.irq.bind(irq);
    plic.source[1].bind(line[0]);
    plic.source[2].bind(line[1]);
    plic.source[40].bind(line[2]);
    plic.source[40].bind(line[3]);
    settle();
    for (const unsigned source : {1u, 2u, 40u})
      write(priority(source), 1);
    write(enable(0), 0b110);
    write(enable(0, 1), 1 << 8);
  }
  static void settle() { sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_NS)); }
  void write(std::uint64_t offset, std::uint32_t value) {
    EXPECT_EQ(cpu.write(offset, value), tlm::TLM_OK_RESPONSE);
    settle();
  }
  std::uint32_t read(std::uint64_t offset) { return cpu.read<std::uint32_t>(offset); }
  void set(unsigned index, bool level) {
    line[index].write(level);
    settle();
    settle();
  }
  bool interrupted(unsigned context = Plic::machine) {
    settle();
    return irq[context].read();
  }
};

TEST_F(PlicTest, ClaimingTakesTheSourceAndCompletingReopensIt) {
  set(0, true);
  EXPECT_TRUE(interrupted());
  EXPECT_EQ(read(pending), 0b10u);
  EXPECT_EQ(read(claim(0)), 1u);
  EXPECT_FALSE(interrupted());
  EXPECT_EQ(read(pending), 0u);
  EXPECT_EQ(read(claim(0)), 0u) << "in service: not claimed twice though the line is high";
  write(claim(0), 1);
  EXPECT_TRUE(interrupted()) << "the line is still high";
  EXPECT_EQ(read(claim(0)), 1u);
  set(0, false);
  write(claim(0), 1);
  EXPECT_FALSE(interrupted());
}

TEST_F(PlicTest, APendingInterruptOutlivesItsLine) {
  set(0, true);
  set(0, false);
  EXPECT_EQ(read(claim(0)), 1u);
}

TEST_F(PlicTest, TheHighestPriorityWinsThenTheLowestNumber) {
  set(0, true);
  set(1, true);
  set(2, true);
  write(priority(40), 7);
  EXPECT_EQ(read(claim(0)), 40u);
  EXPECT_EQ(read(claim(0)), 1u);
  EXPECT_EQ(read(claim(0)), 2u);
  EXPECT_EQ(read(claim(0)), 0u);
}

TEST_F(PlicTest, PriorityZeroNeverInterrupts) {
  write(priority(1), 0);
  set(0, true);
  EXPECT_FALSE(interrupted());
  EXPECT_EQ(read(claim(0)), 0u);
}

TEST_F(PlicTest, TheThresholdMasksTheLineButNotTheClaim) {
  write(priority(1), 3);
  write(threshold(0), 3);
  set(0, true);
  EXPECT_FALSE(interrupted());
  write(threshold(0), 2);
  EXPECT_TRUE(interrupted());
  write(threshold(0), 3);
  EXPECT_EQ(read(claim(0)), 1u);
}

TEST_F(PlicTest, ContextsHaveTheirOwnEnables) {
  write(enable(Plic::supervisor), 0b100);
  set(1, true);
  EXPECT_TRUE(interrupted(Plic::machine));
  EXPECT_TRUE(interrupted(Plic::supervisor));
  EXPECT_EQ(read(claim(Plic::supervisor)), 2u);
  EXPECT_FALSE(interrupted(Plic::machine)) << "claimed by the other context";
  set(0, true);
  EXPECT_TRUE(interrupted(Plic::machine));
  EXPECT_FALSE(interrupted(Plic::supervisor));
}

TEST_F(PlicTest, SignalsOnOneSourceAreWiredTogether) {
  set(2, true);
  set(3, true);
  EXPECT_EQ(read(claim(0)), 40u);
  set(2, false);
  write(claim(0), 40);
  EXPECT_EQ(read(claim(0)), 40u) << "the other signal is still high";
  set(3, false);
  write(claim(0), 40);
  EXPECT_FALSE(interrupted());
}

TEST_F(PlicTest, CompletionsThatMakeNoSenseAreIgnored) {
  set(0, true);
  EXPECT_EQ(read(claim(0)), 1u);
  for (const std::uint32_t id : {0u, 3u, 95u, 96u, 0xffff'ffffu})
    write(claim(0), id);
  EXPECT_FALSE(interrupted());
  write(enable(0), 0);
  write(claim(0), 1);
  write(enable(0), 0b10);
  EXPECT_FALSE(interrupted()) << "completed while not enabled: still in service";
}

TEST_F(PlicTest, RegistersKeepTheirBitsAndTheRestReadsAsZero) {
  write(priority(5), 0xff);
  EXPECT_EQ(read(priority(5)), 7u);
  write(priority(0), 7);
  EXPECT_EQ(read(priority(0)), 0u);
  write(enable(1, 2), 0xffff'ffff);
  EXPECT_EQ(read(enable(1, 2)), 0xffff'ffffu);
  write(enable(1), 0xffff'ffff);
  EXPECT_EQ(read(enable(1)), 0xffff'fffeu) << "source 0 does not exist";
  write(enable(1, 3), 0xffff'ffff);
  EXPECT_EQ(read(enable(1, 3)), 0u);
  write(enable(2), 0xffff'ffff);
  EXPECT_EQ(read(enable(2)), 0u);
  EXPECT_EQ(read(claim(2)), 0u);
  EXPECT_EQ(read(Plic::size - 4), 0u);
  EXPECT_EQ(cpu.write<std::uint64_t>(0x2000, 0), tlm::TLM_BURST_ERROR_RESPONSE);
}

} // namespace
} // namespace virtio::platform
