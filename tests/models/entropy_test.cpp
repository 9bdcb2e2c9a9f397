#include "models/function_bench.hpp"

#include <virtio/entropy/entropy.hpp>

#include <gtest/gtest.h>

#include <set>

namespace virtio::entropy {
namespace {

using test::Bytes;
using test::cut;
using test::FunctionBench;

std::unique_ptr<FunctionBench> bench(EntropyParams params = {}, bool by_pointer = true,
                                     std::string_view name = "rng0") {
  auto made = std::make_unique<FunctionBench>(std::make_unique<Entropy>(params, name), by_pointer);
  made->start({});
  return made;
}

Bytes stream(std::uint64_t seed, std::string_view name, std::size_t size) {
  Bytes bytes(size);
  Random(seed, name).fill(bytes);
  return bytes;
}

TEST(Entropy, OffersNoFeatureAndNoConfigurationSpace) {
  const auto b = bench();
  EXPECT_EQ(b->function().type(), DeviceType::entropy);
  EXPECT_EQ(b->function().features(), FeatureSet{});
  EXPECT_TRUE(b->function().config().empty());
  EXPECT_EQ(b->function().num_queues(), 1);
}

TEST(Entropy, FillsTheWholeBufferWhateverItsFraming) {
  for (const std::uint32_t piece : {1u, 3u, 511u, 512u, 513u, 2000u}) {
    const auto b = bench();
    auto& r = b->submit(Entropy::requestq, {}, cut(2000, piece));
    EXPECT_EQ(b->answer(r), stream(1, "rng0", 2000)) << "descriptors of " << piece;
    EXPECT_TRUE(b->guards_intact());
  }
}

TEST(Entropy, AnyWritableByteGetsAtLeastOneRandomByte) {
  const auto b = bench();
  auto& r = b->submit(Entropy::requestq, {}, {1});
  EXPECT_EQ(r.written, 1u);
  EXPECT_EQ(b->answer(r), stream(1, "rng0", 1));
}

TEST(Entropy, ARequestWithoutRoomComesBackEmpty) {
  const auto b = bench();
  auto& r = b->submit(Entropy::requestq, {}, {0});
  EXPECT_TRUE(r.completed);
  EXPECT_EQ(r.written, 0u);
}

TEST(Entropy, ReadableBuffersAreLeftAlone) {
  const auto b = bench();
  auto& r = b->submit(Entropy::requestq, test::pattern(32), {8});
  EXPECT_EQ(r.written, 8u);
  EXPECT_EQ(Bytes(b->memory(r.chain.pieces[0].addr), b->memory(r.chain.pieces[0].addr) + 32),
            test::pattern(32));
}

TEST(Entropy, LargeRequestsAreCutAtTheLimit) {
  const auto b = bench({.max_bytes_per_request = 700});
  auto& r = b->submit(Entropy::requestq, {}, {1000});
  EXPECT_EQ(b->answer(r), stream(1, "rng0", 700));
  EXPECT_EQ(b->writable(r)[700], FunctionBench::guard);
}

TEST(Entropy, RequestsContinueTheStreamInOrderAcrossResets) {
  const auto b = bench();
  const Bytes first = b->answer(b->submit(Entropy::requestq, {}, {16}));
  b->reset();
  b->start({});
  const Bytes second = b->answer(b->submit(Entropy::requestq, {}, {16}));
  Bytes both = first;
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(both, stream(1, "rng0", 32));
}

TEST(Entropy, DevicesHaveStreamsOfTheirOwn) {
  std::set<Bytes> streams;
  for (const char* name : {"rng0", "rng1"}) {
    const auto b = bench({}, true, name);
    streams.insert(b->answer(b->submit(Entropy::requestq, {}, {16})));
  }
  EXPECT_EQ(streams.size(), 2u);
}

TEST(Entropy, MemoryThatCannotBeWrittenFailsTheQueue) {
  const auto b = bench();
  auto& r = b->submit_pieces(Entropy::requestq, {}, {{FunctionBench::nowhere, 4}});
  b->run();
  EXPECT_TRUE(r.failed);
  EXPECT_EQ(r.error, RingError::data_unwritable);
}

TEST(Entropy, ResetWhileMemoryIsSlowEndsTheRequestAndTheNextOneWorks) {
  const auto b = bench({}, false);
  b->port().hold = true;
  auto& r = b->submit(Entropy::requestq, {}, {2000});
  EXPECT_EQ(b->port().waiting(), 1u);
  b->abort(Entropy::requestq);
  EXPECT_FALSE(b->settled(Entropy::requestq));
  b->run_stepped();
  EXPECT_TRUE(b->settled(Entropy::requestq));
  EXPECT_FALSE(r.completed || r.failed);
  EXPECT_EQ(b->as<Entropy>().stats().requests, 0u);

  auto& next = b->submit(Entropy::requestq, {}, {8});
  b->run_stepped();
  EXPECT_EQ(next.written, 8u);
}

TEST(Entropy, ALimitOfZeroIsRefused) {
  EXPECT_THROW(Entropy({.max_bytes_per_request = 0}, "rng0"), std::invalid_argument);
}

TEST(Entropy, ATimedDeviceServesOneRequestAfterTheOther) {
  const auto b = bench({.timing = {.request_cost = microseconds(3)}});
  auto& first = b->submit(Entropy::requestq, {}, {16});
  auto& second = b->submit(Entropy::requestq, {}, {16});
  EXPECT_FALSE(first.completed);
  b->run();
  EXPECT_EQ(first.completed_at, microseconds(3));
  EXPECT_EQ(second.completed_at, microseconds(6));
  EXPECT_EQ(b->answer(first), stream(1, "rng0", 16));
}

TEST(Entropy, AResetWhileTimePassesTakesNoByteOfTheStream) {
  const auto b = bench({.timing = {.request_cost = microseconds(3)}});
  auto& aborted = b->submit(Entropy::requestq, {}, {16});
  b->at(microseconds(1), [&] { b->abort(Entropy::requestq); });
  b->run();
  EXPECT_TRUE(b->settled(Entropy::requestq));
  EXPECT_FALSE(aborted.completed);
  auto& next = b->submit(Entropy::requestq, {}, {16});
  b->run();
  EXPECT_EQ(b->answer(next), stream(1, "rng0", 16));
  EXPECT_EQ(next.completed_at, microseconds(4));
}

} // namespace
} // namespace virtio::entropy
