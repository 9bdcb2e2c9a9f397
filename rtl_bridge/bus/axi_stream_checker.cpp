#include <virtio/rtl/bus/axi_stream_checker.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace virtio::rtl::bus {

bool AxiStreamChecker::keep_right(const StreamBeat& beat) const {
  const int kept = std::countr_one(beat.keep);
  const bool together = std::popcount(beat.keep) == kept;
  return together && kept != 0 && (beat.last || static_cast<std::size_t>(kept) == beat.data.size());
}

bool AxiStreamChecker::changed(const StreamBeat& beat) const {
  return !beat.valid || beat.last != offered_.last || beat.keep != offered_.keep ||
         !std::ranges::equal(beat.data, data_);
}

std::optional<cosim::Finding> AxiStreamChecker::cycle(std::uint64_t cycle, const StreamBeat& beat) {
  const auto broken = [&](const char* rule, std::string evidence) {
    return cosim::Finding{rule, cycle, fmt::format("{}: {}", name_, evidence)};
  };
  if (stalled_ && changed(beat))
    return broken("AXIS-STABLE", beat.valid ? "a stalled beat has changed"
                                            : "valid fell before the beat was taken");
  stalled_cycles_ = stalled_ ? stalled_cycles_ + 1 : 0;
  const bool offered = stalled_;
  stalled_ = beat.valid && !beat.ready;
  if (stalled_cycles_ > limits_.stalled_cycles)
    return broken("AXIS-TIMEOUT", fmt::format("a beat waits for {} cycles", stalled_cycles_));
  if (!beat.valid) return std::nullopt;
  if (limits_.keep && !keep_right(beat))
    return broken("AXIS-KEEP", fmt::format("keep is {:#x} in a{} beat of {} bytes", beat.keep,
                                           beat.last ? " last" : "", beat.data.size()));
  if (stalled_ && !offered) {
    offered_ = beat;
    data_.assign(beat.data.begin(), beat.data.end());
  }
  if (!beat.ready) return std::nullopt;
  beats_ = beat.last ? 0 : beats_ + 1;
  if (beats_ > limits_.packet_beats)
    return broken("AXIS-LAST", fmt::format("a packet has more than {} beats", beats_ - 1));
  return std::nullopt;
}

std::optional<cosim::Finding> AxiStreamChecker::end(std::uint64_t cycle) const {
  if (beats_ == 0) return std::nullopt;
  return cosim::Finding{"AXIS-LAST", cycle,
                        fmt::format("{}: ended {} beats into a packet", name_, beats_)};
}

} // namespace virtio::rtl::bus
