#include "vq_driver.hpp"

#include <virtio/rtl/scoreboard/ring_scoreboard.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl {
namespace {

constexpr std::uint64_t region = 0x40000;

QueueSetup place(std::uint16_t queue, std::uint16_t size, FeatureSet features,
                 RingIndex from = {0, true}) {
  const std::uint64_t base = region * queue + 0x1000;
  QueueSetup s;
  s.size = size;
  s.desc = GuestAddr{base + 16};
  s.driver = GuestAddr{base + 0x4004};
  s.device = GuestAddr{base + 0x6000 + 4};
  s.features = features.set(VIRTIO_F_VERSION_1);
  s.start_avail = s.start_used = from;
  return s;
}

struct VqEngine : testing::Test {
  /// What was made by the last restart().
  std::unique_ptr<RingScoreboard> scoreboard;
  std::unique_ptr<VqBench> bench;
  std::map<QueueIndex, std::unique_ptr<VqDriver>> drivers;
  std::vector<std::pair<QueueIndex, RingError>> errors;
  std::map<QueueIndex, std::uint32_t> aborts, interrupts;

  void restart(VqBenchConfig config = {}) {
    drivers.clear();
    errors.clear();
    scoreboard = std::make_unique<RingScoreboard>();
    bench = std::make_unique<VqBench>(config, scoreboard.get());
    bench->on_chain = [this](QueueIndex q, const VqBench::FunctionChain& chain) {
      bench->credit(q, 1);
      if (drivers.contains(q)) drivers[q]->on_chain(chain);
    };
    bench->on_interrupt = [this](QueueIndex q) {
      ++interrupts[q];
      if (drivers.contains(q)) drivers[q]->on_interrupt();
    };
    bench->on_error = [this](QueueIndex q, RingError e) { errors.emplace_back(q, e); };
    bench->on_abort = [this](QueueIndex q) { ++aborts[q]; };
  }
  VqDriver& start(QueueIndex q, const QueueSetup& s, std::uint64_t seed,
                  std::uint16_t credits = 16) {
    bench->done[q].clear();
    drivers[q] = std::make_unique<VqDriver>(*bench, q, s, region * raw(q) + 0xa000, seed);
    EXPECT_EQ(bench->command(Command::enable, q, s).code, RingError::none);
    bench->credit(q, credits);
    return *drivers[q];
  }
  void reset(QueueIndex q) {
    drivers.erase(q);
    bench->command(Command::reset, q);
  }
  void run(std::uint64_t cycles) {
    for (std::uint64_t i = 0; i < cycles; ++i) {
      for (auto& [q, driver] : drivers)
        driver->step();
      bench->tick();
    }
  }
  bool run_to_end(std::uint64_t limit) {
    for (std::uint64_t i = 0; i < limit; ++i) {
      bool all = true;
      for (auto& [q, driver] : drivers) {
        driver->step();
        all = all && driver->finished();
      }
      bench->tick();
      if (all || HasFailure()) return all;
    }
    return false;
  }
  void expect_clean() {
    run(3000);
    scoreboard->settle(bench->cycle());
    for (const Violation& v : scoreboard->violations())
      ADD_FAILURE() << v.message();
  }
};

const FeatureSet split_ring{};
const FeatureSet packed_ring{VIRTIO_F_RING_PACKED};

TEST_F(VqEngine, OneQueueOfASplitRingCarriesItsChains) {
  restart();
  start(QueueIndex{0}, place(0, 16, split_ring), 1).submit_total(200);
  EXPECT_TRUE(run_to_end(200'000)) << drivers[QueueIndex{0}]->emitted << " emitted, "
                                   << drivers[QueueIndex{0}]->reaped << " reaped";
  EXPECT_TRUE(errors.empty());
  expect_clean();
}

struct Mix : VqEngine, testing::WithParamInterface<int> {};

TEST_P(Mix, EveryFeatureCombinationCarriesItsChainsOnFourQueues) {
  const int bits = GetParam();
  FeatureSet features;
  if (bits & 1) features.set(VIRTIO_F_RING_PACKED);
  if (bits & 2) features.set(VIRTIO_F_EVENT_IDX);
  if (bits & 4) features.set(VIRTIO_F_INDIRECT_DESC);
  if (bits & 8) features.set(VIRTIO_F_IN_ORDER);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    VqBenchConfig config;
    config.seed = seed;
    config.read_spread = seed == 2 ? 300 : 30;
    restart(config);
    const bool packed = bits & 1;
    const std::uint16_t sizes[] = {4, 16, 64, static_cast<std::uint16_t>(packed ? 23 : 128)};
    for (std::uint16_t q = 0; q < 4; ++q) {
      const RingIndex from = packed
                                 ? RingIndex{static_cast<std::uint16_t>(sizes[q] - 2), q % 2 == 0}
                                 : RingIndex{static_cast<std::uint16_t>(0xfff0 + q), true};
      start(QueueIndex{q}, place(q, sizes[q], features, from), seed * 10 + q).submit_total(150);
    }
    EXPECT_TRUE(run_to_end(400'000)) << "seed " << seed;
    for (auto& [q, driver] : drivers)
      EXPECT_EQ(driver->reaped, 150u)
          << "queue " << raw(q) << " seed " << seed << ", " << driver->emitted << " emitted";
    EXPECT_TRUE(errors.empty());
    expect_clean();
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(VqEngine, Mix, testing::Range(0, 16));

} // namespace
} // namespace virtio::rtl
