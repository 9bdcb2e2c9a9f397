#include <virtio/core/chain_io.hpp>

#include <algorithm>

namespace virtio {

PieceCursor::PieceCursor(std::span<const Piece> pieces) : pieces_(pieces) {
  for (const Piece& piece : pieces)
    remaining_ += piece.len;
}

void PieceCursor::skip(std::uint64_t n) {
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

PieceRun PieceCursor::take(std::uint64_t n) {
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
