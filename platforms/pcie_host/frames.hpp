// The frames of a network workload: of one size, a mix of sizes, or those of a pcap file.
#pragma once

#include <virtio/core/random.hpp>
#include <virtio/net/packet.hpp>
#include <virtio/platforms/config/config.hpp>
#include <virtio/platforms/pcie_host/wide.hpp>

#include <tl/expected.hpp>

#include <vector>

namespace virtio::platform::pcie_host {

/// A frame of a pcap file, with its distance from the first.
struct RecordedFrame {
  SimTime offset;
  std::vector<std::byte> bytes;
};
/// The error is a sentence that names the file.
tl::expected<std::vector<RecordedFrame>, std::string> read_pcap(const std::filesystem::path& path);

/// What a frame takes on the wire beside its bytes: preamble, frame check sequence, gap (IEEE
/// 802.3).
inline constexpr std::uint64_t wire_overhead = 24;

class Frames {
public:
  /// Where generated frames go: a UDP datagram from one end to the other.
  struct Flow {
    net::MacAddress source{};
    net::MacAddress destination{};
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t source_ip = 0;
    std::uint32_t destination_ip = 0;
  };
  /// `recorded` outlives this; it is for FrameSource::pcap.
  Frames(const NetWorkloadConfig& config, const std::vector<RecordedFrame>& recorded,
         Random random);

  /// The next frame. Generated ones carry their number, so that no two are the same.
  void next(const Flow& flow, std::vector<std::byte>& frame);
  /// The recorded frame that next() gave last.
  const RecordedFrame& latest() const { return recorded_[(number_ - 1) % recorded_.size()]; }
  /// Of those that next() will have given in the long run, in bytes; rounded.
  std::uint64_t mean_bytes() const;
  std::uint64_t largest_bytes() const;

private:
  std::size_t choose_size();

  FrameSource source_;
  std::size_t size_;
  const std::vector<RecordedFrame>& recorded_;
  Random random_;
  std::uint64_t number_ = 0;
};

} // namespace virtio::platform::pcie_host
