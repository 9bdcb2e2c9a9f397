// virtio-tlm pcie from outside: the published analytic model, the regime in which tags run out, and
// what it says to impossible links.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <test_paths.hpp>

#include <cmath>
#include <utility>

namespace {

ProgramResult pcie(const std::string& arguments) {
  return run_shell(TEST_BIN_DIR "/virtio-tlm pcie " + arguments);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The number behind `"key": ` in JSON; NaN when there is none.
double number(const std::string& json, const std::string& key) {
  const auto at = json.find("\"" + key + "\": ");
  return at == std::string::npos ? std::nan("") : std::stod(json.substr(at + key.size() + 4));
}

TEST(Pcie, AgreesWithTheAnalyticModelWithinTwoPercent) {
  const ProgramResult result =
      run_shell("/usr/bin/python3 " TEST_SOURCE_DIR "/tests/program/pcie_agrees.py " TEST_BIN_DIR
                "/virtio-tlm");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST(Pcie, TheComparisonSeesALinkThatIsBoundByLatency) {
  // A round trip of 10 us, with 768 tags: the largest reads are bound by latency.
  const ProgramResult result =
      run_shell("/usr/bin/python3 " TEST_SOURCE_DIR "/tests/program/pcie_agrees.py " TEST_BIN_DIR
                "/virtio-tlm --latency 10000");
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_TRUE(contains(result.err, "--op read")) << result.err;
}

TEST(Pcie, PrintsATableOrJson) {
  const ProgramResult table = pcie("--gen 3 --lanes 8 --op write");
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_TRUE(contains(table.out, "\n      64          42.098 ")) << table.out;
  EXPECT_TRUE(contains(table.out, "\n    4096          52.923 ")) << table.out;
  const ProgramResult one = pcie("--gen 3 --lanes 8 --op write --size 64 --json");
  EXPECT_NEAR(number(one.out, "effective_gbps"), 42.098, 0.001) << one.out;
  EXPECT_TRUE(contains(one.out, "\"bound_by\": \"upstream wire\"")) << one.out;
}

TEST(Pcie, WithoutTagsToSpareTheRoundTripIsTheLimit) {
  // Little: 32 reads of 64 bytes in a round trip. The requests fill no wire, so that it is the one
  // of a read that is alone.
  const std::string out = pcie("--size 64 --tags 32 --json").out;
  const double round_trip = number(out, "unloaded_latency_ns");
  EXPECT_NEAR(number(out, "effective_gbps"), 32 * 64 * 8 / round_trip, 0.01) << out;
  EXPECT_TRUE(contains(out, "\"bound_by\": \"tags\"")) << out;
  const std::string slower = pcie("--size 64 --tags 32 --latency 1250 --json").out;
  EXPECT_NEAR(number(slower, "unloaded_latency_ns"), round_trip + 1000, 0.001);
  EXPECT_NEAR(number(slower, "effective_gbps"), 32 * 64 * 8 / (round_trip + 1000), 0.01) << slower;
}

TEST(Pcie, FewCreditsBindWrites) {
  const std::string out = pcie("--size 256 --op write --posted-headers 4 --json").out;
  EXPECT_TRUE(contains(out, "\"bound_by\": \"posted credits\"")) << out;
}

TEST(Pcie, ImpossibleLinksAreRefusedByTheNameOfTheParameter) {
  const std::pair<const char*, const char*> cases[] = {
      {"--mps 8192", "max_payload: 8192"},
      {"--mps 100", "max_payload: 100"},
      {"--mrrs 64", "max_read_request: 64"},
      {"--tags 0", "tags: 0"},
      {"--gen 0", "generation: 0"},
      {"--gen 6", "generation: 6"},
      {"--lanes 0", "lanes: 0"},
      {"--lanes 3", "lanes: 3"},
      {"--rcb 32", "read_completion_boundary: 32"},
      {"--completion-size 512", "completion_size: 512"},
      {"--posted-data 4", "host_credits.posted_data: 4"},
      {"--latency 1,5", "--latency: \"1,5\""},
      {"--latency 400-200", "memory.high"},
      {"--latency-file /none", "/none cannot be read"},
      {"--op erase", "erase"},
      {"--size 0", "--size"},
  };
  for (const auto& [arguments, text] : cases) {
    const ProgramResult result = pcie(arguments);
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_TRUE(contains(result.err, text)) << arguments << ": " << result.err;
  }
}

TEST(Pcie, LatenciesComeFromAFile) {
  TemporaryFolder folder;
  const auto file = folder.write("latencies", "# ns\n100\n\n300.5\n");
  const std::string out = pcie("--size 64 --tags 1 --json --latency-file " + file.string()).out;
  const std::string mean = pcie("--size 64 --tags 1 --json --latency 200.25").out;
  EXPECT_NEAR(number(out, "effective_gbps"), number(mean, "effective_gbps"), 0.01) << out;
  const auto wrong = folder.write("wrong", "100\nfast\n");
  EXPECT_TRUE(contains(pcie("--latency-file " + wrong.string()).err, "wrong:2: \"fast\""));
}

} // namespace
