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
  /// A split ring with so many chains of one segment, not enabled yet.
  QueueSetup fill(std::uint16_t q, std::uint16_t size, std::uint16_t chains) {
    const QueueSetup s = place(q, size, {});
    for (std::uint16_t i = 0; i < chains; ++i) {
      bench->store(raw(s.desc) + 16ull * i, le64(0x9000));
      bench->store(raw(s.desc) + 16ull * i + 8, le32(64));
      bench->store(raw(s.desc) + 16ull * i + 12, le32(0));
      bench->store(raw(split::avail_ring(s.driver, i)), le16(i));
    }
    bench->store(raw(split::avail_idx(s.driver)), le16(chains));
    return s;
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

// --- groups, resets, state ----------------------------------------------------------------------

FeatureSet mix(int bits) {
  FeatureSet features;
  if (bits & 1) features.set(VIRTIO_F_RING_PACKED);
  if (bits & 2) features.set(VIRTIO_F_EVENT_IDX);
  if (bits & 4) features.set(VIRTIO_F_INDIRECT_DESC);
  if (bits & 8) features.set(VIRTIO_F_IN_ORDER);
  return features;
}

TEST_P(Mix, CompletionsOfAGroupBecomeVisibleTogether) {
  VqBenchConfig config;
  config.seed = 5;
  config.groups = 60;
  restart(config);
  for (std::uint16_t q = 0; q < 2; ++q)
    start(QueueIndex{q}, place(q, q == 0 ? 32 : 64, mix(GetParam())), 7 + q).submit_total(200);
  EXPECT_TRUE(run_to_end(400'000));
  expect_clean();
}

TEST_P(Mix, ResetsAtAnyMomentLeaveTheOtherQueuesAlone) {
  VqBenchConfig config;
  config.seed = 9;
  config.groups = 20;
  restart(config);
  Random random(3, "resets");
  const auto setup = [&](std::uint16_t q) { return place(q, 32, mix(GetParam())); };
  start(QueueIndex{3}, setup(3), 1).submit_total(1000);
  for (std::uint16_t q = 0; q < 3; ++q)
    start(QueueIndex{q}, setup(q), 100 + q).submit_total(1000);
  for (std::uint64_t round = 0; round < 40 && !HasFailure(); ++round) {
    run(random.below(400));
    const QueueIndex q{static_cast<std::uint16_t>(random.below(3))};
    if (random.below(3) == 0) bench->doorbell(q);
    reset(q);
    run(random.below(60));
    start(q, setup(raw(q)), 200 + round).submit_total(1000);
  }
  EXPECT_GE(aborts[QueueIndex{0}] + aborts[QueueIndex{1}] + aborts[QueueIndex{2}], 40u);
  for (std::uint16_t q = 0; q < 3; ++q)
    reset(QueueIndex{q});
  EXPECT_TRUE(run_to_end(400'000));
  EXPECT_EQ(drivers[QueueIndex{3}]->reaped, 1000u);
  expect_clean();
}

TEST_P(Mix, AQuiescedQueueGoesOnWhereItsStateSays) {
  VqBenchConfig config;
  config.seed = 11;
  restart(config);
  const QueueIndex q{1};
  QueueSetup s = place(1, 16, mix(GetParam()));
  start(q, s, 5).submit_total(60);
  while (drivers[q]->emitted < 30)
    run(1);
  bench->command(Command::quiesce, q);
  const std::uint64_t emitted = drivers[q]->emitted;
  run(3000); // what was emitted is completed
  EXPECT_EQ(drivers[q]->emitted, emitted);
  EXPECT_EQ(drivers[q]->reaped, emitted);
  const BoundaryEvent state = bench->command(Command::read_state, q);
  EXPECT_EQ(state.progress.outstanding, 0u);
  if (!s.features.has(VIRTIO_F_RING_PACKED)) {
    EXPECT_EQ(state.progress.next_avail.index, emitted);
  }
  bench->command(Command::reset, q);
  s.start_avail = state.progress.next_avail;
  s.start_used = state.progress.next_used;
  bench->done[q].clear();
  drivers[q]->moved();
  EXPECT_EQ(bench->command(Command::enable, q, s).code, RingError::none);
  bench->credit(q, 16);
  bench->doorbell(q); // what the driver rang for before may not have been looked at
  EXPECT_TRUE(run_to_end(100'000));
  EXPECT_EQ(drivers[q]->emitted, 60u);
  expect_clean();
}

TEST_F(VqEngine, NoChainWithoutCredit) {
  restart();
  bench->on_chain = [this](QueueIndex q, const VqBench::FunctionChain& c) {
    drivers[q]->on_chain(c);
  };
  start(QueueIndex{0}, place(0, 16, split_ring), 1, 3).submit_total(10);
  run(5000);
  EXPECT_EQ(drivers[QueueIndex{0}]->emitted, 3u);
  bench->credit(QueueIndex{0}, 7);
  EXPECT_TRUE(run_to_end(20'000));
  expect_clean();
}

// The scoreboard knows a queue by its function and number: what another function's name is on is
// stray.
TEST_P(Mix, QueuesOfSeveralFunctionsKeepTheirNames) {
  VqBenchConfig config;
  config.seed = 21;
  config.functions = 3;
  restart(config);
  for (std::uint16_t q = 0; q < 4; ++q)
    start(QueueIndex{q}, place(q, 16, mix(GetParam())), 40 + q).submit_total(100);
  run(700);
  reset(QueueIndex{2});
  start(QueueIndex{2}, place(2, 16, mix(GetParam())), 50).submit_total(100);
  EXPECT_TRUE(run_to_end(400'000));
  expect_clean();
}

// Queue 0 rings last, while the others wait for their turns.
TEST_F(VqEngine, TurnsAreGivenByPriority) {
  VqBenchConfig config;
  config.stalls = 0;
  restart(config);
  std::vector<unsigned> order;
  bench->on_chain = [&](QueueIndex q, const VqBench::FunctionChain&) { order.push_back(raw(q)); };
  for (std::uint16_t q = 0; q < 4; ++q) {
    const QueueSetup s = place(q, 4, split_ring);
    bench->store(raw(s.desc), le64(0x9000));
    bench->store(raw(s.desc) + 8, le32(64));
    bench->store(raw(split::avail_idx(s.driver)), le16(1));
    EXPECT_EQ(bench->command(Command::enable, QueueIndex{q}, s).code, RingError::none);
    bench->credit(QueueIndex{q}, 1);
  }
  run(50);
  for (const std::uint16_t q : {1, 2, 3, 0})
    bench->doorbell(QueueIndex{q});
  run(1000);
#ifdef VQ_PRIORITIES
  EXPECT_EQ(order, (std::vector<unsigned>{1, 2, 0, 3}));
#else
  EXPECT_EQ(order, (std::vector<unsigned>{1, 2, 3, 0}));
#endif
  expect_clean();
}

#ifdef VQ_USED_TIMEOUT // and batches of 4
// Cycles from the function's completion to the used index.
TEST_F(VqEngine, AFewCompletionsWaitForOthersAndABatchDoesNot) {
  for (const std::uint16_t chains : {1, 3, 4}) {
    VqBenchConfig config;
    config.stalls = config.work_spread = config.read_spread = config.write_spread = 0;
    restart(config);
    const QueueSetup s = fill(0, 16, chains);
    EXPECT_EQ(bench->command(Command::enable, QueueIndex{0}, s).code, RingError::none);
    bench->credit(QueueIndex{0}, 8);
    bench->doorbell(QueueIndex{0});
    while (bench->done[QueueIndex{0}].size() < chains)
      bench->tick();
    const std::uint64_t since = bench->cycle();
    while (bench->load<le16>(raw(split::used_idx(s.device))) != chains &&
           bench->cycle() < since + 1000)
      bench->tick();
    const std::uint64_t took = bench->cycle() - since;
    if (chains == 4) {
      EXPECT_LT(took, 40u);
    } else {
      EXPECT_GT(took, VQ_USED_TIMEOUT / 2 - 10u);
      EXPECT_LT(took, VQ_USED_TIMEOUT + 40u);
    }
    expect_clean();
  }
}
#endif

#ifndef VQ_WALKERS // 16
// A packed ring that the driver refills at once: a round takes a read and a write, and what the
// driver has not had back is not read.
TEST_F(VqEngine, APackedRingIsReadOnceTheDriverHasHadItBack) {
  VqBenchConfig config;
  config.stalls = config.read_spread = config.write_spread = config.work_spread = 0;
  config.read_latency = 400;
  config.write_latency = 200;
  restart(config);
  constexpr std::uint16_t size = 64;
  QueueSetup s = fill(0, size, size);
  s.features.set(VIRTIO_F_RING_PACKED);
  const auto give = [&](RingIndex at) {
    const std::uint64_t desc = raw(s.desc) + 16ull * at.index;
    bench->store(desc + 8, le32(64));
    bench->store(desc + 12, le16(at.index));
    bench->store(desc + 14, le16(at.wrap ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED));
  };
  for (std::uint16_t i = 0; i < size; ++i)
    give({i, true});
  bench->store(raw(s.driver), le32(packed::event(0, false, packed::RING_EVENT_FLAGS_DISABLE)));
  EXPECT_EQ(bench->command(Command::enable, QueueIndex{0}, s).code, RingError::none);
  bench->credit(QueueIndex{0}, 0x4000);
  bench->doorbell(QueueIndex{0});
  RingIndex next{0, true};
  std::uint64_t chains = 0;
  const auto run_cycles = [&](int cycles) {
    for (int i = 0; i < cycles; ++i) {
      bool any = false;
      for (;; any = true, ++chains) {
        const std::uint16_t flags = bench->load<le16>(raw(s.desc) + 16ull * next.index + 14);
        const bool a = flags & packed::VIRTQ_DESC_F_AVAIL, u = flags & packed::VIRTQ_DESC_F_USED;
        if (a != u || a != next.wrap) break;
        give({next.index, !next.wrap});
        next = advance(next, 1, size);
      }
      if (any) bench->doorbell(QueueIndex{0});
      bench->tick();
    }
  };
  run_cycles(5000);
  chains = bench->reads_of[AccessKind::descriptor] = 0;
  constexpr int rounds = 50;
  run_cycles(rounds * 700);
  EXPECT_GE(chains, size * rounds);
  EXPECT_LE(bench->reads_of[AccessKind::descriptor], chains / 2 + chains / 20); // two in a read
  EXPECT_TRUE(errors.empty());
}
// Index, entries, descriptors and tables: four answers of 300 cycles, and not one more for each
// table.
TEST_F(VqEngine, TablesOfSeveralChainsAreReadAtOnce) {
  for (const bool packed : {false, true})
    for (const std::uint16_t entries : {3, 8}) {
      VqBenchConfig config;
      config.stalls = config.read_spread = 0;
      config.read_latency = 300;
      restart(config);
      QueueSetup s = fill(0, 64, 16);
      s.features.set(VIRTIO_F_INDIRECT_DESC);
      if (packed) s.features.set(VIRTIO_F_RING_PACKED);
      for (std::uint16_t i = 0; i < 16; ++i) {
        const std::uint64_t at = raw(s.desc) + 16ull * i, table = 0xa000 + 128ull * i;
        bench->store(at, le64(table));
        bench->store(at + 8, le32(16u * entries));
        bench->store(at + 12, le16(packed ? i : VIRTQ_DESC_F_INDIRECT));
        bench->store(at + 14,
                     le16(packed ? VIRTQ_DESC_F_INDIRECT | packed::VIRTQ_DESC_F_AVAIL : 0));
        for (std::uint16_t k = 0; k < entries; ++k) {
          bench->store(table + 16ull * k, le64(0x9000));
          bench->store(table + 16ull * k + 8, le32(64));
          bench->store(table + 16ull * k + 12, le16(!packed && k + 1 < entries));
          bench->store(table + 16ull * k + 14,
                       le16(static_cast<std::uint16_t>(packed ? 0 : k + 1)));
        }
      }
      std::uint64_t chains = 0;
      bench->on_chain = [&](QueueIndex, const VqBench::FunctionChain& c) {
        ++chains;
        EXPECT_EQ(c.segments.size(), entries);
      };
      EXPECT_EQ(bench->command(Command::enable, QueueIndex{0}, s).code, RingError::none);
      bench->credit(QueueIndex{0}, 16);
      bench->doorbell(QueueIndex{0});
      const std::uint64_t since = bench->cycle();
      while (chains < 16 && bench->cycle() < since + 20'000)
        bench->tick();
      const unsigned answers = (packed ? 2 : 4) + (entries > 4 ? 1 : 0); // 32 such reads at once
      EXPECT_LT(bench->cycle() - since, answers * 300 + 16u * entries + 200);
      expect_clean();
    }
}
#endif

#ifdef VQ_INTERRUPT_TIMEOUT // and batches of 4
struct Held : VqEngine {
  const QueueIndex q{0};
  QueueSetup s;
  /// The function completes so many chains at once; returns when they are used.
  void complete(std::uint16_t chains) {
    VqBenchConfig config;
    config.stalls = config.work_spread = config.read_spread = config.write_spread = 0;
    restart(config);
    s = fill(0, 64, chains);
    bench->hold_completions(true);
    EXPECT_EQ(bench->command(Command::enable, q, s).code, RingError::none);
    bench->credit(q, 64);
    bench->doorbell(q);
    run(1000);
    interrupts.clear();
    bench->hold_completions(false);
    while (bench->load<le16>(raw(split::used_idx(s.device))) != chains)
      bench->tick();
  }
  std::uint64_t cycles_to_interrupt() {
    const std::uint64_t since = bench->cycle();
    while (interrupts[q] == 0 && bench->cycle() < since + 1000)
      bench->tick();
    return bench->cycle() - since;
  }
};

TEST_F(Held, FewChainsAreSignalledAfterTheTimeoutAndManyAtOnce) {
  complete(4);
  const std::uint64_t few = cycles_to_interrupt();
  EXPECT_GE(few, VQ_INTERRUPT_TIMEOUT - 4u);
  EXPECT_LT(few, VQ_INTERRUPT_TIMEOUT + 40u);
  expect_clean();
  EXPECT_EQ(interrupts[q], 1u);
  complete(8);
  EXPECT_LT(cycles_to_interrupt(), 40u);
  expect_clean();
  EXPECT_EQ(interrupts[q], 1u);
  // A reset takes what is held.
  complete(4);
  run(50);
  reset(q);
  run(1000);
  EXPECT_EQ(interrupts[q], 0u);
  EXPECT_EQ(bench->command(Command::enable, q, s).code, RingError::none);
  run(1000);
  EXPECT_EQ(interrupts[q], 0u);
  expect_clean();
}

TEST_F(Held, OneQuestionBehindTheLastOfSeveralWriteBacks) {
  complete(16);
  EXPECT_LT(cycles_to_interrupt(), 60u);
  expect_clean();
  EXPECT_EQ(bench->reads_of[AccessKind::driver_event], 1u);
  EXPECT_EQ(interrupts[q], 1u);
}
#endif

#ifdef VQ_WEIGHTS // 1, 2 and 4
TEST_F(VqEngine, ASaturatedEngineIsSharedByWeight) {
  for (const bool packed : {false, true}) {
    VqBenchConfig config;
    config.stalls = 75;
    config.work = config.work_spread = 0;
    config.read_latency = config.read_spread = config.write_latency = config.write_spread = 1;
    restart(config);
    std::map<unsigned, int> chains;
    int all = 0;
    bench->on_chain = [&](QueueIndex q, const VqBench::FunctionChain&) {
      if (all++ < 400) ++chains[raw(q)];
    };
    for (std::uint16_t q = 1; q < 4; ++q) {
      QueueSetup s = fill(q, 512, 512);
      if (packed) {
        s.features.set(VIRTIO_F_RING_PACKED);
        for (std::uint16_t i = 0; i < 512; ++i)
          bench->store(raw(s.desc) + 16ull * i + 14, le16(packed::VIRTQ_DESC_F_AVAIL));
      }
      EXPECT_EQ(bench->command(Command::enable, QueueIndex{q}, s).code, RingError::none);
      bench->credit(QueueIndex{q}, 512);
    }
    for (std::uint16_t q = 1; q < 4; ++q)
      bench->doorbell(QueueIndex{q});
    run(20'000);
    EXPECT_NEAR(chains[1], 400 / 7, 20);
    EXPECT_NEAR(chains[2], 400 * 2 / 7, 30);
    EXPECT_NEAR(chains[3], 400 * 4 / 7, 40);
    expect_clean();
  }
}
#endif

// --- set-ups that cannot work, rings that are wrong ----------------------------------------------

TEST_F(VqEngine, ASetUpThatCannotWorkIsRefusedAsTheModelDoes) {
  restart();
  Random random(1, "setups");
  std::map<RingError, int> seen;
  for (int i = 0; i < 400; ++i) {
    QueueSetup s = place(0, static_cast<std::uint16_t>(1u << random.below(10)),
                         random.below(2) ? packed_ring : split_ring);
    GuestAddr* part[] = {&s.desc, &s.driver, &s.device};
    GuestAddr& one = *part[random.below(3)];
    switch (random.below(4)) {
    case 0:
      one = one + random.below(16);
      break;
    case 1:
      one = GuestAddr{(~0ull - random.below(20 * s.size)) & ~15ull};
      break;
    case 2:
      s.size = static_cast<std::uint16_t>(random.below(0x10000));
      break;
    default:
      s.size = random.below(2) ? 0 : 32769;
    }
    const RingError expected = check_setup(s);
    ++seen[expected];
    EXPECT_EQ(bench->command(Command::enable, QueueIndex{0}, s).code, expected);
    if (expected == RingError::none) bench->command(Command::reset, QueueIndex{0});
  }
  EXPECT_GE(seen.size(), 4u);
  expect_clean();
}

struct Ring {
  std::vector<std::pair<Piece, std::array<std::uint16_t, 2>>> desc; // flags, next or id
  std::vector<std::pair<Piece, std::array<std::uint16_t, 2>>> table;
};
struct Wrong {
  const char* name;
  RingError code;
  bool packed;
  bool indirect; // negotiated
  Ring ring;
  std::uint16_t head = 0;
  std::uint16_t avail = 2; // index: the good chain and the bad one
  std::uint64_t bad_begin = 0, bad_end = 0;
  int event_idx = -1; // -1: with and without
};
std::ostream& operator<<(std::ostream& out, const Wrong& w) {
  return out << w.name;
}

constexpr std::uint16_t N = 1, W = 2, I = 4;
constexpr std::uint64_t table_at = 0xb000;
constexpr Piece ok_piece{GuestAddr{0x9000}, 64};
constexpr Piece table2{GuestAddr{table_at}, 32};
constexpr Piece wrapping{GuestAddr{~0ull - 10}, 64};
constexpr Piece huge{GuestAddr{0x10000}, 0xffff'ffff};

std::vector<Wrong> wrong_rings() {
  using E = RingError;
  const Ring chain2{{{ok_piece, {N, 2}}, {ok_piece, {W, 3}}}, {}};
  std::vector<Wrong> all{
      {"avail_index_jump", E::avail_index_jump, false, false, chain2, 1, 9, 0, 0},
      {"head_out_of_range", E::head_out_of_range, false, false, chain2, 8, 2, 0, 0},
      {"next_out_of_range",
       E::next_out_of_range,
       false,
       false,
       {{{ok_piece, {N, 8}}}, {}},
       1,
       2,
       0,
       0},
      {"loop", E::chain_too_long, false, false, {{{ok_piece, {N, 1}}}, {}}, 1, 2, 0, 0},
      {"not_negotiated",
       E::indirect_not_negotiated,
       false,
       false,
       {{{table2, {I, 0}}}, {{ok_piece, {0, 0}}}},
       1,
       2,
       0,
       0},
      {"readable_late",
       E::readable_after_writable,
       false,
       false,
       {{{ok_piece, {W | N, 2}}, {ok_piece, {0, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"wraps", E::address_wraps, false, false, {{{wrapping, {0, 0}}}, {}}, 1, 2, 0, 0},
      {"too_large",
       E::chain_too_large,
       false,
       false,
       {{{huge, {N, 2}}, {ok_piece, {0, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"indirect_next",
       E::indirect_with_next,
       false,
       true,
       {{{table2, {I | N, 2}}}, {{ok_piece, {0, 0}}}},
       1,
       2,
       0,
       0},
      {"nested",
       E::nested_indirect,
       false,
       true,
       {{{table2, {I, 0}}}, {{ok_piece, {N, 1}}, {table2, {I, 0}}}},
       1,
       2,
       0,
       0},
      {"table_length",
       E::bad_indirect_table,
       false,
       true,
       {{{{GuestAddr{table_at}, 24}, {I, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"table_empty",
       E::bad_indirect_table,
       false,
       true,
       {{{{GuestAddr{table_at}, 0}, {I, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"table_wraps",
       E::address_wraps,
       false,
       true,
       {{{{GuestAddr{~0ull - 15}, 32}, {I, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"table_next",
       E::next_out_of_range,
       false,
       true,
       {{{table2, {I, 0}}}, {{ok_piece, {N, 2}}}},
       1,
       2,
       0,
       0},
      {"table_loop",
       E::chain_too_long,
       false,
       true,
       {{{table2, {I, 0}}}, {{ok_piece, {N, 0}}}},
       1,
       2,
       0,
       0},
      {"table_unreadable",
       E::descriptor_unreadable,
       false,
       true,
       {{{{GuestAddr{0x7fff'0000}, 32}, {I, 0}}}, {}},
       1,
       2,
       0,
       0},
      {"desc_unreadable",
       E::descriptor_unreadable,
       false,
       false,
       {{{ok_piece, {N, 4}}}, {}},
       1,
       2,
       0x1010 + 4 * 16,
       0x1010 + 5 * 16},
      {"avail_unreadable", E::ring_unreadable, false, false, chain2, 1, 2, 0x5004, 0x5008},
      {"used_unwritable", E::used_unwritable, false, false, chain2, 1, 2, 0x7004 + 2, 0x7004 + 4},
      {"p_not_available",
       E::chain_not_available,
       true,
       false,
       {{{ok_piece, {N, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_not_negotiated",
       E::indirect_not_negotiated,
       true,
       false,
       {{{table2, {I, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_readable_late",
       E::readable_after_writable,
       true,
       false,
       {{{ok_piece, {W | N, 1}}, {ok_piece, {0, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_wraps", E::address_wraps, true, false, {{{wrapping, {0, 1}}}, {}}, 0, 0, 0, 0},
      {"p_too_large",
       E::chain_too_large,
       true,
       false,
       {{{huge, {N, 1}}, {ok_piece, {0, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_indirect_next",
       E::indirect_with_next,
       true,
       true,
       {{{table2, {I | N, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_indirect_mixed",
       E::indirect_with_next,
       true,
       true,
       {{{ok_piece, {N, 1}}, {table2, {I, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_table_length",
       E::bad_indirect_table,
       true,
       true,
       {{{{GuestAddr{table_at}, 8}, {I, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_table_long",
       E::chain_too_long,
       true,
       true,
       {{{{GuestAddr{table_at}, 16 * 9}, {I, 1}}}, {}},
       0,
       0,
       0,
       0},
      {"p_desc_unreadable",
       E::descriptor_unreadable,
       true,
       false,
       {{{ok_piece, {N, 1}}}, {}},
       0,
       0,
       0x1010 + 2 * 16,
       0x1010 + 3 * 16},
      {"p_used_unwritable",
       E::used_unwritable,
       true,
       false,
       {{{ok_piece, {0, 1}}}, {}},
       0,
       0,
       0x1010 + 8,
       0x1010 + 9},
      {"event_unwritable", E::event_unwritable, false, false, chain2, 1, 2, 0x7048, 0x704a, 1},
      {"p_event_unwritable",
       E::event_unwritable,
       true,
       false,
       {{{ok_piece, {0, 1}}}, {}},
       0,
       0,
       0x7004,
       0x7008,
       1},
      {"flags_unreadable", E::ring_unreadable, false, false, chain2, 1, 2, 0x5004, 0x5006, 0},
      {"used_event_unreadable", E::ring_unreadable, false, false, chain2, 1, 2, 0x5018, 0x501a, 1},
      {"p_event_unreadable",
       E::ring_unreadable,
       true,
       false,
       {{{ok_piece, {0, 1}}}, {}},
       0,
       0,
       0x5004,
       0x5008},
  };
  return all;
}

struct WrongRing : VqEngine, testing::WithParamInterface<Wrong> {};

TEST_P(WrongRing, StopsThatQueueWithItsCodeAndOthersGoOn) {
  const Wrong& w = GetParam();
  for (std::uint64_t seed = 1; seed <= 4 && !HasFailure(); ++seed) {
    VqBenchConfig config;
    config.seed = seed;
    restart(config);
    FeatureSet features = w.packed ? packed_ring : split_ring;
    if (w.indirect) features.set(VIRTIO_F_INDIRECT_DESC);
    if (w.event_idx < 0 ? seed > 2 : w.event_idx > 0) features.set(VIRTIO_F_EVENT_IDX);
    const QueueSetup s = place(0, 8, features);
    const auto put = [&](std::uint64_t at, const std::pair<Piece, std::array<std::uint16_t, 2>>& d,
                         bool in_ring) {
      bench->store(at, le64(raw(d.first.addr)));
      bench->store(at + 8, le32(d.first.len));
      const std::uint16_t flags = d.second[0];
      if (w.packed) {
        bench->store(at + 12, le16(d.second[1]));
        bench->store(at + 14, le16(static_cast<std::uint16_t>(flags | (in_ring ? 0x80 : 0))));
      } else {
        bench->store(at + 12, le16(flags));
        bench->store(at + 14, le16(d.second[1]));
      }
    };
    // A good chain first, at 0; the bad one begins at 1.
    put(raw(s.desc), {ok_piece, {0, 0}}, true);
    for (std::size_t i = 0; i < w.ring.desc.size(); ++i)
      put(raw(s.desc) + 16 * (i + 1), w.ring.desc[i], true);
    for (std::size_t i = 0; i < w.ring.table.size(); ++i)
      put(table_at + 16 * i, w.ring.table[i], false);
    if (!w.packed) {
      bench->store(raw(s.driver) + 2, le16(w.avail));
      bench->store(raw(s.driver) + 6, le16(w.head));
    }
    if (w.code == RingError::used_unwritable || w.code == RingError::event_unwritable)
      bench->fail_writes(w.bad_begin, w.bad_end);
    else
      bench->fail_reads(w.bad_begin, w.bad_end);
    const QueueIndex other{1};
    start(other, place(1, 16, features), 3).submit_total(50);
    EXPECT_EQ(bench->command(Command::enable, QueueIndex{0}, s).code, RingError::none);
    bench->credit(QueueIndex{0}, 8);
    bench->doorbell(QueueIndex{0});
    EXPECT_TRUE(run_to_end(100'000)) << "the other queue";
    run(2000);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].first, QueueIndex{0});
    EXPECT_EQ(errors[0].second, w.code) << to_string(errors[0].second);
    expect_clean();
    // A reset takes it back.
    bench->fail_reads(0, 0);
    bench->fail_writes(0, 0);
    reset(QueueIndex{0});
    start(QueueIndex{0}, s, 8).submit_total(20);
    EXPECT_TRUE(run_to_end(50'000)) << "after the reset";
    expect_clean();
  }
}
INSTANTIATE_TEST_SUITE_P(VqEngine, WrongRing, testing::ValuesIn(wrong_rings()),
                         [](const auto& info) { return std::string(info.param.name); });

} // namespace
} // namespace virtio::rtl
