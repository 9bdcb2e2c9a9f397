#include "tlm/bus_helpers.hpp"

#include <virtio/platforms/riscv_virt/clint.hpp>

#include <gtest/gtest.h>

namespace virtio::platform {
namespace {

constexpr std::uint64_t msip = 0;
constexpr std::uint64_t mtimecmp = 0x4000;
constexpr std::uint64_t mtime = 0xbff8;

struct ClintTest : testing::Test {
  test::Initiator cpu{"cpu"};
  Clint clint{"clint", 10'000'000};
  sc_core::sc_signal<bool> software{"software"};
  sc_core::sc_signal<bool> timer{"timer"};

  ClintTest() {
    cpu.socket.bind(clint.socket);
    clint.software_irq.bind(software);
    clint.timer_irq.bind(timer);
    run_ns(0);
  }
  static void run_ns(std::uint64_t nanoseconds) {
    sc_core::sc_start(sc_core::sc_time(static_cast<double>(nanoseconds), sc_core::SC_NS));
  }
};

TEST_F(ClintTest, MtimeIsSimulatedTimeInTicks) {
  EXPECT_EQ(cpu.read<std::uint64_t>(mtime), 0u);
  run_ns(1'250);
  EXPECT_EQ(cpu.read<std::uint64_t>(mtime), 12u);
}

TEST_F(ClintTest, MtimeCountsTheInitiatorsOwnDelay) {
  cpu.delay = sc_core::sc_time(2, sc_core::SC_US);
  EXPECT_EQ(cpu.read<std::uint64_t>(mtime), 20u);
}

TEST_F(ClintTest, ReadsAndWritesHalvesOfItsRegisters) {
  cpu.write<std::uint32_t>(mtimecmp, 0x9abcdef0);
  cpu.write<std::uint32_t>(mtimecmp + 4, 0x12345678);
  EXPECT_EQ(cpu.read<std::uint64_t>(mtimecmp), 0x123456789abcdef0u);
  EXPECT_EQ(cpu.read<std::uint32_t>(mtimecmp + 4), 0x12345678u);
}

TEST_F(ClintTest, SoftwareCanSetMtime) {
  run_ns(1'000);
  cpu.write<std::uint64_t>(mtime, 1'000'000);
  run_ns(1'000);
  EXPECT_EQ(cpu.read<std::uint64_t>(mtime), 1'000'010u);
  cpu.write<std::uint32_t>(mtime, 0);
  EXPECT_EQ(cpu.read<std::uint64_t>(mtime), 1'000'010u & ~0xffff'ffffull);
}

TEST_F(ClintTest, RaisesTheTimerExactlyWhenMtimeReachesMtimecmp) {
  run_ns(130); // not on a tick
  cpu.write<std::uint64_t>(mtimecmp, 50);
  run_ns(4'869);
  EXPECT_FALSE(timer.read());
  run_ns(2);
  EXPECT_TRUE(timer.read());
  cpu.write<std::uint64_t>(mtimecmp, 100);
  run_ns(1);
  EXPECT_FALSE(timer.read());
}

TEST_F(ClintTest, ATimerMovedOutOrBeyondAllTimeDoesNotFire) {
  cpu.write<std::uint64_t>(mtimecmp, 10);
  cpu.write<std::uint64_t>(mtimecmp, ~0ull);
  run_ns(10'000);
  constexpr std::uint64_t last_tick = ~0ull / 100'000; // of 2^64 ps
  cpu.write<std::uint64_t>(mtimecmp, last_tick + 1);
  run_ns(10'000);
  EXPECT_FALSE(timer.read());
}

TEST_F(ClintTest, MsipDrivesTheSoftwareInterrupt) {
  cpu.write<std::uint32_t>(msip, 0xffff'ffff);
  EXPECT_EQ(cpu.read<std::uint32_t>(msip), 1u);
  run_ns(1);
  EXPECT_TRUE(software.read());
  cpu.write<std::uint32_t>(msip, 0);
  run_ns(1);
  EXPECT_FALSE(software.read());
}

TEST(Clint, NeedsATimebaseThatItCanCount) {
  EXPECT_THROW(Clint("a", 0), std::invalid_argument);
  EXPECT_THROW(Clint("b", 2'000'000'000'000), std::invalid_argument);
}

} // namespace
} // namespace virtio::platform
