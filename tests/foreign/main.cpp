// An example platform, written as somebody would who has SystemC and TLM-2.0 and wants virtio
// devices: its bus, memories, interrupt controller and PCI host are its own. Four devices, an
// entropy and a block device on each transport, work in each of three kinds of memory over the bus;
// a fifth is wired to AT memory and speaks its protocol, nb_transport.
#include "bus.hpp"
#include "cpu.hpp"
#include "devices.hpp"
#include "driver.hpp"
#include "interrupt_controller.hpp"
#include "memories.hpp"
#include "pci_host.hpp"

#include <systemc>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace foreign {

// The memory map.
constexpr std::uint64_t messages_base = 0x0200'0000;
constexpr std::uint64_t mmio_base = 0x1000'0000;
constexpr std::uint64_t mmio_stride = 0x1000;
constexpr std::uint64_t ecam_base = 0x3000'0000;
constexpr std::uint64_t window_base = 0x4000'0000;
constexpr std::uint64_t window_size = 0x1000'0000;
constexpr std::uint64_t memory_size = 1 << 20;
constexpr std::uint64_t lt_base = 0x8000'0000;
constexpr std::uint64_t dmi_base = 0x9000'0000;
constexpr std::uint64_t at_base = 0x1'0000'0000; // beyond 4 GiB, for good measure

constexpr std::uint32_t block_type = 2; // virtio 1.4, 5
constexpr std::uint32_t entropy_type = 4;
constexpr std::uint32_t sector = 512;

class Platform : public sc_core::sc_module {
public:
  explicit Platform(sc_core::sc_module_name name);

  bool succeeded() const { return cpu_.succeeded(); }

private:
  struct Region {
    std::string name;
    std::uint64_t base;
  };

  void program();
  void use_entropy(Registers& registers, const std::string& name, const Region& memory);
  void use_block(Registers& registers, const std::string& name, const Region& memory);
  void check_ways_to_memory();
  void say(const std::string& device, const Region& memory, const std::string& what) {
    std::cout << device << " in " << memory.name << ": " << what << std::endl;
  }

  Cpu cpu_{"cpu", [this] { program(); }};
  Bus bus_{"bus"};
  LtMemory lt_memory_{"lt_memory", memory_size, LtMemory::Dmi::refused};
  LtMemory dmi_memory_{"dmi_memory", memory_size, LtMemory::Dmi::granted};
  AtMemory at_memory_{"at_memory", memory_size, at_base};
  InterruptController interrupts_{"interrupts"};
  PciHost pci_host_{"pci_host"};

  // One executor runs the devices of a simulation.
  virtio::tlm2::ExecutorModule executor_{"executor"};
  std::unique_ptr<MmioDevice> rng_mmio_;
  std::unique_ptr<MmioDevice> blk_mmio_;
  std::unique_ptr<MmioDevice> blk_at_;
  std::unique_ptr<PciDevice> rng_pci_;
  std::unique_ptr<PciDevice> blk_pci_;
};

Platform::Platform(sc_core::sc_module_name name) : sc_module(name) {
  cpu_.socket.bind(bus_.from_initiators); // the first: see Bus::from_devices()
  bus_.map(lt_base, memory_size, lt_memory_.socket);
  bus_.map(dmi_base, memory_size, dmi_memory_.socket);
  bus_.map(at_base, memory_size, at_memory_.socket);
  bus_.map(messages_base, 4, interrupts_.message_socket);
  bus_.map(ecam_base, PciHost::ecam_size, pci_host_.ecam);
  bus_.map(window_base, window_size, pci_host_.window, window_base);

  const auto entropy = [](const std::string& device) {
    return std::make_unique<virtio::entropy::Entropy>(virtio::entropy::EntropyParams{.seed = 1},
                                                      device);
  };
  const auto disk = [] {
    return std::make_unique<virtio::blk::Block>(virtio::blk::BlockParams{.serial = "foreign"},
                                                std::make_unique<virtio::blk::RamStore>(64 * 1024));
  };
  rng_mmio_ = std::make_unique<MmioDevice>("rng_mmio", entropy("rng_mmio"), executor_, bus_,
                                           mmio_base, interrupts_.wire[0], bus_.from_initiators);
  blk_mmio_ =
      std::make_unique<MmioDevice>("blk_mmio", disk(), executor_, bus_, mmio_base + mmio_stride,
                                   interrupts_.wire[1], bus_.from_initiators);
  const virtio::tlm2::DmaPortParams by_nb_transport{.protocol = virtio::tlm2::DmaProtocol::at};
  blk_at_ =
      std::make_unique<MmioDevice>("blk_at", disk(), executor_, bus_, mmio_base + 2 * mmio_stride,
                                   interrupts_.wire[4], at_memory_.direct, by_nb_transport);
  rng_pci_ = std::make_unique<PciDevice>("rng_pci", entropy("rng_pci"), executor_, bus_, pci_host_,
                                         interrupts_.wire[2]);
  blk_pci_ = std::make_unique<PciDevice>("blk_pci", disk(), executor_, bus_, pci_host_,
                                         interrupts_.wire[3]);
}

/// What the CPU runs.
void Platform::program() {
  MmioRegisters rng_mmio(cpu_, interrupts_, mmio_base, entropy_type, 0);
  MmioRegisters blk_mmio(cpu_, interrupts_, mmio_base + mmio_stride, block_type, 1);
  MmioRegisters blk_at(cpu_, interrupts_, mmio_base + 2 * mmio_stride, block_type, 4);
  std::uint64_t next_bar = window_base;
  const PciPlace on_wire_2{.ecam = ecam_base, .next_bar = next_bar, .wire = 2};
  PciRegisters rng_pci(cpu_, interrupts_, on_wire_2, entropy_type);
  const PciPlace as_message_1{
      .ecam = ecam_base, .next_bar = next_bar, .messages = messages_base, .message = 1};
  PciRegisters blk_pci(cpu_, interrupts_, as_message_1, block_type);

  for (const Region& memory :
       {Region{"LT memory without DMI", lt_base}, Region{"LT memory with DMI", dmi_base},
        Region{"AT memory", at_base}}) {
    use_entropy(rng_mmio, "virtio-mmio entropy", memory);
    use_block(blk_mmio, "virtio-mmio block", memory);
    use_entropy(rng_pci, "virtio-pci entropy", memory);
    use_block(blk_pci, "virtio-pci block", memory);
  }
  use_block(blk_at, "virtio-mmio block by nb_transport", Region{"AT memory", at_base});
  check_ways_to_memory();
}

void Platform::use_entropy(Registers& registers, const std::string& name, const Region& memory) {
  Driver driver(cpu_, registers, memory.base);
  // One request a time, 64 bytes each, with a byte behind that must stay as it is.
  std::vector<unsigned char> before(65, 0x5a);
  std::vector<unsigned char> first(65), second(65);
  for (auto* bytes : {&first, &second}) {
    cpu_.write_bytes(driver.buffers(), before);
    require(driver.request({{driver.buffers(), 64, true}}) == 64, "not 64 bytes were written");
    cpu_.read_bytes(driver.buffers(), *bytes);
    require(bytes->back() == 0x5a, "a byte behind the buffer was written");
    require(!std::equal(bytes->begin(), bytes->end() - 1, before.begin()), "nothing was written");
  }
  require(first != second, "the same random bytes twice");
  driver.stop();
  say(name, memory, "2 requests, 128 random bytes");
}

void Platform::use_block(Registers& registers, const std::string& name, const Region& memory) {
  constexpr std::uint32_t length = 32 * sector; // several transactions, under way at once
  constexpr std::uint32_t read = 0;             // virtio 1.4, 5.2.6
  constexpr std::uint32_t write = 1;
  Driver driver(cpu_, registers, memory.base);
  require(registers.config(0) * sector == 64 * 1024, "the disk has another capacity");

  const std::uint64_t header = driver.buffers();
  const std::uint64_t status = header + 16;
  const std::uint64_t data = header + 0x1000;
  const auto transfer = [&](std::uint32_t type) {
    cpu_.write(header, type);
    cpu_.write<std::uint32_t>(header + 4, 0);
    cpu_.write<std::uint64_t>(header + 8, 7); // from this sector on
    cpu_.write<std::uint8_t>(status, 0xff);
    const auto written =
        driver.request({{header, 16, false}, {data, length, type == read}, {status, 1, true}});
    require(written == (type == read ? length + 1 : 1), "another length was written");
    require(cpu_.read<std::uint8_t>(status) == 0, "the disk reports an error");
  };

  // What was written must come back, also when the buffer was cleared in between.
  std::vector<unsigned char> pattern(length);
  for (std::size_t i = 0; i < length; ++i)
    pattern[i] = static_cast<unsigned char>(i * 7 + i / 251 + memory.base / 0x1000'0000);
  std::vector<unsigned char> bytes(length);
  cpu_.write_bytes(data, pattern);
  transfer(write);
  cpu_.write_bytes(data, bytes);
  transfer(read);
  cpu_.read_bytes(data, bytes);
  require(bytes == pattern, "the disk gives back something else");
  driver.stop();
  say(name, memory, "2 requests, 16 KiB written and read back");
}

/// Rings and buffers in memory with DMI are reached by pointer, in all other memory over the bus.
void Platform::check_ways_to_memory() {
  const unsigned lt = bus_.from_devices(lt_base);
  const unsigned dmi = bus_.from_devices(dmi_base);
  const unsigned at = bus_.from_devices(at_base);
  std::cout << "transactions of devices: " << lt << " to LT memory without DMI, " << dmi
            << " to LT memory with DMI, " << at << " to AT memory, of which up to "
            << at_memory_.most_outstanding() << " at once, " << at_memory_.direct_requests()
            << " by nb_transport" << std::endl;
  require(lt > 0 && at > 0, "no transactions where there is no DMI");
  require(dmi == 0, "transactions where there is DMI");
  require(at_memory_.direct_requests() > 0, "nothing by nb_transport");
  require(at_memory_.most_outstanding() >= 4, "16 KiB were not under way at once");

  // Each device did two requests in each memory, and told so each time.
  std::cout << "interrupts: " << interrupts_.wire_count(0) << " and " << interrupts_.wire_count(1)
            << " on the wires of virtio-mmio, " << interrupts_.wire_count(2) << " on INTA#, "
            << interrupts_.message_count(1) << " MSI-X messages" << std::endl;
  for (const unsigned wire : {0u, 1u, 2u})
    require(interrupts_.wire_count(wire) == 6, "not one interrupt a request");
  require(interrupts_.wire_count(4) == 2, "not one interrupt a request by nb_transport");
  require(interrupts_.message_count(1) == 6, "not one message a request");
  require(interrupts_.wire_count(3) == 0 && interrupts_.message_count(0) == 0,
          "an interrupt that nobody asked for");
}

} // namespace foreign

// The SystemC library brings `main`.
int sc_main(int, char**) {
  foreign::Platform platform("platform");
  sc_core::sc_start();
  std::cout << (platform.succeeded() ? "done" : "failed") << " at " << sc_core::sc_time_stamp()
            << std::endl;
  return platform.succeeded() ? 0 : 1;
}
