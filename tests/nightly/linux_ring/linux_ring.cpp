// The Linux kernel's driver-side ring code against our device: both ring formats, with and without
// indirect descriptors and event index, in turns and in two threads, with memory that answers at
// once and late. Usage: linux_ring REQUESTS_PER_ROW [SEED [turns|threads|late]]. Exit: 0 when every
// row passed.
#include "driver_side.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace virtio::nightly {
namespace {

enum class Mode : std::uint8_t { turns, threads, late };
constexpr const char* mode_names[] = {"in turns", "two threads", "late memory"};
constexpr const char* mode_words[] = {"turns", "threads", "late"};
constexpr std::size_t memory_bytes = 64 << 20;
/// In turns: so many steps of both sides without a request coming back are a hang.
constexpr std::uint64_t patience_steps = 1'000'000;
/// In two threads: so much time is.
constexpr auto patience = std::chrono::seconds(30);
/// A thread with nothing to do looks so many times before it lets the other have the processor: the
/// two shall meet at the ring.
constexpr std::uint64_t spins = 2000;

struct Row {
  bool packed = false;
  bool indirect = false;
  bool event_idx = false;
  Mode mode{};
};

struct Totals {
  std::uint64_t requests = 0;
  std::uint64_t doorbells = 0;
  std::uint64_t interrupts = 0;
  std::uint64_t spurious = 0;
  double seconds = 0;
};

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};

std::string stalled(const DriverSide& driver) {
  return driver.asleep() ? "the driver sleeps and is not woken" : "requests do not come back";
}

/// Both sides step in random order in this thread.
std::string run_in_turns(DriverSide& driver, DeviceSide& device, std::uint64_t seed) {
  Random random(seed, "turns");
  std::uint64_t steps = 0;
  std::uint64_t seen = 0;
  while (!driver.done()) {
    if (random.below(2) == 0)
      driver.step();
    else
      device.step();
    if (driver.collected() != seen) {
      seen = driver.collected();
      steps = 0;
    }
    if (!driver.trouble().empty()) return driver.trouble();
    if (device.trouble()) return device.trouble();
    if (++steps == patience_steps) return stalled(driver);
  }
  return {};
}

/// The device in a thread of its own; only the guest's memory and the wires are shared.
std::string run_in_threads(DriverSide& driver, DeviceSide& device) {
  std::atomic<bool> stop = false;
  std::atomic<const char*> device_trouble = nullptr;
  std::thread thread([&] {
    std::uint64_t idle_steps = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      device.step();
      if (const char* trouble = device.trouble()) {
        device_trouble = trouble;
        return;
      }
      idle_steps = device.idle() ? idle_steps + 1 : 0;
      if (idle_steps % spins == spins - 1) std::this_thread::yield();
    }
  });
  std::string trouble;
  std::uint64_t seen = 0;
  std::uint64_t idle_steps = 0;
  auto last_progress = std::chrono::steady_clock::now();
  while (!driver.done() && trouble.empty()) {
    driver.step();
    trouble = driver.trouble();
    if (const char* other = device_trouble) trouble = other;
    if (driver.collected() != seen) {
      seen = driver.collected();
      idle_steps = 0;
    }
    if (++idle_steps % spins != 0) continue;
    const auto now = std::chrono::steady_clock::now();
    if (idle_steps == spins) last_progress = now;
    if (now - last_progress > patience) trouble = stalled(driver);
    std::this_thread::yield();
  }
  stop = true;
  thread.join();
  return trouble;
}

/// One ring size of one row. Returns what went wrong, or nothing.
std::string run_size(const Row& row, std::uint16_t size, std::uint64_t requests, std::uint64_t seed,
                     std::span<std::byte> memory, Totals& totals) {
  FeatureSet features{VIRTIO_F_VERSION_1};
  features.set(VIRTIO_F_RING_PACKED, row.packed)
      .set(VIRTIO_F_INDIRECT_DESC, row.indirect)
      .set(VIRTIO_F_EVENT_IDX, row.event_idx);
  lx_memory(memory.data(), memory.size());
  // Fewer than the ring holds, so that chains wait for credit.
  const std::uint32_t window = std::max(1, size / 8);
  Wires wires;
  DeviceSide device(memory, row.mode == Mode::late, window, wires, seed);
  DriverSide driver(size, features.word32(0) | std::uint64_t{features.word32(1)} << 32, requests,
                    wires, seed);
  unsigned long long areas[3];
  driver.areas(areas);
  if (!device.bring_up(features, size, areas)) return "the device did not come up";
  const auto start = std::chrono::steady_clock::now();
  const std::string trouble = row.mode == Mode::threads ? run_in_threads(driver, device)
                                                        : run_in_turns(driver, device, seed);
  totals.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  totals.requests += driver.collected();
  totals.doorbells += device.doorbells;
  totals.interrupts += driver.interrupts;
  totals.spurious += driver.spurious;
  return trouble;
}

bool run_row(const Row& row, std::uint64_t requests, std::uint64_t seed,
             std::span<std::byte> memory) {
  constexpr std::uint16_t split_sizes[] = {1, 8, 256, 4096};
  constexpr std::uint16_t packed_sizes[] = {1, 7, 256, 1000};
  Totals totals;
  std::string trouble;
  for (const std::uint16_t size : row.packed ? packed_sizes : split_sizes) {
    trouble = run_size(row, size, requests / 4, seed, memory, totals);
    if (trouble.empty()) continue;
    trouble = "FAIL, " + std::to_string(size) + " entries: " + trouble;
    break;
  }
  const auto n = static_cast<double>(std::max<std::uint64_t>(totals.requests, 1));
  std::printf("%-6s  %-8s  %-9s  %-11s  %9llu  %9.0f  %9.3f  %10.3f  %8.4f  %s\n",
              row.packed ? "packed" : "split", row.indirect ? "indirect" : "direct",
              row.event_idx ? "event idx" : "flags", mode_names[static_cast<int>(row.mode)],
              static_cast<unsigned long long>(totals.requests), n / totals.seconds,
              static_cast<double>(totals.doorbells) / n, static_cast<double>(totals.interrupts) / n,
              static_cast<double>(totals.spurious) / n, trouble.empty() ? "PASS" : trouble.c_str());
  std::fflush(stdout);
  return trouble.empty();
}

int run(std::uint64_t requests, std::uint64_t seed, std::string_view only) {
  const std::unique_ptr<std::byte, FreeMemory> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, memory_bytes)));
  int rows = 0;
  int failed = 0;
  std::printf("%-6s  %-8s  %-9s  %-11s  %9s  %9s  %9s  %10s  %8s\n", "ring", "chains", "notify",
              "mode", "requests", "per s", "doorbells", "interrupts", "spurious");
  for (const Mode mode : {Mode::turns, Mode::threads, Mode::late}) {
    if (!only.empty() && only != mode_words[static_cast<int>(mode)]) continue;
    for (int bits = 0; bits < 8; ++bits) {
      const Row row{(bits & 4) != 0, (bits & 2) != 0, (bits & 1) != 0, mode};
      const std::uint64_t n = mode == Mode::late ? requests / 4 : requests;
      ++rows;
      failed += !run_row(row, n, seed, {memory.get(), memory_bytes});
    }
  }
  std::printf(
      "%d of %d rows failed; doorbells, interrupts and spurious interrupts are per request; "
      "seed %llu\n",
      failed, rows, static_cast<unsigned long long>(seed));
  return failed == 0 && rows > 0 ? 0 : 1;
}

} // namespace
} // namespace virtio::nightly

int main(int argc, char** argv) {
  const std::uint64_t requests = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  if (requests < 16) {
    std::fprintf(stderr, "usage: linux_ring REQUESTS_PER_ROW [SEED [turns|threads|late]]\n");
    return 2;
  }
  return virtio::nightly::run(requests, seed, argc > 3 ? argv[3] : "");
}
