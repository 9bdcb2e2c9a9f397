// What the tests of the network device share: a wire that the test holds, frames, and the device on
// a FunctionBench.
#pragma once

#include "models/function_bench.hpp"

#include <virtio/net/net.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace virtio::net {

using test::Bytes;
using test::cut;
using test::FunctionBench;
using test::pattern;

/// All with which headers are virtio_net_hdr.
inline const FeatureSet plain_features =
    FeatureSet(all_net_features).set(VIRTIO_NET_F_HASH_REPORT, false);

/// Keeps what the device sends, and brings what the test sends.
class TestWire final : public Wire {
public:
  void transmit(Frame frame) override { sent.emplace_back(frame.begin(), frame.end()); }
  void driver_ready() override { ++ready; }
  using Wire::deliver;
  std::vector<Bytes> sent;
  int ready = 0;
};

/// `size` bytes that begin like an Ethernet frame of IPv4.
inline Bytes frame_of(std::size_t size, unsigned seed = 1) {
  Bytes frame = pattern(size, seed);
  if (size >= 14) {
    frame[12] = std::byte{0x08};
    frame[13] = std::byte{0x00};
  }
  return frame;
}
inline Bytes tagged(Bytes frame) {
  frame[12] = std::byte{0x81};
  return frame;
}
inline Bytes with_header(const Bytes& frame, virtio_net_hdr header = {}) {
  Bytes bytes(sizeof header + frame.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::copy(frame.begin(), frame.end(), bytes.begin() + sizeof header);
  return bytes;
}
/// What the driver finds in its buffer.
inline Bytes as_received(const Bytes& frame, std::uint16_t num_buffers = 1) {
  virtio_net_hdr header;
  header.num_buffers = num_buffers;
  return with_header(frame, header);
}

class NetBench : public testing::Test {
protected:
  void build(NetParams params = {}, bool by_pointer = true, std::unique_ptr<Wire> other = nullptr) {
    auto wire = std::make_unique<TestWire>();
    wire_ = other ? nullptr : wire.get();
    bench_ = std::make_unique<FunctionBench>(
        std::make_unique<Net>(params, other ? std::move(other) : std::move(wire)), by_pointer);
    bench_->start(net().features());
  }
  /// As if the driver had negotiated `features` instead of all.
  void negotiate(FeatureSet features) {
    bench_->reset();
    bench_->start(features);
  }
  void SetUp() override { build(); }

  Net& net() { return bench_->as<Net>(); }
  const NetStats& stats() { return net().stats(); }
  FunctionBench::Request& transmit(const Bytes& bytes) {
    return bench_->submit(Net::transmitq, bytes, {});
  }
  FunctionBench::Request& post(std::vector<std::uint32_t> sizes = {1526}) {
    return bench_->submit(Net::receiveq, {}, std::move(sizes));
  }
  virtio_net_config config() {
    virtio_net_config c;
    std::memcpy(&c, bench_->function().config().data(), sizeof c);
    return c;
  }

  TestWire* wire_ = nullptr;
  std::unique_ptr<FunctionBench> bench_;
};

} // namespace virtio::net
