// Stands before an RTL subordinate: calls become AXI4 bursts, which end at 4 KiB and at the most
// beats allowed, and have their ids drawn from the seed. Ticked: drive(pins) before each rising
// edge, edge(pins) at it.
#pragma once

#include <virtio/rtl/bus/axi4_pins.hpp>
#include <virtio/rtl/bus/axi4_profile.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace virtio::rtl::bus {

/// Data begins with the byte at the address, whatever its alignment. Calls do not wait for each
/// other: what is to come after another is issued when that one is answered.
struct AxiCall {
  bool write = false;
  std::uint64_t address = 0;
  std::vector<std::byte> data{};       ///< not empty; of a read: filled at the end
  std::vector<std::uint8_t> enables{}; ///< of a write: empty, or for each byte 0 for not written
  /// Bytes of a beat, 1 << size. Not given: the least beat that holds all, or the bus. Beats beside
  /// the data are not read, bytes of a beat may be.
  std::optional<std::uint8_t> size{};
  /// FIXED: the data is 1..16 beats of one address, aligned to the beat. WRAP: one legal burst, and
  /// `data` is in its order.
  AxiBurst burst = AxiBurst::incr;
  std::uint8_t prot = 0;
  AxiResp resp = AxiResp::okay; ///< the worst of its bursts
};

class Axi4Initiator {
public:
  struct Params {
    std::uint32_t bus_bytes = 8;   ///< a power of two up to axi_max_bytes
    std::uint32_t ids = 1;         ///< 0 .. ids - 1 are used; not 0
    std::uint32_t max_beats = 256; ///< of a burst, 1..256
    std::size_t outstanding = 16;  ///< bursts in each direction; not 0
    AxiProfile profile{};
  };
  using Done = std::function<void(AxiCall&)>;

  /// Throws std::invalid_argument for parameters that cannot be.
  explicit Axi4Initiator(const Params& params);

  /// `done` is called inside edge(). Throws std::invalid_argument for a call that cannot be.
  void issue(AxiCall call, Done done);

  /// The manager's pins.
  void drive(Axi4Pins& pins);
  void edge(const Axi4Pins& pins);
  bool idle() const { return calls_ == 0; }
  /// Responses that belong to nothing: a broken subordinate, as a checker says with evidence.
  std::uint64_t stray_responses() const { return strays_; }

private:
  struct Call {
    AxiCall call;
    Done done;
    std::size_t bursts = 0; ///< not answered
  };
  struct Burst {
    std::shared_ptr<Call> call;
    AxiAddress request{};
    std::size_t at = 0;     ///< of the call's data
    std::size_t length = 0; ///< bytes of data; the last beat may have more
    std::uint32_t beat = 0;
    std::size_t moved = 0; ///< bytes
  };
  using ById = std::map<std::uint32_t, std::deque<Burst>>;

  std::uint8_t size_of(const AxiCall& call) const;
  Burst next_burst(const std::shared_ptr<Call>& call, std::size_t at) const;
  void offer_request(std::deque<Burst>& waiting, AxiAddress& channel, std::size_t under_way,
                     std::string_view name);
  void offer_write_data();
  void on_read_beat(const AxiReadData& beat);
  void answered(Call& call, AxiResp resp, bool last);
  bool chance(std::string_view channel, unsigned percent) const;

  Params params_;
  std::uint64_t cycle_ = 0;
  std::uint64_t bursts_made_ = 0;
  std::size_t calls_ = 0;
  std::uint64_t strays_ = 0;
  std::deque<Burst> writes_, reads_; ///< to be requested
  std::deque<Burst> write_data_;     ///< to be sent, in the order of requests
  std::size_t writes_under_way_ = 0;
  std::size_t reads_under_way_ = 0;
  ById written_, reading_;
  AxiAddress aw_, ar_;
  AxiWriteData w_;
};

} // namespace virtio::rtl::bus
