// The models' ring engines behind the pins of RTL: the reference for benches, and what benches are
// tested with. A fault can be planted in what the engine says.
#pragma once

#include <virtio/core/model_ring_engine.hpp>
#include <virtio/core/timed_ring_engine.hpp>
#include <virtio/rtl/cosim/ring_pins.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

namespace virtio::rtl::cosim {

class ModelRingDut : public RingDut, public RingEngineClient, public DmaPort {
public:
  /// Changes what the engine says before it is said, or swallows it (false).
  using Fault = std::function<bool(BoundaryEvent&)>;

  /// The timed engine with these parameters, or the reference engine.
  explicit ModelRingDut(std::uint16_t num_queues,
                        const std::optional<RingEngineParams>& timed = std::nullopt,
                        Fault fault = {});
  ~ModelRingDut() override;

  const RingSide& settle(const RingSide& bench) override;
  void edge() override;
  std::uint32_t beat_bytes() const override { return 16; }
  std::uint16_t num_queues() const override { return num_queues_; }

private:
  struct Open { // a transaction with its tag
    DmaTransaction* transaction = nullptr;
    std::uint32_t got = 0;
  };

  void on_chain(Chain& chain) override;
  void on_interrupt(QueueIndex queue) override;
  void on_ring_error(QueueIndex queue, RingError error) override;
  bool map(GuestAddr, bool, Window&) override { return false; }
  void issue(DmaTransaction& transaction) override;

  void say(std::deque<BoundaryEvent>& where, BoundaryEvent event);
  void take(const BoundaryEvent& event);
  void take_command(const BoundaryEvent& event);
  BoundaryEvent of(Group group, QueueIndex queue) const;

  std::uint16_t num_queues_;
  struct OfQueue { // as it was enabled last
    std::uint16_t function = 0;
    std::uint16_t vector = 0;
    bool generation = false;
  };
  std::vector<OfQueue> of_queue_;
  Fault fault_;
  Executor executor_;
  std::unique_ptr<RingEngine> engine_;
  std::map<std::uint16_t, Open> open_[2];                            // by direction and tag
  std::map<std::pair<std::uint16_t, std::uint16_t>, Chain*> chains_; // by queue and id
  std::deque<BoundaryEvent> reads_, writes_, others_;
  RingSide side_;
  const RingSide* bench_ = nullptr;
};

} // namespace virtio::rtl::cosim
