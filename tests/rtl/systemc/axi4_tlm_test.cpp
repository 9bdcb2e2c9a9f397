#include <virtio/core/random.hpp>
#include <virtio/rtl/systemc/axi4_tlm.hpp>
#include <virtio/tlm/memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace virtio::rtl::systemc {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;

const bus::AxiProfile profile{.seed = 5,
                              .ready_percent = 60,
                              .valid_percent = 70,
                              .delay = 9,
                              .reorder = true,
                              .interleave = true};

/// In place of an RTL manager.
struct Manager : Axi4Wires {
  bus::Axi4Initiator initiator{{.bus_bytes = 16, .ids = 3, .profile = profile}};

  void settle(bus::Axi4Pins& pins) override { initiator.drive(pins); }
  void edge(const bus::Axi4Pins& pins) override { initiator.edge(pins); }
  bool idle() const override { return initiator.idle(); }
};

/// In place of an RTL subordinate: 4 KiB of memory, then SLVERR up to 8 KiB, then DECERR.
struct Subordinate : Axi4Wires, bus::AxiMemory {
  std::vector<std::byte> bytes = std::vector<std::byte>(0x1000);
  std::size_t begun = 0;
  bus::Axi4Target target{*this, {.bus_bytes = 16, .profile = profile}};

  void settle(bus::Axi4Pins& pins) override { target.drive(pins); }
  void edge(const bus::Axi4Pins& pins) override { target.edge(pins); }
  bool idle() const override { return target.idle(); }
  void begin(const bus::AxiAccess& access) override {
    ++begun;
    std::vector<std::byte> data;
    auto resp = bus::AxiResp::okay;
    if (access.address >= bytes.size())
      resp = access.address >= 0x2000 ? bus::AxiResp::decerr : bus::AxiResp::slverr;
    for (std::size_t i = 0; i < access.length && resp == bus::AxiResp::okay; ++i)
      if (!access.write)
        data.push_back(bytes[access.address + i]);
      else if (access.enables[i])
        bytes[access.address + i] = access.data[i];
    target.complete(access.tag, data, resp);
  }
};

struct ToTlm : testing::Test {
  Manager manager;
  AxiToTlm adapter{"adapter",
                   {.period = sc_time(4, SC_NS), .axi = {.bus_bytes = 16, .profile = profile}},
                   manager};
  tlm2::Memory memory{"memory", {.size = 0x4000, .read_latency = sc_time(30, SC_NS)}};

  ToTlm() { adapter.socket.bind(memory.socket); }
  bus::AxiCall call(bus::AxiCall what) {
    bus::AxiCall answer;
    bool done = false;
    manager.initiator.issue(std::move(what), [&](bus::AxiCall& c) {
      answer = c;
      done = true;
    });
    adapter.wake_clock();
    sc_core::sc_start(sc_time(100'000, SC_NS));
    EXPECT_TRUE(done);
    return answer;
  }
};

TEST_F(ToTlm, RandomAccessesReachTheMemory) {
  Random random(3, "accesses");
  std::vector<std::byte> oracle(0x4000);
  for (unsigned n = 0; n < 60; ++n) {
    bus::AxiCall write{.write = true, .address = random.below(0x3000)};
    write.data.resize(1 + random.below(0x300));
    random.fill(write.data);
    for (std::size_t i = 0; i < write.data.size(); ++i)
      write.enables.push_back(random.below(4) ? 0xff : 0);
    for (std::size_t i = 0; i < write.data.size(); ++i)
      if (write.enables[i]) oracle[write.address + i] = write.data[i];
    EXPECT_EQ(call(write).resp, bus::AxiResp::okay);
    bus::AxiCall read{.address = random.below(0x3000)};
    read.data.resize(1 + random.below(0x300));
    const auto answer = call(read);
    EXPECT_TRUE(std::equal(answer.data.begin(), answer.data.end(),
                           oracle.begin() + static_cast<std::ptrdiff_t>(answer.address)));
  }
  EXPECT_TRUE(std::equal(oracle.begin(), oracle.end(), memory.data()));
}

TEST_F(ToTlm, AnAddressErrorIsDecerr) {
  const std::vector<std::byte> data(8);
  EXPECT_EQ(call({.write = false, .address = 0x8000, .data = data}).resp, bus::AxiResp::decerr);
  EXPECT_EQ(call({.write = true, .address = 0x8000, .data = data}).resp, bus::AxiResp::decerr);
}

TEST_F(ToTlm, TheClockSleepsWhileNothingIsUnderWay) {
  const std::vector<std::byte> data(8);
  call({.write = false, .address = 0, .data = data});
  const std::uint64_t cycles = adapter.cycles();
  EXPECT_GT(cycles, 7u); // 30 ns of memory at 4 ns
  EXPECT_LT(cycles, 200u);
  sc_core::sc_start(sc_time(1, sc_core::SC_MS));
  EXPECT_EQ(adapter.cycles(), cycles);
}

/// Reads of 8 bytes and writes, a request a cycle, and when which id was answered.
struct Requests : Axi4Wires {
  std::vector<bus::AxiAddress> reads, writes;
  std::size_t read = 0, written = 0, sent = 0;
  std::vector<std::pair<std::uint32_t, sc_time>> answers;

  void settle(bus::Axi4Pins& pins) override {
    const bool ar_ready = pins.ar.ready, aw_ready = pins.aw.ready, w_ready = pins.w.ready;
    pins.ar = read < reads.size() ? reads[read] : bus::AxiAddress{};
    pins.ar.valid = read < reads.size();
    pins.ar.ready = ar_ready;
    pins.aw = written < writes.size() ? writes[written] : bus::AxiAddress{};
    pins.aw.valid = written < writes.size();
    pins.aw.ready = aw_ready;
    pins.w = {.valid = sent < writes.size(), .ready = w_ready, .last = true};
    if (pins.w.valid)
      pins.w.strb = ((1u << (1u << writes[sent].size)) - 1) << writes[sent].addr % 8;
    pins.w.data.fill(std::byte(sent + 1));
    pins.r.ready = pins.b.ready = true;
  }
  void edge(const bus::Axi4Pins& pins) override {
    read += pins.ar.valid && pins.ar.ready;
    written += pins.aw.valid && pins.aw.ready;
    sent += pins.w.valid && pins.w.ready;
    if (pins.r.valid) answers.emplace_back(pins.r.id, sc_core::sc_time_stamp());
    if (pins.b.valid) answers.emplace_back(pins.b.id, sc_core::sc_time_stamp());
  }
  bool idle() const override { return answers.size() == reads.size() + writes.size(); }
};

/// 100 ns an access, whatever else is under way, and `slow` for those at address 0; writes are
/// performed at their end.
struct Slow : sc_core::sc_module {
  tlm_utils::simple_target_socket<Slow> socket{"socket"};
  sc_time slow{100, SC_NS};
  unsigned now = 0, most = 0;
  std::vector<unsigned char> written;

  explicit Slow(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Slow::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_time& delay) {
    most = std::max(most, ++now);
    sc_core::wait(delay + (payload.get_address() == 0 ? slow : sc_time(100, SC_NS)));
    delay = sc_core::SC_ZERO_TIME;
    if (payload.is_write()) written.push_back(*payload.get_data_ptr());
    --now;
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

struct ManyToTlm : testing::Test {
  Requests requests;
  Slow slow{"slow"};
  std::unique_ptr<AxiToTlm> adapter;

  static bus::AxiAddress at(std::uint32_t id, std::uint64_t addr, bool modifiable = false) {
    bus::AxiAddress a;
    a.id = id;
    a.addr = addr;
    a.size = 3;
    a.cache = modifiable ? 3 : 0;
    return a;
  }
  void run(std::size_t under_way = 16) {
    adapter = std::make_unique<AxiToTlm>(
        "adapter",
        AxiToTlm::Params{.period = sc_time(4, SC_NS),
                         .axi = {.bus_bytes = 8, .profile = {.reorder = true}},
                         .under_way = under_way},
        requests);
    adapter->socket.bind(slow.socket);
    adapter->wake_clock();
    sc_core::sc_start(sc_time(10, sc_core::SC_US));
    EXPECT_TRUE(requests.idle());
  }
};

// A request is taken at 4n ns and its access ends 100 ns later, at an edge, so that the answer is
// on the pins then.
TEST_F(ManyToTlm, IdsDoNotWaitForEachOther) {
  for (std::uint32_t n = 0; n < 8; ++n)
    requests.reads.push_back(at(n, 8 * n));
  run();
  ASSERT_EQ(requests.answers.size(), 8u);
  const sc_time first = requests.answers[0].second;
  EXPECT_GE(first, sc_time(100, SC_NS));
  EXPECT_LE(first, sc_time(108, SC_NS));
  for (std::uint32_t n = 0; n < 8; ++n)
    EXPECT_EQ(requests.answers[n].second, first + n * sc_time(4, SC_NS));
  EXPECT_EQ(slow.most, 8u);
}

TEST_F(ManyToTlm, AsManyAsAreAllowed) {
  for (std::uint32_t n = 0; n < 9; ++n)
    requests.reads.push_back(at(n, 8 * n));
  run(3);
  EXPECT_EQ(slow.most, 3u);
  EXPECT_GE(requests.answers.back().second, sc_time(300, SC_NS));
  EXPECT_LE(requests.answers.back().second, sc_time(340, SC_NS));
}

TEST_F(ManyToTlm, ASlowAccessHoldsUpItsIdOnly) {
  slow.slow = sc_time(900, SC_NS);
  requests.reads = {at(1, 0), at(1, 8), at(2, 16)};
  run();
  ASSERT_EQ(requests.answers.size(), 3u);
  EXPECT_EQ(requests.answers[0].first, 2u);
  EXPECT_LE(requests.answers[0].second, sc_time(120, SC_NS));
  EXPECT_EQ(slow.most, 2u); // the second of id 1 waits for the first
  EXPECT_GE(requests.answers[2].second, sc_time(1000, SC_NS));
}

TEST_F(ManyToTlm, ModifiableAccessesOfAnIdOverlap) {
  slow.slow = sc_time(900, SC_NS);
  requests.reads = {at(1, 0, true), at(1, 8, true)};
  run();
  EXPECT_EQ(slow.most, 2u);
  EXPECT_LE(requests.answers[1].second, sc_time(920, SC_NS));
}

TEST_F(ManyToTlm, WritesOfTheSameBytesKeepTheirOrder) {
  slow.slow = sc_time(900, SC_NS);
  requests.writes = {at(1, 0, true), at(2, 4, true), at(3, 16, true)};
  requests.writes[1].size = 2;
  run();
  EXPECT_EQ(slow.written, (std::vector<unsigned char>{3, 1, 2}));
}

// The third might overlap with the first, but not with the second, which waits for that.
TEST_F(ManyToTlm, WhatWaitsIsWaitedForToo) {
  slow.slow = sc_time(900, SC_NS);
  requests.reads = {at(1, 0, true), at(1, 8), at(1, 16, true)};
  run();
  EXPECT_EQ(slow.most, 1u);
  EXPECT_GE(requests.answers.back().second, sc_time(1100, SC_NS));
}

TEST_F(ManyToTlm, ReadsDoNotWaitForWrites) {
  requests.writes = {at(1, 8)};
  requests.reads = {at(1, 16)};
  run();
  EXPECT_EQ(slow.most, 2u);
}

TEST_F(ManyToTlm, TheEndMayComeWhileTheyAreUnderWay) {
  slow.slow = sc_time(1, sc_core::SC_SEC);
  for (std::uint32_t n = 0; n < 20; ++n)
    requests.reads.push_back(at(n, 0));
  adapter = std::make_unique<AxiToTlm>(
      "adapter",
      AxiToTlm::Params{.period = sc_time(4, SC_NS), .axi = {.bus_bytes = 8, .outstanding = 32}},
      requests);
  adapter->socket.bind(slow.socket);
  adapter->wake_clock();
  sc_core::sc_start(sc_time(10, sc_core::SC_US));
  EXPECT_EQ(slow.now, 16u);
}

TEST(AxiToTlmParams, AreRefusedBeyondTheirRange) {
  Requests requests;
  for (const std::size_t n : {std::size_t{0}, std::size_t{1025}})
    EXPECT_THROW(AxiToTlm(sc_core::sc_gen_unique_name("adapter"),
                          {.period = sc_time(4, SC_NS), .axi = {.bus_bytes = 8}, .under_way = n},
                          requests),
                 std::invalid_argument);
}

TEST(BrokenManager, IsReported) {
  struct Crossing : Axi4Wires {
    void settle(bus::Axi4Pins& pins) override {
      pins.ar = {.valid = true, .ready = pins.ar.ready, .addr = 0xff8, .len = 1, .size = 3};
    }
    void edge(const bus::Axi4Pins&) override {}
    bool idle() const override { return false; }
  } manager;
  AxiToTlm adapter("adapter", {.period = sc_time(4, SC_NS), .axi = {}}, manager);
  tlm2::Memory memory("memory", {.size = 0x4000});
  adapter.socket.bind(memory.socket);
  adapter.wake_clock();
  try {
    sc_core::sc_start(sc_time(10, SC_NS));
    FAIL() << "nothing was reported";
  } catch (const sc_core::sc_report& report) {
    EXPECT_NE(std::string(report.get_msg()).find("AXI-4KIB"), std::string::npos);
  }
}

/// A CPU that blocks, and another one that does not.
struct Cpu : sc_core::sc_module {
  tlm_utils::simple_initiator_socket<Cpu> socket{"socket"};
  sc_core::sc_event responded;
  std::vector<tlm::tlm_generic_payload*> responses;

  explicit Cpu(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_nb_transport_bw(this, &Cpu::nb_transport_bw);
  }
  tlm::tlm_sync_enum nb_transport_bw(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                     sc_time&) {
    EXPECT_EQ(phase, tlm::BEGIN_RESP);
    responses.push_back(&payload);
    return tlm::TLM_COMPLETED;
  }
};

struct NoMemoryManagement : tlm::tlm_mm_interface {
  void free(tlm::tlm_generic_payload*) override {}
};

struct FromTlm : testing::Test {
  Subordinate subordinate;
  TlmToAxi adapter{
      "adapter",
      {.period = sc_time(4, SC_NS), .axi = {.bus_bytes = 16, .ids = 4, .profile = profile}},
      subordinate};
  Cpu cpu{"cpu"};

  FromTlm() { cpu.socket.bind(adapter.socket); }
  static void fill(tlm::tlm_generic_payload& payload, bool write, std::uint64_t address,
                   std::vector<std::byte>& data) {
    payload.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
    payload.set_address(address);
    payload.set_data_ptr(reinterpret_cast<unsigned char*>(data.data()));
    payload.set_data_length(static_cast<unsigned>(data.size()));
    payload.set_streaming_width(static_cast<unsigned>(data.size()));
    payload.set_byte_enable_ptr(nullptr);
  }
  tlm::tlm_response_status transport(tlm::tlm_generic_payload& payload) {
    sc_core::sc_spawn([&] {
      sc_time delay;
      cpu.socket->b_transport(payload, delay);
    });
    sc_core::sc_start(sc_time(100'000, SC_NS));
    return payload.get_response_status();
  }
  tlm::tlm_response_status access(bool write, std::uint64_t address, std::vector<std::byte>& data) {
    tlm::tlm_generic_payload payload;
    fill(payload, write, address, data);
    return transport(payload);
  }
};

TEST_F(FromTlm, RandomBlockingAccessesReachTheSubordinate) {
  Random random(4, "accesses");
  std::vector<std::byte> oracle(0x1000);
  for (unsigned n = 0; n < 60; ++n) {
    std::vector<std::byte> data(1 + random.below(0x200));
    random.fill(data);
    const std::uint64_t address = random.below(0xe00);
    std::ranges::copy(data, oracle.begin() + static_cast<std::ptrdiff_t>(address));
    EXPECT_EQ(access(true, address, data), tlm::TLM_OK_RESPONSE);
    const std::uint64_t from = random.below(0xe00);
    EXPECT_EQ(access(false, from, data), tlm::TLM_OK_RESPONSE);
    EXPECT_TRUE(
        std::equal(data.begin(), data.end(), oracle.begin() + static_cast<std::ptrdiff_t>(from)));
  }
  EXPECT_EQ(subordinate.bytes, oracle);
}

TEST_F(FromTlm, ByteEnablesAreStrobes) {
  std::vector<std::byte> data(8, std::byte{0x55});
  unsigned char enables[] = {0, 0xff, 0xff};
  tlm::tlm_generic_payload payload;
  fill(payload, true, 0x21, data);
  payload.set_byte_enable_ptr(enables);
  payload.set_byte_enable_length(3);
  EXPECT_EQ(transport(payload), tlm::TLM_OK_RESPONSE);
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_EQ(subordinate.bytes[0x21 + i], i % 3 ? std::byte{0x55} : std::byte{0});
  std::vector<std::byte> read(8, std::byte{0x77});
  fill(payload, false, 0x21, read);
  payload.set_byte_enable_ptr(enables);
  EXPECT_EQ(transport(payload), tlm::TLM_OK_RESPONSE);
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_EQ(read[i], i % 3 ? std::byte{0x55} : std::byte{0x77});
}

TEST_F(FromTlm, ErrorsAreTold) {
  std::vector<std::byte> data(4);
  EXPECT_EQ(access(false, 0x1000, data), tlm::TLM_GENERIC_ERROR_RESPONSE);
  EXPECT_EQ(access(true, 0x2000, data), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  EXPECT_EQ(access(true, ~0ull, data), tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

TEST_F(FromTlm, StreamingIsRefusedWithoutAnAccess) {
  std::vector<std::byte> data(8);
  tlm::tlm_generic_payload payload;
  fill(payload, true, 0, data);
  payload.set_streaming_width(4);
  EXPECT_EQ(transport(payload), tlm::TLM_BURST_ERROR_RESPONSE);
  EXPECT_EQ(subordinate.begun, 0u);
}

TEST_F(FromTlm, TransactionsWithoutBlockingAreUnderWayTogether) {
  NoMemoryManagement mm;
  std::vector<std::vector<std::byte>> data(8, std::vector<std::byte>(16));
  std::deque<tlm::tlm_generic_payload> payloads;
  for (unsigned n = 0; n < 8; ++n) {
    subordinate.bytes[n * 16] = std::byte(n + 1);
    auto& payload = payloads.emplace_back(&mm);
    payload.acquire();
    fill(payload, false, n * 16, data[n]);
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_time time(n, SC_NS);
    EXPECT_EQ(cpu.socket->nb_transport_fw(payload, phase, time), tlm::TLM_UPDATED);
    EXPECT_EQ(phase, tlm::END_REQ);
  }
  sc_core::sc_start(sc_time(500, SC_NS));
  EXPECT_EQ(cpu.responses.size(), 8u);
  for (unsigned n = 0; n < 8; ++n) {
    EXPECT_EQ(payloads[n].get_response_status(), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(data[n][0], std::byte(n + 1));
    EXPECT_EQ(payloads[n].get_ref_count(), 1);
  }
}

} // namespace
} // namespace virtio::rtl::systemc
