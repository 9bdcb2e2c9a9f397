// OnChipBus: times against lines drawn by hand (a cycle is 1 ns where nothing else is said), what
// it keeps in order, and laws that hold for any traffic.
#include "support/at_target.hpp"
#include "support/dma_access.hpp"
#include "tlm/bus_helpers.hpp"

#include <virtio/tlm/bus.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>

namespace virtio::tlm2 {
namespace {

using test::Access;
using test::AtAnswer;
using test::AtTarget;
using Strings = std::vector<std::string>;

const sc_core::sc_time ns(1, sc_core::SC_NS);

constexpr OnChipBusParams gigahertz(unsigned width = 16) {
  return {.width = width, .clock = 1'000'000'000};
}

/// Runs an executor as ExecutorModule does, and counts what it resumes.
struct CountingExecutor : sc_core::sc_module, Executor::Host {
  explicit CountingExecutor(sc_core::sc_module_name name) : sc_module(name) {
    SC_HAS_PROCESS(CountingExecutor);
    SC_METHOD(run);
    sensitive << wake_;
    dont_initialize();
  }
  SimTime now() const override { return to_sim_time(sc_core::sc_time_stamp()); }
  void request_run(SimTime when) override { wake_.notify(to_sc_time(when - now())); }
  void run() {
    events += executor.run();
    executor.flush_errors();
  }
  sc_core::sc_event wake_;
  Executor executor{*this};
  std::size_t events = 0;
};

/// Memory that annotates its latency, and notes when what reached it.
struct Target : sc_core::sc_module {
  tlm_utils::simple_target_socket<Target> socket{"socket"};
  std::vector<unsigned char> memory = std::vector<unsigned char>(0x2'0000);
  sc_core::sc_time latency = 20 * ns;
  bool waits = false;
  std::uint64_t slow = ~0ull; // takes five times as long
  struct Seen {
    std::uint64_t addr;
    bool write;
    sc_core::sc_time at;
  };
  std::vector<Seen> seen;

  explicit Target(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Target::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& p, sc_core::sc_time& delay) {
    const std::uint64_t at = p.get_address();
    seen.push_back({at, p.is_write(), sc_core::sc_time_stamp() + delay});
    const sc_core::sc_time time = at == slow ? 5 * latency : latency;
    if (waits)
      wait(time);
    else
      delay += time;
    if (at + p.get_data_length() > memory.size()) {
      p.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    if (p.is_read())
      std::memcpy(p.get_data_ptr(), &memory[at], p.get_data_length());
    else
      std::memcpy(&memory[at], p.get_data_ptr(), p.get_data_length());
    p.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

/// A device's port, the bus, and memory, with a target of either kind.
template <class TargetType> struct BenchOf {
  explicit BenchOf(OnChipBusParams params = gigahertz(), unsigned outstanding = 64)
      : bus("bus", executor.executor, params),
        port("port", {.protocol = DmaProtocol::at, .outstanding = outstanding}) {
    port.socket.bind(bus.initiators);
    bus.target.bind(target.socket);
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
  }
  Access& read(std::uint64_t addr, std::uint32_t count, std::uint16_t queue = 0,
               AccessKind kind = AccessKind::data) {
    Access& a = accesses.emplace_back();
    scope->start([&] { return a.read(Dma(port, *scope, queue), addr, count, kind); });
    return a;
  }
  Access& write(std::uint64_t addr, std::uint32_t count, std::uint16_t queue = 0,
                AccessKind kind = AccessKind::data) {
    Access& a = accesses.emplace_back();
    a.bytes.assign(count, static_cast<std::byte>(0xa5 + addr));
    scope->start([&] { return a.write(Dma(port, *scope, queue), addr, kind); });
    return a;
  }
  void run() { sc_core::sc_start(); }

  CountingExecutor executor{"executor"};
  TargetType target{"target"};
  OnChipBus bus;
  TlmDmaPort port;
  std::deque<Access> accesses;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(executor.executor, "s");
};
using Bench = BenchOf<Target>;

TEST(OnChipBus, ARead) {
  Bench b;
  b.target.memory[0x103f] = 0x42;
  const Access& a = b.read(0x1000, 64);
  b.run();
  EXPECT_EQ(b.target.seen.at(0).at, 9 * ns) << "1 address beat, 8 cycles of latency";
  EXPECT_EQ(a.at, 41 * ns) << "memory takes 20, 4 data beats, 8 cycles of latency";
  EXPECT_EQ(a.status, DmaStatus::ok);
  EXPECT_EQ(a.bytes[63], std::byte{0x42});
}

TEST(OnChipBus, AWrite) {
  Bench b;
  const Access& a = b.write(0x1000, 64);
  b.run();
  EXPECT_EQ(b.target.seen.at(0).at, 12 * ns) << "4 data beats with the address, 8 of latency";
  EXPECT_EQ(a.at, 41 * ns) << "memory takes 20, 1 response beat, 8 cycles of latency";
  EXPECT_EQ(b.target.memory[0x103f], 0xa5);
}

TEST(OnChipBus, AddressErrorsComeBack) {
  Bench b;
  const Access& a = b.read(0x10'0000, 64);
  b.run();
  EXPECT_EQ(a.status, DmaStatus::address_error);
}

TEST(OnChipBus, ReadsShareTheDataChannel) {
  Bench b;
  const Access& first = b.read(0x1000, 64);
  const Access& second = b.read(0x2000, 32);
  b.run();
  EXPECT_EQ(first.at, 41 * ns);
  EXPECT_EQ(b.target.seen.at(1).at, 10 * ns);
  EXPECT_EQ(second.at, 43 * ns) << "ready at 30, behind the 4 beats that end at 33";
  EXPECT_EQ(b.bus.reads().data_stall, 3u);
  EXPECT_EQ(b.bus.reads().request_stall, 1u);
}

TEST(OnChipBus, WritesShareTheDataChannel) {
  Bench b;
  b.write(0x1000, 64);
  const Access& second = b.write(0x2000, 32);
  b.run();
  EXPECT_EQ(b.target.seen.at(1).at, 14 * ns) << "4 beats, then 2, then 8 of latency";
  EXPECT_EQ(second.at, 43 * ns);
  EXPECT_EQ(b.bus.writes().data_stall, 3u) << "its address went at 1, its data at 4";
}

TEST(OnChipBus, ReadsAndWritesDoNotStallEachOther) {
  Bench b;
  const Access& w = b.write(0x1000, 4096, 1);
  const Access& r = b.read(0x2000, 64, 2);
  b.run();
  EXPECT_EQ(r.at, 41 * ns);
  EXPECT_EQ(w.at, (256 + 8 + 20 + 1 + 8) * ns);
}

TEST(OnChipBus, OutstandingBurstsAreLimitedInEachDirection) {
  OnChipBusParams params = gigahertz();
  params.outstanding_reads = 2;
  params.outstanding_writes = 1;
  Bench b(params);
  for (unsigned i = 0; i < 3; ++i)
    b.read(0x1000 * i, 16);
  for (unsigned i = 0; i < 2; ++i)
    b.write(0x8000 + 0x1000 * i, 16);
  b.run();
  // 1 address beat, 8, memory 20, 1 data beat, 8.
  EXPECT_EQ(b.accesses[0].at, 38 * ns);
  EXPECT_EQ(b.accesses[1].at, 39 * ns);
  EXPECT_EQ(b.accesses[2].at, (38 + 38) * ns) << "when the first was delivered";
  EXPECT_EQ(b.accesses[3].at, 38 * ns);
  EXPECT_EQ(b.accesses[4].at, (38 + 38) * ns);
  EXPECT_EQ(b.bus.reads().request_stall, 1u + 38u);
  EXPECT_EQ(b.bus.writes().request_stall, 38u);
}

TEST(OnChipBus, BurstsEndAt256BeatsAndAt4KiB) {
  struct Case {
    unsigned width;
    std::uint64_t addr;
    unsigned length;
    std::uint64_t bursts, beats;
  };
  const Case cases[] = {
      {16, 0x1000, 1, 1, 1},      {16, 0x100f, 2, 1, 2},       {16, 0x1000, 4096, 1, 256},
      {8, 0x1000, 4096, 2, 512},  {8, 0x1000, 2048, 1, 256},   {8, 0x1000, 2049, 2, 257},
      {8, 0x1004, 2048, 2, 257},  {1, 0x1000, 4096, 16, 4096}, {16, 0x1ff8, 16, 2, 2},
      {16, 0x1ffc, 8200, 4, 514}, {128, 0x1000, 4096, 1, 32},  {4, 0x1ffe, 4, 2, 2},
      {16, 0x1008, 4096, 2, 257}};
  CountingExecutor executor{"executor"};
  std::deque<OnChipBus> buses;
  std::deque<Target> targets;
  std::deque<test::Initiator> cpus;
  for (const Case& c : cases) {
    OnChipBus& bus = buses.emplace_back(sc_core::sc_gen_unique_name("bus"), executor.executor,
                                        gigahertz(c.width));
    cpus.emplace_back(sc_core::sc_gen_unique_name("cpu")).socket.bind(bus.initiators);
    bus.target.bind(targets.emplace_back(sc_core::sc_gen_unique_name("target")).socket);
  }
  sc_core::sc_spawn([&] {
    for (std::size_t i = 0; i < std::size(cases); ++i) {
      std::vector<unsigned char> data(cases[i].length);
      cpus[i].access(tlm::TLM_READ_COMMAND, cases[i].addr, data.data(), cases[i].length);
    }
  });
  sc_core::sc_start();
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(buses[i].reads().bursts, cases[i].bursts) << i;
    EXPECT_EQ(buses[i].reads().total.beats, cases[i].beats) << i;
    EXPECT_EQ(buses[i].reads().busy, cases[i].beats) << i;
  }
}

// 300 MHz: a cycle is 3333 1/3 ps. After 3000 beats not a picosecond is lost.
TEST(OnChipBus, NoRemainderOfACycleIsLost) {
  OnChipBusParams params{.width = 1, .clock = 300'000'000};
  Bench b(params);
  b.target.latency = sc_core::SC_ZERO_TIME;
  const Access& a = b.read(0x1000, 3000);
  b.run();
  // 3000 beats in 12 bursts, 12 address beats, 16 cycles of latency: 3028 cycles.
  EXPECT_EQ(to_sim_time(a.at).ps, 3028ull * 10'000 / 3);
  EXPECT_EQ(b.bus.time(3).ps, 10'000u);
}

TEST(OnChipBus, EdgesAndTimesAreExactForAnyClock) {
  CountingExecutor executor("executor");
  for (const std::uint64_t clock : {300'000'000u, 333'333'331u, 1u, 4'000'000'000u}) {
    const OnChipBus bus(sc_core::sc_gen_unique_name("bus"), executor.executor, {.clock = clock});
    for (const std::uint64_t k : {std::uint64_t{0}, std::uint64_t{3}, clock + 1, clock * 86'400}) {
      EXPECT_EQ(bus.cycle(bus.time(k)), k);
      EXPECT_EQ(bus.cycle(bus.time(k) + picoseconds(1)), k + 1);
    }
    EXPECT_EQ(bus.time(86'400 * clock).ps, 86'400'000'000'000'000u) << "a day";
  }
}

TEST(OnChipBus, ReadsSeeEarlierWritesOfTheirQueueAndDoNotWaitForOthers) {
  Bench b;
  b.write(0x1000, 4096, 1); // reaches memory at 264
  const Access& same = b.read(0x1100, 16, 1);
  const Access& other = b.read(0x1100, 16, 2);
  b.write(0x1100, 4096 - 0x100, 1); // later ones are not waited for
  b.run();
  EXPECT_EQ(other.at, (1 + 1 + 8 + 20 + 1 + 8) * ns) << "its address went at 1";
  EXPECT_EQ(other.bytes[0], std::byte{0});
  EXPECT_EQ(same.bytes[0], std::byte{0xa5});
  EXPECT_EQ(same.at, (264 + 20 + 1 + 8) * ns);
}

TEST(OnChipBus, CostsOneExecutorEventARequest) {
  Bench b;
  constexpr std::size_t n = 500;
  for (std::size_t i = 0; i < n; ++i) {
    b.read(0x1000, 64, 1);
    b.write(0x2000, 64, 2);
  }
  b.run();
  // The bus's, and the port's, with which the device goes on.
  EXPECT_EQ(b.executor.events, 2 * n * 2);
}

struct BlockingBench {
  explicit BlockingBench(OnChipBusParams params = gigahertz())
      : bus("bus", executor.executor, params) {
    for (auto& cpu : cpus)
      cpu.socket.bind(bus.initiators);
    bus.target.bind(target.socket);
  }
  CountingExecutor executor{"executor"};
  Target target{"target"};
  OnChipBus bus;
  std::array<test::Initiator, 2> cpus{test::Initiator("cpu0"), test::Initiator("cpu1")};
};

TEST(OnChipBus, BlockingInitiatorsTakeTheSameTimeAndMayAnnotate) {
  BlockingBench b;
  sc_core::sc_time read, write;
  sc_core::sc_spawn([&] {
    auto& cpu = b.cpus[0];
    std::array<unsigned char, 64> data{};
    cpu.access(tlm::TLM_READ_COMMAND, 0x1000, data.data(), 64);
    read = sc_core::sc_time_stamp() + cpu.delay;
    cpu.access(tlm::TLM_WRITE_COMMAND, 0x1000, data.data(), 64);
    write = sc_core::sc_time_stamp() + cpu.delay;
  });
  sc_core::sc_start();
  EXPECT_EQ(read, 41 * ns);
  EXPECT_EQ(b.target.seen.at(1).at, (41 + 12) * ns) << "an annotated delay passes first";
  EXPECT_EQ(write, 82 * ns);
  EXPECT_EQ(b.bus.reads().by_kind[BusTraffic::other].bytes, 64u);
}

TEST(OnChipBus, ResponsesOfOneInitiatorToItsThreadsComeInOrder) {
  BlockingBench b;
  b.target.waits = true;
  b.target.slow = 0x1000;
  std::array<sc_core::sc_time, 2> done;
  for (unsigned i = 0; i < 2; ++i)
    sc_core::sc_spawn([&, i] {
      tlm::tlm_generic_payload p;
      std::uint32_t value = 0;
      test::Initiator::fill(p, tlm::TLM_READ_COMMAND, i ? 0x2000 : 0x1000, &value, 4);
      sc_core::sc_time delay;
      b.cpus[0].socket->b_transport(p, delay);
      done[i] = sc_core::sc_time_stamp() + delay;
    });
  sc_core::sc_start();
  EXPECT_EQ(done[0], (9 + 100 + 1 + 8) * ns);
  EXPECT_EQ(done[1], done[0] + ns);
}

TEST(OnChipBus, AnInitiatorThatIgnoresItsDelayDoesNotOvertakeTheBus) {
  BlockingBench b;
  sc_core::sc_spawn([&] {
    std::uint32_t value = 0;
    for (int i = 0; i < 3; ++i) {
      b.cpus[0].access(tlm::TLM_READ_COMMAND, 0x1000, &value, 4);
      b.cpus[0].delay = sc_core::SC_ZERO_TIME;
    }
  });
  sc_core::sc_start();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(b.target.seen.at(i).at, 9 * (i + 1) * ns);
}

TEST(OnChipBus, ATargetMayWaitWhenABlockingInitiatorAsks) {
  BlockingBench b;
  b.target.waits = true;
  std::array<sc_core::sc_time, 2> done;
  for (int i = 0; i < 2; ++i)
    sc_core::sc_spawn([&, i] {
      std::uint32_t value = 7;
      for (int n = 0; n < 50; ++n)
        EXPECT_EQ(b.cpus[i].access(n % 2 ? tlm::TLM_READ_COMMAND : tlm::TLM_WRITE_COMMAND,
                                   0x1000 + 16u * static_cast<unsigned>(i), &value, 4),
                  tlm::TLM_OK_RESPONSE);
      done[i] = sc_core::sc_time_stamp() + b.cpus[i].delay;
    });
  sc_core::sc_start();
  EXPECT_GE(done[0], 50 * 38 * ns);
  EXPECT_LE(done[1], 50 * 40 * ns);
  EXPECT_EQ(b.bus.reads().total.requests + b.bus.writes().total.requests, 100u);
}

// --- AT targets ---------------------------------------------------------------------------------

OnChipBusParams to_at(OnChipBusParams params = gigahertz()) {
  params.at_target = true;
  return params;
}

TEST(OnChipBus, AnAtTargetTakesTheSameTime) {
  BenchOf<AtTarget> b(to_at());
  b.target.choose = [](const auto&) {
    return AtAnswer{.first = AtAnswer::Return::end_req, .response_after = 20 * ns};
  };
  b.target.memory[0x1000] = 0x42;
  const Access& r = b.read(0x1000, 64, 1);
  const Access& w = b.write(0x2000, 64, 2);
  b.run();
  EXPECT_EQ(b.target.request_times, (std::vector{9 * ns, 12 * ns}));
  EXPECT_EQ(r.at, 41 * ns);
  EXPECT_EQ(w.at, 41 * ns);
  EXPECT_EQ(r.bytes[0], std::byte{0x42});
  EXPECT_EQ(b.target.memory[0x203f], 0xa5);
  EXPECT_EQ(b.target.errors, Strings{});
}

TEST(OnChipBus, ResponsesComeInOrderWithinAQueueAndOvertakeBetweenQueues) {
  BenchOf<AtTarget> b(to_at());
  b.target.choose = [](const auto& p) {
    return AtAnswer{.first = AtAnswer::Return::end_req,
                    .response_after = (p.get_address() == 0x1000 ? 100 : 20) * ns};
  };
  const Access& slow = b.read(0x1000, 16, 1);
  const Access& behind = b.read(0x2000, 16, 1);
  const Access& other = b.read(0x3000, 16, 2);
  b.run();
  EXPECT_EQ(slow.at, (9 + 100 + 1 + 8) * ns);
  EXPECT_EQ(behind.at, slow.at + ns) << "one data beat later";
  EXPECT_EQ(other.at, (11 + 20 + 1 + 8) * ns);
}

TEST(OnChipBus, ReadsFollowWritesThatAnAtTargetPerformsLate) {
  BenchOf<AtTarget> b(to_at());
  b.target.choose = [](const auto& p) {
    return AtAnswer{.first = AtAnswer::Return::end_req,
                    .response_after = (p.is_write() ? 100 : 20) * ns};
  };
  const Access& w = b.write(0x1000, 16, 1);
  const Access& r = b.read(0x1000, 16, 1);
  b.run();
  EXPECT_EQ(w.at, (9 + 100 + 1 + 8) * ns);
  EXPECT_EQ(b.target.request_times, (std::vector{9 * ns, 109 * ns}));
  EXPECT_EQ(r.bytes[0], std::byte{0xa5});
  EXPECT_EQ(r.at, (109 + 20 + 1 + 8) * ns);
}

TEST(OnChipBus, AtTargetsAreNotAskedWhatTheyCannotDo) {
  CountingExecutor executor{"executor"};
  AtTarget target("target");
  OnChipBus bus("bus", executor.executor, to_at());
  test::Initiator cpu("cpu");
  cpu.socket.bind(bus.initiators);
  bus.target.bind(target.socket);
  tlm::tlm_response_status enables{}, streaming{}, command{}, outside{};
  sc_core::sc_spawn([&] {
    std::array<unsigned char, 16> data{}, mask{};
    tlm::tlm_generic_payload p;
    cpu.fill(p, tlm::TLM_WRITE_COMMAND, 0, data.data(), 16);
    p.set_byte_enable_ptr(mask.data());
    p.set_byte_enable_length(16);
    enables = cpu.send(p);
    cpu.fill(p, tlm::TLM_WRITE_COMMAND, 0, data.data(), 16);
    p.set_streaming_width(4);
    streaming = cpu.send(p);
    cpu.fill(p, tlm::TLM_IGNORE_COMMAND, 0, data.data(), 16);
    command = cpu.send(p);
    outside = cpu.access(tlm::TLM_READ_COMMAND, ~0ull - 100, data.data(), 16);
  });
  sc_core::sc_start();
  EXPECT_EQ(enables, tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  EXPECT_EQ(streaming, tlm::TLM_BURST_ERROR_RESPONSE);
  EXPECT_EQ(command, tlm::TLM_COMMAND_ERROR_RESPONSE);
  EXPECT_EQ(outside, tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(target.request_times.size(), 1u);
}

// --- any traffic --------------------------------------------------------------------------------

/// Everything that the port has under way, as a time integral.
struct Occupancy {
  sc_core::sc_time last;
  std::uint64_t now = 0;
  std::uint64_t integral = 0; // requests x ps
  void change(int by) {
    const auto time = sc_core::sc_time_stamp();
    integral += now * to_sim_time(time - last).ps;
    last = time;
    now += static_cast<std::uint64_t>(by);
  }
};

struct Load {
  Random& random;
  Occupancy& occupancy;
  std::uint64_t bytes = 0;
  std::map<std::pair<bool, AccessKind>, std::uint64_t> by_kind{};
  int wrong = 0;

  Task<> run(Dma dma, std::uint64_t page, int count) {
    std::vector<std::byte> mirror(4096), data;
    for (int i = 0; i < count; ++i) {
      const auto at = random.below(4000);
      data.resize(1 + random.below(std::min<std::uint64_t>(4096 - at, 600)));
      const auto n = static_cast<std::uint32_t>(data.size());
      const auto kind = static_cast<AccessKind>(random.below(8));
      const bool write = random.below(2) != 0;
      by_kind[{write, kind}] += n;
      bytes += n;
      occupancy.change(1);
      DmaStatus status{};
      if (write) {
        random.fill(data);
        std::copy(data.begin(), data.end(), mirror.begin() + static_cast<std::ptrdiff_t>(at));
        status = co_await dma.write(GuestAddr{page + at}, data.data(), n, kind);
      } else {
        status = co_await dma.read(GuestAddr{page + at}, data.data(), n, kind);
        wrong += std::memcmp(data.data(), &mirror[at], n) != 0;
      }
      occupancy.change(-1);
      wrong += status != DmaStatus::ok;
    }
  }
};

class OnChipBusRandom : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, OnChipBusRandom, testing::Range(1, 7));

template <class B> void conserves_everything(B& b, std::uint64_t seed) {
  Random random(seed);
  Occupancy occupancy;
  std::deque<Load> loads;
  for (unsigned i = 0; i < 20; ++i) {
    Load& load = loads.emplace_back(Load{random, occupancy});
    b.scope->start([&] {
      return load.run(Dma(b.port, *b.scope, static_cast<std::uint16_t>(i % 7)), 4096ull * i, 100);
    });
  }
  b.run();
  std::map<std::pair<bool, AccessKind>, std::uint64_t> by_kind;
  for (const Load& load : loads) {
    EXPECT_EQ(load.wrong, 0);
    for (const auto& [key, bytes] : load.by_kind)
      by_kind[key] += bytes;
  }
  for (const bool write : {false, true}) {
    const BusTraffic& t = write ? b.bus.writes() : b.bus.reads();
    BusTraffic::Share sum;
    for (std::size_t kind = 0; kind < BusTraffic::kinds; ++kind) {
      const BusTraffic::Share& share = t.by_kind[kind];
      sum.requests += share.requests;
      sum.bytes += share.bytes;
      sum.beats += share.beats;
      const auto expected = by_kind.find({write, static_cast<AccessKind>(kind)});
      EXPECT_EQ(share.bytes, expected == by_kind.end() ? 0 : expected->second);
    }
    EXPECT_EQ(sum.requests, t.total.requests);
    EXPECT_EQ(sum.bytes, t.total.bytes);
    EXPECT_EQ(sum.beats, t.total.beats);
    EXPECT_EQ(t.busy, t.total.beats);
    EXPECT_LE(t.busy, b.bus.cycle(to_sim_time(sc_core::sc_time_stamp())));
  }
  // Little's law: what is under way at a time, summed, is how long each was under way, summed.
  EXPECT_EQ(b.bus.reads().total.requests + b.bus.writes().total.requests, 2000u);
  EXPECT_EQ(occupancy.now, 0u);
  EXPECT_EQ(occupancy.integral, 1000 * (b.bus.reads().latency + b.bus.writes().latency));
}

TEST_P(OnChipBusRandom, ConservesBytesAndTime) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  OnChipBusParams params = gigahertz(static_cast<unsigned>(1 << seed));
  params.outstanding_reads = static_cast<unsigned>(seed);
  params.outstanding_writes = static_cast<unsigned>(2 * seed);
  Bench b(params);
  conserves_everything(b, seed);
}

TEST_P(OnChipBusRandom, ConservesBytesAndTimeWithAnAtTargetOfAnyStyle) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  BenchOf<AtTarget> b(to_at());
  Random answers(seed, "answers");
  b.target.choose = [&](const auto&) { return test::any_answer(answers); };
  conserves_everything(b, seed);
  EXPECT_EQ(b.target.errors, Strings{});
}

TEST(OnChipBus, MoreOfAnythingIsNotSlowerAndLatencyIsNotFaster) {
  // One simulation of many buses side by side; each knows when its load ended.
  struct Lane {
    Lane(Executor& executor, const OnChipBusParams& params)
        : bus(sc_core::sc_gen_unique_name("bus"), executor, params),
          target(sc_core::sc_gen_unique_name("target")),
          port(sc_core::sc_gen_unique_name("port"),
               {.protocol = DmaProtocol::at, .outstanding = 64}),
          scope(executor, "s") {
      port.socket.bind(bus.initiators);
      bus.target.bind(target.socket);
    }
    void start() {
      for (unsigned i = 0; i < 300; ++i) {
        Access& a = accesses.emplace_back();
        const auto queue = static_cast<std::uint16_t>(i % 5);
        const std::uint32_t length = 1 + i * 37 % 900;
        a.bytes.resize(length);
        scope.start([&] {
          const Dma dma(port, scope, queue);
          return i % 3 ? a.read(dma, 64 * i, length, AccessKind::data)
                       : a.write(dma, 64 * i, AccessKind::data);
        });
      }
    }
    sc_core::sc_time end() const {
      sc_core::sc_time last;
      for (const Access& a : accesses)
        last = std::max(last, a.resumed ? a.at : sc_core::sc_time(1, sc_core::SC_SEC));
      return last;
    }
    OnChipBus bus;
    Target target;
    TlmDmaPort port;
    Scope scope;
    std::deque<Access> accesses;
  };
  CountingExecutor executor("executor");
  std::deque<Lane> lanes;
  std::vector<std::vector<Lane*>> faster; // each row gets no slower to the right
  const auto row = [&](auto change, std::initializer_list<unsigned> values) {
    faster.emplace_back();
    for (const unsigned value : values) {
      OnChipBusParams params{.width = 8, .clock = 100'000'000};
      params.outstanding_reads = params.outstanding_writes = 4;
      change(params, value);
      faster.back().push_back(&lanes.emplace_back(executor.executor, params));
    }
  };
  row([](auto& p, unsigned v) { p.width = v; }, {1, 2, 4, 8, 16, 32, 64, 128});
  row([](auto& p, unsigned v) { p.clock = v; },
      {10'000'000, 50'000'000, 100'000'000, 500'000'000, 1'000'000'000});
  row([](auto& p, unsigned v) { p.outstanding_reads = v; }, {1, 2, 3, 4, 8, 16, 64});
  row(
      [](auto& p, unsigned v) {
        p.width = 128; // reads leave the lead to writes
        p.outstanding_reads = 64;
        p.outstanding_writes = v;
      },
      {1, 2, 3, 4, 8, 16, 64});
  row([](auto& p, unsigned v) { p.request_latency = v; }, {100, 50, 20, 10, 1, 0});
  row([](auto& p, unsigned v) { p.response_latency = v; }, {100, 50, 20, 10, 1, 0});
  sc_core::sc_start(sc_core::SC_ZERO_TIME);
  for (Lane& lane : lanes)
    lane.start();
  sc_core::sc_start();
  for (std::size_t r = 0; r < faster.size(); ++r) {
    for (std::size_t i = 1; i < faster[r].size(); ++i)
      EXPECT_LE(faster[r][i]->end(), faster[r][i - 1]->end()) << "row " << r << ", " << i;
    EXPECT_LT(faster[r].back()->end(), faster[r].front()->end()) << "row " << r;
  }
}

// --- the protocol of initiators, and ends -------------------------------------------------------

/// An initiator that sends END_RESP itself, later.
struct SlowToEnd : sc_core::sc_module {
  tlm_utils::simple_initiator_socket<SlowToEnd> socket{"socket"};
  struct Mm : tlm::tlm_mm_interface {
    void free(tlm::tlm_generic_payload* p) override { delete p; }
  } mm;
  std::vector<unsigned char> data = std::vector<unsigned char>(64);
  std::vector<sc_core::sc_time> responses;
  bool open = false;
  int overlapping = 0;

  explicit SlowToEnd(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_nb_transport_bw(this, &SlowToEnd::nb_transport_bw);
  }
  void send(std::uint64_t address) {
    auto* p = new tlm::tlm_generic_payload(&mm);
    p->acquire();
    test::Initiator::fill(*p, tlm::TLM_READ_COMMAND, address, data.data(), 16);
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time time;
    EXPECT_EQ(socket->nb_transport_fw(*p, phase, time), tlm::TLM_UPDATED);
    EXPECT_EQ(phase, tlm::END_REQ);
  }
  tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload& p, tlm::tlm_phase& phase,
                                     sc_core::sc_time& time) {
    EXPECT_EQ(phase, tlm::BEGIN_RESP);
    overlapping += open;
    open = true;
    responses.push_back(sc_core::sc_time_stamp() + time);
    sc_core::sc_spawn([this, &p, after = time + 10 * ns] {
      sc_core::wait(after);
      open = false;
      tlm::tlm_phase end = tlm::END_RESP;
      sc_core::sc_time now;
      socket->nb_transport_fw(p, end, now);
      p.release();
    });
    return tlm::TLM_ACCEPTED;
  }
};

TEST(OnChipBus, OneResponseAtATimeUntilItsEnd) {
  CountingExecutor executor("executor");
  Target target("target");
  OnChipBus bus("bus", executor.executor, gigahertz());
  SlowToEnd initiator("initiator");
  initiator.socket.bind(bus.initiators);
  bus.target.bind(target.socket);
  sc_core::sc_spawn([&] {
    for (unsigned i = 0; i < 4; ++i)
      initiator.send(0x100 * i);
  });
  sc_core::sc_start();
  EXPECT_EQ(initiator.overlapping, 0);
  EXPECT_EQ(initiator.responses, (std::vector{38 * ns, 48 * ns, 58 * ns, 68 * ns}));
}

TEST(OnChipBus, BreachesOfItsInitiatorsAreReported) {
  static Strings reports;
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_DISPLAY);
  sc_core::sc_report_handler::set_handler(
      [](const sc_core::sc_report& r, const sc_core::sc_actions&) {
        reports.push_back(r.get_msg());
      });
  CountingExecutor executor("executor");
  Target target("target");
  OnChipBus bus("bus", executor.executor, gigahertz());
  test::Initiator initiator("initiator");
  initiator.socket.bind(bus.initiators);
  bus.target.bind(target.socket);
  sc_core::sc_start(sc_core::SC_ZERO_TIME);
  tlm::tlm_generic_payload p;
  sc_core::sc_time time;
  tlm::tlm_phase phase = tlm::END_RESP;
  initiator.socket->nb_transport_fw(p, phase, time);
  phase = tlm::BEGIN_REQ;
  EXPECT_EQ(initiator.socket->nb_transport_fw(p, phase, time), tlm::TLM_COMPLETED);
  EXPECT_EQ(reports, (Strings{"bus: initiator 0 sends a phase that must not follow",
                              "bus: initiator 0 calls nb_transport with a payload without memory "
                              "management"}));
}

TEST(OnChipBus, WrongParametersAreASentence) {
  EXPECT_EQ(check({}), "");
  EXPECT_EQ(check({.width = 24}), "width is 24, which must be 1, 2, 4, 8, 16, 32, 64 or 128 bytes");
  EXPECT_NE(check({.width = 0}), "");
  EXPECT_NE(check({.width = 256}), "");
  EXPECT_EQ(check({.clock = 0}), "clock is 0, which must be 1 Hz to 100 GHz");
  EXPECT_EQ(check({.outstanding_reads = 0}),
            "outstanding_reads is 0, which must be 1 to 1024 bursts");
  EXPECT_NE(check({.outstanding_writes = 0}), "");
  EXPECT_NE(check({.outstanding_writes = 1025}), "");
  EXPECT_NE(check({.request_latency = 1'000'001}), "");
  EXPECT_NE(check({.response_latency = 1'000'001}), "");
}

TEST(OnChipBus, GrantsNoDirectPointersAndPassesDebugAccessesOn) {
  BlockingBench b;
  tlm::tlm_dmi dmi;
  EXPECT_FALSE(b.cpus[0].dmi(0x1000, dmi));
  EXPECT_FALSE(dmi.is_read_allowed());
}

class OnChipBusEnd : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Times, OnChipBusEnd, testing::Range(0, 12));

TEST_P(OnChipBusEnd, TheSimulationMayEndWithRequestsInAnyStep) {
  struct Parts {
    std::unique_ptr<OnChipBus> bus;
    std::unique_ptr<TlmDmaPort> port;
    std::unique_ptr<AtTarget> target = std::make_unique<AtTarget>("target");
  } parts;
  CountingExecutor executor("executor");
  parts.bus = std::make_unique<OnChipBus>("bus", executor.executor, to_at());
  parts.port = std::make_unique<TlmDmaPort>("port", DmaPortParams{.protocol = DmaProtocol::at});
  parts.port->socket.bind(parts.bus->initiators);
  parts.bus->target.bind(parts.target->socket);
  Random answers(3);
  parts.target->choose = [&](const auto&) { return test::any_answer(answers); };
  std::deque<Access> accesses(40);
  Scope scope(executor.executor, "s");
  sc_core::sc_start(sc_core::SC_ZERO_TIME);
  for (unsigned i = 0; i < 40; ++i)
    scope.start([&] {
      return accesses[i].read(Dma(*parts.port, scope, static_cast<std::uint16_t>(i % 3)), 64 * i,
                              64, AccessKind::data);
    });
  sc_core::sc_start((5 + 15 * (GetParam() / 3)) * ns);
  EXPECT_GT(parts.port->outstanding(), 0u);
  if (GetParam() % 3 == 0) parts.bus.reset();
  if (GetParam() % 3 == 1) parts.port.reset();
}

} // namespace
} // namespace virtio::tlm2
