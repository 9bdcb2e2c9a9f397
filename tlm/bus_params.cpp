#include <virtio/tlm/bus_params.hpp>

#include <fmt/format.h>

#include <bit>

namespace virtio::tlm2 {

std::string check(const OnChipBusParams& p) {
  const auto out_of = [](const char* name, std::uint64_t value, const char* range) {
    return fmt::format("{} is {}, which must be {}", name, value, range);
  };
  if (!std::has_single_bit(p.width) || p.width > 128)
    return out_of("width", p.width, "1, 2, 4, 8, 16, 32, 64 or 128 bytes");
  if (p.clock < 1 || p.clock > 100'000'000'000) return out_of("clock", p.clock, "1 Hz to 100 GHz");
  if (p.outstanding_reads < 1 || p.outstanding_reads > 1024)
    return out_of("outstanding_reads", p.outstanding_reads, "1 to 1024 bursts");
  if (p.outstanding_writes < 1 || p.outstanding_writes > 1024)
    return out_of("outstanding_writes", p.outstanding_writes, "1 to 1024 bursts");
  if (p.request_latency > 1'000'000)
    return out_of("request_latency", p.request_latency, "0 to 1000000 cycles");
  if (p.response_latency > 1'000'000)
    return out_of("response_latency", p.response_latency, "0 to 1000000 cycles");
  return {};
}

} // namespace virtio::tlm2
