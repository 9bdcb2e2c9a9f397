// What a device's registers have said so far, on any transport: status, features and queues, and
// the rules about the order in which a driver writes them (virtio 1.4, 2.1, 2.2, 2.6 and 3.1). A
// decoder of the transport's registers (mmio_registers.hpp, pci_registers.hpp) calls it; the
// analyser listens to what becomes of the queues.
#pragma once

#include <virtio/analyser/violation.hpp>
#include <virtio/core/features.hpp>
#include <virtio/core/ring_engine.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace virtio::analyser {

/// Where MMIO and PCI word the same rule each in their own statement.
struct TransportRules {
  bool pci = false;
  Rule reset_not_awaited{};
  Rule queue_reset_not_awaited{};
};
inline constexpr TransportRules mmio_rules{false, Rule::GEN_DRV_010, Rule::MMIO_DRV_014};
inline constexpr TransportRules pci_rules{true, Rule::PCI_DRV_018, Rule::PCI_DRV_020};

struct ObservedQueue {
  /// `stopping`: the driver asked for it and has not seen its end; `stopped`: it has.
  enum class State : std::uint8_t { off, on, stopping, stopped };
  /// virtio-mmio's QueueReady = 0, or a queue reset.
  enum class Stop : std::uint8_t { disable, reset };

  State state = State::off;
  Stop stop{};
  bool stop_was_polled = false;
  std::optional<std::uint32_t> max_size; ///< as the driver read it
  std::uint16_t size = 0;
  std::array<std::uint64_t, 3> address{}; ///< descriptor, driver and device area
  std::uint8_t written = 0;               ///< a bit for each area whose address was written
  std::optional<std::uint16_t> unverified_vector;
  std::uint16_t vector = 0xffff;
  std::optional<std::uint16_t> notify_off;
  std::optional<std::uint16_t> notif_config_data;
};

class QueueListener {
public:
  virtual ~QueueListener() = default;
  /// The queue is enabled and DRIVER_OK is set.
  virtual void queue_live(std::uint16_t queue, const ObservedQueue& config) = 0;
  /// The driver knows that the device does not use it any longer.
  virtual void queue_gone(std::uint16_t queue) = 0;
  /// So with all queues: the device was reset.
  virtual void all_queues_gone() = 0;
  virtual void notified(std::uint16_t queue, std::optional<NotificationData> data) = 0;
  /// The identification says what kind of device it is.
  virtual void device_type(std::uint16_t type) = 0;
  virtual void features_settled(const FeatureSet& offered, const FeatureSet& accepted) = 0;
  virtual void config_read(std::uint64_t offset, unsigned width, std::uint64_t value) = 0;
  virtual void config_change_told() = 0;
};

class DeviceState {
public:
  enum Area : std::uint8_t { desc, driver, device };
  /// When the device may touch memory.
  enum class Phase : std::uint8_t { before_first_driver_ok, live, after_reset };

  DeviceState(const TransportRules& rules, std::size_t max_queues, Report& report,
              QueueListener& listener)
      : rules_(rules), max_queues_(max_queues), report_(report), listener_(listener) {}

  // What the driver's register accesses mean.
  void status_written(std::uint8_t value);
  void status_read(std::uint8_t value);
  void device_features_read(std::uint32_t word, std::uint32_t value);
  void driver_features_written(std::uint32_t word, std::uint32_t value);
  void queue_size_read(std::uint32_t queue, std::uint32_t value);
  void queue_size_written(std::uint32_t queue, std::uint32_t value);
  void queue_address_written(std::uint32_t queue, Area area, bool high_half, std::uint32_t value);
  void queue_enabled(std::uint32_t queue);
  void queue_stop_written(std::uint32_t queue, ObservedQueue::Stop stop);
  /// QueueReady or queue_reset was read; `value` 0 means stopped.
  void queue_stop_read(std::uint32_t queue, ObservedQueue::Stop stop, std::uint32_t value);
  void queue_vector_written(std::uint32_t queue, std::uint16_t vector);
  void queue_vector_read(std::uint32_t queue);
  void config_vector_written(std::uint16_t vector);
  void config_vector_read() { unverified_config_vector_.reset(); }
  void notified(std::uint32_t queue, std::optional<NotificationData> data);
  void config_written();
  void device_type_read(std::uint32_t type) {
    if (type <= 0xffff) listener_.device_type(static_cast<std::uint16_t>(type));
  }
  void config_read(std::uint64_t offset, unsigned width, std::uint64_t value) {
    listener_.config_read(offset, width, value);
  }
  /// The driver saw an interrupt that says that the configuration changed.
  void config_change_told() { listener_.config_change_told(); }

  Phase phase() const { return phase_; }
  /// What FEATURES_OK settled.
  const FeatureSet& negotiated() const { return negotiated_; }
  /// Null when nothing is known of it.
  ObservedQueue* queue(std::uint32_t index);
  /// Made if there is room for it.
  ObservedQueue* make_queue(std::uint32_t index);
  const std::map<std::uint16_t, ObservedQueue>& queues() const { return queues_; }
  std::uint16_t config_vector() const { return config_vector_; }

private:
  void reset_requested();
  void reset_acknowledged();
  void check_features();
  void check_recommended_features();
  void check_addresses(std::uint16_t index, const ObservedQueue& q);
  void check_size(std::uint16_t index, const ObservedQueue& q);
  void require_features_ok_read(const char* what);
  /// False when the queue's stop has to be seen first; then that has been reported.
  void require_stop_seen(std::uint16_t index, ObservedQueue& q);
  void go_live(std::uint16_t index, const ObservedQueue& q);
  bool suspended() const;

  TransportRules rules_;
  std::size_t max_queues_;
  Report& report_;
  QueueListener& listener_;

  std::uint8_t status_ = 0;
  bool saw_reset_ = false;
  bool resetting_ = false;
  bool features_refused_ = false;
  bool features_ok_unread_ = false;
  Phase phase_ = Phase::before_first_driver_ok;
  FeatureSet offered_;
  FeatureSet accepted_;
  FeatureSet negotiated_;
  std::uint8_t offered_words_read_ = 0; // a bit for each word of 32
  std::map<std::uint16_t, ObservedQueue> queues_;
  std::uint16_t config_vector_ = 0xffff;
  std::optional<std::uint16_t> unverified_config_vector_;
};

} // namespace virtio::analyser
