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

} // namespace virtio
