// How a device reaches guest memory. A DmaPort is what a platform provides; a Dma is one queue's
// way to it, whose reads and writes are awaited. An access covered by a window (DMI, or plain host
// memory) is done inside the await and never suspends; anything else becomes tagged transactions of
// the port, each with its own buffer, which outlive the awaiting frame if they must.
#pragma once

#include <virtio/core/task.hpp>
#include <virtio/core/types.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace virtio {

enum class DmaStatus : std::uint8_t {
  ok,
  address_error, ///< nothing answers at that address
  bus_error,     ///< something answers with an error
  cancelled,     ///< the queue or device was reset; the data is not valid
};
const char* to_string(DmaStatus status);

/// What an access is for. The kinds of the ring engine boundary, and interrupt messages.
enum class AccessKind : std::uint8_t {
#define ACCESS_KIND(name, code, text) name = code,
#include <virtio/core/access_kinds.def>
#undef ACCESS_KIND
};
const char* to_string(AccessKind kind);

class DmaPort;
class PendingAccess;

/// One access on its way. It belongs to its port, in whose pool it returns.
struct DmaTransaction {
  enum class State : std::uint8_t { free, issued, orphaned };

  GuestAddr addr{};
  std::uint32_t len = 0;
  bool write = false;
  AccessKind kind = AccessKind::data;
  std::uint16_t queue = 0;
  State state = State::free;
  PendingAccess* owner = nullptr;   // null once orphaned
  std::byte* destination = nullptr; // where a read's bytes go when the answer comes
  std::vector<std::byte> buffer;    // at least `len` bytes
  DmaTransaction* next = nullptr;   // in a queue of its port
  SimTime since{};                  // when it began to wait for a limit
};

/// The memory side. Implementations: HostMemoryPort (below), and tlm/'s port for TLM-2.0 sockets.
class DmaPort {
public:
  DmaPort() = default;
  DmaPort(const DmaPort&) = delete;
  DmaPort& operator=(const DmaPort&) = delete;
  virtual ~DmaPort();

  /// Host memory behind [addr, addr + len), or null when that range is not reached by pointer.
  std::byte* window(GuestAddr addr, std::uint32_t len, bool write) {
    const Window& w = latest_[write];
    const std::uint64_t offset = raw(addr) - w.base;
    if (offset < w.size && len <= w.size - offset) [[likely]]
      return w.host + offset;
    return find_window(addr, len, write);
  }

  /// Switched off (a PCI function that is no bus master), nothing leaves: every access ends in an
  /// address error. Answers to what was issued before still arrive.
  void set_enabled(bool enabled);
  bool enabled() const { return enabled_; }

  /// Keeps at most so many reads and so many writes with the platform; others wait their turn, in
  /// order. 0: no limit.
  void limit(std::uint32_t reads, std::uint32_t writes);

  /// Transactions issued and not yet answered, orphaned ones included.
  std::size_t outstanding() const { return outstanding_; }
  /// Answers that came after nobody waited for them any longer.
  std::uint64_t late_answers() const { return late_answers_; }
  /// Called for each of them. A Device sets it, for its events; one device has one port.
  std::function<void(const DmaTransaction&)> on_late_answer;
  /// For how long transactions waited for the limit of their direction, added up over them.
  SimTime waited(bool write) const { return directions_[write].waited; }

  /// The largest single transaction, in bytes. Longer accesses are split at its multiples.
  static constexpr std::uint32_t max_transaction = 4096;
  /// How many transactions one access keeps under way.
  static constexpr unsigned max_parallel = 16;

protected:
  /// A range reached by pointer; `host` null means: known not to be reachable by pointer.
  struct Window {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::byte* host = nullptr;
  };
  /// Asks the platform for a window around `addr`. Returns false when there is none to be known.
  virtual bool map(GuestAddr addr, bool write, Window& window) = 0;
  /// Sends a transaction off. The port calls answer() exactly once for it, now or later.
  virtual void issue(DmaTransaction& transaction) = 0;
  /// The answer; for a read, its bytes are in transaction.buffer.
  void answer(DmaTransaction& transaction, DmaStatus status);
  /// Why a transaction that waits inside the port need not leave any more: nobody wants its answer
  /// (cancelled), or the port was switched off (address_error).
  std::optional<DmaStatus> withdrawn(const DmaTransaction& transaction) const;
  /// What resumes whoever awaits the transaction, which is not orphaned.
  static Executor& executor_of(const DmaTransaction& transaction);
  /// Nothing is reached by pointer: map() is not asked.
  void never_maps() { maps_ = false; }
  /// Forgets the windows that overlap [base, base + size).
  void invalidate(std::uint64_t base, std::uint64_t size);

private:
  friend class PendingAccess;
  std::byte* find_window(GuestAddr addr, std::uint32_t len, bool write);
  DmaTransaction& allocate(std::uint32_t len);
  void release(DmaTransaction& transaction);
  void drop_late_answer(const DmaTransaction& transaction);
  void submit(DmaTransaction& transaction);
  void issue_waiting(bool write);

  struct Direction {
    std::uint32_t limit = 0;
    std::uint32_t in_flight = 0; // with the platform
    bool issuing = false;
    SimTime waited{};
    std::deque<DmaTransaction*> waiting;
  };
  Direction directions_[2]; // [read, write]

  // By direction: [read, write].
  Window latest_[2];               // the one used last
  std::vector<Window> windows_[2]; // all
  std::array<std::array<Window, 16>, 2> refused_{};
  std::size_t next_refused_ = 0;
  std::deque<DmaTransaction> pool_;
  DmaTransaction* free_ = nullptr; // a list
  std::size_t outstanding_ = 0;
  bool enabled_ = true;
  bool maps_ = true;
  std::uint64_t late_answers_ = 0;
};

/// Orders this device's earlier writes before its later reads, as the driver sees them.
inline void fence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

/// An aligned little-endian integer in memory that another thread may share.
static_assert(std::endian::native == std::endian::little, "hosts are little-endian");
template <std::unsigned_integral T> T load_acquire(const std::byte* memory) {
  auto& cell = *reinterpret_cast<T*>(const_cast<std::byte*>(memory));
  return std::atomic_ref<T>(cell).load(std::memory_order_acquire);
}
template <std::unsigned_integral T> void store_release(std::byte* memory, T value) {
  std::atomic_ref<T>(*reinterpret_cast<T*>(memory)).store(value, std::memory_order_release);
}

/// A contiguous piece of guest memory.
struct Piece {
  GuestAddr addr{};
  std::uint32_t len = 0;
};

/// What an access wants: pieces of guest memory, one after the other, to or from consecutive host
/// bytes.
struct AccessPlan {
  std::byte* host = nullptr;
  Piece first{};
  std::span<const Piece> rest{};
  std::uint16_t queue = 0;
  AccessKind kind = AccessKind::data;
  bool write = false;

  /// Moves `first` on to the next piece that has bytes; false when there is none left.
  bool next_piece();
};

/// The part of an access that exists only while its coroutine is suspended: transactions under way,
/// and the way back.
class PendingAccess final : ScopeWait {
public:
  PendingAccess(Scope& scope, DmaPort& port, const AccessPlan& plan)
      : ScopeWait(scope), port_(port), plan_(plan) {}
  ~PendingAccess() {
    if (in_flight_ != 0) orphan_transactions();
  }

  /// Issues what may be under way at once. False when everything was answered already.
  bool start(std::coroutine_handle<> self);
  DmaStatus status() const { return status_; }

private:
  friend class DmaPort;
  void on_orphan() override;
  void on_answer(DmaTransaction& transaction, DmaStatus status);
  void issue_more();
  bool anything_left() const { return plan_.first.len != 0 || !plan_.rest.empty(); }
  void orphan_transactions();

  DmaPort& port_;
  AccessPlan plan_;
  bool issuing_ = false;
  DmaStatus status_ = DmaStatus::ok;
  unsigned in_flight_ = 0;
  Wake wake_;
};

/// An awaited read or write of guest memory; its result is a DmaStatus. Made by Dma.
class DmaAccess {
public:
  DmaAccess(Scope& scope, DmaPort& port, const AccessPlan& plan)
      : scope_(scope), port_(port), plan_(plan) {}
  ~DmaAccess() {
    if (suspended_) pending_.access.~PendingAccess();
  }
  DmaAccess(const DmaAccess&) = delete;
  DmaAccess& operator=(const DmaAccess&) = delete;

  bool await_ready() {
    if (scope_.cancelled()) [[unlikely]] {
      status_ = DmaStatus::cancelled;
      return true;
    }
    if (!plan_.rest.empty()) return copy_pieces();
    std::byte* memory = port_.window(plan_.first.addr, plan_.first.len, plan_.write);
    if (!memory) return false;
    std::memcpy(plan_.write ? memory : plan_.host, plan_.write ? plan_.host : memory,
                plan_.first.len);
    return true;
  }
  bool await_suspend(std::coroutine_handle<> self);
  DmaStatus await_resume() const {
    if (!suspended_) return status_;
    // A reset may have come after the answer and before this.
    return scope_.cancelled() ? DmaStatus::cancelled : pending_.access.status();
  }

protected:
  /// Host memory for an ordered access, or null where it must be a transaction (or nothing, after a
  /// cancellation).
  std::byte* direct(std::size_t alignment) {
    if (scope_.cancelled()) return nullptr;
    std::byte* memory = port_.window(plan_.first.addr, plan_.first.len, plan_.write);
    return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0 ? memory : nullptr;
  }

private:
  bool copy_pieces();

  Scope& scope_;
  DmaPort& port_;
  AccessPlan plan_;
  DmaStatus status_ = DmaStatus::ok;
  bool suspended_ = false;
  union Pending { // made when it is needed
    Pending() {}
    ~Pending() {}
    PendingAccess access;
  } pending_;
};

/// A value read from guest memory.
template <class T> struct DmaValue {
  DmaStatus status = DmaStatus::ok;
  T value{};
};

/// What lies in memory as it is here, and of which one aligned integer orders the rest: it is read
/// before and written after it where another thread shares the memory.
template <class T>
concept OrderedCell = requires(T cell, const T& const_cell, std::byte* memory) {
  { T::alignment } -> std::convertible_to<std::size_t>;
  cell.load(memory);
  const_cell.store(memory);
};

/// The plainest cell: one little-endian integer.
template <std::unsigned_integral T> struct OrderedInt {
  static constexpr std::size_t alignment = sizeof(T);
  LittleEndian<T> value;
  void load(const std::byte* memory) { value = load_acquire<T>(memory); }
  void store(std::byte* memory) const { store_release<T>(memory, value); }
};

/// A structure that is ordered by something else in memory: an index beside it.
template <class T> struct Plain {
  static constexpr std::size_t alignment = 1;
  T value;
  void load(const std::byte* memory) { std::memcpy(&value, memory, sizeof value); }
  void store(std::byte* memory) const { std::memcpy(memory, &value, sizeof value); }
};

/// An awaited read of a cell with acquire order: all later reads of this device see what the driver
/// wrote before it.
template <OrderedCell Cell> class DmaLoad final : public DmaAccess {
public:
  DmaLoad(Scope& scope, DmaPort& port, std::uint16_t queue, AccessKind kind, GuestAddr addr)
      : DmaAccess(
            scope, port,
            {reinterpret_cast<std::byte*>(&cell_), {addr, sizeof(Cell)}, {}, queue, kind, false}) {}
  bool await_ready() {
    if (const std::byte* memory = direct(Cell::alignment)) {
      cell_.load(memory);
      return true;
    }
    return DmaAccess::await_ready();
  }
  DmaValue<Cell> await_resume() const { return {DmaAccess::await_resume(), cell_}; }

private:
  Cell cell_;
};

/// An awaited write of a cell with release order: whoever reads it sees what this device wrote
/// before.
template <OrderedCell Cell> class DmaStore final : public DmaAccess {
public:
  DmaStore(Scope& scope, DmaPort& port, std::uint16_t queue, AccessKind kind, GuestAddr addr,
           const Cell& cell)
      : DmaAccess(
            scope, port,
            {reinterpret_cast<std::byte*>(&cell_), {addr, sizeof(Cell)}, {}, queue, kind, true}),
        cell_(cell) {}
  bool await_ready() {
    if (std::byte* memory = direct(Cell::alignment)) {
      cell_.store(memory);
      return true;
    }
    return DmaAccess::await_ready();
  }

private:
  Cell cell_;
};

/// One queue's (or one device's) way to memory: a port, the scope whose reset cancels it, and the
/// queue its accesses are tagged with.
class Dma {
public:
  Dma(DmaPort& port, Scope& scope, std::uint16_t queue)
      : port_(&port), scope_(&scope), queue_(queue) {}

  DmaAccess read(GuestAddr addr, void* to, std::uint32_t len, AccessKind kind) const {
    return access({addr, len}, {}, to, kind, false);
  }
  /// `from` must stay valid until the await returns.
  DmaAccess write(GuestAddr addr, const void* from, std::uint32_t len, AccessKind kind) const {
    return access({addr, len}, {}, from, kind, true);
  }
  /// Pieces are filled or read one after the other from consecutive host bytes. `rest` must outlive
  /// the await.
  DmaAccess gather(Piece first, std::span<const Piece> rest, void* to, AccessKind kind) const {
    return access(first, rest, to, kind, false);
  }
  DmaAccess scatter(Piece first, std::span<const Piece> rest, const void* from,
                    AccessKind kind) const {
    return access(first, rest, from, kind, true);
  }
  template <OrderedCell Cell> DmaLoad<Cell> load(GuestAddr addr, AccessKind kind) const {
    return DmaLoad<Cell>(*scope_, *port_, queue_, kind, addr);
  }
  template <OrderedCell Cell>
  DmaStore<Cell> store(GuestAddr addr, const Cell& cell, AccessKind kind) const {
    return DmaStore<Cell>(*scope_, *port_, queue_, kind, addr, cell);
  }

  Scope& scope() const { return *scope_; }
  DmaPort& port() const { return *port_; }

private:
  DmaAccess access(Piece first, std::span<const Piece> rest, const void* host, AccessKind kind,
                   bool write) const {
    auto* bytes = const_cast<std::byte*>(static_cast<const std::byte*>(host));
    return DmaAccess(*scope_, *port_, {bytes, first, rest, queue_, kind, write});
  }

  DmaPort* port_;
  Scope* scope_;
  std::uint16_t queue_;
};

/// Guest memory that is one range of host memory: for unit tests, fuzzers and drivers in this
/// process.
class HostMemoryPort final : public DmaPort {
public:
  /// [base, base + memory.size()) is `memory`; anything else is an address error.
  HostMemoryPort(GuestAddr base, std::span<std::byte> memory) : base_(base), memory_(memory) {}

private:
  bool map(GuestAddr addr, bool write, Window& window) override;
  void issue(DmaTransaction& transaction) override;

  GuestAddr base_;
  std::span<std::byte> memory_;
};

} // namespace virtio
