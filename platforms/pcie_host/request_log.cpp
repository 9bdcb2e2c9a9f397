#include <virtio/platforms/pcie_host/request_log.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

const char* to_string(Stage stage) {
  constexpr std::array names{"doorbell", "available", "descriptor", "data",
                             "used",     "interrupt", "driver"};
  static_assert(names.size() == stages);
  return names[static_cast<std::size_t>(stage)];
}

void Timeline::settle() {
  for (std::size_t i = 1; i < points; ++i)
    at_[i] = std::max(at_[i], at_[i - 1]);
}

void Timeline::restart(SimTime start) {
  for (std::uint64_t& time : at_)
    time = std::max(time, start.ps);
}

std::array<std::uint64_t, stages> Timeline::by_stage() const {
  const auto between = [&](Point from, Point to) { return at(to) - at(from); };
  return {between(Point::submitted, Point::doorbell),
          between(Point::doorbell, Point::available),
          between(Point::available, Point::chain),
          between(Point::chain, Point::used),
          between(Point::used, Point::published),
          between(Point::published, Point::noticed),
          between(Point::start, Point::submitted) + between(Point::noticed, Point::done)};
}

void QueueLog::submitted(std::uint16_t token, SimTime start, SimTime now) {
  Timeline& times = times_[token];
  times = {};
  times.set(Point::start, start);
  times.set(Point::submitted, now);
  token_of_[next_id_++] = token;
}

void QueueLog::on_event(const Event& event) {
  const auto stamp = [&](Point point) {
    times_[token_of_[event.id & 0xffff]].set(point, event.time);
  };
  switch (event.kind) {
  case EventKind::doorbell:
    for (; announced_ != next_id_; ++announced_) {
      Timeline& times = times_[token_of_[announced_]];
      // What the device has found by itself needed no doorbell.
      if (times.at(Point::available) == 0 && times.at(Point::chain) == 0)
        times.set(Point::doorbell, event.time);
    }
    break;
  case EventKind::available:
    return stamp(Point::available);
  case EventKind::published:
    return stamp(Point::published);
  case EventKind::chain:
    return stamp(Point::chain);
  case EventKind::used:
    return stamp(Point::used);
  default:
    break;
  }
}

void DeviceLog::on_event(const Event& event) {
  ++counts_[static_cast<std::size_t>(event.kind)];
  if (event.queue < queues_.size() && queues_[event.queue]) queues_[event.queue]->on_event(event);
}

QueueLog& DeviceLog::add(std::uint16_t queue, std::uint16_t queue_size) {
  if (queues_.size() <= queue) queues_.resize(queue + 1u);
  queues_[queue] = std::make_unique<QueueLog>(queue_size);
  return *queues_[queue];
}

} // namespace virtio::platform::pcie_host
