#include <virtio/platforms/pcie_host/queue_driver.hpp>
#include <virtio/tlm/executor.hpp>

#include <algorithm>
#include <utility>

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

bool QueueDriver::interrupted() {
  const std::uint64_t count = interrupt() ? interrupt()->count() : 0;
  return std::exchange(interrupts_, count) != count;
}

void QueueDriver::interrupt_handled() {
  if (!looking_ && core_.host().completion == Completion::napi) queue_.set_interrupts(false);
  looking_ = true;
}

void QueueDriver::look_done(bool all) {
  if (!interrupt() || !all) return;
  looking_ = false;
  if (core_.host().completion != Completion::napi) return;
  queue_.set_interrupts(true);
  if (!queue_.has_used()) return; // what came just before has given no interrupt
  queue_.set_interrupts(false);
  looking_ = true;
}

void QueueDriver::finish(const driver::Virtqueue::Used& used, SimTime noticed) {
  const unsigned slot = slot_of_[used.token];
  const auto finished = traffic_->finish(slot, used.written);
  Timeline& times = log_[used.token];
  if (finished.start) times.restart(*finished.start);
  times.set(Point::noticed, noticed);
  times.set(Point::done, core_.now());
  times.settle();
  measurement_.finished(queue_.index(), finished.kind, finished.bytes, times);
  free_.push_back(slot);
}

bool QueueDriver::may_start() const {
  if (free_.empty() || queue_.free_descriptors() < params_.descriptors) return false;
  // What is still to be received needs buffers.
  if (core_.stopping() && !traffic_->awaits()) return false;
  return !arrivals_ || *arrival_ <= core_.now();
}

void QueueDriver::start_one(SimTime start) {
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
}

void QueueDriver::account_for_the_rest() {
  if (!arrivals_ || !measurement_.end()) return;
  for (; *arrival_ < *measurement_.end(); arrival_ = *arrival_ + SimTime{arrivals_->next()})
    measurement_.never_started(*arrival_);
}

} // namespace virtio::platform::pcie_host
