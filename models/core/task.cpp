#include <virtio/core/task.hpp>

#include <stdexcept>

namespace virtio {

void detail::PromiseBase::finish() noexcept {
  if (continuation)
    Executor::current()->post(*continuation);
  else if (scope)
    scope->finished(*this); // destroys this frame
}

Scope::~Scope() {
  cancelled_ = true;
  while (tasks_) {
    detail::PromiseBase* task = tasks_;
    tasks_ = task->next;
    task->scope = nullptr;
    task->handle.destroy();
  }
}

void Scope::adopt(Task<void>& task) {
  if (task.done()) {
    ended(task.handle_.promise().error);
    return;
  }
  detail::PromiseBase& promise = std::exchange(task.handle_, {}).promise();
  promise.scope = this;
  promise.next = tasks_;
  promise.prev = nullptr;
  if (tasks_) tasks_->prev = &promise;
  tasks_ = &promise;
}

void Scope::finished(detail::PromiseBase& task) noexcept {
  (task.prev ? task.prev->next : tasks_) = task.next;
  if (task.next) task.next->prev = task.prev;
  std::exception_ptr error = std::move(task.error);
  task.handle.destroy();
  ended(std::move(error));
}

void Scope::ended(std::exception_ptr error) {
  --active_;
  if (error) executor_.report(name_, std::move(error));
  if (active_ == 0 && when_idle_) std::exchange(when_idle_, nullptr)();
}

template <class F> void Scope::for_each_wait(F&& f) {
  for (ScopeWait* wait = waits_; wait;) {
    ScopeWait* next = wait->next_;
    f(*wait);
    wait = next;
  }
}

void Scope::cancel() {
  if (cancelled_) return;
  cancelled_ = true;
  ++epoch_;
  for_each_wait([](ScopeWait& wait) { wait.on_cancel(); });
}

void Scope::orphan() {
  for_each_wait([](ScopeWait& wait) { wait.on_orphan(); });
}

void Scope::reopen() {
  if (!idle())
    throw std::logic_error("scope " + name_ + ": reopened while tasks run; use when_idle() first");
  cancelled_ = false;
}

void Scope::when_idle(std::function<void()> then) {
  if (idle())
    then();
  else
    when_idle_ = std::move(then);
}

} // namespace virtio
