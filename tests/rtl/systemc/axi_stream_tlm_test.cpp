#include <virtio/core/random.hpp>
#include <virtio/rtl/systemc/axi_stream_tlm.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl::systemc {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;

const bus::AxiStreamParams stream{.bus_bytes = 8,
                                  .profile = {.seed = 5, .ready_percent = 60, .valid_percent = 70}};

std::vector<bus::AxiPacket> random_packets(std::size_t count) {
  Random random(9, "packets");
  std::vector<bus::AxiPacket> packets(count);
  for (bus::AxiPacket& packet : packets) {
    packet.resize(1 + random.below(100));
    random.fill(packet);
  }
  return packets;
}

/// In place of RTL that sends.
struct Source : AxiStreamWires {
  bus::AxiStreamSource source{stream};
  void settle(bus::AxiStreamPins& pins) override { source.drive(pins); }
  void edge(const bus::AxiStreamPins& pins) override { source.edge(pins); }
  bool idle() const override { return source.idle(); }
};

/// Takes writes, slowly; those of a byte less than `least` are refused.
struct Taker : sc_core::sc_module {
  tlm_utils::simple_target_socket<Taker> socket{"socket"};
  std::vector<bus::AxiPacket> packets;
  std::vector<std::uint64_t> addresses;
  sc_time delay{200, SC_NS};
  unsigned least = 0;

  explicit Taker(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &Taker::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_time&) {
    sc_core::wait(delay);
    const auto* bytes = reinterpret_cast<const std::byte*>(payload.get_data_ptr());
    packets.emplace_back(bytes, bytes + payload.get_data_length());
    addresses.push_back(payload.get_address());
    payload.set_response_status(payload.get_data_length() < least ? tlm::TLM_GENERIC_ERROR_RESPONSE
                                                                  : tlm::TLM_OK_RESPONSE);
  }
};

struct StreamToTlm : testing::Test {
  Source source;
  AxiStreamToTlm adapter{
      "adapter",
      {.period = sc_time(4, SC_NS), .stream = stream, .address = 0x40, .packets = 2},
      source};
  Taker taker{"taker"};
  StreamToTlm() { adapter.socket.bind(taker.socket); }
};

TEST_F(StreamToTlm, EveryPacketIsAWrite) {
  const auto packets = random_packets(50);
  for (const bus::AxiPacket& packet : packets)
    source.source.send(packet);
  adapter.wake_clock();
  sc_core::sc_start(sc_time(100'000, SC_NS));
  EXPECT_EQ(taker.packets, packets);
  EXPECT_EQ(taker.addresses, std::vector<std::uint64_t>(50, 0x40));
}

TEST_F(StreamToTlm, ItIsNotReadyWhileTooManyAreNotWritten) {
  taker.delay = sc_time(1, sc_core::SC_MS);
  for (const bus::AxiPacket& packet : std::vector<bus::AxiPacket>(10, bus::AxiPacket(8)))
    source.source.send(packet);
  adapter.wake_clock();
  sc_core::sc_start(sc_time(3'500, sc_core::SC_US));
  EXPECT_EQ(taker.packets.size(), 3u);
  EXPECT_FALSE(source.idle());
  sc_core::sc_start(sc_time(10, sc_core::SC_MS));
  EXPECT_EQ(taker.packets.size(), 10u);
  const std::uint64_t cycles = adapter.cycles();
  sc_core::sc_start(sc_time(1, sc_core::SC_MS));
  EXPECT_EQ(adapter.cycles(), cycles);
}

TEST_F(StreamToTlm, ARefusedPacketIsReported) {
  taker.least = 4;
  source.source.send(bus::AxiPacket(3));
  adapter.wake_clock();
  EXPECT_THROW(sc_core::sc_start(sc_time(1'000, SC_NS)), sc_core::sc_report);
}

TEST(BrokenSource, IsReported) {
  struct Holes : AxiStreamWires {
    void settle(bus::AxiStreamPins& pins) override {
      pins.valid = pins.last = true;
      pins.keep = 0x5;
    }
    void edge(const bus::AxiStreamPins&) override {}
    bool idle() const override { return false; }
  } source;
  AxiStreamToTlm adapter("adapter", {.period = sc_time(4, SC_NS), .stream = stream}, source);
  Taker taker("taker");
  adapter.socket.bind(taker.socket);
  adapter.wake_clock();
  try {
    sc_core::sc_start(sc_time(100, SC_NS));
    FAIL() << "nothing was reported";
  } catch (const sc_core::sc_report& report) {
    EXPECT_NE(std::string(report.get_msg()).find("AXIS-KEEP"), std::string::npos);
  }
}

/// In place of RTL that receives.
struct Sink : AxiStreamWires {
  std::vector<bus::AxiPacket> packets;
  bus::AxiStreamSink sink{stream,
                          [this](bus::AxiPacket packet) { packets.push_back(std::move(packet)); }};
  void settle(bus::AxiStreamPins& pins) override { sink.drive(pins); }
  void edge(const bus::AxiStreamPins& pins) override { sink.edge(pins); }
  bool idle() const override { return sink.idle(); }
};

struct Sender : sc_core::sc_module {
  tlm_utils::simple_initiator_socket<Sender> socket{"socket"};
  explicit Sender(sc_core::sc_module_name name) : sc_module(name) {}
};

struct TlmToStream : testing::Test {
  Sink sink;
  TlmToAxiStream adapter{"adapter", {.period = sc_time(4, SC_NS), .stream = stream}, sink};
  Sender sender{"sender"};
  TlmToStream() { sender.socket.bind(adapter.socket); }

  static void fill(tlm::tlm_generic_payload& payload, bus::AxiPacket& packet) {
    payload.set_write();
    payload.set_data_ptr(reinterpret_cast<unsigned char*>(packet.data()));
    payload.set_data_length(static_cast<unsigned>(packet.size()));
    payload.set_streaming_width(static_cast<unsigned>(packet.size()));
  }
  tlm::tlm_response_status send(tlm::tlm_generic_payload& payload) {
    sc_core::sc_spawn([&] {
      sc_time delay;
      sender.socket->b_transport(payload, delay);
    });
    sc_core::sc_start(sc_time(10'000, SC_NS));
    return payload.get_response_status();
  }
};

TEST_F(TlmToStream, EveryWriteIsAPacketThatWasTakenWhenItReturns) {
  auto packets = random_packets(20);
  sc_core::sc_spawn([&] {
    for (std::size_t n = 0; n < packets.size(); ++n) {
      tlm::tlm_generic_payload payload;
      fill(payload, packets[n]);
      sc_time delay;
      sender.socket->b_transport(payload, delay);
      EXPECT_EQ(payload.get_response_status(), tlm::TLM_OK_RESPONSE);
      EXPECT_EQ(sink.packets.size(), n + 1);
    }
  });
  sc_core::sc_start(sc_time(100'000, SC_NS));
  EXPECT_EQ(sink.packets, packets);
}

TEST_F(TlmToStream, WhatIsNoPacketIsRefused) {
  bus::AxiPacket packet(8);
  tlm::tlm_generic_payload read;
  fill(read, packet);
  read.set_read();
  EXPECT_EQ(send(read), tlm::TLM_COMMAND_ERROR_RESPONSE);
  tlm::tlm_generic_payload empty;
  fill(empty, packet);
  empty.set_data_length(0);
  EXPECT_EQ(send(empty), tlm::TLM_GENERIC_ERROR_RESPONSE);
  tlm::tlm_generic_payload streaming;
  fill(streaming, packet);
  streaming.set_streaming_width(4);
  EXPECT_EQ(send(streaming), tlm::TLM_BURST_ERROR_RESPONSE);
  tlm::tlm_generic_payload holes;
  fill(holes, packet);
  unsigned char enables[] = {0xff, 0};
  holes.set_byte_enable_ptr(enables);
  holes.set_byte_enable_length(2);
  EXPECT_EQ(send(holes), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  EXPECT_TRUE(sink.packets.empty());
}

} // namespace
} // namespace virtio::rtl::systemc
