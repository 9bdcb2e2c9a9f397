// A first-in first-out queue of fixed capacity: what a device function keeps waiting chains and
// bytes in. It allocates once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace virtio {

template <class T> class Fifo {
public:
  explicit Fifo(std::size_t capacity) : slots_(capacity) {}

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return slots_.size(); }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == slots_.size(); }

  /// The oldest element. Must not be called when empty.
  T& front() { return slots_[head_]; }
  /// Element `i` counted from the oldest; i < size().
  T& operator[](std::size_t i) { return slots_[place(i)]; }
  /// The oldest elements that lie side by side, at most `n`.
  std::span<const T> contiguous(std::size_t n) const {
    return std::span(slots_).subspan(head_, std::min({n, size_, slots_.size() - head_}));
  }

  /// Makes the next slot the newest element and returns it, with whatever it held last. Must not be
  /// called when full.
  T& push() { return slots_[place(size_++)]; }
  void push(T value) { push() = std::move(value); }
  /// Drops the `n` oldest elements; n <= size().
  void pop(std::size_t n = 1) {
    head_ = place(n);
    size_ -= n;
  }
  /// Drops the newest elements, all but the `n` oldest; n <= size().
  void truncate(std::size_t n) { size_ = n; }
  void clear() { head_ = size_ = 0; }

private:
  std::size_t place(std::size_t i) const {
    const std::size_t at = head_ + i;
    return at < slots_.size() ? at : at - slots_.size();
  }

  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

} // namespace virtio
