// A real driver before a network device that offers everything it has.
#include "program/run_program.hpp"

#include <gtest/gtest.h>
#include <test_paths.hpp>

namespace {

constexpr const char* platform = R"([platform]
kind = "riscv_virt"
[[device]]
name = "net"
type = "net"
transport = "mmio"
wire = "dhcp"
queues = 4
speed = 10000
[device.features]
csum = true
host_tso4 = true
host_tso6 = true
host_ecn = true
host_ufo = true
host_uso = true
guest_hdrlen = true
guest_csum = true
guest_tso4 = true
guest_tso6 = true
guest_ecn = true
guest_ufo = true
guest_uso4 = true
guest_uso6 = true
rsc_ext = true
ctrl_guest_offloads = true
ctrl_rx = true
ctrl_rx_extra = true
ctrl_vlan = true
ctrl_mac_addr = true
guest_announce = true
notf_coal = true
standby = true
speed_duplex = true
[[step]]
expect = "Hit any key to stop autoboot"
send = "\n"
[[step]]
expect = "\n=> "
send = "virtio scan\n"
[[step]]
expect = "\n=> "
send = "setenv autoload no; dhcp\n"
[[step]]
expect = "DHCP client bound to address 10.0.2.15"
)";

TEST(NetworkDevice, WithEveryFeatureOfferedUBootGetsItsAddress) {
  const TemporaryFolder folder;
  const auto file = folder.write("platform.toml", platform);
  const ProgramResult result =
      run_shell(std::string(TEST_BIN_DIR) + "/virtio-tlm run " + file.string() + " --out " +
                (folder.path / "out").string());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("tx_frames 2, tx_bytes 684, rx_frames 2"), std::string::npos)
      << result.out;
}

} // namespace
