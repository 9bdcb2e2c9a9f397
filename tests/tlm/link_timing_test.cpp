// The timing of a PCI Express link, without SystemC: time lines computed by hand, what TLPs a
// request becomes, ordering rules, and what happens when something runs out.
#include <virtio/tlm/pci/link_timing.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace virtio::tlm2 {
namespace {

constexpr auto up = LinkDirection::upstream;
constexpr auto down = LinkDirection::downstream;

/// Nothing runs out.
PcieLinkParams unlimited() {
  PcieLinkParams params;
  params.host_credits = params.device_credits = {0, 0, 0, 0};
  params.tags = 768;
  params.posted_buffer = 1u << 30;
  params.nonposted_queue = 1u << 20;
  return params;
}

// Gen 3 x8: 8 lanes of 8 GT/s with 128 of 130 bits are 63.015 Gb/s, a byte in 0.126953 ns. At
// max_payload 256 the limit of Ack and of UpdateFC is (256 + 28) * 2.5 / 8 + 115 = 203 bytes, so
// TLPs have 1 - 8/203 - 8/203 - 4/1538 = 0.918577 of that: a byte in 0.138206 ns.

TEST(LinkTiming, AWriteTlpByHand) {
  LinkTiming link(unlimited());
  // 64 bytes below 4 GiB: framing 2, sequence 2, header 12, LCRC 4 = 20; 84 bytes leave in
  // 84 * 0.138206 = 11.609 ns. 100 ns later they are there, and 50 ns later in memory: 161.609 ns.
  const auto write = link.device_write({0}, 0x8000'0000, 64);
  EXPECT_EQ(write.accepted.ps, 0u);
  EXPECT_EQ(write.arrived.ps, 161'610u);
}

TEST(LinkTiming, AReadTlpByHand) {
  LinkTiming link(unlimited());
  // The request, 20 bytes, leaves in 2.764 ns; 100 ns on the way and 50 ns in the root complex:
  // 152.765 ns, rounded up. Memory answers 250 ns later: 402.765 ns. The completion is 84 bytes,
  // 11.609 ns: 414.375 ns, and 100 ns on the way: 514.375 ns.
  const auto read = link.device_read({0}, 0x8000'0000, 64);
  EXPECT_EQ(read.accepted.ps, 0u);
  EXPECT_EQ(read.sampled.ps, 402'765u);
  EXPECT_EQ(read.complete.ps, 514'375u);
}

} // namespace
} // namespace virtio::tlm2
