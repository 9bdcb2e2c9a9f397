#include <virtio/platforms/config/values.hpp>

namespace virtio::platform {

std::string_view text(DeviceType value) {
  switch (value) {
  case DeviceType::entropy:
    return "entropy";
  case DeviceType::block:
    return "block";
  case DeviceType::net:
    return "net";
  case DeviceType::console:
    return "console";
  }
  return "?";
}

} // namespace virtio::platform
