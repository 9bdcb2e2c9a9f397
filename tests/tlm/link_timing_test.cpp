// The timing of a PCI Express link, without SystemC: time lines computed by hand, what TLPs a
// request becomes, ordering rules, and what happens when something runs out.
#include <virtio/tlm/pci/link_timing.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace virtio::tlm2 {
namespace {

constexpr auto up = LinkDirection::upstream;
constexpr auto down = LinkDirection::downstream;
constexpr std::uint64_t ram = 0x8000'0000;

/// Nothing runs out.
PcieLinkParams unlimited() {
  PcieLinkParams params;
  params.host_credits = params.device_credits = {0, 0, 0, 0};
  params.tags = 768;
  params.posted_buffer = 1u << 30;
  params.nonposted_queue = 1u << 20;
  return params;
}

// --- time lines ----------------------------------------------------------------------------------
// Gen 3 x8: 8 lanes of 8 GT/s with 128 of 130 bits are 63.015 Gb/s, a byte in 0.126953 ns. At
// max_payload 256 the limit of Ack and of UpdateFC is (256 + 28) * 2.5 / 8 + 115 = 203 bytes, so
// TLPs have 1 - 8/203 - 8/203 - 4/1538 = 0.918582 of that: a byte in 0.138206 ns.

TEST(LinkTiming, AWriteTlpByHand) {
  LinkTiming link(unlimited());
  // 64 bytes below 4 GiB: framing 2, sequence 2, header 12, LCRC 4 = 20; 84 bytes leave in
  // 84 * 0.138206 = 11.609 ns. 100 ns later they are there, and 50 ns later in memory: 161.609 ns.
  const auto write = link.device_write({0}, ram, 64);
  EXPECT_EQ(write.accepted.ps, 0u);
  EXPECT_EQ(write.arrived.ps, 161'610u);
}

TEST(LinkTiming, AReadTlpByHand) {
  LinkTiming link(unlimited());
  // The request, 20 bytes, leaves in 2.764 ns; 100 ns on the way and 50 ns in the root complex:
  // 152.765 ns, rounded up. Memory answers 250 ns later: 402.765 ns. The completion is 84 bytes,
  // 11.609 ns: 414.375 ns, and 100 ns on the way: 514.375 ns.
  const auto read = link.device_read({0}, ram, 64);
  EXPECT_EQ(read.accepted.ps, 0u);
  EXPECT_EQ(read.sampled.ps, 402'765u);
  EXPECT_EQ(read.complete.ps, 514'375u);
}

TEST(LinkTiming, ADoorbellAndARegisterReadByHand) {
  LinkTiming link(unlimited());
  // 4 bytes: 24 on the wire, 3.317 ns; 100 ns later at the device.
  EXPECT_EQ(link.cpu_write({0}, 0x4000'0000, 4).arrived.ps, 103'317u);
  EXPECT_EQ(LinkTiming(unlimited()).cpu_write({0}, 0x4000'0000, 512).accepted.ps, 0u);
  // Behind it 20 bytes, 2.764 ns: 6.081 ns, and 100 ns.
  const SimTime there = link.cpu_read({0}, 0x4000'0000, 4);
  EXPECT_EQ(there.ps, 106'082u);
  // The completion: 24 bytes, 100 ns, 50 ns in the root complex.
  EXPECT_EQ(link.complete_cpu(there, 4).ps, 106'082u + 153'317u);
}

TEST(LinkTiming, AnAddressOverFourGibAndEcrcTakeFourBytesMoreEach) {
  PcieLinkParams params = unlimited();
  LinkTiming link(params);
  link.device_write({0}, 0x1'0000'0000, 4);
  EXPECT_EQ(link.statistics().of(up, TlpKind::memory_write).wire_bytes, 24u + 4);
  params.ecrc = true;
  LinkTiming with(params);
  with.device_write({0}, 0x1'0000'0000, 4);
  EXPECT_EQ(with.statistics().of(up, TlpKind::memory_write).wire_bytes, 28u + 4);
  with.device_read({0}, ram, 4);
  EXPECT_EQ(with.statistics().of(down, TlpKind::completion_data).wire_bytes, 24u + 4);
}

TEST(LinkTiming, RatesOfAllGenerationsAndWidths) {
  // The repository's limits for max_payload 256, by hand: bytes between two DLLPs.
  struct Case {
    unsigned generation, lanes, limit;
    double raw_gbps;
  };
  for (const Case& c :
       {Case{1, 1, 416, 2.0}, Case{1, 32, 45, 64.0}, Case{2, 4, 169, 16.0},
        Case{3, 8, 203, 63.015385}, Case{4, 16, 168, 252.061538}, Case{5, 32, 141, 1008.246154}}) {
    PcieLinkParams params = unlimited();
    params.generation = c.generation;
    params.lanes = c.lanes;
    EXPECT_EQ(dllp_limit(params), c.limit);
    const double tlps = c.raw_gbps * (1 - 16.0 / c.limit - 4.0 / 1538);
    const LinkTiming link(params);
    EXPECT_NEAR(link.wire_time(4096).ps / 4096e3 * tlps, 8, 8 * 1e-4)
        << c.generation << " x" << c.lanes;
  }
}

TEST(LinkTiming, FractionsAreCarriedOverAMillionTlps) {
  LinkTiming link(unlimited());
  SimTime last{};
  for (int i = 0; i < 1'000'000; ++i)
    last = link.device_write({0}, ram, 4).arrived;
  // 24e6 bytes of 8 / (8 * 8) * 130/128 / (1 - 16/203 - 4/1538) ns each, by rational arithmetic:
  // 3316934912.34 ps. Every TLP rounded up would add 65 ns.
  EXPECT_EQ(last.ps, 3'316'934'913u + 150'000u);
  EXPECT_EQ(link.busy(up).ps, 3'316'934'912u);
}

TEST(LinkTiming, DirectionsAreIndependent) {
  LinkTiming alone(unlimited());
  LinkTiming beside(unlimited());
  for (int i = 0; i < 100; ++i)
    beside.cpu_write({0}, 0x4000'0000, 64);
  EXPECT_EQ(beside.device_write({0}, ram, 64).arrived, alone.device_write({0}, ram, 64).arrived);
}

// --- splitting -----------------------------------------------------------------------------------

struct Tlps {
  std::uint64_t requests, completions, payload;
  friend bool operator==(const Tlps&, const Tlps&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Tlps& t) {
    return out << t.requests << " requests, " << t.completions << " completions, " << t.payload;
  }
};
Tlps of_write(const PcieLinkParams& params, std::uint64_t addr, std::uint32_t len) {
  LinkTiming link(params);
  link.device_write({0}, addr, len);
  const auto& tlps = link.statistics().of(up, TlpKind::memory_write);
  return {tlps.count, 0, tlps.payload_bytes};
}
Tlps of_read(const PcieLinkParams& params, std::uint64_t addr, std::uint32_t len) {
  LinkTiming link(params);
  link.device_read({0}, addr, len);
  const auto& completions = link.statistics().of(down, TlpKind::completion_data);
  return {link.statistics().of(up, TlpKind::memory_read).count, completions.count,
          completions.payload_bytes};
}

TEST(LinkTiming, WritesAreSplitAtMaxPayloadAndAtFourKib) {
  PcieLinkParams params = unlimited(); // max_payload 256
  EXPECT_EQ(of_write(params, ram, 256), (Tlps{1, 0, 256}));
  EXPECT_EQ(of_write(params, ram, 260), (Tlps{2, 0, 260}));
  EXPECT_EQ(of_write(params, ram, 4096), (Tlps{16, 0, 4096}));
  EXPECT_EQ(of_write(params, ram + 0xffc, 8), (Tlps{2, 0, 8}));
  EXPECT_EQ(of_write(params, ram + 0xf80, 256), (Tlps{2, 0, 256}));
  EXPECT_EQ(of_write(params, ram + 16, 4096), (Tlps{17, 0, 4096}));
  params.max_payload = 128;
  EXPECT_EQ(of_write(params, ram, 256), (Tlps{2, 0, 256}));
}

TEST(LinkTiming, PayloadIsWholeDoubleWords) {
  const PcieLinkParams params = unlimited();
  EXPECT_EQ(of_write(params, ram, 1), (Tlps{1, 0, 4}));
  EXPECT_EQ(of_write(params, ram + 3, 2), (Tlps{1, 0, 8}));
  // 256 bytes from an odd address are 65 double words: more than max_payload holds.
  EXPECT_EQ(of_write(params, ram + 1, 256), (Tlps{2, 0, 260}));
  EXPECT_EQ(of_read(params, ram + 2, 3), (Tlps{1, 1, 8}));
}

TEST(LinkTiming, ReadsAreSplitAtMaxReadRequestAndAtFourKib) {
  PcieLinkParams params = unlimited(); // max_read_request 512, completions of 256
  EXPECT_EQ(of_read(params, ram, 512), (Tlps{1, 2, 512}));
  EXPECT_EQ(of_read(params, ram, 4096), (Tlps{8, 16, 4096}));
  EXPECT_EQ(of_read(params, ram + 0xe00, 516), (Tlps{2, 3, 516}));
  params.max_read_request = 4096;
  EXPECT_EQ(of_read(params, ram + 0xf00, 512), (Tlps{2, 2, 512}));
}

TEST(LinkTiming, TheFirstCompletionEndsOnTheReadCompletionBoundary) {
  PcieLinkParams params = unlimited();
  // 0x10..0x100, 0x100..0x200, 0x200..0x210.
  EXPECT_EQ(of_read(params, ram + 0x10, 512), (Tlps{1, 3, 512}));
  // 0x50..0x140 (not 0x150), then 0x140..0x150.
  EXPECT_EQ(of_read(params, ram + 0x50, 256), (Tlps{1, 2, 256}));
  // With a boundary of 128 it ends at 0x100, and the same bytes need two as well.
  params.read_completion_boundary = 128;
  EXPECT_EQ(of_read(params, ram + 0x50, 256), (Tlps{1, 2, 256}));
  EXPECT_EQ(of_read(params, ram + 0x50, 177), (Tlps{1, 2, 180}));
  params.read_completion_boundary = 64;
  EXPECT_EQ(of_read(params, ram + 0x50, 177), (Tlps{1, 1, 180}));
  // Completions as small as the boundary: 0x10..0x40, 0x40..0x80, 0x80..0x90.
  params.completion_size = 64;
  EXPECT_EQ(of_read(params, ram + 0x10, 128), (Tlps{1, 3, 128}));
  EXPECT_EQ(of_read(params, ram, 4096), (Tlps{8, 64, 4096}));
}

TEST(LinkTiming, TheEndOfTheAddressSpaceIsAnEndLikeOthers) {
  EXPECT_EQ(of_write(unlimited(), ~0ull - 511, 512), (Tlps{2, 0, 512}));
  EXPECT_EQ(of_read(unlimited(), ~0ull - 511, 512), (Tlps{1, 2, 512}));
}

TEST(LinkTiming, WireBytesAreTheSumOfTheirTlps) {
  LinkTiming link(unlimited());
  SimTime now{};
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    now.ps += i * 37 % 90'000;
    const std::uint64_t addr = (i % 3 ? ram : 0x2'0000'0000) + i * 1'237;
    const std::uint32_t len = 1 + i * 7'919 % 4'096;
    const std::uint64_t words = ((addr + len + 3) & ~3ull) - (addr & ~3ull);
    (i % 2 ? written : read) += i % 10 == 0 ? 0 : words;
    if (i % 2)
      link.device_write(now, addr, len, i % access_kinds);
    else
      link.device_read(now, addr, len, i % access_kinds, i % 10 == 0);
    if (i % 5 == 0) link.cpu_write(now, 0x4000'0000, 4);
    if (i % 7 == 0) link.complete_cpu(link.cpu_read(now, 0x4000'0000, 4), 4);
    if (i % 11 == 0) link.complete_cpu(link.cpu_config(now, 4, i % 2), i % 2 ? 0 : 4);
  }
  const LinkStatistics& s = link.statistics();
  for (const auto direction : {up, down}) {
    std::uint64_t wire = 0;
    std::uint64_t by_access = 0;
    for (std::size_t kind = 0; kind < tlp_kinds; ++kind) {
      const auto& tlps = s.of(direction, static_cast<TlpKind>(kind));
      EXPECT_GE(tlps.wire_bytes, tlps.payload_bytes + 20 * tlps.count);
      EXPECT_LE(tlps.wire_bytes, tlps.payload_bytes + 24 * tlps.count);
      wire += tlps.wire_bytes;
    }
    for (const auto& access : s.device)
      by_access += access.wire_bytes[static_cast<std::size_t>(direction)];
    EXPECT_EQ(s.wire_bytes(direction), wire);
    EXPECT_EQ(by_access, wire);
    EXPECT_GT(link.busy(direction).ps, 0u);
  }
  EXPECT_EQ(s.of(up, TlpKind::memory_write).payload_bytes, written);
  EXPECT_EQ(s.of(down, TlpKind::completion_data).payload_bytes, read);
}

// --- ordering ------------------------------------------------------------------------------------

TEST(LinkTiming, WritesStayInOrder) {
  LinkTiming link(unlimited());
  const auto large = link.device_write({0}, ram, 4096);
  EXPECT_GT(link.device_write({0}, ram, 4).arrived, large.arrived);
}

TEST(LinkTiming, AReadSamplesAfterTheWritesBeforeItAreDone) {
  PcieLinkParams params = unlimited();
  params.host_credits.posted_header = 1; // the second TLP waits a round trip
  LinkTiming link(params);
  const auto write = link.device_write({0}, ram, 512);
  const auto read = link.device_read({0}, ram, 4);
  // Its 20 bytes leave behind the write.
  EXPECT_GE(read.sampled.ps, write.arrived.ps + 2'764 + 250'000);
  LinkTiming alone(params);
  EXPECT_LT(alone.device_read({0}, ram, 4).sampled, write.arrived) << "and would have, without it";
}

TEST(LinkTiming, AReadDoesNotPassAWriteWhoseTranslationTakesLong) {
  PcieLinkParams params = unlimited();
  params.translation.where = Translation::iommu;
  LinkTiming link(params);
  link.device_read({0}, ram, 4); // its page is known now
  const auto write = link.device_write({1'000'000}, ram + 0x10'0000, 4);
  const auto read = link.device_read({1'000'000}, ram, 4);
  EXPECT_GE(read.sampled, write.arrived);
}

TEST(LinkTiming, AWritePassesReadsThatHaveNoTag) {
  PcieLinkParams params = unlimited();
  params.tags = 1;
  LinkTiming link(params);
  link.device_read({0}, ram, 4);
  const auto waits = link.device_read({0}, ram, 4);
  const auto write = link.device_write({1'000}, ram, 4);
  EXPECT_GT(waits.complete.ps, 900'000u);
  EXPECT_LT(write.arrived.ps, 170'000u);
}

TEST(LinkTiming, ACompletionToTheCpuDoesNotPassWritesUnlessAllowed) {
  for (const bool relaxed : {false, true})
    for (const bool by_id : {false, true}) {
      PcieLinkParams params = unlimited();
      params.host_credits.posted_header = 1;
      params.relaxed_ordering = relaxed;
      params.id_based_ordering = by_id;
      LinkTiming link(params);
      const SimTime written = link.device_write({0}, ram, 1024).arrived;
      const SimTime complete = link.complete_cpu({0}, 4);
      if (relaxed || by_id)
        EXPECT_LT(complete, written);
      else
        EXPECT_GE(complete.ps, written.ps + 3'316) << "24 bytes behind them";
    }
}

TEST(LinkTiming, ATranslationThatTakesLongHoldsUpWhatIsBehindIt) {
  PcieLinkParams params = unlimited();
  params.translation.where = Translation::iommu;
  LinkTiming link(params);
  link.device_read({0}, ram, 4); // its page is known now
  const auto miss = link.device_write({1'000'000}, ram + 0x10'0000, 4);
  EXPECT_GE(link.complete_cpu({1'000'000}, 4), miss.arrived);
  EXPECT_GE(link.device_write({1'000'000}, ram, 4).arrived, miss.arrived);
}

TEST(LinkTiming, ACompletionToTheDeviceDoesNotPassDoorbellsUnlessAllowed) {
  for (const bool relaxed : {false, true}) {
    PcieLinkParams params = unlimited();
    params.device_credits.posted_header = 1;
    params.relaxed_ordering = relaxed;
    LinkTiming link(params);
    SimTime rung{};
    for (int i = 0; i < 4; ++i)
      rung = link.cpu_write({0}, 0x4000'0000, 4).arrived;
    EXPECT_GT(rung.ps, 700'000u);
    const SimTime complete = link.device_read({0}, ram, 4).complete;
    if (relaxed)
      EXPECT_LT(complete, rung);
    else
      EXPECT_GT(complete, rung);
  }
}

TEST(LinkTiming, ADoorbellRungAfterAReadWasAskedForIsStillAheadOfItsCompletion) {
  PcieLinkParams params = unlimited();
  params.device_credits.posted_header = 1;
  LinkTiming link(params);
  const auto read = link.device_read({0}, ram, 4);
  SimTime rung{};
  for (int i = 0; i < 4; ++i)
    rung = link.cpu_write({10'000}, 0x4000'0000, 4).arrived; // long before memory answers
  ASSERT_GT(rung, read.complete);
  EXPECT_EQ(link.completion_not_before(read.complete, read.sampled), rung + SimTime{1});
  // One that was rung after memory answered does not matter.
  LinkTiming other(params);
  const auto earlier = other.device_read({0}, ram, 4);
  other.cpu_write(earlier.sampled + SimTime{1}, 0x4000'0000, 4);
  EXPECT_EQ(other.completion_not_before(earlier.complete, earlier.sampled), earlier.complete);
}

TEST(LinkTiming, ARegisterReadPushesTheDoorbellsBeforeIt) {
  PcieLinkParams params = unlimited();
  params.device_credits.posted_header = 1;
  LinkTiming link(params);
  SimTime rung{};
  for (int i = 0; i < 4; ++i)
    rung = link.cpu_write({0}, 0x4000'0000, 4).arrived;
  EXPECT_GE(link.cpu_read({0}, 0x4000'0000, 4), rung);
  EXPECT_GE(link.cpu_config({0}, 4, true), rung);
}

TEST(LinkTiming, ADoorbellWaitsForOneCompletionTlpAtMost) {
  LinkTiming link(unlimited());
  for (int i = 0; i < 100; ++i)
    link.device_read({0}, ram, 4096); // 60 us of completions
  const SimTime now{10'000'000};
  // 276 bytes of a completion in its way, 24 of its own, 100 ns.
  const auto rung = link.cpu_write(now, 0x4000'0000, 4);
  EXPECT_LE(rung.arrived.ps, (now + link.wire_time(276 + 24)).ps + 100'001);
  // What it took is missing to the completions after it.
  LinkTiming without(unlimited());
  SimTime last{};
  for (int i = 0; i < 100; ++i)
    last = without.device_read({0}, ram, 4096).complete;
  last = without.device_read({0}, ram, 4096).complete;
  EXPECT_EQ(link.device_read({0}, ram, 4096).complete.ps / 1'000,
            (last + link.wire_time(24)).ps / 1'000);
}

TEST(LinkTiming, ADoorbellOfACpuThatIsAheadDelaysNobodyBeforeIt) {
  LinkTiming link(unlimited());
  LinkTiming alone(unlimited());
  link.cpu_write({1'000'000'000}, 0x4000'0000, 4);
  const auto read = link.device_read({0}, ram, 4096);
  EXPECT_EQ(read.complete, alone.device_read({0}, ram, 4096).complete);
  EXPECT_EQ(link.completion_not_before(read.complete, read.sampled), read.complete);
}

TEST(LinkLedger, WhatComesBackFirstIsTakenFirst) {
  LinkLedger ledger(2);
  EXPECT_EQ(ledger.take({0}, 1).ps, 0u);
  EXPECT_EQ(ledger.take({0}, 1).ps, 0u);
  ledger.give_back({100}, 1);
  ledger.give_back({50}, 1);
  EXPECT_FALSE(ledger.plenty({0}, 1));
  EXPECT_EQ(ledger.take({0}, 1).ps, 50u);
  EXPECT_EQ(ledger.take({50}, 1).ps, 100u);
}

// --- what runs out -------------------------------------------------------------------------------

/// Payload rate in Gb/s of reads of `len` bytes, each sent when the one before was accepted.
double read_rate(const PcieLinkParams& params, std::uint32_t len, unsigned count = 5'000) {
  LinkTiming link(params);
  SimTime now{};
  SimTime begin{};
  SimTime end{};
  for (unsigned i = 0; i < 2 * count; ++i) {
    const auto read = link.device_read(now, ram + i % 64 * 4096, len);
    now = std::max(now, read.accepted);
    end = std::max(end, read.complete);
    if (i + 1 == count) begin = end;
  }
  return 8e3 * len * count / static_cast<double>((end - begin).ps);
}

TEST(LinkTiming, TagsExhaustedLeaveLittlesLaw) {
  PcieLinkParams params = unlimited();
  const double round_trip_ns = 514.374;
  for (const unsigned tags : {1u, 8u, 32u}) {
    params.tags = tags;
    EXPECT_NEAR(read_rate(params, 64), tags * 64 * 8 / round_trip_ns, 0.001 * tags) << tags;
  }
  // 43 tags fill the wire: 44.1 Gb/s. More change nothing.
  params.tags = 256;
  EXPECT_NEAR(read_rate(params, 64), 44.103, 0.01);
  params.tags = 768;
  EXPECT_NEAR(read_rate(params, 64), 44.103, 0.01);
}

TEST(LinkTiming, CompletionSpaceIsALimitLikeTags) {
  PcieLinkParams params = unlimited();
  params.completion_data = 36; // units of 16 bytes: nine reads of 64 bytes
  EXPECT_NEAR(read_rate(params, 64), 9 * 64 * 8 / 514.374, 0.01);
  params.completion_data = 0;
  params.completion_headers = 5;
  EXPECT_NEAR(read_rate(params, 64), 5 * 64 * 8 / 514.374, 0.01);
}

TEST(LinkTiming, ReadsInServiceAtMemoryAreALimit) {
  PcieLinkParams params = unlimited();
  params.reads_in_service = 4; // each for 250 ns
  EXPECT_NEAR(read_rate(params, 64), 4 * 64 * 8 / 250.0, 0.01);
}

TEST(LinkTiming, TheRootComplexTakesOneRequestInAnInterval) {
  PcieLinkParams params = unlimited();
  params.request_interval = nanoseconds(20);
  EXPECT_NEAR(read_rate(params, 64), 64 * 8 / 20.0, 0.01);
}

TEST(LinkTiming, NonPostedCreditsAreALimit) {
  PcieLinkParams params = unlimited();
  params.host_credits.nonposted_header = 2;
  // Request 2.764 ns, 100 ns, 50 ns in the root complex, and 150 ns until the credit is back.
  EXPECT_NEAR(read_rate(params, 64), 2 * 64 * 8 / 302.765, 0.01);
}

TEST(LinkTiming, WritesStallWithoutCreditsAndGoOn) {
  PcieLinkParams params = unlimited();
  params.host_credits.posted_header = 2;
  LinkTiming link(params);
  // 84 bytes each, 11.609 ns. Two leave at once. The third waits for the first one's credit: sent
  // 11.609, arrived 111.610, in memory 161.610, credit back 311.610; then sent and in memory after
  // 161.609 ns.
  EXPECT_EQ(link.device_write({0}, ram, 64).arrived.ps, 161'610u);
  EXPECT_EQ(link.device_write({0}, ram, 64).arrived.ps, 173'219u);
  EXPECT_EQ(link.device_write({0}, ram, 64).arrived.ps, 311'610u + 161'610u);
  // It waited since the wire was free, 23.218 ns.
  EXPECT_EQ(link.statistics().stalls.posted_credits.ps, 311'610u - 23'218u);
  // Later there are credits again.
  EXPECT_EQ(link.device_write({10'000'000}, ram, 64).arrived.ps, 10'161'610u);
  EXPECT_EQ(link.statistics().stalls.posted_credits.ps, 311'610u - 23'218u);
}

TEST(LinkTiming, DataCreditsCountSixteenBytes) {
  PcieLinkParams params = unlimited();
  params.host_credits.posted_data = 17; // 256 bytes and 16
  LinkTiming link(params);
  link.device_write({0}, ram, 256);
  link.device_write({0}, ram, 16);
  EXPECT_EQ(link.statistics().stalls.posted_credits.ps, 0u);
  link.device_write({0}, ram, 1);
  EXPECT_GT(link.statistics().stalls.posted_credits.ps, 200'000u);
}

TEST(LinkTiming, AWriteIsAcceptedWhenTheBufferHasRoom) {
  PcieLinkParams params = unlimited();
  params.posted_buffer = 512;
  LinkTiming link(params);
  EXPECT_EQ(link.device_write({0}, ram, 256).accepted.ps, 0u);
  EXPECT_EQ(link.device_write({0}, ram, 256).accepted.ps, 0u);
  // The first one, 276 bytes, has left after 38.145 ns.
  EXPECT_EQ(link.device_write({0}, ram, 256).accepted.ps, 38'145u);
  EXPECT_EQ(link.statistics().stalls.posted_buffer.ps, 38'145u);
  // One larger than the buffer has it for itself.
  LinkTiming other(params);
  EXPECT_EQ(other.device_write({0}, ram, 4).accepted.ps, 0u);
  EXPECT_EQ(other.device_write({0}, ram, 4096).accepted.ps, 3'317u);
}

TEST(LinkTiming, AReadIsAcceptedWhenTheQueueHasRoom) {
  PcieLinkParams params = unlimited();
  params.tags = 1;
  params.nonposted_queue = 2;
  LinkTiming link(params);
  SimTime complete = link.device_read({0}, ram, 64).complete; // has the tag
  EXPECT_EQ(link.device_read({1'000'00}, ram, 64).accepted.ps, 100'000u);
  EXPECT_EQ(link.device_read({1'000'00}, ram, 64).accepted.ps, 100'000u);
  // The first of the two leaves when the tag is free.
  EXPECT_EQ(link.device_read({1'000'00}, ram, 64).accepted, complete + link.wire_time(20));
}

TEST(LinkTiming, MoreLanesAndMoreTagsAreNeverSlower) {
  for (const std::uint32_t len : {64u, 300u, 4096u}) {
    double before = 0;
    for (const unsigned lanes : {1u, 2u, 4u, 8u, 16u, 32u}) {
      PcieLinkParams params;
      params.lanes = lanes;
      const double rate = read_rate(params, len, 2'000);
      EXPECT_GE(rate, 0.99 * before) << len << " bytes, x" << lanes;
      before = rate;
    }
    before = 0;
    for (const unsigned tags : {1u, 2u, 3u, 5u, 8u, 16u, 32u, 64u, 256u, 768u}) {
      PcieLinkParams params;
      params.tags = tags;
      const double rate = read_rate(params, len, 2'000);
      EXPECT_GE(rate, 0.99 * before) << len << " bytes, " << tags << " tags";
      before = rate;
    }
  }
}

// --- memory and translation ----------------------------------------------------------------------

std::vector<std::uint64_t> latencies(const PcieLinkParams& params, int count = 2'000) {
  LinkTiming link(params);
  std::vector<std::uint64_t> result;
  for (int i = 0; i < count; ++i) {
    const SimTime now = microseconds(10u * static_cast<unsigned>(i));
    result.push_back((link.device_read(now, ram, 64).complete - now).ps);
  }
  return result;
}

TEST(LinkTiming, UniformLatenciesComeFromTheSeed) {
  PcieLinkParams params = unlimited();
  params.memory = {.kind = LatencyDistribution::Kind::uniform,
                   .low = nanoseconds(200),
                   .high = nanoseconds(400)};
  const auto drawn = latencies(params);
  EXPECT_EQ(drawn, latencies(params));
  const auto [least, most] = std::minmax_element(drawn.begin(), drawn.end());
  EXPECT_GE(*least, 464'375u); // of 200 ns
  EXPECT_LE(*most, 664'375u);
  EXPECT_LT(*least, 466'000u);
  EXPECT_GT(*most, 662'000u);
  params.seed = 2;
  EXPECT_NE(drawn, latencies(params));
}

TEST(LinkTiming, LatenciesOfAFile) {
  const std::string file = testing::TempDir() + "latencies";
  std::ofstream(file) << "# measured\n100\n\n 250.125 \r\n";
  const auto loaded = load_latencies(file);
  ASSERT_TRUE(loaded) << loaded.error();
  EXPECT_EQ(loaded->samples, (std::vector<SimTime>{{100'000}, {250'125}}));
  PcieLinkParams params = unlimited();
  params.memory = *loaded;
  const auto drawn = latencies(params);
  EXPECT_EQ(drawn, latencies(params));
  const auto fast = std::count(drawn.begin(), drawn.end(), 364'375u);
  const auto slow = std::count(drawn.begin(), drawn.end(), 514'500u);
  EXPECT_EQ(fast + slow, 2'000);
  EXPECT_NEAR(static_cast<double>(fast), 1'000, 100);
  for (const auto& [text, error] :
       {std::pair{"100\n1e3\n", ":2: \"1e3\""}, std::pair{"1.2345\n", ":1: \"1.2345\""},
        std::pair{"# none\n", "has no latency"}}) {
    std::ofstream(file) << text;
    const auto wrong = load_latencies(file);
    ASSERT_FALSE(wrong) << text;
    EXPECT_NE(wrong.error().find(error), std::string::npos) << wrong.error();
  }
}

TEST(LinkTiming, RequestsAtOnceAreTheSameAsTlpByTlp) {
  PcieLinkParams one_by_one = unlimited();
  one_by_one.reads_in_service = 1u << 20; // no limit, but looked at
  one_by_one.host_credits = {1u << 20, 1u << 26, 1u << 20, 0};
  one_by_one.request_interval = SimTime{1}; // shorter than any TLP
  LinkTiming slow(one_by_one);
  LinkTiming fast(unlimited());
  SimTime now{};
  for (std::uint32_t i = 0; i < 3'000; ++i) {
    now.ps += i * 7'919 % 700'000;
    const std::uint64_t addr = ram + i * 1'237;
    const std::uint32_t len = 1 + i * 7'919 % 4'096;
    if (i % 3 == 0) {
      EXPECT_EQ(fast.device_write(now, addr, len).arrived,
                slow.device_write(now, addr, len).arrived)
          << i;
    } else {
      const auto f = fast.device_read(now, addr, len);
      const auto s = slow.device_read(now, addr, len);
      EXPECT_EQ(f.sampled, s.sampled) << i;
      EXPECT_EQ(f.complete, s.complete) << i;
    }
  }
  EXPECT_EQ(fast.statistics().wire_bytes(up), slow.statistics().wire_bytes(up));
  EXPECT_EQ(fast.statistics().wire_bytes(down), slow.statistics().wire_bytes(down));
}

TEST(LinkTiming, LatenciesThatDifferCostNoBandwidth) {
  PcieLinkParams params = unlimited();
  params.memory = {.kind = LatencyDistribution::Kind::uniform,
                   .low = nanoseconds(100),
                   .high = nanoseconds(2'000)};
  EXPECT_NEAR(read_rate(params, 512), 53.690, 0.1);
}

TEST(LinkTiming, ASlowReadDoesNotHoldUpTheCompletionsOfOthers) {
  PcieLinkParams params = unlimited();
  params.memory = {.kind = LatencyDistribution::Kind::uniform,
                   .low = nanoseconds(100),
                   .high = nanoseconds(100'000)};
  LinkTiming link(params);
  int overtaken = 0;
  SimTime latest{};
  for (int i = 0; i < 100; ++i) {
    const SimTime complete = link.device_read({0}, ram, 64).complete;
    overtaken += complete < latest;
    latest = std::max(latest, complete);
  }
  EXPECT_GT(overtaken, 50);
}

TEST(LinkTiming, ATlbMissCostsAWalkAndTheNextAccessIsAHit) {
  PcieLinkParams params = unlimited();
  params.translation = {.where = Translation::iommu, .entries = 2, .ways = 2};
  params.translation.hit = nanoseconds(5);
  params.translation.miss = nanoseconds(330);
  LinkTiming link(params);
  SimTime now{};
  const auto latency = [&](std::uint64_t page) {
    now = now + microseconds(10);
    return (link.device_read(now, ram + page * 4096, 64).complete - now).ps;
  };
  EXPECT_EQ(latency(0), 514'375u + 330'000u);
  EXPECT_EQ(latency(0), 514'375u + 5'000u);
  EXPECT_EQ(latency(1), 514'375u + 330'000u);
  EXPECT_EQ(latency(0), 514'375u + 5'000u);
  EXPECT_EQ(latency(2), 514'375u + 330'000u); // in the place of 1
  EXPECT_EQ(latency(0), 514'375u + 5'000u);
  EXPECT_EQ(latency(1), 514'375u + 330'000u);
  EXPECT_EQ(link.statistics().tlb_hits, 3u);
  EXPECT_EQ(link.statistics().tlb_misses, 4u);
}

TEST(LinkTiming, WhoeverNeedsAPageThatIsBeingWalkedWaitsForIt) {
  PcieLinkParams params = unlimited();
  params.translation.where = Translation::iommu;
  LinkTiming link(params);
  const auto first = link.device_read({0}, ram, 64);
  const auto second = link.device_read({0}, ram + 64, 64);
  EXPECT_GE(second.sampled, first.sampled);
  EXPECT_EQ(link.statistics().tlb_misses, 1u);
}

TEST(LinkTiming, WalkersAreALimit) {
  PcieLinkParams params = unlimited();
  params.translation = {.where = Translation::iommu, .entries = 4, .ways = 4};
  params.translation.walkers = 2;
  // 64 pages in turn with 4 entries: every read misses, two walks in 330 ns.
  EXPECT_NEAR(read_rate(params, 64), 2 * 64 * 8 / 330.0, 0.01);
}

TEST(LinkTiming, AnAtsMissAsksOverTheLinkAndAHitDoesNot) {
  PcieLinkParams params = unlimited();
  params.translation.where = Translation::ats;
  LinkTiming link(params);
  // Request of 24 bytes 3.317 ns, 100 ns, 50 ns, walk 330 ns, completion of 28 bytes 3.870 ns, 100
  // ns: 587.188 ns. Then the read, as ever.
  EXPECT_NEAR(static_cast<double>(link.device_read({0}, ram, 64).complete.ps), 587'188 + 514'375,
              2);
  EXPECT_EQ(link.statistics().of(up, TlpKind::translation).count, 1u);
  EXPECT_EQ(link.device_read({10'000'000}, ram, 64).complete.ps, 10'514'375u);
  EXPECT_EQ(link.statistics().of(up, TlpKind::translation).count, 1u);
  // A write over two pages, of which the second is new.
  link.device_write({20'000'000}, ram + 4090, 12);
  EXPECT_EQ(link.statistics().of(up, TlpKind::translation).count, 2u);
}

TEST(LinkTiming, WhatIsNotThereIsCompletedWithoutMemoryAndData) {
  LinkTiming link(unlimited());
  // The completion is 20 bytes, 2.764 ns, sent at 152.765 ns.
  EXPECT_EQ(link.device_read({0}, ram, 64, unknown_access, true).complete.ps, 255'530u);
  EXPECT_EQ(link.statistics().of(down, TlpKind::completion).count, 1u);
  EXPECT_EQ(link.statistics().of(down, TlpKind::completion_data).count, 0u);
}

TEST(LinkTiming, AccessesAreCountedByWhatTheyAreFor) {
  LinkTiming link(unlimited());
  link.device_write({0}, ram, 300, static_cast<std::size_t>(AccessKind::data));
  link.device_write({0}, ram, 4, static_cast<std::size_t>(AccessKind::message));
  link.device_read({0}, ram, 16, static_cast<std::size_t>(AccessKind::descriptor));
  const auto of = [&](AccessKind kind) {
    return link.statistics().device[static_cast<std::size_t>(kind)];
  };
  EXPECT_EQ(of(AccessKind::data).bytes, 300u);
  EXPECT_EQ(of(AccessKind::data).wire_bytes[0], 2u * 20 + 300);
  EXPECT_EQ(of(AccessKind::message).requests, 1u);
  EXPECT_EQ(of(AccessKind::descriptor).wire_bytes[0], 20u);
  EXPECT_EQ(of(AccessKind::descriptor).wire_bytes[1], 20u + 16);
}

// --- parameters ----------------------------------------------------------------------------------

TEST(LinkTiming, ImpossibleParametersAreNamed) {
  const auto error_of = [](auto&& change) {
    PcieLinkParams params;
    change(params);
    EXPECT_THROW(LinkTiming{params}, std::invalid_argument);
    return error_in(params).value_or("").substr(0, 12);
  };
  EXPECT_FALSE(error_in(PcieLinkParams{}));
  EXPECT_EQ(error_of([](auto& p) { p.generation = 0; }), "generation: ");
  EXPECT_EQ(error_of([](auto& p) { p.generation = 6; }), "generation: ");
  EXPECT_EQ(error_of([](auto& p) { p.lanes = 0; }), "lanes: 0 is ");
  EXPECT_EQ(error_of([](auto& p) { p.lanes = 64; }), "lanes: 64 is");
  EXPECT_EQ(error_of([](auto& p) { p.max_payload = 8192; }), "max_payload:");
  EXPECT_EQ(error_of([](auto& p) { p.max_read_request = 0; }), "max_read_req");
  EXPECT_EQ(error_of([](auto& p) { p.read_completion_boundary = 32; }), "read_complet");
  EXPECT_EQ(error_of([](auto& p) { p.completion_size = 100; }), "completion_s");
  EXPECT_EQ(error_of([](auto& p) { p.completion_size = 512; }), "completion_s");
  EXPECT_EQ(error_of([](auto& p) { p.tags = 0; }), "tags: 0 is n");
  EXPECT_EQ(error_of([](auto& p) { p.tags = 1024; }), "tags: 1024 i");
  EXPECT_EQ(error_of([](auto& p) { p.host_credits.posted_data = 15; }), "host_credits");
  EXPECT_EQ(error_of([](auto& p) { p.device_credits.posted_data = 1; }), "device_credi");
  EXPECT_EQ(error_of([](auto& p) { p.posted_buffer = 0; }), "posted_buffe");
  EXPECT_EQ(error_of([](auto& p) { p.nonposted_queue = 0; }), "nonposted_qu");
  EXPECT_EQ(error_of([](auto& p) { p.completion_headers = 2; }), "completion_h");
  EXPECT_EQ(error_of([](auto& p) { p.completion_data = 32; }), "completion_d");
  EXPECT_EQ(error_of([](auto& p) { p.memory.kind = LatencyDistribution::Kind::samples; }),
            "memory.sampl");
  EXPECT_EQ(error_of([](auto& p) { p.translation = {Translation::iommu, 64, 3}; }), "translation.");
  LinkTiming link({});
  EXPECT_THROW(link.device_write({0}, ram, 0), std::invalid_argument);
  EXPECT_THROW(link.device_read({0}, ram, 0), std::invalid_argument);
}

} // namespace
} // namespace virtio::tlm2
