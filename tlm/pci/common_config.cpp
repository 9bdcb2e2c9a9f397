#include <virtio/tlm/pci/common_config.hpp>

#include <algorithm>
#include <array>

namespace virtio::tlm2 {

namespace {

using cfg = virtio_pci_common_cfg;

struct Field {
  std::uint32_t offset;
  unsigned width;
};
// 64-bit fields are two of 32 bits (4.1.3).
constexpr std::array fields{
    Field{offsetof(cfg, device_feature_select), 4},
    Field{offsetof(cfg, device_feature), 4},
    Field{offsetof(cfg, driver_feature_select), 4},
    Field{offsetof(cfg, driver_feature), 4},
    Field{offsetof(cfg, config_msix_vector), 2},
    Field{offsetof(cfg, num_queues), 2},
    Field{offsetof(cfg, device_status), 1},
    Field{offsetof(cfg, config_generation), 1},
    Field{offsetof(cfg, queue_select), 2},
    Field{offsetof(cfg, queue_size), 2},
    Field{offsetof(cfg, queue_msix_vector), 2},
    Field{offsetof(cfg, queue_enable), 2},
    Field{offsetof(cfg, queue_notify_off), 2},
    Field{offsetof(cfg, queue_desc), 4},
    Field{offsetof(cfg, queue_desc) + 4, 4},
    Field{offsetof(cfg, queue_driver), 4},
    Field{offsetof(cfg, queue_driver) + 4, 4},
    Field{offsetof(cfg, queue_device), 4},
    Field{offsetof(cfg, queue_device) + 4, 4},
    Field{offsetof(cfg, queue_notif_config_data), 2},
    Field{offsetof(cfg, queue_reset), 2},
    Field{offsetof(cfg, admin_queue_index), 2},
    Field{offsetof(cfg, admin_queue_num), 2},
};

constexpr std::uint32_t mask_of(unsigned width) {
  return width >= 4 ? 0xffff'ffffu : (1u << (8 * width)) - 1;
}

/// The bits of `value`, which stands at byte `from`, as they lie in a word that begins at byte
/// `to`.
constexpr std::uint32_t moved(std::uint32_t value, std::uint32_t from, std::uint32_t to) {
  return from >= to ? value << (8 * (from - to)) : value >> (8 * (to - from));
}

bool overlap(const Field& field, std::uint32_t offset, unsigned width) {
  return field.offset < offset + width && offset < field.offset + field.width;
}

} // namespace

CommonConfig::CommonConfig(Device& device, Msix& msix, std::uint16_t notif_config_data_base)
    : device_(device), msix_(msix), notif_config_data_base_(notif_config_data_base),
      queue_sources_(device.num_queues()) {}

void CommonConfig::reset() {
  device_feature_select_ = driver_feature_select_ = 0;
  queue_select_ = 0;
  config_source_.vector = VIRTIO_MSI_NO_VECTOR;
  for (InterruptSource& source : queue_sources_)
    source.vector = VIRTIO_MSI_NO_VECTOR;
}

std::uint32_t CommonConfig::read(std::uint32_t offset, unsigned width) const {
  std::uint32_t value = 0;
  for (const Field& field : fields)
    if (overlap(field, offset, width))
      value |= moved(read_field(field.offset), field.offset, offset);
  return value & mask_of(width);
}

void CommonConfig::write(std::uint32_t offset, unsigned width, std::uint32_t value) {
  for (const Field& field : fields) {
    if (!overlap(field, offset, width)) continue;
    const std::uint32_t written =
        moved(mask_of(width), offset, field.offset) & mask_of(field.width);
    const std::uint32_t bits = moved(value, offset, field.offset) & written;
    const bool whole = written == mask_of(field.width);
    write_field(field.offset, whole ? bits : (read_field(field.offset) & ~written) | bits);
  }
}

std::uint32_t CommonConfig::read_field(std::uint32_t offset) const {
  switch (offset) {
  case offsetof(cfg, device_feature_select):
    return device_feature_select_;
  case offsetof(cfg, device_feature):
    return device_.device_features(device_feature_select_);
  case offsetof(cfg, driver_feature_select):
    return driver_feature_select_;
  case offsetof(cfg, driver_feature):
    return device_.driver_features(driver_feature_select_);
  case offsetof(cfg, config_msix_vector):
    return config_source_.vector;
  case offsetof(cfg, num_queues):
    return device_.num_queues();
  case offsetof(cfg, device_status):
    return draining_ ? status_before_reset_ : device_.status();
  case offsetof(cfg, config_generation):
    return device_.config_generation() & 0xff;
  case offsetof(cfg, queue_select):
    return queue_select_;
  default:
    return read_queue_field(offset);
  }
}

std::uint32_t CommonConfig::read_queue_field(std::uint32_t offset) const {
  // 4.1.4.3.1: queue_size reads 0 for a queue that is not available; so does everything else.
  const QueueConfig* queue = device_.queue(QueueIndex{queue_select_});
  if (!queue) return 0;
  const auto low = [](std::uint64_t address) { return static_cast<std::uint32_t>(address); };
  const auto high = [](std::uint64_t address) { return static_cast<std::uint32_t>(address >> 32); };
  switch (offset) {
  case offsetof(cfg, queue_size):
    return queue->size;
  case offsetof(cfg, queue_msix_vector):
    return queue_sources_[queue_select_].vector;
  case offsetof(cfg, queue_enable):
    return queue->enabled;
  case offsetof(cfg, queue_notify_off):
    return queue_select_;
  case offsetof(cfg, queue_desc):
    return low(queue->desc);
  case offsetof(cfg, queue_desc) + 4:
    return high(queue->desc);
  case offsetof(cfg, queue_driver):
    return low(queue->driver);
  case offsetof(cfg, queue_driver) + 4:
    return high(queue->driver);
  case offsetof(cfg, queue_device):
    return low(queue->device);
  case offsetof(cfg, queue_device) + 4:
    return high(queue->device);
  case offsetof(cfg, queue_notif_config_data):
    if (!device_.negotiated().has(VIRTIO_F_NOTIF_CONFIG_DATA)) return 0;
    return static_cast<std::uint16_t>(notif_config_data_base_ + queue_select_);
  case offsetof(cfg, queue_reset):
    return resetting(*queue);
  default: // no administration virtqueues
    return 0;
  }
}

bool CommonConfig::resetting(const QueueConfig& queue) const {
  if (!device_.negotiated().has(VIRTIO_F_RING_RESET)) return false;
  return queue.resetting || queue_sources_[queue_select_].draining;
}

void CommonConfig::write_field(std::uint32_t offset, std::uint32_t value) {
  const QueueIndex queue{queue_select_};
  using Area = Device::Area;
  switch (offset) {
  case offsetof(cfg, device_feature_select):
    device_feature_select_ = value;
    break;
  case offsetof(cfg, driver_feature_select):
    driver_feature_select_ = value;
    break;
  case offsetof(cfg, driver_feature):
    device_.write_driver_features(driver_feature_select_, value);
    break;
  case offsetof(cfg, config_msix_vector):
    config_source_.vector = valid_vector(value);
    break;
  case offsetof(cfg, device_status):
    write_device_status(static_cast<std::uint8_t>(value));
    break;
  case offsetof(cfg, queue_select):
    queue_select_ = static_cast<std::uint16_t>(value);
    break;
  case offsetof(cfg, queue_size):
    device_.write_queue_size(queue, static_cast<std::uint16_t>(value));
    break;
  case offsetof(cfg, queue_msix_vector):
    if (device_.queue(queue)) queue_sources_[queue_select_].vector = valid_vector(value);
    break;
  case offsetof(cfg, queue_enable):
    if (value == 1) device_.enable_queue(queue);
    break;
  case offsetof(cfg, queue_desc):
    device_.write_queue_address(queue, Area::desc, false, value);
    break;
  case offsetof(cfg, queue_desc) + 4:
    device_.write_queue_address(queue, Area::desc, true, value);
    break;
  case offsetof(cfg, queue_driver):
    device_.write_queue_address(queue, Area::driver, false, value);
    break;
  case offsetof(cfg, queue_driver) + 4:
    device_.write_queue_address(queue, Area::driver, true, value);
    break;
  case offsetof(cfg, queue_device):
    device_.write_queue_address(queue, Area::device, false, value);
    break;
  case offsetof(cfg, queue_device) + 4:
    device_.write_queue_address(queue, Area::device, true, value);
    break;
  case offsetof(cfg, queue_reset):
    if (value == 1) reset_queue();
    break;
  default: // read-only for the driver
    break;
  }
}

void CommonConfig::write_device_status(std::uint8_t value) {
  device_.write_status(value);
  if (device_.status() != 0) status_before_reset_ = device_.status();
}

void CommonConfig::reset_queue() {
  if (!device_.negotiated().has(VIRTIO_F_RING_RESET) || !device_.queue(QueueIndex{queue_select_}))
    return;
  // Nothing notifies the driver after the reset (2.6.1.1): no message that was held back either,
  // unless it is somebody else's too.
  InterruptSource& source = queue_sources_[queue_select_];
  if (!shares_vector(source)) msix_.clear_pending(source.vector);
  source.vector = VIRTIO_MSI_NO_VECTOR;
  source.draining = source.messages != 0;
  device_.reset_queue(QueueIndex{queue_select_});
}

bool CommonConfig::shares_vector(const InterruptSource& source) const {
  return config_source_.vector == source.vector ||
         std::ranges::count(queue_sources_, source.vector, &InterruptSource::vector) > 1;
}

std::uint16_t CommonConfig::valid_vector(std::uint32_t vector) const {
  // 4.1.5.1.2.1: a mapping that fails reads back as NO_VECTOR.
  return vector < msix_.vectors() ? static_cast<std::uint16_t>(vector) : VIRTIO_MSI_NO_VECTOR;
}

} // namespace virtio::tlm2
