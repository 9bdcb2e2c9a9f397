// What is measured of one workload, between the end of its warm-up and the end of its measurement:
// requests that end in that window, per queue and kind, and how many are under way on average.
#pragma once

#include <virtio/platforms/pcie_host/histogram.hpp>
#include <virtio/platforms/pcie_host/request_log.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace virtio::platform::pcie_host {

/// Of a request. Receive buffers count when their frame has arrived.
enum class RequestKind : std::uint8_t { read, write, transmit, receive };
const char* to_string(RequestKind kind);

/// What one queue did with one kind of request.
struct Figures {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
  Histogram latency; ///< ps
  std::array<Histogram, stages> stage;

  void add(const Timeline& times, std::uint64_t bytes);
  void add(const Figures& other);
};

class Measurement {
public:
  struct Extent {
    SimTime warm_up;
    std::optional<std::uint64_t> requests; ///< one of the two
    std::optional<SimTime> duration;
  };
  explicit Measurement(const Extent& extent) : extent_(extent) {}

  /// Traffic starts now.
  void begin(SimTime now);
  /// A request has ended; its times are settled.
  void finished(std::uint16_t queue, RequestKind kind, std::uint64_t bytes, const Timeline& times);
  /// A request that had arrived and was never started, when all is over.
  void never_started(SimTime arrival);

  /// Known from the start if the extent is a duration, else from the last request on.
  std::optional<SimTime> end() const { return end_; }
  bool ended(SimTime now) const { return end_ && now >= *end_; }
  SimTime start() const { return start_; }
  SimTime length() const { return *end_ - start_; }

  /// Called when the last request of the extent has ended; not with a duration.
  std::function<void()> on_end;

  using Key = std::pair<std::uint16_t, RequestKind>; ///< queue, kind
  const std::map<Key, Figures>& figures() const { return figures_; }
  Figures total() const;
  /// The mean latency if each request in the window were as fast as the fastest of its queue and
  /// kind in the whole run, warm-up included, whose first request meets an idle device.
  std::uint64_t unloaded_mean() const;
  /// Request-picoseconds under way within the window; divided by its length, their mean number.
  Wide area() const { return area_; }
  /// All that ended, in the window or not.
  std::uint64_t all_finished() const { return all_finished_; }

private:
  void cover(std::uint64_t from, std::uint64_t to);

  Extent extent_;
  SimTime start_;
  std::optional<SimTime> end_;
  std::uint64_t counted_ = 0;
  std::uint64_t all_finished_ = 0;
  Wide area_ = 0;
  std::map<Key, Figures> figures_;
  std::map<Key, std::uint64_t> fastest_; // of the whole run
};

} // namespace virtio::platform::pcie_host
