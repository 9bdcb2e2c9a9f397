// A scripted peer on the wire: one machine with a fixed address that leases another fixed address
// by DHCP (RFC 2131), and answers ARP and ICMP echo for its own. Enough for firmware's `dhcp` and
// `ping`. Every frame is hostile until it was checked; what is not understood is ignored.
#pragma once

#include <virtio/core/task.hpp>
#include <virtio/net/wire.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace virtio::net {

struct DhcpPeerParams {
  MacAddress mac{0x52, 0x55, 0x0a, 0x00, 0x02, 0x02}; ///< QEMU's user network
  std::uint32_t server = ipv4(10, 0, 2, 2); ///< its own address, also router and boot server
  std::uint32_t lease = ipv4(10, 0, 2, 15);
  std::uint32_t netmask = ipv4(255, 255, 255, 0);
  std::uint32_t lease_seconds = 86'400;
  SimTime delay = microseconds(100); ///< from a frame to its answer (assumed)
};

struct DhcpPeerStats {
  std::uint64_t offers = 0;
  std::uint64_t acks = 0;
  std::uint64_t naks = 0;
  std::uint64_t arp_replies = 0;
  std::uint64_t echo_replies = 0;
  std::uint64_t ignored = 0; ///< frames without an answer
};

class DhcpPeer final : public Wire {
public:
  explicit DhcpPeer(const DhcpPeerParams& params = {}) : params_(params) {}

  void connect(FrameSink& device, Executor& executor) override;
  void transmit(Frame frame) override;
  const DhcpPeerStats& stats() const { return stats_; }

  /// Answers that may be on their way at a time; more frames than that are ignored, which bounds
  /// what a flood costs.
  static constexpr std::size_t max_answers = 16;

private:
  struct Answer {
    std::vector<std::byte> frame;
    bool waiting = false;
  };
  /// The datagram inside a frame, its lengths and checksums right.
  struct Datagram {
    MacAddress from{};
    Ipv4Header ip;
    std::span<const std::byte> payload;
  };

  bool answer_arp(Frame frame, Answer& answer);
  bool answer_ipv4(Frame frame, Answer& answer);
  bool answer_echo(const Datagram& request, Answer& answer);
  bool answer_dhcp(const Datagram& request, Answer& answer);
  void put_dhcp(Answer& answer, const DhcpMessage& request, std::uint8_t type);
  void put_ipv4(Answer& answer, const MacAddress& to_mac, std::uint32_t to_ip,
                std::uint8_t protocol, std::span<const std::byte> payload);
  Task<> send(Answer& answer);

  DhcpPeerParams params_;
  DhcpPeerStats stats_;
  std::array<Answer, max_answers> answers_;
  std::optional<Scope> scope_; // after what its tasks use
};

} // namespace virtio::net
