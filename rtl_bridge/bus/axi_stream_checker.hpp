// Watches one AXI4-Stream, or any other stream with valid and ready, cycle by cycle, and says which
// rule is broken. It sees pins only, so it judges benches and RTL alike.
#pragma once

#include <virtio/rtl/cosim/stimulus.hpp>

#include <cstddef>
#include <optional>
#include <span>

namespace virtio::rtl::bus {

/// The pins of one cycle. `data` may be anything that must not change while the beat is stalled.
struct StreamBeat {
  bool valid = false;
  bool ready = false;
  bool last = true;
  std::uint64_t keep = 0; ///< a bit for each byte of `data`
  std::span<const std::byte> data{};
};

/// AXIS-STABLE   a beat that was offered and not taken has gone or changed
/// AXIS-KEEP     bytes are kept that do not stand together from the first on, none at all, or not
///               all of them in a beat that is not the last (for packets without holes)
/// AXIS-TIMEOUT  a beat was offered for longer than the limit
/// AXIS-LAST     the stream has ended within a packet, or a packet is longer than the limit
class AxiStreamChecker {
public:
  struct Limits {
    std::uint64_t stalled_cycles = 10'000;
    std::uint64_t packet_beats = 8'192;
    bool keep = true; ///< the stream has tkeep
  };

  explicit AxiStreamChecker(std::string name) : AxiStreamChecker(std::move(name), Limits{}) {}
  AxiStreamChecker(std::string name, const Limits& limits)
      : name_(std::move(name)), limits_(limits) {}

  std::optional<cosim::Finding> cycle(std::uint64_t cycle, const StreamBeat& beat);
  /// When nothing more will come.
  std::optional<cosim::Finding> end(std::uint64_t cycle) const;

private:
  bool keep_right(const StreamBeat& beat) const;
  bool changed(const StreamBeat& beat) const;

  std::string name_;
  Limits limits_;
  bool stalled_ = false;
  StreamBeat offered_;
  std::vector<std::byte> data_;
  std::uint64_t stalled_cycles_ = 0;
  std::uint64_t beats_ = 0; ///< of a packet that has begun
};

} // namespace virtio::rtl::bus
