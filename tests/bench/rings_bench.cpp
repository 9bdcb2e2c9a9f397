// What a request costs untimed, driver loop included: the rows of a functional model's job, over
// both transports and both ring formats. Rings and data are touched by host pointers on the
// driver's side, one doorbell a batch, interrupts off; each read's status and its first and last
// words are checked.
//
//   rings_bench [--benchmark_filter=...]       requests a second (Google Benchmark)
//   rings_bench --count N --case NAME          N requests of one case, for callgrind (see
//   instructions)
#include "support/machine.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/net/net.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace virtio {
namespace {

using driver::Buffer;

/// Frames end here.
class Drain final : public net::Wire {
public:
  void transmit(net::Frame frame) override { bytes += frame.size(); }
  std::uint64_t bytes = 0;
};

struct Case {
  std::string name;
  bool net = false;
  bool pci = false;
  bool packed = false;
  std::uint32_t bytes = 0;
  std::uint16_t depth = 0;
};

std::vector<Case> cases() {
  struct Work {
    const char* name;
    bool net;
    std::uint32_t bytes;
  };
  const Work works[] = {{"block_read_512", false, 512},
                        {"block_read_4096", false, 4096},
                        {"net_transmit_64", true, 64},
                        {"net_transmit_1500", true, 1500}};
  std::vector<Case> all;
  for (const Work& w : works)
    for (const bool packed : {false, true})
      for (const bool pci : {false, true})
        for (const std::uint16_t depth : {std::uint16_t{1}, std::uint16_t{32}})
          all.push_back({std::string(w.name) + (packed ? "/packed" : "/split") +
                             (pci ? "/pci" : "/mmio") + "/" + std::to_string(depth),
                         w.net, pci, packed, w.bytes, depth});
  return all;
}

/// One device of each kind of case, brought up, with its buffers.
class Rig {
public:
  Rig(test::Machine& machine, const Case& c, driver::DeviceAccess& access)
      : case_(c), bus_(machine.bus),
        session_(machine.bus, access, c.packed ? FeatureSet{VIRTIO_F_RING_PACKED} : FeatureSet{},
                 machine.arena),
        queue_(session_.add_queue(c.net ? 1 : 0, {.size = 128, .interrupts = false})) {
    session_.go_live();
    for (std::uint16_t i = 0; i < c.depth; ++i) {
      const std::uint64_t at = machine.arena.take(16 + 4096 + 16, 64);
      buffers_.push_back(at);
      const std::vector<std::byte> zeros(16 + 4096 + 16);
      bus_.write(at, zeros);
    }
  }

  /// One batch: `depth` requests, one doorbell, all results checked.
  __attribute__((noinline)) void batch() {
    for (std::uint16_t i = 0; i < case_.depth; ++i)
      case_.net ? add_frame(i) : add_read(i);
    queue_.kick();
    for (std::uint16_t i = 0; i < case_.depth; ++i) {
      const auto used = queue_.take_used();
      if (!used) fail("the queue used too little");
      if (!case_.net) check_read(i, used->written);
    }
  }

private:
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
  }
  void add_read(std::uint16_t i) {
    const std::uint64_t at = buffers_[i];
    sector_ = (sector_ + 8) % 1024;
    bus_.store<std::uint32_t>(at, 0); // VIRTIO_BLK_T_IN
    bus_.store<std::uint64_t>(at + 8, sector_);
    bus_.store<std::uint8_t>(at + 16 + 4096, 0xff);
    const Buffer chain[] = {
        {at, 16, false}, {at + 16, case_.bytes, true}, {at + 16 + 4096, 1, true}};
    if (!queue_.add(chain)) fail("no descriptors");
  }
  void check_read(std::uint16_t i, std::uint32_t written) {
    // The disk holds its own byte offsets, so first and last words tell where they came from.
    const std::uint64_t at = buffers_[i];
    const auto first = bus_.load<std::uint64_t>(at + 16);
    const auto last = bus_.load<std::uint64_t>(at + 16 + case_.bytes - 8);
    if (bus_.load<std::uint8_t>(at + 16 + 4096) != 0 || written != case_.bytes + 1 ||
        last - first != case_.bytes - 8)
      fail("wrong data");
  }
  void add_frame(std::uint16_t i) {
    const std::uint64_t at = buffers_[i];
    const Buffer chain[] = {{at, 12, false}, {at + 12, case_.bytes, false}};
    if (!queue_.add(chain)) fail("no descriptors");
  }

  Case case_;
  driver::Bus& bus_;
  driver::Session session_;
  driver::Virtqueue& queue_;
  std::vector<std::uint64_t> buffers_;
  std::uint64_t sector_ = 0;
};

std::unique_ptr<blk::RamStore> numbered_disk() {
  auto store = std::make_unique<blk::RamStore>(1 << 20);
  auto bytes = store->memory();
  for (std::uint64_t at = 0; at < bytes.size(); at += 8)
    std::memcpy(&bytes[at], &at, 8);
  return store;
}

/// Devices 0 block and 1 net on MMIO, 2 block and 3 net on PCI.
struct Bench {
  Bench() {
    for (const bool pci : {false, true}) {
      machine.add(std::make_unique<blk::Block>(blk::BlockParams{}, numbered_disk()), pci);
      machine.add(std::make_unique<net::Net>(net::NetParams{}, std::make_unique<Drain>()), pci);
    }
    sc_core::sc_start(sc_core::SC_ZERO_TIME); // elaborates
    found = machine.probe();
  }
  driver::DeviceAccess& access(const Case& c) {
    return *found.at((c.pci ? 2u : 0u) + (c.net ? 1u : 0u));
  }
  test::Machine machine;
  std::vector<std::unique_ptr<driver::DeviceAccess>> found;
};

int run_for_callgrind(Bench& bench, std::string_view name, std::uint64_t count) {
  for (const Case& c : cases()) {
    if (c.name != name) continue;
    Rig rig(bench.machine, c, bench.access(c));
    for (std::uint64_t done = 0; done < count; done += c.depth)
      rig.batch();
    return 0;
  }
  std::fprintf(stderr, "there is no case %.*s\n", static_cast<int>(name.size()), name.data());
  return 2;
}

} // namespace
} // namespace virtio

int sc_main(int, char**) {
  return 0;
}

int main(int argc, char** argv) {
  using namespace virtio;
  sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const Case& c : cases())
      std::puts(c.name.c_str());
    return 0;
  }
  Bench bench;
  if (argc == 5 && std::string_view(argv[1]) == "--count")
    return run_for_callgrind(bench, argv[4], std::strtoull(argv[2], nullptr, 10));
  for (const Case& c : cases())
    benchmark::RegisterBenchmark(c.name.c_str(), [&bench, c](benchmark::State& state) {
      Rig rig(bench.machine, c, bench.access(c));
      for (auto _ : state)
        rig.batch();
      state.counters["requests/s"] = benchmark::Counter(
          static_cast<double>(state.iterations() * c.depth), benchmark::Counter::kIsRate);
    });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
