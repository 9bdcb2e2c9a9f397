// What the fuzz target is made of: the input as a stream of small values, memory that answers when
// and how the input says, and the driver's half of a ring for the lists that are well-formed.
#pragma once

#include <virtio/core/device.hpp>
#include <virtio/core/packed_ring.hpp>
#include <virtio/core/split_ring.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <vector>

namespace virtio::fuzz {

/// A property of the device: what does not hold is a finding.
inline void require(bool holds, const char* what) {
  if (holds) [[likely]]
    return;
  std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

/// The input. Past its end everything reads as zero.
class Input {
public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t u8() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const unsigned low = u8();
    return static_cast<std::uint16_t>(u8() << 8 | low);
  }
  std::uint32_t u32() {
    const std::uint32_t low = u16();
    return static_cast<std::uint32_t>(u16()) << 16 | low;
  }
  std::uint64_t u64() {
    const std::uint64_t low = u32();
    return static_cast<std::uint64_t>(u32()) << 32 | low;
  }

private:
  std::span<const std::uint8_t> bytes_;
};

/// Guest memory at address 0, reached by pointer or by transactions that are answered at once, when
/// told to, or with errors.
class FuzzPort final : public DmaPort {
public:
  enum class Mode : std::uint8_t { window, at_once, late, mixed };

  explicit FuzzPort(std::span<std::byte> memory) : memory_(memory) {}

  void set_mode(Mode mode) {
    mode_ = mode;
    invalidate(0, ~0ull);
  }
  /// The transaction after `after` others is answered with `status`.
  void fail_one(std::uint8_t after, DmaStatus status) {
    fail_after_ = after + 1u;
    fail_with_ = status;
  }
  void no_failures() { fail_after_ = 0; }
  void answer_one(std::size_t i, DmaStatus status = DmaStatus::ok) {
    if (waiting.empty()) return;
    i %= waiting.size();
    DmaTransaction& t = *waiting[i];
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
    perform(t, status);
  }
  /// What waits now; not what its answers set off.
  void answer_waiting(bool newest_first) {
    for (std::size_t n = waiting.size(); n > 0 && !waiting.empty(); --n)
      answer_one(newest_first ? waiting.size() - 1 : 0);
  }

  std::deque<DmaTransaction*> waiting; // oldest first
  std::uint64_t issued = 0;
  std::function<void(const DmaTransaction&)> on_issue;

private:
  bool map(GuestAddr addr, bool, Window& window) override {
    if (mode_ != Mode::window || raw(addr) >= memory_.size()) return false;
    window = {0, memory_.size(), memory_.data()};
    return true;
  }
  void issue(DmaTransaction& t) override {
    ++issued;
    on_issue(t);
    if (fail_after_ > 0 && --fail_after_ == 0) {
      answer(t, fail_with_);
      return;
    }
    const bool wait = mode_ == Mode::late || (mode_ == Mode::mixed && issued % 3 != 0);
    if (wait)
      waiting.push_back(&t);
    else
      perform(t, DmaStatus::ok);
  }
  void perform(DmaTransaction& t, DmaStatus status) {
    const std::uint64_t at = raw(t.addr);
    if (at > memory_.size() || t.len > memory_.size() - at) status = DmaStatus::address_error;
    if (status == DmaStatus::ok && t.write)
      std::memcpy(&memory_[at], t.buffer.data(), t.len);
    else if (status == DmaStatus::ok)
      std::memcpy(t.buffer.data(), &memory_[at], t.len);
    answer(t, status);
  }

  std::span<std::byte> memory_;
  Mode mode_ = Mode::window;
  unsigned fail_after_ = 0;
  DmaStatus fail_with_ = DmaStatus::ok;
};

/// The driver's half of a ring of either format. It never looks whether the device has taken what
/// it overwrites.
class GuestQueue {
public:
  struct Element {
    std::uint64_t addr = 0;
    std::uint32_t len = 0;
    std::uint16_t flags = 0; // WRITE, INDIRECT
  };
  struct Used {
    std::uint16_t id = 0;
    std::uint32_t len = 0;
  };

  GuestQueue(std::span<std::byte> memory, std::uint64_t desc, std::uint64_t driver,
             std::uint64_t device)
      : memory_(memory), desc_(desc), driver_(driver), device_(device) {}

  /// Forgets everything and clears the ring's memory.
  void start(bool packed, std::uint16_t size) {
    packed_ = packed;
    size_ = size ? size : std::uint16_t{1};
    avail_ = used_ = {};
    next_desc_ = 0;
    std::memset(&memory_[desc_], 0, split::desc_bytes(size_));
    std::memset(&memory_[driver_], 0, split::avail_bytes(size_));
    std::memset(&memory_[device_], 0, split::used_bytes(size_));
  }

  /// Makes a list available; `id` is its buffer id where the ring is packed.
  void add(std::span<const Element> list, std::uint16_t id = 0) {
    packed_ ? add_packed(list, id) : add_split(list);
    slots_ = static_cast<std::uint16_t>(list.size());
  }

  /// The next used chain, if any, when every list before it was seen here too.
  std::optional<Used> poll() {
    if (packed_) {
      packed::Desc d;
      std::memcpy(static_cast<void*>(&d), &memory_[desc_ + 16u * used_.index], sizeof d);
      const std::uint16_t both = packed::used_flags(true);
      if ((d.flags & both) != packed::used_flags(used_.wrap)) return std::nullopt;
      for (std::uint16_t i = 0; i < slots_; ++i)
        step(used_);
      return Used{d.id, d.len};
    }
    if (get16(device_ + 2) == used_.index) return std::nullopt;
    split::UsedElem e;
    std::memcpy(static_cast<void*>(&e), &memory_[device_ + 4 + 8u * (used_.index++ % size_)],
                sizeof e);
    return Used{static_cast<std::uint16_t>(e.id), e.len};
  }

private:
  void step(RingIndex& at) const {
    if (++at.index != size_) return;
    at = {0, !at.wrap};
  }
  void add_split(std::span<const Element> list) {
    const std::uint16_t head = next_desc_;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const bool last = i + 1 == list.size();
      split::Desc d;
      d.addr = list[i].addr;
      d.len = list[i].len;
      d.flags = static_cast<std::uint16_t>(list[i].flags | (last ? 0 : split::VIRTQ_DESC_F_NEXT));
      const std::uint16_t at = next_desc_;
      next_desc_ = static_cast<std::uint16_t>((next_desc_ + 1) % size_);
      d.next = next_desc_;
      std::memcpy(&memory_[desc_ + 16u * at], static_cast<void*>(&d), sizeof d);
    }
    put16(driver_ + 4 + 2u * (avail_.index % size_), head);
    put16(driver_ + 2, ++avail_.index);
  }
  void add_packed(std::span<const Element> list, std::uint16_t id) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const bool last = i + 1 == list.size();
      packed::Desc d;
      d.addr = list[i].addr;
      d.len = list[i].len;
      d.id = id;
      d.flags = static_cast<std::uint16_t>(
          list[i].flags | (last ? 0 : packed::VIRTQ_DESC_F_NEXT) |
          (avail_.wrap ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED));
      std::memcpy(&memory_[desc_ + 16u * avail_.index], static_cast<void*>(&d), sizeof d);
      step(avail_);
    }
  }
  void put16(std::uint64_t at, std::uint16_t value) {
    const le16 v = value;
    std::memcpy(&memory_[at], &v, sizeof v);
  }
  std::uint16_t get16(std::uint64_t at) const {
    le16 v;
    std::memcpy(static_cast<void*>(&v), &memory_[at], sizeof v);
    return v;
  }

  std::span<std::byte> memory_;
  std::uint64_t desc_, driver_, device_;
  bool packed_ = false;
  std::uint16_t size_ = 1;
  RingIndex avail_;
  RingIndex used_;
  std::uint16_t next_desc_ = 0;
  std::uint16_t slots_ = 1; // of the list added last
};

/// Keeps its chains until it is told what to do with them, or answers them itself.
class HoldingFunction final : public DeviceFunction {
public:
  enum class Policy : std::uint8_t { hold, at_once, echo };

  HoldingFunction(std::uint16_t queue_size, std::uint32_t window)
      : queue_size_(queue_size), window_(window) {}

  DeviceType type() const override { return DeviceType::entropy; }
  FeatureSet features() const override { return {0, 5}; }
  bool accepts(const FeatureSet& accepted) const override { return !accepted.has(5); }
  std::uint16_t num_queues() const override { return 3; }
  // Queue 1 does not exist.
  std::uint16_t max_queue_size(QueueIndex q) const override {
    return raw(q) == 1 ? std::uint16_t{0} : queue_size_;
  }
  std::uint32_t window(QueueIndex) const override { return window_; }
  std::span<const std::byte> config() const override { return config_; }
  void write_config(std::uint32_t offset, std::span<const std::byte> bytes) override {
    std::copy(bytes.begin(), bytes.end(), config_.begin() + offset);
  }
  void on_abort(QueueIndex q) override {
    std::erase_if(chains, [q](const Chain* c) { return c->queue == q; });
  }
  void on_chain(Chain& chain) override {
    std::uint64_t readable = 0, writable = 0;
    for (const Piece& p : chain.readable())
      readable += p.len;
    for (const Piece& p : chain.writable())
      writable += p.len;
    require(readable == chain.readable_len && writable == chain.writable_len, "chain lengths");
    for (const Piece& p : chain.pieces)
      require(fits(p.addr, p.len), "a chain's pieces do not wrap");
    require(chain.pieces.size() <= queue_size_, "a chain is not longer than the queue");
    if (policy == Policy::hold)
      chains.push_back(&chain);
    else if (policy == Policy::at_once)
      host().complete(chain, 0);
    else
      start_task(chain, [&] { return echo(chain); });
  }
  void complete(std::size_t i, std::uint8_t hints) {
    if (Chain* chain = take(i))
      host().complete(
          *chain,
          static_cast<std::uint32_t>(std::min<std::uint64_t>(chain->writable_len, 0xffff'ffff)),
          {.more = (hints & 1) != 0, .full = (hints & 2) != 0});
  }
  void fail(std::size_t i) {
    if (Chain* chain = take(i)) host().fail(*chain, RingError::malformed_request);
  }
  void start_echo(std::size_t i) {
    if (Chain* chain = take(i)) start_task(*chain, [&] { return echo(*chain); });
  }
  void change_config() {
    config_[0] ^= std::byte{1};
    host().config_changed();
  }

  Policy policy = Policy::hold;
  std::vector<Chain*> chains;

private:
  Chain* take(std::size_t i) {
    if (chains.empty()) return nullptr;
    i %= chains.size();
    Chain* chain = chains[i];
    chains.erase(chains.begin() + static_cast<std::ptrdiff_t>(i));
    return chain;
  }
  // The first bytes of the readable part go to the writable one.
  Task<> echo(Chain& chain) {
    const Dma dma = host().dma(chain.queue);
    std::array<std::byte, 32> bytes{};
    std::uint32_t written = 0;
    if (chain.readable_pieces > 0 && chain.pieces.size() > chain.readable_pieces) {
      const Piece from = chain.readable().front();
      const Piece to = chain.writable().front();
      const std::uint32_t n = std::min({from.len, to.len, std::uint32_t{bytes.size()}});
      DmaStatus status = co_await dma.read(from.addr, bytes.data(), n, AccessKind::data);
      if (status == DmaStatus::ok)
        status = co_await dma.write(to.addr, bytes.data(), n, AccessKind::data);
      if (status == DmaStatus::cancelled) co_return;
      if (status != DmaStatus::ok) {
        host().fail(chain, RingError::data_unreadable);
        co_return;
      }
      written = n;
    }
    host().complete(chain, written);
  }

  std::uint16_t queue_size_;
  std::uint32_t window_;
  std::array<std::byte, 6> config_{};
};

} // namespace virtio::fuzz
