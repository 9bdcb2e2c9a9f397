// The AXI4 pins of a Verilated model, by name: a subordinate's are s_axi_awvalid and so on, a
// manager's m_axi_awvalid. lock, cache, prot and qos may be missing. A side's own pins are put, the
// model's are taken after Clocked::settle().
#pragma once

#include <virtio/rtl/bus/axi4_pins.hpp>

#include <algorithm>
#include <cstring>

namespace virtio::rtl::verilated {

template <class Port, class Value> void put(Port& port, Value value) {
  port = static_cast<Port>(value);
}

/// Ports of 32, 64 and more bits have their bytes in order, on hosts that do.
template <class Port>
void put_data(Port& port, const std::array<std::byte, bus::axi_max_bytes>& data) {
  std::memcpy(&port, data.data(), std::min(sizeof port, data.size()));
}

template <class Port>
void take_data(const Port& port, std::array<std::byte, bus::axi_max_bytes>& data) {
  std::memcpy(data.data(), &port, std::min(sizeof port, data.size()));
}

#define VIRTIO_RTL_AXI4_OPTIONAL(action, prefix, channel, what)                                    \
  if constexpr (requires { model.prefix##channel##what; }) action(prefix, channel, what)

#define VIRTIO_RTL_AXI4_PUT(prefix, channel, what)                                                 \
  put(model.prefix##channel##what, pins.channel.what);
#define VIRTIO_RTL_AXI4_TAKE(prefix, channel, what)                                                \
  pins.channel.what = static_cast<decltype(pins.channel.what)>(model.prefix##channel##what);

#define VIRTIO_RTL_AXI4_ADDRESS(action, prefix, channel)                                           \
  action(prefix, channel, valid) action(prefix, channel, id) action(prefix, channel, addr)         \
      action(prefix, channel, len) action(prefix, channel, size) action(prefix, channel, burst)    \
          VIRTIO_RTL_AXI4_OPTIONAL(action, prefix, channel, lock)                                  \
              VIRTIO_RTL_AXI4_OPTIONAL(action, prefix, channel, cache)                             \
                  VIRTIO_RTL_AXI4_OPTIONAL(action, prefix, channel, prot)                          \
                      VIRTIO_RTL_AXI4_OPTIONAL(action, prefix, channel, qos)

/// What the manager drives, but for data, and what the subordinate does.
#define VIRTIO_RTL_AXI4_MANAGER(action, prefix)                                                    \
  VIRTIO_RTL_AXI4_ADDRESS(action, prefix, aw)                                                      \
  VIRTIO_RTL_AXI4_ADDRESS(action, prefix, ar)                                                      \
  action(prefix, w, valid) action(prefix, w, strb) action(prefix, w, last)                         \
      action(prefix, b, ready) action(prefix, r, ready)
#define VIRTIO_RTL_AXI4_SUBORDINATE(action, prefix)                                                \
  action(prefix, aw, ready) action(prefix, ar, ready) action(prefix, w, ready)                     \
      action(prefix, b, valid) action(prefix, b, id) action(prefix, b, resp)                       \
          action(prefix, r, valid) action(prefix, r, id) action(prefix, r, resp)                   \
              action(prefix, r, last)

/// The model is the subordinate.
template <class Model> void put_manager(Model& model, const bus::Axi4Pins& pins) {
  VIRTIO_RTL_AXI4_MANAGER(VIRTIO_RTL_AXI4_PUT, s_axi_)
  put_data(model.s_axi_wdata, pins.w.data);
}
template <class Model> void take_subordinate(const Model& model, bus::Axi4Pins& pins) {
  VIRTIO_RTL_AXI4_SUBORDINATE(VIRTIO_RTL_AXI4_TAKE, s_axi_)
  take_data(model.s_axi_rdata, pins.r.data);
}

/// The model is the manager.
template <class Model> void put_subordinate(Model& model, const bus::Axi4Pins& pins) {
  VIRTIO_RTL_AXI4_SUBORDINATE(VIRTIO_RTL_AXI4_PUT, m_axi_)
  put_data(model.m_axi_rdata, pins.r.data);
}
template <class Model> void take_manager(const Model& model, bus::Axi4Pins& pins) {
  VIRTIO_RTL_AXI4_MANAGER(VIRTIO_RTL_AXI4_TAKE, m_axi_)
  take_data(model.m_axi_wdata, pins.w.data);
}

} // namespace virtio::rtl::verilated
