// Traffic on any number of queues of which every byte is checked: a device that answers each chain
// with its readable bytes, changed, after a while; and a driver's side for one of its queues.
#pragma once

#include "support/test_device.hpp"

#include <virtio/core/chain_io.hpp>
#include <virtio/core/random.hpp>
#include <virtio/platforms/driver/session.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace virtio::test {

/// Byte i of the answer on `queue` to a byte.
inline std::byte mirrored(std::byte asked, std::uint16_t queue, std::size_t i) {
  return asked ^ static_cast<std::byte>(0x5a + 31 * queue + 7 * i);
}

class Mirror : public TestFunction {
public:
  /// Answers take up to `slowest`, so they come out of order.
  explicit Mirror(std::uint16_t queue_count, SimTime slowest = {}) : slowest_(slowest) {
    queues = queue_count;
    handle = [this](Chain& chain) { return answer(chain); };
  }

private:
  Task<> answer(Chain& chain) {
    const Dma dma = host().dma(chain.queue);
    std::vector<std::byte> bytes(chain.readable_len);
    std::byte* at = bytes.data();
    PieceCursor out(chain.readable());
    while (const PieceRun run = out.take(out.remaining())) {
      const DmaStatus status = co_await dma.gather(run.first, run.rest, at, AccessKind::data);
      if (status != DmaStatus::ok) co_return;
      at += run.len;
    }
    if (slowest_.ps != 0) {
      const SimTime time{random_.below(slowest_.ps)};
      const bool elapsed = co_await delay(dma.scope(), time);
      if (!elapsed) co_return;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = mirrored(bytes[i], raw(chain.queue), i);
    at = bytes.data();
    std::uint64_t left = std::min<std::uint64_t>(bytes.size(), chain.writable_len);
    const auto written = static_cast<std::uint32_t>(left);
    PieceCursor in(chain.writable());
    while (const PieceRun run = in.take(left)) {
      const DmaStatus status = co_await dma.scatter(run.first, run.rest, at, AccessKind::data);
      if (status != DmaStatus::ok) co_return;
      at += run.len;
      left -= run.len;
    }
    host().complete(chain, written);
  }

  SimTime slowest_;
  Random random_{11};
};

class MirrorTraffic {
public:
  static constexpr std::uint32_t longest = 1500;

  /// `session` and `queue` outlive it.
  MirrorTraffic(driver::Session& session, driver::Virtqueue& queue, std::size_t slots)
      : bus_(session.bus()), queue_(queue), random_(queue.index() + 1u) {
    for (std::size_t i = 0; i < slots; ++i)
      slots_.push_back({.at = session.arena().take(2 * (longest + guard), 64)});
  }

  /// Adds requests until none fits or `most` were started in all, and kicks.
  void start(unsigned most) {
    bool added = false;
    for (Slot& slot : slots_) {
      if (started == most) break;
      if (slot.busy || !add(slot)) continue;
      added = true;
      ++started;
    }
    if (added) queue_.kick();
  }
  void finish(const driver::Virtqueue::Used& used) {
    const auto slot = std::ranges::find_if(
        slots_, [&](const Slot& s) { return s.busy && s.token == used.token; });
    ASSERT_NE(slot, slots_.end());
    EXPECT_EQ(used.written, slot->asked.size());
    EXPECT_TRUE(answer_of(*slot) == expected(*slot, true)) << "queue " << queue_.index();
    slot->busy = false;
    ++done;
  }
  /// The queue was reset: what was under way may be answered or not, and comes back no more.
  void abandon() {
    for (Slot& slot : slots_)
      if (std::exchange(slot.busy, false)) ++abandoned;
    for (Slot& slot : slots_)
      slot.left_at = answer_of(slot);
  }
  /// Since abandon(), nobody wrote to the buffers; asked before they are used again.
  void expect_untouched() {
    for (const Slot& slot : slots_)
      EXPECT_TRUE(answer_of(slot) == slot.left_at) << "queue " << queue_.index();
  }
  driver::Virtqueue& queue() { return queue_; }

  unsigned started = 0;
  unsigned done = 0;
  unsigned abandoned = 0;

private:
  static constexpr std::uint32_t guard = 36; // bytes behind the answer that nobody may write
  struct Slot {
    std::uint64_t at = 0; // the request, then the answer
    bool busy = false;
    std::uint16_t token = 0;
    std::vector<std::byte> asked = {};
    std::vector<std::byte> left_at = {};
  };

  void cut(std::vector<driver::Buffer>& chain, std::uint64_t at, std::uint32_t len, bool writable) {
    std::uint32_t offset = 0;
    for (std::uint64_t cuts = random_.below(3); cuts > 0 && len - offset > 1; --cuts) {
      const auto n = static_cast<std::uint32_t>(1 + random_.below(len - offset - 1));
      chain.push_back({at + offset, n, writable});
      offset += n;
    }
    chain.push_back({at + offset, len - offset, writable});
  }
  bool add(Slot& slot) {
    slot.asked.resize(1 + random_.below(longest));
    random_.fill(slot.asked);
    bus_.write(slot.at, slot.asked);
    const std::vector<std::byte> canary(longest + guard, std::byte{0xee});
    bus_.write(answer_at(slot), canary);
    const auto len = static_cast<std::uint32_t>(slot.asked.size());
    std::vector<driver::Buffer> chain;
    cut(chain, slot.at, len, false);
    cut(chain, answer_at(slot), len + guard / 2, true);
    const auto token = queue_.add(chain);
    if (!token) return false;
    slot.busy = true;
    slot.token = *token;
    return true;
  }
  static std::uint64_t answer_at(const Slot& slot) { return slot.at + longest + guard; }
  std::vector<std::byte> answer_of(const Slot& slot) {
    std::vector<std::byte> bytes(longest + guard);
    bus_.read(answer_at(slot), bytes);
    return bytes;
  }
  std::vector<std::byte> expected(const Slot& slot, bool answered) const {
    std::vector<std::byte> bytes(longest + guard, std::byte{0xee});
    for (std::size_t i = 0; answered && i < slot.asked.size(); ++i)
      bytes[i] = mirrored(slot.asked[i], queue_.index(), i);
    return bytes;
  }

  driver::Bus& bus_;
  driver::Virtqueue& queue_;
  Random random_;
  std::vector<Slot> slots_;
};

} // namespace virtio::test
