#include <virtio/net/features.hpp>

#include <algorithm>
#include <iterator>

namespace virtio::net {

namespace {

/// A feature and what it requires one of. `stated` is false where the specification does not say
/// so: such a feature is of no use alone, and not offered, but a driver may accept it.
struct Requirement {
  unsigned feature;
  FeatureSet one_of;
  bool stated = true;
};

// VIRTIO_NET_F_RSC_EXT: 5.1.3.1 names the bits of transmission, 5.1.6.4 those of reception, which
// it is about.
constexpr Requirement requirements[] = {
    {VIRTIO_NET_F_GUEST_TSO4, {VIRTIO_NET_F_GUEST_CSUM}},
    {VIRTIO_NET_F_GUEST_TSO6, {VIRTIO_NET_F_GUEST_CSUM}},
    {VIRTIO_NET_F_GUEST_ECN, {VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6}},
    {VIRTIO_NET_F_GUEST_UFO, {VIRTIO_NET_F_GUEST_CSUM}},
    {VIRTIO_NET_F_GUEST_USO4, {VIRTIO_NET_F_GUEST_CSUM}},
    {VIRTIO_NET_F_GUEST_USO6, {VIRTIO_NET_F_GUEST_CSUM}},
    {VIRTIO_NET_F_HOST_TSO4, {VIRTIO_NET_F_CSUM}},
    {VIRTIO_NET_F_HOST_TSO6, {VIRTIO_NET_F_CSUM}},
    {VIRTIO_NET_F_HOST_ECN, {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6}},
    {VIRTIO_NET_F_HOST_UFO, {VIRTIO_NET_F_CSUM}},
    {VIRTIO_NET_F_HOST_USO, {VIRTIO_NET_F_CSUM}},
    {VIRTIO_NET_F_RSC_EXT, {VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6}},
    {VIRTIO_NET_F_CTRL_RX, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_CTRL_VLAN, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_GUEST_ANNOUNCE, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_MQ, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_CTRL_MAC_ADDR, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_NOTF_COAL, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_RSS, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_HASH_TUNNEL, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_HASH_TUNNEL, {VIRTIO_NET_F_RSS, VIRTIO_NET_F_HASH_REPORT}},
    {proposed_VIRTIO_NET_F_HASH_TUNNEL, {VIRTIO_NET_F_CTRL_VQ}},
    {VIRTIO_NET_F_CTRL_RX_EXTRA, {VIRTIO_NET_F_CTRL_VQ}, false},
    {VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, {VIRTIO_NET_F_CTRL_VQ}, false},
    {VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, {VIRTIO_NET_F_GUEST_CSUM}, false},
    {VIRTIO_NET_F_GUEST_ANNOUNCE, {VIRTIO_NET_F_STATUS}, false},
    {VIRTIO_NET_F_HASH_REPORT, {VIRTIO_NET_F_CTRL_VQ}, false},
    {VIRTIO_NET_F_GUEST_HDRLEN, {VIRTIO_NET_F_CSUM}, false},
};

bool met(const Requirement& requirement, const FeatureSet& features) {
  return !features.has(requirement.feature) || (features & requirement.one_of) != FeatureSet{};
}

} // namespace

bool requirements_met(const FeatureSet& accepted) {
  return std::ranges::all_of(requirements,
                             [&](const Requirement& r) { return !r.stated || met(r, accepted); });
}

FeatureSet worth_offering(FeatureSet features) {
  // What is taken away may be what another one requires.
  for (bool changed = true; changed;) {
    changed = false;
    for (const Requirement& r : requirements)
      if (!met(r, features)) {
        features.set(r.feature, false);
        changed = true;
      }
  }
  // The control queue is there for the commands of others.
  const bool commands = std::ranges::any_of(requirements, [&](const Requirement& r) {
    return features.has(r.feature) && r.one_of.has(VIRTIO_NET_F_CTRL_VQ);
  });
  return features.set(VIRTIO_NET_F_CTRL_VQ, features.has(VIRTIO_NET_F_CTRL_VQ) && commands);
}

} // namespace virtio::net
