#include <virtio/core/chain_io.hpp>
#include <virtio/entropy/entropy.hpp>

#include <algorithm>
#include <stdexcept>

namespace virtio::entropy {

Entropy::Entropy(const EntropyParams& params, std::string_view name)
    : params_(params), random_(params.seed, name) {
  if (params.max_bytes_per_request == 0)
    throw std::invalid_argument("entropy: max_bytes_per_request must be at least 1");
}

void Entropy::on_chain(Chain& chain) {
  start_task(chain, [&] { return handle(chain); });
}

// The driver MUST NOT place device-readable buffers into the queue (5.4.6.1); those that it does
// place are not looked at.
Task<> Entropy::handle(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  if (params_.timing.request_cost.ps != 0) {
    const bool elapsed = co_await delay(dma.scope(), params_.timing.request_cost);
    if (!elapsed) co_return;
  }
  PieceCursor buffer(chain.writable());
  const auto wanted = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(buffer.remaining(), params_.max_bytes_per_request));

  std::array<std::byte, 512> bytes;
  std::span<const std::byte> fresh;
  std::uint32_t written = 0;
  while (written < wanted) {
    if (fresh.empty()) {
      const auto part =
          std::span(bytes).first(std::min<std::size_t>(bytes.size(), wanted - written));
      random_.fill(part);
      fresh = part;
    }
    const PieceRun run = buffer.take(fresh.size());
    const DmaStatus status =
        co_await dma.scatter(run.first, run.rest, fresh.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    if (status != DmaStatus::ok) {
      host().fail(chain, RingError::data_unwritable);
      co_return;
    }
    fresh = fresh.subspan(run.len);
    written += static_cast<std::uint32_t>(run.len);
  }
  ++stats_.requests;
  stats_.bytes += written;
  host().complete(chain, written);
}

} // namespace virtio::entropy
