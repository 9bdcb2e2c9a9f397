// From a completed chain to its used element, and the interrupt about it.
#include <virtio/core/timed_ring_state.hpp>

#include <algorithm>

namespace virtio {

// --- completions --------------------------------------------------------------------------------

void TimedRingEngine::complete(Chain& chain, std::uint32_t written, CompletionHints hints) {
  Queue& q = at(chain.queue);
  if (q.scope.cancelled() || !q.on) return; // the reset takes the chain back
  q.completions.add(chain, written, hints);
  start_write_back(q);
}

void TimedRingEngine::start_write_back(Queue& q) {
  if (q.writing_back || q.used_failed || !q.on) return;
  const std::size_t ready = q.completions.publishable();
  const bool tells = q.hold.overdue(executor_.now());
  if (ready == 0 && !tells) return;
  if (!tells && params_.used_timeout != 0 && ready < params_.used_batch && !q.flush_due) {
    if (!q.flush.queued())
      executor_.post_at(q.flush, executor_.now() + cycles(params_.used_timeout));
    return;
  }
  q.flush.cancel();
  q.flush_due = false;
  q.writing_back = true;
  q.scope.start([&] { return write_back(q); });
}

Task<> TimedRingEngine::write_back(Queue& q) {
  do {
    const std::size_t ready = q.completions.publishable();
    DmaStatus status = DmaStatus::ok;
    RingError error = RingError::used_unwritable;
    std::uint32_t advanced = 0;
    if (ready > 0) {
      const std::uint64_t cost =
          ready * (std::uint64_t{params_.completion_cycles} + params_.used_cycles);
      const bool elapsed = co_await work(q, write_back_stage_, cost);
      if (!elapsed) break;
      ++stats_.write_backs;
      advanced = q.packed ? compose_packed(q, ready) : compose_split(q, ready);
    }
    if (ready == 0) {
      // Only the notification of what was written before is due.
    } else if (q.packed) {
      // 2.8.9: the first of a group is marked used after the rest.
      const std::span<const Piece> rest(q.used_pieces);
      if (rest.size() > 1)
        status = co_await dma(q).scatter(rest[1], rest.subspan(2), q.used_bytes.data() + 8,
                                         AccessKind::used);
      if (status == DmaStatus::ok)
        status = co_await dma(q).write(rest[0].addr, q.used_bytes.data(), 8, AccessKind::used);
    } else {
      const std::span<const Piece> all(q.used_pieces);
      status =
          co_await dma(q).scatter(all[0], all.subspan(1), q.used_bytes.data(), AccessKind::used);
      if (status == DmaStatus::ok) {
        // virtio 1.4, 2.7.8.2: the elements MUST be written before the index.
        const OrderedInt<std::uint16_t> idx{q.next_used.index};
        status = co_await dma(q).store(split::used_idx(q.setup.device), idx, AccessKind::used);
      }
    }
    if (status == DmaStatus::ok) {
      if (ready > 0) retire(q, ready, advanced);
      if (params_.event_policy == EventPolicy::when_idle && q.completions.publishable() != 0)
        continue;
      if (!q.hold.due(executor_.now())) continue;
      q.hold.told();
      q.notify.cancel();
      fence();
      // virtio 1.4, 2.7.7.2 and 2.8.10: what the driver asked for is read after what it waits for
      // was written.
      error = RingError::ring_unreadable;
      const GuestAddr event = !q.packed && q.event_idx
                                  ? split::used_event(q.setup.driver, q.setup.size)
                                  : q.setup.driver;
      const RingIndex before = std::exchange(q.signalled, q.next_used);
      const std::uint32_t passed = std::exchange(q.unsignalled, 0);
      const std::uint32_t chains = std::exchange(q.unsignalled_chains, 0);
      std::uint32_t value = 0;
      status = co_await dma(q).read(event, &value, q.packed ? 4 : 2, AccessKind::driver_event);
      if (status == DmaStatus::ok) {
        const bool wanted =
            q.packed ? packed_wants_interrupt(value, before, passed, q.setup.size, q.event_idx)
                     : split_wants_interrupt(static_cast<std::uint16_t>(value), before, passed,
                                             q.event_idx);
        const bool decided = co_await work(q, write_back_stage_, params_.event_cycles);
        if (!decided) break;
        if (wanted) interrupt(q, chains);
      }
    }
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, error);
      break;
    }
  } while (q.on && q.completions.publishable() != 0 &&
           (params_.used_timeout == 0 || q.completions.publishable() >= params_.used_batch));
  q.writing_back = false;
  start_write_back(q);
}

/// Used elements for the first `ready` completions, contiguous ones in one piece; returns how many
/// ring entries they take.
std::uint32_t TimedRingEngine::compose_split(Queue& q, std::size_t ready) {
  q.used_bytes.clear();
  q.used_pieces.clear();
  std::uint32_t advanced = 0;
  for (std::size_t i = 0; i < ready;) {
    const std::size_t run = q.completions.run_length(i, ready);
    const auto& last = q.completions[i + run - 1];
    const split::UsedElem elem{last.chain->head, last.written};
    const auto* bytes = reinterpret_cast<const std::byte*>(&elem);
    q.used_bytes.insert(q.used_bytes.end(), bytes, bytes + sizeof elem);
    const GuestAddr to = split::used_ring(
        q.setup.device, static_cast<std::uint16_t>(q.next_used.index & (q.setup.size - 1)));
    if (!q.used_pieces.empty() &&
        raw(q.used_pieces.back().addr) + q.used_pieces.back().len == raw(to))
      q.used_pieces.back().len += sizeof elem;
    else
      q.used_pieces.push_back({to, sizeof elem});
    q.next_used.index = static_cast<std::uint16_t>(q.next_used.index + run);
    advanced += static_cast<std::uint32_t>(run);
    i += run;
  }
  return advanced;
}

/// Used descriptors for the first `ready` completions; returns how many descriptors they take.
std::uint32_t TimedRingEngine::compose_packed(Queue& q, std::size_t ready) {
  q.used_bytes.clear();
  q.used_pieces.clear();
  std::uint32_t advanced = 0;
  for (std::size_t i = 0; i < ready;) {
    const std::size_t run = q.completions.run_length(i, ready);
    const auto& last = q.completions[i + run - 1];
    packed::Used used;
    used.len = last.written;
    used.id = last.chain->head;
    used.flags = static_cast<std::uint16_t>(packed::used_flags(q.next_used.wrap) |
                                            (last.written ? VIRTQ_DESC_F_WRITE : 0));
    std::array<std::byte, sizeof used> bytes;
    used.store(bytes.data());
    q.used_bytes.insert(q.used_bytes.end(), bytes.begin(), bytes.end());
    q.used_pieces.push_back({packed::used(q.setup.desc, q.next_used.index), sizeof used});
    std::uint32_t slots = 0;
    for (std::size_t k = i; k < i + run; ++k)
      slots += q.completions[k].chain->slots;
    q.next_used = advance(q.next_used, slots, q.setup.size);
    advanced += slots;
    i += run;
  }
  return advanced;
}

/// `ready` completions are with the driver.
void TimedRingEngine::retire(Queue& q, std::size_t ready, std::uint32_t advanced) {
  for (std::size_t i = 0; i < ready; ++i) {
    client_.on_published(q.index, q.completions[i].chain->id);
    q.free_chains.push_back(q.completions[i].chain);
  }
  const SimTime now = executor_.now();
  q.hold.add(q.completions.packets(ready), now);
  if (q.hold.hold(now) && !q.notify.queued()) executor_.post_at(q.notify, q.hold.until());
  q.completions.retire(ready);
  q.outstanding -= static_cast<std::uint32_t>(ready);
  q.unsignalled += advanced;
  q.unsignalled_chains += static_cast<std::uint32_t>(ready);
}

// --- interrupts ---------------------------------------------------------------------------------

void TimedRingEngine::interrupt(Queue& q, std::uint32_t chains) {
  q.held_chains += chains;
  if (params_.interrupt_timeout == 0 || q.held_chains >= params_.interrupt_chains)
    fire_interrupt(q);
  else if (!q.interrupt.queued())
    executor_.post_at(q.interrupt, executor_.now() + cycles(params_.interrupt_timeout));
}

void TimedRingEngine::fire_interrupt(Queue& q) {
  q.interrupt.cancel();
  q.held_chains = 0;
  ++stats_.interrupts;
  client_.on_interrupt(q.index);
}

} // namespace virtio
