// What may limit a workload, and which of it did: how busy each resource was during the
// measurement, how long requests waited for link credits and tags, and one sentence that names the
// bottleneck with the evidence for it.
#pragma once

#include <virtio/platforms/pcie_host/workload.hpp>

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
Limits limits_of(const Workload& workload);

/// What held the workload back, as a word for programs and a sentence for people.
struct Bottleneck {
  std::string name;
  std::string sentence;
};
Bottleneck bottleneck_of(const Workload& workload, const Limits& limits);

/// From this share on a resource counts as saturated.
inline constexpr std::uint64_t saturated_per_mille = 850;

} // namespace virtio::platform::pcie_host
