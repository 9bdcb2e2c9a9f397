// The entropy device (virtio 1.4, 5.4): fills the driver's buffers from a seeded generator, so that
// a run is repeatable. Not a source of secrets.
#pragma once

#include <virtio/core/device_function.hpp>
#include <virtio/core/random.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace virtio::entropy {

struct EntropyTiming {
  /// The device's own work on a request; requests come one after the other.
  SimTime request_cost{};
};

struct EntropyParams {
  std::uint64_t seed = 1;
  /// Entries of the request queue, a power of two (QEMU's is 8; 64 assumed here).
  std::uint16_t queue_size = 64;
  /// A request gets at most so many bytes, which the specification allows (5.4.6.2).
  std::uint32_t max_bytes_per_request = 64 * 1024;
  EntropyTiming timing{};
};

struct EntropyStats {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
};

class Entropy final : public DeviceFunction {
public:
  static constexpr QueueIndex requestq{0};

  /// `name` selects the device's own stream of the seed. Throws std::invalid_argument when
  /// max_bytes_per_request is 0.
  Entropy(const EntropyParams& params, std::string_view name);

  DeviceType type() const override { return DeviceType::entropy; }
  FeatureSet features() const override { return {}; }
  std::uint16_t num_queues() const override { return 1; }
  std::uint16_t max_queue_size(QueueIndex) const override { return params_.queue_size; }
  /// One at a time: the stream's bytes go to the requests in order, whatever the memory's timing.
  std::uint32_t window(QueueIndex) const override { return 1; }
  void on_chain(Chain& chain) override;

  const EntropyStats& stats() const { return stats_; }

private:
  Task<> handle(Chain& chain);

  EntropyParams params_;
  Random random_;
  EntropyStats stats_;
};

} // namespace virtio::entropy
