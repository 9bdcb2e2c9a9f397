// virtio-tlm rss from outside, over the packets of tests/hashes.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <test_paths.hpp>

#include <fstream>
#include <sstream>

namespace {

const std::string forms = TEST_SOURCE_DIR "/tests/hashes/forms.pcap";

ProgramResult rss(const std::string& arguments) {
  return run_shell(TEST_BIN_DIR "/virtio-tlm rss " + arguments);
}
nlohmann::json json_of(const std::string& arguments) {
  const ProgramResult result = rss(forms + " --json " + arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return nlohmann::json::parse(result.out);
}

TEST(RssCommand, ShowsTheInputThatScapyNames) {
  const auto outer = json_of("")["packets"];
  const auto inner = json_of("--tunnel all")["packets"];
  const auto proposed = json_of("--tunnel all --v7")["packets"];
  std::ifstream file(TEST_SOURCE_DIR "/tests/hashes/forms.txt");
  std::string line;
  std::size_t i = 0;
  const std::array tunnels{"NONE", "GRE", "VXLAN", "GENEVE"};
  for (; std::getline(file, line); ++i) {
    std::size_t number = 0, tunnel = 0, outer_report = 0, inner_report = 0;
    std::string outer_input, inner_input;
    std::istringstream(line) >> number >> tunnel >> outer_report >> outer_input >> inner_report >>
        inner_input;
    ASSERT_EQ(number, i + 1);
    const auto shown = [](const std::string& input) { return input == "-" ? "" : input; };
    EXPECT_EQ(outer[i]["input"], shown(outer_input));
    EXPECT_EQ(inner[i]["input"], shown(tunnel == 0 ? outer_input : inner_input));
    EXPECT_EQ(inner[i]["inner"], tunnel != 0);
    EXPECT_EQ(proposed[i]["hash_report_tunnel"], inner_report == 0 ? "NONE" : tunnels[tunnel]);
    EXPECT_EQ(outer[i]["hash_value"].is_null(), outer_input == "-");
  }
  EXPECT_EQ(outer.size(), i);
}

TEST(RssCommand, TheQueueIsThatOfTheMaskedHashOrTheUnclassified) {
  const auto shown = json_of("--table 5,6,7,8,9,10,11,12 --unclassified 3");
  std::map<int, int> counted;
  for (const auto& packet : shown["packets"]) {
    const int expected =
        packet["hash_value"].is_null() ? 3 : 5 + packet["hash_value"].get<std::uint32_t>() % 8;
    EXPECT_EQ(packet["queue"], expected);
    ++counted[expected];
  }
  std::size_t queues = 0;
  for (const auto& queue : shown["queues"]) {
    EXPECT_EQ(queue["packets"], counted[queue["queue"]]);
    ++queues;
  }
  EXPECT_EQ(queues, 9u);
}

TEST(RssCommand, HeadersThatEndTooFarBehindCountAsCut) {
  const auto cut = json_of("--max-parse-bytes 33");
  for (const auto& packet : cut["packets"])
    EXPECT_EQ(packet["hash_report"], "NONE");
  const auto whole = json_of("--max-parse-bytes 34");
  for (const auto& packet : whole["packets"]) {
    const std::string report = packet["hash_report"];
    EXPECT_TRUE(report == "IPv4" || report == "NONE") << report;
  }
}

TEST(RssCommand, EnabledTypesAreThoseOfTheList) {
  const auto shown = json_of("--types IPv4,IPv6");
  for (const auto& packet : shown["packets"]) {
    const std::string report = packet["hash_report"];
    EXPECT_TRUE(report == "IPv4" || report == "IPv6" || report == "NONE") << report;
  }
}

TEST(RssCommand, ThePlainTextEndsWithTheSpread) {
  const ProgramResult result = rss(forms + " --queues 2");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("TCPv6_EX"), std::string::npos);
  EXPECT_NE(result.out.find(" queue  packets   share\n"), std::string::npos) << result.out;
}

TEST(RssCommand, WrongOptionsAreExplained) {
  const std::pair<const char*, const char*> cases[] = {
      {"--types IPv4,TCPv5", "--types: there is no \"TCPv5\""},
      {"--tunnel VXLAM", "--tunnel: there is no \"VXLAM\""},
      {"--tunnel VXLAN_GPE --v7", "--tunnel: there is no \"VXLAN_GPE\""},
      {"--table 0,1,2", "--table: 3 entries; it has a power of two of them"},
      {"--table 0,x", "--table: \"x\" is not the number of a queue"},
      {"--key 6d5a", "--key: 4 hexadecimal digits; a key has at least 40 bytes"},
      {"--key zz", "--key: not all of it is hexadecimal"},
      {"--queues 0", "--queues"},
  };
  for (const auto& [arguments, message] : cases) {
    const ProgramResult result = rss(forms + " " + arguments);
    EXPECT_EQ(result.exit_code, 2) << arguments;
    EXPECT_NE((result.out + result.err).find(message), std::string::npos) << result.err;
  }
  EXPECT_EQ(rss("/nowhere.pcap").exit_code, 2);
}

} // namespace
