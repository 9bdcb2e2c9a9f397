// A folder that lives as long as one test, for configuration files and what they name.
#pragma once

#include <virtio/platforms/config/config.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace virtio::platform {

class TomlFolder : public testing::Test {
protected:
  TomlFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "virtio-tlm-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder: check TMPDIR");
    folder = name;
    write("firmware.bin", "firmware");
    write("disk.img", std::string(4096, '\0'));
    write("frames.pcap", "frames");
  }
  ~TomlFolder() override { std::filesystem::remove_all(folder); }

  std::filesystem::path write(const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return folder / name;
  }

  // A platform.toml that is right as far as line 3, followed by `rest` from line 4 on.
  std::filesystem::path platform(const std::string& rest) {
    return write("platform.toml",
                 "[platform]\nkind = \"riscv_virt\"\nfirmware = \"firmware.bin\"\n" + rest);
  }

  Config loaded(const std::string& rest, const std::vector<Override>& overrides = {}) {
    auto config = load(platform(rest), overrides);
    if (config) return *config;
    for (const ConfigError& error : config.error())
      ADD_FAILURE() << error.text();
    return {};
  }

  // All errors, one a line, without the folder's name.
  std::string errors(const std::string& rest, const std::vector<Override>& overrides = {}) {
    return errors_of(platform(rest), overrides);
  }
  std::string errors_of(const std::filesystem::path& file,
                        const std::vector<Override>& overrides = {}) {
    const auto config = load(file, overrides);
    if (config) return "";
    std::string all;
    for (const ConfigError& error : config.error()) {
      std::string line = error.text() + "\n";
      for (std::size_t at; (at = line.find(folder.string() + "/")) != std::string::npos;)
        line.erase(at, folder.string().size() + 1);
      all += line;
    }
    return all;
  }

  std::filesystem::path folder;
};

} // namespace virtio::platform
