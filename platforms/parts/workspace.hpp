// Workspace: the folder of one run. Media are copied there, so that the originals stay as they are,
// and everything a run leaves behind is written there.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace virtio::platform {

/// A run cannot begin. The text is a sentence that names the file and says what to do.
class SetupError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

class Workspace {
public:
  /// Of nothing: for devices that open no file.
  Workspace() = default;
  /// Makes the folder and the working copies, over those of an earlier run. Throws SetupError.
  Workspace(const Config& config, std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  /// Where a run writes the file of that name.
  std::filesystem::path file(std::string_view name) const { return folder_ / name; }
  /// The image that devices open for a medium: its copy, or with write_through the original.
  const std::filesystem::path& medium(std::string_view name) const {
    return media_.find(name)->second;
  }

private:
  std::filesystem::path folder_;
  std::map<std::string, std::filesystem::path, std::less<>> media_;
};

} // namespace virtio::platform
