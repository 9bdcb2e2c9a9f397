// The virtqueue protocol analyser: register and memory accesses of one device in, violations of the
// specification out. It sees addresses and bytes only, so it serves any device and any driver; it
// learns queues, sizes, features and status from the registers. It works from the device's accesses
// alone and knows more where the driver's are shown too. Accesses are shown in the order in which
// they take effect. Nothing that they contain makes it read outside them or grow without bound.
#pragma once

#include <virtio/analyser/access.hpp>
#include <virtio/analyser/device_state.hpp>
#include <virtio/analyser/mmio_registers.hpp>
#include <virtio/analyser/pci_registers.hpp>
#include <virtio/analyser/queue_tracker.hpp>
#include <virtio/analyser/type_rules.hpp>
#include <virtio/analyser/violation.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace virtio::analyser {

struct AnalyserParams {
  std::string device;             ///< its name, in violations
  bool pci = false;               ///< virtio-pci; else virtio-mmio
  PciLayout pci_layout = {};      ///< of a PCI function
  bool recommendations = false;   ///< report rules of SHOULD and SHOULD NOT too
  std::size_t max_queues = 1024;  ///< queues with higher numbers than fit are not looked at
  std::size_t max_pieces = 65536; ///< memory pieces remembered of each queue's exposed buffers
};

class Analyser : QueueListener {
public:
  using Sink = Report::Sink;

  /// `sink` gets the first violation of each rule on each queue; it may be empty.
  explicit Analyser(AnalyserParams params, Sink sink = {});

  /// What the capabilities of a PCI function turned out to be.
  void set_pci_layout(const PciLayout& layout) { pci_.set_layout(layout); }
  /// Of a PCI function, the Device ID without 0x1040; on virtio-mmio a register says it. The first
  /// one counts.
  void set_device_type(std::uint16_t type) { device_type(type); }

  void on_register(const RegisterAccess& access);
  void on_device_memory(const MemoryAccess& access);
  void on_driver_memory(const MemoryAccess& access);
  /// The observation ends: reports what should have happened by now.
  void finish(SimTime time);

  /// Each rule that was violated, by queue, with the first case in full.
  std::vector<Report::Tally> violations() const { return report_.tallies(); }
  std::uint64_t total() const { return report_.total(); }

private:
  struct Ghost { // a queue that the driver took back
    std::uint16_t queue = 0;
    bool reset = false; // by a queue reset; else disabled
    LiveQueue areas;
  };

  void queue_live(std::uint16_t queue, const ObservedQueue& config) override;
  void queue_gone(std::uint16_t queue) override;
  void all_queues_gone() override;
  void notified(std::uint16_t queue, std::optional<NotificationData> data) override;
  void device_type(std::uint16_t type) override;
  void features_settled(const FeatureSet& offered, const FeatureSet& accepted) override;
  void config_read(std::uint64_t offset, unsigned width, std::uint64_t value) override;
  void config_change_told() override;

  bool may_access_memory(const MemoryAccess& access);
  void report_unknown_access(const MemoryAccess& access);
  bool sees_everything() const;

  AnalyserParams params_;
  Report report_;
  DeviceState state_;
  MmioRegisters mmio_;
  PciRegisters pci_;
  std::unique_ptr<TypeRules> type_rules_;
  std::map<std::uint16_t, std::unique_ptr<QueueTracker>> trackers_;
  std::map<std::uint16_t, LiveQueue> live_;
  std::map<std::uint16_t, Ghost> ghosts_;
};

} // namespace virtio::analyser
