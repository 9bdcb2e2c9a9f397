// The target behind RTL that was not written with its arithmetic.
#include "Vaxi4_manager.h"

#include <virtio/rtl/bus/axi4_checker.hpp>
#include <virtio/rtl/bus/axi4_target.hpp>
#include <virtio/rtl/verilated/axi4_ports.hpp>
#include <virtio/rtl/verilated/clocked.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl::bus {
namespace {

struct ManagerBench : AxiMemory {
  verilated::Clocked<Vaxi4_manager> manager{1};
  Axi4Target target;
  Axi4Checker checker{"manager", {.bus_bytes = 8}};
  Axi4Pins pins;
  std::vector<std::byte> bytes = std::vector<std::byte>(0x1000);
  std::string finding;
  /// What goes wrong with an access.
  std::function<AxiResp(const AxiAccess&, std::vector<std::byte>&)> fault;

  explicit ManagerBench(const AxiProfile& profile)
      : target(*this, {.bus_bytes = 8, .profile = profile}) {
    manager.pins().rst_n = 0;
    manager.settle();
    manager.tick();
    manager.pins().rst_n = 1;
  }
  void begin(const AxiAccess& access) override {
    std::vector<std::byte> data;
    for (std::size_t i = 0; i < access.length; ++i)
      if (!access.write)
        data.push_back(bytes.at(access.address + i));
      else if (access.enables[i] != 0)
        bytes.at(access.address + i) = access.data[i];
    const AxiResp resp = fault ? fault(access, data) : AxiResp::okay;
    target.complete(access.tag, data, resp);
  }
  /// The errors that the manager found.
  unsigned run(unsigned rounds) {
    for (unsigned n = 0; n < 1'000'000 && manager.pins().rounds < rounds; ++n) {
      target.drive(pins);
      verilated::put_subordinate(manager.pins(), pins);
      manager.settle();
      verilated::take_manager(manager.pins(), pins);
      if (const auto broken = checker.cycle(manager.cycle(), pins); broken && finding.empty())
        finding = broken->rule + " " + broken->evidence;
      const Axi4Pins sampled = pins;
      manager.tick();
      target.edge(sampled);
    }
    EXPECT_GE(manager.pins().rounds, rounds);
    return manager.pins().errors;
  }
};

AxiProfile profile(std::uint64_t seed) {
  return seed == 1 ? AxiProfile{.seed = seed}
                   : AxiProfile{.seed = seed, .ready_percent = 40, .valid_percent = 50, .delay = 9};
}

TEST(Axi4Manager, FindsEveryByteWhereItWroteIt) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    ManagerBench bench(profile(seed));
    EXPECT_EQ(bench.run(500), 0u);
    EXPECT_EQ(bench.finding, "");
  }
}

TEST(Axi4Manager, FindsAWrongByteAndAnError) {
  ManagerBench flipped(profile(1));
  flipped.fault = [](const AxiAccess& access, std::vector<std::byte>& data) {
    if (!access.write && access.address < 0x400) data.front() ^= std::byte{1};
    return AxiResp::okay;
  };
  EXPECT_GT(flipped.run(100), 0u);
  ManagerBench failing(profile(1));
  failing.fault = [](const AxiAccess& access, std::vector<std::byte>&) {
    return access.write ? AxiResp::slverr : AxiResp::okay;
  };
  EXPECT_GE(failing.run(100), 100u);
}

} // namespace
} // namespace virtio::rtl::bus
