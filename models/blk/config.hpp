// The block device's layouts and numbers, with the specification's names (virtio 1.4, 5.2).
#pragma once

#include <virtio/core/types.hpp>

#include <cstddef>

namespace virtio::blk {

/// The unit of the protocol, whatever blk_size says.
inline constexpr std::uint32_t sector_size = 512;

inline constexpr unsigned VIRTIO_BLK_F_SIZE_MAX = 1;
inline constexpr unsigned VIRTIO_BLK_F_SEG_MAX = 2;
inline constexpr unsigned VIRTIO_BLK_F_GEOMETRY = 4;
inline constexpr unsigned VIRTIO_BLK_F_RO = 5;
inline constexpr unsigned VIRTIO_BLK_F_BLK_SIZE = 6;
inline constexpr unsigned VIRTIO_BLK_F_FLUSH = 9;
inline constexpr unsigned VIRTIO_BLK_F_TOPOLOGY = 10;
inline constexpr unsigned VIRTIO_BLK_F_CONFIG_WCE = 11;
inline constexpr unsigned VIRTIO_BLK_F_MQ = 12;
inline constexpr unsigned VIRTIO_BLK_F_DISCARD = 13;
inline constexpr unsigned VIRTIO_BLK_F_WRITE_ZEROES = 14;
inline constexpr unsigned VIRTIO_BLK_F_LIFETIME = 15;
inline constexpr unsigned VIRTIO_BLK_F_SECURE_ERASE = 16;
inline constexpr unsigned VIRTIO_BLK_F_ZONED = 17;

inline constexpr std::uint32_t VIRTIO_BLK_T_IN = 0;
inline constexpr std::uint32_t VIRTIO_BLK_T_OUT = 1;
inline constexpr std::uint32_t VIRTIO_BLK_T_FLUSH = 4;
inline constexpr std::uint32_t VIRTIO_BLK_T_GET_ID = 8;
inline constexpr std::uint32_t VIRTIO_BLK_T_GET_LIFETIME = 10;
inline constexpr std::uint32_t VIRTIO_BLK_T_DISCARD = 11;
inline constexpr std::uint32_t VIRTIO_BLK_T_WRITE_ZEROES = 13;
inline constexpr std::uint32_t VIRTIO_BLK_T_SECURE_ERASE = 14;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_APPEND = 15;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_REPORT = 16;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_OPEN = 18;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_CLOSE = 20;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_FINISH = 22;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_RESET = 24;
inline constexpr std::uint32_t VIRTIO_BLK_T_ZONE_RESET_ALL = 26;

inline constexpr std::uint8_t VIRTIO_BLK_S_OK = 0;
inline constexpr std::uint8_t VIRTIO_BLK_S_IOERR = 1;
inline constexpr std::uint8_t VIRTIO_BLK_S_UNSUPP = 2;

/// VIRTIO_BLK_T_GET_ID answers with so many bytes, padded with NUL.
inline constexpr std::size_t id_bytes = 20;

/// The first 16 bytes of every request; data and the status byte follow.
struct virtio_blk_req {
  le32 type;
  le32 reserved;
  le64 sector;
};
static_assert(sizeof(virtio_blk_req) == 16 && offsetof(virtio_blk_req, sector) == 8);

struct virtio_blk_geometry {
  le16 cylinders;
  std::uint8_t heads = 0;
  std::uint8_t sectors = 0;
};

struct virtio_blk_topology {
  std::uint8_t physical_block_exp = 0;
  std::uint8_t alignment_offset = 0;
  le16 min_io_size;
  le32 opt_io_size;
};

struct virtio_blk_zoned_characteristics {
  le32 zone_sectors;
  le32 max_open_zones;
  le32 max_active_zones;
  le32 max_append_sectors;
  le32 write_granularity;
  std::uint8_t model = 0;
  std::uint8_t unused2[3] = {};
};

/// Fields of features that are not offered stay zero.
struct virtio_blk_config {
  le64 capacity;
  le32 size_max;
  le32 seg_max;
  virtio_blk_geometry geometry;
  le32 blk_size;
  virtio_blk_topology topology;
  std::uint8_t writeback = 0;
  std::uint8_t unused0 = 0;
  le16 num_queues;
  le32 max_discard_sectors;
  le32 max_discard_seg;
  le32 discard_sector_alignment;
  le32 max_write_zeroes_sectors;
  le32 max_write_zeroes_seg;
  std::uint8_t write_zeroes_may_unmap = 0;
  std::uint8_t unused1[3] = {};
  le32 max_secure_erase_sectors;
  le32 max_secure_erase_seg;
  le32 secure_erase_sector_alignment;
  virtio_blk_zoned_characteristics zoned;
};
static_assert(sizeof(virtio_blk_config) == 96);
static_assert(offsetof(virtio_blk_config, size_max) == 8);
static_assert(offsetof(virtio_blk_config, seg_max) == 12);
static_assert(offsetof(virtio_blk_config, geometry) == 16);
static_assert(offsetof(virtio_blk_config, blk_size) == 20);
static_assert(offsetof(virtio_blk_config, topology) == 24);
static_assert(offsetof(virtio_blk_config, writeback) == 32);
static_assert(offsetof(virtio_blk_config, num_queues) == 34);
static_assert(offsetof(virtio_blk_config, max_discard_sectors) == 36);
static_assert(offsetof(virtio_blk_config, write_zeroes_may_unmap) == 56);
static_assert(offsetof(virtio_blk_config, max_secure_erase_sectors) == 60);
static_assert(offsetof(virtio_blk_config, zoned) == 72);

} // namespace virtio::blk
