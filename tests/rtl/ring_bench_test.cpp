// The ring bench with the models' engines as what is under test: random cases of every profile are
// clean, replay is the case again, and faults that are planted are found and made small.
#include <virtio/rtl/cosim/model_dut.hpp>
#include <virtio/rtl/cosim/ring_case.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl::cosim {
namespace {

struct Trace final : BoundarySink {
  std::string text;
  void on_boundary(const BoundaryEvent& event) override { text += to_string(event) + "\n"; }
};

std::optional<Finding> run(const Stimulus& stimulus, bool timed,
                           const ModelRingDut::Fault& fault = {}, Trace* trace = nullptr) {
  ModelRingDut dut(static_cast<std::uint16_t>(stimulus.number("queues", 1)),
                   timed ? std::optional(RingEngineParams{}) : std::nullopt, fault);
  return RingBench(stimulus, dut, {.sink = trace}).run();
}

class RandomRing : public testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(RandomRing, IsClean) {
  const auto& [profile, timed] = GetParam();
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Stimulus stimulus = ring_case(*ring_profile(profile), seed);
    const auto finding = run(stimulus, timed);
    ASSERT_FALSE(finding) << "seed " << seed << ": " << finding->rule << ": " << finding->evidence
                          << "\n"
                          << to_text(stimulus);
  }
}
INSTANTIATE_TEST_SUITE_P(Each, RandomRing,
                         testing::Combine(testing::Values("default", "legal", "hostile", "reset",
                                                          "calm"),
                                          testing::Bool()),
                         [](const auto& i) {
                           return std::get<0>(i.param) +
                                  (std::get<1>(i.param) ? "_timed" : "_model");
                         });

TEST(RingBench, ACaseIsTheSameEachTimeAndAfterItsFile) {
  const Stimulus stimulus = ring_case(*ring_profile("default"), 7);
  Trace first, second;
  EXPECT_FALSE(run(stimulus, true, {}, &first));
  EXPECT_FALSE(run(*parse_stimulus(to_text(stimulus)), true, {}, &second));
  EXPECT_FALSE(first.text.empty());
  EXPECT_EQ(first.text, second.text);
}

TEST(RingBench, AnAssertionOfTheEngineEndsTheCase) {
  struct Asserting : ModelRingDut {
    using ModelRingDut::ModelRingDut;
    void edge() override {
      ModelRingDut::edge();
      ++edges;
    }
    int failed_assertions() const override { return edges >= 500 ? 1 : 0; }
    unsigned edges = 0;
  } dut(4);
  const auto finding = RingBench(ring_case(*ring_profile("default"), 1), dut).run();
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->rule, "ASSERT");
  EXPECT_EQ(finding->cycle, 500u);
}

TEST(RingBench, WithoutChecksNothingIsJudged) {
  const Stimulus stimulus = ring_case(*ring_profile("default"), 1);
  const auto no_interrupts = [](BoundaryEvent& e) { return e.group != Group::interrupt; };
  ModelRingDut judged(4, {}, no_interrupts);
  EXPECT_TRUE(RingBench(stimulus, judged).run());
  ModelRingDut dut(4, {}, no_interrupts);
  RingBench bench(stimulus, dut, {.checked = false});
  EXPECT_FALSE(bench.run());
  EXPECT_GT(bench.chains(), 0u);
}

struct Planted {
  const char* name;
  const char* rules; ///< any of these
  std::function<bool(BoundaryEvent&)> fault;
};

const Planted planted[] = {
    {"InterruptLost", "RING-INTERRUPT-MISSED RING-HANG",
     [n = 0](BoundaryEvent& e) mutable { return e.group != Group::interrupt || ++n % 4 != 0; }},
    {"UsedLength", "RING-USED DRIVER-USED",
     [n = 0](BoundaryEvent& e) mutable {
       if (e.group == Group::write_request && e.kind == AccessKind::used && e.data.size() == 8 &&
           ++n % 5 == 0)
         e.data[e.data.size() - 4] ^= std::byte{1};
       return true;
     }},
    {"SegmentLength", "RING-SEGMENT DRIVER-SEGMENT",
     [](BoundaryEvent& e) {
       if (e.group == Group::segment && e.length > 1000) --e.length;
       return true;
     }},
    {"ErrorLost", "RING-ERROR-MISSED", [](BoundaryEvent& e) { return e.group != Group::error; }},
    {"AbortLost", "RING-ABORT", [](BoundaryEvent& e) { return e.group != Group::abort; }},
};

TEST(RingCase, ASimplerOneHasNoQueueThatNoItemNames) {
  Stimulus stimulus;
  stimulus.settings["queues"] = "12";
  stimulus.settings["size"] = "1";
  stimulus.items = {"wait 7", "deaf 3", "kick 3", "sleep 10", "wish 10 2"};
  const auto simpler = simpler_ring_settings(stimulus);
  ASSERT_EQ(simpler.size(), 3u);
  EXPECT_EQ(simpler[0].number("queues"), 2u);
  EXPECT_EQ(simpler[0].items,
            (std::vector<Item>{"wait 7", "deaf 0", "kick 0", "sleep 1", "wish 1 2"}));
  EXPECT_EQ(simpler[1].number("queues"), 3u); // an idle one may matter
  EXPECT_EQ(simpler[1].items, simpler[0].items);
  EXPECT_EQ(simpler[2].number("queues"), 11u);
  EXPECT_EQ(simpler[2].items, stimulus.items);
  EXPECT_TRUE(simpler_ring_settings(simpler[0]).empty());
}

TEST(RingCase, ASimplerOneStartsWhereChainsWouldHaveMovedTheRing) {
  Stimulus stimulus;
  stimulus.settings = {{"size", "1"}, {"start", "65535"}};
  stimulus.items = {"chain 0 order r16 w16", "kick 0", "burst 0 3", "sleep 0"};
  auto simpler = simpler_ring_settings(stimulus);
  ASSERT_EQ(simpler.size(), 4u); // the first starts at 0
  EXPECT_EQ(simpler[1].number("start"), 0u);
  EXPECT_EQ(simpler[1].items, (std::vector<Item>{"kick 0", "burst 0 3", "sleep 0"}));
  EXPECT_EQ(simpler[2].number("start"), 3u); // both
  EXPECT_EQ(simpler[2].items, (std::vector<Item>{"sleep 0"}));
  EXPECT_EQ(simpler[3].number("start"), 2u); // the burst
  EXPECT_EQ(simpler[3].items, (std::vector<Item>{stimulus.items[0], "kick 0", "sleep 0"}));
  // A packed ring moves by descriptors, and around twice.
  stimulus.settings = {{"size", "1"}, {"packed", "1"}, {"start", "0"}};
  stimulus.items = {"chain 0 r16 w16 w4end"};
  EXPECT_EQ(simpler_ring_settings(stimulus).at(0).number("start"), 1u);
  stimulus.items = {"chain 0 indirect r16 w16"};
  EXPECT_EQ(simpler_ring_settings(stimulus).at(0).number("start"), 1u);
  stimulus.items = {"chain 0 r16 w16"};
  EXPECT_EQ(simpler_ring_settings(stimulus).at(0).number("start"), 0u);
}

class PlantedFault : public testing::TestWithParam<Planted> {};

TEST_P(PlantedFault, IsFoundAndMadeSmall) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const Stimulus stimulus = ring_case(*ring_profile("default"), seed);
    const auto once = [&](const Stimulus& s) { return run(s, true, GetParam().fault); };
    const auto finding = once(stimulus);
    if (!finding) continue;
    ASSERT_NE(std::string(GetParam().rules).find(finding->rule), std::string::npos)
        << finding->rule << ": " << finding->evidence;
    const Shrunk small = shrink(
        stimulus, *finding,
        {.run = once, .simpler = simpler_ring_items, .simpler_settings = simpler_ring_settings});
    EXPECT_EQ(small.finding.rule, finding->rule);
    const auto chains = std::count_if(small.stimulus.items.begin(), small.stimulus.items.end(),
                                      [](const Item& i) { return i.starts_with("chain"); });
    EXPECT_LE(chains, 6) << to_text(small.stimulus);
    EXPECT_LE(small.stimulus.items.size(), 10u) << to_text(small.stimulus);
    const auto again = once(small.stimulus);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->rule, finding->rule);
    return;
  }
  FAIL() << "not found";
}
INSTANTIATE_TEST_SUITE_P(Each, PlantedFault, testing::ValuesIn(planted),
                         [](const auto& i) { return std::string(i.param.name); });

} // namespace
} // namespace virtio::rtl::cosim
