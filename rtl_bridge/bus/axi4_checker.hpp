// Watches one AXI4 interface cycle by cycle and says which rule of axi4_rules.def is broken. It
// sees pins only, so it judges benches and RTL alike; AXI4-Lite is the same with fewer signals.
#pragma once

#include <virtio/rtl/bus/axi4_pins.hpp>
#include <virtio/rtl/cosim/stimulus.hpp>

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>

namespace virtio::rtl::bus {

struct AxiRule {
  const char* id;
  const char* text;
};
std::span<const AxiRule> axi_rules();
/// What is wrong with the request of a burst, if anything.
const AxiRule* broken_by_request(const AxiAddress& request, std::uint32_t bus_bytes);

class Axi4Checker {
public:
  struct Limits {
    std::uint32_t bus_bytes = 8;
    std::uint64_t stalled_cycles = 10'000;
    std::uint64_t response_cycles = 100'000;
  };

  Axi4Checker(std::string name, const Limits& limits) : name_(std::move(name)), limits_(limits) {}

  /// The pins at the clock edge of `cycle`. The first rule broken in it, if any.
  std::optional<cosim::Finding> cycle(std::uint64_t cycle, const Axi4Pins& pins);
  /// When nothing more will come.
  std::optional<cosim::Finding> end(std::uint64_t cycle);

private:
  struct Asked {
    AxiAddress request;
    std::uint64_t since = 0;
    std::uint32_t beats = 0; ///< that have come
  };
  struct WriteBeat {
    std::uint64_t strb;
    bool last;
  };
  template <class Channel> struct Stall {
    std::optional<Channel> offered;
    std::uint64_t cycles = 0;
  };

  void broken(const AxiRule& rule, std::string evidence);
  template <class Channel>
  void watch(const char* channel, Stall<Channel>& stall, const Channel& now);
  void on_request(const char* channel, const AxiAddress& request);
  void on_write_beats();
  void on_write_response(const AxiWriteResponse& response);
  void on_read_beat(const AxiReadData& beat);
  void watch_answers();

  std::string name_;
  Limits limits_;
  std::uint64_t now_ = 0;
  std::optional<cosim::Finding> finding_; ///< of this cycle
  Stall<AxiAddress> aw_, ar_;
  Stall<AxiWriteData> w_;
  Stall<AxiWriteResponse> b_;
  Stall<AxiReadData> r_;
  std::deque<Asked> writes_;                                   ///< whose data is not complete
  std::deque<WriteBeat> write_beats_;                          ///< ahead of their requests
  std::map<std::uint32_t, std::deque<Asked>> written_, reads_; ///< by id: what waits for answers
};

} // namespace virtio::rtl::bus
