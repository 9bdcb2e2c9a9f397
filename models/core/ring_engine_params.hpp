// What a ring engine in hardware is made of: its clock, how far it fetches ahead, how much it keeps
// under way, when it writes back and interrupts, and what each stage costs. The timed engine and
// the RTL take the same parameters. Defaults are assumed values of a modest engine in an FPGA,
// unless a source is given.
#pragma once

#include <virtio/core/types.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace virtio {

/// Which of the queues that have work is visited next.
enum class Arbitration : std::uint8_t {
  round_robin,
  weighted, ///< round robin, a queue's weight being its visits in a row, of one batch each
  priority, ///< the lowest priority value first, round robin within it, one batch each visit
};

/// When the driver's event suppression is read to decide about an interrupt.
enum class EventPolicy : std::uint8_t {
  each_write_back, ///< after every write-back
  when_idle,       ///< only after the last write-back that has work waiting
};

struct RingEngineParams {
  std::uint64_t clock = 250'000'000; ///< Hz, 1 MHz..10 GHz

  // How far the engine fetches ahead.
  std::uint16_t available_batch = 16;     ///< available ring entries in one read, 1..256 (split)
  std::uint16_t available_prefetch = 32;  ///< entries of a queue under way, >= available_batch
  std::uint16_t descriptor_batch = 4;     ///< descriptors in one read, 1..64
  std::uint16_t descriptor_prefetch = 16; ///< descriptors of a packed ring under way, >= batch
  std::uint16_t indirect_batch = 8;       ///< entries of an indirect table in one read, 1..64
  std::uint32_t chains_in_flight = 64;    ///< between available entry and function, all queues
  std::uint32_t queues_in_flight = 4;     ///< queues whose rings are looked at at once

  // What is under way to memory, of all queues and kinds together.
  std::uint32_t outstanding_reads = 64;  ///< 1..65535
  std::uint32_t outstanding_writes = 64; ///< 1..65535

  // Write-back and interrupts.
  std::uint16_t used_batch = 16;  ///< chains that are written back without waiting for more
  std::uint32_t used_timeout = 0; ///< cycles a chain waits for others; 0: never
  EventPolicy event_policy = EventPolicy::each_write_back;
  std::uint32_t interrupt_timeout = 0; ///< cycles an interrupt waits for others; 0: never
  std::uint32_t interrupt_chains = 16; ///< chains that are signalled without waiting for more

  // Between queues. Queues that a list does not reach have weight 1 and priority 0.
  Arbitration arbitration = Arbitration::round_robin;
  std::vector<std::uint16_t> weights;   ///< by queue, 1..
  std::vector<std::uint8_t> priorities; ///< by queue, 0 (first)..7

  // What each stage costs, in cycles during which it does nothing else.
  std::uint32_t doorbell_cycles = 4;   ///< from a doorbell to the first fetch
  std::uint32_t visit_cycles = 1;      ///< choosing a queue
  std::uint32_t available_cycles = 1;  ///< each available ring entry
  std::uint32_t descriptor_cycles = 1; ///< each descriptor
  std::uint32_t emit_cycles = 1;       ///< handing a chain to the function
  std::uint32_t completion_cycles = 1; ///< taking a chain back
  std::uint32_t used_cycles = 1;       ///< each used entry
  std::uint32_t event_cycles = 1;      ///< deciding about an interrupt
};

/// What is wrong with the parameters, as a sentence that names one; empty when nothing is.
std::string problem_with(const RingEngineParams& params);

} // namespace virtio
