#include <virtio/core/queue_arbiter.hpp>

#include <algorithm>

namespace virtio {

namespace {

constexpr std::size_t none = ~std::size_t{0};

/// The first bit from `from` on; `none` if there is none.
std::size_t first_bit(const std::vector<std::uint64_t>& words, std::size_t from) {
  std::uint64_t mask = ~0ull << (from % 64);
  for (std::size_t w = from / 64; w < words.size(); ++w, mask = ~0ull)
    if (const std::uint64_t word = words[w] & mask)
      return w * 64 + static_cast<std::size_t>(std::countr_zero(word));
  return none;
}

} // namespace

QueueArbiter::QueueArbiter(const RingEngineParams& params, std::uint16_t num_queues)
    : num_queues_(num_queues) {
  std::size_t levels = 1;
  if (params.arbitration == Arbitration::priority && !params.priorities.empty()) {
    priorities_ = params.priorities;
    levels += *std::max_element(priorities_.begin(), priorities_.end());
  }
  if (params.arbitration == Arbitration::weighted) weights_ = params.weights;
  levels_.resize(levels);
  for (Level& level : levels_) {
    level.bits.resize((num_queues + 63u) / 64);
    level.words.resize((level.bits.size() + 63) / 64);
  }
}

void QueueArbiter::set(QueueIndex queue, bool on) {
  Level& level = levels_[level_of(queue)];
  std::uint64_t& word = level.bits[raw(queue) / 64];
  const std::uint64_t bit = 1ull << (raw(queue) % 64);
  if (((word & bit) != 0) == on) return;
  word ^= bit;
  const std::uint64_t word_bit = 1ull << (raw(queue) / 64 % 64);
  std::uint64_t& words = level.words[raw(queue) / 64 / 64];
  words = word ? words | word_bit : words & ~word_bit;
  level.requests += on ? 1u : ~0u;
}

/// From `next` on, or else from the start.
std::uint16_t QueueArbiter::find(const Level& level) const {
  const std::size_t here = level.next / 64u;
  if (const std::uint64_t word = level.bits[here] & ~0ull << (level.next % 64))
    return static_cast<std::uint16_t>(here * 64 + static_cast<unsigned>(std::countr_zero(word)));
  std::size_t w = first_bit(level.words, here + 1);
  if (w == none) w = first_bit(level.words, 0);
  return static_cast<std::uint16_t>(w * 64 +
                                    static_cast<unsigned>(std::countr_zero(level.bits[w])));
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
