#include <virtio/core/device.hpp>
#include <virtio/core/packed_ring.hpp>
#include <virtio/core/split_ring.hpp>
#include <virtio/platforms/driver/virtqueue.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::driver {

using split::VIRTQ_DESC_F_INDIRECT;
using split::VIRTQ_DESC_F_NEXT;
using split::VIRTQ_DESC_F_WRITE;

Virtqueue::Virtqueue(Bus& bus, DeviceAccess& device, std::uint16_t index,
                     const QueueOptions& options, const FeatureSet& negotiated, Arena& arena,
                     Interrupt* interrupt)
    : bus_(bus), device_(device), arena_(arena), interrupt_(interrupt), index_(index),
      negotiated_(negotiated), packed_(negotiated.has(VIRTIO_F_RING_PACKED)),
      event_idx_(negotiated.has(VIRTIO_F_EVENT_IDX)), in_order_(negotiated.has(VIRTIO_F_IN_ORDER)),
      notification_data_(negotiated.has(VIRTIO_F_NOTIFICATION_DATA)) {
  set_up(options);
}

void Virtqueue::set_up(const QueueOptions& options) {
  options_ = options;
  size_ = std::min(options.size, device_.max_queue_size(index_));
  if (size_ == 0)
    throw DriverError(fmt::format("{}: there is no queue {}", device_.place(), index_));
  const auto zeroed = [&](std::uint64_t bytes, std::uint64_t align) {
    const std::uint64_t at = arena_.take(bytes, align);
    const std::vector<std::byte> zeros(bytes);
    bus_.write(at, zeros);
    return at;
  };
  at_.desc = zeroed(split::desc_bytes(size_), split::desc_align);
  at_.driver = packed_ ? zeroed(packed::event_bytes, packed::event_align)
                       : zeroed(split::avail_bytes(size_), split::avail_align);
  at_.device = packed_ ? zeroed(packed::event_bytes, packed::event_align)
                       : zeroed(split::used_bytes(size_), split::used_align);
  if (!negotiated_.has(VIRTIO_F_INDIRECT_DESC)) options_.indirect_from = 0;
  // virtio 1.4, 2.7.5.3.1: a chain is not longer than the queue.
  options_.indirect_entries = std::min(options_.indirect_entries, size_);
  if (options_.indirect_from != 0)
    tables_ = arena_.take(16ull * options_.indirect_entries * size_, 16);
  free_.resize(size_);
  next_.resize(size_);
  pending_.assign(size_, {});
  order_.resize(size_);
  for (std::uint16_t i = 0; i < size_; ++i)
    free_[i] = i;
  free_count_ = free_entries_ = size_;
  free_head_ = order_head_ = order_count_ = in_flight_ = 0;
  batch_.reset();
  avail_ = used_ = 0;
  avail_wrap_ = used_wrap_ = true;
  added_ = 0;
  if (!options_.interrupts) set_interrupts(false);
  device_.enable_queue(index_, size_, at_);
}

std::vector<std::uint16_t> Virtqueue::reset() {
  if (!negotiated_.has(VIRTIO_F_RING_RESET) || !device_.reset_queue(index_))
    throw DriverError(fmt::format("{}: queue {} cannot be reset", device_.place(), index_));
  std::vector<std::uint16_t> tokens;
  for (std::uint16_t token = 0; token < size_; ++token)
    if (pending_[token].descriptors != 0) tokens.push_back(token);
  return tokens;
}

void Virtqueue::restart(const QueueOptions& options, Interrupt* interrupt) {
  interrupt_ = interrupt;
  set_up(options);
}

// --- making buffers available -------------------------------------------------------------------

std::uint16_t Virtqueue::take_free() {
  const std::uint16_t taken = free_[free_head_];
  free_head_ =
      free_head_ + 1 == size_ ? std::uint16_t{0} : static_cast<std::uint16_t>(free_head_ + 1);
  --free_entries_;
  return taken;
}

void Virtqueue::write_split(std::uint16_t slot, const Buffer& b, std::uint16_t flags,
                            std::uint16_t next) {
  split::Desc desc;
  desc.addr = b.addr;
  desc.len = b.len;
  desc.flags = static_cast<std::uint16_t>(flags | (b.device_writable ? VIRTQ_DESC_F_WRITE : 0));
  desc.next = next;
  bus_.write_object(at_.desc + 16ull * slot, desc);
}

void Virtqueue::write_packed(std::uint16_t slot, const Buffer& b, std::uint16_t id,
                             std::uint16_t flags, bool with_flags) {
  struct {
    le64 addr;
    le32 len;
    le16 id;
  } const body{b.addr, b.len, id};
  const std::uint64_t at = at_.desc + 16ull * slot;
  bus_.write_object(at, body);
  if (with_flags) bus_.store<std::uint16_t>(at + 14, flags);
}

/// Writes a chain into the token's indirect table and returns the descriptor that refers to it.
Buffer Virtqueue::fill_table(std::uint16_t token, std::span<const Buffer> chain) {
  const std::uint64_t table = tables_ + 16ull * options_.indirect_entries * token;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const bool last = i + 1 == chain.size();
    const std::uint16_t write = chain[i].device_writable ? VIRTQ_DESC_F_WRITE : std::uint16_t{0};
    if (packed_) {
      packed::Desc desc;
      desc.addr = chain[i].addr;
      desc.len = chain[i].len;
      desc.flags = write;
      bus_.write_object(table + 16 * i, desc);
    } else {
      split::Desc desc;
      desc.addr = chain[i].addr;
      desc.len = chain[i].len;
      desc.flags = static_cast<std::uint16_t>(write | (last ? 0 : VIRTQ_DESC_F_NEXT));
      desc.next = static_cast<std::uint16_t>(last ? 0 : i + 1);
      bus_.write_object(table + 16 * i, desc);
    }
  }
  return {table, static_cast<std::uint32_t>(16 * chain.size()), false};
}

std::optional<std::uint16_t> Virtqueue::add(std::span<const Buffer> chain) {
  const bool indirect = options_.indirect_from != 0 && chain.size() >= options_.indirect_from &&
                        chain.size() <= options_.indirect_entries;
  const std::size_t needed = indirect ? 1 : chain.size();
  if (chain.empty() || needed > free_count_) return std::nullopt;
  if (options_.depth != 0 && in_flight_ >= options_.depth) return std::nullopt;
  const std::uint16_t token = packed_ ? take_free() : free_[free_head_];
  Pending& pending = pending_[token];
  pending.descriptors = static_cast<std::uint16_t>(needed);
  pending.first = token;
  pending.writable = 0;
  for (const Buffer& b : chain)
    if (b.device_writable) pending.writable += b.len;
  free_count_ = static_cast<std::uint16_t>(free_count_ - needed);
  ++in_flight_;
  if (in_order_) {
    order_[(order_head_ + order_count_) % size_] = token;
    ++order_count_;
  }
  const Buffer table = indirect ? fill_table(token, chain) : Buffer{};
  const auto ring = indirect ? std::span(&table, 1) : chain;
  const std::uint16_t extra = indirect ? VIRTQ_DESC_F_INDIRECT : std::uint16_t{0};
  if (packed_)
    add_packed(ring, token, extra);
  else
    add_split(ring, token, extra);
  return token;
}

void Virtqueue::add_split(std::span<const Buffer> ring, std::uint16_t token, std::uint16_t extra) {
  std::uint16_t slot = take_free();
  for (std::size_t i = 0; i < ring.size(); ++i) {
    if (i + 1 == ring.size()) {
      write_split(slot, ring[i], extra, 0);
    } else {
      const std::uint16_t next = take_free();
      write_split(slot, ring[i], VIRTQ_DESC_F_NEXT, next);
      next_[slot] = next;
      slot = next;
    }
  }
  const GuestAddr entry = split::avail_ring(GuestAddr{at_.driver}, avail_ & (size_ - 1));
  bus_.store<std::uint16_t>(raw(entry), token);
  ++avail_;
  ++added_;
}

void Virtqueue::add_packed(std::span<const Buffer> ring, std::uint16_t token, std::uint16_t extra) {
  const std::uint16_t first = avail_;
  std::uint16_t first_flags = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    const bool last = i + 1 == ring.size();
    const auto flags = static_cast<std::uint16_t>(
        extra | (last ? 0 : VIRTQ_DESC_F_NEXT) |
        (ring[i].device_writable ? VIRTQ_DESC_F_WRITE : 0) |
        (avail_wrap_ ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED));
    if (i == 0) first_flags = flags;
    write_packed(avail_, ring[i], token, flags, i != 0);
    if (++avail_ == size_) {
      avail_ = 0;
      avail_wrap_ = !avail_wrap_;
    }
  }
  // virtio 1.4, 2.8.17: the first descriptor becomes available after all others.
  bus_.store<std::uint16_t>(at_.desc + 16ull * first + 14, first_flags);
  added_ += static_cast<std::uint32_t>(ring.size());
}

bool Virtqueue::device_wants_notification() {
  const GuestAddr device{at_.device};
  if (packed_) {
    const auto event = bus_.load<std::uint32_t>(at_.device);
    const std::uint16_t flags = packed::event_flags(event);
    if (flags != packed::RING_EVENT_FLAGS_DESC || !event_idx_)
      return flags != packed::RING_EVENT_FLAGS_DISABLE;
    // The device named a descriptor: is it among those just made available?
    const bool same_round = packed::event_wrap(event) == avail_wrap_;
    const int ago = avail_ - packed::event_offset(event) + (same_round ? 0 : size_);
    return ago > 0 && ago <= static_cast<int>(added_);
  }
  if (event_idx_) {
    const auto event = bus_.load<std::uint16_t>(raw(split::avail_event(device, size_)));
    return static_cast<std::uint16_t>(avail_ - event - 1) < added_;
  }
  return !(bus_.load<std::uint16_t>(raw(split::used_flags(device))) &
           split::VIRTQ_USED_F_NO_NOTIFY);
}

bool Virtqueue::kick() {
  const bool wanted = publish();
  if (wanted) notify();
  return wanted;
}

bool Virtqueue::publish() {
  if (!packed_) bus_.store<std::uint16_t>(raw(split::avail_idx(GuestAddr{at_.driver})), avail_);
  fence(); // virtio 1.4, 2.7.13.4.1: before the suppression is read
  const bool wanted = device_wants_notification();
  added_ = 0;
  return wanted;
}

void Virtqueue::notify() {
  std::optional<std::uint16_t> next;
  if (notification_data_)
    next = packed_ ? static_cast<std::uint16_t>(avail_ | (avail_wrap_ ? 0x8000 : 0)) : avail_;
  device_.notify(index_, next);
}

// --- taking used buffers back -------------------------------------------------------------------

void Virtqueue::set_interrupts(bool on) {
  if (packed_) {
    const auto flags = on ? packed::RING_EVENT_FLAGS_ENABLE : packed::RING_EVENT_FLAGS_DISABLE;
    bus_.store<std::uint32_t>(at_.driver, packed::event(0, false, flags));
  } else if (event_idx_) {
    // An index that was passed long ago never comes; the next one comes at once.
    const auto event = static_cast<std::uint16_t>(on ? used_ : used_ - 1);
    bus_.store<std::uint16_t>(raw(split::used_event(GuestAddr{at_.driver}, size_)), event);
  } else {
    bus_.store<std::uint16_t>(raw(split::avail_flags(GuestAddr{at_.driver})),
                              on ? std::uint16_t{0} : split::VIRTQ_AVAIL_F_NO_INTERRUPT);
  }
  options_.interrupts = on;
  fence();
}

/// The used element at the driver's position, if the device has written it.
std::optional<Virtqueue::Used> Virtqueue::peek_used() {
  if (packed_) {
    const std::uint64_t at = at_.desc + 16ull * used_;
    const auto flags = bus_.load<std::uint16_t>(at + 14);
    const bool avail = (flags & packed::VIRTQ_DESC_F_AVAIL) != 0;
    const bool used = (flags & packed::VIRTQ_DESC_F_USED) != 0;
    if (avail != used_wrap_ || used != used_wrap_) return std::nullopt;
    // Without WRITE the length is reserved (virtio 1.4, 2.8.4).
    const auto written = flags & VIRTQ_DESC_F_WRITE ? bus_.load<std::uint32_t>(at + 8) : 0;
    return Used{bus_.load<std::uint16_t>(at + 12), written};
  }
  const GuestAddr device{at_.device};
  if (bus_.load<std::uint16_t>(raw(split::used_idx(device))) == used_) return std::nullopt;
  const std::uint64_t at = raw(split::used_ring(device, used_ & (size_ - 1)));
  return Used{static_cast<std::uint16_t>(std::min(bus_.load<std::uint32_t>(at), 0xffffu)),
              bus_.load<std::uint32_t>(at + 4)};
}

void Virtqueue::give_back(const Pending& pending) {
  std::uint16_t slot = pending.first;
  const std::uint16_t entries = packed_ ? std::uint16_t{1} : pending.descriptors;
  for (std::uint16_t i = 0; i < entries; ++i) {
    free_[(free_head_ + free_entries_) % size_] = slot;
    ++free_entries_;
    slot = next_[slot];
  }
  free_count_ = static_cast<std::uint16_t>(free_count_ + pending.descriptors);
}

Virtqueue::Used Virtqueue::finish(std::uint16_t token, std::uint32_t written) {
  Pending& pending = pending_[token];
  if (packed_) {
    used_ = static_cast<std::uint16_t>(used_ + pending.descriptors);
    if (used_ >= size_) {
      used_ = static_cast<std::uint16_t>(used_ - size_);
      used_wrap_ = !used_wrap_;
    }
  } else {
    ++used_;
    // Asking to be notified means asking anew each time.
    if (event_idx_ && options_.interrupts) set_interrupts(true);
  }
  give_back(pending);
  --in_flight_;
  pending.descriptors = 0;
  return {token, written};
}

std::optional<Virtqueue::Used> Virtqueue::take_used() {
  if (!batch_) {
    batch_ = peek_used();
    if (!batch_) return std::nullopt;
    if (batch_->token >= size_ || pending_[batch_->token].descriptors == 0)
      throw DriverError(fmt::format("{}: queue {} used {}, which was not available",
                                    device_.place(), index_, batch_->token));
  }
  if (!in_order_) {
    const Used used = *batch_;
    batch_.reset();
    return finish(used.token, used.written);
  }
  // virtio 1.4, 2.7.9: the buffers before the one that is named were used completely.
  const std::uint16_t token = order_[order_head_];
  order_head_ = static_cast<std::uint16_t>((order_head_ + 1) % size_);
  --order_count_;
  const bool last = token == batch_->token;
  const auto written =
      last ? batch_->written : static_cast<std::uint32_t>(pending_[token].writable);
  if (last) batch_.reset();
  return finish(token, written);
}

void Virtqueue::check_device() {
  if (device_.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
    throw DriverError(fmt::format("{}: the device needs a reset", device_.place()));
}

Virtqueue::Used Virtqueue::wait_used(sc_core::sc_time timeout) {
  const bool sleeps = interrupt_ && options_.interrupts;
  const auto now = [] { return sc_core::sc_time_stamp(); };
  const sc_core::sc_time end = now() + timeout;
  sc_core::sc_time next_check = now() + options_.status_interval;
  for (;;) {
    const std::uint64_t seen = interrupt_ ? interrupt_->count() : 0;
    if (const auto used = take_used()) return *used;
    const sc_core::sc_time wake = std::min(end, next_check);
    if (now() < wake) {
      if (!sleeps)
        bus_.pause(std::min(options_.poll_interval, wake - now()));
      else if (interrupt_->count() == seen)
        bus_.pause(wake - now(), &interrupt_->arrived());
      continue;
    }
    check_device();
    if (now() >= end)
      throw DriverError(fmt::format("{}: queue {} used nothing within {}", device_.place(), index_,
                                    timeout.to_string()));
    next_check = now() + options_.status_interval;
  }
}

} // namespace virtio::driver
