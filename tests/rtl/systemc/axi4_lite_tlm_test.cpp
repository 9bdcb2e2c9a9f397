#include <virtio/core/random.hpp>
#include <virtio/rtl/systemc/axi4_lite_tlm.hpp>
#include <virtio/tlm/memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace virtio::rtl::systemc {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;

const bus::AxiProfile profile{.seed = 6, .ready_percent = 60, .valid_percent = 70, .delay = 9};
const Axi4LiteParams params{.period = sc_time(4, SC_NS),
                            .axi = {.bus_bytes = 4, .profile = profile}};

/// In place of an RTL manager.
struct Manager : Axi4LiteWires {
  bus::Axi4LiteInitiator initiator{{.bus_bytes = 4, .profile = profile}};

  void settle(bus::Axi4LitePins& pins) override { initiator.drive(pins); }
  void edge(const bus::Axi4LitePins& pins) override { initiator.edge(pins); }
  bool idle() const override { return initiator.idle(); }
};

/// In place of an RTL subordinate: 256 bytes, and DECERR behind them.
struct Subordinate : Axi4LiteWires, bus::AxiMemory {
  std::vector<std::byte> bytes = std::vector<std::byte>(0x100);
  bus::Axi4LiteTarget target{*this, {.bus_bytes = 4, .profile = profile}};
  std::vector<std::size_t> lengths;

  void settle(bus::Axi4LitePins& pins) override { target.drive(pins); }
  void edge(const bus::Axi4LitePins& pins) override { target.edge(pins); }
  bool idle() const override { return target.idle(); }
  void begin(const bus::AxiAccess& access) override {
    lengths.push_back(access.length);
    if (access.address >= bytes.size())
      return target.complete(access.tag, {}, bus::AxiResp::decerr);
    std::vector<std::byte> data;
    for (std::size_t i = 0; i < access.length; ++i)
      if (!access.write)
        data.push_back(bytes[access.address + i]);
      else if (access.enables[i])
        bytes[access.address + i] = access.data[i];
    target.complete(access.tag, data, bus::AxiResp::okay);
  }
};

struct LiteToTlm : testing::Test {
  Manager manager;
  Axi4LiteToTlm adapter{"adapter", params, manager};
  tlm2::Memory memory{"memory", {.size = 0x1000, .read_latency = sc_time(30, SC_NS)}};

  LiteToTlm() { adapter.socket.bind(memory.socket); }
  bus::AxiCall call(bus::AxiCall what) {
    bus::AxiCall answer;
    manager.initiator.issue(std::move(what), [&](bus::AxiCall& c) { answer = c; });
    adapter.wake_clock();
    sc_core::sc_start(sc_time(20'000, SC_NS));
    EXPECT_TRUE(manager.idle());
    return answer;
  }
};

TEST_F(LiteToTlm, WordsReachTheMemory) {
  Random random(3, "words");
  std::vector<std::byte> oracle(0x1000);
  for (unsigned n = 0; n < 40; ++n) {
    bus::AxiCall write{.write = true, .address = random.below(0xff0)};
    write.data.resize(1 + random.below(12));
    random.fill(write.data);
    std::ranges::copy(write.data, oracle.begin() + static_cast<std::ptrdiff_t>(write.address));
    EXPECT_EQ(call(write).resp, bus::AxiResp::okay);
    bus::AxiCall read{.address = random.below(0xff0)};
    read.data.resize(1 + random.below(12));
    const auto answer = call(read);
    EXPECT_TRUE(std::equal(answer.data.begin(), answer.data.end(),
                           oracle.begin() + static_cast<std::ptrdiff_t>(answer.address)));
  }
  EXPECT_TRUE(std::equal(oracle.begin(), oracle.end(), memory.data()));
  EXPECT_EQ(call({.write = true, .address = 0x8000, .data = std::vector<std::byte>(4)}).resp,
            bus::AxiResp::decerr);
}

TEST(BrokenLiteManager, IsReported) {
  struct Fickle : Axi4LiteWires {
    std::uint64_t address = 0;
    void settle(bus::Axi4LitePins& pins) override {
      pins.ar.valid = true;
      pins.ar.addr = address += 8;
      pins.ar.ready = false;
    }
    void edge(const bus::Axi4LitePins&) override {}
    bool idle() const override { return false; }
  } manager;
  Axi4LiteToTlm adapter("adapter", params, manager);
  tlm2::Memory memory("memory", {.size = 0x4000});
  adapter.socket.bind(memory.socket);
  adapter.wake_clock();
  try {
    sc_core::sc_start(sc_time(100, SC_NS));
    FAIL() << "nothing was reported";
  } catch (const sc_core::sc_report& report) {
    EXPECT_NE(std::string(report.get_msg()).find("AXI-STABLE"), std::string::npos);
  }
}

struct Cpu : sc_core::sc_module {
  tlm_utils::simple_initiator_socket<Cpu> socket{"socket"};
  explicit Cpu(sc_core::sc_module_name name) : sc_module(name) {}
};

struct LiteFromTlm : testing::Test {
  Subordinate subordinate;
  TlmToAxi4Lite adapter{"adapter", params, subordinate};
  Cpu cpu{"cpu"};

  LiteFromTlm() { cpu.socket.bind(adapter.socket); }
  tlm::tlm_response_status access(bool write, std::uint64_t address, std::vector<std::byte>& data,
                                  unsigned width = ~0u) {
    tlm::tlm_generic_payload payload;
    payload.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
    payload.set_address(address);
    payload.set_data_ptr(reinterpret_cast<unsigned char*>(data.data()));
    payload.set_data_length(static_cast<unsigned>(data.size()));
    payload.set_streaming_width(std::min(width, static_cast<unsigned>(data.size())));
    sc_core::sc_spawn([&] {
      sc_time delay;
      cpu.socket->b_transport(payload, delay);
    });
    sc_core::sc_start(sc_time(20'000, SC_NS));
    return payload.get_response_status();
  }
};

TEST_F(LiteFromTlm, AccessesBecomeWords) {
  Random random(4, "accesses");
  std::vector<std::byte> oracle(0x100);
  for (unsigned n = 0; n < 40; ++n) {
    std::vector<std::byte> data(1 + random.below(0x20));
    random.fill(data);
    const std::uint64_t address = random.below(0xe0);
    std::ranges::copy(data, oracle.begin() + static_cast<std::ptrdiff_t>(address));
    EXPECT_EQ(access(true, address, data), tlm::TLM_OK_RESPONSE);
    const std::uint64_t from = random.below(0xe0);
    EXPECT_EQ(access(false, from, data), tlm::TLM_OK_RESPONSE);
    EXPECT_TRUE(
        std::equal(data.begin(), data.end(), oracle.begin() + static_cast<std::ptrdiff_t>(from)));
  }
  EXPECT_EQ(subordinate.bytes, oracle);
  EXPECT_EQ(std::ranges::count(subordinate.lengths, 4u), std::ssize(subordinate.lengths));
}

TEST_F(LiteFromTlm, ErrorsAreToldAndStreamingIsRefused) {
  std::vector<std::byte> data(8);
  EXPECT_EQ(access(false, 0x100, data), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  const std::size_t begun = subordinate.lengths.size();
  EXPECT_EQ(access(true, 0, data, 4), tlm::TLM_BURST_ERROR_RESPONSE);
  EXPECT_EQ(subordinate.lengths.size(), begun);
}

TEST(LiteBus, IsOf32Or64Bit) {
  Manager manager;
  EXPECT_THROW(
      Axi4LiteToTlm("adapter", {.period = sc_time(4, SC_NS), .axi = {.bus_bytes = 16}}, manager),
      std::invalid_argument);
}

} // namespace
} // namespace virtio::rtl::systemc
