// The network device on its own: a device, its ring engine and memory by pointer, without SystemC
// and without a driver's checks. Packets a second in both directions and fidelities, and what
// offloads cost.
#include "models/net_packets.hpp"
#include "support/test_device.hpp"

#include <virtio/net/net.hpp>

#include <benchmark/benchmark.h>

#include <memory>

namespace virtio::net {
namespace {

using virtio::test::Bytes;

constexpr std::uint16_t ring = 256;
constexpr std::uint16_t depth = 32;
constexpr std::uint64_t buffers_at = 0x40'0000;
constexpr std::uint32_t buffer_room = 0x1'1000;

/// Takes what is sent, brings what the benchmark brings.
class Drain final : public Wire {
public:
  void transmit(Frame frame) override {
    bytes += frame.size();
    ++frames;
  }
  using Wire::deliver;
  std::uint64_t bytes = 0;
  std::uint64_t frames = 0;
};

class Card {
public:
  Card(bool timed, FeatureSet features, QueueIndex queue) : queue_(queue) {
    DeviceParams params{.name = "net"};
    if (timed) params.timed_ring.emplace();
    auto made = std::make_unique<Drain>();
    wire = made.get();
    NetParams net;
    net.features = all_net_features;
    device_ = std::make_unique<Device>(params, executor_, port_,
                                       std::make_unique<Net>(net, std::move(made)));
    device_->attach(transport_);
    device_->write_status(3);
    features.set(VIRTIO_F_VERSION_1);
    for (std::uint32_t word = 0; word < 4; ++word)
      device_->write_driver_features(word, features.word32(word));
    device_->write_status(0x0b);
    device_->write_queue_size(queue, ring);
    using Area = Device::Area;
    device_->write_queue_address(queue, Area::desc, false, virtio::test::SplitRingDriver::desc_at);
    device_->write_queue_address(queue, Area::driver, false,
                                 virtio::test::SplitRingDriver::avail_at);
    device_->write_queue_address(queue, Area::device, false,
                                 virtio::test::SplitRingDriver::used_at);
    device_->enable_queue(queue);
    device_->write_status(0x0f);
    driver_.put16(virtio::test::SplitRingDriver::avail_at, split::VIRTQ_AVAIL_F_NO_INTERRUPT);
  }
  /// What buffer `i` holds for transmission.
  void fill(std::uint16_t i, const virtio_net_hdr& header, std::span<const std::byte> packet) {
    std::byte* to = &memory_[buffers_at + std::uint64_t{i} * buffer_room];
    std::memcpy(to, static_cast<const void*>(&header), sizeof header);
    std::ranges::copy(packet, to + sizeof header);
    length_ = static_cast<std::uint32_t>(sizeof header + packet.size());
  }
  /// Makes `count` buffers available.
  void offer(std::uint16_t count) {
    const bool receive = raw(queue_) % 2 == 0;
    for (std::uint16_t i = 0; i < count; ++i) {
      driver_.set_desc(i, buffers_at + std::uint64_t{i} * buffer_room,
                       receive ? buffer_room : length_,
                       receive ? split::VIRTQ_DESC_F_WRITE : std::uint16_t{0});
      driver_.make_available(i);
    }
    driver_.publish();
    device_->notify(queue_, std::nullopt);
  }
  void finish() {
    executor_.run_until_idle();
    if (driver_.used_idx() != driver_.avail_idx) throw std::runtime_error("buffers are missing");
  }
  Drain* wire = nullptr;

private:
  QueueIndex queue_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(buffers_at + depth * buffer_room);
  Executor executor_;
  HostMemoryPort port_{GuestAddr{0}, memory_};
  virtio::test::SplitRingDriver driver_{memory_, ring};
  virtio::test::CountingTransport transport_;
  std::unique_ptr<Device> device_;
  std::uint32_t length_ = 0;
};

void rate(benchmark::State& state, std::uint64_t packets, std::uint64_t bytes) {
  state.counters["packets/s"] =
      benchmark::Counter(static_cast<double>(packets), benchmark::Counter::kIsRate);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void transmit(benchmark::State& state, bool timed, std::size_t size, bool checksum) {
  Card card(timed, FeatureSet{}.set(VIRTIO_NET_F_CSUM, checksum), Net::transmitq);
  const test::PacketForm form{.payload = size - 54};
  const test::Packet packet = test::make_packet(form);
  for (std::uint16_t i = 0; i < depth; ++i)
    card.fill(i, test::request(form, packet, VIRTIO_NET_HDR_GSO_NONE, 0), packet.bytes);
  for (auto _ : state) {
    card.offer(depth);
    card.finish();
  }
  rate(state, card.wire->frames, card.wire->bytes);
}

void receive(benchmark::State& state, bool timed, std::size_t size, bool checksum) {
  Card card(timed, FeatureSet{}.set(VIRTIO_NET_F_GUEST_CSUM, checksum), Net::receiveq);
  const test::PacketForm form{.payload = size - 54};
  const Bytes frame = test::completed(form, test::make_packet(form));
  std::uint64_t packets = 0;
  for (auto _ : state) {
    card.offer(depth);
    for (std::uint16_t i = 0; i < depth; ++i)
      card.wire->deliver(frame);
    card.finish();
    packets += depth;
  }
  rate(state, packets, packets * size);
}

/// 64 KiB of TCP in segments of 1460 bytes: the plan alone, and through the device.
void segment(benchmark::State& state, bool ipv6) {
  const test::PacketForm form{.ipv6 = ipv6, .payload = 65'000};
  const test::Packet packet = test::make_packet(form);
  const auto header =
      test::request(form, packet, ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4, 1460);
  Bytes frame(1600);
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    const auto plan =
        TransmitPlan::make(header, packet.bytes,
                           all_net_features & FeatureSet{VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4,
                                                         VIRTIO_NET_F_HOST_TSO6});
    for (std::size_t i = 0; i < plan->frames(); ++i) {
      plan->write(i, frame);
      benchmark::DoNotOptimize(frame.data());
    }
    bytes += form.payload;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void transmit_segments(benchmark::State& state, bool timed) {
  Card card(timed, {VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4}, Net::transmitq);
  const test::PacketForm form{.payload = 65'000};
  const test::Packet packet = test::make_packet(form);
  for (std::uint16_t i = 0; i < depth; ++i)
    card.fill(i, test::request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1460), packet.bytes);
  for (auto _ : state) {
    card.offer(depth);
    card.finish();
  }
  rate(state, card.wire->frames, card.wire->bytes);
}

void join(benchmark::State& state) {
  Card card(false, {VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4}, Net::receiveq);
  test::PacketForm form{.payload = 65'000};
  form.flags |= TcpHeader::psh; // ends the packet
  const test::Packet packet = test::make_packet(form);
  const auto plan = TransmitPlan::make(test::request(form, packet, VIRTIO_NET_HDR_GSO_TCPV4, 1460),
                                       packet.bytes, {VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4});
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < plan->frames(); ++i)
    plan->write(i, frames.emplace_back(plan->size(i)));
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    card.offer(1);
    for (const Bytes& frame : frames)
      card.wire->deliver(frame);
    card.finish();
    bytes += form.payload;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

} // namespace
} // namespace virtio::net

int main(int argc, char** argv) {
  using namespace virtio::net;
  using benchmark::RegisterBenchmark;
  for (const bool timed : {false, true})
    for (const bool checksum : {false, true})
      for (const std::size_t size : {64u, 1500u}) {
        const std::string name = "/" + std::to_string(size) + (timed ? "/timed" : "/untimed") +
                                 (checksum ? "/checksum" : "");
        RegisterBenchmark(("transmit" + name).c_str(),
                          [=](benchmark::State& state) { transmit(state, timed, size, checksum); });
        RegisterBenchmark(("receive" + name).c_str(),
                          [=](benchmark::State& state) { receive(state, timed, size, checksum); });
      }
  for (const bool ipv6 : {false, true})
    RegisterBenchmark(ipv6 ? "segment/IPv6" : "segment/IPv4",
                      [=](benchmark::State& state) { segment(state, ipv6); });
  for (const bool timed : {false, true})
    RegisterBenchmark(timed ? "transmit_segments/timed" : "transmit_segments/untimed",
                      [=](benchmark::State& state) { transmit_segments(state, timed); });
  RegisterBenchmark("join/untimed", [](benchmark::State& state) { join(state); });
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
