#include <virtio/analyser/split_tracker.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace virtio::analyser {

using split::VIRTQ_DESC_F_INDIRECT;
using split::VIRTQ_DESC_F_NEXT;

SplitTracker::SplitTracker(const LiveQueue& queue, std::size_t max_pieces, Report& report)
    : QueueTracker(queue,
                   {.writable_first = Rule::SPLIT_DRV_002,
                    .indirect_not_negotiated = Rule::SPLIT_DRV_006,
                    .readable_written = Rule::SPLIT_DEV_003,
                    .table_written = Rule::SPLIT_DEV_004,
                    .bad_table = Rule::SPLIT_LAY_002,
                    .not_exposed = Rule::SPLIT_LAY_012,
                    .length = Rule::SPLIT_DEV_014},
                   {split::desc_bytes(queue.size), split::avail_bytes(queue.size),
                    split::used_bytes(queue.size)},
                   max_pieces, report) {
  // Of any other size nothing below means anything.
  if (!std::has_single_bit(queue.size)) give_up();
}

// --- what the device reads
// ------------------------------------------------------------------------

void SplitTracker::area_read(const MemoryAccess& access) {
  if (broken_) return;
  le16 value;
  const GuestAddr avail{queue_.driver};
  if (extract(access, raw(split::avail_flags(avail)), value)) avail_flags_seen(value);
  avail_entries_read(access);
  cache_.take(queue_.desc, queue_.size, access, access_number_, [&](std::uint64_t i, auto& entry) {
    descriptor_read(static_cast<std::uint16_t>(i), std::bit_cast<split::Desc>(entry.bytes));
  });
  for (Walk& walk : walks_)
    advance(walk);
  std::erase_if(walks_, [&](const Walk& walk) {
    const auto buffer = buffers_.find(walk.buffer);
    return buffer == buffers_.end() || (!walk.wanted && buffer->second.keyed);
  });
  // Last: what it proves is proven for later reads only.
  if (extract(access, raw(split::avail_idx(avail)), value)) avail_idx_read(value, access.asked);
}

void SplitTracker::avail_flags_seen(std::uint16_t flags) {
  if (has(VIRTIO_F_EVENT_IDX)) {
    if (flags != 0)
      violation(Rule::SPLIT_DRV_014, [&] { return fmt::format("available flags {:#x}", flags); });
  } else if (flags > 1) {
    violation(Rule::SPLIT_DRV_012, [&] { return fmt::format("available flags {:#x}", flags); });
  }
}

void SplitTracker::avail_idx_read(std::uint16_t idx, std::optional<SimTime> asked) {
  const auto added = static_cast<std::uint16_t>(idx - avail_idx_);
  const auto exposed = static_cast<std::uint16_t>(idx - used_idx_);
  if (added > queue_.size) {
    violation(Rule::SPLIT_DRV_011, [&] {
      return fmt::format("the available idx went from {} to {}; the queue has {} entries",
                         avail_idx_, idx, queue_.size);
    });
    give_up();
    return;
  }
  if (exposed > queue_.size) {
    violation(Rule::GEN_DRV_031, [&] {
      return fmt::format("available idx {}, used idx {}: {} buffers in {} entries, so the entry of "
                         "an exposed buffer was written over",
                         idx, used_idx_, exposed, queue_.size);
    });
    give_up();
    return;
  }
  if (notified_idx_ && !may_precede(asked, notified_at_)) {
    const auto announced = static_cast<std::uint16_t>(*notified_idx_ - avail_idx_);
    if (announced > added && announced <= 0x8000)
      violation(Rule::SPLIT_LAY_004, [&] {
        return fmt::format("the notification said {}, the available idx is {}", *notified_idx_,
                           idx);
      });
    notified_idx_.reset();
  }
  for (; avail_idx_ != idx; ++avail_idx_) {
    heads_.erase(slot(avail_idx_));
    walks_.push_back({expose().number, slot(avail_idx_), access_number_, {}});
  }
  caught_up();
}

void SplitTracker::avail_entries_read(const MemoryAccess& access) {
  const std::uint64_t ring = raw(split::avail_ring(GuestAddr{queue_.driver}, 0));
  const Overlap covered = overlap(ring, 2ull * queue_.size, access);
  if (!covered) return;
  for (std::uint64_t i = (covered.begin + 1) / 2; 2 * i + 2 <= covered.end; ++i) {
    le16 read;
    extract(access, ring + 2 * i, read);
    const std::uint16_t head = read;
    const auto entry = static_cast<std::uint16_t>(i);
    if (const auto known = heads_.find(entry); known != heads_.end()) {
      if (known->second != head)
        violation(Rule::GEN_DRV_031, [&] {
          return fmt::format("available ring entry {} of an exposed buffer changed from {} to {}",
                             entry, known->second, head);
        });
      continue;
    }
    const auto walk = std::ranges::find(walks_, entry, &Walk::slot);
    if (walk == walks_.end() || walk->exposed >= access_number_) continue;
    heads_[entry] = head;
    set_key(buffers_.at(walk->buffer), head);
    if (head < queue_.size) {
      walk->wanted = head;
      continue;
    }
    violation(Rule::SPLIT_LAY_001, [&] {
      return fmt::format("available ring entry {} is {}; the table has {} descriptors", entry, head,
                         queue_.size);
    });
    give_up();
  }
}

void SplitTracker::descriptor_read(std::uint16_t index, const split::Desc& desc) {
  const auto owned = owned_.find(index);
  if (owned == owned_.end() || std::memcmp(&owned->second.desc, &desc, sizeof desc) == 0) return;
  const split::Desc& before = owned->second.desc;
  violation(Rule::GEN_DRV_031, [&] {
    return fmt::format("descriptor {} of an exposed buffer changed: addr {:#x} len {} flags {:#x} "
                       "next {} became addr {:#x} len {} flags {:#x} next {}",
                       index, std::uint64_t{before.addr}, std::uint32_t{before.len},
                       std::uint16_t{before.flags}, std::uint16_t{before.next},
                       std::uint64_t{desc.addr}, std::uint32_t{desc.len}, std::uint16_t{desc.flags},
                       std::uint16_t{desc.next});
  });
  owned->second.desc = desc;
}

// --- chains (2.7.4, 2.7.5)
// ---------------------------------------------------------------------------

void SplitTracker::advance(Walk& walk) {
  const auto buffer = buffers_.find(walk.buffer);
  if (buffer == buffers_.end()) return;
  while (walk.wanted && !broken_) {
    const std::uint16_t index = *walk.wanted;
    const std::uint64_t address = raw(split::desc(GuestAddr{queue_.desc}, index));
    const DescriptorCache::Entry* entry = cache_.find(address);
    if (!entry || !entry->complete() || entry->number <= walk.exposed) return;
    const auto desc = std::bit_cast<split::Desc>(entry->bytes);
    walk.wanted.reset();
    if (!step(walk, buffer->second, index, desc)) give_up();
  }
}

/// False when the chain is broken, so that the ring means nothing from here on.
bool SplitTracker::step(Walk& walk, Buffer& buffer, std::uint16_t index, const split::Desc& desc) {
  const auto [owned, is_free] = owned_.try_emplace(index, Owned{buffer.number, desc});
  if (!is_free) {
    const bool loop = owned->second.buffer == buffer.number;
    violation(loop ? Rule::SPLIT_DRV_004 : Rule::GEN_DRV_031, [&] {
      return loop
                 ? fmt::format("head {}: the chain comes back to descriptor {}", buffer.key, index)
                 : fmt::format("head {}: descriptor {} belongs to a buffer that is exposed already",
                               buffer.key, index);
    });
    return false;
  }
  buffer.descriptors.push_back(index);
  const Desc d{desc.addr, desc.len, desc.flags, desc.next};
  if ((d.flags & VIRTQ_DESC_F_INDIRECT) && (d.flags & VIRTQ_DESC_F_NEXT)) {
    violation(Rule::SPLIT_DRV_009, [&] {
      return fmt::format("head {}: descriptor {} has flags {:#x}", buffer.key, index, d.flags);
    });
    return false;
  }
  if (d.flags & VIRTQ_DESC_F_INDIRECT) return open_table(buffer, d);
  append(buffer, d);
  if (buffer.readable_len + buffer.writable_len > 1ull << 32) {
    violation(Rule::SPLIT_DRV_004, [&] {
      return fmt::format("head {}: {} bytes up to descriptor {}", buffer.key,
                         buffer.readable_len + buffer.writable_len, index);
    });
    return false;
  }
  if (!(d.flags & VIRTQ_DESC_F_NEXT)) {
    buffer_completed(buffer);
    return true;
  }
  if (d.next_or_id >= queue_.size) {
    violation(Rule::SPLIT_LAY_001, [&] {
      return fmt::format("head {}: descriptor {} has next {}; the table has {} descriptors",
                         buffer.key, index, d.next_or_id, queue_.size);
    });
    return false;
  }
  if (has(VIRTIO_F_IN_ORDER) && d.next_or_id != slot(static_cast<std::uint16_t>(index + 1)))
    violation(Rule::SPLIT_DRV_005, [&] {
      return fmt::format("head {}: descriptor {} of {} has next {}", buffer.key, index, queue_.size,
                         d.next_or_id);
    });
  walk.wanted = d.next_or_id;
  return true;
}

QueueTracker::Step SplitTracker::table_step(Buffer& buffer, OpenTable& table, const Desc& d) {
  if (d.flags & VIRTQ_DESC_F_INDIRECT) {
    violation(Rule::SPLIT_DRV_007, [&] {
      return fmt::format("head {}: entry {} of the indirect table at {:#x} has flags {:#x}",
                         buffer.key, table.at, table.addr, d.flags);
    });
    return Step::broken;
  }
  append(buffer, d);
  const bool more = (d.flags & VIRTQ_DESC_F_NEXT) != 0;
  if (buffer.readable_len + buffer.writable_len > 1ull << 32 ||
      (more && table.seen == table.entries)) {
    violation(Rule::SPLIT_DRV_004, [&] {
      return fmt::format("head {}: {} bytes in {} descriptors of a table of {}{}", buffer.key,
                         buffer.readable_len + buffer.writable_len, table.seen, table.entries,
                         more ? ", and it goes on" : "");
    });
    return Step::broken;
  }
  if (!more) return Step::last;
  if (buffer.elements == queue_.size) {
    violation(Rule::SPLIT_DRV_008, [&] {
      return fmt::format("head {}: the chain goes on after {} descriptors, {} of them in the "
                         "indirect table",
                         buffer.key, queue_.size, table.seen);
    });
    return Step::broken;
  }
  if (d.next_or_id >= table.entries) {
    violation(Rule::SPLIT_LAY_001, [&] {
      return fmt::format("head {}: entry {} of an indirect table of {} has next {}", buffer.key,
                         table.at, table.entries, d.next_or_id);
    });
    return Step::broken;
  }
  if (has(VIRTIO_F_IN_ORDER) && d.next_or_id != table.at + 1)
    violation(Rule::SPLIT_DRV_010, [&] {
      return fmt::format("head {}: entry {} of the indirect table has next {}", buffer.key,
                         table.at, d.next_or_id);
    });
  table.at = d.next_or_id;
  return Step::more;
}

QueueTracker::Desc SplitTracker::decode(const std::array<std::byte, 16>& bytes) const {
  const auto desc = std::bit_cast<split::Desc>(bytes);
  return {desc.addr, desc.len, desc.flags, desc.next};
}

void SplitTracker::forget(const Buffer& buffer) {
  for (const std::uint16_t index : buffer.descriptors)
    owned_.erase(index);
  std::erase_if(walks_, [&](const Walk& walk) { return walk.buffer == buffer.number; });
}

// --- what the device writes (2.7.5.1, 2.7.6, 2.7.8, 2.7.10)
// -----------------------------------------

void SplitTracker::area_written(const MemoryAccess& access) {
  if (overlap(queue_.desc, sizes_.desc, access))
    violation(Rule::SPLIT_DEV_004, [&] {
      return fmt::format("{} bytes were written at {:#x}, in the descriptor table",
                         access.data.size(), raw(access.addr));
    });
  if (overlap(queue_.driver, sizes_.driver, access))
    violation(Rule::SPLIT_LAY_011, [&] {
      return fmt::format("{} bytes were written at {:#x}, in the available ring",
                         access.data.size(), raw(access.addr));
    });
  const GuestAddr used{queue_.device};
  le16 value;
  if (extract(access, raw(split::used_flags(used)), value) &&
      value > (has(VIRTIO_F_EVENT_IDX) ? 0 : 1))
    violation(has(VIRTIO_F_EVENT_IDX) ? Rule::SPLIT_DEV_018 : Rule::SPLIT_DEV_016,
              [&] { return fmt::format("used flags {:#x}", std::uint16_t{value}); });
  const std::uint64_t ring = raw(split::used_ring(used, 0));
  const Overlap covered = overlap(ring, 8ull * queue_.size, access);
  for (std::uint64_t at = covered.begin; at < covered.end; ++at) {
    UsedSlot& elem = used_elems_[static_cast<std::uint16_t>(at / 8)];
    elem.bytes[at % 8] = access.data[ring + at - raw(access.addr)];
    elem.known |= static_cast<std::uint8_t>(1u << at % 8);
  }
  if (extract(access, raw(split::used_idx(used)), value)) used_idx_written(value);
}

void SplitTracker::used_idx_written(std::uint16_t idx) {
  if (idx == used_idx_) return;
  ++used_updates_;
  if (broken_) {
    used_idx_ = idx;
    return;
  }
  const auto added = static_cast<std::uint16_t>(idx - used_idx_);
  if (added > static_cast<std::uint16_t>(avail_idx_ - used_idx_)) {
    violation(Rule::SPLIT_LAY_013, [&] {
      return fmt::format("the used idx went from {} to {}; {} buffers are exposed", used_idx_, idx,
                         static_cast<std::uint16_t>(avail_idx_ - used_idx_));
    });
    used_idx_ = idx;
    give_up();
    return;
  }
  for (std::uint32_t left = added; left != 0;) {
    const std::uint16_t at = slot(used_idx_);
    const auto found = used_elems_.find(at);
    if (found == used_elems_.end() || found->second.known != 0xff) {
      violation(Rule::SPLIT_DEV_013, [&] {
        return fmt::format("the used idx is {}, entry {} was not written", idx, at);
      });
      give_up();
      break;
    }
    const auto elem = std::bit_cast<split::UsedElem>(found->second.bytes);
    const std::uint32_t id = elem.id;
    const std::uint32_t len = elem.len;
    used_elems_.erase(found);
    Returned returned;
    if (id < queue_.size)
      returned = take_back(static_cast<std::uint16_t>(id), len);
    else
      violation(Rule::SPLIT_LAY_012,
                [&] { return fmt::format("used id {} in a queue of {}", id, queue_.size); });
    if (returned.buffers == 0) { // from here on, what is exposed is not known
      give_up();
      break;
    }
    const std::uint32_t advanced = returned.buffers;
    if (advanced > left) {
      violation(Rule::GEN_DEV_028, [&] {
        return fmt::format("used id {} stands for {} buffers, the idx goes on by {}", id, advanced,
                           left);
      });
      give_up();
      break;
    }
    left -= advanced;
    // The driver may write over an entry as soon as so many buffers were used.
    for (std::uint32_t i = 0; i < advanced; ++i)
      heads_.erase(slot(used_idx_++));
  }
  used_idx_ = idx;
}

// --- the driver
// ---------------------------------------------------------------------------------------

void SplitTracker::notified(std::optional<NotificationData> data) {
  if (data) {
    notified_idx_ = static_cast<std::uint16_t>(data->next_off | (data->next_wrap ? 0x8000 : 0));
    notified_at_ = now();
  }
  if (!driver_) return;
  if (driver_->must_not_notify)
    violation(has(VIRTIO_F_EVENT_IDX) ? Rule::SPLIT_DRV_024 : Rule::SPLIT_DRV_020, [&] {
      return fmt::format("notified at available idx {} after reading {}", driver_->avail_idx,
                         driver_->reason);
    });
  driver_->must_notify = driver_->must_not_notify = false;
  driver_->notified_idx = driver_->avail_idx;
}

void SplitTracker::driver_access(const MemoryAccess& access) {
  if (broken_) return;
  if (access.write)
    driver_wrote(access);
  else
    driver_read(access);
}

void SplitTracker::driver_wrote(const MemoryAccess& access) {
  for (const auto& [index, owned] : owned_) {
    const std::uint64_t at = raw(split::desc(GuestAddr{queue_.desc}, index));
    const Overlap part = overlap(at, sizeof owned.desc, access);
    if (!part) continue;
    const auto* before = reinterpret_cast<const std::byte*>(&owned.desc) + part.begin;
    const auto* now = access.data.data() + (at + part.begin - raw(access.addr));
    if (std::memcmp(before, now, part.end - part.begin) != 0)
      violation(Rule::GEN_DRV_031, [index = index] {
        return fmt::format("descriptor {} of an exposed buffer was written", index);
      });
  }
  if (overlap(queue_.device, sizes_.device, access))
    violation(Rule::SPLIT_LAY_005, [&] {
      return fmt::format("{} bytes were written at {:#x}", access.data.size(), raw(access.addr));
    });
  le16 value;
  const GuestAddr avail{queue_.driver};
  if (extract(access, raw(split::avail_flags(avail)), value)) avail_flags_seen(value);
  if (!extract(access, raw(split::avail_idx(avail)), value)) return;
  if (!driver_) driver_ = DriverView{.avail_idx = avail_idx_, .notified_idx = avail_idx_};
  if (static_cast<std::uint16_t>(value - driver_->avail_idx) > queue_.size)
    violation(Rule::SPLIT_DRV_011, [&] {
      return fmt::format("the available idx was written with {} after {}", std::uint16_t{value},
                         driver_->avail_idx);
    });
  driver_->avail_idx = value;
  driver_->must_not_notify = false;
}

/// The driver looks whether the device wants to be notified of what it made available (2.7.10.1).
void SplitTracker::driver_read(const MemoryAccess& access) {
  if (!driver_ || driver_->avail_idx == driver_->notified_idx) return;
  le16 value;
  const GuestAddr used{queue_.device};
  const bool event = has(VIRTIO_F_EVENT_IDX);
  if (!extract(access,
               event ? raw(split::avail_event(used, queue_.size)) : raw(split::used_flags(used)),
               value))
    return;
  const auto added = static_cast<std::uint16_t>(driver_->avail_idx - driver_->notified_idx);
  const bool wanted = event ? static_cast<std::uint16_t>(value - driver_->notified_idx) < added
                            : (value & split::VIRTQ_USED_F_NO_NOTIFY) == 0;
  driver_->reason = value;
  driver_->must_notify = driver_->must_notify || wanted;
  driver_->must_not_notify = !driver_->must_notify;
  if (!wanted) driver_->notified_idx = driver_->avail_idx;
}

void SplitTracker::finish() {
  if (!driver_ || !driver_->must_notify || broken_) return;
  violation(has(VIRTIO_F_EVENT_IDX) ? Rule::SPLIT_DRV_023 : Rule::SPLIT_DRV_021, [&] {
    return fmt::format("available idx {}: the driver read {} and never notified",
                       driver_->avail_idx, driver_->reason);
  });
}

} // namespace virtio::analyser
