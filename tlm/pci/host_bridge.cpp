#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/pci/pci_registers.hpp>
#include <virtio/tlm/register_access.hpp>
#include <virtio/tlm/translated_address.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace virtio::tlm2 {

namespace {

constexpr std::uint32_t class_host_bridge = 0x060000;

/// How a root complex completes a request that nobody claims.
void master_abort(tlm::tlm_generic_payload& transaction) {
  if (transaction.is_read()) std::ranges::fill(bytes_of(transaction), std::byte{0xff});
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

bool within(const AddressRange& range, const tlm::tlm_generic_payload& transaction) {
  return range.contains(transaction.get_address(), transaction.get_data_length());
}

} // namespace

HostBridge::HostBridge(sc_core::sc_module_name name, const HostBridgeParams& params)
    : sc_module(name), params_(params), own_config_({.vendor_id = params.vendor_id,
                                                     .device_id = params.device_id,
                                                     .class_code = class_host_bridge}) {
  functions_.fill(absent);
  ecam.register_b_transport(this, &HostBridge::ecam_transport);
  ecam.register_transport_dbg(this, &HostBridge::ecam_debug);
  window32.register_b_transport(this, &HostBridge::window32_transport);
  window32.register_transport_dbg(this, &HostBridge::window_debug);
  window64.register_b_transport(this, &HostBridge::window64_transport);
  window64.register_transport_dbg(this, &HostBridge::window_debug);
  upstream.register_b_transport(this, &HostBridge::upstream_transport);
  upstream.register_transport_dbg(this, &HostBridge::upstream_debug);
  upstream.register_get_direct_mem_ptr(this, &HostBridge::upstream_dmi);
  dma.register_invalidate_direct_mem_ptr(this, &HostBridge::invalidate_dmi);
}

void HostBridge::attach(unsigned device, tlm::tlm_base_target_socket_b<32>& config,
                        tlm::tlm_base_target_socket_b<32>& memory) {
  if (device == 0 || device >= devices || functions_[device] != absent)
    throw std::invalid_argument(fmt::format(
        "PCI device number {} does not exist or is taken: use a free one from 1 to 31", device));
  functions_[device] =
      static_cast<int>(std::ranges::count_if(functions_, [](int f) { return f != absent; }));
  config_.bind(config);
  memory_.bind(memory);
}

void HostBridge::attach_intx(unsigned device, sc_core::sc_out<bool>& line, unsigned pin) {
  if (device >= devices || pin > 3)
    throw std::invalid_argument(fmt::format("no interrupt pin {} at PCI device {}", pin, device));
  const auto name = fmt::format("intx_{}_{}", device, pin);
  // PCI-to-PCI Bridge 1.2, 9.1: the lines rotate with the device number.
  lines_.push_back({std::make_unique<sc_core::sc_signal<bool>>(name.c_str()), (device + pin) % 4});
  line.bind(*lines_.back().signal);
}

void HostBridge::before_end_of_elaboration() {
  SC_METHOD(drive_intx);
  for (const Line& line : lines_)
    sensitive << line.signal->value_changed_event();
}

void HostBridge::drive_intx() {
  std::array<bool, 4> level{};
  for (const Line& line : lines_)
    level[line.output] |= line.signal->read();
  for (std::size_t i = 0; i < level.size(); ++i)
    intx[i].write(level[i]);
}

// --- configuration -------------------------------------------------------------------------------

HostBridge::Target HostBridge::decode(const tlm::tlm_generic_payload& transaction) const {
  const auto address = transaction.get_address();
  const auto bus = address >> 20;
  const auto device = address >> 15 & 0x1f;
  const auto function = address >> 12 & 7;
  const auto reg = address % PciConfigSpace::size;
  if (bus != 0 || function != 0 || transaction.get_data_length() > PciConfigSpace::size - reg)
    return {};
  return device == 0 ? Target{.bridge = true} : Target{.function = functions_[device]};
}

void HostBridge::access_own_config(tlm::tlm_generic_payload& transaction) {
  const auto reg = static_cast<std::uint32_t>(transaction.get_address() % PciConfigSpace::size);
  if (transaction.is_write())
    own_config_.write(reg, bytes_of(transaction));
  else
    own_config_.read(reg, bytes_of(transaction));
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

void HostBridge::ecam_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  transaction.set_dmi_allowed(false);
  if (const auto refused = refusal(transaction)) {
    transaction.set_response_status(*refused);
    return;
  }
  if (!AddressRange{0, ecam_size}.contains(transaction.get_address(),
                                           transaction.get_data_length())) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  const Target target = decode(transaction);
  if (target.bridge) {
    access_own_config(transaction);
    return;
  }
  if (target.function == absent) {
    master_abort(transaction);
    return;
  }
  const TranslatedAddress translated(transaction, transaction.get_address() % PciConfigSpace::size);
  config_[target.function]->b_transport(transaction, delay);
  if (transaction.is_write()) learn_claims(target.function);
}

unsigned HostBridge::ecam_debug(tlm::tlm_generic_payload& transaction) {
  if (refusal(transaction) || transaction.get_address() >= ecam_size) return 0;
  const Target target = decode(transaction);
  if (target.bridge) {
    access_own_config(transaction);
    return transaction.get_data_length();
  }
  if (target.function == absent) {
    master_abort(transaction);
    return transaction.get_data_length();
  }
  const TranslatedAddress translated(transaction, transaction.get_address() % PciConfigSpace::size);
  const auto done = config_[target.function]->transport_dbg(transaction);
  if (transaction.is_write()) learn_claims(target.function);
  return done;
}

void HostBridge::learn_claims(int function) {
  const auto read = [&](std::uint32_t reg) {
    std::array<std::byte, 4> bytes{};
    tlm::tlm_generic_payload request;
    request.set_command(tlm::TLM_READ_COMMAND);
    request.set_address(reg);
    request.set_data_ptr(reinterpret_cast<unsigned char*>(bytes.data()));
    request.set_data_length(bytes.size());
    request.set_streaming_width(bytes.size());
    return config_[function]->transport_dbg(request) == bytes.size() ? value_of(bytes) : 0;
  };
  std::erase_if(claims_, [&](const Claim& claim) { return claim.function == function; });
  if ((read(pci::command) & pci::command_memory) != 0) {
    const bool endpoint = (read(pci::header_type & ~3u) >> 16 & 0x7f) == 0;
    const unsigned bars = endpoint ? PciConfigSpace::bars : 2;
    for (unsigned bar = 0; bar < bars; ++bar) {
      const std::uint32_t low = read(pci::bar0 + 4 * bar);
      if (low & pci::bar_io) continue;
      std::uint64_t base = low & ~pci::bar_flags;
      if ((low & pci::bar_type) == pci::bar_64bit && bar + 1 < bars)
        base |= std::uint64_t{read(pci::bar0 + 4 * ++bar)} << 32;
      // Nobody uses address 0; a BAR there is one that does not exist or has no address yet.
      if (base != 0) claims_.push_back({base, function});
    }
  }
  std::ranges::sort(claims_, [](const Claim& a, const Claim& b) {
    return a.base != b.base ? a.base < b.base : a.function < b.function;
  });
}

// --- memory --------------------------------------------------------------------------------------

int HostBridge::claimant(std::uint64_t address) const {
  const auto after = std::ranges::upper_bound(claims_, address, {}, &Claim::base);
  return after == claims_.begin() ? absent : std::prev(after)->function;
}

void HostBridge::window_transport(const AddressRange& window, tlm::tlm_generic_payload& transaction,
                                  sc_core::sc_time& delay) {
  transaction.set_dmi_allowed(false);
  if (const auto refused = refusal(transaction)) {
    transaction.set_response_status(*refused);
    return;
  }
  if (!within(window, transaction)) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (const int function = claimant(transaction.get_address()); function != absent) {
    memory_[function]->b_transport(transaction, delay);
    if (transaction.get_response_status() != tlm::TLM_ADDRESS_ERROR_RESPONSE) return;
  }
  master_abort(transaction);
}

void HostBridge::window32_transport(tlm::tlm_generic_payload& transaction,
                                    sc_core::sc_time& delay) {
  window_transport(params_.window32, transaction, delay);
}

void HostBridge::window64_transport(tlm::tlm_generic_payload& transaction,
                                    sc_core::sc_time& delay) {
  window_transport(params_.window64, transaction, delay);
}

unsigned HostBridge::window_debug(tlm::tlm_generic_payload& transaction) {
  if (refusal(transaction)) return 0;
  const int function = claimant(transaction.get_address());
  return function == absent ? 0 : memory_[function]->transport_dbg(transaction);
}

// --- DMA -----------------------------------------------------------------------------------------

void HostBridge::upstream_transport(int, tlm::tlm_generic_payload& transaction,
                                    sc_core::sc_time& delay) {
  dma->b_transport(transaction, delay);
}

unsigned HostBridge::upstream_debug(int, tlm::tlm_generic_payload& transaction) {
  return dma->transport_dbg(transaction);
}

bool HostBridge::upstream_dmi(int, tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& granted) {
  return dma->get_direct_mem_ptr(transaction, granted);
}

void HostBridge::invalidate_dmi(sc_dt::uint64 start, sc_dt::uint64 end) {
  for (unsigned i = 0; i < upstream.size(); ++i)
    upstream[static_cast<int>(i)]->invalidate_direct_mem_ptr(start, end);
}

} // namespace virtio::tlm2
