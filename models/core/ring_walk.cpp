#include <virtio/core/ring_walk.hpp>

#include <bit>

namespace virtio {

namespace {

struct Part {
  GuestAddr at;
  std::uint64_t bytes;
  std::uint64_t align;
};

} // namespace

RingError check_setup(const QueueSetup& s) {
  const bool packed = s.features.has(VIRTIO_F_RING_PACKED);
  if (s.size == 0 || s.size > split::max_queue_size || (!packed && !std::has_single_bit(s.size)))
    return RingError::bad_queue_size;
  const Part split_parts[] = {{s.desc, split::desc_bytes(s.size), split::desc_align},
                              {s.driver, split::avail_bytes(s.size), split::avail_align},
                              {s.device, split::used_bytes(s.size), split::used_align}};
  const Part packed_parts[] = {{s.desc, packed::desc_bytes(s.size), packed::desc_align},
                               {s.driver, packed::event_bytes, packed::event_align},
                               {s.device, packed::event_bytes, packed::event_align}};
  for (const Part& part : packed ? packed_parts : split_parts) {
    // virtio 1.4, 2.7 and 2.8.10.1: the driver MUST align each part.
    if (raw(part.at) % part.align != 0) return RingError::misaligned;
    if (!fits(part.at, part.bytes)) return RingError::address_wraps;
  }
  return RingError::none;
}

} // namespace virtio
