#include <virtio/platforms/parts/workspace.hpp>

#include <fmt/format.h>

#include <system_error>

namespace virtio::platform {

namespace {

std::filesystem::path copy_medium(const MediaConfig& medium, const std::filesystem::path& folder) {
  const auto copy = folder / (medium.name + medium.file.extension().string());
  std::error_code error;
  if (std::filesystem::equivalent(medium.file, copy, error))
    throw SetupError(
        fmt::format("the working copy of medium \"{}\" would replace {} itself: choose "
                    "another folder with --out, or set write_through = true",
                    medium.name, medium.file.string()));
  std::filesystem::remove(copy, error); // it may be read-only, as the original may be
  std::filesystem::copy_file(medium.file, copy, error);
  if (!error)
    std::filesystem::permissions(
        copy, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
        std::filesystem::perm_options::add, error);
  if (error)
    throw SetupError(fmt::format("{} cannot be copied to {}: {}", medium.file.string(),
                                 copy.string(), error.message()));
  return copy;
}

} // namespace

Workspace::Workspace(const Config& config, std::filesystem::path folder)
    : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error)
    throw SetupError(fmt::format("the folder {} cannot be made: {}; choose another one with --out",
                                 folder_.string(), error.message()));
  for (const auto& medium : config.media)
    media_.emplace(medium.name, medium.write_through ? medium.file : copy_medium(medium, folder_));
}

} // namespace virtio::platform
