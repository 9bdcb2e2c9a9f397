#include <virtio/platforms/program/sweep/process.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace virtio::platform::sweep {

namespace {

// Not those that are ignored: SIGHUP under nohup, SIGINT in the background of a script.
sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&set, signal);
  }
  return set;
}

[[noreturn]] void become(char* const* command, const char* output, pid_t parent) {
  const sigset_t signals = watched();
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127); // it ended before it could be watched
  const int input = open("/dev/null", O_RDONLY);
  const int file = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (input < 0 || file < 0) _exit(127);
  dup2(input, STDIN_FILENO);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  if (file > STDERR_FILENO) close(file);
  if (input > STDERR_FILENO) close(input);
  execvp(command[0], command);
  dprintf(STDERR_FILENO, "%s cannot be started: %s\n", command[0], std::strerror(errno));
  _exit(127);
}

} // namespace

Process::Process(const std::vector<std::string>& command, const std::filesystem::path& output) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  std::transform(words.begin(), words.end(), std::back_inserter(arguments),
                 [](std::string& word) { return word.data(); });
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) become(arguments.data(), output.c_str(), parent);
}

std::optional<int> Process::ended() {
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  return status;
}

void Process::wait() {
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Process::stop() {
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL); // if it has no group of its own yet
  wait();
}

Signals::Signals() {
  signal(SIGCHLD, SIG_DFL); // ignored, it would take the children's statuses with it
  const sigset_t set = watched();
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

Signals::~Signals() {
  const sigset_t set = watched();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

bool Signals::wait(std::chrono::milliseconds at_most) {
  const sigset_t set = watched();
  timespec left{at_most.count() / 1000, at_most.count() % 1000 * 1'000'000};
  // Several may be pending; after the first, only those that already are.
  for (int signal; (signal = sigtimedwait(&set, nullptr, &left)) > 0 || errno == EINTR;) {
    if (signal > 0 && signal != SIGCHLD) interrupted_ = true;
    left = {};
  }
  return !interrupted_;
}

} // namespace virtio::platform::sweep
