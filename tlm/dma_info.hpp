// What a device's access to memory is for, as a generic-payload extension that every component on
// the way may read and a foreign one ignores: a link accounts its traffic by kind with it.
#pragma once

#include <virtio/core/dma.hpp>

#include <tlm>

#include <cstdint>

namespace virtio::tlm2 {

struct DmaInfo : ::tlm::tlm_extension<DmaInfo> {
  AccessKind kind = AccessKind::data;
  std::uint16_t queue = 0;
  std::uint16_t function = 0; ///< of a device with several PCI functions

  ::tlm::tlm_extension_base* clone() const override { return new DmaInfo(*this); }
  void copy_from(const ::tlm::tlm_extension_base& other) override {
    *this = static_cast<const DmaInfo&>(other);
  }
};

} // namespace virtio::tlm2
