// A target of this program that takes a DMA port's transactions as they are, where payloads and
// phases of TLM-2.0 between the two would cost more than what they say.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/tlm/at_initiator.hpp>

#include <vector>

namespace virtio::tlm2 {

class DirectTarget {
public:
  virtual ~DirectTarget() = default;
  /// As AtInitiator::issue().
  virtual void issue(DmaTransaction& transaction) = 0;
  virtual std::size_t waiting() const = 0;
  virtual void add_outstanding_to(std::vector<OutstandingRequest>& list) const = 0;
};

} // namespace virtio::tlm2
