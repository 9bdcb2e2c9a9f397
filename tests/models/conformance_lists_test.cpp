// Keeps the conformance lists honest, those of the device types and those of tests/conformance:
// every normative id is in exactly one of them, and every test and every rule of the checker that
// one names exists. So it is with the table of hostile guests and with the mutations of the nightly
// script.
#include <gtest/gtest.h>
#include <test_paths.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace virtio {
namespace {

const std::filesystem::path root = TEST_SOURCE_DIR;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string trimmed(std::string_view text) {
  constexpr const char* space = " \n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(space) - first + 1));
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

struct Row {
  std::string list; // where it stands, for messages
  std::string id;
  std::string statement;
  std::string shown_by;
};

/// The cells of every row of the tables in a file, headings left out.
std::vector<std::vector<std::string>> table(const std::filesystem::path& path,
                                            std::size_t columns) {
  std::vector<std::vector<std::string>> found;
  bool heading = true;
  for (const std::string& line : split(read(path), '\n')) {
    if (!line.starts_with("|")) heading = true;
    if (!line.starts_with("|") || line.starts_with("| --- |")) continue;
    if (std::exchange(heading, false)) continue;
    auto cells = split(line, '|'); // an empty one at either end
    EXPECT_EQ(cells.size(), columns + 2) << path << ": " << line;
    if (cells.size() == columns + 2)
      found.emplace_back(std::next(cells.begin()), std::prev(cells.end()));
  }
  return found;
}

std::vector<Row> rows() {
  std::vector<std::filesystem::path> lists;
  for (const auto& folder : std::filesystem::directory_iterator(root / "models"))
    for (const char* side : {"device-conformance.md", "driver-conformance.md"})
      if (exists(folder.path() / side)) lists.push_back(folder.path() / side);
  for (const char* list : {"general.md", "split.md", "packed.md", "mmio.md", "pci.md"})
    lists.push_back(root / "tests/conformance" / list);
  std::vector<Row> all;
  for (const auto& list : lists)
    for (const auto& cells : table(list, 3))
      all.push_back({list.lexically_relative(root).string(), cells[0], cells[1], cells[2]});
  return all;
}

/// Suite.Test of every TEST(Suite, Test), TEST_F and TEST_P that begins a line.
std::set<std::string> tests_in_sources() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = "\n" + read(entry.path());
    for (std::size_t at = text.find("\nTEST"); at != text.npos; at = text.find("\nTEST", at + 1)) {
      const std::size_t open = text.find('(', at);
      const auto arguments = split(text.substr(open + 1, text.find(')', open) - open - 1), ',');
      if (arguments.size() == 2) names.insert(arguments[0] + "." + arguments[1]);
    }
  }
  return names;
}

/// What stands between backquotes and looks like Suite.Test.
std::vector<std::string> tests_named(const std::string& cell) {
  std::vector<std::string> names;
  const auto parts = split(cell, '`');
  for (std::size_t i = 1; i < parts.size(); i += 2)
    if (std::ranges::count(parts[i], '.') == 1 && parts[i].find(' ') == std::string::npos)
      names.push_back(parts[i]);
  return names;
}

TEST(ConformanceLists, EveryIdIsInExactlyOneList) {
  std::map<std::string, int> seen;
  for (const Row& row : rows())
    ++seen[row.id];
  std::ifstream ids(root / "tests/conformance/ids.txt");
  std::size_t count = 0;
  for (std::string id; std::getline(ids, id); ++count) {
    EXPECT_EQ(seen[id], 1) << id;
    seen.erase(id);
  }
  EXPECT_EQ(count, 638u);
  for (const auto& [id, times] : seen)
    ADD_FAILURE() << id << " is in no specification";
}

TEST(ConformanceLists, EveryRowSaysWhatItIsAboutAndHowItIsShown) {
  for (const Row& row : rows()) {
    EXPECT_FALSE(row.statement.empty()) << row.list << " " << row.id;
    const auto begins = [&](const char* with) { return row.shown_by.starts_with(with); };
    const bool excused = begins("later: ") || begins("none: ") || begins("checker: ");
    EXPECT_TRUE(excused || !tests_named(row.shown_by).empty())
        << row.list << " " << row.id
        << ": name a test, or begin with \"later: \", \"none: \" or \"checker: \"";
  }
}

// Of the network device everything is there: a rule or a test shows a statement, or nothing can.
TEST(ConformanceLists, NothingOfTheNetworkDeviceIsLeftForLater) {
  int statements = 0;
  for (const Row& row : rows()) {
    if (!row.list.starts_with("models/net/")) continue;
    ++statements;
    EXPECT_EQ(row.shown_by.find("later"), std::string::npos) << row.list << " " << row.id;
  }
  EXPECT_EQ(statements, 183); // NET 161, HASH 20, VLAN 2
}

TEST(ConformanceLists, EveryTestNamedExists) {
  const auto existing = tests_in_sources();
  for (const Row& row : rows())
    for (const std::string& name : tests_named(row.shown_by))
      EXPECT_TRUE(existing.contains(name)) << row.list << " " << row.id << " names " << name;
}

// That each rule catches whom it is meant for is shown by the checker's own tests.
TEST(ConformanceLists, EveryRuleOfTheCheckerNamedExists) {
  const std::string rules = read(root / "models/analyser/rules.def");
  for (const Row& row : rows()) {
    if (!row.shown_by.starts_with("checker: ")) continue;
    const std::string rule = "checker: " + row.id;
    EXPECT_TRUE(row.shown_by == rule || row.shown_by.starts_with(rule + "; "))
        << row.list << " " << row.id << ": " << row.shown_by;
    EXPECT_NE(rules.find('"' + row.id + '"'), rules.npos) << row.list << " " << row.id;
  }
}

TEST(ConformanceLists, EveryHostileCaseSaysWhatHappensAndNamesItsTests) {
  const auto existing = tests_in_sources();
  const auto cases = table(root / "tests/conformance/hostile-guests.md", 4);
  EXPECT_GE(cases.size(), 60u);
  for (const auto& cells : cases) {
    for (const std::string& cell : cells)
      EXPECT_FALSE(cell.empty()) << cells[0];
    const auto tests = tests_named(cells[3]);
    EXPECT_TRUE(!tests.empty() || cells[2].starts_with("later: ")) << cells[0];
    for (const std::string& name : tests)
      EXPECT_TRUE(existing.contains(name)) << cells[0] << " names " << name;
  }
}

// That each makes its test fail is shown by tests/nightly/mutations/run.
TEST(ConformanceLists, EveryMutationBreaksAStatementWhoseRowNamesItsTest) {
  std::map<std::string, std::string> shown_by;
  for (const Row& row : rows())
    shown_by[row.id] = row.shown_by;
  std::set<std::string> names, ids;
  std::string name, id;
  for (const std::string& line : split(read(root / "tests/nightly/mutations/list.txt"), '\n')) {
    const std::string value = line.substr(std::min(line.size(), line.find(' ') + 1));
    if (line.starts_with("name: ")) {
      name = value;
      EXPECT_TRUE(names.insert(name).second) << name << " comes twice";
    } else if (line.starts_with("id: ")) {
      id = value;
      if (id == "time" || id == "rfc") continue;
      EXPECT_TRUE(shown_by.contains(id)) << name << " names " << id;
      if (id.find("-DEV-") != id.npos) ids.insert(id);
    } else if (line.starts_with("test: ") && shown_by.contains(id)) {
      EXPECT_NE(shown_by[id].find('`' + value + '`'), std::string::npos)
          << name << ": the row of " << id << " does not name " << value;
    }
  }
  EXPECT_GE(ids.size(), 60u);
}

} // namespace
} // namespace virtio
