#include <virtio/core/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

namespace virtio {
namespace {

TEST(Random, Splitmix64GivesThePublishedSequence) {
  std::uint64_t state = 1234567;
  EXPECT_EQ(splitmix64(state), 6457827717110365317u);
  EXPECT_EQ(splitmix64(state), 3203168211198807973u);
  EXPECT_EQ(splitmix64(state), 9817491932198370423u);
}

TEST(Random, Xoshiro256StarStarGivesThePublishedSequence) {
  Random random(Random::State{1, 2, 3, 4});
  for (const std::uint64_t expected : {11520u, 0u, 1509978240u})
    EXPECT_EQ(random.next(), expected);
  EXPECT_EQ(random.next(), 1215971899390074240u);
}

TEST(Random, SameSeedAndNameGiveTheSameStream) {
  Random a(7, "rng0");
  Random b(7, "rng0");
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(a.next(), b.next());
}

TEST(Random, NamesAndSeedsSelectDifferentStreams) {
  std::set<std::uint64_t> first;
  for (const std::uint64_t seed : {0u, 1u, 2u})
    for (const char* name : {"", "rng0", "rng1"})
      first.insert(Random(seed, name).next());
  EXPECT_EQ(first.size(), 9u);
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  Random random(1);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = random.below(5);
    ASSERT_LT(value, 5u);
    ++seen[value];
  }
  EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 150);
  EXPECT_EQ(random.below(1), 0u);
  EXPECT_THROW(random.below(0), std::invalid_argument);
}

TEST(Random, FillWritesTheStreamLittleEndianAndNothingBeyond) {
  Random a(3);
  Random b(3);
  std::array<std::byte, 12> bytes{};
  a.fill(std::span(bytes).first(11));
  const std::uint64_t word = b.next();
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_EQ(bytes[i], static_cast<std::byte>(word >> (8 * i)));
  EXPECT_EQ(bytes[8], static_cast<std::byte>(b.next()));
  EXPECT_EQ(bytes[11], std::byte{0});
}

TEST(Random, GoesOnFromASavedState) {
  Random a(9, "x");
  a.next();
  Random b(a.state());
  EXPECT_EQ(a.next(), b.next());
}

} // namespace
} // namespace virtio
