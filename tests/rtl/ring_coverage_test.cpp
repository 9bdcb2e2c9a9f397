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

  void put(BoundaryEvent e) { coverage.on_boundary(e); }
  std::uint64_t count(const std::string& bin) const { return plan.count(bin); }

  void enable(std::uint16_t size, RingIndex start, FeatureSet features = {}) {
    QueueSetup setup;
    setup.size = size;
    setup.features = features;
    setup.start_avail = setup.start_used = start;
    command(Command::enable, setup);
  }
  void command(Command what, const QueueSetup& setup = {}, QueueIndex queue = {},
               std::uint16_t vector = 0) {
    BoundaryEvent e = event(Group::command);
    e.command = what;
    e.setup = setup;
    e.queue = queue;
    e.vector = vector;
    put(e);
  }
  void answer(Command what, RingError code = RingError::none, QueueIndex queue = {}) {
    BoundaryEvent e = event(Group::response);
    e.command = what;
    e.code = code;
    e.queue = queue;
    put(e);
  }
  void credits(std::uint32_t number) {
    BoundaryEvent e = event(Group::credit);
    e.count = number;
    put(e);
  }
  void segment(std::uint16_t number, bool first, bool last, std::uint32_t length = 16,
               GuestAddr address = {}, bool generation = false) {
    BoundaryEvent e = event(Group::segment);
    e.chain = number;
    e.length = length;
    e.address = address;
    e.first = first;
    e.last = last;
    e.writable = true;
    e.generation = generation;
    put(e);
  }
  void chain(std::uint16_t number, std::uint32_t length = 16) {
    segment(number, true, true, length);
  }
  void complete(std::uint16_t number, bool generation = false) {
    BoundaryEvent e = event(Group::completion);
    e.chain = number;
    e.generation = generation;
    put(e);
  }
  void interrupt(std::uint16_t vector, QueueIndex queue = {}) {
    BoundaryEvent e = event(Group::interrupt);
    e.vector = vector;
    e.queue = queue;
    put(e);
  }
  /// An access, and its answer.
  void access(bool write, AccessKind kind, AccessStatus status) {
    BoundaryEvent request = event(write ? Group::write_request : Group::read_request, 1);
    request.kind = kind;
    put(request);
    BoundaryEvent answer = event(write ? Group::write_response : Group::read_response, 1);
    answer.status = status;
    answer.last = true;
    put(answer);
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

TEST_F(RingCoverageTest, FewCreditsAreFewerThanTheRingHas) {
  enable(8, {});
  credits(8);
  chain(0);
  complete(0);
  EXPECT_EQ(count("credits/as many as the ring has"), 1u);
  EXPECT_EQ(count("credits/fewer"), 0u);
  EXPECT_EQ(count("completion finds/credit"), 1u);
  EXPECT_EQ(count("completion finds/none of few"), 0u);
  enable(8, {}, {VIRTIO_F_RING_PACKED});
  credits(1);
  credits(1);
  chain(0);
  chain(1);
  complete(1);
  EXPECT_EQ(count("format*credits/packed*fewer"), 1u);
  EXPECT_EQ(count("format*completion finds/packed*none of few"), 1u);
  enable(1, {});
  credits(1);
  chain(0);
  complete(0);
  EXPECT_EQ(count("format*completion finds/split*no credit"), 1u);
  EXPECT_EQ(count("completion finds/none of few"), 1u);
}

TEST_F(RingCoverageTest, ACompletionOfBeforeAResetIsLate) {
  enable(8, {}, {VIRTIO_F_RING_PACKED});
  answer(Command::enable);
  for (const std::uint16_t number : {0, 1, 2, 3})
    chain(number);
  complete(3);
  command(Command::reset);
  complete(2); // nobody has heard of the reset
  EXPECT_EQ(count("completion/the oldest") + count("completion/a later one"), 2u);
  EXPECT_EQ(count("late completion/before the answer"), 0u);
  put(event(Group::abort));
  complete(2); // was completed
  EXPECT_EQ(count("late completion/before the answer"), 0u);
  complete(1);
  EXPECT_EQ(count("format*late completion/packed*before the answer"), 1u);
  EXPECT_EQ(count("late completion/after it"), 0u);
  answer(Command::reset);
  complete(1); // once
  EXPECT_EQ(count("late completion/after it"), 0u);
  enable(8, {});
  answer(Command::enable, RingError::misaligned);
  complete(0);
  EXPECT_EQ(count("late completion/after it"), 1u);
  EXPECT_EQ(count("late completion/once enabled again"), 0u);
}

TEST_F(RingCoverageTest, ALateCompletionIsNotOfTheNewChainWithItsNumber) {
  enable(8, {});
  chain(0);
  command(Command::reset);
  put(event(Group::abort));
  answer(Command::reset);
  enable(8, {});
  answer(Command::enable);
  segment(0, true, true, 16, {}, true);
  complete(0);
  EXPECT_EQ(count("late completion/once enabled again"), 1u);
  EXPECT_EQ(count("completion/the oldest"), 0u);
  complete(0, true);
  EXPECT_EQ(count("completion/the oldest"), 1u);
}

TEST_F(RingCoverageTest, ABurstIsManyChainsOfADoorbell) {
  enable(64, {});
  std::uint16_t number = 0;
  for (const unsigned chains : {0u, 1u, 15u, 16u}) {
    EXPECT_EQ(count("chains of a doorbell/16 and more"), 0u);
    for (unsigned i = 0; i < chains; ++i)
      chain(number++);
    put(event(Group::doorbell));
  }
  for (const char* row : {"none", "1", "2 to 15", "16 and more"})
    EXPECT_EQ(count(std::string("chains of a doorbell/") + row), 1u) << row;
  EXPECT_EQ(count("chains with the function/32 and more"), 1u);
  EXPECT_EQ(count("chains with the function/8 to 31"), 24u);
}

TEST_F(RingCoverageTest, AnEndOfFourGibLiesInAnAreaOrBetween) {
  const auto place = [&](std::uint64_t desc, std::uint64_t driver, std::uint64_t device,
                         RingError code = RingError::none) {
    command(Command::reset);
    answer(Command::reset);
    QueueSetup setup;
    setup.size = 16; // 256, 38 and 134 bytes
    setup.desc = GuestAddr{desc};
    setup.driver = GuestAddr{driver};
    setup.device = GuestAddr{device};
    command(Command::enable, setup);
    answer(Command::enable, code);
  };
  constexpr std::uint64_t end = 1ull << 32;
  const auto counts = [&] {
    std::vector<std::uint64_t> all;
    for (const char* bin : {"above the ring", "in the descriptors", "in the driver area",
                            "in the device area", "between the areas", "below the ring"})
      all.push_back(count(std::string("format*4 GiB/split*") + bin));
    return all;
  };
  using Counts = std::vector<std::uint64_t>;
  place(end - 240, 0, 0, RingError::misaligned);
  EXPECT_EQ(counts(), (Counts{0, 0, 0, 0, 0, 0}));
  place(end - 256, end - 38, end - 134);
  EXPECT_EQ(counts(), (Counts{1, 0, 0, 0, 0, 0}));
  place(end - 240, end, end);
  EXPECT_EQ(counts(), (Counts{1, 1, 0, 0, 0, 0}));
  place(0, end - 36, end);
  EXPECT_EQ(counts(), (Counts{1, 1, 1, 0, 0, 0}));
  place(0, 0, end - 132);
  EXPECT_EQ(counts(), (Counts{1, 1, 1, 1, 0, 0}));
  place(end - 256, end, end);
  EXPECT_EQ(counts(), (Counts{1, 1, 1, 1, 1, 0}));
  place(end, end, end);
  EXPECT_EQ(counts(), (Counts{1, 1, 1, 1, 1, 1}));
}

TEST_F(RingCoverageTest, AVectorIsOfSeveralWhereAnotherQueueHasAnother) {
  const auto on = [&](QueueIndex queue, std::uint16_t vector, RingError code) {
    command(Command::enable, {}, queue, vector);
    answer(Command::enable, code, queue);
  };
  on(QueueIndex{0}, 5, RingError::none);
  on(QueueIndex{1}, 5, RingError::none);       // the same
  on(QueueIndex{2}, 6, RingError::misaligned); // not enabled
  interrupt(5);
  EXPECT_EQ(count("vector/the only one"), 1u);
  EXPECT_EQ(count("vector/of several"), 0u);
  on(QueueIndex{2}, 6, RingError::none);
  interrupt(5);
  EXPECT_EQ(count("vector/of several"), 1u);
}

TEST_F(RingCoverageTest, AQuiesceFindsWhatIsUnderWay) {
  enable(8, {});
  command(Command::quiesce);
  EXPECT_EQ(count("quiesce finds/nothing"), 1u);
  command(Command::read_state);
  answer(Command::read_state);
  EXPECT_EQ(count("state read finds/nothing"), 1u);
  segment(0, true, false);
  command(Command::quiesce);
  EXPECT_EQ(count("quiesce finds/part of a chain"), 1u);
  EXPECT_EQ(count("quiesce finds/chains with the function"), 0u);
  segment(0, false, true);
  command(Command::quiesce);
  EXPECT_EQ(count("quiesce finds/part of a chain"), 1u);
  EXPECT_EQ(count("quiesce finds/chains with the function"), 1u);
  answer(Command::read_state);
  EXPECT_EQ(count("state read finds/chains with the function"), 1u);
  EXPECT_EQ(count("quiesce finds/nothing"), 1u);
  EXPECT_EQ(count("reset finds/part of a chain"), 0u);
}

TEST_F(RingCoverageTest, AChainMayHaveAllBytesAndABufferTheLast) {
  enable(8, {});
  segment(0, true, false, 0xffff'ffff);
  segment(0, false, true, 0);
  EXPECT_EQ(count("chain bytes/1 to 2^32 - 1"), 1u);
  EXPECT_EQ(count("chain bytes/2^32"), 0u);
  segment(1, true, false, 0xffff'ffff);
  segment(1, false, true, 1, GuestAddr{~0ull - 1});
  EXPECT_EQ(count("chain bytes/2^32"), 1u);
  segment(2, true, true, 0);
  EXPECT_EQ(count("chain bytes/0"), 1u);
  EXPECT_EQ(count("buffer/ends with the address space"), 0u);
  segment(3, true, true, 2, GuestAddr{~0ull - 1});
  EXPECT_EQ(count("buffer/ends with the address space"), 1u);
}

TEST_F(RingCoverageTest, FailuresAreCountedByWhatWasToBeReadOrWritten) {
  enable(8, {});
  access(false, AccessKind::indirect, AccessStatus::ok);
  access(true, AccessKind::used, AccessStatus::ok);
  EXPECT_EQ(count("failure/bus error") + count("failure/address error"), 0u);
  access(false, AccessKind::indirect, AccessStatus::bus_error);
  EXPECT_EQ(count("failed read*failure/indirect*bus error"), 1u);
  EXPECT_EQ(count("failed write/used"), 0u);
  access(true, AccessKind::used, AccessStatus::address_error);
  EXPECT_EQ(count("failed write*failure/used*address error"), 1u);
  EXPECT_EQ(count("format*failed write/split*used"), 1u);
  access(true, AccessKind::message, AccessStatus::bus_error); // not the ring's
  EXPECT_EQ(count("failure/bus error"), 1u);
}

TEST_F(RingCoverageTest, TheLargestRingHasABinOfItsOwn) {
  enable(32767, {}, {VIRTIO_F_RING_PACKED});
  EXPECT_EQ(count("size/32768"), 0u);
  enable(32768, {});
  EXPECT_EQ(count("format*size/split*32768"), 1u);
}

TEST_F(RingCoverageTest, CasesWithoutWhatIsRareMissItsBins) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ModelRingDut engine(1);
    EXPECT_FALSE(
        RingBench(ring_case(*ring_profile("calm"), seed), engine, {.sink = &coverage}).run());
  }
  for (const char* bin :
       {"credits/fewer", "completion finds/none of few", "size/32768",
        "late completion/before the answer", "late completion/after it",
        "late completion/once enabled again", "4 GiB/in the descriptors",
        "4 GiB/in the driver area", "4 GiB/in the device area", "vector/of several",
        "quiesce finds/chains with the function", "quiesce finds/part of a chain",
        "state read finds/chains with the function", "failure/bus error", "failed read/descriptor",
        "failed write/used"})
    EXPECT_EQ(count(bin), 0u) << bin;
  EXPECT_GT(count("credits/as many as the ring has"), 0u);
  EXPECT_GT(count("vector/the only one"), 0u);
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
