// Chooses among the queues that have work: round robin, weighted round robin or by priority. Its
// cost does not depend on how many queues are idle: 4096 of them are looked at at a time.
#pragma once

#include <virtio/core/ring_engine_params.hpp>

#include <array>
#include <bit>
#include <optional>
#include <vector>

namespace virtio {

class QueueArbiter {
public:
  QueueArbiter(const RingEngineParams& params, std::uint16_t num_queues);

  void request(QueueIndex queue) { set(queue, true); }
  void withdraw(QueueIndex queue) { set(queue, false); }
  /// Takes the next queue out of those that request.
  std::optional<QueueIndex> take();

private:
  struct Level {
    std::vector<std::uint64_t> bits;  // by queue: it requests
    std::vector<std::uint64_t> words; // by word of `bits`: it has a bit
    std::uint32_t requests = 0;
    std::uint16_t next = 0; // where the search starts
  };
  std::uint16_t level_of(QueueIndex queue) const {
    return raw(queue) < priorities_.size() ? priorities_[raw(queue)] : std::uint16_t{0};
  }
  void set(QueueIndex queue, bool on);
  std::uint16_t find(const Level& level) const;

  std::uint16_t num_queues_;
  std::vector<std::uint8_t> priorities_; // empty unless by priority
  std::vector<std::uint16_t> weights_;   // empty unless weighted
  std::uint32_t visits_left_ = 0;        // of the queue visited last
  std::vector<Level> levels_;
};

} // namespace virtio
