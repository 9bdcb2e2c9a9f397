#include <virtio/platforms/riscv_virt/device_tree.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace virtio::platform {
namespace {

/// What dtc makes of it, its warnings included.
std::string decompiled(const DeviceTreeParams& params) {
  const auto blob = make_device_tree(params);
  const auto path =
      std::filesystem::temp_directory_path() / ("virtio-tlm-" + std::to_string(getpid()) + ".dtb");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(blob.data()), static_cast<std::streamsize>(blob.size()));
  FILE* dtc = popen(("dtc -I dtb -O dts " + path.string() + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer;
  while (const auto count = std::fread(buffer.data(), 1, buffer.size(), dtc))
    text.append(buffer.data(), count);
  EXPECT_EQ(pclose(dtc), 0) << text;
  std::filesystem::remove(path);
  return text;
}

/// The text of a node, up to the brace that ends it.
std::string node(const std::string& tree, const std::string& name) {
  const auto start = tree.find(name + " {");
  if (start == std::string::npos) return "";
  int depth = 0;
  for (auto i = tree.find('{', start); i < tree.size(); ++i) {
    depth += tree[i] == '{' ? 1 : tree[i] == '}' ? -1 : 0;
    if (depth == 0) return tree.substr(start, i - start);
  }
  return "";
}

struct DeviceTreeTest : testing::Test {
  DeviceTreeParams params{.ram_size = 256ull << 20,
                          .reserved_size = 16ull << 20,
                          .timebase_frequency = 10'000'000,
                          .virtio_slots = {0, 3},
                          .pcie = true,
                          .bootargs = "console=ttyS0"};
  std::string tree = decompiled(params);

  void expect_in(const std::string& name, const std::string& property) {
    EXPECT_NE(node(tree, name).find(property), std::string::npos) << property << " in\n"
                                                                  << node(tree, name);
  }
};

TEST_F(DeviceTreeTest, DtcFindsNothingWrong) {
  EXPECT_EQ(tree.find("Warning"), std::string::npos) << tree;
  EXPECT_EQ(tree.find("ERROR"), std::string::npos) << tree;
}

TEST_F(DeviceTreeTest, TellsOfMemoryAndOfThePartThatIsReserved) {
  expect_in("memory@80000000",
            "reg = <0x00 0x80000000 0x00 0xf000000 0x00 0x8f000000 0x00 0x1000000>");
  expect_in("driver@8f000000", "reg = <0x00 0x8f000000 0x00 0x1000000>");
  expect_in("driver@8f000000", "no-map;");
}

TEST_F(DeviceTreeTest, NamesTheConsole) {
  expect_in("chosen", "stdout-path = \"/soc/serial@10000000\"");
  expect_in("chosen", "bootargs = \"console=ttyS0\"");
  expect_in("serial@10000000", "interrupts = <0x0a>");
}

TEST_F(DeviceTreeTest, HasTheTimebaseAndTheInterruptControllers) {
  expect_in("cpus", "timebase-frequency = <0x989680>");
  expect_in("clint@2000000", "interrupts-extended = <0x01 0x03 0x01 0x07>");
  expect_in("plic@c000000", "interrupts-extended = <0x01 0x0b 0x01 0x09>");
  expect_in("plic@c000000", "riscv,ndev = <0x5f>");
}

TEST_F(DeviceTreeTest, HasANodeForEachConfiguredSlot) {
  expect_in("virtio_mmio@10001000", "interrupts = <0x01>");
  expect_in("virtio_mmio@10004000", "interrupts = <0x04>");
  expect_in("virtio_mmio@10004000", "reg = <0x00 0x10004000 0x00 0x1000>");
  EXPECT_EQ(node(tree, "virtio_mmio@10002000"), "");
}

TEST_F(DeviceTreeTest, HasAHostBridgeWithThreeWindows) {
  expect_in("pci@30000000", "compatible = \"pci-host-ecam-generic\"");
  expect_in("pci@30000000", "ranges = <0x1000000 0x00 0x00 0x00 0x3000000 0x00 0x10000 "
                            "0x2000000 0x00 0x40000000 0x00 0x40000000 0x00 0x40000000 "
                            "0x3000000 0x04 0x00 0x04 0x00 0x04 0x00>");
}

TEST_F(DeviceTreeTest, SwizzlesInterruptPinsByDevice) {
  expect_in("pci@30000000", "interrupt-map = <0x00 0x00 0x00 0x01 0x02 0x20 "
                            "0x00 0x00 0x00 0x02 0x02 0x21 ");
  expect_in("pci@30000000", "0x800 0x00 0x00 0x01 0x02 0x21 ");
  expect_in("pci@30000000", "0x1800 0x00 0x00 0x04 0x02 0x22>");
}

TEST_F(DeviceTreeTest, LeavesOutWhatIsNotThere) {
  const auto small = decompiled({.ram_size = 64ull << 20,
                                 .reserved_size = 0,
                                 .timebase_frequency = 1,
                                 .virtio_slots = {},
                                 .pcie = false,
                                 .bootargs = {}});
  for (const char* absent : {"pci@", "virtio_mmio@", "reserved-memory", "bootargs"})
    EXPECT_EQ(small.find(absent), std::string::npos) << absent;
}

} // namespace
} // namespace virtio::platform
