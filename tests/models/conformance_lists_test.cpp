// Keeps the conformance lists of the device types honest: every normative id is in exactly one of
// them, and every test that one names exists.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
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

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const auto& folder : std::filesystem::directory_iterator(root / "models"))
    for (const char* side : {"device-conformance.md", "driver-conformance.md"}) {
      if (!exists(folder.path() / side)) continue;
      const std::string list = folder.path().filename().string() + "/" + side;
      for (const std::string& line : split(read(folder.path() / side), '\n')) {
        if (!line.starts_with("|") || line.starts_with("| id |") || line.starts_with("| --- |"))
          continue;
        const auto cells = split(line, '|'); // an empty one at either end
        EXPECT_EQ(cells.size(), 5u) << list << ": " << line;
        if (cells.size() == 5) all.push_back({list, cells[1], cells[2], cells[3]});
      }
    }
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
  EXPECT_EQ(count, 307u);
  for (const auto& [id, times] : seen)
    ADD_FAILURE() << id << " is in no specification";
}

TEST(ConformanceLists, EveryRowSaysWhatItIsAboutAndHowItIsShown) {
  for (const Row& row : rows()) {
    EXPECT_FALSE(row.statement.empty()) << row.list << " " << row.id;
    const bool excused = row.shown_by.starts_with("later: ") || row.shown_by.starts_with("none: ");
    EXPECT_TRUE(excused || !tests_named(row.shown_by).empty())
        << row.list << " " << row.id << ": name a test, or begin with \"later: \" or \"none: \"";
  }
}

TEST(ConformanceLists, EveryTestNamedExists) {
  const auto existing = tests_in_sources();
  for (const Row& row : rows())
    for (const std::string& name : tests_named(row.shown_by))
      EXPECT_TRUE(existing.contains(name)) << row.list << " " << row.id << " names " << name;
}

} // namespace
} // namespace virtio
