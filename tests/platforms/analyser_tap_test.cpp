// The analyser's taps on a machine with real devices: they pass everything on, see registers on
// MMIO and PCI and the device's memory accesses, and report what a broken driver does. That the
// reference driver runs clean behind them is in driver_test.cpp.
#include "support/machine.hpp"

#include <virtio/core/split_ring.hpp>
#include <virtio/entropy/entropy.hpp>

#include <gtest/gtest.h>

namespace virtio {
namespace {

using test::Machine;

class AnalyserTap : public testing::TestWithParam<bool> {
protected:
  AnalyserTap() {
    machine.add(std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, "rng"), GetParam());
  }
  /// Runs `body` with the one device of the machine.
  void run(std::function<void(driver::DeviceAccess&)> body) {
    EXPECT_TRUE(machine.run([&] {
      const auto found = machine.probe();
      ASSERT_EQ(found.size(), 1u);
      body(*found[0]);
    }));
    EXPECT_EQ(machine.error, "");
  }
  /// The ids of what was reported, in order.
  std::vector<std::string> ids() const {
    std::vector<std::string> list;
    for (const std::string& text : machine.violations) {
      const auto end = text.find(" (");
      const auto begin = text.rfind(' ', end - 1) + 1;
      list.push_back(text.substr(begin, end - begin));
    }
    return list;
  }
  /// Queue 0 with 8 entries in fresh memory, one descriptor with `flags` made available.
  void offer_one(driver::DeviceAccess& device, std::uint16_t flags) {
    driver::Session session(machine.bus, device, {}, machine.arena);
    const driver::QueueAddresses at{machine.arena.take(128, 16), machine.arena.take(32, 2),
                                    machine.arena.take(128, 4)};
    device.enable_queue(0, 8, at);
    session.go_live();
    split::Desc desc;
    desc.addr = machine.arena.take(64, 16);
    desc.len = 64;
    desc.flags = flags;
    machine.bus.write(at.desc, std::as_bytes(std::span(&desc, 1)));
    machine.bus.store<std::uint16_t>(at.driver + 2, 1);
    device.notify(0, std::nullopt);
    machine.bus.pause(sc_core::sc_time(1, sc_core::SC_US));
    used_idx = machine.bus.load<std::uint16_t>(at.device + 2);
  }

  Machine machine{{.check_driver = true}};
  std::uint16_t used_idx = 0;
};
INSTANTIATE_TEST_SUITE_P(OnPci, AnalyserTap, testing::Bool());

TEST_P(AnalyserTap, ALegalBufferIsServedInSilence) {
  run([&](auto& device) { offer_one(device, split::VIRTQ_DESC_F_WRITE); });
  EXPECT_EQ(used_idx, 1);
  EXPECT_EQ(ids(), std::vector<std::string>{});
}

TEST_P(AnalyserTap, ABrokenDescriptorIsSeenInWhatTheDeviceReads) {
  run([&](auto& device) { offer_one(device, split::VIRTQ_DESC_F_INDIRECT); });
  EXPECT_EQ(ids(), std::vector<std::string>{"SPLIT-DRV-006"});
  EXPECT_NE(machine.violations.at(0).find("dev0 queue 0"), std::string::npos);
}

TEST_P(AnalyserTap, ABrokenRegisterSequenceIsSeen) {
  run([&](auto& device) {
    driver::Session session(machine.bus, device, {}, machine.arena);
    session.add_queue(0, {.size = 8});
    device.notify(0, std::nullopt);
    session.go_live();
    device.write_status(0x0b);
  });
  EXPECT_EQ(ids(), (std::vector<std::string>{"GEN-DRV-030", "GEN-DRV-002"}));
}

TEST_P(AnalyserTap, AMisalignedUsedRingIsSeen) {
  run([&](auto& device) {
    driver::Session session(machine.bus, device, {}, machine.arena);
    const std::uint64_t base = machine.arena.take(4096, 4096);
    device.enable_queue(0, 8, {base, base + 1024, base + 2050});
  });
  EXPECT_EQ(ids(), std::vector<std::string>{"SPLIT-DRV-001"});
}

TEST_P(AnalyserTap, MemoryBehindTheTapGrantsNoDmi) {
  auto& slot = machine.slots.at(0);
  auto& dma = slot.check->tap()->dma;
  run([&](auto&) {
    tlm::tlm_generic_payload request;
    tlm::tlm_dmi dmi;
    request.set_command(tlm::TLM_READ_COMMAND);
    request.set_address(Machine::ram_base);
    EXPECT_FALSE(slot.port->socket->get_direct_mem_ptr(request, dmi));
    EXPECT_TRUE(dma.out->get_direct_mem_ptr(request, dmi));
    unsigned char byte = 0x5a;
    request.set_command(tlm::TLM_WRITE_COMMAND);
    request.set_data_ptr(&byte);
    request.set_data_length(1);
    EXPECT_EQ(slot.port->socket->transport_dbg(request), 1u);
    EXPECT_EQ(machine.memory.data()[0], std::byte{0x5a});
  });
  EXPECT_EQ(ids(), std::vector<std::string>{}) << "debug accesses are nobody's";
}

class PciAnalyserTap : public AnalyserTap {
protected:
  static constexpr std::uint64_t config = Machine::ecam_base + (1u << 15);

  /// The offset of the capability with `id`, and for a virtio one with `cfg_type`.
  std::uint32_t find(std::uint8_t id, std::uint8_t cfg_type = 0) {
    std::uint8_t at = machine.bus.load<std::uint8_t>(config + 0x34);
    while (at && (machine.bus.load<std::uint8_t>(config + at) != id ||
                  (cfg_type && machine.bus.load<std::uint8_t>(config + at + 3) != cfg_type)))
      at = machine.bus.load<std::uint8_t>(config + at + 1);
    EXPECT_NE(at, 0);
    return at;
  }
  template <class Value> void set(std::uint32_t offset, Value value) {
    machine.bus.store<Value>(config + offset, value);
  }
};
INSTANTIATE_TEST_SUITE_P(OnPci, PciAnalyserTap, testing::Values(true));

TEST_P(PciAnalyserTap, WritesToCapabilitiesAreSeen) {
  run([&](auto&) { set<std::uint32_t>(find(9, tlm2::VIRTIO_PCI_CAP_COMMON_CFG) + 8, 0); });
  EXPECT_EQ(ids(), std::vector<std::string>{"PCI-DRV-013"});
}

TEST_P(PciAnalyserTap, RegistersBehindTheConfigurationAccessWindowAreSeen) {
  run([&](auto&) {
    const auto window = find(9, tlm2::VIRTIO_PCI_CAP_PCI_CFG);
    set<std::uint8_t>(window + 4, 4); // BAR 4, where the common configuration begins
    set<std::uint32_t>(window + 8, 0x14);
    set<std::uint32_t>(window + 12, 1);
    set<std::uint8_t>(window + 16, 1); // ACKNOWLEDGE, without a reset before
  });
  EXPECT_EQ(ids(), std::vector<std::string>{"GEN-DRV-017"});
}

TEST_P(PciAnalyserTap, MessagesAreKnownAsInterrupts) {
  run([&](auto& device) {
    const auto msix = find(tlm2::Msix::capability_id);
    machine.bus.load<std::uint16_t>(config + msix + 2);
    const auto low = machine.bus.load<std::uint32_t>(config + 0x14) & ~0xfu; // BAR 1: the table
    machine.bus.store<std::uint32_t>(low + 16, Machine::ram_base);
    machine.bus.store<std::uint32_t>(low + 20, 0);
    machine.bus.store<std::uint32_t>(low + 24, 0x21);
    machine.bus.store<std::uint32_t>(low + 28, 0);
    set<std::uint16_t>(msix + 2, tlm2::Msix::control_enable);
    driver::Session session(machine.bus, device, {}, machine.arena);
    const auto at = find(9, tlm2::VIRTIO_PCI_CAP_COMMON_CFG);
    const auto bar = machine.bus.load<std::uint8_t>(config + at + 4);
    const auto common = (machine.bus.load<std::uint32_t>(config + 0x10 + 4u * bar) & ~0xfu) +
                        machine.bus.load<std::uint32_t>(config + at + 8);
    machine.bus.store<std::uint16_t>(common + 0x16, 0);
    machine.bus.store<std::uint16_t>(common + 0x1a, 1);
    EXPECT_EQ(machine.bus.load<std::uint16_t>(common + 0x1a), 1);
    auto& queue = session.add_queue(0, {.size = 8});
    session.go_live();
    const driver::Buffer buffer{machine.arena.take(32, 16), 32, true};
    queue.add({&buffer, 1});
    queue.kick();
    queue.wait_used(sc_core::sc_time(1, sc_core::SC_MS));
    machine.bus.pause(sc_core::sc_time(1, sc_core::SC_US));
    EXPECT_EQ(machine.bus.load<std::uint32_t>(Machine::ram_base), 0x21u) << "the message arrived";
  });
  EXPECT_EQ(ids(), std::vector<std::string>{});
}

} // namespace
} // namespace virtio
