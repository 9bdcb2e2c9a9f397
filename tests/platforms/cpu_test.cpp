#include "platforms/riscv_virt_bench.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace virtio::platform {
namespace {

using test::Bench;

// The few RV64I instructions that these programs need (RISC-V unprivileged ISA, chapter 24).
constexpr std::uint32_t nop = 0x0000'0013;
constexpr std::uint32_t forever = 0x0000'006f; // jal x0, 0
constexpr std::uint32_t illegal = 0x0000'0000;
constexpr std::uint32_t lui(unsigned rd, std::uint32_t upper) {
  return upper << 12 | rd << 7 | 0x37;
}
constexpr std::uint32_t addi(unsigned rd, unsigned rs, std::uint32_t value) {
  return value << 20 | rs << 15 | rd << 7 | 0x13;
}
constexpr std::uint32_t load(unsigned width, unsigned rd, unsigned base) {
  return base << 15 | width << 12 | rd << 7 | 0x03;
}
constexpr std::uint32_t store(unsigned width, unsigned rs, unsigned base) {
  return rs << 20 | base << 15 | width << 12 | 0x23;
}
enum Width : unsigned { byte, half, word, doubleword };
constexpr unsigned t0 = 5, t1 = 6, t2 = 7;

const sc_core::sc_time microsecond(1, sc_core::SC_US);

/// Remembers accesses and takes as long as it is told to.
struct SlowTarget : sc_core::sc_module {
  tlm_utils::simple_target_socket<SlowTarget> socket{"socket"};
  sc_core::sc_time waits;
  sc_core::sc_time annotates;
  std::vector<sc_core::sc_time> times;
  bool throws = false;

  explicit SlowTarget(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &SlowTarget::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
    if (throws) throw std::runtime_error("the target is broken");
    times.push_back(sc_core::sc_time_stamp() + delay);
    if (waits != sc_core::SC_ZERO_TIME) wait(waits);
    delay += annotates;
    std::memset(transaction.get_data_ptr(), 0x5a, transaction.get_data_length());
    transaction.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

TEST(Cpu, CountsInstructionsAndTakesTheirTime) {
  Bench bench({.instructions_per_second = 100'000'000, .quantum = 1000});
  bench.load({nop, nop, forever});
  sc_core::sc_start(100 * microsecond); // 10 ns each
  EXPECT_EQ(bench.cpu.instructions(), 10'000u);
  EXPECT_TRUE(bench.cpu.running());
}

TEST(Cpu, StopsAtTheEndOfItsQuantum) {
  Bench bench({.quantum = 1000});
  bench.load({forever});
  sc_core::sc_start(5 * microsecond);
  bench.cpu.stop();
  sc_core::sc_start();
  EXPECT_FALSE(bench.cpu.running());
  EXPECT_EQ(bench.cpu.instructions(), 1000u);
  EXPECT_EQ(sc_core::sc_time_stamp(), 10 * microsecond);
}

TEST(Cpu, ExecutesEachInstructionOnceAcrossQuanta) {
  Bench bench({.quantum = 7});
  std::vector<std::uint32_t> program(100, addi(t1, t1, 1));
  program.insert(program.end(), {lui(t0, 0x10000), store(byte, t1, t0), forever});
  bench.load(program);
  sc_core::sc_start(10 * microsecond);
  EXPECT_EQ(bench.printed, std::string(1, static_cast<char>(100)));
}

TEST(Cpu, SharesRamWithTheBus) {
  Bench bench({.quantum = 1000});
  constexpr std::uint32_t double_t1 = 0x0013'1313; // slli t1, t1, 1: 0x80080000
  bench.load({lui(t1, 0x40040), double_t1, addi(t2, 0, 0x123), store(doubleword, t2, t1), forever});
  sc_core::sc_start(microsecond);
  std::uint64_t value = 0;
  std::memcpy(&value, bench.ram.data() + 0x8'0000, 8);
  EXPECT_EQ(value, 0x123u);
  EXPECT_TRUE(bench.cpu.last_accesses().empty());
}

TEST(Cpu, AnnotatesTheExactTimeOfAnAccess) {
  Bench bench;
  bench.load({lui(t0, 0x10000), nop, nop, store(byte, t0, t0), forever});
  sc_core::sc_time printed;
  bench.uart.on_transmit = [&](std::uint8_t, sc_core::sc_time time) { printed = time; };
  sc_core::sc_start(microsecond);
  EXPECT_EQ(printed, sc_core::sc_time(40, sc_core::SC_NS));
}

struct CpuWithTarget : testing::Test {
  Bench bench;
  SlowTarget target{"target"};

  CpuWithTarget() { bench.router.map({0x2000'0000, 0x1000}, target.socket, "target"); }
};

TEST_F(CpuWithTarget, WaitsForATargetThatWaits) {
  target.waits = microsecond;
  bench.load({lui(t0, 0x20000), store(word, t0, t0), store(word, t0, t0), forever});
  sc_core::sc_start(10 * microsecond);
  ASSERT_EQ(target.times.size(), 2u);
  EXPECT_EQ(target.times[1] - target.times[0], microsecond + sc_core::sc_time(10, sc_core::SC_NS));
}

TEST_F(CpuWithTarget, AddsTheDelayThatATargetAnnotates) {
  target.annotates = 3 * microsecond;
  bench.load({lui(t0, 0x20000), store(word, t0, t0), store(word, t0, t0), forever});
  sc_core::sc_start(10 * microsecond);
  ASSERT_EQ(target.times.size(), 2u);
  EXPECT_EQ(target.times[1] - target.times[0],
            3 * microsecond + sc_core::sc_time(10, sc_core::SC_NS));
}

TEST_F(CpuWithTarget, RecordsTheLastAccesses) {
  std::vector<std::uint32_t> program{lui(t0, 0x20000)};
  program.insert(program.end(), 20, load(word, t1, t0));
  program.insert(program.end(), {store(half, t1, t0), forever});
  bench.load(program);
  sc_core::sc_start(microsecond);
  const auto& accesses = bench.cpu.last_accesses();
  ASSERT_EQ(accesses.size(), 16u);
  EXPECT_EQ(accesses[0].value, 0x5a5a5a5au);
  EXPECT_FALSE(accesses[0].write);
  const auto& last = accesses.back();
  EXPECT_TRUE(last.write);
  EXPECT_TRUE(last.ok);
  EXPECT_EQ(last.address, 0x2000'0000u);
  EXPECT_EQ(last.length, 2u);
  EXPECT_EQ(last.pc, memory_map::ram_base + 21 * 4);
  EXPECT_EQ(last.time, sc_core::sc_time(220, sc_core::SC_NS));
}

TEST_F(CpuWithTarget, AnExceptionOfATargetEndsTheSimulationNotTheInterpreter) {
  target.throws = true;
  bench.load({lui(t0, 0x20000), store(word, t0, t0), forever});
  EXPECT_THROW(sc_core::sc_start(microsecond), sc_core::sc_report);
}

TEST(Cpu, ABusErrorReadsAllOnesAndIsReported) {
  static std::vector<std::string> warnings;
  sc_core::sc_report_handler::set_handler(
      [](const sc_core::sc_report& report, const sc_core::sc_actions&) {
        warnings.push_back(report.get_msg());
      });
  Bench bench;
  std::vector<std::uint32_t> program{lui(t0, 0x50000), load(word, t1, t0), lui(t2, 0x10000),
                                     store(byte, t1, t2)};
  program.insert(program.end(), 20, load(word, t1, t0));
  program.push_back(forever);
  bench.load(program);
  sc_core::sc_start(microsecond);
  EXPECT_EQ(bench.printed, "\xff");
  EXPECT_EQ(bench.cpu.bus_errors(), 21u);
  EXPECT_FALSE(bench.cpu.last_accesses().back().ok);
  ASSERT_EQ(warnings.size(), 10u);
  EXPECT_EQ(warnings[0], "bus error (TLM_ADDRESS_ERROR_RESPONSE): pc 0x80000004 reads 4 bytes at "
                         "0x50000000");
  EXPECT_TRUE(warnings[9].ends_with("; no further ones are reported")) << warnings[9];
  sc_core::sc_report_handler::set_handler(nullptr);
}

TEST(Cpu, AnExceptionThatNobodyHandlesStopsIt) {
  Bench bench;
  bench.load({nop, illegal});
  sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_SEC));
  ASSERT_TRUE(bench.cpu.failure());
  EXPECT_NE(bench.cpu.failure()->find("pc 0x80000004"), std::string::npos) << *bench.cpu.failure();
  EXPECT_FALSE(bench.cpu.running());
}

TEST(Cpu, RamThatWithdrawsItsPointersStopsIt) {
  Bench bench({.quantum = 100});
  bench.load({forever});
  sc_core::sc_start(microsecond);
  bench.ram.allow_dmi(false);
  sc_core::sc_start(10 * microsecond);
  EXPECT_TRUE(bench.cpu.failure());
}

TEST(Cpu, RefusesParametersThatCannotWork) {
  const tlm2::AddressRange ram{0x8000'0000, 0x1000};
  EXPECT_THROW(Cpu("a", {.ram = {0x8000'0000, 0x800}}), std::invalid_argument);
  EXPECT_THROW(Cpu("b", {.ram = {}}), std::invalid_argument);
  EXPECT_THROW(Cpu("c", {.ram = ram, .instructions_per_second = 0}), std::invalid_argument);
  EXPECT_THROW(Cpu("d", {.ram = ram, .quantum = 0}), std::invalid_argument);
}

} // namespace
} // namespace virtio::platform
