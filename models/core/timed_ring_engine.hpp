// The ring engine of the timed fidelity: the same rings and the same decisions as ModelRingEngine,
// walked the way hardware does it. Rings are read in batches and ahead, many chains are under way
// at once and leave in availability order, used entries are gathered, and every stage costs cycles
// of one clock. Over memory that takes time it says what a design costs; the chains and used
// entries are those of the reference engine.
//
// Stages: doorbell -> arbiter -> visit (available index and ring) -> walk (descriptors) -> emit;
// complete -> write-back (used entries, event suppression) -> interrupt. A stage is one unit of
// hardware shared by all queues.
#pragma once

#include <virtio/core/notification_hold.hpp>
#include <virtio/core/queue_arbiter.hpp>
#include <virtio/core/ring_engine_params.hpp>
#include <virtio/core/ring_walk.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace virtio {

/// A unit that does one thing at a time.
struct PipelineStage {
  SimTime free_at{};
  SimTime busy{}; ///< in total
  /// Takes the unit for `time` as soon as it is free; returns how long from `now` until it is done.
  SimTime take(SimTime now, SimTime time) {
    busy = busy + time;
    free_at = std::max(now, free_at) + time;
    return free_at - now;
  }
};

class TimedRingEngine final : public RingEngine {
public:
  /// As ModelRingEngine. Throws std::invalid_argument when the parameters cannot be.
  TimedRingEngine(std::string name, Executor& executor, DmaPort& port, std::uint16_t num_queues,
                  RingEngineClient& client, const RingEngineParams& params);
  ~TimedRingEngine() override;

  RingError enable(QueueIndex queue, const QueueSetup& setup) override;
  void reset(QueueIndex queue, std::function<void()> done) override;
  void orphan(QueueIndex queue) override;
  void quiesce(QueueIndex queue) override;
  bool coalesce(QueueIndex queue, const NotificationCoalescing& how) override;
  QueueProgress progress(QueueIndex queue) const override;
  bool enabled(QueueIndex queue) const override;
  void doorbell(QueueIndex queue, std::optional<NotificationData> data) override;
  void credit(QueueIndex queue, std::uint32_t count) override;
  void complete(Chain& chain, std::uint32_t written, CompletionHints hints) override;
  Dma dma(QueueIndex queue) override;

  /// What the engine did since it was built.
  struct Stats {
    std::uint64_t visits = 0;
    std::uint64_t chains = 0;
    std::uint64_t write_backs = 0;
    std::uint64_t interrupts = 0;
    SimTime visit_busy{}, walk_busy{}, write_back_busy{};
  };
  Stats stats() const;
  const RingEngineParams& params() const { return params_; }

private:
  struct Queue;
  struct Slot;
  struct Batch;
  struct Table;
  struct Timer;

  Queue& at(QueueIndex queue) const { return *queues_[raw(queue)]; }
  Dma dma(Queue& queue) const;
  SimTime cycles(std::uint64_t n) const;
  Delay work(Queue& queue, PipelineStage& stage, std::uint64_t cycles);

  bool wants_visit(const Queue& queue) const;
  std::size_t batches_ahead(const Queue& queue) const;
  std::uint32_t room_ahead(const Queue& queue) const;
  void wake(Queue& queue);
  void dispatch();
  Task<> visit(Queue& queue);
  DmaAccess arm(Queue& queue);
  void fetch(Queue& queue);

  Slot& new_slot(Queue& queue);
  Batch& take_batch(std::size_t bytes);
  void read_available(Queue& queue, std::uint32_t count);
  Task<> available_batch(Queue& queue, Batch& batch);
  Task<> walk(Queue& queue, Slot& slot, Table table, std::uint32_t at);
  static RingError indirect_error(const Queue& queue, const Fetched& d);
  RingError enter(Table& table, const Fetched& d) const;

  void read_descriptors(Queue& queue);
  Task<> descriptor_batch(Queue& queue, Batch& batch);
  void drop_batches(Queue& queue);
  void take_descriptors(Queue& queue);
  bool take_descriptor(Queue& queue, Batch& batch);
  void end_partial(Queue& queue, RingError error, DmaStatus status);
  Task<> settle(Queue& queue, Slot& slot, std::uint32_t descriptors);

  void drain(Queue& queue);
  void release_chains(Queue& queue, std::uint32_t count);
  void halt(Queue& queue);
  void fail(Queue& queue, DmaStatus status, RingError error);

  void start_write_back(Queue& queue);
  Task<> write_back(Queue& queue);
  static std::uint32_t compose_split(Queue& queue, std::size_t ready);
  static std::uint32_t compose_packed(Queue& queue, std::size_t ready);
  void retire(Queue& queue, std::size_t ready, std::uint32_t advanced);
  void interrupt(Queue& queue, std::uint32_t chains);
  void fire_interrupt(Queue& queue);

  std::string name_;
  Executor& executor_;
  DmaPort& port_;
  RingEngineClient& client_;
  RingEngineParams params_;
  QueueArbiter arbiter_;
  PipelineStage visit_stage_, walk_stage_, write_back_stage_;
  Stats stats_;
  std::uint32_t visits_ = 0;           // under way
  std::uint32_t chains_in_flight_ = 0; // slots taken
  std::uint64_t order_ = 0;            // of reads and of what proved descriptors available
  bool dispatching_ = false;
  SimTime last_visit_{};
  std::uint32_t visits_now_ = 0; // at that time, since a doorbell
  std::deque<Batch> batches_;    // pools
  std::vector<Batch*> free_batches_;
  std::deque<Slot> slots_;
  std::vector<Slot*> free_slots_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

} // namespace virtio
