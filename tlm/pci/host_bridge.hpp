// HostBridge: a PCI Express root complex with one bus. It decodes ECAM and two memory windows for
// the functions attached to it, hands their DMA on to system memory and swizzles their INTx lines.
// It speaks only the TLM-2.0 base protocol with them, so a function may be anybody's: what the
// driver programs into BARs the bridge learns by reading them back after configuration writes.
#pragma once

#include <virtio/tlm/pci/config_space.hpp>
#include <virtio/tlm/router.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace virtio::tlm2 {

/// CPU addresses are PCI addresses; the defaults are those of QEMU's RISC-V `virt` machine.
struct HostBridgeParams {
  AddressRange window32{0x4000'0000, 0x4000'0000};     ///< below 4 GiB
  AddressRange window64{0x4'0000'0000, 0x4'0000'0000}; ///< anywhere
  std::uint16_t vendor_id = 0x1b36; ///< of the bridge's own function, 00:00.0 (as QEMU's)
  std::uint16_t device_id = 0x0008;
};

class HostBridge : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(HostBridge);

  static constexpr std::uint64_t ecam_size = 256ull << 20;

  /// Address: an offset into ECAM: bus << 20 | device << 15 | function << 12 | register. Functions
  /// that do not exist read as all ones and ignore writes.
  tlm_utils::simple_target_socket<HostBridge> ecam{"ecam"};
  /// Address: an absolute PCI address within the window. What no function claims reads as all ones
  /// and ignores writes, with TLM_OK_RESPONSE: that is how a root complex ends a master abort.
  tlm_utils::simple_target_socket<HostBridge> window32{"window32"};
  tlm_utils::simple_target_socket<HostBridge> window64{"window64"};
  /// DMA of functions goes in here, by b_transport, debug access and DMI ...
  tlm_utils::multi_passthrough_target_socket_optional<HostBridge> upstream{"upstream"};
  /// ... and out here, to system memory and the receiver of MSI-X messages.
  tlm_utils::simple_initiator_socket<HostBridge> dma{"dma"};
  /// INTA to INTD as they leave the root complex: true is asserted.
  std::array<sc_core::sc_out<bool>, 4> intx{};

  explicit HostBridge(sc_core::sc_module_name name, const HostBridgeParams& params = {});

  /// Before the simulation starts: puts a function at 00:`device`.0, 1..31. Throws
  /// std::invalid_argument when that place does not exist or is taken.
  void attach(unsigned device, tlm::tlm_base_target_socket_b<32>& config,
              tlm::tlm_base_target_socket_b<32>& memory);
  /// Connects the function's interrupt pin, 0 for INTA# to 3 for INTD#.
  void attach_intx(unsigned device, sc_core::sc_out<bool>& line, unsigned pin = 0);
  /// All of a function that has the usual members: config, memory and intx.
  template <class Function> void attach(unsigned device, Function& function) {
    attach(device, function.config, function.memory);
    attach_intx(device, function.intx);
  }

private:
  static constexpr unsigned devices = 32;
  static constexpr int absent = -1;
  /// Where a function's BAR begins; its end is for the function to know.
  struct Claim {
    std::uint64_t base = 0;
    int function = absent;
  };
  struct Line {
    std::unique_ptr<sc_core::sc_signal<bool>> signal;
    unsigned output = 0;
  };

  void ecam_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned ecam_debug(tlm::tlm_generic_payload& transaction);
  /// What an ECAM address selects: the bridge itself, or an index into config_.
  struct Target {
    bool bridge = false;
    int function = absent;
  };
  Target decode(const tlm::tlm_generic_payload& transaction) const;
  void access_own_config(tlm::tlm_generic_payload& transaction);

  void window_transport(const AddressRange& window, tlm::tlm_generic_payload& transaction,
                        sc_core::sc_time& delay);
  void window32_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  void window64_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned window_debug(tlm::tlm_generic_payload& transaction);
  int claimant(std::uint64_t address) const;
  void learn_claims(int function);

  void upstream_transport(int id, tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  unsigned upstream_debug(int id, tlm::tlm_generic_payload& transaction);
  bool upstream_dmi(int id, tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi);
  void invalidate_dmi(sc_dt::uint64 start, sc_dt::uint64 end);

  void before_end_of_elaboration() override;
  void drive_intx();

  HostBridgeParams params_;
  PciConfigSpace own_config_;
  tlm_utils::multi_passthrough_initiator_socket_optional<HostBridge> config_{"config"};
  tlm_utils::multi_passthrough_initiator_socket_optional<HostBridge> memory_{"memory"};
  std::array<int, devices> functions_; // index of config_ and memory_, by device number
  std::vector<Claim> claims_;          // by ascending base
  std::vector<Line> lines_;
};

} // namespace virtio::tlm2
