// The timed ring engine: time lines computed by hand, limits, write-back and interrupt policies,
// arbitration, and equality with the reference engine request by request.
#include "support/latency_port.hpp"
#include "support/test_device.hpp"

#include <virtio/core/timed_ring_engine.hpp>

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace virtio {
namespace {

using test::LatencyPort;
using test::PackedRingDriver;
using test::SplitRingDriver;

/// A device with the timed (or the reference) engine over memory that takes time.
struct TimedDevice {
  explicit TimedDevice(std::optional<RingEngineParams> ring, std::uint16_t ring_size = 8)
      : driver(memory, ring_size), packed(memory, ring_size), size(ring_size) {
    auto f = std::make_unique<test::TestFunction>();
    function = f.get();
    DeviceParams params{.name = "dut"};
    params.transport_features.set(VIRTIO_F_IN_ORDER);
    if (ring) params.timed_ring.emplace(*ring);
    function->queues = 4;
    device = std::make_unique<Device>(params, executor, port, std::move(f), &sink);
    device->attach(transport);
  }
  void bring_up(FeatureSet wanted = {}, std::uint16_t queues = 1) {
    device->write_status(1);
    device->write_status(3);
    wanted.set(VIRTIO_F_VERSION_1);
    for (std::uint32_t w = 0; w < 4; ++w)
      device->write_driver_features(w, wanted.word32(w));
    device->write_status(11);
    for (std::uint16_t q = 0; q < queues; ++q) {
      const std::uint64_t shift = q * 0x8'0000ull;
      device->write_queue_size(QueueIndex{q}, size);
      const auto area = [&](Device::Area a, std::uint64_t at) {
        device->write_queue_address(QueueIndex{q}, a, false,
                                    static_cast<std::uint32_t>(at + shift));
      };
      area(Device::Area::desc, SplitRingDriver::desc_at);
      area(Device::Area::driver, q ? 0x4000 : SplitRingDriver::avail_at);
      area(Device::Area::device, q ? 0x6000 : SplitRingDriver::used_at);
      device->enable_queue(QueueIndex{q});
    }
    device->write_status(15);
    executor.run_until_idle(); // DRIVER_OK looks at the rings once
    port.seen.clear();
    sink.events.clear();
    transport.used = 0;
    start = executor.now();
  }
  void kick(std::uint16_t q = 0) {
    driver.publish();
    device->notify(QueueIndex{q}, std::nullopt);
  }
  SimTime since_start(SimTime t) const { return t - start; }
  /// When an event of that kind came, from the end of bring_up() on; the n-th of them.
  std::vector<std::uint64_t> times_ns(EventKind kind) const {
    std::vector<std::uint64_t> times;
    for (const Event& e : sink.events)
      if (e.kind == kind) times.push_back((e.time - start).ps / 1000);
    return times;
  }

  std::vector<std::byte> memory = std::vector<std::byte>(0x40'0000);
  Executor executor;
  LatencyPort port{executor, memory};
  SplitRingDriver driver;
  PackedRingDriver packed;
  std::uint16_t size;
  test::CountingTransport transport;
  test::RecordingSink sink;
  test::TestFunction* function = nullptr;
  std::unique_ptr<Device> device;
  SimTime start{};
};

// 100 MHz: a cycle is 10 ns. Memory: 100 ns a read, 50 ns a write.
RingEngineParams slow_clock() {
  RingEngineParams p;
  p.clock = 100'000'000;
  return p;
}
using Ns = std::vector<std::uint64_t>;

constexpr std::uint16_t next = split::VIRTQ_DESC_F_NEXT;
constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;

// Split, one descriptor, nothing else under way. Doorbell at 0.
//   visit        0 +  4 (doorbell) + 1 (visit) cycles            ->   50
//   index read                                     + 100         ->  150
//   entry read                                     + 100         ->  250
//   entry        1 cycle                                         ->  260  available
//   descriptor read                                + 100         ->  360
//   walk         1 (descriptor) + 1 (emit) cycles                ->  380  chain
//   the function completes at once                               ->  380  used
//   write-back   1 (completion) + 1 (used) cycles                ->  400
//   used element                                    + 50         ->  450
//   used index                                      + 50         ->  500  published
//   flags read                                     + 100         ->  600
//   decision     1 cycle                                         ->  610  interrupt
TEST(TimedRingEngine, TimeLineOfOneDescriptorOfASplitRing) {
  TimedDevice t(slow_clock());
  t.port.write_latency = nanoseconds(50);
  t.bring_up();
  t.function->handle = [&](Chain& c) -> Task<> {
    t.function->device().complete(c, 64);
    co_return;
  };
  t.driver.set_desc(0, 0x30'0000, 64, write);
  t.driver.make_available(0);
  t.kick();
  t.executor.run_until_idle();
  EXPECT_EQ(t.times_ns(EventKind::available), Ns{260});
  EXPECT_EQ(t.times_ns(EventKind::chain), Ns{380});
  EXPECT_EQ(t.times_ns(EventKind::used), Ns{380});
  EXPECT_EQ(t.times_ns(EventKind::published), Ns{500});
  EXPECT_EQ(t.times_ns(EventKind::interrupt), Ns{610});
  EXPECT_EQ(t.driver.used_idx(), 1);
}

// Packed: the descriptor proves itself, so index and entry are not read.
//   visit                                                        ->   50
//   four descriptors in one read                   + 100         ->  150  available
//   walk         2 cycles                                        ->  170  chain, used
//   write-back   2 cycles                                        ->  190
//   used descriptor                                 + 50         ->  240  published
//   driver event read                              + 100         ->  340
//   decision     1 cycle                                         ->  350  interrupt
TEST(TimedRingEngine, TimeLineOfOneDescriptorOfAPackedRing) {
  TimedDevice t(slow_clock());
  t.port.write_latency = nanoseconds(50);
  t.bring_up({VIRTIO_F_RING_PACKED});
  t.function->handle = [&](Chain& c) -> Task<> {
    t.function->device().complete(c, 64);
    co_return;
  };
  t.packed.add(7, {{0x30'0000, 64, write}});
  t.device->notify(QueueIndex{0}, std::nullopt);
  t.executor.run_until_idle();
  EXPECT_EQ(t.times_ns(EventKind::available), Ns{150});
  EXPECT_EQ(t.times_ns(EventKind::chain), Ns{170});
  EXPECT_EQ(t.times_ns(EventKind::published), Ns{240});
  EXPECT_EQ(t.times_ns(EventKind::interrupt), Ns{350});
  EXPECT_TRUE(t.packed.used(0, true));
  EXPECT_EQ(t.packed.get(0).id, 7);
}

// Four chains: one index read, one read of four entries, then four descriptors at once. The walk
// unit takes two cycles a chain, so they leave 20 ns apart.
TEST(TimedRingEngine, ChainsAreWalkedSideBySideAndLeaveInOrder) {
  TimedDevice t(slow_clock());
  t.bring_up();
  for (std::uint16_t i : {3, 1, 0, 2}) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  t.executor.run_until_idle();
  // 50 + 100 + 100 + 4 cycles for the entries = 290; + 100 = 390; then 20 each.
  EXPECT_EQ(t.times_ns(EventKind::available), (Ns{290, 290, 290, 290}));
  EXPECT_EQ(t.times_ns(EventKind::chain), (Ns{410, 430, 450, 470}));
  std::vector<std::uint16_t> heads;
  for (const Chain* c : t.function->chains)
    heads.push_back(c->head);
  EXPECT_EQ(heads, (std::vector<std::uint16_t>{3, 1, 0, 2}));
}

// The first chain needs more reads than the second, and turns out to be malformed.
TEST(TimedRingEngine, AChainThatWasFetchedEarlyWaitsForTheOneBeforeIt) {
  TimedDevice t(slow_clock());
  t.bring_up();
  t.driver.set_desc(0, 0x30'0000, 64, next | write, 7);
  t.driver.set_desc(7, 0x30'0000, 64, next | write, 1);
  t.driver.set_desc(1, 0x30'0000, 64, 0); // readable after writable
  t.driver.set_desc(2, 0x30'0000, 64, write);
  t.driver.make_available(0);
  t.driver.make_available(2);
  t.kick();
  t.executor.run_until_idle();
  EXPECT_EQ(t.device->last_error(), RingError::readable_after_writable);
  EXPECT_TRUE(t.function->chains.empty()) << "nothing leaves after a malformed chain";
}

TEST(TimedRingEngine, KeepsToItsLimitsOfOutstandingReadsAndChains) {
  RingEngineParams p = slow_clock();
  p.outstanding_reads = 3;
  p.chains_in_flight = 5;
  TimedDevice t(p, 64);
  t.bring_up();
  for (std::uint16_t i = 0; i < 40; ++i) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  t.executor.run_until_idle();
  EXPECT_EQ(t.function->chains.size(), 40u);
  EXPECT_EQ(t.port.most_reads, 3u);
}

TEST(TimedRingEngine, ReadsAheadOfTheRingsEndAndDropsWhatIsNotAvailable) {
  RingEngineParams p = slow_clock();
  p.descriptor_batch = 2;
  p.descriptor_prefetch = 8;
  TimedDevice t(p, 16);
  t.bring_up({VIRTIO_F_RING_PACKED});
  for (std::uint16_t i = 0; i < 5; ++i)
    t.packed.add(i, {{0x30'0000, 64, write}});
  t.device->notify(QueueIndex{0}, std::nullopt);
  t.executor.run_until_idle();
  EXPECT_EQ(t.function->chains.size(), 5u);
  for (std::uint16_t i = 5; i < 8; ++i)
    t.packed.add(i, {{0x30'0000, 64, write}});
  t.device->notify(QueueIndex{0}, std::nullopt);
  t.executor.run_until_idle();
  ASSERT_EQ(t.function->chains.size(), 8u) << "what was read too early was read again";
  for (std::uint16_t i = 0; i < 8; ++i)
    EXPECT_EQ(t.function->chains[i]->head, i);
}

// The second descriptor of a list was read ahead and answered before the first, at a time when the
// driver was still writing it: the flags are there and the address is not, as Linux writes it.
TEST(TimedRingEngine, WhatWasReadBeforeTheHeadWasAvailableIsReadAgain) {
  RingEngineParams p = test::instant_ring();
  p.descriptor_batch = 1;
  p.descriptor_prefetch = 4;
  std::vector<std::byte> memory(0x40'0000);
  test::ManualPort port(memory);
  Executor executor;
  auto f = std::make_unique<test::TestFunction>();
  test::TestFunction& function = *f;
  DeviceParams params{.name = "dut", .timed_ring = p};
  Device device(params, executor, port, std::move(f));
  device.write_status(3);
  device.write_driver_features(1, 5); // VERSION_1, RING_PACKED
  device.write_status(11);
  device.write_queue_size(QueueIndex{0}, 8);
  device.write_queue_address(QueueIndex{0}, Device::Area::desc, false, SplitRingDriver::desc_at);
  device.write_queue_address(QueueIndex{0}, Device::Area::driver, false, SplitRingDriver::avail_at);
  device.write_queue_address(QueueIndex{0}, Device::Area::device, false, SplitRingDriver::used_at);
  device.enable_queue(QueueIndex{0});
  PackedRingDriver driver(memory, 8);
  driver.add(0, {{0x30'0000, 64, write}});
  driver.add(1, {{0x30'0000, 64, write}});
  device.write_status(15);

  ASSERT_EQ(port.waiting.size(), 1u);
  port.answer_front();
  executor.run();
  const auto waits = [&](std::uint16_t position) {
    for (std::size_t i = 0; i < port.waiting.size(); ++i)
      if (raw(port.waiting[i]->addr) == SplitRingDriver::desc_at + 16u * position) return i;
    return port.waiting.size();
  };
  ASSERT_LT(waits(3), port.waiting.size()) << "reads ahead";
  driver.put(3, 0xdead'0000, 8, 9, packed::VIRTQ_DESC_F_AVAIL | write);
  port.answer_at(waits(3));
  executor.run();
  driver.put(3, 0x30'1000, 8, 2, packed::VIRTQ_DESC_F_AVAIL | write);
  driver.put(2, 0x30'2000, 16, 0, packed::VIRTQ_DESC_F_AVAIL | next);
  while (!port.waiting.empty()) {
    port.answer_front();
    executor.run();
  }
  ASSERT_EQ(function.chains.size(), 3u);
  EXPECT_EQ(raw(function.chains[2]->writable()[0].addr), 0x30'1000u);
}

TEST(TimedRingEngine, UsedEntriesWaitForABatchOrTheTimeOut) {
  RingEngineParams p = slow_clock();
  p.used_batch = 3;
  p.used_timeout = 50; // 500 ns
  TimedDevice t(p);
  t.bring_up();
  for (std::uint16_t i = 0; i < 4; ++i) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  t.executor.run_until_idle();
  const auto chains = t.function->chains;
  ASSERT_EQ(chains.size(), 4u);
  t.port.seen.clear();
  t.start = t.executor.now();
  for (int i : {0, 1, 2})
    t.function->device().complete(*chains[static_cast<std::size_t>(i)], 1);
  t.executor.run_until_idle();
  // Three entries in one write, at once: 6 cycles, 100 ns, and the index another 100 ns.
  EXPECT_EQ(t.times_ns(EventKind::published), (Ns{260, 260, 260}));
  EXPECT_EQ(t.port.seen[0].len, 24u);
  t.sink.events.clear();
  t.start = t.executor.now();
  t.function->device().complete(*chains[3], 1);
  t.executor.run_until_idle();
  EXPECT_EQ(t.times_ns(EventKind::published), Ns{500 + 20 + 200});
}

TEST(TimedRingEngine, InterruptsWaitForTheirNumberOrTheTimeOut) {
  RingEngineParams p = slow_clock();
  p.interrupt_chains = 2;
  p.interrupt_timeout = 100; // 1 us
  TimedDevice t(p);
  t.bring_up();
  for (std::uint16_t i = 0; i < 3; ++i) {
    t.driver.set_desc(i, 0x30'0000, 64, write);
    t.driver.make_available(i);
  }
  t.kick();
  t.executor.run_until_idle();
  const auto chains = t.function->chains;
  t.start = t.executor.now();
  t.function->device().complete(*chains[0], 1);
  t.function->device().complete(*chains[1], 1);
  t.executor.run_until_idle();
  EXPECT_EQ(t.transport.used, 1);
  EXPECT_LT(t.times_ns(EventKind::interrupt)[0], 1000u);
  t.sink.events.clear();
  t.start = t.executor.now();
  t.function->device().complete(*chains[2], 1);
  t.executor.run_until_idle();
  // 20 + element 100 + index 100 + flags 100 + decision 10, then the time-out.
  EXPECT_EQ(t.times_ns(EventKind::interrupt), Ns{330 + 1000});
}

TEST(TimedRingEngine, ParametersThatCannotBeAreRefusedByName) {
  RingEngineParams p;
  EXPECT_EQ(problem_with(p), "");
  p.outstanding_reads = 0;
  EXPECT_NE(problem_with(p).find("outstanding_reads"), std::string::npos);
  EXPECT_THROW(TimedDevice{p}, std::invalid_argument);
  p = {};
  p.available_prefetch = 4;
  EXPECT_NE(problem_with(p).find("available_prefetch"), std::string::npos);
  p = {};
  p.clock = 0;
  EXPECT_NE(problem_with(p).find("clock"), std::string::npos);
}

/// Which queues the arbiter takes when all of them always have work.
std::vector<int> served(const RingEngineParams& params, int turns) {
  QueueArbiter arbiter(params, 70);
  std::vector<int> order;
  for (std::uint16_t q : {0, 1, 65})
    arbiter.request(QueueIndex{q});
  for (int i = 0; i < turns; ++i) {
    const auto queue = arbiter.take();
    order.push_back(raw(*queue));
    arbiter.request(*queue);
  }
  return order;
}

TEST(QueueArbiter, RoundRobinWeightsAndPriorities) {
  RingEngineParams p;
  EXPECT_EQ(served(p, 7), (std::vector{0, 1, 65, 0, 1, 65, 0}));
  p.arbitration = Arbitration::weighted;
  p.weights = {2, 1};
  EXPECT_EQ(served(p, 8), (std::vector{0, 0, 1, 65, 0, 0, 1, 65}));
  p.arbitration = Arbitration::priority;
  p.priorities = {3, 1};
  EXPECT_EQ(served(p, 3), (std::vector{65, 65, 65})); // priority 0
  EXPECT_EQ(QueueArbiter(p, 8).take(), std::nullopt);
}

TEST(QueueArbiter, FindsOneOfThousandsInTurn) {
  QueueArbiter arbiter({}, 20'000);
  const std::vector<std::uint16_t> queues{0, 63, 64, 4095, 4096, 9000, 19'999};
  for (const std::uint16_t q : queues)
    arbiter.request(QueueIndex{q});
  arbiter.withdraw(QueueIndex{9000});
  for (int round = 0; round < 2; ++round)
    for (const std::uint16_t q : queues) {
      if (q == 9000) continue;
      const auto taken = arbiter.take();
      ASSERT_TRUE(taken);
      EXPECT_EQ(raw(*taken), q);
      arbiter.request(*taken);
    }
  arbiter.withdraw(QueueIndex{0});
  for (const std::uint16_t q : {63, 64, 4095, 4096, 19'999})
    EXPECT_EQ(raw(*arbiter.take()), q);
  EXPECT_EQ(arbiter.take(), std::nullopt);
}

// --- equality with the reference engine ---------------------------------------------------------

struct Outcome {
  std::map<std::uint32_t, std::uint64_t> data; // by request: what its writable part holds
  std::map<std::uint32_t, std::uint32_t> lengths;
  std::vector<std::uint32_t> chains; // requests as the function got them
  std::vector<std::uint32_t> used;   // requests as the driver got them back
};

struct Case {
  bool packed;
  bool indirect;
  bool event_idx;
  bool in_order;
};

/// A driver that makes random chains available, notifies as the device asks, and checks that
/// everything comes back although it notifies no more often than that.
class RandomDriver {
public:
  RandomDriver(TimedDevice& t, const Case& c, std::uint64_t seed)
      : t_(t), case_(c), seed_(seed), random_(seed) {
    for (std::uint16_t i = 0; i < t.size; ++i)
      free_.push_back(i);
  }

  Outcome run(std::uint32_t requests, std::uint32_t depth) {
    std::uint32_t submitted = 0;
    std::uint32_t quiet = 0;
    while (outcome_.used.size() < requests) {
      while (submitted < requests && pending_.size() < depth && random_.below(4) != 0 &&
             submit(submitted))
        ++submitted;
      kick();
      const std::size_t before = outcome_.used.size();
      const std::size_t steps = t_.executor.run_until_idle(1 + random_.below(30));
      reap();
      quiet = steps == 0 && outcome_.used.size() == before && !added_ ? quiet + 1 : 0;
      if (quiet > 50) {
        ADD_FAILURE() << "a notification was lost: " << pending_.size() << " requests wait";
        break;
      }
    }
    t_.executor.run_until_idle();
    return outcome_;
  }
  Outcome& outcome() { return outcome_; }

private:
  struct Request {
    std::uint32_t number;
    std::uint64_t writable_at;
    std::uint32_t writable;
    std::uint16_t slots;
    std::uint16_t first; // packed: ring position
    bool wrap;
    std::vector<std::uint16_t> descs; // split
  };
  bool submit(std::uint32_t number) {
    Random shape(seed_ + 1000 * number); // the same however the engine is timed
    const auto readable = static_cast<std::uint16_t>(1 + shape.below(2));
    const auto writable = static_cast<std::uint16_t>(1 + shape.below(2));
    const bool table = case_.indirect && shape.below(2) == 0;
    const auto need = static_cast<std::uint16_t>(table ? 1 : readable + writable);
    // One run of free ids for split; the ring itself for packed.
    if (free_.size() < need || (case_.packed && in_ring_ + need > t_.size)) return false;
    const std::uint16_t token = free_.front();
    const std::uint64_t area = 0x30'0000 + 0x200ull * (number % 256);
    le32 id = number;
    std::memcpy(&t_.memory[area], &id, 4);
    std::vector<PackedRingDriver::Element> list;
    for (std::uint16_t i = 0; i < readable; ++i)
      list.push_back({area + 0x10u * i, i == 0 ? 4u : 0x10u, 0});
    for (std::uint16_t i = 0; i < writable; ++i)
      list.push_back({area + 0x100 + 0x10u * i, 0x10, write});
    std::memset(&t_.memory[area + 0x100], 0, 0x20);
    Request r{number, area + 0x100, 0x10u * writable, need, 0, true, {}};
    if (table) {
      const std::uint64_t at = 0x38'0000 + 0x80ull * (number % 256);
      for (std::uint16_t i = 0; i < list.size(); ++i) {
        split::Desc d;
        d.addr = list[i].addr;
        d.len = list[i].len;
        const bool last = i + 1u == list.size();
        d.flags = static_cast<std::uint16_t>(list[i].flags | (last || case_.packed ? 0 : next));
        d.next = static_cast<std::uint16_t>(i + 1);
        if (case_.packed) std::swap(d.flags, d.next); // where a packed entry has them
        std::memcpy(&t_.memory[at + 16u * i], &d, 16);
      }
      list = {{at, static_cast<std::uint32_t>(16 * list.size()), split::VIRTQ_DESC_F_INDIRECT}};
    }
    if (case_.packed) {
      r.wrap = t_.packed.wrap();
      r.first = t_.packed.add(token, list);
      r.descs = {token};
      free_.pop_front();
      in_ring_ = static_cast<std::uint16_t>(in_ring_ + need);
    } else {
      for (std::uint16_t i = 0; i < need; ++i) {
        r.descs.push_back(free_.front());
        free_.pop_front();
      }
      for (std::uint16_t i = 0; i < need; ++i)
        t_.driver.set_desc(r.descs[i], list[i].addr, list[i].len,
                           static_cast<std::uint16_t>(list[i].flags | (i + 1 < need ? next : 0)),
                           i + 1 < need ? r.descs[i + 1u] : std::uint16_t{0});
      t_.driver.make_available(token);
    }
    added_ += case_.packed ? need : 1;
    order_.push_back(token);
    pending_.emplace(token, r);
    return true;
  }

  void kick() {
    if (!added_) return;
    if (!case_.packed) t_.driver.publish();
    const std::uint32_t added = std::exchange(added_, 0);
    bool wanted = true;
    if (case_.event_idx && case_.packed) {
      const std::uint32_t e = t_.packed.device_event();
      if (packed::event_flags(e) == packed::RING_EVENT_FLAGS_DESC) {
        // Positions counted through both laps; the last `added` ones are new.
        const int lap = t_.size;
        const int now = t_.packed.next() + (t_.packed.wrap() ? 0 : lap);
        const int event = packed::event_offset(e) + (packed::event_wrap(e) ? 0 : lap);
        const int back = (now - event - 1 + 2 * lap) % (2 * lap);
        wanted = back < static_cast<int>(added);
      }
    } else if (case_.event_idx) {
      const std::uint16_t event = t_.driver.get16(SplitRingDriver::used_at + 4 + 8ull * t_.size);
      wanted = static_cast<std::uint16_t>(t_.driver.avail_idx - event - 1) < added;
    }
    if (wanted) t_.device->notify(QueueIndex{0}, std::nullopt);
  }

  void take(std::uint16_t token, std::uint32_t len) {
    const auto it = pending_.find(token);
    ASSERT_NE(it, pending_.end()) << "used twice, or never made available: " << token;
    const Request& r = it->second;
    std::uint64_t data = 0;
    for (std::uint32_t i = 0; i < r.writable; ++i)
      data = data * 31 + std::to_integer<std::uint64_t>(t_.memory[r.writable_at + i]);
    outcome_.data[r.number] = data;
    outcome_.lengths[r.number] = len;
    outcome_.used.push_back(r.number);
    for (std::uint16_t d : r.descs)
      free_.push_back(d);
    in_ring_ = static_cast<std::uint16_t>(in_ring_ - (case_.packed ? r.slots : 0));
    pending_.erase(it);
    order_.erase(std::find(order_.begin(), order_.end(), token));
  }

  void reap() {
    if (case_.packed) {
      for (;;) {
        if (!t_.packed.used(used_, used_wrap_) || pending_.empty()) return;
        const packed::Desc d = t_.packed.get(used_);
        // In order, one used descriptor may stand for all before it.
        for (;;) {
          const std::uint16_t token = case_.in_order ? order_.front() : std::uint16_t{d.id};
          const std::uint16_t slots = pending_.at(token).slots;
          take(token, token == d.id ? std::uint32_t{d.len} : pending_.at(token).writable);
          used_ = static_cast<std::uint16_t>(used_ + slots);
          if (used_ >= t_.size) {
            used_ = static_cast<std::uint16_t>(used_ - t_.size);
            used_wrap_ = !used_wrap_;
          }
          if (token == d.id) break;
        }
      }
    }
    while (used_ != t_.driver.used_idx()) {
      const split::UsedElem e = t_.driver.used(used_);
      const auto last = static_cast<std::uint16_t>(std::uint32_t{e.id});
      for (;;) {
        const std::uint16_t token = case_.in_order ? order_.front() : last;
        take(token, token == last ? std::uint32_t{e.len} : pending_.at(token).writable);
        ++used_;
        if (token == last) break;
      }
    }
  }

  TimedDevice& t_;
  Case case_;
  std::uint64_t seed_;
  Random random_;
  std::deque<std::uint16_t> free_;
  std::map<std::uint16_t, Request> pending_;
  std::vector<std::uint16_t> order_;
  std::uint16_t in_ring_ = 0;
  std::uint16_t used_ = 0;
  bool used_wrap_ = true;
  std::uint32_t added_ = 0;
  Outcome outcome_;
};

/// Runs the same random requests; the function answers each with data made from its number, after
/// a while of its own.
Outcome run(const Case& c, std::optional<RingEngineParams> ring, std::uint64_t seed, SimTime jitter,
            std::uint32_t depth, std::uint32_t requests = 400) {
  TimedDevice t(std::move(ring), 16);
  FeatureSet features;
  features.set(VIRTIO_F_RING_PACKED, c.packed)
      .set(VIRTIO_F_INDIRECT_DESC, c.indirect)
      .set(VIRTIO_F_EVENT_IDX, c.event_idx)
      .set(VIRTIO_F_IN_ORDER, c.in_order);
  t.port.jitter = jitter;
  t.port.random = Random(seed, "port");
  if (jitter.ps == 0) t.port.read_latency = t.port.write_latency = SimTime{};
  // A driver that polls, so that nothing but its own notifications wakes the device.
  t.bring_up(features);
  RandomDriver driver(t, c, seed);
  Random think(seed, "function");
  t.function->handle = [&](Chain& chain) -> Task<> {
    const Dma dma = t.device->dma(chain.queue);
    le32 number;
    const DmaStatus got = co_await dma.read(chain.readable()[0].addr, &number, 4, AccessKind::data);
    EXPECT_EQ(got, DmaStatus::ok);
    driver.outcome().chains.push_back(number);
    const bool elapsed = co_await delay(dma.scope(), nanoseconds(jitter.ps ? think.below(900) : 0));
    EXPECT_TRUE(elapsed);
    std::uint64_t state = std::uint32_t{number};
    std::array<std::byte, 0x20> answer;
    for (std::byte& b : answer)
      b = static_cast<std::byte>(splitmix64(state));
    const auto pieces = chain.writable();
    const DmaStatus put =
        co_await dma.scatter(pieces[0], pieces.subspan(1), answer.data(), AccessKind::data);
    EXPECT_EQ(put, DmaStatus::ok);
    t.device->complete(chain, static_cast<std::uint32_t>(chain.writable_len), {.full = true});
  };
  Outcome outcome = driver.run(requests, depth);
  EXPECT_EQ(t.device->last_error(), RingError::none);
  return outcome;
}

class Equality : public testing::TestWithParam<std::tuple<bool, bool, bool, bool>> {
protected:
  Case param() const {
    const auto [packed, indirect, event_idx, in_order] = GetParam();
    return {packed, indirect, event_idx, in_order};
  }
};

RingEngineParams random_params(Random& random) {
  RingEngineParams p;
  p.clock = 50'000'000 + random.below(1'000'000'000);
  p.available_batch = static_cast<std::uint16_t>(1 + random.below(8));
  p.available_prefetch = static_cast<std::uint16_t>(p.available_batch + random.below(16));
  p.descriptor_batch = static_cast<std::uint16_t>(1 + random.below(6));
  p.descriptor_prefetch = static_cast<std::uint16_t>(p.descriptor_batch + random.below(16));
  p.indirect_batch = static_cast<std::uint16_t>(1 + random.below(4));
  p.chains_in_flight = static_cast<std::uint32_t>(1 + random.below(12));
  p.outstanding_reads = static_cast<std::uint32_t>(1 + random.below(8));
  p.outstanding_writes = static_cast<std::uint32_t>(1 + random.below(8));
  p.used_batch = static_cast<std::uint16_t>(1 + random.below(6));
  p.used_timeout = static_cast<std::uint32_t>(random.below(3) ? 0 : random.below(60));
  p.event_policy = random.below(2) ? EventPolicy::when_idle : EventPolicy::each_write_back;
  p.interrupt_timeout = static_cast<std::uint32_t>(random.below(3) ? 0 : random.below(60));
  return p;
}

TEST_P(Equality, RequestByRequestWithTheReferenceEngineUnderAnyParameters) {
  const Case c = param();
  Random random(42);
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const auto depth = static_cast<std::uint32_t>(1 + random.below(8));
    const Outcome reference = run(c, std::nullopt, seed, SimTime{}, depth);
    const Outcome timed =
        run(c, random_params(random), seed, nanoseconds(1 + random.below(500)), depth);
    ASSERT_EQ(reference.used.size(), 400u);
    EXPECT_EQ(timed.data, reference.data);
    EXPECT_EQ(timed.lengths, reference.lengths);
    if (c.in_order) {
      std::vector<std::uint32_t> ordered(400);
      std::iota(ordered.begin(), ordered.end(), 0);
      EXPECT_EQ(timed.used, ordered);
      EXPECT_EQ(reference.used, ordered);
    }
  }
}

TEST_P(Equality, OfOrderTooWithOneRequestAtATime) {
  const Case c = param();
  const Outcome reference = run(c, std::nullopt, 5, SimTime{}, 1);
  const Outcome timed = run(c, RingEngineParams{}, 5, nanoseconds(300), 1);
  EXPECT_EQ(timed.chains, reference.chains);
  EXPECT_EQ(timed.used, reference.used);
  EXPECT_EQ(timed.data, reference.data);
}

TEST_P(Equality, TheSameSeedGivesTheSameTimes) {
  const Case c = param();
  const auto once = [&] { return run(c, RingEngineParams{}, 9, nanoseconds(300), 8, 100).used; };
  EXPECT_EQ(once(), once());
}

std::string equality_name(const testing::TestParamInfo<std::tuple<bool, bool, bool, bool>>& info) {
  const auto [packed, indirect, event_idx, in_order] = info.param;
  return std::string(packed ? "packed" : "split") + (indirect ? "_indirect" : "") +
         (event_idx ? "_event_idx" : "") + (in_order ? "_in_order" : "");
}
INSTANTIATE_TEST_SUITE_P(All, Equality,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Bool(),
                                          testing::Bool()),
                         equality_name);

} // namespace
} // namespace virtio
