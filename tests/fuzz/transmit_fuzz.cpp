// What a driver asks to have done to a packet, and what comes in from a wire: any virtio_net_hdr,
// any bytes, any features. Every frame is as long as was said, carries its part of the packet and
// nothing else; what is segmented and joined again is complete. The input: features,
// virtio_net_hdr, the packet.
#include "fuzz/support.hpp"

#include <virtio/net/coalescer.hpp>
#include <virtio/net/features.hpp>
#include <virtio/net/segment.hpp>

namespace virtio::fuzz {
namespace {

using namespace net;

/// Counts what comes out of a coalescer.
class Driver final : public Coalescer::Owner {
public:
  void deliver(const virtio_net_hdr& header, Frame packet) override {
    const auto layers = layers_of(packet);
    if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
      require(!(header.flags & VIRTIO_NET_HDR_F_DATA_VALID) ||
                  (layers && checksums_right(packet, *layers)),
              "what is vouched for is right");
    } else {
      require(layers && layers->tcp && layers->end == packet.size(), "a joined packet is whole");
      require(header.gso_size != 0 && header.hdr_len == layers->payload, "and can be cut again");
    }
    payload += layers ? layers->end - layers->payload : 0;
    frames += 1;
  }
  void joined() override { ++joins; }
  std::size_t payload = 0;
  std::size_t frames = 0;
  std::size_t joins = 0;
};

FeatureSet features(Input& input) {
  FeatureSet set;
  set.set_word32(0, input.u32());
  set.set_word32(1, input.u32());
  return set & all_net_features;
}

std::size_t payload_of(Frame frame) {
  const auto layers = layers_of(frame);
  return layers ? layers->end - layers->payload : 0;
}

void receive(const std::vector<std::vector<std::byte>>& frames, const FeatureSet& offloads) {
  Executor executor;
  Driver driver;
  Coalescer coalescer(SimTime{}, driver);
  coalescer.attach(executor);
  coalescer.use(offloads);
  std::size_t payload = 0;
  for (const auto& frame : frames) {
    payload += payload_of(frame);
    coalescer.receive(frame);
  }
  executor.run_until_idle();
  require(driver.payload == payload, "nothing of a stream is lost or doubled");
  require(driver.frames + driver.joins == frames.size(), "every frame is counted once");
}

void transmit(Input input, std::span<const std::byte> bytes) {
  const FeatureSet negotiated = features(input);
  bytes = bytes.subspan(std::min<std::size_t>(bytes.size(), 8));
  virtio_net_hdr header;
  if (!read_layout(bytes, header) || bytes.size() < sizeof header + sizeof(EthernetHeader)) return;
  const Frame packet = bytes.subspan(sizeof header);
  const auto plan = TransmitPlan::make(header, packet, negotiated);
  if (!plan) return;
  require(plan->frames() >= 1 && plan->frames() <= packet.size(), "bounded work");
  require(!plan->unchanged() || plan->frames() == 1, "an unchanged packet is one frame");
  std::vector<std::vector<std::byte>> frames;
  std::size_t payload = 0;
  for (std::size_t i = 0; i < plan->frames(); ++i) {
    auto& frame = frames.emplace_back(plan->size(i)); // AddressSanitizer sees its end
    plan->write(i, frame);
    require(frame.size() <= plan->size(0), "none is longer than the first");
    payload += payload_of(frame);
  }
  const auto layers = layers_of(packet);
  const unsigned kind = header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
  const bool segments = plan->frames() > 1 && kind != VIRTIO_NET_HDR_GSO_UDP;
  require(!segments || (layers && payload == layers->end - layers->payload),
          "segments carry the packet's payload");
  receive(frames, negotiated);
}

} // namespace
} // namespace virtio::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  virtio::fuzz::transmit(virtio::fuzz::Input({data, size}), std::as_bytes(std::span(data, size)));
  return 0;
}
