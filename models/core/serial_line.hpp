// Something that moves one thing after the other at a fixed rate: a wire, a bus, a medium. It is a
// time until which it is busy, in closed form: who uses it learns when its transfer ends and needs
// one delay. Integers only; what a picosecond cannot express is carried to the next transfer, so
// that a busy line keeps its rate exactly.
#pragma once

#include <virtio/core/types.hpp>

#include <algorithm>
#include <cstdint>

namespace virtio {

class SerialLine {
public:
  /// `per_second` units a second, below 2^63; 0: transfers take no time.
  explicit SerialLine(std::uint64_t per_second = 0) : per_second_(per_second) {}

  /// A transfer of `units` that begins at `ready` or when the earlier ones have ended. Returns when
  /// it ends.
  SimTime transfer(SimTime ready, std::uint64_t units) {
    if (per_second_ == 0) return ready;
    if (ready > free_at_) {
      free_at_ = ready;
      remainder_ = 0;
    }
    const Wide parts = Wide{units} * 1'000'000'000'000u + remainder_;
    remainder_ = static_cast<std::uint64_t>(parts % per_second_);
    const Wide end = parts / per_second_ + free_at_.ps;
    free_at_.ps = static_cast<std::uint64_t>(std::min<Wide>(end, latest));
    return free_at_;
  }

private:
  __extension__ using Wide = unsigned __int128;
  /// A transfer that would end later, after 106 days, ends then.
  static constexpr std::uint64_t latest = 1ull << 63;

  std::uint64_t per_second_;
  SimTime free_at_;
  std::uint64_t remainder_ = 0; // of a picosecond, in parts of 1 / per_second_
};

/// The same for steps of a fixed length.
class SerialSteps {
public:
  /// 0: steps take no time.
  explicit SerialSteps(SimTime step = {}) : step_(step) {}

  /// One step that begins at `ready` or when the earlier ones have ended. Returns when it ends.
  SimTime take(SimTime ready) {
    if (step_.ps == 0) return ready;
    free_at_ = std::max(ready, free_at_) + step_;
    return free_at_;
  }

private:
  SimTime step_;
  SimTime free_at_;
};

} // namespace virtio
