#include <virtio/analyser/packed_tracker.hpp>
#include <virtio/analyser/queue_tracker.hpp>
#include <virtio/analyser/split_tracker.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::analyser {
namespace {

constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2; // in both formats
/// How many pieces one access is compared with; more overlap it only in contrived rings.
constexpr unsigned max_pieces_searched = 256;

} // namespace

std::unique_ptr<QueueTracker> QueueTracker::make(const LiveQueue& queue, std::size_t max_pieces,
                                                 Report& report) {
  if (queue.features.has(VIRTIO_F_RING_PACKED))
    return std::make_unique<PackedTracker>(queue, max_pieces, report);
  return std::make_unique<SplitTracker>(queue, max_pieces, report);
}

QueueTracker::QueueTracker(const LiveQueue& queue, const FormatRules& rules, const AreaSizes& sizes,
                           std::size_t max_pieces, Report& report)
    : queue_(queue), sizes_(sizes), rules_(rules), cache_(queue.size), report_(report),
      max_pieces_(max_pieces), table_cache_(max_pieces) {}

bool QueueTracker::sees_everything() const {
  return !broken_ && !pieces_left_out_ && !table_cache_.overflowed() && tables_.empty() &&
         std::ranges::all_of(buffers_, [](const auto& b) { return b.second.complete; });
}

// --- accesses of the device
// ------------------------------------------------------------------------

bool QueueTracker::device_access(const MemoryAccess& access) {
  ++access_number_;
  const bool in_area = overlap(queue_.desc, sizes_.desc, access) ||
                       overlap(queue_.driver, sizes_.driver, access) ||
                       overlap(queue_.device, sizes_.device, access);
  if (in_area) {
    if (access.write)
      area_written(access);
    else
      area_read(access);
  }
  const bool in_data = data_access(access);
  if (!broken_ && !access.write && !tables_.empty()) {
    read_tables(access);
    walk_tables();
  }
  return in_area || in_data;
}

/// True when the access lies, at least in part, in a buffer or an indirect table.
bool QueueTracker::data_access(const MemoryAccess& access) {
  const std::uint64_t first = raw(access.addr);
  const std::uint64_t last = first + (access.data.size() - 1);
  bool found = false;
  bool may_be_written = false;
  std::optional<PieceKind> forbidden;
  std::uint64_t forbidden_at = 0;
  unsigned searched = 0;
  for (auto piece = pieces_.upper_bound(last); piece != pieces_.begin();) {
    --piece;
    const auto& [addr, p] = *piece;
    if (first - addr >= longest_piece_ && addr <= first) break;
    if (++searched > max_pieces_searched) {
      pieces_left_out_ = true; // written lengths are no longer known
      may_be_written = true;
      break;
    }
    const Overlap part = overlap(addr, p.len, access);
    if (!part) continue;
    found = true;
    if (listener_ && access.write == (p.kind == PieceKind::writable))
      show_data(p, part, addr, access);
    if (!access.write) continue;
    if (p.kind == PieceKind::writable) {
      may_be_written = true;
      if (const auto b = buffers_.find(p.buffer); b != buffers_.end())
        b->second.written += part.end - part.begin;
    } else if (!forbidden) {
      forbidden = p.kind;
      forbidden_at = addr;
    }
  }
  // What one driver's buffers share is that driver's affair: a piece that may be written excuses.
  if (forbidden && !may_be_written)
    violation(*forbidden == PieceKind::table ? rules_.table_written : rules_.readable_written, [&] {
      return fmt::format(
          "{} bytes were written at {:#x}, in {} at {:#x}", access.data.size(), first,
          *forbidden == PieceKind::table ? "the indirect table" : "the device-readable element",
          forbidden_at);
    });
  return found;
}

void QueueTracker::show_data(const Piece& piece, const Overlap& part, std::uint64_t addr,
                             const MemoryAccess& access) {
  if (piece.kind == PieceKind::table) return;
  listener_->data(queue_.index, piece.buffer, access.write, piece.offset + part.begin,
                  access.data.subspan(addr + part.begin - raw(access.addr), part.end - part.begin));
}

// --- buffers
// -----------------------------------------------------------------------------------------

QueueTracker::Buffer& QueueTracker::expose() {
  const std::uint64_t number = next_number_++;
  Buffer& buffer = buffers_[number];
  buffer.number = number;
  if (listener_) listener_->available(queue_.index, number);
  return buffer;
}

void QueueTracker::buffer_completed(Buffer& buffer) {
  buffer.complete = true;
  if (listener_)
    listener_->complete(queue_.index, buffer.number, buffer.readable_len, buffer.writable_len);
}

void QueueTracker::set_key(Buffer& buffer, std::uint16_t key) {
  buffer.key = key;
  buffer.keyed = true;
  by_key_.try_emplace(key, buffer.number); // of two with one key, the older is used first
  skipped_.erase(key);
}

QueueTracker::Buffer* QueueTracker::find_key(std::uint16_t key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  return &buffers_.at(found->second);
}

void QueueTracker::remember_piece(Buffer& buffer, std::uint64_t addr, std::uint64_t len,
                                  PieceKind kind, std::uint64_t offset) {
  if (len == 0) return;
  if (pieces_.size() >= max_pieces_) {
    pieces_left_out_ = true;
    return;
  }
  longest_piece_ = std::max(longest_piece_, len);
  buffer.pieces.push_back(pieces_.emplace(addr, Piece{len, kind, buffer.number, offset}));
}

void QueueTracker::append(Buffer& buffer, const Desc& desc) {
  ++buffer.elements;
  const bool writable = (desc.flags & VIRTQ_DESC_F_WRITE) != 0;
  if (!writable && buffer.writable_len != 0)
    violation(rules_.writable_first, [&] {
      return fmt::format("element {} at {:#x} is device-readable and follows {} device-writable "
                         "bytes",
                         buffer.elements - 1, desc.addr, buffer.writable_len);
    });
  std::uint64_t& len = writable ? buffer.writable_len : buffer.readable_len;
  remember_piece(buffer, desc.addr, desc.len, writable ? PieceKind::writable : PieceKind::readable,
                 len);
  len += desc.len;
}

bool QueueTracker::open_table(Buffer& buffer, const Desc& desc) {
  if (!has(VIRTIO_F_INDIRECT_DESC)) {
    violation(rules_.indirect_not_negotiated, [&] {
      return fmt::format("flags {:#06x}, and VIRTIO_F_INDIRECT_DESC was not negotiated",
                         desc.flags);
    });
    return false;
  }
  if (desc.len == 0 || desc.len % DescriptorCache::descriptor_bytes != 0) {
    violation(rules_.bad_table, [&] {
      return fmt::format("the indirect table at {:#x} has {} bytes", desc.addr, desc.len);
    });
    return false;
  }
  remember_piece(buffer, desc.addr, desc.len, PieceKind::table, 0);
  tables_.push_back({.buffer = buffer.number,
                     .addr = desc.addr,
                     .entries = desc.len / 16,
                     .opened = access_number_});
  return true;
}

void QueueTracker::close_table_of(std::uint64_t buffer) {
  std::erase_if(tables_, [&](const OpenTable& table) { return table.buffer == buffer; });
}

void QueueTracker::read_tables(const MemoryAccess& access) {
  for (const OpenTable& table : tables_)
    if (access_number_ > table.opened)
      table_cache_.take(table.addr, table.entries, access, access_number_, [](auto&&...) {});
}

void QueueTracker::walk_tables() {
  for (auto table = tables_.begin(); table != tables_.end();) {
    Buffer& buffer = buffers_.at(table->buffer);
    Step step = Step::more;
    while (step == Step::more) {
      const std::uint64_t address = table->addr + 16ull * table->at;
      const auto* entry = table_cache_.find(address);
      if (!entry || !entry->complete() || entry->number <= table->opened) break;
      ++table->seen;
      const Desc desc = decode(entry->bytes);
      step = table_step(buffer, *table, desc);
    }
    if (step == Step::more) {
      ++table;
      continue;
    }
    buffer_completed(buffer);
    table = tables_.erase(table);
    if (step == Step::broken) {
      give_up();
      return;
    }
  }
}

// --- used buffers
// --------------------------------------------------------------------------------------

void QueueTracker::check_length(const Buffer& buffer, std::uint64_t written_len) {
  if (!buffer.complete || broken_ || pieces_left_out_) return;
  if (written_len > buffer.writable_len)
    violation(rules_.length, [&] {
      return fmt::format("id {}: used length {}, the buffer has {} device-writable bytes",
                         buffer.key, written_len, buffer.writable_len);
    });
  else if (written_len > buffer.written)
    violation(rules_.length, [&] {
      return fmt::format("id {}: used length {}, {} bytes of the buffer were written", buffer.key,
                         written_len, buffer.written);
    });
}

void QueueTracker::release(std::map<std::uint64_t, Buffer>::iterator found) {
  Buffer& buffer = found->second;
  if (listener_) listener_->used(queue_.index, buffer.number);
  forget(buffer);
  close_table_of(buffer.number);
  for (const auto& piece : buffer.pieces) {
    if (piece->second.kind == PieceKind::table) table_cache_.erase(piece->first, piece->second.len);
    pieces_.erase(piece);
  }
  if (pieces_.empty()) longest_piece_ = 0;
  if (const auto key = by_key_.find(buffer.key);
      buffer.keyed && key != by_key_.end() && key->second == buffer.number)
    by_key_.erase(key);
  buffers_.erase(found);
}

QueueTracker::Returned QueueTracker::take_back(std::uint16_t key, std::uint64_t written_len) {
  const auto known = by_key_.find(key);
  if (known == by_key_.end()) {
    // The device may have read entries in a way that did not prove them, and be right.
    const bool unsure =
        broken_ || std::ranges::any_of(buffers_, [](const auto& b) { return !b.second.keyed; });
    if (skipped_.contains(key))
      violation(Rule::GEN_DEV_028, [&] {
        return fmt::format("id {} is used after a buffer that was made available later", key);
      });
    else if (!unsure)
      violation(rules_.not_exposed, [&] {
        return fmt::format("used id {}; {} buffers are exposed, none with this id", key,
                           buffers_.size());
      });
    return {};
  }
  const auto last = buffers_.find(known->second);
  check_length(last->second, written_len);
  Returned returned;
  if (has(VIRTIO_F_IN_ORDER)) {
    skipped_.clear();
    while (buffers_.begin() != last) {
      const Buffer& skipped = buffers_.begin()->second;
      if (skipped.keyed) skipped_.insert(skipped.key);
      ++returned.buffers;
      returned.slots += skipped.slots;
      release(buffers_.begin());
    }
    skipped_.erase(key);
  }
  ++returned.buffers;
  returned.slots += last->second.slots;
  release(last);
  return returned;
}

} // namespace virtio::analyser
