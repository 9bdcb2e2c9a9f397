// A ring engine in RTL as the ring engine of a device: whatever can be driven by its pins behind
// the interface that the models' engines have. It is clocked by the executor's time; while neither
// side has anything to say, the clock stands. Everything that crosses the boundary can be judged on
// the way.
#pragma once

#include <virtio/rtl/cosim/ring_pins.hpp>
#include <virtio/rtl/scoreboard/ring_scoreboard.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace virtio::rtl {

struct RtlRingParams {
  std::uint64_t clock = 250'000'000; ///< Hz, 1 MHz..10 GHz; the period is rounded up to picoseconds
  /// Cycles without anything on the pins after which the engine waits for its inputs. Longer than
  /// the longest time-out that is built into it.
  std::uint32_t idle_cycles = 64;
  /// Cycles without a transfer after which a command is not going to be answered, nor an input
  /// taken.
  std::uint32_t hang_cycles = 100'000;
  /// Judge it by the rules of the scoreboard.
  bool check = true;
  /// What to do next, for the message about something wrong in that cycle.
  std::function<std::string(std::uint64_t)> advice = nullptr;
};

class RtlRingEngine final : public RingEngine {
public:
  /// Throws std::invalid_argument when the RTL has not so many queues, or the clock cannot be. What
  /// breaks a rule, fails an assertion or hangs is an error of the executor, once.
  RtlRingEngine(std::string name, Executor& executor, DmaPort& port, std::uint16_t num_queues,
                RingEngineClient& client, std::unique_ptr<cosim::RingDut> dut,
                const RtlRingParams& params = {});
  ~RtlRingEngine() override;

  RingError enable(QueueIndex queue, const QueueSetup& setup) override;
  void reset(QueueIndex queue, std::function<void()> done) override;
  void orphan(QueueIndex queue) override;
  void quiesce(QueueIndex queue) override;
  /// Asks the RTL, which gets the cycles for it at once.
  QueueProgress progress(QueueIndex queue) const override;
  bool enabled(QueueIndex queue) const override;
  void doorbell(QueueIndex queue, std::optional<NotificationData> data) override;
  void credit(QueueIndex queue, std::uint32_t count) override;
  void complete(Chain& chain, std::uint32_t written, CompletionHints hints) override;
  Dma dma(QueueIndex queue) override;

  /// Clock cycles that were run; those while the clock stood are not among them.
  std::uint64_t cycles_run() const { return cycles_run_; }

private:
  struct Access;
  struct Queue;
  struct Clock : Wake {
    RtlRingEngine* engine = nullptr;
  };

  Queue& at(QueueIndex queue) const { return *queues_[raw(queue)]; }
  BoundaryEvent of(Group group, const Queue& queue) const;
  std::deque<BoundaryEvent>& waiting(Group group) {
    return waiting_[static_cast<std::size_t>(group)];
  }
  void offer(BoundaryEvent event);
  void offer_held(Queue& queue);

  void wake();
  void edge();
  void tick();
  void watch(const BoundaryEvent& event);
  void taken(Group group);
  bool commanded() const { return command_.has_value(); }
  void rest();
  bool owed() const;
  std::string outstanding() const;
  void fail(const std::string& sentence);

  void on_output(const BoundaryEvent& event);
  void on_response(const BoundaryEvent& event);
  void on_segment(const BoundaryEvent& event);
  void on_access(const BoundaryEvent& event);
  void start(Access& access);
  void start_ordered(Queue& queue);
  Task<> read(Access& access);
  Task<> write(Access& access);
  void finished(Access& access, DmaStatus status);
  void reset_ended(Queue& queue);

  std::string name_;
  Executor& executor_;
  DmaPort& port_;
  RingEngineClient& client_;
  std::unique_ptr<cosim::RingDut> dut_;
  RtlRingParams params_;
  SimTime period_;
  std::unique_ptr<RingScoreboard> scoreboard_;

  std::uint64_t cycle_ = 0; // edge times are multiples of the period
  std::uint64_t cycles_run_ = 0;
  std::uint32_t quiet_ = 0; // cycles without anything on the pins
  std::uint64_t moved_ = 0; // cycle of the last transfer
  bool ticking_ = false;
  bool failed_ = false;
  Clock clock_;

  std::array<std::deque<BoundaryEvent>, cosim::num_groups> waiting_; // to the RTL
  std::optional<Command> command_;                                   // not answered yet
  std::optional<QueueProgress> progress_;
  std::vector<BoundaryEvent> said_; // in this cycle
  bool completion_offered_ = false;

  std::deque<Access> accesses_; // pool
  std::vector<Access*> free_accesses_;
  std::size_t open_accesses_ = 0;
  std::vector<std::unique_ptr<Queue>> queues_;
  Scope scope_; // for errors
};

} // namespace virtio::rtl
