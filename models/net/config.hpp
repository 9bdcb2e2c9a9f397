// The network device's layouts and numbers, with the specification's names (virtio 1.4, 5.1).
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::net {

inline constexpr unsigned VIRTIO_NET_F_CSUM = 0;
inline constexpr unsigned VIRTIO_NET_F_GUEST_CSUM = 1;
inline constexpr unsigned VIRTIO_NET_F_MTU = 3;
inline constexpr unsigned VIRTIO_NET_F_MAC = 5;
inline constexpr unsigned VIRTIO_NET_F_MRG_RXBUF = 15;
inline constexpr unsigned VIRTIO_NET_F_STATUS = 16;
inline constexpr unsigned VIRTIO_NET_F_CTRL_VQ = 17;
inline constexpr unsigned VIRTIO_NET_F_MQ = 22;
inline constexpr unsigned VIRTIO_NET_F_HASH_TUNNEL = 51;
inline constexpr unsigned VIRTIO_NET_F_HASH_REPORT = 57;
inline constexpr unsigned VIRTIO_NET_F_RSS = 60;
inline constexpr unsigned VIRTIO_NET_F_STANDBY = 62;
inline constexpr unsigned VIRTIO_NET_F_SPEED_DUPLEX = 63;

inline constexpr std::uint16_t VIRTIO_NET_S_LINK_UP = 1;
inline constexpr std::uint16_t VIRTIO_NET_S_ANNOUNCE = 2;

inline constexpr std::uint8_t VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_DATA_VALID = 2;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_RSC_INFO = 4;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_NONE = 0;

inline constexpr std::uint8_t VIRTIO_NET_OK = 0;
inline constexpr std::uint8_t VIRTIO_NET_ERR = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ = 4;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0;
inline constexpr std::uint16_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN = 1;

/// The front of every control command (5.1.6.5); its own data follow, then the driver's room for
/// `ack`.
struct virtio_net_ctrl {
  std::uint8_t class_ = 0;
  std::uint8_t command = 0;
};
static_assert(sizeof(virtio_net_ctrl) == 2);

struct virtio_net_ctrl_mq_pairs_set {
  le16 virtqueue_pairs;
};
static_assert(sizeof(virtio_net_ctrl_mq_pairs_set) == 2);

/// Precedes every frame in both directions. VIRTIO_NET_F_HASH_REPORT would add fields; it is not
/// offered.
struct virtio_net_hdr {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = VIRTIO_NET_HDR_GSO_NONE;
  le16 hdr_len;
  le16 gso_size;
  le16 csum_start;
  le16 csum_offset;
  le16 num_buffers;
};
static_assert(sizeof(virtio_net_hdr) == 12);
static_assert(offsetof(virtio_net_hdr, csum_start) == 6);
static_assert(offsetof(virtio_net_hdr, num_buffers) == 10);

/// Fields of features that are not offered stay zero.
struct virtio_net_config {
  std::uint8_t mac[6] = {};
  le16 status;
  le16 max_virtqueue_pairs;
  le16 mtu;
  le32 speed;
  std::uint8_t duplex = 0;
  std::uint8_t rss_max_key_size = 0;
  le16 rss_max_indirection_table_length;
  le32 supported_hash_types;
};
static_assert(sizeof(virtio_net_config) == 24);
static_assert(offsetof(virtio_net_config, status) == 6);
static_assert(offsetof(virtio_net_config, mtu) == 10);
static_assert(offsetof(virtio_net_config, speed) == 12);
static_assert(offsetof(virtio_net_config, rss_max_key_size) == 17);
static_assert(offsetof(virtio_net_config, supported_hash_types) == 20);

} // namespace virtio::net
