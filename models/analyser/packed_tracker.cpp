#include <virtio/analyser/packed_tracker.hpp>

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <utility>

namespace virtio::analyser {

using packed::VIRTQ_DESC_F_INDIRECT;
using packed::VIRTQ_DESC_F_NEXT;
using packed::VIRTQ_DESC_F_WRITE;

namespace {

constexpr std::uint64_t used_part = 8; // offset of len, id and flags in a descriptor

std::uint16_t flags_of(const std::array<std::byte, 16>& bytes) {
  return std::bit_cast<packed::Desc>(bytes).flags;
}

} // namespace

PackedTracker::PackedTracker(const LiveQueue& queue, std::size_t max_pieces, Report& report)
    : QueueTracker(queue,
                   {.writable_first = Rule::PACKED_DRV_008,
                    .indirect_not_negotiated = Rule::PACKED_DRV_012,
                    .readable_written = Rule::PACKED_DEV_004,
                    .table_written = Rule::PACKED_LAY_013,
                    .bad_table = Rule::PACKED_LAY_003,
                    .not_exposed = Rule::PACKED_DEV_005,
                    .length = Rule::PACKED_LAY_012},
                   {packed::desc_bytes(queue.size), packed::event_bytes, packed::event_bytes},
                   max_pieces, report) {}

RingIndex PackedTracker::advance(RingIndex at, std::uint32_t count) const {
  const std::uint32_t sum = at.index + count;
  const bool wraps = sum / queue_.size % 2 != 0;
  return {static_cast<std::uint16_t>(sum % queue_.size), at.wrap != wraps};
}

std::uint32_t PackedTracker::distance(RingIndex from, RingIndex to) const {
  const std::uint32_t round = queue_.size;
  const std::uint32_t places = to.index + round * (from.wrap != to.wrap) + 2 * round - from.index;
  return places % (2 * round);
}

// --- what the device reads
// --------------------------------------------------------------------------

void PackedTracker::area_read(const MemoryAccess& access) {
  if (broken_) return;
  le32 event;
  if (extract(access, queue_.driver, event)) driver_event_seen(event);
  cache_.take(queue_.desc, queue_.size, access, access_number_, [&](std::uint64_t i, auto& entry) {
    descriptor_read(static_cast<std::uint16_t>(i), entry.bytes);
  });
  read_lists();
}

bool PackedTracker::event_is_valid(std::uint32_t event) const {
  const std::uint32_t flags = event >> 16;
  return flags < packed::RING_EVENT_FLAGS_DESC ||
         (flags == packed::RING_EVENT_FLAGS_DESC && has(VIRTIO_F_EVENT_IDX));
}

void PackedTracker::driver_event_seen(std::uint32_t event) {
  if (!event_is_valid(event))
    violation(Rule::PACKED_LAY_002,
              [&] { return fmt::format("the driver's event structure is {:#010x}", event); });
}

void PackedTracker::descriptor_read(std::uint16_t index, const std::array<std::byte, 16>& bytes) {
  const auto owned = owned_.find(index);
  if (owned == owned_.end() || owned->second == bytes) return;
  const std::uint16_t before = flags_of(owned->second);
  const std::uint16_t now = flags_of(bytes);
  constexpr std::uint16_t marks = packed::VIRTQ_DESC_F_AVAIL | packed::VIRTQ_DESC_F_USED;
  const bool again = ((before ^ now) & marks) == marks;
  violation(again ? Rule::PACKED_DRV_002 : Rule::PACKED_DRV_003, [&] {
    return fmt::format("descriptor {} of an exposed buffer changed, flags {:#06x} to {:#06x}",
                       index, before, now);
  });
  if (again)
    give_up();
  else
    owned->second = bytes;
}

// --- lists (2.8.5 to 2.8.8, 2.8.16 to 2.8.19)
// ----------------------------------------------------------

void PackedTracker::read_lists() {
  while (!broken_) {
    const RingIndex at = walk_ ? walk_->at : next_avail_;
    const DescriptorCache::Entry* entry = cache_.find(address(at.index));
    if (!entry || !entry->complete()) return;
    const DescriptorCache::Entry shown = *entry;
    cache_.erase(address(at.index));
    if (!packed::available(flags_of(shown.bytes), at.wrap)) {
      if (!walk_) {
        first_unavailable(shown);
        return;
      }
      // A beat of the same access may have been sampled before the first descriptor was.
      if (shown.number <= walk_->first_seen) return;
      violation(Rule::PACKED_DRV_011, [&] {
        return fmt::format("descriptor {}, number {} of its list, has flags {:#06x}", at.index,
                           walk_->slots, flags_of(shown.bytes));
      });
      give_up();
      return;
    }
    if (!walk_ && !begin_list(shown)) return;
    if (!step(at.index, shown.bytes)) give_up();
  }
}

bool PackedTracker::begin_list(const DescriptorCache::Entry& entry) {
  if (outstanding_slots_ >= queue_.size) {
    violation(Rule::PACKED_DRV_002, [&] {
      return fmt::format("descriptor {} is available again, and all {} belong to exposed buffers",
                         next_avail_.index, queue_.size);
    });
    give_up();
    return false;
  }
  walk_ = Walk{expose().number, next_avail_, 0, entry.number};
  return true;
}

/// Takes one descriptor of the list. False when the list is broken.
bool PackedTracker::step(std::uint16_t index, const std::array<std::byte, 16>& bytes) {
  Walk& walk = *walk_;
  Buffer& buffer = buffers_.at(walk.buffer);
  owned_.insert_or_assign(index, bytes);
  const Desc d = decode(bytes);
  ++walk.slots;
  walk.at = advance(walk.at, 1);
  const bool more = (d.flags & VIRTQ_DESC_F_NEXT) != 0;
  if (d.flags & VIRTQ_DESC_F_INDIRECT) {
    if (more || walk.slots > 1) {
      violation(Rule::PACKED_DRV_015, [&] {
        return fmt::format("descriptor {}, number {} of its list, has flags {:#06x}", index,
                           walk.slots - 1, d.flags);
      });
      return false;
    }
    if (!open_table(buffer, d)) return false;
    if (d.len / 16 > queue_.size) {
      violation(Rule::PACKED_DRV_014, [&] {
        return fmt::format("the indirect table of descriptor {} has {} descriptors, the ring {}",
                           index, d.len / 16, queue_.size);
      });
      return false;
    }
    end_list(d.next_or_id);
    return true;
  }
  append(buffer, d);
  if (more && walk.slots == queue_.size) {
    violation(Rule::PACKED_DRV_007, [&] {
      return fmt::format("the list that starts at {} goes on after {} descriptors",
                         next_avail_.index, walk.slots);
    });
    return false;
  }
  if (more && outstanding_slots_ + walk.slots == queue_.size) {
    violation(Rule::PACKED_DRV_010, [&] {
      return fmt::format("the list that starts at {} goes on after {} descriptors, and no more of "
                         "{} are free",
                         next_avail_.index, walk.slots, queue_.size);
    });
    return false;
  }
  if (more) return true;
  buffer_completed(buffer);
  end_list(d.next_or_id);
  return true;
}

void PackedTracker::end_list(std::uint16_t id) {
  Buffer& buffer = buffers_.at(walk_->buffer);
  if (find_key(id)) {
    violation(Rule::PACKED_LAY_001, [&] {
      return fmt::format("the list that starts at {} has id {}, as an exposed buffer has",
                         next_avail_.index, id);
    });
    give_up();
  }
  set_key(buffer, id);
  buffer.slots = walk_->slots;
  outstanding_slots_ += walk_->slots;
  // What was announced is there; a round later the same offset means something else.
  if (announced_ && distance(next_avail_, *announced_) <= walk_->slots) announced_.reset();
  next_avail_ = walk_->at;
  walk_.reset();
}

/// The next descriptor is unavailable: what was read of later ones up to then is dropped.
void PackedTracker::first_unavailable(const DescriptorCache::Entry& shown) {
  cache_.erase_older(shown.number);
  caught_up();
  if (!announced_ || may_precede(shown.asked, announced_at_)) return;
  const RingIndex said = *std::exchange(announced_, std::nullopt);
  if (said != next_avail_)
    violation(Rule::PACKED_DRV_004, [&] {
      return fmt::format("the notification said offset {} wrap {}, descriptor {} wrap {} is not "
                         "available",
                         said.index, said.wrap, next_avail_.index, next_avail_.wrap);
    });
}

QueueTracker::Step PackedTracker::table_step(Buffer& buffer, OpenTable& table, const Desc& desc) {
  constexpr std::uint16_t known = VIRTQ_DESC_F_WRITE;
  Desc d = desc;
  if (d.flags & ~known)
    violation(Rule::PACKED_DRV_013, [&] {
      return fmt::format("id {}: entry {} of the indirect table at {:#x} has flags {:#06x}",
                         buffer.key, table.at, table.addr, d.flags);
    });
  d.flags &= known;
  append(buffer, d);
  return ++table.at == table.entries ? Step::last : Step::more;
}

QueueTracker::Desc PackedTracker::decode(const std::array<std::byte, 16>& bytes) const {
  const auto desc = std::bit_cast<packed::Desc>(bytes);
  return {desc.addr, desc.len, desc.flags, desc.id};
}

void PackedTracker::forget(const Buffer& buffer) {
  if (walk_ && walk_->buffer == buffer.number) walk_.reset();
}

// --- what the device writes (2.8.1, 2.8.4, 2.8.9, 2.8.12, 2.8.15)
// --------------------------------------

void PackedTracker::area_written(const MemoryAccess& access) {
  if (overlap(queue_.driver, sizes_.driver, access))
    violation(Rule::PACKED_LAY_013, [&] {
      return fmt::format("{} bytes were written at {:#x}, in the driver's event structure",
                         access.data.size(), raw(access.addr));
    });
  le32 event;
  if (extract(access, queue_.device, event) && !event_is_valid(event))
    violation(Rule::PACKED_LAY_014, [&] {
      return fmt::format("the device's event structure is {:#010x}", std::uint32_t{event});
    });
  const Overlap covered = overlap(queue_.desc, sizes_.desc, access);
  if (broken_) {
    used_updates_ += covered ? 1 : 0;
    return;
  }
  for (std::uint64_t at = covered.begin / 16 * 16; at < covered.end && !broken_; at += 16) {
    packed::Used used;
    const auto index = static_cast<std::uint16_t>(at / 16);
    // Only with its flags does a write mark a descriptor; they come with the rest or after it.
    if (extract(access, queue_.desc + at + used_part, used)) used_written(index, used);
  }
  if (!broken_) take_used();
}

void PackedTracker::used_written(std::uint16_t index, const packed::Used& used) {
  // Free to the device: from the descriptor that is due to the last available one.
  const RingIndex place{index, index >= next_used_.index ? next_used_.wrap : !next_used_.wrap};
  if (distance(next_used_, place) >= outstanding_slots_) {
    if (walk_) { // it may know the list that was not seen to its end
      give_up();
      return;
    }
    const bool nothing = outstanding_slots_ == 0;
    violation(nothing && index == next_used_.index ? Rule::PACKED_DEV_005 : Rule::PACKED_DEV_006,
              [&] {
                return fmt::format("descriptor {} was written; the device has {} from {} on", index,
                                   outstanding_slots_, next_used_.index);
              });
    return;
  }
  const std::uint16_t marks = used.flags & packed::used_flags(true);
  if (marks != packed::used_flags(place.wrap))
    violation(Rule::PACKED_LAY_011, [&] {
      return fmt::format("descriptor {} was used with flags {:#06x}, the wrap counter is {}", index,
                         std::uint16_t{used.flags}, place.wrap);
    });
  owned_.erase(index); // the device's own from now on
  used_.insert_or_assign(index, used);
}

void PackedTracker::take_used() {
  const bool due = used_.contains(next_used_.index);
  if (due) ++used_updates_;
  while (!broken_) {
    const auto found = used_.find(next_used_.index);
    if (found == used_.end()) break;
    const packed::Used used = found->second;
    used_.erase(found);
    const bool wrote = (used.flags & VIRTQ_DESC_F_WRITE) != 0;
    const Returned returned = take_back(used.id, wrote ? std::uint32_t{used.len} : 0);
    if (returned.buffers == 0) {
      give_up();
      return;
    }
    const RingIndex next = advance(next_used_, returned.slots);
    for (std::uint32_t i = 1; i < returned.slots; ++i)
      if (used_.erase(advance(next_used_, i).index) != 0)
        violation(has(VIRTIO_F_IN_ORDER) ? Rule::GEN_DEV_028 : Rule::PACKED_DEV_002, [&] {
          return fmt::format(
              "a used descriptor was written at {}; after that at {} the next one is "
              "due at {}",
              advance(next_used_, i).index, next_used_.index, next.index);
        });
    for (std::uint32_t i = 0; i < returned.slots; ++i)
      owned_.erase(advance(next_used_, i).index);
    outstanding_slots_ -= returned.slots;
    next_used_ = next;
  }
}

// --- the driver
// ------------------------------------------------------------------------------------------

void PackedTracker::notified(std::optional<NotificationData> data) {
  if (!data || broken_) return;
  const RingIndex said{data->next_off, data->next_wrap};
  if (said.index >= queue_.size) {
    violation(Rule::PACKED_DRV_004, [&] {
      return fmt::format("next_off is {} in a ring of {}", said.index, queue_.size);
    });
    return;
  }
  // More than a round ahead is a round behind: the notification was overtaken.
  if (distance(next_avail_, said) > queue_.size) return;
  announced_ = said;
  announced_at_ = now();
}

void PackedTracker::driver_access(const MemoryAccess& access) {
  if (broken_ || !access.write) return;
  le32 event;
  if (extract(access, queue_.driver, event)) driver_event_seen(event);
  const Overlap covered = overlap(queue_.desc, sizes_.desc, access);
  for (std::uint64_t at = covered.begin; at < covered.end; ++at) {
    const auto owned = owned_.find(static_cast<std::uint16_t>(at / 16));
    if (owned == owned_.end() ||
        owned->second[at % 16] == access.data[queue_.desc + at - raw(access.addr)])
      continue;
    violation(Rule::PACKED_DRV_003, [&] {
      return fmt::format("descriptor {} of an exposed buffer was written", at / 16);
    });
    return;
  }
}

} // namespace virtio::analyser
