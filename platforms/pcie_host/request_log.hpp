// When a request passed which point on its way, put together from what the driver did and from the
// device's events. The n-th chain of a queue has id n mod 2^16 at the device, so counting
// submissions is all that is needed to match the two.
#pragma once

#include <virtio/core/event.hpp>
#include <virtio/platforms/pcie_host/wide.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace virtio::platform::pcie_host {

/// What a request passes, in this order.
enum class Point : std::uint8_t {
  start,     ///< it came into being: the driver turned to it, it arrived (open loop), its frame did
  submitted, ///< it is in the ring, the doorbell not yet written
  doorbell,  ///< the doorbell that announced it reached the device
  available, ///< the device read its available entry
  chain,     ///< the device had read its descriptors
  used,      ///< the device function was done with it: its data was moved
  published, ///< the used entry was written
  noticed,   ///< the driver looked and found it
  done,      ///< the driver has taken it back
};
inline constexpr std::size_t points = 9;

/// Time between two points; together they are the whole latency.
enum class Stage : std::uint8_t {
  doorbell,
  available,
  descriptor,
  data,
  used,
  interrupt,
  driver,
};
inline constexpr std::size_t stages = 7;
const char* to_string(Stage stage);

class Timeline {
public:
  void set(Point point, SimTime time) { at_[static_cast<std::size_t>(point)] = time.ps; }
  /// The request came into being only at `start`; what was passed before, was then.
  void restart(SimTime start);
  /// A point that was not passed, or earlier than one before it (an earlier doorbell announced the
  /// request, too), counts as passed together with the one before.
  void settle();
  std::uint64_t at(Point point) const { return at_[static_cast<std::size_t>(point)]; }
  /// Picoseconds; after settle().
  std::uint64_t latency() const { return at(Point::done) - at(Point::start); }
  std::array<std::uint64_t, stages> by_stage() const;

private:
  std::array<std::uint64_t, points> at_{};
};

/// One queue's requests that are under way.
class QueueLog {
public:
  explicit QueueLog(std::uint16_t queue_size) : token_of_(65536), times_(queue_size) {}

  /// The driver made a chain available; `start` is when its request came into being.
  void submitted(std::uint16_t token, SimTime start, SimTime now);
  /// The device's.
  void on_event(const Event& event);
  Timeline& operator[](std::uint16_t token) { return times_[token]; }

private:
  std::vector<std::uint16_t> token_of_; // by chain id
  std::vector<Timeline> times_;         // by token
  std::uint16_t next_id_ = 0;
  std::uint16_t announced_ = 0; // chains before this one are known to the device
};

/// Deals a device's events out to the logs of its queues.
class DeviceLog : public EventSink {
public:
  void on_event(const Event& event) override;
  QueueLog& add(std::uint16_t queue, std::uint16_t queue_size);
  std::uint64_t count(EventKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

private:
  std::vector<std::unique_ptr<QueueLog>> queues_;
  std::array<std::uint64_t, 64> counts_{};
};

} // namespace virtio::platform::pcie_host
