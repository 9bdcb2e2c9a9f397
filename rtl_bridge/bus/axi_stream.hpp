// AXI4-Stream both ways: packets of bytes become beats, and beats packets. Ticked as the adapters
// of AXI4 are.
#pragma once

#include <virtio/rtl/bus/axi4_pins.hpp>
#include <virtio/rtl/bus/axi4_profile.hpp>
#include <virtio/rtl/bus/axi_stream_checker.hpp>

#include <deque>
#include <functional>

namespace virtio::rtl::bus {

struct AxiStreamPins {
  bool valid = false;
  bool ready = false;
  bool last = false;
  std::uint64_t keep = 0;
  std::array<std::byte, axi_max_bytes> data{};

  /// As the checker takes it; the pins outlive it.
  StreamBeat beat(std::size_t bus_bytes) const {
    return {valid, ready, last, keep, std::span(data).first(bus_bytes)};
  }
};

using AxiPacket = std::vector<std::byte>;

struct AxiStreamParams {
  std::size_t bus_bytes = 8; ///< 1..axi_max_bytes
  AxiProfile profile{};      ///< ready_percent of the sink, valid_percent of the source
};

class AxiStreamSource {
public:
  /// Throws std::invalid_argument for parameters that cannot be.
  explicit AxiStreamSource(const AxiStreamParams& params);

  /// Throws std::invalid_argument for an empty packet.
  void send(AxiPacket packet);
  void drive(AxiStreamPins& pins);
  void edge(const AxiStreamPins& pins);
  bool idle() const { return packets_.empty() && !pins_.valid; }

private:
  AxiStreamParams params_;
  std::uint64_t cycle_ = 0;
  std::deque<AxiPacket> packets_;
  std::size_t at_ = 0; ///< of the first packet
  AxiStreamPins pins_;
};

class AxiStreamSink {
public:
  /// Called inside edge() with each packet. Bytes that are not kept are left out.
  using Take = std::function<void(AxiPacket)>;

  /// Throws std::invalid_argument for parameters that cannot be.
  AxiStreamSink(const AxiStreamParams& params, Take take);

  void drive(AxiStreamPins& pins);
  void edge(const AxiStreamPins& pins);
  bool idle() const { return packet_.empty(); }

private:
  AxiStreamParams params_;
  Take take_;
  std::uint64_t cycle_ = 0;
  AxiPacket packet_; ///< that has begun
};

} // namespace virtio::rtl::bus
