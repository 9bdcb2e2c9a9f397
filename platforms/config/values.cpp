#include <virtio/platforms/config/units.hpp>
#include <virtio/platforms/config/values.hpp>

#include <fmt/format.h>

#include <span>

namespace virtio::platform {

namespace {

// In the largest unit that leaves a whole number, so that nothing is lost.
std::string with_unit(std::uint64_t value, std::span<const Unit> units) {
  const Unit* best = &units.front();
  for (const Unit& unit : units)
    if (value % unit.factor == 0) best = &unit;
  return fmt::format("{} {}", value / best->factor, best->name);
}

} // namespace

std::string text(bool value) {
  return value ? "true" : "false";
}

std::string text(std::uint64_t value) {
  return fmt::format("{}", value);
}

std::string text(SimTime value) {
  return value.count() == 0 ? "0 s" : with_unit(value.count(), Units<SimTime>::all);
}

std::string text(virtio::SimTime value) {
  return text(SimTime{value.ps});
}

std::string text(ByteSize value) {
  return with_unit(value.bytes, Units<ByteSize>::all);
}

std::string text(Frequency value) {
  return value.hertz == 0 ? "0 Hz" : with_unit(value.hertz, Units<Frequency>::all);
}

std::string text(BitRate value) {
  return value.bits_per_second == 0 ? "0 bit/s"
                                    : with_unit(value.bits_per_second, Units<BitRate>::all);
}

std::string text(ByteRate value) {
  return value.bytes_per_second == 0 ? "0 B/s"
                                     : with_unit(value.bytes_per_second, Units<ByteRate>::all);
}

std::string text(const MacAddress& value) {
  return fmt::format("{:02x}", fmt::join(value, ":"));
}

std::string_view text(PlatformKind value) {
  return word(value);
}

std::string_view text(DeviceType value) {
  return word(value);
}

std::string_view text(Transport value) {
  return word(value);
}

std::string_view text(Fidelity value) {
  return word(value);
}

std::string_view text(Protocol value) {
  return word(value);
}

std::string_view text(Wire value) {
  return word(value);
}

std::string_view text(ConsoleOutput value) {
  return word(value);
}

std::string_view text(Arbitration value) {
  return word(value);
}

std::string_view text(EventPolicy value) {
  return word(value);
}

std::string_view text(tlm2::Translation value) {
  return word(value);
}

std::string_view text(tlm2::LatencyDistribution::Kind value) {
  return word(value);
}

std::string_view text(Completion value) {
  return word(value);
}

std::string_view text(RingFormat value) {
  return word(value);
}

std::string_view text(Arrival value) {
  return word(value);
}

std::string_view text(Pattern value) {
  return word(value);
}

std::string_view text(Direction value) {
  return word(value);
}

std::string_view text(FrameSource value) {
  return word(value);
}

} // namespace virtio::platform
