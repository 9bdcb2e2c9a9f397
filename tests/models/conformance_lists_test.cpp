// Keeps the conformance lists of the device types honest: every normative id is in exactly one of
// them, and every test that one names exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace virtio {
namespace {

const std::filesystem::path root = TEST_SOURCE_DIR;

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path << " cannot be read";
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Row {
  std::string list; // where it stands, for messages
  std::string id;
  std::string statement;
  std::string shown_by;
};

std::vector<Row> rows() {
  const std::regex pattern(R"(\| *([A-Z]+-[A-Z]+-[0-9]+) *\| *(.*?) *\| *(.*?) *\|)");
  std::vector<Row> all;
  for (const auto& folder : std::filesystem::directory_iterator(root / "models"))
    for (const char* side : {"device-conformance.md", "driver-conformance.md"}) {
      if (!exists(folder.path() / side)) continue;
      std::ifstream file(folder.path() / side);
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        const bool heading = line.starts_with("| id |") || line.starts_with("| --- |");
        if (std::regex_match(line, match, pattern))
          all.push_back(
              {folder.path().filename().string() + "/" + side, match[1], match[2], match[3]});
        else
          EXPECT_TRUE(heading || !line.starts_with("|")) << "a row that cannot be read: " << line;
      }
    }
  return all;
}

std::set<std::string> tests_in_sources() {
  const std::regex pattern(R"(TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\))");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "tests")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string text = read(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
      names.insert((*it)[1].str() + "." + (*it)[2].str());
  }
  return names;
}

std::vector<std::string> tests_named(const std::string& cell) {
  const std::regex pattern("`(\\w+\\.\\w+)`");
  std::vector<std::string> names;
  for (std::sregex_iterator it(cell.begin(), cell.end(), pattern), end; it != end; ++it)
    names.push_back((*it)[1]);
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
