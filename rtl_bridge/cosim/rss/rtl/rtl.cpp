#include "Vrss_hash_128.h"
#include "Vrss_hash_512.h"

#include <virtio/rtl/cosim/rss/rtl.hpp>
#include <virtio/rtl/cosim/rss/verilated_dut.hpp>

namespace virtio::rtl::cosim::rss {

std::unique_ptr<Dut> make_rtl(unsigned beat_bytes, std::uint32_t seed) {
  const DutParams params{.beat_bytes = beat_bytes};
  if (beat_bytes == 16) return std::make_unique<VerilatedDut<Vrss_hash_128>>(params, seed);
  if (beat_bytes == 64) return std::make_unique<VerilatedDut<Vrss_hash_512>>(params, seed);
  return nullptr;
}

} // namespace virtio::rtl::cosim::rss
