// How long a block device takes, and the medium that takes most of it: channels that work side by
// side, and one bus between them and the device.
#pragma once

#include <virtio/core/serial_line.hpp>
#include <virtio/core/task.hpp>

#include <cstdint>
#include <deque>

namespace virtio::blk {

/// All zero, the default: nothing takes time.
struct BlockTiming {
  /// The device's own work on a request, each by itself.
  SimTime request_cost{};
  /// From the command to the first byte of a read, and from the last byte of a write until it is
  /// done; a flush takes as long as an empty write.
  SimTime read_latency{};
  SimTime write_latency{};
  /// Bytes a second between medium and device, all channels together; 0: any number.
  std::uint64_t bandwidth = 0;
  /// Requests that the medium works on at a time, in the order in which they come; 0: any number.
  std::uint32_t channels = 0;

  bool untimed() const {
    return request_cost.ps == 0 && read_latency.ps == 0 && write_latency.ps == 0 && bandwidth == 0;
  }
};

class Medium {
public:
  explicit Medium(const BlockTiming& timing)
      : timing_(timing), bus_(timing.bandwidth), free_channels_(timing.channels) {}
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;

  /// Lets the time of a request without access to the medium pass. False: a reset came first; so
  /// below.
  Task<bool> command(Scope& scope);
  Task<bool> read(Scope& scope, std::uint64_t bytes);
  Task<bool> write(Scope& scope, std::uint64_t bytes);

private:
  class Channel;

  BlockTiming timing_;
  SerialLine bus_;
  std::uint32_t free_channels_;
  std::deque<Channel*> waiting_;
};

} // namespace virtio::blk
