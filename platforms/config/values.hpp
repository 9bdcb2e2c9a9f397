// The kinds of values a configuration file holds, each a type of its own, and how they are written:
// a number and a unit ("256 MiB", "10 us", "10 MHz"), a MAC address, or a word from a list. Shared
// by every struct of config.hpp.
#pragma once

#include <virtio/core/ring_engine_params.hpp>
#include <virtio/core/types.hpp>
#include <virtio/tlm/bus_params.hpp>
#include <virtio/tlm/pci/link_params.hpp>

#include <array>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace virtio::platform {

// Simulated time, in picoseconds: 213 days at most. Written with one of ps, ns, us, ms, s.
using SimTime = std::chrono::duration<std::uint64_t, std::pico>;

// A size in memory or on a disk. Written with one of B, KiB, MiB, GiB, TiB.
struct ByteSize {
  std::uint64_t bytes = 0;
  auto operator<=>(const ByteSize&) const = default;
};

// Written with one of Hz, kHz, MHz, GHz.
struct Frequency {
  std::uint64_t hertz = 0;
  auto operator<=>(const Frequency&) const = default;
};

// Of a wire. Written with one of bit/s, kbit/s, Mbit/s, Gbit/s.
struct BitRate {
  std::uint64_t bits_per_second = 0;
  auto operator<=>(const BitRate&) const = default;
};

// Written with one of B/s, kB/s, MB/s, GB/s.
struct ByteRate {
  std::uint64_t bytes_per_second = 0;
  auto operator<=>(const ByteRate&) const = default;
};

// Written as six pairs of hexadecimal digits, "52:54:00:12:34:56".
using MacAddress = std::array<std::uint8_t, 6>;

enum class PlatformKind { riscv_virt, pcie_host };
enum class DeviceType { entropy, block, net, console };
enum class Transport { mmio, pci };
enum class Fidelity { untimed, timed, rtl };
enum class Protocol { dmi, lt, at };
enum class Wire { loopback, pcap, dhcp };
enum class ConsoleOutput { file, terminal };
enum class Completion { polling, interrupt, napi };
enum class RingFormat { split, packed };
enum class Arrival { closed, fixed, poisson, recorded };
enum class Pattern { random, sequential };
enum class Direction { transmit, receive, both };
enum class FrameSource { fixed, imix, pcap };

// As written in the file, and as printed back: text(parse(x)) has the same meaning as x.
std::string text(std::same_as<bool> auto value) {
  return value ? "true" : "false";
}
std::string text(std::uint64_t value);
std::string text(SimTime value);
std::string text(virtio::SimTime value);
std::string text(ByteSize value);
std::string text(Frequency value);
std::string text(BitRate value);
std::string text(ByteRate value);
std::string text(const MacAddress& value);
std::string_view text(PlatformKind value);
std::string_view text(DeviceType value);
std::string_view text(Transport value);
std::string_view text(Fidelity value);
std::string_view text(Protocol value);
std::string_view text(Wire value);
std::string_view text(ConsoleOutput value);
std::string_view text(Arbitration value);
std::string_view text(EventPolicy value);
std::string_view text(tlm2::Translation value);
std::string_view text(tlm2::LatencyDistribution::Kind value);
std::string_view text(Completion value);
std::string_view text(RingFormat value);
std::string_view text(Arrival value);
std::string_view text(Pattern value);
std::string_view text(Direction value);
std::string_view text(FrameSource value);

} // namespace virtio::platform
