#include <virtio/rtl/bus/axi4_lite.hpp>

#include <cstring>
#include <stdexcept>

namespace virtio::rtl::bus {

namespace {

AxiAddress to_axi4(const AxiLiteAddress& lite, std::uint32_t bus_bytes) {
  return {.valid = lite.valid,
          .ready = lite.ready,
          .addr = lite.addr & ~std::uint64_t{bus_bytes - 1},
          .size = static_cast<std::uint8_t>(std::countr_zero(bus_bytes)),
          .prot = lite.prot};
}

void copy(const AxiAddress& from, AxiLiteAddress& to) {
  to.valid = from.valid;
  to.addr = from.addr;
  to.prot = from.prot;
}

} // namespace

Axi4Pins to_axi4(const Axi4LitePins& lite, std::uint32_t bus_bytes) {
  Axi4Pins pins;
  pins.aw = to_axi4(lite.aw, bus_bytes);
  pins.ar = to_axi4(lite.ar, bus_bytes);
  pins.w.valid = lite.w.valid;
  pins.w.ready = lite.w.ready;
  pins.w.strb = lite.w.strb;
  pins.w.last = true;
  std::memcpy(pins.w.data.data(), &lite.w.data, sizeof lite.w.data);
  pins.b = {.valid = lite.b.valid, .ready = lite.b.ready, .resp = lite.b.resp};
  pins.r.valid = lite.r.valid;
  pins.r.ready = lite.r.ready;
  pins.r.resp = lite.r.resp;
  pins.r.last = true;
  std::memcpy(pins.r.data.data(), &lite.r.data, sizeof lite.r.data);
  return pins;
}

void copy_manager(const Axi4Pins& from, Axi4LitePins& to) {
  copy(from.aw, to.aw);
  copy(from.ar, to.ar);
  to.w.valid = from.w.valid;
  to.w.strb = static_cast<std::uint8_t>(from.w.strb);
  std::memcpy(&to.w.data, from.w.data.data(), sizeof to.w.data);
  to.b.ready = from.b.ready;
  to.r.ready = from.r.ready;
}

void copy_subordinate(const Axi4Pins& from, Axi4LitePins& to) {
  to.aw.ready = from.aw.ready;
  to.ar.ready = from.ar.ready;
  to.w.ready = from.w.ready;
  to.b.valid = from.b.valid;
  to.b.resp = from.b.resp;
  to.r.valid = from.r.valid;
  to.r.resp = from.r.resp;
  std::memcpy(&to.r.data, from.r.data.data(), sizeof to.r.data);
}

Axi4LiteChecker::Axi4LiteChecker(std::string name, const Axi4Checker::Limits& limits)
    : bus_bytes_(limits.bus_bytes), checker_(std::move(name), limits) {
  if (bus_bytes_ != 4 && bus_bytes_ != 8)
    throw std::invalid_argument("AXI4-Lite is 32 or 64 bit: set bus_bytes to 4 or 8");
}

} // namespace virtio::rtl::bus
