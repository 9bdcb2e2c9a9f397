// Large receive offload: TCP segments of a flow that follow each other are joined to one packet,
// which the driver is told how to cut again (virtio 1.4, 5.1.6.4). What is joined is what a sender
// may have cut: nothing of the headers but lengths, sequence, flags that end a packet and window
// differs. A few flows at a time; packets leave in the order of their flow.
#pragma once

#include <virtio/core/executor.hpp>
#include <virtio/core/features.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/layers.hpp>

#include <array>
#include <cstdint>
#include <vector>

namespace virtio::net {

class Coalescer {
public:
  class Owner {
  public:
    virtual ~Owner() = default;
    /// A packet for the driver and what its header says about it.
    virtual void deliver(const virtio_net_hdr& header, Frame packet) = 0;
    /// A segment was joined to an earlier one, or a duplicate acknowledgement counted with it.
    virtual void joined() = 0;
  };

  /// Flows at a time (assumed).
  static constexpr std::size_t flows = 8;
  /// The longest packet, link-layer header not counted.
  static constexpr std::size_t max_packet = 0xffff;

  /// A segment waits at most `patience` for the next one; zero: as long as what came at the same
  /// time is being taken.
  Coalescer(SimTime patience, Owner& owner);

  void attach(Executor& executor) { executor_ = &executor; }
  /// With what the driver takes now: bits of guest_offloads, and VIRTIO_NET_F_RSC_EXT. What was
  /// joined before is delivered.
  void use(const FeatureSet& offloads);
  /// A received frame: delivered now or later, alone or joined.
  void receive(Frame frame);
  /// Drops what waits.
  void reset();

private:
  struct Flow {
    std::vector<std::byte> bytes; // empty: not in use
    Layers layers;
    std::uint32_t next_sequence = 0;
    std::size_t segment_bytes = 0;
    std::uint16_t segments = 0;
    std::uint16_t duplicate_acks = 0;
    bool congestion = false;
    SimTime until{};
    std::uint64_t order = 0;
  };
  struct Timer : Wake {
    Coalescer* coalescer = nullptr;
  };

  bool joinable(const Layers& layers, std::uint16_t flags) const;
  Flow* find(Frame frame, const Layers& layers);
  bool follows(const Flow& flow, Frame frame, const Layers& layers) const;
  bool repeats_ack(const Flow& flow, Frame frame, const Layers& layers) const;
  void take(Flow* flow, Frame frame, const Layers& layers);
  void join(Flow& flow, Frame frame, const Layers& layers);
  void open(Frame frame, const Layers& layers);
  void flush(Flow& flow);
  static void finish_headers(std::vector<std::byte>& bytes, const Layers& layers);
  Flow* oldest();
  void expire();
  void deliver_alone(Frame frame, bool valid);

  SimTime patience_;
  Owner& owner_;
  Executor* executor_ = nullptr;
  bool checksum_ = false;
  bool tso4_ = false;
  bool tso6_ = false;
  bool ecn_ = false;
  bool rsc_ = false;
  std::array<Flow, flows> flows_;
  std::uint64_t opened_ = 0;
  Timer timer_;
};

} // namespace virtio::net
