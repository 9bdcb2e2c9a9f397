// vq_engine under Verilator with memory, a device function and what commands it: all that is not
// the driver. tick() is one clock cycle. Memory answers reads late and in any order, each 16-byte
// block sampled at a time of its own; writes are performed in order; all from one seed. Every
// transfer goes to a BoundarySink.
#pragma once

#include <virtio/core/random.hpp>
#include <virtio/rtl/boundary/events.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

class Vvq_engine;

namespace virtio::rtl {

struct VqBenchConfig {
  std::uint64_t seed = 1;
  std::uint32_t memory = 1 << 20;                    ///< bytes, from address 0 on
  std::uint32_t read_latency = 10, read_spread = 30; ///< cycles: least, and at most more
  std::uint32_t write_latency = 5, write_spread = 20;
  std::uint32_t work = 1, work_spread = 50; ///< cycles of the device function for a chain
  std::uint32_t stalls = 20;                ///< percent of cycles in which a ready is low
  std::uint32_t groups = 0;                 ///< percent of completions with `more`
  std::uint32_t full = 50;                  ///< percent of completions with `full`
  std::uint16_t functions = 1;              ///< queues belong to them in turn
};

class VqBench {
public:
  struct FunctionChain {
    std::uint16_t id = 0;
    bool generation = false;
    std::vector<BoundaryEvent> segments;
  };
  struct Done {
    std::uint64_t order = 0; ///< of its chain
    std::uint32_t written = 0;
    CompletionHints hints;
  };

  VqBench(const VqBenchConfig& config, BoundarySink* sink);
  ~VqBench();

  void tick();
  std::uint64_t cycle() const { return cycle_; }

  /// Runs until the response is there; throws std::runtime_error when none comes.
  BoundaryEvent command(Command command, QueueIndex queue, const QueueSetup& setup = {});
  void post_command(Command command, QueueIndex queue, const QueueSetup& setup = {});
  bool command_pending() const { return !commands_.empty() || answered_ < asked_; }
  const BoundaryEvent& last_response() const { return response_; }
  void doorbell(QueueIndex queue) { doorbells_.push_back(queue); }
  void credit(QueueIndex queue, std::uint16_t count) { credits_.emplace_back(queue, count); }

  template <typename T> T load(std::uint64_t at) const {
    T value;
    std::memcpy(static_cast<void*>(&value), &memory_[at], sizeof value);
    return value;
  }
  template <typename T> void store(std::uint64_t at, const T& value) {
    std::memcpy(&memory_[at], static_cast<const void*>(&value), sizeof value);
  }
  /// Reads that touch [begin, end) are answered with an error; so are those outside the memory.
  void fail_reads(std::uint64_t begin, std::uint64_t end) { bad_read_ = {begin, end}; }
  void fail_writes(std::uint64_t begin, std::uint64_t end) { bad_write_ = {begin, end}; }
  void hold_completions(bool hold) { hold_ = hold; }

  /// A whole chain was emitted, or it ended malformed (a last segment with `error`).
  std::function<void(QueueIndex, const FunctionChain&)> on_chain;
  std::function<void(QueueIndex)> on_interrupt;
  std::function<void(QueueIndex, RingError)> on_error;
  std::function<void(QueueIndex)> on_abort;
  /// In the order in which they were given.
  std::map<QueueIndex, std::vector<Done>> done;
  std::uint64_t reads = 0, segments = 0;
  std::map<AccessKind, std::uint64_t> reads_of;

private:
  struct Read {
    BoundaryEvent event;
    std::uint64_t barrier = 0; // writes that come first
    bool started = false;
    std::uint64_t due = 0;
    std::vector<std::byte> data;
    std::vector<std::uint64_t> sample_at; // by 16-byte block; 0: sampled
    bool failed = false;
  };
  struct Write {
    BoundaryEvent event;
    std::uint64_t perform_at = 0, answer_at = 0;
    bool performed = false;
  };
  struct Completion {
    QueueIndex queue{};
    std::uint16_t chain = 0;
    bool generation = false;
    std::uint64_t at = 0;
    Done done;
    bool late = false; // its queue was reset
  };
  bool chance(std::uint32_t percent) { return random_.below(100) < percent; }
  std::uint64_t later(std::uint32_t least, std::uint32_t spread) {
    return cycle_ + least + random_.below(spread + 1);
  }
  using Range = std::pair<std::uint64_t, std::uint64_t>;
  bool bad(GuestAddr at, std::uint64_t length, const Range& range) const;
  std::uint16_t function_of(QueueIndex queue) const {
    return static_cast<std::uint16_t>(raw(queue) % config_.functions);
  }
  void drive();
  void observe();
  void step_memory();
  void choose_more(Completion& completion);
  void chain_done(QueueIndex queue, FunctionChain& chain);
  void tell(BoundaryEvent event, Group group, QueueIndex queue);

  VqBenchConfig config_;
  BoundarySink* sink_;
  std::unique_ptr<Vvq_engine> dut_;
  Random random_;
  std::uint64_t cycle_ = 1;
  std::vector<std::byte> memory_;
  Range bad_read_, bad_write_;
  bool hold_ = false;

  std::deque<BoundaryEvent> commands_;
  std::uint64_t asked_ = 0, answered_ = 0;
  BoundaryEvent response_;
  std::deque<QueueIndex> doorbells_;
  std::deque<std::pair<QueueIndex, std::uint16_t>> credits_;
  std::map<std::uint16_t, Read> reads_; // by tag
  std::deque<Write> writes_;
  std::uint64_t writes_asked_ = 0, writes_answered_ = 0;
  std::map<QueueIndex, FunctionChain> open_;
  std::set<QueueIndex> aborted_;
  std::map<QueueIndex, std::uint64_t> chains_;
  std::vector<Completion> completions_;
  int answering_ = -1;  // tag of the read response on the pins
  int completing_ = -1; // place in completions_
};

} // namespace virtio::rtl
