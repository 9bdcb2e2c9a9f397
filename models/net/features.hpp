// The network device's feature bits: what this model implements, and what each requires (virtio
// 1.4, 5.1.3.1).
#pragma once

#include <virtio/core/features.hpp>
#include <virtio/net/config.hpp>

namespace virtio::net {

/// What can be offered, the proposal's form of VIRTIO_NET_F_HASH_TUNNEL besides.
inline constexpr FeatureSet all_net_features{VIRTIO_NET_F_MTU,
                                             VIRTIO_NET_F_MAC,
                                             VIRTIO_NET_F_MRG_RXBUF,
                                             VIRTIO_NET_F_STATUS,
                                             VIRTIO_NET_F_CTRL_VQ,
                                             VIRTIO_NET_F_CTRL_RX,
                                             VIRTIO_NET_F_CTRL_RX_EXTRA,
                                             VIRTIO_NET_F_CTRL_VLAN,
                                             VIRTIO_NET_F_GUEST_ANNOUNCE,
                                             VIRTIO_NET_F_MQ,
                                             VIRTIO_NET_F_CTRL_MAC_ADDR,
                                             VIRTIO_NET_F_STANDBY,
                                             VIRTIO_NET_F_RSS,
                                             VIRTIO_NET_F_HASH_REPORT,
                                             VIRTIO_NET_F_HASH_TUNNEL,
                                             VIRTIO_NET_F_SPEED_DUPLEX,
                                             VIRTIO_NET_F_CSUM,
                                             VIRTIO_NET_F_HOST_TSO4,
                                             VIRTIO_NET_F_HOST_TSO6,
                                             VIRTIO_NET_F_HOST_ECN,
                                             VIRTIO_NET_F_HOST_UFO,
                                             VIRTIO_NET_F_HOST_USO,
                                             VIRTIO_NET_F_GUEST_HDRLEN,
                                             VIRTIO_NET_F_GUEST_CSUM,
                                             VIRTIO_NET_F_GUEST_TSO4,
                                             VIRTIO_NET_F_GUEST_TSO6,
                                             VIRTIO_NET_F_GUEST_ECN,
                                             VIRTIO_NET_F_GUEST_UFO,
                                             VIRTIO_NET_F_GUEST_USO4,
                                             VIRTIO_NET_F_GUEST_USO6,
                                             VIRTIO_NET_F_RSC_EXT,
                                             VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
                                             VIRTIO_NET_F_NOTF_COAL};

/// What a network device offers unless the platform says otherwise: VIRTIO_NET_F_MQ and
/// VIRTIO_NET_F_CTRL_VQ only with more than one pair of queues.
inline constexpr FeatureSet default_net_features{VIRTIO_NET_F_MTU,       VIRTIO_NET_F_MAC,
                                                 VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_STATUS,
                                                 VIRTIO_NET_F_CTRL_VQ,   VIRTIO_NET_F_MQ};

/// The offloads that VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET switches.
inline constexpr FeatureSet guest_offloads{VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
                                           VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
                                           VIRTIO_NET_F_GUEST_UFO,  VIRTIO_NET_F_GUEST_USO4,
                                           VIRTIO_NET_F_GUEST_USO6};

/// 2.2: a driver MUST NOT accept a feature without one that it requires. True if that is kept.
bool requirements_met(const FeatureSet& accepted);

/// `features` without those that could not be used: what they require is missing, or there is
/// nothing to use them for.
FeatureSet worth_offering(FeatureSet features);

} // namespace virtio::net
