// The platform inside this process, where what a user does not see can be looked at.
#include "program/run_program.hpp"

#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/riscv_virt/platform.hpp>

#include <gtest/gtest.h>

#include <string>

namespace virtio::platform {
namespace {

struct PlatformTest : testing::Test {
  TemporaryFolder folder;
  Progress progress{stderr};
  tl::expected<Config, std::vector<ConfigError>> config;
  std::unique_ptr<Workspace> workspace;
  std::unique_ptr<Platform> platform;

  void build(const std::string& toml) {
    const auto file = folder.write("platform.toml", "[platform]\nkind = \"riscv_virt\"\n" + toml);
    config = load(file);
    ASSERT_TRUE(config) << config.error()[0].text();
    workspace = std::make_unique<Workspace>(*config, folder.path / "out");
    platform = std::make_unique<Platform>("platform", *config, *workspace, progress, false);
  }
};

/// Steps that type one U-Boot command each.
std::string typed(const std::vector<std::string>& commands) {
  std::string toml;
  for (const auto& command : commands)
    toml += "[[step]]\nexpect = \"=> \"\nsend = \"" + command + "\\n\"\n";
  return toml;
}

// U-Boot's own drivers suppress interrupts, so this one is made of its memory commands: an entropy
// device in slot 2 gets one buffer, and nobody acknowledges the used buffer notification.
TEST_F(PlatformTest, TheInterruptOfAnMmioDeviceIsPendingInThePlic) {
  build(R"(
[platform.cpu]
quantum = 1_000
[[device]]
name = "rng"
type = "entropy"
transport = "mmio"
slot = 2
[[step]]
expect = "Hit any key"
send = "\n"
)" +
        typed({
            "mw.l 10003070 3",                                // Status: ACKNOWLEDGE, DRIVER
            "mw.l 10003024 1; mw.l 10003020 1",               // DriverFeatures: VERSION_1
            "mw.l 10003070 b",                                // FEATURES_OK
            "mw.l 10003038 8; mw.l 10003080 84000000",        // QueueNum, QueueDescLow
            "mw.l 10003090 84001000; mw.l 100030a0 84002000", // QueueDriverLow, QueueDeviceLow
            "mw.l 10003044 1; mw.l 10003070 f",               // QueueReady, DRIVER_OK
            "mw.q 84000000 84003000; mw.l 84000008 20; mw.l 8400000c 2", // a writable buffer
            "mw.l 84001000 10000",                                       // is available
            "mw.l 10003050 0",                                           // QueueNotify
            "md.l 0c001000 1",
        }) +
        "[[step]]\nexpect = \"0c001000: 00000008\"\n");
  EXPECT_TRUE(platform->run().ok) << platform->outcome().text;
}

TEST_F(PlatformTest, InterruptPinsOfThePcieHostAreTheirSourcesOfThePlic) {
  build("");
  for (unsigned pin = 0; pin < interrupt::pcie_pins; ++pin) {
    const auto name = "platform.intx_" + std::to_string(pin);
    const auto* signal =
        dynamic_cast<sc_core::sc_signal<bool>*>(sc_core::sc_find_object(name.c_str()));
    ASSERT_NE(signal, nullptr) << name;
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
    EXPECT_EQ(platform->plic().source[interrupt::pcie_intx + pin][0], signal);
  }
}

} // namespace
} // namespace virtio::platform
