// Captures: a wire that writes every frame to a pcap file, and one that plays such a file to the
// device. Time stamps are simulated time in nanoseconds.
#pragma once

#include <virtio/core/task.hpp>
#include <virtio/net/wire.hpp>

#include <tl/expected.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct pcap;
struct pcap_dumper;

namespace virtio::net {

/// A pcap file of Ethernet frames that is being written; complete once this object is gone or was
/// flushed.
class PcapWriter {
public:
  /// Creates the file. The error is a sentence that names it.
  static tl::expected<std::unique_ptr<PcapWriter>, std::string>
  create(const std::filesystem::path& path);

  void write(SimTime time, Frame frame);
  /// False: what was written so far is not in the file.
  bool flush();
  std::uint64_t frames() const { return frames_; }

private:
  struct Close {
    void operator()(pcap* handle) const;
    void operator()(pcap_dumper* dumper) const;
  };
  PcapWriter() = default;

  std::unique_ptr<pcap, Close> handle_;
  std::unique_ptr<pcap_dumper, Close> dumper_;
  std::uint64_t frames_ = 0;
};

/// In front of any wire: writes what passes, in both directions and in order.
class CaptureWire final : public Wire, private FrameSink {
public:
  CaptureWire(std::unique_ptr<Wire> inner, std::unique_ptr<PcapWriter> writer)
      : inner_(std::move(inner)), writer_(std::move(writer)) {}

  void connect(FrameSink& device, Executor& executor) override;
  void driver_ready() override { inner_->driver_ready(); }
  void transmit(Frame frame) override;
  PcapWriter& writer() const { return *writer_; }

private:
  void on_frame(Frame frame) override;

  std::unique_ptr<Wire> inner_;
  std::unique_ptr<PcapWriter> writer_;
};

struct ReplayParams {
  /// From the first DRIVER_OK to the first frame. The others keep their distances in time.
  SimTime start = microseconds(1);
};

/// Plays a capture to the device, once, from when a driver is first ready. What the device
/// transmits is lost.
class ReplayWire final : public Wire {
public:
  /// Reads the whole file, of microsecond or nanosecond resolution. The error is a sentence that
  /// names it.
  static tl::expected<std::unique_ptr<ReplayWire>, std::string>
  open(const std::filesystem::path& path, const ReplayParams& params = {});

  void driver_ready() override;
  void transmit(Frame) override {}
  std::size_t frames() const { return frames_.size(); }
  /// The i-th of them.
  Frame frame(std::size_t i) const { return frames_.at(i).bytes; }

private:
  struct Timed {
    SimTime offset; // from the first frame
    std::vector<std::byte> bytes;
  };
  explicit ReplayWire(const ReplayParams& params) : params_(params) {}
  Task<> play();

  ReplayParams params_;
  std::vector<Timed> frames_;
  bool playing_ = false;
  std::optional<Scope> scope_;
};

} // namespace virtio::net
