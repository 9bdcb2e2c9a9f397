#include <virtio/rtl/cosim/model_dut.hpp>

#include <algorithm>

namespace virtio::rtl::cosim {

ModelRingDut::ModelRingDut(std::uint16_t num_queues, const std::optional<RingEngineParams>& timed,
                           Fault fault)
    : num_queues_(num_queues), of_queue_(num_queues), fault_(std::move(fault)) {
  never_maps();
  if (timed)
    engine_ = std::make_unique<TimedRingEngine>("dut", executor_, *this, num_queues, *this, *timed);
  else
    engine_ = std::make_unique<ModelRingEngine>("dut", executor_, *this, num_queues, *this);
}
ModelRingDut::~ModelRingDut() {
  engine_.reset();
}

BoundaryEvent ModelRingDut::of(Group group, QueueIndex queue) const {
  BoundaryEvent e;
  e.group = group;
  e.function = of_queue_[raw(queue)].function;
  e.queue = queue;
  return e;
}

void ModelRingDut::say(std::deque<BoundaryEvent>& where, BoundaryEvent event) {
  if (!fault_ || fault_(event)) where.push_back(std::move(event));
}

void ModelRingDut::on_chain(Chain& chain) {
  for (std::size_t i = 0; i < chain.pieces.size(); ++i) {
    BoundaryEvent e = of(Group::segment, chain.queue);
    e.chain = chain.id;
    e.address = chain.pieces[i].addr;
    e.length = chain.pieces[i].len;
    e.writable = i >= chain.readable_pieces;
    e.first = i == 0;
    e.last = i + 1 == chain.pieces.size();
    e.generation = of_queue_[raw(chain.queue)].generation;
    say(others_, std::move(e));
  }
  chains_[{raw(chain.queue), chain.id}] = &chain;
}

void ModelRingDut::on_interrupt(QueueIndex queue) {
  BoundaryEvent e = of(Group::interrupt, queue);
  e.vector = of_queue_[raw(queue)].vector;
  say(others_, std::move(e));
}

void ModelRingDut::on_ring_error(QueueIndex queue, RingError error) {
  BoundaryEvent e = of(Group::error, queue);
  e.code = error;
  say(others_, std::move(e));
}

void ModelRingDut::issue(DmaTransaction& t) {
  auto& open = open_[t.write];
  std::uint16_t tag = 0;
  while (open.contains(tag))
    ++tag;
  open[tag] = {&t, 0};
  BoundaryEvent e = of(t.write ? Group::write_request : Group::read_request, QueueIndex{t.queue});
  e.tag = tag;
  e.kind = t.kind;
  e.address = t.addr;
  if (t.write)
    e.data.assign(t.buffer.begin(), t.buffer.begin() + t.len);
  else
    e.length = t.len;
  say(t.write ? writes_ : reads_, std::move(e));
}

void ModelRingDut::take_command(const BoundaryEvent& event) {
  BoundaryEvent e = event;
  e.group = Group::response;
  switch (event.command) {
  case Command::enable:
    of_queue_[raw(event.queue)] = {event.function, event.vector,
                                   !of_queue_[raw(event.queue)].generation};
    e.code = engine_->enable(event.queue, event.setup);
    break;
  case Command::reset: {
    // What is offered stays until it is taken.
    const bool offered = !others_.empty() && side_.offer(others_.front().group) == &others_.front();
    others_.erase(std::remove_if(others_.begin() + offered, others_.end(),
                                 [&](const BoundaryEvent& o) { return o.queue == event.queue; }),
                  others_.end());
    std::erase_if(chains_, [&](const auto& c) { return c.first.first == raw(event.queue); });
    say(others_, of(Group::abort, event.queue));
    engine_->reset(event.queue, [this, e] { say(others_, e); });
    return;
  }
  case Command::quiesce:
    engine_->quiesce(event.queue);
    break;
  case Command::read_state:
    e.progress = engine_->progress(event.queue);
    break;
  }
  say(others_, std::move(e));
}

void ModelRingDut::take(const BoundaryEvent& event) {
  switch (event.group) {
  case Group::command:
    return take_command(event);
  case Group::doorbell:
    return engine_->doorbell(event.queue, std::nullopt);
  case Group::credit:
    return engine_->credit(event.queue, event.count);
  case Group::completion: {
    const auto found = chains_.find({raw(event.queue), event.chain});
    if (found == chains_.end() || event.generation != of_queue_[raw(event.queue)].generation)
      return;
    Chain& chain = *found->second;
    chains_.erase(found);
    return engine_->complete(chain, event.written, event.hints);
  }
  case Group::read_response:
  case Group::write_response: {
    auto& open = open_[event.group == Group::write_response];
    const auto found = open.find(event.tag);
    if (found == open.end()) return;
    Open& o = found->second;
    std::ranges::copy(event.data, o.transaction->buffer.data() + o.got);
    o.got += static_cast<std::uint32_t>(event.data.size());
    if (event.group == Group::read_response && !event.last) return;
    DmaTransaction& t = *o.transaction;
    open.erase(found);
    return answer(t, event.status == AccessStatus::ok ? DmaStatus::ok : DmaStatus::address_error);
  }
  default:
    return;
  }
}

const RingSide& ModelRingDut::settle(const RingSide& bench) {
  bench_ = &bench;
  side_ = {};
  side_.ready.set();
  if (!reads_.empty()) side_.offer(Group::read_request) = &reads_.front();
  if (!writes_.empty()) side_.offer(Group::write_request) = &writes_.front();
  // One after the other, so that none overtakes what was said before it.
  if (!others_.empty()) side_.offer(others_.front().group) = &others_.front();
  return side_;
}

void ModelRingDut::edge() {
  for (std::deque<BoundaryEvent>* queue : {&reads_, &writes_, &others_})
    if (!queue->empty() && side_.offer(queue->front().group) == &queue->front() &&
        bench_->is_ready(queue->front().group))
      queue->pop_front();
  for (const BoundaryEvent* event : bench_->offered)
    if (event != nullptr) take(*event);
  // 4 ns, a cycle of 250 MHz.
  Wake end;
  end.call = [](Wake&) {};
  executor_.post_at(end, executor_.now() + nanoseconds(4));
  while (end.queued())
    executor_.run_until_idle(1);
}

} // namespace virtio::rtl::cosim
