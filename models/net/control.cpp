// The control queue (virtio 1.4, 5.1.6.5). A command is read, executed, and answered when it is in
// force.
#include <virtio/core/chain_io.hpp>
#include <virtio/net/net.hpp>

#include <array>
#include <utility>

namespace virtio::net {

namespace {
/// The longest command that is known; longer ones are wrong.
constexpr std::size_t max_command = sizeof(virtio_net_ctrl) + sizeof(virtio_net_ctrl_mq_pairs_set);
} // namespace

Task<> Net::read_command(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  if (chain.writable_len == 0) { // no room for ack
    host().fail(chain, RingError::malformed_request);
    co_return;
  }
  std::array<std::byte, max_command> bytes;
  std::size_t size = 0;
  bool readable = chain.readable_len <= max_command;
  PieceCursor from(chain.readable());
  while (readable) {
    const PieceRun run = from.take(max_command);
    if (!run) break;
    const DmaStatus status =
        co_await dma.gather(run.first, run.rest, bytes.data() + size, AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    readable = status == DmaStatus::ok;
    size += run.len;
  }
  ++stats_.commands;
  ack_ = readable ? execute(std::span(bytes).first(size)) : VIRTIO_NET_ERR;
  if (ack_ != VIRTIO_NET_OK) ++stats_.command_errors;
  command_ = &chain;
  try_answer();
}

std::uint8_t Net::execute(std::span<const std::byte> command) {
  virtio_net_ctrl header;
  if (!read_layout(command, header)) return VIRTIO_NET_ERR;
  const auto data = command.subspan(sizeof header);
  if (header.class_ == VIRTIO_NET_CTRL_MQ && header.command == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
      negotiated_.has(VIRTIO_NET_F_MQ)) {
    virtio_net_ctrl_mq_pairs_set set;
    if (data.size() == sizeof set && read_layout(data, set) && set_pairs(set.virtqueue_pairs))
      return VIRTIO_NET_OK;
  }
  return VIRTIO_NET_ERR;
}

/// 5.1.6.5.6.1: not 0, and not more than max_virtqueue_pairs.
bool Net::set_pairs(std::uint16_t pairs) {
  if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || pairs > config_.max_virtqueue_pairs) return false;
  steering_.enable(pairs);
  // What waits in queues that are not used any longer goes to those that are.
  for (std::size_t pair = pairs; pair < receives_.size(); ++pair)
    receives_[pair].give_up_waiting([&](Frame frame) { accept(frame); });
  return true;
}

void Net::receive_idle() {
  try_answer();
}

/// 5.1.6.5.6.2: once the command is used, nothing comes to queues above virtqueue_pairs: frames
/// under way to them hold it back.
void Net::try_answer() {
  if (!command_ || !host().live()) return;
  for (std::size_t pair = steering_.pairs(); pair < receives_.size(); ++pair)
    if (!receives_[pair].idle()) return;
  Chain& chain = *std::exchange(command_, nullptr);
  start_task(chain, [&] { return answer_command(chain); });
}

Task<> Net::answer_command(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  const std::uint8_t ack = ack_;
  const PieceRun room = PieceCursor(chain.writable()).take(1);
  const DmaStatus status = co_await dma.write(room.first.addr, &ack, 1, AccessKind::data);
  if (status == DmaStatus::cancelled) co_return;
  if (status != DmaStatus::ok)
    host().fail(chain, RingError::data_unwritable);
  else
    host().complete(chain, 1, {.full = chain.writable_len == 1});
}

} // namespace virtio::net
