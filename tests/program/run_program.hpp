// Runs a program as a user does and keeps what it printed and returned.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

struct ProgramResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// A folder that lives as long as this object.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "virtio-tlm-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder: check TMPDIR");
    path = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::ofstream(path / name, std::ios::binary) << content;
    return path / name;
  }

  std::filesystem::path path;
};

inline std::string content_of(const std::filesystem::path& file) {
  std::ostringstream content;
  content << std::ifstream(file, std::ios::binary).rdbuf();
  return content.str();
}

// `command` is a line for the shell.
inline ProgramResult run_shell(const std::string& command) {
  TemporaryFolder folder;
  const std::string line = "( " + command + " ) >" + (folder.path / "out").string() + " 2>" +
                           (folder.path / "err").string() + " </dev/null";
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(folder.path / "out"),
          content_of(folder.path / "err")};
}
