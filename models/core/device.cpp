#include <virtio/core/device.hpp>
#include <virtio/core/model_ring_engine.hpp>
#include <virtio/core/timed_ring_engine.hpp>

#include <algorithm>
#include <bit>
#include <utility>

namespace virtio {

const char* to_string(EventKind kind) {
  switch (kind) {
  case EventKind::doorbell:
    return "doorbell";
  case EventKind::available:
    return "available";
  case EventKind::chain:
    return "chain";
  case EventKind::used:
    return "used";
  case EventKind::published:
    return "published";
  case EventKind::interrupt:
    return "interrupt";
  case EventKind::config_change:
    return "config_change";
  case EventKind::status:
    return "status";
  case EventKind::features:
    return "features";
  case EventKind::queue_enabled:
    return "queue_enabled";
  case EventKind::queue_reset:
    return "queue_reset";
  case EventKind::reset_begin:
    return "reset_begin";
  case EventKind::reset_end:
    return "reset_end";
  case EventKind::reset_timeout:
    return "reset_timeout";
  case EventKind::late_answer:
    return "late_answer";
  case EventKind::error:
    return "error";
  }
  return "?";
}

Device::Device(DeviceParams params, Executor& executor, DmaPort& port,
               std::unique_ptr<DeviceFunction> function, EventSink* sink)
    : params_(std::move(params)), executor_(executor), port_(port), sink_(sink),
      function_(std::move(function)) {
  function_->attach(*this);
  const std::uint16_t queues = function_->num_queues();
  if (params_.make_ring)
    engine_ = params_.make_ring(params_.name, executor_, port_, queues, *this);
  else if (params_.timed_ring)
    engine_ = std::make_unique<TimedRingEngine>(params_.name, executor_, port_, queues, *this,
                                                *params_.timed_ring);
  else
    engine_ = std::make_unique<ModelRingEngine>(params_.name, executor_, port_, queues, *this);
  offered_ = function_->features() | params_.transport_features;
  offered_.set(VIRTIO_F_VERSION_1);
  queues_.resize(function_->num_queues());
  port_.on_late_answer = [this, alive = std::weak_ptr(alive_)](const DmaTransaction& t) {
    if (!alive.expired())
      emit(EventKind::late_answer, t.queue, static_cast<std::uint32_t>(t.kind), t.len);
  };
  for (std::uint16_t i = 0; i < num_queues(); ++i)
    queues_[i].size = queues_[i].max_size = function_->max_queue_size(QueueIndex{i});
}

Device::~Device() = default;

// --- status and features (virtio 1.4, 2.1, 2.2, 3.1.1) -----------------------------------------

void Device::write_driver_features(std::uint32_t select, std::uint32_t value) {
  if (resetting_ || (status_ & VIRTIO_STATUS_FEATURES_OK)) return;
  accepted_.set_word32(select, value);
}

bool Device::features_acceptable() const {
  // virtio 1.4, 2.2.1: only what was offered; 6.1: VERSION_1, since there is no legacy interface
  // here.
  return accepted_.subset_of(offered_) && accepted_.has(VIRTIO_F_VERSION_1) &&
         function_->accepts(accepted_);
}

void Device::set_status(std::uint8_t value) {
  if (value == status_) return;
  status_ = value;
  emit(EventKind::status, 0, status_);
}

void Device::write_status(std::uint8_t value) {
  if (resetting_) return;
  if (value == 0) {
    reset();
    return;
  }
  constexpr std::uint8_t settable = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                    VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK |
                                    VIRTIO_STATUS_FAILED;
  // The driver MUST NOT clear a bit (2.1.1), so none is cleared.
  auto next = static_cast<std::uint8_t>(status_ | (value & settable));
  const std::uint8_t risen = next & static_cast<std::uint8_t>(~status_);
  if (risen & VIRTIO_STATUS_FEATURES_OK) {
    const bool accepted = features_acceptable();
    if (accepted)
      negotiated_ = accepted_;
    else
      next &= static_cast<std::uint8_t>(~VIRTIO_STATUS_FEATURES_OK); // 2.2.2
    emit(EventKind::features, 0, accepted);
  }
  // Without negotiated features there is nothing to go live with.
  if (!(next & VIRTIO_STATUS_FEATURES_OK))
    next &= static_cast<std::uint8_t>(~VIRTIO_STATUS_DRIVER_OK);
  const bool goes_live = (next & VIRTIO_STATUS_DRIVER_OK) && !(status_ & VIRTIO_STATUS_DRIVER_OK);
  set_status(next);
  if (!goes_live) return;
  function_->start(negotiated_);
  for (std::uint16_t i = 0; i < num_queues(); ++i)
    if (queues_[i].enabled && !queues_[i].resetting) go_live(QueueIndex{i});
}

// --- virtqueues ---------------------------------------------------------------------------------

const QueueConfig* Device::queue(QueueIndex queue) const {
  return raw(queue) < queues_.size() && queues_[raw(queue)].max_size != 0 ? &queues_[raw(queue)]
                                                                          : nullptr;
}

QueueConfig* Device::configurable(QueueIndex index) {
  const QueueConfig* q = queue(index);
  return q && !q->enabled && !q->resetting && !resetting_ ? &queues_[raw(index)] : nullptr;
}

void Device::write_queue_size(QueueIndex index, std::uint16_t size) {
  // A size that cannot be used reads back as 0 (unavailable), and enabling the queue then fails.
  QueueConfig* q = configurable(index);
  if (!q) return;
  const bool usable =
      size <= q->max_size && (accepted_.has(VIRTIO_F_RING_PACKED) || std::has_single_bit(size));
  q->size = usable ? size : std::uint16_t{0};
}

void Device::write_queue_address(QueueIndex index, Area area, bool high_half, std::uint32_t value) {
  QueueConfig* q = configurable(index);
  if (!q) return;
  std::uint64_t& address = area == Area::desc     ? q->desc
                           : area == Area::driver ? q->driver
                                                  : q->device;
  const unsigned shift = high_half ? 32 : 0;
  address = (address & ~(0xffff'ffffull << shift)) | (static_cast<std::uint64_t>(value) << shift);
}

void Device::enable_queue(QueueIndex index) {
  QueueConfig* q = configurable(index);
  if (!q) return;
  q->enabled = true;
  emit(EventKind::queue_enabled, raw(index), q->size);
  if (live()) go_live(index);
}

void Device::go_live(QueueIndex index) {
  const QueueConfig& q = queues_[raw(index)];
  QueueSetup setup;
  setup.size = q.size;
  setup.desc = GuestAddr{q.desc};
  setup.driver = GuestAddr{q.driver};
  setup.device = GuestAddr{q.device};
  setup.features = negotiated_;
  if (const RingError error = engine_->enable(index, setup); error != RingError::none) {
    on_ring_error(index, error);
    return;
  }
  // Buffers may have been made available before the queue went live.
  engine_->doorbell(index, std::nullopt);
  engine_->credit(index, function_->window(index));
}

void Device::reset_queue(QueueIndex index) {
  if (!negotiated_.has(VIRTIO_F_RING_RESET) || !queue(index) || resetting_) return;
  stop_queue(index, true);
}

void Device::disable_queue(QueueIndex index) {
  if (queue(index) && !resetting_) stop_queue(index, false);
}

void Device::stop_queue(QueueIndex index, bool to_defaults) {
  QueueConfig& q = queues_[raw(index)];
  if (q.resetting) return;
  q.resetting = true;
  ++stopping_;
  function_->on_abort(index);
  engine_->reset(index, [this, index, to_defaults] { queue_stopped(index, to_defaults); });
  if (q.resetting && !reset_timer_) {
    Scope& timer = reset_timer_.emplace(executor_, params_.name + " reset timer");
    timer.start([&] { return watch_reset(timer); });
  }
}

void Device::queue_stopped(QueueIndex index, bool to_defaults) {
  QueueConfig& q = queues_[raw(index)];
  q.enabled = q.resetting = false;
  if (to_defaults) q = {.max_size = q.max_size, .size = q.max_size};
  --stopping_;
  emit(EventKind::queue_reset, raw(index));
  settle();
}

Task<> Device::watch_reset(Scope& timer) {
  const bool elapsed = co_await delay(timer, params_.reset_timeout);
  if (!elapsed) co_return;
  emit(EventKind::reset_timeout, 0, 0, port_.outstanding());
  for (std::uint16_t i = 0; i < num_queues(); ++i)
    if (queues_[i].resetting) engine_->orphan(QueueIndex{i});
}

void Device::notify(QueueIndex index, std::optional<NotificationData> data) {
  if (!queue(index) || !live()) return; // a spurious or early notification is harmless (2.7.10.2)
  emit(EventKind::doorbell, raw(index), data ? data->next_off : 0);
  engine_->doorbell(index, data);
}

// --- reset (virtio 1.4, 2.4) --------------------------------------------------------------------

void Device::reset() {
  if (resetting_) return;
  emit(EventKind::reset_begin);
  resetting_ = true;
  ++stopping_; // holds settle() back until every queue was told
  for (std::uint16_t i = 0; i < num_queues(); ++i)
    if (queues_[i].enabled) stop_queue(QueueIndex{i}, true);
  --stopping_;
  settle();
}

void Device::settle() {
  if (stopping_ != 0) return;
  reset_timer_.reset();
  if (resetting_) {
    accepted_ = negotiated_ = {};
    last_error_ = RingError::none;
    for (QueueConfig& q : queues_)
      q = {.max_size = q.max_size, .size = q.max_size};
    function_->reset();
    resetting_ = false;
    set_status(0);
    if (transport_) transport_->on_device_reset();
    emit(EventKind::reset_end);
  }
  for (auto& then : std::exchange(when_settled_, {}))
    then();
}

void Device::when_settled(std::function<void()> then) {
  if (stopping_ == 0 && !resetting_)
    then();
  else
    when_settled_.push_back(std::move(then));
}

// --- configuration space (virtio 1.4, 2.5) ------------------------------------------------------

void Device::read_config(std::uint32_t offset, std::span<std::byte> bytes) {
  // 4.1.4.3.1: a value that changed since the last read comes with a changed generation.
  if (config_dirty_) {
    config_dirty_ = false;
    ++generation_;
  }
  const auto config = function_->config();
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  if (offset >= config.size()) return;
  const auto n = std::min<std::size_t>(bytes.size(), config.size() - offset);
  std::copy_n(config.begin() + offset, n, bytes.begin());
}

void Device::write_config(std::uint32_t offset, std::span<const std::byte> bytes) {
  const auto size = function_->config().size();
  if (offset >= size) return;
  function_->write_config(offset, bytes.first(std::min<std::size_t>(bytes.size(), size - offset)));
}

void Device::config_changed() {
  config_dirty_ = true;
  if (!live()) return;
  emit(EventKind::config_change);
  if (transport_) transport_->config_change_notification();
}

// --- between the ring engine and the function ---------------------------------------------------

void Device::on_chain(Chain& chain) {
  emit(EventKind::chain, raw(chain.queue), chain.id, chain.readable_len + chain.writable_len);
  function_->on_chain(chain);
}

void Device::complete(Chain& chain, std::uint32_t written, CompletionHints hints) {
  const QueueIndex queue = chain.queue;
  emit(EventKind::used, raw(queue), chain.id, written);
  engine_->complete(chain, written, hints);
  engine_->credit(queue, 1);
}

void Device::fail(Chain& chain, RingError error) {
  engine_->quiesce(chain.queue);
  on_ring_error(chain.queue, error);
}

void Device::on_available(QueueIndex queue, std::uint16_t id) {
  emit(EventKind::available, raw(queue), id);
}

void Device::on_published(QueueIndex queue, std::uint16_t id) {
  emit(EventKind::published, raw(queue), id);
}

void Device::on_interrupt(QueueIndex queue) {
  emit(EventKind::interrupt, raw(queue));
  if (transport_) transport_->used_buffer_notification(queue);
}

void Device::on_ring_error(QueueIndex queue, RingError error) {
  if (resetting_) return;
  last_error_ = error;
  emit(EventKind::error, raw(queue), static_cast<std::uint32_t>(error));
  if (status_ & VIRTIO_STATUS_DEVICE_NEEDS_RESET) return;
  set_status(status_ | VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  // virtio 1.4, 2.1.2: with DRIVER_OK set, the driver MUST be told.
  if ((status_ & VIRTIO_STATUS_DRIVER_OK) && transport_) {
    emit(EventKind::config_change);
    transport_->config_change_notification();
  }
}

} // namespace virtio
