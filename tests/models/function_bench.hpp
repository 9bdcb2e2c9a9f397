// A bench for one device function: it plays the device and the ring engine. Requests are submitted
// as lists of buffer sizes, each buffer its own descriptor with guard bytes around it; the bench
// hands the chains out within the function's window, and records what comes back. Memory is reached
// by pointer, or answered transaction by transaction when the test says so.
#pragma once

#include <virtio/core/device_function.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace virtio::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// `size` bytes that differ from their neighbours and from one `seed` to the next.
inline Bytes pattern(std::size_t size, unsigned seed = 1) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(i * 7 + i / 251 + seed * 31);
  return bytes;
}
/// `total` cut into descriptors of `piece` bytes, the last one shorter.
inline std::vector<std::uint32_t> cut(std::size_t total, std::uint32_t piece) {
  std::vector<std::uint32_t> sizes(total / piece, piece);
  if (total % piece) sizes.push_back(static_cast<std::uint32_t>(total % piece));
  return sizes;
}

/// Guest memory that answers when it is told to.
class SteppedPort final : public DmaPort {
public:
  SteppedPort(GuestAddr base, std::span<std::byte> memory) : base_(base), memory_(memory) {}

  /// Accesses wait for answer(); otherwise they are answered at once.
  bool hold = false;
  std::size_t waiting() const { return issued_.size(); }
  /// Answers the n-th of the waiting accesses, counted from the oldest.
  void answer_one(std::size_t n = 0) {
    DmaTransaction* t = issued_.at(n);
    issued_.erase(issued_.begin() + static_cast<std::ptrdiff_t>(n));
    finish(*t);
  }
  /// Answers what is waiting now, newest first if `reverse`.
  void answer_waiting(bool reverse = false) {
    for (std::size_t n = issued_.size(); n > 0; --n)
      answer_one(reverse ? n - 1 : 0);
  }

private:
  bool map(GuestAddr addr, bool, Window& window) override {
    window = {raw(addr), 0, nullptr};
    return false;
  }
  void issue(DmaTransaction& t) override {
    if (hold)
      issued_.push_back(&t);
    else
      finish(t);
  }
  void finish(DmaTransaction& t) {
    const std::uint64_t offset = raw(t.addr) - raw(base_);
    if (offset >= memory_.size() || t.len > memory_.size() - offset)
      return answer(t, DmaStatus::address_error);
    std::byte* memory = memory_.data() + offset;
    std::memcpy(t.write ? memory : t.buffer.data(), t.write ? t.buffer.data() : memory, t.len);
    answer(t, DmaStatus::ok);
  }

  GuestAddr base_;
  std::span<std::byte> memory_;
  std::deque<DmaTransaction*> issued_;
};

class FunctionBench : public FunctionHost {
public:
  static constexpr GuestAddr base{0x8000'0000};
  static constexpr GuestAddr nowhere{0x1000};
  static constexpr std::byte guard{0xa5};

  /// A chain as the test submitted it, and what became of it.
  struct Request {
    Chain chain;
    bool completed = false;
    bool failed = false;
    std::uint32_t written = 0;
    CompletionHints hints;
    SimTime completed_at;
    RingError error = RingError::none;
  };

  explicit FunctionBench(std::unique_ptr<DeviceFunction> function, bool by_pointer = true)
      : memory_(8 << 20, guard), host_port_(base, memory_), stepped_port_(base, memory_),
        by_pointer_(by_pointer), function_(std::move(function)) {
    function_->attach(*this);
    for (std::uint16_t i = 0; i < function_->num_queues(); ++i) {
      queues_.push_back(std::make_unique<Queue>(executor_, "bench queue " + std::to_string(i)));
      queues_.back()->credits = function_->window(QueueIndex{i});
    }
  }
  ~FunctionBench() override {
    queues_.clear(); // suspended frames go before the function they use
    function_.reset();
  }

  template <class F> F& as() { return dynamic_cast<F&>(*function_); }
  DeviceFunction& function() { return *function_; }
  SteppedPort& port() { return stepped_port_; }

  void start(FeatureSet negotiated) {
    live_ = true;
    function_->start(negotiated);
    for (std::uint16_t i = 0; i < queues_.size(); ++i)
      queues_[i]->credits = function_->window(QueueIndex{i});
  }

  /// Makes a chain available: `readable` is cut into descriptors of the sizes given (all of it in
  /// one by default), and there is a device-writable descriptor for each of `writable`.
  Request& submit(QueueIndex queue, const Bytes& readable, std::vector<std::uint32_t> cuts,
                  const std::vector<std::uint32_t>& writable) {
    Request& r = requests_.emplace_back();
    r.chain.queue = queue;
    std::size_t at = 0;
    for (const std::uint32_t size : cuts) {
      const Piece piece = allocate(size);
      std::copy_n(readable.begin() + static_cast<std::ptrdiff_t>(at), size, memory(piece.addr));
      at += size;
      r.chain.pieces.push_back(piece);
    }
    EXPECT_EQ(at, readable.size()) << "the test cuts its request wrongly";
    r.chain.readable_pieces = static_cast<std::uint32_t>(cuts.size());
    for (const std::uint32_t size : writable)
      r.chain.pieces.push_back(allocate(size));
    return submit(r);
  }
  Request& submit(QueueIndex queue, const Bytes& readable,
                  const std::vector<std::uint32_t>& writable) {
    std::vector<std::uint32_t> cuts;
    if (!readable.empty()) cuts.push_back(static_cast<std::uint32_t>(readable.size()));
    return submit(queue, readable, cuts, writable);
  }
  /// Makes a chain of any pieces available.
  Request& submit_pieces(QueueIndex queue, std::vector<Piece> readable,
                         std::vector<Piece> writable) {
    Request& r = requests_.emplace_back();
    r.chain.queue = queue;
    r.chain.pieces = std::move(readable);
    r.chain.readable_pieces = static_cast<std::uint32_t>(r.chain.pieces.size());
    r.chain.pieces.insert(r.chain.pieces.end(), writable.begin(), writable.end());
    return submit(r);
  }

  Piece allocate(std::uint32_t size) {
    next_ += 16; // guard bytes
    const Piece piece{base + next_, size};
    next_ += size;
    EXPECT_LE(next_ + 16, memory_.size()) << "the test needs more guest memory";
    return piece;
  }
  std::byte* memory(GuestAddr addr) { return memory_.data() + (raw(addr) - raw(base)); }

  /// The device-writable part of a request as the driver sees it.
  Bytes writable(const Request& r) {
    Bytes bytes;
    for (const Piece& piece : r.chain.writable())
      bytes.insert(bytes.end(), memory(piece.addr), memory(piece.addr) + piece.len);
    return bytes;
  }
  /// What the used length says was written of it.
  Bytes answer(const Request& r) {
    EXPECT_TRUE(r.completed);
    Bytes bytes = writable(r);
    EXPECT_LE(r.written, bytes.size());
    bytes.resize(std::min<std::size_t>(r.written, bytes.size()));
    return bytes;
  }
  /// True when no byte outside the device-writable parts of the requests changed since they were
  /// submitted.
  bool guards_intact() {
    std::vector<bool> owned(memory_.size());
    for (const Request& r : requests_)
      for (const Piece& piece : r.chain.pieces)
        if (raw(piece.addr) >= raw(base) && raw(piece.addr) - raw(base) < memory_.size())
          std::fill_n(owned.begin() + static_cast<std::ptrdiff_t>(raw(piece.addr) - raw(base)),
                      piece.len, true);
    for (std::size_t i = 0; i < memory_.size(); ++i)
      if (!owned[i] && memory_[i] != guard) return false;
    return true;
  }

  /// Has `what` done at that time of a run.
  void at(SimTime when, std::function<void()> what) {
    TimedCall& timed = timed_calls_.emplace_back();
    timed.what = std::move(what);
    timed.call = [](Wake& wake) { static_cast<TimedCall&>(wake).what(); };
    executor_.post_at(timed, when);
  }
  /// Runs whatever is ready, and time on to whatever is due.
  void run() { executor_.run_until_idle(); }
  /// Answers memory until nothing waits for it any longer.
  void run_stepped(bool reverse = false) {
    run();
    while (stepped_port_.waiting() > 0) {
      stepped_port_.answer_waiting(reverse);
      run();
    }
  }

  /// Begins a reset of the queue, as a device does; it ends when the function's tasks have.
  void abort(QueueIndex queue) {
    Queue& q = *queues_.at(raw(queue));
    function_->on_abort(queue);
    q.waiting.clear();
    q.scope.cancel();
    q.scope.when_idle([this, &q, queue] {
      q.credits = function_->window(queue);
      q.scope.reopen();
    });
  }
  void orphan(QueueIndex queue) { queues_.at(raw(queue))->scope.orphan(); }
  bool settled(QueueIndex queue) const { return !queues_.at(raw(queue))->scope.cancelled(); }
  /// A whole device reset.
  void reset() {
    live_ = false;
    for (std::uint16_t i = 0; i < queues_.size(); ++i)
      abort(QueueIndex{i});
    run_stepped();
    function_->reset();
  }

  int config_changes = 0;
  std::map<std::uint16_t, NotificationCoalescing> coalescing; ///< as asked for, by queue
  bool can_coalesce = true;
  std::vector<Request*> used; ///< in order of completion
  /// Called within every completion, for what an engine or a driver may do there.
  std::function<void()> on_complete;

  Dma dma(QueueIndex queue) override {
    DmaPort& port = by_pointer_ ? static_cast<DmaPort&>(host_port_) : stepped_port_;
    return Dma(port, queues_.at(raw(queue))->scope, raw(queue));
  }
  void complete(Chain& chain, std::uint32_t written, CompletionHints hints) override {
    Request& r = find(chain);
    EXPECT_FALSE(r.completed || r.failed) << "a chain came back twice";
    r.completed = true;
    r.written = written;
    r.hints = hints;
    r.completed_at = executor_.now();
    used.push_back(&r);
    if (const auto call = on_complete) call();
    Queue& q = *queues_.at(raw(chain.queue));
    ++q.credits;
    emit(q);
  }
  void fail(Chain& chain, RingError error) override {
    Request& r = find(chain);
    EXPECT_FALSE(r.completed || r.failed) << "a chain came back twice";
    r.failed = true;
    r.error = error;
    queues_.at(raw(chain.queue))->halted = true;
  }
  void config_changed() override { ++config_changes; }
  bool coalesce(QueueIndex queue, const NotificationCoalescing& how) override {
    coalescing[raw(queue)] = how;
    return can_coalesce;
  }
  bool live() const override { return live_; }
  bool queue_live(QueueIndex queue) const override {
    const Queue& q = *queues_.at(raw(queue));
    return q.enabled && !q.scope.cancelled();
  }
  /// A queue that the driver enabled, as all are at first; a reset leaves that as it is.
  void set_enabled(QueueIndex queue, bool enabled) { queues_.at(raw(queue))->enabled = enabled; }
  Executor& executor() override { return executor_; }
  const std::string& name() const override { return name_; }

private:
  struct TimedCall : Wake {
    std::function<void()> what;
  };
  struct Queue {
    Queue(Executor& executor, std::string name) : scope(executor, std::move(name)) {}
    Scope scope;
    std::uint32_t credits = 0;
    bool enabled = true;
    bool emitting = false;
    bool halted = false;
    std::deque<Request*> waiting;
  };

  Request& submit(Request& r) {
    for (const Piece& piece : r.chain.readable())
      r.chain.readable_len += piece.len;
    for (const Piece& piece : r.chain.writable())
      r.chain.writable_len += piece.len;
    Queue& q = *queues_.at(raw(r.chain.queue));
    r.chain.id = next_id_++;
    q.waiting.push_back(&r);
    emit(q);
    return r;
  }
  void emit(Queue& q) {
    if (q.emitting) return;
    q.emitting = true;
    while (q.credits > 0 && !q.waiting.empty() && !q.halted && !q.scope.cancelled()) {
      --q.credits;
      Request* r = q.waiting.front();
      q.waiting.pop_front();
      function_->on_chain(r->chain);
    }
    q.emitting = false;
  }
  Request& find(Chain& chain) {
    for (Request& r : requests_)
      if (&r.chain == &chain) return r;
    throw std::logic_error("the function returned a chain that was never submitted");
  }

  std::string name_ = "bench";
  Executor executor_;
  Bytes memory_;
  HostMemoryPort host_port_;
  SteppedPort stepped_port_;
  bool by_pointer_;
  bool live_ = false;
  std::uint16_t next_id_ = 0;
  std::size_t next_ = 0;
  std::deque<Request> requests_;
  std::deque<TimedCall> timed_calls_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::unique_ptr<DeviceFunction> function_;
};

} // namespace virtio::test
