#include <virtio/rtl/cosim/rss/bench.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace virtio::rtl::cosim::rss {

namespace {

constexpr std::uint64_t reset_cycles = 3;
/// After the last result is due: for one that is too many.
constexpr std::uint64_t rest_cycles = 64;
constexpr std::uint64_t max_config_gap = 20;

std::uint64_t keep_of(std::size_t bytes) {
  return bytes >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bytes) - 1;
}

} // namespace

Bench::Bench(Dut& dut, const Stimulus& stimulus, const BenchOptions& options)
    : dut_(dut), params_(dut.params()), options_(options),
      stalls_(stimulus.number("seed"), "stalls"), stall_percent_(stimulus.number("stall")),
      max_gap_(std::max<std::uint64_t>(stimulus.number("gap", 1), 1)), beat_(params_.beat_bytes),
      config_gaps_(stimulus.number("seed"), "config gaps"),
      config_gap_percent_(stimulus.number("config_gap")),
      change_(writes_of(first_setup(params_), stimulus.number("default_ports") == 0)),
      model_(first_setup(params_)) {
  for (const Item& text : stimulus.items) {
    auto item = parse_item(text);
    if (!item) {
      error_ = item.error();
      return;
    }
    items_.push_back(std::move(*item));
  }
}

void Bench::note(const std::string& what) const {
  if (options_.trace != nullptr) options_.trace->push_back(fmt::format("{:>8}  {}", cycle_, what));
}

/// Items begin in order: a change once the packet before it has begun, a packet once a change
/// before it is offered; the block lets neither overtake the other.
void Bench::load() {
  while (next_ < items_.size()) {
    const RssItem& item = items_[next_];
    const bool change_open = write_ < change_.size();
    if (const auto* const change = std::get_if<ConfigItem>(&item)) {
      if (change_open || (packet_ != nullptr && at_ == 0)) return;
      load(*change);
    } else {
      if (packet_ != nullptr) return;
      load(std::get<PacketItem>(item));
    }
    ++next_;
  }
}

void Bench::load(const PacketItem& packet) {
  if (packet.bytes.empty()) return;
  packet_ = &packet;
  at_ = 0;
  gap_ = packet.gaps == 0 ? 0 : Choice(packet.gaps, "gap").below(0, max_gap_ + 1);
  if (options_.checked) expected_ = model_.result(packet.bytes);
}

void Bench::load(const ConfigItem& change) {
  change_ = change;
  write_ = 0;
  RssSetup setup = model_.setup();
  apply(change, setup);
  model_.configure(std::move(setup));
}

Inputs Bench::inputs() {
  Inputs in{.result_ready = stall_percent_ == 0 || stalls_.below(cycle_, 100) >= stall_percent_};
  if (config_gap_ != 0) {
    --config_gap_;
  } else if (write_ < change_.size()) {
    in.config_valid = true;
    in.config_last = write_ + 1 == change_.size();
    in.config_address = change_[write_].address;
    in.config_data = change_[write_].data;
  }
  if (packet_ == nullptr) return in;
  if (gap_ != 0) {
    --gap_;
    return in;
  }
  const std::size_t left = packet_->bytes.size() - at_;
  in.packet_valid = true;
  in.packet_last = left <= params_.beat_bytes;
  in.packet_keep = keep_of(in.packet_last ? left : params_.beat_bytes);
  in.packet_data = packet_->bytes.data() + at_;
  if (left < params_.beat_bytes) {
    std::memcpy(beat_.data(), in.packet_data, left);
    in.packet_data = beat_.data();
  }
  return in;
}

std::optional<Finding> Bench::check(const Inputs& in, const Outputs& out) {
  bus::StreamBeat beat{in.packet_valid, out.packet_ready, in.packet_last, in.packet_keep, {}};
  if (in.packet_valid) beat.data = {in.packet_data, params_.beat_bytes};
  if (auto broken = packets_.cycle(cycle_, beat)) return broken;
  if (out.result_valid) {
    const RssResult& result = out.result;
    std::memcpy(result_bytes_.data(), &result.hash, 4);
    std::memcpy(result_bytes_.data() + 4, &result.queue, 2);
    const std::uint8_t flags[] = {result.hashed, result.report, result.tunnel, result.drop};
    std::memcpy(result_bytes_.data() + 6, flags, sizeof flags);
  }
  return results_.cycle(
      cycle_, {.valid = out.result_valid, .ready = in.result_ready, .data = result_bytes_});
}

void Bench::took_beat(const Inputs& in) {
  at_ += params_.beat_bytes;
  if (in.packet_last) {
    if (options_.trace != nullptr)
      note(fmt::format("packet of {} bytes, right is {}", packet_->bytes.size(),
                       to_text(expected_)));
    scoreboard_.packet(expected_);
    packet_ = nullptr;
  } else if (packet_->gaps != 0) {
    gap_ = Choice(packet_->gaps, "gap").below(at_, max_gap_ + 1);
  }
}

void Bench::took_config() {
  if (options_.trace != nullptr && !first_change_)
    note(fmt::format("config {:#x} = {:#x}", change_[write_].address, change_[write_].data));
  ++words_;
  if (++write_ == change_.size())
    first_change_ = false;
  else if (config_gaps_.chance(words_, config_gap_percent_))
    config_gap_ = 1 + config_gaps_.below(~words_, max_config_gap);
}

bool Bench::busy() const {
  return packet_ != nullptr || write_ < change_.size() || next_ < items_.size() ||
         scoreboard_.outstanding() != 0;
}

Finding Bench::hang() const {
  std::string owed = fmt::format("no transfer for {} cycles;", options_.hang_cycles);
  if (packet_ != nullptr)
    owed +=
        fmt::format(" packet {} waits at byte {} of {};",
                    scoreboard_.packets() + scoreboard_.outstanding(), at_, packet_->bytes.size());
  if (write_ < change_.size())
    owed += fmt::format(" a change of the configuration waits at its word {} of {};", write_,
                        change_.size());
  owed += fmt::format(" {} packets have no result, the first is packet {}",
                      scoreboard_.outstanding(), scoreboard_.packets());
  return {"RSS-HANG", cycle_, owed};
}

Outcome Bench::run() {
  Outcome outcome;
  std::uint64_t rest = 0;
  for (; cycle_ < reset_cycles; ++cycle_)
    dut_.cycle({.reset = true});
  while (!outcome.finding && rest < rest_cycles) {
    load();
    const Inputs in = inputs();
    const Outputs out = dut_.cycle(in);
    if (options_.checked) outcome.finding = check(in, out);
    const bool taken = in.packet_valid && out.packet_ready;
    const bool configured = in.config_valid && out.config_ready;
    const bool told = out.result_valid && in.result_ready;
    if (taken) took_beat(in);
    if (configured) took_config();
    if (told) {
      if (options_.trace != nullptr) note("result " + to_text(out.result));
      auto broken = scoreboard_.result(cycle_, options_.checked ? out.result : RssResult{});
      if (!outcome.finding) outcome.finding = std::move(broken);
    }
    if (!outcome.finding && options_.checked && dut_.failed_assertions() != 0)
      outcome.finding = Finding{"ASSERT", cycle_, "an assertion; see standard output"};
    quiet_cycles_ =
        taken || configured || told || gap_ != 0 || config_gap_ != 0 ? 0 : quiet_cycles_ + 1;
    rest = busy() ? 0 : rest + 1;
    if (!outcome.finding && quiet_cycles_ > options_.hang_cycles) outcome.finding = hang();
    ++cycle_;
  }
  if (!outcome.finding) outcome.finding = scoreboard_.settle(cycle_);
  if (!outcome.finding) outcome.finding = packets_.end(cycle_);
  outcome.cycles = cycle_;
  outcome.packets = scoreboard_.packets();
  return outcome;
}

} // namespace virtio::rtl::cosim::rss
