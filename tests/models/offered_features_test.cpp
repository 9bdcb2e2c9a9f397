// What every device type offers, taken together: no bit that is undefined, not implemented, or
// without what it requires, and nothing that it would not take back.
#include "support/test_device.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/console/console.hpp>
#include <virtio/entropy/entropy.hpp>
#include <virtio/net/net.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace virtio {
namespace {

struct NoWire final : net::Wire {
  void transmit(net::Frame) override {}
};

std::unique_ptr<DeviceFunction> make(DeviceType type) {
  switch (type) {
  case DeviceType::net:
    return std::make_unique<net::Net>(net::NetParams{}, std::make_unique<NoWire>());
  case DeviceType::block:
    return std::make_unique<blk::Block>(blk::BlockParams{}, std::make_unique<blk::RamStore>(4096));
  case DeviceType::console:
    return std::make_unique<console::Console>(console::ConsoleParams{}, [](auto) {});
  default:
    return std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, "rng");
  }
}

/// The bits that the specification defines for a device type (5.1.3, 5.2.3, 5.3.3).
FeatureSet defined(DeviceType type) {
  switch (type) {
  case DeviceType::net:
    return {0,  1,  2,  3,  5,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
            23, 50, 51, 52, 53, 54, 55, 56, 57, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70};
  case DeviceType::block:
    return {1, 2, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  case DeviceType::console:
    return {0, 1, 2};
  default:
    return {};
  }
}

/// Device-independent bits that this implementation has.
const FeatureSet implemented{VIRTIO_F_INDIRECT_DESC,  VIRTIO_F_EVENT_IDX,
                             VIRTIO_F_VERSION_1,      VIRTIO_F_ACCESS_PLATFORM,
                             VIRTIO_F_RING_PACKED,    VIRTIO_F_IN_ORDER,
                             VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_NOTIFICATION_DATA,
                             VIRTIO_F_RING_RESET,     VIRTIO_F_NOTIF_CONFIG_DATA};

class OfferedFeatures : public testing::TestWithParam<DeviceType> {
protected:
  test::CountingTransport transport;
  std::vector<std::byte> memory = std::vector<std::byte>(4096);
  Executor executor;
  HostMemoryPort port{GuestAddr{0}, memory};
  Device device{DeviceParams{.name = "dut"}, executor, port, make(GetParam())};

  void SetUp() override { device.attach(transport); }
  bool accepts(const FeatureSet& features) {
    device.write_status(0);
    device.write_status(3);
    for (std::uint32_t w = 0; w < 4; ++w)
      device.write_driver_features(w, features.word32(w));
    device.write_status(0x0b);
    return device.status() == 0x0b;
  }
};
INSTANTIATE_TEST_SUITE_P(OfEachType, OfferedFeatures,
                         testing::Values(DeviceType::net, DeviceType::block, DeviceType::console,
                                         DeviceType::entropy));

TEST_P(OfferedFeatures, AreDefinedForTheTypeAndImplemented) {
  const FeatureSet all = defined(GetParam()) | implemented;
  for (unsigned bit = 0; bit < FeatureSet::bits; ++bit)
    EXPECT_TRUE(!device.offered().has(bit) || all.has(bit)) << bit;
}

TEST_P(OfferedFeatures, NothingComesWithoutWhatItRequires) {
  // 5.1.3.1: a feature, and of what it requires at least one.
  const std::map<unsigned, std::vector<unsigned>> required{
      {7, {1}},   {8, {1}},       {9, {7, 8}},    {10, {1}},  {54, {1}},  {55, {1}},
      {11, {0}},  {12, {0}},      {13, {11, 12}}, {14, {0}},  {56, {0}},  {18, {17}},
      {19, {17}}, {21, {17}},     {22, {17}},     {23, {17}}, {53, {17}}, {60, {17}},
      {52, {17}}, {51, {60, 57}}, {61, {7, 8}},   {64, {60}}, {66, {65}}, {68, {67}}};
  if (GetParam() != DeviceType::net) return; // the other types' features stand alone
  for (const auto& [feature, others] : required)
    EXPECT_TRUE(!device.offered().has(feature) || std::ranges::any_of(others, [&](unsigned o) {
      return device.offered().has(o);
    })) << feature;
}

TEST_P(OfferedFeatures, EachCanBeAcceptedAloneAndAllTogether) {
  EXPECT_TRUE(accepts(device.offered()));
  EXPECT_TRUE(accepts({VIRTIO_F_VERSION_1}));
  for (unsigned bit = 0; bit < FeatureSet::bits; ++bit) {
    const bool independent = bit >= 24 && bit <= 41; // needs nothing else of the device type
    if (!device.offered().has(bit)) {
      EXPECT_FALSE(accepts({VIRTIO_F_VERSION_1, bit})) << bit;
    } else if (independent) {
      EXPECT_TRUE(accepts({VIRTIO_F_VERSION_1, bit})) << bit;
    }
  }
}

TEST_P(OfferedFeatures, SayThatMemoryIsReachedOverABus) {
  EXPECT_TRUE(device.offered().has(VIRTIO_F_ACCESS_PLATFORM));
  EXPECT_TRUE(device.offered().has(VIRTIO_F_ORDER_PLATFORM));
}

} // namespace
} // namespace virtio
