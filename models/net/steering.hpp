// Automatic receive steering (virtio 1.4, 5.1.6.5.6): which pair of queues a received frame belongs
// to. A flow is what two endpoints exchange: addresses, protocol and, where there are any, ports.
// It goes to the receive queue of the pair on which the driver last transmitted one of its frames;
// a flow that the driver did not transmit yet has a pair of its own by a hash. The table is
// bounded: each flow has one place in it, and the newest one keeps the place.
#pragma once

#include <virtio/net/packet.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace virtio::net {

/// One flow, the same for both directions.
struct FlowKey {
  std::array<std::uint64_t, 5> words{}; ///< endpoints in a fixed order, then ports and protocol

  std::uint64_t hash() const;
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

/// The flow of a frame: IPv4 or IPv6 below at most two VLAN tags, with the ports of TCP and UDP
/// datagrams that are not fragmented. Nothing for other frames.
std::optional<FlowKey> flow_of(Frame frame);

class FlowSteering {
public:
  /// Flows that are remembered (assumed).
  static constexpr std::size_t places = 1024;

  /// Receive queues of pairs 0 .. pairs - 1 are used; what was learned is forgotten.
  void enable(std::uint16_t pairs);
  std::uint16_t pairs() const { return pairs_; }

  /// The driver transmitted `frame` on `pair`.
  void transmitted(Frame frame, std::uint16_t pair);
  /// The pair that `frame` is received on, below pairs(). Frames of no flow: the first.
  std::uint16_t select(Frame frame) const;

private:
  struct Learned {
    FlowKey flow;
    std::uint16_t pair = 0;
  };
  std::uint16_t pairs_ = 1;
  std::vector<Learned> table_; // empty while only one pair is enabled
};

} // namespace virtio::net
