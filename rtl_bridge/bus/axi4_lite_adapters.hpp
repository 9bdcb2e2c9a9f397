// AXI4-Lite both ways: the adapters of AXI4, kept to single beats of the whole bus.
#pragma once

#include <virtio/rtl/bus/axi4_initiator.hpp>
#include <virtio/rtl/bus/axi4_lite.hpp>
#include <virtio/rtl/bus/axi4_target.hpp>

namespace virtio::rtl::bus {

class Axi4LiteTarget {
public:
  struct Params {
    std::uint32_t bus_bytes = 4; ///< 4 or 8
    std::size_t outstanding = 4;
    AxiProfile profile{}; ///< responses are in order in any case
  };

  /// Throws std::invalid_argument for parameters that cannot be.
  Axi4LiteTarget(AxiMemory& memory, const Params& params);

  void drive(Axi4LitePins& pins);
  void edge(const Axi4LitePins& pins);
  void complete(std::uint64_t tag, std::span<const std::byte> data, AxiResp resp) {
    target_.complete(tag, data, resp);
  }
  bool idle() const { return target_.idle(); }

private:
  std::uint32_t bus_bytes_;
  Axi4Target target_;
};

class Axi4LiteInitiator {
public:
  using Params = Axi4LiteTarget::Params;

  /// Throws std::invalid_argument for parameters that cannot be.
  explicit Axi4LiteInitiator(const Params& params);

  /// As Axi4Initiator; FIXED, WRAP and a size are refused. Reads are of whole words.
  void issue(AxiCall call, Axi4Initiator::Done done);
  void drive(Axi4LitePins& pins);
  void edge(const Axi4LitePins& pins);
  bool idle() const { return initiator_.idle(); }
  std::uint64_t stray_responses() const { return initiator_.stray_responses(); }

private:
  std::uint32_t bus_bytes_;
  Axi4Initiator initiator_;
};

} // namespace virtio::rtl::bus
