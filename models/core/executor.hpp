// The executor resumes coroutines: those that are ready, in the order in which they became so, and
// those whose time has come, in order of time. It knows nothing of SystemC: a host tells it the
// time and runs it (tlm/executor.hpp does so from one SC_METHOD; tests step it by hand). Where
// nobody else can see the difference, the host lets it go on to later times by itself.
#pragma once

#include <virtio/core/types.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace virtio {

class Executor;
class Wake;
class WakeHeap;

/// Wakes whose times never decrease, which is cheaper than any order: see Executor::post_in_order.
/// It outlives the wakes in it.
class WakeLane {
public:
  bool empty() const { return head_ == nullptr; }

private:
  friend class Executor;
  Wake* head_ = nullptr;
  Wake* tail_ = nullptr;
};

/// What waits for a time, the first on top. Which of two heaps a wake is in changes no order: see
/// Executor::post_at.
class WakeHeap {
public:
  bool empty() const { return timed_.empty(); }
  Wake* first() const { return timed_.empty() ? nullptr : timed_.front().wake; }
  Wake* last() const { return timed_.back().wake; }
  void push(Wake& wake);
  void remove(std::size_t slot);

private:
  /// A wake, with what it is ordered by.
  struct Timed {
    SimTime time;
    std::uint64_t order;
    Wake* wake;
    bool before(const Timed& other) const {
      return time.ps < other.time.ps || (time.ps == other.time.ps && order < other.order);
    }
  };
  void place(std::size_t slot, const Timed& timed);
  void up(std::size_t slot, const Timed& timed);

  std::vector<Timed> timed_; // binary heap
};

/// A coroutine's place in an executor's ready list or timed queue. It lives in the awaiting frame
/// and takes itself out when it is destroyed, so that frames and executor may be destroyed in
/// either order.
class Wake {
public:
  Wake() = default;
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;
  ~Wake() { cancel(); }

  /// Takes the wake out of whatever it waits in. Harmless when it waits in nothing.
  void cancel();
  bool queued() const { return executor_ != nullptr; }

  std::coroutine_handle<> handle;
  /// Set, it is called instead of resuming `handle`: for models of hardware that are not
  /// coroutines.
  void (*call)(Wake&) = nullptr;
  /// What it does is seen by the host: the executor never runs it ahead of the host's time.
  bool at_host_time = false;
  /// It resumes nothing, like the arrival of a write in memory: it is done on the way to what does,
  /// and not counted.
  bool passive = false;

private:
  friend class Executor;
  friend class WakeHeap;
  static constexpr std::size_t ready = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t in_lane = ready - 1;
  static constexpr std::size_t after_call = ready - 2;
  bool before(const Wake& other) const {
    return time_.ps < other.time_.ps || (time_.ps == other.time_.ps && order_ < other.order_);
  }

  Executor* executor_ = nullptr; // set while queued
  Wake* next_ = nullptr;         // ready list, or lane
  Wake* prev_ = nullptr;
  WakeLane* lane_ = nullptr;
  WakeHeap* heap_ = nullptr;
  std::size_t slot_ = 0; // place in the heap, or one of the above
  SimTime time_{};
  std::uint64_t order_ = 0; // equal times resume in the order of posting
};

class Executor {
public:
  /// Where time and wake-ups come from.
  class Host {
  public:
    virtual ~Host() = default;
    virtual SimTime now() const = 0;
    /// Something will be ready at `when` (now or later): call run() then. Called only while run()
    /// is not active.
    virtual void request_run(SimTime when) = 0;
    /// Until then, exclusively, the host does nothing by itself: an executor that may run ahead
    /// goes on to what is due before.
    virtual SimTime horizon() const { return now(); }
  };
  /// What is done with an exception that left a task: `who` names the device and queue.
  using ErrorHandler = std::function<void(std::string_view who, std::exception_ptr)>;

  Executor() = default;
  explicit Executor(Host& host) : host_(&host) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();

  SimTime now() const { return running_ || !host_ ? now_ : host_->now(); }
  /// The time is ahead of the host's: what is done now must not be seen there. See
  /// Wake::at_host_time.
  bool ahead() const { return ahead_; }

  /// Resumes `wake.handle` in the next run. A wake that is queued already moves to the end of the
  /// ready list.
  void post(Wake& wake);
  /// Resumes `wake.handle` in the first run at or after `when`. What sleeps for long waits apart,
  /// so that it costs nothing to those who do not, however many they are.
  void post_at(Wake& wake, SimTime when);
  /// The same, for a lane: cheaper, if no wake in it is due later.
  void post_in_order(WakeLane& lane, Wake& wake, SimTime when);
  /// post() for the last thing that Wake::call does: resumes right after it, as part of it.
  void post_after_call(Wake& wake) {
    if (!in_call_ || ready_head_ || after_call_) {
      post(wake);
      return;
    }
    wake.executor_ = this;
    wake.slot_ = Wake::after_call;
    after_call_ = &wake;
  }
  /// For a wake that is being called, ahead of the host: it is called again when the host is there,
  /// before everything else.
  void defer(Wake& wake);

  /// Resumes what is ready and what is due, at most `limit` of them; returns how many. The rest is
  /// requested from the host again. A call from inside run() returns 0 at once: whoever is running
  /// goes on.
  std::size_t run(std::size_t limit = default_limit) { return run(limit, false); }
  /// The same, and then what is due before the host's horizon, each at its time.
  std::size_t run_ahead(std::size_t limit = default_limit) { return run(limit, true); }
  bool running() const { return running_; }
  /// How far the last run came.
  SimTime reached() const { return now_; }
  /// An exception waits to be handed to the handler.
  bool failed() const { return !errors_.empty(); }
  /// How many it has resumed so far.
  std::uint64_t resumed() const { return resumed_; }
  bool idle() const {
    return ready_head_ == nullptr && near_.empty() && far_.empty() && lanes_.empty();
  }
  std::optional<SimTime> next_time() const;

  /// Without a host: runs, moving the time on from one timed wake to the next, until nothing is
  /// left or `limit` coroutines were resumed. Returns how many were.
  std::size_t run_until_idle(std::size_t limit = 100'000'000);

  void set_error_handler(ErrorHandler handler) { on_error_ = std::move(handler); }
  /// A task's exception ends here and is kept until the host asks for it, so that it is raised only
  /// when the executor is back in order.
  void report(std::string_view who, std::exception_ptr error);
  /// Hands what was reported to the handler, one by one. Without a handler it terminates the
  /// program: nothing is swallowed. The handler may throw; the rest is kept for the next call.
  void flush_errors();

  /// The executor that is resuming a coroutine on this thread, else null.
  static Executor* current() { return current_; }

  static constexpr std::size_t default_limit = 1'000'000;
  static constexpr SimTime far_away = microseconds(10); // a few round trips to memory

private:
  friend class Wake;
  void unlink(Wake& wake);
  void call(Wake& wake);
  void request(SimTime when);
  void push(WakeHeap& heap, Wake& wake);
  std::size_t run(std::size_t limit, bool may_run_ahead);
  Wake* next_wake(bool may_run_ahead);
  Wake* first_timed() const;
  void unlink_from_list(Wake& wake, Wake*& head, Wake*& tail) {
    (wake.prev_ ? wake.prev_->next_ : head) = wake.next_;
    (wake.next_ ? wake.next_->prev_ : tail) = wake.prev_;
    wake.next_ = wake.prev_ = nullptr;
  }

  Host* host_ = nullptr;
  SimTime now_{};     // with a host: while running
  SimTime horizon_{}; // as last asked for
  Wake* ready_head_ = nullptr;
  Wake* ready_tail_ = nullptr;
  WakeHeap near_;
  WakeHeap far_; // more than far_away ahead when it was posted: timers, mostly, of what sleeps
  std::vector<WakeLane*> lanes_; // not empty
  Wake* after_call_ = nullptr;
  bool in_call_ = false;
  std::uint64_t order_ = 0;
  bool running_ = false;
  bool ahead_ = false;
  std::uint64_t resumed_ = 0;
  ErrorHandler on_error_;
  std::vector<std::pair<std::string, std::exception_ptr>> errors_;
  static inline thread_local Executor* current_ = nullptr;
};

inline void Wake::cancel() {
  if (executor_) executor_->unlink(*this);
}

} // namespace virtio
