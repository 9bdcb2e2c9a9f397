// The timing of a PCI Express link between a device and a root complex with memory behind it, in
// integers and in closed form: every call says at once when its request is accepted, arrives and is
// complete, whatever is in its way by then. No SystemC, no events, no data. Upstream is towards
// memory.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/core/random.hpp>
#include <virtio/core/types.hpp>
#include <virtio/tlm/pci/link_ledger.hpp>
#include <virtio/tlm/pci/link_params.hpp>
#include <virtio/tlm/pci/link_schedule.hpp>
#include <virtio/tlm/pci/tlb.hpp>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace virtio::tlm2 {

enum class LinkDirection : std::uint8_t { upstream, downstream };

enum class TlpKind : std::uint8_t {
  memory_write, ///< messages (MSI-X) and doorbells too
  memory_read,
  config_write,
  config_read,
  translation, ///< ATS request
  completion_data,
  completion, ///< without data
};
inline constexpr std::size_t tlp_kinds = 7;
const char* to_string(TlpKind kind);

/// AccessKind as an index, and one more for whoever does not say.
inline constexpr std::size_t access_kinds = static_cast<std::size_t>(AccessKind::message) + 2;
inline constexpr std::size_t unknown_access = access_kinds - 1;

struct LinkStatistics {
  struct Tlps {
    std::uint64_t count = 0;
    std::uint64_t payload_bytes = 0; ///< whole double words
    std::uint64_t wire_bytes = 0;    ///< with header, framing, sequence number, LCRC and ECRC
  };
  struct Accesses {
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, 2> wire_bytes{}; ///< by direction
  };
  /// For how long requests waited, added up over requests.
  struct Stalls {
    SimTime posted_buffer{};     ///< the device, for room to put a write into
    SimTime nonposted_queue{};   ///< the device, for room to put a read into
    SimTime posted_credits{};    ///< writes, for the root complex
    SimTime nonposted_credits{}; ///< reads, for the root complex
    SimTime tags{};
    SimTime completion_space{};
    SimTime cpu_credits{}; ///< the CPU's accesses, for the device
  };
  using Direction = std::array<Tlps, tlp_kinds>; ///< by TlpKind

  std::array<Direction, 2> tlps{};             ///< by LinkDirection
  std::array<Accesses, access_kinds> device{}; ///< what the device accessed, by AccessKind
  Stalls stalls{};
  std::uint64_t tlb_hits = 0;
  std::uint64_t tlb_misses = 0;

  const Tlps& of(LinkDirection direction, TlpKind kind) const {
    return tlps[static_cast<std::size_t>(direction)][static_cast<std::size_t>(kind)];
  }
  std::uint64_t wire_bytes(LinkDirection direction) const;
};

class LinkTiming {
public:
  /// Throws std::invalid_argument with the sentence of error_in(params).
  explicit LinkTiming(const PcieLinkParams& params);

  struct Write {
    SimTime accepted; ///< the sender goes on: the write is ordered
    SimTime arrived;  ///< it takes effect at the other side
  };
  struct Read {
    SimTime accepted; ///< the sender may send the next request
    SimTime sampled;  ///< memory is read; no write accepted before takes effect later
    SimTime complete; ///< the last byte is at the reader
  };

  /// Nothing will be asked for an earlier time any more, but by device_write() and device_read(),
  /// which call it themselves.
  void advance(SimTime now);

  // Requests, `len` > 0 bytes each, split into TLPs as PCI Express demands.
  Write device_write(SimTime now, std::uint64_t addr, std::uint32_t len,
                     std::size_t access = unknown_access);
  /// `unmapped`: nothing answers there; the root complex completes it without data.
  Read device_read(SimTime now, std::uint64_t addr, std::uint32_t len,
                   std::size_t access = unknown_access, bool unmapped = false);

  /// A write of the CPU to the device's memory: a doorbell. A CPU may be ahead of everybody else's
  /// time.
  Write cpu_write(SimTime now, std::uint64_t addr, std::uint32_t len);
  /// The CPU's other requests; the result is when the device sees it. Then comes complete_cpu().
  SimTime cpu_read(SimTime now, std::uint64_t addr, std::uint32_t len);
  SimTime cpu_config(SimTime now, std::uint32_t len, bool write);
  /// The device answers with `len` bytes, 0 for a write or an error; the result is when the CPU has
  /// it, with every write that the device sent before.
  SimTime complete_cpu(SimTime now, std::uint32_t len);

  /// A read's completion that became ready at `sampled` must not overtake writes of the CPU that
  /// were there before: it is there when they are, not before the result. Asked at Read::complete.
  SimTime completion_not_before(SimTime now, SimTime sampled) const {
    return cpu_writes_.empty() ? now : behind_cpu_writes(now, sampled);
  }

  const PcieLinkParams& params() const { return params_; }
  const LinkStatistics& statistics() const { return statistics_; }
  void reset_statistics() { statistics_ = {}; }
  /// How long the TLPs counted so far occupied the wire, shares of Ack, UpdateFC and SKP included.
  SimTime busy(LinkDirection direction) const;

  /// The numbers a reader needs to check a time line by hand.
  std::uint32_t request_overhead(std::uint64_t last_address) const;
  std::uint32_t completion_overhead() const { return completion_overhead_; }
  SimTime wire_time(std::uint32_t bytes) const { return rounded_up(up_.duration(bytes)); }

private:
  struct Sent {
    SimTime entered;
    FineTime end;
    SimTime arrived;
  };
  bool completions_pass() const { return params_.relaxed_ordering || params_.id_based_ordering; }
  // Those that are `inline` are used in link_timing.cpp only, once or so.
  inline void count(LinkDirection direction, TlpKind kind, std::uint64_t tlps,
                    std::uint64_t payload, std::uint32_t overhead, std::size_t access);
  SimTime enter_root_complex(FineTime last_byte_left, std::uint64_t addr);
  SimTime walk(SimTime when, std::uint64_t addr, bool& miss);
  SimTime translate_in_device(SimTime when, std::uint64_t addr, std::uint32_t len,
                              std::size_t access);
  struct Request {
    std::uint64_t addr;
    std::uint32_t len;
    std::uint32_t overhead; ///< of every TLP of it
    std::size_t access;
    bool unmapped;
  };
  /// What a request becomes on the wire.
  struct Tlps {
    std::uint32_t count = 0;
    std::uint32_t words = 0;       ///< bytes of the double words that it touches
    std::uint32_t completions = 0; ///< of a read
  };
  inline Tlps split(std::uint64_t addr, std::uint32_t len, std::uint32_t limit) const;
  Tlps split_long(std::uint64_t addr, std::uint32_t len, std::uint32_t limit) const;
  inline std::uint32_t completions_of(std::uint64_t addr, std::uint32_t len) const;
  inline FineTime write_at_once(FineTime from, const Tlps& tlps, std::uint32_t overhead);
  FineTime write_one_by_one(FineTime from, const Request& request);
  inline bool may_read_at_once(FineTime from, const Tlps& tlps, bool unmapped);

  struct Piece {
    SimTime sampled;
    SimTime complete;
  };
  inline Piece read_at_once(FineTime from, const Tlps& tlps, std::uint32_t overhead);
  Piece read_piece(FineTime earliest, std::uint64_t addr, std::uint32_t len,
                   const Request& request);
  SimTime memory_latency();
  SimTime behind_cpu_writes(SimTime now, SimTime sampled) const;

  PcieLinkParams params_;
  std::uint32_t completion_size_;
  std::uint32_t completion_overhead_;
  bool plain_root_complex_; // it delays every request alike
  bool plain_memory_;       // likewise every read
  LinkSchedule up_;
  LinkSchedule down_;
  Random random_;

  SimTime now_{};
  LinkLedger posted_buffer_;
  LinkLedger nonposted_queue_;
  LinkLedger posted_credits_;
  LinkLedger nonposted_credits_;
  LinkLedger tags_;
  LinkLedger completion_space_;
  LinkLedger cpu_posted_credits_;
  LinkLedger cpu_nonposted_credits_;
  LinkLedger reads_in_service_;
  LinkLedger walkers_;
  Tlb tlb_;

  SimTime accepted_write_{};
  SimTime accepted_read_{};
  FineTime posted_end_{};    // of the last one sent, upstream
  FineTime nonposted_end_{}; // likewise
  SimTime written_{};        // when the last write accepted so far takes effect
  SimTime root_complex_free_{};
  FineTime cpu_posted_end_{};
  FineTime cpu_nonposted_end_{};
  std::vector<Sent> cpu_writes_; // on their way, in order
  LinkStatistics statistics_;
};

} // namespace virtio::tlm2
