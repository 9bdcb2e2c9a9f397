// Where coroutine frames come from: free lists by size, one set for each thread, so that starting a
// task costs a few instructions and no call of malloc. Under AddressSanitizer every frame is its
// own allocation, so that it sees misuse.
#pragma once

#include <cstddef>

namespace virtio {

void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

} // namespace virtio
