// The executable of the performance platform as a user meets it, run untimed: what the host costs
// is all that takes time, so throughput and latency follow from the cost model by hand.
#include "program/run_program.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <test_paths.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace {

using nlohmann::json;

struct PcieHost : testing::Test {
  TemporaryFolder folder;

  ProgramResult run(const std::string& toml, const std::string& arguments = "") const {
    folder.write("platform.toml", "[platform]\nkind = \"pcie_host\"\n" + toml);
    return run_shell(TEST_BIN_DIR "/virtio-tlm-pcie-host " +
                     (folder.path / "platform.toml").string() + " --json --out " +
                     (folder.path / "out").string() + " " + arguments);
  }
  json summary(const std::string& toml, const std::string& arguments = "") const {
    const auto result = run(toml, arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
    return json::parse(result.out);
  }
  json workload(const std::string& toml, const std::string& arguments = "") const {
    return summary(toml, arguments)["workloads"][0];
  }

  // 1 cycle is 1 ns: submit 600 ns, complete 400 ns, doorbell 150 ns; every look finds something.
  static constexpr const char* host = "[platform.host]\nclock = \"1 GHz\"\nsubmit_cycles = 600\n"
                                      "complete_cycles = 400\nmmio_write_cycles = 150\n";
  static std::string block(const std::string& keys) {
    return std::string(host) + "[[device]]\nname = \"d\"\ntype = \"block\"\ntransport = \"pci\"\n" +
           "capacity = \"4 MiB\"\n[[workload]]\ndevice = \"d\"\n" + keys;
  }
  static std::string net(const std::string& keys) {
    return std::string(host) + "[[device]]\nname = \"d\"\ntype = \"net\"\ntransport = \"pci\"\n" +
           "[[workload]]\ndevice = \"d\"\n" + keys;
  }
};

TEST_F(PcieHost, ADeviceThatTakesNoTimeIsAsFastAsItsDriver) {
  const auto w = workload(block("requests = 2000\nread_percent = 50\ndepth = 1\n"));
  // submit, doorbell, complete: 1150 ns a request.
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 1e9 / 1150, 500);
  EXPECT_EQ(w["total"]["latency_ps"]["p50"], 1'150'000);
  EXPECT_EQ(w["total"]["latency_ps"]["max"], 1'150'000);
  EXPECT_EQ(w["total"]["requests"], 2000);
  EXPECT_EQ(w["started"], w["finished"]);
  EXPECT_GT(w["verified_blocks"], 300);
  ASSERT_EQ(w["queues"].size(), 2u);
  EXPECT_EQ(w["queues"][0]["kind"], "read");
  EXPECT_NEAR(w["queues"][0]["requests"].get<double>(), 1000, 100);
}

TEST_F(PcieHost, ABatchSharesOneDoorbell) {
  const auto w = workload(block("requests = 2000\ndepth = 8\nbatch = 8\n"));
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 8e9 / (8 * 1000 + 150), 4000);
}

TEST_F(PcieHost, AnOpenLoopBelowSaturationHasTheLatencyOfDepth1) {
  const auto w =
      workload(block("requests = 1000\narrival = \"fixed\"\nrate = 100_000\ndepth = 32\n"));
  EXPECT_EQ(w["total"]["latency_ps"]["p50"], 1'150'000);
  EXPECT_EQ(w["total"]["latency_ps"]["max"], 1'150'000);
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 100'000, 100);
}

TEST_F(PcieHost, PoissonArrivalsHaveTheirRateAndQueueUp) {
  const auto w =
      workload(block("requests = 20_000\narrival = \"poisson\"\nrate = 400_000\ndepth = 32\n"));
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 400'000, 8'000);
  // A queue of one server with fixed service time, load 0.46: its mean wait is rho / (2 (1 - rho))
  // services.
  const double service = 1150, load = 0.46;
  EXPECT_NEAR(w["total"]["latency_ps"]["mean"].get<double>() / 1000,
              service * (1 + load / (2 * (1 - load))), 0.05 * service);
}

TEST_F(PcieHost, LittlesLawHolds) {
  for (const char* keys :
       {"requests = 5000\ndepth = 16\nread_percent = 30\n",
        "requests = 20_000\narrival = \"poisson\"\nrate = 600_000\ndepth = 32\n",
        "duration = \"10 ms\"\narrival = \"fixed\"\nrate = 2_000_000\ndepth = 32\n"}) {
    const auto w = workload(block(keys));
    const double under_way = w["under_way_milli"].get<double>() / 1000;
    const double product = w["total"]["requests_per_second"].get<double>() *
                           w["total"]["latency_ps"]["mean"].get<double>() / 1e12;
    // The last one is overloaded: its queue grows, so there is no steady state to speak of.
    if (std::string(keys).find("2_000_000") == std::string::npos)
      EXPECT_NEAR(product / under_way, 1, 0.01) << keys;
    else
      EXPECT_GT(under_way, 1000);
  }
}

TEST_F(PcieHost, EqualSeedsGiveEqualBytes) {
  const std::string toml =
      block("requests = 500\narrival = \"poisson\"\nrate = 500_000\nread_percent = 50\n");
  const auto first = run(toml, "--seed 7");
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(run(toml, "--seed 7").out, first.out);
  EXPECT_NE(run(toml, "--seed 8").out, first.out);
}

TEST_F(PcieHost, FramesInBothDirectionsAllArrive) {
  const auto w = workload(net("duration = \"2 ms\"\ndirection = \"both\"\nframes = \"imix\"\n"
                              "arrival = \"poisson\"\nrate = 200_000\ndepth = 64\n"));
  EXPECT_EQ(w["dropped"], 0);
  ASSERT_EQ(w["queues"].size(), 2u);
  EXPECT_EQ(w["queues"][0]["kind"], "receive");
  EXPECT_EQ(w["queues"][1]["kind"], "transmit");
  for (const auto& queue : w["queues"])
    EXPECT_NEAR(queue["requests"].get<double>(), 400, 60);
}

TEST_F(PcieHost, AWireFasterThanTheDriverLosesFrames) {
  const auto w = workload(net("duration = \"2 ms\"\ndirection = \"receive\"\nframe_bytes = 60\n"
                              "wire_rate = \"10 Gbit/s\"\ndepth = 16\n"));
  EXPECT_GT(w["dropped"], 1000);
  // complete 400, post again 600, doorbell 150 or none.
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 900'000, 100'000);
}

TEST_F(PcieHost, TwoQueuesOnOneCoreShareItsTime) {
  const std::string two = std::string(host) + "cores = 1\n" +
                          "[[device]]\nname = \"a\"\ntype = \"block\"\ntransport = \"pci\"\n"
                          "capacity = \"1 MiB\"\n[[device]]\nname = \"b\"\ntype = \"block\"\n"
                          "transport = \"pci\"\ncapacity = \"1 MiB\"\n"
                          "[[workload]]\ndevice = \"a\"\nduration = \"5 ms\"\ndepth = 1\n"
                          "[[workload]]\ndevice = \"b\"\nduration = \"5 ms\"\ndepth = 1\n";
  const json shared = summary(two);
  for (const auto& w : shared["workloads"])
    EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 1e9 / 2300, 1000);
  const json apart = summary(two, "--set platform.host.cores=2");
  for (const auto& w : apart["workloads"])
    EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 1e9 / 1150, 1000);
}

TEST_F(PcieHost, FourQueuesOnFourCoresDoFourTimesTheWork) {
  const auto w = workload(block("duration = \"2 ms\"\ndepth = 1\nread_percent = 50\n"),
                          "--set device.d.queues=4");
  EXPECT_EQ(w["queues"].size(), 8u);
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 4e9 / 1150, 4000);
}

TEST_F(PcieHost, EveryFormatOfTheRingDoesTheSame) {
  for (const char* options :
       {"", "--set platform.host.ring=packed", "--set platform.host.indirect=true",
        "--set platform.host.in_order=true --set device.d.features.in_order=true",
        "--set platform.host.event_index=false --set platform.host.notification_data=true "
        "--set device.d.features.notification_data=true"}) {
    const auto w = workload(block("requests = 1000\nread_percent = 50\ndepth = 8\n"), options);
    EXPECT_EQ(w["started"], w["finished"]) << options;
  }
}

// --- timed: with link and ring engine
// -------------------------------------------------------------

const std::string timed = "--set device.d.fidelity=timed ";

TEST_F(PcieHost, StagesAddUpToTheLatency) {
  const auto w = workload(block("requests = 2000\nread_percent = 50\ndepth = 8\n"), timed);
  double sum = 0;
  for (const auto& [name, stage] : w["total"]["stage_ps"].items()) {
    EXPECT_GT(stage["mean"], 0) << name;
    sum += stage["mean"].get<double>();
  }
  EXPECT_NEAR(sum / w["total"]["latency_ps"]["mean"].get<double>(), 1, 0.0001);
}

TEST_F(PcieHost, TheStageOfASlowMediumIsData) {
  const auto w = workload(block("requests = 500\ndepth = 4\nread_percent = 50\n"),
                          timed + "--set device.d.timing.read_latency='100 us' --set "
                                  "device.d.timing.write_latency='30 us'");
  for (const auto& queue : w["queues"]) {
    const double medium = queue["kind"] == "read" ? 100e6 : 30e6;
    EXPECT_NEAR(queue["stage_ps"]["data"]["mean"].get<double>(), medium + 2e6, 2e6);
    EXPECT_LT(queue["latency_ps"]["mean"], medium + 10e6);
  }
}

TEST_F(PcieHost, TimedLittlesLawHolds) {
  for (const char* completion : {"polling", "interrupt", "napi"}) {
    const auto w = workload(block("requests = 20_000\nread_percent = 50\ndepth = 16\n"),
                            timed + "--set platform.host.completion=" + completion);
    const double product = w["total"]["requests_per_second"].get<double>() *
                           w["total"]["latency_ps"]["mean"].get<double>() / 1e12;
    EXPECT_NEAR(product / (w["under_way_milli"].get<double>() / 1000), 1, 0.01) << completion;
    EXPECT_EQ(w["started"], w["finished"]) << completion;
    EXPECT_EQ(w["interrupts"] == 0, std::string(completion) == "polling");
  }
}

TEST_F(PcieHost, TimedAnOpenLoopAtLowLoadHasTheLatencyOfDepth1) {
  const auto closed = workload(block("requests = 500\ndepth = 1\n"), timed);
  const auto open =
      workload(block("requests = 500\narrival = \"fixed\"\nrate = 10_000\ndepth = 16\n"), timed);
  const auto mean = [](const json& w) { return w["total"]["latency_ps"]["mean"].get<double>(); };
  EXPECT_NEAR(mean(open) / mean(closed), 1, 0.05); // where a look falls between two
}

TEST_F(PcieHost, TheLinkCarriesWhatTheRequestsMove) {
  const auto w = workload(block("requests = 5000\nread_percent = 100\ndepth = 16\n"), timed);
  const auto& data = w["link"]["device_accesses"]["data"];
  const double moved = w["total"]["bytes"].get<double>();
  // Beside the data there are headers and status bytes: 17 in 4096.
  EXPECT_NEAR(data["bytes"].get<double>() / moved, 1 + 17.0 / 4096, 0.01);
  EXPECT_GT(w["link"]["upstream"]["busy_per_mille"], w["link"]["downstream"]["busy_per_mille"]);
}

TEST_F(PcieHost, NamesTheBottleneckThatIsThere) {
  const std::string keys = block("requests = 3000\nread_percent = 0\ndepth = 64\n");
  const std::string queue =
      timed + "--set device.d.queue_size=1024 --set platform.host.clock='50 GHz' ";
  const auto name = [&](const std::string& arguments) {
    return workload(keys, queue + arguments)["bottleneck"]["name"].get<std::string>();
  };
  EXPECT_EQ(name("--set platform.link.lanes=1 --set platform.link.generation=1"),
            "link_downstream");
  EXPECT_EQ(name("--set workload.d.read_percent=100 --set platform.link.lanes=1"), "link_upstream");
  EXPECT_EQ(name("--set platform.link.tags=1"), "tags");
  EXPECT_EQ(name("--set platform.host.clock='200 MHz'"), "core_0");
  EXPECT_EQ(name("--set workload.d.depth=1"), "latency");
  EXPECT_EQ(name("--set workload.d.arrival=fixed --set workload.d.rate=1000"), "offered_load");
  EXPECT_EQ(name("--set device.d.ring.clock='2 MHz'"), "ring_walk");
}

/// More of a resource never costs throughput, but for the 1 % that a phase may make. The driver
/// costs next to nothing here: else a faster device, which sleeps more often, asks it for more
/// doorbells.
TEST_F(PcieHost, MoreLanesAndMoreTagsAreNeverSlower) {
  for (const auto& [parameter, values] :
       {std::pair<std::string, std::vector<int>>{"lanes", {1, 2, 4, 8, 16}},
        {"tags", {1, 4, 16, 64, 256}}})
    for (const char* read_percent : {"0", "100"}) {
      double before = 0;
      for (const int value : values) {
        const auto w = workload(block("requests = 3000\ndepth = 32\n"),
                                timed + "--set platform.host.clock='100 GHz' --set platform.link." +
                                    parameter + "=" + std::to_string(value) +
                                    " --set workload.d.read_percent=" + read_percent);
        const double rate = w["total"]["requests_per_second"].get<double>();
        EXPECT_GE(rate, 0.99 * before) << parameter << " " << value;
        before = rate;
      }
    }
}

/// On a long way, throughput follows the reads that the ring engine keeps under way, and nothing on
/// the way allows fewer.
TEST_F(PcieHost, TheRingEnginesOutstandingReadsAreTheLimit) {
  const auto with = [&](const std::string& reads) {
    return workload(
        block("requests = 3000\nread_percent = 0\ndepth = 64\nblock_size = \"512 B\"\n"),
        timed +
            "--set device.d.queue_size=1024 --set platform.host.clock='50 GHz' "
            "--set platform.link.propagation='2 us' --set "
            "platform.link.host_credits.nonposted_header=0 --set "
            "device.d.ring.outstanding_reads=" +
            reads);
  };
  const auto rate = [](const json& w) { return w["total"]["requests_per_second"].get<double>(); };
  const auto four = with("4"), eight = with("8"), sixteen = with("16"), many = with("32");
  EXPECT_EQ(four["bottleneck"]["name"], "outstanding_reads");
  EXPECT_NEAR(rate(eight) / rate(four), 2, 0.1);
  EXPECT_NEAR(rate(sixteen) / rate(eight), 2, 0.1);
  EXPECT_GT(rate(many) / rate(sixteen), 1.3);
}

/// Three queues that always have work, in an engine whose choice of a queue, one entry at a time,
/// is what takes the time.
TEST_F(PcieHost, ArbitrationBetweenQueuesFollowsTheFile) {
  const std::string keys = block("duration = \"3 ms\"\ndepth = 32\nblock_size = \"512 B\"\n");
  std::string engine = timed + "--set device.d.queues=3 --set platform.host.clock='50 GHz' "
                               "--set platform.host.event_index=false ";
  for (const char* parameter : {"clock='100 MHz'", "visit_cycles=100", "available_batch=1",
                                "available_prefetch=16", "queues_in_flight=1"})
    engine += std::string("--set device.d.ring.") + parameter + " ";
  const auto shares = [&](const std::string& arguments) {
    std::vector<double> all(3);
    const auto w = workload(keys, engine + arguments);
    for (const auto& queue : w["queues"])
      all[queue["queue"].get<std::size_t>()] =
          queue["requests"].get<double>() / w["total"]["requests"].get<double>();
    return all;
  };
  const auto expect = [](const std::vector<double>& all, std::vector<double> wanted) {
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(all[i], wanted[i], 0.02) << i;
  };
  const std::string ring = "--set device.d.ring.";
  expect(shares(""), {1.0 / 3, 1.0 / 3, 1.0 / 3});
  expect(shares(ring + "arbitration=weighted " + ring + "weights='6 3 1'"), {0.6, 0.3, 0.1});
  expect(shares(ring + "arbitration=weighted " + ring + "weights=[2]"), {0.5, 0.25, 0.25});
  expect(shares(ring + "arbitration=priority " + ring + "priorities='7 7 0'"), {0, 0, 1});
}

TEST_F(PcieHost, TheMediumIsTheBottleneckWhenItsChannelsAreBusy) {
  const auto w = workload(block("requests = 3000\ndepth = 64\n"),
                          timed + "--set device.d.timing.read_latency='20 us' --set "
                                  "device.d.timing.channels=8");
  EXPECT_EQ(w["bottleneck"]["name"], "medium_channels");
  EXPECT_NEAR(w["total"]["requests_per_second"].get<double>(), 8e6 / 20, 4000);
}

TEST_F(PcieHost, FramesOfFourPairsStayWithTheirPair) {
  for (const std::string& fidelity : {std::string(), timed}) {
    const auto w = workload(net("duration = \"2 ms\"\ndirection = \"both\"\nframe_bytes = 256\n"
                                "arrival = \"poisson\"\nrate = 1_000_000\ndepth = 64\n"),
                            fidelity + "--set device.d.queues=4");
    EXPECT_EQ(w["dropped"], 0);
    ASSERT_EQ(w["queues"].size(), 8u);
    for (const auto& queue : w["queues"]) // each flow comes back where it was sent from
      EXPECT_NEAR(queue["requests"].get<double>(), 500, 100) << queue["queue"];
  }
}

TEST_F(PcieHost, TimedFramesInBothDirectionsAllArrive) {
  const auto w = workload(net("duration = \"2 ms\"\ndirection = \"both\"\nframes = \"imix\"\n"
                              "arrival = \"poisson\"\nrate = 200_000\ndepth = 64\n"),
                          timed + "--set platform.host.completion=napi");
  EXPECT_EQ(w["dropped"], 0);
  for (const auto& queue : w["queues"])
    EXPECT_NEAR(queue["requests"].get<double>(), 400, 60);
}

TEST_F(PcieHost, TheDriverKeepsTheRulesInEveryFormatOfTheRing) {
  const std::string traffic = block("requests = 500\nread_percent = 50\ndepth = 8\nbatch = 4\n");
  for (const char* ring : {"split", "packed"})
    for (const char* on : {"false", "true"}) {
      std::string options = std::string("--set platform.host.ring=") + ring;
      for (const char* key : {"event_index", "indirect", "in_order", "notification_data"})
        options += std::string(" --set platform.host.") + key + "=" + on;
      for (const char* key : {"in_order", "notification_data"})
        options += std::string(" --set device.d.features.") + key + "=" + on;
      for (const std::string& fidelity : {std::string(), " " + timed}) {
        const json s = summary("check_driver = true\n" + traffic, options + fidelity);
        ASSERT_TRUE(s.contains("violations")) << options;
        EXPECT_EQ(s["violations"]["d"], json::array()) << options << fidelity;
      }
    }
  EXPECT_FALSE(summary(traffic).contains("violations"));
}

/// With a tap in between, transactions take the sockets of TLM-2.0; without, none.
TEST_F(PcieHost, TheWayOfTransactionsChangesNoTime) {
  const std::string link = " --set platform.link.posted_buffer=1024 --set platform.link.tags=16"
                           " --set platform.link.nonposted_queue=2 --set platform.link.lanes=4";
  for (const char* completion : {"polling", "interrupt"})
    for (const std::string& options : {std::string(), link}) {
      const std::string all = timed + "--set platform.host.completion=" + completion + options;
      const auto blocks = block("requests = 1000\nread_percent = 50\ndepth = 16\n");
      EXPECT_EQ(workload(blocks, all), workload(blocks, all + " --set platform.check_driver=true"))
          << all;
      const auto frames = net("duration = \"1 ms\"\ndirection = \"both\"\nframes = \"imix\"\n"
                              "arrival = \"poisson\"\nrate = 400_000\ndepth = 64\n");
      EXPECT_EQ(workload(frames, all), workload(frames, all + " --set platform.check_driver=true"))
          << all;
    }
}

const std::string scaled = "--set device.d.queues=3 --set device.d.features.mq=true --set "
                           "device.d.features.ctrl_vq=true --set device.d.features.rss=true ";
const char* const three_flows = "duration = \"300 us\"\ndirection = \"both\"\ndepth = 64\n"
                                "arrival = \"poisson\"\nrate = 3_000_000\n";

/// What the far end has for a pair arrives on it by the driver's table.
TEST_F(PcieHost, ReceiveSideScalingSpreadsTheFlows) {
  const auto w = workload(net(three_flows), scaled);
  std::vector<double> received;
  for (const auto& queue : w["queues"])
    if (queue["kind"] == "receive") received.push_back(queue["requests"].get<double>());
  ASSERT_EQ(received.size(), 3u);
  for (const double requests : received)
    EXPECT_NEAR(requests, received[0], 0.2 * received[0] + 10);
}

#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
TEST_F(PcieHost, TheRssBlockInRtlDecidesAsTheModelDoes) {
  EXPECT_EQ(workload(net(three_flows), scaled + "--set device.d.rss.fidelity=rtl"),
            workload(net(three_flows), scaled));
  // With a ring engine in RTL beside it.
  const auto both = workload(net(three_flows), scaled + timed +
                                                   "--set device.d.rss.fidelity=rtl --set "
                                                   "device.d.fidelity=rtl");
  EXPECT_GT(both["total"]["requests"], 100);
}

TEST_F(PcieHost, TheRssBlockHasATableOf128Entries) {
  const auto result = run(net("requests = 1\n"), scaled + "--set device.d.rss.fidelity=rtl --set "
                                                          "device.d.rss.table_length=256");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("the RSS block's indirection table has 128 entries"), std::string::npos)
      << result.err;
}

/// The ring engine in RTL serves the same requests, judged while it does.
TEST_F(PcieHost, RunsOnTheRingEngineInRtl) {
  const std::string rtl = "--set device.d.fidelity=rtl --set platform.host.completion=interrupt ";
  for (const char* ring : {"split", "packed"}) {
    const std::string all = rtl + "--set platform.host.ring=" + ring;
    const auto blocks =
        workload(block("requests = 2000\nread_percent = 50\ndepth = 16\nqueues = 2\n"),
                 all + " --set device.d.queues=2");
    EXPECT_EQ(blocks["started"], blocks["finished"]);
    EXPECT_GT(blocks["verified_blocks"], 300);
    const auto frames = workload(net("requests = 2000\ndirection = \"both\"\ndepth = 64\n"), all);
    EXPECT_GE(frames["total"]["requests"], 2000);
  }
  // Every queue's place in the ring engine is the same as in the timed one's report.
  const auto one = workload(block("requests = 200\ndepth = 1\n"), rtl);
  const auto other = workload(block("requests = 200\ndepth = 1\n"),
                              timed + "--set platform.host.completion=interrupt");
  EXPECT_NEAR(one["total"]["latency_ps"]["mean"].get<double>() /
                  other["total"]["latency_ps"]["mean"].get<double>(),
              1, 0.5);
}

TEST_F(PcieHost, MoreQueuesThanTheRtlHasAreRefused) {
  const auto result =
      run(block("requests = 1\n"), "--set device.d.fidelity=rtl --set device.d.queues=17 --set "
                                   "device.d.features.mq=true");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("has 17 queues, but the ring engine was built with 16"),
            std::string::npos)
      << result.err;
}
#endif

/// Where the driver is the bottleneck, so that no look at the ring is in vain.
TEST_F(PcieHost, AReadOf4KiBTakesAtMost12Events) {
  const std::string toml = "preset = \"gen4x16-server\"\n[[device]]\nname = \"d\"\ntype = "
                           "\"block\"\ntransport = \"pci\"\ncapacity = \"4 MiB\"\n"
                           "[[workload]]\ndevice = \"d\"\nrequests = 5000\ndepth = 32\n";
  const json simulation = summary(toml, timed)["simulation"];
  const std::uint64_t events = simulation["resumptions"].get<std::uint64_t>() +
                               simulation["delta_cycles"].get<std::uint64_t>();
  EXPECT_EQ(simulation["events_per_request_milli"],
            events * 1000 / simulation["requests"].get<std::uint64_t>());
  EXPECT_LE(simulation["events_per_request_milli"], 12'000);
  EXPECT_GE(simulation["events_per_request_milli"], 4'000);
  EXPECT_NE(run(toml, timed).out.find("\"simulation\""), std::string::npos);
}

TEST_F(PcieHost, AMediumIsReadAndItsOriginalStaysAsItIs) {
  std::string content(1 << 20, '\0');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i * 7 + i / 512);
  folder.write("disk.img", content);
  const std::string toml =
      std::string(host) + "[[media]]\nname = \"m\"\nfile = \"disk.img\"\n[[device]]\nname = \"d\"\n"
                          "type = \"block\"\ntransport = \"pci\"\nmedia = \"m\"\n"
                          "[[workload]]\ndevice = \"d\"\nrequests = 500\nread_percent = 50\n";
  EXPECT_GT(workload(toml)["verified_blocks"], 50);
  EXPECT_EQ(content_of(folder.path / "disk.img"), content);
  EXPECT_NE(content_of(folder.path / "out" / "m.img"), content);
}

TEST_F(PcieHost, ARunThatDoesNotEndSaysHowFarItCame) {
  const auto result =
      run("time_limit = \"100 us\"\n" + block("requests = 1_000_000\nwarm_up = \"1 s\"\n"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("the time limit of 100 us of simulated time was reached; d: "),
            std::string::npos)
      << result.out;
}

} // namespace
