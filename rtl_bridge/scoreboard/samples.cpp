#include <virtio/rtl/scoreboard/samples.hpp>

#include <algorithm>

namespace virtio::rtl {

void Samples::add_slice(std::uint64_t number, const Slice& slice) {
  std::vector<Slice>& slices = blocks_[number];
  const auto same_place = [&](const Slice& s) {
    return s.begin == slice.begin && s.end == slice.end;
  };
  if (std::count_if(slices.begin(), slices.end(), same_place) == slices_kept)
    slices.erase(std::find_if(slices.begin(), slices.end(), same_place));
  slices.push_back(slice);
}

void Samples::add(GuestAddr addr, std::span<const std::byte> bytes, std::uint64_t issued,
                  std::uint64_t done) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t place = raw(addr) + at;
    Slice slice{.begin = static_cast<std::uint8_t>(place % block), .issued = issued, .done = done};
    const std::size_t n = std::min<std::size_t>(block - slice.begin, bytes.size() - at);
    slice.end = static_cast<std::uint8_t>(slice.begin + n);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), n,
                slice.bytes.begin() + slice.begin);
    add_slice(place / block, slice);
    at += n;
  }
}

void Samples::add_failed(GuestAddr addr, std::uint64_t len, std::uint64_t issued,
                         std::uint64_t done) {
  for (std::uint64_t at = 0; at < len;) {
    const std::uint64_t place = raw(addr) + at;
    Slice slice{.begin = static_cast<std::uint8_t>(place % block),
                .failed = true,
                .issued = issued,
                .done = done};
    const std::uint64_t n = std::min<std::uint64_t>(block - slice.begin, len - at);
    slice.end = static_cast<std::uint8_t>(slice.begin + n);
    add_slice(place / block, slice);
    at += n;
  }
}

std::vector<Samples::Value> Samples::find_in(std::uint64_t number, std::uint32_t begin,
                                             std::uint32_t end, std::uint64_t since) const {
  std::vector<Value> values;
  const auto found = blocks_.find(number);
  if (found == blocks_.end()) return values;
  for (const Slice& s : found->second) {
    if (s.issued <= since || s.begin > begin || s.end < end) continue;
    Value value{.failed = s.failed, .issued = s.issued, .done = s.done};
    if (!s.failed) std::copy(s.bytes.begin() + begin, s.bytes.begin() + end, value.bytes.begin());
    const auto same = std::find_if(values.begin(), values.end(), [&](const Value& v) {
      return v.failed == value.failed && v.bytes == value.bytes;
    });
    if (same == values.end()) {
      values.push_back(value);
    } else {
      same->issued = std::max(same->issued, value.issued);
      same->done = std::min(same->done, value.done);
    }
  }
  return values;
}

std::vector<Samples::Value> Samples::find(GuestAddr addr, std::uint32_t len,
                                          std::uint64_t since) const {
  const std::uint64_t number = raw(addr) / block;
  const auto begin = static_cast<std::uint32_t>(raw(addr) % block);
  if (begin + len <= block) return find_in(number, begin, begin + len, since);
  // Over the edge of a block: every combination of what the two had.
  const std::uint32_t head = block - begin;
  std::vector<Value> values;
  for (const Value& low : find_in(number, begin, block, since))
    for (const Value& high : find_in(number + 1, 0, len - head, since)) {
      Value value = low;
      std::copy_n(high.bytes.begin(), len - head, value.bytes.begin() + head);
      value.failed |= high.failed;
      value.issued = std::min(low.issued, high.issued);
      value.done = std::max(low.done, high.done);
      values.push_back(value);
    }
  return values;
}

void Samples::forget(std::uint64_t since) {
  if (blocks_.size() < forget_at_) return;
  std::erase_if(blocks_, [since](const auto& entry) {
    return std::all_of(entry.second.begin(), entry.second.end(),
                       [since](const Slice& s) { return s.issued <= since; });
  });
  forget_at_ = std::max<std::size_t>(4096, 2 * blocks_.size());
}

} // namespace virtio::rtl
