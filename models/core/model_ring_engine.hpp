// The reference ring engine: walks split and packed virtqueues in guest memory. For each active
// queue there is one task that fetches descriptor chains and one that writes used descriptors back;
// an idle queue owns no coroutine frame. What must survive inspection or reset is in plain structs,
// never only in a frame.
#pragma once

#include <virtio/core/notification_hold.hpp>
#include <virtio/core/ring_walk.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace virtio {

class ModelRingEngine final : public RingEngine {
public:
  /// `name` is the device's, for messages. Queues are numbered 0 .. num_queues - 1.
  ModelRingEngine(std::string name, Executor& executor, DmaPort& port, std::uint16_t num_queues,
                  RingEngineClient& client);

  RingError enable(QueueIndex queue, const QueueSetup& setup) override;
  void reset(QueueIndex queue, std::function<void()> done) override;
  void orphan(QueueIndex queue) override;
  void quiesce(QueueIndex queue) override { at(queue).halted = true; }
  bool coalesce(QueueIndex queue, const NotificationCoalescing& how) override;
  QueueProgress progress(QueueIndex queue) const override;
  bool enabled(QueueIndex queue) const override;
  void doorbell(QueueIndex queue, std::optional<NotificationData> data) override;
  void credit(QueueIndex queue, std::uint32_t count) override;
  void complete(Chain& chain, std::uint32_t written, CompletionHints hints) override;
  Dma dma(QueueIndex queue) override;

  /// Chains completed while their doorbell is still being served become visible in batches of at
  /// most this many.
  static constexpr std::size_t max_batch = 64;
  /// More chains than a ring can hold, without a pause, come from a device that feeds its own ring:
  /// the engine then lets simulated time pass, so that the register write that rang returns
  /// (assumed values).
  static constexpr std::uint32_t max_burst = 65536;
  static constexpr SimTime burst_pause = microseconds(1);

private:
  struct Queue;
  struct Timer : Wake {
    Queue* queue = nullptr;
    ModelRingEngine* engine = nullptr;
  };
  struct Queue {
    Queue(ModelRingEngine& engine, QueueIndex index);

    QueueIndex index;
    Scope scope;
    QueueSetup setup;
    bool packed = false;
    bool event_idx = false;
    bool indirect = false;

    bool on = false;
    bool halted = false;      // emits no further chain until reset
    bool used_failed = false; // used descriptors cannot be written
    bool failed = false;      // an error was reported

    // Split: indices run freely and `wrap` is unused. Packed: offsets into the ring.
    RingIndex next_avail;
    RingIndex next_used;
    std::uint16_t seen_avail = 0; // split: the driver's index when last read
    std::uint16_t next_chain_id = 0;
    std::uint32_t credits = 0;
    std::uint32_t outstanding = 0;

    bool doorbell = false;   // rung since the ring was last looked at
    bool maybe_more = false; // the ring may hold a chain at next_avail
    bool armed = false;      // the driver was asked to notify for next_avail
    bool fetching = false;
    bool emitting = false;
    bool writing_back = false;

    Completions completions;
    RingIndex signalled;           // the driver was asked about its wishes up to here
    std::uint32_t unsignalled = 0; // ring entries (split) or descriptors (packed) since then
    NotificationHold hold;
    Timer notify;
    std::deque<Chain> chains; // pool
    std::vector<Chain*> free_chains;
  };
  /// How the walk over one chain's descriptors ended.
  struct Walked {
    RingError error = RingError::none;
    DmaStatus status = DmaStatus::ok;
  };

  Queue& at(QueueIndex queue) { return *queues_[raw(queue)]; }
  const Queue& at(QueueIndex queue) const { return *queues_[raw(queue)]; }
  Dma dma(Queue& queue) { return Dma(port_, queue.scope, raw(queue.index)); }

  void wake_fetch(Queue& queue);
  Task<> fetch(Queue& queue);
  Task<Walked> walk_indirect(Queue& queue, Chain& chain, Piece table, std::uint32_t direct);
  void emit(Queue& queue, Chain& chain);
  Chain& take_chain(Queue& queue);

  void start_write_back(Queue& queue);
  Task<> write_back(Queue& queue);
  void retire(Queue& queue, std::size_t ready);

  /// Reports `error` unless `status` is a cancellation. No chain is emitted after it; earlier ones
  /// complete.
  void fail(Queue& queue, DmaStatus status, RingError error);

  std::string name_;
  Executor& executor_;
  DmaPort& port_;
  RingEngineClient& client_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace virtio
