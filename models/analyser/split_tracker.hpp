// What the accesses to a split virtqueue show (virtio 1.4, 2.7). From the device's accesses alone:
// its reads of the available ring and of descriptors tell what the driver offered, by the rule that
// only reads issued after the available idx proved an entry count; its writes to the used ring tell
// what came back.
#pragma once

#include <virtio/analyser/queue_tracker.hpp>
#include <virtio/core/split_ring.hpp>

#include <array>
#include <optional>
#include <unordered_map>
#include <vector>

namespace virtio::analyser {

class SplitTracker final : public QueueTracker {
public:
  SplitTracker(const LiveQueue& queue, std::size_t max_pieces, Report& report);

  void driver_access(const MemoryAccess& access) override;
  void notified(std::optional<NotificationData> data) override;
  void finish() override;

private:
  /// A chain whose descriptors are not all known yet.
  struct Walk {
    std::uint64_t buffer = 0;
    std::uint16_t slot = 0;              // its entry in the available ring
    std::uint64_t exposed = 0;           // the number of the access that showed the idx
    std::optional<std::uint16_t> wanted; // the descriptor that comes next; nothing: no head yet
  };
  /// A descriptor of an exposed buffer.
  struct Owned {
    std::uint64_t buffer = 0;
    split::Desc desc;
  };
  /// What the driver knew when it last asked whether to notify, if its accesses are seen.
  struct DriverView {
    std::uint16_t avail_idx = 0;
    std::uint16_t notified_idx = 0; // the idx before the entries that were not decided about yet
    bool must_notify = false;
    bool must_not_notify = false;
    std::uint64_t reason = 0; // used flags, or avail_event
  };

  void area_read(const MemoryAccess& access) override;
  void area_written(const MemoryAccess& access) override;
  Step table_step(Buffer& buffer, OpenTable& table, const Desc& desc) override;
  Desc decode(const std::array<std::byte, 16>& bytes) const override;
  void forget(const Buffer& buffer) override;

  void avail_flags_seen(std::uint16_t flags);
  void avail_idx_read(std::uint16_t idx, std::optional<SimTime> asked);
  void avail_entries_read(const MemoryAccess& access);
  void descriptor_read(std::uint16_t index, const split::Desc& desc);
  void advance(Walk& walk);
  bool step(Walk& walk, Buffer& buffer, std::uint16_t index, const split::Desc& desc);
  void used_idx_written(std::uint16_t idx);
  void driver_wrote(const MemoryAccess& access);
  void driver_read(const MemoryAccess& access);

  std::uint16_t slot(std::uint16_t position) const {
    return position & static_cast<std::uint16_t>(queue_.size - 1);
  }

  /// An element of the used ring, put together from writes of any width.
  struct UsedSlot {
    std::array<std::byte, sizeof(split::UsedElem)> bytes{};
    std::uint8_t known = 0; // a bit for each byte
  };

  std::uint16_t avail_idx_ = 0;                            // as the device last read it
  std::uint16_t used_idx_ = 0;                             // as the device last wrote it
  std::vector<Walk> walks_;                                // in availability order
  std::unordered_map<std::uint16_t, Owned> owned_;         // by descriptor
  std::unordered_map<std::uint16_t, std::uint16_t> heads_; // by slot, of exposed entries
  std::unordered_map<std::uint16_t, UsedSlot> used_elems_; // by slot, not covered by idx yet
  std::optional<std::uint16_t> notified_idx_; // notification data not yet compared with the idx
  SimTime notified_at_{};
  std::optional<DriverView> driver_;
};

} // namespace virtio::analyser
