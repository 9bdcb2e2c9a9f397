// What is said of the bottleneck, sentence by sentence, and where one gives way to another.
#include <virtio/platforms/pcie_host/bottleneck.hpp>

#include <gtest/gtest.h>

namespace virtio::platform::pcie_host {
namespace {

/// A closed loop of 32 requests, 4 us each, of which 1 us would remain on an idle device.
Situation closed() {
  Situation s;
  s.requests_per_second = 8'000'000;
  s.depth = 32;
  s.places = 32;
  s.under_way_milli = 32'000;
  s.latency_ps = 4'000'000;
  s.unloaded_ps = 1'000'000;
  s.longest_stage = "data";
  s.longest_stage_per_mille = 512;
  return s;
}

/// At depth 1: nothing waits for anything.
Situation alone() {
  Situation s = closed();
  s.requests_per_second = 1'000'000;
  s.depth = s.places = 1;
  s.under_way_milli = 1'000;
  s.latency_ps = s.unloaded_ps = 1'000'000;
  return s;
}

Situation open() {
  Situation s = closed();
  s.open_loop = true;
  s.under_way_milli = 3'250;
  return s;
}

Limits limits(std::uint64_t link, std::uint64_t tags = 0) {
  return {{{"core_0", "the driver's core 0", 100}, {"link_upstream", "the link", link}},
          {{"tags", "reads waited for a tag", tags},
           {"posted_buffer", "writes waited for the buffer", 9'000, false}}};
}

TEST(Bottleneck, NothingMeasured) {
  const auto b = judge(closed(), {});
  EXPECT_EQ(b.name, "none");
  EXPECT_EQ(b.sentence, "Nothing was measured.");
}

TEST(Bottleneck, AResourceThatIsBusyAllTheTime) {
  for (const Situation& s : {closed(), alone(), open()}) {
    const auto b = judge(s, limits(950));
    EXPECT_EQ(b.name, "link_upstream");
    EXPECT_EQ(b.sentence, "The bottleneck is the link: it was busy 95.0 % of the time.");
  }
}

TEST(Bottleneck, AnOpenLoopThatKeepsUpIsLimitedByItsLoadHoweverBusyTheLinkIs) {
  const auto b = judge(open(), limits(949, 800));
  EXPECT_EQ(b.name, "offered_load");
  EXPECT_EQ(b.sentence,
            "Nothing is saturated, the offered load decides: all 8000000 requests/s were served, "
            "with 3.250 under way on average; the busiest resource, the link, was busy 94.9 % of "
            "the time, and the stage \"data\" takes 51.2 % of the latency.");
}

TEST(Bottleneck, AnOpenLoopThatDoesNotKeepUpIsLimitedLikeAClosedOne) {
  Situation queue_grows = open();
  queue_grows.under_way_milli = 32'000;
  EXPECT_EQ(judge(queue_grows, limits(800)).name, "link_upstream");
  EXPECT_EQ(judge(queue_grows, limits(800, 900)).name, "tags");
  Situation frames_are_lost = open();
  frames_are_lost.dropped = 1;
  EXPECT_EQ(judge(frames_are_lost, limits(800)).name, "link_upstream");
}

TEST(Bottleneck, WhatHalfARequestWaitsFor) {
  const auto b = judge(closed(), limits(600, 1'250));
  EXPECT_EQ(b.name, "tags");
  EXPECT_EQ(b.sentence,
            "The bottleneck is \"tags\": reads waited for a tag, 1.250 of them at a time on "
            "average, while no resource was busy more than 60.0 % of the time (the link).");
  EXPECT_EQ(judge(closed(), limits(849, 500)).name, "tags");
  EXPECT_NE(judge(closed(), limits(849, 499)).name, "tags");
}

TEST(Bottleneck, AWaitBehindABusyLinkIsAWaitForTheLink) {
  EXPECT_EQ(judge(closed(), limits(850, 1'250)).name, "link_upstream");
}

TEST(Bottleneck, TheDevicesOwnFullBufferIsNoCause) {
  EXPECT_NE(judge(closed(), limits(100)).name, "posted_buffer");
}

/// 32 requests of 1 us each would make 32 M/s; the link at 84 % carries 9.5 M/s at most.
TEST(Bottleneck, JustBelowSaturationTheSmallerBoundDecides) {
  const auto b = judge(closed(), limits(840));
  EXPECT_EQ(b.name, "link_upstream");
  EXPECT_EQ(b.sentence,
            "The bottleneck is the link: it was busy 84.0 % of the time, so it carries 9523809 "
            "requests/s at most, where the 32.000 requests under way would make 32000000 "
            "requests/s if none waited for another.");
  // Latency 1.2 us, 1 us of it unloaded: 9.6 M/s against 9.52 M/s and 9.66 M/s.
  Situation s = closed();
  s.latency_ps = 1'200'000;
  EXPECT_EQ(judge(s, limits(840)).name, "link_upstream");
  EXPECT_EQ(judge(s, limits(828)).name, "latency");
}

TEST(Bottleneck, AloneARequestIsLimitedByItsLatencyWhateverItIsMadeOf) {
  const auto b = judge(alone(), limits(900));
  EXPECT_EQ(b.name, "latency");
  EXPECT_EQ(b.sentence,
            "The bottleneck is latency, with 1 requests under way in each queue: a request takes "
            "1000 ns, of which 1000 ns remain on an idle device; no resource was busy more than "
            "90.0 % of the time (the link), and the stage \"data\" takes 51.2 % of the latency.");
}

TEST(Bottleneck, AResourceThatIsMostlyIdleIsNone) {
  EXPECT_EQ(judge(closed(), limits(500)).name, "link_upstream");
  EXPECT_EQ(judge(closed(), limits(499)).name, "latency");
}

} // namespace
} // namespace virtio::platform::pcie_host
