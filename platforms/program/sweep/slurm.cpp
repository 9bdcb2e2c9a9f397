#include <virtio/platforms/program/executable.hpp>
#include <virtio/platforms/program/sweep/process.hpp>
#include <virtio/platforms/program/sweep/progress.hpp>
#include <virtio/platforms/program/sweep/slurm.hpp>

#include <fmt/format.h>

#include <fstream>
#include <list>
#include <set>

namespace virtio::platform::sweep {

namespace {

// Slurm's default MaxArraySize is 1001, one more than the largest index.
constexpr std::size_t largest_index = 1000;

// Tasks `indices` of the script stand for the runs offset + index.
struct Array {
  std::size_t offset;
  std::string indices; // "1-4,7"
};

std::filesystem::path script_file(const Store& store) {
  return store.folder() / "sweep.sbatch";
}
// What sbatch said.
std::filesystem::path answer_file(const Store& store, const Array& array) {
  return store.folder() / fmt::format("sweep.sbatch-{}.log", array.offset);
}

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word)
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string quoted_if_needed(const std::string& word) {
  return word.find_first_of(" '\"$`\\*?&;<>()|#~") == std::string::npos ? word : quoted(word);
}

std::vector<Array> arrays(const std::vector<std::size_t>& runs) {
  std::vector<Array> all;
  for (std::size_t i = 0; i < runs.size();) {
    const std::size_t offset = (runs[i] - 1) / largest_index * largest_index;
    const std::size_t first = runs[i] - offset;
    std::size_t last = first;
    while (++i < runs.size() && runs[i] == offset + last + 1 && last < largest_index)
      ++last;
    if (all.empty() || all.back().offset != offset) all.push_back({offset, ""});
    std::string& indices = all.back().indices;
    indices += fmt::format("{}{}", indices.empty() ? "" : ",", first);
    if (last > first) indices += fmt::format("-{}", last);
  }
  return all;
}

std::string script(const Store& store, const SlurmOptions& options) {
  std::string text = "#!/bin/sh\n"
                     "# One run of a sweep: sbatch --array=INDICES sweep.sbatch OFFSET\n"
                     "#SBATCH --job-name=virtio-tlm-sweep\n"
                     "#SBATCH --ntasks=1\n";
  for (const std::string& option : options.options)
    text += fmt::format("#SBATCH --{}\n", option);
  text += fmt::format("cd {} || exit\n", quoted(std::filesystem::current_path()));
  text += fmt::format("exec {} sweep --task $(($1 + SLURM_ARRAY_TASK_ID)) --out {}\n",
                      quoted(this_executable()), quoted(store.folder()));
  return text;
}

std::vector<std::string> command(const Store& store, const Array& array,
                                 const SlurmOptions& options) {
  std::vector<std::string> words{"sbatch", "--parsable"};
  if (options.wait) words.push_back("--wait");
  words.push_back("--output=" + (store.folder() / "sweep.slurm-%A_%a.log").string());
  words.push_back("--array=" + array.indices +
                  (options.jobs == 0 ? "" : fmt::format("%{}", options.jobs)));
  words.insert(words.end(), {script_file(store), std::to_string(array.offset)});
  return words;
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

// With --parsable it prints "12345" or "12345;cluster"; empty if it refused.
std::string job_of(const std::filesystem::path& answer) {
  for (const std::string& line : lines_of(answer)) {
    const std::string job = line.substr(0, line.find(';'));
    if (!job.empty() && job.find_first_not_of("0123456789") == std::string::npos) return job;
  }
  return "";
}

// Shows the runs that end meanwhile. False if this process shall end.
bool wait_for(std::list<Process> processes, const Store& store, std::vector<std::size_t> runs) {
  Signals signals;
  Progress progress(stderr, store);
  while (!processes.empty()) {
    progress.draw("waiting for Slurm");
    const bool go_on = signals.wait(std::chrono::milliseconds{500});
    processes.remove_if([](Process& process) { return process.ended().has_value(); });
    std::erase_if(runs, [&](std::size_t run) {
      const auto result = store.result(run);
      if (result) progress.finished(run, succeeded(*result));
      return result.has_value();
    });
    if (go_on) continue;
    for (Process& process : processes)
      process.stop();
    return false;
  }
  return true;
}

} // namespace

std::vector<std::string> prepare(const Store& store, const std::vector<std::size_t>& runs,
                                 const SlurmOptions& options) {
  write_atomically(script_file(store), script(store, options));
  std::vector<std::string> commands;
  for (const Array& array : arrays(runs)) {
    std::string line;
    for (const std::string& word : command(store, array, options))
      line += (line.empty() ? "" : " ") + quoted_if_needed(word);
    commands.push_back(line);
  }
  return commands;
}

tl::expected<std::string, std::string>
submit(const Store& store, const std::vector<std::size_t>& runs, const SlurmOptions& options) {
  const std::vector<Array> all = arrays(runs);
  std::list<Process> processes;
  for (const std::size_t run : runs)
    store.prepare(run);
  for (const Array& array : all)
    processes.emplace_back(command(store, array, options), answer_file(store, array));
  if (!options.wait)
    for (Process& process : processes)
      process.wait();
  else if (!wait_for(std::move(processes), store, runs))
    return tl::unexpected(
        std::string("interrupted; what was submitted goes on, `squeue` shows it"));
  std::string jobs;
  for (const Array& array : all) {
    const auto answer = answer_file(store, array);
    if (job_of(answer).empty())
      return tl::unexpected(fmt::format("sbatch has refused {}: {}", script_file(store).string(),
                                        fmt::join(lines_of(answer), " ")));
    jobs += (jobs.empty() ? "" : ", ") + job_of(answer);
  }
  return jobs;
}

std::string active_jobs(const Store& store) {
  std::string jobs;
  std::set<std::string> known;
  for (const auto& entry : std::filesystem::directory_iterator(store.folder()))
    if (entry.path().filename().string().starts_with("sweep.sbatch-"))
      if (std::string job = job_of(entry.path()); known.insert(job).second && !job.empty())
        jobs += (jobs.empty() ? "" : ",") + job;
  if (jobs.empty()) return "";
  const auto answer = store.folder() / "sweep.squeue.log";
  Process({"squeue", "--noheader", "--format=%F", "--jobs=" + jobs}, answer).wait();
  for (const std::string& line : lines_of(answer))
    if (known.contains(line)) return line;
  return "";
}

} // namespace virtio::platform::sweep
