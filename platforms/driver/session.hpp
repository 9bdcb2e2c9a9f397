// What an operating system does with a virtio device from power-on: reset, negotiate, set up
// queues, go live (virtio 1.4, 3.1.1); and a small program that tries every device it finds.
#pragma once

#include <virtio/platforms/driver/virtqueue.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace virtio::driver {

/// How a device's interrupts reach the driver.
enum class InterruptForm : std::uint8_t {
  none, ///< not at all: whoever waits polls
  line, ///< virtio-mmio's line, or PCI INTx
  msix,
};
/// Which MSI-X vectors a session uses, as far as the function has that many.
enum class VectorPolicy : std::uint8_t {
  per_queue, ///< 0 for configuration changes, and one for each queue
  shared,    ///< 0 for configuration changes, 1 for all queues
  single,    ///< 0 for everything
};

struct SessionOptions {
  FeatureSet features = {}; ///< negotiated beside VIRTIO_F_VERSION_1, where offered
  InterruptForm interrupts = InterruptForm::none;
  VectorPolicy vectors = VectorPolicy::per_queue;
  InterruptLine* line = nullptr; ///< for InterruptForm::line; outlives the session
  MsixReceiver* msix = nullptr;  ///< for InterruptForm::msix; outlives the session
  sc_core::sc_time reset_timeout{1, sc_core::SC_SEC}; ///< (assumed)
};

/// One device under this driver's control.
class Session {
public:
  /// Resets the device, negotiates, and sets the interrupt for configuration changes up. Throws
  /// DriverError when the device refuses, or cannot interrupt in the form asked for.
  Session(Bus& bus, DeviceAccess& device, const SessionOptions& options, Arena& arena);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// A template, so that {} means SessionOptions.
  template <std::same_as<FeatureSet> Features>
  Session(Bus& bus, DeviceAccess& device, const Features& features, Arena& arena)
      : Session(bus, device, SessionOptions{.features = features}, arena) {}

  Virtqueue& add_queue(std::uint16_t index, const QueueOptions& options = {});
  /// Enables a queue again after Virtqueue::reset(), with other options perhaps.
  void restart_queue(Virtqueue& queue, const QueueOptions& options);
  /// Sets DRIVER_OK. Queues may be added and restarted afterwards, too.
  void go_live();
  /// Resets the device and waits for the end of that. Its queues are gone: make a new session.
  void reset();

  const FeatureSet& negotiated() const { return negotiated_; }
  DeviceAccess& device() { return device_; }
  Bus& bus() { return bus_; }
  Arena& arena() { return arena_; }
  /// Tells of configuration changes; null with InterruptForm::none.
  Interrupt* config_interrupt() const { return config_interrupt_; }
  /// Has `handler` run, in a thread of its own, after every configuration interrupt; several may be
  /// served by one run. It also comes when the device needs a reset (virtio 1.4, 2.1.2). Throws
  /// DriverError with InterruptForm::none.
  void on_config_change(std::function<void()> handler);
  bool needs_reset();

private:
  void negotiate();
  void set_up_interrupts();
  Interrupt& vector_interrupt(std::uint16_t vector);
  std::uint16_t default_vector(std::uint16_t queue) const;
  Interrupt* queue_interrupt(std::uint16_t queue, const QueueOptions& options);

  Bus& bus_;
  DeviceAccess& device_;
  Arena& arena_;
  SessionOptions options_;
  FeatureSet negotiated_;
  Interrupt line_used_;
  Interrupt line_config_;
  std::map<std::uint16_t, Interrupt*> vectors_; // those in use
  Interrupt* config_interrupt_ = nullptr;
  std::optional<InterruptLine::Connection> line_;
  sc_core::sc_process_handle config_thread_;
  std::vector<std::unique_ptr<Virtqueue>> queues_;
};

/// What the machine looks like to the driver.
struct Machine {
  std::vector<std::uint64_t> mmio; ///< where virtio-mmio devices may be
  PciHost pci;                     ///< ecam = 0: no PCI
  std::uint64_t memory_base = 0;   ///< RAM that nobody else uses
  std::uint64_t memory_size = 0;
};

/// What came of trying one device.
struct Trial {
  std::string place;
  DeviceType type{};
  bool ok = false;
  std::string text; ///< what was done, or what went wrong
};

/// Enumerates the machine afresh and tries every device: reads random bytes, console input and the
/// first sector of a disk, looks at the link of a network device. Never throws: what goes wrong is
/// in the trial's text.
std::vector<Trial> try_every_device(Bus& bus, const Machine& machine);

} // namespace virtio::driver
