// How an adapter behaves where the protocol leaves it free: back-pressure, gaps, delays and the
// order of responses, drawn from a seed.
#pragma once

#include <virtio/rtl/cosim/choice.hpp>

#include <cstdint>

namespace virtio::rtl::bus {

struct AxiProfile {
  std::uint64_t seed = 0;
  unsigned ready_percent = 100; ///< of the cycles, in which a channel is ready; not 0
  unsigned valid_percent = 100; ///< of the cycles, in which something new is offered; not 0
  unsigned delay = 0;           ///< responses wait for up to this many cycles
  bool reorder = false;         ///< responses of different ids overtake each other
  bool interleave = false;      ///< so do beats of read data
};

} // namespace virtio::rtl::bus
