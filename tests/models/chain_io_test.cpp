#include <virtio/core/chain_io.hpp>
#include <virtio/core/fifo.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace virtio {
namespace {

/// Every byte of a run by its address.
std::vector<std::uint64_t> addresses(const PieceRun& run) {
  std::vector<std::uint64_t> list;
  const auto add = [&](const Piece& piece) {
    for (std::uint32_t i = 0; i < piece.len; ++i)
      list.push_back(raw(piece.addr) + i);
  };
  add(run.first);
  for (const Piece& piece : run.rest)
    add(piece);
  EXPECT_EQ(list.size(), run.len);
  return list;
}

Piece piece(std::uint64_t addr, std::uint32_t len) {
  return {GuestAddr{addr}, len};
}

TEST(PieceCursor, WholePartIsOneRunHoweverManyDescriptors) {
  const std::vector<Piece> pieces{piece(100, 3), piece(200, 1), piece(300, 4)};
  PieceCursor cursor(pieces);
  EXPECT_EQ(cursor.remaining(), 8u);
  const PieceRun run = cursor.take(8);
  EXPECT_EQ(addresses(run), (std::vector<std::uint64_t>{100, 101, 102, 200, 300, 301, 302, 303}));
  EXPECT_EQ(cursor.remaining(), 0u);
  EXPECT_FALSE(cursor.take(1));
}

TEST(PieceCursor, EverySplitOfEveryFramingVisitsEachByteOnceInOrder) {
  // All ways to cut 6 bytes into descriptors, zero-length ones in between, against all ways to cut
  // them into two requests.
  for (unsigned framing = 0; framing < 32; ++framing) {
    std::vector<Piece> pieces{piece(0, 0)};
    std::vector<std::uint64_t> expected;
    std::uint64_t addr = 1000;
    std::uint32_t len = 0;
    for (unsigned byte = 0; byte < 6; ++byte) {
      expected.push_back(addr + len);
      ++len;
      if (byte == 5 || framing >> byte & 1) {
        pieces.push_back(piece(addr, len));
        pieces.push_back(piece(5, 0));
        addr += 1000;
        len = 0;
      }
    }
    for (std::uint64_t split = 0; split <= 6; ++split) {
      PieceCursor cursor(pieces);
      std::vector<std::uint64_t> seen;
      for (std::uint64_t part : {split, 6 - split}) {
        unsigned runs = 0;
        while (part > 0) {
          const PieceRun run = cursor.take(part);
          ASSERT_TRUE(run);
          const auto list = addresses(run);
          seen.insert(seen.end(), list.begin(), list.end());
          part -= run.len;
          ++runs;
        }
        EXPECT_LE(runs, 2u);
      }
      EXPECT_EQ(seen, expected) << "framing " << framing << " split " << split;
      EXPECT_EQ(cursor.remaining(), 0u);
    }
  }
}

TEST(PieceCursor, SkipMovesOverDescriptorsAndStopsAtTheEnd) {
  const std::vector<Piece> pieces{piece(100, 3), piece(200, 0), piece(300, 4)};
  PieceCursor cursor(pieces);
  cursor.skip(4);
  EXPECT_EQ(addresses(cursor.take(2)), (std::vector<std::uint64_t>{301, 302}));
  cursor.skip(100);
  EXPECT_EQ(cursor.remaining(), 0u);
  EXPECT_FALSE(cursor.take(100));
}

TEST(PieceCursor, AnEmptyPartHasNoRun) {
  EXPECT_FALSE(PieceCursor({}).take(1));
  const std::vector<Piece> empty{piece(1, 0), piece(2, 0)};
  PieceCursor cursor(empty);
  EXPECT_EQ(cursor.remaining(), 0u);
  EXPECT_FALSE(cursor.take(1));
}

TEST(PieceCursor, ChainsOfFourGibibytesAreCountedRightly) {
  const std::vector<Piece> pieces{piece(0, 0xffff'ffff), piece(0, 1)};
  PieceCursor cursor(pieces);
  EXPECT_EQ(cursor.remaining(), 1ull << 32);
  cursor.skip(0xffff'ffff);
  EXPECT_EQ(cursor.take(5).len, 1u);
}

TEST(Fifo, KeepsOrderAroundItsEnd) {
  Fifo<int> fifo(3);
  for (int i = 0; i < 10; ++i) {
    fifo.push(2 * i);
    fifo.push(2 * i + 1);
    EXPECT_EQ(fifo[1], 2 * i + 1);
    EXPECT_EQ(fifo.front(), 2 * i);
    fifo.pop();
    EXPECT_EQ(fifo.front(), 2 * i + 1);
    fifo.pop();
  }
  EXPECT_TRUE(fifo.empty());
}

TEST(Fifo, ContiguousElementsEndWhereTheStorageDoes) {
  Fifo<int> fifo(4);
  for (int i = 0; i < 4; ++i)
    fifo.push(i);
  EXPECT_TRUE(fifo.full());
  fifo.pop(3);
  fifo.push(4);
  fifo.push(5);
  EXPECT_EQ(fifo.contiguous(10).size(), 1u);
  EXPECT_EQ(fifo.contiguous(10).front(), 3);
  fifo.pop();
  EXPECT_EQ(fifo.contiguous(10).size(), 2u);
  EXPECT_EQ(fifo.contiguous(1).size(), 1u);
  EXPECT_EQ(fifo.contiguous(10).back(), 5);
}

} // namespace
} // namespace virtio
