// The Toeplitz hash by each way this processor has, beside DPDK's portable one; and a whole packet:
// parsed, what is to be hashed chosen, hashed.
#include <virtio/core/random.hpp>
#include <virtio/net/hash.hpp>
#include <virtio/net/pcap.hpp>

#include <benchmark/benchmark.h>
#include <rte_thash.h>

namespace virtio::net {
namespace {

constexpr std::size_t inputs = 256;

struct Work {
  std::array<std::uint8_t, 40> key{};
  std::array<std::array<std::byte, 64>, inputs> input{};

  Work() {
    Random random(1);
    random.fill(std::as_writable_bytes(std::span(key)));
    for (auto& bytes : input)
      random.fill(bytes);
  }
};

template <class Hash> void run(benchmark::State& state, const Work& work, Hash hash) {
  const auto size = static_cast<std::size_t>(state.range(0));
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hash(work.input[i], size));
    i = (i + 1) % inputs;
  }
}

void toeplitz(benchmark::State& state, Toeplitz::Way way) {
  if (!Toeplitz::has(way)) return state.SkipWithError("this processor does not have it");
  const Work work;
  const Toeplitz toeplitz(work.key, way);
  run(state, work, [&](const auto& input, std::size_t size) {
    return toeplitz.hash(std::span(input).first(size));
  });
}

void dpdk_softrss_be(benchmark::State& state) {
  Work work;
  alignas(4) std::array<std::uint8_t, 40> key{};
  rte_convert_rss_key(reinterpret_cast<const std::uint32_t*>(work.key.data()),
                      reinterpret_cast<std::uint32_t*>(key.data()), 40);
  run(state, work, [&](const auto& input, std::size_t size) {
    std::array<std::uint32_t, 9> words;
    std::memcpy(words.data(), input.data(), sizeof words);
    return rte_softrss_be(words.data(), static_cast<std::uint32_t>(size / 4), key.data());
  });
}

void packets(benchmark::State& state, HashRules rules, Toeplitz::Way way) {
  if (!Toeplitz::has(way)) return state.SkipWithError("this processor does not have it");
  auto capture = ReplayWire::open(std::string(HASH_FORMS) + "/forms.pcap");
  if (!capture) return state.SkipWithError(capture.error().c_str());
  const Work work;
  const Toeplitz toeplitz(work.key, way);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hash_of((*capture)->frame(i), rules, toeplitz).value);
    i = (i + 1) % (*capture)->frames();
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const int size : {8, 12, 32, 36})
    benchmark->Arg(size);
}
BENCHMARK_CAPTURE(toeplitz, matrix, Toeplitz::Way::matrix)->Apply(sizes);
BENCHMARK_CAPTURE(toeplitz, carryless, Toeplitz::Way::carryless)->Apply(sizes);
BENCHMARK_CAPTURE(toeplitz, table, Toeplitz::Way::table)->Apply(sizes);
BENCHMARK(dpdk_softrss_be)->Apply(sizes);
const HashRules outer{.types = all_hash_types};
const HashRules inner{.types = all_hash_types, .tunnels = all_tunnel_types};
BENCHMARK_CAPTURE(packets, outer_matrix, outer, Toeplitz::Way::matrix);
BENCHMARK_CAPTURE(packets, outer_carryless, outer, Toeplitz::Way::carryless);
BENCHMARK_CAPTURE(packets, outer_table, outer, Toeplitz::Way::table);
BENCHMARK_CAPTURE(packets, inner_matrix, inner, Toeplitz::Way::matrix);
BENCHMARK_CAPTURE(packets, inner_carryless, inner, Toeplitz::Way::carryless);
BENCHMARK_CAPTURE(packets, inner_table, inner, Toeplitz::Way::table);

} // namespace
} // namespace virtio::net

BENCHMARK_MAIN();
