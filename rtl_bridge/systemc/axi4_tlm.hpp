// AXI4 and TLM-2.0. AxiToTlm is what an RTL manager meets: its bursts leave through an initiator
// socket. TlmToAxi stands before an RTL subordinate: what comes into its target socket becomes
// bursts. What the pins are connected to is an Axi4Wires.
#pragma once

#include <virtio/rtl/bus/axi4_checker.hpp>
#include <virtio/rtl/bus/axi4_initiator.hpp>
#include <virtio/rtl/bus/axi4_target.hpp>
#include <virtio/rtl/systemc/ticked_module.hpp>

#include <tlm>
#include <tlm_utils/peq_with_get.h>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <deque>

namespace virtio::rtl::systemc {

/// RTL, or anything else, at the other end of the pins.
class Axi4Wires {
public:
  virtual ~Axi4Wires() = default;
  /// Drives its own pins, given those of the adapter, before the edge.
  virtual void settle(bus::Axi4Pins& pins) = 0;
  virtual void edge(const bus::Axi4Pins& pins) = 0;
  /// It has nothing to do until the adapter has: the clock may stop.
  virtual bool idle() const = 0;
};

::tlm::tlm_response_status to_tlm(bus::AxiResp resp);
/// An address error is DECERR, every other one SLVERR.
bus::AxiResp to_axi(::tlm::tlm_response_status status);

/// Every finding of the checker is an SC_REPORT_ERROR. RTL that begins by itself: wake_clock().
/// Transactions are under way together, each in a thread, but for those that go behind another.
class AxiToTlm : public TickedModule, private bus::AxiMemory {
public:
  struct Params {
    sc_core::sc_time period{};
    bus::Axi4Target::Params axi{};
    std::size_t under_way = 16; ///< transactions, 1..1024
  };

  tlm_utils::simple_initiator_socket<AxiToTlm> socket;

  /// Throws std::invalid_argument for parameters that cannot be.
  AxiToTlm(sc_core::sc_module_name name, const Params& params, Axi4Wires& manager);
  void wake_clock() { wake(); }

private:
  bool tick() override;
  void begin(const bus::AxiAccess& access) override;
  /// A thread's: its stack is not unwound when the simulation ends.
  struct Transaction {
    bool busy = false;
    bus::AxiAccess access;
    ::tlm::tlm_generic_payload payload;
    sc_core::sc_event work;
  };
  void start();
  bool must_wait(std::deque<bus::AxiAccess>::const_iterator access) const;
  void work(Transaction& transaction);

  Axi4Wires& manager_;
  bus::Axi4Target target_;
  bus::Axi4Checker checker_;
  bus::Axi4Pins pins_;
  std::deque<bus::AxiAccess> accesses_; ///< that have not begun
  std::deque<Transaction> transactions_;
};

/// Takes b_transport from any number of threads, and nb_transport: END_REQ at once, one BEGIN_RESP
/// at a time. Streaming widths below the length are refused with a burst error.
class TlmToAxi : public TickedModule {
public:
  struct Params {
    sc_core::sc_time period{};
    bus::Axi4Initiator::Params axi{};
    std::optional<std::uint8_t> size{}; ///< of every beat, as AxiCall::size
  };

  tlm_utils::simple_target_socket<TlmToAxi> socket;

  TlmToAxi(sc_core::sc_module_name name, const Params& params, Axi4Wires& subordinate);

private:
  bool tick() override;
  void b_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);
  ::tlm::tlm_sync_enum nb_transport_fw(::tlm::tlm_generic_payload& payload, ::tlm::tlm_phase& phase,
                                       sc_core::sc_time& time);
  bool refused(::tlm::tlm_generic_payload& payload) const;
  void issue(::tlm::tlm_generic_payload& payload, bus::Axi4Initiator::Done done);
  void on_requests();
  void respond();

  Axi4Wires& subordinate_;
  std::optional<std::uint8_t> size_;
  bus::Axi4Initiator initiator_;
  bus::Axi4Checker checker_;
  bus::Axi4Pins pins_;
  tlm_utils::peq_with_get<::tlm::tlm_generic_payload> requests_;
  std::deque<::tlm::tlm_generic_payload*> responses_;
  ::tlm::tlm_generic_payload* responding_ = nullptr;
  sc_core::sc_event respond_;
};

} // namespace virtio::rtl::systemc
