// What the rules of one device type hear of a device: what was negotiated, its configuration as the
// driver read it, and the buffers of its queues with what they hold, as far as the device's own
// accesses show it. The analyser calls them; network devices have such rules (net_rules.hpp).
#pragma once

#include <virtio/analyser/violation.hpp>
#include <virtio/core/features.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace virtio::analyser {

/// Hears of the buffers of queues. Numbers count a queue's buffers in availability order.
class BufferListener {
public:
  virtual ~BufferListener() = default;

  /// The device saw for the first time that the driver made a buffer available.
  virtual void available(std::uint16_t queue, std::uint64_t number) = 0;
  /// All of its elements are known.
  virtual void complete(std::uint16_t queue, std::uint64_t number, std::uint64_t readable_len,
                        std::uint64_t writable_len) = 0;
  /// The device read bytes of it, or wrote them; `offset` counts the device-readable bytes, or the
  /// device-writable ones.
  virtual void data(std::uint16_t queue, std::uint64_t number, bool written, std::uint64_t offset,
                    std::span<const std::byte> bytes) = 0;
  /// The driver has it back.
  virtual void used(std::uint16_t queue, std::uint64_t number) = 0;
  /// The device saw everything that was available at this moment.
  virtual void caught_up(std::uint16_t queue) = 0;
};

class TypeRules : public BufferListener {
public:
  /// The rules of a device type; null if it has none.
  static std::unique_ptr<TypeRules> make(std::uint16_t device_type, Report& report);

  /// FEATURES_OK was written.
  virtual void features_settled(const FeatureSet& offered, const FeatureSet& accepted) = 0;
  /// The driver read the device-specific configuration.
  virtual void config_read(std::uint64_t offset, unsigned width, std::uint64_t value) = 0;
  /// The driver was told that the configuration changed.
  virtual void config_change_told() = 0;
  virtual void queue_live(std::uint16_t queue) = 0;
  virtual void queue_gone(std::uint16_t queue) = 0;
  virtual void notified(std::uint16_t queue) = 0;
  /// The device was reset.
  virtual void reset() = 0;
  /// The observation ends.
  virtual void finish() = 0;
};

} // namespace virtio::analyser
