// A network driver that keeps every rule, recommendations included, under the protocol analyser:
// every feature negotiated, every command sent, segments and checksums left to the device.
#include "models/net_packets.hpp"
#include "support/machine.hpp"

#include <virtio/net/features.hpp>
#include <virtio/net/net.hpp>

#include <gtest/gtest.h>

namespace virtio {
namespace {

using namespace net;
using driver::Buffer;
using net::test::append;
using net::test::make_packet;
using net::test::PacketForm;
using virtio::test::Bytes;
using virtio::test::Machine;

constexpr std::uint16_t pairs = 2;
constexpr std::uint32_t receive_bytes = 2048;
const sc_core::sc_time patience(10, sc_core::SC_MS);

class RightDriver {
public:
  RightDriver(Machine& machine, driver::DeviceAccess& access, const FeatureSet& features)
      : access_(access), session_(machine.bus, access, features, machine.arena) {
    read_configuration();
    for (std::uint16_t q = 0; q < 2 * pairs + 1; ++q)
      queues_.push_back(&session_.add_queue(q, {.size = 32}));
    session_.go_live();
    for (const unsigned q : {0u, 2u}) {
      for (int i = 0; i < 16; ++i) {
        const Buffer chain[] = {{session_.arena().take(receive_bytes, 16), receive_bytes, true}};
        EXPECT_TRUE(queues_[q]->add(chain));
      }
      queues_[q]->kick();
    }
  }
  void read_configuration() {
    for (unsigned i = 0; i < 6; ++i)
      access_.config<std::uint8_t>(i);
    read_link();
    EXPECT_EQ(field<std::uint16_t>(offsetof(virtio_net_config, max_virtqueue_pairs)), pairs);
    EXPECT_EQ(field<std::uint16_t>(offsetof(virtio_net_config, mtu)), 1500);
    field<std::uint16_t>(offsetof(virtio_net_config, rss_max_indirection_table_length));
    types_ = field<std::uint32_t>(offsetof(virtio_net_config, supported_hash_types));
  }
  std::uint16_t read_link() {
    field<std::uint32_t>(offsetof(virtio_net_config, speed));
    field<std::uint8_t>(offsetof(virtio_net_config, duplex));
    return field<std::uint16_t>(offsetof(virtio_net_config, status));
  }

  template <class... Layouts>
  void command(std::uint8_t class_, std::uint8_t command, const Layouts&... data) {
    Bytes bytes;
    append(bytes, virtio_net_ctrl{class_, command});
    (append(bytes, data), ...);
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const std::uint64_t at = session_.arena().take(size + 1, 16);
    session_.bus().write(at, bytes);
    session_.bus().store<std::uint8_t>(at + size, 0xff);
    const Buffer chain[] = {{at, size, false}, {at + size, 1, true}};
    EXPECT_TRUE(queues_.back()->add(chain));
    queues_.back()->kick();
    queues_.back()->wait_used(patience);
    EXPECT_EQ(session_.bus().load<std::uint8_t>(at + size), VIRTIO_NET_OK)
        << +class_ << " " << +command;
  }
  void send(unsigned pair, const PacketForm& form, std::uint8_t gso_type) {
    const auto packet = make_packet(form);
    Bytes bytes;
    append(bytes, net::test::request(form, packet, gso_type, gso_type ? 1000 : 0));
    bytes.resize(sizeof(virtio_net_hdr_hash));
    bytes.insert(bytes.end(), packet.bytes.begin(), packet.bytes.end());
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const std::uint64_t at = session_.arena().take(size, 16);
    session_.bus().write(at, bytes);
    // The header apart, and the packet in two pieces.
    const Buffer chain[] = {{at, sizeof(virtio_net_hdr_hash), false},
                            {at + 20, 30, false},
                            {at + 50, size - 50, false}};
    EXPECT_TRUE(queues_[2 * pair + 1]->add(chain));
    queues_[2 * pair + 1]->kick();
    queues_[2 * pair + 1]->wait_used(patience);
  }

  void filter() {
    for (std::uint8_t mode = 0; mode <= VIRTIO_NET_CTRL_RX_NOBCAST; ++mode)
      command(VIRTIO_NET_CTRL_RX, mode, std::uint8_t{0});
    command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, MacAddress{2, 0, 0, 0, 0, 1});
    command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, le32(1u),
            MacAddress{2, 0, 0, 0, 0, 2}, le32(1u), MacAddress{0x33, 0x33, 0, 0, 0, 1});
    command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, le16(std::uint16_t{7}));
    command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, le16(std::uint16_t{7}));
    command(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
            le64(1ull << VIRTIO_NET_F_GUEST_CSUM));
    command(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, virtio_net_ctrl_coal{});
    command(VIRTIO_NET_CTRL_HASH_TUNNEL, VIRTIO_NET_CTRL_HASH_TUNNEL_SET, le32(0u));
  }
  void scale() {
    const std::array<std::uint8_t, 40> key{1, 2, 3};
    command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG, virtio_net_hash_config{types_, {}},
            std::uint8_t{40}, key);
    command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
            virtio_net_rss_config{types_, std::uint16_t{3}, {}}, le16(std::uint16_t{0}),
            le16(std::uint16_t{1}), le16(std::uint16_t{0}), le16(std::uint16_t{1}), le16(pairs),
            std::uint8_t{40}, key);
    command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le16(pairs));
  }
  void send_all() {
    for (unsigned pair = 0; pair < pairs; ++pair)
      for (const bool ipv6 : {false, true}) {
        send(pair, {.ipv6 = ipv6, .payload = 900}, VIRTIO_NET_HDR_GSO_NONE);
        send(pair, {.ipv6 = ipv6, .tcp = false, .payload = 900}, VIRTIO_NET_HDR_GSO_NONE);
        send(pair, {.ipv6 = ipv6, .payload = 9000},
             ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
        send(pair, {.ipv6 = ipv6, .tcp = false, .payload = 9000}, VIRTIO_NET_HDR_GSO_UDP_L4);
        send(pair, {.ipv6 = ipv6, .tcp = false, .payload = 9000}, VIRTIO_NET_HDR_GSO_UDP);
      }
    send(0, {.flags = TcpHeader::ack | TcpHeader::cwr, .payload = 9000},
         VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
  }
  /// As asked for: a frame, and the command.
  void announce() {
    ASSERT_EQ(read_link() & VIRTIO_NET_S_ANNOUNCE, VIRTIO_NET_S_ANNOUNCE);
    send(0, {.payload = 100}, VIRTIO_NET_HDR_GSO_NONE);
    command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK);
    EXPECT_EQ(read_link() & VIRTIO_NET_S_ANNOUNCE, 0);
  }
  driver::Session& session() { return session_; }

private:
  template <class Value> Value field(std::size_t offset) {
    return access_.config<Value>(static_cast<std::uint32_t>(offset));
  }

  driver::DeviceAccess& access_;
  driver::Session session_;
  std::uint32_t types_ = 0;
  std::vector<driver::Virtqueue*> queues_;
};

/// PCI or not, packed or not.
class NetDriverIsClean : public testing::TestWithParam<std::tuple<bool, bool>> {};
INSTANTIATE_TEST_SUITE_P(All, NetDriverIsClean, testing::Combine(testing::Bool(), testing::Bool()),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) ? "pci" : "mmio") +
                                  (std::get<1>(info.param) ? "_packed" : "_split");
                         });

TEST_P(NetDriverIsClean, WithEveryFeatureAndEveryCommand) {
  const auto [pci, packed] = GetParam();
  FeatureSet ring{VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_INDIRECT_DESC};
  ring.set(VIRTIO_F_RING_PACKED, packed);
  Machine machine({.dmi = false,
                   .timed_dma = true,
                   .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
                   .check_driver = true,
                   .recommendations = true});
  auto function = std::make_unique<Net>(NetParams{.mac = {2, 0, 0, 0, 0, 1},
                                                  .queue_pairs = pairs,
                                                  .speed = 10'000,
                                                  .duplex = full_duplex,
                                                  .features = all_net_features},
                                        std::make_unique<DeadEndWire>());
  Net& net = *function;
  machine.add(std::move(function), pci, ring);
  const bool ended = machine.run([&] {
    const auto found = machine.probe();
    for (int round = 0; round < 2; ++round) {
      RightDriver driver(machine, *found.at(0), ring | all_net_features);
      EXPECT_EQ(driver.session().negotiated() & all_net_features, all_net_features);
      driver.filter();
      driver.scale();
      driver.send_all();
      net.announce();
      driver.announce();
      driver.session().reset();
    }
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
  EXPECT_EQ(net.stats().tx_malformed, 0u);
  EXPECT_EQ(net.stats().tx_segmented, 2u * 13);
}

} // namespace
} // namespace virtio
