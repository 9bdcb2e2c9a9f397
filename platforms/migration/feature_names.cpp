#include <virtio/platforms/migration/feature_names.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

namespace virtio::platform {

namespace {

struct Name {
  unsigned bit;
  std::string_view name;
};

// Virtio 1.4, 6.
constexpr Name of_every_type[] = {{28, "VIRTIO_F_INDIRECT_DESC"},
                                  {29, "VIRTIO_F_EVENT_IDX"},
                                  {32, "VIRTIO_F_VERSION_1"},
                                  {33, "VIRTIO_F_ACCESS_PLATFORM"},
                                  {34, "VIRTIO_F_RING_PACKED"},
                                  {35, "VIRTIO_F_IN_ORDER"},
                                  {36, "VIRTIO_F_ORDER_PLATFORM"},
                                  {37, "VIRTIO_F_SR_IOV"},
                                  {38, "VIRTIO_F_NOTIFICATION_DATA"},
                                  {39, "VIRTIO_F_NOTIF_CONFIG_DATA"},
                                  {40, "VIRTIO_F_RING_RESET"},
                                  {41, "VIRTIO_F_ADMIN_VQ"},
                                  {43, "VIRTIO_F_SUSPEND"}};

// 5.1.3; bit 20 is missing from its list but used in its text, and bit 52 is here what
// inner_hash_v7 offers, not VIRTIO_NET_F_VQ_NOTF_COAL.
constexpr Name of_net[] = {{0, "VIRTIO_NET_F_CSUM"},
                           {1, "VIRTIO_NET_F_GUEST_CSUM"},
                           {2, "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS"},
                           {3, "VIRTIO_NET_F_MTU"},
                           {5, "VIRTIO_NET_F_MAC"},
                           {7, "VIRTIO_NET_F_GUEST_TSO4"},
                           {8, "VIRTIO_NET_F_GUEST_TSO6"},
                           {9, "VIRTIO_NET_F_GUEST_ECN"},
                           {10, "VIRTIO_NET_F_GUEST_UFO"},
                           {11, "VIRTIO_NET_F_HOST_TSO4"},
                           {12, "VIRTIO_NET_F_HOST_TSO6"},
                           {13, "VIRTIO_NET_F_HOST_ECN"},
                           {14, "VIRTIO_NET_F_HOST_UFO"},
                           {15, "VIRTIO_NET_F_MRG_RXBUF"},
                           {16, "VIRTIO_NET_F_STATUS"},
                           {17, "VIRTIO_NET_F_CTRL_VQ"},
                           {18, "VIRTIO_NET_F_CTRL_RX"},
                           {19, "VIRTIO_NET_F_CTRL_VLAN"},
                           {20, "VIRTIO_NET_F_CTRL_RX_EXTRA"},
                           {21, "VIRTIO_NET_F_GUEST_ANNOUNCE"},
                           {22, "VIRTIO_NET_F_MQ"},
                           {23, "VIRTIO_NET_F_CTRL_MAC_ADDR"},
                           {50, "VIRTIO_NET_F_DEVICE_STATS"},
                           {51, "VIRTIO_NET_F_HASH_TUNNEL"},
                           {52, "VIRTIO_NET_F_HASH_TUNNEL as proposed"},
                           {53, "VIRTIO_NET_F_NOTF_COAL"},
                           {54, "VIRTIO_NET_F_GUEST_USO4"},
                           {55, "VIRTIO_NET_F_GUEST_USO6"},
                           {56, "VIRTIO_NET_F_HOST_USO"},
                           {57, "VIRTIO_NET_F_HASH_REPORT"},
                           {59, "VIRTIO_NET_F_GUEST_HDRLEN"},
                           {60, "VIRTIO_NET_F_RSS"},
                           {61, "VIRTIO_NET_F_RSC_EXT"},
                           {62, "VIRTIO_NET_F_STANDBY"},
                           {63, "VIRTIO_NET_F_SPEED_DUPLEX"}};

// 5.2.3.
constexpr Name of_block[] = {{1, "VIRTIO_BLK_F_SIZE_MAX"},      {2, "VIRTIO_BLK_F_SEG_MAX"},
                             {4, "VIRTIO_BLK_F_GEOMETRY"},      {5, "VIRTIO_BLK_F_RO"},
                             {6, "VIRTIO_BLK_F_BLK_SIZE"},      {9, "VIRTIO_BLK_F_FLUSH"},
                             {10, "VIRTIO_BLK_F_TOPOLOGY"},     {11, "VIRTIO_BLK_F_CONFIG_WCE"},
                             {12, "VIRTIO_BLK_F_MQ"},           {13, "VIRTIO_BLK_F_DISCARD"},
                             {14, "VIRTIO_BLK_F_WRITE_ZEROES"}, {15, "VIRTIO_BLK_F_LIFETIME"},
                             {16, "VIRTIO_BLK_F_SECURE_ERASE"}, {17, "VIRTIO_BLK_F_ZONED"}};

// 5.3.3.
constexpr Name of_console[] = {{0, "VIRTIO_CONSOLE_F_SIZE"},
                               {1, "VIRTIO_CONSOLE_F_MULTIPORT"},
                               {2, "VIRTIO_CONSOLE_F_EMERG_WRITE"}};

std::span<const Name> names_of(virtio::DeviceType type) {
  switch (type) {
  case virtio::DeviceType::net:
    return of_net;
  case virtio::DeviceType::block:
    return of_block;
  case virtio::DeviceType::console:
    return of_console;
  case virtio::DeviceType::entropy:
    break;
  }
  return {};
}

} // namespace

std::string feature_name(virtio::DeviceType type, unsigned bit) {
  for (const auto names : {std::span<const Name>{of_every_type}, names_of(type)})
    if (const auto found = std::ranges::find(names, bit, &Name::bit); found != names.end())
      return std::string{found->name};
  return fmt::format("feature bit {}", bit);
}

} // namespace virtio::platform
