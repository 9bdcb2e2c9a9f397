// What a network device is plugged into. A Wire carries frames between the device and a far end: a
// loop-back, a scripted peer, a captured file; wires compose, such as a capture in front of any of
// them.
#pragma once

#include <virtio/core/executor.hpp>
#include <virtio/net/packet.hpp>

namespace virtio::net {

/// Takes frames. The bytes are valid during the call only.
class FrameSink {
public:
  virtual ~FrameSink() = default;
  virtual void on_frame(Frame frame) = 0;
};

class Wire {
public:
  Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  virtual ~Wire() = default;

  /// Plugs the wire in, once, before anything else: the far end's frames go to `device`, its time
  /// is the executor's. Both outlive the wire.
  virtual void connect(FrameSink& device, Executor& executor) {
    device_ = &device;
    executor_ = &executor;
  }
  /// A driver is ready to receive (each time that it set DRIVER_OK).
  virtual void driver_ready() {}
  /// A frame from the device, of at least 14 bytes. The answer may come within this call.
  virtual void transmit(Frame frame) = 0;

protected:
  Executor& executor() const { return *executor_; }
  void deliver(Frame frame) { device_->on_frame(frame); }

private:
  FrameSink* device_ = nullptr;
  Executor* executor_ = nullptr;
};

/// Every frame comes back at once.
class LoopbackWire final : public Wire {
public:
  void transmit(Frame frame) override { deliver(frame); }
};

/// Every frame is lost and none comes.
class DeadEndWire final : public Wire {
public:
  void transmit(Frame) override {}
};

} // namespace virtio::net
