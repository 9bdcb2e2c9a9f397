#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/executor.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

QueueDriver::QueueDriver(Core& core, driver::Virtqueue& queue, QueueLog& log,
                         Measurement& measurement, std::unique_ptr<Traffic> traffic,
                         std::optional<Arrivals> arrivals, const QueueDriverParams& params)
    : core_(core), queue_(queue), log_(log), measurement_(measurement),
      traffic_(std::move(traffic)), arrivals_(std::move(arrivals)), params_(params),
      slot_of_(queue.size()) {
  looking_ = !interrupt();
  for (unsigned slot = params_.depth; slot-- > 0;)
    free_.push_back(slot);
}

void QueueDriver::begin(SimTime time) {
  if (arrivals_) arrival_ = time + SimTime{arrivals_->next()};
}

Task<bool> QueueDriver::serve() {
  const bool interrupted = interrupt() && interrupt()->count() != interrupts_;
  if (interrupted) co_await take_interrupt();
  bool took = false;
  if (looking_) took = co_await take_back();
  bool started = false;
  if (may_start()) started = co_await start_some();
  co_return interrupted || took || started;
}

Task<> QueueDriver::take_interrupt() {
  interrupts_ = interrupt()->count();
  co_await core_.spend(core_.host().interrupt_cycles);
  if (!looking_ && core_.host().completion == Completion::napi) queue_.set_interrupts(false);
  looking_ = true;
}

/// After a look; `all`: it left nothing.
void QueueDriver::look_done(bool all) {
  if (!interrupt() || !all) return;
  looking_ = false;
  if (core_.host().completion != Completion::napi) return;
  queue_.set_interrupts(true);
  if (!queue_.has_used()) return; // what came just before has given no interrupt
  queue_.set_interrupts(false);
  looking_ = true;
}

Task<bool> QueueDriver::take_back() {
  const SimTime noticed = core_.now();
  std::uint32_t taken = 0;
  while (taken < core_.host().napi_budget) {
    const auto used = queue_.take_used();
    if (!used) break;
    ++taken;
    co_await core_.spend(core_.host().complete_cycles);
    const unsigned slot = slot_of_[used->token];
    const auto finished = traffic_->finish(slot, used->written);
    Timeline& times = log_[used->token];
    if (finished.start) times.restart(*finished.start);
    times.set(Point::noticed, noticed);
    times.set(Point::done, core_.now());
    times.settle();
    measurement_.finished(queue_.index(), finished.kind, finished.bytes, times);
    free_.push_back(slot);
  }
  look_done(taken < core_.host().napi_budget);
  co_return taken != 0;
}

bool QueueDriver::may_start() const {
  if (free_.empty() || queue_.free_descriptors() < params_.descriptors) return false;
  // What is still to be received needs buffers.
  if (core_.stopping() && !traffic_->awaits()) return false;
  return !arrivals_ || *arrival_ <= core_.now();
}

Task<bool> QueueDriver::start_some() {
  unsigned added = 0;
  while (added < params_.batch && may_start()) {
    SimTime start = core_.now();
    co_await core_.spend(core_.host().submit_cycles);
    const unsigned slot = free_.back();
    const auto token = queue_.add(traffic_->prepare(slot));
    if (!token) throw std::logic_error("a request takes more descriptors than was said");
    free_.pop_back();
    if (arrivals_) {
      start = *arrival_;
      arrival_ = *arrival_ + SimTime{arrivals_->next()};
    }
    slot_of_[*token] = slot;
    log_.submitted(*token, start, core_.now());
    ++started_;
    ++added;
  }
  if (added != 0 && queue_.publish()) {
    co_await core_.at_host_time();
    co_await core_.ring(queue_);
    co_await core_.spend(core_.host().mmio_write_cycles);
  }
  co_return added != 0;
}

void QueueDriver::account_for_the_rest() {
  if (!arrivals_ || !measurement_.end()) return;
  for (; *arrival_ < *measurement_.end(); arrival_ = *arrival_ + SimTime{arrivals_->next()})
    measurement_.never_started(*arrival_);
}

} // namespace virtio::platform::pcie_host
