// The network device (virtio 1.4, 5.1): transmits to a Wire and receives from it, over one pair of
// queues or, with VIRTIO_NET_F_MQ, as many as the driver enables. Several frames of a queue are
// under way at once, and they leave, arrive and come back in order.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/net/coalescer.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/features.hpp>
#include <virtio/net/filter.hpp>
#include <virtio/net/receive_queue.hpp>
#include <virtio/net/rss.hpp>
#include <virtio/net/segment.hpp>
#include <virtio/net/stats.hpp>
#include <virtio/net/steering.hpp>
#include <virtio/net/timing.hpp>
#include <virtio/net/transmit_queue.hpp>
#include <virtio/net/wire.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace virtio::net {

/// What happens to the link once, at a simulated time; while there is no driver it waits for one.
enum class LinkEvent : std::uint8_t { down, up, announce };

struct NetParams {
  MacAddress mac{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};
  /// 68 .. 65535 (5.1.4.1).
  std::uint16_t mtu = 1500;
  /// Entries of each queue, a power of two (QEMU's default).
  std::uint16_t queue_size = 256;
  /// Frames that the device reads from guest memory at a time, for each queue (assumed).
  std::uint16_t transmit_window = 32;
  /// Received frames that may wait for buffers, and be under way to them, for each queue (assumed).
  std::uint16_t receive_frames = 256;
  /// How long a received TCP segment waits for the next, where the driver takes joined ones; zero:
  /// as long as what came at the same time is being taken (assumed).
  SimTime lro_patience{};
  bool link_up = true;
  /// In any order.
  std::vector<std::pair<SimTime, LinkEvent>> link_events = {};
  /// max_virtqueue_pairs, 1 .. max_queue_pairs; more than one needs VIRTIO_NET_F_MQ or
  /// VIRTIO_NET_F_RSS, and VIRTIO_NET_F_CTRL_VQ (QEMU's default).
  std::uint16_t queue_pairs = 1;
  /// What VIRTIO_NET_F_SPEED_DUPLEX shows: Mbit/s up to max_speed, or unknown_speed; half_duplex,
  /// full_duplex or unknown_duplex.
  std::uint32_t speed = unknown_speed;
  std::uint8_t duplex = unknown_duplex;
  /// Bits that may be offered, of those in all_net_features.
  FeatureSet features = default_net_features;
  RssParams rss{};
  NetTiming timing{};
};

class Net final : public DeviceFunction,
                  private FrameSink,
                  private Coalescer::Owner,
                  private ReceiveQueue::Owner,
                  private TransmitQueue::Owner {
public:
  static constexpr QueueIndex receiveq{0};
  static constexpr QueueIndex transmitq{1};
  /// This model's limit; the specification's is 0x8000.
  static constexpr std::uint16_t max_queue_pairs = 1024;

  /// Queues of pair 0 .. queue_pairs - 1; the specification's receiveq1 is that of pair 0.
  static constexpr QueueIndex receive_queue(unsigned pair) {
    return QueueIndex{static_cast<std::uint16_t>(2 * pair)};
  }
  static constexpr QueueIndex transmit_queue(unsigned pair) {
    return QueueIndex{static_cast<std::uint16_t>(2 * pair + 1)};
  }

  /// Throws std::invalid_argument when a parameter is out of its range.
  Net(const NetParams& params, std::unique_ptr<Wire> wire);

  /// The cable is pulled or plugged in: the driver is told.
  void set_link(bool up);
  /// The link has another speed, values as in NetParams: the driver is told. A link that is up goes
  /// down and comes up again, as 5.1.4.1 asks. Throws std::invalid_argument for other values.
  void set_speed(std::uint32_t speed, std::uint8_t duplex);
  /// Asks the driver to send gratuitous packets (5.1.6.5.4), as after a migration. Nothing happens
  /// when it did not negotiate VIRTIO_NET_F_GUEST_ANNOUNCE.
  void announce();

  void attach(FunctionHost& host) override;
  DeviceType type() const override { return DeviceType::net; }
  FeatureSet features() const override;
  bool accepts(const FeatureSet& accepted) const override;
  std::uint16_t num_queues() const override;
  std::uint16_t max_queue_size(QueueIndex) const override { return params_.queue_size; }
  std::uint32_t window(QueueIndex queue) const override;
  std::span<const std::byte> config() const override;
  void start(const FeatureSet& negotiated) override;
  void reset() override;
  void on_chain(Chain& chain) override;
  void on_abort(QueueIndex queue) override;

  /// What the driver has set up of hashes and receive-side scaling.
  const Rss& rss() const { return rss_; }
  const NetStats& stats() const { return stats_; }
  Wire& wire() const { return *wire_; }
  /// The control queue's number with what was negotiated (5.1.2).
  QueueIndex controlq() const { return receive_queue(pairs_); }
  /// Pairs of queues that the driver enabled for automatic steering.
  std::uint16_t enabled_pairs() const { return steering_.pairs(); }

private:
  /// A frame on its way in, until it is there and the device has done its work on it.
  struct Arrival {
    std::vector<std::byte> bytes;
    SimTime at{};
  };
  struct NetWake : Wake {
    Net* net = nullptr;
  };

  void schedule_link_events();
  void link_events_due();
  void show_status();
  void show_mac(const MacAddress& mac);
  void tell_driver();
  void on_frame(Frame frame) override;
  void arrive_later(Frame frame);
  void frames_arrived();
  void accept(Frame frame);
  void deliver(const virtio_net_hdr& header, Frame packet) override;
  void joined() override { ++stats_.rx_joined; }
  void use_offloads(const FeatureSet& offloads);
  std::optional<TransmitPlan> plan_for(std::span<const std::byte> bytes) const;
  void send(Frame frame);
  void send(const TransmitPlan& plan, std::size_t frame, bool more);
  void abort_transmission(QueueIndex queue);
  void receive_idle() override;
  void transmitted(QueueIndex queue, std::span<const std::byte> bytes, std::size_t frame,
                   bool more) override;
  Departure departure(std::span<const std::byte> bytes) override;

  std::size_t header_bytes() const;
  Frame without_header(std::span<const std::byte> bytes) const;
  /// `chosen` by receive-side scaling.
  ReceiveQueue* destination(Frame frame, std::uint16_t chosen);
  void give_up(const std::string& problem);
  bool in_use(std::size_t pair) const;
  void leave_unused();
  Task<> read_command(Chain& chain);
  Task<> answer_command(Chain& chain);
  bool execute(std::span<const std::byte> command);
  bool control_rx(std::uint8_t command, std::span<const std::byte> data);
  bool control_mac(std::uint8_t command, std::span<const std::byte> data);
  bool control_vlan(std::uint8_t command, std::span<const std::byte> data);
  bool control_guest_offloads(std::uint8_t command, std::span<const std::byte> data);
  bool control_notf_coal(std::uint8_t command, std::span<const std::byte> data);
  bool coalesce(bool receive, const NotificationCoalescing& how);
  bool control_announce(std::uint8_t command, std::span<const std::byte> data);
  bool control_mq(std::uint8_t command, std::span<const std::byte> data);
  bool set_mac(const MacAddress& mac);
  bool set_pairs(std::uint16_t pairs);
  void try_answer();

  NetParams params_;
  std::unique_ptr<Wire> wire_;
  virtio_net_config config_;
  NetStats stats_;
  FeatureSet negotiated_;
  std::uint16_t pairs_ = 1; // that exist with what was negotiated
  bool link_up_;
  bool coalesces_ = false;  // VIRTIO_NET_CTRL_NOTF_COAL has been used
  bool announcing_ = false; // VIRTIO_NET_S_ANNOUNCE
  ReceiveFilter filter_;
  Coalescer coalescer_;
  std::size_t transmit_mtu_ = 0;
  std::size_t receive_mtu_ = 0;
  std::vector<ReceiveQueue> receives_; // by pair
  std::vector<TransmitQueue> transmits_;
  FlowSteering steering_;
  Rss rss_;
  std::vector<std::byte> segment_; // being written
  std::uint32_t fragment_id_ = 1;
  std::uint32_t transmit_aborts_ = 0;
  SerialSteps transmit_steps_;
  SerialSteps receive_steps_;
  SerialLine transmit_line_;
  SerialLine receive_line_;
  Fifo<Arrival> arriving_; // timed only
  NetWake arrival_;
  NetWake link_event_;
  std::vector<std::byte> command_bytes_;
  Chain* command_ = nullptr; // executed, and not answered before it is in force
  std::uint8_t ack_ = VIRTIO_NET_OK;
};

} // namespace virtio::net
