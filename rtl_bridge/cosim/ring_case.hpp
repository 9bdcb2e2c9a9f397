// Constrained-random cases of a ring engine, and how they are made simpler.
#pragma once

#include <virtio/rtl/cosim/ring_bench.hpp>
#include <virtio/rtl/cosim/shrink.hpp>

namespace virtio::rtl::cosim {

/// What random cases are about; each name of `ring_profiles` is one.
struct RingProfile {
  std::string name;
  std::string text;      ///< for people
  unsigned items = 60;   ///< about so many
  unsigned queues = 1;   ///< at most
  unsigned mistakes = 0; ///< percent of chains
  unsigned resets = 0;   ///< percent of items
  unsigned faults = 0;   ///< of memory, percent of items
  unsigned stall = 0;    ///< percent, at most
  unsigned halts = 0;    ///< percent of cases with times in which no segment is taken
  unsigned latency = 60; ///< cycles, at most
  unsigned bursts = 0;   ///< percent of chains
  unsigned rare = 0;     ///< percent of cases with few credits, and with each other rare condition
};
const std::vector<RingProfile>& ring_profiles();
const RingProfile* ring_profile(const std::string& name);

/// The case of a seed: the same on every machine.
Stimulus ring_case(const RingProfile& profile, std::uint64_t seed);

/// Chains that the drivers make available.
std::uint64_t ring_requests(const Stimulus& stimulus);
/// How much there is to look at: requests, and queues twice.
std::uint64_t ring_weight(const Stimulus& stimulus);

/// Simpler forms, for Shrinkable.
std::vector<Item> simpler_ring_items(const Item& item);
std::vector<Stimulus> simpler_ring_settings(const Stimulus& stimulus);

} // namespace virtio::rtl::cosim
