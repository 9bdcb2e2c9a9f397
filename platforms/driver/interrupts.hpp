// How interrupts reach the driver: a level line with a handler behind it (virtio-mmio, PCI INTx),
// and a receiver of MSI-X messages. Both end in an Interrupt, which threads wait for.
#pragma once

#include <virtio/platforms/driver/transport.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/peq_with_get.h>
#include <tlm_utils/simple_target_socket.h>

#include <cstdint>
#include <deque>
#include <list>

namespace virtio::driver {

/// Where one kind of interrupt arrives. Who waits takes the count before it looks at what it waits
/// for, and sleeps only while the count stands still: so no interrupt is missed.
class Interrupt {
public:
  std::uint64_t count() const { return count_; }
  const sc_core::sc_event& arrived() const { return arrived_; }
  void raise() {
    ++count_;
    arrived_.notify(sc_core::SC_ZERO_TIME);
  }

private:
  std::uint64_t count_ = 0;
  sc_core::sc_event arrived_;
};

struct InterruptLineParams {
  /// From the line's rise to the handler's first instruction (assumed).
  sc_core::sc_time latency = sc_core::SC_ZERO_TIME;
  /// From the end of the handler until it looks at the line again; more than 0, as lines take
  /// delta cycles to fall (assumed).
  sc_core::sc_time recovery{1, sc_core::SC_NS};
  /// How often the handler asks again while the line is up and no device says it was it (assumed).
  sc_core::sc_time retry{1, sc_core::SC_US};
};

/// An input of the interrupt controller, level-triggered and perhaps shared by several devices,
/// and its handler: a thread that asks each device why, acknowledges, and raises Interrupts.
class InterruptLine : public sc_core::sc_module {
public:
  sc_core::sc_in<bool> line{"line"};

  explicit InterruptLine(sc_core::sc_module_name name, InterruptLineParams params = {});

  /// While it exists, the handler serves `device`. The line outlives it. Its end waits until the
  /// handler is done with the device.
  class Connection {
  public:
    Connection(InterruptLine& line, DeviceAccess& device, Interrupt& used, Interrupt& config);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

  private:
    friend class InterruptLine;
    InterruptLine& line_;
    DeviceAccess& device_;
    Interrupt& used_;
    Interrupt& config_;
  };

  /// How often the handler ran because the line was up.
  std::uint64_t handled() const { return handled_; }
  /// How often no device said that it had been it.
  std::uint64_t unclaimed() const { return unclaimed_; }

private:
  void handle();
  bool serve_devices();

  InterruptLineParams params_;
  std::list<Connection*> connections_;
  Connection* in_service_ = nullptr;
  sc_core::sc_event connected_;
  sc_core::sc_event served_;
  std::uint64_t handled_ = 0;
  std::uint64_t unclaimed_ = 0;
};

struct MsixReceiverParams {
  std::uint64_t base = 0x2800'0000; ///< of the window, as devices address it
  /// From a message's arrival until the handler runs (assumed).
  sc_core::sc_time latency = sc_core::SC_ZERO_TIME;
};

/// The interrupt controller that MSI-X messages are written to. Socket addresses are offsets into
/// its window; each message that was allocated raises an Interrupt of its own.
class MsixReceiver : public sc_core::sc_module {
public:
  static constexpr std::uint64_t size = 0x1000; ///< of the window, bytes

  tlm_utils::simple_target_socket<MsixReceiver> socket{"socket"};

  explicit MsixReceiver(sc_core::sc_module_name name, MsixReceiverParams params = {});

  /// One message: an aligned write of 4 bytes.
  struct Message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    Interrupt interrupt;
  };
  /// A message that nobody else has; it stays as long as the receiver does.
  Message& allocate();

  /// Messages that were never allocated, and writes that are none.
  std::uint64_t unexpected() const { return unexpected_; }
  std::uint64_t received() const { return received_; }

private:
  void b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay);
  Message* find(std::uint64_t offset, std::uint32_t data);
  void deliver();

  MsixReceiverParams params_;
  std::deque<Message> messages_; // message i: data i, the page's dwords in turn
  tlm_utils::peq_with_get<Message> due_{"due"};
  std::uint64_t unexpected_ = 0;
  std::uint64_t received_ = 0;
};

} // namespace virtio::driver
