// Hostile guests on a whole machine, on both transports: addresses where no memory is, above all
// the device's own registers. Whatever happens, after a reset the device works.
#include "support/machine.hpp"

#include <virtio/entropy/entropy.hpp>

#include <gtest/gtest.h>

namespace virtio {
namespace {

using driver::Buffer;
using test::Machine;

const sc_core::sc_time short_while(10, sc_core::SC_US);

class HostileMachine : public testing::TestWithParam<std::tuple<bool, bool>> {
protected:
  bool pci() const { return std::get<0>(GetParam()); }
  Machine machine{
      {.timed_dma = std::get<1>(GetParam()),
       .memory_latency = sc_core::sc_time(std::get<1>(GetParam()) ? 50 : 0, sc_core::SC_NS)}};
  Device& device = machine.add(std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, "rng"),
                               pci(), default_transport_features);

  /// Where the device's registers are, once the driver has placed them.
  std::uint64_t registers() const { return pci() ? 0x4000'0000 : Machine::mmio_base; }
  std::uint64_t registers_end() const { return registers() + (pci() ? 0xa000 : 0x1000); }

  void expect_works(driver::DeviceAccess& access, const FeatureSet& features) {
    if (pci()) restore_command();
    driver::Session session(machine.bus, access, features, machine.arena);
    auto& queue = session.add_queue(0, {.size = 8});
    session.go_live();
    const Buffer b{machine.arena.take(32, 16), 32, true};
    queue.add({&b, 1});
    queue.kick();
    EXPECT_EQ(queue.wait_used(sc_core::sc_time(1, sc_core::SC_MS)).written, 32u);
    session.reset();
  }
  void restore_command() { machine.bus.store<std::uint16_t>(Machine::ecam_base + 0x8004, 6); }
  /// Calls `abuse(access, features)` for each format; the device has to work afterwards.
  template <class Abuse> void for_each_format(Abuse&& abuse) {
    const bool ended = machine.run(
        [&] {
          const auto found = machine.probe();
          ASSERT_EQ(found.size(), 1u);
          for (const bool packed : {false, true}) {
            FeatureSet features{VIRTIO_F_EVENT_IDX};
            if (packed) features.set(VIRTIO_F_RING_PACKED);
            abuse(*found[0], features);
          }
        },
        sc_core::sc_time(100, sc_core::SC_SEC));
    EXPECT_TRUE(ended);
    EXPECT_EQ(machine.error, "");
  }
};
INSTANTIATE_TEST_SUITE_P(All, HostileMachine, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "pci" : "mmio") +
                                  (std::get<1>(info.param) ? "_timed" : "_untimed");
                         });

TEST_P(HostileMachine, BuffersInItsOwnRegistersAreHarmlessAfterAReset) {
  for_each_format([&](driver::DeviceAccess& access, const FeatureSet& features) {
    for (std::uint64_t at = registers(); at < registers_end();
         at += at % 0x1000 < 0x100 ? 20 : 0x700)
      for (const std::uint32_t len : {1u, 4u, 64u}) {
        driver::Session session(machine.bus, access, features, machine.arena);
        auto& queue = session.add_queue(0, {.size = 8});
        session.go_live();
        const Buffer b{at, len, true};
        queue.add({&b, 1});
        queue.kick();
        machine.bus.pause(short_while);
        expect_works(access, features);
      }
  });
}

TEST_P(HostileMachine, RingsInItsOwnRegistersAreHarmlessAfterAReset) {
  for_each_format([&](driver::DeviceAccess& access, const FeatureSet& features) {
    for (unsigned part = 0; part < 3; ++part)
      for (std::uint64_t at = registers(); at < registers_end(); at += 0x1f0) {
        driver::Session session(machine.bus, access, features, machine.arena);
        const std::uint64_t good = machine.arena.take(0x1000, 0x1000);
        driver::QueueAddresses addresses{good, good + 0x400, good + 0x800};
        (part == 0 ? addresses.desc : part == 1 ? addresses.driver : addresses.device) = at;
        access.enable_queue(0, 8, addresses);
        session.go_live();
        for (int i = 0; i < 3; ++i)
          access.notify(0, std::nullopt);
        machine.bus.pause(short_while);
        expect_works(access, features);
      }
  });
}

TEST_P(HostileMachine, BuffersAndRingsInHolesFailTheQueue) {
  constexpr std::uint64_t hole = 0x2000'0000;
  for_each_format([&](driver::DeviceAccess& access, const FeatureSet& features) {
    {
      driver::Session session(machine.bus, access, features, machine.arena);
      auto& queue = session.add_queue(0, {.size = 8});
      session.go_live();
      const Buffer b{hole, 16, true};
      queue.add({&b, 1});
      queue.kick();
      machine.bus.pause(short_while);
      EXPECT_EQ(access.status(), 0x4f);
      EXPECT_EQ(device.last_error(), RingError::data_unwritable);
    }
    driver::Session session(machine.bus, access, features, machine.arena);
    access.enable_queue(0, 8, {hole, hole + 0x400, hole + 0x800});
    session.go_live();
    machine.bus.pause(short_while);
    EXPECT_EQ(access.status(), 0x4f);
    expect_works(access, features);
  });
}

} // namespace
} // namespace virtio
