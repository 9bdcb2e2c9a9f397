// When a queue's used buffer notifications are held back so that one stands for several packets
// (virtio 1.4, 5.1.6.5.9): a count and a time. Ring engines ask it before they look at what the
// driver wants.
#pragma once

#include <virtio/core/ring_engine.hpp>

#include <cstdint>

namespace virtio {

class NotificationHold {
public:
  /// Holds for those that are counted already, too.
  void set(const NotificationCoalescing& how) { how_ = how; }
  /// Packets were returned at `now`, at least one.
  void add(std::uint32_t packets, SimTime now) {
    if (count_ == 0) first_ = now;
    count_ += packets;
  }
  /// The driver is to be told, unless it does not want to be.
  bool due(SimTime now) const {
    return count_ != 0 && (how_.off() || count_ >= how_.max_packets || until() <= now);
  }
  /// There is something to tell, from until() on: it is held back until then.
  bool hold(SimTime now) {
    const bool holds = count_ != 0 && !due(now);
    held_ |= holds;
    return holds;
  }
  /// What was held back is due.
  bool overdue(SimTime now) const { return held_ && due(now); }
  SimTime until() const { return first_ + how_.delay; }
  void told() {
    count_ = 0;
    held_ = false;
  }

private:
  NotificationCoalescing how_;
  std::uint32_t count_ = 0;
  bool held_ = false;
  SimTime first_{};
};

} // namespace virtio
