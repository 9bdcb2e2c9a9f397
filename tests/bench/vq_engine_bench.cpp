// Cycles of vq_engine for a chain of one segment on rings that are kept full, by memory latency.
#include <virtio/core/ring_walk.hpp>
#include <virtio/rtl/vq/vq_bench.hpp>

#include <fmt/format.h>

#include <cstdlib>

using namespace virtio;
using namespace virtio::rtl;

namespace {

constexpr std::uint64_t region = 0x10000;

struct Rings {
  bool packed = false;
  std::uint16_t queues = 1, size = 512;
  std::uint32_t latency = 250;
};

/// Gives every chain back as soon as it is used.
class Refill {
public:
  Refill(VqBench& bench, QueueIndex queue, const Rings& rings) : bench_(bench), queue_(queue) {
    s_.size = rings.size;
    const std::uint64_t base = region * raw(queue);
    s_.desc = GuestAddr{base};
    s_.driver = GuestAddr{base + 0x4000};
    s_.device = GuestAddr{base + 0x8000};
    s_.features = {VIRTIO_F_VERSION_1};
    if (rings.packed) s_.features.set(VIRTIO_F_RING_PACKED);
    packed_ = rings.packed;
    for (std::uint16_t i = 0; i < s_.size; ++i) {
      const std::uint64_t at = base + 16ull * i;
      bench_.store(at, le64(0x1000));
      bench_.store(at + 8, le32(64));
      if (packed_) {
        bench_.store(at + 12, le16(i));
        bench_.store(at + 14, le16(packed::VIRTQ_DESC_F_AVAIL));
      } else {
        bench_.store(raw(split::avail_ring(s_.driver, i)), le16(i));
      }
    }
    if (packed_)
      bench_.store(raw(s_.driver), le32(packed::event(0, false, packed::RING_EVENT_FLAGS_DISABLE)));
    if (!packed_) bench_.store(raw(s_.driver), le16(split::VIRTQ_AVAIL_F_NO_INTERRUPT));
    if (!packed_) bench_.store(raw(split::avail_idx(s_.driver)), le16(s_.size));
    if (bench_.command(Command::enable, queue, s_).code != RingError::none) std::abort();
    bench_.credit(queue, 0x7fff);
    bench_.doorbell(queue);
  }
  void step() {
    bool any = false;
    if (packed_) {
      for (;;) {
        const std::uint64_t at = raw(s_.desc) + 16ull * next_.index;
        const std::uint16_t flags = bench_.load<le16>(at + 14);
        const bool a = flags & packed::VIRTQ_DESC_F_AVAIL, u = flags & packed::VIRTQ_DESC_F_USED;
        if (a != u || a != next_.wrap) break;
        bench_.store(at + 8, le32(64));
        bench_.store(at + 14,
                     le16(static_cast<std::uint16_t>(next_.wrap ? packed::VIRTQ_DESC_F_USED
                                                                : packed::VIRTQ_DESC_F_AVAIL)));
        next_ = advance(next_, 1, s_.size);
        ++chains;
        any = true;
      }
    } else {
      const std::uint16_t idx = bench_.load<le16>(raw(split::used_idx(s_.device)));
      for (; next_.index != idx; ++next_.index, ++chains, any = true) {
        const std::uint64_t at = raw(split::used_ring(s_.device, next_.index & (s_.size - 1)));
        const std::uint32_t id = bench_.load<le32>(at);
        bench_.store(raw(split::avail_ring(s_.driver, next_.index & (s_.size - 1))),
                     le16(static_cast<std::uint16_t>(id)));
      }
      if (any)
        bench_.store(raw(split::avail_idx(s_.driver)),
                     le16(static_cast<std::uint16_t>(idx + s_.size)));
    }
    if (any) bench_.doorbell(queue_);
  }
  std::uint64_t chains = 0;

private:
  VqBench& bench_;
  QueueIndex queue_;
  QueueSetup s_;
  bool packed_ = false;
  RingIndex next_{0, true};
};

void measure(const Rings& rings) {
  VqBenchConfig config;
  config.memory = static_cast<std::uint32_t>(region * std::max<std::uint16_t>(rings.queues, 4));
  config.read_latency = rings.latency;
  config.write_latency = rings.latency / 2;
  config.read_spread = config.write_spread = config.work_spread = config.stalls = 0;
  VqBench bench(config, nullptr);
  bench.on_chain = [&](QueueIndex q, const VqBench::FunctionChain&) { bench.credit(q, 1); };
  bench.on_error = [](QueueIndex, RingError e) {
    fmt::print(stderr, "{}\n", to_string(e));
    std::exit(1);
  };
  std::vector<std::unique_ptr<Refill>> drivers;
  for (std::uint16_t q = 0; q < rings.queues; ++q)
    drivers.push_back(std::make_unique<Refill>(bench, QueueIndex{q}, rings));
  const auto total = [&] {
    std::uint64_t n = 0;
    for (const auto& d : drivers)
      n += d->chains;
    return n;
  };
  const auto run = [&](int cycles) {
    for (int i = 0; i < cycles; ++i) {
      for (auto& d : drivers)
        d->step();
      bench.tick();
    }
  };
  run(20'000);
  const std::uint64_t chains = total(), reads = bench.reads, cycles = 40'000;
  run(static_cast<int>(cycles));
  const std::uint64_t n = total() - chains;
  fmt::print("{:6} {:4} queues of {:3}, latency {:4}: {:6.2f} cycles and {:.2f} reads a chain\n",
             rings.packed ? "packed" : "split", rings.queues, rings.size, rings.latency,
             static_cast<double>(cycles) / static_cast<double>(n),
             static_cast<double>(bench.reads - reads) / static_cast<double>(n));
}

} // namespace

#ifndef VQ_BENCH_QUEUES
#define VQ_BENCH_QUEUES 64
#endif

int main() {
  for (const std::uint32_t latency : {250, 500, 1000}) {
    if (VQ_BENCH_QUEUES == 1024) {
      // One chain a visit.
      measure({.packed = false, .queues = 1024, .size = 1, .latency = latency});
      measure({.packed = true, .queues = 1024, .size = 1, .latency = latency});
      continue;
    }
    measure({.packed = false, .queues = 1, .size = 512, .latency = latency});
    measure({.packed = true, .queues = 1, .size = 256, .latency = latency});
    measure({.packed = false, .queues = 64, .size = 8, .latency = latency});
    measure({.packed = true, .queues = 64, .size = 8, .latency = latency});
    // As many as the tags can have under way, whatever a round trip takes.
    measure({.packed = false, .queues = 64, .size = 32, .latency = latency});
    measure({.packed = true, .queues = 64, .size = 32, .latency = latency});
  }
}
