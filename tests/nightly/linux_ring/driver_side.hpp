// The driver: random requests through the Linux kernel's ring code, and a check of every byte that
// comes back. Between requests it polls, or sleeps until an interrupt as a driver would.
#pragma once

#include "device_side.hpp"
#include "linux_driver.h"

#include <string>

namespace virtio::nightly {

class DriverSide {
public:
  static constexpr unsigned max_pieces = 16; // in one request
  static constexpr std::size_t max_in_flight = 1024;
  static constexpr std::size_t buffer_bytes = 16 * 1024;

  /// `total` requests will be made. Throws std::runtime_error when the kernel refuses the ring.
  DriverSide(std::uint16_t size, std::uint64_t features, std::uint64_t total, Wires& wires,
             std::uint64_t seed)
      : wires_(wires), random_(seed, "driver"), size_(size), total_(total) {
    queue_ = lx_queue_new(
        size, features,
        [](void* self) { Wires::raise(static_cast<DriverSide*>(self)->wires_.doorbell); },
        [](void* self) { static_cast<DriverSide*>(self)->wake(); }, this);
    if (!queue_) throw std::runtime_error("the kernel's code refused the ring");
    requests_.resize(std::min<std::size_t>(size, max_in_flight));
    for (Request& r : requests_) {
      r.buffer = static_cast<std::byte*>(lx_alloc(buffer_bytes));
      free_.push_back(&r);
    }
    lx_disable_callbacks(queue_);
  }
  ~DriverSide() {
    for (Request& r : requests_)
      lx_free(r.buffer);
    lx_queue_delete(queue_);
  }
  DriverSide(const DriverSide&) = delete;
  DriverSide& operator=(const DriverSide&) = delete;

  void areas(unsigned long long to[3]) const { lx_queue_areas(queue_, to); }

  /// Submits, notifies, collects or sleeps.
  void step() {
    if (Wires::take(wires_.interrupt)) {
      ++interrupts;
      if (!lx_interrupt(queue_)) ++spurious;
    }
    if (asleep_) return;
    // Woken: some drivers go on with callbacks off, some leave them on.
    if (std::exchange(woken_, false) && random_.below(2) == 0) lx_disable_callbacks(queue_);
    const std::uint64_t before = collected_;
    const bool more_used = collect(random_.below(4) == 0 ? 1 : max_in_flight);
    if (collected_ != before) polling_ = random_.below(2) == 0;
    if (more_used || (polling_ && waiting())) return;
    const bool more = submit(1 + random_.below(random_.below(4) == 0 ? max_in_flight : 8));
    if (!unannounced_ && more) return;
    // A batch may wait for the next one, but nobody sleeps on it.
    if (more && random_.below(3) == 0) return;
    if (unannounced_) lx_kick(queue_);
    unannounced_ = false;
    if (!more && random_.below(2) == 0) sleep();
  }
  bool done() const { return collected_ == total_; }
  bool asleep() const { return asleep_; }
  bool waiting() const { return !unannounced_ && collected_ < submitted_; }
  std::uint64_t collected() const { return collected_; }
  /// What was wrong first, or nothing.
  const std::string& trouble() const { return trouble_; }

  std::uint64_t interrupts = 0;
  std::uint64_t spurious = 0; ///< interrupts without a used buffer, which are allowed

private:
  struct Request {
    std::byte* buffer = nullptr;
    std::uint64_t ordinal = 0;
    std::vector<std::byte> out;
    std::vector<lx_piece> in;
    std::uint64_t in_len = 0;
  };

  void fail(std::string what) {
    if (trouble_.empty()) trouble_ = std::move(what);
  }

  std::uint32_t pick_len() {
    const std::uint64_t kind = random_.below(32);
    return static_cast<std::uint32_t>(1 + random_.below(kind == 0 ? 900 : kind < 8 ? 128 : 24));
  }

  /// Offers up to `n` requests. False: there is no place or nothing left to send.
  bool submit(std::uint64_t n) {
    for (; n > 0; --n) {
      if (submitted_ == total_ || free_.empty()) return false;
      Request& r = *free_.back();
      if (!offer(r)) return false;
      free_.pop_back();
      ++submitted_;
      unannounced_ = true;
    }
    return true;
  }

  /// A random request, its pieces with gaps between them.
  bool offer(Request& r) {
    const unsigned most = std::min<unsigned>(max_pieces, size_);
    const auto pieces =
        static_cast<unsigned>(1 + random_.below(random_.below(3) == 0 ? most : std::min(most, 4u)));
    const auto outs = static_cast<unsigned>(random_.below(pieces + 1));
    r.ordinal = submitted_;
    r.out.clear();
    r.in.clear();
    r.in_len = 0;
    std::vector<lx_piece>& out = scratch_;
    out.clear();
    std::byte* at = r.buffer;
    for (unsigned i = 0; i < pieces; ++i) {
      at += random_.below(16);
      const lx_piece piece{at, pick_len()};
      const std::span bytes(at, piece.len);
      at += piece.len;
      if (i < outs) {
        random_.fill(bytes);
        r.out.insert(r.out.end(), bytes.begin(), bytes.end());
        out.push_back(piece);
      } else {
        std::fill(bytes.begin(), bytes.end(), untouched);
        r.in.push_back(piece);
        r.in_len += piece.len;
      }
    }
    return lx_add(queue_, out.data(), outs, r.in.data(), pieces - outs, &r);
  }

  /// Takes up to `most` used buffers back. True: there may be more.
  bool collect(std::size_t most) {
    for (std::size_t i = 0; i < most; ++i) {
      unsigned len = 0;
      auto* r = static_cast<Request*>(lx_get(queue_, &len));
      if (lx_broken(queue_)) fail("the kernel's code found the ring to be broken");
      if (!r) return false;
      check(*r, len);
      free_.push_back(r);
      ++collected_;
    }
    return true;
  }

  void check(const Request& r, std::uint32_t len) {
    Answer answer(r.ordinal, r.out, r.in_len);
    if (len != answer.len()) {
      fail("request " + std::to_string(r.ordinal) + ": used length " + std::to_string(len) +
           " instead of " + std::to_string(answer.len()));
      return;
    }
    expected_.assign(r.in_len, untouched);
    answer.fill(std::span(expected_).first(len));
    const std::byte* next = expected_.data();
    for (const lx_piece& piece : r.in) {
      if (std::memcmp(piece.data, next, piece.len) != 0)
        fail("request " + std::to_string(r.ordinal) + ": wrong data");
      next += piece.len;
    }
  }

  void wake() {
    woken_ = asleep_;
    asleep_ = false;
  }
  void sleep() {
    if (collected_ == submitted_) return;
    asleep_ = true;
    if (lx_enable_callbacks(queue_, random_.below(2) == 0)) return;
    asleep_ = false;
    lx_disable_callbacks(queue_);
  }

  static constexpr std::byte untouched{0xa5};

  Wires& wires_;
  Random random_;
  std::uint16_t size_;
  std::uint64_t total_;
  lx_queue* queue_ = nullptr;
  std::vector<Request> requests_;
  std::vector<Request*> free_;
  std::vector<lx_piece> scratch_;
  std::vector<std::byte> expected_;
  std::uint64_t submitted_ = 0;
  std::uint64_t collected_ = 0;
  bool unannounced_ = false; // buffers were added and the device was not told
  bool polling_ = false;     // looks for used buffers until there is one, and does nothing else
  bool asleep_ = false;
  bool woken_ = false;
  std::string trouble_;
};

} // namespace virtio::nightly
