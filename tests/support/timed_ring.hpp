// The timed fidelity for tests that were written without it: ctest runs them a second time with
// VIRTIO_TEST_TIMED_RING in the environment.
#pragma once

#include <virtio/core/ring_engine_params.hpp>

#include <cstdlib>

namespace virtio::test {

inline const bool timed_ring = std::getenv("VIRTIO_TEST_TIMED_RING") != nullptr;

/// A timed ring engine whose stages cost nothing: over memory that answers at once it does
/// everything inside the doorbell, so that what is shown of the reference engine can be shown of
/// it.
inline RingEngineParams instant_ring() {
  RingEngineParams p;
  p.doorbell_cycles = p.visit_cycles = p.available_cycles = p.descriptor_cycles = 0;
  p.emit_cycles = p.completion_cycles = p.used_cycles = p.event_cycles = 0;
  return p;
}

} // namespace virtio::test
