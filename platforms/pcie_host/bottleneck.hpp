// Which of the things that may limit a workload did: a judgement from measured numbers alone.
#pragma once

#include <virtio/platforms/pcie_host/wide.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace virtio::platform::pcie_host {

/// Something that serves one thing at a time. `busy_per_mille` is of the measurement's length.
struct Resource {
  std::string name;        ///< as in JSON: link_upstream
  std::string description; ///< for people: "the link towards the host"
  std::uint64_t busy_per_mille = 0;
};

/// Something that requests had to wait for. `waiting_milli` is how many waited on average, in
/// thousandths.
struct Stall {
  std::string name;
  std::string description;
  std::uint64_t waiting_milli = 0;
  bool is_cause = true; ///< not itself full because of something behind it
};

struct Limits {
  std::vector<Resource> resources;
  std::vector<Stall> stalls;
};

/// What was measured beside them.
struct Situation {
  bool open_loop = false;
  std::uint64_t requests_per_second = 0;
  std::uint64_t depth = 1;           ///< of each queue
  std::uint64_t places = 1;          ///< of all queues together
  std::uint64_t under_way_milli = 0; ///< on average, arrived but not started ones among them
  std::uint64_t dropped = 0;         ///< frames that found no buffer
  std::uint64_t latency_ps = 0;      ///< mean
  /// The mean if every request were as fast as the fastest of its kind in the whole run, the first
  /// of which met an idle device.
  std::uint64_t unloaded_ps = 0;
  std::string longest_stage;
  std::uint64_t longest_stage_per_mille = 0; ///< of the latency
};

/// What held the workload back, as a word for programs and a sentence for people.
struct Bottleneck {
  std::string name;
  std::string sentence;
};

/// In this order:
/// 1. a resource that is busy `full_per_mille` of the time or more;
/// 2. open loop: the offered load, while everything that arrives is served;
/// 3. something that half a request or more waits for on average, unless a resource is busy
///    `saturated_per_mille` or more: the wait then is for that resource;
/// 4. the smaller of two bounds on the throughput: what the busiest resource would carry if it were
///    never idle (throughput / busy), and what the requests under way would make if none waited for
///    another (Little's law with the unloaded latency). A resource that is busy less than half the
///    time is not the bottleneck whatever the bounds say: what the requests wait for has no figure
///    then, and the bottleneck is latency.
Bottleneck judge(const Situation& situation, const Limits& limits);

inline constexpr std::uint64_t full_per_mille = 950;
inline constexpr std::uint64_t saturated_per_mille = 850;

} // namespace virtio::platform::pcie_host
