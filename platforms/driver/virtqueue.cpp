#include <virtio/core/device.hpp>
#include <virtio/core/split_ring.hpp>
#include <virtio/platforms/driver/virtqueue.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::driver {

Virtqueue::Virtqueue(Bus& bus, DeviceAccess& device, std::uint16_t index, std::uint16_t size,
                     Arena& arena)
    : bus_(bus), device_(device), index_(index),
      size_(std::min(size, device.max_queue_size(index))) {
  if (size_ == 0) throw DriverError(fmt::format("{}: there is no queue {}", device.place(), index));
  at_.desc = arena.take(split::desc_bytes(size_), split::desc_align);
  at_.driver = arena.take(split::avail_bytes(size_), split::avail_align);
  at_.device = arena.take(split::used_bytes(size_), split::used_align);
  const std::vector<std::byte> zeros(split::used_bytes(size_));
  bus_.write(at_.driver, std::span(zeros).first(split::avail_bytes(size_)));
  bus_.write(at_.device, zeros);
  chains_.resize(size_);
  for (std::uint16_t i = size_; i-- > 0;)
    free_.push_back(i);
  device_.enable_queue(index_, size_, at_);
}

std::optional<std::uint16_t> Virtqueue::add(std::span<const Buffer> chain) {
  if (chain.empty() || chain.size() > free_.size()) return std::nullopt;
  const std::uint16_t head = free_.back();
  auto& used = chains_[head];
  used.clear();
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const std::uint16_t slot = free_.back();
    free_.pop_back();
    used.push_back(slot);
    const bool last = i + 1 == chain.size();
    split::Desc desc;
    desc.addr = chain[i].addr;
    desc.len = chain[i].len;
    desc.flags =
        static_cast<std::uint16_t>((chain[i].device_writable ? split::VIRTQ_DESC_F_WRITE : 0) |
                                   (last ? 0 : split::VIRTQ_DESC_F_NEXT));
    desc.next = last ? std::uint16_t{0} : free_.back();
    bus_.write(at_.desc + 16ull * slot, std::as_bytes(std::span(&desc, 1)));
  }
  bus_.store<std::uint16_t>(raw(split::avail_ring(GuestAddr{at_.driver}, avail_idx_ & (size_ - 1))),
                            head);
  ++avail_idx_;
  return head;
}

void Virtqueue::kick() {
  bus_.store<std::uint16_t>(raw(split::avail_idx(GuestAddr{at_.driver})), avail_idx_);
  // virtio 1.4, 2.7.10.1: with flags 0 the driver MUST notify.
  const auto flags = bus_.load<std::uint16_t>(raw(split::used_flags(GuestAddr{at_.device})));
  if (!(flags & split::VIRTQ_USED_F_NO_NOTIFY)) device_.notify(index_);
}

std::optional<Virtqueue::Used> Virtqueue::take_used() {
  if (bus_.load<std::uint16_t>(raw(split::used_idx(GuestAddr{at_.device}))) == used_idx_)
    return std::nullopt;
  split::UsedElem elem;
  bus_.read(raw(split::used_ring(GuestAddr{at_.device}, used_idx_ & (size_ - 1))),
            std::as_writable_bytes(std::span(&elem, 1)));
  if (elem.id >= size_ || chains_[elem.id].empty())
    throw DriverError(fmt::format("{}: queue {} used {}, which was not available", device_.place(),
                                  index_, static_cast<std::uint32_t>(elem.id)));
  ++used_idx_;
  auto& chain = chains_[elem.id];
  free_.insert(free_.end(), chain.rbegin(), chain.rend());
  chain.clear();
  return Used{static_cast<std::uint16_t>(elem.id), elem.len};
}

Virtqueue::Used Virtqueue::wait_used(sc_core::sc_time timeout) {
  const sc_core::sc_time interval(1, sc_core::SC_US);
  const sc_core::sc_time end = sc_core::sc_time_stamp() + timeout;
  for (;;) {
    if (const auto used = take_used()) return *used;
    if (device_.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
      throw DriverError(fmt::format("{}: the device needs a reset", device_.place()));
    if (sc_core::sc_time_stamp() >= end)
      throw DriverError(fmt::format("{}: queue {} used nothing within {}", device_.place(), index_,
                                    timeout.to_string()));
    bus_.pause(interval);
  }
}

} // namespace virtio::driver
