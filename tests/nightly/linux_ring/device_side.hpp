// The device under test: an echo whose answers can be predicted from the request alone, over memory
// reached by pointer or by transactions that are answered late and out of order. It knows the
// driver's side only through the ring, a doorbell and an interrupt.
#pragma once

#include <virtio/core/chain_io.hpp>
#include <virtio/core/device.hpp>
#include <virtio/core/random.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace virtio::nightly {

/// The two wires between the sides; they may be in two threads.
struct Wires {
  std::atomic<bool> doorbell = false;
  std::atomic<bool> interrupt = false;

  static void raise(std::atomic<bool>& wire) { wire.store(true, std::memory_order_release); }
  static bool take(std::atomic<bool>& wire) {
    return wire.load(std::memory_order_relaxed) && wire.exchange(false, std::memory_order_acquire);
  }
};

/// What the device answers to a request, the same on both sides: so many bytes of a stream that
/// depends on every byte of the request and on its place in the order of the queue.
class Answer {
public:
  Answer(std::uint64_t ordinal, std::span<const std::byte> request, std::uint64_t writable) {
    std::uint64_t sum = ordinal;
    for (const std::byte b : request)
      sum = (sum ^ std::to_integer<std::uint64_t>(b)) * 0x0000'0100'0000'01b3;
    state_ = sum;
    len_ = static_cast<std::uint32_t>(sum % 4 == 0 ? sum / 4 % (writable + 1) : writable);
  }
  std::uint32_t len() const { return len_; }
  void fill(std::span<std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      const std::uint64_t word = splitmix64(state_);
      std::memcpy(&bytes[i], &word, std::min<std::size_t>(8, bytes.size() - i));
    }
  }

private:
  std::uint64_t state_;
  std::uint32_t len_;
};

/// Every access waits, and is answered in random order.
class LatePort final : public DmaPort {
public:
  LatePort(GuestAddr base, std::span<std::byte> memory) : base_(raw(base)), memory_(memory) {}

  void answer_some(Random& random) {
    for (std::uint64_t n = random.below(waiting_.size() + 1); n > 0; --n) {
      std::swap(waiting_[random.below(waiting_.size())], waiting_.back());
      DmaTransaction& t = *waiting_.back();
      waiting_.pop_back();
      const std::uint64_t at = raw(t.addr) - base_;
      if (at > memory_.size() || t.len > memory_.size() - at) {
        answer(t, DmaStatus::address_error);
        continue;
      }
      std::memcpy(t.write ? &memory_[at] : t.buffer.data(),
                  t.write ? t.buffer.data() : &memory_[at], t.len);
      answer(t, DmaStatus::ok);
    }
  }
  bool idle() const { return waiting_.empty(); }

private:
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& t) override { waiting_.push_back(&t); }

  std::uint64_t base_;
  std::span<std::byte> memory_;
  std::vector<DmaTransaction*> waiting_;
};

/// Answers requests, and returns them when and in the order in which it is told to.
class EchoFunction final : public DeviceFunction {
public:
  /// Takes `window` requests at a time.
  explicit EchoFunction(std::uint32_t window) : window_(window) {}

  DeviceType type() const override { return DeviceType::entropy; }
  FeatureSet features() const override { return {}; }
  std::uint16_t num_queues() const override { return 1; }
  std::uint16_t max_queue_size(QueueIndex) const override { return 32768; }
  std::uint32_t window(QueueIndex) const override { return window_; }
  void start(const FeatureSet&) override { ordinal_ = 0; }
  void on_abort(QueueIndex) override { answered_.clear(); }
  void on_chain(Chain& chain) override {
    start_task(chain, [&] { return answer(chain, ordinal_++); });
  }

  /// Returns up to `n` of the answered requests, chosen at random.
  void finish(std::uint64_t n, Random& random) {
    for (; n > 0 && !answered_.empty(); --n) {
      std::swap(answered_[random.below(answered_.size())], answered_.back());
      const auto [chain, written] = answered_.back();
      answered_.pop_back();
      host().complete(*chain, written);
    }
  }
  bool idle() const { return answered_.empty(); }
  /// Requests are returned as soon as they are answered.
  bool at_once = false;
  /// A request's memory failed: nothing of the kind is expected.
  bool failed = false;

private:
  struct Answered {
    Chain* chain;
    std::uint32_t written;
  };

  Task<> answer(Chain& chain, std::uint64_t ordinal) {
    const Dma dma = host().dma(chain.queue);
    std::vector<std::byte> request(chain.readable_len);
    std::byte* at = request.data();
    PieceCursor out(chain.readable());
    while (const PieceRun run = out.take(chain.readable_len)) {
      const DmaStatus status = co_await dma.gather(run.first, run.rest, at, AccessKind::data);
      if (status == DmaStatus::cancelled) co_return;
      failed |= status != DmaStatus::ok;
      at += run.len;
    }
    Answer answer(ordinal, request, chain.writable_len);
    std::vector<std::byte> reply(answer.len());
    answer.fill(reply);
    const std::byte* from = reply.data();
    PieceCursor in(chain.writable());
    for (std::uint64_t left = reply.size(); const PieceRun run = in.take(left); left -= run.len) {
      const DmaStatus status = co_await dma.scatter(run.first, run.rest, from, AccessKind::data);
      if (status == DmaStatus::cancelled) co_return;
      failed |= status != DmaStatus::ok;
      from += run.len;
    }
    if (at_once)
      host().complete(chain, answer.len());
    else
      answered_.push_back({&chain, answer.len()});
  }

  std::uint32_t window_;
  std::uint64_t ordinal_ = 0;
  std::vector<Answered> answered_;
};

class DeviceSide final : Transport {
public:
  /// `memory` is seen by the device at its host address.
  DeviceSide(std::span<std::byte> memory, bool late, std::uint32_t window, Wires& wires,
             std::uint64_t seed)
      : wires_(wires), random_(seed, "device") {
    const GuestAddr base{reinterpret_cast<std::uint64_t>(memory.data())};
    if (late)
      port_ = std::make_unique<LatePort>(base, memory);
    else
      port_ = std::make_unique<HostMemoryPort>(base, memory);
    late_ = late ? static_cast<LatePort*>(port_.get()) : nullptr;
    auto function = std::make_unique<EchoFunction>(window);
    function_ = function.get();
    device_ = std::make_unique<Device>(DeviceParams{.name = "echo"}, executor_, *port_,
                                       std::move(function));
    device_->attach(*this);
  }

  /// Resets the device and brings it up. False: the device refused something.
  bool bring_up(const FeatureSet& features, std::uint16_t size, const unsigned long long areas[3]) {
    device_->write_status(0);
    device_->write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (std::uint32_t word = 0; word < 4; ++word)
      device_->write_driver_features(word, features.word32(word));
    device_->write_status(device_->status() | VIRTIO_STATUS_FEATURES_OK);
    const QueueIndex queue{0};
    device_->write_queue_size(queue, size);
    for (const auto area : {Device::Area::desc, Device::Area::driver, Device::Area::device}) {
      const unsigned long long at = areas[static_cast<std::size_t>(area)];
      device_->write_queue_address(queue, area, false, static_cast<std::uint32_t>(at));
      device_->write_queue_address(queue, area, true, static_cast<std::uint32_t>(at >> 32));
    }
    device_->enable_queue(queue);
    device_->write_status(device_->status() | VIRTIO_STATUS_DRIVER_OK);
    return device_->status() == 0x0f;
  }

  /// Does some of what there is to do.
  void step() {
    if (Wires::take(wires_.doorbell)) {
      ++doorbells;
      device_->notify(QueueIndex{0}, std::nullopt);
    }
    if (random_.below(8) == 0) function_->at_once = random_.below(2) == 0;
    if (late_) late_->answer_some(random_);
    executor_.run_until_idle();
    executor_.flush_errors();
    if (!function_->idle()) function_->finish(1 + random_.below(64), random_);
  }
  /// Nothing will happen without a doorbell.
  bool idle() const {
    return function_->idle() && (!late_ || late_->idle()) && executor_.idle() &&
           !wires_.doorbell.load();
  }
  /// Why the device stopped, or null.
  const char* trouble() const {
    if (function_->failed) return "a request's memory could not be reached";
    return device_->status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET ? to_string(device_->last_error())
                                                                : nullptr;
  }

  std::uint64_t doorbells = 0;
  std::uint64_t interrupts = 0;

private:
  void used_buffer_notification(QueueIndex) override {
    ++interrupts;
    Wires::raise(wires_.interrupt);
  }
  void config_change_notification() override {}
  void on_device_reset() override {}

  Wires& wires_;
  Random random_;
  std::unique_ptr<DmaPort> port_;
  LatePort* late_ = nullptr;
  Executor executor_;
  EchoFunction* function_ = nullptr;
  std::unique_ptr<Device> device_;
};

} // namespace virtio::nightly
