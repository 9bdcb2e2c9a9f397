#include <virtio/platforms/config/input_check.hpp>

#include <unistd.h>

namespace virtio::platform {

void check_input(Reader& reader, const std::string& path, const std::filesystem::path& file,
                 std::string_view remedy) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(file, ignored)) {
    if (access(file.c_str(), R_OK) != 0)
      reader.fail(path, fmt::format("{} cannot be read: check its permissions", file.string()));
  } else {
    reader.fail(path, fmt::format("there is no file {}; {}", file.string(), remedy));
  }
}

} // namespace virtio::platform
