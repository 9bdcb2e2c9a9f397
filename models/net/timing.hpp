// How long a network device takes: its wire, one for each direction, and its own work on a packet.
#pragma once

#include <virtio/core/serial_line.hpp>
#include <virtio/net/packet.hpp>

#include <algorithm>
#include <cstdint>

namespace virtio::net {

/// All zero, the default: nothing takes time.
struct NetTiming {
  /// Bits a second on the wire, in each direction; 0: frames take no time.
  std::uint64_t wire_rate = 0;
  /// The device's own work on a packet; packets of a direction come one after the other.
  SimTime packet_cost{};

  bool untimed() const { return wire_rate == 0 && packet_cost.ps == 0; }
};

/// What a frame occupies of an Ethernet wire beside its own bytes (IEEE 802.3): 7 bytes of
/// preamble, start delimiter and a gap of 12 bytes, and the frame check sequence.
inline constexpr std::uint64_t preamble_and_gap_bytes = 20;
inline constexpr std::uint64_t fcs_bytes = 4;

/// Bits from the begin of a frame's preamble to the end of the gap behind it; short frames are
/// padded.
constexpr std::uint64_t bits_on_wire(std::size_t frame_bytes) {
  return 8 * (std::max(frame_bytes, min_frame_bytes) + fcs_bytes + preamble_and_gap_bytes);
}

} // namespace virtio::net
