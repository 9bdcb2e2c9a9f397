// An RSS block as its bench sees it: the pins of the RSS block boundary, a cycle at a time. The
// Verilated rss_hash is one; users' RTL becomes one by the same few lines.
#pragma once

#include <virtio/rtl/scoreboard/rss_scoreboard.hpp>

#include <filesystem>

namespace virtio::rtl::cosim::rss {

struct Inputs {
  bool reset = false;
  bool packet_valid = false;
  bool packet_last = false;
  std::uint64_t packet_keep = 0;
  const std::byte* packet_data = nullptr; ///< a whole beat
  bool config_valid = false;
  bool config_last = false;
  std::uint32_t config_address = 0;
  std::uint32_t config_data = 0;
  bool result_ready = false;
};

struct Outputs {
  bool packet_ready = false;
  bool config_ready = false;
  bool result_valid = false;
  RssResult result;
};

/// What the block was built with.
struct DutParams {
  unsigned beat_bytes = 64;
  std::size_t max_parse_bytes = 256;
  unsigned table_entries = 128;
  unsigned queues = 1024;
};

class Dut {
public:
  Dut() = default;
  virtual ~Dut() = default;
  Dut(const Dut&) = delete;
  Dut& operator=(const Dut&) = delete;

  virtual DutParams params() const = 0;
  /// One clock cycle: outputs as they stand with these inputs, before the clock's edge.
  virtual Outputs cycle(const Inputs& inputs) = 0;
  /// Assertions within the block that did not hold so far.
  virtual int failed_assertions() const { return 0; }
  /// Line and toggle counts, where the block was built with them.
  virtual void write_coverage(const std::filesystem::path&) {}
  /// Before the first cycle, if at all.
  virtual void write_waves(const std::filesystem::path&, std::uint64_t /*from*/,
                           std::uint64_t /*to*/) {}
};

} // namespace virtio::rtl::cosim::rss
