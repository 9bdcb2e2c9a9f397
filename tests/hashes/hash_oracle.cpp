// What is hashed of the packets that make-forms built, compared with what scapy says about them,
// and the hashes compared with DPDK's rte_softrss and rte_softrss_be.
#include <virtio/core/random.hpp>
#include <virtio/net/hash.hpp>
#include <virtio/net/pcap.hpp>

#include <gtest/gtest.h>
#include <rte_thash.h>

#include <fstream>
#include <sstream>

namespace virtio::net {
namespace {

using Bytes = std::vector<std::byte>;
using Key = std::array<std::uint8_t, 40>;

Bytes from_hex(const std::string& digits) {
  Bytes bytes;
  if (digits == "-") return bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// A line of forms.txt.
struct Expected {
  unsigned number = 0, tunnel = 0, outer_report = 0, inner_report = 0;
  Bytes outer, inner;
};
std::vector<Expected> expectations() {
  std::ifstream file(std::string(HASH_FORMS) + "/forms.txt");
  std::vector<Expected> all;
  std::string line, outer, inner;
  while (std::getline(file, line)) {
    Expected e;
    std::istringstream(line) >> e.number >> e.tunnel >> e.outer_report >> outer >> e.inner_report >>
        inner;
    e.outer = from_hex(outer);
    e.inner = from_hex(inner);
    all.push_back(e);
  }
  return all;
}

Key random_key(Random& random) {
  Key key{};
  random.fill(std::as_writable_bytes(std::span(key)));
  return key;
}

/// DPDK takes the input as words of the host.
std::uint32_t dpdk_hash(const Bytes& input, const Key& key) {
  std::array<std::uint32_t, max_hash_input / 4> words{};
  for (std::size_t i = 0; i < input.size(); ++i)
    words[i / 4] |= std::to_integer<std::uint32_t>(input[i]) << (24 - 8 * (i % 4));
  const auto count = static_cast<std::uint32_t>(input.size() / 4);
  alignas(4) Key aligned = key;
  const std::uint32_t hash = rte_softrss(words.data(), count, aligned.data());
  alignas(4) Key converted{};
  rte_convert_rss_key(reinterpret_cast<const std::uint32_t*>(aligned.data()),
                      reinterpret_cast<std::uint32_t*>(converted.data()), 40);
  EXPECT_EQ(rte_softrss_be(words.data(), count, converted.data()), hash);
  return hash;
}

class HashForms : public testing::Test {
protected:
  void SetUp() override {
    auto opened = ReplayWire::open(std::string(HASH_FORMS) + "/forms.pcap");
    ASSERT_TRUE(opened) << opened.error();
    capture = std::move(*opened);
    expected = expectations();
    ASSERT_EQ(capture->frames(), expected.size());
    ASSERT_GT(expected.size(), 300u);
  }
  /// The same bytes, report and hash; no hash at all for an empty input.
  void check(Frame frame, const HashRules& rules, unsigned report, const Bytes& bytes) {
    const HashInput input = hash_input(frame, rules);
    EXPECT_EQ(static_cast<unsigned>(input.report), report);
    ASSERT_TRUE(std::ranges::equal(input.used(), bytes));
    const Key key = random_key(random);
    for (const auto way : {Toeplitz::Way::matrix, Toeplitz::Way::carryless, Toeplitz::Way::table})
      if (Toeplitz::has(way)) {
        const HashResult result = hash_of(frame, rules, Toeplitz(key, way));
        EXPECT_EQ(result.value, bytes.empty() ? 0 : dpdk_hash(bytes, key));
      }
  }
  std::unique_ptr<ReplayWire> capture;
  std::vector<Expected> expected;
  Random random{3};
};

TEST_F(HashForms, OuterHeadersAreHashedAsScapyAndDpdkSay) {
  for (const Expected& e : expected) {
    SCOPED_TRACE(e.number);
    check(capture->frame(e.number - 1), {.types = all_hash_types}, e.outer_report, e.outer);
  }
}

TEST_F(HashForms, InnerHeadersAreHashedAsScapyAndDpdkSay) {
  const HashRules v7{.types = all_hash_types | all_inner_hash_types};
  const HashRules standard{.types = all_hash_types, .tunnels = all_tunnel_types};
  for (const Expected& e : expected) {
    SCOPED_TRACE(e.number);
    const Frame frame = capture->frame(e.number - 1);
    const bool inside = e.tunnel != 0;
    for (const HashRules& rules : {v7, standard})
      check(frame, rules, inside ? e.inner_report : e.outer_report, inside ? e.inner : e.outer);
    const unsigned tunnel = e.inner_report == 0 ? 0 : e.tunnel;
    EXPECT_EQ(static_cast<unsigned>(hash_input(frame, v7).tunnel), tunnel);
  }
}

TEST_F(HashForms, EveryTunnelAndEveryReportIsAmongThem) {
  std::array<unsigned, 4> tunnels{};
  std::array<unsigned, 10> outer{}, inner{};
  for (const Expected& e : expected) {
    ++tunnels[e.tunnel];
    ++outer[e.outer_report];
    ++inner[e.inner_report];
  }
  for (const unsigned count : tunnels)
    EXPECT_GT(count, 20u);
  for (unsigned report = 0; report < 10; ++report) {
    EXPECT_GT(outer[report], 0u) << report;
    EXPECT_GT(inner[report], 0u) << report;
  }
}

TEST(Toeplitz, IsDpdksForRandomKeysAndInputs) {
  Random random(5);
  for (int round = 0; round < 300; ++round) {
    const Key key = random_key(random);
    Bytes input(4 * (1 + random.below(9)));
    random.fill(input);
    for (const auto way : {Toeplitz::Way::matrix, Toeplitz::Way::carryless, Toeplitz::Way::table})
      if (Toeplitz::has(way)) {
        EXPECT_EQ(Toeplitz(key, way).hash(input), dpdk_hash(input, key));
      }
  }
}

} // namespace
} // namespace virtio::net
