#include <virtio/platforms/program/link_traffic.hpp>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

namespace virtio::platform {

namespace {

using tlm2::LinkDirection;
using tlm2::LinkTiming;

class Traffic {
public:
  Traffic(const tlm2::PcieLinkParams& params, const LinkTraffic& traffic)
      : link_(params), traffic_(traffic), stride_(std::bit_ceil(traffic.size)) {}

  /// Sends so many requests (pairs of them for readwrite), each when the one before was accepted.
  void send(std::uint64_t requests) {
    for (std::uint64_t i = 0; i < requests; ++i) {
      const std::uint64_t place = next_++ * stride_ % std::max(traffic_.window, stride_);
      const std::uint64_t addr = traffic_.base + place + traffic_.offset;
      if (traffic_.operation != LinkOperation::write) {
        const auto read = link_.device_read(now_, addr, traffic_.size);
        sent(read.accepted, read.complete);
      }
      if (traffic_.operation != LinkOperation::read) {
        const auto write = link_.device_write(now_, addr, traffic_.size);
        sent(write.accepted, write.arrived);
      }
    }
  }

  LinkTiming& link() { return link_; }
  SimTime last_end() const { return last_end_; }
  double mean_latency_ns() const { return static_cast<double>(latency_) / 1e3 / samples_; }
  void forget_latency() { latency_ = samples_ = 0; }

private:
  void sent(SimTime accepted, SimTime end) {
    now_ = std::max(now_, accepted);
    last_end_ = std::max(last_end_, end);
    latency_ += (end - accepted).ps;
    ++samples_;
  }

  LinkTiming link_;
  LinkTraffic traffic_;
  std::uint64_t stride_; // no request crosses 4 KiB that need not
  std::uint64_t next_ = 0;
  SimTime now_{};
  SimTime last_end_{};
  std::uint64_t latency_ = 0; // ps, summed up
  std::uint64_t samples_ = 0;
};

std::string bound_by(const LinkRate& rate, const tlm2::LinkStatistics::Stalls& stalls) {
  constexpr double saturated = 0.99;
  if (std::max(rate.upstream_busy, rate.downstream_busy) >= saturated)
    return rate.upstream_busy > rate.downstream_busy ? "upstream wire" : "downstream wire";
  const std::vector<std::pair<SimTime, const char*>> reasons = {
      {stalls.tags, "tags"},
      {stalls.completion_space, "completion space"},
      {stalls.posted_credits, "posted credits"},
      {stalls.nonposted_credits, "non-posted credits"},
  };
  const auto worst =
      std::max_element(reasons.begin(), reasons.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
  return worst->first.ps != 0 ? worst->second : "root complex";
}

} // namespace

LinkRate measure(const tlm2::PcieLinkParams& params, const LinkTraffic& traffic) {
  LinkRate rate;
  Traffic one(params, traffic);
  one.send(1);
  rate.unloaded_latency_ns = one.mean_latency_ns();

  Traffic many(params, traffic);
  many.send(traffic.requests);
  const SimTime begin = many.last_end();
  many.link().reset_statistics();
  many.forget_latency();
  many.send(traffic.requests);
  const auto ps = static_cast<double>((many.last_end() - begin).ps);
  const auto count = static_cast<double>(traffic.requests);
  rate.requests_per_second = count * 1e12 / ps;
  rate.effective_gbps = count * traffic.size * 8e3 / ps;
  const auto busy = [&](LinkDirection direction) {
    return static_cast<double>(many.link().busy(direction).ps) / ps;
  };
  rate.upstream_busy = busy(LinkDirection::upstream);
  rate.downstream_busy = busy(LinkDirection::downstream);
  rate.latency_ns = many.mean_latency_ns();
  rate.bound_by = bound_by(rate, many.link().statistics().stalls);
  return rate;
}

} // namespace virtio::platform
