#include <virtio/platforms/program/executable.hpp>
#include <virtio/platforms/program/sweep/process.hpp>
#include <virtio/platforms/program/sweep/runner.hpp>

#include <fmt/format.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <list>

namespace virtio::platform::sweep {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds redraw_period{200};

struct Child {
  std::size_t run;
  Clock::time_point start;
  Process process;
};

std::vector<std::string> command(const Store& store, std::size_t run) {
  std::vector<std::string> words{this_executable(), "run", store.plan().file};
  for (const Override& value : store.plan().overrides(run))
    words.insert(words.end(), {"--set", value.path + "=" + value.value});
  words.insert(words.end(), {"--out", store.output(run)});
  return words;
}

std::string last_line(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);)
    if (!line.empty()) last = line;
  return last;
}

// What the run itself says of its end, or else what the end looked like from here.
std::string error_text(const Store& store, std::size_t run, int status, const Json& summary) {
  if (WIFSIGNALED(status)) return fmt::format("killed by {}", strsignal(WTERMSIG(status)));
  if (summary.is_object() && summary.value("outcome", Json()).is_string())
    return summary["outcome"];
  const std::string last = last_line(store.log(run));
  return last.empty() ? "no output" : last;
}

Json result(const Store& store, const Child& child, int status) {
  Json varied = Json::object();
  for (const Override& value : store.plan().point(child.run))
    varied[value.path] = value.value;
  std::ifstream file(store.output(child.run) / "summary.json");
  const Json summary = Json::parse(file, nullptr, false);
  const bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const auto taken = std::chrono::duration<double>(Clock::now() - child.start).count();
  return {{"run", child.run},
          {"vary", varied},
          {"status", ok ? "ok" : "failed"},
          {"exit_code", WIFEXITED(status) ? Json(WEXITSTATUS(status)) : Json()},
          {"error", ok ? Json() : Json(error_text(store, child.run, status, summary))},
          {"host_seconds", taken},
          {"summary", summary.is_discarded() ? Json() : summary}};
}

class Pool {
public:
  Pool(const Store& store, const std::vector<std::size_t>& runs, std::size_t jobs,
       Progress* progress)
      : store_(store), waiting_(runs.begin(), runs.end()), jobs_(jobs), progress_(progress) {}

  Ended work() {
    while (!waiting_.empty() || !running_.empty()) {
      if (!start()) return stop(Ended::changed);
      if (progress_) progress_->draw(fmt::format("{} running", running_.size()));
      if (!signals_.wait(redraw_period)) return stop(Ended::interrupted);
      collect();
    }
    return Ended::finished;
  }

private:
  bool start() {
    while (!waiting_.empty() && running_.size() < jobs_) {
      if (!store_.platform_unchanged() || !std::filesystem::exists(this_executable())) return false;
      const std::size_t run = waiting_.front();
      waiting_.pop_front();
      store_.prepare(run);
      running_.push_back({run, Clock::now(), Process(command(store_, run), store_.log(run))});
    }
    return true;
  }

  void collect() {
    for (auto child = running_.begin(); child != running_.end();) {
      const auto status = child->process.ended();
      if (!status) {
        ++child;
        continue;
      }
      const Json finished = result(store_, *child, *status);
      store_.finish(child->run, finished);
      if (progress_) progress_->finished(child->run, succeeded(finished));
      child = running_.erase(child);
    }
  }

  Ended stop(Ended reason) {
    for (Child& child : running_)
      child.process.stop();
    running_.clear();
    return reason;
  }

  const Store& store_;
  std::list<std::size_t> waiting_;
  std::size_t jobs_;
  Signals signals_;
  std::list<Child> running_;
  Progress* progress_;
};

} // namespace

Ended execute(const Store& store, const std::vector<std::size_t>& runs, std::size_t jobs,
              Progress* progress) {
  return Pool(store, runs, jobs, progress).work();
}

} // namespace virtio::platform::sweep
