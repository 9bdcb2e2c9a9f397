// Cycles of vq_engine for a chain on rings that are kept full, by memory latency: of one segment,
// or of an indirect table. With an argument, only the rows that contain it.
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
  std::uint16_t table = 0;  // descriptors of an indirect table
  std::uint16_t direct = 1; // descriptors of a chain without one
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
    if (rings.table != 0) s_.features.set(VIRTIO_F_INDIRECT_DESC);
    packed_ = rings.packed;
    chains_ = s_.size;
    length_ = rings.table != 0 ? 16u * rings.table : 64u;
    flags_ = rings.table != 0 ? VIRTQ_DESC_F_INDIRECT : std::uint16_t{0};
    for (std::uint16_t i = 0; i < s_.size; ++i) {
      const std::uint64_t at = base + 16ull * i;
      const std::uint64_t table = base + 0xa000 + std::uint64_t{length_} * i;
      bench_.store(at, le64(flags_ != 0 ? table : 0x1000));
      bench_.store(at + 8, le32(length_));
      for (std::uint16_t k = 0; k < rings.table; ++k)
        put(table + 16ull * k, k + 1 < rings.table, static_cast<std::uint16_t>(k + 1));
      if (packed_) {
        bench_.store(at + 12, le16(i));
        bench_.store(at + 14,
                     le16(static_cast<std::uint16_t>(packed::VIRTQ_DESC_F_AVAIL | flags_)));
      } else {
        if (flags_ != 0) bench_.store(at + 12, le16(flags_));
        bench_.store(raw(split::avail_ring(s_.driver, i)), le16(i));
      }
    }
    if (rings.direct > 1) chain_up(base, rings.direct);
    if (packed_)
      bench_.store(raw(s_.driver), le32(packed::event(0, false, packed::RING_EVENT_FLAGS_DISABLE)));
    if (!packed_) bench_.store(raw(s_.driver), le16(split::VIRTQ_AVAIL_F_NO_INTERRUPT));
    if (!packed_) bench_.store(raw(split::avail_idx(s_.driver)), le16(chains_));
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
        bench_.store(at + 8, le32(length_));
        const std::uint16_t mark =
            next_.wrap ? packed::VIRTQ_DESC_F_USED : packed::VIRTQ_DESC_F_AVAIL;
        bench_.store(at + 14, le16(static_cast<std::uint16_t>(mark | flags_)));
        next_ = advance(next_, 1, s_.size);
        ++chains;
        any = true;
      }
    } else {
      const std::uint16_t idx = bench_.load<le16>(raw(split::used_idx(s_.device)));
      for (; next_.index != idx; ++next_.index, ++chains, any = true) {
        const std::uint64_t at = raw(split::used_ring(s_.device, next_.index & (s_.size - 1)));
        const std::uint32_t id = bench_.load<le32>(at);
        bench_.store(raw(split::avail_ring(s_.driver, (next_.index + chains_) & (s_.size - 1))),
                     le16(static_cast<std::uint16_t>(id)));
      }
      if (any)
        bench_.store(raw(split::avail_idx(s_.driver)),
                     le16(static_cast<std::uint16_t>(idx + chains_)));
    }
    if (any) bench_.doorbell(queue_);
  }
  std::uint64_t chains = 0;

private:
  void put(std::uint64_t at, bool more, std::uint16_t next) {
    bench_.store(at, le64(0x1000));
    bench_.store(at + 8, le32(64));
    if (packed_) return bench_.store(at + 12, le32(0));
    bench_.store(at + 12, le16(more ? VIRTQ_DESC_F_NEXT : std::uint16_t{0}));
    bench_.store(at + 14, le16(next));
  }
  /// Split: chains of `n` descriptors, one behind the other.
  void chain_up(std::uint64_t base, std::uint16_t n) {
    chains_ = static_cast<std::uint16_t>(s_.size / n);
    for (std::uint16_t i = 0; i < chains_ * n; ++i)
      put(base + 16ull * i, (i + 1) % n != 0, static_cast<std::uint16_t>(i + 1));
    for (std::uint16_t i = 0; i < chains_; ++i)
      bench_.store(raw(split::avail_ring(s_.driver, i)), le16(static_cast<std::uint16_t>(n * i)));
  }
  VqBench& bench_;
  QueueIndex queue_;
  QueueSetup s_;
  std::uint32_t length_ = 64;
  std::uint16_t flags_ = 0, chains_ = 0;
  bool packed_ = false;
  RingIndex next_{0, true};
};

std::string only;

void measure(const Rings& rings) {
  std::string kind = rings.packed ? "packed" : "split";
  if (rings.table != 0) kind += fmt::format(", tables of {}", rings.table);
  if (rings.direct > 1) kind += fmt::format(", chains of {}", rings.direct);
  if (kind.find(only) == std::string::npos) return;
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
  fmt::print("{:20} {:4} queues of {:3}, latency {:4}: {:6.2f} cycles and {:.2f} reads a chain\n",
             kind, rings.queues, rings.size, rings.latency,
             static_cast<double>(cycles) / static_cast<double>(n),
             static_cast<double>(bench.reads - reads) / static_cast<double>(n));
  std::fflush(stdout);
}

} // namespace

#ifndef VQ_BENCH_QUEUES
#define VQ_BENCH_QUEUES 64
#endif

int main(int argc, char** argv) {
  if (argc > 1) only = argv[1];
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
    for (const bool packed : {false, true}) {
      const std::uint16_t one = packed ? 256 : 512;
      measure({.packed = packed, .queues = 1, .size = one, .latency = latency, .table = 3});
      measure({.packed = packed, .queues = 64, .size = 8, .latency = latency, .table = 3});
    }
    measure({.packed = false, .queues = 1, .size = 512, .latency = latency, .direct = 3});
  }
}
