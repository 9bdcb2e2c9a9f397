// From the ring to a chain: available entries, descriptors and their tables.
#include <virtio/core/timed_ring_state.hpp>

#include <algorithm>
#include <bit>

namespace virtio {

// --- split: available entries, then descriptors -------------------------------------------------

TimedRingEngine::Slot& TimedRingEngine::new_slot(Queue& q) {
  if (free_slots_.empty()) free_slots_.push_back(&slots_.emplace_back());
  Slot& slot = *free_slots_.back();
  free_slots_.pop_back();
  if (q.free_chains.empty())
    q.free_chains.push_back(q.chains.emplace_back(std::make_unique<Chain>()).get());
  Chain& chain = *q.free_chains.back();
  q.free_chains.pop_back();
  chain.queue = q.index;
  chain.id = q.next_chain_id++;
  chain.pieces.clear();
  chain.readable_pieces = 0;
  chain.readable_len = chain.writable_len = 0;
  chain.slots = 1;
  chain.tag = 0;
  slot.chain = &chain;
  slot.done = false;
  slot.error = RingError::none;
  slot.status = DmaStatus::ok;
  q.walks.push_back(&slot);
  q.armed = false;
  ++q.reserved;
  ++chains_in_flight_;
  return slot;
}

TimedRingEngine::Batch& TimedRingEngine::take_batch(std::size_t bytes) {
  if (free_batches_.empty()) free_batches_.push_back(&batches_.emplace_back());
  Batch& batch = *free_batches_.back();
  free_batches_.pop_back();
  batch.taken = 0;
  batch.order = ++order_;
  batch.done = batch.stale = false;
  batch.bytes.resize(bytes);
  return batch;
}

// Reads `count` available entries, known to be there, in as many reads as the ring's end and the
// batch size ask for.
void TimedRingEngine::read_available(Queue& q, std::uint32_t count) {
  while (count > 0 && q.on && !q.halted) {
    const auto at = static_cast<std::uint16_t>(q.next_fetch.index & (q.setup.size - 1));
    const std::uint32_t n =
        std::min({count, std::uint32_t{params_.available_batch}, std::uint32_t{q.setup.size} - at});
    Batch& batch = take_batch(2 * n);
    batch.first = at;
    batch.count = static_cast<std::uint16_t>(n);
    for (std::uint32_t i = 0; i < n; ++i)
      batch.slots.push_back(&new_slot(q));
    q.next_fetch.index = static_cast<std::uint16_t>(q.next_fetch.index + n);
    q.available_reads = static_cast<std::uint16_t>(q.available_reads + n);
    count -= n;
    q.scope.start([&] { return available_batch(q, batch); });
  }
}

Task<> TimedRingEngine::available_batch(Queue& q, Batch& batch) {
  const DmaStatus status =
      co_await dma(q).read(split::avail_ring(q.setup.driver, batch.first), batch.bytes.data(),
                           2u * batch.count, AccessKind::available);
  bool live = status != DmaStatus::cancelled;
  if (live)
    live = co_await work(q, visit_stage_, std::uint64_t{params_.available_cycles} * batch.count);
  q.available_reads = static_cast<std::uint16_t>(q.available_reads - batch.count);
  const Table table{q.setup.desc, q.setup.size, params_.descriptor_batch, false};
  for (std::uint16_t i = 0; i < batch.count && live; ++i) {
    Slot& slot = *batch.slots[i];
    std::uint16_t head = 0;
    std::memcpy(&head, &batch.bytes[2u * i], 2);
    slot.status = status;
    if (status != DmaStatus::ok)
      slot.error = RingError::ring_unreadable;
    else if (head >= q.setup.size)
      slot.error = RingError::head_out_of_range;
    slot.done = slot.error != RingError::none;
    slot.chain->head = head;
    if (slot.done || q.halted) continue;
    client_.on_available(q.index, slot.chain->id);
    q.scope.start([&] { return walk(q, slot, table, head); });
    live = !q.scope.cancelled();
  }
  batch.slots.clear();
  free_batches_.push_back(&batch);
  if (live) drain(q);
}

// Walks one chain's descriptors from `at` on, over at most two tables: the ring's own (split) and
// an indirect one (virtio 1.4, 2.7.5.3 and 2.8.7). Descriptors are read several at a time; those
// that the chain does not go through are dropped.
Task<> TimedRingEngine::walk(Queue& q, Slot& slot, Table table, std::uint32_t at) {
  const Dma memory = dma(q);
  Chain& chain = *slot.chain;
  std::uint32_t first = 0;
  std::uint32_t have = 0; // entries of the table in slot.window, from `first` on
  std::uint32_t count = 0;
  for (;;) {
    // 2.7.5.3.1, 2.8.17: not longer than the queue, its indirect part included; so a loop ends.
    if (count == q.setup.size) {
      slot.error = RingError::chain_too_long;
      break;
    }
    if (at < first || at - first >= have) {
      first = at;
      have = std::min<std::uint32_t>(table.batch, table.entries - at);
      slot.status =
          co_await memory.read(table.addr + 16ull * at, slot.window.data(), 16 * have,
                               table.indirect ? AccessKind::indirect : AccessKind::descriptor);
      if (slot.status == DmaStatus::cancelled) co_return;
      if (slot.status != DmaStatus::ok) {
        slot.error = RingError::descriptor_unreadable;
        break;
      }
    }
    const split::Desc& desc = slot.window[at - first];
    Fetched d = q.packed ? fetched(std::bit_cast<packed::Desc>(desc)) : fetched(desc);
    if (q.packed) d.flags &= VIRTQ_DESC_F_WRITE; // 2.8.7: the others are reserved and ignored
    if (d.flags & VIRTQ_DESC_F_INDIRECT) {
      slot.error = table.indirect ? RingError::nested_indirect : indirect_error(q, d);
      if (slot.error == RingError::none) slot.error = enter(table, d);
      if (slot.error != RingError::none) break;
      at = have = 0;
      continue;
    }
    slot.error = append(chain, d);
    if (slot.error != RingError::none) break;
    ++count;
    if (q.packed) {
      if (++at == table.entries) break;
      continue;
    }
    if (!(d.flags & VIRTQ_DESC_F_NEXT)) break;
    if (d.next_or_id >= table.entries) {
      slot.error = RingError::next_out_of_range;
      break;
    }
    at = d.next_or_id;
  }
  const std::uint64_t cost = std::uint64_t{params_.descriptor_cycles} * count + params_.emit_cycles;
  const bool elapsed = co_await work(q, walk_stage_, cost);
  if (!elapsed) co_return;
  slot.done = true;
  drain(q);
}

// Split: direct descriptors, then one indirect (2.7.5.3.2); packed: never mixed in a list (2.8.7).
RingError TimedRingEngine::indirect_error(const Queue& q, const Fetched& d) {
  if (!q.indirect) return RingError::indirect_not_negotiated;
  const bool mixed = q.packed && q.partial_count > 1;
  return (d.flags & VIRTQ_DESC_F_NEXT) || mixed ? RingError::indirect_with_next : RingError::none;
}

RingError TimedRingEngine::enter(Table& table, const Fetched& d) const {
  if (d.len == 0 || d.len % 16 != 0) return RingError::bad_indirect_table;
  if (!fits(d.addr, d.len)) return RingError::address_wraps;
  table = {d.addr, d.len / 16, params_.indirect_batch, true};
  return RingError::none;
}

// --- packed: descriptors that prove themselves --------------------------------------------------

void TimedRingEngine::read_descriptors(Queue& q) {
  const std::uint32_t n = std::min({std::uint32_t{params_.descriptor_batch}, room_ahead(q),
                                    std::uint32_t{q.setup.size} - q.next_issue.index});
  Batch& batch = take_batch(16 * n);
  batch.first = q.next_issue.index;
  batch.count = static_cast<std::uint16_t>(n);
  q.next_issue = advance(q.next_issue, n, q.setup.size);
  q.batches.push_back(&batch);
  q.scope.start([&] { return descriptor_batch(q, batch); });
}

Task<> TimedRingEngine::descriptor_batch(Queue& q, Batch& batch) {
  batch.status = co_await dma(q).read(packed::desc(q.setup.desc, batch.first), batch.bytes.data(),
                                      16u * batch.count, AccessKind::descriptor);
  batch.done = true;
  if (batch.stale)
    free_batches_.push_back(&batch);
  else if (batch.status != DmaStatus::cancelled)
    take_descriptors(q);
}

/// Forgets what was read beyond next_fetch: it will be read again.
void TimedRingEngine::drop_batches(Queue& q) {
  for (Batch* batch : q.batches) {
    if (batch->done)
      free_batches_.push_back(batch);
    else
      batch->stale = true;
  }
  q.batches.clear();
  q.head_batch = nullptr;
  q.next_issue = q.next_fetch;
  q.ahead = false;
}

// Takes descriptors in ring order out of the reads that have ended. After the first one that is
// not available everything read beyond it is dropped.
void TimedRingEngine::take_descriptors(Queue& q) {
  if (std::exchange(q.taking, true)) return;
  bool go_on = true;
  while (go_on && q.on && !q.halted && !q.batches.empty() && q.batches.front()->done) {
    Batch& batch = *q.batches.front();
    if (batch.status != DmaStatus::ok) {
      end_partial(q, RingError::descriptor_unreadable, batch.status);
      break;
    }
    while (go_on && batch.taken < batch.count)
      go_on = take_descriptor(q, batch);
    if (!go_on) break;
    q.ahead = true;
    q.batches.erase(q.batches.begin());
    free_batches_.push_back(&batch);
  }
  q.taking = false;
  if (q.partial && q.batches.empty() && q.on && !q.halted) read_descriptors(q);
  drain(q);
}

/// The next descriptor of the ring. False when the rest of what was read cannot be used now.
bool TimedRingEngine::take_descriptor(Queue& q, Batch& batch) {
  packed::Desc desc;
  std::memcpy(static_cast<void*>(&desc), &batch.bytes[16u * batch.taken], sizeof desc);
  const bool available = packed::available(desc.flags, q.next_fetch.wrap);
  if (!q.partial) {
    if (!available) {
      drop_batches(q);
      q.more = false;
      return false;
    }
    q.stalled = q.credits <= q.walks.size() || chains_in_flight_ >= params_.chains_in_flight;
    if (q.stalled) return false;
    q.partial = &new_slot(q);
    q.partial_count = 0;
    q.head_batch = &batch;
    q.head_order = ++order_;
    client_.on_available(q.index, q.partial->chain->id);
  } else if (&batch != q.head_batch && batch.order < q.head_order) {
    // Read before the head was known to be available: the driver may have been writing it.
    drop_batches(q);
    return false;
  } else if (!available) {
    end_partial(q, RingError::chain_not_available, DmaStatus::ok);
    return false;
  }
  ++batch.taken;
  ++q.partial_count;
  q.next_fetch = advance(q.next_fetch, 1, q.setup.size);
  Slot& slot = *q.partial;
  const Fetched d = fetched(desc);
  const bool indirect = (d.flags & VIRTQ_DESC_F_INDIRECT) != 0;
  Table table;
  RingError error = indirect ? indirect_error(q, d) : append(*slot.chain, d);
  if (indirect && error == RingError::none) error = enter(table, d);
  const bool goes_on = (d.flags & VIRTQ_DESC_F_NEXT) != 0;
  // 2.8.17: a chain is not longer than the queue.
  if (error == RingError::none && goes_on && q.partial_count == q.setup.size)
    error = RingError::chain_too_long;
  if (error != RingError::none) {
    end_partial(q, error, DmaStatus::ok);
    return false;
  }
  if (goes_on) return true;
  slot.chain->head = d.next_or_id; // the list's last descriptor names the buffer (2.8.6)
  slot.chain->slots = q.partial_count;
  q.partial = nullptr;
  if (indirect)
    q.scope.start([&] { return walk(q, slot, table, 0); });
  else
    q.scope.start([&] { return settle(q, slot, slot.chain->slots); });
  return !q.scope.cancelled();
}

void TimedRingEngine::end_partial(Queue& q, RingError error, DmaStatus status) {
  Slot& slot = q.partial ? *q.partial : new_slot(q);
  q.partial = nullptr;
  slot.error = error;
  slot.status = status;
  slot.done = true;
  q.more = false;
  drop_batches(q);
}

Task<> TimedRingEngine::settle(Queue& q, Slot& slot, std::uint32_t descriptors) {
  const bool elapsed = co_await work(
      q, walk_stage_, std::uint64_t{params_.descriptor_cycles} * descriptors + params_.emit_cycles);
  if (!elapsed) co_return;
  slot.done = true;
  drain(q);
}

} // namespace virtio
