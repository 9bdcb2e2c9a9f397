#include <virtio/rtl/bus/axi4_lite_adapters.hpp>

#include <stdexcept>

namespace virtio::rtl::bus {

namespace {

std::uint32_t checked(std::uint32_t bus_bytes) {
  if (bus_bytes != 4 && bus_bytes != 8)
    throw std::invalid_argument("AXI4-Lite is 32 or 64 bit: set bus_bytes to 4 or 8");
  return bus_bytes;
}

} // namespace

Axi4LiteTarget::Axi4LiteTarget(AxiMemory& memory, const Params& params)
    : bus_bytes_(checked(params.bus_bytes)), target_(memory, {.bus_bytes = params.bus_bytes,
                                                              .outstanding = params.outstanding,
                                                              .profile = params.profile}) {}

void Axi4LiteTarget::drive(Axi4LitePins& pins) {
  Axi4Pins axi = to_axi4(pins, bus_bytes_);
  target_.drive(axi);
  copy_subordinate(axi, pins);
}

void Axi4LiteTarget::edge(const Axi4LitePins& pins) {
  target_.edge(to_axi4(pins, bus_bytes_));
}

Axi4LiteInitiator::Axi4LiteInitiator(const Params& params)
    : bus_bytes_(checked(params.bus_bytes)), initiator_({.bus_bytes = params.bus_bytes,
                                                         .max_beats = 1,
                                                         .outstanding = params.outstanding,
                                                         .profile = params.profile}) {}

void Axi4LiteInitiator::issue(AxiCall call, Axi4Initiator::Done done) {
  if (call.size || call.burst != AxiBurst::incr)
    throw std::invalid_argument("AXI4-Lite has no bursts and no sizes: leave size and burst out");
  call.size = static_cast<std::uint8_t>(std::countr_zero(bus_bytes_));
  initiator_.issue(std::move(call), std::move(done));
}

void Axi4LiteInitiator::drive(Axi4LitePins& pins) {
  Axi4Pins axi = to_axi4(pins, bus_bytes_);
  initiator_.drive(axi);
  copy_manager(axi, pins);
}

void Axi4LiteInitiator::edge(const Axi4LitePins& pins) {
  initiator_.edge(to_axi4(pins, bus_bytes_));
}

} // namespace virtio::rtl::bus
