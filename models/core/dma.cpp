#include <virtio/core/dma.hpp>

#include <algorithm>
#include <new>

namespace virtio {

namespace {
/// A call: for lengths that it knows to be bounded, the compiler puts in instructions that are slow
/// to start.
__attribute__((noinline)) void copy_bytes(void* to, const void* from, std::size_t len) {
  std::memcpy(to, from, len);
}
} // namespace

const char* to_string(DmaStatus status) {
  switch (status) {
  case DmaStatus::ok:
    return "ok";
  case DmaStatus::address_error:
    return "address error";
  case DmaStatus::bus_error:
    return "bus error";
  case DmaStatus::cancelled:
    return "cancelled";
  }
  return "?";
}

const char* to_string(AccessKind kind) {
  switch (kind) {
#define ACCESS_KIND(name, code, text)                                                              \
  case AccessKind::name:                                                                           \
    return text;
#include <virtio/core/access_kinds.def>
#undef ACCESS_KIND
  }
  return "?";
}

DmaPort::~DmaPort() {
  for (DmaTransaction& t : pool_)
    if (t.owner) t.owner->in_flight_ = 0;
}

std::byte* DmaPort::find_window(GuestAddr addr, std::uint32_t len, bool write) {
  if (!maps_ || !enabled_ || !fits(addr, len)) return nullptr;
  const auto holds = [&](const Window& w) { return raw(addr) - w.base < w.size; };
  // The part of a window behind `addr`, if the access does not cross its end.
  const auto inside = [&](const Window& w) {
    const std::uint64_t offset = raw(addr) - w.base;
    if (offset >= w.size || len > w.size - offset) return static_cast<std::byte*>(nullptr);
    latest_[write] = w;
    return w.host + offset;
  };
  auto& windows = windows_[write];
  if (const auto known = std::find_if(windows.begin(), windows.end(), holds);
      known != windows.end())
    return inside(*known);
  auto& refused = refused_[write];
  if (std::any_of(refused.begin(), refused.end(), holds)) return nullptr;
  Window found;
  if (!map(addr, write, found)) return nullptr;
  if (!found.host) {
    // A driver can name any number of addresses without a window: keep the latest few.
    refused[next_refused_++ % refused.size()] = found;
    return nullptr;
  }
  windows.push_back(found);
  return inside(found);
}

void DmaPort::invalidate(std::uint64_t base, std::uint64_t size) {
  const std::uint64_t last = size == 0 ? base : base + (size - 1);
  for (auto& windows : windows_)
    std::erase_if(windows,
                  [&](const Window& w) { return w.base <= last && base <= w.base + (w.size - 1); });
  for (Window& latest : latest_)
    latest = {};
  for (auto& refused : refused_)
    refused.fill({});
}

void DmaPort::set_enabled(bool enabled) {
  if (enabled_ == enabled) return;
  enabled_ = enabled;
  invalidate(0, ~0ull);
}

DmaTransaction& DmaPort::allocate(std::uint32_t len) {
  if (!free_) free_ = &pool_.emplace_back();
  DmaTransaction& t = *free_;
  free_ = t.next;
  t.len = len;
  if (t.buffer.size() < len) t.buffer.resize(len);
  t.state = DmaTransaction::State::issued;
  ++outstanding_;
  return t;
}

void DmaPort::release(DmaTransaction& t) {
  t.state = DmaTransaction::State::free;
  t.owner = nullptr;
  --outstanding_;
  t.next = free_;
  free_ = &t;
}

void DmaPort::limit(std::uint32_t reads, std::uint32_t writes) {
  directions_[0].limit = reads;
  directions_[1].limit = writes;
}

void DmaPort::submit(DmaTransaction& t) {
  Direction& d = directions_[t.write];
  if (d.limit == 0) {
    ++d.in_flight;
    enabled_ ? issue(t) : answer(t, DmaStatus::address_error);
    return;
  }
  if (d.waiting.empty() && !d.issuing && d.in_flight < d.limit && enabled_) {
    ++d.in_flight;
    issue(t);
    return;
  }
  t.since = executor_of(t).now();
  d.waiting.push_back(&t);
  issue_waiting(t.write);
}

void DmaPort::issue_waiting(bool write) {
  Direction& d = directions_[write];
  if (d.issuing) return; // an answer inside issue()
  d.issuing = true;
  while (!d.waiting.empty() && (d.limit == 0 || d.in_flight < d.limit)) {
    DmaTransaction& t = *d.waiting.front();
    d.waiting.pop_front();
    ++d.in_flight;
    if (t.owner) d.waited = d.waited + (executor_of(t).now() - t.since);
    if (const auto status = withdrawn(t))
      answer(t, *status);
    else
      issue(t);
  }
  d.issuing = false;
}

void DmaPort::drop_late_answer(const DmaTransaction& t) {
  ++late_answers_;
  if (on_late_answer) on_late_answer(t);
}

void DmaPort::answer(DmaTransaction& t, DmaStatus status) {
  --directions_[t.write].in_flight;
  const bool write = t.write;
  if (t.owner)
    t.owner->on_answer(t, status);
  else if (status != DmaStatus::cancelled)
    drop_late_answer(t);
  release(t);
  if (!directions_[write].waiting.empty()) issue_waiting(write);
}

std::optional<DmaStatus> DmaPort::withdrawn(const DmaTransaction& t) const {
  if (!t.owner || t.owner->scope().cancelled()) return DmaStatus::cancelled;
  if (!enabled_) return DmaStatus::address_error;
  return std::nullopt;
}

Executor& DmaPort::executor_of(const DmaTransaction& t) {
  return t.owner->scope().executor();
}

bool AccessPlan::next_piece() {
  while (first.len == 0) {
    if (rest.empty()) return false;
    first = rest.front();
    rest = rest.subspan(1);
  }
  return true;
}

bool DmaAccess::copy_pieces() {
  while (plan_.next_piece()) {
    std::byte* memory = port_.window(plan_.first.addr, plan_.first.len, plan_.write);
    if (!memory) return false;
    std::memcpy(plan_.write ? memory : plan_.host, plan_.write ? plan_.host : memory,
                plan_.first.len);
    plan_.host += plan_.first.len;
    plan_.first.len = 0;
  }
  return true;
}

bool DmaAccess::await_suspend(std::coroutine_handle<> self) {
  suspended_ = true;
  return (new (&pending_.access) PendingAccess(scope_, port_, plan_))->start(self);
}

bool PendingAccess::start(std::coroutine_handle<> self) {
  wake_.handle = self;
  issue_more();
  if (in_flight_ == 0) return false;
  begin_wait();
  return true;
}

void PendingAccess::issue_more() {
  issuing_ = true;
  while (status_ == DmaStatus::ok && in_flight_ < DmaPort::max_parallel && plan_.next_piece()) {
    Piece& piece = plan_.first;
    if (!fits(piece.addr, piece.len)) {
      status_ = DmaStatus::address_error;
      break;
    }
    const auto to_boundary = DmaPort::max_transaction -
                             static_cast<std::uint32_t>(raw(piece.addr) % DmaPort::max_transaction);
    const std::uint32_t len = std::min(piece.len, to_boundary);
    DmaTransaction& t = port_.allocate(len);
    t.addr = piece.addr;
    t.write = plan_.write;
    t.kind = plan_.kind;
    t.queue = plan_.queue;
    t.owner = this;
    t.destination = plan_.write ? nullptr : plan_.host;
    if (plan_.write) copy_bytes(t.buffer.data(), plan_.host, len);
    plan_.host += len;
    piece.addr = piece.addr + len;
    piece.len -= len;
    ++in_flight_;
    port_.submit(t);
  }
  issuing_ = false;
}

void PendingAccess::on_answer(DmaTransaction& t, DmaStatus status) {
  --in_flight_;
  if (scope().cancelled())
    status_ = DmaStatus::cancelled;
  else if (status != DmaStatus::ok && status_ == DmaStatus::ok)
    status_ = status;
  else if (status == DmaStatus::ok && t.destination)
    std::memcpy(t.destination, t.buffer.data(), t.len);
  if (issuing_) return;
  if (anything_left()) issue_more();
  if (in_flight_ == 0) scope().executor().post_after_call(wake_);
}

void PendingAccess::orphan_transactions() {
  for (DmaTransaction& t : port_.pool_)
    if (t.owner == this) {
      t.state = DmaTransaction::State::orphaned;
      t.owner = nullptr;
    }
  in_flight_ = 0;
}

void PendingAccess::on_orphan() {
  if (in_flight_ == 0) return;
  orphan_transactions();
  status_ = DmaStatus::cancelled;
  scope().executor().post(wake_);
}

bool HostMemoryPort::map(GuestAddr addr, bool, Window& window) {
  if (raw(addr) - raw(base_) >= memory_.size()) return false;
  window = {raw(base_), memory_.size(), memory_.data()};
  return true;
}

void HostMemoryPort::issue(DmaTransaction& t) {
  const std::uint64_t offset = raw(t.addr) - raw(base_);
  if (offset >= memory_.size() || t.len > memory_.size() - offset) {
    answer(t, DmaStatus::address_error);
    return;
  }
  std::byte* memory = memory_.data() + offset;
  std::memcpy(t.write ? memory : t.buffer.data(), t.write ? t.buffer.data() : memory, t.len);
  answer(t, DmaStatus::ok);
}

} // namespace virtio
