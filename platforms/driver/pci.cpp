#include <virtio/platforms/driver/transport.hpp>

#include <fmt/format.h>

#include <array>

namespace virtio::driver {
namespace {

// The PCI configuration header and what of it this driver touches (PCI Local Bus 3.0, 6.1).
constexpr std::uint32_t vendor_id = 0x00;
constexpr std::uint32_t device_id = 0x02;
constexpr std::uint32_t command = 0x04;
constexpr std::uint32_t status_reg = 0x06;
constexpr std::uint32_t header_type = 0x0e;
constexpr std::uint32_t bar0 = 0x10;
constexpr std::uint32_t cap_pointer = 0x34;
constexpr std::uint16_t command_memory = 1 << 1;
constexpr std::uint16_t command_master = 1 << 2;
constexpr std::uint16_t command_intx_disable = 1 << 10;
constexpr std::uint16_t status_capabilities = 1 << 4;
constexpr std::uint8_t capability_vendor = 0x09;
constexpr std::uint8_t capability_msix = 0x11;

// The MSI-X capability and its table (PCI Local Bus 3.0, 6.8.2).
constexpr std::uint32_t msix_control = 2;
constexpr std::uint32_t msix_table = 4;
constexpr std::uint16_t msix_table_size = 0x7ff;
constexpr std::uint16_t msix_enable = 1 << 15;
constexpr std::uint16_t msix_function_mask = 1 << 14;
constexpr std::uint64_t msix_entry_size = 16;

// cfg_type of struct virtio_pci_cap (virtio 1.4, 4.1.4).
constexpr std::uint8_t VIRTIO_PCI_CAP_COMMON_CFG = 1;
constexpr std::uint8_t VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
constexpr std::uint8_t VIRTIO_PCI_CAP_ISR_CFG = 3;
constexpr std::uint8_t VIRTIO_PCI_CAP_DEVICE_CFG = 4;

/// Gives out addresses of the memory window, each BAR aligned to its size.
class WindowAllocator {
public:
  explicit WindowAllocator(const PciHost& host) : arena_(host.window_base, host.window_size) {}
  std::uint64_t take(std::uint64_t size) { return arena_.take(size, size); }

private:
  Arena arena_;
};

/// Sizes and places the memory BARs of one function; I/O BARs are left alone.
std::array<std::uint64_t, 6> place_bars(Bus& bus, std::uint64_t config, WindowAllocator& window) {
  std::array<std::uint64_t, 6> address{};
  for (unsigned i = 0; i < 6; ++i) {
    const std::uint64_t at = config + bar0 + 4 * i;
    bus.store<std::uint32_t>(at, ~0u);
    const auto probe = bus.load<std::uint32_t>(at);
    if (probe == 0 || (probe & 1)) continue;
    const bool wide = (probe & 6) == 4;
    std::uint64_t mask = probe & ~0xfu;
    if (wide) {
      bus.store<std::uint32_t>(at + 4, ~0u);
      mask |= static_cast<std::uint64_t>(bus.load<std::uint32_t>(at + 4)) << 32;
    } else {
      mask |= ~0ull << 32;
    }
    address[i] = window.take(~mask + 1);
    bus.store<std::uint32_t>(at, static_cast<std::uint32_t>(address[i]));
    if (wide) bus.store<std::uint32_t>(at + 4, static_cast<std::uint32_t>(address[i] >> 32));
    if (wide) ++i;
  }
  return address;
}

class PciAccess final : public DeviceAccess {
public:
  PciAccess(Bus& bus, std::uint64_t config, std::string place,
            const std::array<std::uint64_t, 6>& bars)
      : bus_(bus), config_(config), place_(std::move(place)) {
    type_ = static_cast<DeviceType>(bus_.load<std::uint16_t>(config + device_id) - 0x1040);
    walk_capabilities(config, bars);
    if (!common_ || !notify_ || !isr_)
      throw DriverError(place_ + ": a virtio capability is missing (common, notify or ISR)");
  }

  DeviceType type() const override { return type_; }
  const std::string& place() const override { return place_; }
  std::uint8_t status() override { return bus_.load<std::uint8_t>(common_ + 20); }
  void write_status(std::uint8_t status) override {
    bus_.store<std::uint8_t>(common_ + 20, status);
  }
  std::uint32_t device_features(std::uint32_t select) override {
    bus_.store<std::uint32_t>(common_, select);
    return bus_.load<std::uint32_t>(common_ + 4);
  }
  void write_driver_features(std::uint32_t select, std::uint32_t value) override {
    bus_.store<std::uint32_t>(common_ + 8, select);
    bus_.store<std::uint32_t>(common_ + 12, value);
  }
  void use_features(const FeatureSet& negotiated) override {
    notif_config_data_ = negotiated.has(VIRTIO_F_NOTIF_CONFIG_DATA);
  }
  std::uint16_t max_queue_size(std::uint16_t queue) override {
    bus_.store<std::uint16_t>(common_ + 22, queue);
    return bus_.load<std::uint16_t>(common_ + 24);
  }
  void enable_queue(std::uint16_t queue, std::uint16_t size, const QueueAddresses& at) override {
    bus_.store<std::uint16_t>(common_ + 22, queue);
    bus_.store<std::uint16_t>(common_ + 24, size);
    put64(common_ + 32, at.desc);
    put64(common_ + 40, at.driver);
    put64(common_ + 48, at.device);
    bus_.store<std::uint16_t>(common_ + 28, 1);
    if (doorbells_.size() <= queue) doorbells_.resize(queue + 1u);
    Doorbell& doorbell = doorbells_[queue];
    doorbell.address =
        notify_ + std::uint64_t{notify_multiplier_} * bus_.load<std::uint16_t>(common_ + 30);
    doorbell.value = notif_config_data_ ? bus_.load<std::uint16_t>(common_ + 56) : queue;
  }
  bool reset_queue(std::uint16_t queue) override {
    bus_.store<std::uint16_t>(common_ + 22, queue);
    bus_.store<std::uint16_t>(common_ + 58, 1);
    for (int i = 0; i < 1000; ++i) {
      if (bus_.load<std::uint16_t>(common_ + 58) == 0) return true;
      bus_.pause(sc_core::sc_time(1, sc_core::SC_US));
    }
    return false;
  }
  void notify(std::uint16_t queue, std::optional<std::uint16_t> next) override {
    const Doorbell& doorbell = doorbells_.at(queue);
    if (next)
      bus_.store<std::uint32_t>(doorbell.address,
                                static_cast<std::uint32_t>(*next) << 16 | doorbell.value);
    else
      bus_.store<std::uint16_t>(doorbell.address, doorbell.value);
  }
  std::uint32_t take_interrupt() override { return bus_.load<std::uint8_t>(isr_); }
  std::uint32_t config_generation() override { return bus_.load<std::uint8_t>(common_ + 21); }

  unsigned msix_vectors() const override { return msix_vectors_; }
  void enable_msix(bool on) override {
    if (msix_vectors_ == 0) return;
    const auto set = [&](std::uint64_t at, std::uint16_t bits, bool to) {
      const auto before = bus_.load<std::uint16_t>(at);
      bus_.store<std::uint16_t>(at,
                                static_cast<std::uint16_t>(to ? before | bits : before & ~bits));
    };
    set(config_ + command, command_intx_disable, on);
    set(msix_ + msix_control, msix_function_mask, false);
    set(msix_ + msix_control, msix_enable, on);
  }
  void set_msix_entry(std::uint16_t vector, std::uint64_t address, std::uint32_t data) override {
    mask_msix_entry(vector, true);
    const std::uint64_t entry = entry_of(vector);
    put64(entry, address);
    bus_.store<std::uint32_t>(entry + 8, data);
    mask_msix_entry(vector, false);
  }
  void mask_msix_entry(std::uint16_t vector, bool masked) override {
    bus_.store<std::uint32_t>(entry_of(vector) + 12, masked);
  }
  bool map_queue_vector(std::uint16_t queue, std::uint16_t vector) override {
    bus_.store<std::uint16_t>(common_ + 22, queue);
    bus_.store<std::uint16_t>(common_ + 26, vector);
    return bus_.load<std::uint16_t>(common_ + 26) == vector;
  }
  bool map_config_vector(std::uint16_t vector) override {
    bus_.store<std::uint16_t>(common_ + 16, vector);
    return bus_.load<std::uint16_t>(common_ + 16) == vector;
  }

private:
  /// Where a queue's notifications go, and what names the queue in them (virtio 1.4, 4.1.5.2).
  struct Doorbell {
    std::uint64_t address = 0;
    std::uint16_t value = 0;
  };

  std::uint32_t read_config(std::uint32_t offset, unsigned width) override {
    if (!device_) throw DriverError(place_ + ": there is no device-specific configuration");
    const std::uint64_t at = device_ + offset;
    return width == 1   ? bus_.load<std::uint8_t>(at)
           : width == 2 ? bus_.load<std::uint16_t>(at)
                        : bus_.load<std::uint32_t>(at);
  }
  std::uint64_t entry_of(std::uint16_t vector) const {
    if (vector >= msix_vectors_)
      throw DriverError(fmt::format("{}: MSI-X has no vector {}", place_, vector));
    return table_ + msix_entry_size * vector;
  }
  void put64(std::uint64_t at, std::uint64_t value) {
    bus_.store<std::uint32_t>(at, static_cast<std::uint32_t>(value));
    bus_.store<std::uint32_t>(at + 4, static_cast<std::uint32_t>(value >> 32));
  }
  void walk_capabilities(std::uint64_t config, const std::array<std::uint64_t, 6>& bars) {
    if (!(bus_.load<std::uint16_t>(config + status_reg) & status_capabilities)) return;
    std::uint8_t at = bus_.load<std::uint8_t>(config + cap_pointer) & 0xfc;
    for (int guard = 0; at != 0 && guard < 48; ++guard) {
      const std::uint64_t cap = config + at;
      const auto id = bus_.load<std::uint8_t>(cap);
      if (id == capability_vendor) take_capability(cap, bars);
      if (id == capability_msix) take_msix(cap, bars);
      at = bus_.load<std::uint8_t>(cap + 1) & 0xfc;
    }
  }
  void take_msix(std::uint64_t cap, const std::array<std::uint64_t, 6>& bars) {
    const auto table = bus_.load<std::uint32_t>(cap + msix_table);
    if ((table & 7) > 5 || bars[table & 7] == 0) return;
    msix_ = cap;
    table_ = bars[table & 7] + (table & ~7u);
    msix_vectors_ = (bus_.load<std::uint16_t>(cap + msix_control) & msix_table_size) + 1u;
  }
  void take_capability(std::uint64_t cap, const std::array<std::uint64_t, 6>& bars) {
    const auto bar = bus_.load<std::uint8_t>(cap + 4);
    if (bar > 5 || bars[bar] == 0) return; // 4.1.4.1: reserved values are ignored
    const std::uint64_t address = bars[bar] + bus_.load<std::uint32_t>(cap + 8);
    switch (bus_.load<std::uint8_t>(cap + 3)) { // 4.1.4.1: the first instance of each
    case VIRTIO_PCI_CAP_COMMON_CFG:
      if (!common_) common_ = address;
      break;
    case VIRTIO_PCI_CAP_NOTIFY_CFG:
      if (notify_) break;
      notify_ = address;
      notify_multiplier_ = bus_.load<std::uint32_t>(cap + 16);
      break;
    case VIRTIO_PCI_CAP_ISR_CFG:
      if (!isr_) isr_ = address;
      break;
    case VIRTIO_PCI_CAP_DEVICE_CFG:
      if (!device_) device_ = address;
      break;
    default:
      break;
    }
  }

  Bus& bus_;
  std::uint64_t config_;
  std::string place_;
  DeviceType type_{};
  std::uint64_t msix_ = 0; // the capability
  std::uint64_t table_ = 0;
  unsigned msix_vectors_ = 0;
  std::uint64_t common_ = 0;
  std::uint64_t notify_ = 0;
  std::uint64_t isr_ = 0;
  std::uint64_t device_ = 0;
  std::uint32_t notify_multiplier_ = 0;
  bool notif_config_data_ = false;
  std::vector<Doorbell> doorbells_; // by queue
};

} // namespace

std::vector<std::unique_ptr<DeviceAccess>> probe_pci(Bus& bus, const PciHost& host) {
  std::vector<std::unique_ptr<DeviceAccess>> found;
  WindowAllocator window(host);
  for (unsigned number = 0; number < host.buses * 32; ++number) {
    const std::uint64_t slot = host.ecam + (std::uint64_t{number} << 15);
    if (bus.load<std::uint16_t>(slot + vendor_id) == 0xffff) continue;
    const unsigned functions = bus.load<std::uint8_t>(slot + header_type) & 0x80 ? 8 : 1;
    for (unsigned function = 0; function < functions; ++function) {
      const std::uint64_t config = slot + (std::uint64_t{function} << 12);
      const auto vendor = bus.load<std::uint16_t>(config + vendor_id);
      if (vendor == 0xffff || (bus.load<std::uint8_t>(config + header_type) & 0x7f) != 0) continue;
      bus.store<std::uint16_t>(config + command, 0);
      const auto bars = place_bars(bus, config, window);
      const auto id = bus.load<std::uint16_t>(config + device_id);
      // virtio 1.4, 4.1.2.2
      if (vendor != 0x1af4 || id < 0x1040 || id > 0x107f) continue;
      bus.store<std::uint16_t>(config + command, command_memory | command_master);
      found.push_back(std::make_unique<PciAccess>(
          bus, config, fmt::format("pci {:02x}:{:02x}.{}", number / 32, number % 32, function),
          bars));
    }
  }
  return found;
}

} // namespace virtio::driver
