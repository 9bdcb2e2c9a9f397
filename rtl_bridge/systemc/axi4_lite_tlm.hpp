// AXI4-Lite and TLM-2.0, as axi4_tlm.hpp has AXI4: the same modules, each burst one beat of the
// whole bus. Reads of less than a word read the word.
#pragma once

#include <virtio/rtl/bus/axi4_lite_adapters.hpp>
#include <virtio/rtl/systemc/axi4_tlm.hpp>

namespace virtio::rtl::systemc {

/// RTL, or anything else, at the other end of the pins.
class Axi4LiteWires {
public:
  virtual ~Axi4LiteWires() = default;
  /// Drives its own pins, given those of the adapter, before the edge.
  virtual void settle(bus::Axi4LitePins& pins) = 0;
  virtual void edge(const bus::Axi4LitePins& pins) = 0;
  /// It has nothing to do until the adapter has: the clock may stop.
  virtual bool idle() const = 0;
};

struct Axi4LiteParams {
  sc_core::sc_time period{};
  bus::Axi4LiteTarget::Params axi{};
};

/// What AXI4 sees of the wires.
class LiteAsAxi4 : public Axi4Wires {
public:
  /// Throws std::invalid_argument for a bus that is not 32 or 64 bit.
  LiteAsAxi4(Axi4LiteWires& wires, std::uint32_t bus_bytes, bool wires_are_manager);

  void settle(bus::Axi4Pins& pins) override;
  void edge(const bus::Axi4Pins&) override { wires_.edge(pins_); }
  bool idle() const override { return wires_.idle(); }

private:
  Axi4LiteWires& wires_;
  std::uint32_t bus_bytes_;
  bool wires_are_manager_;
  bus::Axi4LitePins pins_;
};

class Axi4LiteToTlm : private LiteAsAxi4, public AxiToTlm {
public:
  Axi4LiteToTlm(sc_core::sc_module_name name, const Axi4LiteParams& params, Axi4LiteWires& manager);
};

class TlmToAxi4Lite : private LiteAsAxi4, public TlmToAxi {
public:
  TlmToAxi4Lite(sc_core::sc_module_name name, const Axi4LiteParams& params,
                Axi4LiteWires& subordinate);
};

} // namespace virtio::rtl::systemc
