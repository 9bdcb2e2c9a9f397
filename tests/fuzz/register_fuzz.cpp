// What a guest can do with loads and stores alone: registers of virtio-mmio windows, PCI
// configuration space and BARs at any offset and width, memory of rings and buffers, in any order,
// with a real driver's set-up in between. Nothing crashes or hangs, and whatever was done before,
// the driver then enumerates the machine afresh and every device works.
#include "fuzz/support.hpp"
#include "support/machine.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/entropy/entropy.hpp>

#include <cstdlib>

int sc_main(int, char**) {
  return 0; // never called: the main program is the fuzzer's
}

/// SystemC's threads switch stacks, which AddressSanitizer's stack of fakes does not survive, and
/// what lives on the program's stack when the process ends is not seen by LeakSanitizer.
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0:detect_leaks=0";
}

namespace virtio::fuzz {
namespace {

constexpr std::uint64_t bars_at = 0x4000'0000;
constexpr unsigned max_operations = 200;

class Guest {
public:
  Guest() {
    add(false);
    add(true);
  }

  /// Runs the input as the machine's program.
  void run(Input input) {
    input_ = input;
    done_ = false;
    if (std::exchange(started_, true))
      sc_core::sc_start(sc_core::sc_time(1000, sc_core::SC_SEC));
    else
      machine_.run([this] { program(); }, sc_core::sc_time(1000, sc_core::SC_SEC));
    require(done_, "an input ends");
    require(machine_.error.empty(), "nothing is thrown");
  }

private:
  void add(bool on_pci) {
    machine_.add(
        std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, on_pci ? "pci" : "mmio"),
        on_pci);
    machine_.add(
        std::make_unique<blk::Block>(blk::BlockParams{}, std::make_unique<blk::RamStore>(64 << 10)),
        on_pci);
  }

  void program() {
    for (;;) {
      for (unsigned i = 0; i < max_operations && !input_.empty(); ++i)
        operation();
      queues_.clear();
      sessions_.clear();
      devices_.clear();
      for (const driver::Trial& trial : driver::try_every_device(machine_.bus, description())) {
        if (!trial.ok) std::fprintf(stderr, "%s: %s\n", trial.place.c_str(), trial.text.c_str());
        require(trial.ok, "every device works after a reset");
        ++trials_;
      }
      require(std::exchange(trials_, 0) == 4, "every device is found");
      done_ = true;
      sc_core::sc_pause();
      machine_.bus.pause(sc_core::sc_time(1, sc_core::SC_NS));
    }
  }

  driver::Machine description() const {
    driver::Machine m = machine_.description();
    m.memory_base += 1 << 20; // behind what the sessions use
    m.memory_size -= 1 << 20;
    return m;
  }

  void operation() {
    try {
      switch (input_.u8() % 8) {
      case 0:
        return access(test::Machine::mmio_base + 0x1000u * (input_.u8() & 1), input_.u8() * 4u);
      case 1:
        return access(test::Machine::mmio_base + 0x1000u * (input_.u8() & 1), input_.u16() & 0xfff);
      case 2: // configuration space of the bridge's devices, and of what is not there
        return access(test::Machine::ecam_base + 0x8000u * (input_.u8() % 4), input_.u16() & 0xfff);
      case 3:
        return access(bars_at, input_.u16());
      case 4: { // rings and buffers
        const std::uint64_t at = machine_.description().memory_base + (input_.u16() & ~1u);
        machine_.bus.store<std::uint16_t>(at, input_.u16());
        return;
      }
      case 5:
        return set_up();
      case 6:
        return offer();
      default:
        return machine_.bus.pause(sc_core::sc_time(1u + input_.u8(), sc_core::SC_US));
      }
    } catch (const driver::DriverError&) {
      // The bus or the driver refuses; the guest goes on.
    }
  }

  void access(std::uint64_t base, std::uint64_t offset) {
    static constexpr unsigned widths[] = {1, 2, 4, 4, 4, 8, 3, 16};
    const std::uint8_t how = input_.u8();
    const unsigned width = widths[how & 7];
    std::array<std::byte, 16> bytes{};
    if (!(how & 8)) return machine_.bus.read(base + offset, std::span(bytes).first(width));
    const std::uint64_t value = how & 16 ? input_.u64() : input_.u8();
    std::memcpy(bytes.data(), &value, sizeof value);
    machine_.bus.write(base + offset, std::span<const std::byte>(bytes).first(width));
  }

  /// What a driver does up to DRIVER_OK, with features of the input's choice.
  void set_up() {
    if (devices_.empty()) devices_ = machine_.probe();
    driver::DeviceAccess* device = devices_.at(input_.u8() % devices_.size()).get();
    FeatureSet wanted;
    const std::uint8_t features = input_.u8();
    wanted.set(VIRTIO_F_RING_PACKED, features & 1)
        .set(VIRTIO_F_EVENT_IDX, features & 2)
        .set(VIRTIO_F_INDIRECT_DESC, features & 4)
        .set(VIRTIO_F_RING_RESET, features & 8);
    if (!device) return;
    arena_ = driver::Arena(machine_.description().memory_base, 1 << 16);
    sessions_.push_back(std::make_unique<driver::Session>(machine_.bus, *device, wanted, arena_));
    queues_.emplace_back(&sessions_.back()->add_queue(0, {.size = 8}));
    if (features & 16) sessions_.back()->go_live();
  }

  void offer() {
    if (queues_.empty()) return;
    driver::Virtqueue& queue = *queues_.at(input_.u8() % queues_.size());
    const std::uint64_t at = machine_.description().memory_base + 0x8000;
    const driver::Buffer chain[] = {
        {at, 16, false}, {at + 64, input_.u16(), true}, {at + 48, 1, true}};
    queue.add(chain);
    queue.kick();
  }

  test::Machine machine_;
  Input input_{{}};
  driver::Arena arena_{0, 0};
  std::vector<std::unique_ptr<driver::DeviceAccess>> devices_;
  std::vector<std::unique_ptr<driver::Session>> sessions_;
  std::vector<driver::Virtqueue*> queues_;
  bool started_ = false;
  bool done_ = false;
  int trials_ = 0;
};

} // namespace
} // namespace virtio::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* guest = new virtio::fuzz::Guest; // one simulation in a process, to its end
  guest->run(virtio::fuzz::Input({data, size}));
  return 0;
}
