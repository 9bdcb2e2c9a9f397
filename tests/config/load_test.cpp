// What a correct file becomes.
#include "toml_folder.hpp"

namespace virtio::platform {

namespace {

using namespace std::chrono_literals;

class Load : public TomlFolder {};

TEST_F(Load, APlatformWithoutFurtherKeysHasTheDefaultsOfTheStructs) {
  const Config config = loaded("");
  EXPECT_EQ(config.platform.seed, 1u);
  EXPECT_EQ(config.platform.ram, PlatformConfig{}.ram);
  EXPECT_EQ(config.platform.cpu.quantum, CpuConfig{}.quantum);
  EXPECT_FALSE(config.platform.own_driver);
  EXPECT_FALSE(config.platform.check_driver);
  EXPECT_TRUE(config.devices.empty());
}

TEST_F(Load, EveryPlatformKeyReachesItsMember) {
  const PlatformConfig p = loaded(R"(
seed = 7
time_limit = "2.5 s"
watchdog = "300 ms"
ram = "64 MiB"
reserved_memory = "2 MiB"
own_driver = true
check_driver = true
[platform.cpu]
instructions_per_second = 139_000_000
quantum = 1000
timebase = "139 MHz"
)")
                               .platform;
  EXPECT_EQ(p.seed, 7u);
  EXPECT_EQ(p.time_limit, SimTime{2500ms});
  EXPECT_EQ(p.watchdog, SimTime{300ms});
  EXPECT_EQ(p.firmware, folder / "firmware.bin");
  EXPECT_EQ(p.ram.bytes, 64u << 20);
  EXPECT_EQ(p.reserved_memory.bytes, 2u << 20);
  EXPECT_TRUE(p.own_driver);
  EXPECT_TRUE(p.check_driver);
  EXPECT_EQ(p.cpu.instructions_per_second, 139'000'000u);
  EXPECT_EQ(p.cpu.quantum, 1000u);
  EXPECT_EQ(p.cpu.timebase.hertz, 139'000'000u);
}

TEST_F(Load, EveryDeviceKeyReachesItsMember) {
  const Config config = loaded(R"(
[[media]]
name = "disk"
file = "disk.img"
write_through = true
[[device]]
name = "blk0"
type = "block"
transport = "pci"
fidelity = "untimed"
slot = 31
queue_size = 32768
reset_timeout = "10 us"
media = "disk"
read_only = true
serial = "a serial"
[device.ring]
[[device]]
name = "net0"
type = "net"
transport = "mmio"
mac = "52:54:00:AB:cd:ef"
mtu = 9000
wire = "pcap"
capture = "net0.pcap"
replay = "frames.pcap"
[[device]]
name = "con0"
type = "console"
transport = "mmio"
output = "terminal"
cols = 132
rows = 50
input = "hello\n"
)");
  ASSERT_EQ(config.devices.size(), 3u);
  EXPECT_EQ(config.find_media("disk").file, folder / "disk.img");
  EXPECT_TRUE(config.find_media("disk").write_through);
  const DeviceConfig& device = config.devices[0];
  EXPECT_EQ(device.name, "blk0");
  EXPECT_EQ(device.type, DeviceType::block);
  EXPECT_EQ(device.transport, Transport::pci);
  EXPECT_EQ(device.slot, 31);
  EXPECT_EQ(device.queue_size, 32768);
  EXPECT_EQ(device.reset_timeout, SimTime{10us});
  const auto& block = std::get<BlockConfig>(device.function);
  EXPECT_EQ(block.media, "disk");
  EXPECT_TRUE(block.read_only);
  EXPECT_EQ(block.serial, "a serial");
  const auto& net = std::get<NetConfig>(config.devices[1].function);
  EXPECT_EQ(net.mac, (MacAddress{0x52, 0x54, 0x00, 0xab, 0xcd, 0xef}));
  EXPECT_EQ(net.mtu, 9000);
  EXPECT_EQ(net.wire, Wire::pcap);
  EXPECT_EQ(net.capture, "net0.pcap");
  EXPECT_EQ(net.replay, folder / "frames.pcap");
  const auto& console = std::get<ConsoleConfig>(config.devices[2].function);
  EXPECT_EQ(console.output, ConsoleOutput::terminal);
  EXPECT_EQ(console.cols, 132);
  EXPECT_EQ(console.rows, 50);
  EXPECT_EQ(console.input, "hello\n");
}

TEST_F(Load, StepsKeepTheirOrder) {
  const Config config = loaded(R"(
[[step]]
expect = "=> "
send = "virtio scan\n"
timeout = "3 s"
[[step]]
expect = "^done$"
regex = true
)");
  ASSERT_EQ(config.steps.size(), 2u);
  EXPECT_EQ(config.steps[0].send, "virtio scan\n");
  EXPECT_EQ(config.steps[0].timeout, SimTime{3s});
  EXPECT_FALSE(config.steps[0].regex);
  EXPECT_EQ(config.steps[1].expect, "^done$");
  EXPECT_TRUE(config.steps[1].regex);
}

std::string device(std::string_view name, std::string_view transport, std::string_view rest = "") {
  return "[[device]]\ntype = \"entropy\"\nname = \"" + std::string(name) + "\"\ntransport = \"" +
         std::string(transport) + "\"\n" + std::string(rest) + "\n";
}

TEST_F(Load, DevicesWithoutASlotGetTheFreeOnesOfTheirTransport) {
  const Config config =
      loaded(device("a", "mmio") + device("b", "mmio", "slot = 0") + device("c", "pci") +
             device("d", "pci", "slot = 1") + device("e", "mmio"));
  std::vector<int> slots;
  for (const DeviceConfig& d : config.devices)
    slots.push_back(d.slot);
  EXPECT_EQ(slots, (std::vector<int>{1, 0, 2, 1, 2}));
}

TEST_F(Load, OverridesReachEveryTableByNameAndTheLastOneCounts) {
  const std::string blocks = R"(
[[media]]
name = "disk"
file = "missing.img"
[[device]]
name = "blk0"
type = "block"
transport = "mmio"
capacity = "1 KiB"
[[step]]
expect = "x"
)";
  const Config config = loaded(blocks, {{"platform.seed", "0x10"},
                                        {"platform.cpu.quantum", "5"},
                                        {"platform.own_driver", "true"},
                                        {"media.disk.file", (folder / "disk.img").string()},
                                        {"device.blk0.capacity", "2 MiB"},
                                        {"device.blk0.capacity", "1 MiB"},
                                        {"device.blk0.transport", "pci"},
                                        {"step.1.timeout", "7 s"}});
  EXPECT_EQ(config.platform.seed, 16u);
  EXPECT_EQ(config.platform.cpu.quantum, 5u);
  EXPECT_TRUE(config.platform.own_driver);
  EXPECT_EQ(config.media.at(0).file, folder / "disk.img");
  EXPECT_EQ(std::get<BlockConfig>(config.devices.at(0).function).capacity, ByteSize{1u << 20});
  EXPECT_EQ(config.devices.at(0).transport, Transport::pci);
  EXPECT_EQ(config.steps.at(0).timeout, SimTime{7s});
}

TEST_F(Load, AnOverrideRepairsAWrongValueOfTheFile) {
  EXPECT_EQ(loaded("seed = \"three\"\n", {{"platform.seed", "3"}}).platform.seed, 3u);
}

TEST_F(Load, AskingForAMediumThatIsNotThereThrows) {
  EXPECT_THROW(loaded("").find_media("disk"), std::out_of_range);
}

TEST_F(Load, QueuesAndFeaturesOfEachTypeReachTheirMembers) {
  const Config config = loaded(R"(
[[device]]
name = "d"
type = "block"
transport = "pci"
capacity = "1 MiB"
queues = 4
[device.features]
packed = false
in_order = true
flush = false
[[device]]
name = "n"
type = "net"
transport = "pci"
queues = 8
features = { mrg_rxbuf = false, notification_data = true }
[[device]]
name = "c"
type = "console"
transport = "mmio"
features.emerg_write = false
)",
                               {{"device.c.features.event_idx", "false"}});
  const DeviceConfig& disk = config.devices.at(0);
  EXPECT_FALSE(disk.features.packed);
  EXPECT_TRUE(disk.features.in_order);
  EXPECT_TRUE(disk.features.ring_reset);
  EXPECT_EQ(std::get<BlockConfig>(disk.function).queues, 4);
  EXPECT_FALSE(std::get<BlockConfig>(disk.function).features.flush);
  EXPECT_TRUE(std::get<BlockConfig>(disk.function).features.topology);
  const DeviceConfig& net = config.devices.at(1);
  EXPECT_TRUE(net.features.notification_data);
  EXPECT_EQ(std::get<NetConfig>(net.function).queues, 8);
  EXPECT_FALSE(std::get<NetConfig>(net.function).features.mrg_rxbuf);
  const DeviceConfig& console = config.devices.at(2);
  EXPECT_FALSE(console.features.event_idx);
  EXPECT_FALSE(std::get<ConsoleConfig>(console.function).features.emerg_write);
}

TEST_F(Load, TimingOfEachTypeReachesItsMembers) {
  const Config config = loaded(R"(
[[device]]
name = "d"
type = "block"
transport = "pci"
capacity = "1 MiB"
[device.timing]
request_cost = "500 ns"
read_latency = "80 us"
write_latency = "20 us"
bandwidth = "3.5 GB/s"
channels = 8
[[device]]
name = "n"
type = "net"
transport = "pci"
timing = { wire_rate = "25 Gbit/s", packet_cost = "20 ns" }
[[device]]
name = "r"
type = "entropy"
transport = "mmio"
timing.request_cost = "1 us"
[[device]]
name = "c"
type = "console"
transport = "mmio"
)",
                               {{"device.c.timing.request_cost", "2 us"}});
  const auto& block = std::get<BlockConfig>(config.devices.at(0).function).timing;
  EXPECT_EQ(block.request_cost, SimTime{500ns});
  EXPECT_EQ(block.read_latency, SimTime{80us});
  EXPECT_EQ(block.write_latency, SimTime{20us});
  EXPECT_EQ(block.bandwidth.bytes_per_second, 3'500'000'000u);
  EXPECT_EQ(block.channels, 8u);
  const auto& net = std::get<NetConfig>(config.devices.at(1).function).timing;
  EXPECT_EQ(net.wire_rate.bits_per_second, 25'000'000'000u);
  EXPECT_EQ(net.packet_cost, SimTime{20ns});
  EXPECT_EQ(std::get<EntropyConfig>(config.devices.at(2).function).timing.request_cost,
            SimTime{1us});
  EXPECT_EQ(std::get<ConsoleConfig>(config.devices.at(3).function).timing.request_cost,
            SimTime{2us});
}

} // namespace

} // namespace virtio::platform
