// Each way a file can be wrong, and the exact sentence it gets. Lines count from platform.toml's
// first three, so the first line of a test's own text is line 4.
#include "toml_folder.hpp"

#include <algorithm>

namespace virtio::platform {

namespace {

class ConfigErrors : public TomlFolder {};

TEST_F(ConfigErrors, AMissingFileIsNamed) {
  EXPECT_EQ(errors_of(folder / "none.toml"),
            "none.toml: cannot be read: No such file or directory\n");
}

TEST_F(ConfigErrors, AFolderIsNotAFile) {
  EXPECT_NE(errors_of(folder).find("cannot be read: Is a directory"), std::string::npos);
}

TEST_F(ConfigErrors, BrokenTomlHasItsPlace) {
  const std::string text = errors("seed = = 3\n");
  EXPECT_EQ(text.find("platform.toml:4:8: not valid TOML: "), 0u) << text;
}

TEST_F(ConfigErrors, AnUnknownKeySuggestsTheNearest) {
  EXPECT_EQ(errors("sede = 3\n"),
            "platform.toml:4:1: platform.sede: unknown parameter; did you mean \"seed\"?\n");
}

TEST_F(ConfigErrors, AnUnknownKeyInANestedTableSuggestsFromThatTable) {
  EXPECT_EQ(
      errors("[platform.cpu]\nquantom = 3\n"),
      "platform.toml:5:1: platform.cpu.quantom: unknown parameter; did you mean \"quantum\"?\n");
}

TEST_F(ConfigErrors, AKeyUnlikeAnyOtherGetsNoSuggestion) {
  EXPECT_EQ(errors("xyzzy = 3\n"), "platform.toml:4:1: platform.xyzzy: unknown parameter\n");
}

TEST_F(ConfigErrors, AnUnknownTableSuggestsTheNearest) {
  EXPECT_EQ(errors("[[devices]]\nname = \"x\"\n"),
            "platform.toml:4:3: devices: unknown table; did you mean \"device\"?\n");
}

TEST_F(ConfigErrors, ATableThatIsMissingAndOneThatIsNotAList) {
  write("platform.toml", "[device]\nname = \"x\"\n");
  EXPECT_EQ(errors_of(folder / "platform.toml"),
            "platform.toml:1:1: platform: the table [platform] is missing\n"
            "platform.toml:1:1: device: must be written [[device]], one such block for each\n");
}

TEST_F(ConfigErrors, AValueInThePlaceOfATable) {
  EXPECT_EQ(errors("cpu = 3\n"),
            "platform.toml:4:7: platform.cpu: must be a table, not a number\n");
}

TEST_F(ConfigErrors, ARequiredKeyIsMissing) {
  write("platform.toml", "[platform]\nfirmware = \"firmware.bin\"\n");
  EXPECT_EQ(errors_of(folder / "platform.toml"),
            "platform.toml:1:1: platform.kind: is required and missing\n");
}

TEST_F(ConfigErrors, AQuantityWithoutAUnit) {
  EXPECT_EQ(errors("ram = 256\n"),
            "platform.toml:4:7: platform.ram: needs a unit (B, KiB, MiB, GiB, "
            "TiB): write it like \"64 MiB\"\n");
  EXPECT_EQ(errors("time_limit = \"3\"\n"),
            "platform.toml:4:14: platform.time_limit: needs a unit (ps, "
            "ns, us, ms, s): write it like \"10 us\"\n");
}

TEST_F(ConfigErrors, AQuantityWithAUnitOfAnotherKind) {
  EXPECT_EQ(
      errors("time_limit = \"3 MiB\"\n"),
      "platform.toml:4:14: platform.time_limit: \"MiB\" is not a unit of this value, which takes "
      "ps, ns, us, ms, s\n");
  EXPECT_EQ(
      errors("ram = \"256 MB\"\n"),
      "platform.toml:4:7: platform.ram: \"MB\" is not a unit of this value, which takes B, KiB, "
      "MiB, GiB, TiB; did you mean \"MiB\"?\n");
}

TEST_F(ConfigErrors, AQuantityThatIsNoNumberOrDoesNotFit) {
  EXPECT_EQ(errors("ram = \"lots\"\n"),
            "platform.toml:4:7: platform.ram: must be a number and a unit like "
            "\"64 MiB\", not \"lots\"\n");
  EXPECT_EQ(errors("ram = true\n"),
            "platform.toml:4:7: platform.ram: must be a number and a unit like "
            "\"64 MiB\", not a truth value\n");
  const std::string too_large =
      "platform.toml:4:7: platform.ram: \"99999999 TiB\" is not a whole number of "
      "B below 2^64\n";
  EXPECT_EQ(errors("ram = \"99999999 TiB\"\n"), too_large);
  EXPECT_EQ(errors("time_limit = \"1.5 ps\"\n"), "platform.toml:4:14: platform.time_limit: \"1.5 "
                                                 "ps\" is not a whole number of ps below 2^64\n");
}

TEST_F(ConfigErrors, AValueOfTheWrongType) {
  EXPECT_EQ(
      errors("seed = \"3\"\n"),
      "platform.toml:4:8: platform.seed: must be a whole number without a unit, not a string\n");
  EXPECT_EQ(errors("seed = -3\n"), "platform.toml:4:8: platform.seed: -3 is negative\n");
  EXPECT_EQ(errors("own_driver = 1\n"),
            "platform.toml:4:14: platform.own_driver: must be true or false, not a number\n");
}

TEST_F(ConfigErrors, AnUnknownWordListsThoseThatExist) {
  const std::string text =
      errors("[[device]]\nname = \"d\"\ntype = \"entorpy\"\ntransport = \"mmio\"\n");
  EXPECT_EQ(text, "platform.toml:6:8: device.d.type: \"entorpy\" is none of those this build has: "
                  "\"entropy\", \"block\", \"net\", \"console\"; did you mean \"entropy\"?\n");
}

std::string entropy(const std::string& name, const std::string& rest = "") {
  return "[[device]]\nname = \"" + name + "\"\ntype = \"entropy\"\n" +
         (rest.find("transport") == std::string::npos ? "transport = \"mmio\"\n" : "") + rest;
}

TEST_F(ConfigErrors, AFidelityThatThisBuildDoesNotHave) {
  EXPECT_EQ(errors(entropy("d", "fidelity = \"gate\"\n")),
            "platform.toml:8:12: device.d.fidelity: \"gate\" is none of those this build has: "
            "\"untimed\", \"timed\", \"rtl\"\n");
  EXPECT_EQ(errors(entropy("d", "fidelity = \"timed\"\n")), "");
}

TEST_F(ConfigErrors, ANumberOutOfRange) {
  EXPECT_EQ(errors(entropy("d", "queue_size = 65536\n")),
            "platform.toml:8:14: device.d.queue_size: 65536 is too large\n");
  EXPECT_EQ(
      errors(entropy("d", "queue_size = 100\n")),
      "platform.toml:8:14: device.d.queue_size: 100 is not allowed: 1 .. 32768, a power of two\n");
  EXPECT_EQ(
      errors("ram = \"1 MiB\"\n"),
      "platform.toml:4:7: platform.ram: 1 MiB is not allowed: 16 MiB .. 64 GiB, a multiple of 1 "
      "MiB\n");
}

TEST_F(ConfigErrors, AKeyOfAnotherTypeOfDevice) {
  EXPECT_EQ(errors(entropy("d", "capacity = \"1 MiB\"\n")),
            "platform.toml:8:1: device.d.capacity: is a parameter of block devices; the type of "
            "this one is entropy\n");
}

TEST_F(ConfigErrors, AKeyOfTwoOtherTypes) {
  EXPECT_EQ(errors(entropy("d", "queues = 2\n")),
            "platform.toml:8:1: device.d.queues: is a parameter of block and net devices; the type "
            "of this one is entropy\n");
}

TEST_F(ConfigErrors, AFeatureThatNoDeviceOrAnotherTypeHas) {
  EXPECT_EQ(errors(entropy("d", "[device.features]\npaked = true\n")),
            "platform.toml:9:1: device.d.features.paked: unknown parameter; did you mean "
            "\"packed\"?\n");
  EXPECT_EQ(
      errors(entropy("d", "features = { flush = true }\n")),
      "platform.toml:8:14: device.d.features.flush: is a parameter of block devices; the type "
      "of this one is entropy\n");
  EXPECT_EQ(
      errors(entropy("d", "features.mq = true\n")),
      "platform.toml:8:10: device.d.features.mq: is a parameter of block and net devices; the "
      "type of this one is entropy\n");
}

TEST_F(ConfigErrors, AFeatureThatIsNeitherOnNorOff) {
  EXPECT_EQ(
      errors(entropy("d", "[device.features]\nin_order = 1\n")),
      "platform.toml:9:12: device.d.features.in_order: must be true or false, not a number\n");
  EXPECT_EQ(errors(entropy("d", "features = [\"packed\"]\n")),
            "platform.toml:8:12: device.d.features: must be a table, not an array\n");
  EXPECT_EQ(errors(entropy("d"), {{"device.d.features.packed", "off"}}),
            "--set device.d.features.packed: must be true or false, not \"off\"\n");
  EXPECT_EQ(errors(entropy("d"), {{"device.d.features", "packed"}}),
            "--set device.d.features: is a table: name one of its parameters\n");
}

TEST_F(ConfigErrors, SeveralQueuesWithoutTheFeatureThatTheyNeed) {
  const std::string net = "[[device]]\nname = \"d\"\ntype = \"net\"\ntransport = \"pci\"\n";
  EXPECT_EQ(
      errors(net + "queues = 4\nfeatures.mq = false\n"),
      "platform.toml:9:15: device.d.features.mq: queues = 4 needs this feature: leave it on\n");
  EXPECT_EQ(
      errors(net + "queues = 4\nfeatures.ctrl_vq = false\n"),
      "platform.toml:9:20: device.d.features.ctrl_vq: queues = 4 needs this feature: leave it "
      "on\n");
  EXPECT_EQ(errors(net + "features = { mq = false, ctrl_vq = false }\n"), "");
  EXPECT_EQ(errors(net + "queues = 1025\n"),
            "platform.toml:8:10: device.d.queues: 1025 is not allowed: 1 .. 1024\n");
}

TEST_F(ConfigErrors, ATimeOrARateWithAnotherUnit) {
  EXPECT_EQ(errors(entropy("d", "[device.timing]\nrequest_cost = \"3 GB/s\"\n")),
            "platform.toml:9:16: device.d.timing.request_cost: \"GB/s\" is not a unit of this "
            "value, which takes ps, ns, us, ms, s\n");
  EXPECT_EQ(errors(entropy("d", "[device.timing]\nwire_rate = \"1 Gbit/s\"\n")),
            "platform.toml:9:1: device.d.timing.wire_rate: is a parameter of net devices; the type "
            "of this one is entropy\n");
  const std::string net = "[[device]]\nname = \"d\"\ntype = \"net\"\ntransport = \"pci\"\n";
  EXPECT_EQ(errors(net + "timing.wire_rate = 10\n"),
            "platform.toml:8:20: device.d.timing.wire_rate: needs a unit (bit/s, kbit/s, Mbit/s, "
            "Gbit/s): write it like \"10 Gbit/s\"\n");
  EXPECT_EQ(
      errors(net + "timing.wire_rate = \"10 GBit/s\"\n"),
      "platform.toml:8:20: device.d.timing.wire_rate: \"GBit/s\" is not a unit of this value, "
      "which takes bit/s, kbit/s, Mbit/s, Gbit/s; did you mean \"Gbit/s\"?\n");
}

TEST_F(ConfigErrors, ARingParameterThatDoesNotExist) {
  EXPECT_EQ(errors(entropy("d", "[device.ring]\ndescriptor_prefech = 16\n")),
            "platform.toml:9:1: device.d.ring.descriptor_prefech: unknown parameter; did you mean "
            "\"descriptor_prefetch\"?\n");
}

TEST_F(ConfigErrors, TwoOfOneName) {
  EXPECT_EQ(errors(entropy("d") + entropy("d")),
            "platform.toml:9:8: device.d.name: two are called \"d\": give one another name\n");
  EXPECT_EQ(errors("[[media]]\nname = \"m\"\nfile = \"disk.img\"\n"
                   "[[media]]\nname = \"m\"\nfile = \"disk.img\"\n"),
            "platform.toml:8:8: media.m.name: two are called \"m\": give one another name\n");
}

TEST_F(ConfigErrors, ANameThatIsNoName) {
  EXPECT_EQ(errors(entropy("a b")),
            "platform.toml:5:8: device.a b.name: \"a b\" is not a name: use "
            "letters, digits, _ and - only\n");
}

TEST_F(ConfigErrors, TwoDevicesInOneSlot) {
  EXPECT_EQ(errors(entropy("a", "slot = 3\n") + entropy("b", "slot = 3\n")),
            "platform.toml:13:8: device.b.slot: mmio slot 3 is already that of device.a\n");
}

TEST_F(ConfigErrors, ASlotThatTheTransportDoesNotHave) {
  EXPECT_EQ(errors(entropy("a", "slot = 8\n")),
            "platform.toml:8:8: device.a.slot: 8 is not allowed: mmio has slots 0 .. 7\n");
  EXPECT_EQ(errors(entropy("a", "transport = \"pci\"\nslot = 0\n")),
            "platform.toml:8:8: device.a.slot: 0 is not allowed: pci has slots 1 .. 31\n");
}

TEST_F(ConfigErrors, AFeatureThatTheTransportDoesNotHave) {
  EXPECT_EQ(errors(entropy("a", "features.notif_config_data = true\n")),
            "platform.toml:8:30: device.a.features.notif_config_data: is for transport = \"pci\" "
            "alone\n");
}

TEST_F(ConfigErrors, MoreDevicesThanSlots) {
  std::string nine;
  for (int i = 0; i < 9; ++i)
    nine += entropy("d" + std::to_string(i));
  EXPECT_EQ(errors(nine), "platform.toml:36:1: device.d8.slot: all 8 mmio slots are taken\n");
}

std::string block(const std::string& name, const std::string& rest) {
  return "[[device]]\nname = \"" + name + "\"\ntype = \"block\"\ntransport = \"mmio\"\n" + rest;
}

const std::string disk = "[[media]]\nname = \"disk\"\nfile = \"disk.img\"\n";

TEST_F(ConfigErrors, AMediumThatIsNotInTheFile) {
  EXPECT_EQ(
      errors(block("b", "media = \"disk\"\n")),
      "platform.toml:8:9: device.b.media: the file has no [[media]]: add one called \"disk\"\n");
  EXPECT_EQ(
      errors(disk + block("b", "media = \"dist\"\n")),
      "platform.toml:11:9: device.b.media: there is no [[media]] called \"dist\", only \"disk\"; "
      "did you mean \"disk\"?\n");
}

TEST_F(ConfigErrors, ABlockDeviceWithoutDataOrWithTwoSizes) {
  EXPECT_EQ(errors(block("b", "")), "platform.toml:4:1: device.b.media: a block device needs "
                                    "media, or capacity for a RAM disk\n");
  EXPECT_EQ(
      errors(disk + block("b", "media = \"disk\"\ncapacity = \"1 KiB\"\n")),
      "platform.toml:12:12: device.b.capacity: the medium's file decides the size: leave out one "
      "of the two\n");
}

TEST_F(ConfigErrors, AWritableMediumInTwoDevices) {
  const std::string read_only = "media = \"disk\"\nread_only = true\n";
  EXPECT_EQ(errors(disk + block("a", read_only) + block("b", read_only)), "");
  EXPECT_EQ(
      errors(disk + block("a", read_only) + block("b", "media = \"disk\"\n")),
      "platform.toml:17:9: device.b.media: device.a uses \"disk\" too: only read-only devices may "
      "share a medium\n");
}

TEST_F(ConfigErrors, ASerialThatIsTooLong) {
  EXPECT_EQ(
      errors(block("b", "capacity = \"1 KiB\"\nserial = \"123456789012345678901\"\n")),
      "platform.toml:9:10: device.b.serial: \"123456789012345678901\" is longer than 20 bytes\n");
}

TEST_F(ConfigErrors, AMissingImageSaysWhatMakesIt) {
  EXPECT_EQ(errors("[[media]]\nname = \"m\"\nfile = \"none.img\"\n"),
            "platform.toml:6:8: media.m.file: there is no file none.img; `truncate -s 64M "
            "none.img` makes "
            "an empty one, and `./quickstart demo` makes those of the demo\n");
}

TEST_F(ConfigErrors, AMissingFirmwareSaysWhatInstallsIt) {
  write("platform.toml", "[platform]\nkind = \"riscv_virt\"\nfirmware = \"none.bin\"\n");
  EXPECT_EQ(errors_of(folder / "platform.toml"),
            "platform.toml:3:12: platform.firmware: there is no file none.bin; `apt-get install "
            "u-boot-qemu` installs U-Boot for this platform as "
            "/usr/lib/u-boot/qemu-riscv64/u-boot.bin\n");
}

std::string net(const std::string& name, const std::string& rest) {
  return "[[device]]\nname = \"" + name + "\"\ntype = \"net\"\ntransport = \"mmio\"\n" + rest;
}

TEST_F(ConfigErrors, AMissingReplaySaysWhatWritesOne) {
  EXPECT_EQ(
      errors(net("n", "wire = \"pcap\"\nreplay = \"none.pcap\"\n")),
      "platform.toml:9:10: device.n.replay: there is no file none.pcap; `tcpdump -w` or a run with "
      "capture = ... writes such a file\n");
}

TEST_F(ConfigErrors, AReplayWithoutItsWireAndAWireWithoutItsReplay) {
  EXPECT_EQ(errors(net("n", "replay = \"frames.pcap\"\n")),
            "platform.toml:8:10: device.n.replay: is only played by wire = \"pcap\"\n");
  EXPECT_EQ(errors(net("n", "wire = \"pcap\"\n")),
            "platform.toml:8:8: device.n.wire: \"pcap\" needs a file to play: set replay\n");
}

TEST_F(ConfigErrors, ACaptureOutsideTheResultsOrWrittenTwice) {
  EXPECT_EQ(errors(net("n", "capture = \"../x.pcap\"\n")),
            "platform.toml:8:11: device.n.capture: \"../x.pcap\" must be a plain file name without "
            "folders: it is written to --out\n");
  EXPECT_EQ(errors(net("n", "capture = \"x.pcap\"\n") + net("m", "capture = \"x.pcap\"\n")),
            "platform.toml:13:11: device.m.capture: device.n already writes \"x.pcap\"\n");
}

TEST_F(ConfigErrors, AMacAddressThatIsNone) {
  EXPECT_EQ(errors(net("n", "mac = \"52:54:00\"\n")),
            "platform.toml:8:7: device.n.mac: must be a MAC address of six pairs of hexadecimal "
            "digits like "
            "\"52:54:00:12:34:56\", not \"52:54:00\"\n");
  EXPECT_EQ(errors(net("n", "mac = \"53:54:00:12:34:56\"\n")),
            "platform.toml:8:7: device.n.mac: \"53:54:00:12:34:56\" is a multicast address; a "
            "device's own "
            "has an even first byte like 52\n");
}

TEST_F(ConfigErrors, AStepThatDoesNothing) {
  EXPECT_EQ(errors("[[step]]\ntimeout = \"1 s\"\n"),
            "platform.toml:4:1: step.1.expect: a step needs expect, send or both\n");
}

TEST_F(ConfigErrors, AnExpectationThatIsNoRegularExpression) {
  EXPECT_EQ(errors("[[step]]\nexpect = \"(\"\n"), "");
  const std::string text = errors("[[step]]\nexpect = \"(\"\nregex = true\n");
  EXPECT_EQ(text.find("platform.toml:5:10: step.1.expect: \"(\" is not a regular expression: "), 0u)
      << text;
}

TEST_F(ConfigErrors, MoreReservedMemoryThanHalfTheRam) {
  EXPECT_EQ(errors("ram = \"16 MiB\"\nreserved_memory = \"9 MiB\"\n"),
            "platform.toml:5:19: platform.reserved_memory: 9 MiB is more than half of the RAM (16 "
            "MiB)\n");
}

TEST_F(ConfigErrors, AllAreReportedInTheOrderOfTheFile) {
  const std::string text =
      errors("seed = true\nram = 3\n[[device]]\nname = \"d\"\nfidelity = \"gate\"\n",
             {{"platform.nonsense", "1"}});
  std::vector<std::size_t> at;
  for (const char* start :
       {"platform.toml:4:", "platform.toml:5:", "platform.toml:6:1: device.d.type",
        "platform.toml:6:1: device.d.transport", "platform.toml:8:", "--set "})
    at.push_back(text.find(start));
  EXPECT_TRUE(std::is_sorted(at.begin(), at.end()) && at.back() != std::string::npos) << text;
}

TEST_F(ConfigErrors, OverridesAreNamedAsSuch) {
  EXPECT_EQ(errors("", {{"platform.ram", "3"}}),
            "--set platform.ram: needs a unit (B, KiB, MiB, GiB, TiB): write it like \"64 MiB\"\n");
  EXPECT_EQ(errors("", {{"platform.seed", "x"}}),
            "--set platform.seed: must be a whole number without a unit, not \"x\"\n");
  EXPECT_EQ(errors(entropy("a", "slot = 3\n") + entropy("b"), {{"device.b.slot", "3"}}),
            "--set device.b.slot: mmio slot 3 is already that of device.a\n");
}

TEST_F(ConfigErrors, AnOverrideThatMeetsNoParameterSaysHowFarItCame) {
  const std::string device = entropy("rng0");
  EXPECT_EQ(errors(device, {{"platfrom.seed", "1"}}),
            "--set platfrom.seed: a path starts with one of \"device\", "
            "\"platform\"; did you mean \"platform\"?\n");
  EXPECT_EQ(errors(device, {{"platform.cpu.quantm", "1"}}),
            "--set platform.cpu.quantm: unknown parameter; did you mean \"cpu.quantum\"?\n");
  EXPECT_EQ(errors(device, {{"platform.cpu", "1"}}),
            "--set platform.cpu: is a table: name one of its parameters\n");
  EXPECT_EQ(errors(device, {{"device.rgn0.slot", "1"}}),
            "--set device.rgn0.slot: the file has no device \"rgn0\", only \"rng0\"; did you mean "
            "\"rng0\"?\n");
  EXPECT_EQ(errors(device, {{"device.rng0.slto", "1"}}),
            "--set device.rng0.slto: unknown parameter; did you mean \"slot\"?\n");
  EXPECT_EQ(
      errors(device, {{"device.rng0.mtu", "1"}}),
      "--set device.rng0.mtu: is a parameter of net devices; the type of this one is entropy\n");
  EXPECT_EQ(errors(device, {{"device.rng0", "1"}}),
            "--set device.rng0: is a table: name one of its parameters\n");
}

TEST_F(ConfigErrors, ANameCannotBeOverridden) {
  EXPECT_EQ(errors(entropy("a"), {{"device.b.name", "c"}}),
            "--set device.b.name: the file has no device \"b\", only \"a\"\n");
  EXPECT_EQ(errors(entropy("a"), {{"device.a.name", "b"}}),
            "--set device.a.name: names cannot be overridden, as paths are made of them: change "
            "the file\n");
}

} // namespace

} // namespace virtio::platform
