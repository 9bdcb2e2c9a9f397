// The initiator before RTL that was not written with its arithmetic.
#include "Vaxi4_ram.h"

#include <virtio/core/random.hpp>
#include <virtio/rtl/bus/axi4_checker.hpp>
#include <virtio/rtl/bus/axi4_initiator.hpp>
#include <virtio/rtl/verilated/axi4_ports.hpp>
#include <virtio/rtl/verilated/clocked.hpp>

#include <gtest/gtest.h>

#include <algorithm>

double sc_time_stamp() {
  return 0;
}

namespace virtio::rtl::bus {
namespace {

struct RamBench {
  verilated::Clocked<Vaxi4_ram> ram{1};
  Axi4Initiator initiator;
  Axi4Checker checker{"ram", {.bus_bytes = 8}};
  Axi4Pins pins;
  std::string finding;

  explicit RamBench(const AxiProfile& profile)
      : initiator({.bus_bytes = 8, .ids = 9, .profile = profile}) {
    ram.pins().rst_n = 0;
    ram.tick();
    ram.pins().rst_n = 1;
  }
  void tick() {
    initiator.drive(pins);
    verilated::put_manager(ram.pins(), pins);
    ram.settle();
    verilated::take_subordinate(ram.pins(), pins);
    if (const auto broken = checker.cycle(ram.cycle(), pins); broken && finding.empty())
      finding = broken->rule + " " + broken->evidence;
    const Axi4Pins sampled = pins;
    ram.tick();
    initiator.edge(sampled);
  }
  AxiCall call(AxiCall what) {
    AxiCall answer;
    initiator.issue(std::move(what), [&](AxiCall& done) { answer = done; });
    for (unsigned n = 0; n < 100'000 && !initiator.idle(); ++n)
      tick();
    EXPECT_TRUE(initiator.idle());
    EXPECT_EQ(initiator.stray_responses(), 0u);
    EXPECT_EQ(finding, "");
    return answer;
  }
};

AxiProfile profile(std::uint64_t seed) {
  return seed == 1 ? AxiProfile{.seed = seed}
                   : AxiProfile{.seed = seed, .ready_percent = 40, .valid_percent = 50};
}

TEST(Axi4Ram, RandomAccessesAreWhatAPlainArrayOfBytesSays) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    RamBench bench(profile(seed));
    Random random(seed, "ram");
    std::vector<std::byte> oracle(0x4000);
    bench.call({.write = true, .address = 0, .data = oracle});
    for (unsigned n = 0; n < 200; ++n) {
      AxiCall write{.write = true, .address = random.below(0x3000)};
      write.data.resize(1 + random.below(random.below(4) ? 40 : 0x900));
      random.fill(write.data);
      if (random.below(2)) write.size = static_cast<std::uint8_t>(random.below(4));
      for (std::size_t i = 0; i < write.data.size(); ++i)
        write.enables.push_back(random.below(4) ? 0xff : 0);
      for (std::size_t i = 0; i < write.data.size(); ++i)
        if (write.enables[i]) oracle[write.address + i] = write.data[i];
      EXPECT_EQ(bench.call(write).resp, AxiResp::okay);
      AxiCall read{.address = random.below(0x3000)};
      read.data.resize(1 + random.below(random.below(4) ? 40 : 0x900));
      if (random.below(2)) read.size = static_cast<std::uint8_t>(random.below(4));
      const AxiCall answer = bench.call(read);
      ASSERT_TRUE(std::equal(answer.data.begin(), answer.data.end(),
                             oracle.begin() + static_cast<std::ptrdiff_t>(answer.address)));
    }
  }
}

TEST(Axi4Ram, WrapAndFixedBurstsGoWhereItSaysTheyDo) {
  RamBench bench(profile(2));
  std::vector<std::byte> data(64);
  for (unsigned i = 0; i < 64; ++i)
    data[i] = std::byte(i);
  bench.call({.write = true, .address = 0x118, .data = data, .burst = AxiBurst::wrap});
  AxiCall read{.address = 0x100, .data = std::vector<std::byte>(64)};
  const AxiCall whole = bench.call(read);
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(whole.data[(i + 0x18) % 64], std::byte(i));
  data.resize(16);
  bench.call({.write = true, .address = 0x204, .data = data, .size = 2, .burst = AxiBurst::fixed});
  const AxiCall last = bench.call({.address = 0x204, .data = std::vector<std::byte>(4)});
  EXPECT_TRUE(std::equal(last.data.begin(), last.data.end(), data.begin() + 12));
}

TEST(Axi4Ram, BeyondTheEndIsDecerr) {
  RamBench bench(profile(3));
  const std::vector<std::byte> data(100);
  EXPECT_EQ(bench.call({.write = true, .address = 0x4000 - 8, .data = data}).resp, AxiResp::decerr);
  EXPECT_EQ(bench.call({.address = 0x4000 - 8, .data = data}).resp, AxiResp::decerr);
}

} // namespace
} // namespace virtio::rtl::bus
