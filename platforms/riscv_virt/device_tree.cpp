#include <virtio/platforms/riscv_virt/device_tree.hpp>
#include <virtio/platforms/riscv_virt/plic.hpp>

#include <fmt/format.h>
#include <libfdt.h>

#include <initializer_list>
#include <stdexcept>
#include <string_view>

namespace virtio::platform {

namespace {

constexpr std::uint32_t phandle_cpu_interrupts = 1;
constexpr std::uint32_t phandle_plic = 2;
constexpr std::uint32_t phandle_finisher = 3;

// Interrupts of the hart (RISC-V privileged architecture, mcause).
constexpr std::uint32_t irq_machine_software = 3;
constexpr std::uint32_t irq_machine_timer = 7;
constexpr std::uint32_t irq_supervisor_external = 9;
constexpr std::uint32_t irq_machine_external = 11;

/// Writes a tree from its root to its leaves; nodes end where their scope does.
class Writer {
public:
  Writer() : blob_(64 * 1024) {
    check(fdt_create(blob_.data(), static_cast<int>(blob_.size())));
    check(fdt_finish_reservemap(blob_.data()));
  }

  template <class Body> void node(const std::string& name, Body&& body) {
    check(fdt_begin_node(blob_.data(), name.c_str()));
    body();
    check(fdt_end_node(blob_.data()));
  }

  void flag(const char* name) { property(name, nullptr, 0); }
  void text(const char* name, const std::string& value) {
    property(name, value.c_str(), value.size() + 1);
  }
  void texts(const char* name, std::initializer_list<std::string_view> values) {
    std::string joined;
    for (const auto value : values)
      joined.append(value).push_back('\0');
    property(name, joined.data(), joined.size());
  }
  void cells(const char* name, const std::vector<std::uint32_t>& values) {
    std::vector<fdt32_t> big_endian;
    for (const auto value : values)
      big_endian.push_back(cpu_to_fdt32(value));
    property(name, big_endian.data(), big_endian.size() * sizeof(fdt32_t));
  }
  void cell(const char* name, std::uint32_t value) { cells(name, {value}); }
  void reg(tlm2::AddressRange range) { cells("reg", range_cells(range)); }

  static std::vector<std::uint32_t> range_cells(tlm2::AddressRange range) {
    return {high(range.base), low(range.base), high(range.size), low(range.size)};
  }
  static std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }
  static std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

  std::vector<std::byte> finish() {
    check(fdt_finish(blob_.data()));
    blob_.resize(fdt_totalsize(blob_.data()));
    return std::move(blob_);
  }

private:
  void property(const char* name, const void* value, std::size_t size) {
    check(fdt_property(blob_.data(), name, value, static_cast<int>(size)));
  }
  static void check(int error) {
    if (error < 0)
      throw std::runtime_error(
          fmt::format("libfdt: {} while writing the device tree", fdt_strerror(error)));
  }

  std::vector<std::byte> blob_;
};

std::string unit(std::string_view name, tlm2::AddressRange range) {
  return fmt::format("{}@{:x}", name, range.base);
}

void write_cpus(Writer& tree, const DeviceTreeParams& params) {
  tree.node("cpus", [&] {
    tree.cell("#address-cells", 1);
    tree.cell("#size-cells", 0);
    tree.cell("timebase-frequency", params.timebase_frequency);
    tree.node("cpu@0", [&] {
      tree.text("device_type", "cpu");
      tree.cell("reg", 0);
      tree.text("status", "okay");
      tree.text("compatible", "riscv");
      tree.text("riscv,isa", "rv64imafdc");
      tree.text("mmu-type", "riscv,sv48");
      tree.node("interrupt-controller", [&] {
        tree.cell("#address-cells", 0);
        tree.cell("#interrupt-cells", 1);
        tree.flag("interrupt-controller");
        tree.text("compatible", "riscv,cpu-intc");
        tree.cell("phandle", phandle_cpu_interrupts);
      });
    });
  });
}

/// Two banks when there is a carve-out: firmware that places itself at the end of the first one
/// stays out of it, whether it honours reserved-memory or not (U-Boot's relocation does not).
void write_memory(Writer& tree, const DeviceTreeParams& params) {
  const auto reserved = params.reserved();
  const tlm2::AddressRange first{memory_map::ram_base, params.ram_size - params.reserved_size};
  tree.node(unit("memory", first), [&] {
    tree.text("device_type", "memory");
    auto banks = Writer::range_cells(first);
    if (params.reserved_size) {
      const auto second = Writer::range_cells(reserved);
      banks.insert(banks.end(), second.begin(), second.end());
    }
    tree.cells("reg", banks);
  });
  if (params.reserved_size == 0) return;
  tree.node("reserved-memory", [&] {
    tree.cell("#address-cells", 2);
    tree.cell("#size-cells", 2);
    tree.flag("ranges");
    tree.node(unit("driver", reserved), [&] {
      tree.reg(reserved);
      tree.flag("no-map");
    });
  });
}

void write_interrupt_controllers(Writer& tree) {
  tree.node(unit("clint", memory_map::clint), [&] {
    tree.texts("compatible", {"sifive,clint0", "riscv,clint0"});
    tree.reg(memory_map::clint);
    tree.cells("interrupts-extended", {phandle_cpu_interrupts, irq_machine_software,
                                       phandle_cpu_interrupts, irq_machine_timer});
  });
  tree.node(unit("plic", memory_map::plic), [&] {
    tree.texts("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
    tree.reg(memory_map::plic);
    tree.cell("#address-cells", 0);
    tree.cell("#interrupt-cells", 1);
    tree.flag("interrupt-controller");
    tree.cell("riscv,ndev", Plic::sources - 1);
    tree.cells("interrupts-extended", {phandle_cpu_interrupts, irq_machine_external,
                                       phandle_cpu_interrupts, irq_supervisor_external});
    tree.cell("phandle", phandle_plic);
  });
}

void write_interrupt(Writer& tree, unsigned source) {
  tree.cell("interrupt-parent", phandle_plic);
  tree.cell("interrupts", source);
}

void write_finisher(Writer& tree) {
  tree.node(unit("test", memory_map::finisher), [&] {
    tree.texts("compatible", {"sifive,test1", "sifive,test0", "syscon"});
    tree.reg(memory_map::finisher);
    tree.cell("phandle", phandle_finisher);
  });
}

void write_power(Writer& tree, const std::string& name, std::uint32_t value) {
  tree.node(name, [&] {
    tree.text("compatible", "syscon-" + name);
    tree.cell("regmap", phandle_finisher);
    tree.cell("offset", 0);
    tree.cell("value", value);
  });
}

void write_uart(Writer& tree) {
  tree.node(unit("serial", memory_map::uart), [&] {
    tree.text("compatible", "ns16550a");
    tree.reg(memory_map::uart);
    tree.cell("clock-frequency", 3'686'400);
    write_interrupt(tree, interrupt::uart);
  });
}

void write_virtio_slots(Writer& tree, const DeviceTreeParams& params) {
  for (const unsigned slot : params.virtio_slots) {
    const auto range = memory_map::virtio_slot(slot);
    tree.node(unit("virtio_mmio", range), [&] {
      tree.text("compatible", "virtio,mmio");
      tree.reg(range);
      write_interrupt(tree, interrupt::virtio_slot(slot));
    });
  }
}

/// One entry of `ranges`: bus and CPU addresses are the same in the memory windows, I/O starts at
/// bus address 0.
void append_window(std::vector<std::uint32_t>& ranges, std::uint32_t space, std::uint64_t bus,
                   tlm2::AddressRange window) {
  const auto cpu = Writer::range_cells(window);
  ranges.insert(ranges.end(), {space, Writer::high(bus), Writer::low(bus)});
  ranges.insert(ranges.end(), cpu.begin(), cpu.end());
}

/// PLIC sources by device number modulo 4 and pin.
std::vector<std::uint32_t> interrupt_map() {
  std::vector<std::uint32_t> map;
  for (unsigned device = 0; device < interrupt::pcie_pins; ++device)
    for (unsigned pin = 0; pin < interrupt::pcie_pins; ++pin)
      map.insert(map.end(),
                 {device << 11, 0, 0, pin + 1, phandle_plic, interrupt::pcie_pin(device, pin)});
  return map;
}

void write_pcie(Writer& tree) {
  constexpr std::uint32_t io_space = 0x0100'0000;
  constexpr std::uint32_t memory32_space = 0x0200'0000;
  constexpr std::uint32_t memory64_space = 0x0300'0000;
  tree.node(unit("pci", memory_map::pcie_ecam), [&] {
    tree.text("compatible", "pci-host-ecam-generic");
    tree.text("device_type", "pci");
    tree.cell("#address-cells", 3);
    tree.cell("#size-cells", 2);
    tree.cell("#interrupt-cells", 1);
    tree.cell("linux,pci-domain", 0);
    tree.cells("bus-range", {0, 0xff});
    tree.flag("dma-coherent");
    tree.reg(memory_map::pcie_ecam);
    std::vector<std::uint32_t> ranges;
    append_window(ranges, io_space, 0, memory_map::pcie_io);
    append_window(ranges, memory32_space, memory_map::pcie_mmio32.base, memory_map::pcie_mmio32);
    append_window(ranges, memory64_space, memory_map::pcie_mmio64.base, memory_map::pcie_mmio64);
    tree.cells("ranges", ranges);
    tree.cells("interrupt-map-mask", {0x1800, 0, 0, 7});
    tree.cells("interrupt-map", interrupt_map());
  });
}

} // namespace

std::vector<std::byte> make_device_tree(const DeviceTreeParams& params) {
  Writer tree;
  tree.node("", [&] {
    tree.cell("#address-cells", 2);
    tree.cell("#size-cells", 2);
    tree.text("compatible", "riscv-virtio");
    tree.text("model", "riscv-virtio,virtio-tlm");
    tree.node("chosen", [&] {
      tree.text("stdout-path", "/soc/" + unit("serial", memory_map::uart));
      if (!params.bootargs.empty()) tree.text("bootargs", params.bootargs);
    });
    write_memory(tree, params);
    write_cpus(tree, params);
    tree.node("soc", [&] {
      tree.cell("#address-cells", 2);
      tree.cell("#size-cells", 2);
      tree.text("compatible", "simple-bus");
      tree.flag("ranges");
      write_finisher(tree);
      write_interrupt_controllers(tree);
      write_uart(tree);
      write_virtio_slots(tree, params);
      if (params.pcie) write_pcie(tree);
    });
    write_power(tree, "poweroff", 0x5555);
    write_power(tree, "reboot", 0x7777);
  });
  return tree.finish();
}

} // namespace virtio::platform
