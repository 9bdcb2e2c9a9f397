#include <virtio/tlm/analyser_tap.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/pci/msix.hpp>
#include <virtio/tlm/pci/pci_registers.hpp>
#include <virtio/tlm/pci/virtio_pci_layout.hpp>
#include <virtio/tlm/register_access.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace virtio::tlm2 {
namespace {

using analyser::RegisterSpace;

SimTime now() {
  if (const Executor* executor = Executor::current()) return executor->now(); // may be ahead
  return to_sim_time(sc_core::sc_time_stamp());
}

analyser::Analyser::Sink sink_or_warning(analyser::Analyser::Sink sink) {
  if (sink) return sink;
  return [](const analyser::Violation& violation) {
    SC_REPORT_WARNING("/virtio-tlm/analyser", to_string(violation).c_str());
  };
}

template <class Value> Value at(std::span<const std::byte> space, std::size_t offset) {
  LittleEndian<Value> value;
  if (offset + sizeof value <= space.size())
    std::memcpy(static_cast<void*>(&value), space.data() + offset, sizeof value);
  return value;
}

/// The first 8 bytes.
std::uint64_t data_of(const tlm::tlm_generic_payload& transaction) {
  std::uint64_t value = 0;
  const auto bytes = bytes_of(transaction);
  for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 8); ++i)
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

/// Writes are shown before they take effect, reads with their answer.
bool due(const tlm::tlm_generic_payload& transaction, bool answered) {
  return !refusal(transaction) && (answered ? transaction.is_read() && transaction.is_response_ok()
                                            : transaction.is_write());
}

} // namespace

// --- passing through
// ---------------------------------------------------------------------------------

PassThrough::PassThrough(sc_core::sc_module_name name, Hook before, Hook after)
    : sc_module(name), before_(std::move(before)), after_(std::move(after)) {
  in.register_b_transport(this, &PassThrough::b_transport);
  in.register_transport_dbg(this, &PassThrough::transport_dbg);
  in.register_nb_transport_fw(this, &PassThrough::nb_transport_fw);
  out.register_nb_transport_bw(this, &PassThrough::nb_transport_bw);
}

void PassThrough::b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  before_(transaction);
  out->b_transport(transaction, delay);
  answered(transaction);
}

void PassThrough::answered(tlm::tlm_generic_payload& transaction) {
  transaction.set_dmi_allowed(false);
  after_(transaction);
}

// Once a response was handed on, its payload may be somebody else's.
tlm::tlm_sync_enum PassThrough::nb_transport_fw(tlm::tlm_generic_payload& transaction,
                                                tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  const bool request = phase == tlm::BEGIN_REQ;
  if (request) before_(transaction);
  const tlm::tlm_sync_enum status = out->nb_transport_fw(transaction, phase, delay);
  if (request &&
      (status == tlm::TLM_COMPLETED || (status == tlm::TLM_UPDATED && phase == tlm::BEGIN_RESP)))
    answered(transaction);
  return status;
}

tlm::tlm_sync_enum PassThrough::nb_transport_bw(tlm::tlm_generic_payload& transaction,
                                                tlm::tlm_phase& phase, sc_core::sc_time& delay) {
  if (phase == tlm::BEGIN_RESP) answered(transaction);
  return in->nb_transport_bw(transaction, phase, delay);
}

unsigned PassThrough::transport_dbg(tlm::tlm_generic_payload& transaction) {
  return out->transport_dbg(transaction);
}

// --- both transports
// ---------------------------------------------------------------------------------

AnalyserTap::AnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params, bool pci)
    : sc_module(name),
      // A write is shown when it sets out: whoever reacts to it does so later.
      dma(
          "dma",
          [this](const auto& t) {
            if (due(t, false)) show_memory(t);
            if (t.is_read()) asked_[&t] = now();
          },
          [this](const auto& t) {
            const auto asked = asked_.find(&t);
            const SimTime since = asked == asked_.end() ? now() : asked->second;
            if (asked != asked_.end()) asked_.erase(asked);
            if (due(t, true)) show_memory(t, since < now() ? std::optional(since) : std::nullopt);
          }),
      analyser_({.device = std::move(params.device),
                 .pci = pci,
                 .recommendations = params.recommendations},
                sink_or_warning(std::move(params.sink))) {}

void AnalyserTap::end_of_simulation() {
  analyser_.finish(now());
}

void AnalyserTap::show(RegisterSpace space, std::uint64_t offset, unsigned width, bool write,
                       std::uint64_t value) {
  analyser_.on_register({now(), space, offset, width, write, value});
}

void AnalyserTap::show(RegisterSpace space, std::uint64_t offset,
                       const tlm::tlm_generic_payload& transaction) {
  show(space, offset, transaction.get_data_length(), transaction.is_write(), data_of(transaction));
}

void AnalyserTap::show_memory(const tlm::tlm_generic_payload& transaction,
                              std::optional<SimTime> asked) {
  analyser_.on_device_memory({now(), GuestAddr{transaction.get_address()}, bytes_of(transaction),
                              transaction.is_write(), asked});
}

// --- virtio-mmio
// -------------------------------------------------------------------------------------

MmioAnalyserTap::MmioAnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params)
    : AnalyserTap(name, std::move(params), false),
      registers(
          "registers",
          [this](const auto& t) {
            if (due(t, false)) show(RegisterSpace::mmio, t.get_address(), t);
          },
          [this](const auto& t) {
            if (due(t, true)) show(RegisterSpace::mmio, t.get_address(), t);
          }) {}

// --- virtio-pci
// --------------------------------------------------------------------------------------

PciAnalyserTap::PciAnalyserTap(sc_core::sc_module_name name, AnalyserTapParams params)
    : AnalyserTap(name, std::move(params), true), config(
                                                      "config",
                                                      [this](const auto& t) {
                                                        if (due(t, false)) config_access(t);
                                                      },
                                                      [this](const auto& t) {
                                                        if (due(t, true)) config_access(t);
                                                      }),
      memory(
          "memory",
          [this](const auto& t) {
            if (due(t, false)) memory_access(t);
          },
          [this](const auto& t) {
            if (due(t, true)) memory_access(t);
          }) {}

PciAnalyserTap::ConfigSpace PciAnalyserTap::read_config() {
  ConfigSpace space{};
  tlm::tlm_generic_payload read;
  read.set_command(tlm::TLM_READ_COMMAND);
  read.set_address(0);
  read.set_data_ptr(reinterpret_cast<unsigned char*>(space.data()));
  read.set_data_length(space.size());
  read.set_streaming_width(space.size());
  config.out->transport_dbg(read);
  return space;
}

/// virtio 1.4, 4.1.4: where the structures lie.
void PciAnalyserTap::learn_capability(const ConfigSpace& space, std::uint32_t cap) {
  constexpr std::uint64_t msix_entry = 16;
  const auto id = at<std::uint8_t>(space, cap);
  if (id == Msix::capability_id) {
    capabilities_.push_back({RegisterSpace::msix_control, cap, 4});
    const auto entries = (at<std::uint16_t>(space, cap + 2) & 0x7ffu) + 1;
    const auto table = at<std::uint32_t>(space, cap + 4);
    regions_.push_back({RegisterSpace::msix_table, table & 7, table & ~7u, entries * msix_entry});
    return;
  }
  if (id != PCI_CAP_ID_VNDR) return;
  const auto type = at<std::uint8_t>(space, cap + offsetof(virtio_pci_cap, cfg_type));
  const auto length = at<std::uint8_t>(space, cap + offsetof(virtio_pci_cap, cap_len));
  const bool window = type == VIRTIO_PCI_CAP_PCI_CFG;
  capabilities_.push_back(
      {window ? RegisterSpace::pci_cfg_cap : RegisterSpace::pci_cap, cap, length});
  const std::pair<std::uint8_t, RegisterSpace> spaces[] = {
      {VIRTIO_PCI_CAP_COMMON_CFG, RegisterSpace::pci_common},
      {VIRTIO_PCI_CAP_NOTIFY_CFG, RegisterSpace::pci_notify},
      {VIRTIO_PCI_CAP_ISR_CFG, RegisterSpace::pci_isr},
      {VIRTIO_PCI_CAP_DEVICE_CFG, RegisterSpace::pci_device}};
  const auto known =
      std::ranges::find(spaces, type, &std::pair<std::uint8_t, RegisterSpace>::first);
  if (known == std::end(spaces)) return;
  regions_.push_back({known->second, at<std::uint8_t>(space, cap + offsetof(virtio_pci_cap, bar)),
                      at<std::uint32_t>(space, cap + offsetof(virtio_pci_cap, offset)),
                      at<std::uint32_t>(space, cap + offsetof(virtio_pci_cap, length))});
  if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
    analyser_.set_pci_layout(
        {at<std::uint32_t>(space, cap + offsetof(virtio_pci_notify_cap, notify_off_multiplier))});
}

void PciAnalyserTap::learn() {
  if (learned_ && bars_known_) return;
  const ConfigSpace space = read_config();
  for (unsigned i = 0; i < bars_.size(); ++i) {
    const auto low = at<std::uint32_t>(space, pci::bar0 + 4 * i);
    bars_[i] = low & ~std::uint64_t{pci::bar_flags};
    if ((low & pci::bar_type) != pci::bar_64bit || i + 1 == bars_.size()) continue;
    bars_[i] |= std::uint64_t{at<std::uint32_t>(space, pci::bar0 + 4 * (i + 1))} << 32;
    bars_[++i] = 0;
  }
  bars_known_ = true;
  if (std::exchange(learned_, true)) return;
  constexpr std::uint16_t first_device_id = 0x1040; // virtio 1.4, 4.1.2
  if (const auto id = at<std::uint16_t>(space, pci::vendor_id + 2); id > first_device_id)
    analyser_.set_device_type(static_cast<std::uint16_t>(id - first_device_id));
  std::uint32_t cap = at<std::uint8_t>(space, pci::capabilities_pointer) & 0xfcu;
  for (int guard = 0; cap >= pci::header_end && guard < 48; ++guard) {
    learn_capability(space, cap);
    cap = at<std::uint8_t>(space, cap + 1) & 0xfcu;
  }
}

void PciAnalyserTap::config_access(const tlm::tlm_generic_payload& transaction) {
  learn();
  const auto offset = static_cast<std::uint32_t>(transaction.get_address());
  const unsigned width = transaction.get_data_length();
  const std::uint64_t value = data_of(transaction);
  const bool write = transaction.is_write();
  if (write && offset < pci::bar0 + 24 && offset + width > pci::bar0) bars_known_ = false;
  if (offset == pci::command && width >= 2)
    show(RegisterSpace::pci_command, 0, 2, write, value & 0xffff);
  for (const Capability& cap : capabilities_) {
    if (offset < cap.at || offset - cap.at >= cap.length) continue;
    const std::uint32_t within = offset - cap.at;
    if (cap.space == RegisterSpace::msix_control) {
      // Message Control is the upper half of the capability's first 32 bits.
      if (within == 2 || (within == 0 && width >= 4))
        show(cap.space, 0, 2, write, (within == 2 ? value : value >> 16) & 0xffff);
      return;
    }
    show(cap.space, within, transaction);
    if (cap.space == RegisterSpace::pci_cfg_cap && within >= sizeof(virtio_pci_cap))
      window_access(cap.at, transaction);
    return;
  }
}

/// An access to pci_cfg_data is one to the structure that its window selects (4.1.4.9).
void PciAnalyserTap::window_access(std::uint32_t cap, const tlm::tlm_generic_payload& transaction) {
  const ConfigSpace space = read_config();
  const auto bar = at<std::uint8_t>(space, cap + offsetof(virtio_pci_cap, bar));
  const auto offset = at<std::uint32_t>(space, cap + offsetof(virtio_pci_cap, offset));
  const auto length = at<std::uint32_t>(space, cap + offsetof(virtio_pci_cap, length));
  if (length != 1 && length != 2 && length != 4) return;
  for (const Region& region : regions_)
    if (region.bar == bar && offset >= region.offset && offset - region.offset < region.length)
      show(region.space, offset - region.offset, length, transaction.is_write(),
           data_of(transaction) & (~0ull >> (64 - 8 * length)));
}

void PciAnalyserTap::memory_access(const tlm::tlm_generic_payload& transaction) {
  learn();
  const std::uint64_t address = transaction.get_address();
  for (const Region& region : regions_) {
    if (region.bar >= bars_.size() || bars_[region.bar] == 0) continue;
    const std::uint64_t within = address - bars_[region.bar] - region.offset;
    if (address >= bars_[region.bar] + region.offset && within < region.length) {
      show(region.space, within, transaction);
      return;
    }
  }
}

} // namespace virtio::tlm2
