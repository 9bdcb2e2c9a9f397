// PcieLink on real memory and real registers: what is done when, in which order, and what TLM-2.0
// sees of it.
#include "tlm/bus_helpers.hpp"

#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>
#include <virtio/tlm/router.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace virtio::tlm2 {
namespace {

using test::Initiator;

constexpr std::uint64_t ram_base = 0x8000'0000;
constexpr std::uint64_t msi_base = 0xfee0'0000;
constexpr std::uint64_t hole = 0x1000;
constexpr std::uint64_t bar = 0x4000'0000;

std::uint64_t now_ps() {
  return to_sim_time(sc_core::sc_time_stamp()).ps;
}
void run_ns(std::uint64_t ns) {
  sc_core::sc_start(to_sc_time(nanoseconds(ns)));
}

/// Registers of the function: records what arrives and when; takes its time if told to.
struct Registers : sc_core::sc_module {
  struct Arrival {
    bool write;
    std::uint64_t addr;
    std::uint32_t value;
    std::uint64_t ps;
  };
  tlm_utils::simple_target_socket<Registers> socket{"socket"};
  std::vector<Arrival> arrivals;
  std::uint32_t value = 0x600d;
  sc_core::sc_time takes;

  explicit Registers(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Registers::b_transport);
    socket.register_transport_dbg(this, &Registers::debug);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time&) {
    if (takes != sc_core::SC_ZERO_TIME) wait(takes);
    std::uint32_t data = 0;
    const unsigned len = std::min(4u, payload.get_data_length());
    if (payload.is_write())
      std::memcpy(&data, payload.get_data_ptr(), len);
    else
      std::memcpy(payload.get_data_ptr(), &value, len);
    arrivals.push_back({payload.is_write(), payload.get_address(), data, now_ps()});
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  unsigned debug(tlm::tlm_generic_payload& payload) {
    std::memcpy(payload.get_data_ptr(), &value, std::min(4u, payload.get_data_length()));
    return payload.get_data_length();
  }
};

/// A receiver of messages without direct pointers.
struct Messages : sc_core::sc_module {
  tlm_utils::simple_target_socket<Messages> socket{"socket"};
  std::vector<std::pair<std::uint32_t, std::uint64_t>> received; // data, ps
  std::vector<int> kinds;
  std::function<void()> on_message = [] {};
  sc_core::sc_time takes;

  explicit Messages(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Messages::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time& delay) {
    if (takes != sc_core::SC_ZERO_TIME) wait(takes);
    std::uint32_t data = 0;
    std::memcpy(&data, payload.get_data_ptr(), std::min(4u, payload.get_data_length()));
    received.emplace_back(data, now_ps());
    const auto* info = payload.get_extension<DmaInfo>();
    kinds.push_back(info ? static_cast<int>(info->kind) : -1);
    on_message();
    delay = sc_core::SC_ZERO_TIME;
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

PcieLinkParams unlimited() {
  PcieLinkParams params;
  params.host_credits = params.device_credits = {0, 0, 0, 0};
  params.tags = 768;
  return params;
}

struct BenchParams {
  PcieLinkParams link = unlimited();
  bool dmi = true;
  bool known_ranges = false;
  DmaProtocol protocol = DmaProtocol::at;
};

/// One access of a device.
struct Access {
  std::uint32_t value = 0;
  DmaStatus status = DmaStatus::bus_error;
  std::uint64_t ps = 0;
  bool done = false;

  Task<> read(Dma& dma, std::uint64_t addr, AccessKind kind = AccessKind::data) {
    const DmaStatus s = co_await dma.read(GuestAddr{addr}, &value, 4, kind);
    finish(s);
  }
  Task<> write(Dma& dma, std::uint64_t addr, std::uint32_t data,
               AccessKind kind = AccessKind::data) {
    value = data;
    const DmaStatus s = co_await dma.write(GuestAddr{addr}, &value, 4, kind);
    finish(s);
  }
  void finish(DmaStatus s) {
    status = s;
    ps = now_ps();
    done = true;
  }
};

struct Bench {
  ExecutorModule executor{"executor"};
  TlmDmaPort port;
  PcieLink link;
  Memory ram;
  Messages msi{"msi"};
  Router bus{"bus"};
  Initiator cpu_config{"cpu_config"};
  Initiator cpu{"cpu"};
  Registers config{"config"};
  Registers registers{"registers"};
  Scope scope{executor.executor(), "device"};
  Dma dma{port, scope, 3};

  explicit Bench(BenchParams p = {})
      : port("port", {.protocol = p.protocol, .outstanding = 64}),
        link("link", p.link, executor, p.known_ranges ? ranges() : std::vector<AddressRange>{}),
        ram("ram", {.size = 0x10'0000, .dmi = p.dmi}) {
    port.socket.bind(link.upstream);
    link.host.bind(bus.initiators);
    bus.map({ram_base, 0x10'0000}, ram.socket, "ram");
    bus.map({msi_base, 0x1000}, msi.socket, "msi");
    cpu_config.socket.bind(link.config);
    cpu.socket.bind(link.memory);
    link.function_config.bind(config.socket);
    link.function_memory.bind(registers.socket);
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
  }
  void read(Access& access, std::uint64_t addr, AccessKind kind = AccessKind::data) {
    scope.start([&] { return access.read(dma, addr, kind); });
  }
  void write(Access& access, std::uint64_t addr, std::uint32_t value,
             AccessKind kind = AccessKind::data) {
    scope.start([&] { return access.write(dma, addr, value, kind); });
  }
  static std::vector<AddressRange> ranges() { return {{ram_base, 0x10'0000}, {msi_base, 0x1000}}; }
  std::uint32_t word(std::uint64_t offset) const {
    std::uint32_t value = 0;
    std::memcpy(&value, ram.data() + offset, 4);
    return value;
  }
  void set_word(std::uint64_t offset, std::uint32_t value) {
    std::memcpy(ram.data() + offset, &value, 4);
  }
};

/// Runs `body` in a thread of the simulation, for calls that wait.
void in_thread(std::function<void()> body) {
  sc_core::sc_spawn(std::move(body), sc_core::sc_gen_unique_name("test"));
}

// --- upstream ------------------------------------------------------------------------------------

TEST(PcieLink, AReadTakesTheRoundTripAndAWriteIsOrderedAtOnce) {
  Bench b;
  b.set_word(0x100, 42);
  Access read;
  Access write;
  b.read(read, ram_base + 0x100);
  b.write(write, ram_base + 0x200, 7);
  EXPECT_TRUE(write.done);
  EXPECT_EQ(write.ps, 0u);
  EXPECT_EQ(b.word(0x200), 0u) << "not in memory yet";
  run_ns(1'000);
  EXPECT_EQ(read.value, 42u);
  EXPECT_EQ(read.status, DmaStatus::ok);
  // As LinkTiming's: 20 bytes 2.765 ns, 100, 50, 250, 24 bytes 3.317 ns, 100.
  EXPECT_EQ(read.ps, 506'082u);
  EXPECT_EQ(b.word(0x200), 7u);
  EXPECT_EQ(b.link.in_flight(), 0u);
}

TEST(PcieLink, AWriteIsInMemoryWhenItArrivesAndNotBefore) {
  Bench b;
  Access write;
  b.write(write, ram_base, 7);
  // 24 bytes 3.317 ns, 100, 50.
  run_ns(153);
  EXPECT_EQ(b.word(0), 0u);
  run_ns(1);
  EXPECT_EQ(b.word(0), 7u);
}

TEST(PcieLink, AReadSeesTheWritesBeforeItAndNoneAfterIt) {
  Bench b;
  Access write;
  Access read;
  b.write(write, ram_base, 7);
  b.read(read, ram_base);
  run_ns(1'000);
  EXPECT_EQ(read.value, 7u);
}

TEST(PcieLink, AReadSeesWritesThatWaitForCreditsAndForASlowTarget) {
  BenchParams params;
  params.link.host_credits.posted_header = 1;
  params.dmi = false;
  Bench b(params);
  b.msi.takes = to_sc_time(microseconds(5)); // holds up the writes behind it
  Access message;
  Access write;
  Access read;
  b.write(message, msi_base, 1, AccessKind::message);
  b.write(write, ram_base, 7);
  b.read(read, ram_base);
  run_ns(20'000);
  EXPECT_EQ(read.value, 7u);
  EXPECT_GT(read.ps, 5'000'000u);
}

TEST(PcieLink, AWriteByPointerDoesNotPassOneToASlowTarget) {
  Bench b;
  b.msi.takes = to_sc_time(microseconds(5));
  Access message;
  Access write;
  b.write(message, msi_base, 1, AccessKind::message);
  b.write(write, ram_base, 7);
  run_ns(4'000);
  EXPECT_EQ(b.word(0), 0u);
  run_ns(2'000);
  EXPECT_EQ(b.word(0), 7u);
}

TEST(PcieLink, AMessageComesAfterTheDataItAnnounces) {
  Bench b;
  std::uint32_t seen = 0;
  b.msi.on_message = [&] { seen = b.word(0x40); };
  Access used;
  Access message;
  b.write(used, ram_base + 0x40, 9, AccessKind::used);
  b.write(message, msi_base, 0xabc, AccessKind::message);
  run_ns(1'000);
  ASSERT_EQ(b.msi.received.size(), 1u);
  EXPECT_EQ(b.msi.received[0].first, 0xabcu);
  EXPECT_EQ(seen, 9u);
  EXPECT_EQ(b.msi.kinds[0], static_cast<int>(AccessKind::message)) << "it says what it is for";
}

TEST(PcieLink, WithoutDirectPointersTheOrderIsTheSame) {
  BenchParams params;
  params.dmi = false;
  Bench b(params);
  std::uint32_t seen = 0;
  b.msi.on_message = [&] { seen = b.word(0x40); };
  std::deque<Access> accesses(20);
  for (std::uint32_t i = 0; i < 19; ++i)
    b.write(accesses[i], ram_base + 0x40, i + 1);
  b.write(accesses[19], msi_base, 1, AccessKind::message);
  run_ns(2'000);
  EXPECT_EQ(seen, 19u);
}

TEST(PcieLink, AnUnmappedReadEndsInAnAddressErrorAfterTheRoundTrip) {
  BenchParams params;
  params.known_ranges = true;
  Bench b(params);
  Access read;
  Access write;
  b.read(read, hole);
  b.write(write, hole, 1);
  EXPECT_TRUE(write.done);
  EXPECT_EQ(write.status, DmaStatus::address_error);
  run_ns(250);
  EXPECT_FALSE(read.done);
  run_ns(10);
  EXPECT_EQ(read.status, DmaStatus::address_error);
  EXPECT_EQ(read.ps, 255'530u); // no memory, no data
}

TEST(PcieLink, WithoutKnownRangesAReadOfNothingEndsInErrorAndAWriteIsLost) {
  Bench b;
  Access read;
  Access write;
  b.read(read, hole);
  b.write(write, hole, 1);
  EXPECT_EQ(write.status, DmaStatus::ok);
  run_ns(1'000);
  EXPECT_EQ(read.status, DmaStatus::address_error);
  EXPECT_EQ(read.ps, 506'082u);
  EXPECT_EQ(b.link.lost_writes(), 1u);
}

TEST(PcieLink, AFullPostedBufferHoldsTheDeviceUpAndLetsItGo) {
  BenchParams params;
  params.link.posted_buffer = 8;
  Bench b(params);
  std::deque<Access> writes(10);
  for (std::uint32_t i = 0; i < 10; ++i)
    b.write(writes[i], ram_base + 4 * i, i + 1);
  EXPECT_TRUE(writes[1].done);
  EXPECT_FALSE(writes[2].done);
  run_ns(1'000);
  for (std::uint32_t i = 0; i < 10; ++i) {
    EXPECT_EQ(b.word(4 * i), i + 1);
    // Two fit; then one every 24 bytes, 3.317 ns.
    EXPECT_NEAR(static_cast<double>(writes[i].ps), i < 2 ? 0 : 3'317.0 * (i - 1), 10) << i;
  }
}

TEST(PcieLink, AFullReadQueueHoldsTheDeviceUpAndLetsItGo) {
  BenchParams params;
  params.link.tags = 1;
  params.link.nonposted_queue = 1;
  Bench b(params);
  std::deque<Access> reads(5);
  for (std::uint32_t i = 0; i < 5; ++i) {
    b.set_word(4 * i, i + 1);
    b.read(reads[i], ram_base + 4 * i);
  }
  run_ns(5'000);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(reads[i].value, i + 1);
    EXPECT_NEAR(static_cast<double>(reads[i].ps), 506'082.0 * (i + 1), 10) << "one at a time";
  }
  EXPECT_GT(b.link.timing().statistics().stalls.nonposted_queue.ps, 0u);
}

TEST(PcieLink, ResponsesOvertakeEachOther) {
  BenchParams params;
  params.link.memory = {.kind = LatencyDistribution::Kind::uniform,
                        .low = nanoseconds(100),
                        .high = nanoseconds(10'000)};
  Bench b(params);
  std::deque<Access> reads(32);
  for (std::uint32_t i = 0; i < 32; ++i) {
    b.set_word(4 * i, i + 1);
    b.read(reads[i], ram_base + 4 * i);
  }
  run_ns(20'000);
  int overtaken = 0;
  for (std::uint32_t i = 0; i < 32; ++i) {
    EXPECT_EQ(reads[i].value, i + 1);
    overtaken += i != 0 && reads[i].ps < reads[i - 1].ps;
  }
  EXPECT_GT(overtaken, 5);
}

TEST(PcieLink, AResetWithEverythingInFlightLeavesNothingBehind) {
  BenchParams params;
  params.link.tags = 2;
  Bench b(params);
  std::deque<Access> accesses(40);
  for (std::uint32_t i = 0; i < 40; ++i)
    if (i % 2)
      b.write(accesses[i], ram_base + 4 * i, i);
    else
      b.read(accesses[i], ram_base + 4 * i);
  run_ns(300);
  b.scope.cancel();
  run_ns(20'000);
  EXPECT_EQ(b.link.in_flight(), 0u);
  EXPECT_EQ(b.port.outstanding(), 0u);
  for (std::uint32_t i = 1; i < 40; i += 2)
    EXPECT_EQ(b.word(4 * i), i) << "what was ordered arrives";
  EXPECT_TRUE(b.scope.idle());
  b.scope.reopen();
  Access read;
  b.read(read, ram_base + 4);
  run_ns(1'000);
  EXPECT_EQ(read.value, 1u);
}

TEST(PcieLink, TheEndOfTheSimulationInMidFlightIsClean) {
  Bench b;
  Access read;
  Access write;
  b.read(read, ram_base);
  b.write(write, ram_base, 1);
  run_ns(10);
  EXPECT_EQ(b.link.in_flight(), 2u);
}

TEST(PcieLink, BlockingTransportsTakeTheSameTime) {
  BenchParams params;
  params.protocol = DmaProtocol::dmi; // no pointer is granted: by threads
  Bench b(params);
  b.set_word(0, 42);
  Access read;
  Access write;
  b.read(read, ram_base);
  b.write(write, ram_base + 8, 7);
  run_ns(1'000);
  EXPECT_EQ(read.value, 42u);
  EXPECT_EQ(read.ps, 506'082u);
  EXPECT_LT(write.ps, 10u);
  EXPECT_EQ(b.word(8), 7u);
}

TEST(PcieLink, DebugAccessesPassAndPointersDoNot) {
  Bench b;
  b.set_word(0, 42);
  std::uint32_t value = 0;
  tlm::tlm_generic_payload payload;
  Initiator::fill(payload, tlm::TLM_READ_COMMAND, ram_base, &value, 4);
  EXPECT_EQ(b.port.socket->transport_dbg(payload), 4u);
  EXPECT_EQ(value, 42u);
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(b.port.socket->get_direct_mem_ptr(payload, dmi));
  EXPECT_EQ(b.cpu.debug(tlm::TLM_READ_COMMAND, bar, &value, 4), 4u);
  EXPECT_EQ(value, 0x600du);
  EXPECT_EQ(b.cpu_config.debug(tlm::TLM_READ_COMMAND, 0, &value, 4), 4u);
  EXPECT_FALSE(b.cpu.dmi(bar, dmi));
  EXPECT_EQ(now_ps(), 0u);
}

TEST(PcieLink, WithdrawnPointersAreNotUsed) {
  Bench b;
  Access first;
  b.write(first, ram_base, 1);
  run_ns(1'000);
  Access second;
  b.write(second, ram_base, 2);
  b.ram.allow_dmi(false);
  run_ns(1'000);
  EXPECT_EQ(b.word(0), 2u);
}

TEST(PcieLink, OneTimedEventForARequest) {
  Bench b;
  std::vector<std::byte> block(4096);
  const auto read = [&]() -> Task<> {
    co_await b.dma.read(GuestAddr{ram_base}, block.data(), 4096, AccessKind::data);
  };
  b.scope.start(read);
  run_ns(5'000);
  b.scope.start(read);
  // The first request is served after 402.765 ns; eight times 40 + 512 bytes take 610.316 ns, and
  // the last one 100 ns to the device. Whatever runs before that would be an event on the way.
  const auto next = b.executor.executor().next_time();
  ASSERT_TRUE(next);
  run_ns(5'000);
  EXPECT_EQ(next->ps, 5'000'000u + 1'113'082u) << "the last completion of eight requests";
}

// --- downstream ----------------------------------------------------------------------------------

TEST(PcieLink, ADoorbellReturnsAtOnceAndArrivesLater) {
  Bench b;
  bool returned = false;
  in_thread([&] {
    b.cpu.write<std::uint32_t>(bar + 0x10, 5);
    EXPECT_EQ(now_ps(), 0u);
    returned = true;
  });
  run_ns(103);
  EXPECT_TRUE(returned);
  EXPECT_TRUE(b.registers.arrivals.empty());
  run_ns(1);
  ASSERT_EQ(b.registers.arrivals.size(), 1u);
  EXPECT_EQ(b.registers.arrivals[0].addr, bar + 0x10);
  EXPECT_EQ(b.registers.arrivals[0].value, 5u);
  EXPECT_EQ(b.registers.arrivals[0].ps, 103'317u);
}

TEST(PcieLink, DoorbellsArriveInOrderEvenWhenTheFunctionIsSlow) {
  Bench b;
  b.registers.takes = to_sc_time(microseconds(1));
  in_thread([&] {
    for (std::uint32_t i = 0; i < 10; ++i)
      b.cpu.write<std::uint32_t>(bar, i);
    EXPECT_EQ(now_ps(), 0u);
    EXPECT_EQ(b.cpu.read<std::uint32_t>(bar), 0x600du);
  });
  run_ns(20'000);
  ASSERT_EQ(b.registers.arrivals.size(), 11u);
  for (std::uint32_t i = 0; i < 10; ++i)
    EXPECT_EQ(b.registers.arrivals[i].value, i);
  EXPECT_FALSE(b.registers.arrivals[10].write) << "the read stays behind them";
}

TEST(PcieLink, ARegisterReadTakesTheRoundTrip) {
  Bench b;
  std::uint64_t done = 0;
  std::uint64_t config_done = 0;
  in_thread([&] {
    EXPECT_EQ(b.cpu.read<std::uint32_t>(bar), 0x600du);
    done = now_ps();
    EXPECT_EQ(b.cpu_config.write<std::uint32_t>(4, 6), tlm::TLM_OK_RESPONSE);
    config_done = now_ps();
  });
  run_ns(2'000);
  // 20 bytes 2.765 ns and 100; back 24 bytes 3.317 ns, 100 and 50.
  EXPECT_EQ(done, 256'082u);
  // 24 bytes 3.317 ns and 100; back 20 bytes 2.765 ns, 100 and 50.
  EXPECT_EQ(config_done, done + 256'082u);
  EXPECT_EQ(b.config.arrivals.at(0).value, 6u);
}

TEST(PcieLink, ARegisterReadBringsTheDevicesWritesAlong) {
  BenchParams params;
  params.link.host_credits.posted_header = 1;
  Bench b(params);
  std::deque<Access> writes(20);
  for (std::uint32_t i = 0; i < 20; ++i)
    b.write(writes[i], ram_base, i + 1);
  std::uint32_t seen = 0;
  in_thread([&] {
    b.cpu.read<std::uint32_t>(bar);
    seen = b.word(0);
  });
  run_ns(20'000);
  EXPECT_EQ(seen, 20u);
}

TEST(PcieLink, ARegisterReadWaitsForWritesThatATargetIsSlowToTake) {
  BenchParams params;
  params.dmi = false;
  Bench b(params);
  b.msi.takes = to_sc_time(microseconds(5));
  Access message;
  Access write;
  b.write(message, msi_base, 1, AccessKind::message);
  b.write(write, ram_base, 7);
  std::uint32_t seen = 0;
  in_thread([&] {
    b.cpu.read<std::uint32_t>(bar);
    seen = b.word(0);
  });
  run_ns(20'000);
  EXPECT_EQ(seen, 7u);
}

TEST(PcieLink, ARegisterReadMayPassTheDevicesWritesWithRelaxedOrdering) {
  BenchParams params;
  params.link.host_credits.posted_header = 1;
  params.link.relaxed_ordering = true;
  Bench b(params);
  std::deque<Access> writes(20);
  for (std::uint32_t i = 0; i < 20; ++i)
    b.write(writes[i], ram_base, i + 1);
  std::uint32_t seen = 99;
  in_thread([&] {
    b.cpu.read<std::uint32_t>(bar);
    seen = b.word(0);
  });
  run_ns(20'000);
  EXPECT_LT(seen, 5u);
}

TEST(PcieLink, ADevicesReadThatIsCompleteHasTheDoorbellsBeforeItDelivered) {
  BenchParams params;
  params.link.device_credits.posted_header = 1;
  Bench b(params);
  Access read;
  b.read(read, ram_base);
  in_thread([&] {
    for (int i = 0; i < 4; ++i)
      b.cpu.write<std::uint32_t>(bar, 1);
  });
  std::size_t delivered = 0;
  in_thread([&] {
    while (!read.done)
      sc_core::wait(1, sc_core::SC_NS);
    delivered = b.registers.arrivals.size();
  });
  run_ns(5'000);
  // The CPU waits for credits: it rings at 0, 0, 253 and 507 ns. Memory was read at 403 ns, the
  // third doorbell arrives at 610 ns; without it the read would have been complete at 506 ns.
  EXPECT_EQ(delivered, 3u);
  EXPECT_GT(read.ps, 606'000u);
}

TEST(PcieLink, AFullDeviceHoldsTheCpuUp) {
  BenchParams params;
  params.link.device_credits.posted_header = 2;
  Bench b(params);
  in_thread([&] {
    b.cpu.write<std::uint32_t>(bar, 1);
    b.cpu.write<std::uint32_t>(bar, 2);
    EXPECT_EQ(b.cpu.delay, sc_core::SC_ZERO_TIME);
    b.cpu.write<std::uint32_t>(bar, 3);
    EXPECT_EQ(to_sim_time(b.cpu.delay).ps, 253'317u); // arrival, and the credit's way back
  });
  run_ns(5'000);
  EXPECT_EQ(b.registers.arrivals.size(), 3u);
}

TEST(PcieLink, ACpuThatIsAheadOfTimeRingsItsDoorbellThen) {
  Bench b;
  in_thread([&] {
    b.cpu.delay = to_sc_time(microseconds(2));
    b.cpu.write<std::uint32_t>(bar, 1);
    EXPECT_EQ(b.cpu.read<std::uint32_t>(bar), 0x600du);
    EXPECT_EQ(now_ps() + to_sim_time(b.cpu.delay).ps, 2'256'082u + 3'317);
  });
  run_ns(5'000);
  ASSERT_EQ(b.registers.arrivals.size(), 2u);
  EXPECT_EQ(b.registers.arrivals[0].ps, 2'103'317u);
}

} // namespace
} // namespace virtio::tlm2
