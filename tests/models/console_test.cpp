#include "models/function_bench.hpp"

#include <virtio/console/console.hpp>

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace virtio::console {
namespace {

using test::Bytes;
using test::bytes_of;
using test::cut;
using test::FunctionBench;
using test::pattern;
using test::text_of;

class ConsoleTest : public testing::Test {
protected:
  void build(ConsoleParams params = {}, bool by_pointer = true) {
    output_.clear();
    bench_ = std::make_unique<FunctionBench>(
        std::make_unique<Console>(
            params, [this](std::span<const std::byte> bytes) { output_ += text_of(bytes); }),
        by_pointer);
    bench_->start({});
  }
  void SetUp() override { build(); }

  Console& console() { return bench_->as<Console>(); }
  FunctionBench::Request& transmit(const Bytes& bytes, std::uint32_t piece) {
    return bench_->submit(Console::transmitq, bytes, cut(bytes.size(), piece), {});
  }
  FunctionBench::Request& post(std::vector<std::uint32_t> sizes) {
    return bench_->submit(Console::receiveq, {}, std::move(sizes));
  }
  std::size_t type(std::string_view text) { return console().input(bytes_of(text)); }
  std::string received(const FunctionBench::Request& r) { return text_of(bench_->answer(r)); }
  virtio_console_config config() {
    virtio_console_config c;
    std::memcpy(&c, bench_->function().config().data(), sizeof c);
    return c;
  }

  std::string output_;
  std::unique_ptr<FunctionBench> bench_;
};

TEST_F(ConsoleTest, HasOnePortAndOffersSizeAndEmergencyWrite) {
  EXPECT_EQ(console().type(), DeviceType::console);
  EXPECT_EQ(console().num_queues(), 2);
  EXPECT_EQ(console().features(),
            (FeatureSet{VIRTIO_CONSOLE_F_SIZE, VIRTIO_CONSOLE_F_EMERG_WRITE}));
}

TEST_F(ConsoleTest, OutputArrivesWhateverItsFraming) {
  const Bytes text = pattern(1500);
  for (const std::uint32_t piece : {1u, 7u, 511u, 512u, 513u, 1500u}) {
    build();
    auto& r = transmit(text, piece);
    EXPECT_TRUE(r.completed);
    EXPECT_EQ(r.written, 0u);
    EXPECT_EQ(output_, text_of(text)) << "descriptors of " << piece;
  }
}

TEST_F(ConsoleTest, OutputKeepsItsOrderHoweverMemoryAnswers) {
  build({}, false);
  bench_->port().hold = true;
  for (const char* word : {"one ", "two ", "three"})
    transmit(bytes_of(word), 2);
  bench_->run_stepped(true);
  EXPECT_EQ(output_, "one two three");
  EXPECT_EQ(bench_->used.size(), 3u);
}

TEST_F(ConsoleTest, WritableBuffersInTransmitqAreLeftAlone) {
  auto& r = bench_->submit(Console::transmitq, bytes_of("x"), {4});
  EXPECT_EQ(output_, "x");
  EXPECT_EQ(r.written, 0u);
  EXPECT_EQ(bench_->writable(r), Bytes(4, FunctionBench::guard));
}

TEST_F(ConsoleTest, AnEmptyTransmissionComesBack) {
  EXPECT_TRUE(bench_->submit(Console::transmitq, {}, {}).completed);
  EXPECT_EQ(output_, "");
}

TEST_F(ConsoleTest, OutputThatCannotBeReadFailsTheQueue) {
  auto& r = bench_->submit_pieces(Console::transmitq, {{FunctionBench::nowhere, 4}}, {});
  bench_->run();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::data_unreadable);
  EXPECT_EQ(output_, "");
}

TEST_F(ConsoleTest, InputWaitsForABuffer) {
  EXPECT_EQ(type("hello"), 5u);
  auto& r = post({16});
  EXPECT_EQ(received(r), "hello");
  EXPECT_TRUE(bench_->guards_intact());
}

TEST_F(ConsoleTest, ABufferWaitsForInput) {
  auto& r = post({16});
  EXPECT_FALSE(r.completed);
  type("h");
  EXPECT_EQ(received(r), "h");
}

TEST_F(ConsoleTest, InputFillsBuffersInOrderWhateverTheirFraming) {
  type("abcdefghijklm");
  auto& first = post({1, 1, 0, 3});
  auto& second = post({4});
  auto& third = post(cut(100, 9));
  EXPECT_EQ(received(first), "abcde");
  EXPECT_EQ(received(second), "fghi");
  EXPECT_EQ(received(third), "jklm");
  EXPECT_EQ(bench_->used, (std::vector<FunctionBench::Request*>{&first, &second, &third}));
  EXPECT_EQ(console().stats().bytes_in, 13u);
}

TEST_F(ConsoleTest, InputThatComesWhileMemoryIsSlowIsDelivered) {
  build({}, false);
  bench_->port().hold = true;
  auto& first = post({4});
  auto& second = post({8});
  type("abc");
  EXPECT_EQ(bench_->port().waiting(), 1u);
  type("defg");
  bench_->run_stepped();
  EXPECT_EQ(received(first) + received(second), "abcdefg");
}

TEST_F(ConsoleTest, BuffersWithoutRoomComeBackEmpty) {
  type("x");
  auto& readable = bench_->submit(Console::receiveq, pattern(8), {});
  auto& real = post({1});
  EXPECT_TRUE(readable.completed);
  EXPECT_EQ(readable.written, 0u);
  EXPECT_EQ(received(real), "x");
}

TEST_F(ConsoleTest, ReadableBuffersInReceiveqAreNotWritten) {
  type("xy");
  auto& r = bench_->submit(Console::receiveq, pattern(8), {2});
  EXPECT_EQ(received(r), "xy");
  const std::byte* readable = bench_->memory(r.chain.pieces[0].addr);
  EXPECT_EQ(Bytes(readable, readable + 8), pattern(8));
}

TEST_F(ConsoleTest, InputBeyondTheLimitIsDroppedAndCounted) {
  build({.input_limit = 4});
  EXPECT_EQ(type("abcdef"), 4u);
  EXPECT_EQ(console().stats().input_dropped, 2u);
  EXPECT_EQ(received(post({8})), "abcd");
  EXPECT_EQ(type("ghij"), 4u);
  EXPECT_EQ(received(post({8})), "ghij") << "around the end of the queue";
}

TEST_F(ConsoleTest, InputThatCannotBeWrittenFailsTheQueueOnce) {
  auto& bad = bench_->submit_pieces(Console::receiveq, {}, {{FunctionBench::nowhere, 4}});
  auto& good = post({4});
  type("ab");
  bench_->run();
  EXPECT_TRUE(bad.failed);
  EXPECT_EQ(bad.error, RingError::data_unwritable);
  type("cd");
  EXPECT_FALSE(good.completed) << "none after the failed one";
}

TEST_F(ConsoleTest, ResetWhileInputIsWrittenLosesNothing) {
  build({}, false);
  bench_->port().hold = true;
  auto& aborted = post({4});
  type("abcdef");
  bench_->abort(Console::receiveq);
  type("gh"); // nobody may start anything now
  bench_->run_stepped();
  EXPECT_TRUE(bench_->settled(Console::receiveq));
  EXPECT_FALSE(aborted.completed || aborted.failed);
  auto& next = post({16});
  bench_->run_stepped();
  EXPECT_EQ(received(next), "abcdefgh");
}

TEST_F(ConsoleTest, ResetWhileOutputIsReadSendsNothingMore) {
  build({}, false);
  bench_->port().hold = true;
  transmit(pattern(2000), 2000);
  bench_->abort(Console::transmitq);
  bench_->run_stepped();
  EXPECT_TRUE(bench_->settled(Console::transmitq));
  EXPECT_EQ(output_, "");
  transmit(bytes_of("again"), 5);
  bench_->run_stepped();
  EXPECT_EQ(output_, "again");
}

TEST_F(ConsoleTest, ConfigurationHoldsTheSizeAndTheRestIsZero) {
  const virtio_console_config c = config();
  EXPECT_EQ(console().config().size(), 12u);
  EXPECT_EQ(c.cols, 80);
  EXPECT_EQ(c.rows, 25);
  EXPECT_EQ(c.max_nr_ports, 0u);
  EXPECT_EQ(c.emerg_wr, 0u);
}

TEST_F(ConsoleTest, AResizeTellsTheDriver) {
  console().resize(132, 43);
  EXPECT_EQ(config().cols, 132);
  EXPECT_EQ(config().rows, 43);
  EXPECT_EQ(bench_->config_changes, 1);
  console().resize(132, 43);
  EXPECT_EQ(bench_->config_changes, 1) << "nothing changed";
}

TEST_F(ConsoleTest, EmergencyWriteSendsTheLowerByteOfAnUnconfiguredDevice) {
  bench_->reset();
  const le32 value = 0x1234'5600u + 'A';
  console().write_config(offsetof(virtio_console_config, emerg_wr),
                         std::as_bytes(std::span(&value, 1)));
  EXPECT_EQ(output_, "A");
  const std::byte narrow{'B'};
  console().write_config(offsetof(virtio_console_config, emerg_wr), std::span(&narrow, 1));
  EXPECT_EQ(output_, "AB");
  Bytes wide(12);
  wide[offsetof(virtio_console_config, emerg_wr)] = std::byte{'C'};
  console().write_config(0, wide);
  EXPECT_EQ(output_, "ABC");
  EXPECT_EQ(config().emerg_wr, 0u);
}

TEST_F(ConsoleTest, NothingElseOfTheConfigurationCanBeWritten) {
  const Bytes ones(8, std::byte{1});
  console().write_config(0, ones);
  console().write_config(9, std::span(ones).first(3)); // the upper bytes of emerg_wr
  EXPECT_EQ(config().cols, 80);
  EXPECT_EQ(config().max_nr_ports, 0u);
  EXPECT_EQ(output_, "");
}

TEST(FileSink, WritesWhatItIsGivenAndNamesTheFileInErrors) {
  const auto path = std::filesystem::path(testing::TempDir()) / "virtio_console_sink.log";
  {
    const auto sink = file_sink(path);
    ASSERT_TRUE(sink) << sink.error();
    (*sink)(bytes_of("one "));
    (*sink)(bytes_of("two"));
  }
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "one two");
  std::filesystem::remove(path);

  const auto missing = file_sink("/nonexistent/console.log");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(),
            "/nonexistent/console.log: cannot be created: No such file or directory");
}

TEST_F(ConsoleTest, ATimedDeviceServesOneBufferOfAQueueAfterTheOther) {
  build({.timing = {.request_cost = microseconds(2)}});
  auto& first = transmit(bytes_of("one"), 3);
  auto& second = transmit(bytes_of("two"), 3);
  auto& in = post({4});
  auto& more = post({4});
  type("abcdef");
  EXPECT_EQ(output_, "");
  bench_->run();
  EXPECT_EQ(output_, "onetwo");
  EXPECT_EQ(first.completed_at, microseconds(2));
  EXPECT_EQ(second.completed_at, microseconds(4));
  EXPECT_EQ(in.completed_at, microseconds(2));
  EXPECT_EQ(more.completed_at, microseconds(4));
  EXPECT_EQ(received(in) + received(more), "abcdef");
}

TEST_F(ConsoleTest, AResetWhileTimePassesLosesNoInput) {
  build({.timing = {.request_cost = microseconds(2)}});
  post({8});
  type("abc");
  bench_->at(microseconds(1), [&] { bench_->abort(Console::receiveq); });
  bench_->run();
  EXPECT_TRUE(bench_->settled(Console::receiveq));
  auto& r = post({8});
  bench_->run();
  EXPECT_EQ(received(r), "abc");
  EXPECT_EQ(r.completed_at, microseconds(3));
}

TEST_F(ConsoleTest, WhatIsNotToBeOfferedIsNot) {
  build({.features = {}});
  EXPECT_EQ(console().features(), FeatureSet{});
  EXPECT_EQ(config().cols, 0);
  console().resize(100, 40);
  EXPECT_EQ(bench_->config_changes, 0);
  EXPECT_EQ(config().cols, 0);
  const std::byte x{'x'};
  console().write_config(offsetof(virtio_console_config, emerg_wr), std::span(&x, 1));
  EXPECT_EQ(output_, "");
  EXPECT_THROW(build({.features = {VIRTIO_CONSOLE_F_MULTIPORT}}), std::invalid_argument);
}

} // namespace
} // namespace virtio::console
