// The reference ring engine: walks virtqueues in guest memory. For each active queue there is one
// task that fetches descriptor chains and one that writes used elements back; an idle queue owns no
// coroutine frame. What must survive inspection or reset is in plain structs, never only in a
// frame.
#pragma once

#include <virtio/core/ring_engine.hpp>

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
  QueueProgress progress(QueueIndex queue) const override;
  bool enabled(QueueIndex queue) const override;
  void doorbell(QueueIndex queue, std::optional<NotificationData> data) override;
  void credit(QueueIndex queue, std::uint32_t count) override;
  void complete(Chain& chain, std::uint32_t written, bool more) override;
  Dma dma(QueueIndex queue) override;

private:
  /// A chain the function is done with, on its way to the used ring.
  struct Completion {
    Chain* chain = nullptr;
    std::uint32_t written = 0;
    bool more = false;
  };
  struct Queue {
    Queue(ModelRingEngine& engine, QueueIndex index);

    QueueIndex index;
    Scope scope;
    QueueSetup setup;
    bool on = false;
    bool halted = false;      // emits no further chain until reset
    bool used_failed = false; // the used ring cannot be written

    std::uint16_t next_avail = 0; // free-running
    std::uint16_t seen_avail = 0; // the driver's index when last read
    std::uint16_t next_used = 0;  // free-running
    std::uint16_t next_chain_id = 0;
    std::uint32_t credits = 0;
    std::uint32_t outstanding = 0;

    bool doorbell = false; // rung since the available index was last read
    bool fetching = false;
    bool writing_back = false;

    std::vector<Completion> completions; // waiting, in order
    std::deque<Chain> chains;            // pool
    std::vector<Chain*> free_chains;
  };

  Queue& at(QueueIndex queue) { return *queues_[raw(queue)]; }
  const Queue& at(QueueIndex queue) const { return *queues_[raw(queue)]; }
  Dma dma(Queue& queue) { return Dma(port_, queue.scope, raw(queue.index)); }

  void wake_fetch(Queue& queue);
  Task<> fetch(Queue& queue);
  Task<> write_back(Queue& queue);
  /// Reports `error` unless `status` is a cancellation. No chain is emitted after it; earlier ones
  /// complete.
  void fail(Queue& queue, DmaStatus status, RingError error);
  Chain& take_chain(Queue& queue, std::uint16_t head);

  std::string name_;
  Executor& executor_;
  DmaPort& port_;
  RingEngineClient& client_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace virtio
