// The AXI4-Lite pins of a Verilated subordinate, by name: s_axil_awvalid and so on. `prot` may be
// missing.
#pragma once

#include <virtio/rtl/bus/axi4_lite.hpp>
#include <virtio/rtl/verilated/axi4_ports.hpp>

namespace virtio::rtl::verilated {

template <class Model> void put_manager(Model& model, const bus::Axi4LitePins& pins) {
  put(model.s_axil_awvalid, pins.aw.valid);
  put(model.s_axil_awaddr, pins.aw.addr);
  put(model.s_axil_wvalid, pins.w.valid);
  put(model.s_axil_wdata, pins.w.data);
  put(model.s_axil_wstrb, pins.w.strb);
  put(model.s_axil_bready, pins.b.ready);
  put(model.s_axil_arvalid, pins.ar.valid);
  put(model.s_axil_araddr, pins.ar.addr);
  put(model.s_axil_rready, pins.r.ready);
  if constexpr (requires { model.s_axil_awprot; }) put(model.s_axil_awprot, pins.aw.prot);
  if constexpr (requires { model.s_axil_arprot; }) put(model.s_axil_arprot, pins.ar.prot);
}

template <class Model> void take_subordinate(const Model& model, bus::Axi4LitePins& pins) {
  pins.aw.ready = model.s_axil_awready;
  pins.w.ready = model.s_axil_wready;
  pins.b.valid = model.s_axil_bvalid;
  pins.b.resp = static_cast<bus::AxiResp>(model.s_axil_bresp);
  pins.ar.ready = model.s_axil_arready;
  pins.r.valid = model.s_axil_rvalid;
  pins.r.data = model.s_axil_rdata;
  pins.r.resp = static_cast<bus::AxiResp>(model.s_axil_rresp);
}

} // namespace virtio::rtl::verilated
