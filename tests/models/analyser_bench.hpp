// What tests of the protocol analyser share. A case runs the same story twice: as it should be,
// when the analyser must stay silent, and with one thing broken, when it must report exactly one
// rule. Register stories are scripts of accesses; ring stories run the real device over a port that
// shows the analyser every access.
#pragma once

#include "support/test_device.hpp"

#include <virtio/analyser/analyser.hpp>

#include <functional>
#include <string>
#include <vector>

namespace virtio::test {

/// The ids that an analyser reported, each once, in the order of the rules.
inline std::vector<std::string> ids(const analyser::Analyser& a) {
  std::vector<std::string> list;
  for (const auto& tally : a.violations())
    if (list.empty() || list.back() != tally.first.id) list.emplace_back(tally.first.id);
  return list;
}

struct AnalyserCase {
  std::string id;
  std::string what; ///< in CamelCase, part of the test's name
  std::function<std::vector<std::string>(bool broken)> run;
};
inline std::vector<AnalyserCase>& analyser_cases() {
  static std::vector<AnalyserCase> cases;
  return cases;
}
/// Adds cases whose story is told to a fresh `Bench`, which has an `analyser`.
template <class Bench>
bool add_cases(std::initializer_list<
               std::tuple<const char*, const char*, std::function<void(Bench&, bool broken)>>>
                   list) {
  for (const auto& [id, what, story] : list)
    analyser_cases().push_back({id, what, [story = story](bool broken) {
                                  Bench bench;
                                  story(bench, broken);
                                  return ids(bench.analyser);
                                }});
  return true;
}

/// Register accesses of a driver, told to an analyser. A step takes a microsecond.
template <bool pci> struct Script {
  using Space = analyser::RegisterSpace;
  analyser::Analyser analyser{{.device = "dut",
                               .pci = pci,
                               .pci_layout = {.notify_off_multiplier = 4},
                               .recommendations = true}};
  SimTime now;

  void access(Space space, bool write, std::uint64_t offset, std::uint64_t value, unsigned width) {
    now = now + microseconds(1);
    analyser.on_register({now, space, offset, width, write, value});
  }
  void device_access(bool write, std::uint64_t addr, std::vector<std::uint8_t> bytes) {
    now = now + microseconds(1);
    analyser.on_device_memory({now, GuestAddr{addr}, std::as_bytes(std::span(bytes)), write});
  }
  void driver_access(bool write, std::uint64_t addr, std::vector<std::uint8_t> bytes) {
    now = now + microseconds(1);
    analyser.on_driver_memory({now, GuestAddr{addr}, std::as_bytes(std::span(bytes)), write});
  }
};

/// A legal driver's steps on virtio-mmio (virtio 1.4, 4.2.3.1 and 3.1.1).
struct MmioScript : Script<false> {
  void w(std::uint64_t offset, std::uint64_t value, unsigned width = 4) {
    access(Space::mmio, true, offset, value, width);
  }
  void r(std::uint64_t offset, std::uint64_t value, unsigned width = 4) {
    access(Space::mmio, false, offset, value, width);
  }
  void identify() {
    r(0x00, 0x7472'6976);
    r(0x04, 2);
    r(0x08, 4);
  }
  void reset() {
    w(0x70, 0);
    r(0x70, 0);
  }
  /// Up to the DRIVER bit.
  void meet() {
    identify();
    reset();
    w(0x70, 1);
    w(0x70, 3);
  }
  /// Both sides want VERSION_1 and nothing else.
  void settle() {
    offer({VIRTIO_F_VERSION_1});
    accept({VIRTIO_F_VERSION_1});
  }
  void offer(FeatureSet offered) {
    for (std::uint32_t word = 0; word < 2; ++word) {
      w(0x14, word);
      r(0x10, offered.word32(word));
    }
  }
  void accept(FeatureSet accepted) {
    for (std::uint32_t word = 0; word < 2; ++word) {
      w(0x24, word);
      w(0x20, accepted.word32(word));
    }
  }
  void features_ok() {
    w(0x70, 0x0b);
    r(0x70, 0x0b);
  }
  void negotiate(FeatureSet features = {}) {
    meet();
    features.set(VIRTIO_F_VERSION_1);
    offer(features);
    accept(features);
    features_ok();
  }
  void addresses(std::uint64_t desc = SplitRingDriver::desc_at,
                 std::uint64_t driver = SplitRingDriver::avail_at,
                 std::uint64_t device = SplitRingDriver::used_at) {
    for (auto [offset, address] : {std::pair{0x80, desc}, {0x90, driver}, {0xa0, device}}) {
      w(static_cast<std::uint64_t>(offset), address & 0xffff'ffff);
      w(static_cast<std::uint64_t>(offset) + 4, address >> 32);
    }
  }
  void queue(std::uint32_t size = 8, std::uint32_t index = 0) {
    w(0x30, index);
    r(0x44, 0);
    r(0x34, 256);
    w(0x38, size);
    addresses();
    w(0x44, 1);
  }
  void bring_up(FeatureSet features = {}, std::uint32_t size = 8) {
    negotiate(features);
    queue(size);
    w(0x70, 0x0f);
  }
};

/// The same on virtio-pci (4.1.4.3, 4.1.5.1).
struct PciScript : Script<true> {
  void w(std::uint64_t offset, std::uint64_t value, unsigned width) {
    access(Space::pci_common, true, offset, value, width);
  }
  void r(std::uint64_t offset, std::uint64_t value, unsigned width) {
    access(Space::pci_common, false, offset, value, width);
  }
  void status(std::uint8_t value) { w(0x14, value, 1); }
  void reset() {
    status(0);
    r(0x14, 0, 1);
  }
  void negotiate(FeatureSet features = {}) {
    access(Space::pci_command, true, 0, 6, 2);
    reset();
    status(1);
    status(3);
    features.set(VIRTIO_F_VERSION_1);
    for (std::uint32_t word = 0; word < 2; ++word) {
      w(0x00, word, 4);
      r(0x04, features.word32(word), 4);
    }
    for (std::uint32_t word = 0; word < 2; ++word) {
      w(0x08, word, 4);
      w(0x0c, features.word32(word), 4);
    }
    status(0x0b);
    r(0x14, 0x0b, 1);
  }
  void addresses() {
    const std::uint64_t at[] = {SplitRingDriver::desc_at, SplitRingDriver::avail_at,
                                SplitRingDriver::used_at};
    for (std::uint64_t i = 0; i < 3; ++i) {
      w(0x20 + 8 * i, at[i], 4);
      w(0x24 + 8 * i, 0, 4);
    }
  }
  void queue(std::uint16_t index = 0, std::uint16_t size = 8) {
    w(0x16, index, 2);
    r(0x18, 256, 2);
    w(0x18, size, 2);
    addresses();
    r(0x1e, index, 2);
    r(0x38, index + 100u, 2);
    w(0x1c, 1, 2);
  }
  void bring_up(FeatureSet features = {}) {
    negotiate(features);
    queue();
    status(0x0f);
  }
  void notify(std::uint64_t offset, std::uint64_t value, unsigned width = 2) {
    access(Space::pci_notify, true, offset, value, width);
  }
};

/// Answers at once, and shows every access when it is performed.
class RecordingPort final : public DmaPort {
public:
  explicit RecordingPort(std::span<std::byte> memory) : memory_(memory) {}
  std::function<void(GuestAddr addr, std::span<const std::byte> data, bool write)> observer;

private:
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& t) override {
    const std::uint64_t at = raw(t.addr);
    if (at > memory_.size() || t.len > memory_.size() - at) {
      answer(t, DmaStatus::address_error);
      return;
    }
    std::byte* memory = memory_.data() + at;
    if (t.write)
      std::memcpy(memory, t.buffer.data(), t.len);
    else
      std::memcpy(t.buffer.data(), memory, t.len);
    if (observer) observer(t.addr, {t.buffer.data(), t.len}, t.write);
    answer(t, DmaStatus::ok);
  }
  std::span<std::byte> memory_;
};

/// The real device, watched. It reads and writes every byte of a chain, then completes it.
struct WatchedDevice : TestDevice<RecordingPort> {
  explicit WatchedDevice(FeatureSet features = {}, std::uint16_t ring_size = 8)
      : TestDevice(ring_size), analyser(script.analyser) {
    port.observer = [this](GuestAddr addr, std::span<const std::byte> data, bool write) {
      analyser.on_device_memory({script.now, addr, data, write});
    };
    function->handle = [this](Chain& chain) { return serve(chain); };
    script.bring_up(features, ring_size);
    bring_up(features);
  }
  Task<> serve(Chain& chain) {
    const Dma dma = function->device().dma(chain.queue);
    std::vector<std::byte> bytes(chain.readable_len + chain.writable_len);
    for (const Piece& piece : chain.readable())
      co_await dma.read(piece.addr, bytes.data(), piece.len, AccessKind::data);
    for (const Piece& piece : chain.writable())
      co_await dma.write(piece.addr, bytes.data(), piece.len, AccessKind::data);
    if (!hold)
      function->device().complete(chain, static_cast<std::uint32_t>(chain.writable_len));
    else
      held.push_back(&chain);
  }
  void ring() {
    script.w(0x50, 0);
    device->notify(QueueIndex{0}, std::nullopt);
  }
  /// Shows the driver's new chains and rings the doorbell.
  void kick() {
    driver.publish();
    ring();
  }

  MmioScript script;
  analyser::Analyser& analyser;
  bool hold = false; // completes nothing by itself
  std::vector<Chain*> held;
};

} // namespace virtio::test
