// DPDK's Toeplitz hash by Galois field instructions, for hash_bench. Its instructions are switched
// on for this file alone: nothing of it runs on a processor without them.
#include <virtio/core/random.hpp>
#include <virtio/net/toeplitz.hpp>

#include <benchmark/benchmark.h>
#include <rte_thash_gfni.h>

#ifdef RTE_THASH_GFNI_DEFINED
namespace virtio::net {
namespace {

bool supported() {
  return __builtin_cpu_supports("gfni") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi");
}

using Key = std::array<std::uint8_t, 40>;

/// Of each byte of the key, the 8 times 8 bits from each of its bits on.
std::array<std::uint64_t, 40> matrices(const Key& key) {
  std::array<std::uint64_t, 40> all{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    const unsigned two = key[i] * 256u + key[(i + 1) % key.size()];
    for (unsigned bit = 0; bit < 8; ++bit)
      all[i] |= std::uint64_t{two >> (8 - bit) & 0xff} << (8 * bit);
  }
  return all;
}

void dpdk_gfni(benchmark::State& state) {
  if (!supported()) return state.SkipWithError("this processor does not have it");
  Random random(1);
  Key key;
  random.fill(std::as_writable_bytes(std::span(key)));
  std::array<std::array<std::byte, 64>, 256> inputs;
  for (auto& input : inputs)
    random.fill(input);
  const auto size = static_cast<std::size_t>(state.range(0));
  const auto matrix = matrices(key);
  const auto hash = [&](const auto& input) {
    return rte_thash_gfni(matrix.data(), reinterpret_cast<const std::uint8_t*>(input.data()),
                          static_cast<int>(size));
  };
  const Toeplitz ours(key, Toeplitz::Way::table);
  for (const auto& input : inputs)
    if (hash(input) != ours.hash(std::span(input).first(size)))
      return state.SkipWithError("another hash than ours");
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hash(inputs[i]));
    i = (i + 1) % inputs.size();
  }
}
BENCHMARK(dpdk_gfni)->Arg(8)->Arg(12)->Arg(32)->Arg(36);

} // namespace
} // namespace virtio::net
#endif
