// What the accesses to a packed virtqueue show (virtio 1.4, 2.8). Each descriptor proves itself by
// its AVAIL and USED bits against the wrap counters that the tracker keeps for both sides; after
// the first unavailable one, whatever was read beyond it is dropped.
#pragma once

#include <virtio/analyser/queue_tracker.hpp>
#include <virtio/core/packed_ring.hpp>

#include <optional>
#include <unordered_map>

namespace virtio::analyser {

class PackedTracker final : public QueueTracker {
public:
  PackedTracker(const LiveQueue& queue, std::size_t max_pieces, Report& report);

  void driver_access(const MemoryAccess& access) override;
  void notified(std::optional<NotificationData> data) override;

private:
  /// The list that is being read.
  struct Walk {
    std::uint64_t buffer = 0;
    RingIndex at; // the descriptor that comes next
    std::uint16_t slots = 0;
    std::uint64_t first_seen = 0; // the number of the access that showed its first descriptor
  };
  using Bytes = std::array<std::byte, 16>;

  void area_read(const MemoryAccess& access) override;
  void area_written(const MemoryAccess& access) override;
  Step table_step(Buffer& buffer, OpenTable& table, const Desc& desc) override;
  Desc decode(const Bytes& bytes) const override;
  void forget(const Buffer& buffer) override;

  void descriptor_read(std::uint16_t index, const Bytes& bytes);
  void read_lists();
  bool begin_list(const DescriptorCache::Entry& entry);
  bool step(std::uint16_t index, const Bytes& bytes);
  void end_list(std::uint16_t id);
  void first_unavailable(const DescriptorCache::Entry& shown);
  void driver_event_seen(std::uint32_t event);
  void used_written(std::uint16_t index, const packed::Used& used);
  void take_used();
  bool event_is_valid(std::uint32_t event) const;

  RingIndex advance(RingIndex at, std::uint32_t count) const;
  /// Descriptors from `from` on to `to`, up to two rounds.
  std::uint32_t distance(RingIndex from, RingIndex to) const;
  std::uint64_t address(std::uint16_t index) const { return queue_.desc + 16ull * index; }

  RingIndex next_avail_;
  RingIndex next_used_;
  std::uint32_t outstanding_slots_ = 0;
  std::optional<Walk> walk_;
  /// Descriptors that are the device's until its next used descriptor lies beyond them, as the
  /// driver wrote them.
  std::unordered_map<std::uint16_t, Bytes> owned_;
  std::unordered_map<std::uint16_t, packed::Used> used_; // written ahead of the one that is due
  std::optional<RingIndex> announced_; // by a notification, not yet compared with the ring
  SimTime announced_at_{};
};

} // namespace virtio::analyser
