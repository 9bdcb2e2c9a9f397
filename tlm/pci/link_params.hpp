// The parameters of a PCI Express link, of its two ends, and of the root complex and memory behind
// it. Every member says its unit and where its default comes from ("assumed": nothing backs it).
#pragma once

#include <virtio/core/types.hpp>

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virtio::tlm2 {

/// How long memory takes; drawn for every read request TLP.
struct LatencyDistribution {
  enum class Kind : std::uint8_t {
    fixed,   ///< always `low`
    uniform, ///< low..high, every picosecond equally likely
    samples, ///< one of `samples`, each equally likely
  };
  Kind kind = Kind::fixed;
  SimTime low =
      nanoseconds(250); ///< (pcie-bench, 6.1: what is left of a 64 B read of about 550 ns)
  SimTime high{};
  std::vector<SimTime> samples = {};
};

/// Decimal ns with up to three decimals.
std::optional<SimTime> parse_nanoseconds(std::string_view text);
/// A file with one latency in ns a line, up to three decimals; empty lines and lines that begin
/// with # are skipped. The error names file and line.
tl::expected<LatencyDistribution, std::string> load_latencies(const std::filesystem::path& file);

/// What a receiver advertises: headers, and data in units of 16 bytes. 0 is infinite, as on the
/// wire (PCI Express Base 5.0, 2.6.1).
struct PcieCredits {
  std::uint32_t posted_header = 64;    ///< (assumed)
  std::uint32_t posted_data = 1024;    ///< (assumed)
  std::uint32_t nonposted_header = 64; ///< (assumed)
  std::uint32_t nonposted_data = 16;   ///< (assumed)
};

enum class Translation : std::uint8_t {
  none,
  iommu, ///< looked up in the root complex
  ats,   ///< looked up in the device; a miss asks the root complex over the link
};

struct TranslationParams {
  Translation where = Translation::none;
  std::uint32_t entries = 64;      ///< of the TLB (pcie-bench, 6.5)
  std::uint32_t ways = 64;         ///< divides `entries` (assumed: fully associative)
  std::uint64_t page = 4096;       ///< bytes, a power of two of at least 4096
  SimTime hit{};                   ///< of a lookup that hits (assumed)
  SimTime miss = nanoseconds(330); ///< of a page walk (pcie-bench, 6.5)
  std::uint32_t walkers = 6;       ///< walks at once; 0: any number (assumed)
};

struct PcieLinkParams {
  // The link (PCI Express Base 5.0).
  unsigned generation = 3;                     ///< 1..5
  unsigned lanes = 8;                          ///< 1, 2, 4, 8, 16 or 32
  std::uint32_t max_payload = 256;             ///< bytes, 128..4096 (assumed)
  std::uint32_t max_read_request = 512;        ///< bytes, 128..4096 (7.5.3.4: after reset)
  std::uint32_t read_completion_boundary = 64; ///< bytes, 64 or 128 (7.5.3.7: after reset)
  std::uint32_t completion_size = 0;           ///< bytes at most; 0: max_payload
  bool ecrc = false;                           ///< 4 bytes more in every TLP (6.2.3: after reset)
  bool relaxed_ordering = false;               ///< completions may pass posted requests (assumed)
  bool id_based_ordering = false; ///< the same, for streams that are independent (assumed)
  /// One way, from the last bit sent to the TLP usable at the other end: wire, PHY, and the
  /// receiver's link and transaction layers (assumed).
  SimTime propagation = nanoseconds(100);
  PcieCredits host_credits{};   ///< of the root complex, for what the device sends
  PcieCredits device_credits{}; ///< of the device, for what the CPU sends
  /// From a buffer being free to the sender knowing it: UpdateFC and its way (assumed).
  SimTime credit_return = nanoseconds(150);

  // The device's end.
  std::uint32_t tags = 256;             ///< read requests at once, 1..768; 32, 256 or 768 (2.2.6.2)
  std::uint32_t completion_headers = 0; ///< space that reads reserve; 0: any number
  std::uint32_t completion_data = 0;    ///< likewise, units of 16 bytes; 0: any number
  std::uint32_t posted_buffer = 8192;   ///< bytes of writes that wait to be sent (assumed)
  std::uint32_t nonposted_queue = 64;   ///< reads accepted that wait to be sent (assumed)

  // The root complex and memory.
  SimTime root_complex = nanoseconds(50); ///< of every request, before memory (assumed)
  SimTime request_interval{};             ///< at least between two requests it takes; 0: none
  std::uint32_t reads_in_service = 0;     ///< read requests at memory at once; 0: any number
  LatencyDistribution memory{};
  TranslationParams translation{};
  std::uint64_t seed = 1; ///< of the latency distribution
};

/// Bytes of link time between two Acks, and between two UpdateFCs, as pcie-bench's model charges
/// them: the base specification's latency limit (5.0, tables 3-7 to 3-9) in symbol times.
std::uint32_t dllp_limit(const PcieLinkParams& params);

/// Nothing, or a sentence that names the parameter that makes the link impossible.
std::optional<std::string> error_in(const PcieLinkParams& params);

} // namespace virtio::tlm2
