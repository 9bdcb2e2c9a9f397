#include <virtio/platforms/config/raw_value.hpp>
#include <virtio/platforms/program/executable.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace virtio::platform {

std::filesystem::path this_executable() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored);
}

tl::expected<std::filesystem::path, std::string> platform_executable(PlatformKind kind) {
  std::string name = fmt::format("virtio-tlm-{}", text(kind));
  std::replace(name.begin(), name.end(), '_', '-');
  return executable(name);
}

tl::expected<std::filesystem::path, std::string> executable(const std::string& name) {
  const auto here = this_executable().parent_path();
  std::error_code ignored;
  for (const auto& file : {here / name, here.parent_path() / "libexec" / name})
    if (access(file.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(file, ignored))
      return file;
  return tl::unexpected(fmt::format("{} is neither beside this program nor in ../libexec: build it "
                                    "with `./quickstart build`",
                                    name));
}

} // namespace virtio::platform
