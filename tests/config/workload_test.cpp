// [[workload]] and what else belongs to the kind pcie_host: what load() gives, and what it refuses.
#include "toml_folder.hpp"

namespace virtio::platform {

namespace {

class WorkloadConfigFile : public TomlFolder {
protected:
  static std::string device(const std::string& type, const std::string& rest = "") {
    return "[platform]\nkind = \"pcie_host\"\n[[device]]\nname = \"d\"\ntype = \"" + type +
           "\"\ntransport = \"pci\"\n" + rest;
  }
  // A block device of 1 MiB with a workload, whose keys start in line 10.
  static std::string block(const std::string& keys) {
    return device("block", "capacity = \"1 MiB\"\n") + "[[workload]]\ndevice = \"d\"\n" + keys;
  }
  static std::string net(const std::string& keys) {
    return device("net", "# nothing more\n") + "[[workload]]\ndevice = \"d\"\n" + keys;
  }
  std::string errors_in(const std::string& toml) { return errors_of(write("platform.toml", toml)); }
};

TEST_F(WorkloadConfigFile, IsReadWithItsDefaults) {
  const auto config = load(write("platform.toml", block("requests = 7\ndepth = 4\n")));
  ASSERT_TRUE(config);
  ASSERT_EQ(config->workloads.size(), 1u);
  const WorkloadConfig& workload = config->workloads[0];
  EXPECT_EQ(workload.device, "d");
  EXPECT_EQ(workload.requests, 7u);
  EXPECT_EQ(workload.depth, 4u);
  EXPECT_EQ(workload.arrival, Arrival::closed);
  EXPECT_EQ(std::get<BlockWorkloadConfig>(workload.traffic).block_size.bytes, 4096u);
}

TEST_F(WorkloadConfigFile, IsOverriddenByTheNameOfItsDevice) {
  const auto config = load(write("platform.toml", net("requests = 7\n")),
                           {{"workload.d.frames", "imix"}, {"platform.host.clock", "2 GHz"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(std::get<NetWorkloadConfig>(config->workloads[0].traffic).frames, FrameSource::imix);
  EXPECT_EQ(config->platform.host.clock.hertz, 2'000'000'000u);
}

TEST_F(WorkloadConfigFile, KeysOfTheOtherTypeOfDevice) {
  EXPECT_EQ(errors_in(block("requests = 1\nframe_bytes = 64\n")),
            "platform.toml:11:1: workload.d.frame_bytes: is for workloads of net devices; this "
            "device is of type block\n");
  EXPECT_EQ(errors_in(net("requests = 1\nread_percent = 64\n")),
            "platform.toml:11:1: workload.d.read_percent: is for workloads of block devices; this "
            "device is of type net\n");
}

TEST_F(WorkloadConfigFile, KeysOfTheOtherKindOfPlatform) {
  EXPECT_EQ(errors("[platform.host]\nclock = \"1 GHz\"\n"),
            "platform.toml:4:11: platform.host: is a parameter of pcie_host; the kind of this "
            "platform is riscv_virt\n");
  EXPECT_EQ(errors("", {{"platform.host.clock", "1 GHz"}}),
            "--set platform.host.clock: is a parameter of pcie_host; the kind of this platform is "
            "riscv_virt\n");
  EXPECT_EQ(
      errors_of(write("platform.toml", block("requests = 1\n")), {{"platform.firmware", "f"}}),
      "--set platform.firmware: is a parameter of riscv_virt; the kind of this platform is "
      "pcie_host\n");
}

TEST_F(WorkloadConfigFile, OfADeviceThatIsNotThereOrHasOneAlready) {
  EXPECT_EQ(errors_in(device("entropy") + "[[workload]]\ndevice = \"e\"\n"),
            "platform.toml:8:10: workload.e.device: there is no [[device]] called \"e\"\n");
  EXPECT_EQ(errors_in(device("entropy") + "[[workload]]\ndevice = \"d\"\n"),
            "platform.toml:8:10: workload.d.device: is of type entropy: there are workloads for "
            "block and net\n");
  EXPECT_EQ(errors_in(device("entropy")),
            "platform.toml:2:8: platform.kind: pcie_host needs at least one [[workload]]\n");
}

TEST_F(WorkloadConfigFile, NeitherRequestsNorDurationOrBoth) {
  const std::string sentence = "give either requests or duration, which end the run\n";
  EXPECT_EQ(errors_in(block("")), "platform.toml:8:1: workload.d.requests: " + sentence);
  EXPECT_EQ(errors_in(block("duration = \"1 ms\"\nrequests = 1\n")),
            "platform.toml:11:12: workload.d.requests: " + sentence);
}

TEST_F(WorkloadConfigFile, ARateThatDoesNotGoWithTheArrival) {
  EXPECT_EQ(errors_in(block("requests = 1\nrate = 5\n")),
            "platform.toml:11:8: workload.d.rate: is for arrival = \"fixed\" and \"poisson\"\n");
  EXPECT_EQ(errors_in(net("requests = 1\narrival = \"poisson\"\n")),
            "platform.toml:11:11: workload.d.arrival: \"poisson\" needs rate or load_percent, one "
            "of them\n");
}

TEST_F(WorkloadConfigFile, MoreRequestsThanTheQueueOrTheDiskHolds) {
  EXPECT_EQ(errors_in(block("requests = 1\ndepth = 86\n")),
            "platform.toml:11:9: workload.d.depth: 86 requests of 3 descriptors do not fit into a "
            "queue of 256: give the device a larger queue_size\n");
  EXPECT_EQ(errors_in(block("requests = 1\nblock_size = \"128 KiB\"\ndepth = 16\n")),
            "platform.toml:12:9: workload.d.depth: the disk has fewer blocks than requests under "
            "way: give the device more capacity\n");
}

TEST_F(WorkloadConfigFile, FramesThatDoNotFitTogether) {
  EXPECT_EQ(errors_in(net("requests = 1\nframe_bytes = 1515\n")),
            "platform.toml:11:15: workload.d.frame_bytes: 1515 is more than the device's mtu "
            "allows: 1514\n");
  EXPECT_EQ(errors_in(net("requests = 1\nframes = \"pcap\"\n")),
            "platform.toml:11:10: workload.d.frames: frames = \"pcap\" and pcap = FILE belong "
            "together\n");
  EXPECT_EQ(errors_in(net("requests = 1\narrival = \"recorded\"\n")),
            "platform.toml:11:11: workload.d.arrival: \"recorded\" is for frames = \"pcap\"\n");
}

TEST_F(WorkloadConfigFile, AFeatureThatTheDeviceDoesNotOffer) {
  EXPECT_EQ(errors_of(write("platform.toml", block("requests = 1\n")),
                      {{"platform.host.in_order", "true"}}),
            "--set platform.host.in_order: device.d.features.in_order is off: the device does not "
            "offer it\n");
}

TEST_F(WorkloadConfigFile, APresetHoldsWhereTheFileSaysNothing) {
  write("mine.toml", "[platform.link]\ngeneration = 5\nlanes = 4\n");
  const std::string toml = "[platform]\nkind = \"pcie_host\"\npreset = \"./mine.toml\"\n"
                           "[platform.link]\nlanes = 2\n" +
                           block("requests = 1\n")
                               .substr(std::string("[platform]\nkind = "
                                                   "\"pcie_host\"\n")
                                           .size());
  const auto config = load(write("platform.toml", toml));
  ASSERT_TRUE(config) << config.error()[0].text();
  EXPECT_EQ(config->platform.link.generation, 5u);
  EXPECT_EQ(config->platform.link.lanes, 2u);
  EXPECT_EQ(load(write("platform.toml", toml), {{"platform.link.lanes", "1"}})->platform.link.lanes,
            1u);
  const auto server = load(write("platform.toml", block("requests = 1\n")),
                           {{"platform.preset", "gen4x16-server"}});
  ASSERT_TRUE(server) << server.error()[0].text();
  EXPECT_EQ(server->platform.link.lanes, 16u);
  const auto small =
      load(write("platform.toml", block("requests = 1\n")), {{"platform.preset", "gen3x8"}});
  ASSERT_TRUE(small) << small.error()[0].text();
}

TEST_F(WorkloadConfigFile, AnErrorInAPresetNamesItsFile) {
  write("mine.toml", "[platform.link]\nlanes = 3\nlane = 4\n");
  EXPECT_EQ(errors_of(write("platform.toml", block("requests = 1\n")),
                      {{"platform.preset", "./mine.toml"}}),
            "mine.toml:2:9: platform.link.lanes: 3 is not allowed: 1 .. 32, a power of two\n"
            "mine.toml:3:1: platform.link.lane: unknown parameter; did you mean \"lanes\"?\n");
  EXPECT_EQ(
      errors_of(write("platform.toml", block("requests = 1\n")), {{"platform.preset", "gen9"}}),
      "--set platform.preset: there is no preset \"gen9\": platforms/presets has those that "
      "come with virtio-tlm\n");
}

TEST_F(WorkloadConfigFile, ADeviceThatIsNotOnPci) {
  EXPECT_EQ(
      errors_of(write("platform.toml", block("requests = 1\n")), {{"device.d.transport", "mmio"}}),
      "--set device.d.transport: devices of pcie_host are on pci\n");
}

} // namespace

} // namespace virtio::platform
