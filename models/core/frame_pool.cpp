#include <virtio/core/frame_pool.hpp>

#include <array>
#include <new>

namespace virtio {
namespace {

constexpr std::size_t granule = 64;
constexpr std::size_t classes = 64; // up to 4 KiB; larger frames are rare and use the heap

struct FrameLists {
  struct Node {
    Node* next;
  };
  std::array<Node*, classes> free{};
  ~FrameLists() {
    for (Node* node : free)
      while (node) {
        Node* next = node->next;
        ::operator delete(node);
        node = next;
      }
    free.fill(nullptr);
  }
};
thread_local FrameLists lists;

// Under AddressSanitizer every frame is its own allocation, so that a use after its end is seen.
#if defined(__SANITIZE_ADDRESS__) // g++
constexpr bool pooled = false;
#elif defined(__has_feature) // clang
constexpr bool pooled = !__has_feature(address_sanitizer);
#else
constexpr bool pooled = true;
#endif

} // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t cls = (size - 1) / granule;
  if (!pooled || cls >= classes) return ::operator new(size);
  if (auto* node = lists.free[cls]) {
    lists.free[cls] = node->next;
    return node;
  }
  return ::operator new((cls + 1) * granule);
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t cls = (size - 1) / granule;
  if (!pooled || cls >= classes) {
    ::operator delete(frame);
    return;
  }
  auto* node = static_cast<FrameLists::Node*>(frame);
  node->next = lists.free[cls];
  lists.free[cls] = node;
}

} // namespace virtio
