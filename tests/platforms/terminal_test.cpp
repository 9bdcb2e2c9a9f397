#include <virtio/platforms/riscv_virt/terminal.hpp>

#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <string>

namespace virtio::platform {
namespace {

struct TerminalTest : testing::Test {
  int person = -1;
  int program = -1;

  void SetUp() override { ASSERT_EQ(openpty(&person, &program, nullptr, nullptr, nullptr), 0); }
  ~TerminalTest() override {
    close(person);
    close(program);
  }
  bool canonical() const {
    termios mode{};
    tcgetattr(program, &mode);
    return mode.c_lflag & ICANON;
  }
  void type(const std::string& text) const {
    ASSERT_EQ(write(person, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
};

TEST_F(TerminalTest, IsRawWhileItLivesAndAsBeforeAfterwards) {
  ASSERT_TRUE(canonical());
  {
    RawMode raw(program);
    EXPECT_FALSE(canonical());
  }
  EXPECT_TRUE(canonical());
}

TEST_F(TerminalTest, IsAsBeforeWhenTheProgramExits) {
  EXPECT_EXIT(
      {
        RawMode raw(program);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_TRUE(canonical());
}

TEST_F(TerminalTest, IsAsBeforeWhenTheProgramIsTerminated) {
  EXPECT_EXIT(
      {
        RawMode raw(program);
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
  EXPECT_TRUE(canonical());
}

TEST_F(TerminalTest, CarriesBytesBothWaysAndControlCToTheGuest) {
  RawMode raw(program);
  Terminal terminal("terminal", program, program);
  std::string typed;
  terminal.on_type = [&](std::string_view bytes) { typed += bytes; };
  type("ls\r\x03");
  sc_core::sc_start(sc_core::sc_time(20, sc_core::SC_MS));
  EXPECT_EQ(typed, "ls\r\x03");
  terminal.print('#');
  char printed = 0;
  EXPECT_EQ(read(person, &printed, 1), 1);
  EXPECT_EQ(printed, '#');
}

TEST_F(TerminalTest, ControlATwiceIsOneAndWithXQuits) {
  RawMode raw(program);
  Terminal terminal("terminal", program, program);
  std::string typed;
  int quits = 0;
  terminal.on_type = [&](std::string_view bytes) { typed += bytes; };
  terminal.on_quit = [&] { ++quits; };
  type("a\x01\x01x");
  sc_core::sc_start(sc_core::sc_time(20, sc_core::SC_MS));
  EXPECT_EQ(typed, "a\x01x");
  EXPECT_EQ(quits, 0);
  type("\x01x");
  sc_core::sc_start(sc_core::sc_time(20, sc_core::SC_MS));
  EXPECT_EQ(quits, 1);
}

TEST_F(TerminalTest, HoldsSimulatedTimeBackToRealTime) {
  Terminal terminal("terminal", program, program);
  const auto start = std::chrono::steady_clock::now();
  sc_core::sc_start(sc_core::sc_time(200, sc_core::SC_MS));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(150));
}

} // namespace
} // namespace virtio::platform
