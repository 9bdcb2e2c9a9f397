// What stands around a ring engine in co-simulation: memory that answers late and out of order,
// drivers, and a device function that completes in any order. All of it follows from a Stimulus;
// everything that crosses the boundary goes to the scoreboard.
//
// Items, one line each (Q: the queue's number):
//   chain Q [indirect] [MISTAKE] SEGMENT..   SEGMENT: r or w and a length
//   kick Q           makes available what was added, and notifies the device if it asked for it
//   wish Q N         asks for an interrupt with the next used buffer but N
//   deaf Q           asks for none
//   sleep Q          waits until the device has used everything, by interrupts alone
//   wait CYCLES
//   reset Q          and sets the queue up again
//   quiesce Q        waits for what was emitted, reads the state, then as reset
// Settings: seed, queues, size, packed, event_idx, indirect, in_order, notification_data, start
// (index), latency (cycles), spread (cycles, of latencies), stall (percent of cycles in which the
// bench is not ready), groups (percent of completions that wait for the next), slow (cycles that
// the function takes, at most).
#pragma once

#include <virtio/rtl/cosim/choice.hpp>
#include <virtio/rtl/cosim/ring_driver.hpp>
#include <virtio/rtl/cosim/ring_pins.hpp>
#include <virtio/rtl/cosim/stimulus.hpp>
#include <virtio/rtl/scoreboard/ring_scoreboard.hpp>

#include <functional>
#include <map>
#include <memory>
#include <queue>

namespace virtio::rtl::cosim {

struct RingRunOptions {
  /// Gets every event as well.
  BoundarySink* sink = nullptr;
  /// Cycles without a transfer, while something is owed, that are a hang.
  std::uint64_t quiet = 20'000;
  std::uint64_t max_cycles = 50'000'000;
};

class RingBench {
public:
  /// Throws std::invalid_argument when a setting cannot be.
  RingBench(const Stimulus& stimulus, RingDut& dut, RingRunOptions options = {});
  ~RingBench();

  /// From the first item to the end of everything. The first rule that is broken.
  std::optional<Finding> run();

  std::uint64_t cycles() const { return cycle_; }
  std::uint64_t chains() const { return scoreboard_.emitted(); }

private:
  struct Queue;
  struct Read;
  struct Write;
  struct Waiting {
    BoundaryEvent event;
    std::uint64_t due = 0; // offered from this cycle on
    bool decided = false;  // completion: whether it waits for the next
  };

  void tick();
  void transfer(const BoundaryEvent& event);
  void offer(Group group, RingSide& side);
  void send(BoundaryEvent event, std::uint64_t after = 0);
  BoundaryEvent of(Group group, const Queue& queue) const;

  void accept_read(const BoundaryEvent& event);
  void accept_write(const BoundaryEvent& event);
  void accept_segment(Queue& queue, const BoundaryEvent& event);
  void accept_response(Queue& queue, const BoundaryEvent& event);
  void sample();
  void perform_writes();
  void answer_reads();

  /// Advances the items; false: this one is not done yet.
  bool step(const Item& item);
  bool start(const Item& item);
  bool continue_item();
  void drive(Queue& queue);
  void notify(Queue& queue);
  void enable(Queue& queue);
  void command(Queue& queue, Command what);
  void broken(const std::string& rule, const std::string& evidence);
  std::string outstanding() const;
  bool owed() const;
  bool busy(const Queue& queue) const; ///< accesses of it are under way

  Stimulus stimulus_;
  RingDut& dut_;
  RingRunOptions options_;
  RingScoreboard scoreboard_;
  std::optional<Finding> finding_;
  std::uint64_t seed_;

  std::vector<std::byte> memory_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::array<std::deque<Waiting>, num_groups> to_dut_;
  std::array<std::uint64_t, num_groups> sent_{};                 // transfers so far
  std::array<std::optional<BoundaryEvent>, num_groups> stalled_; // offered and not taken
  std::deque<Read> reads_;
  std::deque<Write> writes_;
  std::uint64_t last_performed_ = 0;
  std::uint64_t num_reads_ = 0, num_writes_ = 0;
  std::vector<QueueIndex> aborted_; // in this cycle

  std::size_t next_item_ = 0;
  std::uint64_t item_since_ = 0;
  unsigned item_phase_ = 0;
  std::uint64_t cycle_ = 0;
  std::uint64_t moved_ = 0; // cycle of the last transfer
  std::uint64_t latency_, spread_, slow_;
  unsigned stall_, groups_;
};

} // namespace virtio::rtl::cosim
