#include <virtio/platforms/pcie_host/frames.hpp>

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace virtio::platform::pcie_host {

namespace {

// Simple IMIX (RFC 6985, appendix A, without the frame check sequence): 7 : 4 : 1.
struct Share {
  std::size_t bytes;
  unsigned parts;
};
constexpr std::array<Share, 3> imix{{{60, 7}, {590, 4}, {1514, 1}}};
constexpr unsigned imix_parts = 12;

template <class Layout> std::byte* put(std::byte* to, const Layout& layout) {
  std::memcpy(to, &layout, sizeof layout);
  return to + sizeof layout;
}

SimTime time_of(const pcap_pkthdr& header) {
  return nanoseconds(static_cast<std::uint64_t>(header.ts.tv_sec) * 1'000'000'000 +
                     static_cast<std::uint64_t>(header.ts.tv_usec));
}

} // namespace

tl::expected<std::vector<RecordedFrame>, std::string> read_pcap(const std::filesystem::path& path) {
  const auto fail = [&](std::string_view what) {
    return tl::unexpected(fmt::format("{}: {}", path.string(), what));
  };
  std::array<char, PCAP_ERRBUF_SIZE> reason{};
  const std::unique_ptr<pcap_t, void (*)(pcap_t*)> file(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO,
                                              reason.data()),
      [](pcap_t* handle) { pcap_close(handle); });
  if (!file) return tl::unexpected(std::string(reason.data()));
  if (pcap_datalink(file.get()) != DLT_EN10MB) return fail("does not hold Ethernet frames");
  std::vector<RecordedFrame> frames;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int result = 0;
  SimTime first;
  while ((result = pcap_next_ex(file.get(), &header, &bytes)) == 1) {
    if (header->caplen != header->len) return fail("holds a frame that was cut off");
    if (frames.empty()) first = time_of(*header);
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    const SimTime time = std::max(time_of(*header), first);
    if (header->len >= sizeof(net::EthernetHeader))
      frames.push_back({time - first, {begin, begin + header->len}});
  }
  if (result == PCAP_ERROR) return fail(pcap_geterr(file.get()));
  if (frames.empty()) return fail("holds no frame");
  return frames;
}

Frames::Frames(const NetWorkloadConfig& config, const std::vector<RecordedFrame>& recorded,
               Random random)
    : source_(config.frames), size_(config.frame_bytes), recorded_(recorded), random_(random) {}

std::size_t Frames::choose_size() {
  if (source_ == FrameSource::fixed) return size_;
  auto part = random_.below(imix_parts);
  for (const Share& share : imix) {
    if (part < share.parts) return share.bytes;
    part -= share.parts;
  }
  return imix.back().bytes;
}

void Frames::next(const Flow& flow, std::vector<std::byte>& frame) {
  if (source_ == FrameSource::pcap) {
    frame = recorded_[number_++ % recorded_.size()].bytes;
    return;
  }
  frame.resize(choose_size());
  const std::size_t packet = frame.size() - sizeof(net::EthernetHeader);
  net::Ipv4Header ip;
  ip.protocol = net::Ipv4Header::udp;
  ip.total_len = static_cast<std::uint16_t>(packet);
  ip.source = flow.source_ip;
  ip.destination = flow.destination_ip;
  ip.checksum = net::Checksum().add_layout(ip).value();
  net::UdpHeader udp;
  udp.source_port = flow.source_port;
  udp.destination_port = flow.destination_port;
  udp.len = static_cast<std::uint16_t>(packet - sizeof ip); // checksum 0: none (RFC 768)
  std::byte* at =
      put(frame.data(), net::EthernetHeader{flow.destination, flow.source, net::ethertype_ipv4});
  at = put(put(at, ip), udp);
  std::uint64_t word = ++number_;
  for (std::byte* const end = frame.data() + frame.size(); at < end;) {
    const auto n = std::min<std::size_t>(sizeof word, static_cast<std::size_t>(end - at));
    std::memcpy(at, &word, n);
    at += n;
    word += 0x9e37'79b9'7f4a'7c15;
  }
}

std::uint64_t Frames::mean_bytes() const {
  std::uint64_t sum = 0;
  switch (source_) {
  case FrameSource::fixed:
    return size_;
  case FrameSource::imix:
    for (const Share& share : imix)
      sum += share.bytes * share.parts;
    return sum / imix_parts;
  case FrameSource::pcap:
    for (const RecordedFrame& frame : recorded_)
      sum += frame.bytes.size();
    return sum / recorded_.size();
  }
  return size_;
}

std::uint64_t Frames::largest_bytes() const {
  std::uint64_t largest = source_ == FrameSource::fixed ? size_ : imix.back().bytes;
  if (source_ == FrameSource::pcap)
    for (const RecordedFrame& frame : recorded_)
      largest = std::max<std::uint64_t>(largest, frame.bytes.size());
  return largest;
}

} // namespace virtio::platform::pcie_host
