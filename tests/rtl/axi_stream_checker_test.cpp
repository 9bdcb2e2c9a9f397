#include <virtio/rtl/bus/axi_stream_checker.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl::bus {
namespace {

const std::array<std::byte, 4> data{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
const std::array<std::byte, 4> other{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{5}};
constexpr StreamBeat idle{};

StreamBeat whole(bool ready, bool last = true) {
  return {.valid = true, .ready = ready, .last = last, .keep = 0xf, .data = data};
}

/// The first rule that is broken by these cycles, or "".
std::string rule(const std::vector<StreamBeat>& cycles, AxiStreamChecker::Limits limits = {}) {
  AxiStreamChecker checker("in", limits);
  std::uint64_t cycle = 0;
  for (const StreamBeat& beat : cycles)
    if (const auto broken = checker.cycle(cycle++, beat)) return broken->rule;
  const auto broken = checker.end(cycle);
  return broken ? broken->rule : "";
}

StreamBeat with_keep(std::uint64_t keep, bool last) {
  StreamBeat beat = whole(true, last);
  beat.keep = keep;
  return beat;
}

TEST(AxiStreamChecker, LegalStreamsBreakNothing) {
  EXPECT_EQ(rule({idle, whole(false), whole(false), whole(true), whole(true, false), idle,
                  whole(false, false), whole(true, false), with_keep(0x1, true), idle}),
            "");
}

TEST(AxiStreamChecker, ValidMustNotFallBeforeTheBeatIsTaken) {
  EXPECT_EQ(rule({whole(false), idle}), "AXIS-STABLE");
}

TEST(AxiStreamChecker, StalledBeatsMustNotChange) {
  StreamBeat changed = whole(true);
  changed.data = other;
  EXPECT_EQ(rule({whole(false), changed}), "AXIS-STABLE");
  EXPECT_EQ(rule({whole(false), whole(false), changed}), "AXIS-STABLE");
  EXPECT_EQ(rule({whole(false), with_keep(7, true)}), "AXIS-STABLE");
  EXPECT_EQ(rule({whole(false, true), whole(true, false)}), "AXIS-STABLE");
  EXPECT_EQ(rule({whole(true), changed}), "");
}

TEST(AxiStreamChecker, KeptBytesStandTogetherFromTheFirstOn) {
  EXPECT_EQ(rule({with_keep(0x5, true)}), "AXIS-KEEP");
  EXPECT_EQ(rule({with_keep(0xe, true)}), "AXIS-KEEP");
  EXPECT_EQ(rule({with_keep(0, true)}), "AXIS-KEEP");
  EXPECT_EQ(rule({with_keep(0x7, true)}), "");
}

TEST(AxiStreamChecker, OnlyTheLastBeatMayBePartial) {
  EXPECT_EQ(rule({with_keep(0x7, false), whole(true)}), "AXIS-KEEP");
}

TEST(AxiStreamChecker, BeatsAreTakenInTime) {
  EXPECT_EQ(rule(std::vector(12, whole(false)), {.stalled_cycles = 10}), "AXIS-TIMEOUT");
  EXPECT_EQ(rule(std::vector(11, whole(false)), {.stalled_cycles = 10}), "");
}

TEST(AxiStreamChecker, PacketsEnd) {
  EXPECT_EQ(rule({whole(true, false)}), "AXIS-LAST");
  EXPECT_EQ(rule({whole(true, false), whole(true, false), whole(true)}, {.packet_beats = 1}),
            "AXIS-LAST");
  EXPECT_EQ(rule({whole(true, false), whole(true, false), whole(true)}, {.packet_beats = 2}), "");
}

} // namespace
} // namespace virtio::rtl::bus
