// virtio-tlm cosim from outside.
#include "../run_program.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <test_paths.hpp>

namespace {

class CosimCommand : public testing::Test {
protected:
  ProgramResult rss(const std::string& arguments) {
    return run_shell(TEST_BIN_DIR "/virtio-tlm cosim rss --out " + folder.path.string() + " " +
                     arguments);
  }
  ProgramResult ring(const std::string& arguments) {
    return run_shell(TEST_BIN_DIR "/virtio-tlm cosim ring --out " + folder.path.string() + " " +
                     arguments);
  }
  TemporaryFolder folder;
};

TEST_F(CosimCommand, TheRssBlockBreaksNoRuleInAnyProfile) {
  const auto coverage = folder.path / "coverage.json";
  const ProgramResult result = rss("--seeds 1..25 --profile all --coverage " + coverage.string());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("125 cases, "), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("not covered"), std::string::npos) << result.out;
  EXPECT_GT(nlohmann::json::parse(content_of(coverage))["bins"]["report/UDPv6_EX"], 10);
}

TEST_F(CosimCommand, NarrowBeatsBreakNoRule) {
  const ProgramResult result = rss("--seeds 1..5 --profile all --width 128");
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST_F(CosimCommand, ReplayShowsWhatCrosses) {
  const auto file = folder.write(
      "case.txt",
      "set beat_bytes 16\nitem config types=1 key="
      "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa\n"
      "item packet 0 "
      "00112233445566778899aabb0800450000140000000040060000420995bba18e6450\n");
  const ProgramResult plain = rss("--replay " + file.string());
  EXPECT_EQ(plain.exit_code, 0) << plain.out << plain.err;
  EXPECT_NE(plain.out.find("1 packets in "), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find("hash 0x323e8fc2 hashed report IPv4 "), std::string::npos) << plain.out;
  const ProgramResult waves = rss("--waves --replay " + file.string());
  EXPECT_EQ(waves.exit_code, 0);
  EXPECT_TRUE(waves.out.starts_with(plain.out.substr(0, plain.out.find("1 packets")))) << waves.out;
  EXPECT_GT(content_of(folder.path / "waves.fst").size(), 1000u);
}

TEST_F(CosimCommand, WrongUsageIsSaid) {
  const auto file = folder.write("case.txt", "item bucket\n");
  const auto narrow = folder.write("narrow.txt", "set beat_bytes 8\n");
  EXPECT_EQ(rss("--replay " + file.string()).exit_code, 2);
  EXPECT_NE(rss("--replay " + file.string()).err.find("no kind of item"), std::string::npos);
  EXPECT_EQ(rss("--replay " + narrow.string()).exit_code, 2);
  EXPECT_EQ(rss("--seeds 5..1").exit_code, 2);
  EXPECT_EQ(rss("--seeds x").exit_code, 2);
  EXPECT_EQ(rss("--profile none").exit_code, 2);
  EXPECT_EQ(run_shell(TEST_BIN_DIR "/virtio-tlm cosim").exit_code, 2);
}

TEST_F(CosimCommand, TheRingEngineBreaksNoRuleInAnyProfile) {
  const auto coverage = folder.path / "coverage.json";
  const ProgramResult result = ring("--seeds 1..200 --profile all --coverage " + coverage.string());
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("1000 cases, "), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("not covered"), std::string::npos) << result.out;
}

// Built on demand: a program whose RTL counts its lines.
TEST_F(CosimCommand, CoverageOfTheRtlIsWrittenOrSaidToNeedAnotherProgram) {
  const auto file = folder.path / "rtl.dat";
  for (const bool ring_engine : {true, false}) {
    const std::string arguments = "--seeds 1 --rtl-coverage " + file.string();
    const ProgramResult result = ring_engine ? ring(arguments) : rss(arguments);
    if (std::filesystem::exists(TEST_BIN_DIR "/virtio-tlm-cosim-coverage")) {
      EXPECT_EQ(result.exit_code, 0) << result.err;
      EXPECT_NE(content_of(file).find(ring_engine ? "vq_engine" : "rss_hash"), std::string::npos);
    } else {
      EXPECT_EQ(result.exit_code, 2);
      EXPECT_NE(result.err.find("ninja -C build/release virtio-tlm-cosim-coverage"),
                std::string::npos)
          << result.err;
    }
  }
  const ProgramResult model = ring("--dut model --rtl-coverage " + file.string());
  EXPECT_EQ(model.exit_code, 2);
  EXPECT_NE(model.err.find("only the RTL"), std::string::npos) << model.err;
}

TEST_F(CosimCommand, TheModelsEnginesPassWhatTheRingEngineHasTo) {
  for (const char* dut : {"model", "timed"}) {
    const ProgramResult result = ring(std::string("--seeds 1..40 --profile all --dut ") + dut);
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  }
}

TEST_F(CosimCommand, ARingCaseIsReplayedTheSameWithWavesAndWithout) {
  const auto file = folder.write("ring.txt", "set packed 1\nset size 7\nset event_idx 1\n"
                                             "item chain 0 r16 w32\nitem chain 0 w8\n"
                                             "item sleep 0\n");
  const ProgramResult plain = ring("--replay " + file.string());
  EXPECT_EQ(plain.exit_code, 0) << plain.out << plain.err;
  EXPECT_NE(plain.out.find("segment chain 1"), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find("2 chains in "), std::string::npos) << plain.out;
  const ProgramResult waves = ring("--replay " + file.string() + " --waves");
  EXPECT_GT(std::filesystem::file_size(folder.path / "waves.fst"), 1000u);
  std::string same = waves.out;
  const auto line = same.find("waves: ");
  ASSERT_NE(line, std::string::npos);
  same.erase(line, same.find('\n', line) + 1 - line);
  EXPECT_EQ(same, plain.out);
}

TEST_F(CosimCommand, ARingCaseThatCannotBeIsRefusedWithItsReason) {
  for (const auto& [text, reason] : std::vector<std::pair<std::string, std::string>>{
           {"set queues 9\nitem kick 0\n", "queues: 1..4"},
           {"set size 12\nitem kick 0\n", "a power of two"},
           {"item kick 3\n", "there is no queue 3"},
           {"item jump 0\n", "unknown item"}}) {
    const ProgramResult result = ring("--replay " + folder.write("ring.txt", text).string());
    EXPECT_EQ(result.exit_code, 2) << text;
    EXPECT_NE(result.err.find(reason), std::string::npos) << result.err;
  }
}

} // namespace
