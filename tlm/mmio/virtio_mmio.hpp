// The virtio-mmio transport, version 2 (virtio 1.4, 4.2): registers on a TLM-2.0 target socket, one
// interrupt line. Every register access is translated into a call of virtio::Device; the
// transport's own state is the register selectors and the interrupt status.
#pragma once

#include <virtio/core/device.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <vector>

namespace virtio::tlm2 {

/// A region of memory that device and driver share (virtio 1.4, 2.10), as the platform placed it.
struct MmioSharedMemory {
  std::uint8_t id = 0;
  std::uint64_t base = 0;   ///< guest-physical
  std::uint64_t length = 0; ///< bytes
};

struct VirtioMmioParams {
  std::uint32_t vendor_id = 0x4d4c'5456; ///< "VTLM"; drivers do not look at it
  std::vector<MmioSharedMemory> shared_memory = {};
  /// Lets an initiator's annotated delay pass before its access takes effect.
  bool timed = false;
};

class VirtioMmio : public sc_core::sc_module, public Transport {
public:
  /// Registers, from the device's base address on.
  tlm_utils::simple_target_socket<VirtioMmio> socket;
  /// The interrupt: true while a bit of InterruptStatus is set.
  sc_core::sc_out<bool> irq;

  /// Bytes of address space a platform gives to one device.
  static constexpr std::uint64_t span = 0x1000;

  /// Throws std::invalid_argument when the device offers what only PCI has.
  VirtioMmio(sc_core::sc_module_name name, Device& device, VirtioMmioParams params = {});

private:
  void used_buffer_notification(QueueIndex queue) override;
  void config_change_notification() override;
  void on_device_reset() override;

  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned transport_dbg(tlm::tlm_generic_payload& transaction);
  std::uint32_t read_register(std::uint32_t offset) const;
  void write_register(std::uint32_t offset, std::uint32_t value);
  void notify(std::uint32_t value);
  std::uint64_t shared_memory(bool length) const;
  void set_interrupt(std::uint32_t status);
  void wait_until_settled();
  void drive_irq();

  Device& device_;
  VirtioMmioParams params_;
  std::uint32_t device_features_sel_ = 0;
  std::uint32_t driver_features_sel_ = 0;
  std::uint32_t queue_sel_ = 0;
  std::uint32_t shm_sel_ = 0;
  std::uint32_t interrupt_status_ = 0;
  sc_core::sc_event irq_changed_;
  sc_core::sc_event settled_;
};

} // namespace virtio::tlm2
