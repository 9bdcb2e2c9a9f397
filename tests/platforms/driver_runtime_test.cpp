// What an operating system does to a device at run time, by the reference driver under the
// analyser's eyes: configuration changes, queues reset and enabled again with other sizes, queues
// that come late, resets in the middle of traffic. Every byte is checked.
#include "support/machine.hpp"
#include "support/mirror.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/console/console.hpp>
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
using driver::Virtqueue;
using test::Machine;
using test::Mirror;
using test::MirrorTraffic;

const sc_core::sc_time us(1, sc_core::SC_US);
const sc_core::sc_time ms(1, sc_core::SC_MS);

struct Setting {
  bool pci = false;
  InterruptForm form{};
  bool packed = false;
  std::string name;
};
void PrintTo(const Setting& s, std::ostream* out) {
  *out << s.name;
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const bool packed : {false, true}) {
    const std::string format = packed ? "_packed" : "_split";
    all.push_back({false, InterruptForm::none, packed, "mmio_polled" + format});
    all.push_back({false, InterruptForm::line, packed, "mmio_line" + format});
    all.push_back({true, InterruptForm::none, packed, "pci_polled" + format});
    all.push_back({true, InterruptForm::line, packed, "pci_intx" + format});
    all.push_back({true, InterruptForm::msix, packed, "pci_msix" + format});
  }
  return all;
}

class DriverAtRunTime : public testing::TestWithParam<Setting> {
protected:
  bool polled() const { return GetParam().form == InterruptForm::none; }
  FeatureSet features() const {
    return FeatureSet{VIRTIO_F_RING_RESET, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC}.set(
        VIRTIO_F_RING_PACKED, GetParam().packed);
  }
  template <class Function, class... Args> Function& add(Args&&... args) {
    auto function = std::make_unique<Function>(std::forward<Args>(args)...);
    Function& it = *function;
    machine.add(std::move(function), GetParam().pci, features());
    return it;
  }
  SessionOptions options() {
    return {.features = features() | FeatureSet{0},
            .interrupts = GetParam().form,
            .line = machine.slots.at(0).line,
            .msix = &machine.msix};
  }
  CompletionParams completion() const {
    return {.kind = polled() ? CompletionParams::Kind::poll : CompletionParams::Kind::interrupt,
            .status_interval = sc_core::sc_time(1, sc_core::SC_SEC)};
  }
  void run(std::function<void(driver::DeviceAccess&)> body) {
    EXPECT_TRUE(machine.run([&] {
      const auto found = machine.probe();
      ASSERT_EQ(found.size(), 1u);
      body(*found[0]);
    }));
    EXPECT_EQ(machine.error, "");
    EXPECT_EQ(machine.violations, std::vector<std::string>{});
    EXPECT_EQ(machine.msix.unexpected(), 0u);
    EXPECT_LT(sc_core::sc_time_stamp(), 100 * ms) << "somebody waited for nothing";
  }
  /// Serves `traffic` until `more` further buffers were used.
  void serve(CompletionPolicy& policy, std::deque<MirrorTraffic>& traffic, unsigned more) {
    const std::uint64_t end = policy.counts().used + more;
    while (policy.counts().used < end) {
      for (auto& t : traffic)
        t.start(~0u);
      ASSERT_GT(policy.wait(ms,
                            [&](Virtqueue& queue, const Virtqueue::Used& used) {
                              traffic[queue.index()].finish(used);
                            }),
                0u);
    }
  }

  Machine machine{{.dmi = false,
                   .timed_dma = true,
                   .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
                   .check_driver = true}};
};
INSTANTIATE_TEST_SUITE_P(All, DriverAtRunTime, testing::ValuesIn(settings()),
                         [](const auto& info) { return info.param.name; });

TEST_P(DriverAtRunTime, QueuesAreResetInTrafficAndComeBackWithOtherSizes) {
  add<Mirror>(std::uint16_t{2}, microseconds(10));
  run([&](driver::DeviceAccess& device) {
    driver::Session session(machine.bus, device, options(), machine.arena);
    auto& changing = session.add_queue(0, {.size = 32, .interrupts = !polled()});
    auto& steady = session.add_queue(1, {.size = 32, .interrupts = !polled()});
    std::deque<MirrorTraffic> traffic;
    traffic.emplace_back(session, changing, 6);
    traffic.emplace_back(session, steady, 6);
    session.go_live();
    CompletionPolicy both(machine.bus, {&changing, &steady}, completion());
    CompletionPolicy one(machine.bus, {&steady}, completion());
    for (unsigned round = 0; round < 12; ++round) {
      serve(both, traffic, 25 + 3 * round);
      const unsigned with_device = traffic[0].started - traffic[0].done - traffic[0].abandoned;
      EXPECT_EQ(changing.reset().size(), with_device);
      traffic[0].abandon();
      // The other queue goes on; nobody touches this one's buffers.
      auto& other = traffic[1];
      for (const unsigned end = other.done + 10; other.done < end;) {
        other.start(~0u);
        one.wait(ms, [&](Virtqueue&, const Virtqueue::Used& used) { other.finish(used); });
      }
      traffic[0].expect_untouched();
      const auto size = static_cast<std::uint16_t>(8 << round % 5);
      session.restart_queue(changing, {.size = size,
                                       .indirect_from = static_cast<std::uint16_t>(round % 3),
                                       .interrupts = !polled()});
      EXPECT_EQ(changing.size(), size);
      EXPECT_EQ(changing.in_flight(), 0u);
    }
    EXPECT_GT(traffic[0].abandoned, 12u);
    session.reset();
  });
}

TEST_P(DriverAtRunTime, TheDeviceIsResetInTrafficAndStartsAfresh) {
  add<Mirror>(std::uint16_t{2}, microseconds(10));
  unsigned abandoned = 0;
  run([&](driver::DeviceAccess& device) {
    for (unsigned round = 0; round < 12; ++round) {
      driver::Session session(machine.bus, device, options(), machine.arena);
      std::deque<MirrorTraffic> traffic;
      std::vector<Virtqueue*> queues;
      for (std::uint16_t i = 0; i < 2; ++i) {
        queues.push_back(
            &session.add_queue(i, {.size = static_cast<std::uint16_t>(16 << (round + i) % 4),
                                   .indirect_from = static_cast<std::uint16_t>(round % 3),
                                   .interrupts = !polled()}));
        traffic.emplace_back(session, *queues.back(), 6);
      }
      CompletionPolicy policy(machine.bus, queues, completion());
      session.go_live();
      serve(policy, traffic, 20 + 7 * round);
      for (auto& t : traffic)
        t.start(~0u);
      session.reset();
      const auto interrupts = [&] {
        return queues[0]->interrupt() ? queues[0]->interrupt()->count() : 0;
      };
      machine.bus.pause(us); // what was on its way through the interrupt controller
      const std::uint64_t before = interrupts();
      for (auto& t : traffic)
        t.abandon();
      machine.bus.pause(50 * us);
      EXPECT_EQ(interrupts(), before);
      for (auto& t : traffic) {
        t.expect_untouched();
        abandoned += t.abandoned;
      }
    }
  });
  EXPECT_GT(abandoned, 12u);
}

TEST_P(DriverAtRunTime, AQueueMayComeAfterDriverOk) {
  add<Mirror>(std::uint16_t{2}, microseconds(1));
  run([&](driver::DeviceAccess& device) {
    driver::Session session(machine.bus, device, options(), machine.arena);
    std::deque<MirrorTraffic> traffic;
    traffic.emplace_back(session, session.add_queue(0, {.size = 16, .interrupts = !polled()}), 4);
    session.go_live();
    CompletionPolicy first(machine.bus, {&traffic[0].queue()}, completion());
    serve(first, traffic, 20);
    traffic.emplace_back(session, session.add_queue(1, {.size = 64, .interrupts = !polled()}), 4);
    CompletionPolicy both(machine.bus, {&traffic[0].queue(), &traffic[1].queue()}, completion());
    serve(both, traffic, 60);
    EXPECT_GT(traffic[1].done, 20u);
    session.reset();
  });
}

TEST_P(DriverAtRunTime, AChangedConfigurationIsReadAnew) {
  auto& console = add<console::Console>(console::ConsoleParams{}, console::Sink{});
  run([&](driver::DeviceAccess& device) {
    using Size = std::pair<std::uint16_t, std::uint16_t>;
    driver::Session session(machine.bus, device, options(), machine.arena);
    const auto read = [&] {
      return device.consistent([&] {
        return Size{device.config<std::uint16_t>(0), device.config<std::uint16_t>(2)};
      });
    };
    std::vector<Size> seen;
    if (polled())
      EXPECT_THROW(session.on_config_change([] {}), driver::DriverError);
    else
      session.on_config_change([&] { seen.push_back(read()); });
    session.go_live();
    EXPECT_EQ(read(), (Size{80, 25}));
    std::vector<Size> sizes;
    for (std::uint16_t i = 1; i <= 5; ++i) {
      sizes.push_back({static_cast<std::uint16_t>(100 + i), static_cast<std::uint16_t>(40 + i)});
      console.resize(sizes.back().first, sizes.back().second);
      machine.bus.pause(5 * us);
      EXPECT_EQ(read(), sizes.back());
    }
    EXPECT_EQ(seen, polled() ? std::vector<Size>{} : sizes);
    session.reset();
  });
}

TEST_P(DriverAtRunTime, AChangeBetweenTwoFieldsIsSeenByTheGeneration) {
  auto& mirror = add<Mirror>(std::uint16_t{1});
  run([&](driver::DeviceAccess& device) {
    driver::Session session(machine.bus, device, options(), machine.arena);
    session.go_live();
    const auto change = [&](int value) {
      std::ranges::fill(mirror.config_bytes, static_cast<std::byte>(value));
      mirror.device().config_changed();
    };
    change(1);
    int reads = 0;
    const auto value = device.consistent([&] {
      const std::uint64_t low = device.config<std::uint32_t>(0);
      if (++reads < 3) change(1 + reads); // between the halves
      return std::uint64_t{device.config<std::uint32_t>(4)} << 32 | low;
    });
    EXPECT_EQ(value, 0x0303'0303'0303'0303u);
    EXPECT_EQ(device.config<std::uint64_t>(0), value);
    EXPECT_EQ(reads, 3);
    session.reset();
  });
}

TEST_P(DriverAtRunTime, ADeviceThatNeedsAResetSaysSo) {
  auto& mirror = add<Mirror>(std::uint16_t{1});
  mirror.handle = [&](Chain& chain) -> Task<> {
    mirror.device().fail(chain, RingError::malformed_request);
    co_return;
  };
  run([&](driver::DeviceAccess& device) {
    driver::Session session(machine.bus, device, options(), machine.arena);
    bool told = false;
    if (!polled()) session.on_config_change([&] { told |= session.needs_reset(); });
    auto& queue = session.add_queue(0, {.size = 8, .interrupts = !polled()});
    session.go_live();
    EXPECT_FALSE(session.needs_reset());
    const driver::Buffer buffer{machine.arena.take(64, 16), 64, false};
    queue.add({&buffer, 1});
    queue.kick();
    machine.bus.pause(5 * us);
    EXPECT_EQ(told, !polled());
    EXPECT_TRUE(session.needs_reset());
    EXPECT_THROW(queue.wait_used(us), driver::DriverError);
    session.reset();
    EXPECT_FALSE(session.needs_reset());
  });
}

} // namespace
} // namespace virtio
