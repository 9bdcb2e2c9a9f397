// One virtio device: status machine, feature negotiation, virtqueue set-up, configuration space and
// reset, the same for every transport and every device type. A transport translates its registers
// into the calls below and carries the notifications; a DeviceFunction does the work; a RingEngine
// walks the rings.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/event.hpp>
#include <virtio/core/ring_engine.hpp>
#include <virtio/core/ring_engine_params.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio {

/// Bits of the device status field (virtio 1.4, 2.1).
inline constexpr std::uint8_t VIRTIO_STATUS_ACKNOWLEDGE = 1;
inline constexpr std::uint8_t VIRTIO_STATUS_DRIVER = 2;
inline constexpr std::uint8_t VIRTIO_STATUS_DRIVER_OK = 4;
inline constexpr std::uint8_t VIRTIO_STATUS_FEATURES_OK = 8;
inline constexpr std::uint8_t VIRTIO_STATUS_DEVICE_NEEDS_RESET = 64;
inline constexpr std::uint8_t VIRTIO_STATUS_FAILED = 128;

/// How a device's notifications reach the driver.
class Transport {
public:
  virtual ~Transport() = default;
  virtual void used_buffer_notification(QueueIndex queue) = 0;
  virtual void config_change_notification() = 0;
  /// The device was reset (at the end of the reset): the transport's own state follows.
  virtual void on_device_reset() = 0;
};

/// One virtqueue as the driver configures it, between reset and enable.
struct QueueConfig {
  std::uint16_t max_size = 0;
  std::uint16_t size = 0;
  std::uint64_t desc = 0;
  std::uint64_t driver = 0;
  std::uint64_t device = 0;
  bool enabled = false;
  bool resetting = false;
};

/// Device-independent features that are offered unless the platform says otherwise.
/// VIRTIO_F_IN_ORDER and VIRTIO_F_NOTIFICATION_DATA are implemented too, but cost some drivers more
/// than they give; so is VIRTIO_F_NOTIF_CONFIG_DATA, on PCI.
inline constexpr FeatureSet default_transport_features{
    VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX,      VIRTIO_F_ACCESS_PLATFORM,
    VIRTIO_F_RING_PACKED,   VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_RING_RESET};

/// Builds a ring engine that is none of the models': RTL behind the same interface.
using RingEngineFactory = std::function<std::unique_ptr<RingEngine>(
    const std::string& name, Executor& executor, DmaPort& port, std::uint16_t num_queues,
    RingEngineClient& client)>;

struct DeviceParams {
  std::string name;
  /// Device-independent features offered beside VIRTIO_F_VERSION_1, which always is. Only what this
  /// build implements.
  FeatureSet transport_features = default_transport_features;
  /// After this much simulated time a reset gives up on memory that does not answer (assumed).
  SimTime reset_timeout = milliseconds(100);
  /// The timed ring engine with these parameters; without, the reference engine, which takes no
  /// time.
  std::optional<RingEngineParams> timed_ring = std::nullopt;
  /// Set, it builds the ring engine, and `timed_ring` is not looked at.
  RingEngineFactory make_ring = nullptr;
};

class Device final : public FunctionHost, public RingEngineClient {
public:
  /// Builds its ring engine over `port`. `sink` may be null. Throws std::invalid_argument when the
  /// ring's parameters cannot be.
  Device(DeviceParams params, Executor& executor, DmaPort& port,
         std::unique_ptr<DeviceFunction> function, EventSink* sink = nullptr);
  ~Device() override;

  void attach(Transport& transport) { transport_ = &transport; }

  // What a transport's registers do. Every call is safe with any argument at any time.
  DeviceType type() const { return function_->type(); }
  std::uint32_t device_features(std::uint32_t select) const { return offered_.word32(select); }
  std::uint32_t driver_features(std::uint32_t select) const { return accepted_.word32(select); }
  /// Ignored once FEATURES_OK is set (virtio 1.4, 3.1.1).
  void write_driver_features(std::uint32_t select, std::uint32_t value);
  /// During a reset: what it was before, so that a driver that polls sees non-zero until the reset
  /// is done.
  std::uint8_t status() const { return status_; }
  void write_status(std::uint8_t value);
  /// True from the write of 0 to the status until nothing of the device is in flight.
  bool resetting() const { return resetting_; }

  std::uint16_t num_queues() const { return static_cast<std::uint16_t>(queues_.size()); }
  /// Null when the queue does not exist.
  const QueueConfig* queue(QueueIndex queue) const;
  /// These five are ignored for a queue that does not exist or is enabled (virtio 1.4, 4.2.2.2: the
  /// driver MUST NOT).
  void write_queue_size(QueueIndex queue, std::uint16_t size);
  enum class Area : std::uint8_t { desc, driver, device };
  void write_queue_address(QueueIndex queue, Area area, bool high_half, std::uint32_t value);
  void enable_queue(QueueIndex queue);
  /// virtio 1.4, 2.6.1: the queue stops, its configuration goes back to the defaults.
  void reset_queue(QueueIndex queue);
  /// virtio-mmio's QueueReady = 0: the queue stops, its configuration stays.
  void disable_queue(QueueIndex queue);

  void notify(QueueIndex queue, std::optional<NotificationData> data);

  std::uint32_t config_size() const {
    return static_cast<std::uint32_t>(function_->config().size());
  }
  /// Bytes beyond the configuration space read as zero.
  void read_config(std::uint32_t offset, std::span<std::byte> bytes);
  /// Bytes beyond it are ignored.
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes);
  std::uint32_t config_generation() const { return generation_; }

  /// Resets as if the driver had written 0 to the status: for function-level reset and power-on.
  void reset();
  /// Calls `then` once, when neither the device nor any of its queues is being reset; now, if so.
  void when_settled(std::function<void()> then);

  // For platforms and people.
  const FeatureSet& offered() const { return offered_; }
  const FeatureSet& negotiated() const { return negotiated_; }
  DeviceFunction& function() const { return *function_; }
  RingEngine& engine() const { return *engine_; }
  /// Why DEVICE_NEEDS_RESET was set; `none` if it was not.
  RingError last_error() const { return last_error_; }

  // FunctionHost
  Dma dma(QueueIndex queue) override { return engine_->dma(queue); }
  void complete(Chain& chain, std::uint32_t written, CompletionHints hints = {}) override;
  void fail(Chain& chain, RingError error) override;
  bool coalesce(QueueIndex queue, const NotificationCoalescing& how) override {
    return engine_->coalesce(queue, how);
  }
  void config_changed() override;
  bool live() const override { return (status_ & VIRTIO_STATUS_DRIVER_OK) != 0 && !resetting_; }
  bool queue_live(QueueIndex queue) const override {
    const QueueConfig& q = queues_.at(raw(queue));
    return q.enabled && !q.resetting;
  }
  Executor& executor() override { return executor_; }
  const std::string& name() const override { return params_.name; }

private:
  void on_chain(Chain& chain) override;
  void on_interrupt(QueueIndex queue) override;
  void on_available(QueueIndex queue, std::uint16_t id) override;
  void on_published(QueueIndex queue, std::uint16_t id) override;
  void on_ring_error(QueueIndex queue, RingError error) override;

  QueueConfig* configurable(QueueIndex queue);
  void set_status(std::uint8_t value);
  bool features_acceptable() const;
  void go_live(QueueIndex queue);
  void stop_queue(QueueIndex queue, bool to_defaults);
  void queue_stopped(QueueIndex queue, bool to_defaults);
  Task<> watch_reset(Scope& timer);
  void settle();
  void emit(EventKind kind, std::uint16_t queue = 0, std::uint32_t id = 0,
            std::uint64_t bytes = 0) {
    if (sink_) [[unlikely]]
      sink_->on_event({executor_.now(), params_.name, kind, queue, id, bytes});
  }

  DeviceParams params_;
  Executor& executor_;
  DmaPort& port_;
  EventSink* sink_;
  Transport* transport_ = nullptr;
  std::unique_ptr<DeviceFunction> function_;
  std::unique_ptr<RingEngine> engine_;

  FeatureSet offered_;
  FeatureSet accepted_;   // what the driver wrote
  FeatureSet negotiated_; // what FEATURES_OK settled
  std::uint8_t status_ = 0;
  bool resetting_ = false;
  std::size_t stopping_ = 0; // queues whose reset has not ended
  std::vector<QueueConfig> queues_;
  RingError last_error_ = RingError::none;

  std::uint32_t generation_ = 0;
  bool config_dirty_ = false; // changed since the driver last read it
  std::vector<std::function<void()>> when_settled_;
  std::optional<Scope> reset_timer_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true); // for the port
};

} // namespace virtio
