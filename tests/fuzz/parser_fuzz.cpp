// The parser and the choice of what is hashed: any rules, any bytes. Every offset that is given is
// inside the packet, in the order of the headers; what is hashed is as long as its report says and
// the same by every way. The input: rules, then the packet.
#include "fuzz/support.hpp"

#include <virtio/net/hash.hpp>
#include <virtio/net/layers.hpp>
#include <virtio/net/steering.hpp>

#include <algorithm>
#include <memory>

namespace virtio::fuzz {
namespace {

using namespace net;

void check(const IpHeaders& ip, std::size_t size) {
  if (ip.version == 0) {
    require(ip.network == 0 && ip.transport == 0, "without an IP header there is nothing");
    return;
  }
  require(ip.network + (ip.version == 4 ? 20u : 40u) <= size, "an IP header is in the packet");
  require(ip.end <= size, "an IP packet ends in the frame");
  require(ip.transport <= ip.end && ip.payload <= ip.end, "headers are in the IP packet");
  require(ip.transport == 0 || ip.fragmentable <= ip.transport, "extension headers come first");
  require(ip.payload == 0 || ip.payload > ip.transport, "a transport header has bytes");
  for (const std::uint32_t address : {ip.home_address, ip.routing_address})
    require(address == 0 || address + 16 <= ip.end, "an address is in the IP packet");
}

std::size_t size_of(HashReport report) {
  switch (report) {
  case HashReport::NONE:
    return 0;
  case HashReport::IPv4:
    return 8;
  case HashReport::TCPv4:
  case HashReport::UDPv4:
    return 12;
  case HashReport::IPv6:
  case HashReport::IPv6_EX:
    return 32;
  default:
    return 36;
  }
}

void run(Input input) {
  HashRules rules;
  rules.types = input.u16() & (all_hash_types | all_inner_hash_types);
  rules.tunnels = input.u16() & all_tunnel_types;
  const std::uint8_t flags = input.u8();
  rules.ports_of_first_fragment = (flags & 1) != 0;
  if (flags & 2) rules.parse.max_parse_bytes = input.u8();
  if (flags & 4) rules.parse.tunnels = false;
  std::vector<std::byte> bytes;
  while (!input.empty())
    bytes.push_back(static_cast<std::byte>(input.u8()));
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, exact.get());
  const Frame frame(exact.get(), bytes.size());

  const Headers headers = parse(frame, rules.parse);
  require(headers.payload <= frame.size(), "the Ethernet header is in the frame");
  check(headers.outer, frame.size());
  check(headers.inner, frame.size());
  if (headers.tunnel.kind != Encapsulation::none) {
    require(headers.tunnel.payload <= headers.outer.end, "a tunnel header is in the packet");
    require(headers.inner.end <= headers.outer.end, "what is inside ends inside");
  }
  const HashInput hashed = hash_input(frame, rules);
  require(hashed.size == size_of(hashed.report), "a report says how much is hashed");
  require(hashed.report == HashReport::NONE ||
              (rules.types >> (static_cast<unsigned>(hashed.report) - 1) & 1) != 0,
          "only enabled types are hashed");
  require(hashed.tunnel == TunnelReport::NONE || hashed.inner,
          "a tunnel is reported of what it holds");
  constexpr std::array<std::uint8_t, 40> key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2};
  static const Toeplitz table(key, Toeplitz::Way::table);
  static const Toeplitz fastest(key);
  require(hash_of(frame, rules, table).value == hash_of(frame, rules, fastest).value,
          "every way gives the same hash");
  (void)layers_of(frame);
  (void)flow_of(frame);
}

} // namespace
} // namespace virtio::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  virtio::fuzz::run(virtio::fuzz::Input({data, size}));
  return 0;
}
