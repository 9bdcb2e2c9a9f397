// The network device's feature bits, what each requires, and the configuration they bring.
#include "models/net_bench.hpp"

#include <map>

namespace virtio::net {
namespace {

constexpr unsigned csum = VIRTIO_NET_F_CSUM, guest_csum = VIRTIO_NET_F_GUEST_CSUM;

TEST(NetFeatures, AreNumberedAsTheSpecificationDoes) {
  const std::map<unsigned, unsigned> numbers{{csum, 0},
                                             {guest_csum, 1},
                                             {VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, 2},
                                             {VIRTIO_NET_F_MTU, 3},
                                             {VIRTIO_NET_F_MAC, 5},
                                             {VIRTIO_NET_F_GUEST_TSO4, 7},
                                             {VIRTIO_NET_F_GUEST_TSO6, 8},
                                             {VIRTIO_NET_F_GUEST_ECN, 9},
                                             {VIRTIO_NET_F_GUEST_UFO, 10},
                                             {VIRTIO_NET_F_HOST_TSO4, 11},
                                             {VIRTIO_NET_F_HOST_TSO6, 12},
                                             {VIRTIO_NET_F_HOST_ECN, 13},
                                             {VIRTIO_NET_F_HOST_UFO, 14},
                                             {VIRTIO_NET_F_MRG_RXBUF, 15},
                                             {VIRTIO_NET_F_STATUS, 16},
                                             {VIRTIO_NET_F_CTRL_VQ, 17},
                                             {VIRTIO_NET_F_CTRL_RX, 18},
                                             {VIRTIO_NET_F_CTRL_VLAN, 19},
                                             {VIRTIO_NET_F_CTRL_RX_EXTRA, 20},
                                             {VIRTIO_NET_F_GUEST_ANNOUNCE, 21},
                                             {VIRTIO_NET_F_MQ, 22},
                                             {VIRTIO_NET_F_CTRL_MAC_ADDR, 23},
                                             {VIRTIO_NET_F_NOTF_COAL, 53},
                                             {VIRTIO_NET_F_GUEST_USO4, 54},
                                             {VIRTIO_NET_F_GUEST_USO6, 55},
                                             {VIRTIO_NET_F_HOST_USO, 56},
                                             {VIRTIO_NET_F_HASH_REPORT, 57},
                                             {VIRTIO_NET_F_GUEST_HDRLEN, 59},
                                             {VIRTIO_NET_F_RSS, 60},
                                             {VIRTIO_NET_F_RSC_EXT, 61},
                                             {VIRTIO_NET_F_STANDBY, 62},
                                             {VIRTIO_NET_F_SPEED_DUPLEX, 63}};
  for (const auto& [bit, number] : numbers)
    EXPECT_EQ(bit, number);
}

/// 5.1.3.1 written down a second time: what makes each acceptable.
const std::map<unsigned, std::vector<FeatureSet>> enough{
    {VIRTIO_NET_F_GUEST_TSO4, {{guest_csum}}},
    {VIRTIO_NET_F_GUEST_TSO6, {{guest_csum}}},
    {VIRTIO_NET_F_GUEST_ECN,
     {{guest_csum, VIRTIO_NET_F_GUEST_TSO4}, {guest_csum, VIRTIO_NET_F_GUEST_TSO6}}},
    {VIRTIO_NET_F_GUEST_UFO, {{guest_csum}}},
    {VIRTIO_NET_F_GUEST_USO4, {{guest_csum}}},
    {VIRTIO_NET_F_GUEST_USO6, {{guest_csum}}},
    {VIRTIO_NET_F_HOST_TSO4, {{csum}}},
    {VIRTIO_NET_F_HOST_TSO6, {{csum}}},
    {VIRTIO_NET_F_HOST_ECN, {{csum, VIRTIO_NET_F_HOST_TSO4}, {csum, VIRTIO_NET_F_HOST_TSO6}}},
    {VIRTIO_NET_F_HOST_UFO, {{csum}}},
    {VIRTIO_NET_F_HOST_USO, {{csum}}},
    {VIRTIO_NET_F_CTRL_RX, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_CTRL_VLAN, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_GUEST_ANNOUNCE, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_MQ, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_CTRL_MAC_ADDR, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_NOTF_COAL, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_RSC_EXT,
     {{guest_csum, VIRTIO_NET_F_GUEST_TSO4}, {guest_csum, VIRTIO_NET_F_GUEST_TSO6}}},
    {VIRTIO_NET_F_RSS, {{VIRTIO_NET_F_CTRL_VQ}}},
    {proposed_VIRTIO_NET_F_HASH_TUNNEL, {{VIRTIO_NET_F_CTRL_VQ}}},
    {VIRTIO_NET_F_HASH_TUNNEL,
     {{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_RSS}, {VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_HASH_REPORT}}}};

TEST(NetFeatures, AreAcceptedOnlyWithWhatTheyRequire) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const auto found = enough.find(bit);
    EXPECT_EQ(requirements_met({bit}), found == enough.end()) << bit;
    if (found == enough.end()) continue;
    for (FeatureSet with : found->second) {
      EXPECT_TRUE(requirements_met(FeatureSet(with).set(bit))) << bit;
      for (unsigned lost = 0; lost < 64; ++lost) {
        if (lost == bit) continue;
        EXPECT_EQ(requirements_met(FeatureSet(with).set(bit).set(lost, false)), !with.has(lost))
            << bit << " without " << lost;
      }
    }
  }
}

TEST(NetFeatures, NothingIsOfferedThatCouldNotBeUsed) {
  EXPECT_EQ(worth_offering({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MAC}), FeatureSet{VIRTIO_NET_F_MAC});
  EXPECT_EQ(worth_offering({VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_RX_EXTRA}), FeatureSet{});
  const FeatureSet filtering{VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX_EXTRA};
  EXPECT_EQ(worth_offering(filtering), filtering);
  // One after the other.
  EXPECT_EQ(worth_offering({VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4}), FeatureSet{});
  EXPECT_EQ(worth_offering({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_GUEST_ANNOUNCE}), FeatureSet{});
  EXPECT_EQ(worth_offering(all_net_features), all_net_features);
}

class NetConfiguration : public NetBench {};

TEST_F(NetConfiguration, EveryFeatureCanBeOfferedAloneOrWithWhatItNeeds) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (!all_net_features.has(bit)) {
      EXPECT_THROW(build({.features = {bit}}), std::invalid_argument) << bit;
      continue;
    }
    build({.queue_pairs = 2, .features = all_net_features});
    EXPECT_TRUE(net().features().has(bit)) << bit;
    if (bit == VIRTIO_NET_F_MQ || bit == VIRTIO_NET_F_CTRL_VQ) continue;
    build({.features = FeatureSet(all_net_features).set(bit, false)});
    EXPECT_FALSE(net().features().has(bit)) << bit;
  }
}

TEST_F(NetConfiguration, TheDeviceRefusesWhatLacksItsRequirements) {
  build({.features = all_net_features});
  for (const auto& [bit, with] : enough)
    EXPECT_FALSE(net().accepts({bit})) << bit;
  EXPECT_TRUE(net().accepts(net().features()));
  EXPECT_TRUE(net().accepts({}));
}

TEST_F(NetConfiguration, SpeedAndDuplexAreShownWithTheirFeature) {
  EXPECT_EQ(config().speed, 0u);
  EXPECT_EQ(config().duplex, 0u);
  build({.features = all_net_features});
  EXPECT_EQ(config().speed, 0xffff'ffffu);
  EXPECT_EQ(config().duplex, 0xff);
  build({.speed = 25'000, .duplex = full_duplex, .features = all_net_features});
  EXPECT_EQ(config().speed, 25'000u);
  EXPECT_EQ(config().duplex, 1) << "as in the layout of 5.1.4, and in every driver";
}

TEST_F(NetConfiguration, OtherSpeedsAreRefused) {
  EXPECT_NO_THROW(build({.speed = 0x7fff'ffff, .duplex = half_duplex}));
  EXPECT_THROW(build({.speed = 0x8000'0000}), std::invalid_argument);
  EXPECT_THROW(build({.duplex = 2}), std::invalid_argument);
  build({.features = all_net_features});
  EXPECT_THROW(net().set_speed(0xffff'fffe, full_duplex), std::invalid_argument);
  EXPECT_THROW(net().set_speed(1, 3), std::invalid_argument);
}

/// What the driver would have read at each of its notifications.
class Watched : public FunctionBench {
public:
  using FunctionBench::FunctionBench;
  void config_changed() override {
    FunctionBench::config_changed();
    virtio_net_config c;
    std::memcpy(static_cast<void*>(&c), function().config().data(), sizeof c);
    seen.push_back(c);
  }
  std::vector<virtio_net_config> seen;
};

TEST_F(NetConfiguration, TheSpeedChangesWhileTheLinkIsDown) {
  auto bench = std::make_unique<Watched>(std::make_unique<Net>(
      NetParams{.speed = 1000, .duplex = half_duplex, .features = all_net_features},
      std::make_unique<TestWire>()));
  Watched& watched = *bench;
  bench_ = std::move(bench);
  bench_->start(net().features());
  net().set_speed(10'000, full_duplex);
  ASSERT_GE(watched.seen.size(), 2u);
  std::uint32_t speed = 1000;
  for (const virtio_net_config& c : watched.seen) {
    const bool changed = c.speed != std::exchange(speed, c.speed);
    EXPECT_FALSE(changed && (c.status & VIRTIO_NET_S_LINK_UP));
  }
  EXPECT_EQ(watched.seen.back().speed, 10'000u);
  EXPECT_EQ(watched.seen.back().duplex, 1);
  EXPECT_EQ(watched.seen.back().status, VIRTIO_NET_S_LINK_UP);
  // A link that was down stays so.
  net().set_link(false);
  net().set_speed(100, half_duplex);
  EXPECT_EQ(config().status, 0);
  EXPECT_EQ(config().speed, 100u);
}

TEST_F(NetConfiguration, WithoutItsFeatureTheSpeedIsNobodysBusiness) {
  net().set_speed(10'000, full_duplex);
  EXPECT_EQ(bench_->config_changes, 0);
  EXPECT_EQ(config().speed, 0u);
}

TEST_F(NetConfiguration, LinkEventsComeOnceAndInTheirTime) {
  build({.link_events = {{microseconds(30), LinkEvent::announce},
                         {microseconds(10), LinkEvent::down},
                         {microseconds(20), LinkEvent::up}},
         .features = all_net_features});
  std::vector<std::uint16_t> seen;
  for (const std::uint64_t us : {5u, 15u, 25u, 35u})
    bench_->at(microseconds(us), [&] { seen.push_back(config().status); });
  bench_->run();
  EXPECT_EQ(seen, (std::vector<std::uint16_t>{1, 0, 1, 3}));
  EXPECT_EQ(bench_->config_changes, 3);
  bench_->reset();
  bench_->start(net().features());
  bench_->run();
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP);
  EXPECT_EQ(bench_->config_changes, 3);
}

TEST_F(NetConfiguration, LinkEventsWaitForADriver) {
  build({.link_events = {{microseconds(10), LinkEvent::announce}}, .features = all_net_features});
  bench_->reset();
  bench_->at(microseconds(50), [&] { bench_->start(net().features()); });
  bench_->run();
  EXPECT_EQ(config().status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
}

TEST_F(NetConfiguration, StandbyIsOfferedAndChangesNothing) {
  build({.features = {VIRTIO_NET_F_STANDBY}});
  EXPECT_EQ(net().features(), FeatureSet{VIRTIO_NET_F_STANDBY});
  transmit(with_header(frame_of(60)));
  EXPECT_EQ(wire_->sent.size(), 1u);
}

} // namespace
} // namespace virtio::net
