// Random packets of every form that the text of hash calculation names, and of what goes wrong with
// them: each a function of its seed and number alone.
#pragma once

#include <virtio/rtl/cosim/coverage.hpp>
#include <virtio/rtl/cosim/rss/items.hpp>

namespace virtio::rtl::cosim::rss {

struct Profile {
  std::string name;
  unsigned items = 300;
  unsigned config_percent = 4;
  unsigned gap_percent = 0; ///< of packets
  unsigned max_gap = 1;
  unsigned stall_percent = 0;
  bool plain = false; ///< 64-byte packets, TCP over IPv4
  std::string what;
};

/// default, calm, stalls, changes, short.
const std::vector<Profile>& profiles();

/// What packets of a case are made of.
struct PacketForm {
  std::vector<std::byte> bytes;
  std::string spoiled; ///< none, cut, length, byte, padded
};
PacketForm random_packet(std::uint64_t seed, std::uint64_t number);
Item random_config(std::uint64_t seed, std::uint64_t number, const DutParams& params);

/// The case of a seed.
Stimulus random_case(std::uint64_t seed, const Profile& profile, const DutParams& params);

/// Bins over what the model found in a case's packets: hash reports, tunnels, tags, flaws,
/// configuration, and crosses of them.
CoverPlan cover_plan();
void cover(const Stimulus& stimulus, const DutParams& params, CoverPlan& plan);

} // namespace virtio::rtl::cosim::rss
