#include "models/function_bench.hpp"

#include <virtio/blk/block.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace virtio::blk {
namespace {

using test::Bytes;
using test::cut;
using test::FunctionBench;
using test::pattern;

constexpr std::uint64_t sectors = 64;

/// A RAM disk that records what is committed, and fails when told to.
class RecordingStore final : public Store {
public:
  struct Commit {
    std::uint64_t offset;
    std::uint64_t len;
    bool operator==(const Commit&) const = default;
  };
  std::span<std::byte> memory() override { return ram_.memory(); }
  bool writable() const override { return true; }
  bool commit(std::uint64_t offset, std::uint64_t len) override {
    commits.push_back({offset, len});
    return works;
  }
  std::vector<Commit> commits;
  bool works = true;

private:
  RamStore ram_{sectors * sector_size};
};

class BlockTest : public testing::Test {
protected:
  void build(BlockParams params = {.serial = "disk-0"}, bool by_pointer = true) {
    auto store = std::make_unique<RecordingStore>();
    store_ = store.get();
    const Bytes content = pattern(sectors * sector_size);
    std::copy(content.begin(), content.end(), store->memory().begin());
    bench_ = std::make_unique<FunctionBench>(std::make_unique<Block>(params, std::move(store)),
                                             by_pointer);
    bench_->start(FeatureSet{VIRTIO_BLK_F_FLUSH}.set(VIRTIO_BLK_F_MQ, params.num_queues > 1));
  }
  void SetUp() override { build(); }

  static Bytes header(std::uint32_t type, std::uint64_t sector) {
    virtio_blk_req request{type, 0u, sector};
    Bytes bytes(sizeof request);
    std::memcpy(bytes.data(), &request, sizeof request);
    return bytes;
  }
  static Bytes header_and(std::uint32_t type, std::uint64_t sector, const Bytes& data) {
    Bytes bytes = header(type, sector);
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
  }
  FunctionBench::Request& send(const Bytes& readable, std::vector<std::uint32_t> writable) {
    auto& r = bench_->submit(Block::requestq, readable, writable);
    bench_->run_stepped();
    return r;
  }
  Bytes disk(std::uint64_t sector, std::uint64_t count) {
    const auto part = store_->memory().subspan(sector * sector_size, count * sector_size);
    return {part.begin(), part.end()};
  }
  /// The last byte of the device-writable part.
  std::uint8_t status(const FunctionBench::Request& r) {
    EXPECT_TRUE(r.completed);
    return std::to_integer<std::uint8_t>(bench_->writable(r).back());
  }
  virtio_blk_config config() {
    virtio_blk_config c;
    std::memcpy(&c, bench_->function().config().data(), sizeof c);
    return c;
  }
  Block& block() { return bench_->as<Block>(); }

  RecordingStore* store_ = nullptr;
  std::unique_ptr<FunctionBench> bench_;
};

TEST_F(BlockTest, ReadsTheSectorsAskedForAndCountsDataAndStatus) {
  auto& r = send(header(VIRTIO_BLK_T_IN, 3), {1024, 1});
  EXPECT_EQ(status(r), VIRTIO_BLK_S_OK);
  EXPECT_EQ(r.written, 1025u);
  Bytes expected = disk(3, 2);
  expected.push_back(std::byte{VIRTIO_BLK_S_OK});
  EXPECT_EQ(bench_->answer(r), expected);
}

TEST_F(BlockTest, ReadsThroughAnyFraming) {
  for (const std::uint32_t head : {1u, 5u, 16u})
    for (const std::uint32_t piece : {1u, 7u, 512u, 600u, 1025u}) {
      build();
      const Bytes request = header(VIRTIO_BLK_T_IN, 10);
      auto& r = bench_->submit(Block::requestq, request, cut(16, head), cut(1025, piece));
      Bytes expected = disk(10, 2);
      expected.push_back(std::byte{VIRTIO_BLK_S_OK});
      EXPECT_EQ(bench_->answer(r), expected) << head << " and " << piece;
      EXPECT_TRUE(bench_->guards_intact());
    }
}

TEST_F(BlockTest, WritesThroughAnyFraming) {
  const Bytes data = pattern(1024, 9);
  for (const std::uint32_t piece : {1u, 5u, 16u, 17u, 528u, 1040u}) {
    build();
    const Bytes request = header_and(VIRTIO_BLK_T_OUT, 61, data);
    auto& r = bench_->submit(Block::requestq, request, cut(request.size(), piece), {1});
    EXPECT_EQ(status(r), VIRTIO_BLK_S_OK) << "descriptors of " << piece;
    EXPECT_EQ(r.written, 1u);
    EXPECT_EQ(disk(61, 2), data);
    const Bytes untouched = pattern(sectors * sector_size);
    EXPECT_EQ(disk(0, 61), Bytes(untouched.begin(), untouched.begin() + 61 * 512));
    EXPECT_TRUE(bench_->guards_intact());
  }
}

TEST_F(BlockTest, StatusIsTheLastWritableByteWhereverItFalls) {
  // At the end of the data's own descriptor, and before an empty one.
  auto& joined = send(header(VIRTIO_BLK_T_IN, 0), {513});
  EXPECT_EQ(bench_->answer(joined).back(), std::byte{VIRTIO_BLK_S_OK});
  auto& followed = send(header(VIRTIO_BLK_T_IN, 0), {512, 1, 0});
  EXPECT_EQ(bench_->answer(followed).back(), std::byte{VIRTIO_BLK_S_OK});
}

TEST_F(BlockTest, LastSectorIsReachableAndNothingBeyond) {
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, sectors - 1), {512, 1})), VIRTIO_BLK_S_OK);
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, sectors - 1), {1024, 1})), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, sectors), {512, 1})), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, sectors, pattern(512)), {1})),
            VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, SectorNumbersThatOverflowAreRefused) {
  for (const std::uint64_t sector : {~0ull, ~0ull / 512, 1ull << 55, (1ull << 55) - 1}) {
    EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, sector), {512, 1})), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, sector, pattern(512)), {1})),
              VIRTIO_BLK_S_IOERR);
  }
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, DataThatIsNoMultipleOf512IsRefused) {
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, 0), {511, 1})), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 0, pattern(513, 3)), {1})),
            VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(disk(0, 2), Bytes(pattern(1024)));
}

TEST_F(BlockTest, ARefusedReadDefinesEveryByteThatItsLengthCovers) {
  auto& r = send(header(VIRTIO_BLK_T_IN, sectors), {5000, 120, 1});
  Bytes expected(5120, std::byte{0});
  expected.push_back(std::byte{VIRTIO_BLK_S_IOERR});
  EXPECT_EQ(bench_->answer(r), expected);
}

TEST_F(BlockTest, RequestsWithoutDataSucceed) {
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, 0), {1})), VIRTIO_BLK_S_OK);
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_OUT, 0), {1})), VIRTIO_BLK_S_OK);
}

TEST_F(BlockTest, GetIdAnswersTheSerialPaddedWithNul) {
  auto& r = send(header(VIRTIO_BLK_T_GET_ID, 0), {20, 1});
  EXPECT_EQ(r.written, 21u);
  EXPECT_EQ(test::text_of(bench_->answer(r)),
            std::string("disk-0") + std::string(14, '\0') + std::string(1, '\0'));
}

TEST_F(BlockTest, ASerialOfTwentyBytesHasNoTerminator) {
  build({.serial = "12345678901234567890"});
  auto& r = send(header(VIRTIO_BLK_T_GET_ID, 0), cut(21, 3));
  EXPECT_EQ(test::text_of(bench_->answer(r)), std::string("12345678901234567890") + '\0');
  EXPECT_THROW(Block({.serial = "123456789012345678901"}, std::make_unique<RamStore>(512)),
               std::invalid_argument);
}

TEST_F(BlockTest, GetIdWithRoomForAnythingButTwentyBytesIsAnError) {
  for (const std::uint32_t room : {0u, 19u, 21u})
    EXPECT_EQ(status(send(header(VIRTIO_BLK_T_GET_ID, 0), {room, 1})), VIRTIO_BLK_S_IOERR);
}

TEST_F(BlockTest, UnknownRequestsAreUnsupported) {
  for (const std::uint32_t type : {2u, 3u, 5u, 9u, 100u, 0x8000'0000u, ~0u})
    EXPECT_EQ(status(send(header(type, 0), {1})), VIRTIO_BLK_S_UNSUPP) << type;
}

TEST_F(BlockTest, RequestsOfFeaturesThatAreNotOfferedAreUnsupported) {
  for (const std::uint32_t type : {VIRTIO_BLK_T_GET_LIFETIME, VIRTIO_BLK_T_DISCARD,
                                   VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE})
    EXPECT_EQ(status(send(header_and(type, 0, pattern(16)), {1})), VIRTIO_BLK_S_UNSUPP) << type;
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, ZoneRequestsAreUnsupported) {
  for (const std::uint32_t type :
       {VIRTIO_BLK_T_ZONE_APPEND, VIRTIO_BLK_T_ZONE_REPORT, VIRTIO_BLK_T_ZONE_OPEN,
        VIRTIO_BLK_T_ZONE_CLOSE, VIRTIO_BLK_T_ZONE_FINISH, VIRTIO_BLK_T_ZONE_RESET,
        VIRTIO_BLK_T_ZONE_RESET_ALL})
    EXPECT_EQ(status(send(header(type, 0), {64, 1})), VIRTIO_BLK_S_UNSUPP) << type;
}

TEST_F(BlockTest, AReadOnlyDeviceRefusesWritesAndKeepsItsData) {
  build({.read_only = true});
  EXPECT_TRUE(block().features().has(VIRTIO_BLK_F_RO));
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 0, pattern(512, 5)), {1})),
            VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, 0), {512, 1})), VIRTIO_BLK_S_OK);
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_FLUSH, 0), {1})), VIRTIO_BLK_S_OK);
}

TEST_F(BlockTest, AShortHeaderIsAnErrorThatIsAnswered) {
  for (const std::size_t size : {0u, 1u, 15u}) {
    auto& r = send(Bytes(size), {512, 1});
    EXPECT_EQ(status(r), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(r.written, 513u);
  }
}

TEST_F(BlockTest, ARequestWithoutRoomForTheStatusFailsTheQueue) {
  auto& r = send(header_and(VIRTIO_BLK_T_OUT, 0, pattern(512, 5)), {});
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::malformed_request);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, DataThatCannotBeReachedIsAnError) {
  const Piece head = bench_->allocate(16);
  const Piece answer = bench_->allocate(1);
  const auto send_pieces = [&](const Bytes& request, bool out) -> FunctionBench::Request& {
    std::memcpy(bench_->memory(head.addr), request.data(), 16);
    const Piece data{FunctionBench::nowhere, 512};
    auto& r = out ? bench_->submit_pieces(Block::requestq, {head, data}, {answer})
                  : bench_->submit_pieces(Block::requestq, {head}, {data, answer});
    bench_->run();
    EXPECT_TRUE(r.completed);
    EXPECT_EQ(*bench_->memory(answer.addr), std::byte{VIRTIO_BLK_S_IOERR});
    return r;
  };
  EXPECT_EQ(send_pieces(header(VIRTIO_BLK_T_OUT, 0), true).written, 1u);
  // The length must not claim data that was not written.
  EXPECT_EQ(send_pieces(header(VIRTIO_BLK_T_IN, 0), false).written, 0u);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, TheStatusOfAReadWhoseMemoryFailsHalfwayIsStillItsLastByte) {
  const Piece head = bench_->allocate(16);
  const Bytes request = header(VIRTIO_BLK_T_IN, 0);
  std::memcpy(bench_->memory(head.addr), request.data(), 16);
  const Piece first = bench_->allocate(512);
  const Piece last = bench_->allocate(513);
  auto& r =
      bench_->submit_pieces(Block::requestq, {head}, {first, {FunctionBench::nowhere, 512}, last});
  bench_->run();
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(*bench_->memory(last.addr + 512), std::byte{VIRTIO_BLK_S_IOERR});
  EXPECT_EQ(Bytes(bench_->memory(last.addr), bench_->memory(last.addr) + 512),
            Bytes(512, FunctionBench::guard));
}

TEST_F(BlockTest, AHeaderThatCannotBeReachedIsAnError) {
  auto& r =
      bench_->submit_pieces(Block::requestq, {{FunctionBench::nowhere, 16}}, {bench_->allocate(1)});
  bench_->run();
  EXPECT_EQ(status(r), VIRTIO_BLK_S_IOERR);
}

TEST_F(BlockTest, AStatusThatCannotBeWrittenFailsTheQueue) {
  const Piece head = bench_->allocate(16);
  std::memset(bench_->memory(head.addr), 0, 16);
  auto& r = bench_->submit_pieces(Block::requestq, {head}, {{FunctionBench::nowhere, 1}});
  bench_->run();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::data_unwritable);
}

TEST_F(BlockTest, AFlushCommitsEverythingBeforeItCompletes) {
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 2, pattern(512, 5)), {1})), VIRTIO_BLK_S_OK);
  EXPECT_TRUE(store_->commits.empty()) << "with VIRTIO_BLK_F_FLUSH the cache is write-back";
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_FLUSH, 0), {1})), VIRTIO_BLK_S_OK);
  ASSERT_EQ(store_->commits.size(), 1u);
  EXPECT_EQ(store_->commits[0], (RecordingStore::Commit{0, sectors * sector_size}));
}

TEST_F(BlockTest, AFlushWithDataStillFlushes) {
  auto& r = send(header_and(VIRTIO_BLK_T_FLUSH, 7, pattern(512, 5)), {512, 1});
  EXPECT_EQ(status(r), VIRTIO_BLK_S_OK);
  EXPECT_EQ(store_->commits.size(), 1u);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, AFlushThatFailsIsAnError) {
  store_->works = false;
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_FLUSH, 0), {1})), VIRTIO_BLK_S_IOERR);
  EXPECT_EQ(block().stats().errors, 1u);
}

TEST_F(BlockTest, WithoutFlushNegotiatedEveryWriteIsCommittedBeforeItCompletes) {
  bench_->reset();
  bench_->start({});
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 2, pattern(1024, 5)), {1})), VIRTIO_BLK_S_OK);
  EXPECT_EQ(store_->commits, (std::vector<RecordingStore::Commit>{{1024, 1024}}));
  store_->works = false;
  EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 2, pattern(512, 5)), {1})),
            VIRTIO_BLK_S_IOERR);
}

TEST_F(BlockTest, TheDriverSwitchesTheCacheModeThroughWriteback) {
  bench_->reset();
  EXPECT_EQ(config().writeback, 0);
  bench_->start({VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE});
  EXPECT_EQ(config().writeback, 0);
  const auto write = [&] {
    store_->commits.clear();
    EXPECT_EQ(status(send(header_and(VIRTIO_BLK_T_OUT, 2, pattern(512, 5)), {1})), VIRTIO_BLK_S_OK);
    return store_->commits.size();
  };
  EXPECT_EQ(write(), 1u);
  const std::byte on{1};
  block().write_config(offsetof(virtio_blk_config, writeback), std::span(&on, 1));
  EXPECT_EQ(config().writeback, 1);
  EXPECT_EQ(write(), 0u);
  const std::byte off{0};
  block().write_config(offsetof(virtio_blk_config, writeback), std::span(&off, 1));
  EXPECT_EQ(write(), 1u);
}

TEST_F(BlockTest, WritebackIsZeroForADriverThatCannotFlush) {
  bench_->reset();
  bench_->start({VIRTIO_BLK_F_CONFIG_WCE});
  EXPECT_EQ(config().writeback, 0);
}

TEST_F(BlockTest, NothingElseOfTheConfigurationCanBeWritten) {
  const Bytes before(block().config().begin(), block().config().end());
  const Bytes ones(before.size(), std::byte{1});
  block().write_config(0, ones); // without VIRTIO_BLK_F_CONFIG_WCE not even writeback
  EXPECT_EQ(Bytes(block().config().begin(), block().config().end()), before);

  bench_->reset();
  bench_->start({VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_FLUSH});
  block().write_config(0, ones);
  Bytes expected = before;
  expected[offsetof(virtio_blk_config, writeback)] = std::byte{1};
  EXPECT_EQ(Bytes(block().config().begin(), block().config().end()), expected);
  const std::byte two{2};
  block().write_config(offsetof(virtio_blk_config, writeback), std::span(&two, 1));
  EXPECT_EQ(config().writeback, 1) << "only 0 and 1 mean something";
}

TEST_F(BlockTest, FlushIsAlwaysOffered) {
  for (const bool read_only : {false, true}) {
    build({.read_only = read_only});
    EXPECT_TRUE(block().features().has(VIRTIO_BLK_F_FLUSH));
  }
}

TEST_F(BlockTest, FeaturesOfOtherMediaAreNotOffered) {
  EXPECT_FALSE(block().features().has(VIRTIO_BLK_F_ZONED));
  EXPECT_FALSE(block().features().has(VIRTIO_BLK_F_LIFETIME));
  EXPECT_FALSE(block().features().has(VIRTIO_BLK_F_RO));
}

TEST_F(BlockTest, ConfigurationSaysWhatIsOfferedAndTheRestIsZero) {
  build({.queue_size = 128, .blk_size = 4096, .physical_block_exp = 3});
  const virtio_blk_config c = config();
  EXPECT_EQ(c.capacity, sectors);
  EXPECT_EQ(c.seg_max, 126u);
  EXPECT_EQ(c.blk_size, 4096u);
  EXPECT_EQ(c.topology.physical_block_exp, 3);
  EXPECT_EQ(c.topology.min_io_size, 1u);
  Bytes rest(block().config().begin() + 32, block().config().end());
  EXPECT_EQ(rest, Bytes(rest.size(), std::byte{0}));
  EXPECT_EQ(block().config().size(), 96u);
}

TEST_F(BlockTest, ParametersOutOfRangeAreRefused) {
  const auto with = [](BlockParams params) { Block(params, std::make_unique<RamStore>(512)); };
  EXPECT_THROW(with({.blk_size = 256}), std::invalid_argument);
  EXPECT_THROW(with({.blk_size = 1000}), std::invalid_argument);
  EXPECT_THROW(with({.physical_block_exp = 16}), std::invalid_argument);
  EXPECT_THROW(with({.num_queues = 0}), std::invalid_argument);
  EXPECT_THROW(with({.num_queues = Block::max_queues + 1}), std::invalid_argument);
  EXPECT_THROW(with({.num_queues = 2, .features = {}}), std::invalid_argument);
  EXPECT_THROW(with({.features = {VIRTIO_BLK_F_DISCARD}}), std::invalid_argument);
  EXPECT_THROW(RamStore(100), std::invalid_argument);
}

TEST_F(BlockTest, SeveralQueuesAreOfferedAsMultiqueue) {
  EXPECT_FALSE(block().features().has(VIRTIO_BLK_F_MQ));
  EXPECT_EQ(config().num_queues, 0);
  build({.num_queues = 4});
  EXPECT_TRUE(block().features().has(VIRTIO_BLK_F_MQ));
  EXPECT_EQ(config().num_queues, 4);
  EXPECT_EQ(block().num_queues(), 4);
}

TEST_F(BlockTest, EveryQueueTakesEveryRequestAndNoneWaitsForAnother) {
  build({.num_queues = 3}, false);
  bench_->port().hold = true;
  std::vector<FunctionBench::Request*> requests;
  for (std::uint16_t queue = 0; queue < 3; ++queue)
    requests.push_back(
        &bench_->submit(QueueIndex{queue}, header(VIRTIO_BLK_T_IN, queue), {512, 1}));
  while (bench_->port().waiting() > 0 && !requests[2]->completed) {
    bench_->port().answer_one(bench_->port().waiting() - 1); // always the last queue's access
    bench_->run();
  }
  EXPECT_TRUE(requests[2]->completed);
  EXPECT_FALSE(requests[0]->completed || requests[1]->completed);
  bench_->abort(QueueIndex{0});
  bench_->run_stepped();
  EXPECT_FALSE(requests[0]->completed) << "its queue was reset";
  EXPECT_TRUE(requests[1]->completed);
  for (std::uint16_t queue = 1; queue < 3; ++queue) {
    Bytes expected = disk(queue, 1);
    expected.push_back(std::byte{VIRTIO_BLK_S_OK});
    EXPECT_EQ(bench_->answer(*requests[queue]), expected);
  }
}

TEST_F(BlockTest, WithoutMultiqueueNegotiatedOnlyTheFirstQueueTakesRequests) {
  build({.num_queues = 3});
  bench_->reset();
  bench_->start({VIRTIO_BLK_F_FLUSH});
  EXPECT_FALSE(bench_->submit(QueueIndex{1}, header(VIRTIO_BLK_T_IN, 0), {512, 1}).completed);
  EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, 0), {512, 1})), VIRTIO_BLK_S_OK);
}

TEST_F(BlockTest, WhatIsNotToBeOfferedIsNotAndItsFieldsAreZero) {
  build({.features = {}});
  EXPECT_EQ(block().features(), FeatureSet{});
  Bytes rest(block().config().begin() + 8, block().config().end());
  EXPECT_EQ(rest, Bytes(rest.size(), std::byte{0}));
  build({.read_only = true, .features = {VIRTIO_BLK_F_TOPOLOGY}});
  EXPECT_EQ(block().features(), (FeatureSet{VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_RO}));
}

TEST_F(BlockTest, ManyRequestsAreUnderWayAtOnceAndEndInAnyOrder) {
  build({}, false);
  bench_->port().hold = true;
  std::vector<FunctionBench::Request*> requests;
  for (std::uint64_t i = 0; i < 8; ++i)
    requests.push_back(&bench_->submit(Block::requestq, header(VIRTIO_BLK_T_IN, i), {512, 1}));
  EXPECT_EQ(bench_->port().waiting(), 8u);
  bench_->run_stepped(true);
  for (std::uint64_t i = 0; i < 8; ++i) {
    Bytes expected = disk(i, 1);
    expected.push_back(std::byte{VIRTIO_BLK_S_OK});
    EXPECT_EQ(bench_->answer(*requests[i]), expected);
  }
  EXPECT_NE(bench_->used.front(), requests.front());
}

TEST_F(BlockTest, ResetAtEveryStageOfARequestLeavesNothingBehind) {
  for (unsigned answered = 0; answered < 3; ++answered) {
    build({}, false);
    bench_->port().hold = true;
    auto& r = bench_->submit(Block::requestq, header(VIRTIO_BLK_T_IN, 1), {512, 1});
    for (unsigned i = 0; i < answered; ++i) {
      bench_->port().answer_one();
      bench_->run();
    }
    ASSERT_EQ(bench_->port().waiting(), 1u);
    bench_->abort(Block::requestq);
    bench_->run_stepped();
    EXPECT_TRUE(bench_->settled(Block::requestq));
    EXPECT_FALSE(r.completed || r.failed);
    EXPECT_EQ(bench_->port().waiting(), 0u);
    EXPECT_EQ(block().stats().errors, 0u) << "an aborted request is not a failed one";
    EXPECT_EQ(status(send(header(VIRTIO_BLK_T_IN, 1), {512, 1})), VIRTIO_BLK_S_OK);
  }
}

TEST_F(BlockTest, ATornWriteAfterAResetTouchesOnlyItsOwnSectors) {
  build({}, false);
  bench_->port().hold = true;
  bench_->submit(Block::requestq, header_and(VIRTIO_BLK_T_OUT, 8, pattern(8192, 5)), {1});
  bench_->port().answer_one(); // header
  bench_->run();
  bench_->port().answer_one(); // the first part of the data
  bench_->abort(Block::requestq);
  bench_->run_stepped();
  EXPECT_TRUE(bench_->settled(Block::requestq));
  const Bytes before = pattern(sectors * sector_size);
  EXPECT_EQ(disk(0, 8), Bytes(before.begin(), before.begin() + 8 * 512));
  EXPECT_EQ(disk(24, 40), Bytes(before.begin() + 24 * 512, before.end()));
}

TEST_F(BlockTest, OrphanedAnswersAreDroppedAfterAResetThatGaveUp) {
  build({}, false);
  bench_->port().hold = true;
  bench_->submit(Block::requestq, header_and(VIRTIO_BLK_T_OUT, 8, pattern(512, 5)), {1});
  bench_->abort(Block::requestq);
  bench_->orphan(Block::requestq);
  bench_->run();
  EXPECT_TRUE(bench_->settled(Block::requestq));
  bench_->port().answer_waiting();
  EXPECT_EQ(bench_->port().late_answers(), 1u);
  EXPECT_EQ(disk(0, sectors), pattern(sectors * sector_size));
}

TEST_F(BlockTest, StatisticsCountWhatWasDone) {
  send(header(VIRTIO_BLK_T_IN, 0), {1024, 1});
  send(header_and(VIRTIO_BLK_T_OUT, 0, pattern(512)), {1});
  send(header(VIRTIO_BLK_T_FLUSH, 0), {1});
  send(header(99, 0), {1});
  const BlockStats& s = block().stats();
  EXPECT_EQ(s.reads, 1u);
  EXPECT_EQ(s.bytes_read, 1024u);
  EXPECT_EQ(s.writes, 1u);
  EXPECT_EQ(s.bytes_written, 512u);
  EXPECT_EQ(s.flushes, 1u);
  EXPECT_EQ(s.errors, 1u);
}

class FileStoreTest : public testing::Test {
protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string("virtio_blk_") +
             testing::UnitTest::GetInstance()->current_test_info()->name() + ".img");
    fill(1024);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void fill(std::size_t size) {
    const Bytes content = pattern(size);
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(size));
  }
  Bytes content() {
    std::ifstream file(path_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return test::bytes_of(text);
  }
  std::string error(FileStore::Access access = FileStore::Access::working_copy) {
    const auto store = FileStore::open(path_, access);
    return store ? "" : store.error();
  }
  std::filesystem::path path_;
};

TEST_F(FileStoreTest, ShowsTheFileAndWritesToIt) {
  for (const auto access : {FileStore::Access::working_copy, FileStore::Access::durable}) {
    fill(1024);
    {
      auto store = FileStore::open(path_, access);
      ASSERT_TRUE(store) << store.error();
      EXPECT_TRUE((*store)->writable());
      ASSERT_EQ((*store)->memory().size(), 1024u);
      EXPECT_EQ(Bytes((*store)->memory().begin(), (*store)->memory().end()), pattern(1024));
      (*store)->memory()[700] = std::byte{0xee};
      EXPECT_TRUE((*store)->commit(512, 512));
    }
    Bytes expected = pattern(1024);
    expected[700] = std::byte{0xee};
    EXPECT_EQ(content(), expected);
  }
}

TEST_F(FileStoreTest, AReadOnlyFileCannotBackAWritableDevice) {
  auto store = FileStore::open(path_, FileStore::Access::read_only);
  ASSERT_TRUE(store);
  EXPECT_FALSE((*store)->writable());
  EXPECT_THROW(Block(BlockParams{}, std::move(*store)), std::invalid_argument);
  store = FileStore::open(path_, FileStore::Access::read_only);
  EXPECT_NO_THROW(Block(BlockParams{.read_only = true}, std::move(*store)));
}

TEST_F(FileStoreTest, ErrorsNameTheFileAndTheReason) {
  fill(1000);
  EXPECT_EQ(error(), path_.string() + ": holds 1000 bytes, which is not a multiple of 512: pad it "
                                      "with `truncate -s %512`");
  fill(0);
  EXPECT_EQ(error(),
            path_.string() + ": is empty: a disk image needs at least one sector of 512 bytes");
  std::filesystem::remove(path_);
  EXPECT_EQ(error(), path_.string() +
                         ": cannot be opened for reading and writing: No such file or directory");
  std::filesystem::create_directory(path_);
  EXPECT_EQ(error(FileStore::Access::read_only), path_.string() + ": is not a regular file");
}

} // namespace
} // namespace virtio::blk
