#include <virtio/net/dhcp_peer.hpp>

#include <algorithm>

namespace virtio::net {

namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint16_t server_port = 67;
constexpr std::uint16_t client_port = 68;
/// BOOTP's fixed size, which old clients insist on.
constexpr std::size_t dhcp_message_bytes = 300;

enum DhcpOption : std::uint8_t {
  pad = 0,
  subnet_mask = 1,
  router = 3,
  requested_address = 50,
  lease_time = 51,
  message_type = 53,
  server_identifier = 54,
  end = 255,
};
enum DhcpType : std::uint8_t { discover = 1, offer = 2, request = 3, ack = 5, nak = 6 };

/// The options that decide about the answer.
struct DhcpRequest {
  std::uint8_t type = 0;
  std::optional<std::uint32_t> requested;
  std::optional<std::uint32_t> server;
};

/// Walks the options; one that runs past the end ends the walk.
DhcpRequest read_options(Bytes options) {
  DhcpRequest found;
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint8_t>(options[i]); };
  while (!options.empty() && at(0) != end) {
    if (at(0) == pad) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options.size() - 2 < at(1)) break;
    const Bytes value = options.subspan(2, at(1));
    be32 address;
    if (at(0) == message_type && value.size() == 1)
      found.type = std::to_integer<std::uint8_t>(value[0]);
    else if (at(0) == requested_address && value.size() == 4 && read_layout(value, address))
      found.requested = address;
    else if (at(0) == server_identifier && value.size() == 4 && read_layout(value, address))
      found.server = address;
    options = options.subspan(2 + value.size());
  }
  return found;
}

/// A DHCP message under construction.
class DhcpReply {
public:
  explicit DhcpReply(const DhcpMessage& message) { append(message); }
  void option(DhcpOption code, std::uint8_t value) {
    append(std::array<std::uint8_t, 3>{code, 1, value});
  }
  void option(DhcpOption code, std::uint32_t value) {
    append(std::array<std::uint8_t, 2>{code, 4});
    append(be32(value));
  }
  const std::array<std::byte, dhcp_message_bytes>& finish() {
    append(std::array<std::uint8_t, 1>{end});
    return bytes_;
  }

private:
  template <class Layout> void append(const Layout& layout) {
    std::memcpy(bytes_.data() + size_, &layout, sizeof layout);
    size_ += sizeof layout;
  }
  std::array<std::byte, dhcp_message_bytes> bytes_{};
  std::size_t size_ = 0;
};

std::uint16_t udp_checksum(std::uint32_t source, std::uint32_t destination, Bytes datagram) {
  UdpPseudoHeader pseudo;
  pseudo.source = source;
  pseudo.destination = destination;
  pseudo.len = static_cast<std::uint16_t>(datagram.size());
  return Checksum().add_layout(pseudo).add(datagram).value();
}

/// What a UDP datagram from a DHCP client to a DHCP server carries; empty when it is anything else.
Bytes read_dhcp_datagram(const Ipv4Header& ip, Bytes datagram) {
  UdpHeader udp;
  if (!read_layout(datagram, udp) || udp.destination_port != server_port ||
      udp.source_port != client_port || udp.len < sizeof udp || udp.len > datagram.size())
    return {};
  datagram = datagram.first(udp.len);
  if (udp.checksum != 0 && udp_checksum(ip.source, ip.destination, datagram) != 0) return {};
  return datagram.subspan(sizeof udp);
}

template <class Layout> std::byte* put(std::byte* at, const Layout& layout) {
  std::memcpy(at, &layout, sizeof layout);
  return at + sizeof layout;
}

} // namespace

void DhcpPeer::connect(FrameSink& device, Executor& executor) {
  Wire::connect(device, executor);
  scope_.emplace(executor, "dhcp peer");
}

void DhcpPeer::transmit(Frame frame) {
  const auto slot = std::find_if(answers_.begin(), answers_.end(),
                                 [](const Answer& answer) { return !answer.waiting; });
  EthernetHeader ethernet;
  const bool for_us = read_layout(frame, ethernet) && (ethernet.destination == params_.mac ||
                                                       ethernet.destination == broadcast_mac);
  bool answered = false;
  if (slot != answers_.end() && for_us) {
    if (ethernet.type == ethertype_arp) answered = answer_arp(frame, *slot);
    if (ethernet.type == ethertype_ipv4) answered = answer_ipv4(frame, *slot);
  }
  if (!answered) {
    ++stats_.ignored;
    return;
  }
  slot->waiting = true;
  scope_->start([&] { return send(*slot); });
}

Task<> DhcpPeer::send(Answer& answer) {
  const bool elapsed = co_await delay(*scope_, params_.delay);
  if (!elapsed) co_return;
  deliver(answer.frame);
  answer.waiting = false;
}

bool DhcpPeer::answer_arp(Frame frame, Answer& answer) {
  const ArpPacket expected;
  ArpPacket arp;
  if (!read_layout(frame.subspan(sizeof(EthernetHeader)), arp)) return false;
  if (arp.hardware_type != expected.hardware_type || arp.protocol_type != expected.protocol_type ||
      arp.hardware_len != expected.hardware_len || arp.protocol_len != expected.protocol_len ||
      arp.operation != ArpPacket::request || arp.target_ip != params_.server)
    return false;

  ArpPacket reply;
  reply.operation = ArpPacket::reply;
  reply.sender_mac = params_.mac;
  reply.sender_ip = params_.server;
  reply.target_mac = arp.sender_mac;
  reply.target_ip = arp.sender_ip;
  answer.frame.assign(min_frame_bytes, std::byte{0});
  std::byte* at = answer.frame.data();
  at = put(at, EthernetHeader{arp.sender_mac, params_.mac, ethertype_arp});
  put(at, reply);
  ++stats_.arp_replies;
  return true;
}

bool DhcpPeer::answer_ipv4(Frame frame, Answer& answer) {
  EthernetHeader ethernet;
  Datagram datagram;
  read_layout(frame, ethernet);
  const Bytes packet = frame.subspan(sizeof ethernet); // the frame may be longer: padding
  Ipv4Header& ip = datagram.ip;
  if (!read_layout(packet, ip) || ip.version_and_words >> 4 != 4) return false;
  const std::size_t header_len = 4u * (ip.version_and_words & 0xf);
  const std::size_t total_len = ip.total_len;
  if (header_len < sizeof ip || total_len < header_len || total_len > packet.size()) return false;
  if (Checksum().add(packet.first(header_len)).value() != 0) return false;
  if (ip.fragment & Ipv4Header::fragment_mask) return false;
  datagram.from = ethernet.source;
  datagram.payload = packet.subspan(header_len, total_len - header_len);

  if (ip.protocol == Ipv4Header::icmp) return answer_echo(datagram, answer);
  if (ip.protocol == Ipv4Header::udp) return answer_dhcp(datagram, answer);
  return false;
}

bool DhcpPeer::answer_echo(const Datagram& request, Answer& answer) {
  IcmpEcho echo;
  if (request.ip.destination != params_.server || !read_layout(request.payload, echo)) return false;
  if (echo.type != IcmpEcho::request || echo.code != 0) return false;
  if (Checksum().add(request.payload).value() != 0) return false;

  put_ipv4(answer, request.from, request.ip.source, Ipv4Header::icmp, request.payload);
  const auto payload =
      std::span(answer.frame)
          .subspan(sizeof(EthernetHeader) + sizeof(Ipv4Header), request.payload.size());
  echo.type = IcmpEcho::reply;
  echo.checksum = std::uint16_t{0};
  put(payload.data(), echo);
  echo.checksum = Checksum().add(payload).value();
  put(payload.data(), echo);
  ++stats_.echo_replies;
  return true;
}

bool DhcpPeer::answer_dhcp(const Datagram& request, Answer& answer) {
  const Bytes body = read_dhcp_datagram(request.ip, request.payload);
  DhcpMessage message;
  if (!read_layout(body, message) || message.op != DhcpMessage::boot_request ||
      message.hardware_type != 1 || message.hardware_len != sizeof(MacAddress) ||
      message.magic != DhcpMessage::magic_cookie)
    return false;
  const DhcpRequest wanted = read_options(body.subspan(sizeof message));
  if (wanted.type == DhcpType::discover) {
    ++stats_.offers;
    put_dhcp(answer, message, DhcpType::offer);
    return true;
  }
  if (wanted.type != DhcpType::request) return false;
  if (wanted.server && *wanted.server != params_.server) return false; // it chose another server
  const bool granted = wanted.requested.value_or(message.client_ip) == params_.lease;
  ++(granted ? stats_.acks : stats_.naks);
  put_dhcp(answer, message, granted ? DhcpType::ack : DhcpType::nak);
  return true;
}

void DhcpPeer::put_dhcp(Answer& answer, const DhcpMessage& request, std::uint8_t type) {
  const bool refused = type == DhcpType::nak;
  DhcpMessage reply;
  reply.op = DhcpMessage::boot_reply;
  reply.transaction = request.transaction;
  reply.flags = request.flags;
  reply.client_mac = request.client_mac;
  if (!refused) {
    reply.your_ip = params_.lease;
    reply.server_ip = params_.server;
  }
  DhcpReply dhcp(reply);
  dhcp.option(message_type, type);
  dhcp.option(server_identifier, params_.server);
  if (!refused) {
    dhcp.option(lease_time, params_.lease_seconds);
    dhcp.option(subnet_mask, params_.netmask);
    dhcp.option(router, params_.server);
  }

  // RFC 2131, 4.1: to the address that the client has, else to the one that it gets, unless it
  // cannot receive there yet.
  MacAddress to_mac{};
  std::copy_n(request.client_mac.begin(), to_mac.size(), to_mac.begin());
  std::uint32_t to_ip = request.client_ip != 0 ? request.client_ip : reply.your_ip;
  if (refused || (request.client_ip == 0 && (request.flags & DhcpMessage::broadcast_flag))) {
    to_mac = broadcast_mac;
    to_ip = ipv4(255, 255, 255, 255);
  }
  std::array<std::byte, sizeof(UdpHeader) + dhcp_message_bytes> datagram;
  UdpHeader udp{server_port, client_port, static_cast<std::uint16_t>(datagram.size()), {}};
  put(put(datagram.data(), udp), dhcp.finish());
  const std::uint16_t checksum = udp_checksum(params_.server, to_ip, datagram);
  udp.checksum = checksum == 0 ? std::uint16_t{0xffff} : checksum; // 0 would mean: none
  put(datagram.data(), udp);
  put_ipv4(answer, to_mac, to_ip, Ipv4Header::udp, datagram);
}

void DhcpPeer::put_ipv4(Answer& answer, const MacAddress& to_mac, std::uint32_t to_ip,
                        std::uint8_t protocol, std::span<const std::byte> payload) {
  Ipv4Header ip;
  ip.total_len = static_cast<std::uint16_t>(sizeof ip + payload.size());
  ip.protocol = protocol;
  ip.source = params_.server;
  ip.destination = to_ip;
  ip.checksum = Checksum().add_layout(ip).value();
  const std::size_t size = sizeof(EthernetHeader) + sizeof ip + payload.size();
  answer.frame.assign(std::max(size, min_frame_bytes), std::byte{0});
  std::byte* at = put(answer.frame.data(), EthernetHeader{to_mac, params_.mac, ethertype_ipv4});
  at = put(at, ip);
  std::copy(payload.begin(), payload.end(), at);
}

} // namespace virtio::net
