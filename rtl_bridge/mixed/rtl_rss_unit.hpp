// An RSS block in RTL as the RSS unit of a network device: whatever can be driven by its pins. It
// is clocked for each packet until its result is there, in no simulated time; what a packet costs
// the device is for the device's own timing. Every result is judged by the network model.
#pragma once

#include <virtio/net/rss_unit.hpp>
#include <virtio/rtl/cosim/rss/dut.hpp>
#include <virtio/rtl/cosim/rss/items.hpp>

#include <memory>

namespace virtio::rtl {

class RtlRssUnit final : public net::RssUnit {
public:
  /// Throws std::invalid_argument when the device may have a longer table than the RTL.
  RtlRssUnit(std::unique_ptr<cosim::rss::Dut> dut, std::size_t max_table_length);

  void configure(const net::RssUnitSetup& setup) override;
  Verdict judge(net::Frame packet) override;
  const std::string& problem() const override { return problem_; }

  std::uint64_t cycles() const { return cycle_; }
  std::uint64_t packets() const { return packets_; }

private:
  cosim::rss::Outputs cycle(const cosim::rss::Inputs& inputs);
  bool hangs(std::uint64_t since, const char* what);

  static constexpr std::uint64_t hang_cycles = 5'000;

  std::unique_ptr<cosim::rss::Dut> dut_;
  cosim::rss::DutParams params_;
  RssModel model_;
  std::string problem_;
  std::vector<std::byte> beat_;
  std::uint64_t cycle_ = 0;
  std::uint64_t packets_ = 0;
};

} // namespace virtio::rtl
