// What a driver may ask to have done to a packet before it is sent (virtio 1.4, 5.1.6.2): its
// checksum completed, TCP and UDP cut into segments, UDP datagrams into fragments. Pure functions
// over bytes: a plan is made once, and any of its frames is written into the caller's buffer.
#pragma once

#include <virtio/core/features.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/layers.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace virtio::net {

/// The frames that one transmitted packet becomes.
class TransmitPlan {
public:
  /// What `header` asks for. Nothing when it cannot be done: a segmentation that was not negotiated
  /// or does not fit the packet, places outside the packet, lengths that lie. `packet` must stay
  /// valid for write(); it has at least 14 bytes. `fragment_id` is given to the fragments of an
  /// IPv6 packet.
  static std::optional<TransmitPlan> make(const virtio_net_hdr& header, Frame packet,
                                          const FeatureSet& negotiated,
                                          std::uint32_t fragment_id = 0);

  std::size_t frames() const { return frames_; }
  /// Bytes of frame `i`, below frames(). None is longer than the first.
  std::size_t size(std::size_t i) const;
  /// Writes frame `i` to the front of `to`, of at least size(i) bytes.
  void write(std::size_t i, std::span<std::byte> to) const;
  /// True when frame 0 is the packet as it is.
  bool unchanged() const { return kind_ == Kind::unchanged; }

private:
  enum class Kind : std::uint8_t { unchanged, checksum, tcp, udp, fragments };

  bool plan(const virtio_net_hdr& header, const FeatureSet& negotiated);
  bool plan_checksum(const virtio_net_hdr& header);
  bool plan_segments(const virtio_net_hdr& header, const FeatureSet& negotiated);
  std::size_t chunk(std::size_t i) const;
  void write_segment(std::size_t i, std::span<std::byte> to) const;
  void write_fragment(std::size_t i, std::span<std::byte> to) const;
  void write_checksum(std::span<std::byte> to, std::size_t from, std::size_t at,
                      std::uint16_t add) const;

  Frame packet_;
  Layers layers_;
  Kind kind_ = Kind::unchanged;
  std::size_t frames_ = 1;
  std::size_t headers_ = 0; // copied into every frame
  std::size_t mss_ = 0;
  std::size_t csum_start_ = 0;
  std::size_t csum_at_ = 0;
  std::uint32_t fragment_id_ = 0;
};

} // namespace virtio::net
