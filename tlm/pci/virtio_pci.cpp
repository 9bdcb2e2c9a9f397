#include <virtio/tlm/pci/virtio_pci.hpp>
#include <virtio/tlm/register_access.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace virtio::tlm2 {

namespace {

constexpr std::uint8_t msix_bar = 1;
constexpr std::uint8_t shared_memory_bar = 2;
constexpr std::uint8_t structures_bar = 4;
constexpr std::uint64_t page = 0x1000;
constexpr std::uint64_t isr_length = 4;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

std::uint32_t usual_class_code(DeviceType type) {
  switch (type) {
  case DeviceType::net:
    return 0x020000; // Ethernet controller
  case DeviceType::block:
    return 0x010000; // mass storage
  case DeviceType::console:
    return 0x078000; // other communication controller
  default:
    return 0x00ff00; // unclassified
  }
}

PciIdentity identity_of(const VirtioPciParams& params, DeviceType type) {
  const auto device_id =
      static_cast<std::uint16_t>(virtio_pci_device_id_base + static_cast<std::uint16_t>(type));
  return {.vendor_id = virtio_pci_vendor_id,
          .device_id = device_id,
          .subsystem_vendor_id = params.subsystem_vendor_id,
          .subsystem_id = params.subsystem_id ? params.subsystem_id : device_id,
          .class_code = params.class_code ? params.class_code : usual_class_code(type),
          .revision = params.revision,
          .interrupt_pin = 1};
}

const VirtioPciParams& checked(const VirtioPciParams& params) {
  if (params.revision == 0 || params.class_code >= 1u << 24)
    throw std::invalid_argument("a virtio PCI function has a revision of at least 1 and a class "
                                "code of 24 bits");
  const auto multiplier = params.notify_off_multiplier;
  if (multiplier != 0 && (multiplier < 4 || multiplier > page || !std::has_single_bit(multiplier)))
    throw std::invalid_argument(fmt::format(
        "notify_off_multiplier {}: use 0 or a power of two from 4 to 4096", multiplier));
  const auto& regions = params.shared_memory;
  for (auto region = regions.begin(); region != regions.end(); ++region) {
    const bool again = std::any_of(regions.begin(), region,
                                   [&](const auto& other) { return other.id == region->id; });
    if (again || region->memory.empty())
      throw std::invalid_argument(
          fmt::format("shared memory region {}: give it memory and an id of its own", region->id));
  }
  return params;
}

/// Everything of a capability behind its id and link.
template <class Capability> std::span<const std::byte> body_of(const Capability& capability) {
  return std::as_bytes(std::span(&capability, 1)).subspan(2);
}

} // namespace

VirtioPci::VirtioPci(sc_core::sc_module_name name, const VirtioPciParams& params, Device& device,
                     DmaPort& port)
    : sc_module(name), params_(checked(params)), device_(device), port_(port),
      msix_(params.msix_vectors), common_(device, msix_, params.notif_config_data_base),
      space_(identity_of(params, device.type())),
      messages_(device.executor(), device.name() + " messages"),
      timers_(device.executor(), device.name() + " message timers") {
  config.register_b_transport(this, &VirtioPci::config_transport);
  config.register_transport_dbg(this, &VirtioPci::config_debug);
  memory.register_b_transport(this, &VirtioPci::memory_transport);
  memory.register_transport_dbg(this, &VirtioPci::memory_debug);
  SC_METHOD(drive_intx);
  sensitive << intx_changed_;
  intx_wake_.function = this;
  intx_wake_.at_host_time = true;
  intx_wake_.call = [](Wake& wake) {
    static_cast<IntxWake&>(wake).function->intx_changed_.notify(sc_core::SC_ZERO_TIME);
  };

  define_bars();
  define_capabilities();
  apply_config_space();
  device_.attach(*this);
}

// --- layout --------------------------------------------------------------------------------------

void VirtioPci::add_structure(Structure structure, std::uint8_t bar, std::uint64_t offset,
                              std::uint64_t length, std::span<std::byte> memory) {
  if (length != 0) regions_.push_back({structure, bar, offset, length, memory});
}

void VirtioPci::define_bars() {
  if (msix_.vectors() != 0) {
    add_structure(Structure::msix, msix_bar, 0, msix_.bar_size());
    space_.add_bar(msix_bar, {.size = msix_.bar_size()});
  }

  std::uint64_t end = 0;
  for (const PciSharedMemory& region : params_.shared_memory) {
    add_structure(Structure::shared_memory, shared_memory_bar, end, region.memory.size(),
                  region.memory);
    end += round_up(region.memory.size(), page);
  }
  if (end != 0)
    space_.add_bar(shared_memory_bar,
                   {.size = std::bit_ceil(end), .is_64bit = true, .prefetchable = true});

  // Every structure begins a page of its own, the doorbells last, for there may be many.
  const auto device_length = round_up(device_.config_size(), 4);
  const auto notify_length = std::max<std::uint64_t>(4, params_.notify_off_multiplier *
                                                            std::uint64_t{device_.num_queues()});
  const auto notify_offset = 2 * page + round_up(std::max<std::uint64_t>(device_length, 1), page);
  add_structure(Structure::common, structures_bar, 0, sizeof(virtio_pci_common_cfg));
  add_structure(Structure::isr, structures_bar, page, isr_length);
  add_structure(Structure::device, structures_bar, 2 * page, device_length);
  add_structure(Structure::notify, structures_bar, notify_offset, notify_length);
  space_.add_bar(structures_bar, {.size = std::bit_ceil(notify_offset + notify_length),
                                  .is_64bit = true,
                                  .prefetchable = true});
}

void VirtioPci::define_capabilities() {
  const auto describe = [](const Region& region, std::uint8_t type, std::size_t length) {
    virtio_pci_cap cap;
    cap.cap_len = static_cast<std::uint8_t>(length);
    cap.cfg_type = type;
    cap.bar = region.bar;
    cap.offset = static_cast<std::uint32_t>(region.offset);
    cap.length = static_cast<std::uint32_t>(region.length);
    return cap;
  };
  space_.add_power_management_capability();
  space_.add_express_capability();
  if (msix_.vectors() != 0) {
    std::array<std::byte, 10> body;
    put_value(std::span(body).subspan(0, 2), msix_.vectors() - 1);
    put_value(std::span(body).subspan(2, 4), msix_bar);
    put_value(std::span(body).subspan(6, 4), msix_.pending_offset() | msix_bar);
    std::array<std::byte, 2> writable;
    put_value(writable, Msix::control_enable | Msix::control_function_mask);
    msix_capability_ = space_.add_capability(Msix::capability_id, body, writable);
  }

  std::size_t shared_memory = 0;
  for (const Region& region : regions_) {
    switch (region.structure) {
    case Structure::common:
      space_.add_capability(PCI_CAP_ID_VNDR, body_of(describe(region, VIRTIO_PCI_CAP_COMMON_CFG,
                                                              sizeof(virtio_pci_cap))));
      break;
    case Structure::isr:
      space_.add_capability(PCI_CAP_ID_VNDR, body_of(describe(region, VIRTIO_PCI_CAP_ISR_CFG,
                                                              sizeof(virtio_pci_cap))));
      break;
    case Structure::device:
      space_.add_capability(PCI_CAP_ID_VNDR, body_of(describe(region, VIRTIO_PCI_CAP_DEVICE_CFG,
                                                              sizeof(virtio_pci_cap))));
      break;
    case Structure::notify: {
      virtio_pci_notify_cap cap;
      cap.cap = describe(region, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof cap);
      cap.notify_off_multiplier = params_.notify_off_multiplier;
      space_.add_capability(PCI_CAP_ID_VNDR, body_of(cap));
      break;
    }
    case Structure::shared_memory: {
      virtio_pci_cap64 cap;
      cap.cap = describe(region, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, sizeof cap);
      cap.cap.id = params_.shared_memory[shared_memory++].id;
      cap.offset_hi = static_cast<std::uint32_t>(region.offset >> 32);
      cap.length_hi = static_cast<std::uint32_t>(region.length >> 32);
      space_.add_capability(PCI_CAP_ID_VNDR, body_of(cap));
      break;
    }
    case Structure::msix:
      break;
    }
  }

  virtio_pci_cfg_cap window;
  window.cap.cap_len = sizeof window;
  window.cap.cfg_type = VIRTIO_PCI_CAP_PCI_CFG;
  virtio_pci_cfg_cap writable{};
  writable.cap.bar = 0xff;
  writable.cap.offset = writable.cap.length = 0xffff'ffff;
  std::ranges::fill(writable.pci_cfg_data, std::uint8_t{0xff});
  writable.cap.cap_len = 0;
  window_capability_ = space_.add_capability(PCI_CAP_ID_VNDR, body_of(window), body_of(writable));
}

const VirtioPci::Region* VirtioPci::find_region(unsigned bar, std::uint64_t offset) const {
  const auto region = std::ranges::find_if(regions_, [&](const Region& r) {
    return r.bar == bar && offset >= r.offset && offset - r.offset < r.length;
  });
  return region == regions_.end() ? nullptr : &*region;
}

// --- TLM-2.0 -------------------------------------------------------------------------------------

void VirtioPci::config_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  transaction.set_dmi_allowed(false);
  if (const auto refused = refusal(transaction)) {
    transaction.set_response_status(*refused);
    return;
  }
  const auto bytes = bytes_of(transaction);
  if (transaction.get_address() >= PciConfigSpace::size ||
      bytes.size() > PciConfigSpace::size - transaction.get_address()) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (params_.timed) wait_out(delay);
  const auto offset = static_cast<std::uint32_t>(transaction.get_address());
  if (transaction.is_write()) {
    write_config_space(offset, bytes);
    device_.executor().run();
  } else {
    read_config_space(offset, bytes, Access::normal);
  }
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned VirtioPci::config_debug(tlm::tlm_generic_payload& transaction) {
  if (refusal(transaction) || transaction.get_address() >= PciConfigSpace::size) return 0;
  const auto offset = static_cast<std::uint32_t>(transaction.get_address());
  auto bytes = bytes_of(transaction);
  bytes = bytes.first(std::min<std::size_t>(bytes.size(), PciConfigSpace::size - offset));
  if (transaction.is_write())
    write_config_space(offset, bytes);
  else
    read_config_space(offset, bytes, Access::debug);
  return static_cast<unsigned>(bytes.size());
}

void VirtioPci::memory_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  transaction.set_dmi_allowed(false);
  if (const auto refused = refusal(transaction)) {
    transaction.set_response_status(*refused);
    return;
  }
  if (params_.timed) wait_out(delay);
  const auto bytes = bytes_of(transaction);
  const auto hit = space_.decode(transaction.get_address(), bytes.size());
  if (!hit) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (transaction.is_write()) {
    write_bar(hit->bar, hit->offset, bytes);
    device_.executor().run();
  } else {
    read_bar(hit->bar, hit->offset, bytes, Access::normal);
  }
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned VirtioPci::memory_debug(tlm::tlm_generic_payload& transaction) {
  if (refusal(transaction)) return 0;
  const auto bytes = bytes_of(transaction);
  const auto hit = space_.decode(transaction.get_address(), bytes.size());
  if (!hit) return 0;
  if (transaction.is_write())
    write_bar(hit->bar, hit->offset, bytes);
  else
    read_bar(hit->bar, hit->offset, bytes, Access::debug);
  return static_cast<unsigned>(bytes.size());
}

// --- configuration space -------------------------------------------------------------------------

bool VirtioPci::in_window_data(std::uint32_t offset, std::size_t length) const {
  const auto data = window_capability_ + offsetof(virtio_pci_cfg_cap, pci_cfg_data);
  return offset < data + sizeof(virtio_pci_cfg_cap::pci_cfg_data) && data < offset + length;
}

void VirtioPci::read_config_space(std::uint32_t offset, std::span<std::byte> bytes, Access access) {
  if (in_window_data(offset, bytes.size())) read_window(access);
  space_.set_transactions_pending(port_.outstanding() != 0);
  space_.read(offset, bytes);
}

void VirtioPci::write_config_space(std::uint32_t offset, std::span<const std::byte> bytes) {
  // A function may discard what arrives during its reset (PCI Express Base 5.0, 6.6.2).
  if (resetting_function_) return;
  space_.write(offset, bytes);
  if (space_.take_function_level_reset()) {
    function_level_reset();
    return;
  }
  apply_config_space();
  if (in_window_data(offset, bytes.size())) write_window();
}

void VirtioPci::apply_config_space() {
  port_.set_enabled(space_.bus_master_enabled());
  if (msix_capability_) msix_.set_control(space_.word(msix_capability_ + 2u));
  send_released();
  update_intx();
}

/// The window of VIRTIO_PCI_CAP_PCI_CFG: what its `bar`, `offset` and `length` select, or nothing
/// unless they are one aligned access within a structure of another capability (4.1.4.9.2).
std::optional<VirtioPci::Window> VirtioPci::window() const {
  const auto cap = window_capability_;
  const auto bar = space_.dword(cap + offsetof(virtio_pci_cap, bar)) & 0xff;
  const auto offset = space_.dword(cap + offsetof(virtio_pci_cap, offset));
  const auto length = space_.dword(cap + offsetof(virtio_pci_cap, length));
  if ((length != 1 && length != 2 && length != 4) || offset % length != 0) return std::nullopt;
  const Region* region = find_region(bar, offset);
  if (!region || region->structure == Structure::msix ||
      length > region->length - (offset - region->offset))
    return std::nullopt;
  return Window{bar, offset, length};
}

void VirtioPci::read_window(Access access) {
  std::array<std::byte, sizeof(virtio_pci_cfg_cap::pci_cfg_data)> data{};
  if (const auto selected = window())
    read_bar(selected->bar, selected->offset, std::span(data).first(selected->length), access);
  space_.set(window_capability_ + offsetof(virtio_pci_cfg_cap, pci_cfg_data), data);
}

void VirtioPci::write_window() {
  const auto selected = window();
  if (!selected) return;
  std::array<std::byte, sizeof(virtio_pci_cfg_cap::pci_cfg_data)> data{};
  space_.read(window_capability_ + offsetof(virtio_pci_cfg_cap, pci_cfg_data), data);
  write_bar(selected->bar, selected->offset, std::span(data).first(selected->length));
}

void VirtioPci::function_level_reset() {
  resetting_function_ = true;
  space_.reset();
  msix_.reset();
  apply_config_space();
  device_.reset();
}

// --- structures in BARs --------------------------------------------------------------------------

void VirtioPci::read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> bytes,
                         Access access) {
  for_each_register(offset, bytes, [&](std::uint64_t at, std::span<std::byte> piece) {
    std::ranges::fill(piece, std::byte{});
    const Region* region = find_region(bar, at);
    if (!region) return;
    const auto within = at - region->offset;
    const auto within32 = static_cast<std::uint32_t>(within);
    switch (region->structure) {
    case Structure::common:
      put_value(piece, common_.read(within32, static_cast<unsigned>(piece.size())));
      break;
    case Structure::isr:
      if (within == 0) put_value(piece, read_isr(access));
      break;
    case Structure::device:
      read_device_config(within32, piece, access);
      break;
    case Structure::notify:
      break;
    case Structure::msix:
      put_value(piece, msix_.read(within & ~3ull) >> (8 * (within & 3)));
      break;
    case Structure::shared_memory:
      std::copy_n(region->memory.begin() + static_cast<std::ptrdiff_t>(within),
                  std::min<std::uint64_t>(piece.size(), region->length - within), piece.begin());
      break;
    }
  });
}

void VirtioPci::write_bar(unsigned bar, std::uint64_t offset, std::span<const std::byte> bytes) {
  for_each_register(offset, bytes, [&](std::uint64_t at, std::span<const std::byte> piece) {
    const Region* region = find_region(bar, at);
    if (!region) return;
    const auto within = at - region->offset;
    const auto within32 = static_cast<std::uint32_t>(within);
    switch (region->structure) {
    case Structure::common:
      common_.write(within32, static_cast<unsigned>(piece.size()), value_of(piece));
      break;
    case Structure::isr:
      break;
    case Structure::device:
      device_.write_config(within32, piece);
      break;
    case Structure::notify:
      notify(within, piece);
      break;
    case Structure::msix:
      write_msix(within32, piece);
      break;
    case Structure::shared_memory:
      std::copy_n(piece.begin(), std::min<std::uint64_t>(piece.size(), region->length - within),
                  region->memory.begin() + static_cast<std::ptrdiff_t>(within));
      break;
    }
  });
}

std::uint8_t VirtioPci::read_isr(Access access) {
  const auto value = isr_;
  if (access == Access::normal) {
    isr_ = 0; // 4.1.4.5.1
    update_intx();
  }
  return value;
}

void VirtioPci::read_device_config(std::uint32_t offset, std::span<std::byte> bytes,
                                   Access access) {
  if (access == Access::normal) {
    device_.read_config(offset, bytes);
    return;
  }
  const auto config = device_.function().config();
  for (std::size_t i = 0; i < bytes.size() && offset + i < config.size(); ++i)
    bytes[i] = config[offset + i];
}

void VirtioPci::write_msix(std::uint32_t offset, std::span<const std::byte> bytes) {
  const auto dword = offset & ~3u;
  std::array<std::byte, 4> value;
  put_value(value, msix_.read(dword));
  std::ranges::copy(bytes, value.begin() + (offset & 3));
  msix_.write(dword, value_of(value));
  send_released();
}

void VirtioPci::notify(std::uint64_t offset, std::span<const std::byte> bytes) {
  // The address says which queue; only without one address per queue does the value: the index,
  // or queue_notif_config_data (4.1.5.2).
  if (bytes.size() < 2) return;
  const auto value = value_of(bytes);
  auto queue = static_cast<std::uint16_t>(value);
  if (const auto multiplier = params_.notify_off_multiplier; multiplier != 0) {
    if (offset % multiplier != 0) return;
    queue = static_cast<std::uint16_t>(offset / multiplier);
  } else if (offset != 0) {
    return;
  } else if (device_.negotiated().has(VIRTIO_F_NOTIF_CONFIG_DATA)) {
    queue = static_cast<std::uint16_t>(queue - params_.notif_config_data_base);
  }
  std::optional<NotificationData> data;
  if (bytes.size() == 4 && device_.negotiated().has(VIRTIO_F_NOTIFICATION_DATA))
    data = NotificationData{.next_off = static_cast<std::uint16_t>(value >> 16 & 0x7fff),
                            .next_wrap = (value >> 31) != 0};
  device_.notify(QueueIndex{queue}, data);
}

// --- interrupts and reset ------------------------------------------------------------------------

void VirtioPci::used_buffer_notification(QueueIndex queue) {
  if (msix_.enabled()) {
    interrupt(common_.queue_source(queue));
    return;
  }
  isr_ |= isr_queue_interrupt;
  update_intx();
}

void VirtioPci::config_change_notification() {
  isr_ |= isr_device_configuration_interrupt; // whether MSI-X is enabled or not (4.1.4.5.1)
  if (msix_.enabled()) interrupt(common_.config_source());
  update_intx();
}

void VirtioPci::interrupt(InterruptSource& source) {
  // Without a vector there is no interrupt (4.1.5.3.1, 4.1.5.4.1).
  if (source.vector == VIRTIO_MSI_NO_VECTOR) return;
  if (const auto message = msix_.raise(source.vector)) send(*message, &source);
}

void VirtioPci::send_released() {
  while (const auto message = msix_.take_released())
    send(*message, nullptr);
}

void VirtioPci::send(const Msix::Message& message, InterruptSource* source) {
  messages_.start([&] { return deliver(message, source); });
}

Task<> VirtioPci::deliver(Msix::Message message, InterruptSource* source) {
  if (source) ++source->messages;
  const Dma dma(port_, messages_, 0);
  const le32 data = message.data;
  // A message that memory refuses is lost, as on a real bus.
  co_await dma.write(message.address, &data, sizeof data, AccessKind::message);
  if (source) source->message_ended();
}

void VirtioPci::update_intx() {
  // 4.1.4.5.1: the Interrupt Status bit is the logical OR of all bits of the ISR status.
  const bool pending = isr_ != 0 && !msix_.enabled();
  space_.set_interrupt_status(pending);
  const bool level = pending && !space_.intx_disabled();
  if (level == intx_level_) return;
  intx_level_ = level;
  if (Executor& executor = device_.executor(); executor.ahead())
    executor.post(intx_wake_);
  else
    intx_changed_.notify(sc_core::SC_ZERO_TIME);
}

void VirtioPci::drive_intx() {
  intx.write(intx_level_);
}

void VirtioPci::on_device_reset() {
  common_.reset();
  msix_.clear_pending();
  isr_ = 0;
  update_intx();
  // The reset is over for the driver when no message can arrive any longer.
  messages_.cancel();
  if (!messages_.idle()) {
    common_.set_draining(true);
    timers_.start([this] { return give_up_on_messages(messages_.epoch()); });
  }
  messages_.when_idle([this] {
    messages_.reopen();
    common_.set_draining(false);
    resetting_function_ = false;
  });
}

Task<> VirtioPci::give_up_on_messages(std::uint32_t epoch) {
  co_await delay(timers_, params_.message_timeout);
  if (messages_.cancelled() && messages_.epoch() == epoch) messages_.orphan();
}

} // namespace virtio::tlm2
