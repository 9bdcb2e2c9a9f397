// Which received frames a driver wants (virtio 1.4, 5.1.6.5.1 - 5.1.6.5.3): modes, a table of
// addresses, a table of VLANs. It is exact: nothing that was not asked for comes through.
#pragma once

#include <virtio/core/features.hpp>
#include <virtio/net/packet.hpp>

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace virtio::net {

class ReceiveFilter {
public:
  static constexpr unsigned vlans = 4096;

  /// Back to the start, with what was negotiated: without VIRTIO_NET_F_CTRL_RX every address is
  /// wanted, without VIRTIO_NET_F_CTRL_VLAN every VLAN. `station` is the default address; while
  /// there is none, every unicast is wanted.
  void start(const FeatureSet& negotiated, std::optional<MacAddress> station);

  /// A mode by its command of class VIRTIO_NET_CTRL_RX. False when there is no such command.
  bool set_mode(std::uint8_t command, bool on);
  /// False, and nothing changes, when it is a group address.
  bool set_station(const MacAddress& mac);
  /// Replaces both tables. False, and nothing changes, when an address is in the wrong one.
  bool set_tables(std::span<const MacAddress> unicast, std::span<const MacAddress> multicast);
  /// False when there is no such VLAN.
  bool set_vlan(std::uint16_t id, bool wanted);

  /// Whether the driver wants `frame`, of at least 14 bytes.
  bool wants(Frame frame) const;

private:
  bool wants_address(const MacAddress& destination) const;
  bool wants_vlan(Frame frame) const;
  bool in_table(const MacAddress& mac) const;

  bool any_address_ = true;
  bool any_vlan_ = true;
  std::optional<MacAddress> station_;
  std::vector<std::uint64_t> table_; // sorted
  std::bitset<vlans> vlans_;
  bool promisc_ = false;
  bool allmulti_ = false;
  bool alluni_ = false;
  bool nomulti_ = false;
  bool nouni_ = false;
  bool nobcast_ = false;
};

} // namespace virtio::net
