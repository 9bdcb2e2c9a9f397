// Time lines of the block device, worked out by hand. Guest memory takes no time.
#include "models/function_bench.hpp"

#include <virtio/blk/block.hpp>

#include <gtest/gtest.h>

namespace virtio::blk {
namespace {

using test::Bytes;
using test::FunctionBench;

/// 512 bytes pass the bus in 1 us.
constexpr BlockTiming disk{.request_cost = microseconds(1),
                           .read_latency = microseconds(80),
                           .write_latency = microseconds(20),
                           .bandwidth = 512'000'000,
                           .channels = 2};

class BlockTimingTest : public testing::Test {
protected:
  void build(BlockTiming timing, std::uint16_t queues = 1) {
    bench_ = std::make_unique<FunctionBench>(std::make_unique<Block>(
        BlockParams{.num_queues = queues, .timing = timing}, std::make_unique<RamStore>(1 << 20)));
    bench_->start({VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ});
  }
  FunctionBench::Request& send(std::uint32_t type, std::uint32_t bytes, std::uint16_t queue = 0) {
    virtio_blk_req request;
    request.type = type;
    const bool out = type == VIRTIO_BLK_T_OUT;
    Bytes readable(sizeof request + (out ? bytes : 0));
    std::memcpy(readable.data(), &request, sizeof request);
    std::vector<std::uint32_t> writable;
    if (!out && bytes != 0) writable.push_back(bytes);
    writable.push_back(1);
    return bench_->submit(QueueIndex{queue}, readable, writable);
  }
  FunctionBench::Request& read(std::uint32_t bytes, std::uint16_t queue = 0) {
    return send(VIRTIO_BLK_T_IN, bytes, queue);
  }
  FunctionBench::Request& write(std::uint32_t bytes) { return send(VIRTIO_BLK_T_OUT, bytes); }
  /// In microseconds; the request must have ended.
  static std::uint64_t end_of(const FunctionBench::Request& r) {
    EXPECT_TRUE(r.completed);
    EXPECT_EQ(r.completed_at.ps % 1'000'000, 0u);
    return r.completed_at.ps / 1'000'000;
  }

  std::unique_ptr<FunctionBench> bench_;
};

TEST_F(BlockTimingTest, WithoutTimingNothingSuspends) {
  build({});
  EXPECT_TRUE(read(4096).completed) << "without a run of the executor";
  EXPECT_EQ(bench_->executor().now(), SimTime{});
}

TEST_F(BlockTimingTest, AReadTakesCostLatencyAndTransfer) {
  build(disk);
  auto& r = read(4096);
  EXPECT_FALSE(r.completed);
  bench_->run();
  EXPECT_EQ(end_of(r), 1 + 80 + 8);
}

TEST_F(BlockTimingTest, AWriteTakesCostTransferAndLatency) {
  build(disk);
  auto& r = write(4096);
  bench_->run();
  EXPECT_EQ(end_of(r), 1 + 8 + 20);
}

TEST_F(BlockTimingTest, AFlushIsAnEmptyWriteAndOtherRequestsDoNotReachTheMedium) {
  build(disk);
  auto& flush = send(VIRTIO_BLK_T_FLUSH, 0);
  auto& id = send(VIRTIO_BLK_T_GET_ID, id_bytes);
  auto& unknown = send(99, 0);
  auto& bad = read(100); // no whole sector
  bench_->run();
  EXPECT_EQ(end_of(flush), 1 + 20);
  EXPECT_EQ(end_of(id), 1);
  EXPECT_EQ(end_of(unknown), 1);
  EXPECT_EQ(end_of(bad), 1);
}

TEST_F(BlockTimingTest, TwoChannelsServeFourReadsInTwoRounds) {
  build(disk);
  const FunctionBench::Request* reads[] = {&read(512), &read(512), &read(512), &read(512)};
  bench_->run();
  EXPECT_EQ(end_of(*reads[0]), 82);  // 1 + 80 + 1
  EXPECT_EQ(end_of(*reads[1]), 83);  // the bus was busy until 82
  EXPECT_EQ(end_of(*reads[2]), 163); // a channel at 82
  EXPECT_EQ(end_of(*reads[3]), 164); // a channel at 83, which is also when the bus is free
}

TEST_F(BlockTimingTest, ChannelsAreGivenInTheOrderOfTheRequestsWhateverTheirQueue) {
  BlockTiming one = disk;
  one.channels = 1;
  build(one, 3);
  const FunctionBench::Request* reads[] = {&read(512, 2), &read(512, 0), &read(512, 1)};
  bench_->run();
  EXPECT_EQ(end_of(*reads[0]), 82);
  EXPECT_EQ(end_of(*reads[1]), 82 + 81);
  EXPECT_EQ(end_of(*reads[2]), 82 + 81 + 81);
}

TEST_F(BlockTimingTest, ChannelsWithoutALimitShareTheBusOnly) {
  BlockTiming any = disk;
  any.channels = 0;
  build(any);
  std::vector<FunctionBench::Request*> reads;
  for (int i = 0; i < 10; ++i)
    reads.push_back(&read(1024));
  bench_->run();
  for (std::uint64_t i = 0; i < 10; ++i)
    EXPECT_EQ(end_of(*reads[i]), 81 + 2 * (i + 1));
}

TEST_F(BlockTimingTest, TheBusIsFreeWhileTheMediumSeeks) {
  build(disk);
  auto& r = read(512);
  auto& w = write(4096);
  bench_->run();
  EXPECT_EQ(end_of(w), 1 + 8 + 20);
  EXPECT_EQ(end_of(r), 82);
}

TEST_F(BlockTimingTest, FractionsOfAPicosecondAreCarriedOn) {
  build({.bandwidth = 3'000'000'000}); // 512 bytes in 170,666 2/3 ps
  const FunctionBench::Request* reads[] = {&read(512), &read(512), &read(512)};
  bench_->run();
  EXPECT_EQ(reads[0]->completed_at.ps, 170'666u);
  EXPECT_EQ(reads[1]->completed_at.ps, 341'333u);
  EXPECT_EQ(reads[2]->completed_at.ps, 512'000u);
}

TEST_F(BlockTimingTest, AResetAtAnyTimeLeavesTheChannelsFree) {
  // While the command is decoded, the medium seeks, the bus is used, and behind the first read.
  for (const std::uint64_t reset_at : {0u, 500u, 1'000u, 40'000u, 81'500u, 82'500u, 100'000u}) {
    BlockTiming one = disk;
    one.channels = 1;
    build(one);
    for (int i = 0; i < 3; ++i)
      read(512);
    bench_->at(nanoseconds(reset_at), [&] { bench_->abort(Block::requestq); });
    bench_->run();
    EXPECT_TRUE(bench_->settled(Block::requestq)) << reset_at;
    const std::size_t before = bench_->used.size();
    EXPECT_EQ(before, reset_at < 82'000 ? 0u : 1u);
    EXPECT_EQ(bench_->executor().now(), nanoseconds(reset_at)) << "a reset waits for no medium";
    const SimTime start = bench_->executor().now();
    auto& next = read(512);
    bench_->run();
    ASSERT_TRUE(next.completed);
    // The bus may still be busy with what was reset.
    EXPECT_EQ(next.completed_at - start, microseconds(82)) << reset_at;
    EXPECT_EQ(bench_->used.size(), before + 1);
  }
}

TEST_F(BlockTimingTest, AResetOfOneQueueGivesItsTurnToTheOthers) {
  BlockTiming one = disk;
  one.channels = 1;
  build(one, 2);
  read(512, 0);
  read(512, 0);
  auto& other = read(512, 1);
  bench_->at(microseconds(10), [&] { bench_->abort(QueueIndex{0}); });
  bench_->run();
  EXPECT_EQ(end_of(other), 10 + 80 + 1);
}

TEST_F(BlockTimingTest, ASimulationMayEndAtAnyStage) {
  for (std::size_t steps = 0; steps < 40; ++steps) {
    build(disk);
    for (int i = 0; i < 8; ++i)
      read(512);
    bench_->executor().run_until_idle(steps);
    bench_.reset(); // AddressSanitizer sees what is left
  }
}

} // namespace
} // namespace virtio::blk
