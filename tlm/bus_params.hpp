// The parameters of an on-chip bus. No SystemC: configuration files are checked with them too.
#pragma once

#include <cstdint>
#include <string>

namespace virtio::tlm2 {

struct OnChipBusParams {
  unsigned width = 16;               ///< bytes of a data beat: 1, 2, 4 .. 128 (AXI; 16 assumed)
  std::uint64_t clock = 500'000'000; ///< Hz, 1 .. 10^11 (assumed)
  unsigned outstanding_reads = 16;   ///< bursts under way at once, 1..1024 (assumed)
  unsigned outstanding_writes = 16;  ///< bursts under way at once, 1..1024 (assumed)
  unsigned request_latency = 8;      ///< cycles to the target, 0..1000000 (assumed)
  unsigned response_latency = 8;     ///< cycles back, 0..1000000 (assumed)
  bool at_target = false;            ///< reach the target by nb_transport, not by b_transport
  static constexpr unsigned max_beats = 256;      ///< of a burst (AXI4)
  static constexpr std::uint64_t boundary = 4096; ///< which no burst crosses (AXI)
};
/// What is wrong with the parameters, as a sentence; empty when nothing is.
std::string check(const OnChipBusParams& params);

} // namespace virtio::tlm2
