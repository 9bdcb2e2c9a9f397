#include <virtio/blk/timing.hpp>

#include <algorithm>
#include <utility>

namespace virtio::blk {

/// A channel of the medium, from when it is granted to the end of the access. Lives in the frame.
class Medium::Channel final : ScopeWait {
public:
  Channel(Medium& medium, Scope& scope) : ScopeWait(scope), medium_(medium) {}
  ~Channel() { forget(); }

  bool await_ready() {
    if (scope().cancelled()) return true;
    if (medium_.timing_.channels == 0) return true;
    if (medium_.free_channels_ == 0) return false;
    --medium_.free_channels_;
    granted_ = true;
    return true;
  }
  void await_suspend(std::coroutine_handle<> self) {
    begin_wait();
    wake_.handle = self;
    medium_.waiting_.push_back(this);
  }
  /// False: the scope was cancelled.
  bool await_resume() {
    end_wait();
    return !scope().cancelled();
  }
  /// Hands the channel on, if it was granted. Not done by the destructor: at the end of a
  /// simulation frames are destroyed in any order.
  void release() {
    if (!std::exchange(granted_, false)) return;
    if (medium_.waiting_.empty()) {
      ++medium_.free_channels_;
      return;
    }
    Channel& next = *medium_.waiting_.front();
    medium_.waiting_.pop_front();
    next.granted_ = true;
    next.scope().executor().post(next.wake_);
  }

private:
  void on_cancel() override {
    forget();
    scope().executor().post(wake_);
  }
  void on_orphan() override {} // cancelled before, and nothing is outstanding
  void forget() { std::erase(medium_.waiting_, this); }

  Medium& medium_;
  bool granted_ = false;
  Wake wake_;
};

Task<bool> Medium::command(Scope& scope) {
  const bool elapsed = co_await delay(scope, timing_.request_cost);
  co_return elapsed;
}

Task<bool> Medium::read(Scope& scope, std::uint64_t bytes) {
  bool elapsed = co_await delay(scope, timing_.request_cost);
  if (!elapsed) co_return false;
  Channel channel(*this, scope);
  elapsed = co_await channel;
  if (elapsed) elapsed = co_await delay(scope, timing_.read_latency);
  if (elapsed) {
    const SimTime now = scope.executor().now();
    elapsed = co_await delay(scope, bus_.transfer(now, bytes) - now);
  }
  channel.release();
  co_return elapsed;
}

Task<bool> Medium::write(Scope& scope, std::uint64_t bytes) {
  bool elapsed = co_await delay(scope, timing_.request_cost);
  if (!elapsed) co_return false;
  Channel channel(*this, scope);
  elapsed = co_await channel;
  if (elapsed) {
    const SimTime now = scope.executor().now();
    const SimTime moved = bytes != 0 ? bus_.transfer(now, bytes) : now;
    elapsed = co_await delay(scope, moved - now + timing_.write_latency);
  }
  channel.release();
  co_return elapsed;
}

} // namespace virtio::blk
