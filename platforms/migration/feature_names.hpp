// The specification's names of feature bits, for messages.
#pragma once

#include <virtio/core/device_function.hpp>

#include <string>

namespace virtio::platform {

/// "VIRTIO_NET_F_MQ"; "feature bit 77" for one that virtio 1.4 does not name.
std::string feature_name(virtio::DeviceType type, unsigned bit);

} // namespace virtio::platform
