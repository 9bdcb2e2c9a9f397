// The five channels of AXI4 (Arm IHI 0022) as they stand in one clock cycle. A side of the bus
// drives what is its own with drive(pins), and learns with edge(pins) what the rising edge of the
// clock took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace virtio::rtl::bus {

inline constexpr std::size_t axi_max_bytes = 64; ///< of a beat

enum class AxiBurst : std::uint8_t { fixed = 0, incr = 1, wrap = 2 };
enum class AxiResp : std::uint8_t { okay = 0, exokay = 1, slverr = 2, decerr = 3 };

/// AW or AR.
struct AxiAddress {
  bool valid = false;
  bool ready = false;
  std::uint32_t id = 0;
  std::uint64_t addr = 0;
  std::uint8_t len = 0;  ///< beats - 1
  std::uint8_t size = 0; ///< of a beat: 1 << size bytes
  AxiBurst burst = AxiBurst::incr;
  std::uint8_t lock = 0;
  std::uint8_t cache = 0;
  std::uint8_t prot = 0;
  std::uint8_t qos = 0;

  bool operator==(const AxiAddress&) const = default;
};

struct AxiWriteData {
  bool valid = false;
  bool ready = false;
  std::array<std::byte, axi_max_bytes> data{};
  std::uint64_t strb = 0;
  bool last = false;

  bool operator==(const AxiWriteData&) const = default;
};

struct AxiWriteResponse {
  bool valid = false;
  bool ready = false;
  std::uint32_t id = 0;
  AxiResp resp = AxiResp::okay;

  bool operator==(const AxiWriteResponse&) const = default;
};

struct AxiReadData {
  bool valid = false;
  bool ready = false;
  std::uint32_t id = 0;
  std::array<std::byte, axi_max_bytes> data{};
  AxiResp resp = AxiResp::okay;
  bool last = false;

  bool operator==(const AxiReadData&) const = default;
};

struct Axi4Pins {
  AxiAddress aw;
  AxiWriteData w;
  AxiWriteResponse b;
  AxiAddress ar;
  AxiReadData r;
};

inline std::uint32_t beats(const AxiAddress& request) {
  return request.len + 1u;
}

/// Where beat `n` begins (IHI 0022, A3.4.1).
constexpr std::uint64_t beat_address(const AxiAddress& request, std::uint32_t n) {
  const std::uint64_t bytes = std::uint64_t{1} << request.size;
  const std::uint64_t aligned = request.addr & ~(bytes - 1);
  if (n == 0 || request.burst == AxiBurst::fixed) return request.addr;
  if (request.burst != AxiBurst::wrap) return aligned + n * bytes;
  const std::uint64_t all = bytes * (request.len + 1u);
  const std::uint64_t low = request.addr / all * all;
  return low + (request.addr - low + n * bytes) % all;
}

/// How many bytes beat `n` has: fewer in one that begins unaligned.
constexpr std::uint32_t beat_length(const AxiAddress& request, std::uint32_t n) {
  const std::uint32_t bytes = 1u << request.size;
  return bytes - static_cast<std::uint32_t>(beat_address(request, n) & (bytes - 1));
}

/// The byte lanes of beat `n`, a bit each, on a bus of `bus_bytes`.
constexpr std::uint64_t beat_lanes(const AxiAddress& request, std::uint32_t n,
                                   std::uint32_t bus_bytes) {
  const auto first = static_cast<unsigned>(beat_address(request, n) % bus_bytes);
  const std::uint32_t length = beat_length(request, n);
  return (length >= 64 ? ~0ull : (1ull << length) - 1) << first;
}

} // namespace virtio::rtl::bus
