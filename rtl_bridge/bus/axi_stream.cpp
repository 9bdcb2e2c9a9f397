#include <virtio/rtl/bus/axi_stream.hpp>

#include <algorithm>
#include <stdexcept>

namespace virtio::rtl::bus {

namespace {

AxiStreamParams checked(const AxiStreamParams& params) {
  if (params.bus_bytes == 0 || params.bus_bytes > axi_max_bytes)
    throw std::invalid_argument("bus_bytes of a stream is 1..64");
  if (params.profile.ready_percent == 0 || params.profile.valid_percent == 0)
    throw std::invalid_argument("ready_percent and valid_percent must not be 0");
  return params;
}

} // namespace

AxiStreamSource::AxiStreamSource(const AxiStreamParams& params) : params_(checked(params)) {}

void AxiStreamSource::send(AxiPacket packet) {
  if (packet.empty()) throw std::invalid_argument("a packet of AXI4-Stream needs a byte at least");
  packets_.push_back(std::move(packet));
}

void AxiStreamSource::drive(AxiStreamPins& pins) {
  const cosim::Choice gaps(params_.profile.seed, "stream-valid");
  if (!pins_.valid && !packets_.empty() && gaps.chance(cycle_, params_.profile.valid_percent)) {
    const AxiPacket& packet = packets_.front();
    const std::size_t length = std::min(params_.bus_bytes, packet.size() - at_);
    pins_ = {};
    pins_.valid = true;
    pins_.keep = length == 64 ? ~0ull : (1ull << length) - 1;
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at_), length, pins_.data.begin());
    at_ += length;
    pins_.last = at_ == packet.size();
    if (pins_.last) {
      packets_.pop_front();
      at_ = 0;
    }
  }
  const bool ready = pins.ready;
  pins = pins_;
  pins.ready = ready;
}

void AxiStreamSource::edge(const AxiStreamPins& pins) {
  ++cycle_;
  if (pins_.valid && pins.ready) pins_ = {};
}

AxiStreamSink::AxiStreamSink(const AxiStreamParams& params, Take take)
    : params_(checked(params)), take_(std::move(take)) {}

void AxiStreamSink::drive(AxiStreamPins& pins) {
  const cosim::Choice choice(params_.profile.seed, "stream-ready");
  pins.ready = choice.chance(cycle_, params_.profile.ready_percent);
}

void AxiStreamSink::edge(const AxiStreamPins& pins) {
  ++cycle_;
  if (!pins.valid || !pins.ready) return;
  for (std::size_t i = 0; i < params_.bus_bytes; ++i)
    if (pins.keep >> i & 1) packet_.push_back(pins.data[i]);
  if (!pins.last) return;
  take_(std::move(packet_));
  packet_ = {};
}

} // namespace virtio::rtl::bus
