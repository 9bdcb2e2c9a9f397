#include <virtio/rtl/systemc/axi4_lite_tlm.hpp>

#include <bit>
#include <stdexcept>

namespace virtio::rtl::systemc {

LiteAsAxi4::LiteAsAxi4(Axi4LiteWires& wires, std::uint32_t bus_bytes, bool wires_are_manager)
    : wires_(wires), bus_bytes_(bus_bytes), wires_are_manager_(wires_are_manager) {
  if (bus_bytes != 4 && bus_bytes != 8)
    throw std::invalid_argument("AXI4-Lite is 32 or 64 bit: set bus_bytes to 4 or 8");
}

void LiteAsAxi4::settle(bus::Axi4Pins& pins) {
  if (wires_are_manager_)
    bus::copy_subordinate(pins, pins_);
  else
    bus::copy_manager(pins, pins_);
  wires_.settle(pins_);
  pins = bus::to_axi4(pins_, bus_bytes_);
}

Axi4LiteToTlm::Axi4LiteToTlm(sc_core::sc_module_name name, const Axi4LiteParams& params,
                             Axi4LiteWires& manager)
    : LiteAsAxi4(manager, params.axi.bus_bytes, true),
      AxiToTlm(name,
               {.period = params.period,
                .axi = {.bus_bytes = params.axi.bus_bytes,
                        .outstanding = params.axi.outstanding,
                        .profile = params.axi.profile}},
               static_cast<LiteAsAxi4&>(*this)) {}

TlmToAxi4Lite::TlmToAxi4Lite(sc_core::sc_module_name name, const Axi4LiteParams& params,
                             Axi4LiteWires& subordinate)
    : LiteAsAxi4(subordinate, params.axi.bus_bytes, false),
      TlmToAxi(name,
               {.period = params.period,
                .axi = {.bus_bytes = params.axi.bus_bytes,
                        .max_beats = 1,
                        .outstanding = params.axi.outstanding,
                        .profile = params.axi.profile},
                .size = static_cast<std::uint8_t>(std::countr_zero(params.axi.bus_bytes))},
               static_cast<LiteAsAxi4&>(*this)) {}

} // namespace virtio::rtl::systemc
