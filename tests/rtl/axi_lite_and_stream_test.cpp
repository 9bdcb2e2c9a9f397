#include <virtio/core/random.hpp>
#include <virtio/rtl/bus/axi4_lite_adapters.hpp>
#include <virtio/rtl/bus/axi_stream.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace virtio::rtl::bus {
namespace {

/// 4 KiB; beyond it DECERR.
struct LiteBench : AxiMemory {
  std::vector<std::byte> bytes = std::vector<std::byte>(0x1000);
  Axi4LiteTarget target;
  Axi4LiteInitiator initiator;
  Axi4LiteChecker checker;
  Axi4LitePins pins;
  std::uint64_t cycle = 0;
  std::string finding;

  LiteBench(std::uint32_t bus_bytes, const AxiProfile& profile)
      : target(*this, {.bus_bytes = bus_bytes, .profile = profile}),
        initiator({.bus_bytes = bus_bytes, .profile = profile}),
        checker("lite", {.bus_bytes = bus_bytes}) {}

  void begin(const AxiAccess& access) override {
    std::vector<std::byte> data;
    const bool inside = access.address + access.length <= bytes.size();
    for (std::size_t i = 0; i < access.length && inside; ++i)
      if (!access.write)
        data.push_back(bytes[access.address + i]);
      else if (access.enables[i])
        bytes[access.address + i] = access.data[i];
    target.complete(access.tag, data, inside ? AxiResp::okay : AxiResp::decerr);
  }
  AxiCall call(AxiCall what) {
    AxiCall answer;
    initiator.issue(std::move(what), [&](AxiCall& done) { answer = done; });
    for (unsigned n = 0; n < 10'000 && !initiator.idle(); ++n) {
      target.drive(pins);
      initiator.drive(pins);
      if (const auto broken = checker.cycle(cycle++, pins)) finding = broken->rule;
      const Axi4LitePins sampled = pins;
      target.edge(sampled);
      initiator.edge(sampled);
    }
    EXPECT_TRUE(initiator.idle());
    EXPECT_FALSE(checker.end(cycle));
    EXPECT_EQ(finding, "");
    return answer;
  }
};

AxiProfile slow(std::uint64_t seed) {
  return {.seed = seed, .ready_percent = 40, .valid_percent = 60, .delay = 5, .reorder = true};
}

TEST(Axi4Lite, RandomAccessesAreWhatAPlainArrayOfBytesSays) {
  for (const std::uint32_t bus_bytes : {4u, 8u})
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      LiteBench bench(bus_bytes, seed == 1 ? AxiProfile{} : slow(seed));
      Random random(seed, "lite");
      std::vector<std::byte> oracle(0x1000);
      for (unsigned n = 0; n < 60; ++n) {
        AxiCall write{.write = true, .address = random.below(0xf00)};
        write.data.resize(1 + random.below(20));
        random.fill(write.data);
        std::ranges::copy(write.data, oracle.begin() + static_cast<std::ptrdiff_t>(write.address));
        EXPECT_EQ(bench.call(write).resp, AxiResp::okay);
        AxiCall read{.address = random.below(0xf00)};
        read.data.resize(1 + random.below(20));
        const AxiCall answer = bench.call(read);
        EXPECT_TRUE(std::equal(answer.data.begin(), answer.data.end(),
                               oracle.begin() + static_cast<std::ptrdiff_t>(answer.address)));
      }
      EXPECT_EQ(bench.bytes, oracle);
    }
}

TEST(Axi4Lite, ErrorsComeBack) {
  LiteBench bench(4, slow(1));
  const std::vector<std::byte> data(4);
  EXPECT_EQ(bench.call({.write = true, .address = 0x1000, .data = data}).resp, AxiResp::decerr);
  EXPECT_EQ(bench.call({.address = 0x2000, .data = data}).resp, AxiResp::decerr);
}

TEST(Axi4Lite, WhatItHasNotIsRefused) {
  LiteBench bench(4, {});
  const std::vector<std::byte> data(4);
  EXPECT_THROW(bench.initiator.issue({.data = data, .size = 1}, {}), std::invalid_argument);
  EXPECT_THROW(bench.initiator.issue({.data = data, .burst = AxiBurst::fixed}, {}),
               std::invalid_argument);
  EXPECT_THROW(Axi4LiteInitiator({.bus_bytes = 16}), std::invalid_argument);
  EXPECT_THROW(Axi4LiteChecker("wide", {.bus_bytes = 16}), std::invalid_argument);
}

TEST(AxiStream, PacketsArriveAsTheyWereSent) {
  for (const std::size_t bus_bytes : {1u, 8u, 64u})
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const AxiStreamParams params{.bus_bytes = bus_bytes, .profile = slow(seed)};
      std::vector<AxiPacket> sent;
      std::vector<AxiPacket> received;
      AxiStreamSource source(params);
      AxiStreamSink sink(params, [&](AxiPacket packet) { received.push_back(std::move(packet)); });
      AxiStreamChecker checker("stream");
      Random random(seed, "packets");
      for (unsigned n = 0; n < 40; ++n) {
        AxiPacket packet(1 + random.below(200));
        random.fill(packet);
        source.send(sent.emplace_back(packet));
      }
      AxiStreamPins pins;
      std::uint64_t cycle = 0;
      for (; cycle < 100'000 && !source.idle(); ++cycle) {
        source.drive(pins);
        sink.drive(pins);
        EXPECT_FALSE(checker.cycle(cycle, pins.beat(bus_bytes)));
        const AxiStreamPins sampled = pins;
        source.edge(sampled);
        sink.edge(sampled);
      }
      EXPECT_FALSE(checker.end(cycle));
      EXPECT_TRUE(sink.idle());
      EXPECT_EQ(received, sent);
    }
}

TEST(AxiStream, WhatCannotBeIsRefused) {
  AxiStreamSource source({.bus_bytes = 8});
  EXPECT_THROW(source.send({}), std::invalid_argument);
  EXPECT_THROW(AxiStreamSource({.bus_bytes = 65}), std::invalid_argument);
}

} // namespace
} // namespace virtio::rtl::bus
