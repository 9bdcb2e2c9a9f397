// The bench and the scoreboard of the RSS block without RTL: a block made of the model, right or
// with one thing wrong.
#include <virtio/rtl/cosim/rss/bench.hpp>
#include <virtio/rtl/cosim/rss/packets.hpp>
#include <virtio/rtl/cosim/shrink.hpp>
#include <virtio/rtl/mixed/rtl_rss_unit.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <deque>
#include <functional>

namespace virtio::rtl::cosim::rss {
namespace {

/// Changes the results of the n-th packet: it may be none, or several.
using Alter = std::function<std::vector<RssResult>(std::uint64_t n, const RssResult&)>;

std::vector<RssResult> as_it_is(std::uint64_t, const RssResult& result) {
  return {result};
}

/// Takes everything at once and answers in the next cycle.
class ModelDut : public Dut {
public:
  explicit ModelDut(Alter alter = as_it_is)
      : alter_(std::move(alter)), model_(first_setup(params())) {}

  DutParams params() const override { return {}; }
  Outputs cycle(const Inputs& in) override {
    const bool quiet = results_.empty() && bytes_.empty();
    Outputs out{.packet_ready =
                    !in.reset && (!bytes_.empty() || !(in.config_valid || open_)) && !stuck,
                .config_ready = !in.reset && quiet,
                .result_valid = !results_.empty() && !flickers(),
                .result = {}};
    if (out.result_valid) out.result = results_.front();
    if (out.result_valid && changes_while_stalled) ++out.result.queue;
    if (out.result_valid && in.result_ready) results_.pop_front();
    if (in.config_valid && out.config_ready) {
      configure({in.config_address, in.config_data});
      open_ = !in.config_last && !begins_within_changes;
    }
    if (in.packet_valid && out.packet_ready) take(in);
    ++cycles_;
    return out;
  }

  bool stuck = false;
  bool valid_flickers = false;
  bool changes_while_stalled = false;
  bool begins_within_changes = false;
  int failed_assertions() const override { return cycles_ > asserts_from ? 1 : 0; }
  std::uint64_t asserts_from = ~std::uint64_t{0};

private:
  bool flickers() const { return valid_flickers && cycles_ % 2 == 0; }
  void configure(const ConfigWrite& write) {
    RssSetup setup = model_.setup();
    rss::apply(ConfigItem{write}, setup);
    model_.configure(std::move(setup));
  }
  void take(const Inputs& in) {
    const auto count = static_cast<std::size_t>(std::popcount(in.packet_keep));
    bytes_.insert(bytes_.end(), in.packet_data, in.packet_data + count);
    if (!in.packet_last) return;
    for (const RssResult& result : alter_(packets_++, model_.result(bytes_)))
      results_.push_back(result);
    bytes_.clear();
  }

  Alter alter_;
  RssModel model_;
  bool open_ = false; // a change has not ended
  std::vector<std::byte> bytes_;
  std::deque<RssResult> results_;
  std::uint64_t packets_ = 0;
  std::uint64_t cycles_ = 0;
};

const Profile& profile(const std::string& name) {
  for (const Profile& profile : profiles())
    if (profile.name == name) return profile;
  throw std::invalid_argument("no such profile");
}

std::string rule(Dut& dut, const Stimulus& stimulus) {
  const Outcome outcome = Bench(dut, stimulus).run();
  return outcome.finding ? outcome.finding->rule : "";
}
std::string rule(Dut& dut) {
  return rule(dut, random_case(1, profile("stalls"), dut.params()));
}
std::string rule(Alter alter) {
  ModelDut dut(std::move(alter));
  return rule(dut);
}

/// Changes the first hashed packet's result from the 20th on.
Alter changed(std::function<void(RssResult&)> change) {
  return [change, done = false](std::uint64_t n, RssResult result) mutable {
    if (n >= 20 && result.hashed && !done) {
      done = true;
      change(result);
    }
    return std::vector{result};
  };
}

TEST(RssBench, TheModelItselfBreaksNoRule) {
  for (const Profile& each : profiles()) {
    ModelDut dut;
    EXPECT_EQ(rule(dut, random_case(7, each, dut.params())), "") << each.name;
  }
}

TEST(RssBench, APacketMustNotBeginWithinAChange) {
  ModelDut dut;
  dut.begins_within_changes = true;
  EXPECT_NE(rule(dut, random_case(7, profile("changes"), dut.params())), "");
}

TEST(RssBench, AnAssertionOfTheBlockEndsTheCase) {
  ModelDut dut;
  dut.asserts_from = 500;
  const Outcome outcome = Bench(dut, random_case(1, profile("stalls"), dut.params())).run();
  ASSERT_TRUE(outcome.finding);
  EXPECT_EQ(outcome.finding->rule, "ASSERT");
  EXPECT_EQ(outcome.finding->cycle, 500u);
}

TEST(RssBench, EveryPacketHasItsResult) {
  ModelDut dut;
  const Stimulus stimulus = random_case(3, profile("calm"), dut.params());
  std::size_t packets = 0;
  for (const Item& item : stimulus.items)
    packets += item.starts_with("packet") ? 1 : 0;
  EXPECT_EQ(Bench(dut, stimulus).run().packets, packets);
}

TEST(RssScoreboard, AnotherValueBreaksItsRule) {
  EXPECT_EQ(rule(changed([](RssResult& r) { r.hash ^= 0x100; })), "RSS-HASH");
  EXPECT_EQ(rule(changed([](RssResult& r) { r.report = 10; })), "RSS-REPORT");
  EXPECT_EQ(rule(changed([](RssResult& r) { r.hashed = false; })), "RSS-REPORT");
  EXPECT_EQ(rule(changed([](RssResult& r) { r.tunnel ^= 1; })), "RSS-TUNNEL");
  EXPECT_EQ(rule(changed([](RssResult& r) { r.queue ^= 1; })), "RSS-QUEUE");
  EXPECT_EQ(rule(changed([](RssResult& r) { r.drop = !r.drop; })), "RSS-DROP");
}

RssResult numbered(std::uint32_t n) {
  return {.hash = n, .hashed = true, .report = 1};
}

/// Of results that come for four packets with the results 0 to 3.
std::string rule_of(const std::vector<std::uint32_t>& results) {
  RssScoreboard scoreboard;
  for (std::uint32_t n = 0; n < 4; ++n)
    scoreboard.packet(numbered(n));
  for (const std::uint32_t n : results)
    if (const auto broken = scoreboard.result(0, numbered(n))) return broken->rule;
  const auto owed = scoreboard.settle(0);
  return owed ? owed->rule : "";
}

TEST(RssScoreboard, SwappedResultsAreOutOfOrder) {
  EXPECT_EQ(rule_of({0, 1, 2, 3}), "");
  EXPECT_EQ(rule_of({0, 2, 1, 3}), "RSS-ORDER");
}

TEST(RssScoreboard, DroppedResultsAreMissed) {
  EXPECT_EQ(rule_of({0, 2, 3}), "RSS-ORDER");
  EXPECT_EQ(rule_of({0, 1, 2}), "RSS-COUNT");
}

TEST(RssScoreboard, DoubledResultsAreTooMany) {
  EXPECT_EQ(rule_of({0, 1, 1, 2, 3}), "RSS-COUNT");
  EXPECT_EQ(rule_of({0, 1, 2, 3, 3}), "RSS-COUNT");
}

TEST(RssBench, ResultsTooManyAfterTheLastPacketAreSeen) {
  EXPECT_EQ(rule([](std::uint64_t, const RssResult& r) { return std::vector{r, r}; }), "RSS-COUNT");
}

TEST(RssBench, ADutThatTakesNothingHangs) {
  ModelDut dut;
  dut.stuck = true;
  const Outcome outcome = Bench(dut, random_case(1, profile("calm"), dut.params())).run();
  ASSERT_TRUE(outcome.finding);
  EXPECT_EQ(outcome.finding->rule, "RSS-HANG");
  EXPECT_NE(outcome.finding->evidence.find("packet 0 waits at byte 0"), std::string::npos);
}

TEST(RssBench, ADutThatOwesAResultHangs) {
  EXPECT_EQ(rule([](std::uint64_t, const RssResult&) { return std::vector<RssResult>{}; }),
            "RSS-HANG");
}

TEST(RssBench, ResultsStandUntilTheyAreTaken) {
  ModelDut dut;
  dut.valid_flickers = true;
  EXPECT_EQ(rule(dut), "AXIS-STABLE");
}

TEST(RssBench, CasesShrinkToOnePacket) {
  const auto fails = [](const Stimulus& stimulus) {
    ModelDut dut([](std::uint64_t, RssResult r) {
      if (r.report == 8) r.hash ^= 1;
      return std::vector{r};
    });
    return Bench(dut, stimulus).run().finding;
  };
  const Stimulus stimulus = random_case(5, profile("default"), DutParams{});
  const auto finding = fails(stimulus);
  ASSERT_TRUE(finding);
  const Shrunk small = shrink(stimulus, *finding, {fails, simpler}, {.runs = 20'000});
  EXPECT_EQ(small.finding.rule, "RSS-HASH");
  EXPECT_EQ(small.stimulus.items.size(), 1);
  EXPECT_TRUE(small.complete);
}

TEST(RssItems, SettingsBecomeSimplerOneAtATime) {
  const Stimulus stimulus = parse_stimulus("set stall 3\nset gap 0\nset config_gap 2\n"
                                           "item packet 0 00\nitem config mask=1\n"
                                           "item packet 1 00\n")
                                .value();
  const auto simple = simpler_settings(stimulus);
  ASSERT_EQ(simple.size(), 2);
  EXPECT_EQ(simple[0].number("stall", 9), 0);
  EXPECT_EQ(simple[0].number("config_gap"), 2);
  EXPECT_EQ(simple[1].number("config_gap", 9), 0);
  EXPECT_EQ(packets_of(stimulus), 2);
}

TEST(RssItems, AreTheSameAfterTheirText) {
  const PacketItem packet{12, {std::byte{0xab}, std::byte{0}, std::byte{0x1c}}};
  EXPECT_EQ(to_text(packet), "packet 12 ab001c");
  const auto read = parse_item(to_text(packet));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<PacketItem>(*read).bytes, packet.bytes);
  EXPECT_EQ(std::get<PacketItem>(*read).gaps, 12);
}

TEST(RssItems, WhatIsWrongIsSaid) {
  for (const char* text : {"packet 0 abc", "packet x 00", "packet 0", "config key=00", "bucket",
                           "config type=1", "config table=1", "config reset=40000:1"})
    EXPECT_FALSE(parse_item(text)) << text;
}

TEST(RssItems, WritesMakeTheSetupThatTheyAreMadeOf) {
  const auto change = parse_item(random_config(3, 1, {}));
  ASSERT_TRUE(change);
  RssSetup setup = first_setup({});
  rss::apply(std::get<ConfigItem>(*change), setup);
  RssSetup again = first_setup({});
  rss::apply(writes_of(setup), again);
  EXPECT_EQ(again.key, setup.key);
  EXPECT_EQ(again.table, setup.table);
  EXPECT_EQ(again.rules.types, setup.rules.types);
  EXPECT_EQ(again.rules.parse.geneve_port, setup.rules.parse.geneve_port);
}

TEST(RssPackets, DefaultCasesCoverThePlan) {
  CoverPlan plan = cover_plan();
  for (std::uint64_t seed = 1; seed <= 40 && !plan.complete(); ++seed)
    cover(random_case(seed, profile("default"), {}), {}, plan);
  EXPECT_EQ(plan.missing(), std::vector<std::string>{});
}

// --- as the RSS unit of a network device --------------------------------------------------------

std::vector<std::byte> udp_over_ipv4(std::uint8_t port) {
  std::vector<std::byte> frame(60);
  const auto put = [&](std::size_t at, std::initializer_list<int> bytes) {
    for (const int byte : bytes)
      frame[at++] = static_cast<std::byte>(byte);
  };
  put(12, {0x08, 0x00, 0x45, 0, 0, 46});
  put(22, {64, 17});
  put(26, {10, 0, 0, 1, 10, 0, 0, 2, 0, port, 0, 80, 0, 26});
  return frame;
}

net::RssUnitSetup unit_setup(std::vector<std::uint16_t> table) {
  net::RssUnitSetup setup{.rules = {.types = net::all_hash_types}, .table = std::move(table)};
  for (std::size_t i = 0; i < setup.key.size(); ++i)
    setup.key[i] = static_cast<std::uint8_t>(11 * i + 3);
  return setup;
}

TEST(RtlRssUnit, SaysWhatTheModelSays) {
  RtlRssUnit unit(std::make_unique<ModelDut>(), 128);
  for (const std::size_t entries : {1, 2, 8, 128}) {
    std::vector<std::uint16_t> table;
    for (std::size_t i = 0; i < entries; ++i)
      table.push_back(static_cast<std::uint16_t>(3 * i + 1));
    const net::RssUnitSetup setup = unit_setup(table);
    unit.configure(setup);
    const net::Toeplitz toeplitz(setup.key);
    for (std::uint8_t port = 1; port < 40; ++port) {
      const auto frame = udp_over_ipv4(port);
      const net::HashResult right = net::hash_of(frame, setup.rules, toeplitz);
      const net::RssUnit::Verdict verdict = unit.judge(frame);
      EXPECT_EQ(verdict.hash.report, net::HashReport::UDPv4);
      EXPECT_EQ(verdict.hash.value, right.value);
      EXPECT_EQ(verdict.pair, table[right.value % entries]);
    }
  }
  EXPECT_EQ(unit.problem(), "");
}

TEST(RtlRssUnit, AWrongResultIsAProblem) {
  RtlRssUnit unit(std::make_unique<ModelDut>([](std::uint64_t n, RssResult result) {
                    if (n == 2) result.hash ^= 1;
                    return std::vector{result};
                  }),
                  128);
  unit.configure(unit_setup({0, 1}));
  for (std::uint8_t port = 1; port < 3; ++port)
    unit.judge(udp_over_ipv4(port));
  EXPECT_EQ(unit.problem(), "");
  unit.judge(udp_over_ipv4(3));
  EXPECT_TRUE(unit.problem().starts_with("the RSS block says of packet 2, ")) << unit.problem();
}

TEST(RtlRssUnit, ABlockThatHangsIsAProblem) {
  auto dut = std::make_unique<ModelDut>();
  dut->stuck = true;
  RtlRssUnit unit(std::move(dut), 128);
  unit.judge(udp_over_ipv4(1));
  EXPECT_TRUE(unit.problem().starts_with("the RSS block hangs: a packet has no result"))
      << unit.problem();
}

TEST(RtlRssUnit, ALongerTableThanItHasIsRefused) {
  EXPECT_THROW(RtlRssUnit(std::make_unique<ModelDut>(), 256), std::invalid_argument);
}

} // namespace
} // namespace virtio::rtl::cosim::rss
