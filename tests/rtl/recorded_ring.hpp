// Streams of the ring engine boundary without RTL: one of the models' engines over memory that
// answers late, a driver and a device function that do as they like within the rules, and
// everything that crosses the boundary written down.
#pragma once

#include "support/test_device.hpp"

#include <virtio/core/model_ring_engine.hpp>
#include <virtio/core/random.hpp>
#include <virtio/core/timed_ring_engine.hpp>
#include <virtio/rtl/boundary/events.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace virtio::rtl::test {

using virtio::test::PackedRingDriver;
using virtio::test::SplitRingDriver;

struct RingCase {
  bool packed = false;
  bool event_idx = false;
  bool indirect = false;
  bool in_order = false;
  bool timed = false;
  std::uint16_t start = 0; ///< split: where the indices begin

  std::string name() const {
    return std::string(timed ? "timed" : "model") + (packed ? "_packed" : "_split") +
           (event_idx ? "_event" : "_flags") + (indirect ? "_indirect" : "_direct") +
           (in_order ? "_in_order" : "") + (start ? "_wrapping" : "");
  }
};

/// Memory whose answers come after a random time: reads in any order, writes in order.
class RecordingPort final : public DmaPort {
public:
  RecordingPort(Executor& executor, std::span<std::byte> memory, Random& random,
                std::function<void(BoundaryEvent)> out)
      : executor_(executor), memory_(memory), random_(random), out_(std::move(out)) {}

private:
  struct Pending : Wake {
    RecordingPort* port = nullptr;
    DmaTransaction* transaction = nullptr;
    std::uint16_t tag = 0;
  };
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& t) override {
    auto& tags = tags_[t.write];
    std::uint16_t tag = 0;
    while (tags.contains(tag))
      ++tag;
    tags.insert(tag);
    BoundaryEvent e;
    e.group = t.write ? Group::write_request : Group::read_request;
    e.queue = QueueIndex{t.queue};
    e.tag = tag;
    e.kind = t.kind;
    e.address = t.addr;
    e.length = t.write ? 0 : t.len;
    if (t.write) {
      e.data.assign(t.buffer.begin(), t.buffer.begin() + t.len);
      if (reaches(t)) std::memcpy(memory_.data() + raw(t.addr), t.buffer.data(), t.len);
    }
    out_(e);
    Pending& p = pool_.emplace_back();
    p.port = this;
    p.transaction = &t;
    p.tag = tag;
    p.call = [](Wake& wake) {
      auto& pending = static_cast<Pending&>(wake);
      pending.port->finish(pending);
    };
    SimTime when = executor_.now() + nanoseconds(10 + random_.below(200));
    if (t.write) last_write_ = when = std::max(when, last_write_);
    executor_.post_at(p, when);
  }
  bool reaches(const DmaTransaction& t) const {
    const std::uint64_t at = raw(t.addr);
    return at <= memory_.size() && t.len <= memory_.size() - at;
  }
  void finish(Pending& p) {
    DmaTransaction& t = *p.transaction;
    const bool ok = reaches(t);
    BoundaryEvent e;
    e.group = t.write ? Group::write_response : Group::read_response;
    e.queue = QueueIndex{t.queue};
    e.tag = p.tag;
    e.address = t.addr;
    e.status = ok ? AccessStatus::ok : AccessStatus::address_error;
    tags_[t.write].erase(p.tag);
    if (!t.write && ok) {
      std::memcpy(t.buffer.data(), memory_.data() + raw(t.addr), t.len);
      // Beats end at multiples of 16.
      for (std::uint32_t at = 0; at < t.len;) {
        const auto n = std::min<std::uint32_t>(
            t.len - at, 16 - static_cast<std::uint32_t>((raw(t.addr) + at) % 16));
        e.address = t.addr + at;
        e.data.assign(t.buffer.begin() + at, t.buffer.begin() + at + n);
        at += n;
        e.last = at == t.len;
        out_(e);
      }
    } else {
      e.last = !t.write;
      out_(e);
    }
    answer(t, ok ? DmaStatus::ok : DmaStatus::address_error);
  }

  Executor& executor_;
  std::span<std::byte> memory_;
  Random& random_;
  std::function<void(BoundaryEvent)> out_;
  std::deque<Pending> pool_;
  std::set<std::uint16_t> tags_[2];
  SimTime last_write_{};
};

/// One queue.
class RecordedRing : public RingEngineClient {
public:
  static constexpr std::uint16_t size = 16;
  static constexpr std::uint16_t ids = 4;  ///< chains that the driver has under way, at most
  static constexpr std::uint16_t most = 4; ///< descriptors of a chain, at most

  RecordedRing(const RingCase& c, std::uint64_t seed)
      : what_(c), random_(seed, "recorded ring"),
        port_(executor_, memory_, random_, [this](BoundaryEvent e) { put(std::move(e)); }),
        split_(memory_, size), packed_(memory_, size) {
    if (c.timed)
      engine_ = std::make_unique<TimedRingEngine>("dut", executor_, port_, std::uint16_t{1}, *this,
                                                  RingEngineParams{});
    else
      engine_ = std::make_unique<ModelRingEngine>("dut", executor_, port_, std::uint16_t{1}, *this);
  }

  std::vector<BoundaryEvent> events;

  void enable(std::uint16_t entries = size) {
    BoundaryEvent e = of(Group::command);
    e.command = Command::enable;
    e.setup.size = entries;
    e.setup.desc = GuestAddr{SplitRingDriver::desc_at};
    e.setup.driver = GuestAddr{SplitRingDriver::avail_at};
    e.setup.device = GuestAddr{SplitRingDriver::used_at};
    FeatureSet& f = e.setup.features;
    f.set(VIRTIO_F_VERSION_1);
    if (what_.packed) f.set(VIRTIO_F_RING_PACKED);
    if (what_.event_idx) f.set(VIRTIO_F_EVENT_IDX);
    if (what_.indirect) f.set(VIRTIO_F_INDIRECT_DESC);
    if (what_.in_order) f.set(VIRTIO_F_IN_ORDER);
    if (!what_.packed) {
      e.setup.start_avail.index = e.setup.start_used.index = what_.start;
      split_.avail_idx = used_ = what_.start;
      split_.put16(SplitRingDriver::avail_at + 2, what_.start);
      split_.put16(SplitRingDriver::used_at + 2, what_.start);
    }
    const QueueSetup setup = e.setup;
    put(e);
    e.group = Group::response;
    e.code = engine_->enable(queue, setup);
    put(e);
    wish();
    if (e.code == RingError::none) credit(256);
  }
  void credit(std::uint32_t count) {
    BoundaryEvent e = of(Group::credit);
    e.count = count;
    put(e);
    engine_->credit(queue, count);
  }
  void doorbell() {
    put(of(Group::doorbell));
    engine_->doorbell(queue, std::nullopt);
  }
  void quiesce() {
    command(Command::quiesce, [this] { engine_->quiesce(queue); });
  }
  void reset() {
    BoundaryEvent e = of(Group::command);
    e.command = Command::reset;
    put(e);
    chains_.clear();
    put(of(Group::abort));
    engine_->reset(queue, [this] {
      BoundaryEvent done = of(Group::response);
      done.command = Command::reset;
      put(done);
    });
    executor_.run_until_idle();
  }
  void read_state() {
    BoundaryEvent e = of(Group::command);
    e.command = Command::read_state;
    put(e);
    e.group = Group::response;
    e.progress = engine_->progress(queue);
    put(e);
  }

  /// A chain, if there is room. `broken` has the driver make a mistake in it.
  bool submit(bool broken = false) {
    reclaim();
    std::uint16_t id = 0;
    while (id < ids && busy_.contains(id))
      ++id;
    if (id == ids) return false;
    const auto count = static_cast<std::uint16_t>(1 + random_.below(most));
    const auto readable = static_cast<std::uint16_t>(random_.below(count + 1u));
    const bool indirect = what_.indirect && random_.below(2) == 0;
    if (what_.packed && taken_ + (indirect ? 1 : count) > size) return false;
    std::vector<PackedRingDriver::Element> list;
    for (std::uint16_t i = 0; i < count; ++i)
      list.push_back({0x30'0000 + random_.below(0x8'0000),
                      static_cast<std::uint32_t>(random_.below(3) == 0 ? 0 : random_.below(9000)),
                      i < readable ? std::uint16_t{0} : split::VIRTQ_DESC_F_WRITE});
    if (broken && count == 1) list.push_back(list[0]);
    if (broken) { // device-readable behind device-writable
      list.front().flags = split::VIRTQ_DESC_F_WRITE;
      list.back().flags = 0;
    }
    busy_[id] = static_cast<std::uint16_t>(indirect ? 1 : list.size());
    taken_ += busy_[id];
    if (what_.packed)
      submit_packed(id, list, indirect);
    else
      submit_split(id, list, indirect);
    ++submitted_;
    return true;
  }
  void publish() {
    if (!what_.packed) split_.publish();
  }
  /// The function is done with one of its chains.
  void complete(bool more = false) {
    if (chains_.empty()) return;
    const std::size_t i = what_.in_order ? 0 : random_.below(chains_.size());
    Chain& chain = *chains_[i];
    chains_.erase(chains_.begin() + static_cast<std::ptrdiff_t>(i));
    BoundaryEvent e = of(Group::completion);
    e.chain = chain.id;
    e.hints.more = more;
    e.hints.full = chain.writable_len < 1u << 31 && random_.below(2) == 0;
    e.written = static_cast<std::uint32_t>(e.hints.full ? chain.writable_len
                                                        : random_.below(chain.writable_len + 1));
    put(e);
    engine_->complete(chain, e.written, e.hints);
  }
  bool with_function() const { return !chains_.empty(); }
  void pass(std::uint64_t ns) {
    Wake end;
    end.call = [](Wake&) {};
    executor_.post_at(end, executor_.now() + nanoseconds(ns));
    while (end.queued())
      executor_.run_until_idle(1);
  }
  void finish() {
    publish();
    doorbell();
    for (;;) {
      executor_.run_until_idle();
      if (chains_.empty()) break;
      while (!chains_.empty())
        complete();
    }
  }
  /// Where the driver wants to hear of used buffers: now and then somewhere else.
  void wish() {
    const auto ahead = static_cast<std::uint16_t>(random_.below(3));
    if (what_.packed) {
      const bool off = !what_.event_idx && random_.below(2) == 0;
      packed_.set_driver_event(static_cast<std::uint16_t>((used_slots_ + ahead) % size),
                               ((used_slots_ + ahead) / size) % 2 == 0,
                               what_.event_idx ? packed::RING_EVENT_FLAGS_DESC
                               : off           ? packed::RING_EVENT_FLAGS_DISABLE
                                               : packed::RING_EVENT_FLAGS_ENABLE);
    } else if (what_.event_idx) {
      split_.put16(SplitRingDriver::avail_at + 4 + 2 * size,
                   static_cast<std::uint16_t>(used_ + ahead));
    } else {
      split_.put16(SplitRingDriver::avail_at, static_cast<std::uint16_t>(random_.below(2)));
    }
  }
  /// What a guest and a device do in `steps` steps, and everything finished at the end.
  void traffic(unsigned steps) {
    enable();
    for (unsigned i = 0; i < steps; ++i)
      switch (random_.below(6)) {
      case 0:
        submit();
        break;
      case 1:
        publish();
        doorbell();
        break;
      case 2:
        complete();
        break;
      case 3:
        wish();
        break;
      default:
        pass(random_.below(300));
        break;
      }
    finish();
  }
  std::uint64_t submitted() const { return submitted_; }
  std::vector<std::byte>& memory() { return memory_; }
  SplitRingDriver& split_driver() { return split_; }
  Random& random() { return random_; }

private:
  static constexpr QueueIndex queue{0};

  BoundaryEvent of(Group group) const {
    BoundaryEvent e;
    e.group = group;
    e.queue = queue;
    return e;
  }
  void put(BoundaryEvent e) {
    e.cycle = executor_.now().ps / 1000;
    events.push_back(std::move(e));
  }
  void command(Command what, const std::function<void()>& how) {
    BoundaryEvent e = of(Group::command);
    e.command = what;
    put(e);
    how();
    e.group = Group::response;
    put(e);
  }
  void on_chain(Chain& chain) override {
    for (std::size_t i = 0; i < chain.pieces.size(); ++i) {
      BoundaryEvent e = of(Group::segment);
      e.chain = chain.id;
      e.address = chain.pieces[i].addr;
      e.length = chain.pieces[i].len;
      e.writable = i >= chain.readable_pieces;
      e.first = i == 0;
      e.last = i + 1 == chain.pieces.size();
      put(e);
    }
    chains_.push_back(&chain);
  }
  void on_interrupt(QueueIndex) override { put(of(Group::interrupt)); }
  void on_ring_error(QueueIndex, RingError error) override {
    BoundaryEvent e = of(Group::error);
    e.code = error;
    put(e);
  }

  // A descriptor that is not the ring's own packed one.
  void store(std::uint64_t at, const PackedRingDriver::Element& element, std::uint16_t flags,
             std::uint16_t next) {
    flags = static_cast<std::uint16_t>(element.flags | flags);
    split::Desc d;
    d.addr = element.addr;
    d.len = element.len;
    // A packed table has an id, of no meaning, where a split one has the flags.
    d.flags = what_.packed ? std::uint16_t{0xdead} : flags;
    d.next = what_.packed ? flags : next;
    std::memcpy(&memory_[at], &d, sizeof d);
  }
  // Descriptors and tables of an id are its own.
  static std::uint64_t table_at(std::uint16_t id) { return 0x2'0000 + 0x1000ull * id; }
  PackedRingDriver::Element indirect(std::uint16_t id,
                                     const std::vector<PackedRingDriver::Element>& list) {
    for (std::size_t i = 0; i < list.size(); ++i)
      store(table_at(id) + 16 * i, list[i],
            !what_.packed && i + 1 < list.size() ? split::VIRTQ_DESC_F_NEXT : std::uint16_t{0},
            static_cast<std::uint16_t>(i + 1));
    return {table_at(id), static_cast<std::uint32_t>(16 * list.size()),
            split::VIRTQ_DESC_F_INDIRECT};
  }
  void submit_split(std::uint16_t id, const std::vector<PackedRingDriver::Element>& list,
                    bool as_table) {
    const auto head = static_cast<std::uint16_t>(id * most);
    if (as_table) {
      store(SplitRingDriver::desc_at + 16u * head, indirect(id, list), 0, 0);
    } else {
      for (std::size_t i = 0; i < list.size(); ++i)
        store(SplitRingDriver::desc_at + 16 * (head + i), list[i],
              i + 1 < list.size() ? split::VIRTQ_DESC_F_NEXT : std::uint16_t{0},
              static_cast<std::uint16_t>(head + i + 1));
    }
    split_.make_available(head);
    order_.push_back(id);
  }
  void submit_packed(std::uint16_t id, const std::vector<PackedRingDriver::Element>& list,
                     bool as_table) {
    packed_.add(id, as_table ? std::vector{indirect(id, list)} : list);
    order_.push_back(id);
  }
  // Takes back what the device used. In order, an element stands for those before it too.
  void reclaim() {
    if (what_.packed) {
      for (;;) {
        const auto at = static_cast<std::uint16_t>(used_slots_ % size);
        if (busy_.empty() || !packed_.used(at, (used_slots_ / size) % 2 == 0)) break;
        release(packed_.get(at).id);
      }
    } else {
      while (used_ != split_.used_idx()) {
        const auto n =
            release(static_cast<std::uint16_t>(std::uint32_t{split_.used(used_).id} / most));
        used_ = static_cast<std::uint16_t>(used_ + n);
      }
    }
  }
  std::uint16_t release(std::uint16_t id) {
    std::uint16_t n = 0;
    for (;;) {
      const std::uint16_t it = what_.in_order ? order_.front() : id;
      std::erase(order_, it);
      used_slots_ += busy_[it];
      taken_ -= busy_[it];
      busy_.erase(it);
      ++n;
      if (it == id) return n;
    }
  }

  RingCase what_;
  Random random_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(0x40'0000);
  Executor executor_;
  RecordingPort port_;
  SplitRingDriver split_;
  PackedRingDriver packed_;
  std::unique_ptr<RingEngine> engine_;
  std::vector<Chain*> chains_;                  // with the function
  std::map<std::uint16_t, std::uint16_t> busy_; // id, descriptors of the ring
  std::deque<std::uint16_t> order_;
  std::uint32_t taken_ = 0;
  std::uint16_t used_ = 0;
  std::uint64_t used_slots_ = 0;
  std::uint64_t submitted_ = 0;
};

} // namespace virtio::rtl::test
