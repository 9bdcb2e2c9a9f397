// vq_engine under Verilator as the ring bench takes it: its ports as events.
#pragma once

#include <virtio/rtl/cosim/ring_pins.hpp>

#include <filesystem>
#include <memory>
#include <vector>

class Vvq_engine;

namespace virtio::rtl {

class VqDut final : public cosim::RingDut {
public:
  /// Out of its reset. Registers begin with what `seed` says; 0: all zero.
  explicit VqDut(std::uint64_t seed = 1);
  ~VqDut() override;

  const cosim::RingSide& settle(const cosim::RingSide& bench) override;
  void edge() override;
  void skip(std::uint64_t cycles) override;
  std::uint32_t beat_bytes() const override;
  bool aligned_beats() const override { return false; }
  std::uint16_t num_queues() const override;
  std::uint32_t chains_with_function() const override;
  int failed_assertions() const override;

  /// The model itself.
  Vvq_engine& pins();
  /// Of the cycles from .. to, without the last. Before the first cycle.
  void write_waves(const std::filesystem::path& file, std::uint64_t from, std::uint64_t to);
  /// Line and toggle counts, where the engine was built with them.
  void write_coverage(const std::filesystem::path& file);

private:
  struct Model;
  void drive(const cosim::RingSide& bench);
  void look();
  /// What the engine offers on a channel, to be filled in; null when it does not.
  BoundaryEvent* offers(Group group, bool valid, std::uint16_t queue);

  std::unique_ptr<Model> model_;
  cosim::RingSide side_;
  std::array<BoundaryEvent, cosim::num_groups> said_;
};

} // namespace virtio::rtl
