#include <virtio/analyser/device_state.hpp>
#include <virtio/core/device.hpp>
#include <virtio/core/packed_ring.hpp>
#include <virtio/core/split_ring.hpp>

#include <fmt/format.h>

#include <bit>

namespace virtio::analyser {
namespace {

constexpr std::uint8_t VIRTIO_STATUS_SUSPEND = 16;
constexpr std::uint8_t defined_status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                        VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK |
                                        VIRTIO_STATUS_SUSPEND | VIRTIO_STATUS_DEVICE_NEEDS_RESET |
                                        VIRTIO_STATUS_FAILED;
constexpr std::uint8_t all_areas = 7;
constexpr const char* area_names[] = {"descriptor area", "driver area", "device area"};

/// virtio 1.4, 2.2: bits that nothing may use, beside those that a transport excludes.
bool reserved(unsigned bit, bool pci) {
  if (bit >= 24 && bit <= 40) return bit < VIRTIO_F_INDIRECT_DESC || bit == 30 || bit == 31;
  if (bit == VIRTIO_F_ADMIN_VQ) return !pci; // 4.2.5
  return bit >= 44 && bit <= 49;
}

} // namespace

// --- status (virtio 1.4, 2.1.1 and 3.1.1) -------------------------------------------------------

void DeviceState::status_written(std::uint8_t value) {
  if (value == 0) {
    reset_requested();
    return;
  }
  if (resetting_) {
    report_.add(rules_.reset_not_awaited, {}, [&] {
      return fmt::format("status {:#04x} was written after the reset without reading 0 first",
                         value);
    });
    reset_acknowledged();
  }
  if (!saw_reset_) {
    report_.add(Rule::GEN_DRV_017, {}, [&] {
      return fmt::format("the first status written is {:#04x}; no 0 was written before", value);
    });
    saw_reset_ = true;
  }
  if (value & ~defined_status)
    report_.add(Rule::GEN_DRV_001, {}, [&] {
      return fmt::format("status {:#04x} has undefined bits {:#04x}", value,
                         value & ~defined_status);
    });
  const auto cleared = static_cast<std::uint8_t>(status_ & ~value) &
                       static_cast<std::uint8_t>(~VIRTIO_STATUS_DEVICE_NEEDS_RESET);
  if (cleared)
    report_.add(Rule::GEN_DRV_002, {}, [&] {
      return fmt::format("status was {:#04x}, {:#04x} was written: bits {:#04x} are cleared",
                         status_, value, cleared);
    });
  const auto risen = static_cast<std::uint8_t>(value & ~status_);
  if ((status_ & VIRTIO_STATUS_FAILED) && risen)
    report_.add(Rule::GEN_DRV_003, {}, [&] {
      return fmt::format("status {:#04x} was written after FAILED, without a reset", value);
    });
  if ((risen & VIRTIO_STATUS_DRIVER) && !(value & VIRTIO_STATUS_ACKNOWLEDGE))
    report_.add(Rule::GEN_DRV_018, {},
                [&] { return fmt::format("status {:#04x}: DRIVER without ACKNOWLEDGE", value); });
  if ((risen & VIRTIO_STATUS_SUSPEND) &&
      (!(status_ & VIRTIO_STATUS_DRIVER_OK) || !negotiated_.has(VIRTIO_F_SUSPEND)))
    report_.add(Rule::GEN_DRV_033, {}, [&] {
      return fmt::format("SUSPEND with status {:#04x}, VIRTIO_F_SUSPEND {}", status_,
                         negotiated_.has(VIRTIO_F_SUSPEND) ? "negotiated" : "not negotiated");
    });

  const std::uint8_t before = status_;
  if (risen & VIRTIO_STATUS_FEATURES_OK) {
    check_features();
    listener_.features_settled(offered_, accepted_);
    negotiated_ = accepted_;
    features_refused_ = false;
    features_ok_unread_ = true;
  }
  if (risen & VIRTIO_STATUS_DRIVER_OK) {
    if (!(before & VIRTIO_STATUS_FEATURES_OK) && !features_refused_)
      report_.add(Rule::GEN_DRV_022, {}, [&] {
        return fmt::format("status went from {:#04x} to {:#04x}: DRIVER_OK, and FEATURES_OK was "
                           "not set before",
                           before, value);
      });
    else
      require_features_ok_read("DRIVER_OK was set");
    if (unverified_config_vector_)
      report_.add(Rule::PCI_DRV_034, {}, [&] {
        return fmt::format("config_msix_vector was written with {} and not read back before "
                           "DRIVER_OK",
                           *unverified_config_vector_);
      });
    unverified_config_vector_.reset();
  }
  status_ |= value;
  if (risen & VIRTIO_STATUS_DRIVER_OK) {
    phase_ = Phase::live;
    for (const auto& [index, q] : queues_)
      if (q.state == ObservedQueue::State::on) go_live(index, q);
  }
}

void DeviceState::status_read(std::uint8_t value) {
  if (value == 0) {
    // Of a reset that the driver asked for, or of one that came from elsewhere.
    if (resetting_ || status_ != 0) reset_acknowledged();
    return;
  }
  if (resetting_) return;
  if (features_ok_unread_ && !(value & VIRTIO_STATUS_FEATURES_OK)) features_refused_ = true;
  features_ok_unread_ = false;
  status_ = value;
}

void DeviceState::reset_requested() {
  saw_reset_ = resetting_ = true;
  status_ = 0;
  accepted_ = offered_ = {};
  offered_words_read_ = 0;
  features_refused_ = features_ok_unread_ = false;
  unverified_config_vector_.reset();
}

void DeviceState::reset_acknowledged() {
  reset_requested();
  resetting_ = false;
  negotiated_ = {};
  config_vector_ = 0xffff;
  if (phase_ == Phase::live) phase_ = Phase::after_reset;
  queues_.clear();
  listener_.all_queues_gone();
}

bool DeviceState::suspended() const {
  return (status_ & VIRTIO_STATUS_SUSPEND) && negotiated_.has(VIRTIO_F_SUSPEND);
}

// 3.1.1, steps 5 and 6: whatever needs the negotiation to be over comes after its result was read.
void DeviceState::require_features_ok_read(const char* what) {
  if (features_refused_) {
    report_.add(Rule::GEN_DRV_029, {},
                [&] { return fmt::format("{} although FEATURES_OK read back as 0", what); });
    features_refused_ = false;
  } else if (features_ok_unread_) {
    report_.add(Rule::GEN_DRV_024, {}, [&] {
      return fmt::format("{} without reading the status after FEATURES_OK", what);
    });
    features_ok_unread_ = false;
  }
}

// --- features (2.2.1 and 6.1) --------------------------------------------------------------------

void DeviceState::device_features_read(std::uint32_t word, std::uint32_t value) {
  if (word >= 4) return;
  offered_.set_word32(word, value);
  offered_words_read_ |= static_cast<std::uint8_t>(1u << word);
}

void DeviceState::driver_features_written(std::uint32_t word, std::uint32_t value) {
  if (!(status_ & VIRTIO_STATUS_DRIVER))
    report_.add(Rule::GEN_DRV_019, {}, [&] {
      return fmt::format("driver features {}..{} were written with status {:#04x}", 32 * word,
                         32 * word + 31, status_);
    });
  if (status_ & VIRTIO_STATUS_FEATURES_OK) {
    if (const std::uint32_t added = value & ~accepted_.word32(word))
      report_.add(Rule::GEN_DRV_023, {}, [&] {
        return fmt::format("bits {:#010x} of word {} were accepted with FEATURES_OK set", added,
                           word);
      });
    return;
  }
  if (word >= 4 && value != 0)
    report_.add(Rule::GEN_DRV_007, {},
                [&] { return fmt::format("bits {:#010x} of word {} are reserved", value, word); });
  accepted_.set_word32(word, value);
}

void DeviceState::check_features() {
  if (!offered_words_read_) {
    report_.add(Rule::GEN_DRV_020, {},
                [] { return "FEATURES_OK was set and no offered feature was read"; });
    return;
  }
  for (std::uint32_t word = 0; word < 4; ++word) {
    const std::uint32_t accepted = accepted_.word32(word);
    if (accepted && !(offered_words_read_ >> word & 1)) {
      report_.add(Rule::GEN_DRV_006, {}, [&] {
        return fmt::format("bits {:#010x} of word {} were accepted; its offer was never read",
                           accepted, word);
      });
    } else if (const std::uint32_t extra = accepted & ~offered_.word32(word)) {
      report_.add(Rule::GEN_DRV_005, {}, [&] {
        return fmt::format("word {}: {:#010x} was accepted, {:#010x} was offered; {:#010x} was not",
                           word, accepted, offered_.word32(word), extra);
      });
    }
  }
  const FeatureSet both = offered_ & accepted_;
  for (unsigned bit = 0; bit < FeatureSet::bits; ++bit)
    if (both.has(bit) && reserved(bit, rules_.pci))
      report_.add(Rule::GEN_DRV_007, {},
                  [&] { return fmt::format("reserved feature {} was accepted", bit); });
  if (both.has(VIRTIO_F_SR_IOV) && !rules_.pci)
    report_.add(Rule::GEN_DRV_047, {},
                [] { return "VIRTIO_F_SR_IOV was accepted of a device that is not on PCI"; });
  if (offered_.has(VIRTIO_F_VERSION_1) && !accepted_.has(VIRTIO_F_VERSION_1))
    report_.add(Rule::GEN_DRV_039, {}, [&] {
      return fmt::format("accepted {:#010x} of bits 32 to 63; VERSION_1 (32) is offered",
                         accepted_.word32(1));
    });
  check_recommended_features();
}

void DeviceState::check_recommended_features() {
  constexpr std::pair<unsigned, Rule> recommended[] = {
      {VIRTIO_F_ACCESS_PLATFORM, Rule::GEN_DRV_041},
      {VIRTIO_F_RING_PACKED, Rule::GEN_DRV_043},
      {VIRTIO_F_ORDER_PLATFORM, Rule::GEN_DRV_044},
      {VIRTIO_F_NOTIF_CONFIG_DATA, Rule::GEN_DRV_050}};
  for (const auto& [bit, rule] : recommended)
    if (offered_.has(bit) && !accepted_.has(bit))
      report_.add(rule, {}, [bit = bit] { return fmt::format("feature {} was offered", bit); });
}

// --- queues (2.6, 4.1.4.3, 4.2.2) ----------------------------------------------------------------

ObservedQueue* DeviceState::queue(std::uint32_t index) {
  const auto found =
      index <= 0xffff ? queues_.find(static_cast<std::uint16_t>(index)) : queues_.end();
  return found == queues_.end() ? nullptr : &found->second;
}

ObservedQueue* DeviceState::make_queue(std::uint32_t index) {
  if (ObservedQueue* known = queue(index)) return known;
  if (index > 0xffff || queues_.size() >= max_queues_) return nullptr;
  return &queues_[static_cast<std::uint16_t>(index)];
}

void DeviceState::queue_size_read(std::uint32_t index, std::uint32_t value) {
  if (value == 0) return;
  ObservedQueue* q = make_queue(index);
  if (!q) return;
  q->max_size = value;
  if (q->size == 0) q->size = static_cast<std::uint16_t>(std::min(value, 0xffffu));
}

void DeviceState::require_stop_seen(std::uint16_t index, ObservedQueue& q) {
  if (q.state != ObservedQueue::State::stopping) return;
  const Rule rule = q.stop == ObservedQueue::Stop::disable ? Rule::MMIO_DRV_011
                    : q.stop_was_polled                    ? rules_.queue_reset_not_awaited
                                                           : Rule::GEN_DRV_014;
  report_.add(rule, index, [&] {
    return q.stop_was_polled ? "the queue is set up again; its reset last read as unfinished"
                             : "the queue is set up again; nobody looked whether it had stopped";
  });
  q.state = ObservedQueue::State::stopped;
  listener_.queue_gone(index);
}

void DeviceState::queue_size_written(std::uint32_t index, std::uint32_t value) {
  ObservedQueue* q = make_queue(index);
  if (!q) return;
  const auto queue = static_cast<std::uint16_t>(index);
  require_stop_seen(queue, *q);
  if (q->state == ObservedQueue::State::on) {
    report_.add(rules_.pci ? Rule::PCI_DRV_017 : Rule::MMIO_DRV_010, queue,
                [&] { return fmt::format("size {} was written to an enabled queue", value); });
    return;
  }
  if (rules_.pci) {
    const bool packed = negotiated_.has(VIRTIO_F_RING_PACKED);
    if (packed && value == 0)
      report_.add(Rule::PCI_DRV_015, queue, [] { return "queue_size was written with 0"; });
    if (!packed && !std::has_single_bit(value))
      report_.add(Rule::PCI_DRV_016, queue,
                  [&] { return fmt::format("queue_size was written with {}", value); });
  } else if (q->max_size && value > *q->max_size) {
    report_.add(Rule::MMIO_DRV_009, queue, [&] {
      return fmt::format("QueueSize was written with {}, QueueSizeMax is {}", value, *q->max_size);
    });
  }
  q->size = static_cast<std::uint16_t>(std::min(value, 0xffffu));
}

void DeviceState::queue_address_written(std::uint32_t index, Area area, bool high_half,
                                        std::uint32_t value) {
  ObservedQueue* q = make_queue(index);
  if (!q) return;
  const auto queue = static_cast<std::uint16_t>(index);
  require_stop_seen(queue, *q);
  if (q->state == ObservedQueue::State::on) {
    report_.add(rules_.pci ? Rule::PCI_DRV_017 : Rule::MMIO_DRV_010, queue, [&] {
      return fmt::format("the {}'s address was written on an enabled queue", area_names[area]);
    });
    return;
  }
  const unsigned shift = high_half ? 32 : 0;
  std::uint64_t& address = q->address[area];
  address = (address & ~(0xffff'ffffull << shift)) | static_cast<std::uint64_t>(value) << shift;
  q->written |= static_cast<std::uint8_t>(1u << area);
}

void DeviceState::check_addresses(std::uint16_t index, const ObservedQueue& q) {
  const bool packed = negotiated_.has(VIRTIO_F_RING_PACKED);
  const std::array<std::uint64_t, 3> align =
      packed ? std::array{packed::desc_align, packed::event_align, packed::event_align}
             : std::array{split::desc_align, split::avail_align, split::used_align};
  for (unsigned area = 0; area < 3; ++area)
    if (q.address[area] % align[area] != 0)
      report_.add(packed ? Rule::PACKED_DRV_001 : Rule::SPLIT_DRV_001, index, [&] {
        return fmt::format("{} at {:#x} is not a multiple of {}", area_names[area], q.address[area],
                           align[area]);
      });
  if (q.written == all_areas) return;
  if (q.state == ObservedQueue::State::stopped && q.stop == ObservedQueue::Stop::reset)
    report_.add(Rule::GEN_DRV_016, index, [&] {
      return fmt::format("enabled after its reset with areas {:#x} of 0x7 written anew", q.written);
    });
  else if (rules_.pci)
    report_.add(Rule::PCI_DRV_017, index, [&] {
      return fmt::format("queue_enable with areas {:#x} of 0x7 written", q.written);
    });
}

void DeviceState::check_size(std::uint16_t index, const ObservedQueue& q) {
  const bool packed = negotiated_.has(VIRTIO_F_RING_PACKED);
  const bool bad =
      q.size == 0 || q.size > split::max_queue_size || (!packed && !std::has_single_bit(q.size));
  // virtio-pci says it of the write of queue_size.
  if (bad && !rules_.pci)
    report_.add(packed ? Rule::PACKED_LAY_004 : Rule::SPLIT_LAY_003, index,
                [&] { return fmt::format("enabled with size {}", q.size); });
}

void DeviceState::queue_enabled(std::uint32_t index) {
  ObservedQueue* q = make_queue(index);
  if (!q) return;
  const auto queue = static_cast<std::uint16_t>(index);
  if (q->state == ObservedQueue::State::on) return;
  require_stop_seen(queue, *q);
  if (!(status_ & VIRTIO_STATUS_FEATURES_OK) && !features_refused_)
    report_.add(Rule::GEN_DRV_025, queue, [&] {
      return fmt::format("enabled with status {:#04x}, before FEATURES_OK", status_);
    });
  else
    require_features_ok_read("a queue was enabled");
  check_addresses(queue, *q);
  check_size(queue, *q);
  if (q->unverified_vector)
    report_.add(Rule::PCI_DRV_034, queue, [&] {
      return fmt::format("queue_msix_vector was written with {} and not read back before "
                         "queue_enable",
                         *q->unverified_vector);
    });
  q->unverified_vector.reset();
  q->state = ObservedQueue::State::on;
  if (phase_ == Phase::live && !resetting_) go_live(queue, *q);
}

void DeviceState::go_live(std::uint16_t index, const ObservedQueue& q) {
  if (q.size != 0 && q.size <= split::max_queue_size) listener_.queue_live(index, q);
}

void DeviceState::queue_stop_written(std::uint32_t index, ObservedQueue::Stop stop) {
  ObservedQueue* q = queue(index);
  if (!q || (q->state != ObservedQueue::State::on && q->state != ObservedQueue::State::stopping))
    return;
  q->state = ObservedQueue::State::stopping;
  q->stop = stop;
  q->stop_was_polled = false;
  if (stop == ObservedQueue::Stop::reset) q->written = 0;
}

void DeviceState::queue_stop_read(std::uint32_t index, ObservedQueue::Stop stop,
                                  std::uint32_t value) {
  ObservedQueue* q = queue(index);
  if (!q || q->state != ObservedQueue::State::stopping || q->stop != stop) return;
  q->stop_was_polled = true;
  if (value != 0) return;
  q->state = ObservedQueue::State::stopped;
  listener_.queue_gone(static_cast<std::uint16_t>(index));
}

void DeviceState::queue_vector_written(std::uint32_t index, std::uint16_t vector) {
  ObservedQueue* q = make_queue(index);
  if (!q) return;
  q->vector = vector;
  q->unverified_vector = vector == 0xffff ? std::nullopt : std::optional(vector);
}

void DeviceState::queue_vector_read(std::uint32_t index) {
  if (ObservedQueue* q = queue(index)) q->unverified_vector.reset();
}

void DeviceState::config_vector_written(std::uint16_t vector) {
  config_vector_ = vector;
  unverified_config_vector_ = vector == 0xffff ? std::nullopt : std::optional(vector);
}

// --- notifications and configuration (2.9, 2.5) --------------------------------------------------

void DeviceState::notified(std::uint32_t index, std::optional<NotificationData> data) {
  const auto shown =
      index <= 0xffff ? std::optional(static_cast<std::uint16_t>(index)) : std::nullopt;
  if (!(status_ & VIRTIO_STATUS_DRIVER_OK)) {
    if (suspended())
      report_.add(Rule::GEN_DRV_036, shown, [] { return "notified while suspended"; });
    else
      report_.add(Rule::GEN_DRV_030, shown,
                  [&] { return fmt::format("notified with status {:#04x}", status_); });
    return;
  }
  if (suspended()) {
    report_.add(Rule::GEN_DRV_036, shown, [] { return "notified while SUSPEND is set"; });
    return;
  }
  const ObservedQueue* q = queue(index);
  if (!q || q->state != ObservedQueue::State::on) {
    report_.add(Rule::GEN_LAY_001, shown,
                [&] { return fmt::format("notified queue {}, which is not enabled", index); });
    return;
  }
  listener_.notified(static_cast<std::uint16_t>(index), data);
}

void DeviceState::config_written() {
  if (suspended())
    report_.add(Rule::GEN_DRV_037, {}, [] { return "configuration written while suspended"; });
  else if (!(status_ & VIRTIO_STATUS_FEATURES_OK) && !features_refused_)
    report_.add(Rule::GEN_DRV_021, {},
                [&] { return fmt::format("configuration written with status {:#04x}", status_); });
  else
    require_features_ok_read("the configuration was written");
}

} // namespace virtio::analyser
