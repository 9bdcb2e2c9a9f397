// Child processes and the signals that end a sweep. For a program of one thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace virtio::platform::sweep {

// Its standard input is empty; output and errors go to one file. It is in a process group of its
// own, so that Ctrl-C reaches this process only, and is killed when this process ends.
class Process {
public:
  Process(const std::vector<std::string>& command, const std::filesystem::path& output);

  // The status of waitpid(), once it has ended.
  std::optional<int> ended();
  // Waits until it has ended.
  void wait();
  // Kills it and waits.
  void stop();

private:
  pid_t pid_;
};

// While it lives, SIGCHLD, SIGINT, SIGTERM and SIGHUP are taken here and nowhere else, except for
// those that this process was started to ignore.
class Signals {
public:
  Signals();
  ~Signals();

  // Waits until a child may have ended, at most that long. False: this process shall end.
  bool wait(std::chrono::milliseconds at_most);

private:
  bool interrupted_ = false;
};

} // namespace virtio::platform::sweep
