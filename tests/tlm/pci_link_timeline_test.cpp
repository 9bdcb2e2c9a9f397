// A whole virtio function behind a link and a host bridge: VirtioPci with a timed ring engine,
// PcieLink, HostBridge. The time line of one descriptor on a link that does nothing else, computed
// by hand: the doorbell, every access to the rings, the data and the MSI-X message cross the link.
#include "tlm/pci_bench.hpp"

#include <virtio/core/packed_ring.hpp>
#include <virtio/entropy/entropy.hpp>
#include <virtio/tlm/pci/host_bridge.hpp>
#include <virtio/tlm/pci/pcie_link.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>

namespace virtio::tlm2 {
namespace {

using test::Initiator;
using cfg = virtio_pci_common_cfg;

constexpr std::uint64_t ram_base = 0x8000'0000;
constexpr std::uint64_t desc_at = 0x1000;
constexpr std::uint64_t driver_at = 0x2000;
constexpr std::uint64_t device_at = 0x3000;
constexpr std::uint64_t buffer_at = 0x8000;
constexpr std::uint64_t messages_at = 0xfee0'0000;
constexpr std::uint64_t ecam_at = 0x3000'0000;
constexpr std::uint64_t structures_at = 0x4000'0000;
constexpr std::uint64_t msix_at = 0x4200'0000;

PcieLinkParams unlimited() {
  PcieLinkParams params;
  params.host_credits = params.device_credits = {0, 0, 0, 0};
  params.tags = 768;
  return params;
}

/// 100 MHz: a cycle is 10 ns.
DeviceParams timed() {
  DeviceParams params{.name = "rng"};
  params.timed_ring.emplace();
  params.timed_ring->clock = 100'000'000;
  return params;
}

struct MessageTimes : sc_core::sc_module {
  tlm_utils::simple_target_socket<MessageTimes> socket{"socket"};
  std::vector<std::uint64_t> ps;
  std::vector<std::uint32_t> data;

  explicit MessageTimes(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &MessageTimes::b_transport);
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time&) {
    data.emplace_back();
    std::memcpy(&data.back(), payload.get_data_ptr(), std::min(4u, payload.get_data_length()));
    ps.push_back(to_sim_time(sc_core::sc_time_stamp()).ps);
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

struct Machine {
  test::RecordingSink sink;
  ExecutorModule executor{"executor"};
  TlmDmaPort port{"port", {.protocol = DmaProtocol::at, .outstanding = 64, .timed = true}};
  Device device{timed(), executor.executor(), port,
                std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, "rng"), &sink};
  VirtioPci pci{"pci", {.timed = true}, device, port};
  PcieLink link{"link", unlimited(), executor, {{ram_base, 0x1'0000}, {messages_at, 0x1000}}};
  HostBridge bridge{"bridge"};
  Memory ram{"ram", {.size = 0x1'0000}};
  MessageTimes messages{"messages"};
  Router bus{"bus"};
  Initiator cpu{"cpu"};
  std::array<sc_core::sc_signal<bool>, 4> lines;
  std::uint64_t start = 0; // of the time line: the CPU writes the doorbell

  Machine() {
    port.socket.bind(link.upstream);
    link.host.bind(bridge.upstream);
    link.function_config.bind(pci.config);
    link.function_memory.bind(pci.memory);
    bridge.attach(1, link.config, link.memory);
    bridge.attach_intx(1, pci.intx);
    bridge.dma.bind(bus.initiators);
    cpu.socket.bind(bus.initiators);
    bus.map({ram_base, 0x1'0000}, ram.socket, "ram");
    bus.map({messages_at, 0x1000}, messages.socket, "messages");
    bus.map({ecam_at, HostBridge::ecam_size}, bridge.ecam, "ecam");
    bus.map({0x4000'0000, 0x4000'0000}, bridge.window32, "pci", 0x4000'0000);
    bus.map({0x4'0000'0000, 0x1000}, bridge.window64, "pci 64", 0x4'0000'0000);
    for (unsigned pin = 0; pin < 4; ++pin)
      bridge.intx[pin].bind(lines[pin]);
  }

  template <class T> void config(std::uint32_t reg, T value) {
    cpu.write<T>(ecam_at + (1u << 15) + reg, value);
  }
  template <class T> void common(std::size_t offset, T value) {
    cpu.write<T>(structures_at + offset, value);
  }
  void bring_up(bool packed) {
    config<std::uint32_t>(0x14, msix_at);
    config<std::uint32_t>(0x20, structures_at);
    config<std::uint16_t>(0x04, 6);
    const test::PciAccess driver{cpu, ecam_at + (1u << 15), cpu};
    config<std::uint16_t>(driver.find(0x11) + 2u, 0x8000);
    cpu.write<std::uint64_t>(msix_at, messages_at);
    cpu.write<std::uint32_t>(msix_at + 8, 77);
    cpu.write<std::uint32_t>(msix_at + 12, 0);
    common<std::uint8_t>(offsetof(cfg, device_status), 1);
    common<std::uint8_t>(offsetof(cfg, device_status), 3);
    common<std::uint32_t>(offsetof(cfg, driver_feature_select), 1);
    common<std::uint32_t>(offsetof(cfg, driver_feature), packed ? 5 : 1); // bits 32 and 34
    common<std::uint8_t>(offsetof(cfg, device_status), 11);
    common<std::uint16_t>(offsetof(cfg, queue_select), 0);
    common<std::uint16_t>(offsetof(cfg, queue_size), 8);
    common<std::uint16_t>(offsetof(cfg, queue_msix_vector), 0);
    common<std::uint32_t>(offsetof(cfg, queue_desc), ram_base + desc_at);
    common<std::uint32_t>(offsetof(cfg, queue_driver), ram_base + driver_at);
    common<std::uint32_t>(offsetof(cfg, queue_device), ram_base + device_at);
    common<std::uint16_t>(offsetof(cfg, queue_enable), 1);
    common<std::uint8_t>(offsetof(cfg, device_status), 15);
    ASSERT_EQ(cpu.read<std::uint8_t>(structures_at + offsetof(cfg, device_status)), 15);
  }
  template <class T> T& at(std::uint64_t offset) {
    return *reinterpret_cast<T*>(ram.data() + offset);
  }
  void offer(bool packed) {
    if (packed) {
      auto& desc = at<packed::Desc>(desc_at);
      desc.addr = ram_base + buffer_at;
      desc.len = 64;
      desc.id = 3;
      desc.flags = split::VIRTQ_DESC_F_WRITE | packed::VIRTQ_DESC_F_AVAIL;
    } else {
      auto& desc = at<split::Desc>(desc_at);
      desc.addr = ram_base + buffer_at;
      desc.len = 64;
      desc.flags = split::VIRTQ_DESC_F_WRITE;
      at<le16>(driver_at + 2) = std::uint16_t{1};
    }
  }

  /// Driver and device until everything is over.
  void run(bool packed) {
    sc_core::sc_spawn(
        [this, packed] {
          bring_up(packed);
          sc_core::wait(50, sc_core::SC_US); // DRIVER_OK makes the engine look once
          sink.events.clear();
          link.reset_statistics();
          offer(packed);
          start = to_sim_time(sc_core::sc_time_stamp()).ps;
          const std::uint64_t notify = structures_at + 0x3000;
          cpu.write<std::uint16_t>(notify, 0);
          EXPECT_EQ(to_sim_time(sc_core::sc_time_stamp()).ps, start) << "posted";
        },
        "driver");
    sc_core::sc_start(200, sc_core::SC_US);
  }
  /// When the only event of a kind came, in ns since the start.
  std::uint64_t ns(EventKind kind) const {
    EXPECT_EQ(sink.count(kind), 1) << to_string(kind);
    for (const Event& e : sink.events)
      if (e.kind == kind) return (e.time.ps - start) / 1000;
    return 0;
  }
  const LinkStatistics::Accesses& moved(AccessKind kind) const {
    return link.timing().statistics().device[static_cast<std::size_t>(kind)];
  }
};

// The link is of generation 3, x8: a byte takes 0.138206 ns (link_timing_test.cpp shows why). A TLP
// has 20 bytes beside its data. Propagation 100 ns, root complex 50 ns, memory 250 ns.
//   a read request of 20 bytes: 2.764; with propagation and root complex 152.764; and memory
//   402.764 a read of 2 or 4 bytes: and its completion of 24 bytes, 3.317, and propagation: 506.081
//   a read of 64 bytes, whose completion has 84 bytes, 11.609:                             514.373
//   a write of 2, 4 or 8 bytes: 24 or 28 bytes, 3.317 or 3.870; there after 150 more
//
// Split, from the CPU's write of the doorbell on:
//   doorbell     24 bytes and propagation                            ->  103.317  doorbell
//   visit        4 + 1 cycles                                        ->  153.317
//   index        read 2                                              ->  659.398
//   entry        read 2                                              -> 1165.479
//   entry        1 cycle                                             -> 1175.479  available
//   descriptors  read 64 (a batch of 4)                              -> 1689.852
//   walk         2 cycles                                            -> 1709.852  chain
//   data         64 bytes are written; on the wire until 1721.461    -> 1709.852  used
//   write-back   2 cycles                                            -> 1729.852
//   used element and index: the wire has them until 1737.039         -> 1729.852  published
//   flags        read 2, its request behind them: 1737.039 + 506.081 -> 2243.120
//   decision     1 cycle                                             -> 2253.120  interrupt
//   message      24 bytes, propagation and root complex: 153.317     -> 2406.437
TEST(PciLinkTimeline, OneDescriptorOfASplitRing) {
  Machine m;
  m.run(false);
  EXPECT_EQ(m.ns(EventKind::doorbell), 103u);
  EXPECT_EQ(m.ns(EventKind::available), 1175u);
  EXPECT_EQ(m.ns(EventKind::chain), 1709u);
  EXPECT_EQ(m.ns(EventKind::used), 1709u);
  EXPECT_EQ(m.ns(EventKind::published), 1729u);
  EXPECT_EQ(m.ns(EventKind::interrupt), 2253u);
  ASSERT_EQ(m.messages.ps.size(), 1u);
  EXPECT_EQ((m.messages.ps[0] - m.start) / 1000, 2406u);
  EXPECT_EQ(m.messages.data[0], 77u);
  EXPECT_EQ(m.at<le16>(device_at + 2), 1);
}

// Packed: the descriptor proves itself, so that index and entry are not read.
//   doorbell                                                         ->  103.317  doorbell
//   visit        5 cycles                                            ->  153.317
//   descriptors  read 64 (a batch of 4)                              ->  667.690  available
//   walk         2 cycles                                            ->  687.690  chain
//   data         64 bytes are written; on the wire until 699.299     ->  687.690  used
//   write-back   2 cycles                                            ->  707.690
//   length, id and flags of a used descriptor, on the wire until 711.560 ->  707.690  published
//   driver event read 4, its request behind it: 711.560 + 506.081    -> 1217.641
//   decision     1 cycle                                             -> 1227.641  interrupt
//   message                                                          -> 1380.958
TEST(PciLinkTimeline, OneDescriptorOfAPackedRing) {
  Machine m;
  m.run(true);
  EXPECT_EQ(m.ns(EventKind::doorbell), 103u);
  EXPECT_EQ(m.ns(EventKind::available), 667u);
  EXPECT_EQ(m.ns(EventKind::chain), 687u);
  EXPECT_EQ(m.ns(EventKind::used), 687u);
  EXPECT_EQ(m.ns(EventKind::published), 707u);
  EXPECT_EQ(m.ns(EventKind::interrupt), 1227u);
  ASSERT_EQ(m.messages.ps.size(), 1u);
  EXPECT_EQ((m.messages.ps[0] - m.start) / 1000, 1380u);
  EXPECT_EQ(m.messages.data[0], 77u);
}

/// What the time line is made of did cross the link, under its own name.
TEST(PciLinkTimeline, EveryAccessCrossesTheLink) {
  Machine m;
  m.run(false);
  const auto& statistics = m.link.timing().statistics();
  const std::map<AccessKind, std::pair<std::uint64_t, std::uint64_t>> expected{
      {AccessKind::available, {2, 4}},    {AccessKind::descriptor, {1, 64}},
      {AccessKind::data, {1, 64}},        {AccessKind::used, {2, 10}},
      {AccessKind::driver_event, {1, 2}}, {AccessKind::message, {1, 4}}};
  for (const auto& [kind, count] : expected) {
    EXPECT_EQ(m.moved(kind).requests, count.first) << to_string(kind);
    EXPECT_EQ(m.moved(kind).bytes, count.second) << to_string(kind);
  }
  EXPECT_EQ(statistics.of(LinkDirection::downstream, TlpKind::memory_write).count, 1u); // doorbell
  EXPECT_EQ(statistics.of(LinkDirection::upstream, TlpKind::memory_write).count, 4u);
  EXPECT_EQ(statistics.of(LinkDirection::upstream, TlpKind::memory_read).count, 4u);
  EXPECT_EQ(statistics.of(LinkDirection::downstream, TlpKind::completion_data).count, 4u);
  EXPECT_EQ(m.port.late_answers(), 0u);
  EXPECT_EQ(m.link.lost_writes(), 0u);
}

} // namespace
} // namespace virtio::tlm2
