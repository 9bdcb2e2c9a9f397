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
