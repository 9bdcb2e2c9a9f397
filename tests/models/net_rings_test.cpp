// The network device as a driver meets it: rings, split and packed, walked by either ring engine,
// with offloads, commands, several pairs of queues and notifications coalesced by command.
#include "models/net_bench.hpp"
#include "models/net_packets.hpp"
#include "support/test_device.hpp"

#include <deque>
#include <functional>
#include <map>

namespace virtio::net {
namespace {

using test::make_packet;
using test::Packet;
using test::PacketForm;

/// One queue: its rings and 1 MiB of buffers in 4 MiB of its own.
class Ring {
public:
  static constexpr std::uint64_t bytes = 0x40'0000;
  static constexpr std::uint64_t buffers = 0x30'0000;
  static constexpr std::uint16_t size = 16;
  using Layout = virtio::test::SplitRingDriver;

  Ring(std::span<std::byte> memory, unsigned index, bool is_packed)
      : memory_(memory.subspan(index * bytes, bytes)), base_(index * bytes), packed_(is_packed) {}

  void set_up(Device& device, QueueIndex queue) const {
    using Area = Device::Area;
    const auto low = [&](std::uint64_t at) { return static_cast<std::uint32_t>(base_ + at); };
    device.write_queue_size(queue, size);
    device.write_queue_address(queue, Area::desc, false, low(Layout::desc_at));
    device.write_queue_address(queue, Area::driver, false, low(Layout::avail_at));
    device.write_queue_address(queue, Area::device, false, low(Layout::used_at));
    device.enable_queue(queue);
  }
  /// A buffer of `out` for the device to read and `room` bytes for it to write; returns where the
  /// latter are.
  std::uint64_t add(const Bytes& out, std::uint32_t room) {
    std::ranges::copy(out, memory_.begin() + static_cast<std::ptrdiff_t>(buffers + next_));
    const std::uint64_t at = base_ + buffers + next_;
    const auto length = static_cast<std::uint32_t>(out.size());
    next_ += out.size() + room;
    EXPECT_LE(buffers + next_, bytes);
    if (packed_) {
      std::vector<virtio::test::PackedRingDriver::Element> list;
      if (length > 0) list.push_back({at, length, 0});
      if (room > 0) list.push_back({at + length, room, packed::VIRTQ_DESC_F_WRITE});
      packed_ring_.add(added_, list);
    } else {
      const auto first = static_cast<std::uint16_t>(2 * added_);
      if (length > 0 && room > 0)
        split_ring_.set_desc(first, at, length, split::VIRTQ_DESC_F_NEXT,
                             static_cast<std::uint16_t>(first + 1));
      else if (length > 0)
        split_ring_.set_desc(first, at, length);
      const auto last = static_cast<std::uint16_t>(length > 0 ? first + 1 : first);
      if (room > 0) split_ring_.set_desc(last, at + length, room, split::VIRTQ_DESC_F_WRITE);
      split_ring_.make_available(first);
      split_ring_.publish();
    }
    ++added_;
    return at + length - base_;
  }
  Bytes read(std::uint64_t at, std::size_t n) const {
    const auto from = memory_.begin() + static_cast<std::ptrdiff_t>(at);
    return {from, from + static_cast<std::ptrdiff_t>(n)};
  }

private:
  std::span<std::byte> memory_;
  std::uint64_t base_;
  bool packed_;
  Layout split_ring_{memory_, size};
  virtio::test::PackedRingDriver packed_ring_{memory_, size};
  std::uint16_t added_ = 0;
  std::uint64_t next_ = 0;
};

class NetOnRings : public testing::TestWithParam<bool> {
protected:
  void start(FeatureSet features, std::unique_ptr<Wire> wire, std::uint16_t pairs = 1) {
    DeviceParams params{.name = "dut"};
    if (virtio::test::timed_ring) params.timed_ring.emplace(virtio::test::instant_ring());
    device_ = std::make_unique<Device>(
        params, executor_, port_,
        std::make_unique<Net>(NetParams{.queue_pairs = pairs, .features = features},
                              std::move(wire)),
        &sink_);
    device_->attach(transport_);
    device_->write_status(3);
    features.set(VIRTIO_F_VERSION_1).set(VIRTIO_F_RING_PACKED, GetParam());
    for (std::uint32_t word = 0; word < 4; ++word)
      device_->write_driver_features(word, features.word32(word));
    device_->write_status(0x0b);
    ASSERT_EQ(device_->status(), 0x0b);
    for (std::uint16_t i = 0; i < device_->num_queues(); ++i)
      rings_[i].set_up(*device_, QueueIndex{i});
    device_->write_status(0x0f);
  }
  std::uint64_t add(unsigned queue, const Bytes& out, std::uint32_t room) {
    const std::uint64_t at = rings_.at(queue).add(out, room);
    device_->notify(QueueIndex{static_cast<std::uint16_t>(queue)}, std::nullopt);
    return at;
  }
  void at(std::uint64_t us, std::function<void()> what) {
    Call& call = calls_.emplace_back();
    call.what = std::move(what);
    call.call = [](Wake& wake) { static_cast<Call&>(wake).what(); };
    executor_.post_at(call, microseconds(us));
  }
  std::vector<std::uint64_t> notified(std::uint16_t queue) {
    std::vector<std::uint64_t> times;
    for (const Event& e : sink_.events)
      if (e.kind == EventKind::interrupt && e.queue == queue)
        times.push_back(e.time.ps / 1'000'000);
    return times;
  }

  struct Call : Wake {
    std::function<void()> what;
  };
  Net& net() { return dynamic_cast<Net&>(device_->function()); }
  /// Runs a command on the control queue behind `pairs`. Returns its acknowledgement.
  template <class... Layouts>
  std::uint8_t command(unsigned pairs, std::uint8_t class_, std::uint8_t number,
                       const Layouts&... data) {
    Bytes bytes;
    test::append(bytes, virtio_net_ctrl{class_, number});
    (test::append(bytes, data), ...);
    const std::uint64_t ack = add(2 * pairs, bytes, 1);
    executor_.run_until_idle();
    return std::to_integer<std::uint8_t>(rings_.at(2 * pairs).read(ack, 1).at(0));
  }

  Bytes memory_ = Bytes(5 * Ring::bytes);
  Executor executor_;
  HostMemoryPort port_{GuestAddr{0}, memory_};
  std::vector<Ring> rings_ = [this] {
    std::vector<Ring> all;
    for (unsigned i = 0; i < 5; ++i)
      all.emplace_back(memory_, i, GetParam());
    return all;
  }();
  virtio::test::CountingTransport transport_;
  virtio::test::RecordingSink sink_;
  std::deque<Call> calls_;
  std::unique_ptr<Device> device_;
};
INSTANTIATE_TEST_SUITE_P(Packed, NetOnRings, testing::Bool());

TEST_P(NetOnRings, APacketLeavesInSegmentsAndComesBackJoined) {
  start(
      {VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4},
      std::make_unique<LoopbackWire>());
  const PacketForm form{.payload = 30'000};
  const Packet packet = make_packet(form);
  const std::uint64_t buffer = add(0, {}, 65'562);
  add(1, with_header(packet.bytes, test::request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1460)), 0);
  executor_.run_until_idle();
  const auto& stats = dynamic_cast<Net&>(device_->function()).stats();
  EXPECT_EQ(stats.tx_frames, 21u);
  EXPECT_EQ(stats.rx_frames, 1u);
  EXPECT_EQ(rings_[0].read(buffer + 12, packet.bytes.size()), packet.bytes);
  virtio_net_hdr header;
  ASSERT_TRUE(read_layout(rings_[0].read(buffer, 12), header));
  EXPECT_EQ(header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
  EXPECT_EQ(header.gso_size, 1460);
  EXPECT_EQ(notified(0).size(), 1u);
  EXPECT_EQ(notified(1).size(), 1u);
}

TEST_P(NetOnRings, NotificationsAreCoalescedByCommand) {
  auto made = std::make_unique<TestWire>();
  TestWire& wire = *made;
  start({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_NOTF_COAL}, std::move(made));
  for (int i = 0; i < 5; ++i)
    add(0, {}, 1526);
  const auto set = [&](std::uint8_t command, std::uint8_t packets, std::uint8_t usecs) {
    const Bytes bytes{std::byte{VIRTIO_NET_CTRL_NOTF_COAL},
                      std::byte{command},
                      std::byte{packets},
                      {},
                      {},
                      {},
                      std::byte{usecs},
                      {},
                      {},
                      {}};
    const std::uint64_t ack = add(2, bytes, 1);
    executor_.run_until_idle();
    EXPECT_EQ(rings_[2].read(ack, 1), Bytes{std::byte{VIRTIO_NET_OK}});
  };
  set(VIRTIO_NET_CTRL_NOTF_COAL_RX_SET, 3, 10);
  set(VIRTIO_NET_CTRL_NOTF_COAL_TX_SET, 2, 5);
  for (const std::uint64_t us : {1u, 2u, 4u, 20u, 25u})
    at(us, [&] { wire.deliver(frame_of(60)); });
  for (const std::uint64_t us : {40u, 50u, 52u})
    at(us, [&] { add(1, with_header(frame_of(60)), 0); });
  executor_.run_until_idle();
  EXPECT_EQ(notified(0), (std::vector<std::uint64_t>{4, 30}));
  EXPECT_EQ(notified(1), (std::vector<std::uint64_t>{45, 52}));
  EXPECT_EQ(notified(2).size(), 2u) << "commands are told of at once";
}

/// A UDP packet of the n-th flow, or of its replies.
Bytes flow_packet(std::uint16_t n, bool reply = false) {
  Packet packet = make_packet({.tcp = false, .payload = 40, .port = n});
  if (!reply) return packet.bytes;
  Bytes& bytes = packet.bytes;
  for (std::size_t i = 0; i < 4; ++i)
    std::swap(bytes[packet.network + 12 + i], bytes[packet.network + 16 + i]);
  for (std::size_t i = 0; i < 2; ++i)
    std::swap(bytes[packet.transport + i], bytes[packet.transport + 2 + i]);
  return bytes;
}

TEST_P(NetOnRings, TheMaskedHashSelectsTheRing) {
  auto made = std::make_unique<TestWire>();
  TestWire& wire = *made;
  start({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_RSS, VIRTIO_NET_F_HASH_REPORT}, std::move(made), 2);
  std::array<std::uint8_t, 40> key{};
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::uint8_t>(91 * i + 7);
  EXPECT_EQ(command(2, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG,
                    virtio_net_rss_config{all_hash_types, std::uint16_t{1}, {}},
                    le16(std::uint16_t{1}), le16(std::uint16_t{0}), le16(std::uint16_t{2}),
                    std::uint8_t{40}, key),
            VIRTIO_NET_OK);
  std::map<unsigned, std::vector<std::uint64_t>> posted;
  for (int i = 0; i < 12; ++i)
    for (const unsigned queue : {0u, 2u})
      posted[queue].push_back(add(queue, {}, 1534));
  const Toeplitz toeplitz(key, Toeplitz::Way::table);
  std::map<unsigned, std::size_t> received;
  for (std::uint16_t n = 0; n < 12; ++n) {
    const Bytes packet = flow_packet(n);
    wire.deliver(packet);
    executor_.run_until_idle();
    const HashResult hash = hash_of(packet, {.types = all_hash_types}, toeplitz);
    const unsigned queue = hash.value & 1 ? 0 : 2; // the table's entries are 1, 0
    const std::uint64_t at = posted[queue].at(received[queue]++);
    virtio_net_hdr_hash header;
    ASSERT_TRUE(read_layout(rings_[queue].read(at, sizeof header), header));
    EXPECT_EQ(header.hash_value, hash.value);
    EXPECT_EQ(header.hash_report, static_cast<std::uint16_t>(HashReport::UDPv4));
    EXPECT_EQ(rings_[queue].read(at + sizeof header, packet.size()), packet);
  }
  EXPECT_GT(received[0], 0u);
  EXPECT_GT(received[2], 0u);
  // A queue in reset costs its packets.
  device_->disable_queue(Net::receive_queue(0));
  executor_.run_until_idle();
  for (std::uint16_t n = 0; n < 12; ++n)
    wire.deliver(flow_packet(n));
  executor_.run_until_idle();
  EXPECT_EQ(net().stats().rx_in_reset, received[0]);
}

TEST_P(NetOnRings, AFlowComesBackOnTheRingThatSentIt) {
  auto made = std::make_unique<TestWire>();
  TestWire& wire = *made;
  start({VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_MQ, VIRTIO_NET_F_MRG_RXBUF}, std::move(made), 2);
  const std::uint64_t first = add(0, {}, 1526);
  const std::uint64_t second = add(2, {}, 1526);
  EXPECT_EQ(command(2, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le16(std::uint16_t{3})),
            VIRTIO_NET_ERR);
  EXPECT_EQ(command(2, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, le16(std::uint16_t{2})),
            VIRTIO_NET_OK);
  add(1, with_header(flow_packet(7)), 0);
  add(3, with_header(flow_packet(8)), 0);
  executor_.run_until_idle();
  EXPECT_EQ(wire.sent, (std::vector<Bytes>{flow_packet(7), flow_packet(8)}));
  wire.deliver(flow_packet(8, true));
  wire.deliver(flow_packet(7, true));
  executor_.run_until_idle();
  const Bytes reply = as_received(flow_packet(7, true));
  EXPECT_EQ(rings_[0].read(first, reply.size()), reply);
  EXPECT_EQ(rings_[2].read(second, reply.size()), as_received(flow_packet(8, true)));
  EXPECT_EQ(notified(0).size(), 1u);
  EXPECT_EQ(notified(2).size(), 1u);
}

TEST_P(NetOnRings, CommandsDecideWhatIsReceived) {
  auto made = std::make_unique<TestWire>();
  TestWire& wire = *made;
  start({VIRTIO_NET_F_MAC, VIRTIO_NET_F_CTRL_VQ, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN},
        std::move(made));
  for (int i = 0; i < 8; ++i)
    add(0, {}, 1526);
  const Bytes other = tagged(frame_of(60));
  const auto received = [&] {
    const std::uint64_t before = net().stats().rx_frames;
    wire.deliver(other);
    executor_.run_until_idle();
    return net().stats().rx_frames - before;
  };
  EXPECT_EQ(received(), 0u);
  EXPECT_EQ(command(1, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, std::uint8_t{1}),
            VIRTIO_NET_OK);
  EXPECT_EQ(received(), 1u);
  EXPECT_EQ(command(1, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, std::uint8_t{0}),
            VIRTIO_NET_OK);
  MacAddress destination;
  std::memcpy(destination.data(), other.data(), destination.size());
  destination[0] &= 0xfe;
  Bytes unicast = other;
  unicast[0] = std::byte{destination[0]};
  EXPECT_EQ(command(1, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, destination),
            VIRTIO_NET_OK);
  const std::uint16_t vlan = static_cast<std::uint16_t>(
      (std::to_integer<unsigned>(other[14]) << 8 | std::to_integer<unsigned>(other[15])) & 0xfff);
  EXPECT_EQ(command(1, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, le16(vlan)), VIRTIO_NET_OK);
  const std::uint64_t before = net().stats().rx_frames;
  wire.deliver(unicast);
  executor_.run_until_idle();
  EXPECT_EQ(net().stats().rx_frames, before + 1);
  EXPECT_EQ(command(1, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, le16(vlan)), VIRTIO_NET_OK);
  wire.deliver(unicast);
  executor_.run_until_idle();
  EXPECT_EQ(net().stats().rx_frames, before + 1);
  EXPECT_EQ(net().stats().commands, 5u);
}

} // namespace
} // namespace virtio::net
