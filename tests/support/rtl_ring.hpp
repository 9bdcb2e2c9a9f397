// vq_engine as the ring engine of tests that were written for the models': ctest runs them once
// more with VIRTIO_TEST_RTL_RING in the environment, beside VIRTIO_TEST_TIMED_RING.
#pragma once

#include <virtio/core/device.hpp>
#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
#include <virtio/rtl/mixed/rtl_ring_engine.hpp>
#include <virtio/rtl/vq/vq_dut.hpp>
#endif

#include <cstdlib>

namespace virtio::test {

inline RingEngineFactory rtl_ring() {
#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
  if (std::getenv("VIRTIO_TEST_RTL_RING") != nullptr)
    return [](const std::string& name, Executor& executor, DmaPort& port, std::uint16_t num_queues,
              RingEngineClient& client) {
      return std::make_unique<rtl::RtlRingEngine>(name, executor, port, num_queues, client,
                                                  std::make_unique<rtl::VqDut>());
    };
#endif
  return nullptr;
}

} // namespace virtio::test
