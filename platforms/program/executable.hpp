// Where the executables of the platforms are: beside this program, or in ../libexec as installed.
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

} // namespace virtio::platform
