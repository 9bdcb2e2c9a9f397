// A ring engine as a bench drives it, cycle by cycle: every group of the boundary is a channel with
// valid and ready, and what it carries is a BoundaryEvent. A wrapper around RTL puts them on its
// ports.
#pragma once

#include <virtio/rtl/boundary/events.hpp>

#include <array>
#include <bitset>

namespace virtio::rtl::cosim {

inline constexpr std::size_t num_groups = static_cast<std::size_t>(Group::error) + 1;

/// What one side drives in a cycle: what it offers on the channels that it is the source of (null:
/// not valid), and whether it is ready on the others. Events live until the edge. What is offered
/// stays until it is taken, but for completions of a queue that was aborted.
struct RingSide {
  std::array<const BoundaryEvent*, num_groups> offered{};
  std::bitset<num_groups> ready;

  const BoundaryEvent*& offer(Group g) { return offered[static_cast<std::size_t>(g)]; }
  const BoundaryEvent* offer(Group g) const { return offered[static_cast<std::size_t>(g)]; }
  void set_ready(Group g, bool value) { ready[static_cast<std::size_t>(g)] = value; }
  bool is_ready(Group g) const { return ready[static_cast<std::size_t>(g)]; }
};

class RingDut {
public:
  virtual ~RingDut() = default;
  /// What the engine drives in this cycle, given what the bench does. `cycle` of its events need
  /// not be set. Called once before each edge.
  virtual const RingSide& settle(const RingSide& bench) = 0;
  /// The rising edge of the clock: what both sides were willing to do is done.
  virtual void edge() = 0;
  /// So many cycles pass while the clock stands, for what counts them.
  virtual void skip(std::uint64_t cycles) { (void)cycles; }
  /// The most bytes of a beat of a read answer, a power of two, at least 16.
  virtual std::uint32_t beat_bytes() const = 0;
  /// Beats end at multiples of beat_bytes(); else the first begins with the byte at the address.
  virtual bool aligned_beats() const { return true; }
  virtual std::uint16_t num_queues() const = 0;
  /// Chains of a queue that the function may have at a time; 0: as many as there are.
  virtual std::uint32_t chains_with_function() const { return 0; }
  /// Of the engine's own, so far.
  virtual int failed_assertions() const { return 0; }
};

} // namespace virtio::rtl::cosim
