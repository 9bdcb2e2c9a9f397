#include <virtio/net/pcap.hpp>

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace virtio::net {

namespace {
constexpr int snapshot_bytes = 256 * 1024;
/// What SimTime holds, with room for the time before.
constexpr std::uint64_t longest_ns = 100ull * 86'400 * 1'000'000'000;

tl::unexpected<std::string> failed(const std::filesystem::path& path, std::string_view what) {
  return tl::make_unexpected(fmt::format("{}: {}", path.string(), what));
}
} // namespace

void PcapWriter::Close::operator()(pcap* handle) const {
  pcap_close(handle);
}
void PcapWriter::Close::operator()(pcap_dumper* dumper) const {
  pcap_dump_close(dumper);
}

tl::expected<std::unique_ptr<PcapWriter>, std::string>
PcapWriter::create(const std::filesystem::path& path) {
  std::unique_ptr<PcapWriter> writer(new PcapWriter);
  writer->handle_.reset(
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, snapshot_bytes, PCAP_TSTAMP_PRECISION_NANO));
  if (!writer->handle_) return failed(path, "no memory for a capture");
  // Opened here, for an error of the operating system instead of the library's repetition of the
  // path.
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (!file) return failed(path, fmt::format("cannot be created: {}", std::strerror(errno)));
  writer->dumper_.reset(pcap_dump_fopen(writer->handle_.get(), file));
  if (!writer->dumper_) {
    std::fclose(file);
    return failed(path, pcap_geterr(writer->handle_.get()));
  }
  return writer;
}

void PcapWriter::write(SimTime time, Frame frame) {
  constexpr std::uint64_t ps_per_second = 1'000'000'000'000;
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(time.ps / ps_per_second);
  header.ts.tv_usec = static_cast<suseconds_t>(time.ps % ps_per_second / 1000); // nanoseconds
  header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header,
            reinterpret_cast<const u_char*>(frame.data()));
  ++frames_;
}

bool PcapWriter::flush() {
  return pcap_dump_flush(dumper_.get()) == 0 && std::ferror(pcap_dump_file(dumper_.get())) == 0;
}

void CaptureWire::connect(FrameSink& device, Executor& executor) {
  Wire::connect(device, executor);
  inner_->connect(*this, executor);
}

void CaptureWire::transmit(Frame frame) {
  writer_->write(executor().now(), frame);
  inner_->transmit(frame);
}

void CaptureWire::on_frame(Frame frame) {
  writer_->write(executor().now(), frame);
  deliver(frame);
}

tl::expected<std::unique_ptr<ReplayWire>, std::string>
ReplayWire::open(const std::filesystem::path& path, const ReplayParams& params) {
  char error[PCAP_ERRBUF_SIZE] = {};
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (!file) return failed(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct Close {
    void operator()(pcap_t* handle) const { pcap_close(handle); }
  };
  const std::unique_ptr<pcap_t, Close> capture(
      pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error));
  if (!capture) {
    std::fclose(file);
    return failed(path, fmt::format("is not a capture: {}", error));
  }
  if (pcap_datalink(capture.get()) != DLT_EN10MB)
    return failed(path, fmt::format("holds frames of link type {}, not Ethernet",
                                    pcap_datalink(capture.get())));

  std::unique_ptr<ReplayWire> wire(new ReplayWire(params));
  std::uint64_t first = 0; // nanoseconds
  std::uint64_t last = 0;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int result = 0;
  while ((result = pcap_next_ex(capture.get(), &header, &bytes)) == 1) {
    const std::size_t number = wire->frames_.size() + 1;
    if (header->caplen < header->len)
      return failed(path, fmt::format("frame {} was cut when it was captured ({} of {} bytes): "
                                      "capture whole frames (tcpdump -s 0)",
                                      number, header->caplen, header->len));
    const std::uint64_t time = static_cast<std::uint64_t>(header->ts.tv_sec) * 1'000'000'000 +
                               static_cast<std::uint64_t>(header->ts.tv_usec);
    if (number == 1) first = time;
    last = std::max(last, time); // captures of several queues are not quite in order
    if (last - first > longest_ns)
      return failed(path, fmt::format("frame {} comes {} days after the first", number,
                                      (last - first) / (86'400 * 1'000'000'000ull)));
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    wire->frames_.push_back({nanoseconds(last - first), {begin, begin + header->caplen}});
  }
  if (result == PCAP_ERROR) return failed(path, pcap_geterr(capture.get()));
  return wire;
}

void ReplayWire::driver_ready() {
  if (std::exchange(playing_, true)) return;
  scope_.emplace(executor(), "replay");
  scope_->start([this] { return play(); });
}

Task<> ReplayWire::play() {
  const SimTime start = executor().now() + params_.start;
  for (const Timed& frame : frames_) {
    const SimTime due = start + frame.offset;
    if (due > executor().now()) {
      const bool elapsed = co_await delay(*scope_, due - executor().now());
      if (!elapsed) co_return;
    }
    deliver(frame.bytes);
  }
}

} // namespace virtio::net
