// What a network device counts: every frame that it was given and did not pass on is in exactly one
// of these.
#pragma once

#include <cstdint>

namespace virtio::net {

struct NetStats {
  std::uint64_t tx_frames = 0;
  std::uint64_t tx_bytes = 0;     ///< without virtio_net_hdr
  std::uint64_t tx_segmented = 0; ///< packets of which several of tx_frames were made
  std::uint64_t tx_malformed = 0; ///< too short, above the MTU, or with an offload that cannot be
  std::uint64_t tx_no_link = 0;
  std::uint64_t rx_frames = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_buffers = 0;      ///< that rx_frames took; more than one each with MRG_RXBUF
  std::uint64_t rx_joined = 0;       ///< joined to an earlier segment or acknowledgement
  std::uint64_t rx_malformed = 0;    ///< came with a length that the driver must not be given
  std::uint64_t rx_no_driver = 0;    ///< came without DRIVER_OK or with the link down
  std::uint64_t rx_filtered = 0;     ///< for an address or a VLAN that the driver does not want
  std::uint64_t rx_no_buffer = 0;    ///< came while receive_frames were waiting
  std::uint64_t rx_small_buffer = 0; ///< did not fit into the driver's buffer
  std::uint64_t rx_overrun = 0;      ///< came while receive_frames were on the wire
  std::uint64_t rx_in_reset = 0;     ///< came while every receive queue in use was being reset
  std::uint64_t commands = 0;        ///< of the control queue
  std::uint64_t command_errors = 0;  ///< answered with VIRTIO_NET_ERR
};

} // namespace virtio::net
