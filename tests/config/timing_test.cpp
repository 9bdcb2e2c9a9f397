// What the timed fidelity takes from the file: lists by queue, and combinations of parameters that
// cannot be, each with its place. Lines count from 4, after the device's 8 lines from 12.
#include "toml_folder.hpp"

namespace virtio::platform {

namespace {

class Timing : public TomlFolder {
protected:
  static std::string host(const std::string& rest) {
    return "[platform]\nkind = \"pcie_host\"\n" + rest;
  }
  /// The ring's keys start in line 9.
  static std::string device(const std::string& ring) {
    return host("[[device]]\nname = \"d\"\ntype = \"block\"\ntransport = \"pci\"\n"
                "capacity = \"1 MiB\"\n[device.ring]\n") +
           ring + "[[workload]]\ndevice = \"d\"\nrequests = 1\n";
  }
  std::string errors_in(const std::string& toml, const std::vector<Override>& overrides = {}) {
    return errors_of(write("platform.toml", toml), overrides);
  }
  RingConfig ring(const std::string& keys, const std::vector<Override>& overrides = {}) {
    std::vector<Override> all{{"device.d.queues", "8"}};
    all.insert(all.end(), overrides.begin(), overrides.end());
    const auto config = load(write("platform.toml", device(keys)), all);
    if (config) return config->devices[0].ring;
    ADD_FAILURE() << config.error()[0].text();
    return {};
  }
  /// A file whose link has these keys, from line 4.
  static std::string link(const std::string& keys) {
    return host("[platform.link]\n" + keys +
                "[[device]]\nname = \"d\"\ntype = \"block\"\ntransport = \"pci\"\n"
                "capacity = \"1 MiB\"\n[[workload]]\ndevice = \"d\"\nrequests = 1\n");
  }
};

using Weights = std::vector<std::uint16_t>;
using Priorities = std::vector<std::uint8_t>;

TEST_F(Timing, WeightsAndPrioritiesAreListsByQueue) {
  EXPECT_EQ(ring("arbitration = \"weighted\"\nweights = [8, 1, 65535]\n").weights,
            (Weights{8, 1, 65535}));
  EXPECT_EQ(ring("arbitration = \"priority\"\npriorities = [0, 7]\n").priorities,
            (Priorities{0, 7}));
  EXPECT_EQ(ring("").weights, Weights{});
}

TEST_F(Timing, AListHasACompactForm) {
  EXPECT_EQ(ring("arbitration = \"weighted\"\nweights = \"8 3*2, 1\"\n").weights,
            (Weights{8, 2, 2, 2, 1}));
  EXPECT_EQ(ring("arbitration = \"weighted\"\n", {{"device.d.ring.weights", "[3, 1]"}}).weights,
            (Weights{3, 1}));
  EXPECT_EQ(ring("", {{"device.d.ring.weights", "[]"}}).weights, Weights{});
  const std::vector<Override> overrides{{"device.d.ring.arbitration", "priority"},
                                        {"device.d.ring.priorities", "0 7*7"}};
  EXPECT_EQ(ring("", overrides).priorities, (Priorities{0, 7, 7, 7, 7, 7, 7, 7}));
}

TEST_F(Timing, AListThatIsNone) {
  const std::string place = "platform.toml:10:11: device.d.ring.weights: ";
  const std::string wanted =
      "must be an array of whole numbers like [4, 1, 1] or a text like \"4 2*1\"";
  const auto weights = [&](const std::string& value) {
    return errors_in(device("arbitration = \"weighted\"\nweights = " + value + "\n"));
  };
  EXPECT_EQ(weights("3"), place + wanted + ", not a number\n");
  EXPECT_EQ(weights("[1, \"2\"]"), place + wanted + "\n");
  EXPECT_EQ(weights("[1, -2]"), place + wanted + "\n");
  for (const char* text : {"1 x", "*1", "3*", "1*2*3", "99999999*1"})
    EXPECT_EQ(weights('"' + std::string(text) + '"'), place + wanted + ", not \"" + text + "\"\n");
  EXPECT_EQ(weights("[0]"), place + "0 is not allowed: 1 .. 65535\n");
  EXPECT_EQ(weights("[65536]"), place + "65536 is too large\n");
  EXPECT_EQ(weights("[1, 1]"), place + "has 2 values, but the device has 1 queue\n");
  EXPECT_EQ(errors_in(device("arbitration = \"priority\"\npriorities = [8]\n")),
            "platform.toml:10:14: device.d.ring.priorities: 8 is not allowed: at most 7\n");
}

TEST_F(Timing, AListForAnotherArbitration) {
  EXPECT_EQ(errors_in(device("weights = [3]\n")),
            "platform.toml:9:11: device.d.ring.weights: is for arbitration = \"weighted\"\n");
  EXPECT_EQ(errors_in(device("arbitration = \"weighted\"\npriorities = [3]\n")),
            "platform.toml:10:14: device.d.ring.priorities: is for arbitration = \"priority\"\n");
}

TEST_F(Timing, OfANetworkDeviceEveryVirtqueueHasAPlaceInTheList) {
  const std::string net = host("[[device]]\nname = \"d\"\ntype = \"net\"\ntransport = \"pci\"\n"
                               "queues = 2\n[device.ring]\narbitration = \"weighted\"\n") +
                          "weights = \"N*1\"\n[[workload]]\ndevice = \"d\"\nrequests = 1\n";
  const auto with = [&](const char* count) {
    std::string toml = net;
    return toml.replace(toml.find("N*1"), 1, count);
  };
  EXPECT_EQ(errors_in(with("5")), ""); // two pairs and the control queue
  EXPECT_EQ(errors_in(with("6")), "platform.toml:10:11: device.d.ring.weights: has 6 values, but "
                                  "the device has 5 queues\n");
}

TEST_F(Timing, RingParametersThatDoNotGoTogether) {
  EXPECT_EQ(errors_in(device("available_batch = 16\navailable_prefetch = 8\n")),
            "platform.toml:10:22: device.d.ring.available_prefetch: available_prefetch = 8 is not "
            "in 16..32768\n");
  // Where only the other of the two was given.
  EXPECT_EQ(errors_in(device("used_batch = 1\ndescriptor_batch = 32\n")),
            "platform.toml:8:1: device.d.ring.descriptor_prefetch: descriptor_prefetch = 16 is not "
            "in 32..32768\n");
  EXPECT_EQ(errors_in(device(""), {{"device.d.ring.available_prefetch", "4"}}),
            "--set device.d.ring.available_prefetch: available_prefetch = 4 is not in 16..32768\n");
}

TEST_F(Timing, ARateOrACountOfZero) {
  const auto zero = [&](const std::string& key, const std::string& value) {
    const std::string text = errors_in(link(key + " = " + value + "\n"));
    return text.find("platform.toml:4:") == 0 && text.find(key) != std::string::npos;
  };
  for (const char* key : {"generation", "lanes", "max_payload", "max_read_request", "tags",
                          "posted_buffer", "nonposted_queue"})
    EXPECT_TRUE(zero(key, "0")) << key;
  for (const char* key : {"outstanding_reads", "outstanding_writes", "chains_in_flight"}) {
    const std::string text = errors_in(device(std::string(key) + " = 0\n"));
    EXPECT_EQ(text.find("platform.toml:9:"), 0u) << text;
  }
  EXPECT_EQ(errors_in(device("clock = \"0 Hz\"\n")).find("platform.toml:9:9: "), 0u);
}

TEST_F(Timing, LinkParametersThatDoNotGoTogether) {
  EXPECT_EQ(errors_in(link("max_payload = 256\ncompletion_size = 512\n")),
            "platform.toml:5:19: platform.link.completion_size: 512 is not a multiple of "
            "read_completion_boundary 64 up to max_payload 256\n");
  EXPECT_EQ(errors_in(link("completion_data = 8\n")),
            "platform.toml:4:19: platform.link.completion_data: 8 units of 16 bytes cannot take "
            "the answer to max_read_request 512\n");
  EXPECT_EQ(errors_in(link("completion_headers = 2\n"), {{"platform.link.max_payload", "128"}}),
            "platform.toml:4:22: platform.link.completion_headers: 2 cannot take the answer to "
            "max_read_request 512\n");
  EXPECT_EQ(errors_in(link("[platform.link.host_credits]\nposted_data = 15\n")),
            "platform.toml:5:15: platform.link.host_credits.posted_data: 15 units of 16 bytes "
            "cannot take a TLP of max_payload 256\n");
  EXPECT_EQ(errors_in(link("[platform.link.translation]\nwhere = \"ats\"\nways = 3\n")),
            "platform.toml:6:8: platform.link.translation.ways: 64 entries cannot be arranged "
            "in sets of as many as ways, 3\n");
  EXPECT_EQ(errors_in(link("[platform.link.memory]\nkind = \"uniform\"\nlow = \"9 ns\"\n"
                           "high = \"8 ns\"\n")),
            "platform.toml:7:8: platform.link.memory.high: 8000 ps is less than low, 9000 ps\n");
}

TEST_F(Timing, TheProtocolGoesWithTheFidelity) {
  const auto protocol = [&](const std::vector<Override>& overrides) {
    const auto config = load(write("platform.toml", device("")), overrides);
    return config ? config->devices[0].protocol : Protocol::dmi;
  };
  const Override timed{"device.d.fidelity", "timed"};
  EXPECT_EQ(protocol({}), Protocol::dmi);
  EXPECT_EQ(protocol({timed}), Protocol::at);
  EXPECT_EQ(protocol({timed, {"device.d.protocol", "lt"}}), Protocol::lt);
  EXPECT_EQ(protocol({{"device.d.protocol", "lt"}}), Protocol::lt);
  EXPECT_EQ(errors_in(device(""), {timed, {"device.d.protocol", "dmi"}}),
            "--set device.d.protocol: direct pointers take no time: a device that is not untimed "
            "uses \"at\" or \"lt\"\n");
  EXPECT_EQ(protocol({{"device.d.fidelity", "rtl"}}), Protocol::at);
  EXPECT_EQ(errors_in(device(""), {{"device.d.protocol", "at"}}),
            "--set device.d.protocol: is for fidelity = \"timed\" or \"rtl\": memory answers "
            "nb_transport behind a link or bus only\n");
}

TEST_F(Timing, RtlHasTheParametersItWasBuiltWith) {
  const Override rtl{"device.d.fidelity", "rtl"};
  EXPECT_EQ(errors_in(device(""), {rtl, {"device.d.ring.clock", "300 MHz"}}), "");
  EXPECT_EQ(errors_in(device(""), {rtl, {"device.d.ring.used_batch", "4"}}),
            "--set device.d.ring.used_batch: is settled when the RTL is built: with fidelity = "
            "\"rtl\" only the clock of a ring engine can be chosen\n");
  EXPECT_EQ(errors_in(device(""), {{"device.d.rtl.check", "false"}}),
            "--set device.d.rtl.check: is for fidelity = \"rtl\"\n");
  EXPECT_EQ(errors_in(device(""), {rtl, {"device.d.rtl.check", "false"}}), "");
}

TEST_F(Timing, RiscvVirtHasABusAndALink) {
  const PlatformConfig p = loaded("[platform.bus]\nwidth = 4\nclock = \"100 MHz\"\n"
                                  "outstanding_reads = 1\noutstanding_writes = 2\n"
                                  "request_latency = 3\nresponse_latency = 5\n"
                                  "[platform.link]\nlanes = 1\n")
                               .platform;
  EXPECT_EQ(p.bus.width, 4u);
  EXPECT_EQ(p.bus.clock.hertz, 100'000'000u);
  EXPECT_EQ(p.bus.outstanding_reads, 1u);
  EXPECT_EQ(p.bus.outstanding_writes, 2u);
  EXPECT_EQ(p.bus.request_latency, 3u);
  EXPECT_EQ(p.bus.response_latency, 5u);
  EXPECT_EQ(p.link.lanes, 1u);
  EXPECT_EQ(errors("[platform.bus]\nclock = \"0 Hz\"\nwidth = 3\noutstanding_reads = 0\n"),
            "platform.toml:5:9: platform.bus.clock: 0 Hz is not allowed: 1 Hz .. 100 GHz\n"
            "platform.toml:6:9: platform.bus.width: 3 is not allowed: 1 .. 128, a power of two\n"
            "platform.toml:7:21: platform.bus.outstanding_reads: 0 is not allowed: 1 .. 1024\n");
  EXPECT_EQ(errors("[platform.link]\nmax_payload = 128\ncompletion_size = 256\n"),
            "platform.toml:6:19: platform.link.completion_size: 256 is not a multiple of "
            "read_completion_boundary 64 up to max_payload 128\n");
  EXPECT_EQ(errors_in(device(""), {{"platform.bus.width", "4"}}),
            "--set platform.bus.width: is a parameter of riscv_virt; the kind of this platform is "
            "pcie_host\n");
}

TEST_F(Timing, AFileOfLatenciesThatIsNone) {
  write("latencies", "# ns\n250\n3oo\n");
  EXPECT_EQ(errors_in(link("[platform.link.memory]\nkind = \"samples\"\n"
                           "samples = \"latencies\"\n")),
            "platform.toml:6:11: platform.link.memory.samples: latencies:3: \"3oo\" is not a "
            "latency in ns with up to three decimals\n");
}

} // namespace

} // namespace virtio::platform
