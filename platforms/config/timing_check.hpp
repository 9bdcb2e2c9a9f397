// What only several parameters of the timed fidelity together show to be impossible: of a device's
// way to memory, of its ring engine, of the link.
#pragma once

#include <virtio/platforms/config/reader.hpp>

namespace virtio::platform {

// `path` is the device's.
// Sets what the file leaves open.
void choose_protocol(Reader& reader, const std::string& path, DeviceConfig& device);
void check_ring(Reader& reader, const std::string& path, const DeviceConfig& device);
// `rtl` parameters are for RTL, and most of `ring` is not.
void check_rtl(Reader& reader, const std::string& path, const DeviceConfig& device);
void check_link(Reader& reader, const LinkConfig& link);

} // namespace virtio::platform
