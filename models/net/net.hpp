// The network device (virtio 1.4, 5.1) with one pair of queues: transmits to a Wire and receives
// from it, without offloads. Several frames are under way in each direction at once, and they
// leave, arrive and come back in order.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/fifo.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/wire.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace virtio::net {

struct NetParams {
  MacAddress mac{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
  /// 68 .. 65535 (5.1.4.1).
  std::uint16_t mtu = 1500;
  /// Entries of each queue, a power of two (QEMU's default).
  std::uint16_t queue_size = 256;
  /// Frames that the device reads from guest memory at a time (assumed).
  std::uint16_t transmit_window = 32;
  /// Received frames that may wait for buffers, and be under way to them (assumed).
  std::uint16_t receive_frames = 256;
  bool link_up = true;
};

struct NetStats {
  std::uint64_t tx_frames = 0;
  std::uint64_t tx_bytes = 0; ///< without virtio_net_hdr
  std::uint64_t tx_malformed =
      0; ///< too short for header and Ethernet, or longer than the MTU allows
  std::uint64_t tx_no_link = 0;
  std::uint64_t rx_frames = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_malformed = 0;    ///< came with a length that the driver must not be given
  std::uint64_t rx_no_driver = 0;    ///< came without DRIVER_OK or with the link down
  std::uint64_t rx_no_buffer = 0;    ///< came while receive_frames were waiting
  std::uint64_t rx_small_buffer = 0; ///< did not fit into the driver's buffer
};

class Net final : public DeviceFunction, private FrameSink {
public:
  static constexpr QueueIndex receiveq{0};
  static constexpr QueueIndex transmitq{1};

  /// Throws std::invalid_argument when a parameter is out of its range.
  Net(const NetParams& params, std::unique_ptr<Wire> wire);

  /// The cable is pulled or plugged in: the driver is told.
  void set_link(bool up);

  void attach(FunctionHost& host) override;
  DeviceType type() const override { return DeviceType::net; }
  FeatureSet features() const override;
  std::uint16_t num_queues() const override { return 2; }
  std::uint16_t max_queue_size(QueueIndex) const override { return params_.queue_size; }
  std::uint32_t window(QueueIndex queue) const override;
  std::span<const std::byte> config() const override;
  void start(const FeatureSet& negotiated) override;
  void reset() override;
  void on_chain(Chain& chain) override;
  void on_abort(QueueIndex queue) override;

  const NetStats& stats() const { return stats_; }
  Wire& wire() const { return *wire_; }

private:
  /// A frame between the wire and guest memory, with its header in front.
  struct Slot {
    enum class State : std::uint8_t { moving, moved, failed };

    std::vector<std::byte> bytes;
    Chain* chain = nullptr;
    State state = State::moving;
  };

  bool link_up() const { return (config_.status & VIRTIO_NET_S_LINK_UP) != 0; }
  void on_frame(Frame frame) override;
  Task<> read_frame(Slot& slot);
  void finish_transmits();
  void send(Frame frame);
  void match_buffers();
  Task<> write_frame(Slot& slot);
  void finish_receives();

  NetParams params_;
  std::unique_ptr<Wire> wire_;
  virtio_net_config config_;
  std::size_t transmit_mtu_ = 0;
  std::size_t receive_mtu_ = 0;
  Fifo<Slot> transmits_; // in the order of the queue
  bool sending_ = false;
  Fifo<Slot> receives_;     // in the order of arrival: under way first, then waiting
  std::size_t matched_ = 0; // of receives_ have a chain
  Fifo<Chain*> buffers_;    // posted in receiveq
  NetStats stats_;
};

} // namespace virtio::net
