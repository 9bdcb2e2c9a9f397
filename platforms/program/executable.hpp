// Where the executables of the platforms, and that of co-simulation, are: beside this program, or
// in ../libexec as installed.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <tl/expected.hpp>

#include <filesystem>
#include <string>

namespace virtio::platform {

// This program's own file.
std::filesystem::path this_executable();

// The executable of that kind of platform, or a sentence that says what to do.
tl::expected<std::filesystem::path, std::string> platform_executable(PlatformKind kind);

// Any other of them, by its name.
tl::expected<std::filesystem::path, std::string> executable(const std::string& name);

} // namespace virtio::platform
