// What tests of the core share: memory that answers when told to, a driver's half of a split ring
// in host memory, and a device function that hands its chains to the test.
#pragma once

#include "support/timed_ring.hpp"

#include <virtio/core/device.hpp>
#include <virtio/core/packed_ring.hpp>
#include <virtio/core/split_ring.hpp>

#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

namespace virtio::test {

/// Memory without windows: every access becomes a transaction that waits until the test lets it go.
class ManualPort final : public DmaPort {
public:
  explicit ManualPort(std::span<std::byte> memory) : memory_(memory) {}

  /// Transactions that wait, oldest first.
  std::deque<DmaTransaction*> waiting;
  /// Every transaction that was issued: what for, where, how many bytes, in which direction.
  struct Seen {
    AccessKind kind;
    std::uint64_t addr;
    std::uint32_t len;
    bool write;
  };
  std::vector<Seen> seen;
  /// Answers inside issue() instead of waiting.
  bool immediate = false;

  void answer_at(std::size_t i, DmaStatus status = DmaStatus::ok) {
    DmaTransaction& t = *waiting.at(i);
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
    perform(t, status);
  }
  void answer_front(DmaStatus status = DmaStatus::ok) { answer_at(0, status); }

private:
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& t) override {
    seen.push_back({t.kind, raw(t.addr), t.len, t.write});
    if (immediate)
      perform(t, DmaStatus::ok);
    else
      waiting.push_back(&t);
  }
  void perform(DmaTransaction& t, DmaStatus status) {
    const std::uint64_t at = raw(t.addr);
    if (status == DmaStatus::ok && (at > memory_.size() || t.len > memory_.size() - at))
      status = DmaStatus::address_error;
    if (status == DmaStatus::ok)
      std::memcpy(t.write ? memory_.data() + at : t.buffer.data(),
                  t.write ? t.buffer.data() : memory_.data() + at, t.len);
    answer(t, status);
  }
  std::span<std::byte> memory_;
};

/// A driver's half of a split ring; guest address 0 is memory[0].
class SplitRingDriver {
public:
  static constexpr std::uint64_t desc_at = 0x1000;
  static constexpr std::uint64_t avail_at = 0x10'0000;
  static constexpr std::uint64_t used_at = 0x20'0000;

  SplitRingDriver(std::span<std::byte> memory, std::uint16_t size) : memory_(memory), size_(size) {}

  void set_desc(std::uint16_t i, std::uint64_t addr, std::uint32_t len, std::uint16_t flags = 0,
                std::uint16_t next = 0) {
    split::Desc d;
    d.addr = addr;
    d.len = len;
    d.flags = flags;
    d.next = next;
    std::memcpy(&memory_[desc_at + 16u * i], &d, sizeof d);
  }
  void make_available(std::uint16_t head) {
    put16(avail_at + 4 + 2u * (avail_idx % size_), head);
    ++avail_idx;
  }
  void publish() { put16(avail_at + 2, avail_idx); }
  std::uint16_t used_idx() const { return get16(used_at + 2); }
  split::UsedElem used(std::uint16_t i) const {
    split::UsedElem e;
    std::memcpy(&e, &memory_[used_at + 4 + 8u * (i % size_)], sizeof e);
    return e;
  }
  void put16(std::uint64_t at, std::uint16_t value) {
    const le16 v = value;
    std::memcpy(&memory_[at], &v, 2);
  }
  std::uint16_t get16(std::uint64_t at) const {
    le16 v;
    std::memcpy(&v, &memory_[at], 2);
    return v;
  }

  std::uint16_t avail_idx = 0;

private:
  std::span<std::byte> memory_;
  std::uint16_t size_;
};

/// A driver's half of a packed ring at the same addresses. Lists are written whole, the first
/// descriptor's flags last.
class PackedRingDriver {
public:
  PackedRingDriver(std::span<std::byte> memory, std::uint16_t size)
      : memory_(memory), size_(size) {}

  struct Element {
    std::uint64_t addr = 0x30'0000;
    std::uint32_t len = 64;
    std::uint16_t flags = 0; // WRITE, INDIRECT
  };
  /// Where the list starts; its last descriptor carries `id`.
  std::uint16_t add(std::uint16_t id, const std::vector<Element>& list) {
    const std::uint16_t first = next_;
    std::uint16_t first_flags = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const bool last = i + 1 == list.size();
      auto flags = static_cast<std::uint16_t>(
          list[i].flags | (last ? 0 : packed::VIRTQ_DESC_F_NEXT) |
          (wrap_ ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED));
      if (i == 0) std::swap(flags, first_flags);
      put(next_, list[i].addr, list[i].len, last ? id : std::uint16_t{0xdead},
          i == 0 ? get(next_).flags : le16(flags));
      if (++next_ == size_) {
        next_ = 0;
        wrap_ = !wrap_;
      }
    }
    auto d = get(first);
    put(first, d.addr, d.len, d.id, first_flags);
    return first;
  }
  void put(std::uint16_t i, std::uint64_t addr, std::uint32_t len, std::uint16_t id,
           std::uint16_t flags) {
    packed::Desc d;
    d.addr = addr;
    d.len = len;
    d.id = id;
    d.flags = flags;
    std::memcpy(&memory_[SplitRingDriver::desc_at + 16u * i], static_cast<void*>(&d), sizeof d);
  }
  packed::Desc get(std::uint16_t i) const {
    packed::Desc d;
    std::memcpy(static_cast<void*>(&d), &memory_[SplitRingDriver::desc_at + 16u * i], sizeof d);
    return d;
  }
  /// The descriptor at `i` is used in the round of the ring in which the device's wrap counter is
  /// `wrap`.
  bool used(std::uint16_t i, bool wrap) const {
    const std::uint16_t flags = get(i).flags;
    return ((flags & packed::VIRTQ_DESC_F_AVAIL) != 0) == wrap &&
           ((flags & packed::VIRTQ_DESC_F_USED) != 0) == wrap;
  }
  void set_driver_event(std::uint16_t offset, bool wrap, std::uint16_t flags) {
    const le32 e = packed::event(offset, wrap, flags);
    std::memcpy(&memory_[SplitRingDriver::avail_at], &e, 4);
  }
  std::uint32_t device_event() const {
    le32 e;
    std::memcpy(&e, &memory_[SplitRingDriver::used_at], 4);
    return e;
  }
  std::uint16_t next() const { return next_; }
  bool wrap() const { return wrap_; }

private:
  std::span<std::byte> memory_;
  std::uint16_t size_;
  std::uint16_t next_ = 0;
  bool wrap_ = true;
};

/// Keeps every chain until the test completes it, or handles it with a task of the test's.
class TestFunction : public DeviceFunction {
public:
  DeviceType type() const override { return DeviceType::entropy; }
  FeatureSet features() const override { return offered; }
  bool accepts(const FeatureSet& f) const override { return !refuse && DeviceFunction::accepts(f); }
  std::uint16_t num_queues() const override { return queues; }
  std::uint16_t max_queue_size(QueueIndex) const override { return 256; }
  std::uint32_t window(QueueIndex) const override { return credit; }
  std::span<const std::byte> config() const override { return config_bytes; }
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override {
    std::copy(bytes.begin(), bytes.end(), config_bytes.begin() + offset);
  }
  void start(const FeatureSet& f) override { started_with.push_back(f); }
  void reset() override { ++resets; }
  void on_abort(QueueIndex q) override {
    std::erase_if(chains, [q](Chain* c) { return c->queue == q; });
    ++aborts;
  }
  void on_chain(Chain& chain) override {
    if (handle)
      start_task(chain, [&] { return handle(chain); });
    else
      chains.push_back(&chain);
  }
  FunctionHost& device() { return host(); }

  FeatureSet offered;
  bool refuse = false;
  std::uint16_t queues = 2;
  std::uint32_t credit = 256;
  std::vector<std::byte> config_bytes = std::vector<std::byte>(8);
  std::vector<FeatureSet> started_with;
  int resets = 0;
  int aborts = 0;
  std::vector<Chain*> chains;
  std::function<Task<>(Chain&)> handle;
};

struct CountingTransport final : Transport {
  int used = 0;
  int config = 0;
  int resets = 0;
  void used_buffer_notification(QueueIndex) override { ++used; }
  void config_change_notification() override { ++config; }
  void on_device_reset() override { ++resets; }
};

struct RecordingSink final : EventSink {
  std::vector<Event> events;
  void on_event(const Event& e) override { events.push_back(e); }
  int count(EventKind kind) const {
    int n = 0;
    for (const Event& e : events)
      n += e.kind == kind;
    return n;
  }
};

/// A device over `Port` with queue 0 (and 1) set up like SplitRingDriver expects.
template <class Port> struct TestDevice {
  explicit TestDevice(std::uint16_t ring_size = 8, RingEngineFactory make_ring = nullptr)
      : driver(memory, ring_size), packed(memory, ring_size), size(ring_size) {
    auto f = std::make_unique<TestFunction>();
    function = f.get();
    DeviceParams params{.name = "dut"};
    params.transport_features.set(VIRTIO_F_IN_ORDER).set(VIRTIO_F_NOTIFICATION_DATA);
    if (timed_ring) params.timed_ring.emplace(instant_ring());
    params.make_ring = std::move(make_ring);
    device = std::make_unique<Device>(params, executor, port, std::move(f), &sink);
    device->attach(transport);
  }
  void negotiate(FeatureSet wanted = {}) {
    device->write_status(VIRTIO_STATUS_ACKNOWLEDGE);
    device->write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    wanted.set(VIRTIO_F_VERSION_1);
    for (std::uint32_t w = 0; w < 4; ++w)
      device->write_driver_features(w, wanted.word32(w));
    device->write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                         VIRTIO_STATUS_FEATURES_OK);
  }
  void set_up_queue(std::uint16_t index = 0) {
    const QueueIndex q{index};
    device->write_queue_size(q, size);
    device->write_queue_address(q, Device::Area::desc, false, SplitRingDriver::desc_at);
    device->write_queue_address(q, Device::Area::driver, false, SplitRingDriver::avail_at);
    device->write_queue_address(q, Device::Area::device, false, SplitRingDriver::used_at);
    device->enable_queue(q);
  }
  void drive() { device->write_status(0x0f); }
  void bring_up(FeatureSet wanted = {}) {
    negotiate(wanted);
    set_up_queue();
    drive();
  }
  void kick(std::uint16_t q = 0) {
    driver.publish();
    device->notify(QueueIndex{q}, std::nullopt);
  }

  std::vector<std::byte> memory = std::vector<std::byte>(0x40'0000);
  Port port = make_port();
  Executor executor;
  SplitRingDriver driver;
  PackedRingDriver packed;
  std::uint16_t size;
  CountingTransport transport;
  RecordingSink sink;
  TestFunction* function = nullptr;
  std::unique_ptr<Device> device;

private:
  Port make_port() {
    if constexpr (std::is_same_v<Port, HostMemoryPort>)
      return HostMemoryPort(GuestAddr{0}, memory);
    else
      return Port(memory);
  }
};
using DirectDevice = TestDevice<HostMemoryPort>;
using ManualDevice = TestDevice<ManualPort>;

} // namespace virtio::test
