#include <virtio/blk/config.hpp>
#include <virtio/platforms/migration/driver_view.hpp>
#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/parts/workspace.hpp>

#include <system_error>

namespace virtio::platform {

namespace {

/// The same device without the files that stand behind it.
DeviceConfig without_files(DeviceConfig device, const Config& config) {
  if (auto* block = std::get_if<BlockConfig>(&device.function); block && block->media) {
    const auto& file = config.find_media(*block->media).file;
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (error) throw SetupError(file.string() + ": " + error.message());
    block->capacity = ByteSize{bytes / blk::sector_size * blk::sector_size};
    block->media.reset();
  }
  if (auto* console = std::get_if<ConsoleConfig>(&device.function))
    console->output = ConsoleOutput::terminal;
  if (auto* net = std::get_if<NetConfig>(&device.function)) {
    net->wire = Wire::loopback;
    net->capture.reset();
  }
  return device;
}

std::string id_of_block(const DeviceConfig& device) {
  const auto* block = std::get_if<BlockConfig>(&device.function);
  if (!block) return {};
  return block->serial.empty() ? device.name.substr(0, blk::id_bytes) : block->serial;
}

} // namespace

DriverView::DriverView(const DeviceConfig& device, const Config& config)
    : transport_(device.transport), slot_(device.slot), block_id_(id_of_block(device)),
      device_({.name = device.name, .transport_features = transport_features(device.features)},
              executor_, no_memory_,
              make_function(without_files(device, config), config, Workspace{})) {
  config_.resize(device_.config_size());
  device_.read_config(0, config_);
}

bool DriverView::accepts(const FeatureSet& features) {
  constexpr std::uint8_t known = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
  device_.reset();
  device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE);
  device_.write_status(known);
  for (std::uint32_t word = 0; word < FeatureSet::bits / 32; ++word)
    device_.write_driver_features(word, features.word32(word));
  device_.write_status(known | VIRTIO_STATUS_FEATURES_OK);
  return (device_.status() & VIRTIO_STATUS_FEATURES_OK) != 0;
}

std::uint16_t DriverView::queue_size(std::uint16_t queue) const {
  return device_.queue(QueueIndex{queue})->max_size;
}

} // namespace virtio::platform
