// What the coverage plan of ring engines counts, by streams written by hand and by a recorded one.
#include <virtio/rtl/cosim/model_dut.hpp>
#include <virtio/rtl/cosim/ring_case.hpp>
#include <virtio/rtl/cosim/ring_coverage.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl::cosim {
namespace {

BoundaryEvent event(Group group, std::uint16_t tag = 0) {
  BoundaryEvent e;
  e.group = group;
  e.tag = tag;
  return e;
}

struct RingCoverageTest : testing::Test {
  CoverPlan plan = ring_cover_plan();
  RingCoverage coverage{plan};

  void enable(std::uint16_t size, RingIndex start, FeatureSet features = {}) {
    BoundaryEvent e = event(Group::command);
    e.command = Command::enable;
    e.setup.size = size;
    e.setup.features = features;
    e.setup.start_avail = e.setup.start_used = start;
    coverage.on_boundary(e);
  }
  void chain(std::uint16_t number, std::uint32_t length) {
    BoundaryEvent e = event(Group::segment);
    e.chain = number;
    e.length = length;
    e.first = e.last = e.writable = true;
    coverage.on_boundary(e);
  }
  void complete(std::uint16_t number) {
    BoundaryEvent e = event(Group::completion);
    e.chain = number;
    coverage.on_boundary(e);
  }
};

TEST_F(RingCoverageTest, BinsOfAnEnabledQueueAreCrossedWithItsFormat) {
  enable(16, {0xfffe, true}, {VIRTIO_F_EVENT_IDX});
  EXPECT_EQ(plan.count("format*start/split*before the wrap"), 1u);
  EXPECT_EQ(plan.count("format*event index/split*on"), 1u);
  EXPECT_EQ(plan.count("format*size/split*16 to 99"), 1u);
  EXPECT_EQ(plan.count("restart/first"), 1u);
  enable(3, {2, true}, {VIRTIO_F_RING_PACKED});
  EXPECT_EQ(plan.count("format*start/packed*before the wrap"), 1u);
  EXPECT_EQ(plan.count("format*size/packed*2 to 15"), 1u);
}

TEST_F(RingCoverageTest, ALaterChainIsOneWithAnOlderStillOut) {
  enable(8, {});
  chain(0xffff, 1);
  chain(0, 4096);
  complete(0);
  EXPECT_EQ(plan.count("completion/a later one"), 1u);
  complete(0xffff);
  EXPECT_EQ(plan.count("completion/the oldest"), 1u);
  EXPECT_EQ(plan.count("segment length/1"), 1u);
  EXPECT_EQ(plan.count("segment length/4096 and more"), 1u);
  complete(5); // of before a reset: not counted
  EXPECT_EQ(plan.count("written/0"), 2u);
}

TEST_F(RingCoverageTest, AnAnswerOvertakesOneThatWasAskedForBefore) {
  enable(8, {});
  for (const std::uint16_t tag : {3, 4})
    coverage.on_boundary(event(Group::read_request, tag));
  for (const std::uint16_t tag : {4, 3}) {
    BoundaryEvent answer = event(Group::read_response, tag);
    answer.last = true;
    coverage.on_boundary(answer);
  }
  EXPECT_EQ(plan.count("answers/overtaking"), 1u);
  EXPECT_EQ(plan.count("answers/in order"), 1u);
}

TEST_F(RingCoverageTest, AResetFindsWhatIsUnderWay) {
  enable(8, {});
  coverage.on_boundary(event(Group::write_request, 1));
  chain(0, 2);
  BoundaryEvent reset = event(Group::command);
  reset.command = Command::reset;
  coverage.on_boundary(reset);
  EXPECT_EQ(plan.count("reset finds/writes"), 1u);
  EXPECT_EQ(plan.count("reset finds/chains with the function"), 1u);
  EXPECT_EQ(plan.count("reset finds/reads"), 0u);
  EXPECT_EQ(plan.count("reset finds/nothing"), 0u);
}

TEST_F(RingCoverageTest, DoesNotChangeTheRun) {
  const Stimulus stimulus = ring_case(*ring_profile("default"), 3);
  ModelRingDut one(4);
  ModelRingDut other(4);
  RingBench with(stimulus, one, {.sink = &coverage});
  RingBench without(stimulus, other, {});
  EXPECT_FALSE(with.run());
  EXPECT_FALSE(without.run());
  EXPECT_EQ(with.cycles(), without.cycles());
  EXPECT_GT(plan.covered(), 50u);
}

} // namespace
} // namespace virtio::rtl::cosim
