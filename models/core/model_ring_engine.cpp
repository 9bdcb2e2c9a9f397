#include <virtio/core/model_ring_engine.hpp>
#include <virtio/core/split_ring.hpp>

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
    : index(i), scope(engine.executor_, engine.name_ + " queue " + std::to_string(raw(i))) {}

ModelRingEngine::ModelRingEngine(std::string name, Executor& executor, DmaPort& port,
                                 std::uint16_t num_queues, RingEngineClient& client)
    : name_(std::move(name)), executor_(executor), port_(port), client_(client) {
  queues_.reserve(num_queues);
  for (std::uint16_t i = 0; i < num_queues; ++i)
    queues_.push_back(std::make_unique<Queue>(*this, QueueIndex{i}));
}

Dma ModelRingEngine::dma(QueueIndex queue) {
  return dma(at(queue));
}
bool ModelRingEngine::enabled(QueueIndex queue) const {
  return at(queue).on;
}

QueueProgress ModelRingEngine::progress(QueueIndex queue) const {
  const Queue& q = at(queue);
  return {{q.next_avail, true}, {q.next_used, true}, q.outstanding};
}

namespace {
RingError check(const QueueSetup& s) {
  if (s.size == 0 || s.size > split::max_queue_size || !std::has_single_bit(s.size))
    return RingError::bad_queue_size;
  // virtio 1.4, 2.7: the driver MUST align each part.
  if (raw(s.desc) % split::desc_align || raw(s.driver) % split::avail_align ||
      raw(s.device) % split::used_align)
    return RingError::misaligned;
  if (!fits(s.desc, split::desc_bytes(s.size)) || !fits(s.driver, split::avail_bytes(s.size)) ||
      !fits(s.device, split::used_bytes(s.size)))
    return RingError::address_wraps;
  return RingError::none;
}
} // namespace

RingError ModelRingEngine::enable(QueueIndex queue, const QueueSetup& setup) {
  if (const RingError error = check(setup); error != RingError::none) return error;
  Queue& q = at(queue);
  q.setup = setup;
  q.next_avail = q.seen_avail = setup.start_avail.index;
  q.next_used = setup.start_used.index;
  q.next_chain_id = 0;
  q.credits = 0;
  q.doorbell = false;
  q.halted = q.used_failed = false;
  q.on = true;
  return RingError::none;
}

void ModelRingEngine::reset(QueueIndex queue, std::function<void()> done) {
  Queue& q = at(queue);
  q.on = false;
  q.scope.cancel();
  q.scope.when_idle([&q, done = std::move(done)] {
    q.completions.clear();
    q.free_chains.clear();
    for (Chain& chain : q.chains)
      q.free_chains.push_back(&chain);
    q.outstanding = 0;
    q.fetching = q.writing_back = false;
    q.scope.reopen();
    done();
  });
}

void ModelRingEngine::orphan(QueueIndex queue) {
  at(queue).scope.orphan();
}

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

void ModelRingEngine::wake_fetch(Queue& q) {
  if (!q.on || q.halted || q.fetching || q.credits == 0) return;
  if (!q.doorbell && q.next_avail == q.seen_avail) return;
  q.fetching = true;
  q.scope.start([&] { return fetch(q); });
}

void ModelRingEngine::fail(Queue& q, DmaStatus status, RingError error) {
  if (status == DmaStatus::cancelled) return;
  q.halted = true;
  client_.on_ring_error(q.index, error);
}

Chain& ModelRingEngine::take_chain(Queue& q, std::uint16_t head) {
  if (q.free_chains.empty()) q.free_chains.push_back(&q.chains.emplace_back());
  Chain& chain = *q.free_chains.back();
  q.free_chains.pop_back();
  chain.queue = q.index;
  chain.head = head;
  chain.pieces.clear();
  chain.readable_pieces = 0;
  chain.readable_len = chain.writable_len = 0;
  chain.tag = 0;
  return chain;
}

namespace {
/// A descriptor's fields, fetched from guest memory once.
struct Fetched {
  GuestAddr addr;
  std::uint32_t len;
  std::uint16_t flags;
  std::uint16_t next;
};

RingError append(Chain& chain, const Fetched& d) {
  if (!fits(d.addr, d.len)) return RingError::address_wraps;
  if (d.flags & split::VIRTQ_DESC_F_WRITE) {
    chain.writable_len += d.len;
  } else {
    // virtio 1.4, 2.7.4.2: device-writable elements come after device-readable ones.
    if (chain.pieces.size() != chain.readable_pieces) return RingError::readable_after_writable;
    ++chain.readable_pieces;
    chain.readable_len += d.len;
  }
  chain.pieces.push_back({d.addr, d.len});
  // virtio 1.4, 2.7.5.2: no chain of more than 2^32 bytes.
  if (chain.readable_len + chain.writable_len > 1ull << 32) return RingError::chain_too_large;
  return RingError::none;
}
} // namespace

// Fetches chains while there are any and credit for them, then ends. Sampling is by the rules of
// the boundary: the index first, then the ring entry, then the descriptors, each value once.
Task<> ModelRingEngine::fetch(Queue& q) {
  const Dma memory = dma(q);
  const QueueSetup& s = q.setup;
  const std::uint16_t mask = static_cast<std::uint16_t>(s.size - 1);

  while (q.credits > 0 && !q.halted) {
    if (q.next_avail == q.seen_avail) {
      if (!q.doorbell) break;
      q.doorbell = false;
      const auto idx = co_await memory.load_acquire<std::uint16_t>(split::avail_idx(s.driver),
                                                                   AccessKind::available);
      if (idx.status != DmaStatus::ok) {
        fail(q, idx.status, RingError::ring_unreadable);
        break;
      }
      const auto ahead = static_cast<std::uint16_t>(idx.value - q.next_avail);
      if (ahead > s.size) {
        fail(q, DmaStatus::ok, RingError::avail_index_jump);
        break;
      }
      q.seen_avail = idx.value;
      continue;
    }

    const auto entry = co_await memory.load_acquire<std::uint16_t>(
        split::avail_ring(s.driver, q.next_avail & mask), AccessKind::available);
    if (entry.status != DmaStatus::ok) {
      fail(q, entry.status, RingError::ring_unreadable);
      break;
    }
    if (entry.value >= s.size) {
      fail(q, DmaStatus::ok, RingError::head_out_of_range);
      break;
    }

    Chain& chain = take_chain(q, entry.value);
    RingError error = RingError::none;
    DmaStatus status = DmaStatus::ok;
    std::uint16_t at = entry.value;
    for (std::uint32_t count = 0;; ++count) {
      if (count ==
          s.size) { // virtio 1.4, 2.7.5.3.1: not longer than the queue; so a loop ends here
        error = RingError::chain_too_long;
        break;
      }
      split::Desc desc;
      status =
          co_await memory.read(split::desc(s.desc, at), &desc, sizeof desc, AccessKind::descriptor);
      if (status != DmaStatus::ok) {
        error = RingError::descriptor_unreadable;
        break;
      }
      const Fetched d{GuestAddr{std::uint64_t{desc.addr}}, desc.len, desc.flags, desc.next};
      if (d.flags & split::VIRTQ_DESC_F_INDIRECT) {
        error = RingError::indirect_not_negotiated;
        break;
      }
      error = append(chain, d);
      if (error != RingError::none || !(d.flags & split::VIRTQ_DESC_F_NEXT)) break;
      if (d.next >= s.size) {
        error = RingError::next_out_of_range;
        break;
      }
      at = d.next;
    }
    if (error != RingError::none) {
      q.free_chains.push_back(&chain);
      fail(q, status, error);
      break;
    }
    ++q.next_avail;
    --q.credits;
    ++q.outstanding;
    chain.id = q.next_chain_id++;
    client_.on_chain(chain);
    if (q.scope.cancelled()) break; // the function's work made the driver reset this queue
  }
  q.fetching = false;
}

void ModelRingEngine::complete(Chain& chain, std::uint32_t written, bool more) {
  Queue& q = at(chain.queue);
  if (q.scope.cancelled() || !q.on) return; // the reset takes the chain back
  q.completions.push_back({&chain, written, more});
  if (more || q.writing_back || q.used_failed) return;
  q.writing_back = true;
  q.scope.start([&] { return write_back(q); });
}

// Writes used elements in completion order, then the index, then notifies: one index update for
// each group of completions that must become visible together.
Task<> ModelRingEngine::write_back(Queue& q) {
  const Dma memory = dma(q);
  const QueueSetup& s = q.setup;
  const std::uint16_t mask = static_cast<std::uint16_t>(s.size - 1);

  std::size_t done = 0;
  while (done < q.completions.size()) {
    const Completion c = q.completions[done];
    split::UsedElem elem;
    elem.id = c.chain->head;
    elem.len = c.written;
    DmaStatus status = co_await memory.write(split::used_ring(s.device, q.next_used & mask), &elem,
                                             sizeof elem, AccessKind::used);
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, RingError::used_unwritable);
      break;
    }
    ++done;
    ++q.next_used;
    q.free_chains.push_back(c.chain);
    --q.outstanding;
    if (c.more) {
      if (done < q.completions.size()) continue;
      break; // the rest of the group comes with a later completion
    }
    // virtio 1.4, 2.7.8.2: the element MUST be written before the index.
    status = co_await memory.store_release<std::uint16_t>(split::used_idx(s.device), q.next_used,
                                                          AccessKind::used);
    if (status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, status, RingError::used_unwritable);
      break;
    }
    if (done == q.completions.size()) {
      q.completions.clear();
      done = 0;
    }
    // virtio 1.4, 2.7.7.2: read after the used index was written.
    fence();
    const auto flags = co_await memory.load_acquire<std::uint16_t>(split::avail_flags(s.driver),
                                                                   AccessKind::driver_event);
    if (flags.status != DmaStatus::ok) {
      q.used_failed = true;
      fail(q, flags.status, RingError::ring_unreadable);
      break;
    }
    if (!(flags.value & split::VIRTQ_AVAIL_F_NO_INTERRUPT)) client_.on_interrupt(q.index);
  }
  q.completions.erase(q.completions.begin(),
                      q.completions.begin() + static_cast<std::ptrdiff_t>(done));
  q.writing_back = false;
}

} // namespace virtio
