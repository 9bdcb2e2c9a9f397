// Coroutine tasks and the scopes that own them. A task starts at once, and awaiting one that has
// ended does not suspend; a child that had to suspend puts its parent on the executor's ready list
// when it ends. A scope is one device's or one queue's set of running tasks: resetting it is
// cooperative, every await in it answers `cancelled` and the frames unwind by themselves.
#pragma once

#include <virtio/core/executor.hpp>
#include <virtio/core/frame_pool.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace virtio {

class Scope;

namespace detail {

class PromiseBase {
public:
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_never initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise> void await_suspend(std::coroutine_handle<Promise> self) noexcept {
      self.promise().finish();
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  Wake* continuation = nullptr; // a parent that awaits this task
  Scope* scope = nullptr;       // the owner of a root task
  std::coroutine_handle<> handle;
  PromiseBase* next = nullptr; // the scope's list of root tasks
  PromiseBase* prev = nullptr;
  std::exception_ptr error;

private:
  void finish() noexcept;
};

template <class T> class Promise : public PromiseBase {
public:
  template <std::convertible_to<T> U> void return_value(U&& v) {
    value_.emplace(std::forward<U>(v));
  }
  T take() { return std::move(*value_); }

private:
  std::optional<T> value_;
};
template <> class Promise<void> : public PromiseBase {
public:
  void return_void() {}
  void take() {}
};

} // namespace detail

/// A coroutine that returns T. Await it exactly once, or hand a Task<void> to a scope.
template <class T = void> class [[nodiscard]] Task {
public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() {
      auto self = std::coroutine_handle<promise_type>::from_promise(*this);
      this->handle = self;
      return Task(self);
    }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool done() const { return handle_.done(); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> child;
      Wake wake;
      bool await_ready() const noexcept { return child.done(); }
      void await_suspend(std::coroutine_handle<> parent) noexcept {
        wake.handle = parent;
        child.promise().continuation = &wake;
      }
      T await_resume() {
        if (child.promise().error) std::rethrow_exception(child.promise().error);
        return child.promise().take();
      }
    };
    return Awaiter{handle_, {}};
  }

private:
  friend class Scope;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

/// Something a task of a scope waits for that is not another task: an answer from memory, a time.
/// Lives in the frame.
class ScopeWait {
public:
  explicit ScopeWait(Scope& scope) : scope_(&scope) {}
  ScopeWait(const ScopeWait&) = delete;
  ScopeWait& operator=(const ScopeWait&) = delete;

protected:
  ~ScopeWait() { end_wait(); }
  Scope& scope() const { return *scope_; }
  inline void begin_wait();
  void end_wait() {
    if (waiting_) unlink();
  }

private:
  friend class Scope;
  inline void unlink();
  /// The scope was cancelled. What need not wait for an answer (a delay) may end here.
  virtual void on_cancel() {}
  /// The answer will not be waited for any longer: let go of it and resume.
  virtual void on_orphan() = 0;

  Scope* scope_;
  bool waiting_ = false;
  ScopeWait* next_ = nullptr;
  ScopeWait* prev_ = nullptr;
};

class Scope {
public:
  Scope(Executor& executor, std::string name) : executor_(executor), name_(std::move(name)) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  /// Destroys the frames that are still suspended. What they had in flight is orphaned.
  ~Scope();

  /// Runs `make()`, which returns a Task<void>, up to its first suspension, and owns it from then
  /// on. A cancelled scope starts nothing.
  template <class F> void start(F&& make) {
    if (cancelled_) return;
    ++active_;
    Task<void> task = std::forward<F>(make)();
    adopt(task);
  }

  /// Begins a reset: nothing new is issued, every await returns cancelled when its answer arrives.
  void cancel();
  /// Gives up on answers that are still missing; the tasks see `cancelled` now. For the time-out of
  /// a reset.
  void orphan();
  /// Ends a reset. The scope must be idle.
  void reopen();
  bool cancelled() const { return cancelled_; }
  /// Counts cancellations; distinguishes what belongs to before and after a reset.
  std::uint32_t epoch() const { return epoch_; }

  /// No task is running or suspended.
  bool idle() const { return active_ == 0; }
  /// Calls `then` once, when the scope becomes idle; now, if it is.
  void when_idle(std::function<void()> then);

  Executor& executor() const { return executor_; }
  const std::string& name() const { return name_; }

private:
  friend class ScopeWait;
  friend class detail::PromiseBase;
  void adopt(Task<void>& task);
  void finished(detail::PromiseBase& task) noexcept;
  void ended(std::exception_ptr error);
  template <class F> void for_each_wait(F&& f);

  Executor& executor_;
  std::string name_;
  std::uint32_t epoch_ = 0;
  std::size_t active_ = 0;
  bool cancelled_ = false;
  detail::PromiseBase* tasks_ = nullptr;
  ScopeWait* waits_ = nullptr;
  std::function<void()> when_idle_;
};

inline void ScopeWait::begin_wait() {
  waiting_ = true;
  prev_ = nullptr;
  next_ = scope_->waits_;
  if (next_) next_->prev_ = this;
  scope_->waits_ = this;
}

inline void ScopeWait::unlink() {
  waiting_ = false;
  (prev_ ? prev_->next_ : scope_->waits_) = next_;
  if (next_) next_->prev_ = prev_;
}

/// Awaiting it lets simulated time pass. Returns false when the scope was cancelled, at once.
class Delay final : ScopeWait {
public:
  Delay(Scope& scope, SimTime time) : ScopeWait(scope), time_(time) {}
  bool await_ready() const { return time_.ps == 0 || scope().cancelled(); }
  void await_suspend(std::coroutine_handle<> self) {
    begin_wait();
    wake_.handle = self;
    scope().executor().post_at(wake_, scope().executor().now() + time_);
  }
  bool await_resume() {
    end_wait();
    return !scope().cancelled();
  }

private:
  void on_cancel() override { scope().executor().post(wake_); }
  void on_orphan() override {}
  SimTime time_;
  Wake wake_;
};
inline Delay delay(Scope& scope, SimTime time) {
  return Delay(scope, time);
}

} // namespace virtio
