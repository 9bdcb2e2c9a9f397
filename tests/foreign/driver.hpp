// A small virtio driver: what an operating system does to a device, in as few register accesses as
// the specification allows. It knows the platform only through the CPU's socket and the interrupt
// controller, and it never polls: a missing interrupt is an error.
#pragma once

#include "cpu.hpp"
#include "interrupt_controller.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace foreign {

/// The registers of a device, whatever its transport.
class Registers {
public:
  virtual ~Registers() = default;

  virtual std::uint8_t status() = 0;
  virtual void set_status(std::uint8_t value) = 0;
  virtual std::uint32_t device_features(std::uint32_t word) = 0;
  virtual void set_driver_features(std::uint32_t word, std::uint32_t value) = 0;
  /// Queue 0, the only one here.
  virtual void enable_queue(std::uint16_t size, std::uint64_t desc, std::uint64_t driver,
                            std::uint64_t device) = 0;
  virtual void notify() = 0;
  /// The device-specific configuration space.
  virtual std::uint32_t config(std::uint32_t offset) = 0;
  /// Sleeps until the interrupt controller has the device's interrupt, and acknowledges it.
  virtual void take_interrupt() = 0;
};

/// virtio-mmio (virtio 1.4, 4.2.2), with its interrupt wire.
class MmioRegisters final : public Registers {
public:
  MmioRegisters(Cpu& cpu, InterruptController& interrupts, std::uint64_t base,
                std::uint32_t device_type, unsigned wire);

  std::uint8_t status() override;
  void set_status(std::uint8_t value) override;
  std::uint32_t device_features(std::uint32_t word) override;
  void set_driver_features(std::uint32_t word, std::uint32_t value) override;
  void enable_queue(std::uint16_t size, std::uint64_t desc, std::uint64_t driver,
                    std::uint64_t device) override;
  void notify() override;
  std::uint32_t config(std::uint32_t offset) override;
  void take_interrupt() override;

private:
  std::uint32_t get(std::uint32_t offset) { return cpu_.read<std::uint32_t>(base_ + offset); }
  void set(std::uint32_t offset, std::uint32_t value) { cpu_.write(base_ + offset, value); }

  Cpu& cpu_;
  InterruptController& interrupts_;
  std::uint64_t base_;
  unsigned wire_;
};

/// Where a PCI function is, and where its BARs and messages go.
struct PciPlace {
  std::uint64_t ecam = 0;     ///< of bus 0
  std::uint64_t& next_bar;    ///< the next free PCI address
  std::uint64_t messages = 0; ///< where MSI-X messages are written
  int message = -1;           ///< which of them is the device's; -1: INTA# instead
  unsigned wire = 0;          ///< where INTA# ends
};

/// virtio-pci (virtio 1.4, 4.1): enumeration, BARs, capabilities, then the registers in BARs.
class PciRegisters final : public Registers {
public:
  PciRegisters(Cpu& cpu, InterruptController& interrupts, const PciPlace& place,
               std::uint32_t device_type);

  std::uint8_t status() override;
  void set_status(std::uint8_t value) override;
  std::uint32_t device_features(std::uint32_t word) override;
  void set_driver_features(std::uint32_t word, std::uint32_t value) override;
  void enable_queue(std::uint16_t size, std::uint64_t desc, std::uint64_t driver,
                    std::uint64_t device) override;
  void notify() override;
  std::uint32_t config(std::uint32_t offset) override;
  void take_interrupt() override;

private:
  void find_function(std::uint32_t device_type);
  void place_bars();
  void walk_capabilities();
  void enable_msix(std::uint8_t capability);
  std::uint64_t bar(std::uint8_t index);

  Cpu& cpu_;
  InterruptController& interrupts_;
  PciPlace place_;
  std::uint64_t header_ = 0; // the function's configuration space
  std::uint64_t common_ = 0;
  std::uint64_t isr_ = 0;
  std::uint64_t device_ = 0;
  std::uint64_t doorbell_ = 0;
  std::uint32_t doorbell_multiplier_ = 0;
  unsigned messages_taken_ = 0;
};

/// A device at work: one split virtqueue at the beginning of a piece of memory, buffers behind it.
class Driver {
public:
  static constexpr std::uint64_t buffers_offset = 0x1000;

  /// Brings the device up (virtio 1.4, 3.1.1) with its queue at `memory`.
  Driver(Cpu& cpu, Registers& registers, std::uint64_t memory);
  /// Leaves it reset.
  void stop();

  struct Buffer {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    bool device_writes = false;
  };
  /// One request: makes the buffers available, sleeps until the interrupt, and returns how many
  /// bytes the device wrote.
  std::uint32_t request(const std::vector<Buffer>& buffers);

  std::uint64_t buffers() const { return memory_ + buffers_offset; }

private:
  static constexpr std::uint16_t queue_size = 8;

  void reset();

  Cpu& cpu_;
  Registers& registers_;
  std::uint64_t memory_;
  std::uint64_t available_;
  std::uint64_t used_;
  std::uint16_t next_ = 0; // both indices: one request at a time
};

} // namespace foreign
