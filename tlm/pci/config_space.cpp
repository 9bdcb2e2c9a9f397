#include <virtio/tlm/pci/config_space.hpp>
#include <virtio/tlm/register_access.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

namespace virtio::tlm2 {

namespace {

// PCI Express capability (7.5.3), offsets from its id.
constexpr std::uint8_t express_id = 0x10;
constexpr std::uint32_t express_length = 0x3c;
constexpr std::uint32_t device_control = 0x08;
constexpr std::uint32_t device_status = 0x0a;
constexpr std::uint8_t initiate_function_level_reset = 1 << 7; // of the upper byte
constexpr std::uint8_t transactions_pending = 1 << 5;

// Power management capability (7.5.2).
constexpr std::uint8_t power_management_id = 0x01;
constexpr std::uint32_t power_control = 0x04;
constexpr std::byte power_state{0x3};
constexpr std::byte d0{0};
constexpr std::byte d3hot{3};

} // namespace

PciConfigSpace::PciConfigSpace(const PciIdentity& identity) {
  put(defaults_, pci::vendor_id, identity.vendor_id | std::uint32_t{identity.device_id} << 16, 4);
  put(defaults_, pci::revision_id, identity.revision | identity.class_code << 8, 4);
  put(defaults_, pci::subsystem_vendor_id,
      identity.subsystem_vendor_id | std::uint32_t{identity.subsystem_id} << 16, 4);
  put(defaults_, pci::interrupt_pin, identity.interrupt_pin, 1);
  put(writable_, pci::command,
      pci::command_memory | pci::command_bus_master | pci::command_parity_error_response |
          pci::command_serr | (identity.interrupt_pin ? pci::command_intx_disable : 0),
      2);
  put(write_one_to_clear_, pci::status, pci::status_errors, 2);
  put(writable_, pci::cache_line_size, 0xff, 1);
  put(writable_, pci::interrupt_line, 0xff, 1);
  reset();
}

void PciConfigSpace::add_bar(unsigned index, const PciBar& bar) {
  const auto taken = [&](unsigned i) {
    return i >= bars || bars_[i].size != 0 || (i > 0 && bars_[i - 1].is_64bit);
  };
  if (taken(index) || (bar.is_64bit && taken(index + 1)))
    throw std::invalid_argument(fmt::format("BAR{} does not exist or is taken", index));
  if (!std::has_single_bit(bar.size) || bar.size < 16 || (!bar.is_64bit && bar.size > (1ull << 31)))
    throw std::invalid_argument(fmt::format(
        "BAR{} of size {:#x}: use a power of two from 16 to 2 GiB, or a 64-bit BAR for more", index,
        bar.size));
  const std::uint64_t address = ~(bar.size - 1) & ~std::uint64_t{pci::bar_flags};
  const unsigned width = bar.is_64bit ? 8 : 4;
  put(writable_, pci::bar0 + 4 * index, address, width);
  put(defaults_, pci::bar0 + 4 * index,
      (bar.is_64bit ? pci::bar_64bit : 0) | (bar.prefetchable ? pci::bar_prefetchable : 0), width);
  bars_[index] = bar;
  reset();
}

std::uint8_t PciConfigSpace::add_capability(std::uint8_t id, std::span<const std::byte> body,
                                            std::span<const std::byte> writable) {
  const auto offset = next_capability_;
  const auto end = offset + 2 + body.size();
  if (end > pci::capabilities_end || writable.size() > body.size())
    throw std::invalid_argument(
        fmt::format("capability {:#x} of {} bytes does not fit at {:#x}: the list ends at 0x100; "
                    "configure fewer shared memory regions",
                    id, 2 + body.size(), offset));
  defaults_[offset] = std::byte{id};
  std::ranges::copy(body, defaults_.begin() + offset + 2);
  std::ranges::copy(writable, writable_.begin() + offset + 2);
  defaults_[last_link_] = static_cast<std::byte>(offset);
  defaults_[pci::status] |= std::byte{pci::status_capabilities};
  last_link_ = offset + 1;
  next_capability_ = static_cast<std::uint32_t>((end + 3) & ~std::size_t{3});
  reset();
  return static_cast<std::uint8_t>(offset);
}

void PciConfigSpace::add_express_capability() {
  const std::array<std::byte, express_length - 2> empty{};
  express_ = add_capability(express_id, empty);
  const auto define = [&](std::uint32_t offset, std::uint32_t value, std::uint32_t writable,
                          unsigned width) {
    put(defaults_, express_ + offset, value, width);
    put(writable_, express_ + offset, writable, width);
  };
  define(0x02, 0x0002, 0, 2);                // version 2, endpoint
  define(0x04, 0x1000'8fe1, 0, 4);           // 256-byte payload, extended tags, FLR
  define(device_control, 0x2810, 0x79ff, 2); // 512-byte reads, relaxed ordering, no snoop
  put(write_one_to_clear_, express_ + device_status, 0x000f, 2);
  define(0x0c, 0x0040'0104, 0, 4); // link: 16 GT/s, x16
  define(0x10, 0, 0x00c8, 2);      // link control
  define(0x12, 0x1104, 0, 2);      // link pci::status: 16 GT/s, x16
  define(0x24, 0x0001'0010, 0, 4); // completes 10-bit tags, completion timeout can be disabled
  define(0x28, 0, 0x0010, 2);      // device control 2
  define(0x2c, 0x0000'001e, 0, 4); // link capabilities 2: 2.5 to 16 GT/s
  define(0x30, 0x0004, 0x000f, 2); // link control 2: target 16 GT/s
  reset();
}

void PciConfigSpace::add_power_management_capability() {
  constexpr std::byte no_soft_reset{0x08};
  const std::array body{std::byte{0x03}, std::byte{0}, no_soft_reset,
                        std::byte{0},    std::byte{0}, std::byte{0}};
  const std::array writable{std::byte{0}, std::byte{0}, power_state};
  power_ = add_capability(power_management_id, body, writable);
}

void PciConfigSpace::read(std::uint32_t offset, std::span<std::byte> bytes) const {
  for (std::byte& byte : bytes) {
    byte = offset < size ? bytes_[offset] : std::byte{};
    ++offset;
  }
}

void PciConfigSpace::write(std::uint32_t offset, std::span<const std::byte> bytes) {
  const std::byte power_before = power_ ? bytes_[power_ + power_control] : std::byte{};
  for (const std::byte value : bytes) {
    if (offset >= size) break;
    const std::byte mask = writable_[offset];
    bytes_[offset] =
        ((bytes_[offset] & ~mask) | (value & mask)) & ~(value & write_one_to_clear_[offset]);
    if (express_ && offset == express_ + device_control + 1 &&
        (value & std::byte{initiate_function_level_reset}) != std::byte{})
      function_level_reset_ = true;
    ++offset;
  }
  if (!power_) return;
  // A state that is not supported: the write is discarded (PCI Express Base 5.0, 7.5.2.2).
  std::byte& power = bytes_[power_ + power_control];
  if (const auto state = power & power_state; state != d0 && state != d3hot) power = power_before;
}

void PciConfigSpace::set(std::uint32_t offset, std::span<const std::byte> bytes) {
  if (offset <= size && bytes.size() <= size - offset)
    std::ranges::copy(bytes, bytes_.begin() + offset);
}

void PciConfigSpace::reset() {
  bytes_ = defaults_;
  function_level_reset_ = false;
}

std::uint16_t PciConfigSpace::word(std::uint32_t offset) const {
  std::array<std::byte, 2> bytes;
  read(offset, bytes);
  return static_cast<std::uint16_t>(value_of(bytes));
}

std::uint32_t PciConfigSpace::dword(std::uint32_t offset) const {
  std::array<std::byte, 4> bytes;
  read(offset, bytes);
  return value_of(bytes);
}

bool PciConfigSpace::in_d0() const {
  return power_ == 0 || (bytes_[power_ + power_control] & power_state) == d0;
}

bool PciConfigSpace::memory_enabled() const {
  return (word(pci::command) & pci::command_memory) != 0 && in_d0();
}

bool PciConfigSpace::bus_master_enabled() const {
  return (word(pci::command) & pci::command_bus_master) != 0 && in_d0();
}

bool PciConfigSpace::intx_disabled() const {
  return (word(pci::command) & pci::command_intx_disable) != 0 || !in_d0();
}

void PciConfigSpace::set_bit(std::uint32_t offset, std::uint8_t bit, bool on) {
  if (on)
    bytes_[offset] |= std::byte{bit};
  else
    bytes_[offset] &= ~std::byte{bit};
}

void PciConfigSpace::set_interrupt_status(bool pending) {
  set_bit(pci::status, pci::status_interrupt, pending);
}

void PciConfigSpace::set_transactions_pending(bool pending) {
  if (express_) set_bit(express_ + device_status, transactions_pending, pending);
}

bool PciConfigSpace::take_function_level_reset() {
  return std::exchange(function_level_reset_, false);
}

std::uint64_t PciConfigSpace::bar_base(unsigned bar) const {
  std::uint64_t base = dword(pci::bar0 + 4 * bar) & ~std::uint64_t{pci::bar_flags};
  if (bars_[bar].is_64bit) base |= std::uint64_t{dword(pci::bar0 + 4 * bar + 4)} << 32;
  return base;
}

std::optional<PciConfigSpace::Hit> PciConfigSpace::decode(std::uint64_t address,
                                                          std::uint64_t length) const {
  if (!memory_enabled()) return std::nullopt;
  for (unsigned bar = 0; bar < bars; ++bar) {
    if (bars_[bar].size == 0) continue;
    const std::uint64_t offset = address - bar_base(bar);
    if (offset < bars_[bar].size && length <= bars_[bar].size - offset) return Hit{bar, offset};
  }
  return std::nullopt;
}

void PciConfigSpace::put(Bytes& bytes, std::uint32_t offset, std::uint64_t value, unsigned width) {
  put_value(std::span(bytes).subspan(offset, width), value);
}

} // namespace virtio::tlm2
