// What an RTL manager meets: its bursts become memory accesses, whose answers go back as responses.
// Ticked: drive(pins) before each rising edge, edge(pins) at it.
#pragma once

#include <virtio/rtl/bus/axi4_checker.hpp>
#include <virtio/rtl/bus/axi4_profile.hpp>

#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace virtio::rtl::bus {

/// Consecutive bytes. A FIXED burst is one access for each beat, a WRAP burst one or two.
struct AxiAccess {
  std::uint64_t tag = 0;
  bool write = false;
  std::uint64_t address = 0;
  std::size_t length = 0;
  std::vector<std::byte> data;       ///< of a write
  std::vector<std::uint8_t> enables; ///< of a write: 0xff for bytes to be written, else 0
  std::uint32_t id = 0;
  bool modifiable = false; ///< AxCACHE: not of a device, which sees an id's accesses in their order
};

/// Whether `access` is to take effect behind `earlier`, whose completion it then waits for. Of
/// writes and reads AXI4 says nothing: a manager waits for its response.
bool goes_behind(const AxiAccess& access, const AxiAccess& earlier);

/// The memory behind a target. Accesses begin in the order of the manager's requests (of its
/// writes, and of its reads), and are to take effect so as far as goes_behind() says.
class AxiMemory {
public:
  virtual ~AxiMemory() = default;
  /// Axi4Target::complete() follows, in this call or later, once for each access, in any order.
  virtual void begin(const AxiAccess& access) = 0;
};

class Axi4Target {
public:
  struct Params {
    std::uint32_t bus_bytes = 8;  ///< a power of two up to axi_max_bytes
    std::size_t outstanding = 16; ///< bursts in each direction; not 0
    AxiProfile profile{};
  };

  /// Throws std::invalid_argument for parameters that cannot be.
  Axi4Target(AxiMemory& memory, const Params& params);

  /// The subordinate's pins.
  void drive(Axi4Pins& pins);
  void edge(const Axi4Pins& pins);
  /// `data`: what a read returned. Throws std::invalid_argument for an access not under way.
  void complete(std::uint64_t tag, std::span<const std::byte> data, AxiResp resp);
  /// Nothing under way and nothing offered.
  bool idle() const;

private:
  struct Burst {
    std::uint64_t n = 0; ///< of its direction
    AxiAddress request;
    bool refused = false; ///< broken_by_request(): SLVERR, and memory is not accessed
    std::vector<AxiAccess> accesses;
    std::size_t pending = 0; ///< accesses without an answer
    std::uint64_t due = 0;   ///< the first cycle of a response
    AxiResp resp = AxiResp::okay;
    std::vector<std::byte> data; ///< in the order of the beats
    std::uint32_t beat = 0;
    std::size_t at = 0; ///< bytes of earlier beats
  };
  using ById = std::map<std::uint32_t, std::deque<Burst>>;

  Burst burst_of(const AxiAddress& request, std::uint64_t n) const;
  void split(Burst& burst, bool write);
  void begin(Burst& burst);
  void on_write_beats();
  void take_write_beat(Burst& burst, const AxiWriteData& beat);
  bool answer(ById& bursts, std::uint64_t tag, std::span<const std::byte> data, AxiResp resp);
  std::optional<std::uint32_t> choose(const ById& bursts, std::string_view channel) const;
  void offer_read();
  bool chance(std::string_view channel, unsigned percent) const;

  AxiMemory& memory_;
  Params params_;
  std::uint64_t cycle_ = 0;
  std::uint64_t next_tag_ = 0;
  std::uint64_t writes_begun_ = 0;
  std::uint64_t reads_begun_ = 0;
  std::size_t writes_under_way_ = 0;
  std::size_t reads_under_way_ = 0;
  std::deque<Burst> receiving_;          ///< writes whose data is not complete
  std::deque<AxiWriteData> write_beats_; ///< ahead of their requests
  ById writes_, reads_;
  std::optional<std::uint32_t> reading_; ///< the id of a burst that is not interleaved
  AxiWriteResponse b_;
  AxiReadData r_;
};

} // namespace virtio::rtl::bus
