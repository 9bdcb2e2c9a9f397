#include "Vaxi4_lite_registers.h"

#include <virtio/core/random.hpp>
#include <virtio/rtl/bus/axi4_lite_adapters.hpp>
#include <virtio/rtl/verilated/axi4_lite_ports.hpp>
#include <virtio/rtl/verilated/clocked.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace virtio::rtl::bus {
namespace {

struct RegisterBench {
  verilated::Clocked<Vaxi4_lite_registers> block{1};
  Axi4LiteInitiator initiator;
  Axi4LiteChecker checker{"registers", {.bus_bytes = 4}};
  Axi4LitePins pins;
  std::string finding;

  explicit RegisterBench(const AxiProfile& profile) : initiator({.profile = profile}) {
    block.pins().rst_n = 0;
    block.tick();
    block.pins().rst_n = 1;
  }
  AxiCall call(AxiCall what) {
    AxiCall answer;
    initiator.issue(std::move(what), [&](AxiCall& done) { answer = done; });
    for (unsigned n = 0; n < 10'000 && !initiator.idle(); ++n) {
      initiator.drive(pins);
      verilated::put_manager(block.pins(), pins);
      block.settle();
      verilated::take_subordinate(block.pins(), pins);
      if (const auto broken = checker.cycle(block.cycle(), pins)) finding = broken->rule;
      const Axi4LitePins sampled = pins;
      block.tick();
      initiator.edge(sampled);
    }
    EXPECT_TRUE(initiator.idle());
    EXPECT_EQ(finding, "");
    return answer;
  }
};

TEST(Axi4LiteRegisters, HoldWhatIsWrittenByteByByte) {
  RegisterBench bench({.seed = 7, .ready_percent = 50, .valid_percent = 40});
  Random random(7, "registers");
  std::vector<std::byte> oracle(60);
  bench.call({.write = true, .data = oracle});
  std::uint32_t writes = 15;
  for (unsigned n = 0; n < 200; ++n) {
    AxiCall write{.write = true, .address = random.below(57)};
    write.data.resize(1 + random.below(4 - write.address % 4));
    random.fill(write.data);
    std::ranges::copy(write.data, oracle.begin() + static_cast<std::ptrdiff_t>(write.address));
    EXPECT_EQ(bench.call(write).resp, AxiResp::okay);
    ++writes;
    const AxiCall all = bench.call({.address = 0, .data = std::vector<std::byte>(64)});
    EXPECT_TRUE(std::equal(oracle.begin(), oracle.end(), all.data.begin()));
    EXPECT_EQ(all.data[60], std::byte(writes & 0xff));
  }
}

TEST(Axi4LiteRegisters, BeyondThemIsSlverr) {
  RegisterBench bench({});
  const std::vector<std::byte> data(4);
  EXPECT_EQ(bench.call({.write = true, .address = 0x40, .data = data}).resp, AxiResp::slverr);
  EXPECT_EQ(bench.call({.address = 0x40, .data = data}).resp, AxiResp::slverr);
  EXPECT_EQ(bench.call({.address = 0x3c, .data = data}).resp, AxiResp::okay);
}

} // namespace
} // namespace virtio::rtl::bus
