#include <virtio/core/model_ring_engine.hpp>
#include <virtio/core/ring_walk.hpp>

#include <algorithm>
#include <bit>
#include <utility>

namespace virtio {

const char* to_string(RingError error) {
  switch (error) {
#define RING_ERROR(name, code, text)                                                               \
  case RingError::name:                                                                            \
    return text;
#include <virtio/core/ring_errors.def>
#undef RING_ERROR
  }
  return "?";
}

ModelRingEngine::Queue::Queue(ModelRingEngine& engine, QueueIndex i)
    : index(i), scope(engine.executor_, engine.name_ + " queue " + std::to_string(raw(i))) {
  notify.queue = this;
  notify.engine = &engine;
  notify.call = [](Wake& wake) {
    auto& timer = static_cast<Timer&>(wake);
    timer.engine->start_write_back(*timer.queue);
  };
}

ModelRingEngine::ModelRingEngine(std::string name, Executor& executor, DmaPort& port,
                                 std::uint16_t num_queues, RingEngineClient& client)
    : name_(std::move(name)), executor_(executor), port_(port), client_(client) {
  queues_.reserve(num_queues);
  for (std::uint16_t i = 0; i < num_queues; ++i)
    queues_.push_back(std::make_unique<Queue>(*this, QueueIndex{i}));
}

// --- commands -----------------------------------------------------------------------------------

Dma ModelRingEngine::dma(QueueIndex queue) {
  return dma(at(queue));
}
bool ModelRingEngine::enabled(QueueIndex queue) const {
  return at(queue).on;
}

QueueProgress ModelRingEngine::progress(QueueIndex queue) const {
  const Queue& q = at(queue);
  return {q.next_avail, q.next_used, q.outstanding};
}

RingError ModelRingEngine::enable(QueueIndex queue, const QueueSetup& setup) {
  if (const RingError error = check_setup(setup); error != RingError::none) return error;
  Queue& q = at(queue);
  q.setup = setup;
  q.packed = setup.features.has(VIRTIO_F_RING_PACKED);
  q.event_idx = setup.features.has(VIRTIO_F_EVENT_IDX);
  q.indirect = setup.features.has(VIRTIO_F_INDIRECT_DESC);
  q.next_avail = setup.start_avail;
  q.next_used = q.signalled = setup.start_used;
  q.unsignalled = 0;
  q.seen_avail = setup.start_avail.index;
  q.next_chain_id = 0;
  q.completions.restart(setup.features.has(VIRTIO_F_IN_ORDER));
  q.credits = 0;
  q.doorbell = q.maybe_more = q.armed = false;
  q.halted = q.used_failed = q.failed = false;
  q.on = true;
  return RingError::none;
}

void ModelRingEngine::reset(QueueIndex queue, std::function<void()> done) {
  Queue& q = at(queue);
  q.on = false;
  q.hold.told();
  q.notify.cancel();
  q.scope.cancel();
  q.scope.when_idle([&q, done = std::move(done)] {
    q.completions.restart(false);
    q.free_chains.clear();
    for (Chain& chain : q.chains)
      q.free_chains.push_back(&chain);
    q.outstanding = 0;
    q.fetching = q.emitting = q.writing_back = false;
    q.scope.reopen();
    done();
  });
}

void ModelRingEngine::orphan(QueueIndex queue) {
  at(queue).scope.orphan();
}

bool ModelRingEngine::coalesce(QueueIndex queue, const NotificationCoalescing& how) {
  Queue& q = at(queue);
  q.hold.set(how);
  q.notify.cancel();
  const SimTime now = executor_.now();
  if (q.hold.hold(now)) executor_.post_at(q.notify, q.hold.until());
  if (q.on) start_write_back(q);
  return true;
}

// The notification data (virtio 1.4, 2.9) is a hint: the ring itself is read in any case.
void ModelRingEngine::doorbell(QueueIndex queue, std::optional<NotificationData>) {
  Queue& q = at(queue);
  q.doorbell = true;
  wake_fetch(q);
}

void ModelRingEngine::credit(QueueIndex queue, std::uint32_t count) {
  Queue& q = at(queue);
  q.credits += count;
  wake_fetch(q);
}

void ModelRingEngine::fail(Queue& q, DmaStatus status, RingError error) {
  if (status == DmaStatus::cancelled || q.scope.cancelled()) return;
  q.halted = true;
  if (!std::exchange(q.failed, true)) client_.on_ring_error(q.index, error);
}

// --- fetching chains ----------------------------------------------------------------------------

void ModelRingEngine::wake_fetch(Queue& q) {
  if (!q.on || q.halted || q.fetching || q.credits == 0) return;
  // Without credit the ring was left unarmed: what came since came without a notification.
  if (!q.doorbell && !q.maybe_more && (!q.event_idx || q.armed)) return;
  q.fetching = true;
  q.scope.start([&] { return fetch(q); });
}

Chain& ModelRingEngine::take_chain(Queue& q) {
  if (q.free_chains.empty()) q.free_chains.push_back(&q.chains.emplace_back());
  Chain& chain = *q.free_chains.back();
  q.free_chains.pop_back();
  chain.queue = q.index;
  chain.pieces.clear();
  chain.readable_pieces = 0;
  chain.readable_len = chain.writable_len = 0;
  chain.slots = 1;
  chain.tag = 0;
  return chain;
}

// Walks an indirect table (virtio 1.4, 2.7.5.3 and 2.8.7): split tables are linked by `next`,
// packed ones are used from the first entry to the last. `direct` descriptors of the chain came
// before.
Task<ModelRingEngine::Walked> ModelRingEngine::walk_indirect(Queue& q, Chain& chain, Piece table,
                                                             std::uint32_t direct) {
  if (table.len == 0 || table.len % 16 != 0) co_return Walked{RingError::bad_indirect_table};
  if (!fits(table.addr, table.len)) co_return Walked{RingError::address_wraps};
  const Dma memory = dma(q);
  const std::uint32_t entries = table.len / 16;
  std::uint32_t at = 0;
  for (std::uint32_t count = direct;; ++count) {
    // 2.7.5.3.1, 2.8.17: a chain is not longer than the queue, its indirect part included.
    if (count == q.setup.size) co_return Walked{RingError::chain_too_long};
    split::Desc desc;
    const DmaStatus status =
        co_await memory.read(table.addr + 16ull * at, &desc, sizeof desc, AccessKind::indirect);
    if (status != DmaStatus::ok) co_return Walked{RingError::descriptor_unreadable, status};
    Fetched d = q.packed ? fetched(std::bit_cast<packed::Desc>(desc)) : fetched(desc);
    if (q.packed) d.flags &= VIRTQ_DESC_F_WRITE; // 2.8.7: the others are reserved and ignored
    if (d.flags & VIRTQ_DESC_F_INDIRECT) co_return Walked{RingError::nested_indirect};
    if (const RingError error = append(chain, d); error != RingError::none) co_return Walked{error};
    if (q.packed) {
      if (++at == entries) co_return Walked{};
      continue;
    }
    if (!(d.flags & VIRTQ_DESC_F_NEXT)) co_return Walked{};
    if (d.next_or_id >= entries) co_return Walked{RingError::next_out_of_range};
    at = d.next_or_id;
  }
}

// Fetches chains while there are any and credit for them, then ends. Sampling is by the rules of
// the boundary. Split: the index, then the ring entry, then the descriptors, each value once.
// Packed: every descriptor proves itself available.
Task<> ModelRingEngine::fetch(Queue& q) {
  const Dma memory = dma(q);
  const QueueSetup& s = q.setup;
  using Index = OrderedInt<std::uint16_t>;
  std::uint32_t burst = 0;

  while (q.credits > 0 && !q.halted) {
    if (!q.maybe_more) {
      if (!q.doorbell) {
        if (!q.completions.empty()) start_write_back(q);
        if (!q.event_idx || q.armed) break;
        // Asks to be notified for the next chain, then looks once more: it may have come meanwhile.
        q.armed = true;
        DmaStatus status;
        if (q.packed) {
          const OrderedInt<std::uint32_t> event{
              packed::event(q.next_avail.index, q.next_avail.wrap, packed::RING_EVENT_FLAGS_DESC)};
          status = co_await memory.store(s.device, event, AccessKind::device_event);
        } else {
          const Index event{q.next_avail.index};
          status = co_await memory.store(split::avail_event(s.device, s.size), event,
                                         AccessKind::device_event);
        }
        if (status != DmaStatus::ok) {
          fail(q, status, RingError::event_unwritable);
          break;
        }
        fence();
      }
      q.doorbell = false;
      if (q.packed) {
        q.maybe_more = true;
      } else {
        const auto idx =
            co_await memory.load<Index>(split::avail_idx(s.driver), AccessKind::available);
        if (idx.status != DmaStatus::ok) {
          fail(q, idx.status, RingError::ring_unreadable);
          break;
        }
        q.seen_avail = idx.value.value;
        if (static_cast<std::uint16_t>(q.seen_avail - q.next_avail.index) > s.size) {
          fail(q, DmaStatus::ok, RingError::avail_index_jump);
          break;
        }
        q.maybe_more = q.seen_avail != q.next_avail.index;
      }
      continue;
    }

    // The first descriptor of the chain.
    std::uint16_t at = q.next_avail.index;
    Fetched d;
    if (q.packed) {
      const auto desc =
          co_await memory.load<packed::Desc>(packed::desc(s.desc, at), AccessKind::descriptor);
      if (desc.status != DmaStatus::ok) {
        fail(q, desc.status, RingError::descriptor_unreadable);
        break;
      }
      if (!packed::available(desc.value.flags, q.next_avail.wrap)) {
        q.maybe_more = false;
        continue;
      }
      d = fetched(desc.value);
    } else {
      const auto entry = co_await memory.load<Index>(
          split::avail_ring(s.driver, at & static_cast<std::uint16_t>(s.size - 1)),
          AccessKind::available);
      if (entry.status != DmaStatus::ok) {
        fail(q, entry.status, RingError::ring_unreadable);
        break;
      }
      at = entry.value.value;
      if (at >= s.size) {
        fail(q, DmaStatus::ok, RingError::head_out_of_range);
        break;
      }
    }

    Chain& chain = take_chain(q);
    chain.head = at;
    Walked walked;
    for (std::uint32_t count = 0;; ++count) {
      if (count == s.size) { // 2.7.5.3.1, 2.8.17: not longer than the queue; so a loop ends here
        walked.error = RingError::chain_too_long;
        break;
      }
      if (!q.packed) {
        const auto desc = co_await memory.load<Plain<split::Desc>>(split::desc(s.desc, at),
                                                                   AccessKind::descriptor);
        walked.status = desc.status;
        d = fetched(desc.value.value);
      } else if (count > 0) {
        const RingIndex i = advance(q.next_avail, count, s.size);
        const auto desc = co_await memory.load<packed::Desc>(packed::desc(s.desc, i.index),
                                                             AccessKind::descriptor);
        walked.status = desc.status;
        d = fetched(desc.value);
        if (walked.status == DmaStatus::ok && !packed::available(d.flags, i.wrap)) {
          walked.error = RingError::chain_not_available;
          break;
        }
      }
      if (walked.status != DmaStatus::ok) {
        walked.error = RingError::descriptor_unreadable;
        break;
      }
      if (d.flags & VIRTQ_DESC_F_INDIRECT) {
        // Split: direct descriptors, then one indirect (2.7.5.3.2); packed: never mixed in a list
        // (2.8.7).
        if (!q.indirect)
          walked.error = RingError::indirect_not_negotiated;
        else if ((d.flags & VIRTQ_DESC_F_NEXT) || (q.packed && count > 0))
          walked.error = RingError::indirect_with_next;
        else
          walked = co_await walk_indirect(q, chain, {d.addr, d.len}, count);
      } else {
        walked.error = append(chain, d);
      }
      if (walked.error != RingError::none) break;
      if (!(d.flags & VIRTQ_DESC_F_NEXT)) {
        if (q.packed) {
          chain.head = d.next_or_id; // the list's last descriptor names the buffer (2.8.6)
          chain.slots = static_cast<std::uint16_t>(count + 1);
        }
        break;
      }
      if (!q.packed) {
        if (d.next_or_id >= s.size) {
          walked.error = RingError::next_out_of_range;
          break;
        }
        at = d.next_or_id;
      }
    }
    // A reset may have come after the indirect table was walked and before this.
    if (walked.error != RingError::none || q.scope.cancelled()) {
      q.free_chains.push_back(&chain);
      fail(q, walked.status, walked.error);
      break;
    }
    if (q.halted) { // quiesced meanwhile
      q.free_chains.push_back(&chain);
      break;
    }
    emit(q, chain);
    if (q.scope.cancelled()) break; // the function's work made the driver reset this queue
    if (++burst == max_burst) {
      burst = 0;
      const bool elapsed = co_await delay(q.scope, burst_pause);
      if (!elapsed) break;
    }
  }
  q.fetching = false;
  if (!q.completions.empty()) start_write_back(q);
}

void ModelRingEngine::emit(Queue& q, Chain& chain) {
  if (q.packed) {
    q.next_avail = advance(q.next_avail, chain.slots, q.setup.size);
  } else {
    ++q.next_avail.index;
    q.maybe_more = q.next_avail.index != q.seen_avail;
  }
  q.armed = false;
  --q.credits;
  ++q.outstanding;
  chain.id = q.next_chain_id++;
  q.emitting = true;
  client_.on_chain(chain);
  q.emitting = false;
  if (q.completions.size() >= max_batch) start_write_back(q);
}

// --- completions --------------------------------------------------------------------------------

void ModelRingEngine::complete(Chain& chain, std::uint32_t written, CompletionHints hints) {
  Queue& q = at(chain.queue);
  if (q.scope.cancelled() || !q.on) return; // the reset takes the chain back
  q.completions.add(chain, written, hints);
  // Completed inside on_chain: fetch() writes it back with its batch.
  if (!q.emitting) start_write_back(q);
}

void ModelRingEngine::start_write_back(Queue& q) {
  if (q.writing_back || q.used_failed) return;
  if (q.completions.publishable() == 0 && !q.hold.overdue(executor_.now())) return;
  q.writing_back = true;
  q.scope.start([&] { return write_back(q); });
}

// Makes completions visible, as many as there are at a time, then notifies the driver if it wants
// to be.
Task<> ModelRingEngine::write_back(Queue& q) {
  const Dma memory = dma(q);
  const QueueSetup& s = q.setup;

  for (;;) {
    const std::size_t ready = q.completions.publishable();
    if (ready == 0 && !q.hold.overdue(executor_.now())) break;
    DmaStatus status = DmaStatus::ok;
    std::optional<std::pair<GuestAddr, packed::Used>> first_of_group;
    for (std::size_t i = 0; i < ready && status == DmaStatus::ok;) {
      const std::size_t run = q.completions.run_length(i, ready);
      const Completions::Completion last = q.completions[i + run - 1];
      if (q.packed) {
        packed::Used used;
        used.len = last.written;
        used.id = last.chain->head;
        used.flags = static_cast<std::uint16_t>(packed::used_flags(q.next_used.wrap) |
                                                (last.written ? VIRTQ_DESC_F_WRITE : 0));
        const GuestAddr to = packed::used(s.desc, q.next_used.index);
        // 2.8.9: the first of a group is marked used after the rest.
        if (last.hints.more && !first_of_group)
          first_of_group.emplace(to, used);
        else
          status = co_await memory.store(to, used, AccessKind::used);
        if (!last.hints.more && first_of_group && status == DmaStatus::ok) {
          const auto [at, held] = *first_of_group;
          first_of_group.reset();
          status = co_await memory.store(at, held, AccessKind::used);
        }
        std::uint32_t slots = 0;
        for (std::size_t k = i; k < i + run; ++k)
          slots += q.completions[k].chain->slots;
        q.next_used = advance(q.next_used, slots, s.size);
        q.unsignalled += slots;
      } else {
        const Plain<split::UsedElem> elem{{last.chain->head, last.written}};
        const GuestAddr to =
            split::used_ring(s.device, q.next_used.index & static_cast<std::uint16_t>(s.size - 1));
        status = co_await memory.store(to, elem, AccessKind::used);
        q.next_used.index = static_cast<std::uint16_t>(q.next_used.index + run);
        q.unsignalled += static_cast<std::uint32_t>(run);
      }
      i += run;
    }
    if (status == DmaStatus::ok && !q.packed && ready > 0) {
      // virtio 1.4, 2.7.8.2: the elements MUST be written before the index.
      const OrderedInt<std::uint16_t> idx{q.next_used.index};
      status = co_await memory.store(split::used_idx(s.device), idx, AccessKind::used);
    }
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, RingError::used_unwritable);
      break;
    }
    if (ready > 0) retire(q, ready);
    if (!q.hold.due(executor_.now())) continue;
    q.hold.told();
    q.notify.cancel();

    // virtio 1.4, 2.7.7.2 and 2.8.10: what the driver asked for is read after what it waits for was
    // written.
    fence();
    const RingIndex before = std::exchange(q.signalled, q.next_used);
    const std::uint32_t advanced = std::exchange(q.unsignalled, 0);
    bool wanted = false;
    if (q.packed) {
      const auto event =
          co_await memory.load<OrderedInt<std::uint32_t>>(s.driver, AccessKind::driver_event);
      status = event.status;
      wanted = packed_wants_interrupt(event.value.value, before, advanced, s.size, q.event_idx);
    } else if (q.event_idx) {
      const auto event = co_await memory.load<OrderedInt<std::uint16_t>>(
          split::used_event(s.driver, s.size), AccessKind::driver_event);
      status = event.status;
      wanted = split_wants_interrupt(event.value.value, before, advanced, true);
    } else {
      const auto flags = co_await memory.load<OrderedInt<std::uint16_t>>(
          split::avail_flags(s.driver), AccessKind::driver_event);
      status = flags.status;
      wanted = split_wants_interrupt(flags.value.value, before, advanced, false);
    }
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, RingError::ring_unreadable);
      break;
    }
    if (wanted) client_.on_interrupt(q.index);
  }
  q.writing_back = false;
}

/// The first `ready` completions are with the driver; their notification may have to wait.
void ModelRingEngine::retire(Queue& q, std::size_t ready) {
  for (std::size_t i = 0; i < ready; ++i)
    q.free_chains.push_back(q.completions[i].chain);
  const SimTime now = executor_.now();
  q.hold.add(q.completions.packets(ready), now);
  q.completions.retire(ready);
  q.outstanding -= static_cast<std::uint32_t>(ready);
  if (q.hold.hold(now) && !q.notify.queued()) executor_.post_at(q.notify, q.hold.until());
}

} // namespace virtio
