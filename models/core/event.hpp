// The one typed event stream that leaves the models. Recording, coverage, checkers and scoreboards
// consume it; switched off, it costs a predicted branch.
#pragma once

#include <virtio/core/types.hpp>

#include <cstdint>
#include <string_view>

namespace virtio {

enum class EventKind : std::uint8_t {
  doorbell,      ///< id: notification data
  available,     ///< id: chain; its available entry was read (timed engines)
  chain,         ///< id: chain; bytes: readable + writable
  used,          ///< id: chain; bytes: written length
  published,     ///< id: chain; its used entry is written (timed engines)
  interrupt,     ///< a used buffer notification
  config_change, ///< a configuration change notification
  status,        ///< id: device status after a change
  features,      ///< negotiation ended; id: 1 accepted, 0 refused
  queue_enabled, ///< id: queue size
  queue_reset,   ///< the reset of one queue has ended
  reset_begin,   ///< the driver asked for a device reset
  reset_end,     ///< nothing of the device is in flight any longer
  reset_timeout, ///< bytes: transactions given up
  late_answer,   ///< to one of those, and dropped; id: AccessKind, bytes: its length
  error,         ///< id: RingError
};
const char* to_string(EventKind kind);

struct Event {
  SimTime time;
  std::string_view component; ///< the device's name; lives as long as the device
  EventKind kind{};
  std::uint16_t queue = 0;
  std::uint32_t id = 0;
  std::uint64_t bytes = 0;
};

class EventSink {
public:
  virtual ~EventSink() = default;
  virtual void on_event(const Event& event) = 0;
};

} // namespace virtio
