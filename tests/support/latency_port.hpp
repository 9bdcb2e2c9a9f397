// Memory that takes time: every access is performed and answered a while after it was issued, by
// the executor. Fixed times keep the order; random ones do not.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/core/random.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

namespace virtio::test {

class LatencyPort final : public DmaPort {
public:
  LatencyPort(Executor& executor, std::span<std::byte> memory)
      : executor_(executor), memory_(memory) {}

  SimTime read_latency = nanoseconds(100);
  SimTime write_latency = nanoseconds(100);
  /// Up to so much is added to each, by `random`.
  SimTime jitter{};
  Random random{1};

  struct Seen {
    SimTime issued, answered;
    AccessKind kind;
    std::uint64_t addr;
    std::uint32_t len;
    bool write;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  std::vector<Seen> seen;
  std::uint32_t reads = 0, writes = 0; // under way
  std::uint32_t most_reads = 0, most_writes = 0;

private:
  struct Pending : Wake {
    LatencyPort* port = nullptr;
    DmaTransaction* transaction = nullptr;
  };
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& t) override {
    auto& count = t.write ? writes : reads;
    auto& most = t.write ? most_writes : most_reads;
    most = std::max(most, ++count);
    if (free_.empty()) free_.push_back(&pool_.emplace_back());
    Pending& p = *free_.back();
    free_.pop_back();
    p.port = this;
    p.transaction = &t;
    p.call = [](Wake& wake) {
      auto& pending = static_cast<Pending&>(wake);
      pending.port->perform(pending);
    };
    SimTime when = executor_.now() + (t.write ? write_latency : read_latency);
    if (jitter.ps) when = when + SimTime{random.below(jitter.ps)};
    seen.push_back({executor_.now(), when, t.kind, raw(t.addr), t.len, t.write});
    executor_.post_at(p, when);
  }
  void perform(Pending& p) {
    DmaTransaction& t = *p.transaction;
    free_.push_back(&p);
    --(t.write ? writes : reads);
    const std::uint64_t at = raw(t.addr);
    if (at > memory_.size() || t.len > memory_.size() - at) {
      answer(t, DmaStatus::address_error);
      return;
    }
    std::memcpy(t.write ? memory_.data() + at : t.buffer.data(),
                t.write ? t.buffer.data() : memory_.data() + at, t.len);
    answer(t, DmaStatus::ok);
  }

  Executor& executor_;
  std::span<std::byte> memory_;
  std::deque<Pending> pool_;
  std::vector<Pending*> free_;
};

} // namespace virtio::test
