// Reads and writes of a block device. Each queue has a part of the disk for itself, and no two
// requests under way touch the same block, so it is known at any time what a block must hold.
#pragma once

#include <virtio/blk/config.hpp>
#include <virtio/blk/store.hpp>
#include <virtio/core/random.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/driver/bus.hpp>
#include <virtio/platforms/pcie_host/traffic.hpp>

#include <vector>

namespace virtio::platform::pcie_host {

/// What every block of a disk must hold: what was written to it last, or what it held before.
class DiskContent {
public:
  /// `fill`: the store is all zero, so blocks get a content of their own when they are first read.
  DiskContent(blk::Store& store, std::uint64_t block_size, bool fill);

  std::uint64_t blocks() const { return versions_.size(); }
  std::uint64_t block_size() const { return block_size_; }
  /// The data of the next write to a block, which is its content from now on.
  void write_next(std::uint64_t block, std::byte* to);
  struct Ends {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    friend bool operator==(const Ends&, const Ends&) = default;
  };
  /// The first and the last eight bytes that a read must give.
  Ends expected(std::uint64_t block);
  /// Looks at every byte of every block that was written. Throws WrongData.
  void verify();
  std::uint64_t verified_blocks() const { return verified_; }

private:
  std::uint64_t word(std::uint64_t block, std::uint32_t version, std::uint64_t index) const;
  std::byte* at(std::uint64_t block) { return store_.memory().data() + block * block_size_; }

  blk::Store& store_;
  std::uint64_t block_size_;
  bool fill_;
  std::vector<std::uint32_t> versions_; // by block: how often it was written
  std::vector<bool> filled_;
  std::uint64_t verified_ = 0;
};

struct BlockTrafficParams {
  std::uint64_t first_block = 0; ///< of this queue's part
  std::uint64_t blocks = 1;
  std::uint16_t depth = 1;
  std::uint8_t read_percent = 100;
  Pattern pattern = Pattern::random;
};

class BlockTraffic final : public Traffic {
public:
  BlockTraffic(const BlockTrafficParams& params, DiskContent& disk, HostMemory memory,
               driver::Arena& arena, Random random);

  static constexpr std::uint16_t pieces = 3; ///< header, data, status

  std::span<const driver::Buffer> prepare(unsigned slot) override;
  Finished finish(unsigned slot, std::uint32_t written) override;

private:
  struct Slot {
    std::array<driver::Buffer, pieces> buffers;
    std::uint64_t block = 0;
    bool write = false;
    DiskContent::Ends expected;
  };
  std::uint64_t choose_block();
  DiskContent::Ends ends(const Slot& slot) const;

  BlockTrafficParams params_;
  DiskContent& disk_;
  HostMemory memory_;
  Random random_;
  std::vector<Slot> slots_;
  std::vector<bool> busy_; // by block of this part
  std::uint64_t next_ = 0;
};

} // namespace virtio::platform::pcie_host
