#include <virtio/platforms/pcie_host/block_traffic.hpp>

#include <fmt/format.h>

#include <cstring>

namespace virtio::platform::pcie_host {

namespace {

std::uint64_t load(const std::byte* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void store(std::byte* at, std::uint64_t value) {
  std::memcpy(at, &value, sizeof value);
}

} // namespace

DiskContent::DiskContent(blk::Store& store, std::uint64_t block_size, bool fill)
    : store_(store), block_size_(block_size), fill_(fill),
      versions_(store.memory().size() / block_size), filled_(fill ? versions_.size() : 0) {}

std::uint64_t DiskContent::word(std::uint64_t block, std::uint32_t version,
                                std::uint64_t index) const {
  std::uint64_t state = block << 32 | version;
  return splitmix64(state) + index * 0x9e37'79b9'7f4a'7c15;
}

void DiskContent::write_next(std::uint64_t block, std::byte* to) {
  const std::uint64_t first = word(block, ++versions_[block], 0);
  const std::uint64_t step = word(block, versions_[block], 1) - first;
  std::uint64_t value = first;
  for (std::uint64_t at = 0; at < block_size_; at += sizeof value, value += step)
    store(to + at, value);
}

DiskContent::Ends DiskContent::expected(std::uint64_t block) {
  const std::uint64_t last = block_size_ / sizeof(std::uint64_t) - 1;
  if (versions_[block] != 0)
    return {word(block, versions_[block], 0), word(block, versions_[block], last)};
  std::byte* begin = at(block);
  std::byte* end = begin + last * sizeof(std::uint64_t);
  if (fill_ && !filled_[block]) {
    store(begin, word(block, 0, 0));
    store(end, word(block, 0, last));
    filled_[block] = true;
  }
  return {load(begin), load(end)};
}

void DiskContent::verify() {
  for (std::uint64_t block = 0; block < versions_.size(); ++block) {
    if (versions_[block] == 0) continue;
    ++verified_;
    for (std::uint64_t i = 0; i < block_size_ / sizeof(std::uint64_t); ++i)
      if (load(at(block) + i * sizeof(std::uint64_t)) != word(block, versions_[block], i))
        throw WrongData(fmt::format("byte {} of block {}, written {} times, is not what was "
                                    "written last",
                                    i * sizeof(std::uint64_t), block, versions_[block]));
  }
}

BlockTraffic::BlockTraffic(const BlockTrafficParams& params, DiskContent& disk, HostMemory memory,
                           driver::Arena& arena, Random random)
    : params_(params), disk_(disk), memory_(memory), random_(random), slots_(params.depth),
      busy_(params.blocks) {
  const auto size = static_cast<std::uint32_t>(disk.block_size());
  for (Slot& slot : slots_) {
    const std::uint64_t header = arena.take(sizeof(blk::virtio_blk_req) + 1, 64);
    slot.buffers[0] = {header, sizeof(blk::virtio_blk_req), false};
    slot.buffers[1] = {arena.take(size, 4096), size, false};
    slot.buffers[2] = {header + sizeof(blk::virtio_blk_req), 1, true};
  }
}

std::uint64_t BlockTraffic::choose_block() {
  std::uint64_t block = params_.pattern == Pattern::random ? random_.below(params_.blocks) : next_;
  while (busy_[block])
    block = (block + 1) % params_.blocks;
  next_ = (block + 1) % params_.blocks;
  busy_[block] = true;
  return params_.first_block + block;
}

DiskContent::Ends BlockTraffic::ends(const Slot& slot) const {
  const std::byte* data = memory_.at(slot.buffers[1].addr);
  return {load(data), load(data + disk_.block_size() - sizeof(std::uint64_t))};
}

std::span<const driver::Buffer> BlockTraffic::prepare(unsigned index) {
  Slot& slot = slots_[index];
  slot.write = random_.below(100) >= params_.read_percent;
  slot.block = choose_block();
  slot.buffers[1].device_writable = !slot.write;
  std::byte* data = memory_.at(slot.buffers[1].addr);
  if (slot.write) {
    disk_.write_next(slot.block, data);
  } else {
    slot.expected = disk_.expected(slot.block);
    store(data, ~slot.expected.first);
    store(data + disk_.block_size() - sizeof(std::uint64_t), ~slot.expected.last);
  }
  blk::virtio_blk_req request;
  request.type = slot.write ? blk::VIRTIO_BLK_T_OUT : blk::VIRTIO_BLK_T_IN;
  request.sector = slot.block * disk_.block_size() / blk::sector_size;
  std::memcpy(memory_.at(slot.buffers[0].addr), &request, sizeof request);
  *memory_.at(slot.buffers[2].addr) = std::byte{0xff};
  return slot.buffers;
}

Traffic::Finished BlockTraffic::finish(unsigned index, std::uint32_t written) {
  Slot& slot = slots_[index];
  const auto status = std::to_integer<unsigned>(*memory_.at(slot.buffers[2].addr));
  const std::uint64_t wanted = slot.write ? 1 : disk_.block_size() + 1;
  const char* what = slot.write ? "write" : "read";
  if (status != blk::VIRTIO_BLK_S_OK || written != wanted)
    throw WrongData(fmt::format("a {} of block {} ended with status {} and {} bytes, not 0 and {}",
                                what, slot.block, status, written, wanted));
  if (!slot.write && ends(slot) != slot.expected)
    throw WrongData(fmt::format("a read of block {} gave wrong data", slot.block));
  busy_[slot.block - params_.first_block] = false;
  return {slot.write ? RequestKind::write : RequestKind::read, disk_.block_size(), std::nullopt};
}

} // namespace virtio::platform::pcie_host
