#include <virtio/core/executor.hpp>

#include <algorithm>
#include <utility>

namespace virtio {

namespace {
constexpr std::size_t most_lanes = 8; // all are looked at each time
}

void WakeHeap::place(std::size_t slot, const Timed& timed) {
  timed_[slot] = timed;
  timed.wake->slot_ = slot;
}

void WakeHeap::up(std::size_t slot, const Timed& timed) {
  while (slot > 0) {
    const std::size_t parent = (slot - 1) / 2;
    if (!timed.before(timed_[parent])) break;
    place(slot, timed_[parent]);
    slot = parent;
  }
  place(slot, timed);
}

void WakeHeap::push(Wake& wake) {
  timed_.push_back({});
  up(timed_.size() - 1, {wake.time_, wake.order_, &wake});
}

/// The gap goes down to the bottom, and what was last fills it: it belongs there, mostly.
void WakeHeap::remove(std::size_t slot) {
  const Timed last = timed_.back();
  timed_.pop_back();
  const std::size_t size = timed_.size();
  if (slot == size) return;
  const bool from_above = slot > 0 && last.before(timed_[(slot - 1) / 2]);
  if (!from_above) {
    std::size_t child = 2 * slot + 1;
    while (child + 1 < size) {
      child += timed_[child + 1].before(timed_[child]);
      place(slot, timed_[child]);
      slot = child;
      child = 2 * slot + 1;
    }
    if (child < size) {
      place(slot, timed_[child]);
      slot = child;
    }
  }
  up(slot, last);
}

Executor::~Executor() {
  while (ready_head_)
    unlink(*ready_head_);
  while (!lanes_.empty())
    unlink(*lanes_.back()->head_);
  for (WakeHeap* heap : {&near_, &far_})
    while (!heap->empty())
      unlink(*heap->last());
}

void Executor::unlink(Wake& wake) {
  if (wake.slot_ == Wake::ready) {
    unlink_from_list(wake, ready_head_, ready_tail_);
  } else if (wake.slot_ == Wake::in_lane) {
    WakeLane& lane = *wake.lane_;
    unlink_from_list(wake, lane.head_, lane.tail_);
    if (lane.empty()) lanes_.erase(std::find(lanes_.begin(), lanes_.end(), &lane));
  } else if (wake.slot_ == Wake::after_call) {
    after_call_ = nullptr;
  } else {
    wake.heap_->remove(wake.slot_);
  }
  wake.executor_ = nullptr;
}

void Executor::request(SimTime when) {
  if (host_ && !running_) host_->request_run(when);
}

void Executor::post(Wake& wake) {
  if (ahead_ && wake.at_host_time) {
    post_at(wake, now_);
    return;
  }
  wake.cancel();
  wake.executor_ = this;
  wake.slot_ = Wake::ready;
  wake.prev_ = ready_tail_;
  (ready_tail_ ? ready_tail_->next_ : ready_head_) = &wake;
  ready_tail_ = &wake;
  if (host_ && !running_) host_->request_run(now());
}

void Executor::post_at(Wake& wake, SimTime when) {
  wake.cancel();
  wake.executor_ = this;
  wake.time_ = when;
  wake.order_ = order_++;
  WakeHeap& heap = when.ps > now_.ps + far_away.ps ? far_ : near_;
  push(heap, wake);
  if (!running_ && heap.first() == &wake) request(when);
}

void Executor::post_in_order(WakeLane& lane, Wake& wake, SimTime when) {
  const bool first = lane.empty();
  if ((first && lanes_.size() == most_lanes) || (!first && when < lane.tail_->time_)) {
    post_at(wake, when);
    return;
  }
  wake.cancel();
  wake.executor_ = this;
  wake.time_ = when;
  wake.order_ = order_++;
  wake.slot_ = Wake::in_lane;
  wake.lane_ = &lane;
  wake.prev_ = lane.tail_;
  (first ? lane.head_ : lane.tail_->next_) = &wake;
  lane.tail_ = &wake;
  if (!first) return;
  lanes_.push_back(&lane);
  request(when);
}

void Executor::push(WakeHeap& heap, Wake& wake) {
  wake.heap_ = &heap;
  heap.push(wake);
}

void Executor::defer(Wake& wake) {
  wake.cancel();
  wake.executor_ = this;
  wake.at_host_time = true;
  wake.time_ = now_;
  push(near_, wake); // with its order
}

std::optional<SimTime> Executor::next_time() const {
  if (ready_head_) return now();
  if (const Wake* first = first_timed()) return first->time_;
  return std::nullopt;
}

Wake* Executor::first_timed() const {
  Wake* first = near_.first();
  if (Wake* const far = far_.first(); far && (!first || far->before(*first))) first = far;
  for (const WakeLane* lane : lanes_)
    if (!first || lane->head_->before(*first)) first = lane->head_;
  return first;
}

/// What is to be resumed now; the time goes on to it if it may.
Wake* Executor::next_wake(bool may_run_ahead) {
  if (ready_head_) return ready_head_;
  Wake* const first = first_timed();
  if (!first) return nullptr;
  if (first->time_ <= now_) return ahead_ && first->at_host_time ? nullptr : first;
  if (!may_run_ahead || first->at_host_time) return nullptr;
  if (!ahead_) horizon_ = host_->horizon();
  if (first->time_ >= horizon_) return nullptr;
  ahead_ = true;
  now_ = first->time_;
  return first;
}

/// With what it posts to come right after it.
void Executor::call(Wake& wake) {
  in_call_ = true;
  wake.call(wake);
  in_call_ = false;
  if (!after_call_) return;
  Wake& next = *after_call_;
  unlink(next);
  next.handle.resume();
}

std::size_t Executor::run(std::size_t limit, bool may_run_ahead) {
  if (running_ || (idle() && errors_.empty())) return 0;
  // Restored whatever happens: an exception that leaves a resumed coroutine must not leave the
  // executor deaf.
  struct Guard {
    Executor& self;
    Executor* outer = std::exchange(current_, &self);
    explicit Guard(Executor& e) : self(e) {
      if (self.host_) self.now_ = self.host_->now();
      self.running_ = true;
    }
    ~Guard() {
      self.running_ = self.ahead_ = self.in_call_ = false;
      current_ = outer;
      if (!self.errors_.empty()) self.request(self.now());
      if (const auto next = self.next_time()) self.request(*next);
    }
  } guard(*this);

  std::size_t count = 0;
  while (count < limit) {
    Wake* const wake = next_wake(may_run_ahead && host_);
    if (!wake) break;
    unlink(*wake);
    count += !wake->passive;
    if (wake->call)
      call(*wake);
    else
      wake->handle.resume();
  }
  resumed_ += count;
  return count;
}

std::size_t Executor::run_until_idle(std::size_t limit) {
  std::size_t count = 0;
  while (count < limit) {
    const auto next = next_time();
    if (!next) break;
    if (!host_ && *next > now_) now_ = *next;
    count += run(limit - count);
    flush_errors();
  }
  flush_errors();
  return count;
}

void Executor::report(std::string_view who, std::exception_ptr error) {
  errors_.emplace_back(who, std::move(error));
  request(now());
}

void Executor::flush_errors() {
  while (!errors_.empty()) {
    auto [who, error] = std::move(errors_.front());
    errors_.erase(errors_.begin());
    if (!on_error_) std::terminate();
    on_error_(who, std::move(error));
  }
}

} // namespace virtio
