// What tests of virtio-mmio need: a device with memory, and a CPU on its registers whose program is
// a lambda.
#pragma once

#include "support/test_device.hpp"

#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>
#include <virtio/tlm/memory.hpp>
#include <virtio/tlm/mmio/virtio_mmio.hpp>

#include <tlm_utils/simple_initiator_socket.h>

#include <gtest/gtest.h>

#include <functional>
#include <memory>

namespace virtio::test {

/// A CPU whose program is a lambda, on registers and memory of its own sockets.
struct MmioProgram : sc_core::sc_module {
  tlm_utils::simple_initiator_socket<MmioProgram> socket;
  std::function<void()> body;
  bool finished = false;

  explicit MmioProgram(sc_core::sc_module_name name) : sc_module(name), socket("socket") {
    SC_HAS_PROCESS(MmioProgram);
    SC_THREAD(run);
  }
  void run() {
    if (body) body();
    finished = true;
  }
  tlm::tlm_response_status access(bool write, std::uint64_t at, void* data, unsigned length) {
    tlm::tlm_generic_payload p;
    p.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
    p.set_address(at);
    p.set_data_ptr(static_cast<unsigned char*>(data));
    p.set_data_length(length);
    p.set_streaming_width(length);
    socket->b_transport(p, delay);
    return p.get_response_status();
  }
  /// How far it is ahead of simulated time.
  sc_core::sc_time delay;
  std::uint32_t get(std::uint64_t at) {
    le32 v;
    EXPECT_EQ(access(false, at, &v, 4), tlm::TLM_OK_RESPONSE);
    return v;
  }
  void put(std::uint64_t at, std::uint32_t value) {
    le32 v = value;
    EXPECT_EQ(access(true, at, &v, 4), tlm::TLM_OK_RESPONSE);
  }
};

/// A TestFunction behind virtio-mmio with memory, and a driver's first steps through its registers.
struct MmioBench {
  explicit MmioBench(bool dmi = true, tlm2::VirtioMmioParams params = {},
                     sc_core::sc_time latency = sc_core::SC_ZERO_TIME)
      : memory("memory",
               {.size = 0x40'0000, .dmi = dmi, .read_latency = latency, .write_latency = latency}),
        port("port", {.timed = true}) {
    port.socket.bind(memory.socket);
    auto f = std::make_unique<TestFunction>();
    function = f.get();
    DeviceParams device_params{.name = "dut"};
    if (timed_ring) device_params.timed_ring.emplace(instant_ring());
    device =
        std::make_unique<Device>(device_params, executor.executor(), port, std::move(f), &sink);
    mmio = std::make_unique<tlm2::VirtioMmio>("mmio", *device, std::move(params));
    mmio->irq.bind(irq);
    cpu.socket.bind(mmio->socket);
    ring = std::make_unique<SplitRingDriver>(std::span(memory.data(), memory.size()), 8);
  }
  void run(std::function<void()> body, sc_core::sc_time limit = {1, sc_core::SC_MS}) {
    cpu.body = std::move(body);
    sc_core::sc_start(limit);
    EXPECT_TRUE(cpu.finished) << "the program did not come to its end";
  }
  void negotiate(std::uint32_t features_low = 0, std::uint32_t features_high = 1) {
    cpu.put(0x70, 1);
    cpu.put(0x70, 3);
    cpu.put(0x24, 0);
    cpu.put(0x20, features_low);
    cpu.put(0x24, 1);
    cpu.put(0x20, features_high);
    cpu.put(0x70, 0x0b);
    EXPECT_EQ(cpu.get(0x70), 0x0bu);
  }
  void set_up_queue(std::uint32_t queue = 0) {
    cpu.put(0x30, queue);
    cpu.put(0x38, 8);
    cpu.put(0x80, SplitRingDriver::desc_at);
    cpu.put(0x84, 0);
    cpu.put(0x90, SplitRingDriver::avail_at);
    cpu.put(0x94, 0);
    cpu.put(0xa0, SplitRingDriver::used_at);
    cpu.put(0xa4, 0);
    cpu.put(0x44, 1);
  }
  void bring_up(std::uint32_t features_high = 1) {
    negotiate(0, features_high);
    set_up_queue();
    cpu.put(0x70, 0x0f);
  }
  void offer(std::uint16_t head) {
    ring->set_desc(head, 0x30'0000, 64, split::VIRTQ_DESC_F_WRITE);
    ring->make_available(head);
    ring->publish();
    cpu.put(0x50, 0);
  }

  tlm2::ExecutorModule executor{"executor"};
  tlm2::Memory memory;
  tlm2::TlmDmaPort port;
  MmioProgram cpu{"cpu"};
  sc_core::sc_signal<bool> irq{"irq"};
  RecordingSink sink;
  TestFunction* function = nullptr;
  std::unique_ptr<Device> device;
  std::unique_ptr<tlm2::VirtioMmio> mmio;
  std::unique_ptr<SplitRingDriver> ring;
};

} // namespace virtio::test
