// What a request costs timed: the performance platform with ring engine, PCI Express link and
// driver, every request's data checked. One simulation needs one process, so each measurement is a
// fork of this one.
//
//   timed_bench [--benchmark_filter=...]       requests a second of one core (Google Benchmark)
//   timed_bench --count N --case NAME          N requests of one case, for callgrind (see
//   instructions)
//   timed_bench --simulated                    what the simulated device reaches, by format of the
//   ring
//   timed_bench --memory                       bytes of a queue that is idle
#include <virtio/blk/block.hpp>
#include <virtio/core/device.hpp>
#include <virtio/platforms/pcie_host/platform.hpp>
#include <virtio/platforms/pcie_host/report.hpp>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace virtio::platform::pcie_host {
namespace {

struct Case {
  std::string name;
  std::string file;
  std::vector<Override> overrides;
};

Case ring_case(const std::string& work, const std::string& file, bool packed, bool indirect) {
  return {work + (packed ? "/packed" : "/split") + (indirect ? "/indirect" : ""),
          file,
          {{"platform.host.ring", packed ? "packed" : "split"},
           {"platform.host.indirect", indirect ? "true" : "false"}}};
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const bool indirect : {false, true})
    for (const bool packed : {false, true})
      all.push_back(ring_case("timed_block_read_4096", "timed_block.toml", packed, indirect));
  for (const bool packed : {false, true}) // one descriptor a frame: no table
    all.push_back(ring_case("timed_net_transmit_64", "timed_net.toml", packed, false));
  for (const char* queues : {"1", "64", "1024"})
    all.push_back({std::string("timed_queues_of_the_device/") + queues,
                   "timed_block.toml",
                   {{"device.d.queues", queues}}});
  for (const char* queues : {"1", "64", "1024"})
    all.push_back({std::string("timed_live_idle_queues_beside/") + queues,
                   "timed_idle.toml",
                   {{"device.idle.queues", queues}}});
  return all;
}

/// What came of a run.
struct Result {
  double cpu_seconds = 0;
  std::uint64_t requests = 0;
  std::uint64_t events_milli = 0; ///< a request
  std::uint64_t per_second = 0;   ///< simulated
};

double cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Once in a process.
Result run(const Case& c, std::uint64_t requests) {
  std::vector<Override> overrides = c.overrides;
  overrides.push_back({"workload.d.requests", std::to_string(requests)});
  const auto config = load(std::string(BENCH_DIR "/") + c.file, overrides);
  if (!config) {
    for (const ConfigError& error : config.error())
      fmt::print(stderr, "{}\n", error.text());
    std::exit(1);
  }
  const Workspace workspace;
  Platform platform("platform", *config, workspace);
  const double start = cpu_time();
  const Outcome& outcome = platform.run();
  Result result;
  result.cpu_seconds = cpu_time() - start;
  if (!outcome.ok) {
    fmt::print(stderr, "{}: {}\n", c.name, outcome.text);
    std::exit(1);
  }
  const auto report = summary(platform);
  result.requests = report["simulation"]["requests"];
  result.events_milli = report["simulation"]["events_per_request_milli"];
  result.per_second = report["workloads"][0]["total"]["requests_per_second"];
  return result;
}

Result run_apart(const Case& c, std::uint64_t requests) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) std::exit(1);
  const pid_t child = fork();
  if (child == 0) {
    const Result result = run(c, requests);
    const bool written = write(ends[1], &result, sizeof result) == sizeof result;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  Result result;
  const bool there = read(ends[0], &result, sizeof result) == sizeof result;
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0 || !there) std::exit(1);
  return result;
}

int run_for_callgrind(std::string_view name, std::uint64_t requests) {
  for (const Case& c : cases()) {
    if (c.name != name) continue;
    run(c, requests);
    return 0;
  }
  fmt::print(stderr, "there is no case {}\n", name);
  return 2;
}

/// With the driver that the other rows have, and with one that costs next to nothing.
int print_simulated() {
  fmt::print("{:<36} {:>16} {:>16} {:>16}\n", "case", "simulated /s", "fast driver /s",
             "events/request");
  for (Case c : cases()) {
    if (c.file == "timed_idle.toml") continue;
    const Result usual = run_apart(c, 20'000);
    c.overrides.push_back({"platform.host.clock", "100 GHz"});
    c.overrides.push_back({"platform.host.poll_interval", "10 ns"});
    const Result fast = run_apart(c, 20'000);
    fmt::print("{:<36} {:>16} {:>16} {:>16.2f}\n", c.name, usual.per_second, fast.per_second,
               static_cast<double>(usual.events_milli) / 1000);
  }
  return 0;
}

std::size_t allocated() {
  return mallinfo2().uordblks;
}

/// A block device with its timed ring engine, before any queue was used.
std::size_t bytes_of_device(std::uint16_t queues) {
  Executor executor;
  HostMemoryPort port(GuestAddr{0}, {});
  const std::size_t before = allocated();
  blk::BlockParams params;
  params.num_queues = queues;
  DeviceParams device_params;
  device_params.name = "d";
  device_params.timed_ring.emplace();
  const Device device(device_params, executor, port,
                      std::make_unique<blk::Block>(params, std::make_unique<blk::RamStore>(4096)));
  return allocated() - before;
}

int print_memory() {
  fmt::print("bytes of an idle queue: {}\n",
             (bytes_of_device(1024) - bytes_of_device(64)) / (1024 - 64));
  return 0;
}

} // namespace
} // namespace virtio::platform::pcie_host

int sc_main(int, char**) {
  return 0;
}

int main(int argc, char** argv) {
  using namespace virtio::platform::pcie_host;
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  const std::string_view option = argc > 1 ? argv[1] : "";
  if (option == "--list") {
    for (const Case& c : cases())
      std::puts(c.name.c_str());
    return 0;
  }
  if (option == "--simulated") return print_simulated();
  if (option == "--memory") return print_memory();
  if (argc == 5 && option == "--count")
    return run_for_callgrind(argv[4], std::strtoull(argv[2], nullptr, 10));
  for (const Case& c : cases())
    benchmark::RegisterBenchmark(c.name.c_str(), [c](benchmark::State& state) {
      Result result;
      for (auto _ : state) {
        result = run_apart(c, 200'000);
        state.SetIterationTime(result.cpu_seconds);
      }
      state.counters["requests/s"] = benchmark::Counter(
          static_cast<double>(state.iterations() * result.requests), benchmark::Counter::kIsRate);
      state.counters["events/request"] = static_cast<double>(result.events_milli) / 1000;
    })->UseManualTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
