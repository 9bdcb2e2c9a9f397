// AXI4-Stream and TLM-2.0: a packet is a write of its bytes. AxiStreamToTlm takes packets of an RTL
// source and writes each at `address` through an initiator socket; TlmToAxiStream makes a packet of
// every write into its target socket, whose response says that the last beat was taken. Every
// finding of the checker is an SC_REPORT_ERROR.
#pragma once

#include <virtio/rtl/bus/axi_stream.hpp>
#include <virtio/rtl/systemc/ticked_module.hpp>

#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include <deque>

namespace virtio::rtl::systemc {

/// RTL, or anything else, at the other end of the pins.
class AxiStreamWires {
public:
  virtual ~AxiStreamWires() = default;
  /// Drives its own pins, given those of the adapter, before the edge.
  virtual void settle(bus::AxiStreamPins& pins) = 0;
  virtual void edge(const bus::AxiStreamPins& pins) = 0;
  /// It has nothing to do until the adapter has: the clock may stop.
  virtual bool idle() const = 0;
};

/// A write that fails is an SC_REPORT_ERROR: a stream has no way to say so. RTL that begins by
/// itself: wake_clock().
class AxiStreamToTlm : public TickedModule {
public:
  struct Params {
    sc_core::sc_time period{};
    bus::AxiStreamParams stream{};
    std::uint64_t address = 0;
    std::size_t packets = 4; ///< not written yet; with so many, the stream is not ready; not 0
  };

  tlm_utils::simple_initiator_socket<AxiStreamToTlm> socket;

  AxiStreamToTlm(sc_core::sc_module_name name, const Params& params, AxiStreamWires& source);
  void wake_clock() { wake(); }

private:
  bool tick() override;
  void work();

  Params params_;
  AxiStreamWires& source_;
  bus::AxiStreamSink sink_;
  bus::AxiStreamChecker checker_;
  bus::AxiStreamPins pins_;
  std::deque<bus::AxiPacket> packets_; // the first is being written
  ::tlm::tlm_generic_payload payload_;
  sc_core::sc_event work_;
};

/// Takes b_transport from any number of threads. Reads are refused with a command error, byte
/// enables and streaming with theirs.
class TlmToAxiStream : public TickedModule {
public:
  struct Params {
    sc_core::sc_time period{};
    bus::AxiStreamParams stream{};
  };

  tlm_utils::simple_target_socket<TlmToAxiStream> socket;

  TlmToAxiStream(sc_core::sc_module_name name, const Params& params, AxiStreamWires& sink);

private:
  bool tick() override;
  void b_transport(::tlm::tlm_generic_payload& payload, sc_core::sc_time& delay);

  Params params_;
  AxiStreamWires& sink_;
  bus::AxiStreamSource source_;
  bus::AxiStreamChecker checker_;
  bus::AxiStreamPins pins_;
  std::uint64_t asked_ = 0, sent_ = 0; // packets
  sc_core::sc_event sent_one_;
};

} // namespace virtio::rtl::systemc
