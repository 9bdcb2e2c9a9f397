// Functional coverage: a plan of groups with named bins, and crosses of two groups, counted while
// benches run. Counts of several runs are added up as JSON. A bin that no case can reach is waived
// with a reason.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

namespace virtio::rtl::cosim {

class CoverPlan {
public:
  /// Declares bins; a bin is "group/name". Groups and names have no '/' or '*'.
  void group(const std::string& name, const std::vector<std::string>& bins);
  /// Declares a bin "one*two/a*b" for every pair of bins of two groups that are declared. Throws
  /// std::invalid_argument when one is not.
  void cross(const std::string& one, const std::string& two);
  /// The bin counts as covered. Throws std::invalid_argument when there is none of that name.
  void waive(const std::string& bin, const std::string& reason);

  /// Counts one. Throws std::invalid_argument when there is no such bin.
  void hit(const std::string& group, const std::string& bin);
  /// One of each group at the same time: the groups' bins are counted, and the crosses of any two.
  void hit(const std::vector<std::pair<std::string, std::string>>& together);

  std::size_t bins() const { return counts_.size(); }
  std::size_t covered() const; ///< hit or waived
  std::uint64_t count(const std::string& bin) const;
  std::vector<std::string> missing() const;
  bool complete() const { return covered() == bins(); }

  std::string to_json() const;
  /// Adds counts; bins that this plan does not have are an error, and nothing is added then.
  tl::expected<void, std::string> add(const std::string& json);
  /// Adds what the file has, if there is one, and writes the sum.
  tl::expected<void, std::string> merge_into(const std::filesystem::path& file) const;

private:
  std::uint64_t& at(const std::string& bin);

  std::map<std::string, std::vector<std::string>> groups_;
  std::map<std::string, std::uint64_t> counts_;
  std::map<std::string, std::string> waivers_;
};

} // namespace virtio::rtl::cosim
