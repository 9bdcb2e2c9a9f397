#include <virtio/core/random.hpp>
#include <virtio/rtl/bus/axi4_initiator.hpp>
#include <virtio/rtl/bus/axi4_lite.hpp>
#include <virtio/rtl/bus/axi4_target.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

namespace virtio::rtl::bus {
namespace {

constexpr std::uint64_t memory_size = 0x4000;

/// Memory that takes effect at once and answers late, in any order; beyond it is DECERR, and its
/// last 4 KiB are SLVERR.
struct Memory : AxiMemory {
  std::vector<std::byte> bytes = std::vector<std::byte>(memory_size);
  struct Answer {
    std::uint64_t tag;
    std::vector<std::byte> data;
    AxiResp resp;
  };
  std::vector<Answer> answers;
  std::size_t begun = 0;
  std::size_t longest = 0;

  void begin(const AxiAccess& access) override {
    ++begun;
    longest = std::max(longest, access.length);
    Answer answer{access.tag, {}, AxiResp::okay};
    if (access.address + access.length > memory_size)
      answer.resp = AxiResp::decerr;
    else if (access.address + access.length > memory_size - 0x1000)
      answer.resp = AxiResp::slverr;
    for (std::size_t i = 0; i < access.length && answer.resp == AxiResp::okay; ++i)
      if (!access.write)
        answer.data.push_back(bytes[access.address + i]);
      else if (access.enables[i])
        bytes[access.address + i] = access.data[i];
    answers.push_back(std::move(answer));
  }
};

struct Bench {
  Memory memory;
  Axi4Target target;
  Axi4Initiator initiator;
  Axi4Checker checker;
  Random random;
  Axi4Pins pins;
  std::uint64_t cycle = 0;
  bool lite = false;
  std::string finding;

  Bench(std::uint32_t bus_bytes, const AxiProfile& profile, std::uint32_t ids,
        std::uint32_t max_beats = 256)
      : target(memory, {.bus_bytes = bus_bytes, .profile = profile}),
        initiator({.bus_bytes = bus_bytes, .ids = ids, .max_beats = max_beats, .profile = profile}),
        checker("pins", {.bus_bytes = bus_bytes}), random(profile.seed, "bench") {}

  void tick() {
    target.drive(pins);
    initiator.drive(pins);
    if (const auto broken = checker.cycle(cycle++, pins); broken && finding.empty())
      finding = broken->rule + " " + broken->evidence;
    const Axi4Pins sampled = pins;
    target.edge(sampled);
    initiator.edge(sampled);
    for (unsigned n = 0; n < 2 && !memory.answers.empty(); ++n) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(memory.answers.size()));
      const Memory::Answer answer = memory.answers[static_cast<std::size_t>(at)];
      memory.answers.erase(memory.answers.begin() + at);
      target.complete(answer.tag, answer.data, answer.resp);
    }
  }
  void run() {
    for (unsigned n = 0; n < 200'000 && !initiator.idle(); ++n)
      tick();
    EXPECT_TRUE(initiator.idle());
    EXPECT_TRUE(target.idle());
    EXPECT_EQ(initiator.stray_responses(), 0u);
    if (const auto broken = checker.end(cycle); broken && finding.empty()) finding = broken->rule;
    EXPECT_EQ(finding, "");
  }
  AxiCall call(AxiCall what) {
    AxiCall answer;
    initiator.issue(std::move(what), [&](AxiCall& done) { answer = done; });
    run();
    return answer;
  }
};

const AxiProfile profiles[] = {
    {},
    {.ready_percent = 50, .valid_percent = 50, .delay = 20, .reorder = true, .interleave = true},
    {.ready_percent = 15, .valid_percent = 100, .delay = 0, .reorder = true},
    {.ready_percent = 100, .valid_percent = 20, .delay = 60, .reorder = false, .interleave = true},
};

std::vector<std::byte> random_bytes(Random& random, std::size_t count) {
  std::vector<std::byte> bytes(count);
  random.fill(bytes);
  return bytes;
}

/// Rounds of writes to places of their own, then of reads: compared with a plain array of bytes.
void random_rounds(std::uint32_t bus_bytes, AxiProfile profile, std::uint64_t seed) {
  SCOPED_TRACE(testing::Message() << bus_bytes << " bytes, seed " << seed);
  profile.seed = seed;
  Bench bench(bus_bytes, profile, 1 + seed % 5, seed % 2 ? 256 : 16);
  Random random(seed, "oracle");
  std::vector<std::byte> oracle(memory_size - 0x1000);
  const auto any_size = [&]() -> std::optional<std::uint8_t> {
    const std::uint64_t sizes = static_cast<std::uint64_t>(std::bit_width(bus_bytes));
    if (random.below(2)) return std::nullopt;
    return static_cast<std::uint8_t>(random.below(sizes));
  };
  for (unsigned round = 0; round < 6; ++round) {
    for (std::uint64_t place = 0; place < oracle.size(); place += 0x600) {
      AxiCall call{.write = true, .address = place + random.below(0x100)};
      call.data = random_bytes(random, 1 + random.below(random.below(4) ? 80 : 0x500));
      call.size = any_size();
      if (random.below(2))
        for (std::size_t i = 0; i < call.data.size(); ++i)
          call.enables.push_back(random.below(3) ? 0xff : 0);
      for (std::size_t i = 0; i < call.data.size(); ++i)
        if (call.enables.empty() || call.enables[i]) oracle[call.address + i] = call.data[i];
      bench.initiator.issue(call, [](AxiCall& done) { EXPECT_EQ(done.resp, AxiResp::okay); });
    }
    bench.run();
    for (unsigned n = 0; n < 12; ++n) {
      AxiCall call{.write = false, .address = random.below(oracle.size() - 0x600)};
      call.data.resize(1 + random.below(random.below(4) ? 80 : 0x500));
      call.size = any_size();
      bench.initiator.issue(call, [&oracle](AxiCall& done) {
        EXPECT_EQ(done.resp, AxiResp::okay);
        EXPECT_TRUE(std::equal(done.data.begin(), done.data.end(),
                               oracle.begin() + static_cast<std::ptrdiff_t>(done.address)));
      });
    }
    bench.run();
  }
  EXPECT_TRUE(std::equal(oracle.begin(), oracle.end(), bench.memory.bytes.begin()));
}

TEST(Axi4Adapters, RandomAccessesAreWhatAPlainArrayOfBytesSays) {
  for (const std::uint32_t bus_bytes : {4u, 8u, 16u, 32u, 64u})
    for (const AxiProfile& profile : profiles)
      for (std::uint64_t seed = 1; seed <= 4; ++seed)
        random_rounds(bus_bytes, profile, seed);
}

TEST(Axi4Adapters, BurstsEndAt4KiBAndAt256Beats) {
  Bench bench(4, {}, 1);
  const auto data = random_bytes(bench.random, 0x900);
  bench.call({.write = true, .address = 0xf01, .data = data});
  EXPECT_TRUE(std::equal(data.begin(), data.end(), bench.memory.bytes.begin() + 0xf01));
  EXPECT_EQ(bench.memory.begun, 4u); // 0xff to the 4 KiB, two of 0x400, 1 left
  EXPECT_EQ(bench.memory.longest, 0x400u);
}

TEST(Axi4Adapters, WrapBurstsGoAroundTheirContainer) {
  Bench bench(8, {}, 1);
  for (unsigned i = 0; i < 32; ++i)
    bench.memory.bytes[0x100 + i] = std::byte(i);
  const AxiCall read =
      bench.call({.address = 0x110, .data = std::vector<std::byte>(32), .burst = AxiBurst::wrap});
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(read.data[i], std::byte((i + 16) % 32));
  auto turned = read.data;
  std::ranges::reverse(turned);
  bench.call({.write = true, .address = 0x118, .data = turned, .burst = AxiBurst::wrap});
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(bench.memory.bytes[0x100 + (i + 24) % 32], turned[i]);
}

TEST(Axi4Adapters, FixedBurstsAreOneAccessForEachBeat) {
  Bench bench(8, {}, 1);
  const auto data = random_bytes(bench.random, 12);
  bench.call({.write = true, .address = 0x44, .data = data, .size = 2, .burst = AxiBurst::fixed});
  EXPECT_EQ(bench.memory.begun, 3u);
  EXPECT_TRUE(std::equal(data.begin() + 8, data.end(), bench.memory.bytes.begin() + 0x44));
}

TEST(Axi4Adapters, ErrorsComeBackAsTheyAre) {
  for (const bool write : {false, true}) {
    Bench bench(8, profiles[1], 3);
    const std::vector<std::byte> data(16);
    EXPECT_EQ(bench.call({write, memory_size - 16, data}).resp, AxiResp::slverr);
    EXPECT_EQ(bench.call({write, memory_size + 0x1000, data}).resp, AxiResp::decerr);
    EXPECT_EQ(bench.call({write, 0x1000, data}).resp, AxiResp::okay);
  }
}

TEST(Axi4Adapters, ReadDataIsInterleavedOnlyWhenAskedTo) {
  for (const bool interleave : {false, true}) {
    Bench bench(8, {.seed = 3, .reorder = true, .interleave = interleave}, 8);
    for (unsigned n = 0; n < 8; ++n)
      bench.initiator.issue({.address = n * 64, .data = std::vector<std::byte>(64)}, {});
    bool within = false;
    bool interleaved = false;
    std::uint32_t id = 0;
    for (unsigned n = 0; n < 500; ++n) {
      bench.tick();
      const AxiReadData& r = bench.pins.r;
      if (!r.valid || !r.ready) continue;
      interleaved = interleaved || (within && r.id != id);
      within = !r.last;
      id = r.id;
    }
    bench.run();
    EXPECT_EQ(interleaved, interleave);
  }
}

/// What a manager without our initiator would do: one request on the pins.
TEST(Axi4Adapters, TheTargetRefusesBrokenRequestsWithoutAnAccess) {
  Memory memory;
  Axi4Target target(memory, {.bus_bytes = 8});
  Axi4Pins pins;
  pins.ar = {.valid = true, .addr = 0xff8, .len = 1, .size = 3};
  std::vector<AxiResp> answers;
  pins.r.ready = true;
  for (unsigned n = 0; n < 10; ++n) {
    target.drive(pins);
    const Axi4Pins sampled = pins;
    target.edge(sampled);
    if (sampled.ar.valid && sampled.ar.ready) pins.ar.valid = false;
    if (sampled.r.valid) answers.push_back(sampled.r.resp);
  }
  EXPECT_EQ(answers, std::vector(2, AxiResp::slverr));
  EXPECT_EQ(memory.begun, 0u);
}

TEST(Axi4Adapters, WhatCannotBeIsRefused) {
  Axi4Initiator initiator({.bus_bytes = 8});
  const std::vector<std::byte> data(24);
  EXPECT_THROW(initiator.issue({}, {}), std::invalid_argument);
  EXPECT_THROW(initiator.issue({.data = data, .burst = AxiBurst::wrap}, {}), std::invalid_argument);
  EXPECT_THROW(initiator.issue({.data = data, .size = 4}, {}), std::invalid_argument);
  EXPECT_THROW(initiator.issue({.data = data, .enables = {1}}, {}), std::invalid_argument);
  EXPECT_THROW(Axi4Initiator({.bus_bytes = 128}), std::invalid_argument);
  EXPECT_TRUE(initiator.idle());
}

TEST(Axi4Adapters, ResponsesOfDifferentIdsOvertakeOnlyWhenAskedTo) {
  for (const bool reorder : {false, true}) {
    AxiProfile profile{.seed = 3, .delay = 30, .reorder = reorder};
    Bench bench(8, profile, 8);
    std::vector<unsigned> order;
    for (unsigned n = 0; n < 16; ++n)
      bench.initiator.issue({.address = n * 8, .data = std::vector<std::byte>(8)},
                            [&order, n](AxiCall&) { order.push_back(n); });
    bench.run();
    EXPECT_EQ(std::ranges::is_sorted(order), !reorder);
  }
}

} // namespace
} // namespace virtio::rtl::bus
