// The units and the words of the configuration file: one list for each kind of value, read by the
// parser, the printer and the error messages.
#pragma once

#include <virtio/platforms/config/values.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace virtio::platform {

struct Unit {
  std::string_view name;
  std::uint64_t factor; // in the value's own base unit; ascending
};

template <class T> struct Units;

template <> struct Units<SimTime> {
  static constexpr std::array<Unit, 5> all{{{"ps", 1},
                                            {"ns", 1'000},
                                            {"us", 1'000'000},
                                            {"ms", 1'000'000'000},
                                            {"s", 1'000'000'000'000}}};
  static constexpr std::string_view example = "10 us";
};

// The models' own.
template <> struct Units<virtio::SimTime> : Units<SimTime> {};

template <> struct Units<ByteSize> {
  static constexpr std::array<Unit, 5> all{{{"B", 1},
                                            {"KiB", 1ull << 10},
                                            {"MiB", 1ull << 20},
                                            {"GiB", 1ull << 30},
                                            {"TiB", 1ull << 40}}};
  static constexpr std::string_view example = "64 MiB";
};

template <> struct Units<Frequency> {
  static constexpr std::array<Unit, 4> all{
      {{"Hz", 1}, {"kHz", 1'000}, {"MHz", 1'000'000}, {"GHz", 1'000'000'000}}};
  static constexpr std::string_view example = "10 MHz";
};

template <> struct Units<BitRate> {
  static constexpr std::array<Unit, 4> all{
      {{"bit/s", 1}, {"kbit/s", 1'000}, {"Mbit/s", 1'000'000}, {"Gbit/s", 1'000'000'000}}};
  static constexpr std::string_view example = "10 Gbit/s";
};

template <> struct Units<ByteRate> {
  static constexpr std::array<Unit, 4> all{
      {{"B/s", 1}, {"kB/s", 1'000}, {"MB/s", 1'000'000}, {"GB/s", 1'000'000'000}}};
  static constexpr std::string_view example = "3 GB/s";
};

template <class T> using Word = std::pair<std::string_view, T>;
template <class T> struct Choices;

template <> struct Choices<PlatformKind> {
  static constexpr std::array all{Word<PlatformKind>{"riscv_virt", PlatformKind::riscv_virt},
                                  Word<PlatformKind>{"pcie_host", PlatformKind::pcie_host}};
};

template <> struct Choices<DeviceType> {
  static constexpr std::array all{Word<DeviceType>{"entropy", DeviceType::entropy},
                                  Word<DeviceType>{"block", DeviceType::block},
                                  Word<DeviceType>{"net", DeviceType::net},
                                  Word<DeviceType>{"console", DeviceType::console}};
};

template <> struct Choices<Transport> {
  static constexpr std::array all{Word<Transport>{"mmio", Transport::mmio},
                                  Word<Transport>{"pci", Transport::pci}};
};

template <> struct Choices<Fidelity> {
  static constexpr std::array all{Word<Fidelity>{"untimed", Fidelity::untimed},
                                  Word<Fidelity>{"timed", Fidelity::timed},
                                  Word<Fidelity>{"rtl", Fidelity::rtl}};
};

template <> struct Choices<Protocol> {
  static constexpr std::array all{Word<Protocol>{"dmi", Protocol::dmi},
                                  Word<Protocol>{"lt", Protocol::lt},
                                  Word<Protocol>{"at", Protocol::at}};
};

template <> struct Choices<Wire> {
  static constexpr std::array all{Word<Wire>{"loopback", Wire::loopback},
                                  Word<Wire>{"pcap", Wire::pcap}, Word<Wire>{"dhcp", Wire::dhcp}};
};

template <> struct Choices<ConsoleOutput> {
  static constexpr std::array all{Word<ConsoleOutput>{"file", ConsoleOutput::file},
                                  Word<ConsoleOutput>{"terminal", ConsoleOutput::terminal}};
};

template <> struct Choices<Arbitration> {
  static constexpr std::array all{Word<Arbitration>{"round_robin", Arbitration::round_robin},
                                  Word<Arbitration>{"weighted", Arbitration::weighted},
                                  Word<Arbitration>{"priority", Arbitration::priority}};
};

template <> struct Choices<EventPolicy> {
  static constexpr std::array all{
      Word<EventPolicy>{"each_write_back", EventPolicy::each_write_back},
      Word<EventPolicy>{"when_idle", EventPolicy::when_idle}};
};

template <> struct Choices<tlm2::Translation> {
  static constexpr std::array all{Word<tlm2::Translation>{"none", tlm2::Translation::none},
                                  Word<tlm2::Translation>{"iommu", tlm2::Translation::iommu},
                                  Word<tlm2::Translation>{"ats", tlm2::Translation::ats}};
};

template <> struct Choices<tlm2::LatencyDistribution::Kind> {
  static constexpr std::array all{
      Word<tlm2::LatencyDistribution::Kind>{"fixed", tlm2::LatencyDistribution::Kind::fixed},
      Word<tlm2::LatencyDistribution::Kind>{"uniform", tlm2::LatencyDistribution::Kind::uniform},
      Word<tlm2::LatencyDistribution::Kind>{"samples", tlm2::LatencyDistribution::Kind::samples}};
};

template <> struct Choices<Completion> {
  static constexpr std::array all{Word<Completion>{"polling", Completion::polling},
                                  Word<Completion>{"interrupt", Completion::interrupt},
                                  Word<Completion>{"napi", Completion::napi}};
};

template <> struct Choices<RingFormat> {
  static constexpr std::array all{Word<RingFormat>{"split", RingFormat::split},
                                  Word<RingFormat>{"packed", RingFormat::packed}};
};

template <> struct Choices<Arrival> {
  static constexpr std::array all{
      Word<Arrival>{"closed", Arrival::closed}, Word<Arrival>{"fixed", Arrival::fixed},
      Word<Arrival>{"poisson", Arrival::poisson}, Word<Arrival>{"recorded", Arrival::recorded}};
};

template <> struct Choices<Pattern> {
  static constexpr std::array all{Word<Pattern>{"random", Pattern::random},
                                  Word<Pattern>{"sequential", Pattern::sequential}};
};

template <> struct Choices<Direction> {
  static constexpr std::array all{Word<Direction>{"transmit", Direction::transmit},
                                  Word<Direction>{"receive", Direction::receive},
                                  Word<Direction>{"both", Direction::both}};
};

template <> struct Choices<FrameSource> {
  static constexpr std::array all{Word<FrameSource>{"fixed", FrameSource::fixed},
                                  Word<FrameSource>{"imix", FrameSource::imix},
                                  Word<FrameSource>{"pcap", FrameSource::pcap}};
};

// A value that is one word of a list.
template <class T>
concept Choice = requires {
  Choices<T>::all.size();
};

// A value that is written as a number and a unit.
template <class T>
concept Quantity = requires {
  Units<T>::all.size();
};

template <Choice T> constexpr std::string_view word(T value) {
  for (const auto& [name, choice] : Choices<T>::all)
    if (choice == value) return name;
  return "?";
}

constexpr std::uint64_t base_units(SimTime value) {
  return value.count();
}
constexpr std::uint64_t base_units(virtio::SimTime value) {
  return value.ps;
}
constexpr std::uint64_t base_units(ByteSize value) {
  return value.bytes;
}
constexpr std::uint64_t base_units(Frequency value) {
  return value.hertz;
}
constexpr std::uint64_t base_units(BitRate value) {
  return value.bits_per_second;
}
constexpr std::uint64_t base_units(ByteRate value) {
  return value.bytes_per_second;
}

} // namespace virtio::platform
