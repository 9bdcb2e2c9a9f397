// The reference driver's interrupts: every form that a transport has, on both ring formats, with
// every way of waiting, on several queues at once. Time is asserted, as a lost interrupt is a wait
// that nobody ends.
#include "support/machine.hpp"
#include "support/mirror.hpp"

#include <virtio/platforms/driver/completion.hpp>

#include <gtest/gtest.h>

#include <deque>

namespace virtio {
namespace {

using driver::CompletionParams;
using driver::CompletionPolicy;
using driver::InterruptForm;
using driver::QueueOptions;
using driver::SessionOptions;
using driver::VectorPolicy;
using driver::Virtqueue;
using test::Machine;
using test::Mirror;
using test::MirrorTraffic;
using Kind = CompletionParams::Kind;

const sc_core::sc_time us(1, sc_core::SC_US);
const sc_core::sc_time ns(1, sc_core::SC_NS);
const sc_core::sc_time long_time(1, sc_core::SC_SEC);

struct Setting {
  bool pci = false;
  InterruptForm form{};
  VectorPolicy vectors{};
  bool packed = false;
  bool event_idx = false;
  Kind kind{};
  std::string name;
};
void PrintTo(const Setting& s, std::ostream* out) {
  *out << s.name;
}

std::vector<Setting> settings() {
  struct Form {
    const char* name;
    bool pci;
    InterruptForm form;
    VectorPolicy vectors;
  };
  const Form forms[] = {{"mmio", false, InterruptForm::line, {}},
                        {"intx", true, InterruptForm::line, {}},
                        {"msix", true, InterruptForm::msix, VectorPolicy::per_queue},
                        {"msix_shared", true, InterruptForm::msix, VectorPolicy::shared},
                        {"msix_single", true, InterruptForm::msix, VectorPolicy::single}};
  const std::pair<Kind, const char*> kinds[] = {
      {Kind::poll, "poll"}, {Kind::interrupt, "interrupt"}, {Kind::napi, "napi"}};
  std::vector<Setting> all;
  for (const Form& f : forms)
    for (const bool packed : {false, true})
      for (const bool event_idx : {false, true})
        for (const auto& [kind, kind_name] : kinds)
          all.push_back({f.pci, f.form, f.vectors, packed, event_idx, kind,
                         std::string(f.name) + (packed ? "_packed" : "_split") +
                             (event_idx ? "_event_idx_" : "_flags_") + kind_name});
  return all;
}

class DriverInterrupts : public testing::TestWithParam<Setting> {
protected:
  explicit DriverInterrupts(sc_core::sc_time latency = 300 * ns)
      : machine({.dmi = false,
                 .timed_dma = true,
                 .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
                 .check_driver = true,
                 .interrupt_latency = latency}) {
    machine.add(std::make_unique<Mirror>(queue_count, microseconds(30)), GetParam().pci,
                features());
  }
  static constexpr std::uint16_t queue_count = 3;
  static constexpr unsigned requests = 400; // on each queue

  FeatureSet features() const {
    return FeatureSet{VIRTIO_F_INDIRECT_DESC}
        .set(VIRTIO_F_RING_PACKED, GetParam().packed)
        .set(VIRTIO_F_EVENT_IDX, GetParam().event_idx);
  }
  SessionOptions options() {
    return {.features = features(),
            .interrupts = GetParam().form,
            .vectors = GetParam().vectors,
            .line = machine.slots.at(0).line,
            .msix = &machine.msix};
  }
  CompletionParams completion() const {
    return {.kind = GetParam().kind, .budget = 4, .status_interval = long_time};
  }
  /// Runs `body` with a session on the one device.
  void run(std::function<void(driver::Session&)> body) {
    EXPECT_TRUE(machine.run([&] {
      const auto found = machine.probe();
      ASSERT_EQ(found.size(), 1u);
      driver::Session session(machine.bus, *found[0], options(), machine.arena);
      EXPECT_EQ(session.negotiated() & features(), features());
      body(session);
      // A reset may take an interrupt back that is on its way.
      EXPECT_EQ(machine.slots.at(0).line->unclaimed(), 0u);
      session.reset();
    }));
    EXPECT_EQ(machine.error, "");
    EXPECT_EQ(machine.violations, std::vector<std::string>{});
    EXPECT_EQ(machine.msix.unexpected(), 0u);
    EXPECT_LE(interrupts(), requests * queue_count) << "as if they were not acknowledged";
    EXPECT_LE(machine.slots.at(0).line->unclaimed(), 1u);
    EXPECT_LT(sc_core::sc_time_stamp(), sc_core::sc_time(50, sc_core::SC_MS))
        << "somebody waited for nothing";
  }
  Virtqueue& add_queue(driver::Session& session, std::uint16_t index) {
    // Each queue is used in a way of its own.
    return session.add_queue(index, {.size = static_cast<std::uint16_t>(16 << index),
                                     .indirect_from = static_cast<std::uint16_t>(index),
                                     .depth = static_cast<std::uint16_t>(6 + index),
                                     .interrupts = GetParam().kind != Kind::poll,
                                     .status_interval = long_time});
  }
  std::uint64_t interrupts() const {
    return machine.msix.received() + machine.slots.at(0).line->handled();
  }

  // Everything takes time, the driver's own accesses too: so it can be overtaken anywhere.
  Machine machine;
};
INSTANTIATE_TEST_SUITE_P(All, DriverInterrupts, testing::ValuesIn(settings()),
                         [](const auto& info) { return info.param.name; });

TEST_P(DriverInterrupts, OneThreadServesSeveralQueues) {
  run([&](driver::Session& session) {
    std::deque<MirrorTraffic> traffic;
    std::vector<Virtqueue*> queues;
    for (std::uint16_t i = 0; i < queue_count; ++i) {
      queues.push_back(&add_queue(session, i));
      traffic.emplace_back(session, *queues.back(), 8);
    }
    CompletionPolicy policy(machine.bus, queues, completion());
    session.go_live();
    unsigned done = 0;
    while (done < queue_count * requests) {
      for (auto& t : traffic) {
        t.start(requests);
        EXPECT_LE(t.queue().in_flight(), 6 + t.queue().index());
      }
      const auto n = policy.wait(long_time, [&](Virtqueue& queue, const Virtqueue::Used& used) {
        traffic[queue.index()].finish(used);
      });
      ASSERT_GT(n, 0u);
      done += static_cast<unsigned>(n);
    }
    EXPECT_EQ(policy.counts().used, queue_count * requests);
    if (GetParam().kind == Kind::poll) {
      EXPECT_EQ(policy.counts().sleeps, 0u);
      EXPECT_EQ(interrupts(), 0u);
    } else {
      EXPECT_GT(policy.counts().sleeps, 10u);
      EXPECT_GT(interrupts(), 10u);
    }
    if (GetParam().kind == Kind::napi)
      EXPECT_GT(policy.counts().switches, 10u);
    else
      EXPECT_EQ(policy.counts().switches, 0u);
  });
}

TEST_P(DriverInterrupts, EachQueueHasAThreadOfItsOwn) {
  run([&](driver::Session& session) {
    std::deque<MirrorTraffic> traffic;
    for (std::uint16_t i = 0; i < queue_count; ++i) {
      auto& queue = add_queue(session, i);
      queue.set_interrupts(GetParam().kind != Kind::poll);
      traffic.emplace_back(session, queue, 8);
    }
    session.go_live();
    sc_core::sc_event ended;
    unsigned running = queue_count;
    for (auto& t : traffic)
      sc_core::sc_spawn([&] {
        while (t.done < requests) {
          t.start(requests);
          t.finish(t.queue().wait_used(long_time));
        }
        if (--running == 0) ended.notify(sc_core::SC_ZERO_TIME);
      });
    sc_core::wait(ended);
    for (const auto& t : traffic)
      EXPECT_EQ(t.done, requests);
    EXPECT_EQ(interrupts() != 0, GetParam().kind != Kind::poll);
  });
}

/// Interrupts come as soon as they can, and nothing comes after those that are waited for.
class DriverInterruptRaces : public DriverInterrupts {
protected:
  DriverInterruptRaces() : DriverInterrupts(sc_core::SC_ZERO_TIME) {}
};
INSTANTIATE_TEST_SUITE_P(All, DriverInterruptRaces, testing::ValuesIn(settings()),
                         [](const auto& info) { return info.param.name; });

TEST_P(DriverInterruptRaces, NothingIsMissedWhereverTheDriverStands) {
  run([&](driver::Session& session) {
    std::deque<MirrorTraffic> traffic;
    std::vector<Virtqueue*> queues;
    for (std::uint16_t i = 0; i < queue_count; ++i) {
      queues.push_back(&add_queue(session, i));
      traffic.emplace_back(session, *queues.back(), 2);
    }
    CompletionPolicy policy(machine.bus, queues, completion());
    session.go_live();
    constexpr unsigned batches = requests / 2;
    for (unsigned batch = 1; batch <= batches; ++batch) {
      for (auto& t : traffic)
        t.start(2 * batch);
      const std::uint64_t all = 2ull * queue_count * batch;
      while (policy.counts().used < all)
        ASSERT_GT(policy.wait(long_time,
                              [&](Virtqueue& queue, const Virtqueue::Used& used) {
                                traffic[queue.index()].finish(used);
                              }),
                  0u);
    }
    EXPECT_EQ(policy.counts().late_finds > 0, GetParam().kind == Kind::napi);
  });
}

TEST_P(DriverInterruptRaces, AThreadThatWaitsForOneQueueMissesNothing) {
  run([&](driver::Session& session) {
    auto& queue = add_queue(session, 0);
    queue.set_interrupts(GetParam().kind != Kind::poll);
    MirrorTraffic traffic(session, queue, 4);
    session.go_live();
    for (unsigned batch = 1; batch <= requests / 4; ++batch) {
      traffic.start(4 * batch);
      while (traffic.done < traffic.started)
        traffic.finish(queue.wait_used(long_time));
    }
  });
}

class DriverMsix : public testing::Test {
protected:
  /// A session on a mirror with `vectors` MSI-X vectors, over which the test adds queues.
  void run(unsigned vectors, VectorPolicy policy, std::function<void(driver::Session&)> body) {
    Machine machine({.check_driver = true, .pci = {.msix_vectors = vectors}});
    machine.add(std::make_unique<Mirror>(5), true);
    EXPECT_TRUE(machine.run([&] {
      const auto found = machine.probe();
      driver::Session session(machine.bus, *found.at(0),
                              {.interrupts = InterruptForm::msix,
                               .vectors = policy,
                               .line = machine.slots.at(0).line,
                               .msix = &machine.msix},
                              machine.arena);
      body(session);
    }));
    error = machine.error;
    EXPECT_EQ(machine.violations, std::vector<std::string>{});
  }
  std::string error;
};

TEST_F(DriverMsix, EveryQueueHasAVectorAsFarAsThereAreSome) {
  run(4, VectorPolicy::per_queue, [&](driver::Session& session) {
    std::vector<driver::Interrupt*> of;
    for (std::uint16_t i = 0; i < 5; ++i)
      of.push_back(session.add_queue(i).interrupt());
    EXPECT_NE(of[0], of[1]);
    EXPECT_NE(of[1], of[2]);
    EXPECT_EQ(of[0], of[3]) << "queue 3 has vector 1 again";
    EXPECT_EQ(of[1], of[4]);
    for (const auto* interrupt : of)
      EXPECT_NE(interrupt, session.config_interrupt());
  });
  EXPECT_EQ(error, "");
}

TEST_F(DriverMsix, AQueueMayNameItsVectorOrHaveNone) {
  run(4, VectorPolicy::shared, [&](driver::Session& session) {
    auto& shared = session.add_queue(0);
    auto& own = session.add_queue(1, {.vector = 3});
    auto& with_config = session.add_queue(2, {.vector = 0});
    auto& polled = session.add_queue(3, {.vector = driver::DeviceAccess::no_vector});
    EXPECT_NE(own.interrupt(), shared.interrupt());
    EXPECT_EQ(with_config.interrupt(), session.config_interrupt());
    EXPECT_EQ(polled.interrupt(), nullptr);
    session.go_live();
    for (auto* queue : {&shared, &own, &with_config, &polled}) {
      MirrorTraffic traffic(session, *queue, 1);
      const auto before = queue->interrupt() ? queue->interrupt()->count() : 0;
      traffic.start(1);
      traffic.finish(queue->wait_used(long_time));
      session.bus().pause(us);
      EXPECT_EQ(queue->interrupt() ? queue->interrupt()->count() : 1, before + 1);
    }
    EXPECT_THROW(CompletionPolicy(session.bus(), {&polled}), driver::DriverError);
  });
  EXPECT_EQ(error, "");
}

TEST_F(DriverMsix, AVectorThatDoesNotExistIsAnError) {
  run(2, VectorPolicy::shared,
      [](driver::Session& session) { session.add_queue(0, {.vector = 2}); });
  EXPECT_NE(error.find("MSI-X has no vector 2"), std::string::npos) << error;
}

TEST_F(DriverMsix, WithoutVectorsThereIsAnError) {
  run(0, VectorPolicy::shared, [](driver::Session&) { FAIL(); });
  EXPECT_NE(error.find("the device has no MSI-X"), std::string::npos) << error;
}

TEST(DriverInterrupt, TheHandlerAnswersForEachDeviceOfASharedLine) {
  Machine machine({.check_driver = true});
  for (int i = 0; i < 5; ++i) // devices 1 and 5 share INTB
    machine.add(std::make_unique<Mirror>(1), true);
  EXPECT_TRUE(machine.run([&] {
    const auto found = machine.probe();
    EXPECT_EQ(machine.slots[0].line, machine.slots[4].line);
    driver::InterruptLine& line = *machine.slots[0].line;
    SessionOptions options{.interrupts = InterruptForm::line, .line = &line};
    driver::Session first(machine.bus, *found.at(0), options, machine.arena);
    driver::Session fifth(machine.bus, *found.at(4), options, machine.arena);
    for (driver::Session* s : {&first, &fifth}) {
      auto& queue = s->add_queue(0, {.size = 8, .status_interval = long_time});
      s->go_live();
      MirrorTraffic traffic(*s, queue, 1);
      for (unsigned i = 1; i <= 10; ++i) {
        traffic.start(i);
        traffic.finish(queue.wait_used(long_time));
        machine.bus.pause(us);
        EXPECT_EQ(queue.interrupt()->count(), i);
      }
    }
    EXPECT_EQ(line.handled(), 20u);
    EXPECT_EQ(line.unclaimed(), 0u);
  }));
  EXPECT_EQ(machine.error, "");
  EXPECT_LT(sc_core::sc_time_stamp(), sc_core::sc_time(1, sc_core::SC_MS));
}

TEST(DriverInterrupt, ALineThatNobodyClaimsIsAskedAtIntervals) {
  Machine machine;
  for (int i = 0; i < 5; ++i)
    machine.add(std::make_unique<Mirror>(1), true);
  EXPECT_TRUE(machine.run([&] {
    const auto found = machine.probe();
    driver::InterruptLine& line = *machine.slots[0].line;
    // The fifth asserts the line that the first has a handler on.
    driver::Session first(machine.bus, *found.at(0),
                          {.interrupts = InterruptForm::line, .line = &line}, machine.arena);
    driver::Session fifth(machine.bus, *found.at(4), FeatureSet{}, machine.arena);
    auto& polled = fifth.add_queue(0, {.size = 8});
    auto& queue = first.add_queue(0, {.size = 8, .status_interval = long_time});
    fifth.go_live();
    first.go_live();
    MirrorTraffic traffic(fifth, polled, 1);
    traffic.start(1);
    traffic.finish(polled.wait_used(long_time));
    machine.bus.pause(10 * us);
    EXPECT_GE(line.unclaimed(), 9u);
    EXPECT_LE(line.unclaimed(), 12u);
    MirrorTraffic other(first, queue, 1);
    other.start(1);
    other.finish(queue.wait_used(10 * us));
  }));
  EXPECT_EQ(machine.error, "");
}

TEST(DriverInterrupt, OneThatComesWhileTheRingIsReadIsNotMissed) {
  Machine machine({.dmi = false, .memory_latency = 50 * ns});
  Device& device = machine.add(std::make_unique<Mirror>(1), false, FeatureSet{});
  EXPECT_TRUE(machine.run([&] {
    const auto found = machine.probe();
    driver::Session session(machine.bus, *found.at(0),
                            {.interrupts = InterruptForm::line, .line = machine.slots.at(0).line},
                            machine.arena);
    auto& queue = session.add_queue(0, {.size = 8, .status_interval = long_time});
    const driver::Buffer buffer{machine.arena.take(16, 16), 16, true};
    queue.add({&buffer, 1});
    queue.add({&buffer, 1});
    CompletionPolicy policy(machine.bus, {&queue}, {.status_interval = long_time});
    // The test is the device: the index changes, and the interrupt arrives, while the driver's
    // load of the old index is on its way back.
    const auto use_one = [&](std::byte idx) {
      sc_core::wait(20 * ns);
      const std::uint64_t used = device.queue(QueueIndex{0})->device - Machine::ram_base;
      machine.memory.data()[used + 2] = idx;
      machine.memory.data()[used + 4 + 8] = std::byte{1}; // the id of the second
      queue.interrupt()->raise();
    };
    const sc_core::sc_time begin = sc_core::sc_time_stamp();
    sc_core::sc_spawn([&] { use_one(std::byte{1}); });
    queue.wait_used(long_time);
    sc_core::sc_spawn([&] { use_one(std::byte{2}); });
    EXPECT_EQ(policy.wait(long_time, [](auto&, const auto&) {}), 1u);
    EXPECT_LT(sc_core::sc_time_stamp() - begin, us);
  }));
  EXPECT_EQ(machine.error, "");
}

TEST(DriverMsixReceiver, EachAddressAndDataIsAnInterruptOfItsOwn) {
  Machine machine({.interrupt_latency = 300 * ns});
  EXPECT_TRUE(machine.run([&] {
    auto& receiver = machine.msix;
    auto& bus = machine.bus;
    auto& a = receiver.allocate();
    auto& b = receiver.allocate();
    bus.store<std::uint32_t>(a.address, a.data);
    EXPECT_EQ(a.interrupt.count(), 0u) << "it takes its time";
    sc_core::wait(301 * ns);
    EXPECT_EQ(a.interrupt.count(), 1u);
    EXPECT_EQ(b.interrupt.count(), 0u);
    // Neither one's address with the other's data, nor what was not allocated, nor a part.
    bus.store<std::uint32_t>(a.address, b.data);
    bus.store<std::uint32_t>(b.address + 4, 2);
    EXPECT_THROW(bus.store<std::uint16_t>(b.address, 1), driver::DriverError);
    sc_core::wait(us);
    EXPECT_EQ(receiver.unexpected(), 3u);
    EXPECT_EQ(b.interrupt.count(), 0u);
    // As many as were sent arrive, even at once.
    for (int i = 0; i < 3; ++i)
      bus.store<std::uint32_t>(b.address, b.data);
    sc_core::wait(us);
    EXPECT_EQ(b.interrupt.count(), 3u);
    EXPECT_EQ(receiver.received(), 4u);
  }));
  EXPECT_EQ(machine.error, "");
}

} // namespace
} // namespace virtio
