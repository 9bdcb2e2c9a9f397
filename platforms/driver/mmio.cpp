#include <virtio/platforms/driver/transport.hpp>

#include <fmt/format.h>

namespace virtio::driver {
namespace {

class MmioAccess final : public DeviceAccess {
public:
  MmioAccess(Bus& bus, std::uint64_t base)
      : bus_(bus), base_(base), place_(fmt::format("mmio@{:#x}", base)) {
    type_ = static_cast<DeviceType>(get(0x008));
  }

  DeviceType type() const override { return type_; }
  const std::string& place() const override { return place_; }
  std::uint8_t status() override { return static_cast<std::uint8_t>(get(0x070)); }
  void write_status(std::uint8_t status) override { put(0x070, status); }
  std::uint32_t device_features(std::uint32_t select) override {
    put(0x014, select);
    return get(0x010);
  }
  void write_driver_features(std::uint32_t select, std::uint32_t value) override {
    put(0x024, select);
    put(0x020, value);
  }
  std::uint16_t max_queue_size(std::uint16_t queue) override {
    put(0x030, queue);
    return static_cast<std::uint16_t>(get(0x034));
  }
  // virtio 1.4, 4.2.3.2
  void enable_queue(std::uint16_t queue, std::uint16_t size, const QueueAddresses& at) override {
    put(0x030, queue);
    if (get(0x044) != 0)
      throw DriverError(fmt::format("{}: queue {} is in use already", place_, queue));
    put(0x038, size);
    put64(0x080, at.desc);
    put64(0x090, at.driver);
    put64(0x0a0, at.device);
    put(0x044, 1);
  }
  bool reset_queue(std::uint16_t queue) override {
    put(0x030, queue);
    put(0x0c0, 1);
    for (int i = 0; i < 1000; ++i) {
      if (get(0x0c0) == 0) return true;
      bus_.pause(sc_core::sc_time(1, sc_core::SC_US));
    }
    return false;
  }
  void notify(std::uint16_t queue, std::optional<std::uint16_t> next) override {
    put(0x050, static_cast<std::uint32_t>(next.value_or(0)) << 16 | queue);
  }
  std::uint32_t take_interrupt() override {
    const std::uint32_t status = get(0x060);
    if (status) put(0x064, status);
    return status;
  }
  std::uint32_t config_generation() override { return get(0x0fc); }

private:
  std::uint32_t read_config(std::uint32_t offset, unsigned width) override {
    const std::uint64_t at = base_ + 0x100 + offset;
    return width == 1   ? bus_.load<std::uint8_t>(at)
           : width == 2 ? bus_.load<std::uint16_t>(at)
                        : bus_.load<std::uint32_t>(at);
  }
  std::uint32_t get(std::uint32_t offset) { return bus_.load<std::uint32_t>(base_ + offset); }
  void put(std::uint32_t offset, std::uint32_t value) {
    bus_.store<std::uint32_t>(base_ + offset, value);
  }
  void put64(std::uint32_t offset, std::uint64_t value) {
    put(offset, static_cast<std::uint32_t>(value));
    put(offset + 4, static_cast<std::uint32_t>(value >> 32));
  }

  Bus& bus_;
  std::uint64_t base_;
  std::string place_;
  DeviceType type_{};
};

} // namespace

std::unique_ptr<DeviceAccess> probe_mmio(Bus& bus, std::uint64_t base) {
  if (bus.load<std::uint32_t>(base) != 0x7472'6976 || bus.load<std::uint32_t>(base + 4) != 2 ||
      bus.load<std::uint32_t>(base + 8) == 0)
    return nullptr;
  return std::make_unique<MmioAccess>(bus, base);
}

} // namespace virtio::driver
