#include <virtio/tlm/pci/link_timing.hpp>

#include <algorithm>
#include <stdexcept>

namespace virtio::tlm2 {

namespace {

constexpr std::uint32_t around_a_tlp = 8; // framing 2, sequence number 2, LCRC 4
constexpr std::uint32_t header_3dw = 12;
constexpr std::uint32_t header_4dw = 16;
constexpr std::uint32_t digest = 4;
constexpr std::uint32_t dllp = 8; // with framing
constexpr std::uint32_t skp_length = 4;
constexpr std::uint32_t skp_interval = 1538;
constexpr std::uint32_t page = 4096;
constexpr std::uint32_t translation_bytes = 8;
constexpr std::uint32_t credit_unit = 16;

const PcieLinkParams& checked(const PcieLinkParams& params) {
  if (const auto error = error_in(params)) throw std::invalid_argument(*error);
  return params;
}

/// The time of a byte in ps: GT/s, encoding, and what Ack, UpdateFC and SKP leave of it.
LinkSchedule schedule(const PcieLinkParams& p) {
  constexpr std::array<std::uint64_t, 6> megatransfers = {0, 2500, 5000, 8000, 16000, 32000};
  const bool early = p.generation <= 2;
  const std::uint64_t limit = dllp_limit(p);
  const std::uint64_t all = limit * skp_interval;
  const std::uint64_t left = all - 2 * dllp * skp_interval - skp_length * limit;
  const std::uint64_t numerator = 8'000'000ull * (early ? 10 : 130) * all;
  return {numerator, megatransfers[p.generation] * p.lanes * (early ? 8 : 128) * left};
}

constexpr std::uint64_t word_of(std::uint64_t address) {
  return address & ~3ull;
}
/// Bytes of the double words that [addr, addr + len) touches.
constexpr std::uint32_t in_words(std::uint64_t addr, std::uint64_t len) {
  return static_cast<std::uint32_t>(word_of(addr + len + 3) - word_of(addr));
}
constexpr std::uint32_t units(std::uint32_t payload) {
  return (payload + credit_unit - 1) / credit_unit;
}

/// Calls `piece(addr, len)` for the parts of [addr, addr + len) that a request of at most `limit`
/// bytes may have: none crosses 4 KiB.
template <class Call>
void for_each_piece(std::uint64_t addr, std::uint32_t len, std::uint32_t limit, Call&& piece) {
  while (len != 0) {
    const auto part = std::min({len, page - static_cast<std::uint32_t>(addr % page),
                                limit - static_cast<std::uint32_t>(addr % 4)});
    piece(addr, part);
    addr += part;
    len -= part;
  }
}

} // namespace

const char* to_string(TlpKind kind) {
  constexpr std::array<const char*, tlp_kinds> names = {
      "memory_write", "memory_read",     "config_write", "config_read",
      "translation",  "completion_data", "completion"};
  return names[static_cast<std::size_t>(kind)];
}

std::uint64_t LinkStatistics::wire_bytes(LinkDirection direction) const {
  std::uint64_t bytes = 0;
  for (const Tlps& kind : tlps[static_cast<std::size_t>(direction)])
    bytes += kind.wire_bytes;
  return bytes;
}

LinkTiming::LinkTiming(const PcieLinkParams& params)
    : params_(checked(params)),
      completion_size_(params.completion_size ? params.completion_size : params.max_payload),
      completion_overhead_(around_a_tlp + header_3dw + (params.ecrc ? digest : 0)),
      plain_root_complex_(params.request_interval.ps == 0 &&
                          params.translation.where != Translation::iommu),
      plain_memory_(params.reads_in_service == 0 &&
                    params.memory.kind == LatencyDistribution::Kind::fixed),
      up_(schedule(params)), down_(up_), random_(params.seed, "pcie link"),
      posted_buffer_(params.posted_buffer), nonposted_queue_(params.nonposted_queue),
      posted_credits_(params.host_credits.posted_header, params.host_credits.posted_data),
      nonposted_credits_(params.host_credits.nonposted_header), tags_(params.tags),
      completion_space_(params.completion_headers, params.completion_data),
      cpu_posted_credits_(params.device_credits.posted_header, params.device_credits.posted_data),
      cpu_nonposted_credits_(params.device_credits.nonposted_header,
                             params.device_credits.nonposted_data),
      reads_in_service_(params.reads_in_service), walkers_(params.translation.walkers),
      tlb_(params.translation.where == Translation::none
               ? Tlb(1, 1, page)
               : Tlb(params.translation.entries, params.translation.ways,
                     params.translation.page)) {}

std::uint32_t LinkTiming::request_overhead(std::uint64_t last_address) const {
  return around_a_tlp + (last_address >> 32 ? header_4dw : header_3dw) +
         (params_.ecrc ? digest : 0);
}

void LinkTiming::advance(SimTime now) {
  if (now <= now_) return;
  now_ = now;
  up_.forget(now_);
  down_.forget(now_);
  while (!cpu_writes_.empty() && cpu_writes_.front().arrived < now_)
    cpu_writes_.erase(cpu_writes_.begin());
}

void LinkTiming::count(LinkDirection direction, TlpKind kind, std::uint64_t tlps,
                       std::uint64_t payload, std::uint32_t overhead, std::size_t access) {
  const auto d = static_cast<std::size_t>(direction);
  LinkStatistics::Tlps& c = statistics_.tlps[d][static_cast<std::size_t>(kind)];
  const std::uint64_t wire = payload + tlps * overhead;
  c.count += tlps;
  c.payload_bytes += payload;
  c.wire_bytes += wire;
  statistics_.device[access].wire_bytes[d] += wire;
}

SimTime LinkTiming::busy(LinkDirection direction) const {
  return up_.total_duration(statistics_.wire_bytes(direction));
}

SimTime LinkTiming::memory_latency() {
  const LatencyDistribution& memory = params_.memory;
  switch (memory.kind) {
  case LatencyDistribution::Kind::uniform:
    return memory.low + SimTime{random_.below(memory.high.ps - memory.low.ps + 1)};
  case LatencyDistribution::Kind::samples:
    return memory.samples[random_.below(memory.samples.size())];
  default:
    return memory.low;
  }
}

// --- translation ---------------------------------------------------------------------------------

/// When the translation of a page is known to whoever owns the TLB and the walkers.
SimTime LinkTiming::walk(SimTime when, std::uint64_t addr, bool& miss) {
  const TranslationParams& t = params_.translation;
  const Tlb::Entry* entry = tlb_.find(addr);
  miss = entry == nullptr;
  if (entry) {
    ++statistics_.tlb_hits;
    return std::max(when, entry->ready) + t.hit;
  }
  ++statistics_.tlb_misses;
  const SimTime done = walkers_.take(when, 1) + t.miss;
  walkers_.give_back(done, 1);
  return done;
}

/// ATS: a miss is a request to the root complex and its completion.
SimTime LinkTiming::translate_in_device(SimTime when, std::uint64_t addr, std::uint32_t len,
                                        std::size_t access) {
  const TranslationParams& t = params_.translation;
  const std::uint64_t last = addr + (len - 1);
  SimTime known = when;
  for (std::uint64_t at = addr & ~(t.page - 1);; at += t.page) {
    if (const Tlb::Entry* entry = tlb_.find(at)) {
      ++statistics_.tlb_hits;
      known = std::max(known, std::max(when, entry->ready) + t.hit);
    } else {
      ++statistics_.tlb_misses;
      const std::uint32_t overhead = request_overhead(~0ull);
      const FineTime sent = up_.reserve(std::max(fine(when), posted_end_), overhead);
      const SimTime asked = rounded_up(sent) + params_.propagation + params_.root_complex;
      const SimTime walked = walkers_.take(asked, 1) + t.miss;
      walkers_.give_back(walked, 1);
      const FineTime answered =
          down_.reserve(fine(walked), completion_overhead_ + translation_bytes);
      const SimTime ready = rounded_up(answered) + params_.propagation;
      tlb_.insert(at, ready);
      known = std::max(known, ready + t.hit);
      count(LinkDirection::upstream, TlpKind::translation, 1, 0, overhead, access);
      count(LinkDirection::downstream, TlpKind::completion_data, 1, translation_bytes,
            completion_overhead_, access);
    }
    if ((last & ~(t.page - 1)) == at) return known;
  }
}

// --- what the device sends -----------------------------------------------------------------------

/// When the root complex hands the request on: received, its turn, translated.
SimTime LinkTiming::enter_root_complex(FineTime last_byte_left, std::uint64_t addr) {
  SimTime when = rounded_up(last_byte_left) + params_.propagation;
  if (params_.request_interval.ps != 0) {
    when = std::max(when, root_complex_free_);
    root_complex_free_ = when + params_.request_interval;
  }
  when = when + params_.root_complex;
  if (params_.translation.where == Translation::iommu) {
    bool miss = false;
    when = walk(when, addr, miss);
    if (miss) tlb_.insert(addr, when);
  }
  return when;
}

/// In closed form: within 4 KiB, TLPs begin at multiples of `limit` from the first double word on.
LinkTiming::Tlps LinkTiming::split(std::uint64_t addr, std::uint32_t len,
                                   std::uint32_t limit) const {
  if (len <= limit - addr % 4 && len <= page - addr % page) return {1, in_words(addr, len), 0};
  return split_long(addr, len, limit);
}

LinkTiming::Tlps LinkTiming::split_long(std::uint64_t addr, std::uint32_t len,
                                        std::uint32_t limit) const {
  Tlps tlps;
  while (len != 0) {
    const std::uint32_t part = std::min(len, page - static_cast<std::uint32_t>(addr % page));
    const std::uint32_t words = in_words(addr, part);
    tlps.count += (words + limit - 1) / limit;
    tlps.words += words;
    addr += part;
    len -= part;
  }
  return tlps;
}

/// The first completion ends on a read completion boundary; after it they are of equal size.
std::uint32_t LinkTiming::completions_of(std::uint64_t addr, std::uint32_t len) const {
  const std::uint64_t boundary = params_.read_completion_boundary;
  const std::uint64_t first = ((addr + completion_size_) & ~(boundary - 1)) - addr;
  if (first >= len) return 1;
  return 1 + (len - static_cast<std::uint32_t>(first) + completion_size_ - 1) / completion_size_;
}

LinkTiming::Write LinkTiming::device_write(SimTime now, std::uint64_t addr, std::uint32_t len,
                                           std::size_t access) {
  if (len == 0) throw std::invalid_argument("a write on a PCI Express link has no bytes");
  advance(now);
  const Request request{addr, len, request_overhead(addr + (len - 1)), access, false};
  const Tlps tlps = split(addr, len, params_.max_payload);
  const std::uint32_t room = std::min(tlps.words, params_.posted_buffer);
  const SimTime asked = std::max(now, accepted_write_);
  const SimTime accepted = posted_buffer_.take(asked, room);
  accepted_write_ = accepted;
  statistics_.stalls.posted_buffer.ps += (accepted - now).ps;

  SimTime from = accepted;
  if (params_.translation.where == Translation::ats)
    from = translate_in_device(from, addr, len, access);
  posted_end_ = std::max(posted_end_, fine(from));
  if (plain_root_complex_ &&
      posted_credits_.plenty({posted_end_.ps}, tlps.count, units(tlps.words)))
    posted_end_ = write_at_once(posted_end_, tlps, request.overhead);
  else
    posted_end_ = write_one_by_one(posted_end_, request);
  posted_buffer_.give_back(rounded_up(posted_end_), room);
  count(LinkDirection::upstream, TlpKind::memory_write, tlps.count, tlps.words, request.overhead,
        access);
  ++statistics_.device[access].requests;
  statistics_.device[access].bytes += len;
  return {accepted, written_};
}

/// While there are credits in plenty, TLPs need not be looked at one by one.
FineTime LinkTiming::write_at_once(FineTime from, const Tlps& tlps, std::uint32_t overhead) {
  const FineTime end = up_.reserve(from, tlps.count * overhead + tlps.words);
  written_ = std::max(written_, rounded_up(end) + params_.propagation + params_.root_complex);
  posted_credits_.take_of_plenty(tlps.count, units(tlps.words));
  posted_credits_.give_back(written_ + params_.credit_return, tlps.count, units(tlps.words));
  return end;
}

FineTime LinkTiming::write_one_by_one(FineTime from, const Request& request) {
  FineTime end = from;
  for_each_piece(request.addr, request.len, params_.max_payload,
                 [&](std::uint64_t at, std::uint32_t part) {
                   const std::uint32_t bytes = in_words(at, part);
                   const SimTime granted = posted_credits_.take({end.ps}, 1, units(bytes));
                   statistics_.stalls.posted_credits.ps += granted.ps - end.ps;
                   end = up_.reserve(std::max(end, fine(granted)), request.overhead + bytes);
                   written_ = std::max(written_, enter_root_complex(end, at));
                   posted_credits_.give_back(written_ + params_.credit_return, 1, units(bytes));
                 });
  return end;
}

LinkTiming::Read LinkTiming::device_read(SimTime now, std::uint64_t addr, std::uint32_t len,
                                         std::size_t access, bool unmapped) {
  if (len == 0) throw std::invalid_argument("a read on a PCI Express link has no bytes");
  advance(now);
  const SimTime asked = std::max(now, accepted_read_);
  const SimTime accepted = nonposted_queue_.take(asked, 1);
  accepted_read_ = accepted;
  statistics_.stalls.nonposted_queue.ps += (accepted - now).ps;

  SimTime from = accepted;
  if (params_.translation.where == Translation::ats)
    from = translate_in_device(from, addr, len, access);
  const Request request{addr, len, request_overhead(addr + (len - 1)), access, unmapped};
  Tlps tlps = split(addr, len, params_.max_read_request);
  if (tlps.count == 1)
    tlps.completions = completions_of(addr, len);
  else
    for_each_piece(addr, len, params_.max_read_request, [&](std::uint64_t at, std::uint32_t part) {
      tlps.completions += completions_of(at, part);
    });
  // A read passes neither the writes nor the reads before it; writes may pass it.
  const FineTime earliest = std::max(std::max(posted_end_, nonposted_end_), fine(from));
  Read read{accepted, {}, {}};
  if (may_read_at_once(earliest, tlps, unmapped)) {
    const Piece all = read_at_once(earliest, tlps, request.overhead);
    read.sampled = all.sampled;
    read.complete = all.complete;
  } else {
    for_each_piece(addr, len, params_.max_read_request, [&](std::uint64_t at, std::uint32_t part) {
      const Piece piece = read_piece(earliest, at, part, request);
      read.sampled = std::max(read.sampled, piece.sampled);
      read.complete = std::max(read.complete, piece.complete);
    });
  }
  nonposted_queue_.give_back(rounded_up(nonposted_end_), 1);
  count(LinkDirection::upstream, TlpKind::memory_read, tlps.count, 0, request.overhead, access);
  if (unmapped)
    count(LinkDirection::downstream, TlpKind::completion, tlps.count, 0, completion_overhead_,
          access);
  else
    count(LinkDirection::downstream, TlpKind::completion_data, tlps.completions, tlps.words,
          completion_overhead_, access);
  ++statistics_.device[access].requests;
  statistics_.device[access].bytes += len;
  return read;
}

bool LinkTiming::may_read_at_once(FineTime from, const Tlps& tlps, bool unmapped) {
  const SimTime when{from.ps};
  return plain_root_complex_ && plain_memory_ && !unmapped && cpu_writes_.empty() &&
         tags_.plenty(when, tlps.count) &&
         completion_space_.plenty(when, tlps.completions, units(tlps.words)) &&
         nonposted_credits_.plenty(when, tlps.count);
}

/// While nothing is scarce: the requests leave one after the other, and so do the completions from
/// the first one's on, as each takes longer than its request. They left after all writes, and a
/// plain root complex keeps that order.
LinkTiming::Piece LinkTiming::read_at_once(FineTime from, const Tlps& tlps,
                                           std::uint32_t overhead) {
  const SimTime on_the_way = params_.propagation + params_.root_complex;
  const FineTime first = up_.reserve(from, overhead);
  nonposted_end_ = tlps.count == 1 ? first : up_.reserve(first, (tlps.count - 1) * overhead);
  const SimTime first_ready = rounded_up(first) + on_the_way + params_.memory.low;
  const SimTime served = rounded_up(nonposted_end_) + on_the_way;
  const FineTime sent =
      down_.reserve(fine(first_ready), tlps.completions * completion_overhead_ + tlps.words);
  const SimTime complete = rounded_up(sent) + params_.propagation;
  tags_.take_of_plenty(tlps.count);
  tags_.give_back(complete, tlps.count);
  completion_space_.take_of_plenty(tlps.completions, units(tlps.words));
  completion_space_.give_back(complete, tlps.completions, units(tlps.words));
  nonposted_credits_.take_of_plenty(tlps.count);
  nonposted_credits_.give_back(served + params_.credit_return, tlps.count);
  return {served + params_.memory.low, complete};
}

LinkTiming::Piece LinkTiming::read_piece(FineTime earliest, std::uint64_t addr, std::uint32_t len,
                                         const Request& request) {
  LinkStatistics::Stalls& stalls = statistics_.stalls;
  const std::uint32_t completions = completions_of(addr, len);
  const std::uint32_t data = in_words(addr, len);
  FineTime start = std::max(earliest, nonposted_end_);
  const auto wait_for = [&](LinkLedger& ledger, SimTime& stall, std::uint32_t a, std::uint32_t b) {
    const SimTime granted = ledger.take({start.ps}, a, b);
    stall.ps += granted.ps - start.ps;
    start = std::max(start, fine(granted));
  };
  wait_for(tags_, stalls.tags, 1, 0);
  wait_for(completion_space_, stalls.completion_space, completions, units(data));
  wait_for(nonposted_credits_, stalls.nonposted_credits, 1, 0);
  nonposted_end_ = up_.reserve(start, request.overhead);

  const SimTime served = std::max(enter_root_complex(nonposted_end_, addr), written_);
  nonposted_credits_.give_back(served + params_.credit_return, 1);
  const SimTime started = reads_in_service_.take(served, 1);
  const SimTime ready = request.unmapped ? started : started + memory_latency();
  reads_in_service_.give_back(ready, 1);

  FineTime sent = fine(ready);
  if (!completions_pass())
    for (const Sent& write : cpu_writes_)
      if (write.entered <= ready) sent = std::max(sent, write.end);
  const std::uint32_t wire =
      request.unmapped ? completion_overhead_ : completions * completion_overhead_ + data;
  const SimTime complete = rounded_up(down_.reserve(sent, wire)) + params_.propagation;
  tags_.give_back(complete, 1);
  completion_space_.give_back(complete, completions, units(data));
  return {ready, complete};
}

// --- what the CPU sends --------------------------------------------------------------------------

LinkTiming::Write LinkTiming::cpu_write(SimTime now, std::uint64_t addr, std::uint32_t len) {
  if (len == 0) throw std::invalid_argument("a write on a PCI Express link has no bytes");
  const std::uint32_t overhead = request_overhead(addr + (len - 1));
  const std::uint32_t patience = completion_overhead_ + completion_size_;
  FineTime end = std::max(cpu_posted_end_, fine(now));
  SimTime accepted = now;
  for_each_piece(addr, len, params_.max_payload, [&](std::uint64_t at, std::uint32_t part) {
    const std::uint32_t bytes = in_words(at, part);
    const SimTime granted = cpu_posted_credits_.take({end.ps}, 1, units(bytes));
    if (granted.ps > end.ps) accepted = granted;
    end = down_.reserve_soon(std::max(end, fine(granted)), overhead + bytes, patience);
    const SimTime arrived = rounded_up(end) + params_.propagation;
    cpu_posted_credits_.give_back(arrived + params_.credit_return, 1, units(bytes));
    count(LinkDirection::downstream, TlpKind::memory_write, 1, bytes, overhead, unknown_access);
  });
  statistics_.stalls.cpu_credits.ps += (accepted - now).ps;
  cpu_posted_end_ = end;
  const SimTime arrived = rounded_up(end) + params_.propagation;
  cpu_writes_.push_back({now, end, arrived});
  return {accepted, arrived};
}

SimTime LinkTiming::cpu_read(SimTime now, std::uint64_t addr, std::uint32_t len) {
  if (len == 0) throw std::invalid_argument("a read on a PCI Express link has no bytes");
  advance(now);
  const std::uint32_t overhead = request_overhead(addr + (len - 1));
  FineTime end = std::max({cpu_posted_end_, cpu_nonposted_end_, fine(now)});
  for_each_piece(addr, len, params_.max_read_request, [&](std::uint64_t, std::uint32_t) {
    const SimTime granted = cpu_nonposted_credits_.take({end.ps}, 1);
    statistics_.stalls.cpu_credits.ps += granted.ps - end.ps;
    end = down_.reserve_soon(std::max(end, fine(granted)), overhead,
                             completion_overhead_ + completion_size_);
    cpu_nonposted_credits_.give_back(rounded_up(end) + params_.propagation + params_.credit_return,
                                     1);
    count(LinkDirection::downstream, TlpKind::memory_read, 1, 0, overhead, unknown_access);
  });
  cpu_nonposted_end_ = end;
  return rounded_up(end) + params_.propagation;
}

SimTime LinkTiming::cpu_config(SimTime now, std::uint32_t len, bool write) {
  advance(now);
  const std::uint32_t overhead = request_overhead(0);
  const std::uint32_t tlps = std::max(1u, (len + 3) / 4); // one register each
  FineTime end = std::max({cpu_posted_end_, cpu_nonposted_end_, fine(now)});
  for (std::uint32_t i = 0; i < tlps; ++i) {
    const SimTime granted = cpu_nonposted_credits_.take({end.ps}, 1, write);
    statistics_.stalls.cpu_credits.ps += granted.ps - end.ps;
    end = down_.reserve_soon(std::max(end, fine(granted)), overhead + (write ? 4 : 0),
                             completion_overhead_ + completion_size_);
    cpu_nonposted_credits_.give_back(rounded_up(end) + params_.propagation + params_.credit_return,
                                     1, write);
  }
  count(LinkDirection::downstream, write ? TlpKind::config_write : TlpKind::config_read, tlps,
        write ? 4ull * tlps : 0, overhead, unknown_access);
  cpu_nonposted_end_ = end;
  return rounded_up(end) + params_.propagation;
}

SimTime LinkTiming::complete_cpu(SimTime now, std::uint32_t len) {
  advance(now);
  const std::uint32_t data = (len + 3) & ~3u;
  const std::uint32_t tlps = std::max(1u, (data + params_.max_payload - 1) / params_.max_payload);
  FineTime earliest = fine(now);
  if (!completions_pass()) earliest = std::max(earliest, posted_end_);
  const FineTime end = up_.reserve(earliest, tlps * completion_overhead_ + data);
  count(LinkDirection::upstream, len ? TlpKind::completion_data : TlpKind::completion, tlps, data,
        completion_overhead_, unknown_access);
  const SimTime there = rounded_up(end) + params_.propagation + params_.root_complex;
  return completions_pass() ? there : std::max(there, written_);
}

SimTime LinkTiming::behind_cpu_writes(SimTime now, SimTime sampled) const {
  if (completions_pass()) return now;
  SimTime when = now;
  for (const Sent& sent : cpu_writes_)
    if (sent.entered <= sampled) when = std::max(when, sent.arrived + SimTime{1});
  return when;
}

} // namespace virtio::tlm2
