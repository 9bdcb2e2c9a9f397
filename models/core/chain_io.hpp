// Where a device function stands in a descriptor chain. Requests are bytes; how the driver cut them
// into descriptors means nothing (virtio 1.4, 2.7.4: the device MUST NOT make assumptions about the
// arrangement of descriptors). A PieceCursor walks the readable or the writable part byte by byte
// and hands out runs that fit Dma::gather and Dma::scatter, without copying the list of pieces:
//
//   PieceCursor data(chain.writable());
//   while (const PieceRun run = data.take(left)) {
//     const DmaStatus status = co_await dma.scatter(run.first, run.rest, from, AccessKind::data);
//     ...
//     from += run.len;
//     left -= run.len;
//   }
//
// A take that ends inside a later descriptor needs two runs; any other needs one.
#pragma once

#include <virtio/core/dma.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

namespace virtio {

/// Consecutive bytes of a chain: all of `first` and all of `rest`.
struct PieceRun {
  Piece first{};
  std::span<const Piece> rest;
  std::uint64_t len = 0;

  explicit operator bool() const { return len != 0; }
};

class PieceCursor {
public:
  /// `pieces` must outlive the cursor and its runs.
  explicit PieceCursor(std::span<const Piece> pieces);

  /// Bytes from here to the end of the part.
  std::uint64_t remaining() const { return remaining_; }
  /// Moves on by `n` bytes, at most to the end.
  void skip(std::uint64_t n);
  /// The next bytes as one run, at most `n` of them, and moves past them. Shorter than `n` when the
  /// part ends, or when the run would end inside a piece that it does not begin in; empty only when
  /// nothing is left or `n` is 0.
  PieceRun take(std::uint64_t n);

private:
  std::span<const Piece> pieces_; // the current one first
  std::uint32_t offset_ = 0;      // into the current piece
  std::uint64_t remaining_ = 0;
};

inline PieceCursor::PieceCursor(std::span<const Piece> pieces) : pieces_(pieces) {
  for (const Piece& piece : pieces)
    remaining_ += piece.len;
}

inline void PieceCursor::skip(std::uint64_t n) {
  n = std::min(n, remaining_);
  remaining_ -= n;
  while (n > 0) {
    const std::uint32_t here = pieces_.front().len - offset_;
    if (n < here) {
      offset_ += static_cast<std::uint32_t>(n);
      return;
    }
    n -= here;
    offset_ = 0;
    pieces_ = pieces_.subspan(1);
  }
}

inline PieceRun PieceCursor::take(std::uint64_t n) {
  n = std::min(n, remaining_);
  if (n == 0) return {};
  while (pieces_.front().len == offset_) { // a descriptor of length 0
    pieces_ = pieces_.subspan(1);
    offset_ = 0;
  }
  const Piece& current = pieces_.front();
  PieceRun run;
  run.first.addr = current.addr + offset_;
  run.first.len = static_cast<std::uint32_t>(std::min<std::uint64_t>(n, current.len - offset_));
  run.len = run.first.len;
  std::size_t whole = 0;
  if (run.first.len == current.len - offset_) {
    while (whole + 1 < pieces_.size() && pieces_[whole + 1].len <= n - run.len)
      run.len += pieces_[++whole].len;
  }
  run.rest = pieces_.subspan(1, whole);
  skip(run.len);
  return run;
}

} // namespace virtio
