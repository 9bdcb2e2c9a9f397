// Drives a Dut with the items of a case and judges it: configuration and packets in the order of
// the items, gaps and back-pressure from seeds, every result by the scoreboard, both streams by
// protocol checkers, and a watchdog.
#pragma once

#include <virtio/rtl/bus/axi_stream_checker.hpp>
#include <virtio/rtl/cosim/choice.hpp>
#include <virtio/rtl/cosim/coverage.hpp>
#include <virtio/rtl/cosim/rss/items.hpp>

namespace virtio::rtl::cosim::rss {

struct BenchOptions {
  bool checked = true; ///< protocol checkers and scoreboard, besides the stimulus
  std::vector<std::string>* trace = nullptr; ///< what crossed the boundary, a line each
  std::uint64_t hang_cycles = 5'000;         ///< without any transfer while something is owed
};

struct Outcome {
  std::optional<Finding> finding; ///< RSS-.., AXIS-.., ASSERT
  std::uint64_t cycles = 0;
  std::uint64_t packets = 0;
};

/// Settings of the case: "stall" is the percentage of cycles without result_ready, "seed" theirs,
/// "gap" the most idle cycles before a beat of a packet with gaps, "config_gap" the percentage of a
/// change's words that some cycles are left after; "default_ports" leaves the ports of tunnels as
/// the block has them out of its reset.
class Bench {
public:
  Bench(Dut& dut, const Stimulus& stimulus, const BenchOptions& options = {});

  /// An item that cannot be read: a sentence.
  const std::optional<std::string>& error() const { return error_; }
  Outcome run();

private:
  void load();
  void load(const PacketItem& packet);
  void load(const ConfigItem& change);
  Inputs inputs();
  void took(const Inputs& in, const Outputs& out);
  void took_beat(const Inputs& in);
  void took_config();
  std::optional<Finding> check(const Inputs& in, const Outputs& out);
  bool busy() const;
  Finding hang() const;
  void note(const std::string& what) const;

  Dut& dut_;
  DutParams params_;
  BenchOptions options_;
  std::optional<std::string> error_;
  std::vector<RssItem> items_;
  std::size_t next_ = 0;

  Choice stalls_;
  std::uint64_t stall_percent_;
  std::uint64_t max_gap_;

  const PacketItem* packet_ = nullptr;
  std::size_t at_ = 0; ///< of the packet's next beat
  std::uint64_t gap_ = 0;
  std::vector<std::byte> beat_;
  RssResult expected_;
  Choice config_gaps_;
  std::uint64_t config_gap_percent_;
  std::uint64_t config_gap_ = 0;
  std::uint64_t words_ = 0; ///< of changes, so far
  ConfigItem change_;
  std::size_t write_ = 0;
  bool first_change_ = true; ///< the setup that every case begins with

  RssModel model_;
  RssScoreboard scoreboard_;
  bus::AxiStreamChecker packets_{"packets"};
  bus::AxiStreamChecker results_{"results", {.keep = false}};
  std::array<std::byte, 11> result_bytes_{};
  std::uint64_t cycle_ = 0;
  std::uint64_t quiet_cycles_ = 0;
};

} // namespace virtio::rtl::cosim::rss
