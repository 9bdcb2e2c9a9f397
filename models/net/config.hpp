// The network device's layouts and numbers, with the specification's names (virtio 1.4, 5.1).
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::net {

inline constexpr unsigned VIRTIO_NET_F_CSUM = 0;
inline constexpr unsigned VIRTIO_NET_F_GUEST_CSUM = 1;
inline constexpr unsigned VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2;
inline constexpr unsigned VIRTIO_NET_F_MTU = 3;
inline constexpr unsigned VIRTIO_NET_F_MAC = 5;
inline constexpr unsigned VIRTIO_NET_F_GUEST_TSO4 = 7;
inline constexpr unsigned VIRTIO_NET_F_GUEST_TSO6 = 8;
inline constexpr unsigned VIRTIO_NET_F_GUEST_ECN = 9;
inline constexpr unsigned VIRTIO_NET_F_GUEST_UFO = 10;
inline constexpr unsigned VIRTIO_NET_F_HOST_TSO4 = 11;
inline constexpr unsigned VIRTIO_NET_F_HOST_TSO6 = 12;
inline constexpr unsigned VIRTIO_NET_F_HOST_ECN = 13;
inline constexpr unsigned VIRTIO_NET_F_HOST_UFO = 14;
inline constexpr unsigned VIRTIO_NET_F_MRG_RXBUF = 15;
inline constexpr unsigned VIRTIO_NET_F_STATUS = 16;
inline constexpr unsigned VIRTIO_NET_F_CTRL_VQ = 17;
inline constexpr unsigned VIRTIO_NET_F_CTRL_RX = 18;
inline constexpr unsigned VIRTIO_NET_F_CTRL_VLAN = 19;
inline constexpr unsigned VIRTIO_NET_F_CTRL_RX_EXTRA = 20;
inline constexpr unsigned VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
inline constexpr unsigned VIRTIO_NET_F_MQ = 22;
inline constexpr unsigned VIRTIO_NET_F_CTRL_MAC_ADDR = 23;
inline constexpr unsigned VIRTIO_NET_F_HASH_TUNNEL = 51;
/// The name that the proposal for inner-header hash, version 7, gives bit 52.
inline constexpr unsigned proposed_VIRTIO_NET_F_HASH_TUNNEL = 52;
inline constexpr unsigned VIRTIO_NET_F_NOTF_COAL = 53;
inline constexpr unsigned VIRTIO_NET_F_GUEST_USO4 = 54;
inline constexpr unsigned VIRTIO_NET_F_GUEST_USO6 = 55;
inline constexpr unsigned VIRTIO_NET_F_HOST_USO = 56;
inline constexpr unsigned VIRTIO_NET_F_HASH_REPORT = 57;
inline constexpr unsigned VIRTIO_NET_F_GUEST_HDRLEN = 59;
inline constexpr unsigned VIRTIO_NET_F_RSS = 60;
inline constexpr unsigned VIRTIO_NET_F_RSC_EXT = 61;
inline constexpr unsigned VIRTIO_NET_F_STANDBY = 62;
inline constexpr unsigned VIRTIO_NET_F_SPEED_DUPLEX = 63;

inline constexpr std::uint16_t VIRTIO_NET_S_LINK_UP = 1;
inline constexpr std::uint16_t VIRTIO_NET_S_ANNOUNCE = 2;

inline constexpr std::uint8_t VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_DATA_VALID = 2;
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_RSC_INFO = 4;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_NONE = 0;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_TCPV4 = 1;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_UDP = 3;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_TCPV6 = 4;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
inline constexpr std::uint8_t VIRTIO_NET_HDR_GSO_ECN = 0x80;

/// Of `speed`, in Mbit/s, and of `duplex`. (5.1.4.1 has the last two the wrong way round.)
inline constexpr std::uint32_t max_speed = 0x7fff'ffff;
inline constexpr std::uint32_t unknown_speed = 0xffff'ffff;
inline constexpr std::uint8_t unknown_duplex = 0xff;
inline constexpr std::uint8_t half_duplex = 0;
inline constexpr std::uint8_t full_duplex = 1;

inline constexpr std::uint8_t VIRTIO_NET_OK = 0;
inline constexpr std::uint8_t VIRTIO_NET_ERR = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_PROMISC = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_ALLMULTI = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_ALLUNI = 2;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOMULTI = 3;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOUNI = 4;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_RX_NOBCAST = 5;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC_TABLE_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MAC_ADDR_SET = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN = 2;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN_ADD = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_VLAN_DEL = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_ANNOUNCE = 3;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ = 4;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ_RSS_CONFIG = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_MQ_HASH_CONFIG = 2;
inline constexpr std::uint16_t VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN = 1;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_GUEST_OFFLOADS = 5;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_NOTF_COAL = 6;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_NOTF_COAL_TX_SET = 0;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_NOTF_COAL_RX_SET = 1;

inline constexpr std::uint8_t VIRTIO_NET_CTRL_HASH_TUNNEL = 7;
inline constexpr std::uint8_t VIRTIO_NET_CTRL_HASH_TUNNEL_SET = 0;

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

/// Up to the table, behind which there are max_tx_vq, hash_key_length and the key.
struct virtio_net_rss_config {
  le32 hash_types;
  le16 indirection_table_mask;
  le16 unclassified_queue;
};
static_assert(sizeof(virtio_net_rss_config) == 8);

/// Up to hash_key_length.
struct virtio_net_hash_config {
  le32 hash_types;
  le16 reserved[4];
};
static_assert(sizeof(virtio_net_hash_config) == 12);

/// In front of each of the two tables of VIRTIO_NET_CTRL_MAC_TABLE_SET.
struct virtio_net_ctrl_mac {
  le32 entries;
};
static_assert(sizeof(virtio_net_ctrl_mac) == 4);

/// virtio_net_ctrl_coal_rx and virtio_net_ctrl_coal_tx.
struct virtio_net_ctrl_coal {
  le32 max_packets;
  le32 usecs;
};
static_assert(sizeof(virtio_net_ctrl_coal) == 8);

/// Precedes every frame in both directions; without VIRTIO_NET_F_HASH_REPORT that is all.
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

/// With VIRTIO_NET_F_HASH_REPORT. hash_report_tunnel is the proposal's; it is padding without.
struct virtio_net_hdr_hash {
  virtio_net_hdr hdr;
  le32 hash_value;
  le16 hash_report;
  std::uint8_t hash_report_tunnel = 0;
  std::uint8_t padding_reserved = 0;
};
static_assert(sizeof(virtio_net_hdr_hash) == 20);

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
  le32 supported_tunnel_types;
};
static_assert(sizeof(virtio_net_config) == 28);
static_assert(offsetof(virtio_net_config, status) == 6);
static_assert(offsetof(virtio_net_config, mtu) == 10);
static_assert(offsetof(virtio_net_config, speed) == 12);
static_assert(offsetof(virtio_net_config, rss_max_key_size) == 17);
static_assert(offsetof(virtio_net_config, supported_hash_types) == 20);
static_assert(offsetof(virtio_net_config, supported_tunnel_types) == 24);

} // namespace virtio::net
