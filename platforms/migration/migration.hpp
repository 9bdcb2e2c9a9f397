// Whether a device can move from one configuration to another under a driver that runs and must not
// notice: whatever the driver may have accepted or read at A has to hold at B.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <string>
#include <vector>

namespace virtio::platform {

/// One reason why not. `from` and `to` are what A and B show, as people write it.
struct Obstacle {
  std::string what; // a feature's name, a field of the configuration space, or "queue_size", ...
  std::string from;
  std::string to;
  std::string reason;
};

struct MigrationCheck {
  std::string from;                // the device's name in A
  std::string to;                  // and in B
  std::vector<Obstacle> obstacles; // none: it can move
  std::vector<std::string> notes;  // what differs and does no harm
};

/// Every device of A and the one of B with its name, in the order of A. Throws SetupError when a
/// device cannot be built.
std::vector<MigrationCheck> check_migration(const Config& a, const Config& b);

/// One pair. Both exist.
MigrationCheck check_migration(const Config& a, const DeviceConfig& from, const Config& b,
                               const DeviceConfig& to);

} // namespace virtio::platform
