// The platform inside this process, where what a user does not see can be looked at.
#include "program/run_program.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/console/console.hpp>
#include <virtio/net/net.hpp>
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

TEST_F(PlatformTest, DevicesOfferByDefaultWhatTheModelsDo) {
  build(R"(
[[device]]
name = "disk"
type = "block"
transport = "mmio"
capacity = "1 MiB"
[[device]]
name = "net"
type = "net"
transport = "mmio"
[[device]]
name = "console"
type = "console"
transport = "mmio"
)");
  const FeatureSet common = default_transport_features | FeatureSet{VIRTIO_F_VERSION_1};
  const auto offered = [&](std::size_t i) { return platform->devices().at(i)->device().offered(); };
  EXPECT_EQ(offered(0),
            (FeatureSet(blk::default_block_features).set(blk::VIRTIO_BLK_F_MQ, false) | common));
  EXPECT_EQ(offered(1), (FeatureSet(net::default_net_features)
                             .set(net::VIRTIO_NET_F_MQ, false)
                             .set(net::VIRTIO_NET_F_CTRL_VQ, false) |
                         common));
  EXPECT_EQ(offered(2), (console::default_console_features | common));
}

TEST_F(PlatformTest, FeaturesWithCommandsBringTheControlQueue) {
  const std::pair<const char*, unsigned> cases[] = {
      {"ctrl_rx", net::VIRTIO_NET_F_CTRL_RX},
      {"ctrl_rx_extra", net::VIRTIO_NET_F_CTRL_RX_EXTRA},
      {"ctrl_vlan", net::VIRTIO_NET_F_CTRL_VLAN},
      {"ctrl_mac_addr", net::VIRTIO_NET_F_CTRL_MAC_ADDR},
      {"guest_announce", net::VIRTIO_NET_F_GUEST_ANNOUNCE},
      {"notf_coal", net::VIRTIO_NET_F_NOTF_COAL},
  };
  std::string toml = "[[device]]\nname = \"plain\"\ntype = \"net\"\ntransport = \"pci\"\n";
  for (const auto& [key, bit] : cases)
    toml += std::string("[[device]]\nname = \"") + key +
            "\"\ntype = \"net\"\ntransport = \"pci\"\nfeatures." + key + " = true\n";
  build(toml);
  const auto& devices = platform->devices();
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    FeatureSet expected = devices[0]->device().offered();
    EXPECT_EQ(devices[1 + i]->device().offered(),
              expected.set(cases[i].second).set(net::VIRTIO_NET_F_CTRL_VQ))
        << cases[i].first;
  }
}

TEST_F(PlatformTest, FeaturesAreSwitchedOneByOne) {
  struct Case {
    const char* type;
    const char* key;
    unsigned bit;
    bool to;
  };
  const Case cases[] = {
      {"block", "indirect_desc", VIRTIO_F_INDIRECT_DESC, false},
      {"block", "event_idx", VIRTIO_F_EVENT_IDX, false},
      {"block", "access_platform", VIRTIO_F_ACCESS_PLATFORM, false},
      {"block", "packed", VIRTIO_F_RING_PACKED, false},
      {"block", "in_order", VIRTIO_F_IN_ORDER, true},
      {"block", "order_platform", VIRTIO_F_ORDER_PLATFORM, false},
      {"block", "notification_data", VIRTIO_F_NOTIFICATION_DATA, true},
      {"block", "notif_config_data", VIRTIO_F_NOTIF_CONFIG_DATA, true},
      {"block", "ring_reset", VIRTIO_F_RING_RESET, false},
      {"block", "seg_max", blk::VIRTIO_BLK_F_SEG_MAX, false},
      {"block", "blk_size", blk::VIRTIO_BLK_F_BLK_SIZE, false},
      {"block", "flush", blk::VIRTIO_BLK_F_FLUSH, false},
      {"block", "topology", blk::VIRTIO_BLK_F_TOPOLOGY, false},
      {"block", "config_wce", blk::VIRTIO_BLK_F_CONFIG_WCE, false},
      {"net", "mtu", net::VIRTIO_NET_F_MTU, false},
      {"net", "mac", net::VIRTIO_NET_F_MAC, false},
      {"net", "mrg_rxbuf", net::VIRTIO_NET_F_MRG_RXBUF, false},
      {"net", "status", net::VIRTIO_NET_F_STATUS, false},
      {"net", "csum", net::VIRTIO_NET_F_CSUM, true},
      {"net", "standby", net::VIRTIO_NET_F_STANDBY, true},
      {"net", "speed_duplex", net::VIRTIO_NET_F_SPEED_DUPLEX, true},
      {"console", "size", console::VIRTIO_CONSOLE_F_SIZE, false},
      {"console", "emerg_write", console::VIRTIO_CONSOLE_F_EMERG_WRITE, false},
  };
  std::string toml;
  int n = 0;
  const auto add = [&](const std::string& type, const std::string& more) {
    toml += "[[device]]\nname = \"d" + std::to_string(n++) + "\"\ntype = \"" + type +
            "\"\ntransport = \"pci\"\n" + more + (type == "block" ? "capacity = \"1 MiB\"\n" : "");
  };
  for (const char* type : {"block", "net", "console"})
    add(type, "");
  for (const Case& c : cases)
    add(c.type, std::string("features.") + c.key + (c.to ? " = true\n" : " = false\n"));
  build(toml);
  const auto& devices = platform->devices();
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const Case& c = cases[i];
    const std::size_t base = c.type == std::string("block") ? 0
                             : c.type == std::string("net") ? 1
                                                            : 2;
    FeatureSet expected = devices[base]->device().offered();
    EXPECT_NE(expected.has(c.bit), c.to) << c.key;
    EXPECT_EQ(devices[3 + i]->device().offered(), expected.set(c.bit, c.to)) << c.key;
  }
}

TEST_F(PlatformTest, SeveralQueuesAreAsManyAsTheConfigurationSays) {
  build(R"(
[[device]]
name = "disk"
type = "block"
transport = "pci"
capacity = "1 MiB"
queues = 4
[[device]]
name = "net"
type = "net"
transport = "pci"
queues = 8
)");
  const Device& disk = platform->devices().at(0)->device();
  EXPECT_EQ(disk.num_queues(), 4);
  EXPECT_TRUE(disk.offered().has(blk::VIRTIO_BLK_F_MQ));
  const Device& net = platform->devices().at(1)->device();
  EXPECT_EQ(net.num_queues(), 17);
  EXPECT_TRUE(net.offered().has(net::VIRTIO_NET_F_MQ));
}

} // namespace
} // namespace virtio::platform
