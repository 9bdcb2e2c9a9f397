#include <virtio/analyser/mmio_registers.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace virtio::analyser {
namespace {

// virtio 1.4, 4.2.2: MMIO device register layout.
enum Register : std::uint32_t {
  magic_value = 0x000,
  version = 0x004,
  device_id = 0x008,
  vendor_id = 0x00c,
  device_features = 0x010,
  device_features_sel = 0x014,
  driver_features = 0x020,
  driver_features_sel = 0x024,
  queue_sel = 0x030,
  queue_size_max = 0x034,
  queue_size = 0x038,
  queue_ready = 0x044,
  queue_notify = 0x050,
  interrupt_status = 0x060,
  interrupt_ack = 0x064,
  status = 0x070,
  queue_desc_low = 0x080,
  queue_desc_high = 0x084,
  queue_driver_low = 0x090,
  queue_driver_high = 0x094,
  queue_device_low = 0x0a0,
  queue_device_high = 0x0a4,
  shm_sel = 0x0ac,
  shm_len_low = 0x0b0,
  shm_len_high = 0x0b4,
  shm_base_low = 0x0b8,
  shm_base_high = 0x0bc,
  queue_reset = 0x0c0,
  config_generation = 0x0fc,
  config = 0x100,
};

constexpr std::uint32_t expected_magic = 0x7472'6976;
constexpr std::uint32_t used_buffer_bit = 1;
constexpr std::uint32_t config_change_bit = 2;
constexpr std::uint32_t defined_interrupts = 3;

constexpr std::uint32_t readable[] = {
    magic_value,    version,      device_id,        vendor_id,   device_features,
    queue_size_max, queue_ready,  interrupt_status, status,      shm_len_low,
    shm_len_high,   shm_base_low, shm_base_high,    queue_reset, config_generation};
constexpr std::uint32_t writable[] = {device_features_sel,
                                      driver_features,
                                      driver_features_sel,
                                      queue_sel,
                                      queue_size,
                                      queue_ready,
                                      queue_notify,
                                      interrupt_ack,
                                      status,
                                      queue_desc_low,
                                      queue_desc_high,
                                      queue_driver_low,
                                      queue_driver_high,
                                      queue_device_low,
                                      queue_device_high,
                                      shm_sel,
                                      queue_reset};

} // namespace

// 4.2.2.2: width, alignment, existence, direction.
bool MmioRegisters::well_formed(const RegisterAccess& a) {
  const bool aligned = a.width != 0 && a.offset % a.width == 0;
  const auto describe = [&] {
    return fmt::format("{} of {} bytes at offset {:#x}", a.write ? "write" : "read", a.width,
                       a.offset);
  };
  if (a.offset >= config) {
    const bool good = aligned && (a.width == 1 || a.width == 2 || a.width == 4);
    if (!good) report_.add(Rule::MMIO_DRV_003, {}, describe);
    return true;
  }
  if (a.width != 4 || !aligned) {
    report_.add(Rule::MMIO_DRV_002, {}, describe);
    return false;
  }
  const auto offset = static_cast<std::uint32_t>(a.offset);
  const bool listed = a.write ? std::ranges::find(writable, offset) != std::end(writable)
                              : std::ranges::find(readable, offset) != std::end(readable);
  if (!listed) report_.add(Rule::MMIO_DRV_001, {}, describe);
  return listed;
}

void MmioRegisters::access(const RegisterAccess& a) {
  if (!well_formed(a)) return;
  if (a.offset >= config) {
    require_identified(config);
    if (a.write)
      state_.config_written();
    else
      state_.config_read(a.offset - config, a.width, a.value);
    return;
  }
  const auto offset = static_cast<std::uint32_t>(a.offset);
  const auto value = static_cast<std::uint32_t>(a.value);
  require_identified(offset);
  if (a.write)
    write(offset, value);
  else
    read(offset, value);
}

// --- identification (4.2.3.1.1)
// -------------------------------------------------------------------

void MmioRegisters::identify(std::uint32_t offset, std::uint32_t value) {
  if (offset == magic_value) {
    magic_read_ = true;
    if (value == expected_magic) return;
    to_be_left_alone_ = Rule::MMIO_DRV_004;
    report_.add(Rule::MMIO_DEV_001, {},
                [&] { return fmt::format("MagicValue reads as {:#010x}", value); });
  } else if (offset == version) {
    version_read_ = true;
    if (value == 2) return;
    if (!to_be_left_alone_) to_be_left_alone_ = Rule::MMIO_DRV_005;
    report_.add(Rule::MMIO_DEV_002, {}, [&] { return fmt::format("Version reads as {}", value); });
  } else {
    device_id_read_ = true;
    state_.device_type_read(value);
    if (value == 0 && !to_be_left_alone_) to_be_left_alone_ = Rule::MMIO_DRV_006;
  }
}

void MmioRegisters::require_identified(std::uint32_t offset) {
  if (offset <= version) return;
  if (to_be_left_alone_ && offset != vendor_id && offset != device_id) {
    if (!left_alone_reported_)
      report_.add(*to_be_left_alone_, {},
                  [&] { return fmt::format("the driver goes on with offset {:#x}", offset); });
    left_alone_reported_ = true;
    return;
  }
  const bool known = magic_read_ && version_read_;
  if ((known && (device_id_read_ || offset == device_id)) || identification_reported_) return;
  identification_reported_ = true;
  if (!known)
    report_.add(Rule::MMIO_DRV_017, {}, [&] {
      return fmt::format("offset {:#x} was accessed before {} was read", offset,
                         magic_read_ ? "Version" : "MagicValue");
    });
  else
    report_.add(Rule::MMIO_DRV_018, {}, [&] {
      return fmt::format("offset {:#x} was accessed before DeviceID was read", offset);
    });
}

// --- registers (4.2.2)
// ----------------------------------------------------------------------------

void MmioRegisters::interrupt_status_read(std::uint32_t value) {
  interrupt_status_read_ = true;
  if (value & ~defined_interrupts)
    report_.add(Rule::MMIO_DEV_004, {},
                [&] { return fmt::format("InterruptStatus reads as {:#x}", value); });
  if ((value & config_change_bit) && !std::exchange(config_bit_shown_, true))
    state_.config_change_told();
  if (!(value & used_buffer_bit) || used_bit_shown_) return;
  used_bit_shown_ = true;
  if (unseen_updates_ == 0)
    report_.add(Rule::MMIO_DEV_004, {}, [] {
      return "bit 0 of InterruptStatus rose, and no used ring was updated that had not been shown "
             "before";
    });
  else
    --unseen_updates_;
}

void MmioRegisters::read(std::uint32_t offset, std::uint32_t value) {
  switch (offset) {
  case magic_value:
  case version:
  case device_id:
    identify(offset, value);
    break;
  case device_features:
    if (!device_features_sel_)
      report_.add(Rule::MMIO_DRV_007, {},
                  [] { return "DeviceFeatures was read, DeviceFeaturesSel never written"; });
    state_.device_features_read(device_features_sel_.value_or(0), value);
    break;
  case queue_size_max:
    state_.queue_size_read(queue_sel_, value);
    break;
  case queue_ready:
    state_.queue_stop_read(queue_sel_, ObservedQueue::Stop::disable, value);
    break;
  case queue_reset:
    state_.queue_stop_read(queue_sel_, ObservedQueue::Stop::reset, value);
    break;
  case interrupt_status:
    interrupt_status_read(value);
    break;
  case status:
    state_.status_read(static_cast<std::uint8_t>(value));
    break;
  default:
    break;
  }
}

void MmioRegisters::write(std::uint32_t offset, std::uint32_t value) {
  using Area = DeviceState::Area;
  switch (offset) {
  case device_features_sel:
    device_features_sel_ = value;
    break;
  case driver_features_sel:
    driver_features_sel_ = value;
    break;
  case driver_features:
    if (!driver_features_sel_)
      report_.add(Rule::MMIO_DRV_008, {},
                  [] { return "DriverFeatures was written, DriverFeaturesSel never"; });
    state_.driver_features_written(driver_features_sel_.value_or(0), value);
    break;
  case queue_sel:
    queue_sel_ = value;
    break;
  case queue_size:
    state_.queue_size_written(queue_sel_, value);
    break;
  case queue_ready:
    if (value & 1)
      state_.queue_enabled(queue_sel_);
    else
      state_.queue_stop_written(queue_sel_, ObservedQueue::Stop::disable);
    break;
  case queue_reset:
    if (value & 1) state_.queue_stop_written(queue_sel_, ObservedQueue::Stop::reset);
    break;
  case queue_notify:
    if (state_.negotiated().has(VIRTIO_F_NOTIFICATION_DATA))
      state_.notified(
          value & 0xffff,
          NotificationData{static_cast<std::uint16_t>(value >> 16 & 0x7fff), (value >> 31) != 0});
    else
      state_.notified(value, std::nullopt);
    break;
  case interrupt_ack:
    if (value & ~defined_interrupts)
      report_.add(Rule::MMIO_DRV_013, {},
                  [&] { return fmt::format("InterruptACK was written with {:#x}", value); });
    if (!interrupt_status_read_)
      report_.add(Rule::MMIO_DRV_021, {}, [&] {
        return fmt::format(
            "InterruptACK was written with {:#x}; InterruptStatus was not read since "
            "the last time",
            value);
      });
    interrupt_status_read_ = false;
    if (value & used_buffer_bit) used_bit_shown_ = false;
    if (value & config_change_bit) config_bit_shown_ = false;
    break;
  case status:
    if ((value & 0xff) == 0) {
      device_features_sel_.reset();
      driver_features_sel_.reset();
      used_bit_shown_ = false;
      config_bit_shown_ = false;
      interrupt_status_read_ = false;
    }
    state_.status_written(static_cast<std::uint8_t>(value));
    break;
  case queue_desc_low:
  case queue_desc_high:
    state_.queue_address_written(queue_sel_, Area::desc, offset == queue_desc_high, value);
    break;
  case queue_driver_low:
  case queue_driver_high:
    state_.queue_address_written(queue_sel_, Area::driver, offset == queue_driver_high, value);
    break;
  case queue_device_low:
  case queue_device_high:
    state_.queue_address_written(queue_sel_, Area::device, offset == queue_device_high, value);
    break;
  default:
    break;
  }
}

} // namespace virtio::analyser
