// The folder of a sweep: a manifest that says what is swept, and for each run its output folder,
// its log and, once it has finished, its result. A result appears in one step (written elsewhere,
// then renamed), so that whatever is there is whole, and a run without one has not finished.
#pragma once

#include <virtio/platforms/program/sweep/plan.hpp>

#include <nlohmann/json.hpp>

#include <optional>

namespace virtio::platform::sweep {

using Json = nlohmann::ordered_json;

class Store {
public:
  // Makes the folder, or continues the same sweep; refuses the folder of anything else.
  static tl::expected<Store, std::string> open(const std::filesystem::path& folder, Plan plan);
  // The sweep that is in the folder.
  static tl::expected<Store, std::string> open_existing(const std::filesystem::path& folder);

  // Until this process ends. False if another sweep works in this folder.
  bool lock() const;
  // What writers that were killed have left; not while any may be at work.
  void remove_leftovers() const;

  const Plan& plan() const { return plan_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path output(std::size_t run) const { return file(run, ""); }
  std::filesystem::path log(std::size_t run) const { return file(run, ".log"); }

  // Whether the platform file is still the one that the sweep began with.
  bool platform_unchanged() const;

  std::optional<Json> result(std::size_t run) const; // none: not finished
  bool all_finished() const;
  std::vector<std::size_t> unfinished() const;
  std::vector<std::size_t> failed() const;

  // Removes what an earlier attempt at the run has left.
  void prepare(std::size_t run) const;
  void finish(std::size_t run, const Json& result) const;

private:
  Store(std::filesystem::path folder, Plan plan, std::string hash)
      : folder_(std::move(folder)), plan_(std::move(plan)), hash_(std::move(hash)) {}

  std::filesystem::path file(std::size_t run, std::string_view ending) const;

  std::filesystem::path folder_;
  Plan plan_;
  std::string hash_; // of the platform file
};

// Of a run's result.
bool succeeded(const Json& result);

// Throws std::system_error: without a place to write, a sweep cannot go on.
void write_atomically(const std::filesystem::path& file, const std::string& content);

} // namespace virtio::platform::sweep
