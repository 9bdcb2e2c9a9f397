// The console device (virtio 1.4, 5.3) with one port: what the driver transmits goes to a sink,
// what the platform types waits until the driver has posted a buffer for it.
#pragma once

#include <virtio/console/config.hpp>
#include <virtio/core/device_function.hpp>
#include <virtio/core/fifo.hpp>

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace virtio::console {

/// Takes the bytes that the driver transmits, in order. The span is valid during the call only.
using Sink = std::function<void(std::span<const std::byte>)>;

/// A sink that writes a new file, after every call as far as the operating system. The error is a
/// sentence that names the file; a write that fails later is dropped.
tl::expected<Sink, std::string> file_sink(const std::filesystem::path& path);

/// What a console offers unless the platform says otherwise.
inline constexpr FeatureSet default_console_features{VIRTIO_CONSOLE_F_SIZE,
                                                     VIRTIO_CONSOLE_F_EMERG_WRITE};

struct ConsoleTiming {
  /// The device's own work on a buffer, in either direction; those of a queue come one after the
  /// other.
  SimTime request_cost{};
};

struct ConsoleParams {
  std::uint16_t cols = 80;
  std::uint16_t rows = 25;
  /// Entries of each queue, a power of two (QEMU's default is 128; 64 assumed here).
  std::uint16_t queue_size = 64;
  /// How many bytes of input may wait for the driver (assumed).
  std::uint32_t input_limit = 64 * 1024;
  /// Bits that are offered, of those in default_console_features.
  FeatureSet features = default_console_features;
  ConsoleTiming timing{};
};

struct ConsoleStats {
  std::uint64_t bytes_out = 0; ///< emergency writes included
  std::uint64_t bytes_in = 0;  ///< handed to the driver
  std::uint64_t input_dropped = 0;
};

class Console final : public DeviceFunction {
public:
  static constexpr QueueIndex receiveq{0};
  static constexpr QueueIndex transmitq{1};

  /// Throws std::invalid_argument when input_limit is 0 or there are features that it does not
  /// have.
  Console(const ConsoleParams& params, Sink sink);

  /// Bytes typed at the port, at any time. They wait for the driver, across resets too, up to the
  /// limit; returns how many were taken, the rest is dropped and counted.
  std::size_t input(std::span<const std::byte> bytes);
  /// The terminal has a new size: the driver is told.
  void resize(std::uint16_t cols, std::uint16_t rows);

  DeviceType type() const override { return DeviceType::console; }
  FeatureSet features() const override { return params_.features; }
  std::uint16_t num_queues() const override { return 2; }
  std::uint16_t max_queue_size(QueueIndex) const override { return params_.queue_size; }
  /// Output is one chain at a time, so that bytes leave in order whatever the memory's timing.
  std::uint32_t window(QueueIndex queue) const override {
    return queue == transmitq ? 1 : params_.queue_size;
  }
  std::span<const std::byte> config() const override;
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override;
  void on_chain(Chain& chain) override;
  void on_abort(QueueIndex queue) override;

  const ConsoleStats& stats() const { return stats_; }

private:
  Task<> transmit(Chain& chain);
  void wake_receive();
  Task<> receive();

  ConsoleParams params_;
  Sink sink_;
  virtio_console_config config_;
  Fifo<std::byte> input_;
  Fifo<Chain*> buffers_; // posted in receiveq
  bool receiving_ = false;
  ConsoleStats stats_;
};

} // namespace virtio::console
