// Transactions of a DMA port in the order in which they came. It owns nothing and allocates
// nothing: the transactions hold the links.
#pragma once

#include <virtio/core/dma.hpp>

#include <cstddef>

namespace virtio::tlm2 {

class TransactionQueue {
public:
  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }
  DmaTransaction& front() const { return *head_; }
  void push(DmaTransaction& transaction) {
    transaction.next = nullptr;
    (head_ ? tail_->next : head_) = &transaction;
    tail_ = &transaction;
    ++size_;
  }
  void pop() {
    head_ = head_->next;
    --size_;
  }

private:
  DmaTransaction* head_ = nullptr;
  DmaTransaction* tail_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace virtio::tlm2
