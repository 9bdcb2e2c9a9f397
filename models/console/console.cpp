#include <virtio/console/console.hpp>
#include <virtio/core/chain_io.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace virtio::console {

tl::expected<Sink, std::string> file_sink(const std::filesystem::path& path) {
  std::FILE* opened = std::fopen(path.c_str(), "wbe");
  if (!opened)
    return tl::make_unexpected(
        fmt::format("{}: cannot be created: {}", path.string(), std::strerror(errno)));
  std::shared_ptr<std::FILE> file(opened, &std::fclose);
  return Sink([file](std::span<const std::byte> bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), file.get());
    std::fflush(file.get());
  });
}

Console::Console(const ConsoleParams& params, Sink sink)
    : params_(params), sink_(std::move(sink)), input_(params.input_limit),
      buffers_(params.queue_size) {
  if (params.input_limit == 0)
    throw std::invalid_argument("console: input_limit must be at least 1");
  if (!params.features.subset_of(default_console_features))
    throw std::invalid_argument("console: features has bits outside default_console_features");
  if (!params.features.has(VIRTIO_CONSOLE_F_SIZE)) return;
  config_.cols = params.cols;
  config_.rows = params.rows;
}

std::span<const std::byte> Console::config() const {
  return std::as_bytes(std::span(&config_, 1));
}

// 5.3.5.1: emerg_wr MUST take writes even on an unconfigured device; its lower byte goes to the
// output.
void Console::write_config(std::uint32_t offset, std::span<const std::byte> bytes) {
  constexpr std::uint32_t at = offsetof(virtio_console_config, emerg_wr);
  if (!params_.features.has(VIRTIO_CONSOLE_F_EMERG_WRITE)) return;
  if (offset > at || at - offset >= bytes.size()) return;
  ++stats_.bytes_out;
  sink_(bytes.subspan(at - offset, 1));
}

void Console::resize(std::uint16_t cols, std::uint16_t rows) {
  if (!params_.features.has(VIRTIO_CONSOLE_F_SIZE)) return;
  if (cols == config_.cols && rows == config_.rows) return;
  config_.cols = cols;
  config_.rows = rows;
  host().config_changed();
}

void Console::on_chain(Chain& chain) {
  if (chain.queue == transmitq) {
    start_task(chain, [&] { return transmit(chain); });
    return;
  }
  buffers_.push(&chain);
  wake_receive();
}

void Console::on_abort(QueueIndex queue) {
  if (queue != receiveq) return;
  buffers_.clear();
  receiving_ = false;
}

// The driver MUST NOT put device-writable buffers here (5.3.6.1); nothing is written to those that
// it does put.
Task<> Console::transmit(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  if (params_.timing.request_cost.ps != 0) {
    const bool elapsed = co_await delay(dma.scope(), params_.timing.request_cost);
    if (!elapsed) co_return;
  }
  PieceCursor data(chain.readable());
  std::array<std::byte, 512> bytes;
  while (const PieceRun run = data.take(bytes.size())) {
    const DmaStatus status =
        co_await dma.gather(run.first, run.rest, bytes.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    if (status != DmaStatus::ok) {
      host().fail(chain, RingError::data_unreadable);
      co_return;
    }
    stats_.bytes_out += run.len;
    sink_(std::span(bytes).first(run.len));
  }
  host().complete(chain, 0);
}

std::size_t Console::input(std::span<const std::byte> bytes) {
  const std::size_t taken = std::min(bytes.size(), input_.capacity() - input_.size());
  for (const std::byte byte : bytes.first(taken))
    input_.push(byte);
  stats_.input_dropped += bytes.size() - taken;
  wake_receive();
  return taken;
}

void Console::wake_receive() {
  if (receiving_ || buffers_.empty() || input_.empty()) return;
  start_task(*buffers_.front(), [&] { return receive(); });
}

// Hands input to the posted buffers, one after the other, and ends when either runs out. Input
// leaves the queue only once it is in a buffer, so that a reset loses none. Device-readable
// buffers, which the driver MUST NOT put here (5.3.6.1), are not looked at; a chain that has no
// room goes back empty.
Task<> Console::receive() {
  receiving_ = true;
  const Dma dma = host().dma(receiveq);
  while (!buffers_.empty() && !input_.empty()) {
    if (params_.timing.request_cost.ps != 0) {
      const bool elapsed = co_await delay(dma.scope(), params_.timing.request_cost);
      if (!elapsed) co_return;
    }
    Chain& chain = *buffers_.front();
    PieceCursor room(chain.writable());
    std::uint32_t written = 0;
    while (!input_.empty() && room.remaining() > 0) {
      const PieceRun run = room.take(input_.contiguous(input_.size()).size());
      const auto bytes = input_.contiguous(run.len);
      const DmaStatus status =
          co_await dma.scatter(run.first, run.rest, bytes.data(), AccessKind::data);
      if (status == DmaStatus::cancelled) co_return;
      if (status != DmaStatus::ok) {
        buffers_.clear(); // the queue is over until it is reset
        receiving_ = false;
        host().fail(chain, RingError::data_unwritable);
        co_return;
      }
      written += static_cast<std::uint32_t>(run.len);
      input_.pop(run.len);
      stats_.bytes_in += run.len;
    }
    buffers_.pop();
    host().complete(chain, written);
    if (dma.scope().cancelled()) co_return;
  }
  receiving_ = false;
}

} // namespace virtio::console
