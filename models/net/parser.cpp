#include <virtio/net/parser.hpp>

#include <algorithm>

namespace virtio::net {

namespace {

constexpr std::uint8_t hop_by_hop = 0;
constexpr std::uint8_t routing = 43;
constexpr std::uint8_t fragment = 44;
constexpr std::uint8_t authentication = 51;
constexpr std::uint8_t destination_options = 60;
constexpr std::uint8_t mobility = 135;
constexpr std::uint8_t host_identity = 139;
constexpr std::uint8_t shim6 = 140;
constexpr std::uint8_t ipv4_in_ip = 4;
constexpr std::uint8_t ipv6_in_ip = 41;
constexpr std::uint8_t gre = 47;

/// The front of most extension headers.
struct ExtensionHeader {
  std::uint8_t next_header = 0;
  std::uint8_t words = 0; ///< of 8 bytes, besides the first
  std::uint8_t type = 0;  ///< of routing headers
  std::uint8_t left = 0;
  be32 reserved;
};
static_assert(sizeof(ExtensionHeader) == 8);

struct FragmentHeader {
  static constexpr std::uint16_t offset_mask = 0xfff8;
  static constexpr std::uint16_t more = 1;

  std::uint8_t next_header = 0;
  std::uint8_t reserved = 0;
  be16 offset;
  be32 id;
};
static_assert(sizeof(FragmentHeader) == 8);

struct GreHeader {
  static constexpr std::uint16_t checksum = 0x8000;
  static constexpr std::uint16_t routing = 0x4000;
  static constexpr std::uint16_t key = 0x2000;
  static constexpr std::uint16_t sequence = 0x1000;
  static constexpr std::uint16_t version_mask = 7;

  be16 flags;
  be16 protocol;
};
static_assert(sizeof(GreHeader) == 4);

/// VXLAN and, with a next protocol, VXLAN-GPE.
struct VxlanHeader {
  static constexpr std::uint8_t instance = 0x08;
  static constexpr std::uint8_t next_protocol = 0x04;
  static constexpr std::uint8_t version_mask = 0x30;

  std::uint8_t flags = 0;
  std::uint8_t reserved[2] = {};
  std::uint8_t protocol = 0; ///< of VXLAN-GPE
  be32 network;
};
static_assert(sizeof(VxlanHeader) == 8);

struct GeneveHeader {
  std::uint8_t version_and_words = 0; ///< of 4 bytes of options, in the lower six bits
  std::uint8_t flags = 0;
  be16 protocol;
  be32 network;
};
static_assert(sizeof(GeneveHeader) == 8);

/// The bit of an extension header's kind; 0: the protocol is none.
std::uint8_t extension_kind(std::uint8_t protocol) {
  switch (protocol) {
  case hop_by_hop:
    return extension_hop_by_hop;
  case routing:
    return extension_routing;
  case destination_options:
    return extension_destination;
  case fragment:
    return extension_fragment;
  case authentication:
  case mobility:
  case host_identity:
  case shim6:
    return extension_other;
  default:
    return 0;
  }
}

class Parser {
public:
  Parser(Frame frame, const ParseRules& rules)
      : rules_(rules), size_(frame.size()),
        visible_(frame.first(std::min(frame.size(), rules.max_parse_bytes))) {}

  Headers run() {
    std::size_t at = 0;
    headers_.type = ethernet(at, headers_.tags, headers_.flaw);
    if (headers_.flaw != Flaw::none) return headers_;
    headers_.payload = offset(at);
    headers_.outer = ip(at, size_, headers_.type);
    if (rules_.tunnels) look_into(headers_.outer);
    return headers_;
  }

private:
  static std::uint32_t offset(std::size_t at) { return static_cast<std::uint32_t>(at); }

  /// Copies a layout that lies below `end`.
  template <class Layout> bool read(std::size_t at, std::size_t end, Layout& layout) const {
    const std::size_t limit = std::min(end, visible_.size());
    return at <= limit && read_layout(visible_.first(limit).subspan(at), layout);
  }
  bool reaches(std::size_t at, std::size_t length, std::size_t end) const {
    const std::size_t limit = std::min(end, visible_.size());
    return at <= limit && length <= limit - at;
  }
  std::uint8_t byte(std::size_t at) const { return std::to_integer<std::uint8_t>(visible_[at]); }

  std::uint16_t ethernet(std::size_t& at, std::uint8_t& tags, Flaw& flaw, std::size_t end) const {
    EthernetHeader header;
    if (!read(at, end, header)) {
      flaw = Flaw::ethernet;
      return 0;
    }
    at += sizeof header;
    std::uint16_t type = header.type;
    while (type == ethertype_vlan || type == ethertype_service_vlan) {
      VlanTag tag;
      if (tags == max_vlan_tags || !read(at, end, tag)) {
        flaw = Flaw::ethernet;
        return 0;
      }
      ++tags;
      at += sizeof tag;
      type = tag.type;
    }
    return type;
  }
  std::uint16_t ethernet(std::size_t& at, std::uint8_t& tags, Flaw& flaw) const {
    return ethernet(at, tags, flaw, size_);
  }

  IpHeaders ip(std::size_t at, std::size_t end, std::uint16_t type) const {
    IpHeaders found;
    if (type == ethertype_ipv4)
      ipv4(at, end, found);
    else if (type == ethertype_ipv6)
      ipv6(at, end, found);
    return found;
  }

  void ipv4(std::size_t at, std::size_t end, IpHeaders& found) const {
    Ipv4Header header;
    const bool whole = read(at, end, header) && header.version_and_words >> 4 == 4;
    const std::size_t length = 4u * (header.version_and_words & 0xf);
    if (!whole || length < sizeof header || !reaches(at, length, end)) {
      found.flaw = Flaw::ip_header;
      return;
    }
    found.version = 4;
    found.network = offset(at);
    found.protocol = header.protocol;
    found.more_fragments = (header.fragment & Ipv4Header::more_fragments) != 0;
    found.fragment_offset = static_cast<std::uint16_t>(8u * (header.fragment & 0x1fffu));
    if (header.total_len < length || header.total_len > end - at) {
      found.flaw = Flaw::ip_length;
      return;
    }
    found.end = offset(at + header.total_len);
    found.transport = found.fragmentable = offset(at + length);
    transport(found);
  }

  void ipv6(std::size_t at, std::size_t end, IpHeaders& found) const {
    Ipv6Header header;
    if (!read(at, end, header) || header.version_and_class >> 4 != 6) {
      found.flaw = Flaw::ip_header;
      return;
    }
    found.version = 6;
    found.network = offset(at);
    found.protocol = header.next_header;
    if (header.payload_len > end - at - sizeof header) {
      found.flaw = Flaw::ip_length;
      return;
    }
    found.end = offset(at + sizeof header + header.payload_len);
    found.next_header = offset(at + offsetof(Ipv6Header, next_header));
    found.fragmentable = offset(at + sizeof header);
    if (extensions(at + sizeof header, found)) transport(found);
  }

  /// Each extension header takes at least 8 bytes, so that the chain ends.
  bool extensions(std::size_t at, IpHeaders& found) const {
    while (const std::uint8_t kind = extension_kind(found.protocol)) {
      ExtensionHeader header;
      if (!read(at, found.end, header)) return flawed(found, Flaw::extension);
      const std::size_t length = found.protocol == fragment         ? sizeof(FragmentHeader)
                                 : found.protocol == authentication ? 4u * header.words + 8u
                                                                    : 8u * header.words + 8u;
      if (!reaches(at, length, found.end)) return flawed(found, Flaw::extension);
      found.extensions |= kind;
      extension(at, length, header, found);
      // What every fragment repeats ends with hop-by-hop options and routing (RFC 8200, 4.5).
      if ((found.protocol == hop_by_hop || found.protocol == routing) && found.fragment == 0) {
        found.next_header = offset(at);
        found.fragmentable = offset(at + length);
      }
      found.protocol = header.next_header;
      at += length;
      if (found.fragment_offset != 0) break;
    }
    found.transport = offset(at);
    return true;
  }

  static bool flawed(IpHeaders& found, Flaw flaw) {
    found.flaw = flaw;
    return false;
  }

  void extension(std::size_t at, std::size_t length, const ExtensionHeader& header,
                 IpHeaders& found) const {
    FragmentHeader part;
    if (found.protocol == fragment && read(at, found.end, part)) {
      found.fragment = offset(at);
      found.fragment_offset = part.offset & FragmentHeader::offset_mask;
      found.more_fragments = (part.offset & FragmentHeader::more) != 0;
    } else if (found.fragmented()) {
      return;
    } else if (found.protocol == destination_options) {
      home_address(at + 2, at + length, found);
    } else if (found.protocol == routing && header.type == 2) {
      if (length != 24)
        found.flaw = Flaw::option;
      else if (found.routing_address == 0)
        found.routing_address = offset(at + sizeof header);
    }
  }

  void home_address(std::size_t at, std::size_t end, IpHeaders& found) const {
    constexpr std::uint8_t pad = 0;
    constexpr std::uint8_t home = 201;
    while (at < end) {
      if (byte(at) == pad) {
        ++at;
        continue;
      }
      if (end - at < 2 || byte(at + 1) > end - at - 2) {
        found.flaw = Flaw::option;
        return;
      }
      if (byte(at) == home && byte(at + 1) != 16) found.flaw = Flaw::option;
      if (byte(at) == home && byte(at + 1) == 16 && found.home_address == 0)
        found.home_address = offset(at + 2);
      at += 2u + byte(at + 1);
    }
  }

  void transport(IpHeaders& found) const {
    if (found.fragment_offset != 0) return;
    const std::size_t at = found.transport;
    if (found.protocol == Ipv4Header::tcp) {
      TcpHeader tcp;
      if (!read(at, found.end, tcp)) {
        found.flaw = Flaw::transport;
        return;
      }
      const std::size_t length = 4u * (tcp.words_and_flags >> 12);
      if (length < sizeof tcp || !reaches(at, length, found.end))
        found.flaw = Flaw::transport_length;
      else
        found.payload = offset(at + length);
    } else if (found.protocol == Ipv4Header::udp) {
      UdpHeader udp;
      if (!read(at, found.end, udp))
        found.flaw = Flaw::transport;
      else if (udp.len < sizeof udp || (!found.fragmented() && udp.len > found.end - at))
        found.flaw = Flaw::transport_length;
      else
        found.payload = offset(at + sizeof udp);
    }
  }

  void look_into(const IpHeaders& outer) {
    if (outer.transport == 0 || outer.fragmented()) return;
    const std::size_t at = outer.transport;
    if (outer.protocol == gre) {
      find_gre(at, outer.end, Encapsulation::gre);
    } else if (outer.protocol == ipv4_in_ip || outer.protocol == ipv6_in_ip) {
      encapsulated(Encapsulation::ip, at, at,
                   outer.protocol == ipv4_in_ip ? ethertype_ipv4 : ethertype_ipv6, outer.end);
    } else if (outer.udp()) {
      UdpHeader udp;
      if (read(at, outer.end, udp)) find_in_udp(udp.destination_port, outer.payload, at + udp.len);
    }
  }

  void find_in_udp(std::uint16_t port, std::size_t at, std::size_t end) {
    if (port == rules_.vxlan_port)
      find_vxlan(at, end);
    else if (port == rules_.geneve_port)
      find_geneve(at, end);
    else if (port == rules_.vxlan_gpe_port)
      find_vxlan_gpe(at, end);
    else if (port == rules_.gre_udp_port)
      find_gre(at, end, Encapsulation::gre_udp);
  }

  void find_gre(std::size_t at, std::size_t end, Encapsulation kind) {
    GreHeader header;
    if (!read(at, end, header)) return;
    const unsigned flags = header.flags;
    if ((flags & (GreHeader::version_mask | GreHeader::routing)) != 0) return;
    std::size_t length = sizeof header;
    for (const unsigned field : {GreHeader::checksum, GreHeader::key, GreHeader::sequence})
      if ((flags & field) != 0) length += 4;
    if (!reaches(at, length, end)) return;
    headers_.tunnel.key = (flags & GreHeader::key) != 0;
    headers_.tunnel.sequence = (flags & GreHeader::sequence) != 0;
    encapsulated(kind, at, at + length, header.protocol, end);
  }

  void find_vxlan(std::size_t at, std::size_t end) {
    VxlanHeader header;
    if (read(at, end, header) && (header.flags & VxlanHeader::instance) != 0)
      encapsulated(Encapsulation::vxlan, at, at + sizeof header, ethertype_bridged, end);
  }

  void find_vxlan_gpe(std::size_t at, std::size_t end) {
    VxlanHeader header;
    if (!read(at, end, header) || (header.flags & VxlanHeader::version_mask) != 0) return;
    std::uint16_t type = ethertype_bridged;
    if ((header.flags & VxlanHeader::next_protocol) != 0)
      type = header.protocol == 1   ? ethertype_ipv4
             : header.protocol == 2 ? ethertype_ipv6
             : header.protocol == 3 ? ethertype_bridged
                                    : std::uint16_t{0};
    encapsulated(Encapsulation::vxlan_gpe, at, at + sizeof header, type, end);
  }

  void find_geneve(std::size_t at, std::size_t end) {
    GeneveHeader header;
    if (!read(at, end, header) || header.version_and_words >> 6 != 0) return;
    const std::size_t length = sizeof header + 4u * (header.version_and_words & 0x3f);
    if (reaches(at, length, end))
      encapsulated(Encapsulation::geneve, at, at + length, header.protocol, end);
  }

  void encapsulated(Encapsulation kind, std::size_t at, std::size_t payload, std::uint16_t type,
                    std::size_t end) {
    headers_.tunnel.kind = kind;
    headers_.tunnel.header = offset(at);
    headers_.tunnel.payload = offset(payload);
    headers_.tunnel.protocol = type;
    if (type == ethertype_bridged) {
      Flaw flaw = Flaw::none;
      type = ethernet(payload, headers_.inner_tags, flaw, end);
      if (flaw != Flaw::none) {
        headers_.inner.flaw = flaw;
        return;
      }
    }
    headers_.inner = ip(payload, end, type);
  }

  const ParseRules& rules_;
  std::size_t size_;
  Frame visible_;
  Headers headers_;
};

} // namespace

Headers parse(Frame frame, const ParseRules& rules) {
  return Parser(frame, rules).run();
}

} // namespace virtio::net
