#include "models/function_bench.hpp"

#include <virtio/net/pcap.hpp>

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace virtio::net {
namespace {

using test::Bytes;
using test::pattern;

struct Timed {
  std::uint64_t ns;
  Bytes bytes;
  bool operator==(const Timed&) const = default;
};

/// What libpcap reads from a file.
std::vector<Timed> read_capture(const std::filesystem::path& path) {
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* file =
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  if (!file) throw std::runtime_error(error);
  EXPECT_EQ(pcap_datalink(file), DLT_EN10MB);
  std::vector<Timed> frames;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  while (pcap_next_ex(file, &header, &bytes) == 1) {
    EXPECT_EQ(header->caplen, header->len);
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    frames.push_back({static_cast<std::uint64_t>(header->ts.tv_sec) * 1'000'000'000 +
                          static_cast<std::uint64_t>(header->ts.tv_usec),
                      {begin, begin + header->caplen}});
  }
  pcap_close(file);
  return frames;
}

/// Plays the device: keeps what arrives and when.
struct Receiver final : FrameSink {
  explicit Receiver(Executor& e) : executor(e) {}
  void on_frame(Frame frame) override {
    frames.push_back({executor.now().ps / 1000, {frame.begin(), frame.end()}});
  }
  Executor& executor;
  std::vector<Timed> frames;
};

class PcapTest : public testing::Test {
protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string("virtio_pcap_") +
             testing::UnitTest::GetInstance()->current_test_info()->name() + ".pcap");
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void write_file(const std::vector<Timed>& frames, bool cut = false, int link = DLT_EN10MB,
                  unsigned precision = PCAP_TSTAMP_PRECISION_NANO) {
    pcap_t* handle = pcap_open_dead_with_tstamp_precision(link, 65535, precision);
    pcap_dumper_t* dumper = pcap_dump_open(handle, path_.c_str());
    const std::uint64_t unit = precision == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
    for (const Timed& frame : frames) {
      pcap_pkthdr header{};
      header.ts.tv_sec = static_cast<time_t>(frame.ns / 1'000'000'000);
      header.ts.tv_usec = static_cast<suseconds_t>(frame.ns % 1'000'000'000 / unit);
      header.caplen = static_cast<bpf_u_int32>(frame.bytes.size());
      header.len = header.caplen + (cut ? 100 : 0);
      pcap_dump(reinterpret_cast<u_char*>(dumper), &header,
                reinterpret_cast<const u_char*>(frame.bytes.data()));
    }
    pcap_dump_close(dumper);
    pcap_close(handle);
  }
  std::string replay_error() {
    const auto wire = ReplayWire::open(path_);
    return wire ? "" : wire.error();
  }
  /// Moves simulated time on to `time`.
  void advance(SimTime time) {
    Scope scope(executor_, "time");
    const auto wait = [&](SimTime t) -> Task<> { co_await delay(scope, t); };
    scope.start([&] { return wait(time - executor_.now()); });
    executor_.run_until_idle();
  }

  std::filesystem::path path_;
  Executor executor_;
  Receiver receiver_{executor_};
};

TEST_F(PcapTest, WritesEveryFrameOfBothDirectionsWithItsTime) {
  {
    auto writer = PcapWriter::create(path_);
    ASSERT_TRUE(writer) << writer.error();
    CaptureWire wire(std::make_unique<LoopbackWire>(), std::move(*writer));
    wire.connect(receiver_, executor_);
    wire.transmit(pattern(60, 1));
    advance(SimTime{1'234'567'890'123'456}); // 1234.567890123 s
    wire.transmit(pattern(1514, 2));
    EXPECT_EQ(wire.writer().frames(), 4u);
  }
  const std::vector<Timed> expected{{0, pattern(60, 1)},
                                    {0, pattern(60, 1)},
                                    {1'234'567'890'123, pattern(1514, 2)},
                                    {1'234'567'890'123, pattern(1514, 2)}};
  EXPECT_EQ(read_capture(path_), expected);
  EXPECT_EQ(receiver_.frames.size(), 2u);
}

TEST_F(PcapTest, AFlushedCaptureIsComplete) {
  auto writer = PcapWriter::create(path_);
  ASSERT_TRUE(writer);
  (*writer)->write(nanoseconds(5), pattern(60));
  EXPECT_TRUE((*writer)->flush());
  EXPECT_EQ(read_capture(path_), (std::vector<Timed>{{5, pattern(60)}}));
}

TEST_F(PcapTest, ACaptureThatCannotBeCreatedNamesTheFile) {
  const auto writer = PcapWriter::create("/nonexistent/net0.pcap");
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error(), "/nonexistent/net0.pcap: cannot be created: No such file or directory");
}

TEST_F(PcapTest, CaptureTellsTheInnerWireThatADriverIsReady) {
  write_file({{0, pattern(60)}});
  auto inner = ReplayWire::open(path_);
  ASSERT_TRUE(inner);
  const auto out = path_.string() + ".out";
  auto writer = PcapWriter::create(out);
  ASSERT_TRUE(writer);
  CaptureWire wire(std::move(*inner), std::move(*writer));
  wire.connect(receiver_, executor_);
  wire.driver_ready();
  executor_.run_until_idle();
  EXPECT_EQ(receiver_.frames.size(), 1u);
  EXPECT_EQ(wire.writer().frames(), 1u);
  std::filesystem::remove(out);
}

TEST_F(PcapTest, ReplaysFramesAtTheirDistancesFromWhenADriverIsReady) {
  // As captured today: the absolute time does not matter.
  constexpr std::uint64_t t0 = 1'700'000'000'000'000'000;
  write_file({{t0, pattern(60, 1)},
              {t0 + 1500, pattern(70, 2)},
              {t0 + 1500, pattern(80, 3)},
              {t0 + 3'000'000'007, pattern(90, 4)}});
  auto wire = ReplayWire::open(path_, {.start = nanoseconds(100)});
  ASSERT_TRUE(wire) << wire.error();
  EXPECT_EQ((*wire)->frames(), 4u);
  (*wire)->connect(receiver_, executor_);
  advance(microseconds(1));
  EXPECT_TRUE(receiver_.frames.empty()) << "no driver yet";
  (*wire)->driver_ready();
  executor_.run_until_idle();
  const std::vector<Timed> expected{{1100, pattern(60, 1)},
                                    {2600, pattern(70, 2)},
                                    {2600, pattern(80, 3)},
                                    {3'000'001'107, pattern(90, 4)}};
  EXPECT_EQ(receiver_.frames, expected);
  (*wire)->driver_ready();
  executor_.run_until_idle();
  EXPECT_EQ(receiver_.frames.size(), 4u) << "once only";
}

TEST_F(PcapTest, ReadsMicrosecondCapturesAndFramesOutOfOrder) {
  write_file(
      {{2'000'000, pattern(60, 1)}, {1'000'000, pattern(60, 2)}, {5'000'000, pattern(60, 3)}},
      false, DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO);
  auto wire = ReplayWire::open(path_, {.start = {}});
  ASSERT_TRUE(wire) << wire.error();
  (*wire)->connect(receiver_, executor_);
  (*wire)->driver_ready();
  executor_.run_until_idle();
  const std::vector<Timed> expected{
      {0, pattern(60, 1)}, {0, pattern(60, 2)}, {3'000'000, pattern(60, 3)}};
  EXPECT_EQ(receiver_.frames, expected);
}

TEST_F(PcapTest, CapturesThatCannotBeReplayedSayWhy) {
  EXPECT_EQ(replay_error(), path_.string() + ": cannot be opened: No such file or directory");
  std::ofstream(path_) << "this is no capture, only some text";
  EXPECT_EQ(replay_error(), path_.string() + ": is not a capture: unknown file format");
  write_file({}, false, DLT_RAW);
  EXPECT_NE(replay_error().find("not Ethernet"), std::string::npos) << replay_error();
  write_file({{0, pattern(60)}, {1, pattern(60)}}, true);
  EXPECT_EQ(replay_error(), path_.string() + ": frame 1 was cut when it was captured (60 of 160 "
                                             "bytes): capture whole frames (tcpdump -s 0)");
  write_file({{0, pattern(60)}, {200ull * 86'400 * 1'000'000'000, pattern(60)}});
  EXPECT_EQ(replay_error(), path_.string() + ": frame 2 comes 200 days after the first");
  write_file({{0, pattern(60)}, {1, pattern(60)}});
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 10);
  EXPECT_NE(replay_error().find("truncated"), std::string::npos) << replay_error();
}

TEST_F(PcapTest, AReplayCutShortByTheEndOfSimulationLeavesNothingBehind) {
  write_file({{0, pattern(60)}, {1'000'000, pattern(60)}});
  {
    auto wire = ReplayWire::open(path_);
    ASSERT_TRUE(wire);
    (*wire)->connect(receiver_, executor_);
    (*wire)->driver_ready();
    executor_.run();
  }
  executor_.run_until_idle();
  EXPECT_TRUE(receiver_.frames.empty());
}

} // namespace
} // namespace virtio::net
