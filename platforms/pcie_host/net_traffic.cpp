#include <virtio/platforms/pcie_host/net_traffic.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace virtio::platform::pcie_host {

namespace {

constexpr net::MacAddress far_end_mac{0x52, 0x55, 0x0a, 0x00, 0x02, 0x02};

std::uint64_t hash(net::Frame frame) {
  std::uint64_t state = frame.size();
  const auto add = [&state](const std::byte* at, std::size_t bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, bytes);
    state = (state ^ word) * 0x9fb2'1c65'1e98'df25;
    state ^= state >> 32;
  };
  const std::size_t tail = frame.size() % sizeof(std::uint64_t);
  const std::byte* at = frame.data();
  for (const std::byte* const end = at + frame.size() - tail; at < end; at += sizeof(std::uint64_t))
    add(at, sizeof(std::uint64_t)); // a load, as the size is known
  if (tail > 0) add(at, tail);
  return state;
}

} // namespace

void FramesUnderWay::add(net::Frame frame, SimTime time) {
  times_[hash(frame)].push_back(time);
  ++added_;
}

std::optional<SimTime> FramesUnderWay::take(net::Frame frame) {
  const auto found = times_.find(hash(frame));
  if (found == times_.end()) return std::nullopt;
  const SimTime time = found->second.front();
  found->second.erase(found->second.begin());
  if (found->second.empty()) times_.erase(found);
  ++taken_;
  return time;
}

Frames::Flow flow_of_pair(unsigned pair, bool from_driver, const net::MacAddress& device) {
  Frames::Flow flow{device,
                    far_end_mac,
                    static_cast<std::uint16_t>(6000 + pair),
                    static_cast<std::uint16_t>(5000 + pair),
                    net::ipv4(10, 0, 2, 15),
                    net::ipv4(10, 0, 2, 2)};
  if (from_driver) return flow;
  std::swap(flow.source, flow.destination);
  std::swap(flow.source_port, flow.destination_port);
  std::swap(flow.source_ip, flow.destination_ip);
  return flow;
}

// --- the far end
// ----------------------------------------------------------------------------------

FarEnd::FarEnd(const FarEndParams& params, const std::vector<RecordedFrame>& recorded)
    : params_(params),
      frames_(params.config, recorded, Random(params.seed, params.name + ".wire.frames")) {
  if (params.rate)
    arrivals_.emplace(*params.rate, 1, params.arrival == Arrival::poisson,
                      Random(params.seed, params.name + ".wire.arrivals"));
}

void FarEnd::connect(net::FrameSink& device, Executor& executor) {
  net::Wire::connect(device, executor);
  scope_.emplace(executor, params_.name + ".wire");
}

void FarEnd::transmit(net::Frame frame) {
  wire_bytes_received_ += frame.size() + wire_overhead;
  if (!from_driver_.take(frame) && !complaint_)
    complaint_ = fmt::format("{}: a frame of {} bytes left the device that the driver had not sent",
                             params_.name, frame.size());
}

void FarEnd::start(const net::MacAddress& device) {
  device_mac_ = device;
  if (params_.config.direction == Direction::transmit) return;
  sending_ = true;
  scope_->start([this] { return send(); });
}

void FarEnd::stop() {
  sending_ = false;
  scope_->cancel();
}

SimTime FarEnd::wire_time(std::uint64_t bytes) const {
  const auto bits = static_cast<Wide>(bytes + wire_overhead) * 8;
  return {static_cast<std::uint64_t>(bits * 1'000'000'000'000 /
                                     params_.config.wire_rate.bits_per_second)};
}

/// Frames arrive whole: a frame is at the device when its last bit is.
Task<> FarEnd::send() {
  SimTime free = executor().now();
  SimTime arrival = free;
  SimTime lap = free; // recorded: when the file's first frame came
  std::vector<std::byte> frame;
  for (std::uint64_t number = 0; sending_; ++number) {
    const auto pair = static_cast<unsigned>(number % params_.pairs);
    frames_.next(flow_of_pair(pair, false, device_mac_), frame);
    if (arrivals_) {
      arrival = arrival + SimTime{arrivals_->next()};
    } else if (params_.arrival == Arrival::recorded) {
      if (frames_.latest().offset.ps == 0) lap = free;
      arrival = lap + frames_.latest().offset;
    }
    const SimTime end = std::max(arrival, free) + wire_time(frame.size());
    free = end;
    if (!co_await delay(*scope_, end - executor().now())) break;
    wire_bytes_sent_ += frame.size() + wire_overhead;
    to_driver_.add(frame, end);
    deliver(frame);
  }
}

// --- the driver's side
// ----------------------------------------------------------------------------

TransmitTraffic::TransmitTraffic(std::uint16_t depth, Frames frames, const Frames::Flow& flow,
                                 FarEnd& far_end, HostMemory memory, driver::Arena& arena)
    : frames_(std::move(frames)), flow_(flow), far_end_(far_end), memory_(memory) {
  const std::uint64_t room = sizeof(net::virtio_net_hdr) + frames_.largest_bytes();
  for (unsigned i = 0; i < depth; ++i)
    slots_.push_back({arena.take(room, 64), 0, false});
}

std::span<const driver::Buffer> TransmitTraffic::prepare(unsigned index) {
  driver::Buffer& slot = slots_[index];
  frames_.next(flow_, frame_);
  std::memset(memory_.at(slot.addr), 0, sizeof(net::virtio_net_hdr));
  std::memcpy(memory_.at(slot.addr) + sizeof(net::virtio_net_hdr), frame_.data(), frame_.size());
  slot.len = static_cast<std::uint32_t>(sizeof(net::virtio_net_hdr) + frame_.size());
  far_end_.from_driver().add(frame_, far_end_.now());
  return {&slot, 1};
}

Traffic::Finished TransmitTraffic::finish(unsigned index, std::uint32_t written) {
  if (written != 0)
    throw WrongData(fmt::format("a transmitted buffer came back with {} bytes written", written));
  return {RequestKind::transmit, slots_[index].len - sizeof(net::virtio_net_hdr), std::nullopt};
}

ReceiveTraffic::ReceiveTraffic(std::uint16_t depth, std::uint64_t largest, FarEnd& far_end,
                               std::function<std::uint64_t()> dropped, HostMemory memory,
                               driver::Arena& arena)
    : far_end_(far_end), dropped_(std::move(dropped)), memory_(memory) {
  const auto room = static_cast<std::uint32_t>(sizeof(net::virtio_net_hdr) + largest);
  for (unsigned i = 0; i < depth; ++i)
    slots_.push_back({arena.take(room, 64), room, true});
}

std::span<const driver::Buffer> ReceiveTraffic::prepare(unsigned index) {
  std::memset(memory_.at(slots_[index].addr), 0xee, sizeof(net::virtio_net_hdr) + 8);
  return {&slots_[index], 1};
}

Traffic::Finished ReceiveTraffic::finish(unsigned index, std::uint32_t written) {
  if (written < sizeof(net::virtio_net_hdr) || written > slots_[index].len)
    throw WrongData(fmt::format("a receive buffer of {} bytes came back with {} bytes written",
                                slots_[index].len, written));
  const net::Frame frame(memory_.at(slots_[index].addr) + sizeof(net::virtio_net_hdr),
                         written - sizeof(net::virtio_net_hdr));
  const auto time = far_end_.to_driver().take(frame);
  if (!time)
    throw WrongData(fmt::format("a frame of {} bytes was received that the far end had not sent",
                                frame.size()));
  return {RequestKind::receive, frame.size(), time};
}

bool ReceiveTraffic::awaits() const {
  const FramesUnderWay& frames = far_end_.to_driver();
  return frames.added() != frames.taken() + dropped_();
}

} // namespace virtio::platform::pcie_host
