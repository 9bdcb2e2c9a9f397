#include <virtio/net/config.hpp>
#include <virtio/net/filter.hpp>

#include <algorithm>

namespace virtio::net {

namespace {

bool is_group(const MacAddress& mac) {
  return mac[0] & 1;
}

std::uint64_t number(const MacAddress& mac) {
  std::uint64_t n = 0;
  for (const std::uint8_t byte : mac)
    n = n << 8 | byte;
  return n;
}

} // namespace

void ReceiveFilter::start(const FeatureSet& negotiated, std::optional<MacAddress> station) {
  *this = {};
  any_address_ = !negotiated.has(VIRTIO_NET_F_CTRL_RX);
  any_vlan_ = !negotiated.has(VIRTIO_NET_F_CTRL_VLAN);
  station_ = station;
}

bool ReceiveFilter::set_mode(std::uint8_t command, bool on) {
  switch (command) {
  case VIRTIO_NET_CTRL_RX_PROMISC:
    promisc_ = on;
    return true;
  case VIRTIO_NET_CTRL_RX_ALLMULTI:
    allmulti_ = on;
    return true;
  case VIRTIO_NET_CTRL_RX_ALLUNI:
    alluni_ = on;
    return true;
  case VIRTIO_NET_CTRL_RX_NOMULTI:
    nomulti_ = on;
    return true;
  case VIRTIO_NET_CTRL_RX_NOUNI:
    nouni_ = on;
    return true;
  case VIRTIO_NET_CTRL_RX_NOBCAST:
    nobcast_ = on;
    return true;
  default:
    return false;
  }
}

bool ReceiveFilter::set_station(const MacAddress& mac) {
  if (is_group(mac)) return false;
  station_ = mac;
  return true;
}

bool ReceiveFilter::set_tables(std::span<const MacAddress> unicast,
                               std::span<const MacAddress> multicast) {
  if (std::ranges::any_of(unicast, is_group) || !std::ranges::all_of(multicast, is_group))
    return false;
  table_.clear();
  for (const auto& table : {unicast, multicast})
    std::ranges::transform(table, std::back_inserter(table_), number);
  std::ranges::sort(table_);
  return true;
}

bool ReceiveFilter::set_vlan(std::uint16_t id, bool wanted) {
  if (id >= vlans) return false;
  vlans_.set(id, wanted);
  return true;
}

bool ReceiveFilter::wants(Frame frame) const {
  if (promisc_) return true;
  EthernetHeader ethernet;
  read_layout(frame, ethernet);
  return wants_address(ethernet.destination) && wants_vlan(frame);
}

bool ReceiveFilter::wants_address(const MacAddress& destination) const {
  if (destination == broadcast_mac) return !nobcast_;
  if (is_group(destination))
    return !nomulti_ && (any_address_ || allmulti_ || in_table(destination));
  return !nouni_ && (any_address_ || alluni_ || !station_ || destination == *station_ ||
                     in_table(destination));
}

bool ReceiveFilter::in_table(const MacAddress& mac) const {
  return std::ranges::binary_search(table_, number(mac));
}

/// The outer tag decides. Frames without one are always wanted.
bool ReceiveFilter::wants_vlan(Frame frame) const {
  EthernetHeader ethernet;
  VlanTag tag;
  if (any_vlan_ || !read_layout(frame, ethernet)) return true;
  if (ethernet.type != ethertype_vlan && ethernet.type != ethertype_service_vlan) return true;
  return read_layout(frame.subspan(sizeof ethernet), tag) &&
         vlans_.test(tag.priority_and_id % vlans);
}

} // namespace virtio::net
