#include <virtio/core/chain_io.hpp>
#include <virtio/net/net.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace virtio::net {

namespace {
constexpr std::size_t header_bytes = sizeof(virtio_net_hdr);
/// Without VIRTIO_NET_F_MTU both sides count on frames of at most 1514 bytes (5.1.6.3).
constexpr std::size_t default_mtu = 1500;
} // namespace

Net::Net(const NetParams& params, std::unique_ptr<Wire> wire)
    : params_(params), wire_(std::move(wire)), transmits_(params.transmit_window),
      receives_(params.receive_frames), buffers_(params.queue_size) {
  // 5.1.4.1: mtu MUST be between 68 and 65535.
  if (params.mtu < 68)
    throw std::invalid_argument(fmt::format("net: mtu {} is below 68", params.mtu));
  if (params.transmit_window == 0 || params.receive_frames == 0)
    throw std::invalid_argument("net: transmit_window and receive_frames must be at least 1");
  std::copy(params.mac.begin(), params.mac.end(), config_.mac);
  config_.status = params.link_up ? VIRTIO_NET_S_LINK_UP : std::uint16_t{0};
  config_.mtu = params.mtu;
}

void Net::attach(FunctionHost& host) {
  DeviceFunction::attach(host);
  wire_->connect(*this, host.executor());
}

FeatureSet Net::features() const {
  return {VIRTIO_NET_F_MAC, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS};
}

std::uint32_t Net::window(QueueIndex queue) const {
  return queue == transmitq ? params_.transmit_window : params_.queue_size;
}

std::span<const std::byte> Net::config() const {
  return std::as_bytes(std::span(&config_, 1));
}

void Net::set_link(bool up) {
  if (up == link_up()) return;
  config_.status = static_cast<std::uint16_t>(config_.status ^ VIRTIO_NET_S_LINK_UP);
  host().config_changed();
}

void Net::start(const FeatureSet& negotiated) {
  const bool mtu = negotiated.has(VIRTIO_NET_F_MTU);
  receive_mtu_ = mtu ? params_.mtu : default_mtu;
  // A driver that does not know the MTU may send the usual; up to the MTU, frames MUST be forwarded
  // (5.1.4.1).
  transmit_mtu_ = mtu ? params_.mtu : std::max<std::size_t>(params_.mtu, default_mtu);
  wire_->driver_ready();
}

void Net::reset() {
  receives_.clear();
}

void Net::on_chain(Chain& chain) {
  if (chain.queue == receiveq) {
    buffers_.push(&chain);
    match_buffers();
    return;
  }
  Slot& slot = transmits_.push();
  slot.chain = &chain;
  slot.state = Slot::State::moving;
  start_task(chain, [&] { return read_frame(slot); });
}

// What the function holds of the queue is forgotten. Frames that were under way to the driver's
// buffers wait for new ones.
void Net::on_abort(QueueIndex queue) {
  if (queue == transmitq) {
    transmits_.clear();
    return;
  }
  buffers_.clear();
  matched_ = 0;
}

// --- transmission (5.1.6.2) ---------------------------------------------------------------------

// No offload is offered, so nothing of virtio_net_hdr matters: flags that are not known MUST be
// ignored, and csum_start, csum_offset and hdr_len MUST NOT be relied on. Device-writable buffers
// are left alone.
Task<> Net::read_frame(Slot& slot) {
  const Dma dma = host().dma(transmitq);
  const auto pieces = slot.chain->readable();
  const std::uint64_t len = slot.chain->readable_len;
  slot.bytes.clear();
  if (len <= header_bytes + sizeof(EthernetHeader) + vlan_tag_bytes + transmit_mtu_ && len > 0) {
    slot.bytes.resize(len);
    const DmaStatus status =
        co_await dma.gather(pieces.front(), pieces.subspan(1), slot.bytes.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    slot.state = status == DmaStatus::ok ? Slot::State::moved : Slot::State::failed;
  } else {
    slot.state = Slot::State::moved;
  }
  finish_transmits();
}

/// Sends and returns what was read, in order; a frame that is still being read holds back the later
/// ones. What a frame sets off on the wire may come back here: the outer call then goes on.
void Net::finish_transmits() {
  if (std::exchange(sending_, true)) return;
  const Dma dma = host().dma(transmitq);
  while (!transmits_.empty() && transmits_.front().state != Slot::State::moving) {
    Slot& slot = transmits_.front();
    Chain* const chain = std::exchange(slot.chain, nullptr);
    if (slot.state == Slot::State::failed) {
      // The queue is over until it is reset: this frame stays in front of the later ones.
      if (chain) host().fail(*chain, RingError::data_unreadable);
      break;
    }
    transmits_.pop(); // its slot is not used again before its chain is returned
    send(slot.bytes);
    if (dma.scope().cancelled()) break;
    host().complete(*chain, 0, {.full = true}); // read as far as it will ever be
  }
  sending_ = false;
}

void Net::send(Frame bytes) {
  const Frame frame = bytes.subspan(std::min(bytes.size(), header_bytes));
  if (frame.size() < sizeof(EthernetHeader) ||
      frame.size() > max_frame_bytes(frame, transmit_mtu_)) {
    ++stats_.tx_malformed;
  } else if (!link_up()) {
    ++stats_.tx_no_link;
  } else {
    ++stats_.tx_frames;
    stats_.tx_bytes += frame.size();
    wire_->transmit(frame);
  }
}

// --- reception (5.1.6.3, 5.1.6.4) ---------------------------------------------------------------

void Net::on_frame(Frame frame) {
  if (!host().live() || !link_up()) {
    ++stats_.rx_no_driver;
  } else if (frame.size() < sizeof(EthernetHeader) ||
             frame.size() > max_frame_bytes(frame, receive_mtu_)) {
    ++stats_.rx_malformed; // 5.1.4.1: MUST NOT pass frames that exceed mtu
  } else if (receives_.full()) {
    ++stats_.rx_no_buffer;
  } else {
    // Neither GUEST_CSUM nor any GUEST_TSO is offered: flags and gso_type MUST be zero (5.1.6.4.1).
    // Without MRG_RXBUF num_buffers MUST be 1.
    virtio_net_hdr header;
    header.num_buffers = std::uint16_t{1};
    Slot& slot = receives_.push();
    slot.bytes.resize(header_bytes + frame.size());
    std::memcpy(slot.bytes.data(), &header, header_bytes);
    std::copy(frame.begin(), frame.end(), slot.bytes.begin() + header_bytes);
    match_buffers();
  }
}

// Without VIRTIO_NET_F_MRG_RXBUF a frame takes one buffer (5.1.6.3.2). One that the driver made too
// small for it - it SHOULD post 1526 bytes - costs the frame; the buffer stays for the next.
void Net::match_buffers() {
  while (matched_ < receives_.size() && !buffers_.empty()) {
    Slot& slot = receives_[matched_];
    Chain& chain = *buffers_.front();
    slot.chain = nullptr;
    slot.state = Slot::State::moved;
    ++matched_;
    if (slot.bytes.size() > chain.writable_len) {
      ++stats_.rx_small_buffer;
      finish_receives();
      continue;
    }
    buffers_.pop();
    slot.chain = &chain;
    slot.state = Slot::State::moving;
    start_task(chain, [&] { return write_frame(slot); });
  }
}

Task<> Net::write_frame(Slot& slot) {
  const Dma dma = host().dma(receiveq);
  PieceCursor room(slot.chain->writable());
  for (std::size_t done = 0; done < slot.bytes.size();) {
    const PieceRun run = room.take(slot.bytes.size() - done);
    const DmaStatus status =
        co_await dma.scatter(run.first, run.rest, slot.bytes.data() + done, AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    if (status != DmaStatus::ok) {
      slot.state = Slot::State::failed;
      finish_receives();
      co_return;
    }
    done += run.len;
  }
  slot.state = Slot::State::moved;
  finish_receives();
}

/// Returns buffers to the driver in the order in which the frames arrived.
void Net::finish_receives() {
  while (matched_ > 0 && receives_.front().state != Slot::State::moving) {
    Slot& slot = receives_.front();
    if (slot.state == Slot::State::failed) {
      buffers_.clear(); // the queue is over until it is reset
      if (Chain* chain = std::exchange(slot.chain, nullptr))
        host().fail(*chain, RingError::data_unwritable);
      return;
    }
    Chain* const chain = std::exchange(slot.chain, nullptr);
    const auto written = static_cast<std::uint32_t>(slot.bytes.size());
    receives_.pop();
    --matched_;
    if (!chain) continue; // dropped
    ++stats_.rx_frames;
    stats_.rx_bytes += written - header_bytes;
    host().complete(*chain, written);
  }
}

} // namespace virtio::net
