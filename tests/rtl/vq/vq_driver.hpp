// A driver of one queue on the bench's memory that keeps its own record of what it submitted: split
// and packed, direct and indirect. It sleeps when it has nothing to do and trusts the
// notifications, so that a missing one is a hang.
#pragma once

#include <virtio/core/ring_walk.hpp>
#include <virtio/rtl/vq/vq_bench.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace virtio::rtl {

class VqDriver {
public:
  struct Submitted {
    std::vector<Piece> pieces;
    std::size_t readable = 0;
    std::uint16_t id = 0;
    std::uint16_t slots = 1; // descriptors of the ring
    std::uint16_t head = 0;
    std::uint64_t order = 0;
  };

  VqDriver(VqBench& bench, QueueIndex queue, const QueueSetup& setup, std::uint64_t tables,
           std::uint64_t seed)
      : bench_(bench), queue_(queue), s_(setup), tables_(tables), random_(seed, "vq driver"),
        packed_(setup.features.has(VIRTIO_F_RING_PACKED)),
        event_idx_(setup.features.has(VIRTIO_F_EVENT_IDX)),
        indirect_(setup.features.has(VIRTIO_F_INDIRECT_DESC)),
        in_order_(setup.features.has(VIRTIO_F_IN_ORDER)) {
    avail_ = published_ = s_.start_avail;
    used_ = s_.start_used;
    free_slots_ = s_.size;
    for (std::uint16_t i = 0; i < s_.size; ++i)
      free_.push_back(i);
    const std::uint64_t zeros = 0;
    for (std::uint64_t at = raw(s_.desc); at < raw(s_.desc) + 16ull * s_.size; at += 8)
      bench_.store(at, zeros);
    if (packed_) {
      for (std::uint16_t i = 0; i < s_.size; ++i) // used by the lap before
        put16(raw(s_.desc) + 16ull * i + 14,
              lap_flags(i >= avail_.index ? !avail_.wrap : avail_.wrap));
      put32(raw(s_.driver), 0);
      put32(raw(s_.device), 0);
    } else {
      put16(raw(s_.driver), 0);
      put16(raw(split::avail_idx(s_.driver)), s_.start_avail.index);
      put16(raw(s_.device), 0);
      put16(raw(split::used_idx(s_.device)), s_.start_used.index);
      if (event_idx_) {
        put16(raw(split::avail_event(s_.device, s_.size)),
              static_cast<std::uint16_t>(s_.start_avail.index));
      }
    }
    set_event();
  }

  void submit_total(std::uint32_t chains, std::uint32_t most_pieces = 4) {
    left_ = chains;
    most_ = most_pieces;
  }
  bool finished() const { return left_ == 0 && outstanding_.empty() && to_publish_ == 0; }
  std::size_t outstanding() const { return outstanding_.size(); }

  /// The queue was stopped with nothing outstanding, and goes on elsewhere: numbers begin anew.
  void moved() {
    moved_ += reaped;
    reaped = 0;
    for (Submitted& c : outstanding_)
      c.order -= moved_;
    submitted_ -= moved_;
  }
  void on_interrupt() { woken_ = true; }

  /// A chain reached the function: it is the next one submitted.
  void on_chain(const VqBench::FunctionChain& chain) {
    ASSERT_FALSE(chain.segments.back().error);
    ASSERT_FALSE(expected_.empty()) << "a chain that nobody submitted";
    const Submitted& want = expected_.front();
    ASSERT_EQ(chain.segments.size(), want.pieces.size());
    for (std::size_t i = 0; i < want.pieces.size(); ++i) {
      EXPECT_EQ(raw(chain.segments[i].address), raw(want.pieces[i].addr));
      EXPECT_EQ(chain.segments[i].length, want.pieces[i].len);
      EXPECT_EQ(chain.segments[i].writable, i >= want.readable);
      EXPECT_EQ(chain.segments[i].first, i == 0);
    }
    expected_.pop_front();
    ++emitted;
  }

  /// A little of what a driver does; called every cycle.
  void step() {
    if (wait_ > 0) {
      --wait_;
      return;
    }
    wait_ = static_cast<std::uint32_t>(random_.below(6));
    if (to_publish_ > 0) return publish();
    if (check_ > 0) return maybe_kick();
    if (woken_ || awake_) {
      woken_ = false;
      reap();
      return;
    }
    if (left_ > 0 && random_.below(4) == 0) {
      const std::uint64_t burst = 1 + random_.below(8);
      for (std::uint64_t i = 0; i < burst && left_ > 0 && add(); ++i)
        --left_;
    }
  }

  std::uint64_t emitted = 0, reaped = 0;

private:
  static std::uint16_t lap_flags(bool wrap) { return packed::used_flags(wrap); }
  void put16(std::uint64_t at, std::uint16_t v) { bench_.store(at, le16(v)); }
  void put32(std::uint64_t at, std::uint32_t v) { bench_.store(at, le32(v)); }
  std::uint16_t get16(std::uint64_t at) const { return bench_.load<le16>(at); }
  std::uint32_t get32(std::uint64_t at) const { return bench_.load<le32>(at); }
  void put_desc(std::uint64_t at, Piece p, std::uint16_t a, std::uint16_t b) {
    bench_.store(at, le64(raw(p.addr)));
    bench_.store(at + 8, le32(p.len));
    put16(at + 12, a);
    put16(at + 14, b);
  }

  bool add() {
    Submitted c;
    const std::size_t n = 1 + random_.below(most_);
    c.readable = random_.below(n + 1);
    for (std::size_t i = 0; i < n; ++i)
      c.pieces.push_back(
          {GuestAddr{random_.next() >> 8}, static_cast<std::uint32_t>(random_.below(70000))});
    const bool table = indirect_ && n <= 16 && random_.below(2) == 0;
    // Split: sometimes direct descriptors before the table.
    const std::size_t direct = table ? (packed_ ? 0 : random_.below(n)) : n;
    c.slots = static_cast<std::uint16_t>(direct + (table ? 1 : 0));
    if (c.slots > free_slots_ || n > s_.size || free_.empty()) return false;
    free_slots_ = static_cast<std::uint16_t>(free_slots_ - c.slots);
    c.id = free_.front();
    const std::uint64_t table_at = tables_ + 256ull * c.id;
    const auto flags = [&](std::size_t i, bool more) {
      return static_cast<std::uint16_t>((i >= c.readable ? VIRTQ_DESC_F_WRITE : 0) |
                                        (more ? VIRTQ_DESC_F_NEXT : 0));
    };
    for (std::size_t i = direct; table && i < n; ++i) {
      const auto k = static_cast<std::uint16_t>(i - direct);
      const bool more = i + 1 < n;
      if (packed_)
        put_desc(table_at + 16ull * k, c.pieces[i], 0,
                 static_cast<std::uint16_t>(flags(i, false) | (random_.below(2) ? 0x8081 : 0)));
      else
        put_desc(table_at + 16ull * k, c.pieces[i], flags(i, more),
                 static_cast<std::uint16_t>(k + 1));
    }
    const Piece table_piece{GuestAddr{table_at}, static_cast<std::uint32_t>(16 * (n - direct))};
    if (packed_) {
      free_.pop_front();
      // All but the first, then the first: publish() does that one.
      RingIndex at = avail_;
      for (std::uint16_t i = 0; i < c.slots; ++i) {
        const Piece p = table ? table_piece : c.pieces[i];
        const std::uint16_t f = static_cast<std::uint16_t>(
            (table ? VIRTQ_DESC_F_INDIRECT : flags(i, i + 1u < c.slots)) |
            (at.wrap ? packed::VIRTQ_DESC_F_AVAIL : packed::VIRTQ_DESC_F_USED));
        const std::uint64_t place = raw(s_.desc) + 16ull * at.index;
        if (i == 0) {
          put_desc(place, p, c.id, get16(place + 14));
          first_.push_back({place + 14, f});
        } else {
          put_desc(place, p, c.id, f);
        }
        at = advance(at, 1, s_.size);
      }
      avail_ = at;
    } else {
      std::vector<std::uint16_t> own;
      for (std::uint16_t i = 0; i < c.slots; ++i) {
        own.push_back(free_.front());
        free_.pop_front();
      }
      c.head = own[0];
      for (std::uint16_t i = 0; i < c.slots; ++i) {
        const bool more = i + 1u < c.slots;
        const bool is_table = table && i == direct;
        put_desc(raw(split::desc(s_.desc, own[i])), is_table ? table_piece : c.pieces[i],
                 is_table ? VIRTQ_DESC_F_INDIRECT : flags(i, more),
                 more ? own[i + 1u] : std::uint16_t{0});
      }
      put16(raw(split::avail_ring(s_.driver, avail_.index & (s_.size - 1))), c.head);
      owned_.resize(s_.size);
      owned_[c.head] = own;
      ++avail_.index;
    }
    c.order = submitted_++;
    outstanding_.push_back(c);
    expected_.push_back(c);
    ++to_publish_;
    return true;
  }

  void publish() {
    if (packed_) {
      // One chain after the other, so that part of a batch is seen.
      put16(first_.front().first, first_.front().second);
      first_.pop_front();
      --to_publish_;
      check_ = 1;
      if (to_publish_ == 0) kick_to_ = avail_;
    } else {
      put16(raw(split::avail_idx(s_.driver)), avail_.index);
      to_publish_ = 0;
      check_ = 1;
      kick_to_ = avail_;
    }
    if (to_publish_ > 0) check_ = 0;
  }

  void maybe_kick() {
    check_ = 0;
    bool wanted;
    if (packed_) {
      const std::uint32_t event = get32(raw(s_.device));
      const std::uint32_t advanced =
          (kick_to_.index + (kick_to_.wrap != published_.wrap ? s_.size : 0u)) - published_.index;
      wanted = packed_wants_interrupt(event, published_, advanced, s_.size, event_idx_);
    } else if (event_idx_) {
      wanted = split_wants_interrupt(get16(raw(split::avail_event(s_.device, s_.size))), published_,
                                     static_cast<std::uint16_t>(kick_to_.index - published_.index),
                                     true);
    } else {
      wanted = !(get16(raw(s_.device)) & split::VIRTQ_USED_F_NO_NOTIFY);
    }
    published_ = kick_to_;
    if (wanted || random_.below(50) == 0) bench_.doorbell(queue_);
  }

  /// Asks for an interrupt at the next used element, or further on.
  void set_event() {
    if (packed_) {
      put32(raw(s_.driver),
            event_idx_ ? packed::event(used_.index, used_.wrap, packed::RING_EVENT_FLAGS_DESC)
                       : packed::event(0, false, packed::RING_EVENT_FLAGS_ENABLE));
    } else if (event_idx_) {
      put16(raw(split::used_event(s_.driver, s_.size)), used_.index);
    } else {
      put16(raw(s_.driver), 0);
    }
  }
  void suppress() {
    if (packed_)
      put32(raw(s_.driver), packed::event(0, false, packed::RING_EVENT_FLAGS_DISABLE));
    else if (!event_idx_)
      put16(raw(s_.driver), split::VIRTQ_AVAIL_F_NO_INTERRUPT);
  }

  // Awake: reaps without notifications; before it sleeps it asks for one and looks once more.
  void reap() {
    bool any = false;
    while (reap_one())
      any = true;
    if (any && random_.below(2) == 0) {
      suppress();
      awake_ = true;
      return;
    }
    set_event();
    awake_ = false;
    if (reap_one()) awake_ = true;
  }

  bool reap_one() {
    std::uint16_t id;
    std::uint32_t len;
    if (packed_) {
      const std::uint64_t at = raw(s_.desc) + 16ull * used_.index;
      const std::uint16_t flags = get16(at + 14);
      const bool a = flags & packed::VIRTQ_DESC_F_AVAIL, u = flags & packed::VIRTQ_DESC_F_USED;
      if (a != u || a != used_.wrap) return false;
      id = get16(at + 12);
      len = get32(at + 8);
      EXPECT_EQ((flags & VIRTQ_DESC_F_WRITE) != 0, len != 0);
    } else {
      if (get16(raw(split::used_idx(s_.device))) == used_.index) return false;
      const std::uint64_t at = raw(split::used_ring(s_.device, used_.index & (s_.size - 1)));
      id = static_cast<std::uint16_t>(get32(at));
      len = get32(at + 4);
    }
    const auto& done = bench_.done[queue_];
    if (!in_order_) {
      if (reaped >= done.size()) {
        ADD_FAILURE() << "used before it was completed";
        return false;
      }
      EXPECT_EQ(done[reaped].written, len);
      if (!take(id, done[reaped].order)) return false;
      ++reaped;
      return true;
    }
    // One element stands for all up to it.
    std::size_t n = 0;
    while (n < outstanding_.size() && (packed_ ? outstanding_[n].id : outstanding_[n].head) != id)
      ++n;
    if (n == outstanding_.size()) {
      ADD_FAILURE() << "id " << id << " is used and was not submitted";
      return false;
    }
    for (std::size_t i = 0; i <= n; ++i) {
      const std::uint64_t order = reaped;
      const auto record =
          std::find_if(done.begin(), done.end(), [&](const auto& d) { return d.order == order; });
      if (record == done.end()) {
        ADD_FAILURE() << "used before it was completed";
        return false;
      }
      if (i < n) {
        EXPECT_TRUE(record->hints.full) << "skipped and not full";
      } else {
        EXPECT_EQ(record->written, len);
      }
      const Submitted c = outstanding_.front();
      retire(c);
      outstanding_.pop_front();
      ++reaped;
    }
    return true;
  }

  bool take(std::uint16_t id, std::uint64_t order) {
    for (auto c = outstanding_.begin(); c != outstanding_.end(); ++c)
      if ((packed_ ? c->id : c->head) == id) {
        EXPECT_EQ(c->order, order) << "another chain's id";
        retire(*c);
        outstanding_.erase(c);
        return true;
      }
    ADD_FAILURE() << "id " << id << " is used and was not submitted";
    return false;
  }

  void retire(const Submitted& c) {
    free_slots_ = static_cast<std::uint16_t>(free_slots_ + c.slots);
    if (packed_) {
      free_.push_back(c.id);
      used_ = advance(used_, c.slots, s_.size);
    } else {
      for (const std::uint16_t d : owned_[c.head])
        free_.push_back(d);
      ++used_.index;
    }
  }

  VqBench& bench_;
  QueueIndex queue_;
  QueueSetup s_;
  std::uint64_t tables_;
  Random random_;
  bool packed_, event_idx_, indirect_, in_order_;
  RingIndex avail_, published_, used_, kick_to_;
  std::uint16_t free_slots_ = 0;
  std::deque<std::uint16_t> free_;
  std::vector<std::vector<std::uint16_t>> owned_;
  std::deque<std::pair<std::uint64_t, std::uint16_t>> first_;
  std::deque<Submitted> outstanding_, expected_;
  std::uint64_t submitted_ = 0, moved_ = 0;
  std::uint32_t left_ = 0, most_ = 4, to_publish_ = 0, check_ = 0, wait_ = 0;
  bool woken_ = false, awake_ = false;
};

} // namespace virtio::rtl
