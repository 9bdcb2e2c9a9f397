// Hostile guests on a whole machine, on both transports: addresses where no memory is, above all
// the device's own registers. Whatever happens, after a reset the device works.
#include "support/machine.hpp"

#include <virtio/blk/block.hpp>

#include <gtest/gtest.h>

namespace virtio {
namespace {

using driver::Buffer;
using test::Machine;

const sc_core::sc_time short_while(10, sc_core::SC_US);

/// A block device: what it writes into a buffer is what its disk holds.
class HostileMachine : public testing::TestWithParam<std::tuple<bool, bool>> {
protected:
  bool pci() const { return std::get<0>(GetParam()); }
  bool timed() const { return std::get<1>(GetParam()); }
  Machine machine{
      {.timed_dma = timed(), .memory_latency = sc_core::sc_time(timed() ? 50 : 0, sc_core::SC_NS)}};
  std::span<std::byte> disk;
  Device& device = add_disk();

  Device& add_disk() {
    auto store = std::make_unique<blk::RamStore>(4096);
    disk = store->memory();
    return machine.add(std::make_unique<blk::Block>(blk::BlockParams{}, std::move(store)), pci());
  }
  /// Where the device's registers are, once the driver has placed them.
  std::uint64_t registers() const { return pci() ? 0x4000'0000 : Machine::mmio_base; }
  std::uint64_t registers_end() const { return registers() + (pci() ? 0xa000 : 0x1000); }

  /// A read (or a write) of sector 0, the first `len` bytes of which are at `at`.
  void request(driver::Virtqueue& queue, bool write, std::uint64_t at, std::uint32_t len,
               std::uint64_t status_at) {
    machine.bus.store<std::uint32_t>(header, write);
    machine.bus.store<std::uint32_t>(header + 4, 0);
    machine.bus.store<std::uint64_t>(header + 8, 0);
    const Buffer chain[] = {{header, 16, false},
                            {at, len, !write},
                            {header + 0x200, 512 - len, !write},
                            {status_at, 1, true}};
    queue.add(chain);
    queue.kick();
  }
  void expect_works(driver::DeviceAccess& access, const FeatureSet& features) {
    if (pci()) machine.bus.store<std::uint16_t>(Machine::ecam_base + 0x8004, 6);
    driver::Session session(machine.bus, access, features, machine.arena);
    auto& queue = session.add_queue(0, {.size = 8});
    session.go_live();
    machine.bus.store<std::uint8_t>(status, 0xee);
    request(queue, false, header + 0x800, 256, status);
    EXPECT_EQ(queue.wait_used(sc_core::sc_time(1, sc_core::SC_MS)).written, 513u);
    EXPECT_EQ(machine.bus.load<std::uint8_t>(status), 0);
    EXPECT_EQ(machine.bus.load<std::uint8_t>(header + 0x800),
              std::to_integer<std::uint8_t>(disk[0]));
    session.reset();
  }
  /// Calls `abuse(access, features)` for both formats.
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
        sc_core::sc_time(1000, sc_core::SC_SEC));
    EXPECT_TRUE(ended);
    EXPECT_EQ(machine.error, "");
  }

  const std::uint64_t header = machine.arena.take(0x1000, 0x1000);
  const std::uint64_t status = machine.arena.take(1, 1);
};
INSTANTIATE_TEST_SUITE_P(All, HostileMachine, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "pci" : "mmio") +
                                  (std::get<1>(info.param) ? "_timed" : "_untimed");
                         });

TEST_P(HostileMachine, BuffersInItsOwnRegistersAreHarmlessAfterAReset) {
  int noticed = 0;
  for_each_format([&](driver::DeviceAccess& access, const FeatureSet& features) {
    for (const int value : {0x00, 0x01, 0xff})
      for (std::uint64_t at = registers(); at < registers_end();
           at += at % 0x1000 < 0x100 ? 4 : 0x700)
        for (const bool write : {false, true}) {
          std::ranges::fill(disk, static_cast<std::byte>(value));
          driver::Session session(machine.bus, access, features, machine.arena);
          auto& queue = session.add_queue(0, {.size = 8});
          session.go_live();
          request(queue, write, at, 4, status);
          machine.bus.pause(short_while);
          noticed += access.status() != 0x0f;
          expect_works(access, features);
        }
  });
  EXPECT_GT(noticed, 0) << "among the registers is the device status";
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
      request(queue, false, hole, 64, status);
      EXPECT_EQ(queue.wait_used(sc_core::sc_time(1, sc_core::SC_MS)).written, 0u)
          << "not the first bytes";
      EXPECT_EQ(machine.bus.load<std::uint8_t>(status), 1) << "VIRTIO_BLK_S_IOERR";
      EXPECT_EQ(access.status(), 0x0f);
      request(queue, false, header + 0x800, 64, hole);
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
