// Network traffic: the far end of the wire, which sends frames to the device and checks those that
// come from it, and the driver's two directions. A frame is known again by all of its bytes.
#pragma once

#include <virtio/core/task.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/wire.hpp>
#include <virtio/platforms/driver/bus.hpp>
#include <virtio/platforms/pcie_host/distribution.hpp>
#include <virtio/platforms/pcie_host/frames.hpp>
#include <virtio/platforms/pcie_host/traffic.hpp>

#include <optional>
#include <unordered_map>
#include <vector>

namespace virtio::platform::pcie_host {

/// Frames that are somewhere between two ends, each with the time at which it set out.
class FramesUnderWay {
public:
  void add(net::Frame frame, SimTime time);
  /// When that frame set out, the earliest if there are several; nothing if it never did.
  std::optional<SimTime> take(net::Frame frame);
  std::uint64_t added() const { return added_; }
  std::uint64_t taken() const { return taken_; }

private:
  std::unordered_map<std::uint64_t, std::vector<SimTime>> times_; // never walked
  std::uint64_t added_ = 0;
  std::uint64_t taken_ = 0;
};

struct FarEndParams {
  NetWorkloadConfig config;
  Arrival arrival = Arrival::closed; ///< closed: one frame after the other at the wire's rate
  std::optional<std::uint64_t> rate; ///< frames a second
  std::uint16_t pairs = 1;           ///< flows: one for each pair of queues
  std::uint64_t seed = 1;
  std::string name;
};

class FarEnd final : public net::Wire {
public:
  /// `recorded` outlives it.
  FarEnd(const FarEndParams& params, const std::vector<RecordedFrame>& recorded);

  void connect(net::FrameSink& device, Executor& executor) override;
  void transmit(net::Frame frame) override;
  SimTime now() const { return executor().now(); }

  /// From now on frames arrive at the device, if the direction says so; until stop().
  void start(const net::MacAddress& device);
  void stop();

  FramesUnderWay& to_driver() { return to_driver_; }
  FramesUnderWay& from_driver() { return from_driver_; }
  /// The sentence about the first frame from the device that the driver had not sent.
  const std::optional<std::string>& complaint() const { return complaint_; }
  std::uint64_t wire_bytes_sent() const { return wire_bytes_sent_; }
  std::uint64_t wire_bytes_received() const { return wire_bytes_received_; }

private:
  Task<> send();
  SimTime wire_time(std::uint64_t bytes) const;

  FarEndParams params_;
  Frames frames_;
  std::optional<Arrivals> arrivals_;
  net::MacAddress device_mac_{};
  std::optional<Scope> scope_;
  bool sending_ = false;
  FramesUnderWay to_driver_;
  FramesUnderWay from_driver_;
  std::optional<std::string> complaint_;
  std::uint64_t wire_bytes_sent_ = 0;
  std::uint64_t wire_bytes_received_ = 0;
};

/// The flow of a pair of queues, from the driver to the far end or back.
Frames::Flow flow_of_pair(unsigned pair, bool from_driver, const net::MacAddress& device);

class TransmitTraffic final : public Traffic {
public:
  TransmitTraffic(std::uint16_t depth, Frames frames, const Frames::Flow& flow, FarEnd& far_end,
                  HostMemory memory, driver::Arena& arena);
  std::span<const driver::Buffer> prepare(unsigned slot) override;
  Finished finish(unsigned slot, std::uint32_t written) override;

private:
  Frames frames_;
  Frames::Flow flow_;
  FarEnd& far_end_;
  HostMemory memory_;
  std::vector<driver::Buffer> slots_;
  std::vector<std::byte> frame_;
};

class ReceiveTraffic final : public Traffic {
public:
  /// `dropped` says how many frames the device has dropped so far.
  ReceiveTraffic(std::uint16_t depth, std::uint64_t largest, FarEnd& far_end,
                 std::function<std::uint64_t()> dropped, HostMemory memory, driver::Arena& arena);
  std::span<const driver::Buffer> prepare(unsigned slot) override;
  Finished finish(unsigned slot, std::uint32_t written) override;
  bool posts_buffers() const override { return true; }
  bool awaits() const override;

private:
  FarEnd& far_end_;
  std::function<std::uint64_t()> dropped_;
  HostMemory memory_;
  std::vector<driver::Buffer> slots_;
};

} // namespace virtio::platform::pcie_host
