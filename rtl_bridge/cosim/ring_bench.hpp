// What stands around a ring engine in co-simulation: memory that answers late and out of order,
// drivers, and a device function that completes in any order. All of it follows from a Stimulus;
// everything that crosses the boundary goes to the scoreboard.
//
// Items, one line each (Q: the queue's number):
//   chain Q [indirect] [MISTAKE] SEGMENT..   SEGMENT: r or w and a length; with "end" behind it, at
//                    the end of the address space
//   burst Q N        N chains of one segment, or as many as fit, and then as kick
//   kick Q           makes available what was added, and notifies the device if it asked for it
//   wish Q N         asks for an interrupt with the next used buffer but N
//   deaf Q           asks for none
//   sleep Q          waits until the device has used everything, by interrupts alone
//   wait CYCLES
//   reset Q          and sets the queue up again
//   misplace Q N     resets, sets the queue up with something wrong (0..10), then as reset
//   quiesce Q [now]  waits for what was emitted, or not, reads the state, then as reset
// Settings: seed, queues, size, packed, event_idx, indirect, in_order, notification_data, start
// (index), origin (address of the memory, a multiple of 16), function (of queue 0; the next for
// each two more), latency (cycles), spread (cycles, of latencies), stall (percent of
// cycles in which the bench is not ready), halt (percent of stretches of 256 cycles in which no
// segment is taken), groups (percent of completions that wait for the next), slow (cycles that the
// function takes, at most), credits (with the engine at a time; 0: as many as the ring has),
// hoard (whether the function completes nothing while it can get more chains; with credits),
// stragglers (percent of accesses that take 2,000 cycles more), late (percent of completions that
// come though their queue was reset).
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

/// What can be wrong of a setup: item misplace.
inline constexpr unsigned num_misplaced = 11;

struct RingRunOptions {
  /// False: only the stimulus; nothing is judged.
  bool checked = true;
  /// Gets every event as well.
  BoundarySink* sink = nullptr;
  /// Cycles without a transfer, while something is owed, that are a hang.
  std::uint64_t quiet = 20'000;
  std::uint64_t max_cycles = 50'000'000;
};

class RingBench {
public:
  /// The offset in memory of the first queue's ring.
  static constexpr std::uint64_t first_ring = 0x11'0000;

  /// Throws std::invalid_argument when a setting cannot be.
  RingBench(const Stimulus& stimulus, RingDut& dut, RingRunOptions options = {});
  ~RingBench();

  /// From the first item to the end of everything. The first rule that is broken.
  std::optional<Finding> run();

  std::uint64_t cycles() const { return cycle_; }
  std::uint64_t chains() const { return chains_; }

private:
  struct Queue;
  struct Read;
  struct Write;
  struct Waiting {
    BoundaryEvent event;
    std::uint64_t due = 0; // offered from this cycle on
    bool decided = false;  // completion: whether it waits for the next
    bool late = false;     // completion: its queue was aborted
  };

  void tick();
  void transfer(BoundaryEvent& event);
  void check_stable(Group group, const BoundaryEvent* event, bool taken);
  void offer(Group group, RingSide& side);
  bool held(const Waiting& completion) const;
  void send(BoundaryEvent event, std::uint64_t after = 0);
  BoundaryEvent of(Group group, const Queue& queue) const;

  void accept_read(const BoundaryEvent& event);
  void accept_write(const BoundaryEvent& event);
  void accept_segment(Queue& queue, const BoundaryEvent& event);
  void accept_response(Queue& queue, const BoundaryEvent& event);
  void sample();
  void perform_writes();
  std::optional<std::size_t> next_answer();
  void answer_reads();

  enum class What : std::uint8_t {
    chain,
    burst,
    kick,
    fault,
    wish,
    deaf,
    sleep,
    wait,
    misplace,
    reset,
    quiesce,
    unknown
  };
  /// What an item says, read once.
  struct Step {
    What what{};
    std::uint64_t number = 0; ///< the queue, or cycles
    std::vector<std::string> words;
    std::vector<DriverSegment> segments; ///< of a chain, when it is begun
    bool indirect = false;
    Mistake mistake = Mistake::none;
  };
  void begin(const Item& item);
  /// Advances the item; false: it is not done yet.
  bool step(const Item& item);
  void read_chain(const Item& item, const Queue& queue);
  bool add_chain(Queue& queue);
  void drive(Queue& queue);
  void notify(Queue& queue);
  void enable(Queue& queue);
  void enable_wrongly(Queue& queue);
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
  std::uint64_t origin_; // address of the memory
  std::uint16_t function_;

  std::vector<std::byte> memory_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::array<std::deque<Waiting>, num_groups> to_dut_;
  std::array<std::uint64_t, num_groups> sent_{};  // transfers so far
  std::array<BoundaryEvent, num_groups> stalled_; // offered and not taken
  std::bitset<num_groups> is_stalled_;
  BoundaryEvent crossing_; // what the engine says; kept for its memory
  struct Choices {
    explicit Choices(std::uint64_t seed)
        : read_latency(seed, "read latency"), sample(seed, "sample"), turn(seed, "turn"),
          write_latency(seed, "write latency"), write_answer(seed, "write answer"),
          full(seed, "full"), stalls(seed, "stalls"), halts(seed, "halts"),
          written(seed, "written"), groups(seed, "groups"), slow(seed, "slow"),
          straggler(seed, "straggler"), late(seed, "late") {}
    Choice read_latency, sample, turn, write_latency, write_answer, full, stalls, halts, written,
        groups, slow, straggler, late;
  };
  Choices choices_;
  std::deque<Read> reads_;
  std::deque<Write> writes_;
  std::uint64_t num_reads_ = 0, num_writes_ = 0;
  // Nothing of that kind is to be done before.
  std::uint64_t next_sample_ = 0, next_answer_ = 0, next_write_ = 0, next_completion_ = 0;
  std::vector<QueueIndex> aborted_; // in this cycle

  Step step_;
  std::size_t next_item_ = 0;
  std::uint64_t item_since_ = 0;
  unsigned item_phase_ = 0;
  std::uint64_t cycle_ = 0;
  std::uint64_t chains_ = 0;
  std::uint64_t moved_ = 0; // cycle of the last transfer
  std::uint64_t latency_, spread_, slow_;
  unsigned stall_, groups_, halt_, stragglers_, late_;
  bool hoard_;
};

} // namespace virtio::rtl::cosim
