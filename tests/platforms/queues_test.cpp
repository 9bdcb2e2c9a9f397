// Several queues of one device at once, driven by the reference driver over both transports and
// both ring formats.
#include "support/machine.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/core/random.hpp>
#include <virtio/net/net.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace virtio {
namespace {

using driver::Buffer;
using test::Machine;

struct Setting {
  bool pci = false;
  bool packed = false;
  bool dmi = true;
};

class SeveralQueues : public testing::TestWithParam<Setting> {
protected:
  FeatureSet ring_features() const {
    return FeatureSet{VIRTIO_F_EVENT_IDX, VIRTIO_F_RING_RESET}.set(VIRTIO_F_RING_PACKED,
                                                                   GetParam().packed);
  }
  test::MachineParams params() const {
    return {.dmi = GetParam().dmi,
            .timed_dma = true,
            .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
            .check_driver = !GetParam().dmi};
  }
};
std::string name_of(const testing::TestParamInfo<Setting>& info) {
  return std::string(info.param.pci ? "pci" : "mmio") + (info.param.packed ? "_packed" : "_split") +
         (info.param.dmi ? "_dmi" : "_slow");
}
INSTANTIATE_TEST_SUITE_P(All, SeveralQueues,
                         testing::Values(Setting{false, false, true}, Setting{false, true, false},
                                         Setting{true, false, false}, Setting{true, true, true},
                                         Setting{true, true, false}),
                         name_of);

const sc_core::sc_time patience(10, sc_core::SC_MS);

/// One block request: header, one sector of data, status.
struct Request {
  std::uint64_t at = 0;
  std::uint64_t sector = 0;
  bool write = false;
};

TEST_P(SeveralQueues, OfADiskAllMoveTheRightSectors) {
  constexpr std::uint16_t queues = 4;
  constexpr std::uint64_t sectors = 256;
  Machine machine(params());
  auto store = std::make_unique<blk::RamStore>(sectors * 512);
  const auto disk = store->memory();
  Random random(11);
  for (auto& b : disk)
    b = static_cast<std::byte>(random.below(256));
  std::vector<std::byte> mirror(disk.begin(), disk.end());
  Device& device = machine.add(
      std::make_unique<blk::Block>(blk::BlockParams{.num_queues = queues}, std::move(store)),
      GetParam().pci, ring_features());
  const bool ended = machine.run([&] {
    const auto found = machine.probe();
    driver::Session session(machine.bus, *found.at(0),
                            ring_features() | FeatureSet{blk::VIRTIO_BLK_F_MQ}, machine.arena);
    ASSERT_TRUE(session.negotiated().has(blk::VIRTIO_BLK_F_MQ));
    ASSERT_EQ(found[0]->config<std::uint16_t>(offsetof(blk::virtio_blk_config, num_queues)),
              queues);
    std::vector<driver::Virtqueue*> rings;
    for (std::uint16_t q = 0; q < queues; ++q)
      rings.push_back(&session.add_queue(q, {.size = 16}));
    session.go_live();
    auto& bus = session.bus();
    std::vector<std::map<std::uint16_t, Request>> pending(queues);
    for (int round = 0; round < 40; ++round) {
      // A batch in every queue before any answer is looked at; each sector in one request at most.
      std::vector<std::uint64_t> free_sectors(sectors);
      for (std::uint64_t s = 0; s < sectors; ++s)
        free_sectors[s] = s;
      for (std::uint16_t q = 0; q < queues; ++q) {
        for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
          const auto pick = random.below(free_sectors.size());
          Request r{session.arena().take(16 + 512 + 1, 16), free_sectors[pick],
                    random.below(2) != 0};
          free_sectors.erase(free_sectors.begin() + static_cast<std::ptrdiff_t>(pick));
          bus.store<std::uint32_t>(r.at, r.write ? 1 : 0);
          bus.store<std::uint32_t>(r.at + 4, 0);
          bus.store<std::uint64_t>(r.at + 8, r.sector);
          bus.store<std::uint8_t>(r.at + 16 + 512, 0xff);
          if (r.write) {
            std::vector<std::byte> data(512);
            for (auto& b : data)
              b = static_cast<std::byte>(random.below(256));
            bus.write(r.at + 16, data);
            std::copy(data.begin(), data.end(),
                      mirror.begin() + static_cast<std::ptrdiff_t>(r.sector * 512));
          }
          const Buffer chain[] = {
              {r.at, 16, false}, {r.at + 16, 512, !r.write}, {r.at + 16 + 512, 1, true}};
          const auto token = rings[q]->add(chain);
          ASSERT_TRUE(token);
          pending[q][*token] = r;
        }
        rings[q]->kick();
      }
      for (std::uint16_t q = queues; q-- > 0;)
        while (!pending[q].empty()) {
          const auto used = rings[q]->wait_used(patience);
          const Request r = pending[q].at(used.token);
          pending[q].erase(used.token);
          EXPECT_EQ(bus.load<std::uint8_t>(r.at + 16 + 512), 0);
          EXPECT_EQ(used.written, r.write ? 1u : 513u);
          std::vector<std::byte> data(512);
          bus.read(r.at + 16, data);
          EXPECT_TRUE(std::equal(data.begin(), data.end(),
                                 mirror.begin() + static_cast<std::ptrdiff_t>(r.sector * 512)));
        }
    }
    session.reset();
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(device.last_error(), RingError::none) << to_string(device.last_error());
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
  EXPECT_TRUE(std::equal(mirror.begin(), mirror.end(), disk.begin()));
}

/// A UDP datagram whose ports name its flow.
std::vector<std::byte> datagram(std::uint16_t flow, std::size_t payload) {
  std::vector<std::byte> bytes;
  const auto append = [&](const auto& layout) {
    const auto more = std::as_bytes(std::span(&layout, 1));
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  net::EthernetHeader ethernet;
  ethernet.type = net::ethertype_ipv4;
  append(ethernet);
  net::Ipv4Header ip;
  ip.protocol = net::Ipv4Header::udp;
  ip.source = net::ipv4(10, 0, 0, 1);
  ip.destination = net::ipv4(10, 0, 0, 2);
  append(ip);
  append(net::UdpHeader{flow, std::uint16_t{9}, {}, {}});
  for (std::size_t i = 0; i < payload; ++i)
    bytes.push_back(static_cast<std::byte>(i + flow));
  return bytes;
}

/// The driver's side of a network device with several pairs of queues.
class NetDriver {
public:
  static constexpr std::uint32_t buffer_bytes = 256;

  NetDriver(Machine& machine, driver::DeviceAccess& access, const FeatureSet& wanted)
      : session_(machine.bus, access, wanted, machine.arena),
        pairs_(
            access.config<std::uint16_t>(offsetof(net::virtio_net_config, max_virtqueue_pairs))) {
    for (std::uint16_t q = 0; q < 2 * pairs_ + 1; ++q)
      queues_.push_back(&session_.add_queue(q, {.size = 32}));
    session_.go_live();
    for (std::uint16_t pair = 0; pair < pairs_; ++pair)
      for (int i = 0; i < 24; ++i)
        post(pair, session_.arena().take(buffer_bytes, 16));
  }
  std::uint16_t pairs() const { return pairs_; }
  driver::Session& session() { return session_; }

  std::uint8_t set_pairs(std::uint16_t pairs) {
    const std::uint64_t at = session_.arena().take(16, 16);
    const std::byte command[] = {std::byte{4}, std::byte{0}, static_cast<std::byte>(pairs),
                                 static_cast<std::byte>(pairs >> 8)};
    bus().write(at, command);
    bus().store<std::uint8_t>(at + 8, 0xff);
    auto& queue = *queues_.back();
    // Class and command, data and answer in pieces of their own.
    const Buffer chain[] = {{at, 2, false}, {at + 2, 2, false}, {at + 8, 1, true}};
    EXPECT_TRUE(queue.add(chain));
    queue.kick();
    EXPECT_EQ(queue.wait_used(patience).written, 1u);
    return bus().load<std::uint8_t>(at + 8);
  }
  void transmit(std::uint16_t pair, const std::vector<std::byte>& frame) {
    const auto size = static_cast<std::uint32_t>(12 + frame.size());
    const std::uint64_t at = session_.arena().take(size, 16);
    bus().write(at, std::vector<std::byte>(12));
    bus().write(at + 12, frame);
    const Buffer chain[] = {{at, size, false}};
    EXPECT_TRUE(queues_[2u * pair + 1]->add(chain));
  }
  void kick(std::uint16_t pair) { queues_[2u * pair + 1]->kick(); }
  void reap(std::uint16_t pair, int count) {
    for (; count > 0; --count)
      queues_[2u * pair + 1]->wait_used(patience);
  }
  /// The next frame of a pair, put together from its buffers, which are posted again.
  std::vector<std::byte> receive(std::uint16_t pair) {
    std::vector<std::byte> frame;
    unsigned buffers = 1;
    for (unsigned i = 0; i < buffers; ++i) {
      auto& queue = *queues_[2u * pair];
      const auto used = i == 0 ? queue.wait_used(patience) : queue.take_used().value();
      const std::uint64_t at = posted_[pair].at(used.token);
      if (i == 0) {
        buffers = bus().load<std::uint16_t>(at + offsetof(net::virtio_net_hdr, num_buffers));
        merged_ += buffers > 1;
      }
      EXPECT_TRUE(i + 1 == buffers || used.written == buffer_bytes) << used.written;
      std::vector<std::byte> part(used.written);
      bus().read(at, part);
      frame.insert(frame.end(), part.begin() + (i == 0 ? 12 : 0), part.end());
      post(pair, at);
    }
    return frame;
  }
  bool nothing_received() {
    for (std::uint16_t pair = 0; pair < pairs_; ++pair)
      if (queues_[2u * pair]->take_used()) return false;
    return true;
  }
  int merged() const { return merged_; }

private:
  driver::Bus& bus() { return session_.bus(); }
  void post(std::uint16_t pair, std::uint64_t at) {
    const Buffer chain[] = {{at, buffer_bytes, true}};
    const auto token = queues_[2u * pair]->add(chain);
    ASSERT_TRUE(token);
    posted_[pair][*token] = at;
    queues_[2u * pair]->kick();
  }

  driver::Session session_;
  std::uint16_t pairs_;
  std::vector<driver::Virtqueue*> queues_;
  std::map<std::uint16_t, std::map<std::uint16_t, std::uint64_t>> posted_;
  int merged_ = 0;
};

TEST_P(SeveralQueues, OfANetworkDeviceKeepFlowsApartAndFramesWhole) {
  constexpr std::uint16_t pairs = 4;
  Machine machine(params());
  Device& device = machine.add(std::make_unique<net::Net>(net::NetParams{.queue_pairs = pairs},
                                                          std::make_unique<net::LoopbackWire>()),
                               GetParam().pci, ring_features());
  const bool ended = machine.run([&] {
    const auto found = machine.probe();
    NetDriver driver(machine, *found.at(0),
                     ring_features() | FeatureSet{net::VIRTIO_NET_F_MQ, net::VIRTIO_NET_F_CTRL_VQ,
                                                  net::VIRTIO_NET_F_MRG_RXBUF,
                                                  net::VIRTIO_NET_F_MTU});
    ASSERT_EQ(driver.pairs(), pairs);
    // One pair until the command, whatever queue transmits.
    driver.transmit(0, datagram(77, 20));
    driver.kick(0);
    driver.reap(0, 1);
    EXPECT_EQ(driver.receive(0), datagram(77, 20));

    EXPECT_EQ(driver.set_pairs(0), net::VIRTIO_NET_ERR);
    EXPECT_EQ(driver.set_pairs(pairs + 1), net::VIRTIO_NET_ERR);
    EXPECT_EQ(driver.set_pairs(pairs), net::VIRTIO_NET_OK);
    Random random(5);
    for (int round = 0; round < 20; ++round) {
      // A batch of each pair's own flow in every queue before any is waited for.
      std::vector<std::vector<std::vector<std::byte>>> sent(pairs);
      for (std::uint16_t pair = 0; pair < pairs; ++pair) {
        for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
          sent[pair].push_back(
              datagram(static_cast<std::uint16_t>(100 + pair), 20 + random.below(1400)));
          driver.transmit(pair, sent[pair].back());
        }
        driver.kick(pair);
      }
      for (std::uint16_t pair = pairs; pair-- > 0;) {
        driver.reap(pair, static_cast<int>(sent[pair].size()));
        for (const auto& frame : sent[pair])
          EXPECT_EQ(driver.receive(pair), frame) << "pair " << pair;
      }
      EXPECT_TRUE(driver.nothing_received());
    }
    EXPECT_GT(driver.merged(), 50);
    EXPECT_EQ(driver.set_pairs(1), net::VIRTIO_NET_OK);
    for (std::uint16_t flow = 0; flow < 8; ++flow) {
      driver.transmit(0, datagram(flow, 30));
      driver.kick(0);
      driver.reap(0, 1);
      EXPECT_EQ(driver.receive(0), datagram(flow, 30));
    }
    driver.session().reset();
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(device.last_error(), RingError::none) << to_string(device.last_error());
  // No pairs, and too many: on purpose.
  ASSERT_EQ(machine.violations.size(), GetParam().dmi ? 0u : 1u);
  for (const std::string& violation : machine.violations)
    EXPECT_NE(violation.find("NET-DRV-045"), std::string::npos) << violation;
}

} // namespace
} // namespace virtio
