// What tests of the PCI transport need: one virtio function with memory, a receiver of MSI-X
// messages, and a driver's view of it through the function's own sockets.
#pragma once

#include "support/test_device.hpp"
#include "tlm/bus_helpers.hpp"

#include <virtio/core/split_ring.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/pci/virtio_pci.hpp>
#include <virtio/tlm/router.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace virtio::test {

/// Goes to the end of the executor's ready list.
struct Yield {
  Executor& executor;
  Wake wake = {};
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> self) {
    wake.handle = self;
    executor.post(wake);
  }
  void await_resume() const {}
};

/// Completes every chain, without touching its data, after one turn of the executor. Its
/// configuration space is what the test puts there.
class EchoFunction : public DeviceFunction {
public:
  std::vector<std::byte> bytes = std::vector<std::byte>(12);
  std::uint16_t queues = 3; // the last one does not exist
  FeatureSet offered{0, 5, 33};

  DeviceType type() const override { return DeviceType::block; }
  FeatureSet features() const override { return offered; }
  std::uint16_t num_queues() const override { return queues; }
  std::uint16_t max_queue_size(QueueIndex queue) const override {
    return raw(queue) + 1 < queues ? 16 : 0;
  }
  std::span<const std::byte> config() const override { return bytes; }
  void write_config(std::uint32_t offset, std::span<const std::byte> data) override {
    std::copy(data.begin(), data.end(), bytes.begin() + offset);
  }
  void on_chain(Chain& chain) override {
    start_task(chain, [&] { return answer(chain); });
  }
  void change_config(std::uint8_t value) {
    bytes[0] = std::byte{value};
    host().config_changed();
  }

private:
  Task<> answer(Chain& chain) {
    co_await Yield{host().executor()};
    host().complete(chain, 0);
  }
};

/// Records the writes of four bytes that it receives, and refuses anything else.
class MessageSink : public sc_core::sc_module {
public:
  struct Message {
    std::uint64_t address;
    std::uint32_t data;
    friend bool operator==(const Message&, const Message&) = default;
  };
  tlm_utils::simple_target_socket<MessageSink> socket{"socket"};
  std::vector<Message> messages;
  unsigned transactions = 0;
  sc_core::sc_time latency;

  explicit MessageSink(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &MessageSink::b_transport);
  }

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time&) {
    if (latency != sc_core::SC_ZERO_TIME) wait(latency);
    ++transactions;
    transaction.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE);
    if (!transaction.is_write() || transaction.get_data_length() != 4) return;
    std::uint32_t data = 0;
    std::memcpy(&data, transaction.get_data_ptr(), 4);
    messages.push_back({transaction.get_address(), data});
    transaction.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

/// How a driver reaches a function: the same for one that stands alone and one behind a bridge.
struct PciAccess {
  Initiator& config;
  std::uint64_t config_base;
  Initiator& memory;

  template <class T> T cfg(std::uint32_t reg) const { return config.read<T>(config_base + reg); }
  template <class T> void set_cfg(std::uint32_t reg, T value) const {
    EXPECT_EQ(config.write(config_base + reg, value), tlm::TLM_OK_RESPONSE);
  }

  struct Capability {
    std::uint8_t id = 0;
    std::uint8_t offset = 0;
  };
  std::vector<Capability> capabilities() const {
    std::vector<Capability> list;
    std::set<std::uint8_t> seen;
    for (auto at = cfg<std::uint8_t>(0x34); at != 0 && seen.insert(at).second;
         at = cfg<std::uint8_t>(at + 1u))
      list.push_back({cfg<std::uint8_t>(at), at});
    return list;
  }
  /// The offset of the first capability with an id, and a cfg_type if it is a virtio one; else 0.
  std::uint8_t find(std::uint8_t id, std::optional<std::uint8_t> cfg_type = {}) const {
    for (const auto& capability : capabilities())
      if (capability.id == id &&
          (!cfg_type || cfg<std::uint8_t>(capability.offset + 3u) == *cfg_type))
        return capability.offset;
    return 0;
  }
  std::uint64_t bar_address(unsigned bar) const {
    const auto low = cfg<std::uint32_t>(0x10 + 4 * bar);
    std::uint64_t address = low & ~0xfu;
    if ((low & 6) == 4) address |= std::uint64_t{cfg<std::uint32_t>(0x14 + 4 * bar)} << 32;
    return address;
  }
  /// Where a virtio structure lies in memory, as its capability says.
  std::uint64_t structure(std::uint8_t cfg_type) const {
    const auto at = find(tlm2::PCI_CAP_ID_VNDR, cfg_type);
    EXPECT_NE(at, 0);
    return bar_address(cfg<std::uint8_t>(at + 4u)) + cfg<std::uint32_t>(at + 8u);
  }
};

struct PciBenchParams {
  tlm2::VirtioPciParams pci = {};
  tlm2::DmaPortParams dma = {};
  DeviceParams device = {.name = "dut"};
  sc_core::sc_time ram_latency = {};
  EchoFunction* function = nullptr; // made, if null; else taken over
};

class PciBench {
public:
  static constexpr std::uint64_t ram_base = 0x8000'0000;
  static constexpr std::uint64_t msi_base = 0xfee0'0000;
  static constexpr std::uint64_t structures_at = 0x4000'0000;
  static constexpr std::uint64_t shared_memory_at = 0x4100'0000;
  static constexpr std::uint64_t msix_at = 0x4200'0000;
  using cfg = tlm2::virtio_pci_common_cfg;

  EchoFunction* function;
  RecordingSink events;
  tlm2::ExecutorModule executor{"executor"};
  tlm2::TlmDmaPort port;
  tlm2::Memory ram;
  MessageSink msi{"msi"};
  tlm2::Router bus{"bus"};
  Device device;
  tlm2::VirtioPci pci;
  Initiator config{"config"};
  Initiator memory{"memory"};
  sc_core::sc_signal<bool> intx{"intx"};
  PciAccess driver{config, 0, memory};

  explicit PciBench(PciBenchParams params = {})
      : function(params.function ? params.function : new EchoFunction), port("port", params.dma),
        ram("ram", {.size = 0x10'0000,
                    .dmi = params.ram_latency == sc_core::SC_ZERO_TIME,
                    .read_latency = params.ram_latency,
                    .write_latency = params.ram_latency}),
        device(in_fidelity(params.device), executor.executor(), port,
               std::unique_ptr<DeviceFunction>(function), &events),
        pci("pci", params.pci, device, port) {
    port.socket.bind(bus.initiators);
    bus.map({ram_base, 0x10'0000}, ram.socket, "ram");
    bus.map({msi_base, 0x1000}, msi.socket, "msi", msi_base);
    config.socket.bind(pci.config);
    memory.socket.bind(pci.memory);
    pci.intx.bind(intx);
    settle();
  }

  static DeviceParams in_fidelity(DeviceParams params) {
    if (timed_ring && !params.timed_ring) params.timed_ring.emplace(instant_ring());
    return params;
  }

  /// Lets some simulated time pass, in which everything that takes no time happens.
  void settle(sc_core::sc_time time = sc_core::sc_time(1, sc_core::SC_NS)) {
    sc_core::sc_start(time);
  }

  /// What firmware does: addresses for every BAR, memory and bus master enabled.
  void assign(std::uint16_t command = 0x0006) {
    driver.set_cfg<std::uint32_t>(0x14, msix_at);
    driver.set_cfg<std::uint32_t>(0x18, shared_memory_at);
    driver.set_cfg<std::uint32_t>(0x20, structures_at);
    driver.set_cfg<std::uint16_t>(0x04, command);
  }

  template <class T> T common(std::size_t offset) { return memory.read<T>(structures_at + offset); }
  template <class T> void set_common(std::size_t offset, T value) {
    EXPECT_EQ(memory.write(structures_at + offset, value), tlm::TLM_OK_RESPONSE);
  }
  std::uint8_t status() { return common<std::uint8_t>(offsetof(cfg, device_status)); }
  void set_status(std::uint8_t value) {
    set_common<std::uint8_t>(offsetof(cfg, device_status), value);
  }
  void select(std::uint16_t queue) { set_common(offsetof(cfg, queue_select), queue); }

  /// Up to FEATURES_OK, with VERSION_1 and `more` of bits 32 and up.
  void negotiate(std::uint32_t more = 0) {
    set_status(0);
    set_status(1);
    set_status(3);
    set_common<std::uint32_t>(offsetof(cfg, driver_feature_select), 1);
    set_common<std::uint32_t>(offsetof(cfg, driver_feature), 1 | more);
    set_status(11);
    ASSERT_EQ(status(), 11);
  }

  // Queue `queue` has its rings in a page of RAM each: descriptors, available, used.
  static std::uint64_t rings(std::uint16_t queue) { return 0x1000 + 0x3000ull * queue; }
  void enable(std::uint16_t queue) {
    const auto base = ram_base + rings(queue);
    select(queue);
    set_common<std::uint32_t>(offsetof(cfg, queue_desc), static_cast<std::uint32_t>(base));
    set_common<std::uint32_t>(offsetof(cfg, queue_driver),
                              static_cast<std::uint32_t>(base + 0x1000));
    set_common<std::uint32_t>(offsetof(cfg, queue_device),
                              static_cast<std::uint32_t>(base + 0x2000));
    set_common<std::uint16_t>(offsetof(cfg, queue_enable), 1);
  }
  /// A device with queue 0 and 1 ready and DRIVER_OK set.
  void go_live(std::uint32_t more_features = 0) {
    negotiate(more_features);
    enable(0);
    enable(1);
    set_status(15);
  }
  /// Makes one device-writable buffer available, without a doorbell.
  void offer(std::uint16_t queue) {
    std::byte* ring = ram.data() + rings(queue);
    auto& desc = *reinterpret_cast<split::Desc*>(ring);
    desc.addr = ram_base + 0x8'0000;
    desc.len = 64;
    desc.flags = split::VIRTQ_DESC_F_WRITE;
    auto& idx = *reinterpret_cast<le16*>(ring + 0x1002);
    idx = static_cast<std::uint16_t>(idx + 1);
  }
  void ring_doorbell(std::uint16_t queue) {
    const auto notify = driver.structure(tlm2::VIRTIO_PCI_CAP_NOTIFY_CFG);
    memory.write<std::uint16_t>(notify + 4ull * queue, queue);
  }
  void kick(std::uint16_t queue) {
    offer(queue);
    ring_doorbell(queue);
  }
  std::uint16_t used_idx(std::uint16_t queue) {
    return *reinterpret_cast<le16*>(ram.data() + rings(queue) + 0x2002);
  }

  std::uint64_t isr_address() { return driver.structure(tlm2::VIRTIO_PCI_CAP_ISR_CFG); }
  std::uint8_t isr() { return memory.read<std::uint8_t>(isr_address()); }

  // MSI-X.
  std::uint32_t msix_control() const { return driver.find(0x11) + 2u; }
  void enable_msix(bool function_mask = false) {
    driver.set_cfg<std::uint16_t>(msix_control(), function_mask ? 0xc000 : 0x8000);
  }
  void set_vector(unsigned vector, std::uint32_t data, bool masked = false) {
    const auto entry = msix_at + 16 * vector;
    memory.write<std::uint64_t>(entry, msi_base + 0x40);
    memory.write<std::uint32_t>(entry + 8, data);
    memory.write<std::uint32_t>(entry + 12, masked);
  }
  void mask_vector(unsigned vector, bool masked) {
    memory.write<std::uint32_t>(msix_at + 16 * vector + 12, masked);
  }
  std::uint64_t pending_bits() {
    const auto at = driver.cfg<std::uint32_t>(driver.find(0x11) + 8u);
    return memory.read<std::uint64_t>(msix_at + (at & ~7u));
  }
  void map_queue(std::uint16_t queue, std::uint16_t vector) {
    select(queue);
    set_common(offsetof(cfg, queue_msix_vector), vector);
  }
};

} // namespace virtio::test
