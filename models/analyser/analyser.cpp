#include <virtio/analyser/analyser.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::analyser {
namespace {

std::string describe(const MemoryAccess& access) {
  return fmt::format("{} of {} bytes at {:#x}", access.write ? "write" : "read", access.data.size(),
                     raw(access.addr));
}

bool in_areas(const LiveQueue& q, const MemoryAccess& access) {
  const std::uint64_t size = q.size;
  const bool packed = q.features.has(VIRTIO_F_RING_PACKED);
  return overlap(q.desc, 16 * size, access) ||
         overlap(q.driver, packed ? 4 : 6 + 2 * size, access) ||
         overlap(q.device, packed ? 4 : 6 + 8 * size, access);
}

LiveQueue live_queue(std::uint16_t index, const ObservedQueue& q, const FeatureSet& features) {
  return {.index = index,
          .size = q.size,
          .desc = q.address[DeviceState::desc],
          .driver = q.address[DeviceState::driver],
          .device = q.address[DeviceState::device],
          .features = features};
}

} // namespace

Analyser::Analyser(AnalyserParams params, Sink sink)
    : params_(std::move(params)), report_(params_.device, params_.recommendations, std::move(sink)),
      state_(params_.pci ? pci_rules : mmio_rules, params_.max_queues, report_, *this),
      mmio_(state_, report_), pci_(params_.pci_layout, state_, report_) {}

void Analyser::on_register(const RegisterAccess& access) {
  report_.at(access.time);
  if (access.space == RegisterSpace::mmio)
    mmio_.access(access);
  else
    pci_.access(access);
}

void Analyser::queue_live(std::uint16_t queue, const ObservedQueue& config) {
  const LiveQueue live = live_queue(queue, config, state_.negotiated());
  live_[queue] = live;
  auto& tracker = trackers_[queue] = QueueTracker::make(live, params_.max_pieces, report_);
  if (type_rules_) {
    type_rules_->queue_live(queue);
    tracker->listen(type_rules_.get());
  }
  ghosts_.erase(queue);
}

void Analyser::queue_gone(std::uint16_t queue) {
  if (type_rules_) type_rules_->queue_gone(queue);
  trackers_.erase(queue);
  const auto live = live_.find(queue);
  if (live == live_.end()) return;
  const ObservedQueue* q = state_.queue(queue);
  ghosts_[queue] = {queue, q && q->stop == ObservedQueue::Stop::reset, live->second};
  live_.erase(live);
}

void Analyser::all_queues_gone() {
  if (type_rules_) type_rules_->reset();
  trackers_.clear();
  live_.clear();
  ghosts_.clear();
}

void Analyser::notified(std::uint16_t queue, std::optional<NotificationData> data) {
  if (type_rules_) type_rules_->notified(queue);
  if (const auto tracker = trackers_.find(queue); tracker != trackers_.end())
    tracker->second->notified(data);
}

// --- the device type
// -------------------------------------------------------------------------------------

void Analyser::device_type(std::uint16_t type) {
  if (!type_rules_) type_rules_ = TypeRules::make(type, report_);
}

void Analyser::features_settled(const FeatureSet& offered, const FeatureSet& accepted) {
  if (type_rules_) type_rules_->features_settled(offered, accepted);
}

void Analyser::config_read(std::uint64_t offset, unsigned width, std::uint64_t value) {
  if (type_rules_) type_rules_->config_read(offset, width, value);
}

void Analyser::config_change_told() {
  if (type_rules_) type_rules_->config_change_told();
}

// --- memory
// -------------------------------------------------------------------------------------------

/// False when no access is allowed now; that has been reported.
bool Analyser::may_access_memory(const MemoryAccess& access) {
  if (state_.phase() != DeviceState::Phase::live) {
    report_.add(state_.phase() == DeviceState::Phase::after_reset ? Rule::GEN_DEV_009
                                                                  : Rule::GEN_DEV_001,
                {}, [&] { return describe(access); });
    return false;
  }
  if (!pci_.bus_master()) {
    report_.add(Rule::PCI_LAY_002, {}, [&] { return describe(access); });
    return false;
  }
  return true;
}

void Analyser::on_device_memory(const MemoryAccess& access) {
  report_.at(access.time);
  if (access.data.empty() || !fits(access.addr, access.data.size())) return;
  if (const auto vector = pci_.message(access)) {
    if (may_access_memory(access)) pci_.message_sent(*vector);
    return;
  }
  if (!may_access_memory(access)) return;
  bool known = false;
  for (const auto& [index, tracker] : trackers_) {
    const std::uint64_t updates = tracker->used_updates();
    known |= tracker->device_access(access);
    if (tracker->used_updates() == updates) continue;
    mmio_.used_ring_updated();
    pci_.used_ring_updated();
  }
  if (!known) report_unknown_access(access);
}

void Analyser::report_unknown_access(const MemoryAccess& access) {
  for (const auto& [index, ghost] : ghosts_) {
    if (!in_areas(ghost.areas, access)) continue;
    report_.add(ghost.reset ? Rule::GEN_DEV_011 : Rule::MMIO_DEV_007, index,
                [&] { return describe(access); });
    return;
  }
  for (const auto& [index, q] : state_.queues()) {
    if (q.state != ObservedQueue::State::off || q.size == 0 ||
        !in_areas(live_queue(index, q, state_.negotiated()), access) || q.written == 0)
      continue;
    report_.add(params_.pci ? Rule::PCI_LAY_001 : Rule::MMIO_DEV_007, index,
                [&] { return describe(access); });
    return;
  }
  if (sees_everything())
    report_.add(Rule::GEN_LAY_002, {}, [&] {
      return fmt::format("{}, in none of the {} queues, their tables and buffers", describe(access),
                         trackers_.size());
    });
}

/// Every enabled queue is tracked, and nothing of it is unknown.
bool Analyser::sees_everything() const {
  return state_.queues().size() < params_.max_queues &&
         std::ranges::all_of(state_.queues(),
                             [&](const auto& q) {
                               return q.second.state == ObservedQueue::State::off ||
                                      q.second.state == ObservedQueue::State::stopped ||
                                      trackers_.contains(q.first);
                             }) &&
         std::ranges::all_of(trackers_, [](const auto& t) { return t.second->sees_everything(); });
}

void Analyser::on_driver_memory(const MemoryAccess& access) {
  report_.at(access.time);
  if (access.data.empty() || !fits(access.addr, access.data.size())) return;
  for (const auto& [index, tracker] : trackers_)
    tracker->driver_access(access);
}

void Analyser::finish(SimTime time) {
  report_.at(time);
  for (const auto& [index, tracker] : trackers_)
    tracker->finish();
  if (type_rules_) type_rules_->finish();
}

} // namespace virtio::analyser
