// The block device (virtio 1.4, 5.2): one request queue or several equal ones over a Store. Reads,
// writes, flushes and the identification string; a read-only disk; write-back and write-through as
// negotiated. Data moves directly between the store and guest memory.
#pragma once

#include <virtio/blk/config.hpp>
#include <virtio/blk/store.hpp>
#include <virtio/blk/timing.hpp>
#include <virtio/core/device_function.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace virtio::blk {

/// What a block device offers unless the platform says otherwise: VIRTIO_BLK_F_MQ only with more
/// than one queue.
inline constexpr FeatureSet default_block_features{VIRTIO_BLK_F_SEG_MAX,    VIRTIO_BLK_F_BLK_SIZE,
                                                   VIRTIO_BLK_F_FLUSH,      VIRTIO_BLK_F_TOPOLOGY,
                                                   VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_MQ};

struct BlockParams {
  /// The answer to VIRTIO_BLK_T_GET_ID: ASCII, at most 20 bytes.
  std::string serial{};
  bool read_only = false;
  /// Entries of the request queue, a power of two (QEMU's default).
  std::uint16_t queue_size = 256;
  /// blk_size in bytes, a power of two, 512 .. 65536. A hint to the driver: requests stay in units
  /// of 512 (QEMU's default).
  std::uint32_t blk_size = 512;
  /// Logical blocks in a physical one, as a power of two, 0 .. 15 (QEMU's default).
  std::uint8_t physical_block_exp = 0;
  /// Request queues, 1 .. max_queues; more than one need VIRTIO_BLK_F_MQ (assumed).
  std::uint16_t num_queues = 1;
  /// Bits that may be offered, of those in default_block_features; VIRTIO_BLK_F_RO goes by
  /// read_only.
  FeatureSet features = default_block_features;
  BlockTiming timing{};
};

struct BlockStats {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t errors = 0; ///< requests answered with anything but VIRTIO_BLK_S_OK
};

class Block final : public DeviceFunction {
public:
  static constexpr QueueIndex requestq{0};
  /// This model's limit.
  static constexpr std::uint16_t max_queues = 1024;

  /// Throws std::invalid_argument when a parameter is out of its range, or the store cannot be
  /// written and the device could.
  Block(const BlockParams& params, std::unique_ptr<Store> store);

  DeviceType type() const override { return DeviceType::block; }
  FeatureSet features() const override;
  std::uint16_t num_queues() const override { return params_.num_queues; }
  std::uint16_t max_queue_size(QueueIndex) const override { return params_.queue_size; }
  std::uint32_t window(QueueIndex queue) const override;
  std::span<const std::byte> config() const override;
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override;
  void start(const FeatureSet& negotiated) override;
  void reset() override;
  void on_chain(Chain& chain) override;

  const BlockStats& stats() const { return stats_; }
  Store& store() const { return *store_; }

private:
  /// What a request comes down to: bytes to move, and the status when they were.
  struct Plan {
    std::uint8_t status = VIRTIO_BLK_S_IOERR;
    std::byte* memory = nullptr;
    std::uint64_t len = 0;
    bool to_guest = false;
  };
  Plan plan(const virtio_blk_req& request, std::uint64_t data_out, std::uint64_t data_in);
  Plan plan_sectors(std::uint64_t sector, std::uint64_t len, bool to_guest);
  /// After the data was moved: write-through, flushes, statistics. Returns the status.
  std::uint8_t finish(const virtio_blk_req& request, const Plan& plan);
  bool write_through() const;
  Task<bool> take_time(Scope& scope, const virtio_blk_req& request, const Plan& plan);
  Task<> handle(Chain& chain);

  BlockParams params_;
  std::unique_ptr<Store> store_;
  std::optional<Medium> medium_; // only if anything takes time
  std::array<std::byte, id_bytes> id_{};
  virtio_blk_config config_;
  FeatureSet negotiated_;
  bool started_ = false;
  BlockStats stats_;
};

} // namespace virtio::blk
