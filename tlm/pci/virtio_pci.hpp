// VirtioPci: a virtio device as a PCI Express function (virtio 1.4, 4.1). It shows the device's
// registers in configuration space and BARs over two TLM-2.0 sockets, and carries its notifications
// as MSI-X messages through the device's own DMA port, or on an INTx line.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/tlm/pci/common_config.hpp>
#include <virtio/tlm/pci/config_space.hpp>
#include <virtio/tlm/pci/msix.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace virtio::tlm2 {

/// A shared memory region of the device (virtio 1.4, 2.10); its memory belongs to whoever builds
/// the device and outlives the function.
struct PciSharedMemory {
  std::uint8_t id = 0; ///< shmid, unique within the device
  std::span<std::byte> memory = {};
};

struct VirtioPciParams {
  /// For information only (4.1.2.1); an id of 0 stands for the function's own Device ID.
  std::uint16_t subsystem_vendor_id = virtio_pci_vendor_id;
  std::uint16_t subsystem_id = 0;
  std::uint8_t revision = 1;    ///< at least 1 (4.1.2.1)
  std::uint32_t class_code = 0; ///< 24 bits; 0: the usual one of the device type
  unsigned msix_vectors = 4;    ///< 0..2048; 0: no MSI-X, INTx only (assumed)
  /// 0, or a power of two of at least 4 (4.1.4.4.1).
  std::uint32_t notify_off_multiplier = 4;
  /// With VIRTIO_F_NOTIF_CONFIG_DATA, which DeviceParams::transport_features offers:
  /// queue_notif_config_data is this plus the queue's index, modulo 2^16 (the specification's
  /// trivial case).
  std::uint16_t notif_config_data_base = 0;
  std::vector<PciSharedMemory> shared_memory = {};
  /// Lets an initiator's annotated delay pass before its access takes effect.
  bool timed = false;
  /// After this much simulated time a reset gives up on messages that memory does not answer
  /// (assumed; as DeviceParams::reset_timeout).
  SimTime message_timeout = milliseconds(100);
};

class VirtioPci : public sc_core::sc_module, public Transport {
public:
  SC_HAS_PROCESS(VirtioPci);

  /// Address: an offset into the function's 4 KiB configuration space.
  tlm_utils::simple_target_socket<VirtioPci> config{"config"};
  /// Address: a PCI memory address. What no BAR claims is an address error.
  tlm_utils::simple_target_socket<VirtioPci> memory{"memory"};
  /// The level of INTA#: true is asserted.
  sc_core::sc_out<bool> intx{"intx"};

  /// `port` is the function's own way to memory: it is switched off while Bus Master Enable is.
  /// Throws std::invalid_argument for parameters out of range.
  VirtioPci(sc_core::sc_module_name name, const VirtioPciParams& params, Device& device,
            DmaPort& port);

  // Transport
  void used_buffer_notification(QueueIndex queue) override;
  void config_change_notification() override;
  void on_device_reset() override;

private:
  enum class Structure : std::uint8_t { common, isr, device, notify, msix, shared_memory };
  /// A structure in a BAR.
  struct Region {
    Structure structure{};
    std::uint8_t bar = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::span<std::byte> memory;
  };
  /// A debug access has no side effects when it reads.
  enum class Access : std::uint8_t { normal, debug };

  void define_bars();
  void define_capabilities();
  void add_structure(Structure structure, std::uint8_t bar, std::uint64_t offset,
                     std::uint64_t length, std::span<std::byte> memory = {});
  const Region* find_region(unsigned bar, std::uint64_t offset) const;

  void config_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned config_debug(tlm::tlm_generic_payload& transaction);
  void memory_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned memory_debug(tlm::tlm_generic_payload& transaction);

  void read_config_space(std::uint32_t offset, std::span<std::byte> bytes, Access access);
  void write_config_space(std::uint32_t offset, std::span<const std::byte> bytes);
  void apply_config_space();
  bool in_window_data(std::uint32_t offset, std::size_t length) const;
  struct Window {
    unsigned bar = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
  };
  std::optional<Window> window() const;
  void read_window(Access access);
  void write_window();

  void read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> bytes, Access access);
  void write_bar(unsigned bar, std::uint64_t offset, std::span<const std::byte> bytes);
  std::uint8_t read_isr(Access access);
  void read_device_config(std::uint32_t offset, std::span<std::byte> bytes, Access access);
  void write_msix(std::uint32_t offset, std::span<const std::byte> bytes);
  void notify(std::uint64_t offset, std::span<const std::byte> bytes);

  void interrupt(InterruptSource& source);
  void send(const Msix::Message& message, InterruptSource* source);
  void send_released();
  Task<> deliver(Msix::Message message, InterruptSource* source);
  Task<> give_up_on_messages(std::uint32_t epoch);
  void update_intx();
  void drive_intx();
  void function_level_reset();

  VirtioPciParams params_;
  Device& device_;
  DmaPort& port_;
  Msix msix_;
  CommonConfig common_;
  PciConfigSpace space_;
  std::vector<Region> regions_;
  std::uint8_t msix_capability_ = 0;   // offsets in configuration space
  std::uint8_t window_capability_ = 0; // VIRTIO_PCI_CAP_PCI_CFG
  std::uint8_t isr_ = 0;
  bool resetting_function_ = false;
  bool intx_level_ = false;
  sc_core::sc_event intx_changed_;
  struct IntxWake : Wake {
    VirtioPci* function = nullptr;
  } intx_wake_; // ahead of SystemC's time
  Scope messages_;
  Scope timers_;
};

} // namespace virtio::tlm2
