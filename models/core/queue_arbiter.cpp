#include <virtio/core/queue_arbiter.hpp>

#include <algorithm>

namespace virtio {

QueueArbiter::QueueArbiter(const RingEngineParams& params, std::uint16_t num_queues)
    : num_queues_(num_queues) {
  std::size_t levels = 1;
  if (params.arbitration == Arbitration::priority && !params.priorities.empty()) {
    priorities_ = params.priorities;
    levels += *std::max_element(priorities_.begin(), priorities_.end());
  }
  if (params.arbitration == Arbitration::weighted) weights_ = params.weights;
  levels_.resize(levels);
  for (Level& level : levels_)
    level.bits.resize((num_queues + 63u) / 64);
}

void QueueArbiter::set(QueueIndex queue, bool on) {
  Level& level = levels_[level_of(queue)];
  std::uint64_t& word = level.bits[raw(queue) / 64];
  const std::uint64_t bit = 1ull << (raw(queue) % 64);
  if (((word & bit) != 0) == on) return;
  word ^= bit;
  level.requests += on ? 1u : ~0u;
}

std::uint16_t QueueArbiter::find(const Level& level) const {
  const std::size_t words = level.bits.size();
  for (std::size_t i = 0; i <= words; ++i) {
    const std::size_t w = (level.next / 64u + i) % words;
    std::uint64_t word = level.bits[w];
    if (i == 0) word &= ~0ull << (level.next % 64);
    if (word)
      return static_cast<std::uint16_t>(w * 64 + static_cast<unsigned>(std::countr_zero(word)));
  }
  return level.next; // not reached: the caller knows that a queue requests
}

std::optional<QueueIndex> QueueArbiter::take() {
  for (Level& level : levels_) {
    if (level.requests == 0) continue;
    const std::uint16_t queue = find(level);
    if (queue != level.next || visits_left_ == 0)
      visits_left_ = queue < weights_.size() ? weights_[queue] : 1;
    if (--visits_left_ == 0)
      level.next = static_cast<std::uint16_t>(queue + 1 < num_queues_ ? queue + 1 : 0);
    else
      level.next = queue;
    set(QueueIndex{queue}, false);
    return QueueIndex{queue};
  }
  return std::nullopt;
}

} // namespace virtio
