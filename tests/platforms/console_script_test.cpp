#include <virtio/platforms/riscv_virt/console_script.hpp>
#include <virtio/platforms/riscv_virt/uart_log.hpp>

#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace virtio::platform {
namespace {

const sc_core::sc_time second(1, sc_core::SC_SEC);

struct ScriptTest : testing::Test {
  std::string typed;
  int ends = 0;

  void connect(ConsoleScript& script) {
    script.on_send = [this](std::string_view bytes) { typed += bytes; };
    script.on_end = [this] { ++ends; };
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
  }
  static void print(ConsoleScript& script, std::string_view text) {
    for (const char c : text)
      script.print(static_cast<std::uint8_t>(c));
  }
  static void pass_seconds(double seconds) {
    sc_core::sc_start(sc_core::sc_time(seconds, sc_core::SC_SEC));
  }
};

TEST_F(ScriptTest, TypesEachAnswerWhenItsTextHasBeenPrinted) {
  ConsoleScript script("script",
                       {{"login: ", false, "root\n", second}, {"# ", false, "ls\n", second}});
  connect(script);
  print(script, "welcome\r\nlogin:");
  EXPECT_EQ(typed, "");
  print(script, " ");
  EXPECT_EQ(typed, "root\n");
  print(script, "$ # ");
  EXPECT_EQ(typed, "root\nls\n");
  EXPECT_TRUE(script.done());
  EXPECT_EQ(ends, 1);
  EXPECT_FALSE(script.failure());
  print(script, "more output after the end");
}

TEST_F(ScriptTest, AStepDoesNotSeeWhatTheStepBeforeMatched) {
  ConsoleScript script("script", {{"=> ", false, "a", second}, {"=> ", false, "b", second}});
  connect(script);
  print(script, "=> ");
  EXPECT_EQ(typed, "a");
  print(script, "> ");
  EXPECT_EQ(typed, "a");
  print(script, "=> ");
  EXPECT_EQ(typed, "ab");
}

TEST_F(ScriptTest, AnEmptyExpectationTypesAtOnce) {
  ConsoleScript script("script", {{"", false, "a", second}, {"", false, "b", second}});
  connect(script);
  EXPECT_EQ(typed, "ab");
  EXPECT_EQ(ends, 1);
}

TEST_F(ScriptTest, ATextMayMatchAcrossLines) {
  ConsoleScript script("script", {{"one\r\ntwo", false, "ok", second}});
  connect(script);
  print(script, "one\r\ntwo");
  EXPECT_EQ(typed, "ok");
}

TEST_F(ScriptTest, ARegularExpressionMatchesWithinOneLine) {
  ConsoleScript script("script", {{"^crc32 .* ([0-9a-f]{4})$", true, "ok", second}});
  connect(script);
  print(script, "crc32 for 0 ...\r\n==> 12ab");
  EXPECT_EQ(typed, "");
  print(script, "\r\ncrc32 of it is 12a");
  EXPECT_EQ(typed, "");
  print(script, "b");
  EXPECT_EQ(typed, "ok");
}

TEST_F(ScriptTest, AStepThatWaitsTooLongFailsWithWhatItExpected) {
  ConsoleScript script("script", {{"=> ", false, "x", second}, {"OK\n", false, "y", 2 * second}});
  connect(script);
  pass_seconds(0.9);
  print(script, "=> ");
  pass_seconds(1.9);
  EXPECT_FALSE(script.failure());
  EXPECT_EQ(script.current(), 1u);
  pass_seconds(0.2);
  ASSERT_TRUE(script.failure());
  EXPECT_EQ(*script.failure(),
            "step 2 of 2: expected \"OK\\n\" on the UART within 2.000000 s of simulated time");
  EXPECT_FALSE(script.done());
  EXPECT_EQ(ends, 1);
  print(script, "OK\n");
  EXPECT_EQ(typed, "x");
}

TEST_F(ScriptTest, TheNextStepDoesNotTimeOutWithTheOneBefore) {
  ConsoleScript script("script", {{"a", false, "x", second}, {"b", false, "y", second}});
  sc_core::sc_event at_deadline;
  sc_core::sc_spawn_options options;
  options.spawn_method();
  options.dont_initialize();
  options.set_sensitivity(&at_deadline);
  sc_core::sc_spawn([&] { print(script, "a"); }, "print", &options);
  at_deadline.notify(second);
  connect(script);
  pass_seconds(1.5);
  EXPECT_EQ(script.current(), 1u);
  EXPECT_FALSE(script.failure());
}

TEST_F(ScriptTest, WithoutATimeoutAStepWaitsForever) {
  ConsoleScript script("script", {{"=> ", false, "x", sc_core::SC_ZERO_TIME}});
  connect(script);
  pass_seconds(1000);
  EXPECT_FALSE(script.failure());
}

TEST_F(ScriptTest, OutputWithoutAnEndOfLineStillMatches) {
  ConsoleScript script("script", {{"never", false, "", second}});
  connect(script);
  print(script, std::string(1'000'000, 'x') + "never");
  EXPECT_TRUE(script.done());
}

TEST(Script, ABadRegularExpressionIsNamed) {
  try {
    ConsoleScript script("script", {{"fine", false, "", second}, {"([", true, "", second}});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("step 2: \"([\""), std::string::npos) << error.what();
  }
}

TEST(UartLog, StampsEachLineWithTheTimeOfItsFirstByte) {
  std::ostringstream file;
  {
    UartLog log(&file);
    log.add('a', sc_core::sc_time(1'500'001, sc_core::SC_US));
    log.add('b', sc_core::sc_time(9, sc_core::SC_SEC));
    log.add('\r', sc_core::sc_time(9, sc_core::SC_SEC));
    log.add('\n', sc_core::sc_time(9, sc_core::SC_SEC));
    log.add('\x1b', sc_core::sc_time(10, sc_core::SC_SEC));
    EXPECT_EQ(file.str(), "[    1.500001] ab\n");
  }
  EXPECT_EQ(file.str(), "[    1.500001] ab\n[   10.000000] \\x1b\n");
}

TEST(UartLog, KeepsTheLastLinesOnly) {
  UartLog log;
  for (int i = 0; i < 1000; ++i)
    for (const char c : std::to_string(i) + "\n")
      log.add(static_cast<std::uint8_t>(c), sc_core::SC_ZERO_TIME);
  log.add('x', sc_core::SC_ZERO_TIME);
  const auto lines = log.last_lines(2);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "[    0.000000] 999");
  EXPECT_EQ(lines[1], "[    0.000000] x");
  EXPECT_EQ(log.last_lines(10'000).size(), UartLog::kept_lines + 1);
}

TEST(UartLog, BreaksALineWithoutEnd) {
  UartLog log;
  for (std::size_t i = 0; i < 3 * UartLog::longest_line; ++i)
    log.add('x', sc_core::SC_ZERO_TIME);
  EXPECT_LE(log.last_lines(100)[0].size(), UartLog::longest_line + 4);
}

} // namespace
} // namespace virtio::platform
