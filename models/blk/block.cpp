#include <virtio/blk/block.hpp>
#include <virtio/core/chain_io.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>

namespace virtio::blk {

Block::Block(const BlockParams& params, std::unique_ptr<Store> store)
    : params_(params), store_(std::move(store)) {
  if (!params_.read_only && !store_->writable())
    throw std::invalid_argument(
        "block: the store is read-only: set read_only, or open it for writing");
  if (params_.serial.size() > id_bytes)
    throw std::invalid_argument(
        fmt::format("block: serial \"{}\" is longer than 20 bytes", params_.serial));
  if (!std::has_single_bit(params_.blk_size) || params_.blk_size < sector_size ||
      params_.blk_size > 65536)
    throw std::invalid_argument(fmt::format(
        "block: blk_size {} is not a power of two from 512 to 65536", params_.blk_size));
  if (params_.physical_block_exp > 15)
    throw std::invalid_argument("block: physical_block_exp must be at most 15");
  if (params_.num_queues == 0 || params_.num_queues > max_queues)
    throw std::invalid_argument(
        fmt::format("block: num_queues {} is not 1 .. {}", params_.num_queues, max_queues));
  if (!params_.features.subset_of(default_block_features))
    throw std::invalid_argument("block: features has bits outside default_block_features");
  if (params_.num_queues > 1 && !params_.features.has(VIRTIO_BLK_F_MQ))
    throw std::invalid_argument("block: more than one of num_queues needs VIRTIO_BLK_F_MQ in "
                                "features");

  if (!params_.timing.untimed()) medium_.emplace(params_.timing);
  std::transform(params_.serial.begin(), params_.serial.end(), id_.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  config_.capacity = store_->memory().size() / sector_size;
  const FeatureSet offered = features();
  if (offered.has(VIRTIO_BLK_F_SEG_MAX)) config_.seg_max = params_.queue_size - 2u;
  if (offered.has(VIRTIO_BLK_F_BLK_SIZE)) config_.blk_size = params_.blk_size;
  if (offered.has(VIRTIO_BLK_F_TOPOLOGY)) {
    config_.topology.physical_block_exp = params_.physical_block_exp;
    config_.topology.min_io_size = 1;
  }
  if (offered.has(VIRTIO_BLK_F_MQ)) config_.num_queues = params_.num_queues;
}

FeatureSet Block::features() const {
  FeatureSet offered = params_.features;
  // Header and status take a descriptor each.
  if (params_.queue_size <= 2) offered.set(VIRTIO_BLK_F_SEG_MAX, false);
  if (params_.num_queues == 1) offered.set(VIRTIO_BLK_F_MQ, false);
  return offered.set(VIRTIO_BLK_F_RO, params_.read_only);
}

// Without VIRTIO_BLK_F_MQ negotiated there is one queue (5.2.2).
std::uint32_t Block::window(QueueIndex queue) const {
  return queue == requestq || negotiated_.has(VIRTIO_BLK_F_MQ) ? params_.queue_size : 0;
}

std::span<const std::byte> Block::config() const {
  return std::as_bytes(std::span(&config_, 1));
}

// Only `writeback` can be written, and only with VIRTIO_BLK_F_CONFIG_WCE (5.2.5).
void Block::write_config(std::uint32_t offset, std::span<const std::byte> bytes) {
  constexpr std::uint32_t at = offsetof(virtio_blk_config, writeback);
  if (offset > at || at - offset >= bytes.size()) return;
  if (started_ && !negotiated_.has(VIRTIO_BLK_F_CONFIG_WCE)) return;
  const auto value = std::to_integer<std::uint8_t>(bytes[at - offset]);
  if (value <= 1) config_.writeback = value;
}

void Block::start(const FeatureSet& negotiated) {
  negotiated_ = negotiated;
  started_ = true;
  if (!negotiated_.has(VIRTIO_BLK_F_CONFIG_WCE)) config_.writeback = 0;
}

// After a reset the cache is write-through (5.2.5 leaves the choice), so that `writeback` is 0
// before a driver that does not negotiate VIRTIO_BLK_F_FLUSH reads it (5.2.5.2).
void Block::reset() {
  negotiated_ = {};
  started_ = false;
  config_.writeback = 0;
}

// When writes must be stable before they complete (5.2.6.2): by the cache mode if the driver can
// see it, else when the driver is not going to flush.
bool Block::write_through() const {
  if (negotiated_.has(VIRTIO_BLK_F_CONFIG_WCE)) return config_.writeback == 0;
  return !negotiated_.has(VIRTIO_BLK_F_FLUSH);
}

Block::Plan Block::plan_sectors(std::uint64_t sector, std::uint64_t len, bool to_guest) {
  const std::uint64_t capacity = config_.capacity;
  if (len % sector_size != 0 || sector > capacity || len / sector_size > capacity - sector)
    return {};
  return {VIRTIO_BLK_S_OK, store_->memory().data() + sector * sector_size, len, to_guest};
}

/// `data_out` bytes from the driver follow the header, room for `data_in` bytes precedes the
/// status.
Block::Plan Block::plan(const virtio_blk_req& request, std::uint64_t data_out,
                        std::uint64_t data_in) {
  switch (request.type) {
  case VIRTIO_BLK_T_IN:
    return plan_sectors(request.sector, data_in, true);
  case VIRTIO_BLK_T_OUT:
    // 5.2.6.2: a write to a read-only device MUST fail and MUST NOT write any data.
    if (params_.read_only) return {};
    return plan_sectors(request.sector, data_out, false);
  case VIRTIO_BLK_T_FLUSH:
    return {.status = VIRTIO_BLK_S_OK};
  case VIRTIO_BLK_T_GET_ID:
    // 5.2.6.1: the driver MUST ask for exactly 20 bytes.
    if (data_in != id_bytes) return {};
    return {VIRTIO_BLK_S_OK, id_.data(), id_bytes, true};
  default:
    // Zone requests among them: VIRTIO_BLK_F_ZONED is not offered (5.2.6.2).
    return {.status = VIRTIO_BLK_S_UNSUPP};
  }
}

std::uint8_t Block::finish(const virtio_blk_req& request, const Plan& plan) {
  if (plan.status != VIRTIO_BLK_S_OK) return plan.status;
  switch (request.type) {
  case VIRTIO_BLK_T_IN:
    ++stats_.reads;
    stats_.bytes_read += plan.len;
    break;
  case VIRTIO_BLK_T_OUT:
    ++stats_.writes;
    stats_.bytes_written += plan.len;
    if (write_through() && !store_->commit(request.sector * sector_size, plan.len))
      return VIRTIO_BLK_S_IOERR;
    break;
  case VIRTIO_BLK_T_FLUSH:
    ++stats_.flushes;
    if (!store_->commit(0, store_->memory().size())) return VIRTIO_BLK_S_IOERR;
    break;
  }
  return VIRTIO_BLK_S_OK;
}

/// The time that a request takes apart from guest memory's. False: a reset came first.
Task<bool> Block::take_time(Scope& scope, const virtio_blk_req& request, const Plan& plan) {
  const bool good = plan.status == VIRTIO_BLK_S_OK;
  if (good && request.type == VIRTIO_BLK_T_IN) return medium_->read(scope, plan.len);
  if (good && (request.type == VIRTIO_BLK_T_OUT || request.type == VIRTIO_BLK_T_FLUSH))
    return medium_->write(scope, plan.len);
  return medium_->command(scope);
}

namespace {
/// A chain may have room for 2^32 bytes, one more than a used length can say. It may say less
/// (2.7.8.2).
std::uint32_t used_len(std::uint64_t written) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(written, std::numeric_limits<std::uint32_t>::max()));
}
} // namespace

void Block::on_chain(Chain& chain) {
  start_task(chain, [&] { return handle(chain); });
}

// One request. Whatever is wrong with it or with the memory of its data is answered with
// VIRTIO_BLK_S_IOERR, as long as the status byte, the last of the device-writable part, can be
// written; else the queue fails.
//
// The used length covers the status, so the bytes before it must be written (2.7.8.2: the device
// MUST write at least `len` bytes from the first device-writable one on): data that a failed
// request does not have is zero. Only when the memory of the data itself fails does the length end
// there.
Task<> Block::handle(Chain& chain) {
  const Dma dma = host().dma(chain.queue);
  PieceCursor out(chain.readable());
  PieceCursor in(chain.writable());
  if (in.remaining() == 0) {
    host().fail(chain, RingError::malformed_request);
    co_return;
  }
  const std::uint64_t data_in = in.remaining() - 1;

  virtio_blk_req request;
  auto* to = reinterpret_cast<std::byte*>(&request);
  bool readable = out.remaining() >= sizeof request;
  for (std::size_t left = sizeof request; readable && left > 0;) {
    const PieceRun run = out.take(left);
    const DmaStatus status = co_await dma.gather(run.first, run.rest, to, AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    readable = status == DmaStatus::ok;
    to += run.len;
    left -= run.len;
  }

  Plan todo;
  if (readable) todo = plan(request, out.remaining(), data_in);
  const bool from_guest = todo.len > 0 && !todo.to_guest;
  if (medium_ && !from_guest) {
    const bool elapsed = co_await take_time(dma.scope(), request, todo);
    if (!elapsed) co_return;
  }
  std::uint64_t written = 0;
  bool in_reachable = true;
  for (std::uint64_t left = todo.len; left > 0;) {
    const PieceRun run = (todo.to_guest ? in : out).take(left);
    DmaStatus status;
    if (todo.to_guest)
      status = co_await dma.scatter(run.first, run.rest, todo.memory, AccessKind::data);
    else
      status = co_await dma.gather(run.first, run.rest, todo.memory, AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    if (status != DmaStatus::ok) {
      todo.status = VIRTIO_BLK_S_IOERR;
      in_reachable = !todo.to_guest;
      break;
    }
    if (todo.to_guest) written += run.len;
    todo.memory += run.len;
    left -= run.len;
  }
  if (medium_ && from_guest) {
    const bool elapsed = co_await take_time(dma.scope(), request, todo);
    if (!elapsed) co_return;
  }

  static constexpr std::array<std::byte, 4096> zeros{};
  while (in_reachable && written < data_in) {
    const PieceRun run = in.take(std::min<std::uint64_t>(data_in - written, zeros.size()));
    const DmaStatus status =
        co_await dma.scatter(run.first, run.rest, zeros.data(), AccessKind::data);
    if (status == DmaStatus::cancelled) co_return;
    if (status == DmaStatus::ok)
      written += run.len;
    else
      in_reachable = false;
  }

  const std::uint8_t answer = finish(request, todo);
  if (answer != VIRTIO_BLK_S_OK) ++stats_.errors;
  in.skip(in.remaining() - 1);
  const PieceRun last = in.take(1);
  const DmaStatus status = co_await dma.write(last.first.addr, &answer, 1, AccessKind::data);
  if (status == DmaStatus::cancelled) co_return;
  if (status != DmaStatus::ok)
    host().fail(chain, RingError::data_unwritable);
  else
    host().complete(chain, used_len(in_reachable ? written + 1 : written),
                    {.full = in_reachable && answer == VIRTIO_BLK_S_OK});
}

} // namespace virtio::blk
