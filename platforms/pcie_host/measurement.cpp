#include <virtio/platforms/pcie_host/measurement.hpp>

#include <algorithm>

namespace virtio::platform::pcie_host {

const char* to_string(RequestKind kind) {
  constexpr std::array names{"read", "write", "transmit", "receive"};
  return names[static_cast<std::size_t>(kind)];
}

void Figures::add(const Timeline& times, std::uint64_t length) {
  ++requests;
  bytes += length;
  latency.add(times.latency());
  const auto parts = times.by_stage();
  for (std::size_t i = 0; i < stages; ++i)
    stage[i].add(parts[i]);
}

void Figures::add(const Figures& other) {
  requests += other.requests;
  bytes += other.bytes;
  latency.add(other.latency);
  for (std::size_t i = 0; i < stages; ++i)
    stage[i].add(other.stage[i]);
}

void Measurement::begin(SimTime now) {
  start_ = now + extent_.warm_up;
  if (extent_.duration) end_ = start_ + *extent_.duration;
}

void Measurement::finished(std::uint16_t queue, RequestKind kind, std::uint64_t bytes,
                           const Timeline& times) {
  ++all_finished_;
  const std::uint64_t done = times.at(Point::done);
  cover(times.at(Point::start), done);
  const auto [fastest, first] = fastest_.try_emplace({queue, kind}, times.latency());
  if (!first) fastest->second = std::min(fastest->second, times.latency());
  if (done < start_.ps || (end_ && done > end_->ps)) return;
  if (extent_.requests && counted_ == *extent_.requests) return;
  figures_[{queue, kind}].add(times, bytes);
  if (++counted_ != extent_.requests) return;
  end_ = SimTime{done};
  if (on_end) on_end();
}

void Measurement::never_started(SimTime arrival) {
  if (end_) cover(arrival.ps, end_->ps);
}

void Measurement::cover(std::uint64_t from, std::uint64_t to) {
  from = std::max(from, start_.ps);
  if (end_) to = std::min(to, end_->ps);
  if (from < to) area_ += to - from;
}

Figures Measurement::total() const {
  Figures sum;
  for (const auto& [key, figures] : figures_)
    sum.add(figures);
  return sum;
}

std::uint64_t Measurement::unloaded_mean() const {
  Wide sum = 0;
  std::uint64_t requests = 0;
  for (const auto& [key, figures] : figures_) {
    sum += Wide{fastest_.at(key)} * figures.requests;
    requests += figures.requests;
  }
  return requests == 0 ? 0 : static_cast<std::uint64_t>(sum / requests);
}

} // namespace virtio::platform::pcie_host
