// AXI4-Lite: AXI4 whose bursts are one beat of the whole bus, without ids. Pins of it, and what
// they are as AXI4, so that the checker and the adapters of AXI4 serve it too.
#pragma once

#include <virtio/rtl/bus/axi4_checker.hpp>

#include <bit>

namespace virtio::rtl::bus {

struct AxiLiteAddress {
  bool valid = false;
  bool ready = false;
  std::uint64_t addr = 0;
  std::uint8_t prot = 0;
};

struct Axi4LitePins {
  AxiLiteAddress aw;
  struct {
    bool valid = false;
    bool ready = false;
    std::uint64_t data = 0;
    std::uint8_t strb = 0;
  } w;
  struct {
    bool valid = false;
    bool ready = false;
    AxiResp resp = AxiResp::okay;
  } b;
  AxiLiteAddress ar;
  struct {
    bool valid = false;
    bool ready = false;
    std::uint64_t data = 0;
    AxiResp resp = AxiResp::okay;
  } r;
};

/// `bus_bytes` is 4 or 8. Addresses count from the beat's first byte: their low bits mean nothing.
Axi4Pins to_axi4(const Axi4LitePins& lite, std::uint32_t bus_bytes);
/// What a manager drives, and what a subordinate does, of AXI4 pins that are within AXI4-Lite.
void copy_manager(const Axi4Pins& from, Axi4LitePins& to);
void copy_subordinate(const Axi4Pins& from, Axi4LitePins& to);

/// The rules of axi4_rules.def that AXI4-Lite can break: AXI-STABLE, AXI-TIMEOUT, AXI-UNREQUESTED,
/// AXI-RESPONSE, AXI-OWED.
class Axi4LiteChecker {
public:
  /// Throws std::invalid_argument for a bus that is not 32 or 64 bit.
  Axi4LiteChecker(std::string name, const Axi4Checker::Limits& limits);

  std::optional<cosim::Finding> cycle(std::uint64_t cycle, const Axi4LitePins& pins) {
    return checker_.cycle(cycle, to_axi4(pins, bus_bytes_));
  }
  std::optional<cosim::Finding> end(std::uint64_t cycle) { return checker_.end(cycle); }

private:
  std::uint32_t bus_bytes_;
  Axi4Checker checker_;
};

} // namespace virtio::rtl::bus
