#include <virtio/rtl/bus/axi4_checker.hpp>
#include <virtio/rtl/bus/axi4_initiator.hpp>

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace virtio::rtl::bus {

Axi4Initiator::Axi4Initiator(const Params& params) : params_(params) {
  if (!std::has_single_bit(params.bus_bytes) || params.bus_bytes > axi_max_bytes)
    throw std::invalid_argument("bus_bytes is to be a power of two up to 64");
  if (params.ids == 0 || params.max_beats == 0 || params.max_beats > 256 || params.outstanding == 0)
    throw std::invalid_argument("ids and outstanding must not be 0, max_beats is 1..256");
  if (params.profile.ready_percent == 0 || params.profile.valid_percent == 0)
    throw std::invalid_argument("ready_percent and valid_percent must not be 0");
}

bool Axi4Initiator::chance(std::string_view channel, unsigned percent) const {
  return percent >= 100 || cosim::Choice(params_.profile.seed, channel).chance(cycle_, percent);
}

std::uint8_t Axi4Initiator::size_of(const AxiCall& call) const {
  if (call.size) return *call.size;
  const std::uint64_t last = call.address + call.data.size() - 1;
  std::uint8_t size = 0;
  while ((1u << size) < params_.bus_bytes && call.address >> size != last >> size)
    ++size;
  return size;
}

/// The burst of a call's data from `at` on.
Axi4Initiator::Burst Axi4Initiator::next_burst(const std::shared_ptr<Call>& call,
                                               std::size_t at) const {
  const AxiCall& c = call->call;
  Burst burst{.call = call, .at = at, .length = c.data.size() - at};
  AxiAddress& request = burst.request;
  request.valid = true;
  request.addr = c.address + at;
  request.size = size_of(c);
  request.burst = c.burst;
  request.prot = c.prot;
  const std::uint64_t bytes = 1ull << request.size;
  if (c.burst == AxiBurst::incr) {
    const std::uint64_t skipped = request.addr & (bytes - 1);
    burst.length = std::min({burst.length, std::size_t{4096 - (request.addr & 0xfff)},
                             std::size_t{params_.max_beats * bytes - skipped}});
    request.len = static_cast<std::uint8_t>((skipped + burst.length + bytes - 1) / bytes - 1);
  } else {
    const std::uint64_t count = burst.length / bytes;
    if (burst.length % bytes || request.addr % bytes || count > 16 || count == 0)
      throw std::invalid_argument("a FIXED or WRAP call is 1..16 aligned, whole beats");
    request.len = static_cast<std::uint8_t>(count - 1);
  }
  if (broken_by_request(request, params_.bus_bytes))
    throw std::invalid_argument("this call cannot be an AXI4 burst: mind size and the WRAP rules");
  return burst;
}

void Axi4Initiator::issue(AxiCall call, Done done) {
  if (call.data.empty()) throw std::invalid_argument("an AXI call needs data");
  if (!call.enables.empty() && (!call.write || call.enables.size() != call.data.size()))
    throw std::invalid_argument("enables are for writes, one for each byte");
  const auto shared = std::make_shared<Call>(Call{std::move(call), std::move(done)});
  shared->call.resp = AxiResp::okay;
  const cosim::Choice ids(params_.profile.seed, "id");
  std::vector<Burst> bursts;
  for (std::size_t at = 0; at < shared->call.data.size(); at += bursts.back().length)
    bursts.push_back(next_burst(shared, at));
  shared->bursts = bursts.size();
  ++calls_;
  for (Burst& burst : bursts) {
    burst.request.id = static_cast<std::uint32_t>(ids.below(bursts_made_++, params_.ids));
    if (shared->call.write) write_data_.push_back(burst);
    (shared->call.write ? writes_ : reads_).push_back(std::move(burst));
  }
}

void Axi4Initiator::offer_request(std::deque<Burst>& waiting, AxiAddress& channel,
                                  std::size_t under_way, std::string_view name) {
  if (channel.valid || waiting.empty() || under_way >= params_.outstanding) return;
  if (chance(name, params_.profile.valid_percent)) channel = waiting.front().request;
}

/// Data may be ahead of its request.
void Axi4Initiator::offer_write_data() {
  if (w_.valid || write_data_.empty() || !chance("w-valid", params_.profile.valid_percent)) return;
  Burst& burst = write_data_.front();
  const AxiCall& call = burst.call->call;
  const std::uint32_t length =
      std::min<std::uint32_t>(beat_length(burst.request, burst.beat),
                              static_cast<std::uint32_t>(burst.length - burst.moved));
  const std::uint64_t lane = beat_address(burst.request, burst.beat) % params_.bus_bytes;
  w_ = {};
  w_.valid = true;
  for (std::uint32_t i = 0; i < length; ++i) {
    const std::size_t at = burst.at + burst.moved + i;
    w_.data[lane + i] = call.data[at];
    if (call.enables.empty() || call.enables[at]) w_.strb |= 1ull << (lane + i);
  }
  burst.moved += length;
  w_.last = ++burst.beat == beats(burst.request);
  if (w_.last) write_data_.pop_front();
}

void Axi4Initiator::answered(Call& call, AxiResp resp, bool last) {
  call.call.resp = std::max(call.call.resp, resp);
  if (!last || --call.bursts != 0) return;
  --calls_;
  if (call.done) call.done(call.call);
}

void Axi4Initiator::on_read_beat(const AxiReadData& beat) {
  auto& list = reading_[beat.id];
  if (list.empty()) {
    ++strays_;
    return;
  }
  Burst& burst = list.front();
  const std::uint32_t length =
      std::min<std::uint32_t>(beat_length(burst.request, burst.beat),
                              static_cast<std::uint32_t>(burst.length - burst.moved));
  const std::uint64_t lane = beat_address(burst.request, burst.beat) % params_.bus_bytes;
  std::copy_n(beat.data.begin() + static_cast<std::ptrdiff_t>(lane), length,
              burst.call->call.data.begin() + static_cast<std::ptrdiff_t>(burst.at + burst.moved));
  burst.moved += length;
  const bool last = ++burst.beat == beats(burst.request);
  const auto call = burst.call;
  if (last) {
    list.pop_front();
    --reads_under_way_;
  }
  answered(*call, beat.resp, last);
}

void Axi4Initiator::drive(Axi4Pins& pins) {
  offer_request(writes_, aw_, writes_under_way_, "aw-valid");
  offer_request(reads_, ar_, reads_under_way_, "ar-valid");
  offer_write_data();
  const auto put = [](auto& pin, const auto& value) {
    const bool ready = pin.ready;
    pin = value;
    pin.ready = ready;
  };
  put(pins.aw, aw_);
  put(pins.ar, ar_);
  put(pins.w, w_);
  pins.b.ready = chance("b", params_.profile.ready_percent);
  pins.r.ready = chance("r", params_.profile.ready_percent);
}

void Axi4Initiator::edge(const Axi4Pins& pins) {
  if (aw_.valid && pins.aw.ready) {
    ++writes_under_way_;
    written_[aw_.id].push_back(std::move(writes_.front()));
    writes_.pop_front();
    aw_ = {};
  }
  if (ar_.valid && pins.ar.ready) {
    ++reads_under_way_;
    reading_[ar_.id].push_back(std::move(reads_.front()));
    reads_.pop_front();
    ar_ = {};
  }
  if (w_.valid && pins.w.ready) w_ = {};
  ++cycle_;
  if (pins.r.valid && pins.r.ready) on_read_beat(pins.r);
  if (!pins.b.valid || !pins.b.ready) return;
  auto& list = written_[pins.b.id];
  if (list.empty()) {
    ++strays_;
    return;
  }
  const auto call = list.front().call;
  list.pop_front();
  --writes_under_way_;
  answered(*call, pins.b.resp, true);
}

} // namespace virtio::rtl::bus
