#include <virtio/rtl/scoreboard/chain_decoder.hpp>

#include <bit>

namespace virtio::rtl {

namespace {

// One way through the descriptors, as far as it got.
struct Walk {
  DecodedChain out;
  enum class At : std::uint8_t { entry, ring, table } at = At::entry;
  std::uint16_t index = 0; // split: of the descriptor in its table
  std::uint32_t count = 0; // descriptors so far
  Piece table{};           // indirect
  std::uint32_t place = 0; // in it
  std::uint64_t since = 0; // packed: when the indirect descriptor was read
  bool done = false;
};

class Decoder {
public:
  Decoder(const Samples& samples, const ChainPlace& place, std::size_t limit)
      : samples_(samples), place_(place), limit_(limit) {}

  std::vector<DecodedChain> decode() {
    Walk start;
    start.at = packed_ ? Walk::At::ring : Walk::At::entry;
    std::vector<Walk> open{std::move(start)};
    std::vector<DecodedChain> answers;
    while (!open.empty() && answers.size() < limit_) {
      Walk walk = std::move(open.back());
      open.pop_back();
      while (!walk.done)
        step(walk, open);
      if (!nothing_) answers.push_back(std::move(walk.out));
      nothing_ = false;
    }
    return answers;
  }

private:
  static void end(Walk& walk, DecodedChain::Kind kind, RingError error = RingError::none) {
    walk.out.kind = kind;
    walk.out.error = error;
    walk.done = true;
  }
  static void fail(Walk& walk, RingError error) { end(walk, DecodedChain::Kind::wrong, error); }

  void step(Walk& walk, std::vector<Walk>& open) {
    // 2.7.5.3.1, 2.8.17: not longer than the queue, its indirect part included.
    if (walk.at != Walk::At::entry && walk.count == place_.setup.size)
      return fail(walk, RingError::chain_too_long);
    const auto values = look(walk);
    if (values.empty()) return end(walk, DecodedChain::Kind::unread);
    for (std::size_t i = 1; i < values.size() && open.size() < limit_; ++i) {
      Walk other = walk;
      take(other, values[i]);
      if (!nothing_) open.push_back(std::move(other));
      nothing_ = false;
    }
    take(walk, values.front());
  }

  std::vector<Samples::Value> look(const Walk& walk) const {
    const QueueSetup& s = place_.setup;
    switch (walk.at) {
    case Walk::At::entry:
      return samples_.find(split::avail_ring(s.driver, place_.next_avail.index & (s.size - 1u)), 2,
                           place_.proved);
    case Walk::At::ring:
      if (!packed_) return samples_.find(split::desc(s.desc, walk.index), 16, place_.proved);
      {
        const std::uint16_t i = advance(place_.next_avail, walk.count, s.size).index;
        return samples_.find(packed::desc(s.desc, i), 16, place_.usable_since(i));
      }
    case Walk::At::table:
      return samples_.find(walk.table.addr + 16ull * walk.place, 16,
                           packed_ ? walk.since : place_.proved);
    }
    return {};
  }

  void take(Walk& walk, const Samples::Value& value) {
    if (walk.at == Walk::At::entry) return take_entry(walk, value);
    if (value.failed) return fail(walk, RingError::descriptor_unreadable);
    if (walk.at == Walk::At::table) return take_indirect(walk, value);
    take_direct(walk, value);
  }

  void take_entry(Walk& walk, const Samples::Value& value) {
    if (value.failed) return fail(walk, RingError::ring_unreadable);
    const std::uint16_t head = value.as<le16>();
    if (head >= place_.setup.size) return fail(walk, RingError::head_out_of_range);
    walk.out.chain.head = walk.index = head;
    walk.at = Walk::At::ring;
  }

  void take_direct(Walk& walk, const Samples::Value& value) {
    const QueueSetup& s = place_.setup;
    const Fetched d =
        packed_ ? fetched(value.as<packed::Desc>()) : fetched(value.as<split::Desc>());
    if (packed_ &&
        !packed::available(d.flags, advance(place_.next_avail, walk.count, s.size).wrap)) {
      if (walk.count > 0) return fail(walk, RingError::chain_not_available);
      nothing_ = walk.done = true;
      return;
    }
    if (d.flags & VIRTQ_DESC_F_INDIRECT) {
      if (!indirect_) return fail(walk, RingError::indirect_not_negotiated);
      if ((d.flags & VIRTQ_DESC_F_NEXT) || (packed_ && walk.count > 0))
        return fail(walk, RingError::indirect_with_next);
      if (packed_) {
        walk.out.chain.head = d.next_or_id;
        walk.out.chain.slots = 1;
      }
      if (d.len == 0 || d.len % 16 != 0) return fail(walk, RingError::bad_indirect_table);
      if (!fits(d.addr, d.len)) return fail(walk, RingError::address_wraps);
      walk.at = Walk::At::table;
      walk.table = {d.addr, d.len};
      walk.since = value.done;
      return;
    }
    if (!add(walk, d)) return;
    if (!(d.flags & VIRTQ_DESC_F_NEXT)) {
      if (packed_) {
        walk.out.chain.head = d.next_or_id;
        walk.out.chain.slots = static_cast<std::uint16_t>(walk.count);
      }
      return end(walk, DecodedChain::Kind::whole);
    }
    if (packed_) return;
    if (d.next_or_id >= s.size) return fail(walk, RingError::next_out_of_range);
    walk.index = d.next_or_id;
  }

  void take_indirect(Walk& walk, const Samples::Value& value) {
    Fetched d = packed_ ? fetched(value.as<packed::Desc>()) : fetched(value.as<split::Desc>());
    if (packed_) d.flags &= VIRTQ_DESC_F_WRITE; // 2.8.7: the others are reserved and ignored
    if (d.flags & VIRTQ_DESC_F_INDIRECT) return fail(walk, RingError::nested_indirect);
    if (!add(walk, d)) return;
    const std::uint32_t entries = walk.table.len / 16;
    if (packed_) {
      if (++walk.place == entries) end(walk, DecodedChain::Kind::whole);
      return;
    }
    if (!(d.flags & VIRTQ_DESC_F_NEXT)) return end(walk, DecodedChain::Kind::whole);
    if (d.next_or_id >= entries) return fail(walk, RingError::next_out_of_range);
    walk.place = d.next_or_id;
  }

  bool add(Walk& walk, const Fetched& d) {
    if (const RingError error = append(walk.out.chain, d); error != RingError::none) {
      fail(walk, error);
      return false;
    }
    ++walk.count;
    return true;
  }

  const Samples& samples_;
  const ChainPlace& place_;
  std::size_t limit_;
  bool packed_ = place_.setup.features.has(VIRTIO_F_RING_PACKED);
  bool indirect_ = place_.setup.features.has(VIRTIO_F_INDIRECT_DESC);
  bool nothing_ = false; // the first descriptor is not available
};

} // namespace

std::vector<DecodedChain> decode_chain(const Samples& samples, const ChainPlace& place,
                                       std::size_t limit) {
  return Decoder(samples, place, limit).decode();
}

} // namespace virtio::rtl
