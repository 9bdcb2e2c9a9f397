#include "tlm/bus_helpers.hpp"

#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/router.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>

namespace virtio::tlm2 {
namespace {

/// Remembers the last address and answers DMI requests with the range it is told to.
struct Probe : sc_core::sc_module {
  tlm_utils::simple_target_socket<Probe> socket{"socket"};
  std::uint64_t address = 0;
  std::uint64_t dmi_start = 0;
  std::uint64_t dmi_end = 0;
  std::array<unsigned char, 0x100> bytes{};

  explicit Probe(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Probe::b_transport);
    socket.register_get_direct_mem_ptr(this, &Probe::get_direct_mem_ptr);
  }
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time&) {
    address = transaction.get_address();
    transaction.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  bool get_direct_mem_ptr(tlm::tlm_generic_payload& transaction, tlm::tlm_dmi& dmi) {
    address = transaction.get_address();
    dmi.set_start_address(dmi_start);
    dmi.set_end_address(dmi_end);
    dmi.set_dmi_ptr(bytes.data());
    dmi.allow_read();
    return true;
  }
};

struct RouterTest : testing::Test {
  test::Initiator cpu{"cpu"};
  test::Initiator dma{"dma"};
  Router router{"router"};
  Memory memory{"memory", {.size = 0x1000}};
  Probe probe{"probe"};

  RouterTest() {
    cpu.socket.bind(router.initiators);
    dma.socket.bind(router.initiators);
    router.map({0x8000'0000, 0x1000}, memory.socket, "ram");
    router.map({0x1000, 0x100}, probe.socket, "probe", 0x4000);
    router.map({0x2000, 0x100}, probe.socket, "probe again", 0x4080);
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
  }
};

TEST_F(RouterTest, TargetsSeeOffsetsAndInitiatorsKeepTheirAddress) {
  EXPECT_EQ(cpu.write<std::uint32_t>(0x8000'0010, 42), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(dma.read<std::uint32_t>(0x8000'0010), 42u);
  EXPECT_EQ(std::to_integer<int>(memory.data()[0x10]), 42);

  std::uint32_t data = 0;
  tlm::tlm_generic_payload transaction;
  cpu.fill(transaction, tlm::TLM_READ_COMMAND, 0x1004, &data, 4);
  EXPECT_EQ(cpu.send(transaction), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(probe.address, 0x4004u);
  EXPECT_EQ(transaction.get_address(), 0x1004u);
}

TEST_F(RouterTest, OneTargetCanBeMappedTwice) {
  cpu.write<std::uint32_t>(0x2000, 0);
  EXPECT_EQ(probe.address, 0x4080u);
}

TEST_F(RouterTest, UnmappedAddressesAndCrossingsAreAddressErrors) {
  std::array<char, 8> data{};
  const auto read = [&](std::uint64_t address) {
    return cpu.access(tlm::TLM_READ_COMMAND, address, data.data(), 8);
  };
  EXPECT_EQ(read(0), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(0x1100), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(0x10f9), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(read(0x10f8), tlm::TLM_OK_RESPONSE);
  EXPECT_EQ(read(std::numeric_limits<std::uint64_t>::max() - 3), tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(RouterTest, DebugAccessesAreTranslatedAndStopAtTheEndOfTheMapping) {
  std::array<unsigned char, 8> bytes{1, 2, 3, 4};
  EXPECT_EQ(cpu.debug(tlm::TLM_WRITE_COMMAND, 0x8000'0ffc, bytes.data(), 8), 4u);
  EXPECT_EQ(std::to_integer<int>(memory.data()[0xffc]), 1);
  EXPECT_EQ(cpu.debug(tlm::TLM_WRITE_COMMAND, 0, bytes.data(), 8), 0u);
}

TEST_F(RouterTest, DmiRangesAreTranslated) {
  tlm::tlm_dmi dmi;
  ASSERT_TRUE(cpu.dmi(0x8000'0800, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0x8000'0000u);
  EXPECT_EQ(dmi.get_end_address(), 0x8000'0fffu);
  EXPECT_EQ(dmi.get_dmi_ptr(), reinterpret_cast<unsigned char*>(memory.data()));
}

TEST_F(RouterTest, DmiRangesAreClippedToTheMapping) {
  probe.dmi_start = 0x3ff0;
  probe.dmi_end = 0x9000;
  tlm::tlm_dmi dmi;
  ASSERT_TRUE(cpu.dmi(0x1000, dmi));
  EXPECT_EQ(probe.address, 0x4000u);
  EXPECT_EQ(dmi.get_start_address(), 0x1000u);
  EXPECT_EQ(dmi.get_end_address(), 0x10ffu);
  EXPECT_EQ(dmi.get_dmi_ptr(), probe.bytes.data() + 0x10);
}

TEST_F(RouterTest, DmiOutsideTheMappingIsNotHandedOn) {
  probe.dmi_start = 0x9000;
  probe.dmi_end = 0x9fff;
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(cpu.dmi(0x1000, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0x1000u);
  EXPECT_EQ(dmi.get_end_address(), 0x1000u);
}

TEST_F(RouterTest, DmiToAnUnmappedAddressIsRefusedForTheWholeGap) {
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(cpu.dmi(0x1800, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0x1100u);
  EXPECT_EQ(dmi.get_end_address(), 0x1fffu);
  EXPECT_FALSE(cpu.dmi(0x9000'0000, dmi));
  EXPECT_EQ(dmi.get_start_address(), 0x8000'1000u);
  EXPECT_EQ(dmi.get_end_address(), std::numeric_limits<std::uint64_t>::max());
}

TEST_F(RouterTest, InvalidationsReachEveryInitiatorWithItsAddresses) {
  memory.allow_dmi(false);
  for (const auto* initiator : {&cpu, &dma}) {
    ASSERT_EQ(initiator->invalidated.size(), 1u);
    EXPECT_EQ(initiator->invalidated[0].first, 0x8000'0000u);
    EXPECT_EQ(initiator->invalidated[0].second, 0x8000'0fffu);
  }
}

TEST_F(RouterTest, AnInvalidationIsSeenThroughEveryMappingItTouches) {
  probe.socket->invalidate_direct_mem_ptr(0x40c0, 0x410f);
  ASSERT_EQ(cpu.invalidated.size(), 2u);
  EXPECT_EQ(cpu.invalidated[0], (std::pair<std::uint64_t, std::uint64_t>(0x10c0, 0x10ff)));
  EXPECT_EQ(cpu.invalidated[1], (std::pair<std::uint64_t, std::uint64_t>(0x2040, 0x208f)));
}

TEST_F(RouterTest, AnInvalidationOutsideATargetsMappingsIsNobodysBusiness) {
  probe.socket->invalidate_direct_mem_ptr(0, 0xfff);
  EXPECT_TRUE(cpu.invalidated.empty());
}

TEST_F(RouterTest, KnowsTheNameOfWhatIsMapped) {
  EXPECT_EQ(router.name_of(0x8000'0fff), "ram");
  EXPECT_EQ(router.name_of(0x8000'1000), "");
}

struct RouterMapTest : testing::Test {
  Router router{"router"};
  Memory memory{"memory", {.size = 0x1000}};

  std::string refusal(AddressRange range) {
    try {
      router.map(range, memory.socket, "late");
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(RouterMapTest, RefusesAnOverlapAndNamesBoth) {
  router.map({0x1000, 0x1000}, memory.socket, "ram");
  EXPECT_EQ(refusal({0x1fff, 1}),
            "late at 0x1fff..0x1fff overlaps ram at 0x1000..0x1fff: move or shrink one of them");
  EXPECT_NE(refusal({0x800, 0x801}), "");
  EXPECT_NE(refusal({0, 0x10000}), "");
  EXPECT_EQ(refusal({0x2000, 0x1000}), "");
  EXPECT_EQ(refusal({0, 0x1000}), "");
}

TEST_F(RouterMapTest, RefusesRangesThatAreEmptyOrPassTheEnd) {
  EXPECT_NE(refusal({0x1000, 0}), "");
  EXPECT_NE(refusal({std::numeric_limits<std::uint64_t>::max(), 2}), "");
  EXPECT_EQ(refusal({std::numeric_limits<std::uint64_t>::max(), 1}), "");
}

} // namespace
} // namespace virtio::tlm2
