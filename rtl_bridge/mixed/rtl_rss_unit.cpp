#include <virtio/rtl/mixed/rtl_rss_unit.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace virtio::rtl {

using cosim::rss::Inputs;
using cosim::rss::Outputs;

RtlRssUnit::RtlRssUnit(std::unique_ptr<cosim::rss::Dut> dut, std::size_t max_table_length)
    : dut_(std::move(dut)), params_(dut_->params()), model_(cosim::rss::first_setup(params_)),
      beat_(params_.beat_bytes) {
  if (max_table_length > params_.table_entries)
    throw std::invalid_argument(
        fmt::format("the RSS block's indirection table has {} entries, and the device offers {}: "
                    "rss.table_length = {}",
                    params_.table_entries, max_table_length, params_.table_entries));
  for (int i = 0; i < 3; ++i)
    cycle({.reset = true});
  configure({});
}

Outputs RtlRssUnit::cycle(const Inputs& inputs) {
  ++cycle_;
  const Outputs outputs = dut_->cycle(inputs);
  if (problem_.empty() && dut_->failed_assertions() != 0)
    problem_ = fmt::format("an assertion of the RSS block does not hold in cycle {}", cycle_);
  return outputs;
}

bool RtlRssUnit::hangs(std::uint64_t since, const char* what) {
  if (cycle_ - since <= hang_cycles) return false;
  if (problem_.empty())
    problem_ = fmt::format("the RSS block hangs: {} for {} cycles, after {} packets", what,
                           hang_cycles, packets_);
  return true;
}

void RtlRssUnit::configure(const net::RssUnitSetup& setup) {
  RssSetup wanted = model_.setup();
  wanted.rules = setup.rules;
  wanted.rules.parse.max_parse_bytes =
      std::min(setup.rules.parse.max_parse_bytes, params_.max_parse_bytes);
  wanted.key = setup.key;
  // A shorter table is the longer one that repeats it.
  for (std::size_t i = 0; i < wanted.table.size(); ++i)
    wanted.table[i] = setup.table[i % setup.table.size()];
  wanted.unclassified_queue = setup.unclassified;
  const cosim::rss::ConfigItem writes = cosim::rss::writes_of(wanted);
  model_.configure(std::move(wanted));
  const std::uint64_t since = cycle_;
  for (std::size_t i = 0; i < writes.size();) {
    const Outputs out = cycle({.config_valid = true,
                               .config_last = i + 1 == writes.size(),
                               .config_address = writes[i].address,
                               .config_data = writes[i].data});
    i += out.config_ready;
    if (hangs(since, "a change of its configuration is not taken")) return;
  }
}

net::RssUnit::Verdict RtlRssUnit::judge(net::Frame packet) {
  const RssResult right = model_.result(packet);
  RssResult result = right;
  const std::uint64_t since = cycle_;
  std::size_t at = 0;
  for (bool told = packet.empty(); !told && !hangs(since, "a packet has no result");) {
    Inputs in{.result_ready = true};
    if (const std::size_t left = packet.size() - at; left != 0) {
      const std::size_t bytes = std::min<std::size_t>(left, params_.beat_bytes);
      std::ranges::fill(beat_, std::byte{});
      std::ranges::copy(packet.subspan(at, bytes), beat_.begin());
      in.packet_valid = true;
      in.packet_last = bytes == left;
      in.packet_keep = bytes >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bytes) - 1;
      in.packet_data = beat_.data();
    }
    const Outputs out = cycle(in);
    if (in.packet_valid && out.packet_ready)
      at += std::min<std::size_t>(packet.size() - at, params_.beat_bytes);
    told = out.result_valid;
    if (told) result = out.result;
  }
  ++packets_;
  if (problem_.empty() && !(result == right))
    problem_ = fmt::format("the RSS block says of packet {}, in cycle {}: {}, and right is {}",
                           packets_ - 1, cycle_, to_text(result), to_text(right));
  return {{result.hash, net::HashReport{result.report}, net::TunnelReport{result.tunnel}},
          result.queue};
}

} // namespace virtio::rtl
