#include "tlm/pci_bench.hpp"

#include <virtio/tlm/pci/host_bridge.hpp>

#include <gtest/gtest.h>

#include <array>

namespace virtio::tlm2 {
namespace {

using test::Initiator;
using test::PciAccess;
using cfg = virtio_pci_common_cfg;

/// Somebody else's function: one 32-bit BAR of 4 KiB, no capabilities, base protocol only.
struct ForeignFunction : sc_core::sc_module {
  tlm_utils::simple_target_socket<ForeignFunction> config{"config"};
  tlm_utils::simple_target_socket<ForeignFunction> memory{"memory"};
  tlm_utils::simple_initiator_socket<ForeignFunction> dma{"dma"};
  PciConfigSpace space{{.vendor_id = 0xcafe, .device_id = 0xf00d}};
  std::array<std::uint8_t, 0x1000> bytes{};
  std::pair<std::uint64_t, std::uint64_t> invalidated{};

  explicit ForeignFunction(sc_core::sc_module_name name) : sc_module(name) {
    space.add_bar(0, {.size = 0x1000});
    config.register_b_transport(this, &ForeignFunction::access_config);
    config.register_transport_dbg(this, &ForeignFunction::debug_config);
    memory.register_b_transport(this, &ForeignFunction::access_memory);
    dma.register_invalidate_direct_mem_ptr(this, &ForeignFunction::invalidate);
  }
  void access_config(tlm::tlm_generic_payload& transaction, sc_core::sc_time&) {
    debug_config(transaction);
    transaction.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  unsigned debug_config(tlm::tlm_generic_payload& transaction) {
    const std::span data(reinterpret_cast<std::byte*>(transaction.get_data_ptr()),
                         transaction.get_data_length());
    const auto reg = static_cast<std::uint32_t>(transaction.get_address());
    if (transaction.is_write())
      space.write(reg, data);
    else
      space.read(reg, data);
    return transaction.get_data_length();
  }
  void access_memory(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
    const auto hit = space.decode(transaction.get_address(), transaction.get_data_length());
    transaction.set_response_status(hit ? tlm::TLM_OK_RESPONSE : tlm::TLM_ADDRESS_ERROR_RESPONSE);
    if (!hit) return;
    delay += sc_core::sc_time(7, sc_core::SC_NS);
    auto* mine = bytes.data() + hit->offset;
    if (transaction.is_write())
      std::memcpy(mine, transaction.get_data_ptr(), transaction.get_data_length());
    else
      std::memcpy(transaction.get_data_ptr(), mine, transaction.get_data_length());
  }
  void invalidate(sc_dt::uint64 start, sc_dt::uint64 end) { invalidated = {start, end}; }
};

/// Two virtio functions at 00:01.0 and 00:06.0 and a foreign one at 00:1f.0.
struct HostBridgeTest : testing::Test {
  static constexpr std::uint64_t window32 = 0x4000'0000;
  static constexpr std::uint64_t window64 = 0x4'0000'0000;

  ExecutorModule executor{"executor"};
  TlmDmaPort port1{"port1"}, port6{"port6"};
  test::EchoFunction *function1 = new test::EchoFunction, *function6 = with_queues(5);
  Device device1{
      {.name = "dev1"}, executor.executor(), port1, std::unique_ptr<DeviceFunction>(function1)};
  Device device6{
      {.name = "dev6"}, executor.executor(), port6, std::unique_ptr<DeviceFunction>(function6)};
  VirtioPci pci1{"pci1", {}, device1, port1}, pci6{"pci6", {}, device6, port6};
  ForeignFunction foreign{"foreign"};
  HostBridge bridge{"bridge"};
  Memory ram{"ram", {.size = 0x1'0000}};
  Router bus{"bus"};
  Initiator ecam{"ecam"}, low{"low"}, high{"high"};
  std::array<sc_core::sc_signal<bool>, 4> lines;
  PciAccess driver1{ecam, 1u << 15, low}, driver6{ecam, 6u << 15, high};
  PciAccess driver31{ecam, 31u << 15, low};

  static test::EchoFunction* with_queues(std::uint16_t queues) {
    auto* function = new test::EchoFunction;
    function->queues = queues;
    return function;
  }
  HostBridgeTest() {
    bridge.attach(1, pci1);
    bridge.attach(6, pci6);
    bridge.attach(31, foreign.config, foreign.memory);
    port1.socket.bind(bridge.upstream);
    port6.socket.bind(bridge.upstream);
    foreign.dma.bind(bridge.upstream);
    bridge.dma.bind(bus.initiators);
    bus.map({0x8000'0000, 0x1'0000}, ram.socket, "ram");
    ecam.socket.bind(bridge.ecam);
    low.socket.bind(bridge.window32);
    high.socket.bind(bridge.window64);
    for (std::size_t i = 0; i < lines.size(); ++i)
      bridge.intx[i].bind(lines[i]);
    settle();
  }
  void settle() { sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_NS)); }
  void assign() {
    driver1.set_cfg<std::uint32_t>(0x14, window32);
    driver1.set_cfg<std::uint32_t>(0x20, window32 + 0x4000);
    driver6.set_cfg<std::uint32_t>(0x14, window32 + 0x1000);
    driver6.set_cfg<std::uint32_t>(0x20, 0x8000);
    driver6.set_cfg<std::uint32_t>(0x24, 4);
    driver31.set_cfg<std::uint32_t>(0x10, window32 + 0x10'0000);
    for (const auto* driver : {&driver1, &driver6, &driver31})
      driver->set_cfg<std::uint16_t>(0x04, 0x0006);
  }
  static constexpr auto num_queues = offsetof(cfg, num_queues);
};

TEST_F(HostBridgeTest, FunctionsAnswerAtTheirDeviceNumbers) {
  EXPECT_EQ(ecam.read<std::uint32_t>(0), 0x0008'1b36u);
  EXPECT_EQ(ecam.read<std::uint32_t>(8) >> 8, 0x060000u);
  EXPECT_EQ(driver1.cfg<std::uint32_t>(0), 0x1042'1af4u);
  EXPECT_EQ(driver6.cfg<std::uint32_t>(0), 0x1042'1af4u);
  EXPECT_EQ(driver31.cfg<std::uint32_t>(0), 0xf00d'cafeu);
}

TEST_F(HostBridgeTest, AbsentFunctionsReadAllOnesAndIgnoreWrites) {
  for (const std::uint64_t address :
       {2u << 15, 1u << 15 | 1u << 12, 1u << 20, 255u << 20 | 1u << 15, 7u << 12}) {
    EXPECT_EQ(ecam.read<std::uint32_t>(address), 0xffff'ffffu);
    EXPECT_EQ(ecam.read<std::uint16_t>(address + 2), 0xffff);
    EXPECT_EQ(ecam.write<std::uint32_t>(address + 4, 6), tlm::TLM_OK_RESPONSE);
    std::uint32_t data = 0;
    EXPECT_EQ(ecam.debug(tlm::TLM_READ_COMMAND, address, &data, 4), 4u);
    EXPECT_EQ(data, 0xffff'ffffu);
  }
  EXPECT_EQ(ecam.read<std::uint32_t>((1u << 15) + 0xffe), 0xffff'ffffu); // across two functions
  std::uint32_t data = 0;
  EXPECT_EQ(ecam.access(tlm::TLM_READ_COMMAND, HostBridge::ecam_size, &data, 4),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(ecam.access(tlm::TLM_READ_COMMAND, ~0ull, &data, 4), tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(HostBridgeTest, WindowsReachTheFunctionWhoseBarClaimsTheAddress) {
  assign();
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x4000 + num_queues), 3);
  EXPECT_EQ(high.read<std::uint16_t>(window64 + 0x8000 + num_queues), 5);
  low.write<std::uint32_t>(window32 + 8, 11);
  low.write<std::uint32_t>(window32 + 0x1008, 66);
  EXPECT_EQ(low.read<std::uint32_t>(window32 + 8), 11u);
  EXPECT_EQ(low.read<std::uint32_t>(window32 + 0x1008), 66u);
}

TEST_F(HostBridgeTest, AnybodysFunctionIsReachedAndItsDelayKept) {
  assign();
  low.delay = sc_core::SC_ZERO_TIME;
  EXPECT_EQ(low.write<std::uint64_t>(window32 + 0x10'0ff8, 0x0102'0304'0506'0708),
            tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(low.delay, sc_core::sc_time(7, sc_core::SC_NS));
  EXPECT_EQ(foreign.bytes[0xfff], 1);
  EXPECT_EQ(low.read<std::uint8_t>(window32 + 0x10'0ffe), 2);
}

TEST_F(HostBridgeTest, UnclaimedAddressesReadAllOnesAndIgnoreWrites) {
  assign();
  for (const std::uint64_t address : {window32 + 0x2000, window32 + 0x8000, window32 + 0x3fff'fff8,
                                      window32 + 0x10'0ffc, window32 + 0x10'1000}) {
    EXPECT_EQ(low.read<std::uint64_t>(address), ~0ull) << std::hex << address;
    EXPECT_EQ(low.write<std::uint64_t>(address, 1), tlm::TLM_OK_RESPONSE);
  }
  EXPECT_EQ(high.read<std::uint32_t>(window64), ~0u);
  std::uint32_t data = 0;
  EXPECT_EQ(low.access(tlm::TLM_READ_COMMAND, window32 - 4, &data, 4),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(low.access(tlm::TLM_READ_COMMAND, window32 + 0x3fff'fffe, &data, 4),
            tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(HostBridgeTest, RoutingFollowsTheBarsAndMemoryEnable) {
  assign();
  driver1.set_cfg<std::uint32_t>(0x20, window32 + 0x20'0000);
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x4000 + num_queues), 0xffff);
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x20'0000 + num_queues), 3);
  driver1.set_cfg<std::uint16_t>(0x04, 0x0004);
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x20'0000 + num_queues), 0xffff);
  // Another function takes the place over.
  driver6.set_cfg<std::uint32_t>(0x20, window32 + 0x20'0000);
  driver6.set_cfg<std::uint32_t>(0x24, 0);
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x20'0000 + num_queues), 5);
}

TEST_F(HostBridgeTest, ABarThatIsDisabledHidesNothing) {
  assign();
  driver6.set_cfg<std::uint32_t>(0x20, window32 + 0x20'0000);
  driver6.set_cfg<std::uint32_t>(0x24, 0);
  driver1.set_cfg<std::uint32_t>(0x14, window32 + 0x20'1000);
  driver1.set_cfg<std::uint16_t>(0x04, 0x0004);
  function6->bytes[0] = std::byte{0x66};
  EXPECT_EQ(low.read<std::uint8_t>(window32 + 0x20'2000), 0x66);
}

TEST_F(HostBridgeTest, SizingABarWithMemoryEnabledDoesNotDisturbTheOthers) {
  assign();
  driver1.set_cfg<std::uint32_t>(0x20, 0xffff'ffff);
  driver1.set_cfg<std::uint32_t>(0x24, 0xffff'ffff);
  EXPECT_EQ(driver1.cfg<std::uint32_t>(0x20), 0xffff'c00cu);
  EXPECT_EQ(low.read<std::uint32_t>(window32 + 0x100c), 1u);
  driver1.set_cfg<std::uint32_t>(0x20, window32 + 0x4000);
  driver1.set_cfg<std::uint32_t>(0x24, 0);
  EXPECT_EQ(low.read<std::uint16_t>(window32 + 0x4000 + num_queues), 3);
}

TEST_F(HostBridgeTest, DebugAccessesReachConfigurationAndMemory) {
  assign();
  std::uint16_t data = 0;
  EXPECT_EQ(ecam.debug(tlm::TLM_READ_COMMAND, 1u << 15, &data, 2), 2u);
  EXPECT_EQ(data, 0x1af4);
  EXPECT_EQ(low.debug(tlm::TLM_READ_COMMAND, window32 + 0x4000 + num_queues, &data, 2), 2u);
  EXPECT_EQ(data, 3);
  EXPECT_EQ(low.debug(tlm::TLM_READ_COMMAND, window32 + 0x3000'0000, &data, 2), 0u);
}

TEST_F(HostBridgeTest, RegistersGrantNoDmi) {
  assign();
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(ecam.dmi(0, dmi));
  EXPECT_FALSE(low.dmi(window32 + 0x4000, dmi));
  EXPECT_FALSE(high.dmi(window64 + 0x8000, dmi));
}

TEST_F(HostBridgeTest, DmaReachesSystemMemoryByTransactionDebugAndDmi) {
  std::array<std::byte, 8> data{std::byte{1}, std::byte{2}};
  tlm::tlm_generic_payload transaction;
  Initiator::fill(transaction, tlm::TLM_WRITE_COMMAND, 0x8000'0100, data.data(), 8);
  sc_core::sc_time delay;
  foreign.dma->b_transport(transaction, delay);
  EXPECT_EQ(transaction.get_response_status(), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(ram.data()[0x101], std::byte{2});
  Initiator::fill(transaction, tlm::TLM_READ_COMMAND, 0x8000'0101, data.data(), 1);
  EXPECT_EQ(foreign.dma->transport_dbg(transaction), 1u);
  EXPECT_EQ(data[0], std::byte{2});
  tlm::tlm_dmi dmi;
  ASSERT_TRUE(foreign.dma->get_direct_mem_ptr(transaction, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0x8000'0000u);
  EXPECT_EQ(dmi.get_dmi_ptr(), reinterpret_cast<unsigned char*>(ram.data()));
  ram.allow_dmi(false);
  EXPECT_EQ(foreign.invalidated,
            (std::pair<std::uint64_t, std::uint64_t>(0x8000'0000, 0x8000'ffff)));
}

TEST_F(HostBridgeTest, LinesRotateWithTheDeviceNumberAndAreShared) {
  const auto change = [&](test::EchoFunction* function, Initiator& socket, std::uint64_t at) {
    for (const std::uint8_t status : {1, 3})
      socket.write<std::uint8_t>(at + 0x14, status);
    socket.write<std::uint32_t>(at + 8, 1);
    socket.write<std::uint32_t>(at + 12, 1);
    for (const std::uint8_t status : {11, 15})
      socket.write<std::uint8_t>(at + 0x14, status);
    function->change_config(1);
    settle();
  };
  const auto levels = [&] {
    unsigned bits = 0;
    for (unsigned i = 0; i < 4; ++i)
      bits |= unsigned{lines[i].read()} << i;
    return bits;
  };
  assign();
  change(function1, low, window32 + 0x4000);
  EXPECT_EQ(levels(), 0b0010u);
  change(function6, high, window64 + 0x8000);
  EXPECT_EQ(levels(), 0b0110u);
  low.read<std::uint8_t>(window32 + 0x4000 + 0x1000);
  settle();
  EXPECT_EQ(levels(), 0b0100u);
}

TEST(HostBridge, RefusesAPlaceThatIsTakenOrDoesNotExist) {
  HostBridge bridge("bridge");
  ForeignFunction a("a"), b("b");
  bridge.attach(3, a.config, a.memory);
  EXPECT_THROW(bridge.attach(3, b.config, b.memory), std::invalid_argument);
  EXPECT_THROW(bridge.attach(0, b.config, b.memory), std::invalid_argument);
  EXPECT_THROW(bridge.attach(32, b.config, b.memory), std::invalid_argument);
}

} // namespace
} // namespace virtio::tlm2
