#include <virtio/rtl/bus/axi4_target.hpp>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace virtio::rtl::bus {

bool goes_behind(const AxiAccess& access, const AxiAccess& earlier) {
  if (access.write != earlier.write) return false;
  if (access.id == earlier.id && !(access.modifiable && earlier.modifiable)) return true;
  return access.write && (access.address - earlier.address < earlier.length ||
                          earlier.address - access.address < access.length);
}

Axi4Target::Axi4Target(AxiMemory& memory, const Params& params) : memory_(memory), params_(params) {
  if (!std::has_single_bit(params.bus_bytes) || params.bus_bytes > axi_max_bytes)
    throw std::invalid_argument("bus_bytes is to be a power of two up to 64");
  if (params.outstanding == 0 || params.profile.ready_percent == 0 ||
      params.profile.valid_percent == 0)
    throw std::invalid_argument("outstanding, ready_percent and valid_percent must not be 0");
}

bool Axi4Target::chance(std::string_view channel, unsigned percent) const {
  return percent >= 100 || cosim::Choice(params_.profile.seed, channel).chance(cycle_, percent);
}

Axi4Target::Burst Axi4Target::burst_of(const AxiAddress& request, std::uint64_t n) const {
  Burst burst;
  burst.n = n;
  burst.request = request;
  burst.refused = broken_by_request(request, params_.bus_bytes) != nullptr;
  return burst;
}

/// One access for beats that follow each other.
void Axi4Target::split(Burst& burst, bool write) {
  for (std::uint32_t n = 0; n < beats(burst.request); ++n) {
    const std::uint64_t address = beat_address(burst.request, n);
    const std::uint32_t length = beat_length(burst.request, n);
    auto& list = burst.accesses;
    if (burst.request.burst == AxiBurst::fixed || list.empty() ||
        list.back().address + list.back().length != address)
      list.push_back({.tag = next_tag_++,
                      .write = write,
                      .address = address,
                      .data = {},
                      .enables = {},
                      .id = burst.request.id,
                      .modifiable = (burst.request.cache & 2) != 0});
    list.back().length += length;
  }
}

void Axi4Target::begin(Burst& burst) {
  const unsigned delay = params_.profile.delay;
  const bool write = !burst.accesses.empty() && burst.accesses[0].write;
  burst.due = cycle_ + 1;
  if (delay)
    burst.due += cosim::Choice(params_.profile.seed, write ? "write-delay" : "read-delay")
                     .below(burst.n, delay + 1);
  burst.pending = burst.accesses.size();
  const auto accesses = burst.accesses; // a burst may be answered within begin()
  for (const AxiAccess& access : accesses)
    memory_.begin(access);
}

void Axi4Target::take_write_beat(Burst& burst, const AxiWriteData& beat) {
  if (!burst.refused) {
    std::uint64_t address = beat_address(burst.request, burst.beat);
    const std::uint32_t length = beat_length(burst.request, burst.beat);
    std::size_t at = burst.at;
    auto access = burst.accesses.begin();
    for (; at >= access->length; ++access)
      at -= access->length;
    for (std::uint32_t i = 0; i < length; ++i, ++address) {
      const std::size_t lane = address % params_.bus_bytes;
      access->data.push_back(beat.data[lane]);
      access->enables.push_back(beat.strb >> lane & 1 ? 0xff : 0);
    }
    burst.at += length;
  }
  ++burst.beat;
}

void Axi4Target::on_write_beats() {
  while (!receiving_.empty() && !write_beats_.empty()) {
    Burst& burst = receiving_.front();
    take_write_beat(burst, write_beats_.front());
    write_beats_.pop_front();
    if (burst.beat != beats(burst.request)) continue;
    auto& list = writes_[burst.request.id];
    list.push_back(std::move(burst));
    receiving_.pop_front();
    begin(list.back());
  }
}

bool Axi4Target::answer(ById& bursts, std::uint64_t tag, std::span<const std::byte> data,
                        AxiResp resp) {
  for (auto& [id, list] : bursts)
    for (Burst& burst : list) {
      std::size_t at = 0;
      for (const AxiAccess& access : burst.accesses) {
        if (access.tag == tag && burst.pending != 0) {
          --burst.pending;
          burst.resp = std::max(burst.resp, resp);
          const std::size_t length = std::min(data.size(), access.length);
          if (!access.write)
            std::copy_n(data.begin(), length, burst.data.begin() + static_cast<std::ptrdiff_t>(at));
          return true;
        }
        at += access.length;
      }
    }
  return false;
}

void Axi4Target::complete(std::uint64_t tag, std::span<const std::byte> data, AxiResp resp) {
  if (!answer(writes_, tag, data, resp) && !answer(reads_, tag, data, resp))
    throw std::invalid_argument("complete() is for an access that begin() brought, once");
}

bool Axi4Target::idle() const {
  return writes_under_way_ == 0 && reads_under_way_ == 0 && write_beats_.empty();
}

/// The id whose oldest burst may answer: the one whose burst came first, or any.
std::optional<std::uint32_t> Axi4Target::choose(const ById& bursts,
                                                std::string_view channel) const {
  std::vector<const Burst*> ready;
  const Burst* oldest = nullptr;
  for (const auto& [id, list] : bursts) {
    if (list.empty()) continue;
    const Burst& first = list.front();
    if (!oldest || first.n < oldest->n) oldest = &first;
    if (first.pending == 0 && cycle_ >= first.due) ready.push_back(&first);
  }
  if (ready.empty()) return std::nullopt;
  if (params_.profile.reorder)
    return ready[cosim::Choice(params_.profile.seed, channel).below(cycle_, ready.size())]
        ->request.id;
  const bool turn = std::ranges::find(ready, oldest) != ready.end();
  return turn ? std::optional(oldest->request.id) : std::nullopt;
}

void Axi4Target::offer_read() {
  if (!reading_) reading_ = choose(reads_, "read-order");
  if (!reading_) return;
  Burst& burst = reads_[*reading_].front();
  const std::uint32_t length = beat_length(burst.request, burst.beat);
  const std::uint64_t first = beat_address(burst.request, burst.beat) % params_.bus_bytes;
  r_ = {.valid = true, .id = burst.request.id, .data = {}, .resp = burst.resp};
  if (!burst.refused)
    std::copy_n(burst.data.begin() + static_cast<std::ptrdiff_t>(burst.at), length,
                r_.data.begin() + static_cast<std::ptrdiff_t>(first));
  burst.at += length;
  r_.last = ++burst.beat == beats(burst.request);
  if (r_.last) reads_[*reading_].pop_front();
  if (r_.last || params_.profile.interleave) reading_.reset();
}

void Axi4Target::drive(Axi4Pins& pins) {
  const AxiProfile& profile = params_.profile;
  if (!b_.valid && chance("b-valid", profile.valid_percent))
    if (const auto id = choose(writes_, "write-order")) {
      b_ = {.valid = true, .id = *id, .resp = writes_[*id].front().resp};
      writes_[*id].pop_front();
    }
  if (!r_.valid && chance("r-valid", profile.valid_percent)) offer_read();
  pins.aw.ready = writes_under_way_ < params_.outstanding && chance("aw", profile.ready_percent);
  pins.ar.ready = reads_under_way_ < params_.outstanding && chance("ar", profile.ready_percent);
  pins.w.ready = write_beats_.size() < 2 && chance("w", profile.ready_percent);
  const bool b_ready = pins.b.ready;
  const bool r_ready = pins.r.ready;
  pins.b = b_;
  pins.r = r_;
  pins.b.ready = b_ready;
  pins.r.ready = r_ready;
}

void Axi4Target::edge(const Axi4Pins& pins) {
  if (b_.valid && pins.b.ready) {
    b_ = {};
    --writes_under_way_;
  }
  if (r_.valid && pins.r.ready) {
    if (r_.last) --reads_under_way_;
    r_ = {};
  }
  if (pins.aw.valid && pins.aw.ready) {
    ++writes_under_way_;
    receiving_.push_back(burst_of(pins.aw, writes_begun_++));
    Burst& burst = receiving_.back();
    burst.resp = burst.refused ? AxiResp::slverr : AxiResp::okay;
    if (!burst.refused) split(burst, true);
  }
  if (pins.w.valid && pins.w.ready) write_beats_.push_back(pins.w);
  on_write_beats();
  if (pins.ar.valid && pins.ar.ready) {
    ++reads_under_way_;
    auto& list = reads_[pins.ar.id];
    list.push_back(burst_of(pins.ar, reads_begun_++));
    Burst& burst = list.back();
    burst.resp = burst.refused ? AxiResp::slverr : AxiResp::okay;
    if (!burst.refused) split(burst, false);
    std::size_t length = 0;
    for (const AxiAccess& access : burst.accesses)
      length += access.length;
    burst.data.resize(length);
    begin(burst);
  }
  ++cycle_;
}

} // namespace virtio::rtl::bus
