// Decodes a virtio-mmio window for the analyser, and checks the rules of virtio 1.4, 4.2.2.2 and
// 4.2.3 that belong to this transport alone.
#pragma once

#include <virtio/analyser/access.hpp>
#include <virtio/analyser/device_state.hpp>

namespace virtio::analyser {

class MmioRegisters {
public:
  MmioRegisters(DeviceState& state, Report& report) : state_(state), report_(report) {}

  void access(const RegisterAccess& access);
  /// A used ring of the device was updated, which may show as an interrupt.
  void used_ring_updated() { ++unseen_updates_; }

private:
  bool well_formed(const RegisterAccess& access);
  void identify(std::uint32_t offset, std::uint32_t value);
  void require_identified(std::uint32_t offset);
  void read(std::uint32_t offset, std::uint32_t value);
  void write(std::uint32_t offset, std::uint32_t value);
  void interrupt_status_read(std::uint32_t value);

  DeviceState& state_;
  Report& report_;
  bool magic_read_ = false;
  bool version_read_ = false;
  bool device_id_read_ = false;
  bool identification_reported_ = false;
  bool left_alone_reported_ = false;
  std::optional<Rule> to_be_left_alone_;
  std::optional<std::uint32_t> device_features_sel_;
  std::optional<std::uint32_t> driver_features_sel_;
  std::uint32_t queue_sel_ = 0;
  bool interrupt_status_read_ = false; // since the last InterruptACK
  bool used_bit_shown_ = false;        // bit 0 read as 1 and not acknowledged
  bool config_bit_shown_ = false;      // so with bit 1
  std::uint64_t unseen_updates_ = 0;
};

} // namespace virtio::analyser
