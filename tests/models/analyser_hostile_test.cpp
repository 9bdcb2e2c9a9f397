// The protocol analyser under accesses that nobody sane makes: it must not read outside them, nor
// grow, nor hang. Run with sanitizers this says the most.
#include "models/analyser_bench.hpp"

#include <virtio/core/random.hpp>

#include <gtest/gtest.h>

namespace virtio::test {
namespace {

class Chaos {
public:
  explicit Chaos(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t n) { return random_.next() % n; }
  /// An interesting address: in or about the ring areas, wrapping, or anywhere.
  GuestAddr address() {
    constexpr std::uint64_t bases[] = {SplitRingDriver::desc_at, SplitRingDriver::avail_at,
                                       SplitRingDriver::used_at, 0, ~0ull - 40};
    return GuestAddr{bases[below(5)] + below(200)};
  }
  std::vector<std::byte> bytes() {
    std::vector<std::byte> data(below(10) == 0 ? below(300) : 1 + below(20));
    random_.fill(data);
    // Small numbers make descriptors that mean something.
    for (auto& b : data)
      if (below(2)) b = static_cast<std::byte>(below(9));
    return data;
  }

private:
  Random random_;
};

template <class Bench> void upset(Bench& t, Chaos& chaos, FeatureSet features) {
  if (chaos.below(2)) t.analyser.set_device_type(1); // with rules about what buffers hold
  t.bring_up(features);
  for (int i = 0; i < 3000; ++i) {
    const auto data = chaos.bytes();
    const analyser::MemoryAccess access{t.now, chaos.address(), data, chaos.below(3) == 0};
    if (chaos.below(8) == 0)
      t.analyser.on_driver_memory(access);
    else
      t.analyser.on_device_memory(access);
    if (chaos.below(50) == 0)
      t.access(static_cast<analyser::RegisterSpace>(chaos.below(10)), chaos.below(2) != 0,
               chaos.below(0x110), chaos.below(3) ? chaos.below(20) : ~0ull >> chaos.below(64),
               static_cast<unsigned>(chaos.below(10)));
  }
  t.analyser.finish(t.now);
}

TEST(AnalyserHostile, AnythingMayComeInAnyOrder) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Chaos chaos(seed);
    FeatureSet features;
    for (unsigned feature : {VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_PACKED,
                             VIRTIO_F_IN_ORDER, VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_RING_RESET})
      if (chaos.below(2)) features.set(feature);
    MmioScript mmio;
    upset(mmio, chaos, features);
    PciScript pci;
    upset(pci, chaos, features);
    EXPECT_LE(mmio.analyser.violations().size(), analyser::Report::max_tallies);
    EXPECT_GT(mmio.analyser.total() + pci.analyser.total(), 0u) << seed;
  }
}

TEST(AnalyserHostile, ATableOf4GiBCostsNothingWhenItsBufferIsUsed) {
  MmioScript t;
  t.bring_up({VIRTIO_F_INDIRECT_DESC});
  const auto at = [](std::uint64_t addr, std::uint64_t i) { return addr + i; };
  for (std::uint8_t round = 0; round < 20; ++round) {
    t.device_access(false, at(SplitRingDriver::avail_at, 2),
                    {static_cast<std::uint8_t>(round + 1), 0});
    t.device_access(false, at(SplitRingDriver::avail_at, 4u + 2 * (round % 8u)), {0, 0});
    t.device_access(false, SplitRingDriver::desc_at,
                    {0, 0, 0x40, 0, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 4, 0, 0, 0});
    t.device_access(false, 0x40'0000, std::vector<std::uint8_t>(16));
    t.device_access(true, at(SplitRingDriver::used_at, 4u + 8 * (round % 8u)),
                    {0, 0, 0, 0, 0, 0, 0, 0});
    t.device_access(true, at(SplitRingDriver::used_at, 2),
                    {static_cast<std::uint8_t>(round + 1), 0});
  }
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

TEST(AnalyserHostile, QueuesBeyondTheLimitAreNotLookedAt) {
  MmioScript t;
  t.negotiate();
  for (std::uint32_t q = 0; q < 3000; ++q)
    t.queue(8, q);
  t.w(0x70, 0x0f);
  t.device_access(false, 0x7000'0000, {0});
  EXPECT_EQ(ids(t.analyser), std::vector<std::string>{});
}

} // namespace
} // namespace virtio::test
