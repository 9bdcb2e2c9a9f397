// Files that a configuration names as input.
#pragma once

#include <virtio/platforms/config/reader.hpp>

namespace virtio::platform {

// An input file must be there; `remedy` says how it comes to be.
void check_input(Reader& reader, const std::string& path, const std::filesystem::path& file,
                 std::string_view remedy);

} // namespace virtio::platform
