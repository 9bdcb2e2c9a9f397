#include <virtio/rtl/cosim/ring_driver.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace virtio::rtl::cosim {

namespace {

constexpr std::array<const char*, num_mistakes> mistake_names{
    "none",         "order",  "loop",       "next", "head",       "jump",      "wrap",
    "table_length", "nested", "table_next", "sum",  "no_feature", "table_wrap"};
constexpr std::uint64_t page = 4096;
constexpr std::uint32_t table_bytes = 1024; // of one id
constexpr std::uint16_t most_tables = 1024; // more ids than that are not under way in large rings

constexpr std::uint64_t up(std::uint64_t bytes) {
  return (bytes + page - 1) / page * page;
}

} // namespace

std::optional<Mistake> mistake_of(const std::string& name) {
  const auto found = std::find(mistake_names.begin(), mistake_names.end(), name);
  if (found == mistake_names.end()) return std::nullopt;
  return static_cast<Mistake>(found - mistake_names.begin());
}
const char* name(Mistake mistake) {
  return mistake_names[static_cast<std::size_t>(mistake)];
}

std::uint64_t RingDriver::bytes_of(std::uint16_t size) {
  return up(split::desc_bytes(size)) + up(split::avail_bytes(size)) + up(split::used_bytes(size)) +
         up(std::uint64_t{table_bytes} * std::min(size, most_tables));
}

std::uint64_t RingDriver::offset_of_available(std::uint16_t size) {
  return up(split::desc_bytes(size));
}

std::uint64_t RingDriver::offset_of_used(std::uint16_t size) {
  return offset_of_available(size) + up(split::avail_bytes(size));
}

RingDriver::RingDriver(std::span<std::byte> memory, std::uint64_t origin, std::uint64_t base,
                       std::uint16_t size, FeatureSet features, RingIndex start)
    : memory_(memory), origin_(origin), base_(base), desc_(base),
      driver_(desc_ + up(split::desc_bytes(size))), device_(driver_ + up(split::avail_bytes(size))),
      tables_(device_ + up(split::used_bytes(size))), size_(size), features_(features),
      start_(start), packed_(features.has(VIRTIO_F_RING_PACKED)) {}

template <class T> void RingDriver::store(std::uint64_t at, T value) {
  std::memcpy(&memory_[at - origin_], static_cast<const void*>(&value), sizeof value);
}
template <class T> T RingDriver::load(std::uint64_t at) const {
  T value;
  std::memcpy(static_cast<void*>(&value), &memory_[at - origin_], sizeof value);
  return value;
}
std::uint64_t RingDriver::table_at(std::uint16_t id) const {
  return tables_ + std::uint64_t{table_bytes} * (id % most_tables);
}

QueueSetup RingDriver::set_up() {
  std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(base_ - origin_), bytes_of(size_),
              std::byte{});
  chains_.clear();
  free_.clear();
  free_ids_.clear();
  for (std::uint16_t i = 0; i < size_; ++i) {
    // As if the ring had been in use up to where it starts.
    const auto id = static_cast<std::uint16_t>((start_.index + i) % size_);
    free_.push_back(id);
    free_ids_.push_back(id);
  }
  entries_ = shown_ = used_ = start_.index;
  next_ = next_used_ = published_ = start_;
  taken_ = 0;
  held_.reset();
  submitted_ = available_ = returned_ = 0;
  unpublished_slots_ = 0;
  broken_ = false;
  if (!packed_) {
    store(driver_ + 2, le16(start_.index));
    store(device_ + 2, le16(start_.index));
  } else if (!start_.wrap || start_.index != 0) {
    // As if the ring had been in use: nothing is available, nothing is used.
    for (std::uint16_t i = 0; i < size_; ++i) {
      const bool wrap = (i < start_.index) != start_.wrap;
      store(desc_ + 16u * i + 14,
            le16(wrap ? std::uint16_t{0}
                      : static_cast<std::uint16_t>(packed::VIRTQ_DESC_F_AVAIL |
                                                   packed::VIRTQ_DESC_F_USED)));
    }
  }
  QueueSetup setup;
  setup.size = size_;
  setup.desc = GuestAddr{desc_};
  setup.driver = GuestAddr{driver_};
  setup.device = GuestAddr{device_};
  setup.features = features_;
  setup.start_avail = setup.start_used = start_;
  no_interrupts();
  return setup;
}

bool RingDriver::room_for(std::size_t segments, bool indirect) const {
  const std::size_t slots = indirect ? 1 : segments;
  return !free_ids_.empty() && (packed_ ? taken_ + slots <= size_ : slots <= free_.size());
}

// Whether a chain of that form can have it.
bool RingDriver::possible(Mistake mistake, bool indirect) const {
  switch (mistake) {
  case Mistake::table_length:
  case Mistake::nested:
  case Mistake::table_next:
  case Mistake::table_wrap:
    return indirect;
  case Mistake::loop:
    return !indirect;
  case Mistake::no_feature:
    return !has(VIRTIO_F_INDIRECT_DESC);
  case Mistake::next:
    return !indirect && !packed_;
  case Mistake::head:
  case Mistake::jump:
    return !packed_;
  default:
    return true;
  }
}

bool RingDriver::add(const std::vector<DriverSegment>& segments, bool indirect, Mistake mistake) {
  if (broken_ || !room_for(segments.size(), indirect)) return false;
  if (!possible(mistake, indirect) ||
      ((mistake == Mistake::order || mistake == Mistake::sum) &&
       !room_for(std::max<std::size_t>(2, segments.size()), indirect)))
    mistake = Mistake::none;
  Sent chain;
  chain.number = submitted_++;
  chain.segments = segments;
  if (mistake == Mistake::order) {
    chain.segments.resize(std::max<std::size_t>(2, segments.size()), {GuestAddr{page}, 16, false});
    chain.segments.front().writable = true;
    chain.segments.back().writable = false;
  }
  if (mistake == Mistake::wrap) {
    chain.segments.back().address = GuestAddr{~0ull - 4};
    chain.segments.back().length = 16;
  }
  if (mistake == Mistake::sum) {
    const bool writable = chain.segments.back().writable;
    chain.segments.resize(std::max<std::size_t>(2, segments.size()),
                          {GuestAddr{page}, 16, writable});
    for (auto* s : {&chain.segments.back(), &chain.segments[chain.segments.size() - 2]}) {
      s->address = GuestAddr{page};
      s->length = 0xffff'ffff;
    }
  }
  indirect |= mistake == Mistake::no_feature;
  if (packed_)
    add_packed(chain, indirect, mistake);
  else
    add_split(chain, indirect, mistake);
  broken_ = mistake != Mistake::none;
  if (!broken_) chains_.push_back(std::move(chain));
  return true;
}

std::uint32_t RingDriver::write_table(const Sent& chain, Mistake mistake) {
  const std::uint64_t at = table_at(chain.id);
  const std::size_t n = chain.segments.size();
  for (std::size_t i = 0; i < n; ++i) {
    const DriverSegment& s = chain.segments[i];
    auto flags = static_cast<std::uint16_t>((s.writable ? split::VIRTQ_DESC_F_WRITE : 0) |
                                            (!packed_ && i + 1 < n ? split::VIRTQ_DESC_F_NEXT : 0));
    if (mistake == Mistake::nested && i + 1 == n) flags = split::VIRTQ_DESC_F_INDIRECT;
    if (packed_) {
      packed::Desc d;
      d.addr = raw(s.address);
      d.len = s.length;
      d.id = static_cast<std::uint16_t>(i);
      d.flags = flags;
      store(at + 16 * i, d);
    } else {
      split::Desc d;
      d.addr = raw(s.address);
      d.len = s.length;
      d.flags = flags;
      d.next = static_cast<std::uint16_t>(i + 1 < n ? i + 1 : 0);
      store(at + 16 * i, d);
    }
  }
  return static_cast<std::uint32_t>(mistake != Mistake::table_length ? 16 * n
                                    : chain.number % 4 == 3          ? 0
                                                            : 16 * n + 4 + chain.number % 4 * 4);
}

void RingDriver::add_split(Sent& chain, bool indirect, Mistake mistake) {
  const std::size_t n = indirect ? 1 : chain.segments.size();
  for (std::size_t i = 0; i < n; ++i) {
    chain.descriptors.push_back(free_.front());
    free_.pop_front();
  }
  chain.id = chain.descriptors.front();
  chain.slots = 1;
  for (std::size_t i = 0; i < n; ++i) {
    split::Desc d;
    if (indirect) {
      d.addr = mistake == Mistake::table_wrap ? ~0ull - 4 : table_at(chain.id);
      d.len = write_table(chain, mistake);
      d.flags = static_cast<std::uint16_t>(
          split::VIRTQ_DESC_F_INDIRECT |
          (mistake == Mistake::table_next ? split::VIRTQ_DESC_F_NEXT : 0));
    } else {
      const DriverSegment& s = chain.segments[i];
      const bool more = i + 1 < n || mistake == Mistake::loop || mistake == Mistake::next;
      d.addr = raw(s.address);
      d.len = s.length;
      d.flags = static_cast<std::uint16_t>((s.writable ? split::VIRTQ_DESC_F_WRITE : 0) |
                                           (more ? split::VIRTQ_DESC_F_NEXT : 0));
      d.next = i + 1 < n ? chain.descriptors[i + 1]
               : mistake == Mistake::next
                   ? static_cast<std::uint16_t>(chain.number % 2 != 0 ? 0xfff0 : size_)
                   : chain.descriptors[i];
    }
    store(desc_ + 16u * chain.descriptors[i], d);
  }
  const std::uint16_t entry = mistake == Mistake::head
                                  ? static_cast<std::uint16_t>(size_ + chain.number % 2 * 3)
                                  : chain.id;
  store(driver_ + 4 + 2u * (entries_ & (size_ - 1u)), le16(entry));
  ++entries_;
  if (mistake == Mistake::jump) entries_ = static_cast<std::uint16_t>(used_ + size_ + 9);
}

void RingDriver::add_packed(Sent& chain, bool indirect, Mistake mistake) {
  chain.id = free_ids_.front();
  free_ids_.pop_front();
  chain.slots = static_cast<std::uint16_t>(indirect ? 1 : chain.segments.size());
  for (std::uint16_t i = 0; i < chain.slots; ++i) {
    packed::Desc d;
    const bool last = i + 1 == chain.slots;
    std::uint16_t flags = 0;
    if (indirect) {
      d.addr = mistake == Mistake::table_wrap ? ~0ull - 4 : table_at(chain.id);
      d.len = write_table(chain, mistake);
      flags = static_cast<std::uint16_t>(
          split::VIRTQ_DESC_F_INDIRECT |
          (mistake == Mistake::table_next ? split::VIRTQ_DESC_F_NEXT : 0));
    } else {
      const DriverSegment& s = chain.segments[i];
      d.addr = raw(s.address);
      d.len = s.length;
      flags = static_cast<std::uint16_t>(
          (s.writable ? split::VIRTQ_DESC_F_WRITE : 0) |
          (!last || mistake == Mistake::loop ? split::VIRTQ_DESC_F_NEXT : 0));
    }
    flags |= next_.wrap ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED;
    // 2.8.6: the id is that of the last descriptor of the list.
    d.id = last ? chain.id : std::uint16_t{0xbeef};
    // The first list's first flags make all of them available, at publish().
    const std::uint64_t at = desc_ + 16u * next_.index;
    if (!held_) {
      held_ = next_;
      held_flags_ = flags;
      d.flags = load<packed::Desc>(at).flags;
    } else {
      d.flags = flags;
    }
    store(at, d);
    if (++next_.index == size_) next_ = {0, !next_.wrap};
  }
  taken_ = static_cast<std::uint16_t>(taken_ + chain.slots);
  unpublished_slots_ += chain.slots;
}

NotificationData RingDriver::notification() const {
  if (packed_) return {next_.index, next_.wrap};
  return {static_cast<std::uint16_t>(shown_ & 0x7fff), (shown_ & 0x8000) != 0};
}

bool RingDriver::publish() {
  available_ = submitted_;
  if (packed_) {
    if (!held_) return false;
    store(desc_ + 16u * held_->index + 14, le16(held_flags_));
    const RingIndex before = *std::exchange(held_, std::nullopt);
    const std::uint32_t count = std::exchange(unpublished_slots_, 0u);
    const std::uint32_t event = load<le32>(device_);
    if (packed::event_flags(event) == packed::RING_EVENT_FLAGS_DISABLE) return false;
    if (packed::event_flags(event) != packed::RING_EVENT_FLAGS_DESC || !has(VIRTIO_F_EVENT_IDX))
      return true;
    const int distance = packed::event_offset(event) - before.index +
                         (packed::event_wrap(event) != before.wrap ? size_ : 0);
    return distance >= 0 && distance < static_cast<int>(count);
  }
  if (entries_ == shown_) return false;
  const std::uint16_t before = std::exchange(shown_, entries_);
  store(driver_ + 2, le16(shown_));
  if (!has(VIRTIO_F_EVENT_IDX)) return (load<le16>(device_) & split::VIRTQ_USED_F_NO_NOTIFY) == 0;
  const std::uint16_t event = load<le16>(device_ + 4 + 8u * size_);
  return static_cast<std::uint16_t>(shown_ - event - 1) <
         static_cast<std::uint16_t>(shown_ - before);
}

std::optional<std::string>
RingDriver::check_segments(std::uint64_t n, const std::vector<DriverSegment>& segments) const {
  const auto chain =
      std::find_if(chains_.begin(), chains_.end(), [n](const Sent& c) { return c.number == n; });
  if (chain == chains_.end() || n >= available_)
    return fmt::format("chain {} was not made available", n);
  if (chain->segments.size() != segments.size())
    return fmt::format("chain {} has {} segments, not {}", n, segments.size(),
                       chain->segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i)
    if (segments[i].address != chain->segments[i].address ||
        segments[i].length != chain->segments[i].length ||
        segments[i].writable != chain->segments[i].writable)
      return fmt::format("segment {} of chain {} is {:#x} +{}, not {:#x} +{}", i, n,
                         raw(segments[i].address), segments[i].length,
                         raw(chain->segments[i].address), chain->segments[i].length);
  return std::nullopt;
}

void RingDriver::completed(std::uint64_t n, std::uint32_t written) {
  for (Sent& chain : chains_)
    if (chain.number == n) chain.written = written;
}

bool RingDriver::used_at_next(std::uint16_t& id, std::uint32_t& length) const {
  if (packed_) {
    const auto d = load<packed::Desc>(desc_ + 16u * next_used_.index);
    const std::uint16_t flags = d.flags;
    const bool avail = (flags & packed::VIRTQ_DESC_F_AVAIL) != 0;
    const bool used = (flags & packed::VIRTQ_DESC_F_USED) != 0;
    if (avail != used || used != next_used_.wrap) return false;
    id = d.id;
    length = d.len;
    return !chains_.empty();
  }
  if (load<le16>(device_ + 2) == used_) return false;
  const auto element = load<split::UsedElem>(device_ + 4 + 8u * (used_ & (size_ - 1u)));
  id = static_cast<std::uint16_t>(std::uint32_t{element.id});
  length = element.len;
  return true;
}

std::optional<std::string> RingDriver::reclaim() {
  std::uint16_t id = 0;
  std::uint32_t length = 0;
  while (used_at_next(id, length)) {
    const auto chain =
        std::find_if(chains_.begin(), chains_.end(), [id](const Sent& c) { return c.id == id; });
    if (chain == chains_.end())
      return fmt::format("id {} is used, which is not with the device", id);
    if (!chain->written) return fmt::format("id {} is used before it was completed", id);
    if (*chain->written != length)
      return fmt::format("id {} has length {}, not {}", id, length, *chain->written);
    // In order, one element stands for all before it.
    const auto first = has(VIRTIO_F_IN_ORDER) ? chains_.begin() : chain;
    for (auto c = first; c != std::next(chain); ++c) {
      if (!c->written) return fmt::format("id {} is skipped before it was completed", c->id);
      free_.insert(free_.end(), c->descriptors.begin(), c->descriptors.end());
      if (packed_) {
        free_ids_.push_back(c->id);
        taken_ = static_cast<std::uint16_t>(taken_ - c->slots);
        for (std::uint16_t i = 0; i < c->slots; ++i)
          if (++next_used_.index == size_) next_used_ = {0, !next_used_.wrap};
      }
      ++used_;
      ++returned_;
    }
    chains_.erase(first, std::next(chain));
  }
  return std::nullopt;
}

void RingDriver::no_interrupts() {
  if (packed_)
    store(driver_, le32(packed::event(0, false, packed::RING_EVENT_FLAGS_DISABLE)));
  else if (has(VIRTIO_F_EVENT_IDX))
    store(driver_ + 4 + 2u * size_, le16(static_cast<std::uint16_t>(used_ - 1)));
  else
    store(driver_, le16(split::VIRTQ_AVAIL_F_NO_INTERRUPT));
}

bool RingDriver::ask_for_interrupt(std::uint16_t ahead) {
  // Never for more than what is with the device: nobody would wake the driver.
  if (!chains_.empty())
    ahead = std::min<std::uint16_t>(ahead, static_cast<std::uint16_t>(chains_.size() - 1));
  else
    ahead = 0;
  if (packed_) {
    if (has(VIRTIO_F_EVENT_IDX)) {
      std::uint32_t slots = 0;
      if (has(VIRTIO_F_IN_ORDER))
        for (std::uint16_t i = 0; i < ahead; ++i)
          slots += chains_[i].slots;
      const std::uint32_t at = next_used_.index + slots;
      store(driver_,
            le32(packed::event(static_cast<std::uint16_t>(at % size_),
                               next_used_.wrap != (at >= size_), packed::RING_EVENT_FLAGS_DESC)));
    } else {
      store(driver_, le32(packed::event(0, false, packed::RING_EVENT_FLAGS_ENABLE)));
    }
  } else if (has(VIRTIO_F_EVENT_IDX)) {
    store(driver_ + 4 + 2u * size_, le16(static_cast<std::uint16_t>(used_ + ahead)));
  } else {
    store(driver_, le16(0));
  }
  std::uint16_t id = 0;
  std::uint32_t length = 0;
  return !used_at_next(id, length);
}

} // namespace virtio::rtl::cosim
