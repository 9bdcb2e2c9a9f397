// The console device's layouts and numbers, with the specification's names (virtio 1.4, 5.3).
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::console {

inline constexpr unsigned VIRTIO_CONSOLE_F_SIZE = 0;
inline constexpr unsigned VIRTIO_CONSOLE_F_MULTIPORT = 1;
inline constexpr unsigned VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

struct virtio_console_config {
  le16 cols;
  le16 rows;
  le32 max_nr_ports;
  le32 emerg_wr;
};
static_assert(sizeof(virtio_console_config) == 12);
static_assert(offsetof(virtio_console_config, max_nr_ports) == 4);
static_assert(offsetof(virtio_console_config, emerg_wr) == 8);

} // namespace virtio::console
