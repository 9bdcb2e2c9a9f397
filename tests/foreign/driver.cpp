#include "driver.hpp"

namespace foreign {
namespace {

constexpr std::uint8_t acknowledge = 1;
constexpr std::uint8_t driver_known = 2;
constexpr std::uint8_t driver_ok = 4;
constexpr std::uint8_t features_ok = 8;

/// Far more simulated time than any request here takes.
const sc_core::sc_time patience(1, sc_core::SC_MS);

void sleep_until(InterruptController& interrupts, const std::function<bool()>& condition,
                 const std::string& what) {
  const sc_core::sc_time deadline = sc_core::sc_time_stamp() + patience;
  while (!condition()) {
    sc_core::wait(patience, interrupts.changed());
    require(condition() || sc_core::sc_time_stamp() < deadline, what);
  }
}

/// A wire stays up until the device is told that its interrupt was seen.
void take_wire_interrupt(InterruptController& interrupts, unsigned wire,
                         const std::function<void()>& tell_device) {
  const auto up = [&] { return interrupts.wire[wire].read(); };
  sleep_until(interrupts, up, "no interrupt on wire " + std::to_string(wire));
  tell_device();
  sleep_until(
      interrupts, [&] { return !up(); },
      "wire " + std::to_string(wire) + " stays up after the acknowledgement");
}

constexpr std::uint32_t low(std::uint64_t value) {
  return static_cast<std::uint32_t>(value);
}
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32);
}

} // namespace

// --- virtio-mmio ---------------------------------------------------------------------------------

MmioRegisters::MmioRegisters(Cpu& cpu, InterruptController& interrupts, std::uint64_t base,
                             std::uint32_t device_type, unsigned wire)
    : cpu_(cpu), interrupts_(interrupts), base_(base), wire_(wire) {
  require(get(0x000) == 0x7472'6976, "MagicValue is not \"virt\"");
  require(get(0x004) == 2, "Version is not 2");
  require(get(0x008) == device_type, "DeviceID is another one");
}

std::uint8_t MmioRegisters::status() {
  return static_cast<std::uint8_t>(get(0x070));
}
void MmioRegisters::set_status(std::uint8_t value) {
  set(0x070, value);
}
std::uint32_t MmioRegisters::device_features(std::uint32_t word) {
  set(0x014, word);
  return get(0x010);
}
void MmioRegisters::set_driver_features(std::uint32_t word, std::uint32_t value) {
  set(0x024, word);
  set(0x020, value);
}

void MmioRegisters::enable_queue(std::uint16_t size, std::uint64_t desc, std::uint64_t driver,
                                 std::uint64_t device) {
  set(0x030, 0); // QueueSel
  require(get(0x034) >= size, "QueueSizeMax is too small");
  set(0x038, size);
  set(0x080, low(desc));
  set(0x084, high(desc));
  set(0x090, low(driver));
  set(0x094, high(driver));
  set(0x0a0, low(device));
  set(0x0a4, high(device));
  set(0x044, 1); // QueueReady
}

void MmioRegisters::notify() {
  set(0x050, 0);
}
std::uint32_t MmioRegisters::config(std::uint32_t offset) {
  return get(0x100 + offset);
}
void MmioRegisters::take_interrupt() {
  take_wire_interrupt(interrupts_, wire_, [&] {
    const std::uint32_t causes = get(0x060); // InterruptStatus
    require((causes & 1) != 0, "the interrupt has another cause than a used buffer");
    set(0x064, causes);
  });
}

// --- virtio-pci ----------------------------------------------------------------------------------

PciRegisters::PciRegisters(Cpu& cpu, InterruptController& interrupts, const PciPlace& place,
                           std::uint32_t device_type)
    : cpu_(cpu), interrupts_(interrupts), place_(place) {
  find_function(device_type);
  place_bars();
  walk_capabilities();
  require(common_ && isr_ && doorbell_, "a capability is missing");
}

void PciRegisters::find_function(std::uint32_t device_type) {
  for (std::uint64_t device = 0; device < 32 && !header_; ++device) {
    const std::uint64_t header = place_.ecam + (device << 15);
    if (cpu_.read<std::uint32_t>(header) == ((0x1040 + device_type) << 16 | 0x1af4))
      header_ = header;
  }
  require(header_ != 0, "no PCI function of device type " + std::to_string(device_type));
}

/// Gives every BAR an address of its own, as firmware does, then lets the function answer there.
void PciRegisters::place_bars() {
  for (std::uint64_t at = header_ + 0x10; at < header_ + 0x28; at += 4) {
    cpu_.write<std::uint32_t>(at, ~0u);
    const auto answer = cpu_.read<std::uint32_t>(at);
    if (answer == 0) continue;
    const std::uint64_t size = ~(answer & ~0xfu) + 1u;
    place_.next_bar = (place_.next_bar + size - 1) / size * size;
    cpu_.write(at, low(place_.next_bar));
    if ((answer & 6) == 4) cpu_.write(at += 4, high(place_.next_bar));
    place_.next_bar += size;
  }
  cpu_.write<std::uint16_t>(header_ + 0x04, 0x6); // Memory Space and Bus Master Enable
}

std::uint64_t PciRegisters::bar(std::uint8_t index) {
  const std::uint64_t at = header_ + 0x10 + 4u * index;
  const auto value = cpu_.read<std::uint32_t>(at);
  const std::uint64_t upper = (value & 6) == 4 ? cpu_.read<std::uint32_t>(at + 4) : 0;
  return upper << 32 | (value & ~0xfu);
}

void PciRegisters::walk_capabilities() {
  constexpr std::uint8_t vendor_specific = 0x09;
  constexpr std::uint8_t msix = 0x11;
  std::uint8_t capability = cpu_.read<std::uint8_t>(header_ + 0x34);
  for (; capability != 0; capability = cpu_.read<std::uint8_t>(header_ + capability + 1)) {
    const std::uint64_t at = header_ + capability;
    const auto id = cpu_.read<std::uint8_t>(at);
    if (id == msix && place_.message >= 0) enable_msix(capability);
    if (id != vendor_specific) continue;
    const auto structure = [&] {
      return bar(cpu_.read<std::uint8_t>(at + 4)) + cpu_.read<std::uint32_t>(at + 8);
    };
    switch (cpu_.read<std::uint8_t>(at + 3)) { // cfg_type
    case 1:
      common_ = structure();
      break;
    case 2:
      doorbell_ = structure();
      doorbell_multiplier_ = cpu_.read<std::uint32_t>(at + 16);
      break;
    case 3:
      isr_ = structure();
      break;
    case 4:
      device_ = structure();
      break;
    default:
      break; // the configuration access window, shared memory
    }
  }
}

void PciRegisters::enable_msix(std::uint8_t capability) {
  const std::uint64_t at = header_ + capability;
  const auto table = cpu_.read<std::uint32_t>(at + 4);
  const std::uint64_t entry = bar(table & 7) + (table & ~7u); // vector 0
  cpu_.write(entry, low(place_.messages));
  cpu_.write(entry + 4, high(place_.messages));
  cpu_.write(entry + 8, static_cast<std::uint32_t>(place_.message));
  cpu_.write<std::uint32_t>(entry + 12, 0); // not masked
  cpu_.write<std::uint16_t>(at + 2, 0x8000);
}

std::uint8_t PciRegisters::status() {
  return cpu_.read<std::uint8_t>(common_ + 0x14);
}
void PciRegisters::set_status(std::uint8_t value) {
  cpu_.write(common_ + 0x14, value);
}
std::uint32_t PciRegisters::device_features(std::uint32_t word) {
  cpu_.write(common_, word);
  return cpu_.read<std::uint32_t>(common_ + 0x04);
}
void PciRegisters::set_driver_features(std::uint32_t word, std::uint32_t value) {
  cpu_.write(common_ + 0x08, word);
  cpu_.write(common_ + 0x0c, value);
}

void PciRegisters::enable_queue(std::uint16_t size, std::uint64_t desc, std::uint64_t driver,
                                std::uint64_t device) {
  cpu_.write<std::uint16_t>(common_ + 0x16, 0); // queue_select
  require(cpu_.read<std::uint16_t>(common_ + 0x18) >= size, "queue_size is too small");
  cpu_.write(common_ + 0x18, size);
  if (place_.message >= 0) {
    cpu_.write<std::uint16_t>(common_ + 0x1a, 0); // queue_msix_vector
    require(cpu_.read<std::uint16_t>(common_ + 0x1a) == 0, "the queue got no vector");
  }
  std::uint64_t at = common_ + 0x20;
  for (const std::uint64_t address : {desc, driver, device}) {
    cpu_.write(at, low(address));
    cpu_.write(at + 4, high(address));
    at += 8;
  }
  cpu_.write<std::uint16_t>(common_ + 0x1c, 1); // queue_enable
}

void PciRegisters::notify() {
  const auto offset = cpu_.read<std::uint16_t>(common_ + 0x1e);
  cpu_.write<std::uint16_t>(doorbell_ + std::uint64_t{offset} * doorbell_multiplier_, 0);
}
std::uint32_t PciRegisters::config(std::uint32_t offset) {
  require(device_ != 0, "the device has no configuration space");
  return cpu_.read<std::uint32_t>(device_ + offset);
}

void PciRegisters::take_interrupt() {
  if (place_.message < 0) {
    take_wire_interrupt(interrupts_, place_.wire, [&] {
      const auto causes = cpu_.read<std::uint8_t>(isr_); // which also acknowledges
      require((causes & 1) != 0, "the interrupt has another cause than a used buffer");
    });
    return;
  }
  const auto message = static_cast<unsigned>(place_.message);
  ++messages_taken_;
  sleep_until(
      interrupts_, [&] { return interrupts_.message_count(message) == messages_taken_; },
      "MSI-X message " + std::to_string(message) + " did not come");
}

// --- the driver ----------------------------------------------------------------------------------

Driver::Driver(Cpu& cpu, Registers& registers, std::uint64_t memory)
    : cpu_(cpu), registers_(registers), memory_(memory), available_(memory + 16 * queue_size),
      used_(memory + 0x400) {
  // Both rings begin with flags (0: interrupts, please) and index 0.
  cpu_.write<std::uint32_t>(available_, 0);
  cpu_.write<std::uint32_t>(used_, 0);

  reset();
  registers_.set_status(acknowledge);
  registers_.set_status(acknowledge | driver_known);
  // VIRTIO_F_VERSION_1 is bit 32; VIRTIO_F_ACCESS_PLATFORM, bit 33, costs nothing.
  const std::uint32_t offered = registers_.device_features(1);
  require((offered & 1) != 0, "VIRTIO_F_VERSION_1 is not offered");
  registers_.set_driver_features(0, 0);
  registers_.set_driver_features(1, offered & 3);
  registers_.set_status(acknowledge | driver_known | features_ok);
  require((registers_.status() & features_ok) != 0, "the device refused the features");
  registers_.enable_queue(queue_size, memory_, available_, used_);
  registers_.set_status(acknowledge | driver_known | features_ok | driver_ok);
}

void Driver::reset() {
  registers_.set_status(0);
  const sc_core::sc_time deadline = sc_core::sc_time_stamp() + patience;
  while (registers_.status() != 0) {
    require(sc_core::sc_time_stamp() < deadline, "the reset does not end");
    sc_core::wait(1, sc_core::SC_US);
  }
}

void Driver::stop() {
  reset();
}

std::uint32_t Driver::request(const std::vector<Buffer>& buffers) {
  // Descriptors 0, 1, ... (virtio 1.4, 2.7.5), chained by NEXT.
  constexpr std::uint16_t next = 1;
  constexpr std::uint16_t write = 2;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const std::uint64_t descriptor = memory_ + 16 * i;
    const bool last = i + 1 == buffers.size();
    cpu_.write(descriptor, buffers[i].address);
    cpu_.write(descriptor + 8, buffers[i].length);
    cpu_.write(descriptor + 12, static_cast<std::uint16_t>((last ? 0 : next) |
                                                           (buffers[i].device_writes ? write : 0)));
    cpu_.write(descriptor + 14, static_cast<std::uint16_t>(last ? 0 : i + 1));
  }
  const std::uint16_t slot = next_ % queue_size;
  cpu_.write<std::uint16_t>(available_ + 4 + 2u * slot, 0);
  cpu_.write(available_ + 2, ++next_);
  registers_.notify();

  registers_.take_interrupt();
  require(cpu_.read<std::uint16_t>(used_ + 2) == next_, "an interrupt, but no used buffer");
  require(cpu_.read<std::uint32_t>(used_ + 4 + 8u * slot) == 0, "another buffer was used");
  return cpu_.read<std::uint32_t>(used_ + 4 + 8u * slot + 4);
}

} // namespace foreign
