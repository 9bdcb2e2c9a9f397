// Judges a ring engine by what crosses its boundary: one stream of events in, the rules that it
// breaks out. It knows neither the engine nor its bench. The engine leads: for each queue the
// scoreboard keeps the bytes that the engine's own reads returned, and asks whether what it did
// follows from them. For any driver, legal or not.
#pragma once

#include <virtio/rtl/boundary/events.hpp>
#include <virtio/rtl/scoreboard/samples.hpp>

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

namespace virtio::rtl {

enum class RingRule : std::uint8_t {
#define RING_RULE(name, id, text) name,
#include <virtio/rtl/scoreboard/rules.def>
#undef RING_RULE
};
/// RING-SEGMENT, ...
const char* id(RingRule rule);
/// What it demands, as a sentence.
const char* text(RingRule rule);

struct Violation {
  RingRule rule{};
  std::uint64_t cycle = 0;
  std::uint16_t function = 0;
  QueueIndex queue{};
  std::string what; ///< the evidence

  /// Queue, evidence, and what the rule demands.
  std::string evidence() const;
  /// The same with rule and cycle.
  std::string message() const;
};

struct ScoreboardLimits {
  /// Interrupts of a queue that nothing justifies.
  std::uint32_t spurious_interrupts = 0;
  /// With so many chains of a queue between emission and used ring, the engine may wait.
  std::size_t chains_with_function = std::numeric_limits<std::size_t>::max();
  /// Violations kept; the stream is judged no further behind them.
  std::size_t violations = 16;
};

class RingScoreboard final : public BoundarySink {
public:
  explicit RingScoreboard(ScoreboardLimits limits = {});
  ~RingScoreboard() override;

  void on_boundary(const BoundaryEvent& event) override;
  /// The engine has been idle for so long that it will do no more: what it owes is missing. More
  /// events may follow.
  void settle(std::uint64_t cycle);

  bool clean() const { return violations_.empty(); }
  const std::vector<Violation>& violations() const { return violations_; }
  /// Chains that were emitted, and those that were published.
  std::uint64_t emitted() const { return emitted_; }
  std::uint64_t published() const { return published_; }

private:
  struct Queue;
  struct Access {
    Queue* queue = nullptr;
    AccessKind kind{};
    GuestAddr address{};
    std::uint32_t length = 0;
    std::uint64_t issued = 0;
    // Of the queue when it was issued: published and ordered, emitted, where the ring stood.
    std::uint64_t published = 0;
    std::uint64_t chains = 0;
    std::uint64_t position = 0;
    std::uint16_t next = 0;
  };
  using Accesses = std::unordered_map<std::uint16_t, Access>; // by tag

  Queue& at(const BoundaryEvent& event);
  void broken(const Queue& queue, RingRule rule, std::string what);

  void on_command(Queue& queue, const BoundaryEvent& event);
  void on_response(Queue& queue, const BoundaryEvent& event);
  void on_enabled(Queue& queue, const BoundaryEvent& event);
  void on_state(Queue& queue, const BoundaryEvent& event);
  void on_read(Queue& queue, const BoundaryEvent& event);
  void on_read_answer(const BoundaryEvent& event);
  void on_write(Queue& queue, const BoundaryEvent& event);
  void on_write_answer(const BoundaryEvent& event);
  void on_segment(Queue& queue, const BoundaryEvent& event);
  void on_chain(Queue& queue);
  void on_completion(Queue& queue, const BoundaryEvent& event);
  void on_interrupt(Queue& queue, const BoundaryEvent& event);
  void on_error(Queue& queue, const BoundaryEvent& event);
  bool alive(const Queue& queue, const char* what);

  void look_at_index(Queue& queue, const Access& access, std::uint16_t idx);
  void look_at_descriptors(Queue& queue, const Access& access, const BoundaryEvent& event);
  void look_for_tables(Queue& queue, const BoundaryEvent& event);
  void look_at_event(Queue& queue, const Access& access, std::span<const std::byte> bytes);
  void write_used(Queue& queue, const BoundaryEvent& event);
  void publish_split(Queue& queue, std::uint16_t idx, bool fence);
  void publish_packed(Queue& queue, bool fence);
  /// A used element that stands for the next completion, or for several in order. Returns for how
  /// many; 0: for none, which is reported. `goes_on` says whether the next one is written if it
  /// stands for all before the n-th.
  std::size_t match_used(Queue& queue, std::size_t first, std::size_t limit, std::uint16_t head,
                         std::uint32_t written, const std::function<bool(std::size_t)>& goes_on);
  void retire(Queue& queue, std::size_t count);
  bool justified(const Queue& queue, RingError code) const;
  void settle(Queue& queue);

  ScoreboardLimits limits_;
  std::vector<Violation> violations_;
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::unique_ptr<Queue>> queues_;
  std::map<std::uint16_t, Accesses> reads_, writes_; // by function
  std::uint64_t now_ = 0;                            // number of the event
  std::uint64_t cycle_ = 0;
  std::uint64_t emitted_ = 0;
  std::uint64_t published_ = 0;
};

} // namespace virtio::rtl
